#include "webserver/login.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "conf/conf.h"
#include "service/log.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/account.h"
#include "webserver/auth.h"
#include "webserver/change.h"
#include "webserver/password.h"
#include "webserver/request.h"
#include "webserver/session.h"
#include "webserver/signing.h"
#include "webserver/throttle.h"

/* ── Login ───────────────────────────────────────────────────────────────────────────────── */

static void reply_login(struct http_request *request, struct webserver *webserver, int status,
                        const char *reason, const char *token, bool admin)
{
    json_t *answer = json_pack("{s:b, s:b, s:b}", "LoginStatus", token != NULL, "MFARequired", 0,
                               "MFASetupRequired", 0);
    if (reason != NULL) {
        json_object_set_new(answer, "Reason", json_string(reason));
    }
    if (token != NULL) {
        const char *secure = http_request_is_https(request) ? "; Secure" : "";
        json_object_set_new(answer, "JWT", json_string(token));
        json_object_set_new(answer, "Admin", json_boolean(admin));
        http_reply_header(request, "Set-Cookie",
                          arena_printf(http_request_arena(request),
                                       "%s=%s; Path=/; HttpOnly; SameSite=Strict%s", AUTH_COOKIE,
                                       token, secure));
        request_tell_revision(request, webserver);
    }
    http_reply_json(request, status, answer);
}

static void reply_token(struct http_request *request, struct webserver *webserver,
                        const struct object *user, const char *event)
{
    struct token_claims claims;
    struct buf token = {0};
    int rc = signing_make(webserver->signing, (int32_t)user->number, &claims, &token);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        log_info(event, "a session began", "user", user->name, "uid", LOG_INT(user->number), "host",
                 http_request_peer(request), "sessionid", claims.session, "webserver",
                 webserver->external_addr, NULL);
        reply_login(request, webserver, 200, NULL, buf_str(&token),
                    object_body_bool(user, "Admin"));
    }
    buf_deinit(&token);
}

/* User and Pass from a form or a JSON object; both live in the request's arena. */
static bool read_login(struct http_request *request, const char **ret_user, const char **ret_pass)
{
    struct arena *arena = http_request_arena(request);
    const char *type = http_request_header(request, "Content-Type");
    *ret_user = *ret_pass = "";
    if (type != NULL && span_starts_with(span_of_str(type), SPAN_LIT("application/json"))) {
        json_t *json;
        if (!request_object(request, &json)) {
            return false;
        }
        *ret_user = arena_strdup(arena, request_text(json, "User"));
        *ret_pass = arena_strdup(arena, request_text(json, "Pass"));
        json_decref(json);
        return true;
    }
    struct span rest = http_request_body(request);
    for (struct span pair; span_split(&rest, '&', &pair);) {
        struct span value = pair;
        struct span name;
        struct buf text = {0};
        if (span_split(&value, '=', &name) && text_url_decode(&text, value, true)) {
            const char **target = span_equal_nocase(name, SPAN_LIT("User"))   ? ret_user
                                  : span_equal_nocase(name, SPAN_LIT("Pass")) ? ret_pass
                                                                              : NULL;
            if (target != NULL) {
                *target = arena_span_str(arena, buf_span(&text));
            }
        }
        buf_deinit(&text);
    }
    return true;
}

static void refuse_login(struct http_request *request, struct webserver *webserver,
                         const char *name, int status, const char *reason)
{
    log_warn("login-refused", reason, "user", name, "host", http_request_peer(request), "webserver",
             webserver->external_addr, NULL);
    reply_login(request, webserver, status, reason, NULL, false);
}

static void login(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct throttle *throttle = webserver->throttle;
    const char *name;
    const char *password;
    if (!read_login(request, &name, &password)) {
        return;
    }
    int64_t now_ns = io_monotonic_ns(webserver->io);
    struct arena *arena = http_request_arena(request);
    struct span key = span_of_str(arena_printf(arena, "%s %s", http_request_peer(request), name));
    int64_t wait_ns = throttle_wait_ns(throttle, key, now_ns);
    if (wait_ns > 0) {
        int64_t seconds = (wait_ns + TIME_S_NS - 1) / TIME_S_NS;
        http_reply_header(request, "Retry-After", arena_printf(arena, "%" PRId64, seconds));
        refuse_login(request, webserver, name, 429, "too many failed logins, wait a little");
        return;
    }
    if (!password_has_room()) {
        http_reply_header(request, "Retry-After", "1");
        refuse_login(request, webserver, name, 503, "too many logins at a time, try again");
        return;
    }
    struct object *user = NULL;
    int rc = store_get_by_name(webserver->store, OBJECT_USER, -1, name, &user);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else if (!password_is(user == NULL ? NULL : object_body_text(user, "Password"), password)) {
        throttle_failed(throttle, key, now_ns);
        refuse_login(request, webserver, name, 422, "user name or password is not right");
    } else if (object_body_bool(user, "Locked")) {
        refuse_login(request, webserver, name, 423, "the account is locked");
    } else {
        throttle_succeeded(throttle, key);
        reply_token(request, webserver, user, "login");
    }
    object_free(&user);
}

