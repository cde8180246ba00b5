/* Tested by cache_test.c, over a real etcd. */
#include "etcd/parts.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/vec.h"
#include "etcd/layout.h"
#include "sync/message.h"

#define PART_MS 5000
#define PARTS_MAX 64                               /* of an object; far above every kind's bound */
#define NAME_BYTES (2 * (UUID_TEXT_BYTES - 1) + 1) /* "<id>/<uuid>" */

/* ---- keys ---- */

static char *part_key(const struct etcd *etcd, const char *name, size_t index)
{
    return mem_printf("%s/part/%s/%04zx", etcd_prefix(etcd), name, index);
}

static char *part_name(const struct uuid *id, const struct uuid *token)
{
    char object[UUID_TEXT_BYTES];
    char random[UUID_TEXT_BYTES];
    return mem_printf("%s/%s", uuid_text(*id, object), uuid_text(*token, random));
}

/* ---- putting ---- */

static int put_parts(struct etcd *etcd, const char *name, struct span json, size_t *ret_count)
{
    size_t count = 0;
    int rc = 0;
    for (struct span rest = json; rc == 0 && rest.bytes > 0; count++) {
        struct span part = span_first(rest, ETCD_PART_BYTES);
        char *key = part_key(etcd, name, count);
        rc = etcd_txn(etcd, NULL, json_pack("[o]", etcd_put(key, part, 0)), NULL, PART_MS, NULL);
        mem_free(key);
        rest = span_from(rest, part.bytes);
    }
    *ret_count = count;
    return rc;
}

int etcd_parts_put(struct etcd *etcd, struct io *io, const struct uuid *id, uint64_t revision,
                   struct span json, struct buf *value)
{
    if (json.bytes <= ETCD_LARGE_BYTES) {
        buf_append(value, json);
        return 0;
    }
    uint8_t random[16];
    io_random(io, random, sizeof(random));
    struct uuid token = uuid_of_random(random);
    char *name = part_name(id, &token);
    size_t count = 0;
    int rc = put_parts(etcd, name, json, &count);
    mem_free(name);
    if (rc < 0) {
        return err_wrap(rc, "parts of a large object");
    }
    json_t *said =
        json_pack("{s:o, s:I, s:{s:o, s:I, s:I}}", "id", sync_uuid_to_json(*id), "revision",
                  (json_int_t)revision, "parts", "name", sync_uuid_to_json(token), "count",
                  (json_int_t)count, "bytes", (json_int_t)json.bytes);
    char *text = json_dumps(said, JSON_COMPACT);
    json_decref(said);
    CHECK(text != NULL);
    buf_append_str(value, text);
    free(text);
    return 0;
}

/* ---- getting ---- */

static int get_part(struct etcd *etcd, const char *name, size_t index, struct buf *text)
{
    char *key = part_key(etcd, name, index);
    json_t *answer = NULL;
    int rc = etcd_txn(etcd, NULL, json_pack("[o]", etcd_get(key)), NULL, PART_MS, &answer);
    const json_t *first = json_array_get(json_object_get(answer, "responses"), 0);
    const json_t *kvs = json_object_get(json_object_get(first, "response_range"), "kvs");
    if (rc == 0 && json_array_size(kvs) == 0) {
        rc = ETCD_PARTS_GONE;
    }
    rc = rc != 0 ? rc : etcd_answer_bytes(json_array_get(kvs, 0), "value", text);
    json_decref(answer);
    mem_free(key);
    return rc;
}

static int get_parts(struct etcd *etcd, const json_t *said, struct buf *text)
{
    const json_t *parts = json_object_get(said, "parts");
    uint64_t count = sync_json_number(parts, "count");
    struct uuid id;
    struct uuid token;
    int rc = sync_uuid_from_json(said, "id", &id);
    rc = rc < 0 ? rc : sync_uuid_from_json(parts, "name", &token);
    if (rc < 0) {
        rc = err_wrap(ERR_CORRUPT, "etcd: parts");
    } else if (count > PARTS_MAX) {
        rc = err_set(ERR_CORRUPT, "etcd: an object of %" PRIu64 " parts", count);
    }
    char *name = rc < 0 ? NULL : part_name(&id, &token);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = get_part(etcd, name, i, text);
    }
    if (rc == 0 && text->bytes != sync_json_number(parts, "bytes")) {
        rc = err_set(ERR_CORRUPT, "etcd: the parts of %s are not whole", name);
    }
    mem_free(name);
    return rc;
}

