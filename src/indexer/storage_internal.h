/*
 * What the files storage*.c share and nobody else sees.
 */
#ifndef INDEXER_STORAGE_INTERNAL_H
#define INDEXER_STORAGE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/vec.h"
#include "datalog/log.h"
#include "indexer/storage.h"
#include "query/source.h"
#include "series/catalogue.h"
#include "well/tombstones.h"

#define STORAGE_RESERVE_BYTES_DEFAULT (UINT64_C(64) << 20)
#define STORAGE_KEPT_BYTES_DEFAULT (UINT64_C(256) << 20)
#define STORAGE_KEPT_SEGMENTS_MIN 4
#define STORAGE_RECORD_BYTES_TARGET ((size_t)4 << 20) /* a submission is cut into such records */
#define STORAGE_SEALED_MAX 3                          /* submitters wait for flushes above it */
#define STORAGE_SERIES_PER_CHUNK 65536

/* How long a delete is kept at least, for what may come late. */
#define STORAGE_DELETE_HORIZON_NS (INT64_C(30) * 24 * 3600 * 1000000000)

struct storage_slot {
    char *name;
    char *location; /* NULL: a memory well */
    uint64_t memory_bytes_max;
    const char *memory_rule; /* why entries left memory, as told last; NULL: none have */
    VEC(char *) tags;        /* exact names and globs */
    struct well *well;
    struct well_retention retention;
    const char *kept; /* why something stays that should go, as told last; NULL: nothing does */
    uint64_t flushed; /* as the file `flushed` said when storage was opened */
    bool noted;       /* and it knew the well and its location */
};

/* A well that the config has no more. */
struct storage_dropped {
    char *name;
    char *location; /* NULL: not known, or a memory well */
    uint64_t flushed;
    struct well *well; /* during replay, when the log has records for it */
};

struct storage_source {
    struct query_source source;
    struct storage *storage;
    struct search_points *points; /* classes as tags */
};

struct storage_intake;

struct storage {
    struct io *io;
    struct series_tags *tags;
    struct series_origins *origins;
    struct series_catalogue *catalogue;
    struct block_cache *cache; /* of the wells */
    struct datalog *log;
    uint16_t origin;                /* number of the log's own */
    VEC(struct storage_slot) slots; /* does not change once it is open */
    size_t default_slot;
    VEC(struct storage_dropped) dropped; /* as slots */
    uint32_t flushed_sum;                /* of the file `flushed`; under `flushing` */
    pthread_mutex_t flushing;            /* one round of flushing at a time */
    struct storage_source source;
    struct storage_intake *intake; /* of snapshots: storage_intake.h */
    char *datalog_dir;
    char *series_dir;
    uint64_t kept_bytes_max;
    uint64_t reserve_bytes;
    bool manual;
    void (*report)(void *context, const char *text);
    void *report_context;

    _Atomic uint32_t routes[UINT16_MAX + 1]; /* by tag: slot + 1; 0: not looked up yet */
    _Atomic(_Atomic uint16_t *) series_routes[STORAGE_SERIES_PER_CHUNK]; /* the same, in chunks */

    pthread_mutex_t deletes_lock;
    struct tombstones *tombstones; /* all deletes; the wells have them too */
    bool series_restored;          /* from the segments, since it was opened */
    uint64_t deletes_unfiled;      /* position of the first that is in no file; 0: none */
    bool deletes_changed;          /* since the file was written */

    _Atomic uint64_t applied_end; /* one after the last position that wells have seen */
    _Atomic uint64_t entries_accepted;
    _Atomic uint64_t bytes_accepted;
    _Atomic uint64_t points_accepted;
    _Atomic uint64_t deletes_accepted;
    _Atomic uint64_t unwatched_bytes; /* accepted since free space was looked at */
    _Atomic uint64_t watch_bytes;     /* as much may be */
    _Atomic uint64_t untrimmed_bytes; /* accepted since the last round of flushing began */
    uint64_t entries_replayed;
    uint64_t points_replayed;
    uint64_t damage; /* met while opening, and by the catalogue */

    pthread_mutex_t lock;
    pthread_cond_t work;    /* to the threads: something is sealed, or closing */
    pthread_cond_t changed; /* to submitters and close: a flush ended, an append ended */
    uint64_t in_flight;     /* submissions not completed */
    bool closing;
    bool space_low; /* free space is below the reserve */
    bool log_full;  /* the datalog was refused for lack of space */
    bool log_full_told;
    int flush_rc; /* of the last flush */
    char space_text[ERR_TEXT_BYTES_MAX];
    char log_text[ERR_TEXT_BYTES_MAX];
    char flush_text[ERR_TEXT_BYTES_MAX];
    pthread_t flusher;
    pthread_t merger;
    pthread_t packer;
    bool threads_run;
};

void storage_report(struct storage *storage, const char *format, ...) PRINTF_LIKE(2, 3);

