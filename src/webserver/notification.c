#include "webserver/notification.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/time.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/account.h"
#include "webserver/auth.h"
#include "webserver/change.h"
#include "webserver/request.h"
#include "webserver/thing.h"

#define OWN_EXPIRY_NS (12 * TIME_HOUR_NS)
#define OWN_EXPIRY_MAX_NS (24 * TIME_HOUR_NS)
#define BODY_BYTES_MAX ((size_t)64 * 1024)

static json_t *time_member(const struct object *notification, const char *key)
{
    int64_t time_ns = object_body_int(notification, key);
    return request_time_json(time_ns == 0 ? TIME_UNSET : time_ns);
}

static json_t *notification_json(const struct object *notification)
{
    const char *origin = object_body_text(notification, "Origin");
    int32_t gid = notification->gids.count > 0 ? notification->gids.items[0] : 0;
    json_t *json = json_pack(
        "{s:i, s:i, s:I, s:I, s:b, s:o, s:o, s:o, s:s, s:s}", "UID", notification->owner, "GID",
        gid, "Sender", (json_int_t)object_body_int(notification, "Sender"), "Type",
        (json_int_t)object_body_int(notification, "Type"), "Broadcast", notification->global,
        "Sent", request_time_json(notification->created_ns), "Expires",
        time_member(notification, "Expires"), "IgnoreUntil",
        time_member(notification, "IgnoreUntil"), "Msg", object_body_text(notification, "Msg"),
        "Origin", origin[0] == 0 ? "00000000-0000-0000-0000-000000000000" : origin);
    static const char *const optional[] = {"Level", "Link"};
    for (size_t i = 0; i < ARRAY_COUNT(optional); i++) {
        const char *text = object_body_text(notification, optional[i]);
        if (text[0] != 0) {
            json_object_set_new(json, optional[i], json_string(text));
        }
    }
    return json;
}

/* ── Listing ─────────────────────────────────────────────────────────────────────────────── */

struct lister {
    json_t *map;
    int64_t now_ns;
    int64_t after_ns;
};

static int add(void *context, const struct object *notification)
{
    struct lister *lister = context;
    int64_t expires_ns = object_body_int(notification, "Expires");
    bool over = expires_ns != 0 && expires_ns <= lister->now_ns;
    bool snoozed = object_body_int(notification, "IgnoreUntil") > lister->now_ns;
    if (!over && !snoozed && notification->created_ns > lister->after_ns) {
        char id[24];
        (void)snprintf(id, sizeof(id), "%" PRIu64, notification->number);
        json_object_set_new(lister->map, id, notification_json(notification));
    }
    return 0;
}

/* Clients send a layout whose zone may be hours only; time_parse takes that. */
static int64_t after_of(struct http_request *request)
{
    int64_t after_ns = TIME_UNSET;
    const char *text = http_request_query(request, "after");
    return time_parse(span_of_str(text), &after_ns) ? after_ns : TIME_UNSET;
}

static void list(struct http_request *request, void *context)
{
    const struct webserver *webserver = context;
    struct lister lister = {json_object(), io_now_ns(webserver->io), after_of(request)};
    struct store_query query = {.kind = OBJECT_NOTIFICATION,
                                .principal = &auth_user(request)->principal,
                                .order = STORE_NEWEST_FIRST};
    int rc = store_walk(webserver->store, &query, add, &lister);
    if (rc < 0) {
        json_decref(lister.map);
        http_reply_fault(request, rc);
        return;
    }
    http_reply_json(request, 200, lister.map);
}

/* ── Changing ────────────────────────────────────────────────────────────────────────────── */

static void read_body(const json_t *json, struct object *notification, int32_t sender)
{
    json_t *body = json_object();
    static const char *const texts[] = {"Msg", "Link", "Level"};
    static const char *const times[] = {"Expires", "IgnoreUntil"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        json_object_set_new(body, texts[i], json_string(request_text(json, texts[i])));
    }
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        int64_t time_ns = request_time(json, times[i]);
        json_object_set_new(body, times[i], json_integer(time_ns == TIME_UNSET ? 0 : time_ns));
    }
    json_object_set_new(body, "Type", json_integer(request_int(json, "Type")));
    json_object_set_new(body, "Sender", json_integer(sender));
    object_set_body(notification, body);
}

