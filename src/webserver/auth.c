#include "webserver/auth.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "service/log.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/account.h"
#include "webserver/apitoken.h"
#include "webserver/capability.h"
#include "webserver/grant.h"
#include "webserver/request.h"
#include "webserver/session.h"
#include "webserver/signing.h"

/* ── What a cluster begins with ──────────────────────────────────────────────────────────── */

static int mint_first_account(struct webserver *webserver)
{
    struct object *user =
        account_new_user(OBJECT_FIRST_UID, ACCOUNT_FIRST_NAME, ACCOUNT_FIRST_PASSWORD, true);
    json_object_set_new(user->body, OBJECT_PROVISIONAL, json_true());
    int rc = sync_write(webserver->sync, user, SYNC_BY_KIND);
    object_free(&user);
    /* Another webserver was first: its account is on its way. */
    return rc == ERR_EXISTS || rc == ERR_CONFLICT ? 0 : rc;
}

const char *auth_prepare(struct webserver *webserver)
{
    uint64_t keys = 0;
    uint64_t users = 0;
    struct sync_status status;
    sync_status(webserver->sync, &status);
    if (store_count(webserver->store, OBJECT_SIGNING_KEY, &keys) < 0 ||
        store_count(webserver->store, OBJECT_USER, &users) < 0) {
        return "the store cannot be read";
    }
    bool ready = keys > 0 && users > 0;
    if (status.state != SYNC_STATE_ALONE && status.state != SYNC_STATE_LIVE) {
        return ready ? NULL : "accounts have not arrived from the datastore yet";
    }
    int rc = signing_rotate(webserver->signing);
    if (rc >= 0 && users == 0) {
        rc = mint_first_account(webserver);
    }
    if (rc < 0) {
        log_fault("prepare-failed", "the signing key or first account, trying again", rc, NULL);
    }
    return ready ? NULL : "the first account is being made";
}

/* ── Who is asking ───────────────────────────────────────────────────────────────────────── */

/* Cookies count only for reads: a page of others cannot make the browser write with them, nor by a
 * websocket, which begins as a read. */
static struct span credential_of(struct http_request *request)
{
    const char *header = http_request_header(request, "Authorization");
    struct span bearer = SPAN_LIT("Bearer ");
    if (header != NULL && span_starts_with(span_of_str(header), bearer)) {
        return span_trim(span_from(span_of_str(header), bearer.bytes));
    }
    const char *protocol = http_request_header(request, "Sec-WebSocket-Protocol");
    if (protocol != NULL) {
        return span_trim(span_of_str(protocol));
    }
    const char *method = http_request_method(request);
    bool read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (read && http_request_header(request, "Upgrade") == NULL) {
        return span_of_str(http_request_cookie(request, AUTH_COOKIE));
    }
    return SPAN_NONE;
}

static int check_account(const struct object *user, const struct token_claims *claims)
{
    if (object_body_bool(user, "Locked")) {
        return err_set(ERR_AUTH, "the account is locked");
    }
    if (claims->issued_ns <= object_body_int(user, "TokensAfter") &&
        strcmp(claims->session, object_body_text(user, "TokensKeep")) != 0) {
        return err_set(ERR_AUTH, "the session was ended");
    }
    return 0;
}

static int check_revocation(struct store *store, const struct token_claims *claims)
{
    struct uuid session;
    struct object *revocation = NULL;
    if (!uuid_parse(span_of_str(claims->session), &session)) {
        return err_set(ERR_AUTH, "token has no session");
    }
    int rc = store_get(store, &session, &revocation);
    if (rc == STORE_ABSENT) {
        return 0;
    }
    if (rc == 0) {
        object_free(&revocation);
        return err_set(ERR_AUTH, "the session was ended");
    }
    return rc;
}

static struct auth_user *user_in_arena(struct http_request *request, const struct object *user,
                                       const char *session, uint64_t capabilities, bool by_token)
{
    struct arena *arena = http_request_arena(request);
    struct auth_user *found = ARENA_NEW(arena, struct auth_user);
    const char *admin_mode = http_request_query(request, "admin");
    struct object_gids gids = {0};
    account_groups(user, &gids);
    int32_t *items = arena_alloc_array(arena, gids.count, sizeof(*items));
    if (gids.count > 0) {
        memcpy(items, gids.items, gids.count * sizeof(*items));
    }
    found->principal = (struct object_principal){
        .uid = (int32_t)user->number,
        .gids = items,
        .gid_count = gids.count,
        .admin = object_body_bool(user, "Admin") && !by_token,
        .admin_mode = admin_mode != NULL && strcmp(admin_mode, "true") == 0,
    };
    found->name = arena_strdup(arena, user->name);
    found->default_gid = (int32_t)object_body_int(user, "DefaultGID");
    found->session = arena_strdup(arena, session);
    found->capabilities = capabilities;
    found->by_token = by_token;
    found->of_admin = object_body_bool(user, "Admin");
    mem_free(gids.items);
    return found;
}

