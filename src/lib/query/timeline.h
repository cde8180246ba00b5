/*
 * Counts of a search's stages by the time of the entries: slots of equal, whole-second width, as
 * narrow as what is there permits. Zero-initialised it is empty and has no stages. One thread.
 *
 * Widths are multiples of each other (query_histogram_wider_s), so that those of several threads
 * and indexers add up.
 */
#ifndef QUERY_TIMELINE_H
#define QUERY_TIMELINE_H

#include "base/buf.h"
#include "base/wire.h"
#include "query/stats.h"
#include "series/entry.h"

#define QUERY_TIMELINE_SLOTS_MAX 128

struct query_timeline {
    size_t stages;
    int64_t width_s;                 /* 0: nothing yet */
    int64_t first, last;             /* slot n covers [n, n + 1) widths of Unix time */
    struct query_stage_stats *slots; /* owned; all stages of slot n are at n modulo their number */
};

void query_timeline_init(struct query_timeline *timeline, size_t stages);
void query_timeline_deinit(struct query_timeline *timeline);
void query_timeline_clear(struct query_timeline *timeline); /* the width stays */

/* How many of the first entries lie in one slot, once there are slots for all of them. They are in
 * the order of their times, one way or the other; count > 0. */
size_t query_timeline_cut(struct query_timeline *timeline, const struct entry *entries,
                          size_t count);

/* What the stages have counted since `before`; both have timeline->stages of them. */
void query_timeline_add(struct query_timeline *timeline, int64_t time_ns,
                        const struct query_stage_stats *before,
                        const struct query_stage_stats *after);

/* Stage i of `more`, as far as there are as many, is stage first + i here. */
void query_timeline_merge(struct query_timeline *timeline, const struct query_timeline *more,
                          size_t first);

/* Adds it to `count` equally long buckets of [start_ns, end_ns), which have counts of `stride`
 * stages each: stage i is stage first + i there. A slot counts where it begins, the one that the
 * range begins in at its beginning. */
void query_timeline_fold(const struct query_timeline *timeline, int64_t start_ns, int64_t end_ns,
                         size_t count, size_t first, size_t stride,
                         struct query_stage_stats *buckets);

/* docs/protocols/search.md. False: it is not of its form; nothing is to be freed then. */
void query_timeline_put(struct buf *buf, const struct query_timeline *timeline);
MUST_CHECK bool query_timeline_get(struct wire_reader *reader, struct query_timeline *ret_timeline);

void query_stage_stats_put(struct buf *buf, const struct query_stage_stats *stats);
struct query_stage_stats query_stage_stats_get(struct wire_reader *reader);

#endif
