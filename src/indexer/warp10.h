/*
 * The Warp 10 API of the indexer: update, meta, delete, fetch, find, check.
 * docs/protocols/warp10-http.md. Its routes stand beside the control routes, without Control-Auth
 * (tokens take its place), and on a listener of their own when [Warp10] Port is set.
 *
 * An update is answered with 200 when all of it is durable. Bodies of any size pass through in
 * bounded memory, both ways. Any number of threads.
 */
#ifndef INDEXER_WARP10_H
#define INDEXER_WARP10_H

#include "base/arena.h"
#include "conf/conf.h"
#include "indexer/storage.h"
#include "net/http_server.h"

struct warp10;

/* Checks [Warp10], the token files included. */
MUST_CHECK int warp10_check(struct io *io, const struct conf *conf);

/* `conf` and `storage` outlive it. */
MUST_CHECK int warp10_new(struct io *io, const struct conf *conf, struct storage *storage,
                          struct warp10 **ret_warp10);
/* After every server that has its routes was stopped. */
void warp10_free(struct warp10 **warp10);

/* The context of the table is the struct warp10. */
extern const struct http_route warp10_routes[];
extern const size_t warp10_route_count;

/* Headers of requests may be so long: a datalog header, and its query string once more. */
#define WARP10_HEADER_BYTES_MAX ((size_t)160 << 10)

/* How many workers of a server its requests hold at most, for as long as their clients like. */
size_t warp10_workers(const struct conf *conf);

/* Starts the listener of its own; *ret_server stays NULL when none is wanted. */
MUST_CHECK int warp10_listen(struct warp10 *warp10, struct http_server **ret_server);

/* Counters; forget with metric_forget(warp10). */
void warp10_publish_metrics(struct warp10 *warp10);

#endif
