#include "webserver/thing.h"

#include "base/mem.h"
#include "base/text.h"
#include "base/vec.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/account.h"
#include "webserver/auth.h"
#include "webserver/change.h"
#include "webserver/extractor.h"
#include "webserver/request.h"

#define THING_BODY_BYTES_MAX ((size_t)16 * 1024 * 1024)

enum member_type {
    MEMBER_TEXT,   /* "" when absent */
    MEMBER_BOOL,   /* false when absent */
    MEMBER_OBJECT, /* any JSON, kept as it is; {} when absent */
    MEMBER_RAW,    /* any JSON, kept as it is; left out when absent */
    MEMBER_BULK,   /* as MEMBER_RAW; left out of lists too */
};

struct member {
    const char *name;
    enum member_type type;
};

enum thing_answer {
    THING_ANSWERS_NUMBER,
    THING_ANSWERS_OBJECT,
    THING_ANSWERS_GUID,
    THING_ANSWERS_UUID
};

enum thing_flags {
    THING_NUMBERED = 1,    /* known by its number; else by its uuid, then by its guid */
    THING_HAS_GUID = 2,    /* shows "GUID" */
    THING_HAS_CREATED = 4, /* shows "Created" */
    THING_HAS_CAN = 8,     /* shows "Can" */
    THING_STRICT_NAME = 16 /* A-Z 0-9 _ - only */
};

struct thing {
    enum object_kind kind;
    unsigned flags;
    enum thing_answer created; /* what creating one answers */
    const char *id_key;
    const char *description_key;
    const char *updated_key;
    struct member members[6];
};

static const struct thing things[] = {
    {OBJECT_DASHBOARD,
     THING_NUMBERED | THING_HAS_GUID | THING_HAS_CREATED | THING_HAS_CAN,
     THING_ANSWERS_NUMBER,
     "ID",
     "Description",
     "Updated",
     {{"Data", MEMBER_OBJECT}, {"Trivial", MEMBER_RAW}}},
    {OBJECT_MACRO,
     THING_NUMBERED | THING_STRICT_NAME,
     THING_ANSWERS_NUMBER,
     "ID",
     "Description",
     "LastUpdated",
     {{"Expansion", MEMBER_TEXT}}},
    {OBJECT_TEMPLATE,
     THING_HAS_GUID,
     THING_ANSWERS_OBJECT,
     "ThingUUID",
     "Description",
     "Updated",
     {{"Contents", MEMBER_OBJECT}}},
    {OBJECT_PIVOT,
     THING_HAS_GUID,
     THING_ANSWERS_GUID,
     "ThingUUID",
     "Description",
     "Updated",
     {{"Contents", MEMBER_OBJECT}, {"Disabled", MEMBER_BOOL}}},
    {OBJECT_SAVED_QUERY,
     THING_HAS_GUID | THING_HAS_CAN,
     THING_ANSWERS_OBJECT,
     "ThingUUID",
     "Description",
     "Updated",
     {{"Query", MEMBER_TEXT}, {"Metadata", MEMBER_RAW}}},
    {OBJECT_PLAYBOOK,
     THING_HAS_GUID,
     THING_ANSWERS_UUID,
     "UUID",
     "Desc",
     "LastUpdated",
     {{"Body", MEMBER_BULK}, {"Metadata", MEMBER_BULK}, {"Author", MEMBER_OBJECT}}},
    {OBJECT_EXTRACTOR,
     0,
     THING_ANSWERS_UUID,
     "UUID",
     "Desc",
     "LastUpdated",
     {{"Module", MEMBER_TEXT},
      {"Tag", MEMBER_TEXT},
      {"Tags", MEMBER_RAW},
      {"Params", MEMBER_TEXT},
      {"Args", MEMBER_TEXT}}},
};

/* The context of a kind's routes. */
struct thing_context {
    struct webserver *webserver;
    const struct thing *thing;
    VEC(char *) paths;
};

/* ── Sharing ─────────────────────────────────────────────────────────────────────────────── */

