#include "indexer/connection.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/vec.h"
#include "service/log.h"
#include "service/metrics.h"

#define READ_BYTES (256u << 10)
#define BATCH_ENTRIES_MAX 8192
#define PONG_MS 1000
#define STATE_INTERVAL_MS 1000 /* state messages of one connection are looked at so often */

struct connection {
    const struct connection_shared *shared;
    int fd; /* until it is a stream */
    const struct ingest_tls *tls;
    struct ingest_stream *stream;
    struct ingest_session *session;
    uint8_t *read_buffer;
    VEC(struct entry) batch; /* borrowed from the session until it is fed again */
    size_t batch_bytes;

    int wake_fd; /* storage is done with something, or stop */
    atomic_bool stopping;
    atomic_uint_fast64_t durable;       /* entries, not yet told to the session */
    atomic_uint_fast64_t durable_bytes; /* of their data */
    atomic_uint_fast64_t on_the_way;    /* batches that storage has */
    atomic_int storage_fault;

    uint64_t pending_bytes;
    bool announced;
    int64_t started_ms, heard_ms, sent_ms, stuck_since_ms, state_ms;
    const char *closing; /* why it ends in order, or NULL */

    pthread_mutex_t lock; /* over info and fault_text */
    struct connection_info info;
    char fault_text[ERR_TEXT_BYTES_MAX];
};

/* What storage holds while a batch is on its way. */
struct batch {
    struct connection *connection;
    uint64_t entries;
    uint64_t bytes;
};

static struct {
    pthread_once_t once;
    struct metric *entries, *bytes, *refused, *malformed;
} counters = {.once = PTHREAD_ONCE_INIT};

static void make_counters(void)
{
    counters.entries =
        metric_counter("aquifer_ingest_entries_total", "entries confirmed to ingesters", NULL);
    counters.bytes =
        metric_counter("aquifer_ingest_bytes_total", "bytes of data confirmed to ingesters", NULL);
    counters.refused = metric_counter("aquifer_ingest_auth_failures_total",
                                      "ingesters refused for a wrong secret", NULL);
    counters.malformed = metric_counter("aquifer_ingest_malformed_total",
                                        "connections ended for a malformed message", NULL);
}

static int64_t now_ms(const struct connection *connection)
{
    return io_monotonic_ns(connection->shared->io) / 1000000;
}

/* ---- life ---- */

struct connection *connection_new(const struct connection_shared *shared, int fd,
                                  const struct ingest_tls *tls, const char *type)
{
    pthread_once(&counters.once, make_counters);
    struct connection *connection = MEM_NEW(struct connection);
    connection->shared = shared;
    connection->fd = fd;
    connection->tls = tls;
    connection->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(connection->wake_fd > 0);
    connection->info.type = type;
    connection->info.since_ns = io_now_ns(shared->io);
    pthread_mutex_init(&connection->lock, NULL);
    return connection;
}

static void wake(struct connection *connection)
{
    uint64_t one = 1;
    (void)!write(connection->wake_fd, &one, sizeof(one));
}

void connection_stop(struct connection *connection)
{
    atomic_store(&connection->stopping, true);
    wake(connection);
}

void connection_info(struct connection *connection, struct connection_info *ret_info)
{
    pthread_mutex_lock(&connection->lock);
    *ret_info = connection->info;
    pthread_mutex_unlock(&connection->lock);
}

void connection_free(struct connection **connection)
{
    struct connection *gone = *connection;
    CHECK(atomic_load(&gone->on_the_way) == 0);
    ingest_session_free(&gone->session);
    ingest_stream_close(&gone->stream);
    if (gone->fd >= 0) {
        close(gone->fd);
    }
    close(gone->wake_fd);
    vec_deinit(&gone->batch);
    mem_free(gone->read_buffer);
    pthread_mutex_destroy(&gone->lock);
    mem_free(gone);
    *connection = NULL;
}

/* ---- to storage and back ---- */

