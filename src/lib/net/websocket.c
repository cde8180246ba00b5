/*
 * wslay knows the frames, this file moves the bytes. The socket is used without blocking; a thread
 * that must wait polls it together with an eventfd that stays readable once the connection is to
 * end. wslay's context is guarded by the lock, which is never held while polling.
 */
#include "net/websocket.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wslay/wslay.h>

#include "base/text.h"
#include "base/time.h"
#include "net/http_internal.h"

#define ACCEPT_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY_BYTES 16
#define CLOSING_MS 1000 /* for the last frames, and for the client to close its side */

struct message {
    uint8_t *data;
    size_t bytes;
};

struct websocket {
    struct http_server *server;
    void (*session)(struct websocket *websocket, void *context);
    void *context;
    int fd, wake;
    struct MHD_UpgradeResponseHandle *upgrade;
    struct buf read_ahead; /* came with the handshake */

    pthread_mutex_t lock;
    wslay_event_context_ptr frames;
    VEC(struct message) messages; /* received whole, oldest first; hardly ever more than a few */
    bool closed;                  /* reads and writes are over */
    bool broken;                  /* nothing can be sent any more */
    int64_t received_ns, pinged_ns;
};

static int64_t now_ns(struct websocket *websocket)
{
    return io_monotonic_ns(websocket->server->options.io);
}

/* ── What wslay calls, locked ────────────────────────────────────────────────────────────── */