int etcd_parts_get(struct etcd *etcd, struct span value, struct object **ret_object)
{
    json_t *json = json_loadb((const char *)value.data, value.bytes, 0, NULL);
    struct buf text = {0};
    int rc = 0;
    if (json_object_get(json, "parts") != NULL) {
        rc = get_parts(etcd, json, &text);
        json_decref(json);
        json = rc != 0 ? NULL : json_loadb((const char *)text.data, text.bytes, 0, NULL);
    }
    if (rc == 0) {
        rc = object_from_json(json, ret_object);
        rc = rc < 0 && rc != ERR_UNSUPPORTED ? err_wrap(ERR_CORRUPT, "no object") : rc;
    }
    json_decref(json);
    buf_deinit(&text);
    return rc;
}

/* ---- what no object names ---- */

struct sweep {
    struct etcd *etcd;
    struct map *suspects;
    struct map found; /* of this round */
    uint64_t removed;
};

static int is_named(struct etcd *etcd, const char *name, bool *ret_named)
{
    char *key = mem_printf("%s/object/%.*s", etcd_prefix(etcd), UUID_TEXT_BYTES - 1, name);
    json_t *answer = NULL;
    struct buf value = {0};
    int rc = etcd_txn(etcd, NULL, json_pack("[o]", etcd_get(key)), NULL, PART_MS, &answer);
    const json_t *first = json_array_get(json_object_get(answer, "responses"), 0);
    const json_t *kvs = json_object_get(json_object_get(first, "response_range"), "kvs");
    rc = rc < 0 ? rc : etcd_answer_bytes(json_array_get(kvs, 0), "value", &value);
    json_t *json = rc < 0 ? NULL : json_loadb((const char *)value.data, value.bytes, 0, NULL);
    const char *token = sync_json_text(json_object_get(json, "parts"), "name");
    *ret_named = token[0] != 0 && strcmp(token, name + UUID_TEXT_BYTES) == 0;
    json_decref(json);
    json_decref(answer);
    buf_deinit(&value);
    mem_free(key);
    return rc;
}

static int sweep_one(struct sweep *sweep, const char *name)
{
    bool named = true;
    int rc = is_named(sweep->etcd, name, &named);
    if (rc < 0 || named) {
        return rc;
    }
    if (map_get_str(sweep->suspects, name) == NULL) {
        (void)map_put(&sweep->found, span_of_str(name), sweep);
        return 0;
    }
    char *prefix = mem_printf("%s/part/%s/", etcd_prefix(sweep->etcd), name);
    rc = etcd_txn(sweep->etcd, NULL, json_pack("[o]", etcd_delete_prefix(prefix)), NULL, PART_MS,
                  NULL);
    mem_free(prefix);
    sweep->removed += rc == 0 ? 1 : 0;
    return rc;
}

/* Keys are in order: the parts of one name stand together. */
static int sweep_keys(struct sweep *sweep, const json_t *kvs)
{
    char last[NAME_BYTES + 1] = "";
    size_t begin = strlen(etcd_prefix(sweep->etcd)) + strlen("/part/");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(kvs); i++) {
        struct buf key = {0};
        rc = etcd_answer_bytes(json_array_get(kvs, i), "key", &key);
        if (rc == 0 && key.bytes > begin + NAME_BYTES &&
            memcmp(key.data + begin, last, NAME_BYTES) != 0) {
            memcpy(last, key.data + begin, NAME_BYTES);
            rc = sweep_one(sweep, last);
        }
        buf_deinit(&key);
    }
    return rc;
}

int etcd_parts_sweep(struct etcd *etcd, struct map *suspects, uint64_t *ret_removed)
{
    struct sweep sweep = {.etcd = etcd, .suspects = suspects};
    char *begin = etcd_key(etcd, "part/");
    char *end = etcd_key(etcd, "part0"); /* '0' follows '/' */
    json_t *request = json_pack("{s:o, s:o, s:b}", "key", etcd_text(begin), "range_end",
                                etcd_text(end), "keys_only", 1);
    json_t *answer = NULL;
    int rc = etcd_call(etcd, "/v3/kv/range", request, PART_MS, &answer);
    rc = rc < 0 ? rc : sweep_keys(&sweep, json_object_get(answer, "kvs"));
    json_decref(answer);
    json_decref(request);
    mem_free(begin);
    mem_free(end);
    map_deinit(suspects);
    *suspects = sweep.found;
    *ret_removed = sweep.removed;
    return rc;
}
