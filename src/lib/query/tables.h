/*
 * Tables that searches look into, on indexers: known by a hash of what they contain, so that a
 * webserver sends each one once, and searches that follow find it. The oldest go when there are
 * too many. Any thread.
 */
#ifndef QUERY_TABLES_H
#define QUERY_TABLES_H

#include "base/buf.h"
#include "base/err.h"

#define QUERY_TABLE_HASH_BYTES 33 /* 32 hexadecimal digits and the NUL: XXH3-128 */

struct query_tables;

struct query_tables *query_tables_new(uint64_t bytes_max);
void query_tables_free(struct query_tables **tables); /* may be NULL */

void query_table_hash(struct span contents, char ret_hash[QUERY_TABLE_HASH_BYTES]);

/* Copies. ERR_INVALID: the hash is not that of the contents; ERR_TOO_LARGE. */
MUST_CHECK int query_tables_put(struct query_tables *tables, const char *hash,
                                struct span contents);
bool query_tables_get(struct query_tables *tables, const char *hash, struct buf *contents);

#endif
