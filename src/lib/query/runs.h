/*
 * Sorting what does not fit into memory.
 *
 * Runs are ordered records in a file, merged when all are written:
 *
 *     new ──put, put, … end_run──> … ──next: the smallest──> … QUERY_RUNS_END ──> free
 *
 * A sorter makes runs of records that come in any order, but only if its memory does not do:
 *
 *     new ──add──> … ──next: the smallest──> … QUERY_RUNS_END ──> free
 *
 * Equal records come in the order in which they were put or added. One thread.
 */
#ifndef QUERY_RUNS_H
#define QUERY_RUNS_H

#include "query/scratch.h"

#define QUERY_RUNS_END 1
#define QUERY_RUNS_MAX 64 /* more are merged into one on the way */
#define QUERY_RECORD_BYTES_MAX (UINT32_C(1) << 31)

/* <0, 0, >0 */
typedef int query_records_compare(const void *context, struct span a, struct span b);

struct query_runs;

/* `scratch` is not NULL. */
struct query_runs *query_runs_new(struct query_scratch *scratch, query_records_compare *compare,
                                  const void *context);
void query_runs_free(struct query_runs **runs); /* may be NULL */
MUST_CHECK int query_runs_put(struct query_runs *runs, struct span record);
MUST_CHECK int query_runs_end_run(struct query_runs *runs);

/* The record is valid until the next call. */
MUST_CHECK int query_runs_next(struct query_runs *runs, struct span *ret_record);
void query_runs_rewind(struct query_runs *runs); /* next begins at the first record again */

struct query_sorter;

struct query_sorter *query_sorter_new(struct query_scratch *scratch, query_records_compare *compare,
                                      const void *context);
void query_sorter_free(struct query_sorter **sorter);                             /* may be NULL */
MUST_CHECK int query_sorter_add(struct query_sorter *sorter, struct span record); /* copies */
MUST_CHECK int query_sorter_next(struct query_sorter *sorter, struct span *ret_record);

#endif
