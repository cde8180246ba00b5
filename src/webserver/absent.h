/*
 * What the reference system has and this one has not: its clients list these things (when they
 * remove a user, for instance) and must find that there are none.
 */
#ifndef WEBSERVER_ABSENT_H
#define WEBSERVER_ABSENT_H

#include "net/http_server.h"

extern const struct http_route absent_routes[];
extern const size_t absent_route_count;

#endif
