/* The feed: what arrives is stored. And what answers to pushes say. */
#include "sync/sync.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/vec.h"
#include "sync/driver.h"

#define FEED_LINE_BYTES_MAX (64u << 20)
#define FEED_TXN_OBJECTS 512
#define UNREADABLE_BYTES_TOLD 160 /* of its line; kind and id are in it */

/* Objects that were stored, for the room. */
struct stored {
    struct object **items; /* owned */
    size_t count;
    size_t capacity;
};

static void report_all(struct sync *sync, struct stored *stored, bool committed)
{
    for (size_t i = 0; i < stored->count; i++) {
        if (committed) {
            sync_report(sync, stored->items[i]);
        }
        object_free(&stored->items[i]);
    }
    vec_deinit(stored);
}

static void wake(struct sync *sync, uint64_t applied, bool blobs)
{
    (void)pthread_mutex_lock(&sync->lock);
    sync->status.applied += applied;
    if (blobs) {
        sync_want_blobs(sync);
    }
    (void)pthread_cond_broadcast(&sync->changed);
    (void)pthread_mutex_unlock(&sync->lock);
}

/* Begins a transaction that belongs to this datastore, or says that there is another one. */
static int begin(struct sync *sync, uint64_t generation, enum store_durability durability)
{
    int rc = store_begin(sync->store, durability);
    if (rc == 0 && sync_generation(sync) != generation) {
        store_abort(sync->store);
        return err_set(ERR_CANCELLED, "another datastore was adopted meanwhile");
    }
    return rc;
}

static int end(struct sync *sync, int rc)
{
    if (rc < 0) {
        store_abort(sync->store);
        return rc;
    }
    return store_commit(sync->store);
}

/* ---- what arrives ---- */

static void keep(struct stored *stored, const struct object *object)
{
    vec_push(stored, object_clone(object));
}

static int apply_one(struct sync *sync, const struct object *incoming, struct stored *stored,
                     bool *ret_blobs)
{
    struct object *local = NULL;
    struct object *shadow = NULL;
    int rc = store_get_any(sync->store, &incoming->id, &local);
    if (rc == 0 && local->dirty) {
        rc = store_get_shadow(sync->store, &incoming->id, &shadow);
    }
    if (rc < 0) {
        object_free(&local);
        return rc;
    }
    if (local != NULL && local->kind != incoming->kind) {
        object_free(&shadow);
        object_free(&local);
        return 0; /* the datastore cannot have sent this; it stays as it is */
    }
    enum sync_arrival arrival = sync_receive(local, shadow, incoming);
    rc = 0;
    if (arrival == SYNC_ARRIVAL_APPLY) {
        rc = store_put(sync->store, incoming);
        rc = rc < 0 || shadow == NULL ? rc : store_put_shadow(sync->store, &incoming->id, NULL);
        keep(stored, incoming);
        *ret_blobs = *ret_blobs || incoming->blob.present;
    } else if (arrival == SYNC_ARRIVAL_SHADOW) {
        rc = store_put_shadow(sync->store, &incoming->id, incoming);
    }
    object_free(&shadow);
    object_free(&local);
    return rc;
}

static int move_seen(struct sync *sync, enum object_file file, uint64_t seen)
{
    struct store_place place;
    int rc = store_place(sync->store, file, &place);
    return rc < 0 || place.seen >= seen ? rc : store_set_seen(sync->store, file, seen);
}

static int move_places(struct sync *sync, const struct sync_arrived *arrived)
{
    int rc = 0;
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        if (arrived->seen[file] > 0) {
            rc = move_seen(sync, file, arrived->seen[file]);
        }
        if (rc == 0 && store_cursor(sync->store, file) < arrived->cursor) {
            rc = store_set_cursor(sync->store, file, arrived->cursor);
        }
    }
    return rc;
}

static void confirm_all(struct sync *sync, uint64_t generation, const struct stored *stored)
{
    for (size_t i = 0; i < stored->count; i++) {
        struct sync_reply confirmed = {.change = stored->items[i]->change,
                                       .verdict = SYNC_ACCEPTED,
                                       .revision = stored->items[i]->revision};
        sync_confirm(sync, generation, &stored->items[i]->id, &confirmed);
    }
}

