/* Tested by cache_test.c, over a real etcd. */
#include "etcd/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/vec.h"
#include "etcd/parts.h"
#include "sync/core.h"
#include "sync/message.h"

#define PAGE_OBJECTS 256
#define PAGE_MS 30000

/* ---- keys ---- */

char *etcd_key(const struct etcd *etcd, const char *name)
{
    return mem_printf("%s/%s", etcd_prefix(etcd), name);
}

char *etcd_key_of(const struct etcd *etcd, const char *folder, const struct uuid *id)
{
    char text[UUID_TEXT_BYTES];
    return mem_printf("%s/%s/%s", etcd_prefix(etcd), folder, uuid_text(*id, text));
}

bool etcd_key_id(const struct etcd *etcd, struct span key, const char *folder, struct uuid *ret_id)
{
    char *begin = mem_printf("%s/%s/", etcd_prefix(etcd), folder);
    struct span prefix = span_of_str(begin);
    bool fits = span_starts_with(key, prefix) && uuid_parse(span_from(key, prefix.bytes), ret_id);
    mem_free(begin);
    return fits;
}

/* ---- the head ---- */

struct etcd_head etcd_head_new(struct io *io, uint64_t revision)
{
    struct etcd_head head = {.revision = revision};
    uint8_t random[16];
    io_random(io, random, sizeof(random));
    (void)uuid_text(uuid_of_random(random), head.token);
    return head;
}

char *etcd_head_text(const struct etcd_head *head)
{
    return mem_printf("%" PRIu64 " %s", head->revision, head->token);
}

int etcd_head_parse(struct span text, struct etcd_head *ret_head)
{
    struct etcd_head head = {0};
    ptrdiff_t space = span_find_byte(text, ' ');
    struct uuid token;
    if (space < 0 || !span_to_u64(span_first(text, (size_t)space), &head.revision) ||
        !uuid_parse(span_from(text, (size_t)space + 1), &token)) {
        return err_set(ERR_CORRUPT, "etcd: the key head is none of ours");
    }
    (void)uuid_text(token, head.token);
    *ret_head = head;
    return 0;
}

json_t *etcd_if_head(const struct etcd *etcd, const struct etcd_head *head)
{
    char *key = etcd_key(etcd, "head");
    char *text = etcd_head_text(head);
    json_t *json = json_pack("{s:o, s:s, s:s, s:o}", "key", etcd_text(key), "target", "VALUE",
                             "result", "EQUAL", "value", etcd_text(text));
    mem_free(text);
    mem_free(key);
    return json;
}

json_t *etcd_put_head(const struct etcd *etcd, const struct etcd_head *head)
{
    char *key = etcd_key(etcd, "head");
    char *text = etcd_head_text(head);
    json_t *json = etcd_put(key, span_of_str(text), 0);
    mem_free(text);
    mem_free(key);
    return json;
}

/* ---- the epochs ---- */

void etcd_lineage_deinit(struct etcd_lineage *lineage)
{
    for (size_t i = 0; i < OBJECT_FILES; i++) {
        mem_free(lineage->files[i].epochs);
    }
    *lineage = (struct etcd_lineage){0};
}

static json_t *file_to_json(const struct sync_lineage *file)
{
    json_t *list = sync_epochs_to_json(file->epochs, file->count);
    for (size_t i = 0; i < file->count; i++) {
        json_object_set_new(json_array_get(list, i), "main", json_boolean(file->epochs[i].main));
    }
    return json_pack("{s:o, s:o, s:o}", "identity", sync_uuid_to_json(file->identity), "epoch",
                     sync_uuid_to_json(file->last), "epochs", list);
}

json_t *etcd_put_lineage(const struct etcd *etcd, const struct etcd_lineage *lineage)
{
    json_t *json = json_pack("{s:i}", "format", ETCD_FORMAT);
    for (enum object_file file = 0; file < OBJECT_FILES; file++) {
        json_object_set_new(json, sync_file_name(file), file_to_json(&lineage->files[file]));
    }
    char *text = json_dumps(json, JSON_COMPACT);
    CHECK(text != NULL);
    char *key = etcd_key(etcd, "epochs");
    json_t *put = etcd_put(key, span_of_str(text), 0);
    mem_free(key);
    free(text);
    json_decref(json);
    return put;
}

static int file_from_json(const json_t *json, struct sync_lineage *file)
{
    struct sync_epochs epochs = {0};
    const json_t *list = json_object_get(json, "epochs");
    int rc = sync_lineage_from_json(json, &file->identity, &file->last, &epochs);
    for (size_t i = 0; i < epochs.count; i++) {
        epochs.items[i].main = json_is_true(json_object_get(json_array_get(list, i), "main"));
    }
    file->epochs = epochs.items;
    file->count = epochs.count;
    return rc;
}

