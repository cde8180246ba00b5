/*
 * Merges the streams of several indexers by time. Pure: it says what it waits for, the driver
 * feeds it.
 *
 *     push, bound, end  ──>  next: a block of entries | wait for input i | all inputs have ended
 *
 * Entries of equal time come in the order of the inputs, within an input in its own order. One
 * thread.
 */
#ifndef QUERY_MERGE_H
#define QUERY_MERGE_H

#include "query/batch.h"

#define QUERY_MERGE_INPUTS_MAX 256
#define QUERY_MERGE_BLOCK_ENTRIES_MAX 4096
#define QUERY_MERGE_HELD_MAX 100000 /* entries of one time, of one input */

enum query_merge_outcome {
    QUERY_MERGE_WAIT = 1, /* nothing can be given before *ret_input is fed */
    QUERY_MERGE_END = 2,
};

struct query_merge;

struct query_merge *query_merge_new(size_t inputs, bool ascending);
void query_merge_free(struct query_merge **merge);

/* Takes the batch, whose tags are already those of the search. ERR_PROTOCOL when it is out of
 * order; it is taken all the same. */
MUST_CHECK int query_merge_push(struct query_merge *merge, size_t input,
                                struct query_batch **batch);

/* All that the input will still give is at `time_ns` or beyond (older, when newest first). */
void query_merge_bound(struct query_merge *merge, size_t input, int64_t time_ns);
void query_merge_end(struct query_merge *merge, size_t input);

/* Inputs may be lost, and others go on in their place: so entries of the last time that an input
 * has come to are held back until it is known that all of that time have come; but no more than
 * QUERY_MERGE_HELD_MAX. */
void query_merge_may_lose(struct query_merge *merge);

/* The input has broken off. What it gave stays, but for what is held back. Returns the time from
 * which on another input must go on: all before it (newer, when newest first) are in the stream.
 * *ret_partly: there were too many of that time to be held back; some are in the stream, so it must
 * go on behind that time. */
int64_t query_merge_lose(struct query_merge *merge, size_t input, bool *ret_partly);

/* One input more, that gives nothing before `time_ns`; its number. */
size_t query_merge_add(struct query_merge *merge, int64_t time_ns);

/* 0 and up to QUERY_MERGE_BLOCK_ENTRIES_MAX entries, valid until the next call on the merge. */
MUST_CHECK int query_merge_next(struct query_merge *merge, const struct entry **ret_entries,
                                size_t *ret_count, size_t *ret_input);

/* How far the merged stream has come. */
int64_t query_merge_position(const struct query_merge *merge);

#endif