/* The slot that a tag's entries go to; that of a series' points, SIZE_MAX: nobody made it. */
size_t storage_route(struct storage *storage, uint16_t tag);
size_t storage_route_series(struct storage *storage, uint32_t series);
size_t storage_find_route(struct storage *storage, struct span name);

/* mem_free() */
struct well **storage_wells_of(struct storage *storage, struct storage_names names,
                               size_t *ret_count);

/*
 * Appending (storage_append.c). A submission becomes records, one after the other; done() is
 * called when the last one is durable and applied.
 */

/* Of one well. */
struct storage_run {
    size_t slot;
    struct buf payload;
    uint64_t entries;
    uint64_t points;
    uint64_t data_bytes;
};

struct storage_record {
    struct datalog_submission submission;
    struct storage_append *append;
    struct buf payload;               /* unless it is the one run's */
    VEC(struct storage_run) runs;     /* UPDATE, POINTS: more than one only if it was received */
    struct datalog_record received;   /* as the log wants it */
    VEC(uint32_t) defined;            /* SERIES: the numbers */
    VEC(struct tombstone *) restored; /* SERIES: deletes that get its position; owned */
    bool is_theirs;                   /* SERIES: received as such, not made for received points */
};

struct storage_append {
    struct storage *storage;
    storage_done done;
    void *context;
    bool is_received; /* and entered: storage_intake_leave() */
    uint16_t origin;  /* of its stamps */
    struct storage_received received;
    uint64_t bytes; /* about; what it was admitted with */
    size_t left;    /* records not completed */
    int rc;
    char text[ERR_TEXT_BYTES_MAX];
    VEC(struct storage_record *) records;
};

/* `received` may be NULL. */
MUST_CHECK int storage_append_new(struct storage *storage, const struct storage_received *received,
                                  storage_done done, void *context,
                                  struct storage_append **ret_append);
struct storage_record *storage_append_record(struct storage_append *append, enum datalog_type type);

/* Adds a run to the last record of the type if it is the append's one record, or to a new one. */
struct storage_run *storage_append_run(struct storage_append *append, enum datalog_type type,
                                       size_t slot);

/* Hands it over, or frees it with a fault. */
MUST_CHECK int storage_append_submit(struct storage_append **append);
void storage_append_free(struct storage_append **append);

/* Applies what is durable, to the wells and the catalogue; the log's writer, or the replay. */
void storage_touch(struct storage *storage, struct span points, struct stamp stamp);
void storage_apply_meta(struct storage *storage, struct span payload, struct stamp stamp);
/* What the segments know of series and of their last writes; by open, or by the log's writer. */
void storage_restore_series(struct storage *storage);
void storage_apply_delete(struct storage *storage, struct span payload, uint64_t position,
                          struct stamp stamp);

/* The same of deletes that a snapshot brought, and that have no record here; takes them. */
void storage_restore_deletes(struct storage *storage, struct tombstone **tombstones, size_t count,
                             uint64_t position);

/*
 * Deletes (storage_deletes.c). Read before the wells are opened, written before the log is
 * trimmed.
 */
MUST_CHECK int storage_deletes_read(struct storage *storage);
MUST_CHECK int storage_deletes_write(struct storage *storage);
uint64_t storage_deletes_need_from(struct storage *storage, uint64_t applied_end);
void storage_deletes_publish(struct storage *storage);
void storage_deletes_drop_done(struct storage *storage);
uint64_t storage_deletes_count(struct storage *storage);

/* Checks wells and their tags against each other, without touching a disk. */
MUST_CHECK int storage_check_wells(const struct storage_well *wells, size_t count);

struct span storage_name_of(void *context, uint16_t tag); /* context: the catalogue */

void storage_start_threads(struct storage *storage);
void storage_stop_threads(struct storage *storage);

struct span storage_without_slashes(const char *path);
struct well_options storage_well_options(struct storage *storage, const char *name,
                                         const char *location);

/* The position up to which its records are in segments. */
uint64_t storage_slot_flushed(const struct storage_slot *slot);

MUST_CHECK int storage_replay(struct storage *storage);

/* Looks at the free space; below the reserve ingest stops. */
void storage_watch_space(struct storage *storage);

/* Refuses (the fault says why) or returns 0, maybe after waiting for flushes. */
MUST_CHECK int storage_admit(struct storage *storage, uint64_t bytes);

/* The file `flushed`: read before replay, written after it, when wells are new, and after
 * flushes. */
MUST_CHECK int storage_flushed_read(struct storage *storage);
MUST_CHECK int storage_flushed_write(struct storage *storage);
bool storage_flushed_knows_all(struct storage *storage);
struct storage_dropped *storage_dropped_well(struct storage *storage, struct span name);
void storage_dropped_free(struct storage *storage);

/* One round of retention over all wells: 0, or the last fault. By one thread. */
MUST_CHECK int storage_retain(struct storage *storage);

void storage_source_init(struct storage *storage);
void storage_source_deinit(struct storage *storage);

/* A cursor over entries that become durable from now on (query/source.h). */
MUST_CHECK int storage_follow(struct storage *storage, struct query_cursor **ret_cursor);

#endif