static ssize_t take_bytes(wslay_event_context_ptr frames, uint8_t *into, size_t bytes, int flags,
                          void *context)
{
    (void)flags;
    struct websocket *websocket = context;
    if (websocket->messages.count > 0) {
        /* One message at a time: what a client sends ahead waits in the kernel. */
        wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (websocket->read_ahead.bytes > 0) {
        size_t take = MIN(bytes, websocket->read_ahead.bytes);
        memcpy(into, websocket->read_ahead.data, take);
        buf_consume(&websocket->read_ahead, take);
        return (ssize_t)take;
    }
    ssize_t got;
    do {
        got = recv(websocket->fd, into, bytes, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        websocket->received_ns = now_ns(websocket);
        return got;
    }
    bool later = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    wslay_event_set_error(frames, later ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t give_bytes(wslay_event_context_ptr frames, const uint8_t *data, size_t bytes,
                          int flags, void *context)
{
    struct websocket *websocket = context;
    int more = (flags & WSLAY_MSG_MORE) != 0 ? MSG_MORE : 0;
    ssize_t sent;
    do {
        sent = send(websocket->fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL | more);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        bool later = errno == EAGAIN || errno == EWOULDBLOCK;
        wslay_event_set_error(frames, later ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    }
    return sent;
}

static void take_message(wslay_event_context_ptr frames,
                         const struct wslay_event_on_msg_recv_arg *message, void *context)
{
    (void)frames;
    struct websocket *websocket = context;
    if (message->opcode == WSLAY_TEXT_FRAME || message->opcode == WSLAY_BINARY_FRAME) {
        vec_push(&websocket->messages,
                 (struct message){mem_dup(message->msg, message->msg_length), message->msg_length});
    }
}

static const struct wslay_event_callbacks callbacks = {
    .recv_callback = take_bytes,
    .send_callback = give_bytes,
    .on_msg_recv_callback = take_message,
};

/* ── Waiting ─────────────────────────────────────────────────────────────────────────────── */

static void end_locked(struct websocket *websocket, bool broken)
{
    websocket->closed = true;
    websocket->broken = websocket->broken || broken;
    (void)eventfd_write(websocket->wake, 1);
}

/* Sends what the kernel takes. Locked. */
static void send_some(struct websocket *websocket)
{
    if (!websocket->broken && wslay_event_send(websocket->frames) != 0) {
        end_locked(websocket, true);
    }
}

/* Until the socket is ready, the end is near, or `until_ns`. Not locked. */
static void wait_ready(struct websocket *websocket, short events, int64_t until_ns, bool wakeable)
{
    struct pollfd fds[2] = {{.fd = websocket->fd, .events = events},
                            {.fd = websocket->wake, .events = POLLIN}};
    int64_t left_ms = (until_ns - now_ns(websocket) + TIME_MS_NS - 1) / TIME_MS_NS;
    (void)poll(fds, wakeable ? 2 : 1, (int)MAX(MIN(left_ms, (int64_t)60000), (int64_t)0));
}

/* Until everything queued is with the kernel. Locked; lets go while it waits. */
static void flush(struct websocket *websocket, int64_t until_ns, bool wakeable)
{
    for (;;) {
        send_some(websocket);
        bool done = websocket->broken || !wslay_event_want_write(websocket->frames);
        if (done || (wakeable && websocket->closed)) {
            return;
        }
        if (now_ns(websocket) >= until_ns) {
            end_locked(websocket, true);
            return;
        }
        pthread_mutex_unlock(&websocket->lock);
        wait_ready(websocket, POLLOUT, until_ns, wakeable);
        pthread_mutex_lock(&websocket->lock);
    }
}

/* ── Reading ─────────────────────────────────────────────────────────────────────────────── */

static void receive_some(struct websocket *websocket)
{
    if (wslay_event_recv(websocket->frames) != 0) {
        end_locked(websocket, true); /* left without a word: a normal end */
        return;
    }
    send_some(websocket); /* pongs, the echo of a close */
    if (wslay_event_get_close_received(websocket->frames) ||
        !wslay_event_get_read_enabled(websocket->frames)) {
        end_locked(websocket, false);
    }
}

/* Pings a silent client, gives up a dead one; returns when to look again. */
static int64_t keep_alive(struct websocket *websocket)
{
    int64_t ping_ns = (int64_t)websocket->server->options.websocket_ping_ms * TIME_MS_NS;
    int64_t now = now_ns(websocket);
    if (now - websocket->received_ns >= 3 * ping_ns) {
        end_locked(websocket, true);
        return now;
    }
    int64_t quiet_since = MAX(websocket->received_ns, websocket->pinged_ns);
    if (now - quiet_since >= ping_ns) {
        struct wslay_event_msg ping = {.opcode = WSLAY_PING};
        (void)wslay_event_queue_msg(websocket->frames, &ping);
        send_some(websocket);
        websocket->pinged_ns = now;
        quiet_since = now;
    }
    return quiet_since + ping_ns;
}

static bool take_oldest(struct websocket *websocket, struct buf *buf)
{
    if (websocket->messages.count == 0) {
        return false;
    }
    struct message message = websocket->messages.items[0];
    websocket->messages.count--;
    memmove(websocket->messages.items, websocket->messages.items + 1,
            websocket->messages.count * sizeof(message));
    buf_clear(buf);
    buf_append(buf, span_of(message.data, message.bytes));
    mem_free(message.data);
    return true;
}

/* One round. Locked. Negative: go on and wait until *ret_until_ns. */
static int read_step(struct websocket *websocket, struct buf *buf, int64_t *ret_until_ns)
{
    if (take_oldest(websocket, buf)) {
        return 0;
    }
    if (!websocket->closed) {
        receive_some(websocket);
        if (take_oldest(websocket, buf)) {
            return 0; /* what came before the end is still read */
        }
    }
    if (!websocket->closed) {
        *ret_until_ns = keep_alive(websocket);
    }
    return websocket->closed ? WEBSOCKET_CLOSED : -1;
}

int websocket_read(struct websocket *websocket, int64_t timeout_ms, struct buf *buf)
{
    int64_t deadline = timeout_ms < 0 ? INT64_MAX : now_ns(websocket) + timeout_ms * TIME_MS_NS;
    for (;;) {
        int64_t until_ns = 0;
        pthread_mutex_lock(&websocket->lock);
        int rc = read_step(websocket, buf, &until_ns);
        short events = wslay_event_want_write(websocket->frames) ? POLLIN | POLLOUT : POLLIN;
        pthread_mutex_unlock(&websocket->lock);
        if (rc >= 0) {
            return rc;
        }
        if (now_ns(websocket) >= deadline) {
            return WEBSOCKET_TIMEOUT;
        }
        wait_ready(websocket, events, MIN(until_ns, deadline), true);
    }
}

/* ── Writing ─────────────────────────────────────────────────────────────────────────────── */

static int write_message(struct websocket *websocket, uint8_t opcode, struct span data)
{
    struct wslay_event_msg message = {.opcode = opcode, .msg = data.data, .msg_length = data.bytes};
    pthread_mutex_lock(&websocket->lock);
    if (!websocket->closed && wslay_event_queue_msg(websocket->frames, &message) == 0) {
        flush(websocket, now_ns(websocket) + WEBSOCKET_WRITE_TIMEOUT_MS * TIME_MS_NS, true);
    }
    int rc = websocket->closed ? WEBSOCKET_CLOSED : 0;
    pthread_mutex_unlock(&websocket->lock);
    return rc;
}

int websocket_write(struct websocket *websocket, struct span text)
{
    return write_message(websocket, WSLAY_TEXT_FRAME, text);
}

int websocket_write_binary(struct websocket *websocket, struct span data)
{
    return write_message(websocket, WSLAY_BINARY_FRAME, data);
}

void websocket_close(struct websocket *websocket, uint16_t code, const char *reason)
{
    pthread_mutex_lock(&websocket->lock);
    if (!websocket->closed) {
        struct span text = span_first(span_of_str(reason), 123);
        (void)wslay_event_queue_close(websocket->frames, code, text.data, text.bytes);
        send_some(websocket);
        end_locked(websocket, false);
    }
    pthread_mutex_unlock(&websocket->lock);
}

void websocket_stop(struct websocket *websocket)
{
    websocket_close(websocket, WSLAY_CODE_GOING_AWAY, "the server is stopping");
}

/* ── Life ────────────────────────────────────────────────────────────────────────────────── */

/* The last frames go out and the client gets a moment to close first: closing a socket with unread
 * bytes would throw away what it has not read yet. */
static void say_goodbye(struct websocket *websocket)
{
    int64_t until_ns = now_ns(websocket) + CLOSING_MS * TIME_MS_NS;
    pthread_mutex_lock(&websocket->lock);
    if (!websocket->broken) {
        if (!wslay_event_get_close_sent(websocket->frames)) {
            (void)wslay_event_queue_close(websocket->frames, WSLAY_CODE_NORMAL_CLOSURE, NULL, 0);
        }
        flush(websocket, until_ns, false);
    }
    bool wait = !websocket->broken;
    end_locked(websocket, false);
    pthread_mutex_unlock(&websocket->lock);
    if (websocket->fd >= 0) {
        (void)shutdown(websocket->fd, SHUT_WR);
    }
    char waste[4096];
    while (wait && now_ns(websocket) < until_ns) {
        wait_ready(websocket, POLLIN, until_ns, false);
        ssize_t got = recv(websocket->fd, waste, sizeof(waste), MSG_DONTWAIT);
        wait = got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
    }
}

static void free_websocket(struct websocket *websocket)
{
    for (size_t i = 0; i < websocket->messages.count; i++) {
        mem_free(websocket->messages.items[i].data);
    }
    vec_deinit(&websocket->messages);
    wslay_event_context_free(websocket->frames);
    buf_deinit(&websocket->read_ahead);
    (void)close(websocket->wake);
    pthread_mutex_destroy(&websocket->lock);
    mem_free(websocket);
}

static void unlist(struct websocket *websocket)
{
    struct http_server *server = websocket->server;
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->websockets.count; i++) {
        if (server->websockets.items[i] == websocket) {
            vec_remove_swap(&server->websockets, i);
            break;
        }
    }
    pthread_mutex_unlock(&server->lock);
}

static void *run(void *context)
{
    struct websocket *websocket = context;
    struct http_server *server = websocket->server;
    (void)pthread_setname_np(pthread_self(), "websocket");
    websocket->session(websocket, websocket->context);
    unlist(websocket);
    say_goodbye(websocket);
    if (websocket->upgrade != NULL) {
        (void)MHD_upgrade_action(websocket->upgrade, MHD_UPGRADE_ACTION_CLOSE);
    }
    free_websocket(websocket);
    http_server_give_place(server, &server->websocket_count);
    return NULL;
}

void websocket_run(struct websocket *websocket, int fd, struct span read_ahead,
                   struct MHD_UpgradeResponseHandle *upgrade)
{
    struct http_server *server = websocket->server;
    websocket->fd = fd;
    websocket->upgrade = upgrade;
    websocket->received_ns = websocket->pinged_ns = now_ns(websocket);
    buf_append(&websocket->read_ahead, read_ahead);
    if (fd >= 0) {
        int on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    } else {
        end_locked(websocket, true);
    }
    pthread_mutex_lock(&server->lock);
    vec_push(&server->websockets, websocket);
    bool stopping = atomic_load(&server->stopping);
    pthread_mutex_unlock(&server->lock);
    if (stopping) {
        websocket_stop(websocket);
    }
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run, websocket) == 0);
    (void)pthread_detach(thread);
}

static void on_upgrade(void *context, struct MHD_Connection *connection, void *connection_state,
                       const char *extra, size_t extra_bytes, MHD_socket fd,
                       struct MHD_UpgradeResponseHandle *upgrade)
{
    (void)context;
    (void)connection;
    struct http_request *request = connection_state;
    pthread_mutex_lock(&request->lock);
    struct websocket *websocket = request->websocket;
    request->websocket = NULL;
    pthread_mutex_unlock(&request->lock);
    websocket_run(websocket, fd, span_of(extra, extra_bytes), upgrade);
    http_io_complete(request);
}

/* ── The handshake ───────────────────────────────────────────────────────────────────────── */

static bool list_has(const char *list, const char *word)
{
    struct span rest = span_of_str(list);
    struct span item;
    while (span_split(&rest, ',', &item)) {
        if (span_equal_nocase(span_trim(item), span_of_str(word))) {
            return true;
        }
    }
    return false;
}

static bool key_is_valid(const char *key)
{
    struct buf raw = {0};
    bool valid = key != NULL && text_unbase64(&raw, span_of_str(key)) && raw.bytes == KEY_BYTES;
    buf_deinit(&raw);
    return valid;
}

static bool refuse_handshake(struct http_request *request)
{
    const char *version = http_request_header(request, "Sec-WebSocket-Version");
    if (strcmp(request->method, "GET") != 0 ||
        !list_has(http_request_header(request, "Connection"), "upgrade") ||
        !list_has(http_request_header(request, "Upgrade"), "websocket")) {
        http_reply_header(request, "Upgrade", "websocket");
        http_reply_error(request, 426, "a websocket is expected here");
    } else if (version == NULL || strcmp(version, "13") != 0) {
        http_reply_header(request, "Sec-WebSocket-Version", "13");
        http_reply_error(request, 426, "only version 13 of websockets is spoken here");
    } else if (!key_is_valid(http_request_header(request, "Sec-WebSocket-Key"))) {
        http_reply_error(request, 400, "Sec-WebSocket-Key is not 16 bytes in base64");
    } else {
        return false;
    }
    return true;
}

static void add_accept(struct MHD_Response *response, const char *key)
{
    struct buf text = {0};
    uint8_t hash[20];
    buf_append_str(&text, key);
    buf_append_str(&text, ACCEPT_GUID);
    CHECK(gnutls_hash_fast(GNUTLS_DIG_SHA1, text.data, text.bytes, hash) == 0);
    buf_clear(&text);
    text_base64(&text, span_of(hash, sizeof(hash)));
    (void)MHD_add_response_header(response, "Sec-WebSocket-Accept", buf_str(&text));
    buf_deinit(&text);
}

static struct websocket *new_websocket(struct http_server *server)
{
    struct websocket *websocket = MEM_NEW(struct websocket);
    websocket->server = server;
    websocket->fd = -1;
    websocket->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(websocket->wake >= 0);
    pthread_mutex_init(&websocket->lock, NULL);
    CHECK(wslay_event_context_server_init(&websocket->frames, &callbacks, websocket) == 0);
    wslay_event_config_set_max_recv_msg_length(websocket->frames,
                                               server->options.message_bytes_max);
    return websocket;
}

int http_reply_websocket(struct http_request *request, const char *subprotocol,
                         void (*session)(struct websocket *websocket, void *context), void *context)
{
    struct http_server *server = request->server;
    if (refuse_handshake(request)) {
        return HTTP_REPLY_REFUSED;
    }
    if (!http_server_take_place(server, &server->websocket_count, server->options.websockets_max)) {
        atomic_fetch_add(&server->counters.refused_503, 1);
        http_reply_error(request, 503, "too many websockets are open, at most %zu",
                         server->options.websockets_max);
        return HTTP_REPLY_REFUSED;
    }
    struct websocket *websocket = new_websocket(server);
    websocket->session = session;
    websocket->context = context;
    struct MHD_Response *response = MHD_create_response_for_upgrade(on_upgrade, NULL);
    CHECK(response != NULL);
    (void)MHD_add_response_header(response, "Upgrade", "websocket");
    add_accept(response, http_request_header(request, "Sec-WebSocket-Key"));
    if (subprotocol != NULL && subprotocol[0] != 0) {
        (void)MHD_add_response_header(response, "Sec-WebSocket-Protocol", subprotocol);
    }
    pthread_mutex_lock(&request->lock);
    bool left = request->connection == NULL;
    request->websocket = left ? NULL : websocket;
    request->upgraded = true;
    pthread_mutex_unlock(&request->lock);
    http_reply_send(request, MHD_HTTP_SWITCHING_PROTOCOLS, response, "-");
    if (left) {
        websocket_run(websocket, -1, SPAN_NONE, NULL);
    }
    return 0;
}
