#include "ingest/client.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "base/vec.h"
#include "ingest/link.h"
#include "series/evs.h"
#include "series/tags.h"

#define TARGETS_MAX 64
#define CONNECT_MS 1000
#define TLS_CONNECT_MS 5000
#define BACK_OFF_MS_MIN 100
#define BACK_OFF_MS_MAX 5000
#define SILENCE_MS_MAX 10000 /* with something unconfirmed, no byte for so long: it is dead */
#define CONFIRM_MS_MAX 60000 /* alive, but nothing was confirmed for so long */
#define FORCE_ACK_MS 1000    /* while waiting, ask again so often */
#define HEARTBEAT_MS 60000   /* of an idle link */
#define FLUSH_BYTES (128u << 10)
#define UNSENT_BYTES_MAX (1u << 20) /* per link, then send waits */
#define WAIT_MS 250

struct endpoint {
    char *text;
    struct ingest_target target;
    struct ingest_link *link; /* NULL: down */
    int fault;                /* of the last attempt */
    int64_t back_off_ms;
    int64_t try_ms;      /* not before */
    int64_t forced_ms;   /* last FORCE_ACK */
    int64_t progress_ms; /* last confirmation, or hot */
};

struct ingest_client {
    struct ingest_client_options options; /* its strings are owned */
    uint8_t secret_hash[INGEST_SECRET_HASH_BYTES];
    struct endpoint *endpoints;
    size_t endpoint_count;
    size_t turn;
    VEC(char *) tags;
    struct ingest_items waiting; /* not on any connection */
    size_t bytes_kept;           /* of all items */
    struct ingest_client_stats stats;
    int64_t started_ms;
    int64_t progress_ms;
    char last_error[ERR_TEXT_BYTES_MAX];
    atomic_bool cancelled;
    int wake_fd;
};

static size_t kept_bytes(const struct ingest_item *item)
{
    return sizeof(*item) + item->data_bytes + item->evs_bytes;
}

/* ---- life ---- */

static char *copy_or(const char *text, const char *fallback)
{
    return mem_strdup(text == NULL ? fallback : text);
}

static void copy_options(struct ingest_client *client, const struct ingest_client_options *from)
{
    struct ingest_client_options *to = &client->options;
    *to = *from;
    to->targets = NULL;
    to->secret = NULL;
    to->tenant = copy_or(from->tenant, "");
    to->name = copy_or(from->name, "aquifer");
    to->version = copy_or(from->version, AQUIFER_VERSION);
    to->label = copy_or(from->label, "");
    to->uuid = copy_or(from->uuid, "");
    to->tls_ca_path = from->tls_ca_path == NULL ? NULL : mem_strdup(from->tls_ca_path);
    to->window = from->window == 0 ? INGEST_WINDOW_MAX : MIN(from->window, INGEST_WINDOW_MAX);
    to->bytes_max = from->bytes_max == 0 ? 64u << 20 : from->bytes_max;
    to->patience_ms = from->patience_ms == 0 ? 30000 : from->patience_ms;
    to->connect_ms = from->connect_ms == 0 ? to->patience_ms : from->connect_ms;
}

int ingest_client_new(const struct ingest_client_options *options,
                      struct ingest_client **ret_client)
{
    if (options->target_count == 0 || options->target_count > TARGETS_MAX) {
        return err_set(ERR_INVALID, "%zu ingest targets; there must be 1 to %d",
                       options->target_count, TARGETS_MAX);
    }
    struct ingest_client *client = MEM_NEW(struct ingest_client);
    copy_options(client, options);
    ingest_secret_hash(span_of_str(options->secret), client->secret_hash);
    client->endpoints = mem_alloc_array(options->target_count, sizeof(*client->endpoints));
    client->started_ms = ingest_monotonic_ms();
    client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(client->wake_fd > 0);
    for (size_t i = 0; i < options->target_count; i++) {
        struct endpoint *endpoint = &client->endpoints[client->endpoint_count++];
        endpoint->text = mem_strdup(options->targets[i]);
        int rc = ingest_target_parse(options->targets[i], &endpoint->target);
        if (rc < 0) {
            ingest_client_free(&client);
            return err_wrap(rc, "ingest target");
        }
    }
    *ret_client = client;
    return 0;
}

static void free_items(struct ingest_items *items)
{
    for (struct ingest_item *item; (item = ingest_items_pop(items)) != NULL;) {
        mem_free(item);
    }
}

