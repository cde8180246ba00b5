/* Tested by tests/cluster/test_sessions.py. */
#include "webserver/session_api.h"

#include "base/mem.h"
#include "base/time.h"
#include "service/log.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/account.h"
#include "webserver/auth.h"
#include "webserver/change.h"
#include "webserver/login.h"
#include "webserver/request.h"
#include "webserver/search_remote.h"
#include "webserver/session.h"

#define SESSIONS_LISTED_MAX 256

/* The account of the path if its sessions are the asker's business; else a refusal was sent. */
static bool account_of_path(struct http_request *request, struct webserver *webserver,
                            struct object **ret_user)
{
    const struct object_principal *asker = &auth_user(request)->principal;
    int64_t uid;
    if (!request_number(request, "uid", &uid)) {
        return false;
    }
    uid = uid == 0 ? asker->uid : uid;
    if (uid != asker->uid && !asker->admin) {
        http_reply_error(request, 403, "only admins see the sessions of others");
        return false;
    }
    return account_get(request, webserver, uid, ret_user);
}

/* Refreshed, logged out, or ended with all others: what was seen of it is of no use any more. */
static bool is_over(const struct webserver *webserver, const struct object *user,
                    const struct session_seen *seen)
{
    struct uuid id;
    struct object *revocation = NULL;
    if (!uuid_parse(span_of_str(seen->session), &id) ||
        store_get(webserver->store, &id, &revocation) == 0) {
        object_free(&revocation);
        return true;
    }
    return seen->last_hit_ns <= object_body_int(user, "TokensAfter") &&
           strcmp(seen->session, object_body_text(user, "TokensKeep")) != 0;
}

static json_t *seen_here(struct http_request *request, struct webserver *webserver,
                         const struct object *user)
{
    const char *own = auth_user(request)->session;
    struct session_seen *seen =
        arena_alloc_array(http_request_arena(request), SESSIONS_LISTED_MAX, sizeof(*seen));
    size_t count = session_of_user(webserver->sessions, (int32_t)user->number,
                                   io_now_ns(webserver->io), seen, SESSIONS_LISTED_MAX);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        if (!is_over(webserver, user, &seen[i])) {
            json_array_append_new(
                list,
                json_pack("{s:i, s:s, s:o, s:b, s:b, s:s, s:s, s:b}", "UID", seen[i].uid, "Origin",
                          seen[i].origin, "LastHit", request_time_json(seen[i].last_hit_ns),
                          "TempSession", 0, "Synced", 1, "Session", seen[i].session, "Webserver",
                          webserver->external_addr, "Own", strcmp(seen[i].session, own) == 0));
        }
    }
    return list;
}

static const char *text_of(const json_t *item, const char *key)
{
    const char *text = json_string_value(json_object_get(item, key));
    return text == NULL ? "" : text;
}

static int64_t hit_of(const json_t *item)
{
    int64_t time_ns = 0;
    return time_parse(span_of_str(text_of(item, "LastHit")), &time_ns) ? time_ns : 0;
}

/* In its place by the time of the last hit; the same session seen elsewhere counts once. The
 * asker's own is here: asking the others has made it known to them. */
static void put(json_t *list, json_t *item)
{
    size_t at = json_array_size(list);
    for (size_t i = json_array_size(list); i > 0; i--) {
        const json_t *other = json_array_get(list, i - 1);
        if (strcmp(text_of(other, "Session"), text_of(item, "Session")) == 0) {
            if (json_is_true(json_object_get(other, "Own")) || hit_of(other) >= hit_of(item)) {
                return;
            }
            json_array_remove(list, i - 1);
            at = at > i - 1 ? at - 1 : at;
        } else if (hit_of(other) < hit_of(item)) {
            at = i - 1;
        }
    }
    json_array_insert(list, at, item);
}

static void take(void *context, const json_t *answer)
{
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(answer, "Sessions"), index, item)
    {
        if (text_of(item, "Session")[0] != 0) {
            put(context, item);
        }
    }
}

static json_t *seen_anywhere(struct http_request *request, struct webserver *webserver,
                             const struct object *user)
{
    json_t *list = seen_here(request, webserver, user);
    const char *target = arena_printf(http_request_arena(request), "/api/users/%llu/sessions",
                                      (unsigned long long)user->number);
    search_remote_ask(request, webserver, target, take, list);
    return list;
}

static void list_sessions(struct http_request *request, void *context)
{
    struct object *user;
    if (account_of_path(request, context, &user)) {
        http_reply_json(request, 200,
                        json_pack("{s:I, s:s, s:o}", "UID", (json_int_t)user->number, "User",
                                  user->name, "Sessions", seen_anywhere(request, context, user)));
        object_free(&user);
    }
}

static bool has_session(const json_t *list, const char *session)
{
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item)
    {
        if (strcmp(text_of(item, "Session"), session) == 0) {
            return true;
        }
    }
    return false;
}

/* Only a session of that account: the id alone does not say whose it is. */
static void end_session(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    const char *session = http_request_param(request, "session");
    struct object *user;
    if (!account_of_path(request, webserver, &user)) {
        return;
    }
    json_t *list = seen_anywhere(request, webserver, user);
    if (!has_session(list, session)) {
        http_reply_error(request, 404, "%s has no session %.40s", user->name, session);
    } else {
        int rc = login_revoke(webserver, session);
        log_info("session-ended", "a session was ended from another", "user", user->name,
                 "sessionid", session, "by", auth_user(request)->name, NULL);
        change_reply(request, webserver, rc, NULL);
    }
    json_decref(list);
    object_free(&user);
}

/* All of them; of one's own all but this one. */
static void end_sessions(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    const struct auth_user *asker = auth_user(request);
    struct object *user;
    if (!account_of_path(request, webserver, &user)) {
        return;
    }
    bool own = user->number == (uint64_t)asker->principal.uid;
    account_end_sessions(user, io_now_ns(webserver->io), own ? asker->session : NULL);
    log_info("sessions-ended", "all sessions were ended", "user", user->name, "by", asker->name,
             NULL);
    change_reply(request, webserver, change_save(request, webserver, user), NULL);
    object_free(&user);
}

const struct http_route session_routes[] = {
    {"GET", "/api/users/{uid}/sessions", list_sessions, 0, 0},
    {"DELETE", "/api/users/{uid}/sessions", end_sessions, 0, 0},
    {"DELETE", "/api/users/{uid}/sessions/{session}", end_session, 0, 0},
};
const size_t session_route_count = ARRAY_COUNT(session_routes);