void thing_add_sharing(json_t *json, const struct object *object, const char *gids_key)
{
    json_t *labels = json_array();
    for (size_t i = 0; i < object->label_count; i++) {
        json_array_append_new(labels, json_string(object->labels[i]));
    }
    json_object_set_new(json, "UID", json_integer(object->owner));
    json_object_set_new(json, gids_key, request_gids_json(&object->gids));
    json_object_set_new(json, "Global", json_boolean(object->global));
    json_object_set_new(json, "WriteAccess",
                        json_pack("{s:b, s:o}", "Global", object->write_global, "GIDs",
                                  request_gids_json(&object->write_gids)));
    json_object_set_new(json, "Labels", labels);
    json_object_set_new(json, "Synced", json_boolean(!object->dirty));
}

static bool same_gids(const struct object_gids *a, const struct object_gids *b)
{
    return a->count == b->count &&
           (a->count == 0 || memcmp(a->items, b->items, a->count * sizeof(*a->items)) == 0);
}

static void read_labels(const json_t *json, struct object *object)
{
    VEC(const char *) labels = {0};
    size_t index;
    json_t *item;
    json_array_foreach(request_member(json, "Labels"), index, item)
    {
        if (json_is_string(item)) {
            vec_push(&labels, json_string_value(item));
        }
    }
    object_set_labels(object, labels.items, labels.count);
    vec_deinit(&labels);
}

static int check_change(const struct object *object, const struct auth_user *asker,
                        enum object_verb verb, const char *what)
{
    if (!object_allows(object, &asker->principal, verb)) {
        return err_set(ERR_DENIED, "you may not change %s", what);
    }
    return 0;
}

/* A change of who may see or write it is a right of its own; sending what is there is not. */
static int read_access(const json_t *json, const struct auth_user *asker, const char *gids_key,
                       struct object *object)
{
    struct object_gids gids = {0};
    struct object_gids write_gids = {0};
    json_t *write_access = request_member(json, "WriteAccess");
    bool global = request_bool(json, "Global");
    bool write_global = request_bool(write_access, "Global");
    int rc = 0;
    request_gids(json, gids_key, &gids);
    request_gids(write_access, "GIDs", &write_gids);
    if (!same_gids(&gids, &object->gids) || !same_gids(&write_gids, &object->write_gids)) {
        rc = check_change(object, asker, OBJECT_SHARE, gids_key);
    }
    if (rc == 0 && (global != object->global || write_global != object->write_global)) {
        rc = check_change(object, asker, OBJECT_GLOBALIZE, "Global");
    }
    if (rc == 0) {
        object_set_gids(&object->gids, gids.items, gids.count);
        object_set_gids(&object->write_gids, write_gids.items, write_gids.count);
        object->global = global;
        object->write_global = write_global;
    }
    mem_free(gids.items);
    mem_free(write_gids.items);
    return rc;
}

int thing_read_sharing(const json_t *json, const struct auth_user *asker, const char *gids_key,
                       struct object *object)
{
    int rc = read_access(json, asker, gids_key, object);
    int64_t owner = request_int(json, "UID");
    if (rc == 0 && owner != 0 && owner != object->owner) {
        rc = check_change(object, asker, OBJECT_GIVE, "UID, the owner");
        object->owner = rc == 0 ? (int32_t)owner : object->owner;
    }
    read_labels(json, object);
    return rc;
}

/* ── JSON form ───────────────────────────────────────────────────────────────────────────── */

static void add_member(json_t *json, const struct object *object, const struct member *member)
{
    json_t *value = object_body(object, member->name);
    switch (member->type) {
    case MEMBER_TEXT:
        value = value == NULL ? json_string("") : json_incref(value);
        break;
    case MEMBER_BOOL:
        value = json_boolean(json_is_true(value));
        break;
    case MEMBER_OBJECT:
        value = value == NULL ? json_object() : json_incref(value);
        break;
    case MEMBER_RAW:
    case MEMBER_BULK:
        value = json_incref(value);
        break;
    }
    if (value != NULL) {
        json_object_set_new(json, member->name, value);
    }
}

static void add_members(json_t *json, const struct thing *thing, const struct object *object,
                        bool bulk)
{
    for (size_t i = 0; i < ARRAY_COUNT(thing->members) && thing->members[i].name != NULL; i++) {
        if (bulk || thing->members[i].type != MEMBER_BULK) {
            add_member(json, object, &thing->members[i]);
        }
    }
}

