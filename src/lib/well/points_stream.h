/*
 * Where points of one series stand, by time: a stream per segment and memtable, merged. For the
 * cursor only (points_cursor.c).
 */
#ifndef WELL_POINTS_STREAM_H
#define WELL_POINTS_STREAM_H

#include "well/internal.h"
#include "well/points_block.h"

/* A segment or memtable, for the life of a cursor. */
struct points_source {
    struct well *well;
    size_t snapshot;         /* whose tombstones are looked at */
    struct segment *segment; /* NULL: a memtable */
    struct memtable *memtable;
    size_t runs;              /* of the memtable */
    struct points_block held; /* the block read last */
    size_t held_index;        /* SIZE_MAX: none */
    bool in_use;              /* by a stream of the present series */
    uint64_t used_at;
};

struct points_sources {
    VEC(struct points_source) items; /* in the order of arrival */
    struct points_block_reader *reader;
    struct buf raw;
    bool strict;          /* damage is a fault */
    bool past_bad_places; /* of the fetch */
    uint64_t skipped;
    uint64_t clock;
    size_t held;
};

void points_sources_init(struct points_sources *sources);
void points_sources_deinit(struct points_sources *sources);
void points_sources_add_segment(struct points_sources *sources, struct well *well, size_t snapshot,
                                struct segment *segment);
void points_sources_add_memtable(struct points_sources *sources, struct well *well, size_t snapshot,
                                 struct memtable *memtable, size_t runs);

/* One source's elements of the series: [low, high) of columns or of elements are left. */
struct points_stream {
    size_t source; /* also its rank: the later one arrived later */
    bool loaded;
    int64_t time_ns; /* next one's; not loaded: the earliest it can be */
    size_t next;     /* blocks [next, stop) are to come, from the other end when descending */
    size_t stop;
    const struct points_run *run; /* NULL: elements */
    elements_vec elements;
    size_t low;
    size_t high;
};

struct points_streams {
    struct points_sources *sources;
    const struct series_origins *origins;
    const uint32_t *series; /* the first one is read, the others come after it */
    size_t series_count;
    int64_t start_ns; /* [start, end] */
    int64_t end_ns;
    bool ascending;
    VEC(struct points_stream) items; /* by source; memory is used again */
    VEC(uint32_t) heap;              /* places in items */
    bool has_winner;                 /* not used yet */
    struct element winner;           /* of several of one time */
    struct buf winner_text;
    size_t winner_source;
};

/* Elements that stand side by side in one stream, before anything of another: from `first` on up
 * or, when descending, down. */
struct points_slice {
    const struct points_block *block; /* NULL: elements */
    const struct points_run *run;
    const struct element *elements;
    size_t first;
    size_t count;
    size_t snapshot;
    uint64_t first_stamp; /* none of them has an older one */
    bool is_winner;       /* the streams have already moved on */
};

/* Begins with the series, range and direction that are set. */
void points_streams_place(struct points_streams *streams);

/* WELL_END: there are no more. Valid until points_streams_advance(), which must come next. */
MUST_CHECK int points_streams_next(struct points_streams *streams, struct points_slice *ret_slice);
void points_streams_advance(struct points_streams *streams, const struct points_slice *slice,
                            size_t count);
void points_streams_deinit(struct points_streams *streams);

static inline struct element points_slice_at(const struct points_slice *slice, size_t index)
{
    return slice->block != NULL ? points_block_element(slice->block, slice->run, index)
                                : slice->elements[index];
}

#endif
