/*
 * What describes this webserver and its cluster: version, settings, deployment, health of the
 * parts, the smallest answers of what the product does not have (licences, kits).
 */
#ifndef WEBSERVER_SYSTEM_H
#define WEBSERVER_SYSTEM_H

#include "net/http_server.h"

extern const struct http_route system_routes[];
extern const size_t system_route_count;

#endif