static json_t *thing_json(const struct thing *thing, const struct object *object,
                          const struct object_principal *asker, bool bulk)
{
    json_t *json = json_object();
    json_object_set_new(json, thing->id_key,
                        (thing->flags & THING_NUMBERED) != 0
                            ? json_integer((json_int_t)object->number)
                            : request_uuid_json(&object->id));
    if ((thing->flags & THING_NUMBERED) != 0) {
        json_object_set_new(json, "ThingUUID", request_uuid_json(&object->id)); /* for versions */
    }
    if ((thing->flags & THING_HAS_GUID) != 0) {
        json_object_set_new(json, "GUID", request_uuid_json(&object->guid));
    }
    json_object_set_new(json, "Name", json_string(object->name));
    json_object_set_new(json, thing->description_key, json_string(object->description));
    thing_add_sharing(json, object, "GIDs");
    if ((thing->flags & THING_HAS_CREATED) != 0) {
        json_object_set_new(json, "Created", request_time_json(object->created_ns));
    }
    json_object_set_new(json, thing->updated_key, request_time_json(object->updated_ns));
    json_object_set_new(json, "Change", request_uuid_json(&object->change));
    add_members(json, thing, object, bulk);
    if ((thing->flags & THING_HAS_CAN) != 0) {
        json_object_set_new(json, "Can",
                            json_pack("{s:b, s:b, s:b}", "Delete",
                                      object_allows(object, asker, OBJECT_DELETE), "Modify",
                                      object_allows(object, asker, OBJECT_UPDATE), "Share",
                                      object_allows(object, asker, OBJECT_SHARE)));
    }
    return json;
}

static int check_name(const struct thing *thing, const char *name)
{
    if (name[0] == 0) {
        return err_set(ERR_INVALID, "Name is needed");
    }
    if ((thing->flags & THING_STRICT_NAME) == 0) {
        return 0;
    }
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    if (name[strspn(name, allowed)] != 0) {
        return err_set(ERR_INVALID, "a %s's name has only A-Z, 0-9, _ and -",
                       object_kind_name(thing->kind));
    }
    return 0;
}

/* Updates replace everything: an absent member is an emptied one. */
static int read_thing(const struct thing *thing, const json_t *json, const struct auth_user *asker,
                      struct object *object)
{
    int rc = check_name(thing, request_text(json, "Name"));
    if (rc == 0 && thing->kind == OBJECT_EXTRACTOR) {
        rc = extractor_check(json);
    }
    if (rc == 0) {
        rc = thing_read_sharing(json, asker, "GIDs", object);
    }
    if (rc < 0) {
        return rc;
    }
    object_set_name(object, request_text(json, "Name"));
    object_set_description(object, request_text(json, thing->description_key));
    json_t *body = json_object();
    for (size_t i = 0; i < ARRAY_COUNT(thing->members) && thing->members[i].name != NULL; i++) {
        json_t *value = request_member(json, thing->members[i].name);
        bool fits = thing->members[i].type != MEMBER_TEXT || json_is_string(value);
        if (value != NULL && fits) {
            json_object_set(body, thing->members[i].name, value);
        } else if (value != NULL) {
            rc = err_set(ERR_INVALID, "%s: a string is expected", thing->members[i].name);
        }
    }
    object_set_body(object, body);
    return rc;
}

/* ── Lookup ──────────────────────────────────────────────────────────────────────────────── */

/* Own, then shared with a group, then global, then (admin mode) anybody's. */
static unsigned nearness(const struct object *object, const struct object_principal *asker)
{
    if (object->owner == asker->uid) {
        return 0;
    }
    return !object->global && object_allows(object, asker, OBJECT_READ) ? 1 : 2;
}

int thing_get(struct webserver *webserver, enum object_kind kind, const char *uuid,
              struct object **ret_object)
{
    struct uuid id;
    int rc = uuid_parse(span_of_str(uuid), &id) ? store_get(webserver->store, &id, ret_object)
                                                : STORE_ABSENT;
    if (rc == 0 && (*ret_object)->kind != kind) {
        object_free(ret_object);
        rc = STORE_ABSENT;
    }
    return rc;
}