int sync_apply_all(struct sync *sync, uint64_t generation, const struct sync_arrived *arrived)
{
    struct stored stored = {0};
    bool blobs = false;
    int rc = begin(sync, generation, STORE_LAZY);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < arrived->count; i++) {
        rc = apply_one(sync, arrived->objects[i], &stored, &blobs);
    }
    rc = rc < 0 ? rc : move_places(sync, arrived);
    rc = end(sync, rc);
    wake(sync, rc == 0 ? stored.count : 0, blobs);
    if (rc == 0) {
        confirm_all(sync, generation, &stored);
    }
    report_all(sync, &stored, rc == 0);
    return rc;
}

int sync_apply_own(struct sync *sync, uint64_t generation, const struct object *object)
{
    struct stored stored = {0};
    bool blobs = false;
    int rc = begin(sync, generation, STORE_DURABLE);
    if (rc < 0) {
        return rc;
    }
    rc = end(sync, apply_one(sync, object, &stored, &blobs));
    wake(sync, 0, blobs);
    report_all(sync, &stored, rc == 0);
    return rc;
}

/* ---- answers ---- */

static int settle_one(struct sync *sync, const struct object *pushed,
                      const struct sync_reply *reply, struct stored *stored)
{
    struct object *local = NULL;
    struct object *shadow = NULL;
    int rc = store_get_any(sync->store, &pushed->id, &local);
    rc = rc < 0 ? rc : store_get_shadow(sync->store, &pushed->id, &shadow);
    if (rc < 0) {
        object_free(&local);
        return rc;
    }
    struct sync_answer answer = {reply->verdict, reply->revision, reply->object, reply->copy};
    struct object *result = NULL;
    const struct object *beside = NULL;
    sync_settle(local, shadow, pushed, &answer, &result, &beside);
    rc = result == NULL ? 0 : store_put(sync->store, result);
    if (rc == 0 && beside != shadow) {
        rc = store_put_shadow(sync->store, &pushed->id, beside);
    }
    if (result != NULL) {
        keep(stored, result);
    }
    bool blobs = false;
    if (rc == 0 && answer.copy != NULL) {
        rc = apply_one(sync, answer.copy, stored, &blobs);
    }
    object_free(&result);
    object_free(&shadow);
    object_free(&local);
    return rc;
}

int sync_settle_all(struct sync *sync, uint64_t generation, struct object *const *pushed,
                    const struct sync_reply *replies, size_t count)
{
    struct stored stored = {0};
    int rc = begin(sync, generation, STORE_LAZY);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = settle_one(sync, pushed[i], &replies[i], &stored);
    }
    rc = end(sync, rc);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (replies[i].verdict != SYNC_NEEDS_BLOB) {
            sync_confirm(sync, generation, NULL, &replies[i]);
        }
    }
    wake(sync, 0, false);
    report_all(sync, &stored, rc == 0);
    return rc;
}

/* ---- the stream ---- */

struct reading {
    struct sync *sync;
    uint64_t generation;
    struct buf line; /* what has come of the next line */
    struct object_list objects;
    uint64_t cursor;             /* everything up to here is in `objects` or applied */
    uint64_t seen[OBJECT_FILES]; /* not kept yet */
    bool through;
    bool caught_up; /* from then on what comes is applied at once, before that in batches */
};

static int apply_read(struct reading *reading)
{
    int rc = 0;
    if (reading->objects.count > 0 || reading->cursor > store_revision(reading->sync->store)) {
        struct sync_arrived arrived = {.objects = reading->objects.items,
                                       .count = reading->objects.count,
                                       .cursor = reading->cursor};
        memcpy(arrived.seen, reading->seen, sizeof(arrived.seen));
        rc = sync_apply_all(reading->sync, reading->generation, &arrived);
        memset(reading->seen, 0, sizeof(reading->seen)); /* kept now, or all is read again */
    }
    object_list_deinit(&reading->objects);
    if (rc == 0 && reading->through) {
        reading->through = false;
        reading->caught_up = true;
        sync_post_type(reading->sync, SYNC_EVENT_THROUGH);
    }
    return rc;
}

