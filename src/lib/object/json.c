#include "object/object.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "base/vec.h"

/* ---- to JSON ---- */

static json_t *uuid_to_json(struct uuid uuid)
{
    char text[UUID_TEXT_BYTES];
    return json_string(uuid_text(uuid, text));
}

static json_t *gids_to_json(const struct object_gids *gids)
{
    json_t *list = json_array();
    for (size_t i = 0; i < gids->count; i++) {
        json_array_append_new(list, json_integer(gids->items[i]));
    }
    return list;
}

static json_t *time_to_json(int64_t time_ns)
{
    char text[TIME_TEXT_BYTES];
    return json_string(time_text(time_ns, text));
}

static json_t *blob_to_json(const struct object_blob *blob)
{
    struct buf hex = {0};
    text_hex(&hex, span_of(blob->sha256, sizeof(blob->sha256)));
    json_t *json =
        json_pack("{s:s, s:I}", "sha256", buf_str(&hex), "bytes", (json_int_t)blob->bytes);
    buf_deinit(&hex);
    return json;
}

static json_t *stamp_to_json(struct object_stamp stamp)
{
    return json_pack("{s:o, s:I}", "epoch", uuid_to_json(stamp.epoch), "revision",
                     (json_int_t)stamp.revision);
}

static json_t *uuids_to_json(const struct uuid *uuids, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, uuid_to_json(uuids[i]));
    }
    return list;
}

static void set_flag(json_t *json, const char *key, bool value)
{
    if (value) {
        json_object_set_new(json, key, json_true());
    }
}

/* What sync/ needs; left out while it says nothing. */
static void add_sync_fields(json_t *json, const struct object *object)
{
    json_object_set_new(json, "revision", json_integer((json_int_t)object->revision));
    json_object_set_new(json, "base", json_integer((json_int_t)object->base_revision));
    json_object_set_new(json, "change", uuid_to_json(object->change));
    set_flag(json, "deleted", object->deleted);
    set_flag(json, "stamped", object->stamped);
    set_flag(json, "edited", object->edited);
    if (object->rescue) {
        json_object_set_new(json, "rescue", stamp_to_json(object->rescue_stamp));
    }
    if (object->stamp_count > 0) {
        json_t *list = json_array();
        for (size_t i = 0; i < object->stamp_count; i++) {
            json_array_append_new(list, stamp_to_json(object->stamps[i]));
        }
        json_object_set_new(json, "stamps", list);
    }
    if (object->over_count > 0) {
        json_object_set_new(json, "over", uuids_to_json(object->over, object->over_count));
    }
    if (object->past_count > 0) {
        json_object_set_new(json, "past", uuids_to_json(object->past, object->past_count));
    }
}

json_t *object_to_json(const struct object *object)
{
    json_t *json = json_object();
    json_object_set_new(json, "kind", json_string(object_kind_name(object->kind)));
    json_object_set_new(json, "id", uuid_to_json(object->id));
    if (object->number != 0) {
        json_object_set_new(json, "number", json_integer((json_int_t)object->number));
    }
    if (!uuid_is_zero(object->guid)) {
        json_object_set_new(json, "guid", uuid_to_json(object->guid));
    }
    json_object_set_new(json, "owner", json_integer(object->owner));
    json_object_set_new(json, "gids", gids_to_json(&object->gids));
    json_object_set_new(json, "global", json_boolean(object->global));
    json_object_set_new(json, "write",
                        json_pack("{s:b, s:o}", "global", object->write_global, "gids",
                                  gids_to_json(&object->write_gids)));
    json_t *labels = json_array();
    for (size_t i = 0; i < object->label_count; i++) {
        json_array_append_new(labels, json_string(object->labels[i]));
    }
    json_object_set_new(json, "labels", labels);
    json_object_set_new(json, "name", json_string(object->name));
    json_object_set_new(json, "description", json_string(object->description));
    json_object_set_new(json, "body",
                        object->body == NULL ? json_object() : json_incref(object->body));
    if (object->blob.present) {
        json_object_set_new(json, "blob", blob_to_json(&object->blob));
    }
    json_object_set_new(json, "created", time_to_json(object->created_ns));
    json_object_set_new(json, "updated", time_to_json(object->updated_ns));
    add_sync_fields(json, object);
    return json;
}

/* ---- from JSON: the error sticks, it is looked at once ---- */

struct reader {
    const json_t *json;
    int rc; /* the first fault; getters do nothing from then on */
};

