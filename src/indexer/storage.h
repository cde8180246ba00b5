/*
 * The indexer's storage: the datalog, the catalogues and the wells as one thing.
 *
 *     submit ──encode──> datalog (one sync per group) ──> well's memtable ──> done(): acked
 *
 * It holds entries, which all are kept, and points, of which each time of a series has one: the
 * last write. Deletes cover what is older than they, whenever it comes.
 *
 * What done(0) confirmed is durable and found by every scan opened afterwards. Opening replays
 * what the wells had not flushed. Threads of its own flush, merge and pack; closing flushes.
 *
 * A full disk stops ingest, not scans: submit refuses with ERR_NO_SPACE and a text, and accepts
 * again by itself when there is room. Any number of threads.
 *
 * Retention runs beside it: what went, what should go and may not, and why, is reported.
 */
#ifndef INDEXER_STORAGE_H
#define INDEXER_STORAGE_H

#include <pthread.h>

#include "base/err.h"
#include "base/uuid.h"
#include "datalog/log.h"
#include "io/io.h"
#include "series/catalogue.h"
#include "series/element.h"
#include "series/entry.h"
#include "series/tags.h"
#include "well/points.h"
#include "well/well.h"

struct conf;
struct query_source;
struct storage;

#define STORAGE_WELL_DEFAULT "default"

struct storage_well {
    const char *name;        /* of the section; STORAGE_WELL_DEFAULT for [Default-Well] */
    const char *location;    /* its directory; of a memory well it is not used and may be NULL */
    const char *const *tags; /* exact names and globs */
    size_t tags_count;
    uint64_t memory_bytes_max;       /* > 0: a memory well */
    struct well_retention retention; /* zeros: everything is kept */
};

struct storage_options {
    struct io *io;
    struct uuid node; /* Indexer-UUID */
    bool begin_anew;  /* datalog_open(): others follow this node */
    const char *datalog_dir;
    const char *tags_path;
    const char *series_dir; /* catalogue and origins; NULL: "series" beside the tags' file */
    const struct storage_well *wells; /* the default well must be one of them */
    size_t wells_count;

    /* 0: the defaults of the modules. */
    uint64_t memtable_bytes_max;
    uint64_t datalog_segment_bytes_max;
    uint64_t
        datalog_kept_bytes_max; /* wells that hold back more of the log than this are flushed */
    uint64_t datalog_held_bytes_max; /* cursors that hold back more of it are detached */
    uint64_t cache_bytes_max;        /* of unpacked blocks (well/cache.h); 0: none */
    uint64_t space_reserve_bytes;    /* ingest stops when less is free; at most 1/8 of the disk */
    bool manual;                     /* no threads: the test calls storage_work() itself */
    bool pack_at_once;               /* tests, benchmarks: not only what is quiet is packed */

    /* Damage and changes of state, one line each, by any thread. May be NULL. */
    void (*report)(void *context, const char *text);
    void *report_context;
};

/* Config errors (ERR_INVALID) name both wells: one exact tag in two wells, one directory twice. */
MUST_CHECK int storage_open(const struct storage_options *options, struct storage **ret_storage);

/* Waits for what was submitted and flushes. Cursors must be closed before. */
void storage_close(struct storage **storage);

/* Fills options from [Datalog], [Default-Well], [Storage-Well …], Tag-DB-Path and Indexer-UUID;
 * io and report are left alone. What it points to lives as long as `conf` and `arena`. */
struct arena;
MUST_CHECK int storage_options_of_conf(struct conf *conf, struct arena *arena,
                                       struct storage_options *options);

/*
 * Appends entries, all or a fault. Copies what it needs before it returns. When it returns 0,
 * done() is called once, with 0 or a fault (err_text() holds during the call): from one thread,
 * in the order in which storage_submit() returned for a caller. It must be quick and may not
 * call storage_submit(). When it returns a fault, done() is not called.
 * Waits while too much is on its way. Entries must carry tags that storage_tag() gave,
 * data of at most ENTRY_DATA_BYTES_MAX and a checked EV block.
 */
typedef void (*storage_done)(void *context, int rc);
MUST_CHECK int storage_submit(struct storage *storage, const struct entry *entries, size_t count,
                              storage_done done, void *context);

/* The same, waiting until it is durable. */
MUST_CHECK int storage_append(struct storage *storage, const struct entry *entries, size_t count);

