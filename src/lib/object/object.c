#include "object/object.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"

struct object *object_new(enum object_kind kind)
{
    struct object *object = MEM_NEW(struct object);
    object->kind = kind;
    object->name = mem_strdup("");
    object->description = mem_strdup("");
    return object;
}

static void free_labels(struct object *object)
{
    for (size_t i = 0; i < object->label_count; i++) {
        mem_free(object->labels[i]);
    }
    mem_free(object->labels);
    object->labels = NULL;
    object->label_count = 0;
}

void object_free(struct object **object)
{
    if (*object == NULL) {
        return;
    }
    free_labels(*object);
    mem_free((*object)->gids.items);
    mem_free((*object)->write_gids.items);
    mem_free((*object)->name);
    mem_free((*object)->description);
    json_decref((*object)->body);
    mem_free(*object);
    *object = NULL;
}

struct object *object_clone(const struct object *object)
{
    struct object *copy = mem_dup(object, sizeof(*object));
    copy->gids = copy->write_gids = (struct object_gids){0};
    object_set_gids(&copy->gids, object->gids.items, object->gids.count);
    object_set_gids(&copy->write_gids, object->write_gids.items, object->write_gids.count);
    copy->labels = NULL;
    copy->label_count = 0;
    object_set_labels(copy, (const char *const *)object->labels, object->label_count);
    copy->name = mem_strdup(object->name);
    copy->description = mem_strdup(object->description);
    copy->body = object->body == NULL ? NULL : json_deep_copy(object->body);
    return copy;
}

static void replace_text(char **text, const char *by)
{
    char *copy = mem_strdup(by);
    mem_free(*text);
    *text = copy;
}

void object_set_name(struct object *object, const char *name)
{
    replace_text(&object->name, name);
}

void object_set_description(struct object *object, const char *description)
{
    replace_text(&object->description, description);
}

void object_set_gids(struct object_gids *gids, const int32_t *items, size_t count)
{
    int32_t *copy = count == 0 ? NULL : mem_dup(items, count * sizeof(*items));
    mem_free(gids->items);
    *gids = (struct object_gids){copy, count};
}

void object_set_labels(struct object *object, const char *const *labels, size_t count)
{
    char **copy = count == 0 ? NULL : mem_alloc_array(count, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        copy[i] = mem_strdup(labels[i]);
    }
    free_labels(object);
    object->labels = copy;
    object->label_count = count;
}

void object_set_body(struct object *object, json_t *body)
{
    json_decref(object->body);
    object->body = body;
}

bool object_gids_have(const struct object_gids *gids, int32_t gid)
{
    for (size_t i = 0; i < gids->count; i++) {
        if (gids->items[i] == gid) {
            return true;
        }
    }
    return false;
}

json_t *object_body(const struct object *object, const char *key)
{
    return json_object_get(object->body, key);
}

const char *object_body_text(const struct object *object, const char *key)
{
    const char *text = json_string_value(object_body(object, key));
    return text == NULL ? "" : text;
}

bool object_body_bool(const struct object *object, const char *key)
{
    return json_is_true(object_body(object, key));
}

int64_t object_body_int(const struct object *object, const char *key)
{
    return json_integer_value(object_body(object, key));
}

void object_bury(struct object *object)
{
    object->deleted = true;
    object->global = object->write_global = false;
    object_set_gids(&object->gids, NULL, 0);
    object_set_gids(&object->write_gids, NULL, 0);
    free_labels(object);
    object_set_description(object, "");
    object_set_body(object, NULL);
    object->blob = (struct object_blob){0};
}

static struct uuid id_of_text(const char *text)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256(hash, (const uint8_t *)text, strlen(text));
    struct uuid id = uuid_of_random(hash);
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x80); /* version 8: made by a rule of ours */
    return id;
}

struct uuid object_id_of_number(enum object_kind kind, uint64_t number)
{
    char text[96];
    snprintf(text, sizeof(text), "aquifer:%s:%" PRIu64, object_kind_name(kind), number);
    return id_of_text(text);
}

struct uuid object_id_of_name(enum object_kind kind, int32_t owner, const char *name)
{
    char *text = mem_printf("aquifer:%s:%" PRId32 ":%s", object_kind_name(kind), owner, name);
    struct uuid id = id_of_text(text);
    mem_free(text);
    return id;
}

uint64_t object_number_of_random(const uint8_t random[8])
{
    uint64_t number = 0;
    for (size_t i = 0; i < 8; i++) {
        number = (number << 8) | random[i];
    }
    uint64_t low = UINT64_C(1) << 32;
    return low + number % (OBJECT_NUMBER_MAX - low);
}

/* ---- validation ---- */

static bool needs_name(enum object_kind kind)
{
    switch (kind) {
    case OBJECT_USER:
    case OBJECT_GROUP:
    case OBJECT_TOKEN:
    case OBJECT_PREFERENCE:
    case OBJECT_RESOURCE:
    case OBJECT_MACRO:
    case OBJECT_SECRET:
    case OBJECT_SIGNING_KEY:
        return true;
    default:
        return false;
    }
}

static int check_text(const char *kind, const char *field, const char *text, size_t bytes_max)
{
    size_t bytes = strlen(text);
    if (bytes > bytes_max) {
        return err_set(ERR_TOO_LARGE, "%s.%s: %zu bytes, at most %zu are allowed", kind, field,
                       bytes, bytes_max);
    }
    if (!text_is_utf8(span_of(text, bytes))) {
        return err_set(ERR_INVALID, "%s.%s: not valid UTF-8", kind, field);
    }
    return 0;
}

