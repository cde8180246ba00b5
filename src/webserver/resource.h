/*
 * Resources: named byte streams that searches look things up in, up to Resource-Max-Size bytes.
 * Metadata is an object of the kind "resource", contents are a blob of the store; both are
 * streamed and never wholly in memory.
 */
#ifndef WEBSERVER_RESOURCE_H
#define WEBSERVER_RESOURCE_H

#include "net/http_server.h"

extern const struct http_route resource_routes[];
extern const size_t resource_route_count;

#endif
