/*
 * A query source in memory, for tests and for small things that are not worth a well. Add
 * everything first, then open cursors; one thread.
 */
#ifndef QUERY_SOURCE_MEMORY_H
#define QUERY_SOURCE_MEMORY_H

#include "query/source.h"

struct query_source_memory;

/* Blocks hold at most `block_entries` entries. `region`: blocks lay their data out in one piece. */
struct query_source_memory *query_source_memory_new(size_t block_entries, bool region);
void query_source_memory_free(struct query_source_memory **memory);

/* Copies the entry; its tag is the number of `tag`, which is new or known. */
void query_source_memory_add(struct query_source_memory *memory, const char *tag,
                             const struct entry *entry);

struct query_source *query_source_memory_source(struct query_source_memory *memory);

#endif
