/*
 * The indexer's control routes (Control-Port, all with Control-Auth): who it is, what it holds,
 * and the indexer half of searches. docs/protocols/indexer-control.md.
 */
#ifndef INDEXER_API_H
#define INDEXER_API_H

#include "base/uuid.h"
#include "indexer/connection.h"
#include "indexer/kafka.h"
#include "indexer/replication.h"
#include "indexer/states.h"
#include "indexer/storage.h"
#include "net/http_server.h"
#include "query/pool.h"
#include "query/scratch.h"

/* What the handlers see; outlives the server. */
struct api {
    struct io *io;
    struct query_scratch_options scratch; /* of each search */
    struct uuid uuid;
    int64_t started_ns;
    struct storage *storage;
    struct listener *listener;
    struct states *states;
    struct replication *replication; /* NULL: off */
    struct kafka *kafka;             /* NULL: off */
    struct feeds3x *feeds3x;
    struct query_pool *pool;         /* threads of searches */
};

/* The context of the table is the api. */
extern const struct http_route api_routes[];
extern const size_t api_route_count;

/* Gauges of storage and wells; forget with metric_forget(api). */
void api_publish_metrics(struct api *api);

#endif
