/* Tested by tests/cluster/test_language.py. */
#include "webserver/extractor.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/store.h"
#include "webserver/auth.h"
#include "webserver/change.h"
#include "webserver/extractor_toml.h"
#include "webserver/request.h"
#include "webserver/thing.h"

/* ── Definitions ─────────────────────────────────────────────────────────────────────────── */

static void add_tag(struct query_extractor *extractor, const char *tag)
{
    if (tag != NULL && tag[0] != '\0' && extractor->tag_count < QUERY_EXTRACTOR_TAGS_MAX) {
        extractor->tags[extractor->tag_count++] = tag;
    }
}

void extractor_decode(const json_t *json, const char *name, struct query_extractor *ret_extractor)
{
    *ret_extractor = (struct query_extractor){.name = name,
                                              .module = request_text(json, "Module"),
                                              .params = request_text(json, "Params"),
                                              .args = request_text(json, "Args")};
    size_t i;
    json_t *tag;
    json_array_foreach(request_member(json, "Tags"), i, tag)
    {
        add_tag(ret_extractor, json_string_value(tag));
    }
    add_tag(ret_extractor, request_text(json, "Tag"));
}

int extractor_check(const json_t *json)
{
    struct query_extractor extractor;
    extractor_decode(json, request_text(json, "Name"), &extractor);
    return query_extractor_check(&extractor);
}

struct ranked {
    const struct object_principal *who;
    struct object *object;
};

static int rank_of(const struct object_principal *who, const struct object *object)
{
    return object->owner == who->uid ? 0 : !object->global ? 1 : 2;
}

static int compare(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;
    int order = rank_of(x->who, x->object) - rank_of(y->who, y->object);
    return order != 0 ? order : memcmp(&x->object->id, &y->object->id, sizeof(struct uuid));
}

int extractor_list(struct webserver *webserver, const struct object_principal *who,
                   struct object_list *ret_list)
{
    struct store_query query = {.kind = OBJECT_EXTRACTOR, .principal = who};
    int rc = store_list(webserver->store, &query, ret_list);
    if (rc < 0 || ret_list->count < 2) {
        return rc;
    }
    struct ranked *ranked = mem_alloc_array(ret_list->count, sizeof(*ranked));
    for (size_t i = 0; i < ret_list->count; i++) {
        ranked[i] = (struct ranked){who, ret_list->items[i]};
    }
    qsort(ranked, ret_list->count, sizeof(*ranked), compare);
    for (size_t i = 0; i < ret_list->count; i++) {
        ret_list->items[i] = ranked[i].object;
    }
    mem_free(ranked);
    return 0;
}

/* ── Answers ─────────────────────────────────────────────────────────────────────────────── */

static void add_field(void *context, struct span name)
{
    json_array_append_new(context, json_stringn((const char *)name.data, name.bytes));
}

/* The names of what it gives; NULL when it cannot be used, with a fault. */
static json_t *fields_of(const json_t *json, const char *name)
{
    struct query_extractor extractor;
    json_t *fields = json_array();
    extractor_decode(json, name, &extractor);
    if (query_extractor_fields(&extractor, add_field, fields) < 0) {
        json_decref(fields);
        return NULL;
    }
    return fields;
}

static void post_test(struct http_request *request, void *context)
{
    (void)context;
    json_t *json;
    if (!request_object(request, &json)) {
        return;
    }
    json_t *fields = fields_of(json, request_text(json, "Name"));
    if (fields == NULL) {
        http_reply_fault(request, ERR_INVALID);
    } else {
        http_reply_json(request, 200, json_pack("{s:o}", "Fields", fields));
    }
    json_decref(json);
}

static void get_engines(struct http_request *request, void *context)
{
    (void)context;
    json_t *list = json_array();
    for (size_t i = 0; query_extractor_engines[i] != NULL; i++) {
        json_array_append_new(list, json_string(query_extractor_engines[i]));
    }
    http_reply_json(request, 200, list);
}

static bool has_tag(const struct object *object, const char *tag)
{
    struct query_extractor extractor;
    extractor_decode(object->body, object->name, &extractor);
    for (size_t i = 0; i < extractor.tag_count; i++) {
        if (text_glob(span_of_str(extractor.tags[i]), span_of_str(tag)) ||
            strcmp(extractor.tags[i], tag) == 0) {
            return true;
        }
    }
    return false;
}

