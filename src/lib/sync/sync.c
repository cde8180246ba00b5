#include "sync/sync.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/time.h"
#include "sync/driver.h"

#define INTERVAL_MS_DEFAULT 10000

void sync_tell(struct sync *sync, enum sync_level level, const char *event, const char *format, ...)
{
    if (sync->options.on_event == NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    struct buf text = {0};
    buf_vprintf(&text, format, args);
    va_end(args);
    sync->options.on_event(sync->options.context, level, event, buf_str(&text));
    buf_deinit(&text);
}

int64_t sync_now_ms(struct sync *sync)
{
    return io_monotonic_ns(sync->io) / TIME_MS_NS;
}

static bool wait_on(struct sync *sync, pthread_cond_t *condition, int64_t until_ms)
{
    int64_t left_ms = until_ms - sync_now_ms(sync);
    if (left_ms <= 0) {
        return false;
    }
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t at_ns = at.tv_sec * TIME_S_NS + at.tv_nsec + MIN(left_ms, 3600000) * TIME_MS_NS;
    at = (struct timespec){at_ns / TIME_S_NS, at_ns % TIME_S_NS};
    (void)pthread_cond_timedwait(condition, &sync->lock, &at);
    return true;
}

bool sync_wait(struct sync *sync, int64_t until_ms)
{
    return wait_on(sync, &sync->changed, until_ms);
}

bool sync_wait_due(struct sync *sync, enum sync_thread thread, int64_t until_ms)
{
    return wait_on(sync, &sync->due[thread], until_ms);
}

void sync_want_blobs(struct sync *sync)
{
    sync->want_blobs = true;
    (void)pthread_cond_signal(&sync->due[SYNC_THREAD_BLOBS]);
}

/* Under the lock. */
static void wake_everybody(struct sync *sync)
{
    (void)pthread_cond_broadcast(&sync->changed);
    for (size_t i = 0; i < SYNC_THREADS; i++) {
        (void)pthread_cond_signal(&sync->due[i]);
    }
}

bool sync_is_connected(struct sync *sync)
{
    return sync->link.state == SYNC_LINK_CATCHING_UP || sync->link.state == SYNC_LINK_LIVE;
}

char *sync_url(struct sync *sync, const char *path)
{
    return mem_printf("%s%s", sync->urls[sync->link.datastore], path);
}

/* ---- what the link says ---- */

static enum sync_state state_of(enum sync_link_state state)
{
    switch (state) {
    case SYNC_LINK_OFFLINE:
    case SYNC_LINK_CHECKING:
        break;
    case SYNC_LINK_CATCHING_UP:
        return SYNC_STATE_CATCHING_UP;
    case SYNC_LINK_LIVE:
        return SYNC_STATE_LIVE;
    }
    return SYNC_STATE_OFFLINE;
}

static void note_state(struct sync *sync)
{
    enum sync_state before = sync->status.state;
    sync->status.state = state_of(sync->link.state);
    if (sync_is_connected(sync)) {
        snprintf(sync->status.datastore, sizeof(sync->status.datastore), "%s",
                 sync->names[sync->link.datastore]);
        sync->status.reason[0] = 0;
    }
    if (before == sync->status.state || sync->stopping) {
        return;
    }
    sync->status.since_ns = io_now_ns(sync->io);
    bool lost = sync->status.state == SYNC_STATE_OFFLINE;
    sync_tell(sync, lost ? SYNC_WARN : SYNC_INFO, "datastore-link", "datastore %s: %s -> %s%s%s",
              sync->status.datastore, sync_state_name(before), sync_state_name(sync->status.state),
              lost ? ", because " : "", lost ? sync->status.reason : "");
}

void sync_post(struct sync *sync, const struct sync_event *event)
{
    struct sync_actions actions;
    struct sync_event timed = *event;
    timed.now_ms = sync_now_ms(sync);
    int64_t next_ms = sync->link.next_ms;
    bool feed_open = sync->link.feed_open;
    sync_step(&sync->link, &timed, &actions);
    if ((actions.what & SYNC_DO_TELL) != 0) {
        note_state(sync);
        wake_everybody(sync);
    }
    if (sync->link.waiting) {
        (void)pthread_cond_broadcast(&sync->changed); /* nobody waits for a confirmation now */
    }
    if ((actions.what & SYNC_DO_CHECK_IN) != 0) {
        sync->want_check = true;
    }
    if ((actions.what & SYNC_DO_CLOSE_FEED) != 0 && sync->feed_cancel != NULL) {
        http_cancel_fire(sync->feed_cancel);
    }
    if ((actions.what & SYNC_DO_PUSH) != 0) {
        sync->want_push = true;
        (void)pthread_cond_signal(&sync->due[SYNC_THREAD_PUSH]);
    }
    if (sync->want_check || sync->link.next_ms != next_ms || sync->link.feed_open != feed_open) {
        (void)pthread_cond_signal(&sync->due[SYNC_THREAD_LINK]);
    }
}

void sync_post_type(struct sync *sync, enum sync_event_type type)
{
    (void)pthread_mutex_lock(&sync->lock);
    struct sync_event event = {.type = type};
    sync_post(sync, &event);
    (void)pthread_mutex_unlock(&sync->lock);
}

uint64_t sync_generation(struct sync *sync)
{
    (void)pthread_mutex_lock(&sync->lock);
    uint64_t generation = sync->generation;
    (void)pthread_mutex_unlock(&sync->lock);
    return generation;
}

void sync_report(struct sync *sync, const struct object *object)
{
    if (sync->options.on_change != NULL) {
        sync->options.on_change(sync->options.context, object);
    }
}

static void note_revision(struct sync *sync, uint64_t generation, uint64_t revision)
{
    if (sync->generation == generation) {
        sync->confirmed = MAX(sync->confirmed, revision);
    }
}

void sync_note_revision(struct sync *sync, uint64_t generation, uint64_t revision)
{
    (void)pthread_mutex_lock(&sync->lock);
    note_revision(sync, generation, revision);
    (void)pthread_mutex_unlock(&sync->lock);
}

void sync_confirm(struct sync *sync, uint64_t generation, const struct uuid *object,
                  const struct sync_reply *reply)
{
    (void)pthread_mutex_lock(&sync->lock);
    note_revision(sync, generation, reply->revision);
    for (struct sync_waiter *waiter = sync->waiters; waiter != NULL; waiter = waiter->next) {
        if (!waiter->done && uuid_equal(waiter->change, reply->change)) {
            waiter->done = true;
            bool beside = object != NULL && !uuid_is_zero(waiter->object) &&
                          !uuid_equal(*object, waiter->object);
            waiter->verdict = beside ? SYNC_COPIED : reply->verdict;
            waiter->revision = reply->revision;
            waiter->fault = reply->fault;
            snprintf(waiter->text, sizeof(waiter->text), "%s", reply->text);
            (void)pthread_cond_broadcast(&sync->changed);
        }
    }
    (void)pthread_mutex_unlock(&sync->lock);
}

/* ---- life ---- */

char *sync_url_of(const char *datastore, bool tls)
{
    const char *bracket = strrchr(datastore, ']');
    const char *scheme = tls ? "https" : "http";
    if (strchr(bracket == NULL ? datastore : bracket, ':') != NULL) {
        return mem_printf("%s://%s", scheme, datastore);
    }
    return mem_printf("%s://%s:%d", scheme, datastore, SYNC_PORT_DEFAULT);
}

static void add_datastore(struct sync *sync, const char *name)
{
    size_t at = sync->url_count++;
    sync->names[at] = mem_strdup(name);
    sync->urls[at] = sync_url_of(name, sync->options.tls);
}

static int start_alone(struct sync *sync)
{
    uint64_t taken;
    sync->status.state = SYNC_STATE_ALONE;
    return sync_take_over(sync->store, &taken);
}

static int start_threads(struct sync *sync)
{
    static void *(*const mains[SYNC_THREADS])(void *) = {
        [SYNC_THREAD_LINK] = sync_link_thread,
        [SYNC_THREAD_FEED] = sync_feed_thread,
        [SYNC_THREAD_PUSH] = sync_push_thread,
        [SYNC_THREAD_BLOBS] = sync_blob_thread,
    };
    for (size_t i = 0; i < ARRAY_COUNT(mains); i++) {
        int error = pthread_create(&sync->threads[i], NULL, mains[i], sync);
        if (error != 0) {
            return err_set_errno(error, "a thread of sync");
        }
        sync->thread_count++;
    }
    return 0;
}

static int start_linked(struct sync *sync)
{
    const struct sync_options *options = &sync->options;
    struct http_client_options client = {.io = sync->io,
                                         .control_secret = options->control_secret,
                                         .tls_insecure = !options->tls_verify,
                                         .connect_timeout_ms = 2000};
    for (size_t i = 0; i < MIN(options->datastore_count, (size_t)SYNC_DATASTORES_MAX); i++) {
        add_datastore(sync, options->datastores[i]);
    }
    sync_link_init(&sync->link, sync->url_count, sync->interval_ms);
    sync->status.state = SYNC_STATE_OFFLINE;
    snprintf(sync->status.datastore, sizeof(sync->status.datastore), "%s", sync->names[0]);
    snprintf(sync->status.reason, sizeof(sync->status.reason), "not connected yet");
    int rc = http_client_new(&client, &sync->client);
    return rc < 0 ? rc : start_threads(sync);
}

int sync_start(const struct sync_options *options, struct sync **ret_sync)
{
    struct sync *sync = MEM_NEW(struct sync);
    sync->io = options->io;
    sync->store = options->store;
    sync->options = *options;
    sync->external_addr = mem_strdup(options->external_addr == NULL ? "" : options->external_addr);
    sync->interval_ms = options->interval_ms > 0 ? options->interval_ms : INTERVAL_MS_DEFAULT;
    sync->generation = 1;
    sync->cancel = http_cancel_new();
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&sync->lock, NULL);
    (void)pthread_cond_init(&sync->changed, &monotonic);
    for (size_t i = 0; i < SYNC_THREADS; i++) {
        (void)pthread_cond_init(&sync->due[i], &monotonic);
    }
    (void)pthread_condattr_destroy(&monotonic);
    sync->status.since_ns = io_now_ns(sync->io);
    int rc = options->datastore_count == 0 ? start_alone(sync) : start_linked(sync);
    sync->options.datastores = NULL;
    if (rc < 0) {
        sync_stop(&sync);
        return rc;
    }
    *ret_sync = sync;
    return 0;
}

