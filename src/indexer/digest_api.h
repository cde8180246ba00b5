/*
 * What the control API tells of a node's contents for comparing nodes, and how missing ones are
 * asked for (`aquifer datalog verify --cluster`): docs/protocols/replication.md.
 *
 *     POST /control/v1/digests   {"places": [{"node", "incarnation", "time"}], "start"?, "end"?}
 *                                sums over what those places have
 *     GET  /control/v1/needs     {"doubt", "missing": {"start", "end"} or null, "keeps_since",
 *                                "oldest", "newest", "partition_ns", "wells": [{"name",
 *                                "keeps_since"}]}, times in nanoseconds since 1970
 *     POST /control/v1/needs     {"start", "end"}: may be missing here; null: give up waiting
 *     POST /control/v1/verified  {"compared", "differ"}: what a comparison found, for the metrics
 */
#ifndef INDEXER_DIGEST_API_H
#define INDEXER_DIGEST_API_H

#include "indexer/storage.h"
#include "net/http_server.h"

struct digest_api;

struct digest_api *digest_api_new(struct io *io, struct storage *storage);
void digest_api_free(struct digest_api **api);

extern const struct http_route digest_routes[]; /* context: struct digest_api */
extern const size_t digest_route_count;

void digest_publish_metrics(struct digest_api *api); /* metric_forget(api) ends them */

#endif
