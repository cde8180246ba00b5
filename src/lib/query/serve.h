/*
 * The indexer half of a search: a request in, frames (batch.h) out. This is all that the
 * indexer's route POST /control/v1/search has to call.
 */
#ifndef QUERY_SERVE_H
#define QUERY_SERVE_H

#include <jansson.h>
#include <stdatomic.h>

#include "query/batch.h"
#include "query/pool.h"
#include "query/query.h"
#include "query/scratch.h"
#include "query/source.h"

#define QUERY_SERVE_CONTENT_TYPE "application/x-aquifer-search"
#define QUERY_SERVE_REQUEST_BYTES_MAX (1024 * 1024)

/* What a webserver asks an indexer; JSON on the wire. */
struct query_request {
    const char *query; /* effective text */
    int64_t start_ns;
    int64_t end_ns;
    size_t stages;        /* run stages [0, stages) here */
    uint64_t entries_max; /* more than these many are not needed */
    uint64_t read_max;    /* looks at so many, the first ones, and no more; 0: at all */
    bool ascending;
    bool detailed; /* frames of progress have bytes spilled, and counts by time, too */
    bool follow;   /* not what is stored: what is from now on, in the order of its arrival */
    json_t *share; /* encode: the room's own member "share", or NULL. Borrowed. */
    const struct query *tables; /* encode: names the copies of its tables; or NULL */
    const json_t *hashes;       /* decode: of the tables, by name; or NULL. Borrowed. */
};

char *query_request_encode(const struct query_request *request); /* JSON; mem_free() */

struct query_serve;

/* Checks the request and opens the scan. The source must outlive it. ERR_INVALID: answer 400
 * with err_text(). ERR_CONFLICT: a table that it looks into is not here (409). */
MUST_CHECK int query_serve_begin(struct span request, struct query_source *source, int64_t now_ns,
                                 struct query_serve **ret_serve);

/* The same, scanned by the threads of the pool, within the bounds of the scratch; both must outlive
 * it too, both may be NULL. They begin at once. */
MUST_CHECK int query_serve_begin_pooled(struct span request, struct query_source *source,
                                        int64_t now_ns, struct query_pool *pool,
                                        struct query_scratch *scratch,
                                        struct query_serve **ret_serve);

/* Runs to the end, giving `write` one or more whole frames at a time, the last being END or
 * FAULT. Stops with ERR_CANCELLED soon after *cancel becomes true (NULL: never), with the fault of
 * `write` when that fails. Blocks as long as `write` does. */
MUST_CHECK int query_serve_run(struct query_serve *serve, const atomic_bool *cancel,
                               int (*write)(void *context, struct span frames), void *context);
void query_serve_free(struct query_serve **serve);

#endif
