/*
 * Preferences: one JSON value per user, kept verbatim, of which only front ends know the meaning.
 */
#ifndef WEBSERVER_PREFERENCE_H
#define WEBSERVER_PREFERENCE_H

#include "net/http_server.h"

extern const struct http_route preference_routes[];
extern const size_t preference_route_count;

#endif