/* In storage's thread. */
static void batch_done(void *context, int rc)
{
    struct batch *batch = context;
    struct connection *connection = batch->connection;
    if (rc < 0) {
        pthread_mutex_lock(&connection->lock);
        snprintf(connection->fault_text, sizeof(connection->fault_text), "%s", err_text());
        pthread_mutex_unlock(&connection->lock);
        atomic_store(&connection->storage_fault, rc);
    } else if (atomic_load(&connection->storage_fault) == 0) {
        /* What is durable is counted from the connection's first entry: behind a batch that failed
         * nothing can be confirmed, also if it is stored. */
        atomic_fetch_add(&connection->durable, batch->entries);
        atomic_fetch_add(&connection->durable_bytes, batch->bytes);
    }
    mem_free(batch);
    wake(connection);
    atomic_fetch_sub(&connection->on_the_way, 1); /* last: it may be freed from here on */
}

static int submit(struct connection *connection)
{
    size_t count = connection->batch.count;
    if (count == 0) {
        return 0;
    }
    struct batch *batch = MEM_NEW(struct batch);
    *batch = (struct batch){connection, count, connection->batch_bytes};
    atomic_fetch_add(&connection->on_the_way, 1);
    int rc = storage_submit(connection->shared->storage, connection->batch.items, count, batch_done,
                            batch);
    if (rc < 0) {
        atomic_fetch_sub(&connection->on_the_way, 1);
        mem_free(batch);
        return err_wrap(rc, "storage");
    }
    connection->pending_bytes += connection->batch_bytes;
    connection->batch_bytes = 0;
    vec_clear(&connection->batch);
    return 0;
}

/* Tells the session what has become durable. */
static int take_durable(struct connection *connection)
{
    uint64_t token;
    (void)!read(connection->wake_fd, &token, sizeof(token));
    uint64_t bytes = atomic_exchange(&connection->durable_bytes, 0);
    uint64_t entries = atomic_exchange(&connection->durable, 0);
    connection->pending_bytes -= bytes;
    ingest_session_durable(connection->session, entries);
    metric_add(counters.entries, entries);
    metric_add(counters.bytes, bytes);
    pthread_mutex_lock(&connection->lock);
    connection->info.entries += entries;
    connection->info.bytes += bytes;
    pthread_mutex_unlock(&connection->lock);
    int rc = atomic_load(&connection->storage_fault);
    if (rc < 0) {
        pthread_mutex_lock(&connection->lock);
        (void)err_set(rc, "storage: %.900s", connection->fault_text);
        pthread_mutex_unlock(&connection->lock);
    }
    return rc;
}

/* ---- events ---- */

static void copy_text(char *to, size_t bytes, struct span from)
{
    size_t length = MIN(from.bytes, bytes - 1);
    for (size_t i = 0; i < length; i++) {
        to[i] = from.data[i] < ' ' || from.data[i] == 0x7F ? '?' : (char)from.data[i];
    }
    to[length] = '\0';
}

static void on_identity(struct connection *connection, const struct ingest_event *event)
{
    pthread_mutex_lock(&connection->lock);
    struct connection_info *info = &connection->info;
    copy_text(info->name, sizeof(info->name), event->name);
    copy_text(info->version, sizeof(info->version), event->version);
    copy_text(info->uuid, sizeof(info->uuid), event->uuid);
    pthread_mutex_unlock(&connection->lock);
}

/* Once, when it is known who it is. */
static void announce(struct connection *connection)
{
    if (connection->announced) {
        return;
    }
    connection->announced = true;
    pthread_mutex_lock(&connection->lock);
    connection->info.hot = true;
    pthread_mutex_unlock(&connection->lock);
    const struct connection_info *info = &connection->info; /* only this thread changes it */
    log_info("ingester-connected", "Ingester gone hot", "ingester", info->name, "ingesterversion",
             info->version, "ingesteruuid", info->uuid, "conntype", info->type, "client",
             info->client, NULL);
}

static int on_tags(struct connection *connection, const struct ingest_tag_list *tags)
{
    if (tags->count == 0) {
        ingest_session_refuse_tags(connection->session);
        return 0;
    }
    struct span *names = mem_alloc_array(tags->count, sizeof(*names));
    uint16_t *numbers = mem_alloc_array(tags->count, sizeof(*numbers));
    for (size_t i = 0; i < tags->count; i++) {
        names[i] = span_of_str(tags->names[i]);
    }
    int rc = storage_tags_put(connection->shared->storage, names, tags->count, numbers);
    if (rc == 0) {
        ingest_session_grant_tags(connection->session, numbers);
    } else {
        log_fault("ingest-tags", "tags refused", rc, "client", connection->info.client, NULL);
        ingest_session_refuse_tags(connection->session);
    }
    mem_free(names);
    mem_free(numbers);
    return 0;
}

