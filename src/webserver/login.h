/*
 * Login, logout and refresh. A login is checked against the account's password, slowed down after
 * failures (throttle.h), and answered with a session token (token.h). A logout is a revocation: an
 * object whose id is the session's, kept until the session's tokens have expired by themselves.
 */
#ifndef WEBSERVER_LOGIN_H
#define WEBSERVER_LOGIN_H

#include "base/check.h"
#include "net/http_server.h"

struct webserver;

/* Ends one session, on every webserver, now. */
MUST_CHECK int login_revoke(struct webserver *webserver, const char *session);

extern const struct http_route login_routes[];
extern const size_t login_route_count;

#endif