void ingest_client_free(struct ingest_client **client)
{
    struct ingest_client *gone = *client;
    if (gone == NULL) {
        return;
    }
    for (size_t i = 0; i < gone->endpoint_count; i++) {
        ingest_link_close(&gone->endpoints[i].link, &gone->waiting);
        mem_free(gone->endpoints[i].text);
    }
    free_items(&gone->waiting);
    for (size_t i = 0; i < gone->tags.count; i++) {
        mem_free(gone->tags.items[i]);
    }
    vec_deinit(&gone->tags);
    mem_free(gone->endpoints);
    mem_free((char *)gone->options.tenant);
    mem_free((char *)gone->options.name);
    mem_free((char *)gone->options.version);
    mem_free((char *)gone->options.label);
    mem_free((char *)gone->options.uuid);
    mem_free((char *)gone->options.tls_ca_path);
    close(gone->wake_fd);
    mem_free(gone);
    *client = NULL;
}

void ingest_client_cancel(struct ingest_client *client)
{
    atomic_store(&client->cancelled, true);
    uint64_t one = 1;
    (void)!write(client->wake_fd, &one, sizeof(one));
}

/* ---- connections ---- */

static void drop_link(struct ingest_client *client, struct endpoint *endpoint, int rc)
{
    snprintf(client->last_error, sizeof(client->last_error), "%s: %.900s", endpoint->text,
             err_text());
    endpoint->fault = rc;
    struct ingest_items window = {0};
    ingest_link_close(&endpoint->link, &window);
    client->stats.resent += window.count;
    ingest_items_prepend(&client->waiting, &window);
    endpoint->back_off_ms = endpoint->back_off_ms == 0
                                ? BACK_OFF_MS_MIN
                                : MIN(endpoint->back_off_ms * 2, BACK_OFF_MS_MAX);
    endpoint->try_ms = ingest_monotonic_ms() + endpoint->back_off_ms;
}

static void try_connect(struct ingest_client *client, struct endpoint *endpoint)
{
    struct ingest_link_options options = {
        .tenant = client->options.tenant,
        .name = client->options.name,
        .version = client->options.version,
        .uuid = client->options.uuid,
        .compress = client->options.compress,
        .stream = {.tls_insecure = client->options.tls_insecure,
                   .tls_ca_path = client->options.tls_ca_path,
                   .connect_timeout_ms =
                       endpoint->target.scheme == INGEST_TLS ? TLS_CONNECT_MS : CONNECT_MS,
                   .wake_fd = client->wake_fd},
        .tags = (const char *const *)client->tags.items,
        .tag_count = client->tags.count,
    };
    memcpy(options.secret_hash, client->secret_hash, sizeof(options.secret_hash));
    int rc = ingest_link_open(&endpoint->target, &options, &endpoint->link);
    if (rc < 0) {
        drop_link(client, endpoint, rc);
        return;
    }
    endpoint->fault = 0;
    endpoint->progress_ms = endpoint->forced_ms = ingest_monotonic_ms();
    client->progress_ms = endpoint->progress_ms;
    client->stats.connected++;
}

/* The confirmed ones are forgotten; that is progress. */
static void take_confirmed(struct ingest_client *client, struct endpoint *endpoint,
                           struct ingest_items *confirmed)
{
    if (confirmed->count == 0) {
        return;
    }
    endpoint->progress_ms = client->progress_ms = ingest_monotonic_ms();
    endpoint->back_off_ms = 0;
    for (struct ingest_item *item; (item = ingest_items_pop(confirmed)) != NULL;) {
        client->stats.confirmed++;
        client->stats.bytes += item->data_bytes;
        client->bytes_kept -= kept_bytes(item);
        mem_free(item);
    }
}

static int pump_link(struct ingest_client *client, struct endpoint *endpoint)
{
    struct ingest_items confirmed = {0};
    int rc = ingest_link_pump(endpoint->link, &confirmed);
    take_confirmed(client, endpoint, &confirmed);
    if (rc < 0) {
        return rc;
    }
    int64_t now_ms = ingest_monotonic_ms();
    bool owed = ingest_link_window(endpoint->link) > 0 || ingest_link_asking_tag(endpoint->link);
    int64_t interval_ms = owed ? FORCE_ACK_MS : HEARTBEAT_MS;
    if (!owed) {
        endpoint->progress_ms = now_ms;
    } else if (now_ms - MAX(ingest_link_heard_ms(endpoint->link), endpoint->progress_ms) >
               SILENCE_MS_MAX) {
        return err_set(ERR_UNAVAILABLE, "no byte from the indexer for %d s", SILENCE_MS_MAX / 1000);
    } else if (now_ms - endpoint->progress_ms > CONFIRM_MS_MAX) {
        return err_set(ERR_UNAVAILABLE, "nothing was confirmed for %d s", CONFIRM_MS_MAX / 1000);
    }
    if (now_ms - endpoint->forced_ms >= interval_ms) {
        endpoint->forced_ms = now_ms;
        ingest_link_force_ack(endpoint->link);
    }
    return 0;
}

