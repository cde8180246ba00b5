/*
 * Who is asking. Logins give signed tokens that every webserver of the cluster accepts: the
 * signing key is a synchronised object, logout and lock are revocations that travel in the feed.
 *
 * The server's `before` hook (auth_before) checks the credential of every request: Authorization:
 * Bearer, Gravwell-Token (apitoken.h), Sec-WebSocket-Protocol, or the cookie `token`. A route that
 * needs a user and gets none is answered with 401; public routes (login, version, test, page files)
 * run without. Handlers may run on any thread.
 */
#ifndef WEBSERVER_AUTH_H
#define WEBSERVER_AUTH_H

#include "base/check.h"
#include "base/span.h"
#include "base/uuid.h"
#include "net/http_server.h"
#include "object/access.h"
#include "webserver/webserver.h"

struct auth_user {
    struct object_principal principal; /* admin_mode: ?admin=true by an admin */
    const char *name;                  /* login name */
    int32_t default_gid;               /* default search group, 0 for none */
    const char *session;               /* id of the session (uuid text); "" with an API token */
    int64_t issued_ns;                 /* of the session's token */
    uint64_t capabilities;             /* capability.h */
    bool by_token;                     /* an API token, not a login: never an admin ... */
    bool of_admin;                     /* ... even if its owner is one */
};

/* The session token as a cookie, for downloads and pages; counts for reads only, and not for
 * websockets, which pages of others could open. */
#define AUTH_COOKIE "token"

/* A route below /api/ that runs without a user. What is not below /api/ always does. */
#define AUTH_PUBLIC HTTP_ROUTE_USER
/* A route that only admins may call: others get 403. */
#define AUTH_ADMIN (HTTP_ROUTE_USER << 1)

/* The user of this request; NULL on public routes without a valid credential. Lives as long as
 * the request. */
const struct auth_user *auth_user(struct http_request *request);

/* For what outlives its request: who it was, kept by value. */
struct auth_login {
    int32_t uid;
    int64_t issued_ns;
    char session[UUID_TEXT_BYTES];
};
struct auth_login auth_login_of(const struct auth_user *user);
/* Whether that account may still act: it is there, not locked, and its sessions were not ended. A
 * token that was replaced by a newer one, or has expired, does no harm here. */
bool auth_may_go_on(struct webserver *webserver, const struct auth_login *login);

/* The hook for http_server_options.before; context is the webserver. True when it has answered. */
bool auth_before(struct http_request *request, void *context);

/* Makes the signing key and the first account (admin/changeme) when the cluster has none, and says
 * what is missing until both are there: NULL when ready. With a datastore it makes them only once
 * everything of the datastore's has arrived. Also replaces the signing key in time: called every
 * now and then, cheap when there is nothing to do. */
const char *auth_prepare(struct webserver *webserver);

#endif
