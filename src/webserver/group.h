/*
 * Groups and who is in them. A group is an object of the kind "group" whose number is the gid;
 * membership is kept with each user (account.h).
 */
#ifndef WEBSERVER_GROUP_H
#define WEBSERVER_GROUP_H

#include "net/http_server.h"

extern const struct http_route group_routes[];
extern const size_t group_route_count;

#endif