/*
 * The same for what other nodes wrote first: one record of theirs. It keeps its origin, its
 * position there and its time, and it becomes one record here too, whatever wells it goes to.
 * done() may also get DATALOG_KNOWN and DATALOG_AHEAD (datalog/log.h): nothing was stored.
 */
struct storage_received {
    struct datalog_origin origin;
    uint64_t origin_position;
    uint64_t time;  /* hybrid */
    uint64_t after; /* origin position that must be here before; 0: any */
};
MUST_CHECK int storage_submit_received(struct storage *storage, const struct entry *entries,
                                       size_t count, const struct storage_received *received,
                                       storage_done done, void *context);

/*
 * Points. The life of a call is that of storage_submit(). Of two elements of one time of one
 * series the one with the later stamp stands, of one submission the later one. `received` is
 * NULL for what is written here first; stamps in the elements are not looked at.
 */
struct storage_points {
    uint32_t series;                /* its number here; SERIES_NONE: by its key */
    struct span key;                /* of series_key_make(); with SERIES_NONE only */
    const struct element *elements; /* the faster the nearer to ascending */
    size_t count;
};
MUST_CHECK int storage_submit_points(struct storage *storage, const struct storage_points *points,
                                     size_t count, const struct storage_received *received,
                                     storage_done done, void *context);
MUST_CHECK int storage_append_points(struct storage *storage, const struct storage_points *points,
                                     size_t count);

/* Attributes: series_metas_begin(), series_metas_put() make the payload, which is copied. */
MUST_CHECK int storage_submit_meta(struct storage *storage, struct span metas,
                                   const struct storage_received *received, storage_done done,
                                   void *context);
MUST_CHECK int storage_append_meta(struct storage *storage, struct span metas);

/*
 * Deletes what is older than the delete itself: points of the series that the selector means,
 * and entries of the tags, which are series without labels; with SERIES_DELETE_WHOLE the series
 * too. Times are [start_ns, end_ns], both included. It holds for ever, also for what comes later
 * with an older stamp; what is covered is not found any more when done(0) is called, and merging
 * removes it from the disk within about a day.
 */
MUST_CHECK int storage_submit_delete(struct storage *storage, const struct series_delete *deletion,
                                     const struct storage_received *received, storage_done done,
                                     void *context);

struct storage_deleted {
    uint64_t series; /* living ones that the selector means */
    uint64_t tags;
};
/* Waits; *ret_deleted (may be NULL) is of the moment before. */
MUST_CHECK int storage_delete(struct storage *storage, const struct series_delete *deletion,
                              struct storage_deleted *ret_deleted);

/* A SERIES record of another node, whose numbers mean nothing here: what this node's log does not
 * define yet, it defines by it. It becomes one record here, maybe with nothing in it. */
MUST_CHECK int storage_submit_series(struct storage *storage, struct span definitions,
                                     const struct storage_received *received, storage_done done,
                                     void *context);

/*
 * Waiting for one submission, whatever it is:
 *
 *     struct storage_waiter waiter = STORAGE_WAITER;
 *     rc = storage_wait(&waiter, storage_submit_…(…, storage_wake, &waiter));
 *
 * storage_wait() gives what submit refused with, or what done() got.
 */
struct storage_waiter {
    pthread_mutex_t lock;
    pthread_cond_t finished;
    bool is_done;
    int rc;
    char text[ERR_TEXT_BYTES_MAX];
};
#define STORAGE_WAITER                                                                             \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .finished = PTHREAD_COND_INITIALIZER                    \
    }
void storage_wake(void *context, int rc);
MUST_CHECK int storage_wait(struct storage_waiter *waiter, int submit_rc);

/* Finding series: series_catalogue_select(), then _key(), _attributes(), _touched(). What writes
 * goes through storage. */
struct series_catalogue *storage_catalogue(struct storage *storage);
const struct series_origins *storage_origins(struct storage *storage);

/* For followers: reading, cursors and places. What writes goes through storage. */
struct datalog *storage_log(struct storage *storage);

/* One after the last position that the wells and the catalogue have: a record is durable, and may
 * be read from the log, a little before that. */
uint64_t storage_applied_end(const struct storage *storage);

/* Points of these series over a snapshot of all wells: see well/points.h. */
MUST_CHECK int storage_fetch(struct storage *storage, const struct well_fetch *fetch,
                             struct well_points_cursor **ret_cursor);

