/* Tested by server_test.c and, over HTTP, by src/datastore/api_test.c. */
#include "sync/message.h"

#include <stdio.h>

#include "base/mem.h"

const char *sync_file_name(enum object_file file)
{
    return file == OBJECT_FILE_USERS ? "users" : "web";
}

uint64_t sync_json_number(const json_t *json, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(json, key));
    return value < 0 ? 0 : (uint64_t)value;
}

const char *sync_json_text(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text == NULL ? "" : text;
}

json_t *sync_uuid_to_json(struct uuid uuid)
{
    char text[UUID_TEXT_BYTES];
    return json_string(uuid_text(uuid, text));
}

int sync_uuid_from_json(const json_t *json, const char *key, struct uuid *ret_uuid)
{
    const char *text = sync_json_text(json, key);
    struct uuid uuid = {0};
    if (text[0] != 0 && !uuid_parse(span_of_str(text), &uuid)) {
        return err_set(ERR_INVALID, "%s: a UUID is expected", key);
    }
    *ret_uuid = uuid;
    return 0;
}

/* ---- epochs ---- */

json_t *sync_epochs_to_json(const struct store_epoch *epochs, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, json_pack("{s:o, s:o, s:I}", "epoch",
                                              sync_uuid_to_json(epochs[i].epoch), "parent",
                                              sync_uuid_to_json(epochs[i].parent), "start",
                                              (json_int_t)epochs[i].start));
    }
    return list;
}

int sync_epochs_from_json(const json_t *json, struct sync_epochs *epochs)
{
    size_t count = json_array_size(json);
    if (count > STORE_EPOCHS_MAX) {
        return err_set(ERR_TOO_LARGE, "epochs: %zu, at most %d are allowed", count,
                       STORE_EPOCHS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(json, i);
        struct store_epoch epoch = {.start = sync_json_number(item, "start"), .main = true};
        int rc = sync_uuid_from_json(item, "epoch", &epoch.epoch);
        rc = rc < 0 ? rc : sync_uuid_from_json(item, "parent", &epoch.parent);
        if (rc < 0) {
            return err_wrap(rc, "epochs[%zu]", i);
        }
        vec_push(epochs, epoch);
    }
    return 0;
}

int sync_lineage_from_json(const json_t *json, struct uuid *ret_identity, struct uuid *ret_last,
                           struct sync_epochs *epochs)
{
    int rc = sync_uuid_from_json(json, "identity", ret_identity);
    rc = rc < 0 ? rc : sync_uuid_from_json(json, "epoch", ret_last);
    return rc < 0 ? rc : sync_epochs_from_json(json_object_get(json, "epochs"), epochs);
}

/* ---- webservers ---- */

json_t *sync_webservers_to_json(const struct sync_webserver *webservers, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct sync_webserver *one = &webservers[i];
        json_array_append_new(list, json_pack("{s:o, s:s, s:s, s:I, s:I, s:b}", "id",
                                              sync_uuid_to_json(one->id), "external_addr",
                                              one->external_addr, "version", one->version,
                                              "revision", (json_int_t)one->revision, "seen_ms",
                                              (json_int_t)one->seen_ms, "up", one->up));
    }
    return list;
}

static bool one_webserver(const json_t *json, struct sync_webserver *one)
{
    *one = (struct sync_webserver){
        .revision = sync_json_number(json, "revision"),
        .seen_ms = (int64_t)sync_json_number(json, "seen_ms"),
        .up = json_is_true(json_object_get(json, "up")),
    };
    snprintf(one->external_addr, sizeof(one->external_addr), "%s",
             sync_json_text(json, "external_addr"));
    snprintf(one->version, sizeof(one->version), "%s", sync_json_text(json, "version"));
    return sync_uuid_from_json(json, "id", &one->id) == 0 && !uuid_is_zero(one->id);
}

size_t sync_webservers_from_json(const json_t *list, struct sync_webserver *ret_webservers)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(list) && count < SYNC_WEBSERVERS_MAX; i++) {
        count += one_webserver(json_array_get(list, i), &ret_webservers[count]) ? 1 : 0;
    }
    return count;
}

/* ---- answers ---- */