static int check_labels(const char *kind, const struct object *object)
{
    if (object->label_count > OBJECT_LABELS_MAX) {
        return err_set(ERR_TOO_LARGE, "%s.labels: %zu, at most %d are allowed", kind,
                       object->label_count, OBJECT_LABELS_MAX);
    }
    for (size_t i = 0; i < object->label_count; i++) {
        char field[32];
        snprintf(field, sizeof(field), "labels[%zu]", i);
        int rc = check_text(kind, field, object->labels[i], OBJECT_LABEL_BYTES_MAX);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int check_gids(const char *kind, const char *field, const struct object_gids *gids)
{
    if (gids->count > OBJECT_GIDS_MAX) {
        return err_set(ERR_TOO_LARGE, "%s.%s: %zu groups, at most %d are allowed", kind, field,
                       gids->count, OBJECT_GIDS_MAX);
    }
    for (size_t i = 0; i < gids->count; i++) {
        if (gids->items[i] < 0) {
            return err_set(ERR_INVALID, "%s.%s[%zu]: a group id is not negative", kind, field, i);
        }
    }
    return 0;
}

static bool is_deeper(json_t *json, unsigned levels)
{
    const char *key;
    json_t *value;
    size_t i;
    bool is = levels == 0 && (json_is_object(json) || json_is_array(json));
    if (is) {
        return true;
    }
    json_object_foreach(json, key, value)
    {
        is = is || is_deeper(value, levels - 1);
    }
    json_array_foreach(json, i, value)
    {
        is = is || is_deeper(value, levels - 1);
    }
    return is;
}

static int check_body(const struct object_kind_info *info, const struct object *object)
{
    if (object->body == NULL) {
        return 0;
    }
    if (!json_is_object(object->body)) {
        return err_set(ERR_INVALID, "%s.body: a JSON object is expected", info->name);
    }
    size_t bytes = json_dumpb(object->body, NULL, 0, JSON_COMPACT);
    if (bytes > info->body_bytes_max) {
        return err_set(ERR_TOO_LARGE, "%s.body: %zu bytes, at most %zu are allowed", info->name,
                       bytes, info->body_bytes_max);
    }
    /* jansson reads JSON_PARSER_MAX_DEPTH levels, and a body goes on within other documents: one
     * that could be read when it came but not there would stop a feed or spoil a backup. */
    if (is_deeper(object->body, OBJECT_BODY_LEVELS_MAX)) {
        return err_set(ERR_INVALID, "%s.body: more than %d levels of arrays and objects",
                       info->name, OBJECT_BODY_LEVELS_MAX);
    }
    return 0;
}

static int check_identity(const struct object_kind_info *info, const struct object *object)
{
    if (uuid_is_zero(object->id)) {
        return err_set(ERR_INVALID, "%s.id: missing", info->name);
    }
    if (object->number > OBJECT_NUMBER_MAX) {
        return err_set(ERR_INVALID, "%s.number: above 2^53 - 1", info->name);
    }
    if (info->numbered && object->number == 0) {
        return err_set(ERR_INVALID, "%s.number: missing", info->name);
    }
    bool account = info->kind == OBJECT_USER || info->kind == OBJECT_GROUP;
    if (account && object->number > INT32_MAX) {
        return err_set(ERR_INVALID, "%s.number: above 2^31 - 1", info->name);
    }
    if (account && !uuid_equal(object->id, object_id_of_number(info->kind, object->number))) {
        return err_set(ERR_INVALID, "%s.id: not the id of number %" PRIu64, info->name,
                       object->number);
    }
    if (object->owner < 0) {
        return err_set(ERR_INVALID, "%s.owner: a user id is not negative", info->name);
    }
    return 0;
}

static int check_blob(const struct object_kind_info *info, const struct object *object)
{
    if (!object->blob.present) {
        return 0;
    }
    if (info->blob_bytes_max == 0) {
        return err_set(ERR_INVALID, "%s.blob: this kind has none", info->name);
    }
    if (object->blob.bytes > info->blob_bytes_max) {
        return err_set(ERR_TOO_LARGE, "%s.blob: %" PRIu64 " bytes, at most %" PRIu64 " are allowed",
                       info->name, object->blob.bytes, info->blob_bytes_max);
    }
    return 0;
}

int object_validate(const struct object *object)
{
    const struct object_kind_info *info = object_kind_info(object->kind);
    if (info == NULL) {
        return err_set(ERR_UNSUPPORTED, "kind: %d is not known", (int)object->kind);
    }
    int rc = check_identity(info, object);
    if (rc == 0 && object->name[0] == 0 && needs_name(object->kind)) {
        rc = err_set(ERR_INVALID, "%s.name: must not be empty", info->name);
    }
    rc = rc < 0 ? rc : check_text(info->name, "name", object->name, OBJECT_NAME_BYTES_MAX);
    rc = rc < 0 ? rc
                : check_text(info->name, "description", object->description,
                             OBJECT_DESCRIPTION_BYTES_MAX);
    rc = rc < 0 ? rc : check_labels(info->name, object);
    rc = rc < 0 ? rc : check_gids(info->name, "gids", &object->gids);
    rc = rc < 0 ? rc : check_gids(info->name, "write.gids", &object->write_gids);
    rc = rc < 0 ? rc : check_blob(info, object);
    return rc < 0 ? rc : check_body(info, object);
}
