#include "webserver/preference.h"

#include <stdlib.h>

#include "base/text.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/account.h"
#include "webserver/auth.h"
#include "webserver/change.h"
#include "webserver/request.h"

#define PREFERENCE_NAME "prefs"

/* The uid of the path (0: the asker) if he may see its preferences; else a refusal was sent. */
static bool owner_of_path(struct http_request *request, const struct webserver *webserver,
                          int32_t *ret_uid)
{
    int64_t uid;
    struct object *user;
    const struct object_principal *asker = &auth_user(request)->principal;
    if (!request_number(request, "uid", &uid)) {
        return false;
    }
    uid = uid == 0 ? asker->uid : uid;
    if (!account_get(request, webserver, uid, &user)) {
        return false;
    }
    object_free(&user);
    if (uid != asker->uid && !asker->admin) {
        http_reply_error(request, 403, "these are the preferences of somebody else");
        return false;
    }
    *ret_uid = (int32_t)uid;
    return true;
}

static int stored(const struct webserver *webserver, int32_t uid, struct object **ret_preference)
{
    struct uuid id = object_id_of_name(OBJECT_PREFERENCE, uid, PREFERENCE_NAME);
    return store_get(webserver->store, &id, ret_preference);
}

static void get_preferences(struct http_request *request, void *context)
{
    int32_t uid;
    struct object *preference = NULL;
    if (!owner_of_path(request, context, &uid)) {
        return;
    }
    int rc = stored(context, uid, &preference);
    if (rc < 0) {
        http_reply_fault(request, rc);
        return;
    }
    json_t *data = rc == STORE_ABSENT ? NULL : object_body(preference, "Data");
    http_reply_json(request, 200, data == NULL ? json_null() : json_incref(data));
    object_free(&preference);
}

static void put_preferences(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    int32_t uid;
    json_t *data = NULL;
    struct object *preference = NULL;
    if (!owner_of_path(request, context, &uid)) {
        return;
    }
    int rc = http_request_json(request, &data);
    if (rc == HTTP_JSON_EMPTY) {
        rc = err_set(ERR_INVALID, "the body must be a JSON value");
    }
    if (rc == 0) {
        rc = stored(webserver, uid, &preference);
    }
    if (rc == STORE_ABSENT) {
        preference = object_new(OBJECT_PREFERENCE);
        preference->id = object_id_of_name(OBJECT_PREFERENCE, uid, PREFERENCE_NAME);
        preference->owner = uid;
        object_set_name(preference, PREFERENCE_NAME);
    }
    if (rc >= 0) {
        object_set_body(preference, json_pack("{s:O}", "Data", data));
        rc = change_save(request, webserver, preference);
    }
    json_decref(data);
    object_free(&preference);
    change_reply(request, webserver, rc, NULL);
}

static void delete_preferences(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    int32_t uid;
    if (!owner_of_path(request, context, &uid)) {
        return;
    }
    struct object *preference = NULL;
    int rc = stored(webserver, uid, &preference);
    if (rc == 0) {
        rc = change_delete(request, webserver, preference);
    }
    object_free(&preference);
    change_reply(request, webserver, rc, NULL);
}

static int add_preference(void *context, const struct object *preference)
{
    char *text = json_dumps(object_body(preference, "Data"), JSON_COMPACT | JSON_ENCODE_ANY);
    struct buf base64 = {0};
    text_base64(&base64, span_of_str(text == NULL ? "null" : text));
    json_array_append_new(context, json_pack("{s:i, s:s, s:o, s:s, s:b}", "UID", preference->owner,
                                             "Name", preference->name, "Updated",
                                             request_time_json(preference->updated_ns), "Data",
                                             buf_str(&base64), "Synced", !preference->dirty));
    buf_deinit(&base64);
    free(text);
    return 0;
}

static void list_preferences(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    json_t *list = json_array();
    int rc = store_walk(webserver->store, &(struct store_query){.kind = OBJECT_PREFERENCE},
                        add_preference, list);
    if (rc < 0) {
        json_decref(list);
        http_reply_fault(request, rc);
        return;
    }
    http_reply_json(request, 200, list);
}

const struct http_route preference_routes[] = {
    {"GET", "/api/users/preferences", list_preferences, AUTH_ADMIN, 0},
    {"GET", "/api/users/{uid}/preferences", get_preferences, 0, 0},
    {"PUT", "/api/users/{uid}/preferences", put_preferences, 0, 0},
    {"DELETE", "/api/users/{uid}/preferences", delete_preferences, 0, 0},
};
const size_t preference_route_count = ARRAY_COUNT(preference_routes);
