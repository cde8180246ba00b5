#include "webserver/version.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/vec.h"
#include "store/store.h"
#include "sync/history.h"
#include "webserver/auth.h"
#include "webserver/capability.h"
#include "webserver/change.h"
#include "webserver/request.h"
#include "webserver/thing.h"

#define DELETED_MAX 500 /* how many deleted objects are listed */

/* The versions of one object: [0] is the present one, which may be a tombstone. */
struct history {
    struct object_list list;
};

static bool has_versions(enum object_kind kind)
{
    const struct object_kind_info *info = object_kind_info(kind);
    return info != NULL && info->policy == OBJECT_POLICY_SHARED && kind != OBJECT_SECRET &&
           kind != OBJECT_HISTORY && kind != OBJECT_SEARCH;
}

static int load(struct webserver *webserver, const char *text, struct history *history)
{
    struct uuid id;
    struct object *present = NULL;
    *history = (struct history){0};
    int rc = uuid_parse(span_of_str(text), &id) ? store_get_any(webserver->store, &id, &present)
                                                : STORE_ABSENT;
    if (rc != 0) {
        return rc;
    }
    if (!has_versions(present->kind)) {
        object_free(&present);
        return STORE_ABSENT;
    }
    history->list.items = mem_alloc_array(1, sizeof(*history->list.items));
    history->list.items[0] = present;
    history->list.count = history->list.capacity = 1;
    struct object_list earlier = {0};
    rc = sync_versions(webserver->sync, present, &earlier);
    for (size_t i = 0; rc == 0 && i < earlier.count; i++) {
        vec_push(&history->list, earlier.items[i]);
        earlier.items[i] = NULL;
    }
    object_list_deinit(&earlier);
    if (rc < 0) {
        object_list_deinit(&history->list);
    }
    return rc;
}

/* Who may not read a kind of objects, or not write it, may not by their versions either. */
static bool refuse_kind(struct http_request *request, enum object_kind kind)
{
    const char *path =
        arena_printf(http_request_arena(request), "/api/%s", object_kind_info(kind)->path);
    bool fine =
        capability_lets_in(auth_user(request)->capabilities, http_request_method(request), path);
    if (!fine) {
        http_reply_error(request, 403, "your account does not have the capability for a %s",
                         object_kind_name(kind));
    }
    return !fine;
}

/* The history named by the path, if the asker may do `verb` with its object. */
static bool history_of_path(struct http_request *request, struct webserver *webserver,
                            enum object_verb verb, struct history *history)
{
    const char *id = http_request_param(request, "uuid");
    int rc = load(webserver, id, history);
    struct object *present = rc == 0 ? object_clone(history->list.items[0]) : NULL;
    enum object_kind kind = rc == 0 ? present->kind : OBJECT_ANY;
    bool found = thing_found(request, rc, kind, id, verb, &present) && !refuse_kind(request, kind);
    object_free(&present);
    if (!found) {
        object_list_deinit(&history->list);
    }
    return found;
}

static struct object *find(const struct history *history, const char *change)
{
    struct uuid uuid;
    for (size_t i = 0; uuid_parse(span_of_str(change), &uuid) && i < history->list.count; i++) {
        if (uuid_equal(history->list.items[i]->change, uuid)) {
            return history->list.items[i];
        }
    }
    return NULL;
}

/* ── JSON form ───────────────────────────────────────────────────────────────────────────── */

static json_t *summary(const struct object *version, bool present)
{
    return json_pack("{s:o, s:s, s:s, s:o, s:I, s:b, s:b, s:b}", "Change",
                     request_uuid_json(&version->change), "Kind", object_kind_name(version->kind),
                     "Name", version->name, "Updated", request_time_json(version->updated_ns),
                     "Revision", (json_int_t)version->revision, "Present", present, "Deleted",
                     version->deleted, "Synced", !version->dirty);
}

/* What users made of it: without what the synchronisation keeps with it. */
static json_t *contents(const struct object *version)
{
    json_t *whole = object_to_json(version);
    json_t *json = json_object();
    static const char *const members[] = {"name",  "description", "owner", "gids", "global",
                                          "write", "labels",      "body",  "blob"};
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        json_t *value = json_object_get(whole, members[i]);
        if (value != NULL) {
            json_object_set(json, members[i], value);
        }
    }
    json_decref(whole);
    return json;
}

/* ── Routes ──────────────────────────────────────────────────────────────────────────────── */

static void list_versions(struct http_request *request, void *context)
{
    struct history history;
    if (!history_of_path(request, context, OBJECT_READ, &history)) {
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < history.list.count; i++) {
        json_array_append_new(list, summary(history.list.items[i], i == 0));
    }
    object_list_deinit(&history.list);
    http_reply_json(request, 200, list);
}

static void get_version(struct http_request *request, void *context)
{
    struct history history;
    if (!history_of_path(request, context, OBJECT_READ, &history)) {
        return;
    }
    const char *change = http_request_param(request, "change");
    const struct object *version = find(&history, change);
    if (version == NULL) {
        http_reply_error(request, 404, "there is no version %.40s of it", change);
    } else {
        json_t *json = summary(version, version == history.list.items[0]);
        json_object_set_new(json, "Contents", contents(version));
        http_reply_json(request, 200, json);
    }
    object_list_deinit(&history.list);
}

