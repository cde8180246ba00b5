/*
 * The picture of the cluster for the page "Systems": which parts there are by configuration, and
 * what an indexer says about itself, its wells, links and ingesters, passed on as it is.
 * docs/protocols/web-api.md. Any thread.
 */
#ifndef WEBSERVER_CLUSTER_H
#define WEBSERVER_CLUSTER_H

#include "net/http_server.h"

extern const struct http_route cluster_routes[];
extern const size_t cluster_route_count;

#endif
