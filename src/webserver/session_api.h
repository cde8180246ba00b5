/*
 * Where an account is logged in, on all webservers, and how such sessions are ended: one, or all.
 * Own ones, or anybody's for admins. docs/protocols/web-api.md. Any thread.
 */
#ifndef WEBSERVER_SESSION_API_H
#define WEBSERVER_SESSION_API_H

#include "net/http_server.h"

extern const struct http_route session_routes[];
extern const size_t session_route_count;

#endif
