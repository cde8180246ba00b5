/*
 * Some stages of a query, running: blocks of entries go in, what passes comes out. A pipeline is
 * one thread's; a query may be run by many pipelines at once.
 */
#ifndef QUERY_PIPELINE_H
#define QUERY_PIPELINE_H

#include "query/query.h"
#include "query/stats.h"
#include "series/entry.h"

/* A block on its way through the stages. */
struct query_block {
    const struct entry *entries;
    uint32_t *picks;    /* which of the entries are still in the stream, ascending */
    size_t count;       /* of picks */
    struct span region; /* see query/source.h */
    const char *(*tag_name)(const void *context, uint16_t tag);
    const void *context;
    struct query_columns *columns; /* values given on the way; the pipeline's own */

    /* Counted by the stage that runs: entries that it could not read (query/stats.h). */
    uint64_t failed;

    /* Entries in the stream that the stage does not act on, ascending; columns.h keeps them right
     * when a stage makes more entries. */
    uint32_t *others;
    size_t other_count;
};

struct query_pipeline;

enum query_part {
    QUERY_PART_WHOLE,     /* all stages, whole entries */
    QUERY_PART_INDEXER,   /* what an indexer does: up to where the query condenses */
    QUERY_PART_WEBSERVER, /* the rest, over what indexers sent */
    QUERY_PART_GATHER,    /* the first condensing stage alone: states in, their sums out */
};

/* Runs stages [first, last) of the query, which must outlive the pipeline. */
MUST_CHECK int query_pipeline_new(const struct query *query, size_t first, size_t last,
                                  struct query_pipeline **ret_pipeline);
void query_pipeline_free(struct query_pipeline **pipeline);

/* As query_pipeline_new() for the stages of this part. Where indexers can begin the first
 * condensing stage (query_is_shared), it belongs to both halves. */
MUST_CHECK int query_pipeline_new_part(const struct query *query, enum query_part part,
                                       struct query_pipeline **ret_pipeline);
bool query_is_shared(const struct query *query);

/* Before the first block: what does not fit into memory goes there. It must outlive the pipeline;
 * NULL: there is no bound. */
struct query_scratch;
void query_pipeline_lend(struct query_pipeline *pipeline, struct query_scratch *scratch);

/* After the end: calls `each` with what stages have to say about the result, one sentence. */
void query_pipeline_remarks(const struct query_pipeline *pipeline,
                            void (*each)(void *context, const char *text), void *context);

/* block->picks has room for every entry; the caller sets it to all of them, counted from 0. What
 * comes out are block->entries by block->picks, valid until the next block: where stages gave
 * values, they are other entries than went in. */
MUST_CHECK int query_pipeline_run(struct query_pipeline *pipeline, struct query_block *block);

/* The input has ended: gives `sink` what stages held back, block by block. `like` says how tags are
 * named. */
MUST_CHECK int query_pipeline_finish(struct query_pipeline *pipeline,
                                     const struct query_block *like,
                                     int (*sink)(void *context, const struct query_block *block),
                                     void *context);

/* True when nothing that could still come would pass. */
bool query_pipeline_done(const struct query_pipeline *pipeline);

/* Counts of stage first + index. */
const struct query_stage_stats *query_pipeline_stats(const struct query_pipeline *pipeline,
                                                     size_t index);

#endif
