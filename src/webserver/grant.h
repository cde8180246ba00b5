/*
 * What a user may do: the capabilities granted to the account and to its groups. An account for
 * which neither says anything may do everything; as soon as one does, it may do what any of them
 * grants and nothing else. Admins may do everything. Grants are the member "Grants" of the body of
 * users and groups: a list of names, absent where nothing is said. Any thread.
 */
#ifndef WEBSERVER_GRANT_H
#define WEBSERVER_GRANT_H

#include "net/http_server.h"
#include "object/object.h"
#include "webserver/webserver.h"

/* A set as in capability.h; CAPABILITY_ALL when nothing limits the account. */
uint64_t grant_of(const struct webserver *webserver, const struct object *user);

extern const struct http_route grant_routes[];
extern const size_t grant_route_count;

#endif