int etcd_lineage_parse(struct span text, struct etcd_lineage *ret_lineage)
{
    json_t *json = json_loadb((const char *)text.data, text.bytes, 0, NULL);
    uint64_t format = sync_json_number(json, "format");
    struct etcd_lineage lineage = {0};
    int rc = 0;
    if (json == NULL) {
        rc = err_set(ERR_CORRUPT, "it is no JSON");
    } else if (format != ETCD_FORMAT) {
        rc = err_set(ERR_UNSUPPORTED, "format %" PRIu64 ", this program reads format %d", format,
                     ETCD_FORMAT);
    }
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        rc = file_from_json(json_object_get(json, sync_file_name(file)), &lineage.files[file]);
    }
    json_decref(json);
    if (rc < 0) {
        etcd_lineage_deinit(&lineage);
        return err_wrap(rc, "etcd: the key epochs");
    }
    *ret_lineage = lineage;
    return 0;
}

int etcd_lineage_of_store(struct store *store, struct etcd_lineage *ret_lineage)
{
    struct etcd_lineage lineage = {0};
    int rc = 0;
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        struct sync_lineage *one = &lineage.files[file];
        struct store_place place;
        rc = store_place(store, file, &place);
        rc = rc < 0 ? rc : store_epochs(store, file, &one->epochs, &one->count);
        one->identity = rc < 0 ? (struct uuid){0} : place.identity;
        one->last = rc < 0 ? (struct uuid){0} : place.epoch;
    }
    if (rc < 0) {
        etcd_lineage_deinit(&lineage);
        return rc;
    }
    *ret_lineage = lineage;
    return 0;
}

void etcd_lineage_begin_epoch(struct etcd_lineage *lineage, struct io *io, uint64_t revision)
{
    for (enum object_file file = 0; file < OBJECT_FILES; file++) {
        struct sync_lineage *one = &lineage->files[file];
        uint8_t random[16];
        io_random(io, random, sizeof(random));
        size_t drop = one->count >= ETCD_EPOCHS_KEPT ? one->count - ETCD_EPOCHS_KEPT + 1 : 0;
        struct store_epoch *epochs = mem_alloc_array(one->count - drop + 1, sizeof(*epochs));
        for (size_t i = drop; i < one->count; i++) {
            epochs[i - drop] = one->epochs[i];
        }
        epochs[one->count - drop] = (struct store_epoch){
            .epoch = uuid_of_random(random), .parent = one->last, .start = revision, .main = true};
        mem_free(one->epochs);
        one->epochs = epochs;
        one->count = one->count - drop + 1;
        one->last = uuid_of_random(random);
    }
}

static bool file_contains(const struct sync_lineage *theirs, uint64_t their_revision,
                          const struct sync_lineage *ours, uint64_t revision)
{
    struct sync_tree our_tree = {ours->epochs, ours->count};
    struct sync_tree their_tree = {theirs->epochs, theirs->count};
    return uuid_equal(theirs->identity, ours->identity) &&
           sync_tree_common(&our_tree, ours->last, revision, &their_tree, theirs->last,
                            their_revision) == revision;
}

bool etcd_lineage_contains(const struct etcd_lineage *theirs, uint64_t their_revision,
                           const struct etcd_lineage *ours, uint64_t revision)
{
    bool contains = true;
    for (enum object_file file = 0; file < OBJECT_FILES; file++) {
        contains = contains && file_contains(&theirs->files[file], their_revision,
                                             &ours->files[file], revision);
    }
    return contains;
}

/* ---- reading ---- */

static const json_t *first_kv(const json_t *answer, size_t index)
{
    const json_t *responses = json_object_get(answer, "responses");
    const json_t *range = json_object_get(json_array_get(responses, index), "response_range");
    return json_array_get(json_object_get(range, "kvs"), 0);
}

static int read_answer(const json_t *answer, struct etcd_head *head, struct etcd_lineage *lineage)
{
    const json_t *head_kv = first_kv(answer, 0);
    const json_t *epochs_kv = first_kv(answer, 1);
    struct buf value = {0};
    if (head_kv == NULL || epochs_kv == NULL) {
        return ETCD_ABSENT;
    }
    int rc = etcd_answer_bytes(head_kv, "value", &value);
    rc = rc < 0 ? rc : etcd_head_parse(buf_span(&value), head);
    buf_clear(&value);
    rc = rc < 0 ? rc : etcd_answer_bytes(epochs_kv, "value", &value);
    rc = rc < 0 ? rc : etcd_lineage_parse(buf_span(&value), lineage);
    if (rc == 0) {
        lineage->mod = etcd_answer_number(epochs_kv, "mod_revision");
    }
    buf_deinit(&value);
    return rc;
}

