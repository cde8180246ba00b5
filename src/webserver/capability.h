/*
 * Capabilities: named rights (Search, DashboardWrite, ...) of users (grant.h) and of API tokens. A
 * token can only narrow what its owner may do, and never reaches what only admins may.
 */
#ifndef WEBSERVER_CAPABILITY_H
#define WEBSERVER_CAPABILITY_H

#include <jansson.h>

#include "base/span.h"
#include "net/http_server.h"

/* A set of capabilities is a uint64_t: bit n for number n. */

#define CAPABILITY_RESOURCE_WRITE 13
#define CAPABILITY_ALL UINT64_MAX
#define CAPABILITY_NONE (-1)  /* a route that every login may call */
#define CAPABILITY_NEVER (-2) /* a route that no token may call */

/* The number of the capability that a request needs, or one of the two above; `path` is that of its
 * route, which has one form only. Pure. */
int capability_needed(const char *method, const char *path);
const char *capability_name(int number); /* "" for a number that is none */

/* Names that are none are left out. */
uint64_t capability_set_of(const json_t *names);
json_t *capability_names(uint64_t set); /* a new list */
bool capability_has(uint64_t set, int number);

/* Whether a login (not a token) with that set may call the route at all. What concerns only the
 * account itself needs no capability. Pure. */
bool capability_lets_in(uint64_t set, const char *method, const char *path);

extern const struct http_route capability_routes[];
extern const size_t capability_route_count;

#endif
