/*
 * The rows of a search that has ended as its table shows them, page by page. All pages have the
 * same columns, also where the query names none: those of all rows.
 */
#ifndef WEBSERVER_SEARCH_TABLE_H
#define WEBSERVER_SEARCH_TABLE_H

#include "webserver/search_one.h"

/* Calls `each` with {"Columns":[…],"Rows":[{"TS":…,"Row":[…]}, …]}, at least once; not 0 ends it
 * and is returned. Rows of [start_ns, end_ns), TIME_UNSET for an open end. */
MUST_CHECK int search_table_pages(struct search_one *one, struct query_result *result,
                                  int64_t start_ns, int64_t end_ns,
                                  int (*each)(void *context, json_t *page), void *context);

#endif
