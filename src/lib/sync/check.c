/* Check-ins, the clock, and adopting a datastore. */
#include "sync/sync.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "sync/driver.h"

#define CHECK_TIMEOUT_MS 3000
#define SCAN_OBJECTS 256

/* Both sides of every file, as the answer to a check-in shows them. */
struct checked {
    struct uuid run;
    bool fresh; /* the files are told: this run is new to us */
    struct sync_file_view views[OBJECT_FILES];
    struct store_epoch *ours[OBJECT_FILES]; /* owned */
    struct sync_epochs theirs[OBJECT_FILES];
};

static void checked_deinit(struct checked *checked)
{
    for (size_t i = 0; i < OBJECT_FILES; i++) {
        mem_free(checked->ours[i]);
        vec_deinit(&checked->theirs[i]);
    }
}

static json_t *request_of(struct sync *sync, bool leaving)
{
    (void)pthread_mutex_lock(&sync->lock);
    struct uuid run = sync->link.run;
    (void)pthread_mutex_unlock(&sync->lock);
    json_t *request = json_pack(
        "{s:i, s:o, s:o, s:s, s:s, s:I, s:I}", "protocol", SYNC_PROTOCOL, "webserver",
        sync_uuid_to_json(sync->options.webserver), "run", sync_uuid_to_json(run), "external_addr",
        sync->external_addr, "version", AQUIFER_VERSION, "revision",
        (json_int_t)store_revision(sync->store), "interval_ms", (json_int_t)sync->interval_ms);
    if (leaving) {
        json_object_set_new(request, "leaving", json_true());
    }
    return request;
}

static int read_file(struct sync *sync, enum object_file file, const json_t *json,
                     struct checked *checked)
{
    struct sync_file_view *view = &checked->views[file];
    size_t count = 0;
    int rc = sync_lineage_from_json(json, &view->their_identity, &view->their_last,
                                    &checked->theirs[file]);
    rc = rc < 0 ? rc : store_place(sync->store, file, &view->place);
    rc = rc < 0 ? rc : store_epochs(sync->store, file, &checked->ours[file], &count);
    view->their_revision = sync_json_number(json, "revision");
    view->theirs = (struct sync_tree){checked->theirs[file].items, checked->theirs[file].count};
    view->ours = (struct sync_tree){checked->ours[file], count};
    return rc;
}

/* Under the lock. Contents that the datastore lacks: whoever has them whole gives them back. */
static void take_wanted(struct sync *sync, const json_t *list)
{
    sync->blobs_wanted_count = 0;
    for (size_t i = 0; i < json_array_size(list) && i < SYNC_WANTED_MAX; i++) {
        const char *hex = json_string_value(json_array_get(list, i));
        struct buf bytes = {0};
        if (hex != NULL && text_unhex(&bytes, span_of_str(hex)) && bytes.bytes == 32) {
            memcpy(sync->blobs_wanted[sync->blobs_wanted_count++], bytes.data, 32);
        }
        buf_deinit(&bytes);
    }
    if (sync->blobs_wanted_count > 0) {
        sync_want_blobs(sync);
    }
}

static int read_answer(struct sync *sync, const json_t *answer, struct checked *checked)
{
    const json_t *stores = json_object_get(answer, "stores");
    int rc = sync_uuid_from_json(answer, "run", &checked->run);
    checked->fresh = json_object_size(stores) > 0;
    for (enum object_file file = 0; rc == 0 && checked->fresh && file < OBJECT_FILES; file++) {
        rc = read_file(sync, file, json_object_get(stores, sync_file_name(file)), checked);
    }
    if (rc == 0 && uuid_is_zero(checked->run)) {
        rc = err_set(ERR_PROTOCOL, "run: missing");
    }
    if (rc < 0) {
        return err_wrap(rc, "check-in");
    }
    (void)pthread_mutex_lock(&sync->lock);
    const json_t *list = json_object_get(answer, "webservers");
    sync->webserver_count = sync_webservers_from_json(list, sync->webservers);
    sync->webservers_ns = io_monotonic_ns(sync->io);
    sync->status.upstream_revision = sync_json_number(answer, "revision");
    take_wanted(sync, json_object_get(answer, "wanted"));
    (void)pthread_mutex_unlock(&sync->lock);
    return 0;
}

static int check_in(struct sync *sync, bool leaving, struct checked *checked)
{
    (void)pthread_mutex_lock(&sync->lock);
    char *url = sync_url(sync, "/sync/v1/checkin");
    (void)pthread_mutex_unlock(&sync->lock);
    json_t *request = request_of(sync, leaving);
    json_t *answer = NULL;
    struct http_call call = {.method = "POST",
                             .url = url,
                             .control = true,
                             .timeout_ms = leaving ? 1000 : CHECK_TIMEOUT_MS,
                             .cancel = leaving ? NULL : sync->cancel};
    int rc = http_call_json(sync->client, &call, request, &answer);
    rc = rc < 0 || leaving ? rc : read_answer(sync, answer, checked);
    json_decref(request);
    json_decref(answer);
    mem_free(url);
    return rc;
}

