#include "webserver/file.h"

#include "store/store.h"
#include "sync/sync.h"
#include "webserver/account.h"
#include "webserver/auth.h"
#include "webserver/change.h"
#include "webserver/contents.h"
#include "webserver/request.h"
#include "webserver/thing.h"

static json_t *file_json(const struct object *file)
{
    json_t *json =
        json_pack("{s:o, s:o, s:I, s:s, s:s, s:s, s:o}", "GUID", request_uuid_json(&file->guid),
                  "ThingUUID", request_uuid_json(&file->id), "Size", (json_int_t)file->blob.bytes,
                  "Type", object_body_text(file, "Type"), "Name", file->name, "Desc",
                  file->description, "Updated", request_time_json(file->updated_ns));
    thing_add_sharing(json, file, "GIDs");
    return json;
}

/* By ThingUUID, then by GUID. */
static bool file_of_path(struct http_request *request, struct webserver *webserver,
                         enum object_verb verb, struct object **ret_file)
{
    const char *id = http_request_param(request, "id");
    int rc = thing_get(webserver, OBJECT_FILE, id, ret_file);
    if (rc == STORE_ABSENT) {
        rc =
            thing_get_by_guid(webserver, OBJECT_FILE, id, &auth_user(request)->principal, ret_file);
    }
    return thing_found(request, rc, OBJECT_FILE, id, verb, ret_file);
}

static void list_files(struct http_request *request, void *context)
{
    thing_reply_list(request, context, &(struct store_query){.kind = OBJECT_FILE}, file_json);
}

static int receive(struct http_request *request, struct webserver *webserver, struct object *file,
                   struct contents_fields *ret_fields)
{
    struct buf head = {0};
    int rc = contents_receive(request, webserver, FILE_BYTES_MAX, ret_fields, &file->blob);
    if (rc == 0) {
        rc = contents_head(webserver, &file->blob, 512, &head);
    }
    if (rc == 0) {
        object_set_body(file, json_pack("{s:s}", "Type", contents_sniff(buf_span(&head))));
    }
    buf_deinit(&head);
    return rc;
}

/* Metadata as JSON in the field `meta`, or as the fields name, desc and guid. */
static int read_fields(const struct contents_fields *fields, const struct auth_user *asker,
                       struct object *file)
{
    const char *meta = contents_field(fields, "meta");
    if (meta[0] == 0) {
        object_set_name(file, contents_field(fields, "name"));
        object_set_description(file, contents_field(fields, "desc"));
        (void)uuid_parse(span_of_str(contents_field(fields, "guid")), &file->guid);
        return 0;
    }
    json_t *json = json_loads(meta, 0, NULL);
    if (!json_is_object(json)) {
        json_decref(json);
        return err_set(ERR_INVALID, "the field meta is not a JSON object");
    }
    object_set_name(file, request_text(json, "Name"));
    object_set_description(file, request_text(json, "Desc"));
    (void)request_uuid(json, "GUID", &file->guid);
    int rc = thing_read_sharing(json, asker, "GIDs", file);
    json_decref(json);
    return rc;
}

static void save(struct http_request *request, struct webserver *webserver, struct object *file,
                 int rc)
{
    if (rc == 0) {
        rc = change_save(request, webserver, file);
    }
    change_reply(request, webserver, rc, file_json(file));
}

static void create_file(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct contents_fields fields = {0};
    uint8_t random[16];
    struct object *file = object_new(OBJECT_FILE);
    io_random(webserver->io, random, sizeof(random));
    file->guid = uuid_of_random(random);
    file->owner = auth_user(request)->principal.uid;
    int rc = receive(request, webserver, file, &fields);
    if (rc == 0) {
        rc = read_fields(&fields, auth_user(request), file);
    }
    save(request, webserver, file, rc);
    object_free(&file);
}

static void replace_contents(struct http_request *request, void *context)
{
    struct object *file;
    if (file_of_path(request, context, OBJECT_UPDATE, &file)) {
        save(request, context, file, receive(request, context, file, NULL));
        object_free(&file);
    }
}

static void update_details(struct http_request *request, void *context)
{
    struct object *file;
    json_t *json;
    if (!file_of_path(request, context, OBJECT_UPDATE, &file)) {
        return;
    }
    if (request_object(request, &json)) {
        object_set_name(file, request_text(json, "Name"));
        object_set_description(file, request_text(json, "Desc"));
        save(request, context, file, thing_read_sharing(json, auth_user(request), "GIDs", file));
        json_decref(json);
    }
    object_free(&file);
}

static void get_details(struct http_request *request, void *context)
{
    struct object *file;
    if (file_of_path(request, context, OBJECT_READ, &file)) {
        http_reply_json(request, 200, file_json(file));
        object_free(&file);
    }
}

/* Hostile files must not run as pages of this site, so the type is only told for pictures. */
static void get_file(struct http_request *request, void *context)
{
    struct object *file;
    if (file_of_path(request, context, OBJECT_READ, &file)) {
        const char *type = object_body_text(file, "Type");
        bool picture = span_starts_with(span_of_str(type), SPAN_LIT("image/"));
        contents_send(request, context, file, picture ? type : "application/octet-stream");
        object_free(&file);
    }
}

static void delete_file(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct object *file;
    if (file_of_path(request, context, OBJECT_DELETE, &file)) {
        int rc = change_delete(request, webserver, file);
        change_reply(request, webserver, rc, NULL);
        object_free(&file);
    }
}

const struct http_route file_routes[] = {
    {"GET", "/api/files", list_files, 0, 0},
    {"POST", "/api/files", create_file, HTTP_BODY_STREAM, 0},
    {"GET", "/api/files/{id}", get_file, 0, 0},
    {"PUT", "/api/files/{id}", replace_contents, HTTP_BODY_STREAM, 0},
    {"POST", "/api/files/{id}", replace_contents, HTTP_BODY_STREAM, 0},
    {"PATCH", "/api/files/{id}", update_details, 0, 0},
    {"GET", "/api/files/{id}/details", get_details, 0, 0},
    {"DELETE", "/api/files/{id}", delete_file, 0, 0},
};
const size_t file_route_count = ARRAY_COUNT(file_routes);
