/*
 * The inner queries of a compound one: each is run like a search, in order, on the thread of the
 * outer one; its rows are a table of the outer's life. Their results are nobody else's.
 */
#ifndef WEBSERVER_SEARCH_INNER_H
#define WEBSERVER_SEARCH_INNER_H

#include "webserver/search_one.h"

/* Appends the rows of a search that ends in table as CSV, with a line of names. */
MUST_CHECK int search_inner_table(struct search_one *one, struct query_result *result,
                                  struct buf *csv);

/* Runs them and gives the outer query their tables. A fault names the inner query. */
MUST_CHECK int search_inner_run_all(struct search_one *outer);

#endif