static json_t *member(struct reader *reader, const char *key, bool (*is)(const json_t *),
                      const char *expected)
{
    json_t *value = reader->rc < 0 ? NULL : json_object_get(reader->json, key);
    if (value == NULL || json_is_null(value)) {
        return NULL;
    }
    if (!is(value)) {
        reader->rc = err_set(ERR_INVALID, "%s: %s is expected", key, expected);
        return NULL;
    }
    return value;
}

static bool is_string(const json_t *json)
{
    return json_is_string(json);
}

static bool is_integer(const json_t *json)
{
    return json_is_integer(json);
}

static bool is_boolean(const json_t *json)
{
    return json_is_boolean(json);
}

static bool is_array(const json_t *json)
{
    return json_is_array(json);
}

static bool is_object(const json_t *json)
{
    return json_is_object(json);
}

static int64_t get_int(struct reader *reader, const char *key, int64_t low, int64_t high)
{
    int64_t value = json_integer_value(member(reader, key, is_integer, "an integer"));
    if (reader->rc == 0 && (value < low || value > high)) {
        reader->rc = err_set(ERR_INVALID, "%s: %" PRId64 " is not within %" PRId64 "..%" PRId64,
                             key, value, low, high);
        return 0;
    }
    return value;
}

static uint64_t get_count(struct reader *reader, const char *key)
{
    return (uint64_t)get_int(reader, key, 0, INT64_MAX);
}

static bool get_bool(struct reader *reader, const char *key)
{
    return json_is_true(member(reader, key, is_boolean, "true or false"));
}

static const char *get_text(struct reader *reader, const char *key)
{
    const char *text = json_string_value(member(reader, key, is_string, "a string"));
    return text == NULL ? "" : text;
}

static struct uuid uuid_of_json(struct reader *reader, const char *key, const json_t *json)
{
    struct uuid uuid = {0};
    if (json_is_string(json) &&
        uuid_parse(span_of(json_string_value(json), json_string_length(json)), &uuid)) {
        return uuid;
    }
    if (reader->rc == 0) {
        reader->rc = err_set(ERR_INVALID, "%s: a UUID is expected", key);
    }
    return (struct uuid){0};
}

static struct uuid get_uuid(struct reader *reader, const char *key)
{
    json_t *value = member(reader, key, is_string, "a UUID");
    return value == NULL ? (struct uuid){0} : uuid_of_json(reader, key, value);
}

static int64_t get_time(struct reader *reader, const char *key)
{
    const char *text = get_text(reader, key);
    int64_t time_ns = TIME_UNSET;
    if (text[0] != 0 && !time_parse(span_of_str(text), &time_ns)) {
        reader->rc = err_set(ERR_INVALID, "%s: an RFC 3339 time is expected", key);
    }
    return time_ns;
}

static void get_gids(struct reader *reader, const char *key, struct object_gids *gids)
{
    json_t *list = member(reader, key, is_array, "a list of group ids");
    VEC(int32_t) items = {0};
    for (size_t i = 0; reader->rc == 0 && i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        int64_t gid = json_integer_value(item);
        if (!json_is_integer(item) || gid < INT32_MIN || gid > INT32_MAX) {
            reader->rc = err_set(ERR_INVALID, "%s[%zu]: an integer is expected", key, i);
            break;
        }
        vec_push(&items, (int32_t)gid);
    }
    object_set_gids(gids, items.items, items.count);
    vec_deinit(&items);
}

static void get_labels(struct reader *reader, struct object *object)
{
    json_t *list = member(reader, "labels", is_array, "a list of strings");
    VEC(const char *) labels = {0};
    for (size_t i = 0; reader->rc == 0 && i < json_array_size(list); i++) {
        const char *label = json_string_value(json_array_get(list, i));
        if (label == NULL) {
            reader->rc = err_set(ERR_INVALID, "labels[%zu]: a string is expected", i);
            break;
        }
        vec_push(&labels, label);
    }
    object_set_labels(object, labels.items, labels.count);
    vec_deinit(&labels);
}

static void get_write(struct reader *reader, struct object *object)
{
    json_t *write = member(reader, "write", is_object, "an object");
    struct reader inner = {write, reader->rc};
    if (write == NULL) {
        return;
    }
    object->write_global = get_bool(&inner, "global");
    get_gids(&inner, "gids", &object->write_gids);
    reader->rc = inner.rc < 0 && reader->rc == 0 ? err_wrap(inner.rc, "write") : inner.rc;
}