/* Some wells, by name; none: all, for a tag may have moved from one to another. */
struct storage_names {
    const char *const *items;
    size_t count;
};
MUST_CHECK int storage_fetch_of(struct storage *storage, struct storage_names wells,
                                const struct well_fetch *fetch,
                                struct well_points_cursor **ret_cursor);
MUST_CHECK int storage_scan_of(struct storage *storage, struct storage_names wells,
                               const struct well_scan *scan, struct well_cursor **ret_cursor);

/* series_tags_put() and a well for it. */
MUST_CHECK int storage_tag(struct storage *storage, struct span name, uint16_t *ret_tag);
MUST_CHECK int storage_tags_put(struct storage *storage, const struct span *names, size_t count,
                                uint16_t *ret_tags);
struct series_tags *storage_tags(struct storage *storage);

/* Calls `each` with every class of points that no tag is called like, as a search names it. */
MUST_CHECK int storage_each_class(struct storage *storage,
                                  int (*each)(void *context, const char *name, uint16_t tag),
                                  void *context);

/* What the query library scans: entries, and points as entries (search_points.h). Lives as long as
 * the storage. */
struct query_source *storage_source(struct storage *storage);

/* Scans several tags over a snapshot of all wells: see well_cursor_*. */
MUST_CHECK int storage_scan(struct storage *storage, const struct well_scan *scan,
                            struct well_cursor **ret_cursor);

/* What such a scan would read: well_extents(). */
void storage_extents(struct storage *storage, const struct well_scan *scan,
                     void (*each)(void *context, int64_t first_ns, int64_t last_ns, uint64_t bytes),
                     void *context);

/* True while entries are refused; `text` then says why ("disk full: …"), else it is left empty. */
bool storage_stopped(struct storage *storage, struct buf *text);

struct storage_stats {
    uint64_t entries_accepted; /* since it was opened */
    uint64_t bytes_accepted;   /* of their data */
    uint64_t entries_replayed; /* from the datalog when it was opened */
    uint64_t points_accepted;
    uint64_t points_replayed;
    uint64_t deletes_accepted;
    uint64_t series;     /* that have a name in the catalogue */
    uint64_t tombstones; /* deletes that are still to be looked at */
    uint64_t log_first;
    uint64_t log_end;
    uint64_t log_bytes;
    uint64_t log_groups; /* syncs */
    uint64_t log_cursors;
    uint64_t log_detached;    /* of them */
    uint64_t disk_free_bytes; /* on the file system that the datalog is on ... */
    uint64_t disk_bytes;      /* ... of so many; 0 when it does not say */
    uint64_t cache_hits;      /* blocks that searches found unpacked */
    uint64_t cache_misses;    /* and those that they had to unpack */
    uint64_t cache_bytes;
    uint64_t corrupt;         /* damaged records, blocks and lines met so far */
    uint64_t flushed_bytes;   /* of segment files, since it was opened; so the next two */
    uint64_t merged_bytes;    /* written by merges */
    uint64_t packed_bytes;    /* of them to pack what stays */
    uint64_t purged_bytes;    /* written to remove what was deleted */
    uint64_t dropped_entries; /* by retention, since it was opened */
    uint64_t dropped_points;
    uint64_t dropped_bytes; /* of segment files */
    uint64_t dropped_partitions;
    size_t wells;
};

struct storage_stats storage_stats(struct storage *storage);

/* The cursors of the datalog: datalog_cursors(). */
struct datalog_cursor_stats;
MUST_CHECK int storage_cursors(struct storage *storage,
                               int (*each)(void *context, const struct datalog_cursor_stats *stats),
                               void *context);

/* By index, below stats.wells. */
const char *storage_well_name(struct storage *storage, size_t index);
struct well_stats storage_well_stats(struct storage *storage, size_t index);

/* Calls `each` for every tag that has a name. */
MUST_CHECK int storage_each_tag(struct storage *storage,
                                int (*each)(void *context, uint16_t tag, struct span name,
                                            const char *well, struct well_tag_stats stats),
                                void *context);

/* Seals, flushes and trims now. */
MUST_CHECK int storage_flush(struct storage *storage);

/* One round of what the threads do: flush what is sealed or holds back the log, trim, drop what
 * retention wants gone, merge, pack. */
MUST_CHECK int storage_work(struct storage *storage);

#endif