int etcd_read(struct etcd *etcd, unsigned timeout_ms, struct etcd_head *ret_head,
              struct etcd_lineage *ret_lineage, uint64_t *ret_now)
{
    char *head_key = etcd_key(etcd, "head");
    char *epochs_key = etcd_key(etcd, "epochs");
    json_t *answer = NULL;
    int rc = etcd_txn(etcd, NULL, json_pack("[o, o]", etcd_get(head_key), etcd_get(epochs_key)),
                      NULL, timeout_ms, &answer);
    mem_free(head_key);
    mem_free(epochs_key);
    if (rc < 0) {
        return rc;
    }
    rc = read_answer(answer, ret_head, ret_lineage);
    if (ret_now != NULL) {
        *ret_now = etcd_answer_revision(answer);
    }
    json_decref(answer);
    return rc;
}

struct walk {
    struct etcd *etcd;
    struct buf key; /* of the last object seen */
    int (*each)(void *context, struct object **takes);
    void (*unreadable)(void *context, const char *text);
    void *context;
};

static int walk_one(struct walk *walk, const json_t *kv)
{
    struct buf value = {0};
    struct object *object = NULL;
    buf_clear(&walk->key);
    int rc = etcd_answer_bytes(kv, "key", &walk->key);
    rc = rc < 0 ? rc : etcd_answer_bytes(kv, "value", &value);
    rc = rc < 0 ? rc : etcd_parts_get(walk->etcd, buf_span(&value), &object);
    if (rc == ETCD_PARTS_GONE) {
        rc = err_set(ERR_UNAVAILABLE, "its parts are gone, it has been replaced meanwhile");
    }
    if (rc < 0) {
        rc = err_wrap(rc, "etcd: the key %.128s", buf_str(&walk->key));
    }
    if (rc == 0) {
        rc = walk->each(walk->context, &object);
    } else if ((rc == ERR_CORRUPT || rc == ERR_UNSUPPORTED) && walk->unreadable != NULL) {
        walk->unreadable(walk->context, err_text());
        rc = 0;
    }
    object_free(&object);
    buf_deinit(&value);
    return rc;
}

static json_t *page_request(struct etcd *etcd, const struct walk *walk, uint64_t after, uint64_t at)
{
    char *begin = etcd_key(etcd, "object/");
    char *end = etcd_key(etcd, "object0"); /* '0' follows '/' */
    json_t *key = walk->key.bytes > 0 ? etcd_bytes(buf_span(&walk->key)) : etcd_text(begin);
    json_t *request = json_pack("{s:o, s:o, s:i, s:o}", "key", key, "range_end", etcd_text(end),
                                "limit", PAGE_OBJECTS, "revision", etcd_number(at));
    if (after > 0) { /* with it, etcd looks at every key for every page */
        json_object_set_new(request, "min_mod_revision", etcd_number(after + 1));
    }
    mem_free(begin);
    mem_free(end);
    return request;
}

static int walk_page(struct etcd *etcd, struct walk *walk, uint64_t after, uint64_t at,
                     bool *ret_more)
{
    json_t *request = page_request(etcd, walk, after, at);
    json_t *answer = NULL;
    int rc = etcd_call(etcd, "/v3/kv/range", request, PAGE_MS, &answer);
    json_decref(request);
    if (rc < 0) {
        return rc;
    }
    const json_t *kvs = json_object_get(answer, "kvs");
    for (size_t i = 0; rc == 0 && i < json_array_size(kvs); i++) {
        rc = walk_one(walk, json_array_get(kvs, i));
    }
    buf_append_byte(&walk->key, 0); /* the next key possible */
    *ret_more = json_is_true(json_object_get(answer, "more")) && json_array_size(kvs) > 0;
    json_decref(answer);
    return rc;
}

int etcd_walk(struct etcd *etcd, uint64_t after, uint64_t at,
              int (*each)(void *context, struct object **takes),
              void (*unreadable)(void *context, const char *text), void *context)
{
    struct walk walk = {.etcd = etcd, .each = each, .unreadable = unreadable, .context = context};
    bool more = true;
    int rc = 0;
    while (rc == 0 && more) {
        rc = walk_page(etcd, &walk, after, at, &more);
    }
    buf_deinit(&walk.key);
    return rc;
}

int etcd_count(struct etcd *etcd, uint64_t *ret_count)
{
    char *begin = etcd_key(etcd, "object/");
    char *end = etcd_key(etcd, "object0");
    json_t *request = json_pack("{s:o, s:o, s:b}", "key", etcd_text(begin), "range_end",
                                etcd_text(end), "count_only", 1);
    json_t *answer = NULL;
    int rc = etcd_call(etcd, "/v3/kv/range", request, PAGE_MS, &answer);
    if (rc == 0) {
        *ret_count = etcd_answer_number(answer, "count");
    }
    json_decref(answer);
    json_decref(request);
    mem_free(begin);
    mem_free(end);
    return rc;
}