int thing_get_by_guid(struct webserver *webserver, enum object_kind kind, const char *guid,
                      const struct object_principal *asker, struct object **ret_object)
{
    struct uuid uuid;
    struct object_list list = {0};
    struct store_query query = {.kind = kind, .principal = asker, .guid = &uuid};
    if (!uuid_parse(span_of_str(guid), &uuid)) {
        return STORE_ABSENT;
    }
    int rc = store_list(webserver->store, &query, &list);
    size_t best = 0;
    for (size_t i = 1; i < list.count; i++) {
        if (nearness(list.items[i], asker) < nearness(list.items[best], asker)) {
            best = i;
        }
    }
    if (rc == 0 && list.count == 0) {
        rc = STORE_ABSENT;
    } else if (rc == 0) {
        *ret_object = list.items[best];
        list.items[best] = NULL;
    }
    object_list_deinit(&list);
    return rc;
}

bool thing_found(struct http_request *request, int rc, enum object_kind kind, const char *id,
                 enum object_verb verb, struct object **object)
{
    const struct object_principal *asker = &auth_user(request)->principal;
    if (rc == STORE_ABSENT) {
        http_reply_error(request, 404, "there is no %s %.60s", object_kind_name(kind), id);
        return false;
    }
    if (rc < 0) {
        http_reply_fault(request, rc);
        return false;
    }
    if (object_allows(*object, asker, verb)) {
        return true;
    }
    if (object_allows(*object, asker, OBJECT_READ)) {
        http_reply_error(request, 403, "you may not %s this %s", object_verb_name(verb),
                         object_kind_name(kind));
    } else {
        http_reply_error(request, 403, "this %s is not shared with you", object_kind_name(kind));
    }
    object_free(object);
    return false;
}

struct lister {
    json_t *list;
    json_t *(*to_json)(const struct object *);
};

static int add_to_list(void *context, const struct object *object)
{
    struct lister *lister = context;
    json_array_append_new(lister->list, lister->to_json(object));
    return 0;
}

void thing_reply_list(struct http_request *request, struct webserver *webserver,
                      const struct store_query *query, json_t *(*to_json)(const struct object *))
{
    struct lister lister = {json_array(), to_json};
    struct store_query visible = *query;
    visible.principal = &auth_user(request)->principal;
    int rc = store_walk(webserver->store, &visible, add_to_list, &lister);
    if (rc < 0) {
        json_decref(lister.list);
        http_reply_fault(request, rc);
        return;
    }
    http_reply_json(request, 200, lister.list);
}

/* By number where the kind has one, else by uuid, then by guid; else a refusal was sent. */
static bool thing_of_id(struct http_request *request, const struct thing_context *context,
                        const char *id, enum object_verb verb, struct object **ret_object)
{
    struct webserver *webserver = context->webserver;
    enum object_kind kind = context->thing->kind;
    bool numbered = (context->thing->flags & THING_NUMBERED) != 0;
    uint64_t number;
    int rc = STORE_ABSENT;
    if (numbered && span_to_u64(span_of_str(id), &number)) {
        rc = store_get_by_number(webserver->store, kind, number, ret_object);
    } else if (!numbered) {
        rc = thing_get(webserver, kind, id, ret_object);
    }
    if (rc == STORE_ABSENT) {
        rc = thing_get_by_guid(webserver, kind, id, &auth_user(request)->principal, ret_object);
    }
    return thing_found(request, rc, kind, id, verb, ret_object);
}

static bool thing_of_path(struct http_request *request, const struct thing_context *context,
                          enum object_verb verb, struct object **ret_object)
{
    return thing_of_id(request, context, http_request_param(request, "id"), verb, ret_object);
}

/* ── Handlers ────────────────────────────────────────────────────────────────────────────── */

static void reply_list(struct http_request *request, const struct thing_context *context,
                       struct store_query query)
{
    const struct object_principal *asker = &auth_user(request)->principal;
    struct object_list list = {0};
    query.kind = context->thing->kind;
    query.principal = asker;
    int rc = store_list(context->webserver->store, &query, &list);
    if (rc < 0) {
        http_reply_fault(request, rc);
        return;
    }
    json_t *json = json_array();
    for (size_t i = 0; i < list.count; i++) {
        json_array_append_new(json, thing_json(context->thing, list.items[i], asker, false));
    }
    object_list_deinit(&list);
    http_reply_json(request, 200, json);
}

static void list_visible(struct http_request *request, void *context)
{
    reply_list(request, context, (struct store_query){0});
}

