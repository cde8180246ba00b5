/*
 * A result store: the rows of one search, on disk in a directory of its own.
 *
 *     create ──append──> RUNNING ──finish──> FINISHED ──close
 *     open (a finished one, after a restart) ──> FINISHED
 *
 * One thread appends; any number read meanwhile, by row number or by time: they see whole blocks,
 * as soon as append has returned. Rows keep the order in which they were appended. Stops at its
 * size limit. Nothing is durable before sync. Files: docs/formats/result-store.md.
 */
#ifndef QUERY_RESULT_H
#define QUERY_RESULT_H

#include "io/io.h"
#include "query/batch.h"
#include "query/stats.h"

#define QUERY_RESULT_READ_ROWS_MAX 65536
#define QUERY_RESULT_READ_BYTES_MAX (64 * 1024 * 1024)

enum query_result_outcome {
    QUERY_RESULT_FULL = 1,   /* append: the limit is reached, what was given is not stored */
    QUERY_RESULT_COPIED = 2, /* move: the old directory and its files are still there */
};

#define QUERY_RESULT_HEADER_BYTES 64
#define QUERY_RESULT_FILE "rows" /* the one file of the directory that is the store's */

struct query_result;

struct query_result_counts {
    uint64_t rows;
    uint64_t data_bytes;   /* of the entries */
    uint64_t stored_bytes; /* on disk */
    uint64_t index_bytes;
    bool finished;
    bool over_limit;
    int64_t dropped_start_ns; /* over_limit: what was not stored lies in [start, end) */
    int64_t dropped_end_ns;
};

/* `path` is the directory; it is made. [start_ns, end_ns) is the range of the search. */
MUST_CHECK int query_result_create(struct io *io, const char *path, uint64_t bytes_max,
                                   int64_t start_ns, int64_t end_ns,
                                   struct query_result **ret_result);

/* Reads all rows once to find its way. ERR_CORRUPT when the file is not one or a row is damaged; a
 * store that was never finished ends with its last whole block. */
MUST_CHECK int query_result_open(struct io *io, const char *path, struct query_result **ret_result);
void query_result_close(struct query_result **result); /* nobody may be reading */

/* Copies; splits what is too large for one block. QUERY_RESULT_FULL: this and all that follows is
 * refused. */
MUST_CHECK int query_result_append(struct query_result *result, const struct entry *entries,
                                   const uint32_t *picks, size_t count,
                                   const char *(*name)(const void *context, uint16_t tag),
                                   const void *context);

/* Nothing will be appended any more. */
MUST_CHECK int query_result_finish(struct query_result *result);

/* Makes a finished store durable: what was appended is there after a crash. Most are thrown away
 * before anybody would miss them: only those that are to stay are worth the wait. */
MUST_CHECK int query_result_sync(struct query_result *result);

/* Removes a closed store's files and its directory. */
MUST_CHECK int query_result_remove(struct io *io, const char *path);

struct query_result_counts query_result_counts(struct query_result *result);

/* Rows [first, last) of those in [start_ns, end_ns); TIME_UNSET for an open end. Fewer come when
 * there are fewer, or at the bounds above. Tags are renumbered by the result's own table
 * (query_result_tags). */
struct query_rows {
    struct query_batch **batches; /* owned */
    size_t batch_count;
    struct entry *entries; /* in order; borrow from the batches */
    size_t count;
    uint64_t matched; /* rows of the window in all, as far as known now */
};
MUST_CHECK int query_result_read(struct query_result *result, uint64_t first, uint64_t last,
                                 int64_t start_ns, int64_t end_ns, struct query_rows *ret_rows);
void query_rows_deinit(struct query_rows *rows);

/* Calls `each` with every tag name and number seen so far, under the result's lock. */
void query_result_tags(struct query_result *result,
                       void (*each)(void *context, const char *name, uint16_t tag), void *context);
const char *query_result_tag_name(struct query_result *result, uint16_t tag); /* for ever valid */

/* Counts by time, folded into `count` buckets; TIME_UNSET for the search's own bounds. */
void query_result_histogram(struct query_result *result, int64_t start_ns, int64_t end_ns,
                            size_t count, struct query_bucket *ret_buckets);

/* What the rows are made of, as the web API's metadata object. */
void query_result_survey(struct query_result *result, struct buf *buf);

/* The file as it is, for copies: *ret_bytes is less than asked only at its end. */
MUST_CHECK int query_result_read_file(struct query_result *result, uint64_t offset, void *data,
                                      size_t bytes, size_t *ret_bytes);

/* Moves the finished store's directory, whatever else lies in it; where a rename cannot reach
 * (another volume) copies its rows: QUERY_RESULT_COPIED. Readers go on either way. */
MUST_CHECK int query_result_move(struct query_result *result, const char *path);

#endif
