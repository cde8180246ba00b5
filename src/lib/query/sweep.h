/*
 * A scan by several threads: the range is cut into slices by time (cuts.h); each is read through a
 * cursor of its own, by whichever thread of the pool comes by, and run through the stages; what
 * passes comes out as frames, in the order of the slices.
 *
 *     new ──take: frames──> ... ──take: QUERY_SWEEP_END──finish: what was held back──> free
 *
 * Stages before the first condensing one look at each entry for itself, so any thread may run any
 * block; what a condensing one has collected on each thread is gathered by finish. Frames that
 * nobody takes are bounded: then the scan rests, and its threads serve others. One thread takes.
 */
#ifndef QUERY_SWEEP_H
#define QUERY_SWEEP_H

#include "query/batch.h"
#include "query/pipeline.h"
#include "query/pool.h"
#include "query/scratch.h"
#include "query/source.h"

#define QUERY_SWEEP_WAIT 1 /* take: nothing yet */
#define QUERY_SWEEP_END 2

struct query_sweep;

struct query_sweep_options {
    const struct query *query;
    size_t stages; /* stages [0, stages) are run ... */
    bool half;     /* ... or all that is an indexer's, a shared condensing one too */
    bool detailed; /* progress has counts by time */
    struct query_source *source;
    struct query_scan scan; /* its words and tags are borrowed for the sweep's life */
    uint64_t entries_max;   /* no slice gives more, and no more slices are read */
    uint64_t read_max;      /* only so many, the first ones, are run; UINT64_MAX: all */
    const char *(*tag_name)(const void *context, uint16_t tag); /* any thread */
    const void *context;
    struct query_pool *pool;       /* NULL: the thread that takes does the work */
    struct query_scratch *scratch; /* what does not fit into memory; NULL: there is no bound */
};

/* Opens the first slice. What `options` points to must outlive the sweep. */
MUST_CHECK int query_sweep_new(const struct query_sweep_options *options,
                               struct query_sweep **ret_scanner);
void query_sweep_free(struct query_sweep **sweep); /* may be NULL */

/* Appends whole frames to the buffer, waits for them at most `timeout_ms`. A fault is that of the
 * slice that stands first. */
MUST_CHECK int query_sweep_take(struct query_sweep *sweep, int64_t timeout_ms, struct buf *frames);

/* Where the frames that were taken end, and the counts of all threads. */
void query_sweep_progress(struct query_sweep *sweep, struct query_progress *ret_progress,
                          struct query_timeline *ret_timeline); /* if detailed; to be deinit */

/* After the end: gives `sink` what condensing stages collected, block by block. What threads
 * collected is gathered first, which may take long: `alive` is called meanwhile, now and then. */
MUST_CHECK int query_sweep_finish(struct query_sweep *sweep,
                                  int (*sink)(void *context, const struct query_block *block),
                                  int (*alive)(void *context), void *context);

/* Appends the picked entries of a block as frames. */
void query_sweep_put(const struct query_block *block, struct buf *frames);

#endif