/* A hot connection with room for one more entry of this tag, taking turns. */
static struct endpoint *with_room(struct ingest_client *client, uint16_t tag, size_t extra_bytes)
{
    int64_t now_ms = ingest_monotonic_ms();
    for (size_t i = 0; i < client->endpoint_count; i++) {
        struct endpoint *endpoint = &client->endpoints[(client->turn + i) % client->endpoint_count];
        struct ingest_link *link = endpoint->link;
        if (link == NULL || ingest_link_window(link) >= client->options.window ||
            ingest_link_throttled(link, now_ms) || !ingest_link_knows_tag(link, tag)) {
            continue;
        }
        size_t unsent = ingest_link_unsent_bytes(link);
        if (unsent == 0 || unsent + extra_bytes <= UNSENT_BYTES_MAX) {
            client->turn = (client->turn + i) % client->endpoint_count;
            return endpoint;
        }
    }
    return NULL;
}

static void hand_out_waiting(struct ingest_client *client)
{
    while (client->waiting.count > 0) {
        const struct ingest_item *first = client->waiting.first;
        struct endpoint *endpoint = with_room(client, first->tag, kept_bytes(first));
        if (endpoint == NULL) {
            return;
        }
        ingest_link_put(endpoint->link, ingest_items_pop(&client->waiting));
    }
}

/* One round without waiting: reconnect what is due, move bytes, hand out. */
static void step(struct ingest_client *client)
{
    for (size_t i = 0; i < client->endpoint_count; i++) {
        struct endpoint *endpoint = &client->endpoints[i];
        if (atomic_load(&client->cancelled)) {
            return;
        }
        if (endpoint->link == NULL && ingest_monotonic_ms() >= endpoint->try_ms) {
            try_connect(client, endpoint);
        }
        int rc = endpoint->link == NULL ? 0 : pump_link(client, endpoint);
        if (rc < 0) {
            drop_link(client, endpoint, rc);
        }
    }
    hand_out_waiting(client);
}

static void wait_some(struct ingest_client *client, int64_t timeout_ms)
{
    struct pollfd fds[TARGETS_MAX + 1] = {{.fd = client->wake_fd, .events = POLLIN}};
    nfds_t count = 1;
    int64_t now_ms = ingest_monotonic_ms();
    for (size_t i = 0; i < client->endpoint_count; i++) {
        struct endpoint *endpoint = &client->endpoints[i];
        if (endpoint->link == NULL) {
            timeout_ms = MIN(timeout_ms, MAX(endpoint->try_ms - now_ms, 1));
            continue;
        }
        bool unsent = ingest_link_unsent_bytes(endpoint->link) > 0;
        fds[count++] = (struct pollfd){
            .fd = ingest_stream_fd(ingest_link_stream(endpoint->link)),
            .events = (short)(POLLIN | (unsent ? POLLOUT : 0)),
        };
    }
    (void)poll(fds, count, (int)timeout_ms); /* a fault shows in the next step */
}

static bool all_refuse(const struct ingest_client *client)
{
    for (size_t i = 0; i < client->endpoint_count; i++) {
        if (client->endpoints[i].link != NULL || client->endpoints[i].fault != ERR_AUTH) {
            return false;
        }
    }
    return true;
}

/* Runs until `done`, for at most so long without progress. */
static int run_for(struct ingest_client *client, int64_t patience_ms,
                   bool (*done)(struct ingest_client *client, const void *context),
                   const void *context)
{
    int64_t started_ms = ingest_monotonic_ms();
    for (;;) {
        if (atomic_load(&client->cancelled)) {
            return err_set(ERR_CANCELLED, "cancelled");
        }
        step(client);
        if (done(client, context)) {
            return 0;
        }
        if (all_refuse(client)) {
            return err_set(ERR_AUTH, "%s", client->last_error);
        }
        int64_t idle_ms = ingest_monotonic_ms() - MAX(started_ms, client->progress_ms);
        if (idle_ms >= patience_ms) {
            return err_set(ERR_TIMEOUT, "%s (no progress for %.1f s)",
                           client->last_error[0] == '\0' ? "no answer" : client->last_error,
                           (double)idle_ms / 1000);
        }
        wait_some(client, MIN(WAIT_MS, patience_ms - idle_ms));
    }
}

