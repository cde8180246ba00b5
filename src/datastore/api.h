/*
 * The HTTP around sync/server.h: docs/protocols/datastore.md. Each feed has a thread of its own
 * that writes what the store commits; handlers run in the server's workers.
 */
#ifndef DATASTORE_API_H
#define DATASTORE_API_H

#include "etcd/follower.h"
#include "net/http_server.h"
#include "sync/server.h"

struct api;

/* Borrows all. `follower` is NULL unless the truth is in etcd. */
struct api *api_new(struct store *store, struct sync_server *server,
                    struct etcd_follower *follower);
/* Ends all feeds and waits for their threads. The HTTP server may still run: it answers 503. */
void api_stop(struct api *api);
void api_free(struct api **api); /* after api_stop and the HTTP server's end; may be NULL */

/* Their context is the api. */
extern const struct http_route api_routes[];
extern const size_t api_route_count;

#endif