static void take_webservers(struct sync *sync, const json_t *list)
{
    (void)pthread_mutex_lock(&sync->lock);
    sync->webserver_count = sync_webservers_from_json(list, sync->webservers);
    sync->webservers_ns = io_monotonic_ns(sync->io);
    (void)pthread_mutex_unlock(&sync->lock);
}

static void take_revision(struct reading *reading, const json_t *json, const json_t *revision)
{
    struct sync *sync = reading->sync;
    reading->cursor = MAX(reading->cursor, (uint64_t)json_integer_value(revision));
    reading->through = reading->through || json_is_true(json_object_get(json, "through"));
    (void)pthread_mutex_lock(&sync->lock);
    sync->status.upstream_revision = MAX(sync->status.upstream_revision, reading->cursor);
    (void)pthread_mutex_unlock(&sync->lock);
}

/* A change that was accepted once, and cannot be read any more, must not stop all that follow. It
 * is passed over; the next version of the object comes as any other. */
static void tell_unreadable(struct reading *reading, struct span line)
{
    sync_tell(reading->sync, SYNC_ERROR, "unreadable-change",
              "the feed: %s; this change is passed over: %.*s", err_text(),
              SPAN_ARG(span_first(line, UNREADABLE_BYTES_TOLD)));
}

/* A kind that is not known here comes from a newer datastore: it is passed over. Its revision
 * counts; the upgrade that brings the kind fetches everything anew (docs). */
static int take_object(struct reading *reading, const json_t *json, struct span line)
{
    struct object *object = NULL;
    int rc = object_from_json(json, &object);
    if (rc == ERR_UNSUPPORTED) {
        sync_tell(reading->sync, SYNC_WARN, "unknown-object", "%s; it is passed over", err_text());
        return 0;
    }
    if (rc < 0) {
        tell_unreadable(reading, line);
        return 0;
    }
    vec_push(&reading->objects, object);
    reading->cursor = MAX(reading->cursor, object->revision);
    return reading->objects.count < FEED_TXN_OBJECTS ? 0 : apply_read(reading);
}

static int learn_file(struct sync *sync, enum object_file file, const json_t *json)
{
    struct uuid identity;
    struct uuid last;
    struct sync_epochs epochs = {0};
    int rc = sync_lineage_from_json(json, &identity, &last, &epochs);
    if (rc == 0 && (uuid_is_zero(identity) || uuid_is_zero(last))) {
        rc =
            err_set(ERR_PROTOCOL, "the feed: %s: identity or epoch: missing", sync_file_name(file));
    }
    rc = rc < 0
             ? rc
             : store_set_lineage(sync->store, file, &identity, &last, epochs.items, epochs.count);
    vec_deinit(&epochs);
    return rc;
}

/* Another of several datastores began an epoch; what comes next belongs to it. */
static int take_lineage(struct reading *reading, const json_t *stores)
{
    struct sync *sync = reading->sync;
    int rc = begin(sync, reading->generation, STORE_LAZY);
    if (rc < 0) {
        return rc;
    }
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        rc = learn_file(sync, file, json_object_get(stores, sync_file_name(file)));
    }
    return end(sync, rc);
}

static int take_line(struct reading *reading, struct span line)
{
    json_error_t why;
    json_t *json = json_loadb((const char *)line.data, line.bytes, 0, &why);
    const json_t *object = json_object_get(json, "object");
    const json_t *webservers = json_object_get(json, "webservers");
    const json_t *revision = json_object_get(json, "revision");
    const json_t *seen = json_object_get(json, "reading");
    const json_t *stores = json_object_get(json, "stores");
    int rc = 0;
    for (enum object_file file = 0; seen != NULL && file < OBJECT_FILES; file++) {
        uint64_t reached = sync_json_number(seen, sync_file_name(file));
        reading->seen[file] = MAX(reading->seen[file], reached);
    }
    if (json == NULL && json_error_code(&why) == json_error_stack_overflow) {
        (void)err_set(ERR_PROTOCOL, "too many levels of arrays and objects");
        tell_unreadable(reading, line);
    } else if (json == NULL) {
        rc = err_set(ERR_PROTOCOL, "the feed: a line that is no JSON");
    } else if (object != NULL) {
        rc = take_object(reading, object, line);
    } else if (webservers != NULL) {
        take_webservers(reading->sync, webservers);
    } else if (stores != NULL) {
        rc = take_lineage(reading, stores);
    } else if (json_is_integer(revision)) {
        take_revision(reading, json, revision);
    }
    json_decref(json);
    return rc;
}

