/*
 * What a query reads from: the storage of one indexer, or, in tests, memory.
 *
 *     open ──next──> block ──next──> block ... ──next──> QUERY_SOURCE_END ──close
 *
 * A cursor sees a snapshot: what was stored when it was opened, nothing newer is promised. It
 * never blocks ingest. One thread at a time per cursor; any number of cursors per source, on any
 * threads.
 */
#ifndef QUERY_SOURCE_H
#define QUERY_SOURCE_H

#include "base/err.h"
#include "base/span.h"
#include "query/cuts.h"
#include "series/entry.h"

#define QUERY_SOURCE_END 1
#define QUERY_SOURCE_NOTHING 2 /* of a cursor that follows: nothing new yet */

struct query_source {
    const struct query_source_methods *methods;
};

struct query_cursor {
    const struct query_source_methods *methods;
};

struct query_scan {
    const uint16_t *tags; /* borrowed until query_source_open() returns; numbers of the source */
    size_t tag_count;
    int64_t start_ns; /* half open: [start_ns, end_ns) */
    int64_t end_ns;
    bool ascending; /* false: newest first */

    /* A hint: entries whose data has not all of these words, each with no letter or digit beside
     * it, whatever the case of ASCII letters, are not wanted and may be left out. Borrowed until
     * query_source_open() returns. May be NULL. */
    const struct span *words;
    size_t word_count;
};

/* Entries in the order of the scan: no entry of a block is older (newest first) than one of a
 * later block; equal times come in the source's own order. A block holds at least one entry. */
struct query_source_block {
    const struct entry *entries; /* all borrowed: valid until the next call on the cursor */
    size_t count;

    /* If not empty: one readable piece of memory in which every entry's data lies, in the
     * entries' order or exactly backwards. Lets a search scan the piece as a whole. */
    struct span region;
};

struct query_source_methods {
    /* Calls `each` with every tag name; a non-zero return stops the walk and is returned. */
    int (*tags)(struct query_source *source,
                int (*each)(void *context, const char *name, uint16_t tag), void *context);
    int (*open)(struct query_source *source, const struct query_scan *scan,
                struct query_cursor **ret_cursor);
    int (*next)(struct query_cursor *cursor, struct query_source_block *ret_block);
    void (*close)(struct query_cursor *cursor);

    /* Corrupt blocks that this cursor had to skip so far; may be NULL. */
    uint64_t (*skipped)(const struct query_cursor *cursor);

    /* Blocks that this cursor did not read so far, because of the words; may be NULL. */
    uint64_t (*passed_over)(const struct query_cursor *cursor);

    /* Calls `each` with what the scan would read, piece by piece: its times and its size. May be
     * NULL: nothing is known. */
    void (*extents)(struct query_source *source, const struct query_scan *scan,
                    void (*each)(void *context, struct query_extent extent), void *context);

    /* A cursor over what is stored from now on, of all tags, in the order of its arrival, as soon
     * as it is durable. It never ends: QUERY_SOURCE_NOTHING. NULL: nobody can follow. */
    int (*follow)(struct query_source *source, struct query_cursor **ret_cursor);
};

MUST_CHECK int query_source_tags(struct query_source *source,
                                 int (*each)(void *context, const char *name, uint16_t tag),
                                 void *context);
MUST_CHECK int query_source_open(struct query_source *source, const struct query_scan *scan,
                                 struct query_cursor **ret_cursor);

MUST_CHECK int query_source_follow(struct query_source *source, struct query_cursor **ret_cursor);

/* 0 and a block, QUERY_SOURCE_END or QUERY_SOURCE_NOTHING. */
MUST_CHECK int query_source_next(struct query_cursor *cursor, struct query_source_block *ret_block);
void query_source_close(struct query_cursor **cursor); /* clears it; may be NULL */
uint64_t query_source_skipped(const struct query_cursor *cursor);
uint64_t query_source_passed_over(const struct query_cursor *cursor);
void query_source_extents(struct query_source *source, const struct query_scan *scan,
                          void (*each)(void *context, struct query_extent extent), void *context);

#endif
