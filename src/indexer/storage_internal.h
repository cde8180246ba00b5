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

#define STORAGE_RESERVE_BYTES_DEFAULT (UINT64_C(64) << 20)
#define STORAGE_KEPT_BYTES_DEFAULT (UINT64_C(256) << 20)
#define STORAGE_RECORD_BYTES_TARGET ((size_t)4 << 20) /* a submission is cut into such records */
#define STORAGE_SEALED_MAX 3                          /* submitters wait for flushes above it */

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
};

struct storage {
    struct io *io;
    struct series_tags *tags;
    struct datalog *log;
    VEC(struct storage_slot) slots; /* does not change once it is open */
    size_t default_slot;
    VEC(struct storage_dropped) dropped; /* as slots */
    uint32_t flushed_sum;                /* of the file `flushed`; under `flushing` */
    pthread_mutex_t flushing;            /* one round of flushing at a time */
    struct storage_source source;
    char *datalog_dir;
    uint64_t kept_bytes_max;
    uint64_t reserve_bytes;
    bool manual;
    void (*report)(void *context, const char *text);
    void *report_context;

    _Atomic uint32_t routes[UINT16_MAX + 1]; /* by tag: slot + 1; 0: not looked up yet */
    _Atomic uint64_t applied_end;            /* one after the last position that wells have seen */
    _Atomic uint64_t entries_accepted;
    _Atomic uint64_t bytes_accepted;
    _Atomic uint64_t unwatched_bytes; /* accepted since free space was looked at */
    _Atomic uint64_t watch_bytes;     /* as much may be */
    uint64_t entries_replayed;
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
    bool threads_run;
};

void storage_report(struct storage *storage, const char *format, ...) PRINTF_LIKE(2, 3);

/* The slot that a tag's entries go to. */
size_t storage_route(struct storage *storage, uint16_t tag);

/* Checks wells and their tags against each other, without touching a disk. */
MUST_CHECK int storage_check_wells(const struct storage_well *wells, size_t count);

struct span storage_name_of(void *context, uint16_t tag); /* context: the catalogue */

void storage_start_threads(struct storage *storage);
void storage_stop_threads(struct storage *storage);

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

#endif