static int run_until(struct ingest_client *client,
                     bool (*done)(struct ingest_client *client, const void *context),
                     const void *context)
{
    return run_for(client, client->options.patience_ms, done, context);
}

/* ---- the calls ---- */

static bool is_live(struct ingest_client *client, const void *context)
{
    (void)context;
    for (size_t i = 0; i < client->endpoint_count; i++) {
        if (client->endpoints[i].link != NULL) {
            return true;
        }
    }
    return false;
}

/* It is there, be it that it takes nothing at the moment. */
static bool is_reached(struct ingest_client *client, const void *context)
{
    for (size_t i = 0; i < client->endpoint_count; i++) {
        if (client->endpoints[i].fault == ERR_NO_SPACE) {
            return true;
        }
    }
    return is_live(client, context);
}

int ingest_client_connect(struct ingest_client *client)
{
    int rc = run_for(client, client->options.connect_ms, is_reached, NULL);
    return rc < 0 ? rc : run_until(client, is_live, NULL);
}

static bool all_answered(struct ingest_client *client, const void *context)
{
    (void)context;
    for (size_t i = 0; i < client->endpoint_count; i++) {
        struct ingest_link *link = client->endpoints[i].link;
        if (link != NULL && ingest_link_asking_tag(link)) {
            return false;
        }
    }
    return true;
}

/* Asks the live connections; those that come later hear of it in bulk. */
static int ask_everywhere(struct ingest_client *client, uint16_t tag)
{
    for (size_t i = 0; i < client->endpoint_count; i++) {
        struct endpoint *endpoint = &client->endpoints[i];
        if (endpoint->link != NULL && ingest_link_asking_tag(endpoint->link)) {
            drop_link(client, endpoint,
                      err_set(ERR_UNAVAILABLE, "a question about a tag was never answered"));
        } else if (endpoint->link != NULL) {
            ingest_link_ask_tag(endpoint->link, tag, client->tags.items[tag]);
        }
    }
    int rc = run_until(client, all_answered, NULL);
    for (size_t i = 0; rc == 0 && i < client->endpoint_count; i++) {
        struct endpoint *endpoint = &client->endpoints[i];
        if (endpoint->link != NULL && !ingest_link_knows_tag(endpoint->link, tag)) {
            rc = err_set(ERR_DENIED, "%s refused the tag \"%s\"", endpoint->text,
                         client->tags.items[tag]);
        }
    }
    return rc;
}

int ingest_client_tag(struct ingest_client *client, const char *name, uint16_t *ret_tag)
{
    int rc = series_tag_check(span_of_str(name));
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < client->tags.count; i++) {
        if (strcmp(client->tags.items[i], name) == 0) {
            *ret_tag = (uint16_t)i;
            return 0;
        }
    }
    if (client->tags.count >= SERIES_TAGS_MAX) {
        return err_set(ERR_TOO_LARGE, "too many tags");
    }
    uint16_t tag = (uint16_t)client->tags.count;
    vec_push(&client->tags, mem_strdup(name));
    rc = is_live(client, NULL) ? ask_everywhere(client, tag) : 0;
    if (rc == ERR_DENIED) {
        mem_free(client->tags.items[--client->tags.count]);
        return rc;
    }
    if (rc < 0 && rc != ERR_TIMEOUT && rc != ERR_CANCELLED) {
        return rc;
    }
    *ret_tag = tag;
    return 0;
}

static bool has_memory(struct ingest_client *client, const void *context)
{
    const size_t *bytes = context;
    return client->bytes_kept == 0 || client->bytes_kept + *bytes <= client->options.bytes_max;
}

static bool has_room(struct ingest_client *client, const void *context)
{
    const struct ingest_item *item = context;
    return client->waiting.count == 0 && with_room(client, item->tag, kept_bytes(item)) != NULL;
}

static struct ingest_item *item_of(uint16_t tag, int64_t time_ns, const uint8_t source[16],
                                   struct span data, struct span evs)
{
    struct ingest_item *item = mem_alloc(sizeof(*item) + data.bytes + evs.bytes);
    item->time_ns = time_ns;
    item->tag = tag;
    item->own_source = source == NULL;
    if (source != NULL) {
        memcpy(item->source, source, sizeof(item->source));
    }
    item->data_bytes = (uint32_t)data.bytes;
    item->evs_bytes = (uint32_t)evs.bytes;
    if (data.bytes > 0) {
        memcpy(item->bytes, data.data, data.bytes);
    }
    if (evs.bytes > 0) {
        memcpy(item->bytes + data.bytes, evs.data, evs.bytes);
    }
    return item;
}