static int on_data(void *context, struct span data)
{
    struct reading *reading = context;
    int rc = 0;
    ptrdiff_t end_at = span_find_byte(data, '\n');
    while (rc == 0 && end_at >= 0) {
        buf_append(&reading->line, span_first(data, (size_t)end_at));
        rc = take_line(reading, buf_span(&reading->line));
        buf_clear(&reading->line);
        data = span_from(data, (size_t)end_at + 1);
        end_at = span_find_byte(data, '\n');
    }
    buf_append(&reading->line, data);
    if (rc == 0 && reading->line.bytes > FEED_LINE_BYTES_MAX) {
        rc = err_set(ERR_TOO_LARGE, "the feed: a line of more than %u bytes", FEED_LINE_BYTES_MAX);
    }
    bool due = reading->caught_up || reading->through;
    return rc < 0 || !due ? rc : apply_read(reading);
}

static int follow(struct sync *sync, const char *url, struct http_cancel *cancel,
                  uint64_t generation)
{
    struct reading reading = {.sync = sync, .generation = generation};
    struct http_answer answer = {0};
    struct http_call call = {.url = url,
                             .push = on_data,
                             .push_context = &reading,
                             .control = true,
                             .idle_ms = sync->url_count > 1 ? SYNC_FAILOVER_SILENT_MS
                                                            : (unsigned)(3 * sync->interval_ms),
                             .cancel = cancel};
    int rc = http_call(sync->client, &call, &answer);
    if (rc == 0) {
        rc = answer.status == 200
                 ? err_set(ERR_UNAVAILABLE, "it ended the feed")
                 : err_set(ERR_UNAVAILABLE, "the feed: %s", http_answer_error(&answer));
        http_answer_deinit(&answer);
    }
    buf_deinit(&reading.line);
    object_list_deinit(&reading.objects);
    return rc;
}

/* Under the lock. */
static char *feed_url(struct sync *sync)
{
    char run[UUID_TEXT_BYTES];
    char webserver[UUID_TEXT_BYTES];
    int64_t beat_ms = MAX(MIN(sync->interval_ms / 2, 5000), 100);
    beat_ms = sync->url_count > 1 ? MIN(beat_ms, SYNC_FAILOVER_BEAT_MS) : beat_ms;
    char *path = mem_printf("/sync/v1/feed?since=%" PRIu64 "&run=%s&webserver=%s&beat_ms=%" PRId64,
                            sync->feed_since, uuid_text(sync->link.run, run),
                            uuid_text(sync->options.webserver, webserver), beat_ms);
    char *url = sync_url(sync, path);
    mem_free(path);
    return url;
}

void *sync_feed_thread(void *context)
{
    struct sync *sync = context;
    (void)pthread_mutex_lock(&sync->lock);
    while (!sync->stopping) {
        if (!sync->want_feed) {
            (void)pthread_cond_wait(&sync->due[SYNC_THREAD_FEED], &sync->lock);
            continue;
        }
        sync->want_feed = false;
        struct http_cancel *cancel = sync->feed_cancel = http_cancel_new();
        uint64_t generation = sync->generation;
        char *url = feed_url(sync);
        (void)pthread_mutex_unlock(&sync->lock);
        int rc = follow(sync, url, cancel, generation);
        mem_free(url);
        (void)pthread_mutex_lock(&sync->lock);
        if (sync_is_connected(sync)) {
            snprintf(sync->status.reason, sizeof(sync->status.reason), "%s",
                     rc < 0 ? err_text() : "");
        }
        sync->feed_cancel = NULL;
        http_cancel_free(&cancel);
        struct sync_event ended = {.type = SYNC_EVENT_FEED_ENDED};
        sync_post(sync, &ended);
    }
    (void)pthread_mutex_unlock(&sync->lock);
    return NULL;
}