static void free_sync(struct sync *sync)
{
    map_deinit(&sync->blobs_sent);
    http_client_free(&sync->client);
    http_cancel_free(&sync->cancel);
    for (size_t i = 0; i < sync->url_count; i++) {
        mem_free(sync->urls[i]);
        mem_free(sync->names[i]);
    }
    mem_free(sync->external_addr);
    (void)pthread_mutex_destroy(&sync->lock);
    (void)pthread_cond_destroy(&sync->changed);
    for (size_t i = 0; i < SYNC_THREADS; i++) {
        (void)pthread_cond_destroy(&sync->due[i]);
    }
    mem_free(sync);
}

void sync_stop(struct sync **sync)
{
    struct sync *gone = *sync;
    *sync = NULL;
    if (gone == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&gone->lock);
    gone->farewell = sync_is_connected(gone); /* the feed is about to end */
    gone->stopping = true;
    http_cancel_fire(gone->cancel);
    if (gone->feed_cancel != NULL) {
        http_cancel_fire(gone->feed_cancel);
    }
    wake_everybody(gone);
    (void)pthread_mutex_unlock(&gone->lock);
    for (size_t i = 0; i < gone->thread_count; i++) {
        (void)pthread_join(gone->threads[i], NULL);
    }
    free_sync(gone);
}