static const struct object *version_asked(struct http_request *request,
                                          const struct history *history, const char *parameter,
                                          size_t otherwise)
{
    const char *change = http_request_query(request, parameter);
    if (change != NULL) {
        return find(history, change);
    }
    return otherwise < history->list.count ? history->list.items[otherwise] : NULL;
}

static void diff_versions(struct http_request *request, void *context)
{
    struct history history;
    if (!history_of_path(request, context, OBJECT_READ, &history)) {
        return;
    }
    const struct object *from = version_asked(request, &history, "from", 1);
    const struct object *to = version_asked(request, &history, "to", 0);
    if (from == NULL || to == NULL) {
        http_reply_error(request, 404, "there are no two such versions of it");
    } else {
        json_t *before = contents(from);
        json_t *after = contents(to);
        http_reply_json(request, 200, version_diff(before, after));
        json_decref(before);
        json_decref(after);
    }
    object_list_deinit(&history.list);
}

/* Who saw it and who wrote it, as far as the asker may change that. To take back a deletion is no
 * such change. */
static void revive_sharing(struct object *object, const struct object *version,
                           const struct object_principal *asker, bool undeletes)
{
    if (undeletes || object_allows(object, asker, OBJECT_SHARE)) {
        object_set_gids(&object->gids, version->gids.items, version->gids.count);
        object_set_gids(&object->write_gids, version->write_gids.items, version->write_gids.count);
    }
    if (undeletes || object_allows(object, asker, OBJECT_GLOBALIZE)) {
        object->global = version->global;
        object->write_global = version->write_global;
    }
}

/* The old contents in the place of the present ones: an edit like any other, so it has a base,
 * can conflict, and can itself be undone. */
static struct object *revived(const struct history *history, const struct object *version,
                              const struct object_principal *asker)
{
    const struct object *present = history->list.items[0];
    struct object *object = object_clone(present);
    revive_sharing(object, version, asker, present->deleted && version == history->list.items[1]);
    object->deleted = false;
    object->blob = version->blob;
    object_set_labels(object, (const char *const *)version->labels, version->label_count);
    object_set_name(object, version->name);
    object_set_description(object, version->description);
    object_set_body(object, json_deep_copy(version->body));
    return object;
}

static void restore_version(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct history history;
    json_t *json;
    if (!history_of_path(request, webserver, OBJECT_UPDATE, &history)) {
        return;
    }
    if (!request_object(request, &json)) {
        object_list_deinit(&history.list);
        return;
    }
    const char *change = request_text(json, "Change");
    const struct object *version = change[0] != 0           ? find(&history, change)
                                   : history.list.count > 1 ? history.list.items[1]
                                                            : NULL;
    if (version == NULL || version->deleted) {
        http_reply_error(request, 404, "there is no such version to go back to");
    } else {
        struct object *object = revived(&history, version, &auth_user(request)->principal);
        int rc = change_save(request, webserver, object);
        change_reply(request, webserver, rc, summary(object, true));
        object_free(&object);
    }
    json_decref(json);
    object_list_deinit(&history.list);
}

/* ── What was deleted ────────────────────────────────────────────────────────────────────── */

struct finder {
    struct webserver *webserver;
    struct map seen;
    json_t *list;
};

static int add_deleted(void *context, const struct object *line)
{
    struct finder *finder = context;
    const char *text = object_body_text(line, "Object");
    struct uuid id;
    struct object *object = NULL;
    if (strcmp(line->name, "delete") != 0 || map_get_str(&finder->seen, text) != NULL ||
        !uuid_parse(span_of_str(text), &id)) {
        return 0;
    }
    (void)map_put(&finder->seen, span_of_str(text), finder);
    if (store_get_any(finder->webserver->store, &id, &object) == 0 && object->deleted &&
        has_versions(object->kind)) {
        json_t *item = json_pack("{s:s, s:s, s:s, s:o, s:i}", "UUID", text, "Kind",
                                 object_kind_name(object->kind), "Name", object->name, "Deleted",
                                 request_time_json(line->created_ns), "UID", object->owner);
        json_array_append_new(finder->list, item);
    }
    object_free(&object);
    return 0;
}

/* Own deletions; everybody's for an admin in admin mode. The audit knows them. */
static void list_deleted(struct http_request *request, void *context)
{
    struct finder finder = {.webserver = context, .list = json_array()};
    const struct object_principal *asker = &auth_user(request)->principal;
    struct store_query query = {.kind = OBJECT_AUDIT,
                                .order = STORE_NEWEST_FIRST,
                                .by_owner = !(asker->admin && asker->admin_mode),
                                .owner = asker->uid,
                                .limit = DELETED_MAX};
    int rc = store_walk(finder.webserver->store, &query, add_deleted, &finder);
    map_deinit(&finder.seen);
    if (rc < 0) {
        json_decref(finder.list);
        http_reply_fault(request, rc);
        return;
    }
    http_reply_json(request, 200, finder.list);
}

const struct http_route version_routes[] = {
    {"GET", "/api/versions/{uuid}", list_versions, 0, 0},
    {"GET", "/api/versions/{uuid}/diff", diff_versions, 0, 0},
    {"POST", "/api/versions/{uuid}/restore", restore_version, 0, 0},
    {"GET", "/api/versions/{uuid}/{change}", get_version, 0, 0},
    {"GET", "/api/deleted", list_deleted, 0, 0},
};
const size_t version_route_count = ARRAY_COUNT(version_routes);