static void get_blob(struct reader *reader, struct object *object)
{
    json_t *blob = member(reader, "blob", is_object, "an object");
    if (blob == NULL) {
        return;
    }
    struct reader inner = {blob, reader->rc};
    const char *hex = get_text(&inner, "sha256");
    object->blob.bytes = get_count(&inner, "bytes");
    struct buf bytes = {0};
    if (inner.rc == 0 &&
        (!text_unhex(&bytes, span_of_str(hex)) || bytes.bytes != sizeof(object->blob.sha256))) {
        inner.rc = err_set(ERR_INVALID, "sha256: 64 hexadecimal digits are expected");
    }
    if (inner.rc < 0) {
        reader->rc = err_wrap(inner.rc, "blob");
    } else {
        memcpy(object->blob.sha256, bytes.data, sizeof(object->blob.sha256));
        object->blob.present = true;
    }
    buf_deinit(&bytes);
}

static struct object_stamp stamp_of_json(struct reader *reader, const char *key, const json_t *json)
{
    struct reader inner = {json, reader->rc};
    struct object_stamp stamp = {get_uuid(&inner, "epoch"), get_count(&inner, "revision")};
    if (inner.rc < 0 && reader->rc == 0) {
        reader->rc = err_wrap(inner.rc, "%s", key);
    }
    return stamp;
}

static void get_stamps(struct reader *reader, struct object *object)
{
    json_t *list = member(reader, "stamps", is_array, "a list");
    size_t count = json_array_size(list);
    if (count > OBJECT_STAMPS_MAX) {
        reader->rc =
            err_set(ERR_TOO_LARGE, "stamps: %zu, at most %d are allowed", count, OBJECT_STAMPS_MAX);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        object->stamps[i] = stamp_of_json(reader, "stamps", json_array_get(list, i));
    }
    object->stamp_count = count;
}

static size_t get_uuids(struct reader *reader, const char *key, struct uuid *uuids, size_t max)
{
    json_t *list = member(reader, key, is_array, "a list");
    size_t count = json_array_size(list);
    if (count > max) {
        reader->rc = err_set(ERR_TOO_LARGE, "%s: %zu, at most %zu are allowed", key, count, max);
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        uuids[i] = uuid_of_json(reader, key, json_array_get(list, i));
    }
    return count;
}

static void get_sync_fields(struct reader *reader, struct object *object)
{
    object->revision = get_count(reader, "revision");
    object->base_revision = get_count(reader, "base");
    object->change = get_uuid(reader, "change");
    object->deleted = get_bool(reader, "deleted");
    object->stamped = get_bool(reader, "stamped");
    object->edited = get_bool(reader, "edited");
    json_t *rescue = member(reader, "rescue", is_object, "an object");
    if (rescue != NULL) {
        object->rescue = true;
        object->rescue_stamp = stamp_of_json(reader, "rescue", rescue);
    }
    get_stamps(reader, object);
    object->over_count = get_uuids(reader, "over", object->over, OBJECT_OVER_MAX);
    object->past_count = get_uuids(reader, "past", object->past, OBJECT_PAST_MAX);
}

static void read_object(struct reader *reader, struct object *object)
{
    object->id = get_uuid(reader, "id");
    object->number = get_count(reader, "number");
    object->guid = get_uuid(reader, "guid");
    object->owner = (int32_t)get_int(reader, "owner", INT32_MIN, INT32_MAX);
    get_gids(reader, "gids", &object->gids);
    object->global = get_bool(reader, "global");
    get_write(reader, object);
    get_labels(reader, object);
    object_set_name(object, get_text(reader, "name"));
    object_set_description(object, get_text(reader, "description"));
    json_t *body = member(reader, "body", is_object, "an object");
    object_set_body(object, json_object_size(body) == 0 ? NULL : json_incref(body));
    get_blob(reader, object);
    object->created_ns = get_time(reader, "created");
    object->updated_ns = get_time(reader, "updated");
    get_sync_fields(reader, object);
    if (reader->rc == 0 && uuid_is_zero(object->id)) {
        reader->rc = err_set(ERR_INVALID, "id: missing");
    }
}

int object_from_json(const json_t *json, struct object **ret_object)
{
    if (!json_is_object(json)) {
        return err_set(ERR_INVALID, "an object is expected");
    }
    struct reader reader = {json, 0};
    const char *kind = get_text(&reader, "kind");
    if (reader.rc < 0) {
        return reader.rc;
    }
    const struct object_kind_info *info = object_kind_by_name(span_of_str(kind));
    if (info == NULL) {
        return err_set(ERR_UNSUPPORTED, "kind: \"%.64s\" is not known", kind);
    }
    struct object *object = object_new(info->kind);
    read_object(&reader, object);
    if (reader.rc < 0) {
        object_free(&object);
        return reader.rc;
    }
    *ret_object = object;
    return 0;
}
