/*
 * Rows as `aquifer search` prints them: tables, and charts, gauges and stacks as tables.
 *
 *     text: columns with their names, as wide as the widest cell of a page
 *     csv:  a line of names, then rows; cells are quoted where they have to be
 *     json: an object per row, by name
 *
 * Names are printed again when a later page has other ones. One thread.
 */
#ifndef CLI_SEARCH_TABLE_H
#define CLI_SEARCH_TABLE_H

#include <jansson.h>

#include "base/buf.h"

struct search_table {
    const char *format; /* text, csv, json */
    char *columns;      /* printed last, as JSON; mem_free() */
};

/* Is this a renderer whose answers have rows? */
bool search_table_is_one(const char *renderer);

/* Appends the renderer's `Entries`. */
void search_table_print(struct search_table *table, const char *renderer, const json_t *entries,
                        struct buf *buf);

#endif