static void on_tag(struct connection *connection, struct span name)
{
    uint16_t number;
    int rc = storage_tag(connection->shared->storage, name, &number);
    if (rc == 0) {
        ingest_session_grant_tag(connection->session, number);
        return;
    }
    log_fault("ingest-tags", "tag refused", rc, "client", connection->info.client, "tag",
              LOG_SPAN(name), NULL);
    ingest_session_refuse_tag(connection->session);
}

static void on_asks_ingest(struct connection *connection)
{
    struct buf why = {0};
    bool stopped = storage_stopped(connection->shared->storage, &why);
    if (stopped) {
        log_warn("ingest-refused", "ingester told to wait", "client", connection->info.client,
                 "ingester", connection->info.name, "reason", buf_str(&why), NULL);
    } else {
        announce(connection);
    }
    ingest_session_allow(connection->session, !stopped);
    buf_deinit(&why);
}

static void on_state(struct connection *connection, struct span json)
{
    int64_t now = now_ms(connection);
    if (connection->state_ms != 0 && now - connection->state_ms < STATE_INTERVAL_MS) {
        return;
    }
    connection->state_ms = now;
    states_note(connection->shared->states, json, connection->info.client,
                io_now_ns(connection->shared->io));
}

static int on_entry(struct connection *connection, const struct entry *entry)
{
    announce(connection); /* an old ingester asks for nothing before */
    vec_push(&connection->batch, *entry);
    connection->batch_bytes += entry->data.bytes;
    return connection->batch.count >= BATCH_ENTRIES_MAX ? submit(connection) : 0;
}

static int on_event(struct connection *connection, const struct ingest_event *event)
{
    switch (event->kind) {
    case INGEST_EVENT_AUTHENTICATED:
    case INGEST_EVENT_HOT:
    case INGEST_EVENT_CONFIGURED:
    case INGEST_EVENT_FORCE_ACK: /* batches leave at the end of each read anyhow */
        break;
    case INGEST_EVENT_ASKS_TAGS:
        return on_tags(connection, &event->tags);
    case INGEST_EVENT_IDENTITY:
        on_identity(connection, event);
        break;
    case INGEST_EVENT_ASKS_INGEST:
        on_asks_ingest(connection);
        break;
    case INGEST_EVENT_ENTRY:
        return on_entry(connection, &event->entry);
    case INGEST_EVENT_ASKS_TAG:
        on_tag(connection, event->tag);
        break;
    case INGEST_EVENT_STATE:
        on_state(connection, event->state);
        break;
    }
    return 0;
}

/* ---- bytes ---- */

/* Feeds what was read and acts on all that it says. */
static int take_bytes(struct connection *connection, struct span bytes)
{
    ingest_session_feed(connection->session, bytes);
    struct ingest_event event;
    int rc = 0;
    int next = 0;
    while (rc == 0 && (next = ingest_session_next(connection->session, &event)) == 0) {
        rc = on_event(connection, &event);
    }
    if (next < 0) { /* what came whole before the fault is stored, and confirmed if it can be */
        char text[ERR_TEXT_BYTES_MAX];
        snprintf(text, sizeof(text), "%s", err_text());
        rc = submit(connection);
        return rc < 0 ? rc : err_set(next, "%s", text);
    }
    return rc < 0 ? rc : submit(connection);
}

/* 0, a fault, or INGEST_STREAM_END. */
static int read_some(struct connection *connection)
{
    size_t got;
    int rc = ingest_stream_read(connection->stream, connection->read_buffer, READ_BYTES, &got);
    if (rc == INGEST_STREAM_AGAIN) {
        return 0;
    }
    if (rc != 0) {
        return rc;
    }
    connection->heard_ms = now_ms(connection);
    return take_bytes(connection, span_of(connection->read_buffer, got));
}

