/*
 * Who is asking. Logins give signed tokens that every webserver of the cluster accepts: the
 * signing key is a synchronised object, logout and lock are revocations that travel in the feed.
 *
 * The server's `before` hook (auth_before) checks the credential of every request: Authorization:
 * Bearer, Gravwell-Token, Sec-WebSocket-Protocol, or the cookie `token`. A route that needs a
 * user and gets none is answered with 401; public routes (login, version, test, page files) run
 * without. Handlers may run on any thread.
 */
#ifndef WEBSERVER_AUTH_H
#define WEBSERVER_AUTH_H

#include "base/check.h"
#include "base/span.h"
#include "net/http_server.h"
#include "object/access.h"
#include "webserver/webserver.h"

struct auth_user {
    struct principal principal; /* uid, gids, admin, admin_mode (?admin=true by an admin) */
    const char *name;           /* login name */
    int32_t default_gid;        /* default search group, 0 for none */
    const char *session;        /* id of the session (uuid text), for logout */
};

struct auth;

MUST_CHECK int auth_new(struct webserver *webserver, struct auth **ret_auth);
void auth_free(struct auth **auth);

/* The user of this request; NULL on public routes without a valid credential. Lives as long as
 * the request. */
const struct auth_user *auth_user(struct http_request *request);

/* The hook for http_server_options.before; context is the webserver. True when it has answered. */
bool auth_before(struct http_request *request, void *context);

/* Login, logout, refresh, sessions. */
extern const struct http_route auth_routes[];
extern const size_t auth_route_count;

#endif