/* One of a type for an addressee: the id follows from the two, so the next one replaces it. */
static int save(struct http_request *request, struct webserver *webserver,
                struct object *notification)
{
    char name[64];
    uint8_t random[8];
    int32_t gid = notification->gids.count > 0 ? notification->gids.items[0] : 0;
    (void)snprintf(name, sizeof(name), "%" PRId64 "/%d/%d", object_body_int(notification, "Type"),
                   gid, notification->global);
    notification->id = object_id_of_name(OBJECT_NOTIFICATION, notification->owner, name);
    struct object *earlier = NULL;
    int rc = store_get(webserver->store, &notification->id, &earlier);
    if (rc == 0) {
        object_set_body(earlier, json_incref(notification->body));
        rc = change_save(request, webserver, earlier);
        object_free(&earlier);
        return rc;
    }
    if (rc == STORE_ABSENT) {
        io_random(webserver->io, random, sizeof(random));
        notification->number = object_number_of_random(random);
        rc = change_save(request, webserver, notification);
    }
    return rc;
}

static void bound_expiry(const struct webserver *webserver, struct object *notification)
{
    int64_t now_ns = io_now_ns(webserver->io);
    int64_t expires_ns = object_body_int(notification, "Expires");
    if (expires_ns <= now_ns || expires_ns > now_ns + OWN_EXPIRY_MAX_NS) {
        json_object_set_new(notification->body, "Expires", json_integer(now_ns + OWN_EXPIRY_NS));
    }
}

static void notify_self(struct http_request *request, void *context)
{
    json_t *json;
    int32_t uid = auth_user(request)->principal.uid;
    if (!request_object(request, &json)) {
        return;
    }
    struct object *notification = object_new(OBJECT_NOTIFICATION);
    notification->owner = uid;
    read_body(json, notification, uid);
    bound_expiry(context, notification);
    change_reply(request, context, save(request, context, notification), NULL);
    object_free(&notification);
    json_decref(json);
}

static void notify_others(struct http_request *request, struct webserver *webserver, bool everybody)
{
    json_t *json;
    if (!request_object(request, &json)) {
        return;
    }
    struct object *notification = object_new(OBJECT_NOTIFICATION);
    int32_t gid = (int32_t)request_int(json, "GID");
    notification->owner = everybody ? 0 : (int32_t)request_int(json, "UID");
    notification->global = everybody;
    object_set_gids(&notification->gids, &gid, gid != 0 && !everybody);
    read_body(json, notification, auth_user(request)->principal.uid);
    change_reply(request, webserver, save(request, webserver, notification), NULL);
    object_free(&notification);
    json_decref(json);
}

static void notify_targeted(struct http_request *request, void *context)
{
    notify_others(request, context, false);
}

static void notify_everybody(struct http_request *request, void *context)
{
    notify_others(request, context, true);
}

static bool notification_of_path(struct http_request *request, struct webserver *webserver,
                                 enum object_verb verb, struct object **ret_notification)
{
    int64_t number;
    const char *id = http_request_param(request, "id");
    if (!request_number(request, "id", &number)) {
        return false;
    }
    int rc = store_get_by_number(webserver->store, OBJECT_NOTIFICATION, (uint64_t)number,
                                 ret_notification);
    return thing_found(request, rc, OBJECT_NOTIFICATION, id, verb, ret_notification);
}

static void update(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object *notification;
    json_t *json;
    if (!notification_of_path(request, context, OBJECT_UPDATE, &notification)) {
        return;
    }
    if (request_object(request, &json)) {
        read_body(json, notification, (int32_t)object_body_int(notification, "Sender"));
        change_reply(request, webserver, change_save(request, webserver, notification), NULL);
        json_decref(json);
    }
    object_free(&notification);
}

static void delete_one(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object *notification;
    if (notification_of_path(request, context, OBJECT_DELETE, &notification)) {
        int rc = change_delete(request, webserver, notification);
        change_reply(request, webserver, rc, NULL);
        object_free(&notification);
    }
}

const struct http_route notification_routes[] = {
    {"GET", "/api/notifications", list, 0, 0},
    {"POST", "/api/notifications/targeted/self", notify_self, 0, BODY_BYTES_MAX},
    {"POST", "/api/notifications/targeted", notify_targeted, AUTH_ADMIN, BODY_BYTES_MAX},
    {"POST", "/api/notifications/broadcast", notify_everybody, AUTH_ADMIN, BODY_BYTES_MAX},
    {"PUT", "/api/notifications/{id}", update, 0, BODY_BYTES_MAX},
    {"DELETE", "/api/notifications/{id}", delete_one, 0, 0},
};
const size_t notification_route_count = ARRAY_COUNT(notification_routes);