/* ── Logout ──────────────────────────────────────────────────────────────────────────────── */

/* A revocation is kept until the session's tokens have expired by themselves. */
int login_revoke(struct webserver *webserver, const char *session)
{
    struct object *revocation = object_new(OBJECT_REVOCATION);
    int64_t until_ns = io_now_ns(webserver->io) + webserver->session_ns;
    CHECK(uuid_parse(span_of_str(session), &revocation->id));
    object_set_name(revocation, session);
    object_set_body(revocation, json_pack("{s:I}", "Until", (json_int_t)until_ns));
    int rc = sync_write(webserver->sync, revocation, SYNC_BY_KIND);
    object_free(&revocation);
    session_gone(webserver->sessions, session);
    return rc == ERR_EXISTS ? 0 : rc;
}

static bool is_over(void *context, const struct object *revocation)
{
    return object_body_int(revocation, "Until") < *(const int64_t *)context;
}

static void forget_old_revocations(struct webserver *webserver)
{
    int64_t now_ns = io_now_ns(webserver->io);
    struct object_list old = {0};
    struct store_query query = {
        .kind = OBJECT_REVOCATION, .filter = is_over, .context = &now_ns, .limit = 16};
    if (store_list(webserver->store, &query, &old) == 0) {
        for (size_t i = 0; i < old.count; i++) {
            if (sync_delete(webserver->sync, &old.items[i]->id, SYNC_BY_KIND) < 0) {
                break;
            }
        }
    }
    object_list_deinit(&old);
}

static void logout(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    const struct auth_user *user = auth_user(request);
    int rc = login_revoke(webserver, user->session);
    if (rc >= 0) {
        log_info("logout", "a session was ended", "user", user->name, "sessionid", user->session,
                 NULL);
        forget_old_revocations(webserver);
        http_reply_header(request, "Set-Cookie",
                          AUTH_COOKIE "=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    }
    change_reply(request, webserver, rc, NULL);
}

static void logout_everywhere(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object *user;
    if (!account_get(request, webserver, auth_user(request)->principal.uid, &user)) {
        return;
    }
    account_end_sessions(user, io_now_ns(webserver->io), NULL);
    int rc = change_save(request, webserver, user);
    log_info("logout", "all sessions were ended", "user", user->name, NULL);
    change_reply(request, webserver, rc, NULL);
    object_free(&user);
}

static void refresh_token(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object *user;
    int rc = login_revoke(webserver, auth_user(request)->session);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else if (account_get(request, webserver, auth_user(request)->principal.uid, &user)) {
        reply_token(request, webserver, user, "refresh");
        object_free(&user);
    }
}

/* ── Acting as others ────────────────────────────────────────────────────────────────────── */

/* An admin acts as somebody else: a session of that user, and a line in the log that says so. */
static void impersonate(struct http_request *request, void *context)
{
    int64_t uid;
    struct object *user;
    if (request_number(request, "uid", &uid) && account_get(request, context, uid, &user)) {
        log_warn("impersonation", "an admin took a session of another user", "user", user->name,
                 "by", auth_user(request)->name, "host", http_request_peer(request), NULL);
        reply_token(request, context, user, "login");
        object_free(&user);
    }
}

static void test_auth(struct http_request *request, void *context)
{
    (void)context;
    http_reply_json(request, 200, json_object());
}

const struct http_route login_routes[] = {
    {"POST", "/api/login", login, AUTH_PUBLIC, 64 * 1024},
    {"PUT", "/api/logout", logout, 0, 0},
    {"DELETE", "/api/logout", logout_everywhere, 0, 0},
    {"GET", "/api/login/refreshtoken", refresh_token, 0, 0},
    {"GET", "/api/users/su/{uid}", impersonate, AUTH_ADMIN, 0},
    {"GET", "/api/testauth", test_auth, 0, 0},
};
const size_t login_route_count = ARRAY_COUNT(login_routes);
