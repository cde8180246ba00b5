/*
 * Requests of clients as files of Warp 10 2.x (warp10/request_file.h), for forwarders that work
 * from directories of their own: Warp 10's, or `aquifer datalog forward`.
 *
 *     begin ──> line … ──> publish: synced, linked into each directory, then the client's answer
 *                 └──> drop: nothing was written, or it failed
 *
 * A file is whole in a directory of links or not there at all. Every directory is synced before
 * the request is answered. One thread per request; any number of requests.
 */
#ifndef INDEXER_REQUESTS2X_H
#define INDEXER_REQUESTS2X_H

#include "base/uuid.h"
#include "conf/conf.h"
#include "warp10/header.h"

struct requests2x;
struct request2x;

/* *ret_requests stays NULL without Request-Directory. Makes the directories. `conf` outlives it.
 * `psk` is copied. */
MUST_CHECK int requests2x_open(struct io *io, const struct conf *conf, struct uuid node,
                               struct span psk, struct requests2x **ret_requests);
void requests2x_close(struct requests2x **requests);

/* An empty id of `datalog` is this node's. `requests` NULL: *ret_request is NULL, and so it may be
 * below. */
MUST_CHECK int request2x_begin(struct requests2x *requests, const struct warp10_datalog *datalog,
                               struct request2x **ret_request);
/* A line as it came, and its series' key (series/key.h). */
MUST_CHECK int request2x_line(struct request2x *request, struct span line, struct span series);
/* Lines so far. */
uint64_t request2x_lines(const struct request2x *request);
MUST_CHECK int request2x_publish(struct request2x **request);
void request2x_drop(struct request2x **request);

#endif
