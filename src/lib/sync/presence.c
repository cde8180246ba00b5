/* Tested by sync_test.c (without a datastore); with one in src/datastore/api_test.c. */
#include "sync/presence.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/time.h"
#include "sync/driver.h"

#define INTERVAL_MS_DEFAULT 10000
#define LINE_BYTES_MAX (1u << 20)

struct sync_presence {
    struct sync_presence_options options;
    char *urls[SYNC_DATASTORES_MAX];
    size_t url_count;
    int64_t interval_ms;
    struct http_client *client;
    struct http_cancel *cancel;
    pthread_t thread;
    bool running;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping;
    struct sync_presence_view view;

    struct buf line; /* the thread's: what has come of the next line */
    bool heard;      /* the thread's: this stream said something */
};

static void set_connected(struct sync_presence *presence, bool connected)
{
    (void)pthread_mutex_lock(&presence->lock);
    if (presence->view.connected != connected) {
        presence->view.connected = connected;
        presence->view.generation++;
        (void)pthread_cond_broadcast(&presence->changed);
    }
    (void)pthread_mutex_unlock(&presence->lock);
}

static bool same_webservers(const struct sync_webserver *a, const struct sync_webserver *b,
                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!uuid_equal(a[i].id, b[i].id) || a[i].up != b[i].up ||
            strcmp(a[i].external_addr, b[i].external_addr) != 0) {
            return false;
        }
    }
    return true;
}

static void take_list(struct sync_presence *presence, const json_t *list)
{
    struct sync_webserver *fresh = mem_alloc_array(SYNC_WEBSERVERS_MAX, sizeof(*fresh));
    size_t count = sync_webservers_from_json(list, fresh);
    (void)pthread_mutex_lock(&presence->lock);
    struct sync_presence_view *view = &presence->view;
    bool same =
        view->connected && view->count == count && same_webservers(view->webservers, fresh, count);
    memcpy(view->webservers, fresh, count * sizeof(*fresh));
    view->count = count;
    view->connected = true;
    view->generation += same ? 0 : 1;
    (void)pthread_cond_broadcast(&presence->changed);
    (void)pthread_mutex_unlock(&presence->lock);
    mem_free(fresh);
}

static void take_line(struct sync_presence *presence, struct span line)
{
    json_t *json = json_loadb((const char *)line.data, line.bytes, 0, NULL);
    const json_t *list = json_object_get(json, "webservers");
    presence->heard = presence->heard || json != NULL;
    if (list != NULL) {
        take_list(presence, list);
    }
    json_decref(json);
}

static int on_data(void *context, struct span data)
{
    struct sync_presence *presence = context;
    ptrdiff_t end_at = span_find_byte(data, '\n');
    while (end_at >= 0) {
        buf_append(&presence->line, span_first(data, (size_t)end_at));
        take_line(presence, buf_span(&presence->line));
        buf_clear(&presence->line);
        data = span_from(data, (size_t)end_at + 1);
        end_at = span_find_byte(data, '\n');
    }
    buf_append(&presence->line, data);
    if (presence->line.bytes > LINE_BYTES_MAX) {
        return err_set(ERR_TOO_LARGE, "a line of more than %u bytes", LINE_BYTES_MAX);
    }
    return 0;
}

static int follow(struct sync_presence *presence, const char *url)
{
    struct http_answer answer = {0};
    struct http_call call = {.url = url,
                             .push = on_data,
                             .push_context = presence,
                             .control = true,
                             .idle_ms = presence->url_count > 1
                                            ? SYNC_FAILOVER_SILENT_MS
                                            : (unsigned)(3 * presence->interval_ms),
                             .cancel = presence->cancel};
    buf_clear(&presence->line);
    presence->heard = false;
    int rc = http_call(presence->client, &call, &answer);
    if (rc == 0) {
        rc = answer.status == 200 ? err_set(ERR_UNAVAILABLE, "it ended the stream")
                                  : err_set(ERR_UNAVAILABLE, "%s", http_answer_error(&answer));
        http_answer_deinit(&answer);
    }
    return rc;
}

static bool must_stop(struct sync_presence *presence, int64_t pause_ms)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t at_ns = at.tv_sec * TIME_S_NS + at.tv_nsec + pause_ms * TIME_MS_NS;
    at = (struct timespec){at_ns / TIME_S_NS, at_ns % TIME_S_NS};
    (void)pthread_mutex_lock(&presence->lock);
    int waited = 0;
    while (!presence->stopping && waited == 0 && pause_ms > 0) {
        waited = pthread_cond_timedwait(&presence->changed, &presence->lock, &at);
    }
    bool stop = presence->stopping;
    (void)pthread_mutex_unlock(&presence->lock);
    return stop;
}

