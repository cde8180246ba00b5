/*
 * What one search may use on one machine: memory (Max-Search-Memory-MB), and files for what does
 * not fit into it (Search-Scratch, Search-Scratch-Limit). A stage that holds something says how
 * much; one that finds the bound passed moves what it holds into a file (runs.h).
 *
 * One per search and process, used by all its threads; it outlives its holders and files. Where a
 * scratch is asked for, NULL bounds nothing: then nothing is ever moved. Files have no name once
 * they are open, so that a crash leaves none behind.
 */
#ifndef QUERY_SCRATCH_H
#define QUERY_SCRATCH_H

#include <stdatomic.h>

#include "io/io.h"

struct query_scratch;
struct query_scratch_file;
struct query_tables;

struct query_scratch_options {
    struct io *io;
    const char *path; /* of the directory; made with the first file. Borrowed */
    uint64_t memory_bytes_max;
    uint64_t file_bytes_max;     /* of all files together, as long as they are open */
    const atomic_bool *cancel;   /* the search should end without an answer; NULL: never */
    struct query_tables *tables; /* of an indexer; may be NULL */
};

struct query_scratch *query_scratch_new(const struct query_scratch_options *options);
void query_scratch_free(struct query_scratch **scratch); /* may be NULL */

struct query_tables *query_scratch_tables(const struct query_scratch *scratch);

/* Bytes written so far, in all. */
uint64_t query_scratch_written(const struct query_scratch *scratch);
/* Bytes that this thread has written, for any search. */
uint64_t query_scratch_written_here(void);
bool query_scratch_is_cancelled(const struct query_scratch *scratch);
MUST_CHECK int query_scratch_look(const struct query_scratch *scratch); /* ERR_CANCELLED */

/* Some of the memory that one stage holds. Zero-initialised it holds nothing, without bounds. One
 * thread. */
struct query_holder {
    struct query_scratch *scratch;
    uint64_t bytes;
};

void query_holder_init(struct query_holder *holder, struct query_scratch *scratch);
void query_holder_deinit(struct query_holder *holder);             /* holds nothing any more */
void query_holder_add(struct query_holder *holder, int64_t bytes); /* less, when negative */
void query_holder_clear(struct query_holder *holder); /* what it held is in a file now, or gone */

/* The bound is passed, and this holder has enough to be worth a run. */
bool query_holder_must_spill(const struct query_holder *holder);

/* For what cannot be moved: ERR_TOO_LARGE, naming the key, once the bound is passed. */
MUST_CHECK int query_holder_check(const struct query_holder *holder, const char *what);

/* A file: written at its end, read anywhere. One thread. */
MUST_CHECK int query_scratch_open(struct query_scratch *scratch,
                                  struct query_scratch_file **ret_file);
void query_scratch_close(struct query_scratch_file **file); /* may be NULL */
uint64_t query_scratch_file_bytes(const struct query_scratch_file *file);

/* A fault names the directory's key, or Search-Scratch-Limit. */
MUST_CHECK int query_scratch_write(struct query_scratch_file *file, struct span data);
MUST_CHECK int query_scratch_read(struct query_scratch_file *file, uint64_t offset, void *data,
                                  size_t bytes);

/* How much to read or write at a time: small when the memory is. */
size_t query_scratch_chunk(const struct query_scratch *scratch);

#endif