/* ---- adopting ---- */

static int rescue_one(struct sync *sync, struct object *object, const struct sync_file_view *view,
                      uint64_t common, uint64_t *rescued)
{
    struct object *shadow = NULL;
    int rc = object->dirty ? store_get_shadow(sync->store, &object->id, &shadow) : STORE_ABSENT;
    if (rc < 0) {
        return rc;
    }
    struct object *stays = NULL;
    struct object *copy = NULL;
    bool forked = shadow != NULL && shadow->revision > common;
    if (forked) {
        struct sync_case both = {
            .current = shadow, .pushed = object, .tree = &view->ours, .last = view->place.epoch};
        sync_fork(&both, &stays, &copy);
    } else {
        stays = object_clone(object);
    }
    rc = 0;
    if (sync_rescue(stays, &view->ours, view->place.epoch, common) || forked) {
        (*rescued)++;
        rc = store_put(sync->store, stays);
    }
    rc = rc < 0 || !forked ? rc : store_put_shadow(sync->store, &object->id, NULL);
    rc = rc < 0 || copy == NULL ? rc : sync_put_copy(sync->store, copy);
    object_free(&shadow);
    object_free(&stays);
    object_free(&copy);
    return rc;
}

static int rescue_file(struct sync *sync, enum object_file file, const struct sync_file_view *view,
                       uint64_t common, uint64_t *rescued)
{
    struct uuid after = {0};
    for (;;) {
        struct object_list list = {0};
        int rc = store_scan(sync->store, file, &after, SCAN_OBJECTS, &list);
        for (size_t i = 0; rc == 0 && i < list.count; i++) {
            after = list.items[i]->id;
            rc = rescue_one(sync, list.items[i], view, common, rescued);
        }
        bool done = list.count == 0;
        object_list_deinit(&list);
        if (rc < 0 || done) {
            return rc;
        }
    }
}

static int adopt_file(struct sync *sync, enum object_file file, const struct checked *checked,
                      const struct sync_file_action *action, uint64_t *rescued)
{
    const struct sync_file_view *view = &checked->views[file];
    int rc = action->lost ? rescue_file(sync, file, view, action->common, rescued) : 0;
    rc = rc < 0 ? rc
                : store_set_lineage(sync->store, file, &view->their_identity, &view->their_last,
                                    view->theirs.epochs, view->theirs.count);
    if (rc == 0 && action->cursor != view->place.cursor) {
        rc = store_set_cursor(sync->store, file, action->cursor);
    }
    if (rc == 0 && action->lost) {
        rc = store_set_seen(sync->store, file, action->common);
    }
    return rc;
}

static void tell_lost(struct sync *sync, const struct checked *checked,
                      const struct sync_actions *actions, uint64_t rescued)
{
    for (enum object_file file = 0; file < OBJECT_FILES; file++) {
        const struct sync_file_action *action = &actions->files[file];
        if (!action->lost) {
            continue;
        }
        bool known =
            uuid_equal(checked->views[file].their_identity, checked->views[file].place.identity);
        sync_tell(sync, SYNC_WARN, "datastore-lost-data",
                  "%s store of the datastore %s: it lost what came after revision %" PRIu64
                  " (this webserver has seen %" PRIu64 "); nothing is deleted here, %" PRIu64
                  " objects are given back to it",
                  sync_file_name(file), known ? "was restored from a backup" : "is a new one",
                  action->common,
                  MAX(checked->views[file].place.revision, checked->views[file].place.seen),
                  rescued);
    }
}

/* The administrator is told on the page, too: by one notification for each loss, whichever
 * webservers notice it. */
static int notify_lost(struct sync *sync, const struct checked *checked,
                       const struct sync_actions *actions, uint64_t rescued)
{
    bool lost = false;
    uint64_t common = UINT64_MAX;
    for (enum object_file file = 0; file < OBJECT_FILES; file++) {
        lost = lost || actions->files[file].lost;
        common = actions->files[file].lost ? MIN(common, actions->files[file].common) : common;
    }
    if (!lost || rescued == 0) {
        return 0;
    }
    uint8_t random[16];
    io_random(sync->io, random, sizeof(random));
    struct object *notice = sync_notice_lost(checked->views[OBJECT_FILE_WEB].their_last, common,
                                             rescued, io_now_ns(sync->io));
    struct object *stored = NULL;
    int rc = store_get_any(sync->store, &notice->id, &stored);
    if (rc >= 0) {
        sync_edit(stored, notice, uuid_of_random(random));
        rc = store_put(sync->store, notice);
    }
    object_free(&stored);
    object_free(&notice);
    return rc;
}