json_t *sync_reply_to_json(const struct sync_reply *reply)
{
    json_t *json =
        json_pack("{s:o, s:o, s:s, s:I}", "id", sync_uuid_to_json(reply->id), "change",
                  sync_uuid_to_json(reply->change), "outcome", sync_verdict_name(reply->verdict),
                  "revision", (json_int_t)reply->revision);
    if (reply->object != NULL) {
        json_object_set_new(json, "object", object_to_json(reply->object));
    }
    if (reply->copy != NULL) {
        json_object_set_new(json, "copy", object_to_json(reply->copy));
    }
    if (reply->verdict == SYNC_REFUSED) {
        json_object_set_new(json, "error", json_string(reply->text));
        json_object_set_new(json, "code", json_integer(reply->fault));
    }
    return json;
}

int sync_reply_from_json(const json_t *json, struct sync_reply *ret_reply)
{
    struct sync_reply reply = {.revision = sync_json_number(json, "revision")};
    int rc = sync_uuid_from_json(json, "id", &reply.id);
    rc = rc < 0 ? rc : sync_uuid_from_json(json, "change", &reply.change);
    if (rc == 0 && !sync_verdict_by_name(sync_json_text(json, "outcome"), &reply.verdict)) {
        rc = err_set(ERR_PROTOCOL, "outcome: \"%.32s\" is not known",
                     sync_json_text(json, "outcome"));
    }
    json_t *object = json_object_get(json, "object");
    if (rc == 0 && object != NULL) {
        rc = object_from_json(object, &reply.object);
    }
    json_t *copy = json_object_get(json, "copy");
    if (rc == 0 && copy != NULL) {
        rc = object_from_json(copy, &reply.copy);
    }
    if (rc < 0) {
        sync_reply_deinit(&reply);
        return rc;
    }
    json_int_t code = json_integer_value(json_object_get(json, "code"));
    reply.fault = code < 0 && code >= ERR_CANCELLED ? (int)code : ERR_INVALID;
    snprintf(reply.text, sizeof(reply.text), "%s", sync_json_text(json, "error"));
    *ret_reply = reply;
    return 0;
}

void sync_reply_deinit(struct sync_reply *reply)
{
    object_free(&reply->object);
    object_free(&reply->copy);
}

/* ---- taking over ---- */

int sync_put_copy(struct store *store, const struct object *copy)
{
    struct object *before = NULL;
    int rc = store_get_any(store, &copy->id, &before);
    object_free(&before);
    return rc == STORE_ABSENT ? store_put(store, copy) : rc;
}

static int accept_here(struct store *store, struct object *object)
{
    struct sync_case alone = {.pushed = object};
    uint64_t revision;
    int rc = store_next_revision(store, &revision);
    if (rc < 0) {
        return rc;
    }
    struct object *accepted = sync_accepted(&alone, revision);
    rc = store_put(store, accepted);
    object_free(&accepted);
    return rc;
}

static int take_over_one(struct store *store, struct object *object)
{
    struct object *shadow = NULL;
    int rc = store_get_shadow(store, &object->id, &shadow);
    if (rc == STORE_ABSENT) {
        return accept_here(store, object);
    }
    if (rc < 0) {
        return rc;
    }
    struct object *stays = NULL;
    struct object *copy = NULL;
    struct sync_tree none = {0};
    struct sync_case both = {.current = shadow, .pushed = object, .tree = &none};
    sync_fork(&both, &stays, &copy);
    rc = store_put_shadow(store, &object->id, NULL);
    rc = rc < 0 ? rc : accept_here(store, stays);
    rc = rc < 0 || copy == NULL ? rc : sync_put_copy(store, copy);
    object_free(&stays);
    object_free(&copy);
    object_free(&shadow);
    return rc;
}

int sync_take_over(struct store *store, uint64_t *ret_count)
{
    uint64_t count = 0;
    for (;;) {
        struct object_list list = {0};
        uint64_t last;
        int rc = store_dirty(store, 0, 256, &list, &last);
        size_t found = list.count;
        rc = rc < 0 || found == 0 ? rc : store_begin(store, STORE_DURABLE);
        bool begun = rc == 0 && found > 0;
        for (size_t i = 0; rc == 0 && i < list.count; i++) {
            rc = take_over_one(store, list.items[i]);
        }
        if (begun && rc < 0) {
            store_abort(store);
        } else if (begun) {
            rc = store_commit(store);
        }
        object_list_deinit(&list);
        if (rc < 0) {
            return err_wrap(rc, "taking over the store");
        }
        count += found;
        if (found == 0) {
            *ret_count = count;
            return 0;
        }
    }
}
