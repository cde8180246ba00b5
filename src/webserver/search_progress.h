/*
 * A search that runs, as its coordinator (search_run.c) sees it; and what its stages have counted,
 * here and on the indexers, all in all and by time. One thread.
 */
#ifndef WEBSERVER_SEARCH_PROGRESS_H
#define WEBSERVER_SEARCH_PROGRESS_H

#include "base/channel.h"
#include "query/merge.h"
#include "query/pipeline.h"
#include "query/spool.h"
#include "webserver/search_one.h"
#include "webserver/search_share.h"

/* A frame and whose it is. */
struct arrival {
    size_t index;
    struct query_frame frame;
};

/* One indexer's part: a thread reads its answer into frames. */
struct stream {
    struct search_one *one;
    size_t index;   /* of the indexer */
    size_t input;   /* of the merge, and in the list of streams */
    json_t *share;  /* owned; NULL: it returns all that it has */
    int64_t end_ns; /* of its range */
    char *body;     /* owned */
    char *fault;    /* owned; not NULL: it cannot be asked */
    pthread_t thread;
    struct channel *frames; /* struct arrival, owned by who pops it; follow: one for all */
    struct buf rest;        /* of the answer, not a whole frame yet */
    bool complete;          /* END or FAULT came */

    /* The coordinator's view. */
    int64_t reached_ns;
    bool ended;
    bool heard; /* follow: it has begun, or failed to */
    uint64_t skipped_blocks;
    uint64_t passed_over;
    struct query_stage_stats stages[QUERY_STAGES_STATS_MAX];
    size_t stage_count;
    struct query_timeline timeline; /* cumulative, as of the last frame of progress */
    struct query_spool states;      /* shared: until it is known that all have come */
};

/* Small pieces of result, collected so that the store gets blocks of a decent size. */
struct pending {
    VEC(struct entry) entries; /* data: offsets into bytes, in place of pointers */
    struct buf bytes;
    int64_t since_ns;
};

struct run {
    struct search_one *one;
    struct search_indexers *indexers;
    VEC(struct stream *) streams; /* one per indexer, and those in place of lost ones; owned */
    struct search_places places;  /* when the search began */
    struct query_merge *merge;
    struct channel *inbox; /* follow: of all streams */
    struct query_pipeline *pipeline;
    struct query_result *result;
    struct query_tags tags;
    struct query_scratch *scratch;
    struct query_timeline timeline;                           /* of the stages here ... */
    struct query_stage_stats counted[QUERY_STAGES_STATS_MAX]; /* ... as far as it has them */
    uint64_t spooled_bytes;                                   /* of states that wait */
    struct pending pending;
    VEC(uint32_t) picks;
    size_t part; /* entries that the stages get at a time: few as long as they take long */
    bool full;
    bool shared; /* indexers condense: what they found comes at their end */
    char *body;
};

/* What came with a frame of the stream; takes its timeline. */
void search_progress_take(struct run *run, size_t index, struct query_progress *progress);

/* What the stages here have counted since the last call belongs to this time. */
void search_progress_note(struct run *run, int64_t time_ns);

/* Into the search, where clients see it. */
void search_progress_publish(struct run *run);
void search_progress_publish_times(struct run *run);

#endif
