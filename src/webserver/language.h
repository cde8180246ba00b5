/*
 * What the query language has, for editors that complete and colour queries: modules and renderers
 * with their flags, eval's functions. docs/protocols/web-api.md. Any thread.
 */
#ifndef WEBSERVER_LANGUAGE_H
#define WEBSERVER_LANGUAGE_H

#include "net/http_server.h"

extern const struct http_route language_routes[];
extern const size_t language_route_count;

#endif
