/* Pushing what is dirty, in order. */
#include "sync/sync.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "sync/driver.h"

#define VERSIONS_BYTES_MAX (8u << 20) /* of earlier versions that go along; about */

/* ---- one call ---- */

static int add_pasts(struct sync *sync, json_t *request)
{
    json_t *pasts = json_object();
    json_object_set_new(request, "epochs", pasts);
    for (enum object_file file = 0; file < OBJECT_FILES; file++) {
        struct store_epoch *epochs = NULL;
        size_t count = 0;
        int rc = store_epochs(sync->store, file, &epochs, &count);
        if (rc < 0) {
            return rc;
        }
        json_object_set_new(pasts, sync_file_name(file), sync_epochs_to_json(epochs, count));
        mem_free(epochs);
    }
    return 0;
}

static json_t *request_of(struct sync *sync, struct uuid run, struct object *const *objects,
                          size_t count, bool *ret_rescue)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, object_to_json(objects[i]));
        *ret_rescue = *ret_rescue || objects[i]->rescue;
    }
    return json_pack("{s:i, s:o, s:o, s:o}", "protocol", SYNC_PROTOCOL, "run",
                     sync_uuid_to_json(run), "webserver",
                     sync_uuid_to_json(sync->options.webserver), "objects", list);
}

/* What was edited more than once before it went out: the steps between, newest first. */
static int add_versions_of(struct sync *sync, const struct object *object, json_t *versions,
                           size_t *bytes)
{
    struct object_list list = {0};
    int rc = object->over_count == 0 ? 0 : store_versions(sync->store, &object->id, &list);
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        for (size_t n = 0; n < object->over_count; n++) {
            if (*bytes < VERSIONS_BYTES_MAX && uuid_equal(object->over[n], list.items[i]->change)) {
                json_t *version = object_to_json(list.items[i]);
                *bytes += json_dumpb(version, NULL, 0, JSON_COMPACT);
                json_array_append_new(versions, version);
            }
        }
    }
    object_list_deinit(&list);
    return rc;
}

static int add_versions(struct sync *sync, struct object *const *objects, size_t count,
                        json_t *request)
{
    json_t *versions = json_array();
    size_t bytes = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = add_versions_of(sync, objects[i], versions, &bytes);
    }
    if (rc == 0 && json_array_size(versions) > 0) {
        json_object_set(request, "versions", versions);
    }
    json_decref(versions);
    return rc;
}

static int read_replies(const json_t *answer, struct object *const *objects, size_t count,
                        struct sync_reply *replies)
{
    const json_t *list = json_object_get(answer, "answers");
    if (json_array_size(list) != count) {
        return err_set(ERR_PROTOCOL, "%zu answers to %zu objects", json_array_size(list), count);
    }
    int rc = 0;
    size_t read = 0;
    while (rc == 0 && read < count) {
        rc = sync_reply_from_json(json_array_get(list, read), &replies[read]);
        read += rc == 0 ? 1 : 0;
        if (rc == 0 && !uuid_equal(replies[read - 1].change, objects[read - 1]->change)) {
            rc = err_set(ERR_PROTOCOL, "the answer to another change");
        }
    }
    for (size_t i = 0; rc < 0 && i < read; i++) {
        sync_reply_deinit(&replies[i]);
    }
    return rc;
}

int sync_push_objects(struct sync *sync, struct object *const *objects, size_t count,
                      unsigned timeout_ms, struct sync_reply *ret_replies)
{
    bool rescue = false;
    (void)pthread_mutex_lock(&sync->lock);
    struct uuid run = sync->link.run;
    bool told = uuid_equal(sync->epochs_told, run);
    char *url = sync_url(sync, "/sync/v1/push");
    (void)pthread_mutex_unlock(&sync->lock);
    json_t *request = request_of(sync, run, objects, count, &rescue);
    json_t *answer = NULL;
    int rc = rescue && !told ? add_pasts(sync, request) : 0;
    rc = rc < 0 ? rc : add_versions(sync, objects, count, request);
    struct http_call call = {.method = "POST",
                             .url = url,
                             .control = true,
                             .timeout_ms = timeout_ms,
                             .idle_ms = sync->url_count > 1 ? SYNC_FAILOVER_PUSH_MS : 0,
                             .cancel = sync->cancel};
    rc = rc < 0 ? rc : http_call_json(sync->client, &call, request, &answer);
    rc = rc < 0 ? rc : read_replies(answer, objects, count, ret_replies);
    if (rc == 0 && rescue) {
        (void)pthread_mutex_lock(&sync->lock);
        sync->epochs_told = run;
        (void)pthread_mutex_unlock(&sync->lock);
    }
    json_decref(request);
    json_decref(answer);
    mem_free(url);
    return rc;
}

/* ---- a round: everything that is dirty ---- */

