/*
 * Threads that searches share. A search is a job that is worked on in small pieces, by several
 * threads at once; whose pieces have taken the least time so far is served next, so a long search
 * does not hold up a short one.
 *
 *     add ──> worked on ──nothing to do──> idle ──wake──> worked on ... ──remove
 */
#ifndef QUERY_POOL_H
#define QUERY_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct query_pool;

struct query_pool_job {
    /* Does a piece of work of some milliseconds, without waiting for anybody. False: there was
     * nothing to do; it is not called again before query_pool_wake(). Any thread, several at
     * once. */
    bool (*work)(struct query_pool_job *job);

    /* The pool's own. */
    uint64_t used_ns;
    uint64_t wakes;
    size_t inside; /* threads */
    bool idle;
    bool removed;
};

struct query_pool *query_pool_new(size_t threads);
void query_pool_free(struct query_pool **pool); /* it has no jobs any more; may be NULL */
size_t query_pool_threads(const struct query_pool *pool);

void query_pool_add(struct query_pool *pool, struct query_pool_job *job);
void query_pool_wake(struct query_pool *pool, struct query_pool_job *job);

/* No thread is in it any more when this returns. */
void query_pool_remove(struct query_pool *pool, struct query_pool_job *job);

#endif
