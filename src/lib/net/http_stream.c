/*
 * A stream has three holders: the producer, the request and libmicrohttpd's response. The reader
 * callback suspends the connection while there is nothing to send; writing resumes it. A suspended
 * connection is not polled by libmicrohttpd, so a watcher thread looks for clients that leave.
 * Tested by http_server_test.c.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "net/http_internal.h"

#define SEND_BYTES ((size_t)32 * 1024) /* asked for at a time */

struct http_stream {
    struct http_server *server;
    uint64_t id;
    int fd; /* watched; I/O thread */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned holders;
    struct MHD_Connection *connection; /* NULL before it is attached and once completed */
    bool waiting;                      /* suspended for want of data */
    bool gone, ended, was_full;
    struct buf data; /* from head on */
    size_t head, bytes_max;
    void (*notify)(void *context);
    void *notify_context;
};

/* ── Holders ─────────────────────────────────────────────────────────────────────────────── */

void http_stream_unhold(struct http_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    unsigned left = --stream->holders;
    pthread_mutex_unlock(&stream->lock);
    if (left == 0) {
        buf_deinit(&stream->data);
        pthread_cond_destroy(&stream->changed);
        pthread_mutex_destroy(&stream->lock);
        mem_free(stream);
    }
}

static void wake_connection(struct http_stream *stream)
{
    if (stream->waiting) {
        stream->waiting = false;
        MHD_resume_connection(stream->connection);
    }
}

/* Locked. From now on writes say that the client is gone. */
static void set_gone(struct http_stream *stream)
{
    if (stream->gone) {
        return;
    }
    stream->gone = true;
    wake_connection(stream);
    pthread_cond_broadcast(&stream->changed);
    if (stream->notify != NULL) {
        stream->notify(stream->notify_context);
    }
}

void http_stream_fail(struct http_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    set_gone(stream);
    pthread_mutex_unlock(&stream->lock);
}

/* ── The I/O thread's side ───────────────────────────────────────────────────────────────── */

static size_t waiting_bytes(const struct http_stream *stream)
{
    return stream->data.bytes - stream->head;
}

static void make_room(struct http_stream *stream)
{
    if (stream->head == stream->data.bytes) {
        buf_clear(&stream->data);
        stream->head = 0;
    } else if (stream->head > stream->data.bytes / 2) {
        buf_consume(&stream->data, stream->head);
        stream->head = 0;
    }
    if (waiting_bytes(stream) <= stream->bytes_max / 2) {
        pthread_cond_broadcast(&stream->changed);
        if (stream->was_full && stream->notify != NULL) {
            stream->notify(stream->notify_context);
        }
        stream->was_full = false;
    }
}

static ssize_t read_stream(void *context, uint64_t position, char *into, size_t bytes)
{
    (void)position;
    struct http_stream *stream = context;
    ssize_t result = 0;
    pthread_mutex_lock(&stream->lock);
    size_t take = MIN(bytes, waiting_bytes(stream));
    if (stream->gone) {
        result = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (take > 0) {
        memcpy(into, stream->data.data + stream->head, take);
        stream->head += take;
        make_room(stream);
        result = (ssize_t)take;
    } else if (stream->ended) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        stream->waiting = true;
        MHD_suspend_connection(stream->connection);
    }
    pthread_mutex_unlock(&stream->lock);
    return result;
}

static void drop_response(void *context)
{
    struct http_stream *stream = context;
    http_stream_fail(stream); /* nobody will read it any more */
    http_server_give_place(stream->server, &stream->server->stream_count);
    http_stream_unhold(stream);
}

void http_stream_attach(struct http_stream *stream, struct MHD_Connection *connection)
{
    struct http_server *server = stream->server;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    stream->fd = info->connect_fd;
    pthread_mutex_lock(&stream->lock);
    stream->connection = connection;
    pthread_mutex_unlock(&stream->lock);

    pthread_mutex_lock(&server->lock);
    stream->id = ++server->stream_ids;
    vec_push(&server->streams, stream);
    pthread_mutex_unlock(&server->lock);
    http_watcher_add(server->watcher, stream->fd, stream->id);
}

void http_stream_completed(struct http_stream *stream)
{
    struct http_server *server = stream->server;
    if (stream->id > 0) {
        http_watcher_remove(server->watcher, stream->fd);
    }
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->streams.count; i++) {
        if (server->streams.items[i] == stream) {
            vec_remove_swap(&server->streams, i);
            break;
        }
    }
    pthread_mutex_unlock(&server->lock);

    pthread_mutex_lock(&stream->lock);
    CHECK(!stream->waiting);
    stream->connection = NULL;
    set_gone(stream);
    pthread_mutex_unlock(&stream->lock);
}

/* ── The producer's side ─────────────────────────────────────────────────────────────────── */

int http_reply_stream(struct http_request *request, int status, const char *content_type,
                      struct http_stream **ret_stream)
{
    struct http_server *server = request->server;
    if (!http_server_take_place(server, &server->stream_count, server->options.streams_max)) {
        atomic_fetch_add(&server->counters.refused_503, 1);
        http_reply_error(request, 503, "too many streams are open, at most %zu",
                         server->options.streams_max);
        return HTTP_REPLY_REFUSED;
    }
    struct http_stream *stream = MEM_NEW(struct http_stream);
    stream->server = server;
    stream->holders = 3;
    stream->bytes_max = server->options.stream_buffer_bytes;
    pthread_mutex_init(&stream->lock, NULL);
    pthread_cond_init(&stream->changed, NULL);
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, SEND_BYTES, read_stream, stream, drop_response);
    CHECK(response != NULL);
    if (content_type != NULL) {
        (void)MHD_add_response_header(response, "Content-Type", content_type);
    }
    pthread_mutex_lock(&request->lock);
    request->stream = stream;
    bool left = request->connection == NULL;
    pthread_mutex_unlock(&request->lock);
    if (left) {
        http_stream_fail(stream);
    }
    http_reply_send(request, status, response, "-");
    *ret_stream = stream;
    return 0;
}