static bool blob_is_there(struct sync *sync, const struct object *object)
{
    if (!object->blob.present || object->deleted) {
        return true;
    }
    (void)pthread_mutex_lock(&sync->lock);
    bool sent = map_get(&sync->blobs_sent, span_of(object->blob.sha256, 32)) != NULL;
    if (!sent) {
        sync_want_blobs(sync);
    }
    (void)pthread_mutex_unlock(&sync->lock);
    return sent;
}

static size_t rough_bytes(const struct object *object)
{
    return 1024 + strlen(object->description) +
           (object->body == NULL ? 0 : json_dumpb(object->body, NULL, 0, JSON_COMPACT));
}

static void count_replies(struct sync *sync, const struct sync_reply *replies, size_t count)
{
    (void)pthread_mutex_lock(&sync->lock);
    for (size_t i = 0; i < count; i++) {
        sync->status.pushed++;
        sync->status.conflicts += replies[i].verdict == SYNC_COPIED ? 1 : 0;
        sync->status.refused += replies[i].verdict == SYNC_REFUSED ? 1 : 0;
        if (replies[i].verdict == SYNC_NEEDS_BLOB) {
            map_clear(&sync->blobs_sent);
            sync_want_blobs(sync);
        }
    }
    (void)pthread_mutex_unlock(&sync->lock);
}

static void tell_refused(struct sync *sync, const struct object *object,
                         const struct sync_reply *reply)
{
    char id[UUID_TEXT_BYTES];
    if (reply->verdict == SYNC_REFUSED) {
        sync_tell(sync, SYNC_ERROR, "push-refused",
                  "the datastore refuses %s %s \"%.128s\": %s; it stays here until it is edited",
                  object_kind_name(object->kind), uuid_text(object->id, id), object->name,
                  reply->text);
    }
}

static int push_batch(struct sync *sync, uint64_t generation, struct object *const *objects,
                      size_t count)
{
    struct sync_reply replies[SYNC_PUSH_BATCH] = {0};
    int rc = sync_push_objects(sync, objects, count, 30000, replies);
    if (rc < 0) {
        return rc;
    }
    rc = sync_settle_all(sync, generation, objects, replies, count);
    count_replies(sync, replies, count);
    for (size_t i = 0; i < count; i++) {
        tell_refused(sync, objects[i], &replies[i]);
        sync_reply_deinit(&replies[i]);
    }
    return rc;
}

/* Pushes those of `list` that can go, a few megabytes at a time. */
static int push_list(struct sync *sync, uint64_t generation, const struct object_list *list)
{
    struct object *batch[SYNC_PUSH_BATCH];
    size_t count = 0;
    size_t bytes = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        struct object *object = list->items[i];
        if (object->refused || !blob_is_there(sync, object)) {
            continue;
        }
        size_t more = rough_bytes(object);
        if (count == SYNC_PUSH_BATCH || (count > 0 && bytes + more > SYNC_PUSH_BATCH_BYTES)) {
            rc = push_batch(sync, generation, batch, count);
            count = bytes = 0;
        }
        batch[count++] = object;
        bytes += more;
    }
    return rc < 0 || count == 0 ? rc : push_batch(sync, generation, batch, count);
}

static bool must_stop(struct sync *sync)
{
    (void)pthread_mutex_lock(&sync->lock);
    bool stop = sync->stopping;
    (void)pthread_mutex_unlock(&sync->lock);
    return stop;
}

static int push_round(struct sync *sync, uint64_t generation)
{
    uint64_t after = 0;
    for (;;) {
        struct object_list list = {0};
        int rc = store_dirty(sync->store, after, SYNC_PUSH_BATCH, &list, &after);
        rc = rc < 0 ? rc : push_list(sync, generation, &list);
        bool done = list.count == 0;
        object_list_deinit(&list);
        if (rc < 0 || done || must_stop(sync)) {
            return rc;
        }
    }
}

void *sync_push_thread(void *context)
{
    struct sync *sync = context;
    bool waits = false; /* there is no room for it; it has been said */
    (void)pthread_mutex_lock(&sync->lock);
    while (!sync->stopping) {
        if (!sync->want_push) {
            (void)pthread_cond_wait(&sync->due[SYNC_THREAD_PUSH], &sync->lock);
            continue;
        }
        sync->want_push = false;
        uint64_t generation = sync->generation;
        struct sync_event event = {.type = SYNC_EVENT_PUSHED, .run = sync->link.run};
        (void)pthread_mutex_unlock(&sync->lock);
        int rc = push_round(sync, generation);
        (void)pthread_mutex_lock(&sync->lock);
        if (rc < 0) {
            event.type = SYNC_EVENT_PUSH_FAILED;
            event.full = rc == ERR_NO_SPACE;
            snprintf(sync->status.reason, sizeof(sync->status.reason), "push: %s", err_text());
        }
        bool waited = waits;
        sync_post(sync, &event);
        waits = sync->link.waiting || (waits && rc < 0);
        if (waits && !waited) {
            sync_tell(sync, SYNC_WARN, "push-waits",
                      "%s; what is written here is kept and tried again", sync->status.reason);
        }
    }
    (void)pthread_mutex_unlock(&sync->lock);
    return NULL;
}