static int get_account(struct webserver *webserver, int32_t uid, struct object **ret_user)
{
    int rc = store_get_by_number(webserver->store, OBJECT_USER, (uint64_t)uid, ret_user);
    return rc == STORE_ABSENT ? err_set(ERR_AUTH, "the account is gone") : rc;
}

static int identify_token(struct http_request *request, struct webserver *webserver,
                          const char *value, struct auth_user **ret_user)
{
    int32_t uid;
    uint64_t capabilities;
    struct object *user = NULL;
    int rc = apitoken_check(webserver, span_of_str(value), &uid, &capabilities);
    if (rc == 0) {
        rc = get_account(webserver, uid, &user);
    }
    if (rc == 0 && object_body_bool(user, "Locked")) {
        rc = err_set(ERR_AUTH, "the account is locked");
    }
    if (rc == 0) {
        *ret_user =
            user_in_arena(request, user, "", capabilities & grant_of(webserver, user), true);
    }
    object_free(&user);
    return rc;
}

static int identify_session(struct http_request *request, struct webserver *webserver,
                            struct span token, struct auth_user **ret_user)
{
    struct token_claims claims;
    struct object *user = NULL;
    int rc = signing_verify(webserver->signing, token, &claims);
    if (rc == 0) {
        rc = check_revocation(webserver->store, &claims);
    }
    if (rc == 0) {
        rc = get_account(webserver, claims.uid, &user);
    }
    if (rc == 0) {
        rc = check_account(user, &claims);
    }
    if (rc == 0) {
        session_hit(webserver->sessions, claims.session, claims.uid, http_request_peer(request),
                    io_now_ns(webserver->io));
        *ret_user = user_in_arena(request, user, claims.session, grant_of(webserver, user), false);
        (*ret_user)->issued_ns = claims.issued_ns;
    }
    object_free(&user);
    return rc;
}

static int identify(struct http_request *request, struct webserver *webserver,
                    struct auth_user **ret_user)
{
    struct span session = credential_of(request);
    const char *token = http_request_header(request, "Gravwell-Token");
    if (session.bytes > 0) {
        return identify_session(request, webserver, session, ret_user);
    }
    if (token != NULL) {
        return identify_token(request, webserver, token, ret_user);
    }
    return err_set(ERR_AUTH, "log in first");
}

/* What the user may not do at all, whatever the handler would say. True: a 403 was sent. */
static bool refuse_route(struct http_request *request, const struct auth_user *user, unsigned flags)
{
    const char *method = http_request_method(request);
    /* Not the path as it came: "/api//macros" is the same route. */
    const char *path = http_request_route(request)->path;
    int needed = capability_needed(method, path);
    if (user->by_token ? !capability_has(user->capabilities, needed)
                       : !capability_lets_in(user->capabilities, method, path)) {
        http_reply_json(request, 403,
                        json_pack("{s:s, s:s}", "Cap", capability_name(needed), "Error",
                                  user->by_token ? "the API token does not have this capability"
                                                 : "your account does not have this capability"));
        return true;
    }
    if ((flags & AUTH_ADMIN) != 0 && !user->principal.admin) {
        http_reply_error(request, 403, "only admins may do this");
        return true;
    }
    return false;
}

const struct auth_user *auth_user(struct http_request *request)
{
    return http_request_user(request);
}

struct auth_login auth_login_of(const struct auth_user *user)
{
    struct auth_login login = {
        .uid = user->principal.uid,
        .issued_ns = user->by_token ? INT64_MAX : user->issued_ns, /* no session to be ended */
    };
    (void)snprintf(login.session, sizeof(login.session), "%s", user->session);
    return login;
}

bool auth_may_go_on(struct webserver *webserver, const struct auth_login *login)
{
    struct token_claims claims = {.uid = login->uid, .issued_ns = login->issued_ns};
    struct object *user = NULL;
    memcpy(claims.session, login->session, sizeof(claims.session));
    int rc = get_account(webserver, login->uid, &user);
    rc = rc < 0 ? rc : check_account(user, &claims);
    object_free(&user);
    return rc != ERR_AUTH;
}

bool auth_before(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    const struct http_route *route = http_request_route(request);
    bool api = span_starts_with(span_of_str(route->path), SPAN_LIT("/api/"));
    if (!api || (route->flags & HTTP_CONTROL) != 0) {
        return false;
    }
    request_await_revision(request, webserver);
    const char *method = http_request_method(request);
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) {
        request_tell_revision(request, webserver);
    }
    struct auth_user *user = NULL;
    int rc = identify(request, webserver, &user);
    http_request_set_user(request, user);
    if ((route->flags & AUTH_PUBLIC) != 0) {
        return false;
    }
    if (rc == ERR_AUTH) {
        http_reply_error(request, 401, "%s", err_text());
        return true;
    }
    if (rc < 0) {
        http_reply_fault(request, rc);
        return true;
    }
    return refuse_route(request, user, route->flags);
}
