#include "webserver/request.h"

#include <inttypes.h>
#include <strings.h>

#include "base/time.h"
#include "base/vec.h"
#include "service/log.h"
#include "sync/sync.h"

static uint64_t wanted_revision(const struct http_request *request)
{
    const char *text = http_request_header(request, REQUEST_REVISION_HEADER);
    if (text == NULL) {
        text = http_request_cookie(request, REQUEST_REVISION_COOKIE);
    }
    uint64_t revision = 0;
    return span_to_u64(span_of_str(text), &revision) ? revision : 0;
}

void request_await_revision(struct http_request *request, const struct webserver *webserver)
{
    uint64_t revision = wanted_revision(request);
    if (revision > sync_revision(webserver->sync) &&
        sync_wait_revision(webserver->sync, revision, REQUEST_REVISION_WAIT_MS) < 0) {
        /* Late is better than never: the answer tells its own revision. */
        log_trace("revision-late", "answered before the feed had arrived", "path",
                  http_request_path(request), NULL);
    }
}

void request_tell_revision(struct http_request *request, const struct webserver *webserver)
{
    uint64_t revision = sync_revision_told(webserver->sync);
    struct arena *arena = http_request_arena(request);
    http_reply_header(request, REQUEST_REVISION_HEADER, arena_printf(arena, "%" PRIu64, revision));
    if (revision != wanted_revision(request)) {
        http_reply_header(request, "Set-Cookie",
                          arena_printf(arena, "%s=%" PRIu64 "; Path=/; SameSite=Strict; HttpOnly",
                                       REQUEST_REVISION_COOKIE, revision));
    }
}

bool request_object(struct http_request *request, json_t **ret_json)
{
    json_t *json;
    int rc = http_request_json(request, &json);
    if (rc == HTTP_JSON_EMPTY) {
        *ret_json = json_object();
        return true;
    }
    if (rc < 0) {
        http_reply_fault(request, rc);
        return false;
    }
    if (!json_is_object(json)) {
        json_decref(json);
        http_reply_error(request, 400, "the body must be a JSON object");
        return false;
    }
    *ret_json = json;
    return true;
}

void request_page(struct http_request *request, struct store_query *query)
{
    int64_t start = 0;
    int64_t end = 0;
    (void)span_to_i64(span_of_str(http_request_query(request, "start")), &start);
    if (span_to_i64(span_of_str(http_request_query(request, "end")), &end) && start >= 0 &&
        end > start) {
        query->skip = (size_t)start;
        query->limit = (size_t)(end - start);
    }
}

bool request_number(struct http_request *request, const char *param, int64_t *ret_number)
{
    const char *text = http_request_param(request, param);
    if (!span_to_i64(span_of_str(text), ret_number)) {
        http_reply_error(request, 404, "%.40s is not a number", text);
        return false;
    }
    return true;
}

json_t *request_member(const json_t *json, const char *key)
{
    json_t *found = json_object_get(json, key);
    const char *name;
    json_t *value;
    if (found == NULL) {
        json_object_foreach((json_t *)(uintptr_t)json, name, value)
        {
            if (found == NULL && strcasecmp(name, key) == 0) {
                found = value;
            }
        }
    }
    return json_is_null(found) ? NULL : found;
}

const char *request_text(const json_t *json, const char *key)
{
    const char *text = json_string_value(request_member(json, key));
    return text == NULL ? "" : text;
}

bool request_bool(const json_t *json, const char *key)
{
    return json_is_true(request_member(json, key));
}

int64_t request_int(const json_t *json, const char *key)
{
    return json_integer_value(request_member(json, key));
}

int64_t request_time(const json_t *json, const char *key)
{
    int64_t time_ns = TIME_UNSET;
    return time_parse(span_of_str(request_text(json, key)), &time_ns) ? time_ns : TIME_UNSET;
}

bool request_uuid(const json_t *json, const char *key, struct uuid *ret_uuid)
{
    struct uuid uuid;
    if (!uuid_parse(span_of_str(request_text(json, key)), &uuid) || uuid_is_zero(uuid)) {
        return false;
    }
    *ret_uuid = uuid;
    return true;
}

void request_gids(const json_t *json, const char *key, struct object_gids *gids)
{
    VEC(int32_t) items = {0};
    size_t index;
    json_t *item;
    json_array_foreach(request_member(json, key), index, item)
    {
        json_int_t gid = json_integer_value(item);
        if (gid > 0 && gid <= INT32_MAX) {
            vec_push(&items, (int32_t)gid);
        }
    }
    object_set_gids(gids, items.items, items.count);
    vec_deinit(&items);
}

json_t *request_gids_json(const struct object_gids *gids)
{
    if (gids->count == 0) {
        return json_null();
    }
    json_t *list = json_array();
    for (size_t i = 0; i < gids->count; i++) {
        json_array_append_new(list, json_integer(gids->items[i]));
    }
    return list;
}

json_t *request_time_json(int64_t time_ns)
{
    char text[TIME_TEXT_BYTES];
    return json_string(time_text(time_ns, text));
}

json_t *request_uuid_json(const struct uuid *uuid)
{
    char text[UUID_TEXT_BYTES];
    return json_string(uuid_text(*uuid, text));
}
