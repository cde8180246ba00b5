/*
 * Downloads of what is no list of entries: tables, charts, gauges and the like, as the JSON value
 * `Entries` of the web API, or as CSV made out of it.
 */
#ifndef WEBSERVER_SEARCH_RENDERED_H
#define WEBSERVER_SEARCH_RENDERED_H

#include "net/http_server.h"
#include "webserver/search_answer.h"
#include "webserver/search_picks.h"

/* Is `format` of this search's renderer one of these? */
bool search_is_rendered(const struct search_one *one, const char *format);

/* The picked rows of the window, once the search is over; a fault, or an outcome when the client
 * left. */
MUST_CHECK int search_rendered_send(struct search_one *one, bool csv, int64_t start_ns,
                                    int64_t end_ns, const struct search_picks *picks,
                                    struct http_stream *stream);

/* Appends a cell of CSV (RFC 4180), quoted when it must be. */
void search_csv_cell(struct buf *buf, struct span cell);

#endif
