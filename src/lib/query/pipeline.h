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
};

struct query_pipeline;

/* Runs stages [first, last) of the query, which must outlive the pipeline. */
MUST_CHECK int query_pipeline_new(const struct query *query, size_t first, size_t last,
                                  struct query_pipeline **ret_pipeline);
void query_pipeline_free(struct query_pipeline **pipeline);

/* block->picks has room for every entry; the caller sets it to all of them. */
MUST_CHECK int query_pipeline_run(struct query_pipeline *pipeline, struct query_block *block);

/* True when nothing that could still come would pass. */
bool query_pipeline_done(const struct query_pipeline *pipeline);

/* Counts of stage first + index. */
const struct query_stage_stats *query_pipeline_stats(const struct query_pipeline *pipeline,
                                                     size_t index);

#endif
