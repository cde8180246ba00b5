/*
 * A table that a query looks into: CSV with a line of names, cells quoted if need be ("" is a
 * quote), or the form that `table -save` writes and downloads have, lookupdata:
 *
 *     {"Columns":["ip","name"],"Rows":[["192.0.2.7","evil"], …]}
 *
 * Immutable once made; any thread.
 */
#ifndef QUERY_MODULES_TABLE_H
#define QUERY_MODULES_TABLE_H

#include "base/err.h"
#include "base/span.h"

#define TABLE_COLUMNS_MAX 256
#define TABLE_BYTES_MAX ((size_t)256 * 1024 * 1024)

struct table;

/* Copies. Rows of lookupdata may be {"Row":[…]} too. ERR_INVALID: no names, two alike, a quote
 * without its end; the text says the line. A row with too few cells has empty ones, further cells
 * are dropped. */
MUST_CHECK int csv_table_new(struct span text, struct table **ret_table);
void csv_table_free(struct table **table); /* may be NULL */

size_t csv_table_rows(const struct table *table);
size_t csv_table_columns(const struct table *table);
struct span csv_table_name(const struct table *table, size_t column);
bool csv_table_find(const struct table *table, struct span name, size_t *ret_column);
struct span csv_table_cell(const struct table *table, size_t row, size_t column);

#endif
