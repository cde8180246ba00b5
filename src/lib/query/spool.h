/*
 * Batches that wait until it is known whether they count, in memory or, when that does not do, in a
 * file. They come out in the order in which they were put in. One thread.
 *
 *     add ──> … ──next──> batch … ──> QUERY_SPOOL_END
 */
#ifndef QUERY_SPOOL_H
#define QUERY_SPOOL_H

#include "base/vec.h"
#include "query/batch.h"
#include "query/scratch.h"

#define QUERY_SPOOL_END 1

struct query_spool {
    struct query_holder holder;
    VEC(struct query_batch *) batches; /* owned; behind those of the file */
    size_t next;
    struct query_scratch_file *file; /* frames; NULL: memory has done so far */
    uint64_t read;
    struct buf frame;
};

void query_spool_init(struct query_spool *spool, struct query_scratch *scratch);
void query_spool_deinit(struct query_spool *spool);

/* Takes the batch, whose tags are still its own. */
MUST_CHECK int query_spool_add(struct query_spool *spool, struct query_batch **batch);

/* Adding has ended; the caller owns the batch. */
MUST_CHECK int query_spool_next(struct query_spool *spool, struct query_batch **ret_batch);

#endif