/* Everybody's for an admin; others get what they always see. */
static void list_all(struct http_request *request, void *context)
{
    struct auth_user *asker = http_request_user(request);
    asker->principal.admin_mode = asker->principal.admin;
    list_visible(request, context);
}

static void list_of_user(struct http_request *request, void *context)
{
    int64_t uid;
    struct auth_user *asker = http_request_user(request);
    if (request_number(request, "uid", &uid)) {
        asker->principal.admin_mode = asker->principal.admin;
        uid = uid == 0 ? asker->principal.uid : uid;
        reply_list(request, context, (struct store_query){.by_owner = true, .owner = (int32_t)uid});
    }
}

static void list_of_group(struct http_request *request, void *context)
{
    int64_t gid;
    if (request_number(request, "gid", &gid)) {
        reply_list(request, context, (struct store_query){.by_group = true, .gid = (int32_t)gid});
    }
}

static void get_one(struct http_request *request, void *context)
{
    const struct thing_context *things_context = context;
    struct object *object;
    if (thing_of_path(request, context, OBJECT_READ, &object)) {
        http_reply_json(
            request, 200,
            thing_json(things_context->thing, object, &auth_user(request)->principal, true));
        object_free(&object);
    }
}

static struct object *new_thing(const struct thing_context *context, int32_t owner)
{
    uint8_t random[16];
    struct io *io = context->webserver->io;
    struct object *object = object_new(context->thing->kind);
    io_random(io, random, sizeof(random));
    object->guid = uuid_of_random(random);
    object->owner = owner;
    if ((context->thing->flags & THING_NUMBERED) != 0) {
        io_random(io, random, sizeof(random));
        object->number = object_number_of_random(random);
    }
    return object;
}

/* Writes it and answers what creating this kind answers. */
static void save_new(struct http_request *request, const struct thing_context *context,
                     struct object *object)
{
    int rc = change_save(request, context->webserver, object);
    json_t *answer = NULL;
    switch (context->thing->created) {
    case THING_ANSWERS_NUMBER:
        answer = json_integer((json_int_t)object->number);
        break;
    case THING_ANSWERS_OBJECT:
        answer = thing_json(context->thing, object, &auth_user(request)->principal, true);
        break;
    case THING_ANSWERS_GUID:
        answer = request_uuid_json(&object->guid);
        break;
    case THING_ANSWERS_UUID:
        answer = request_uuid_json(&object->id);
        break;
    }
    change_reply(request, context->webserver, rc, answer);
}

static void create(struct http_request *request, void *context)
{
    const struct thing_context *things_context = context;
    const struct auth_user *asker = auth_user(request);
    json_t *json;
    if (!request_object(request, &json)) {
        return;
    }
    struct object *object = new_thing(context, asker->principal.uid);
    (void)request_uuid(json, "GUID", &object->guid);
    int rc = read_thing(things_context->thing, json, asker, object);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        save_new(request, context, object);
    }
    object_free(&object);
    json_decref(json);
}

static const struct thing *thing_of(enum object_kind kind)
{
    size_t i = 0;
    while (things[i].kind != kind) {
        i++;
        CHECK(i < ARRAY_COUNT(things));
    }
    return &things[i];
}

json_t *thing_to_json(const struct object *object, const struct object_principal *asker)
{
    return thing_json(thing_of(object->kind), object, asker, true);
}

int thing_make(struct http_request *request, struct webserver *webserver, enum object_kind kind,
               const json_t *json, struct object **ret_object)
{
    const struct auth_user *asker = auth_user(request);
    struct thing_context context = {.webserver = webserver, .thing = thing_of(kind)};
    struct object *object = new_thing(&context, asker->principal.uid);
    int rc = read_thing(context.thing, json, asker, object);
    rc = rc < 0 ? rc : change_save(request, webserver, object);
    if (rc < 0) {
        object_free(&object);
        return rc;
    }
    *ret_object = object;
    return rc;
}

/* Takes the object. A body that names the change it was made from replaces that one or nothing:
 * else it is 409, and whoever sent it still has theirs. */
static void save_changed(struct http_request *request, const struct thing_context *context,
                         struct object *object, const json_t *json)
{
    const struct auth_user *asker = auth_user(request);
    int rc = read_thing(context->thing, json, asker, object);
    (void)request_uuid(json, "Change", &object->change);
    if (rc == 0) {
        rc = change_save(request, context->webserver, object);
    }
    change_reply(request, context->webserver, rc,
                 thing_json(context->thing, object, &asker->principal, true));
    object_free(&object);
}