/* The definition that ax takes for a tag, with its fields. */
static void get_find(struct http_request *request, void *context)
{
    const struct object_principal *who = &auth_user(request)->principal;
    const char *tag = http_request_param(request, "tag");
    struct object_list list = {0};
    int rc = extractor_list(context, who, &list);
    size_t i = 0;
    while (rc == 0 && i < list.count && !has_tag(list.items[i], tag)) {
        i++;
    }
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else if (i == list.count) {
        http_reply_error(request, 404, "no extraction is defined for tag %.64s", tag);
    } else {
        json_t *json = thing_to_json(list.items[i], who);
        json_t *fields = fields_of(list.items[i]->body, list.items[i]->name);
        json_object_set_new(json, "Fields", fields == NULL ? json_array() : fields);
        http_reply_json(request, 200, json);
    }
    object_list_deinit(&list);
}

/* ── Files ───────────────────────────────────────────────────────────────────────────────── */

/* ?id=… of one definition; without it all. */
static void get_download(struct http_request *request, void *context)
{
    const struct object_principal *who = &auth_user(request)->principal;
    const char *id = http_request_query(request, "id");
    struct object_list list = {0};
    struct buf file = {0};
    int rc = extractor_list(context, who, &list);
    size_t found = 0;
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        char text[UUID_TEXT_BYTES];
        if (id == NULL || strcmp(uuid_text(list.items[i]->id, text), id) == 0) {
            json_t *json = thing_to_json(list.items[i], who);
            extractor_toml_write(json, &file);
            json_decref(json);
            found++;
        }
    }
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else if (found == 0 && id != NULL) {
        http_reply_error(request, 404, "there is no such definition");
    } else {
        http_reply_buf(request, 200, "application/toml", &file);
    }
    buf_deinit(&file);
    object_list_deinit(&list);
}

/* All are checked before one is made. */
static int make_all(struct http_request *request, struct webserver *webserver, const json_t *list,
                    json_t *answer)
{
    size_t i;
    json_t *json;
    int rc = 0;
    json_array_foreach(list, i, json)
    {
        if (request_text(json, "Name")[0] == '\0') {
            char name[32];
            (void)snprintf(name, sizeof(name), "extraction %zu", i + 1);
            json_object_set_new(json, "Name", json_string(name));
        }
        rc = rc < 0 ? rc : extractor_check(json);
    }
    json_array_foreach(list, i, json)
    {
        struct object *object = NULL;
        rc = rc < 0 ? rc : thing_make(request, webserver, OBJECT_EXTRACTOR, json, &object);
        if (rc >= 0) {
            json_array_append_new(answer, request_uuid_json(&object->id));
        }
        object_free(&object);
    }
    return rc;
}

static int read_part(struct http_request *request, const char **ret_text)
{
    struct http_multipart *form = NULL;
    struct http_part part;
    int rc = http_multipart_open(request, &form);
    while (rc == 0) {
        rc = http_multipart_next(form, &part);
        if (rc == 0 && (strcmp(part.name, "extraction") == 0 || strcmp(part.name, "file") == 0)) {
            return http_multipart_text(form, EXTRACTOR_TOML_BYTES_MAX, ret_text);
        }
    }
    return rc < 0 ? rc : err_set(ERR_INVALID, "the form has no part named extraction");
}

static void post_upload(struct http_request *request, void *context)
{
    const char *text = NULL;
    json_t *list = NULL;
    json_t *answer = json_array();
    int rc = read_part(request, &text);
    rc = rc < 0 ? rc : extractor_toml_read(span_of_str(text), &list);
    rc = rc < 0 ? rc : make_all(request, context, list, answer);
    if (rc < 0) {
        json_decref(answer);
        http_reply_fault(request, rc);
    } else {
        change_reply(request, context, rc, answer);
    }
    json_decref(list);
}

const struct http_route extractor_routes[] = {
    {"POST", "/api/autoextractors/test", post_test, 0, 0},
    {"POST", "/api/autoextractors/upload", post_upload, HTTP_BODY_STREAM, 0},
    {"GET", "/api/autoextractors/engines", get_engines, 0, 0},
    {"GET", "/api/autoextractors/download", get_download, 0, 0},
    {"GET", "/api/autoextractors/find/{tag}", get_find, 0, 0},
};
const size_t extractor_route_count = ARRAY_COUNT(extractor_routes);