/* ---- questions ---- */

uint64_t sync_revision(struct sync *sync)
{
    return store_revision(sync->store);
}

uint64_t sync_revision_told(struct sync *sync)
{
    (void)pthread_mutex_lock(&sync->lock);
    uint64_t confirmed = sync->confirmed;
    (void)pthread_mutex_unlock(&sync->lock);
    return MAX(confirmed, store_revision(sync->store));
}

int sync_wait_revision(struct sync *sync, uint64_t revision, int64_t timeout_ms)
{
    int64_t until_ms = sync_now_ms(sync) + timeout_ms;
    (void)pthread_mutex_lock(&sync->lock);
    bool reached = store_revision(sync->store) >= revision;
    while (!reached && !sync->stopping && sync_wait(sync, until_ms)) {
        reached = store_revision(sync->store) >= revision;
    }
    (void)pthread_mutex_unlock(&sync->lock);
    if (!reached) {
        return err_set(ERR_TIMEOUT, "revision %" PRIu64 " has not arrived here yet", revision);
    }
    return 0;
}

void sync_status(struct sync *sync, struct sync_status *ret_status)
{
    uint64_t dirty = 0;
    if (store_dirty_count(sync->store, &dirty) < 0) {
        dirty = 0;
    }
    (void)pthread_mutex_lock(&sync->lock);
    *ret_status = sync->status;
    (void)pthread_mutex_unlock(&sync->lock);
    ret_status->dirty = dirty;
    ret_status->revision = store_revision(sync->store);
    if (ret_status->state == SYNC_STATE_ALONE) {
        ret_status->upstream_revision = ret_status->revision;
    }
}

const char *sync_state_name(enum sync_state state)
{
    static const char *const names[] = {
        [SYNC_STATE_ALONE] = "alone",
        [SYNC_STATE_OFFLINE] = "offline",
        [SYNC_STATE_CATCHING_UP] = "catching up",
        [SYNC_STATE_LIVE] = "live",
    };
    return names[state];
}

size_t sync_webservers(struct sync *sync, struct sync_webserver *ret_webservers, size_t max)
{
    (void)pthread_mutex_lock(&sync->lock);
    size_t count = MIN(sync->webserver_count, max);
    int64_t since_ms = (io_monotonic_ns(sync->io) - sync->webservers_ns) / TIME_MS_NS;
    for (size_t i = 0; i < count; i++) {
        ret_webservers[i] = sync->webservers[i];
        ret_webservers[i].seen_ms += since_ms;
    }
    if (sync->status.state == SYNC_STATE_ALONE && max > 0) {
        count = 1;
        ret_webservers[0] = (struct sync_webserver){.id = sync->options.webserver, .up = true};
        snprintf(ret_webservers[0].external_addr, sizeof(ret_webservers[0].external_addr), "%s",
                 sync->external_addr);
        snprintf(ret_webservers[0].version, sizeof(ret_webservers[0].version), "%s",
                 AQUIFER_VERSION);
        ret_webservers[0].revision = store_revision(sync->store);
    }
    (void)pthread_mutex_unlock(&sync->lock);
    return count;
}
