#include "webserver/resource.h"

#include "base/mem.h"
#include "base/text.h"
#include "conf/conf.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/account.h"
#include "webserver/auth.h"
#include "webserver/change.h"
#include "webserver/contents.h"
#include "webserver/request.h"
#include "webserver/thing.h"

/* ── JSON form ───────────────────────────────────────────────────────────────────────────── */

static json_t *resource_json(const struct object *resource)
{
    struct buf hash = {0};
    if (resource->blob.present) {
        text_base64(&hash, span_of(resource->blob.sha256, sizeof(resource->blob.sha256)));
    }
    json_t *json = json_pack("{s:o, s:I, s:o, s:I, s:s, s:s, s:I, s:s}", "GUID",
                             request_uuid_json(&resource->id), "Domain",
                             (json_int_t)object_body_int(resource, "Domain"), "LastModified",
                             request_time_json(resource->updated_ns), "VersionNumber",
                             (json_int_t)object_body_int(resource, "VersionNumber"), "ResourceName",
                             resource->name, "Description", resource->description, "Size",
                             (json_int_t)resource->blob.bytes, "Hash", buf_str(&hash));
    thing_add_sharing(json, resource, "GroupACL");
    buf_deinit(&hash);
    return json;
}

static int read_metadata(const json_t *json, const struct auth_user *asker, struct object *resource)
{
    if (request_text(json, "ResourceName")[0] == 0) {
        return err_set(ERR_INVALID, "ResourceName is needed");
    }
    object_set_name(resource, request_text(json, "ResourceName"));
    object_set_description(resource, request_text(json, "Description"));
    return thing_read_sharing(json, asker, "GroupACL", resource);
}

/* ── Lookup ──────────────────────────────────────────────────────────────────────────────── */

static int first_match(const struct webserver *webserver, struct store_query query,
                       struct object **ret_resource)
{
    struct object_list list = {0};
    query.kind = OBJECT_RESOURCE;
    query.limit = 1;
    int rc = store_list(webserver->store, &query, &list);
    if (rc == 0 && list.count == 0) {
        rc = STORE_ABSENT;
    }
    if (rc == 0) {
        *ret_resource = list.items[0];
        list.items[0] = NULL;
    }
    object_list_deinit(&list);
    return rc;
}

static bool is_global(void *context, const struct object *resource)
{
    (void)context;
    return resource->global;
}

static bool is_shared_by_group(void *context, const struct object *resource)
{
    const struct object_principal *asker = context;
    for (size_t i = 0; i < asker->gid_count; i++) {
        if (object_gids_have(&resource->gids, asker->gids[i]) ||
            object_gids_have(&resource->write_gids, asker->gids[i])) {
            return true;
        }
    }
    return false;
}

/* "user=ann:name" and "group=soc:name". */
static int in_namespace(const struct webserver *webserver, const struct object_principal *asker,
                        struct span space, const char *name, struct object **ret_resource)
{
    bool of_user = span_starts_with(space, SPAN_LIT("user="));
    struct span rest = span_from(space, of_user ? strlen("user=") : strlen("group="));
    char *owner = mem_strndup((const char *)rest.data, rest.bytes);
    struct object *found = NULL;
    int rc = store_get_by_name(webserver->store, of_user ? OBJECT_USER : OBJECT_GROUP, -1, owner,
                               &found);
    mem_free(owner);
    if (rc == 0) {
        rc = first_match(webserver,
                         (struct store_query){.principal = asker,
                                              .name = name,
                                              .by_owner = of_user,
                                              .owner = (int32_t)found->number,
                                              .by_group = !of_user,
                                              .gid = (int32_t)found->number},
                         ret_resource);
        object_free(&found);
    }
    return rc;
}