static void tell(struct sync_presence *presence, const char *url, const char *why)
{
    if (presence->options.on_event != NULL) {
        char *text = mem_printf("%s: %s; the last list known stays in use", url, why);
        presence->options.on_event(presence->options.context, SYNC_ERROR, "presence-lost", text);
        mem_free(text);
    }
}

static void *presence_thread(void *context)
{
    struct sync_presence *presence = context;
    size_t at = 0;
    size_t silent = 0; /* datastores in a row that said nothing */
    while (
        !must_stop(presence, silent > 0 && silent % presence->url_count == 0 ? SYNC_RETRY_MS : 0)) {
        int rc = follow(presence, presence->urls[at]);
        set_connected(presence, false);
        if (rc != ERR_CANCELLED && (presence->heard || silent == 0)) {
            tell(presence, presence->urls[at], err_text());
        }
        silent = presence->heard ? 1 : silent + 1;
        at = (at + 1) % presence->url_count;
    }
    return NULL;
}

/* ---- life ---- */

static int start(struct sync_presence *presence)
{
    const struct sync_presence_options *options = &presence->options;
    struct http_client_options client = {.io = options->io,
                                         .control_secret = options->control_secret,
                                         .tls_insecure = !options->tls_verify,
                                         .connect_timeout_ms = 2000};
    int64_t beat_ms = MAX(MIN(presence->interval_ms / 2, 5000), 100);
    beat_ms = options->datastore_count > 1 ? MIN(beat_ms, SYNC_FAILOVER_BEAT_MS) : beat_ms;
    for (size_t i = 0; i < MIN(options->datastore_count, (size_t)SYNC_DATASTORES_MAX); i++) {
        char *base = sync_url_of(options->datastores[i], options->tls);
        presence->urls[presence->url_count++] =
            mem_printf("%s/sync/v1/webservers/watch?beat_ms=%d", base, (int)beat_ms);
        mem_free(base);
    }
    if (presence->url_count == 0) {
        return err_set(ERR_INVALID, "no datastore is given");
    }
    int rc = http_client_new(&client, &presence->client);
    if (rc < 0) {
        return rc;
    }
    int error = pthread_create(&presence->thread, NULL, presence_thread, presence);
    presence->running = error == 0;
    return error == 0 ? 0 : err_set_errno(error, "a thread");
}

int sync_presence_start(const struct sync_presence_options *options,
                        struct sync_presence **ret_presence)
{
    struct sync_presence *presence = MEM_NEW(struct sync_presence);
    presence->options = *options;
    presence->interval_ms = options->interval_ms > 0 ? options->interval_ms : INTERVAL_MS_DEFAULT;
    presence->cancel = http_cancel_new();
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&presence->lock, NULL);
    (void)pthread_cond_init(&presence->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    int rc = start(presence);
    if (rc < 0) {
        sync_presence_stop(&presence);
        return rc;
    }
    *ret_presence = presence;
    return 0;
}

void sync_presence_stop(struct sync_presence **presence)
{
    struct sync_presence *gone = *presence;
    *presence = NULL;
    if (gone == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&gone->lock);
    gone->stopping = true;
    http_cancel_fire(gone->cancel);
    (void)pthread_cond_broadcast(&gone->changed);
    (void)pthread_mutex_unlock(&gone->lock);
    if (gone->running) {
        (void)pthread_join(gone->thread, NULL);
    }
    http_client_free(&gone->client);
    http_cancel_free(&gone->cancel);
    for (size_t i = 0; i < gone->url_count; i++) {
        mem_free(gone->urls[i]);
    }
    buf_deinit(&gone->line);
    (void)pthread_mutex_destroy(&gone->lock);
    (void)pthread_cond_destroy(&gone->changed);
    mem_free(gone);
}

int sync_presence_wait(struct sync_presence *presence, uint64_t generation, int64_t timeout_ms,
                       struct sync_presence_view *ret_view)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t at_ns = at.tv_sec * TIME_S_NS + at.tv_nsec + timeout_ms * TIME_MS_NS;
    at = (struct timespec){at_ns / TIME_S_NS, at_ns % TIME_S_NS};
    (void)pthread_mutex_lock(&presence->lock);
    int waited = 0;
    while (!presence->stopping && waited == 0 && presence->view.generation == generation) {
        waited = pthread_cond_timedwait(&presence->changed, &presence->lock, &at);
    }
    int rc = SYNC_PRESENCE_SAME;
    if (presence->stopping) {
        rc = err_set(ERR_CANCELLED, "stopped");
    } else if (presence->view.generation != generation) {
        *ret_view = presence->view;
        rc = 0;
    }
    (void)pthread_mutex_unlock(&presence->lock);
    return rc;
}