static int write_some(struct connection *connection)
{
    struct span out;
    while ((out = ingest_session_output(connection->session)).bytes > 0) {
        size_t put;
        int rc = ingest_stream_write(connection->stream, out, &put);
        int64_t now = now_ms(connection);
        if (rc == INGEST_STREAM_AGAIN) {
            if (connection->stuck_since_ms == 0) {
                connection->stuck_since_ms = now;
            }
            return now - connection->stuck_since_ms > CONNECTION_STUCK_MS
                       ? err_set(ERR_TIMEOUT, "the ingester takes no confirmations")
                       : 0;
        }
        if (rc < 0) {
            return rc;
        }
        connection->stuck_since_ms = 0;
        connection->sent_ms = now;
        ingest_session_sent(connection->session, put);
    }
    return 0;
}

/* ---- the loop ---- */

static bool may_read(struct connection *connection)
{
    return ingest_session_pending(connection->session) < CONNECTION_PENDING_MAX &&
           connection->pending_bytes < CONNECTION_PENDING_BYTES_MAX &&
           ingest_session_output(connection->session).bytes < CONNECTION_UNSENT_BYTES_MAX;
}

static int check_times(struct connection *connection)
{
    int64_t now = now_ms(connection);
    if (!connection->info.hot && !ingest_session_authenticated(connection->session) &&
        now - connection->started_ms > CONNECTION_LOG_IN_MS) {
        return err_set(ERR_TIMEOUT, "no log-in within %d s", CONNECTION_LOG_IN_MS / 1000);
    }
    if (now - connection->heard_ms > CONNECTION_SILENCE_MS) {
        return err_set(ERR_TIMEOUT, "silent for %d s", CONNECTION_SILENCE_MS / 1000);
    }
    if (now - connection->sent_ms >= PONG_MS) {
        connection->sent_ms = now;
        ingest_session_idle(connection->session);
    }
    return 0;
}

/* Until the peer closes, something is wrong, or it is told to stop. */
static int serve(struct connection *connection)
{
    while (!atomic_load(&connection->stopping)) {
        int rc = take_durable(connection);
        rc = rc < 0 ? rc : check_times(connection);
        rc = rc < 0 ? rc : write_some(connection);
        if (rc < 0) {
            return rc;
        }
        bool reading = may_read(connection);
        bool writing = ingest_session_output(connection->session).bytes > 0;
        rc = ingest_stream_wait(connection->stream, reading, writing, connection->wake_fd, PONG_MS);
        if (rc == 0 && reading) {
            rc = read_some(connection);
        }
        if (rc == INGEST_STREAM_END) {
            connection->closing = "closed by the ingester";
            return ingest_session_end(connection->session);
        }
        if (rc < 0) {
            return rc;
        }
    }
    connection->closing = "the indexer stops";
    return 0;
}

/* A pause while draining; what is wrong with the stream shows at the next write. */
static void rest_a_moment(struct connection *connection, bool writing, int wake_fd, int ms)
{
    if (ingest_stream_wait(connection->stream, false, writing, wake_fd, ms) < 0) {
        log_trace("ingest-drain", err_text(), NULL);
    }
}

/* Waits for what storage has, confirms it, and gives the peer a moment to take it. */
static void drain(struct connection *connection)
{
    while (atomic_load(&connection->on_the_way) > 0) {
        rest_a_moment(connection, false, connection->wake_fd, 10);
        (void)take_durable(connection);
        (void)write_some(connection);
    }
    (void)take_durable(connection);
    int64_t until = now_ms(connection) + CONNECTION_DRAIN_MS;
    while (write_some(connection) == 0 && ingest_session_output(connection->session).bytes > 0 &&
           now_ms(connection) < until) {
        rest_a_moment(connection, true, 0, 100);
    }
}

/* Reads and forgets until the peer has seen our end: what it still sends is not confirmed, so it
 * sends it again elsewhere; but what was confirmed must reach it. */
