/*
 * Rows as `aquifer search` prints them: tables, and charts, gauges and stacks as tables; and rows
 * of other commands.
 *
 *     text: columns with their names, as wide as the widest cell of a page
 *     csv:  a line of names, then rows; cells are quoted where they have to be
 *     json: an object per row, by name; what came as a number, true or false stays one (cells of
 *           the renderer "table" are texts on their way here)
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

/* Appends rows: lists of a JSON value per column. Of a list in a cell text and csv have the members
 * with commas between, of true and false "yes" and "no". */
void search_table_put(struct search_table *table, const json_t *columns, const json_t *rows,
                      struct buf *buf);

/* Is this a renderer whose answers have rows? */
bool search_table_is_one(const char *renderer);

/* Appends the renderer's `Entries`. */
void search_table_print(struct search_table *table, const char *renderer, const json_t *entries,
                        struct buf *buf);

#endif
