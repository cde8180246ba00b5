/*
 * Exploration: what is in entries that a search found, or that a client sends, for pages on which
 * people click at values; and the filters that they make of it (query/explore.h). Any thread.
 */
#ifndef WEBSERVER_EXPLORE_H
#define WEBSERVER_EXPLORE_H

#include "net/http_server.h"
#include "query/explore.h"
#include "webserver/search_one.h"

/* Appends the list `Explore`, an item for each of the rows, by the definitions that the search's
 * owner may use. */
void explore_rows(struct search_one *one, struct query_result *result,
                  const struct query_rows *rows, struct buf *buf);

/* The filters of a request, as the web API has them; up to QUERY_FILTERS_MAX. ERR_INVALID: there
 * are more, or something else than objects. Borrows from `json`. */
MUST_CHECK int explore_filters(const json_t *json, struct query_filter *filters, size_t *ret_count);

extern const struct http_route explore_routes[];
extern const size_t explore_route_count;

#endif