int resource_resolve(struct webserver *webserver, const struct object_principal *asker,
                     const char *text, struct object **ret_resource)
{
    struct uuid id;
    if (uuid_parse(span_of_str(text), &id)) {
        return thing_get(webserver, OBJECT_RESOURCE, text, ret_resource);
    }
    struct span rest = span_of_str(text);
    struct span space;
    (void)span_split(&rest, ':', &space);
    const char *name = (const char *)rest.data;
    struct store_query global = {.principal = asker, .filter = is_global};
    if (rest.data != NULL && span_equal_str(space, "GLOBAL")) {
        global.name = name;
        return first_match(webserver, global, ret_resource);
    }
    if (rest.data != NULL && (span_starts_with(space, SPAN_LIT("user=")) ||
                              span_starts_with(space, SPAN_LIT("group=")))) {
        return in_namespace(webserver, asker, space, name, ret_resource);
    }
    struct store_query own = {
        .principal = asker, .name = text, .by_owner = true, .owner = asker->uid};
    int rc = first_match(webserver, own, ret_resource);
    if (rc == STORE_ABSENT) {
        struct store_query shared = {.principal = asker,
                                     .name = text,
                                     .filter = is_shared_by_group,
                                     .context = (void *)(uintptr_t)asker};
        rc = first_match(webserver, shared, ret_resource);
    }
    if (rc == STORE_ABSENT) {
        global.name = text;
        rc = first_match(webserver, global, ret_resource);
    }
    return rc;
}

static bool resource_of_path(struct http_request *request, struct webserver *webserver,
                             enum object_verb verb, struct object **ret_resource)
{
    const char *id = http_request_param(request, "guid");
    int rc = resource_resolve(webserver, &auth_user(request)->principal, id, ret_resource);
    return thing_found(request, rc, OBJECT_RESOURCE, id, verb, ret_resource);
}

/* ── Metadata ────────────────────────────────────────────────────────────────────────────── */

static void list_resources(struct http_request *request, void *context)
{
    thing_reply_list(request, context, &(struct store_query){.kind = OBJECT_RESOURCE},
                     resource_json);
}

static void save(struct http_request *request, struct webserver *webserver, struct object *resource)
{
    int rc = change_save(request, webserver, resource);
    change_reply(request, webserver, rc, resource_json(resource));
}

static void create_resource(struct http_request *request, void *context)
{
    json_t *json;
    if (!request_object(request, &json)) {
        return;
    }
    const struct webserver *webserver = context;
    struct object *resource = object_new(OBJECT_RESOURCE);
    resource->owner = auth_user(request)->principal.uid;
    object_set_body(
        resource, json_pack("{s:I, s:i}", "Domain",
                            (json_int_t)conf_int(webserver->conf, CONF_GLOBAL, "Webserver-Domain"),
                            "VersionNumber", 0));
    int rc = read_metadata(json, auth_user(request), resource);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        save(request, context, resource);
    }
    object_free(&resource);
    json_decref(json);
}

static void get_resource(struct http_request *request, void *context)
{
    struct object *resource;
    if (resource_of_path(request, context, OBJECT_READ, &resource)) {
        http_reply_json(request, 200, resource_json(resource));
        object_free(&resource);
    }
}

static void update_resource(struct http_request *request, void *context)
{
    struct object *resource;
    json_t *json;
    if (!resource_of_path(request, context, OBJECT_UPDATE, &resource)) {
        return;
    }
    if (request_object(request, &json)) {
        int rc = read_metadata(json, auth_user(request), resource);
        if (rc < 0) {
            http_reply_fault(request, rc);
        } else {
            save(request, context, resource);
        }
        json_decref(json);
    }
    object_free(&resource);
}

static void delete_resource(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object *resource;
    if (resource_of_path(request, context, OBJECT_DELETE, &resource)) {
        int rc = change_delete(request, webserver, resource);
        change_reply(request, webserver, rc, NULL);
        object_free(&resource);
    }
}