static int adopt(struct sync *sync, const struct checked *checked,
                 const struct sync_actions *actions)
{
    uint64_t rescued = 0;
    int rc = store_begin(sync->store, STORE_DURABLE);
    if (rc < 0) {
        return rc;
    }
    for (enum object_file file = 0; rc == 0 && file < OBJECT_FILES; file++) {
        rc = adopt_file(sync, file, checked, &actions->files[file], &rescued);
    }
    rc = rc < 0 ? rc : notify_lost(sync, checked, actions, rescued);
    (void)pthread_mutex_lock(&sync->lock);
    sync->generation++;
    sync->confirmed = 0;
    sync->status.resyncs += rescued > 0 ? 1 : 0;
    map_clear(&sync->blobs_sent);
    sync_want_blobs(sync);
    (void)pthread_mutex_unlock(&sync->lock);
    if (rc < 0) {
        store_abort(sync->store);
        return rc;
    }
    rc = store_commit(sync->store);
    if (rc == 0) {
        tell_lost(sync, checked, actions, rescued);
    }
    return rc;
}

/* The feed is opened by hand here: it must not begin before the datastore is adopted. */
static void on_answer(struct sync *sync, const struct checked *checked)
{
    struct sync_event event = {.type = SYNC_EVENT_CHECKED,
                               .run = checked->run,
                               .now_ms = sync_now_ms(sync),
                               .files = checked->views};
    struct sync_link next = sync->link;
    struct sync_actions actions;
    sync_step(&next, &event, &actions);
    if ((actions.what & SYNC_DO_ADOPT) == 0) {
        sync_post(sync, &event);
        return;
    }
    (void)pthread_mutex_unlock(&sync->lock);
    int rc = checked->fresh ? adopt(sync, checked, &actions)
                            : err_set(ERR_PROTOCOL, "check-in: stores: missing");
    (void)pthread_mutex_lock(&sync->lock);
    if (rc < 0) {
        struct sync_event failed = {.type = SYNC_EVENT_CHECK_FAILED};
        snprintf(sync->status.reason, sizeof(sync->status.reason), "%s", err_text());
        sync_tell(sync, SYNC_ERROR, "datastore-adopt", "%s; it is tried again", err_text());
        sync_post(sync, &failed);
        return;
    }
    sync->feed_since =
        MIN(actions.files[OBJECT_FILE_USERS].cursor, actions.files[OBJECT_FILE_WEB].cursor);
    sync->want_feed = true;
    (void)pthread_cond_signal(&sync->due[SYNC_THREAD_FEED]);
    sync_post(sync, &event);
}

static void do_check(struct sync *sync)
{
    struct checked checked = {0};
    (void)pthread_mutex_unlock(&sync->lock);
    int rc = check_in(sync, false, &checked);
    if (rc == 0 && store_checkpoint_in_pause(sync->store) < 0) {
        sync_tell(sync, SYNC_WARN, "store-checkpoint", "%s; tried again later", err_text());
    }
    (void)pthread_mutex_lock(&sync->lock);
    if (rc < 0) {
        struct sync_event failed = {.type = SYNC_EVENT_CHECK_FAILED};
        snprintf(sync->status.datastore, sizeof(sync->status.datastore), "%s",
                 sync->names[sync->link.datastore]);
        bool news = sync->status.state == SYNC_STATE_OFFLINE &&
                    strncmp(sync->status.reason, err_text(), sizeof(sync->status.reason) - 1) != 0;
        snprintf(sync->status.reason, sizeof(sync->status.reason), "%s", err_text());
        if (news) { /* once per reason: a wrong secret or address is told at the first try */
            sync_tell(sync, SYNC_WARN, "datastore-unreachable",
                      "datastore %s: %s; it is tried again", sync->status.datastore,
                      sync->status.reason);
        }
        sync_post(sync, &failed);
    } else {
        on_answer(sync, &checked);
    }
    checked_deinit(&checked);
}

static void say_goodbye(struct sync *sync)
{
    bool farewell = sync->farewell;
    (void)pthread_mutex_unlock(&sync->lock);
    if (farewell && check_in(sync, true, NULL) < 0) {
        /* It will notice after three intervals. */
    }
    (void)pthread_mutex_lock(&sync->lock);
}

void *sync_link_thread(void *context)
{
    struct sync *sync = context;
    struct sync_event time = {.type = SYNC_EVENT_TIME};
    (void)pthread_mutex_lock(&sync->lock);
    while (!sync->stopping) {
        sync_post(sync, &time);
        if (sync->want_check) {
            sync->want_check = false;
            do_check(sync);
            continue;
        }
        int64_t until_ms = MAX(sync->link.next_ms, sync_now_ms(sync) + 1);
        if (sync->link.feed_open != sync_is_connected(sync)) {
            until_ms = sync_now_ms(sync) + sync->interval_ms; /* the closing feed wakes us */
        }
        (void)sync_wait_due(sync, SYNC_THREAD_LINK, until_ms);
    }
    say_goodbye(sync);
    (void)pthread_mutex_unlock(&sync->lock);
    return NULL;
}
