/*
 * Secrets: values that automations use and people only write. The value is encrypted at rest
 * with a key that follows from Control-Auth, so that a stolen copy of the store does not hold it.
 */
#ifndef WEBSERVER_SECRET_H
#define WEBSERVER_SECRET_H

#include "net/http_server.h"

extern const struct http_route secret_routes[];
extern const size_t secret_route_count;

#endif
