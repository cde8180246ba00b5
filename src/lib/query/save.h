/*
 * What `table -save name` makes of the rows of a search: the contents of a resource.
 *
 *     table -save name [-csv | -format csv|lookupdata|ipexist] [-update column | -delete column]
 *
 * lookupdata (the default) is {"Columns":[…],"Rows":[[…],…]}, a cell a text; ipexist the addresses
 * among the cells, one a line. -update keeps the rows of the old contents whose value in the column
 * is not in the new rows; -delete keeps those only, the new rows say what goes. Pure.
 */
#ifndef QUERY_SAVE_H
#define QUERY_SAVE_H

#include "query/query.h"

enum query_save_format { QUERY_SAVE_LOOKUPDATA, QUERY_SAVE_CSV, QUERY_SAVE_IPEXIST };

struct query_save {
    const char *name; /* of the resource */
    enum query_save_format format;
    const char *update; /* column, or NULL */
    const char *remove; /* the same; not both */
};

/* What the query's renderer says of saving, NULL: nothing. Lives as long as the query. */
const struct query_save *query_save_of(const struct query *query);

/* Appends the new contents. `csv` are the rows with a line of names; `old` the contents so far, in
 * any form that tables have, empty when there are none. ERR_INVALID: they do not fit. */
MUST_CHECK int query_save_make(const struct query_save *save, struct span csv, struct span old,
                               struct buf *contents);

/* Appends a line of CSV. */
void query_save_csv_row(const struct span *cells, size_t count, struct buf *buf);

#endif