static void update(struct http_request *request, void *context)
{
    struct object *object;
    json_t *json;
    if (!thing_of_path(request, context, OBJECT_UPDATE, &object)) {
        return;
    }
    if (!request_object(request, &json)) {
        object_free(&object);
        return;
    }
    save_changed(request, context, object, json);
    json_decref(json);
}

/* Extractors are changed at their collection's path, named in the body. */
static void update_by_body(struct http_request *request, void *context)
{
    const struct thing_context *things_context = context;
    struct object *object;
    json_t *json;
    if (!request_object(request, &json)) {
        return;
    }
    if (thing_of_id(request, context, request_text(json, things_context->thing->id_key),
                    OBJECT_UPDATE, &object)) {
        save_changed(request, context, object, json);
    }
    json_decref(json);
}

static void delete_one(struct http_request *request, void *context)
{
    const struct thing_context *things_context = context;
    struct object *object;
    if (thing_of_path(request, context, OBJECT_DELETE, &object)) {
        int rc = change_delete(request, things_context->webserver, object);
        change_reply(request, things_context->webserver, rc, NULL);
        object_free(&object);
    }
}

/* The copy is the asker's own and shared with nobody. */
static void clone_one(struct http_request *request, void *context)
{
    struct object *object;
    if (!thing_of_path(request, context, OBJECT_READ, &object)) {
        return;
    }
    struct object *copy = new_thing(context, auth_user(request)->principal.uid);
    object_set_name(copy, object->name);
    object_set_description(copy, object->description);
    object_set_labels(copy, (const char *const *)object->labels, object->label_count);
    object_set_body(copy, json_deep_copy(object->body));
    save_new(request, context, copy);
    object_free(&copy);
    object_free(&object);
}

/* ── Routes ──────────────────────────────────────────────────────────────────────────────── */

static const struct {
    const char *method;
    const char *format; /* of the path, with the kind's name in it */
    http_handler handler;
} patterns[] = {
    {"GET", "/api/%s", list_visible},
    {"POST", "/api/%s", create},
    {"PUT", "/api/%s", update_by_body},
    {"GET", "/api/%s/all", list_all},
    {"GET", "/api/%s/{id}", get_one},
    {"PUT", "/api/%s/{id}", update},
    {"DELETE", "/api/%s/{id}", delete_one},
    {"GET", "/api/%s/{id}/clone", clone_one},
    {"GET", "/api/users/{uid}/%s", list_of_user},
    {"GET", "/api/groups/{gid}/%s", list_of_group},
};

static char *path_of(const char *format, const char *name)
{
    const char *place = strstr(format, "%s");
    return mem_printf("%.*s%s%s", (int)(place - format), format, name, place + 2);
}

struct http_routes *thing_tables(struct webserver *webserver, size_t *ret_count)
{
    struct http_routes *tables = mem_alloc_array(ARRAY_COUNT(things), sizeof(*tables));
    for (size_t i = 0; i < ARRAY_COUNT(things); i++) {
        struct thing_context *context = MEM_NEW(struct thing_context);
        struct http_route *routes = mem_alloc_array(ARRAY_COUNT(patterns), sizeof(*routes));
        context->webserver = webserver;
        context->thing = &things[i];
        for (size_t j = 0; j < ARRAY_COUNT(patterns); j++) {
            char *path = path_of(patterns[j].format, object_kind_info(things[i].kind)->path);
            vec_push(&context->paths, path);
            routes[j] = (struct http_route){patterns[j].method, path, patterns[j].handler, 0,
                                            THING_BODY_BYTES_MAX};
        }
        tables[i] = (struct http_routes){routes, ARRAY_COUNT(patterns), context};
    }
    *ret_count = ARRAY_COUNT(things);
    return tables;
}

void thing_free_tables(struct http_routes *tables, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct thing_context *context = tables[i].context;
        for (size_t j = 0; j < context->paths.count; j++) {
            mem_free(context->paths.items[j]);
        }
        vec_deinit(&context->paths);
        mem_free(context);
        mem_free((void *)(uintptr_t)tables[i].routes);
    }
    mem_free(tables);
}