int ingest_client_send(struct ingest_client *client, uint16_t tag, int64_t time_ns,
                       const uint8_t source[16], struct span data, struct span evs)
{
    CHECK(tag < client->tags.count);
    if (data.bytes > INGEST_DATA_BYTES_MAX) {
        return err_set(ERR_TOO_LARGE, "an entry of %zu bytes is too large: at most %u", data.bytes,
                       INGEST_DATA_BYTES_MAX);
    }
    int rc = series_evs_check(evs);
    if (rc < 0) {
        return rc;
    }
    size_t bytes = sizeof(struct ingest_item) + data.bytes + evs.bytes;
    if (!has_memory(client, &bytes)) {
        rc = run_until(client, has_memory, &bytes);
        if (rc < 0) {
            return rc;
        }
    }
    struct ingest_item *item = item_of(tag, time_ns, source, data, evs);
    if (!has_room(client, item)) {
        rc = run_until(client, has_room, item);
        if (rc < 0) {
            mem_free(item);
            return rc;
        }
    }
    struct endpoint *endpoint = with_room(client, tag, bytes);
    CHECK(endpoint != NULL);
    client->bytes_kept += bytes;
    client->stats.sent++;
    ingest_link_put(endpoint->link, item);
    if (ingest_link_unsent_bytes(endpoint->link) >= FLUSH_BYTES) {
        client->turn++; /* the next batch goes to the next indexer */
        step(client);
    }
    return 0;
}

int ingest_client_poll(struct ingest_client *client)
{
    step(client);
    return all_refuse(client) ? err_set(ERR_AUTH, "%s", client->last_error) : 0;
}

static bool all_confirmed(struct ingest_client *client, const void *context)
{
    (void)context;
    return client->stats.confirmed == client->stats.sent;
}

int ingest_client_sync(struct ingest_client *client)
{
    for (size_t i = 0; i < client->endpoint_count; i++) {
        struct endpoint *endpoint = &client->endpoints[i];
        if (endpoint->link != NULL && ingest_link_window(endpoint->link) > 0) {
            endpoint->forced_ms = ingest_monotonic_ms();
            ingest_link_force_ack(endpoint->link);
        }
    }
    return run_until(client, all_confirmed, NULL);
}

int ingest_client_report(struct ingest_client *client)
{
    char host[256] = "";
    (void)gethostname(host, sizeof(host) - 1);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const struct {
        const char *key, *value;
    } texts[] = {
        {"UUID", client->options.uuid},
        {"Name", client->options.name},
        {"Version", client->options.version},
        {"Label", client->options.label},
        {"IP", ""},
        {"Hostname", host},
        {"CacheState", ""},
    };
    struct buf json = {0};
    buf_append_byte(&json, '{');
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        text_json_string(&json, span_of_str(texts[i].key));
        buf_append_byte(&json, ':');
        text_json_string(&json, span_of_str(texts[i].value));
        buf_append_byte(&json, ',');
    }
    buf_printf(&json, "\"Entries\":%" PRIu64 ",\"Size\":%" PRIu64 ",\"Uptime\":%" PRId64,
               client->stats.sent, client->stats.bytes,
               (ingest_monotonic_ms() - client->started_ms) * 1000000);
    buf_append_str(&json, ",\"CacheSize\":0,\"LastSeen\":\"");
    time_format(&json, time_of_parts(now.tv_sec, now.tv_nsec));
    buf_append_str(&json, "\",\"Children\":{},\"Tags\":[");
    for (size_t i = 0; i < client->tags.count; i++) {
        buf_append_str(&json, i == 0 ? "" : ",");
        text_json_string(&json, span_of_str(client->tags.items[i]));
    }
    buf_append_str(&json, "]}");
    for (size_t i = 0; i < client->endpoint_count; i++) {
        if (client->endpoints[i].link != NULL) {
            ingest_link_report(client->endpoints[i].link, buf_span(&json));
        }
    }
    buf_deinit(&json);
    return ingest_client_poll(client);
}

void ingest_client_stats(const struct ingest_client *client, struct ingest_client_stats *ret_stats)
{
    *ret_stats = client->stats;
    ret_stats->live = 0;
    for (size_t i = 0; i < client->endpoint_count; i++) {
        ret_stats->live += client->endpoints[i].link != NULL ? 1 : 0;
    }
}