static void linger(struct connection *connection)
{
    int64_t until = now_ms(connection) + CONNECTION_LINGER_MS;
    ingest_stream_finish(connection->stream);
    int rc = 0;
    while ((rc == 0 || rc == INGEST_STREAM_AGAIN) && now_ms(connection) < until) {
        rc = ingest_stream_wait(connection->stream, true, false, 0,
                                (int)(until - now_ms(connection)));
        size_t got;
        if (rc == 0) {
            rc = ingest_stream_read(connection->stream, connection->read_buffer, READ_BYTES, &got);
        }
    }
}

/* ---- the end ---- */

static void log_end(struct connection *connection, int rc, const char *error)
{
    const struct connection_info *info = &connection->info;
    if (rc == ERR_AUTH) {
        metric_add(counters.refused, 1);
        log_warn("ingester-refused", "ingester refused: wrong Ingest-Auth secret", "conntype",
                 info->type, "client", info->client, "error", error, NULL);
        return;
    }
    if (rc == ERR_PROTOCOL || rc == ERR_TOO_LARGE) {
        metric_add(counters.malformed, 1);
        log_warn("ingester-malformed", "malformed message, connection closed", "ingester",
                 info->name, "ingesteruuid", info->uuid, "conntype", info->type, "client",
                 info->client, "error", error, NULL);
    } else if (rc < 0) {
        log_warn("ingester-lost", "connection ended", "ingester", info->name, "ingesteruuid",
                 info->uuid, "conntype", info->type, "client", info->client, "error", error, NULL);
    }
    if (connection->announced) {
        log_info("ingester-disconnected", "Ingester exiting", "ingester", info->name,
                 "ingesterversion", info->version, "ingesteruuid", info->uuid, "conntype",
                 info->type, "client", info->client, "entries", LOG_INT(info->entries), "bytes",
                 LOG_INT(info->bytes), "reason", connection->closing, NULL);
    }
}

static int begin(struct connection *connection)
{
    int fd = connection->fd;
    connection->fd = -1;
    int rc = ingest_stream_accept(fd, connection->tls, CONNECTION_LOG_IN_MS, &connection->stream);
    if (rc < 0) {
        return rc;
    }
    pthread_mutex_lock(&connection->lock);
    snprintf(connection->info.client, sizeof(connection->info.client), "%s",
             ingest_stream_peer(connection->stream));
    pthread_mutex_unlock(&connection->lock);

    struct ingest_session_options options = {0};
    memcpy(options.secret_hash, connection->shared->secret_hash, sizeof(options.secret_hash));
    io_random(connection->shared->io, options.nonce, sizeof(options.nonce));
    uint16_t random;
    io_random(connection->shared->io, &random, sizeof(random));
    options.rounds = (uint16_t)(INGEST_HASH_ROUNDS_MIN +
                                random % (INGEST_HASH_ROUNDS_MAX - INGEST_HASH_ROUNDS_MIN + 1));
    connection->session = ingest_session_new(&options);
    connection->read_buffer = mem_alloc(READ_BYTES);
    connection->started_ms = connection->heard_ms = connection->sent_ms = now_ms(connection);
    return 0;
}

void connection_run(struct connection *connection)
{
    int rc = begin(connection);
    if (rc < 0) {
        log_warn("ingester-lost", "connection ended before the log-in", "conntype",
                 connection->info.type, "error", err_text(), NULL);
        return;
    }
    rc = serve(connection);
    char error[ERR_TEXT_BYTES_MAX];
    snprintf(error, sizeof(error), "%s", rc < 0 ? err_text() : "");
    drain(connection);
    linger(connection);
    log_end(connection, rc, error);
}

/* ---- for a listener ---- */

static void *kind_open(const void *shared, int fd, const struct ingest_tls *tls, const char *type)
{
    return connection_new(shared, fd, tls, type);
}

static void kind_run(void *connection)
{
    connection_run(connection);
}

static void kind_stop(void *connection)
{
    connection_stop(connection);
}

static void kind_info(void *connection, void *ret_info)
{
    connection_info(connection, ret_info);
}

static void kind_free(void *context)
{
    struct connection *connection = context;
    connection_free(&connection);
}

const struct listener_kind connection_kind = {
    .name = "ingest",
    .open = kind_open,
    .run = kind_run,
    .stop = kind_stop,
    .info = kind_info,
    .free = kind_free,
    .info_bytes = sizeof(struct connection_info),
};
