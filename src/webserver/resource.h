/*
 * Resources: named byte streams that searches look things up in, up to Resource-Max-Size bytes.
 * Metadata is an object of the kind "resource", contents are a blob of the store; both are
 * streamed and never wholly in memory.
 */
#ifndef WEBSERVER_RESOURCE_H
#define WEBSERVER_RESOURCE_H

#include "net/http_server.h"
#include "object/access.h"

struct webserver;

extern const struct http_route resource_routes[];
extern const size_t resource_route_count;

/* A GUID, or a name: one's own first, then one shared with a group, then a global one. Takes
 * GLOBAL:name, user=login:name and group=name:name too. STORE_ABSENT: there is none. Whether
 * `asker` may read it is the caller's question. */
MUST_CHECK int resource_resolve(struct webserver *webserver, const struct object_principal *asker,
                                const char *text, struct object **ret_resource);

#endif
