/*
 * Where requests stand that Warp 10 2.x nodes forwarded: their origin, position and time in our
 * log. docs/protocols/warp10-datalog.md.
 *
 *     begin ──0──> a place; datalog2x_next() for each record of the request ──> end
 *       ├──DATALOG2X_KNOWN──> all of it is here: answer 200
 *       └──DATALOG2X_OWN──> it began here and came round: answer 200
 *
 * A record's time is that of the header, and one nanosecond later for each further record of the
 * same request, so that the last write wins as it did at the origin. Its origin is {the id's hash
 * and the node that took it, lane}, its position that origin's own count: in every log the records
 * of an origin have no gaps and growing times, but forwarded requests come out of order, and to
 * several of our nodes. A request that is older than a lane's last one goes to another lane. What
 * comes twice is known while it is remembered (DATALOG2X_REMEMBERED requests, since the start);
 * later it is written once more with the same time, which changes nothing. Lanes begin anew with
 * each incarnation of this node's log. Any number of threads.
 */
#ifndef INDEXER_DATALOG2X_H
#define INDEXER_DATALOG2X_H

#include "indexer/storage.h"
#include "warp10/header.h"

#define DATALOG2X_LANES_MAX 256u /* of one id: requests at a time, and how far out of order */
#define DATALOG2X_REMEMBERED 8192u
#define DATALOG2X_PARTS_MAX 1000000 /* records of one request: as many nanoseconds */

struct datalog2x;
struct datalog2x_lane;

enum datalog2x_outcome { DATALOG2X_KNOWN = 1, DATALOG2X_OWN = 2 };

struct datalog2x_place {
    struct datalog2x *owner;
    struct datalog2x_lane *lane; /* held from begin to end */
    uint64_t request;            /* what it is remembered by */
    uint64_t time, next;
};

/* `storage` outlives it. */
struct datalog2x *datalog2x_new(struct storage *storage);
struct uuid datalog2x_self(const struct datalog2x *datalog2x);
void datalog2x_free(struct datalog2x **datalog2x);

/* ERR_INVALID: no time that can be stored. ERR_UNAVAILABLE: all lanes are in use, or newer. */
MUST_CHECK int datalog2x_begin(struct datalog2x *datalog2x, const struct warp10_datalog *datalog,
                               struct datalog2x_place *ret_place);

/* Of the next record. ERR_TOO_LARGE: the request has too many. */
MUST_CHECK int datalog2x_next(struct datalog2x_place *place, struct storage_received *ret_received);

/* `whole`: all of it is durable, and known from now on. */
void datalog2x_end(struct datalog2x_place *place, bool whole);

/* ── Names of origins on the wire ────────────────────────────────────────────────────────── */

/* 56 bits; "~" and 14 hex digits stand for themselves. */
uint64_t datalog2x_id_hash(struct span id);

/* The node part of an origin: what `id` sent, taken by `node`. UUIDs of version 8 with an A, so
 * that no node has one. */
struct uuid datalog2x_node(uint64_t id_hash, struct uuid node);
bool datalog2x_is(struct uuid node, uint64_t *ret_id_hash);

/* What a header says of a record's origin when it is forwarded to Warp 10: the node's UUID, or for
 * one that came from there ~HASH, which means the same to us as its id. */
void datalog2x_id_text(struct buf *buf, struct uuid node);

#endif
