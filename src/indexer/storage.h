/*
 * The indexer's storage: the datalog, the tag catalogue and the wells as one thing.
 *
 *     submit ──encode──> datalog (one sync per group) ──> well's memtable ──> done(): acked
 *
 * What done(0) confirmed is durable and found by every scan opened afterwards. Opening replays
 * what the wells had not flushed. Two threads of its own flush and merge; closing flushes.
 *
 * A full disk stops ingest, not scans: submit refuses with ERR_NO_SPACE and a text, and accepts
 * again by itself when there is room. Any number of threads.
 *
 * Retention runs beside it: what went, what should go and may not, and why, is reported.
 */
#ifndef INDEXER_STORAGE_H
#define INDEXER_STORAGE_H

#include "base/uuid.h"
#include "io/io.h"
#include "series/entry.h"
#include "series/tags.h"
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
    const char *datalog_dir;
    const char *tags_path;
    const struct storage_well *wells; /* the default well must be one of them */
    size_t wells_count;

    /* 0: the defaults of the modules. */
    uint64_t memtable_bytes_max;
    uint64_t datalog_segment_bytes_max;
    uint64_t
        datalog_kept_bytes_max;   /* wells that hold back more of the log than this are flushed */
    uint64_t space_reserve_bytes; /* ingest stops when less is free; at most 1/8 of the disk */
    bool manual;                  /* no threads: the test calls storage_work() itself */

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

/* series_tags_put() and a well for it. */
MUST_CHECK int storage_tag(struct storage *storage, struct span name, uint16_t *ret_tag);
MUST_CHECK int storage_tags_put(struct storage *storage, const struct span *names, size_t count,
                                uint16_t *ret_tags);
struct series_tags *storage_tags(struct storage *storage);

/* What the query library scans. Lives as long as the storage. */
struct query_source *storage_source(struct storage *storage);

/* Scans several tags over a snapshot of all wells: see well_cursor_*. */
MUST_CHECK int storage_scan(struct storage *storage, const struct well_scan *scan,
                            struct well_cursor **ret_cursor);

/* True while entries are refused; `text` then says why ("disk full: …"), else it is left empty. */
bool storage_stopped(struct storage *storage, struct buf *text);

struct storage_stats {
    uint64_t entries_accepted; /* since it was opened */
    uint64_t bytes_accepted;   /* of their data */
    uint64_t entries_replayed; /* from the datalog when it was opened */
    uint64_t log_first;
    uint64_t log_end;
    uint64_t log_bytes;
    uint64_t log_groups;      /* syncs */
    uint64_t corrupt;         /* damaged records, blocks and lines met so far */
    uint64_t dropped_entries; /* by retention, since it was opened */
    uint64_t dropped_bytes;   /* of segment files */
    uint64_t dropped_partitions;
    size_t wells;
};

struct storage_stats storage_stats(struct storage *storage);

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
 * retention wants gone, merge. */
MUST_CHECK int storage_work(struct storage *storage);

#endif