/* Locked. The producer may be ahead of its client's first byte: the connection is attached later.
 */
static void put(struct http_stream *stream, struct span data)
{
    buf_append(&stream->data, data);
    wake_connection(stream);
}

int http_stream_write(struct http_stream *stream, struct span data)
{
    size_t bound = stream->bytes_max;
    pthread_mutex_lock(&stream->lock);
    while (data.bytes > 0 && !stream->gone) {
        if (waiting_bytes(stream) >= bound) {
            pthread_cond_wait(&stream->changed, &stream->lock);
            continue;
        }
        struct span piece = span_first(data, bound - waiting_bytes(stream));
        put(stream, piece);
        data = span_from(data, piece.bytes);
    }
    bool gone = stream->gone;
    pthread_mutex_unlock(&stream->lock);
    return gone ? HTTP_STREAM_GONE : 0;
}

int http_stream_try_write(struct http_stream *stream, struct span data)
{
    int rc = 0;
    size_t bound = stream->bytes_max;
    pthread_mutex_lock(&stream->lock);
    size_t waiting = waiting_bytes(stream);
    if (stream->gone) {
        rc = HTTP_STREAM_GONE;
    } else if (waiting > 0 && waiting + data.bytes > bound) {
        /* One item above the bound fits into an empty buffer, else it could never be sent. */
        stream->was_full = true;
        rc = HTTP_STREAM_FULL;
    } else {
        put(stream, data);
    }
    pthread_mutex_unlock(&stream->lock);
    return rc;
}

bool http_stream_is_gone(struct http_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    bool gone = stream->gone;
    pthread_mutex_unlock(&stream->lock);
    return gone;
}

void http_stream_on_change(struct http_stream *stream, void (*notify)(void *context), void *context)
{
    pthread_mutex_lock(&stream->lock);
    stream->notify = notify;
    stream->notify_context = context;
    if (stream->gone && notify != NULL) {
        notify(context);
    }
    pthread_mutex_unlock(&stream->lock);
}

static void finish(struct http_stream **stream, bool complete)
{
    if (*stream == NULL) {
        return;
    }
    pthread_mutex_lock(&(*stream)->lock);
    (*stream)->notify = NULL;
    (*stream)->ended = true;
    if (complete) {
        wake_connection(*stream);
    } else {
        set_gone(*stream);
    }
    pthread_mutex_unlock(&(*stream)->lock);
    http_stream_unhold(*stream);
    *stream = NULL;
}

void http_stream_end(struct http_stream **stream)
{
    finish(stream, true);
}

void http_stream_abort(struct http_stream **stream)
{
    finish(stream, false);
}

/* ── The watcher ─────────────────────────────────────────────────────────────────────────── */

struct http_watcher {
    struct http_server *server;
    int epoll, stop;
    pthread_t thread;
};

static void client_left(struct http_server *server, uint64_t id)
{
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->streams.count; i++) {
        if (server->streams.items[i]->id == id) {
            http_stream_fail(server->streams.items[i]);
            break;
        }
    }
    pthread_mutex_unlock(&server->lock);
}

static void *watch(void *context)
{
    struct http_watcher *watcher = context;
    unsigned sweep_ms = MIN(watcher->server->options.header_timeout_ms, HTTP_SWEEP_MS_MAX);
    (void)pthread_setname_np(pthread_self(), "http-watch");
    for (;;) {
        struct epoll_event events[64];
        int count = epoll_wait(watcher->epoll, events, ARRAY_COUNT(events), (int)sweep_ms);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == 0) {
                return NULL;
            }
            client_left(watcher->server, events[i].data.u64);
        }
        http_deadline_sweep(watcher->server);
    }
}

struct http_watcher *http_watcher_new(struct http_server *server)
{
    struct http_watcher *watcher = MEM_NEW(struct http_watcher);
    watcher->server = server;
    watcher->epoll = epoll_create1(EPOLL_CLOEXEC);
    watcher->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(watcher->epoll >= 0 && watcher->stop >= 0);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0};
    CHECK(epoll_ctl(watcher->epoll, EPOLL_CTL_ADD, watcher->stop, &event) == 0);
    CHECK(pthread_create(&watcher->thread, NULL, watch, watcher) == 0);
    return watcher;
}

void http_watcher_free(struct http_watcher **watcher)
{
    if (*watcher != NULL) {
        (void)eventfd_write((*watcher)->stop, 1);
        (void)pthread_join((*watcher)->thread, NULL);
        (void)close((*watcher)->epoll);
        (void)close((*watcher)->stop);
        mem_free(*watcher);
        *watcher = NULL;
    }
}

void http_watcher_add(struct http_watcher *watcher, int fd, uint64_t id)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.u64 = id};
    (void)epoll_ctl(watcher->epoll, EPOLL_CTL_ADD, fd, &event);
}

void http_watcher_remove(struct http_watcher *watcher, int fd)
{
    (void)epoll_ctl(watcher->epoll, EPOLL_CTL_DEL, fd, NULL);
}