static void clone_resource(struct http_request *request, void *context)
{
    struct object *resource;
    json_t *json;
    if (!resource_of_path(request, context, OBJECT_READ, &resource)) {
        return;
    }
    if (request_object(request, &json)) {
        struct object *copy = object_new(OBJECT_RESOURCE);
        const char *name = request_text(json, "Name");
        copy->owner = auth_user(request)->principal.uid;
        copy->blob = resource->blob;
        object_set_name(copy, name[0] == 0 ? resource->name : name);
        object_set_description(copy, resource->description);
        object_set_body(copy, json_deep_copy(resource->body));
        save(request, context, copy);
        object_free(&copy);
        json_decref(json);
    }
    object_free(&resource);
}

static void lookup_resource(struct http_request *request, void *context)
{
    struct object *resource = NULL;
    const struct object_principal *asker = &auth_user(request)->principal;
    int rc = resource_resolve(context, asker, http_request_param(request, "name"), &resource);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else if (rc == STORE_ABSENT || !object_allows(resource, asker, OBJECT_READ)) {
        http_reply_error(request, 404, "there is no such resource");
    } else {
        http_reply_json(request, 200, request_uuid_json(&resource->id));
    }
    object_free(&resource);
}

/* ── Contents ────────────────────────────────────────────────────────────────────────────── */

static void put_contents(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object *resource;
    if (!resource_of_path(request, context, OBJECT_UPDATE, &resource)) {
        return;
    }
    uint64_t bytes_max = (uint64_t)conf_int(webserver->conf, CONF_GLOBAL, "Resource-Max-Size");
    int rc = contents_receive(request, webserver, bytes_max, NULL, &resource->blob);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        int64_t version = object_body_int(resource, "VersionNumber") + 1;
        json_object_set_new(resource->body, "VersionNumber", json_integer(version));
        save(request, webserver, resource);
    }
    object_free(&resource);
}

static void get_contents(struct http_request *request, void *context)
{
    struct object *resource;
    if (resource_of_path(request, context, OBJECT_READ, &resource)) {
        contents_send(request, context, resource, "application/octet-stream");
        object_free(&resource);
    }
}

/* The type and the first bytes, 512 unless asked otherwise. */
static void get_content_type(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object *resource;
    int64_t bytes = 512;
    if (!resource_of_path(request, context, OBJECT_READ, &resource)) {
        return;
    }
    (void)span_to_i64(span_of_str(http_request_query(request, "bytes")), &bytes);
    bytes = bytes < 128 ? 128 : bytes > 65536 ? 65536 : bytes;
    struct buf head = {0};
    struct buf base64 = {0};
    int rc = contents_head(webserver, &resource->blob, (size_t)bytes, &head);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        text_base64(&base64, buf_span(&head));
        http_reply_json(request, 200,
                        json_pack("{s:s, s:s}", "ContentType", contents_sniff(buf_span(&head)),
                                  "Body", buf_str(&base64)));
    }
    buf_deinit(&head);
    buf_deinit(&base64);
    object_free(&resource);
}

const struct http_route resource_routes[] = {
    {"GET", "/api/resources", list_resources, 0, 0},
    {"POST", "/api/resources", create_resource, 0, 0},
    {"GET", "/api/resources/{guid}", get_resource, 0, 0},
    {"PUT", "/api/resources/{guid}", update_resource, 0, 0},
    {"DELETE", "/api/resources/{guid}", delete_resource, 0, 0},
    {"PUT", "/api/resources/{guid}/raw", put_contents, HTTP_BODY_STREAM, 0},
    {"GET", "/api/resources/{guid}/raw", get_contents, 0, 0},
    {"GET", "/api/resources/{guid}/contenttype", get_content_type, 0, 0},
    {"POST", "/api/resources/{guid}/clone", clone_resource, 0, 0},
    {"GET", "/api/resources/lookup/{name}", lookup_resource, 0, 0},
};
const size_t resource_route_count = ARRAY_COUNT(resource_routes);
