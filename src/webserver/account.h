/*
 * Accounts. A user is an object of the kind "user" whose number is the uid and whose name is the
 * login name; its body holds
 *
 *     Name, Email        as shown
 *     Password           argon2id (password.h); never leaves the webservers
 *     Admin, Locked      flags
 *     FirstPassword      the password is still the one that every first account has
 *     Groups             list of gids
 *     DefaultGID         default search group
 *     Grants             what it may do, absent for everything (grant.h)
 *     TokensAfter        nanoseconds: tokens issued earlier are worthless ...
 *     TokensKeep         ... but for this session
 *
 * A group is an object of the kind "group" whose number is the gid. Both are written through:
 * without the datastore nothing about them changes.
 */
#ifndef WEBSERVER_ACCOUNT_H
#define WEBSERVER_ACCOUNT_H

#include <jansson.h>

#include "net/http_server.h"
#include "object/access.h"
#include "object/object.h"
#include "webserver/webserver.h"

#define ACCOUNT_FIRST_NAME "admin"
#define ACCOUNT_FIRST_PASSWORD "changeme"

void account_set_password(struct object *user, const char *password);

/* All tokens issued until now are worthless, but for the session `keep` (NULL: none). */
void account_end_sessions(struct object *user, int64_t now_ns, const char *keep);

/* A new, unsaved account. */
struct object *account_new_user(int32_t uid, const char *login, const char *password, bool admin);

/* The user's object. On false a 404 or 500 has been sent. */
bool account_get(struct http_request *request, const struct webserver *webserver, int64_t uid,
                 struct object **ret_user);

/* The user details object of the API (never the password), the group object. New references. */
json_t *account_json(const struct webserver *webserver, const struct object *user);
json_t *account_group_json(const struct object *group);

/* A body member of a user as a set of gids; the caller frees gids->items. */
void account_groups(const struct object *user, struct object_gids *gids);
void account_set_groups(struct object *user, const struct object_gids *gids);

/* Who the user is now, for what is done in his name; the caller frees gids->items. ERR_DENIED: the
 * account is gone. */
MUST_CHECK int account_principal(const struct webserver *webserver, int32_t uid,
                                 struct object_gids *gids, struct object_principal *ret_who);

extern const struct http_route account_routes[];
extern const size_t account_route_count;

#endif
