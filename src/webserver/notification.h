/*
 * Notifications: short messages to a user, a group or everybody, from users and from the parts of
 * the cluster. An object of the kind "notification": the owner is the one addressed (with gids
 * its groups, with global everybody), the number its id; the body holds
 *
 *     Type        the same type for the same addressee replaces the earlier one
 *     Msg, Link, Level, Sender, Origin
 *     Expires, IgnoreUntil    nanoseconds; 0: never
 */
#ifndef WEBSERVER_NOTIFICATION_H
#define WEBSERVER_NOTIFICATION_H

#include "net/http_server.h"
#include "webserver/webserver.h"

extern const struct http_route notification_routes[];
extern const size_t notification_route_count;

#endif
