#include "webserver/search_socket.h"

#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/time.h"
#include "net/websocket.h"
#include "webserver/auth.h"
#include "webserver/capability.h"
#include "webserver/request.h"
#include "webserver/search_answer.h"
#include "webserver/search_remote.h"

#define NEGOTIATE_MS 2000
#define STREAM_ROWS 1024
#define STREAM_WAIT_MS 250
#define WEBSOCKET_POLICY 1008 /* RFC 6455, 7.4.1 */

/* One search on this socket. */
struct label {
    char name[24];
    struct search_one *one; /* a reference; NULL: it is on another webserver ... */
    char *remote_id;        /* ... under this id ... */
    char *remote_session;   /* ... where we are this client */
    bool attached;          /* false: launched, and the client has not acknowledged it */
};

struct socket {
    struct search *search;
    struct websocket *websocket;
    struct auth_login login;
    struct object_principal who; /* with gids of its own */
    struct object_gids gids;
    int32_t default_gid;
    bool may_not_write; /* resources */
    char *credential;   /* for other webservers */
    VEC(struct label) labels;
    VEC(char *) waiting; /* messages read while streaming */
    unsigned next_label;
    int64_t ack_until_ns; /* monotonic; of the unacknowledged label */
    bool closed;
};

static int64_t now_ns(const struct socket *socket)
{
    return io_monotonic_ns(socket->search->webserver->io);
}

/* ── Messages out ────────────────────────────────────────────────────────────────────────── */

static void send_span(struct socket *socket, struct span text)
{
    if (websocket_write(socket->websocket, text) != 0) {
        socket->closed = true;
    }
}

/* {"type":…,"data":…} */
static void begin_message(struct buf *buf, const char *type)
{
    buf_append_str(buf, "{\"type\":\"");
    buf_append_str(buf, type);
    buf_append_str(buf, "\",\"data\":");
}

static void send_json(struct socket *socket, const char *type, json_t *takes)
{
    struct buf buf = {0};
    char *text = json_dumps(takes, JSON_COMPACT);
    begin_message(&buf, type);
    buf_append_str(&buf, text == NULL ? "{}" : text);
    buf_append_byte(&buf, '}');
    send_span(socket, buf_span(&buf));
    buf_deinit(&buf);
    free(text);
    json_decref(takes);
}

static void send_error(struct socket *socket, const char *type, const char *text)
{
    json_t *json = json_object();
    json_object_set_new(json, "Error", json_string(text));
    send_json(socket, type, json);
}

/* ── Labels ──────────────────────────────────────────────────────────────────────────────── */

/* A request about a label's search to its webserver; `what` follows the id. */
static int call_remote(struct socket *socket, const struct label *label, const char *method,
                       const char *what, const json_t *body, json_t **ret_json)
{
    char *path = mem_printf("%s?sid=%s", what, label->remote_session);
    int rc = search_remote_call(socket->search->webserver, socket->credential, method,
                                label->remote_id, path, body, ret_json);
    mem_free(path);
    return rc;
}

static void leave_remote(struct socket *socket, struct label *label)
{
    json_t *json = NULL;
    (void)!call_remote(socket, label, "PUT", "/detach", NULL, &json);
    json_decref(json);
    mem_free(label->remote_id);
    mem_free(label->remote_session);
}

static void release(struct socket *socket, size_t index)
{
    struct label label = socket->labels.items[index];
    vec_remove_swap(&socket->labels, index);
    if (label.one == NULL) {
        leave_remote(socket, &label);
        return;
    }
    if (!label.attached) {
        search_one_delete(label.one); /* never began */
    }
    search_one_detach(label.one);
    search_one_unref(&label.one);
}

/* Takes the caller's reference and its attachment. */
static struct label *add_label(struct socket *socket, const char *kind, struct search_one *one,
                               bool attached)
{
    struct label label = {.one = one, .attached = attached};
    (void)snprintf(label.name, sizeof(label.name), "%s%u", kind, ++socket->next_label);
    vec_push(&socket->labels, label);
    return &socket->labels.items[socket->labels.count - 1];
}

static ptrdiff_t find_label(const struct socket *socket, const char *name)
{
    for (size_t i = 0; i < socket->labels.count; i++) {
        if (strcmp(socket->labels.items[i].name, name) == 0) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

static ptrdiff_t unacknowledged(const struct socket *socket)
{
    for (size_t i = 0; i < socket->labels.count; i++) {
        if (!socket->labels.items[i].attached) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

static void drop_unacknowledged(struct socket *socket)
{
    ptrdiff_t index = unacknowledged(socket);
    if (index >= 0) {
        release(socket, (size_t)index);
    }
}

/* ── Label `search` and `attach` ─────────────────────────────────────────────────────────── */

static void on_ack(struct socket *socket, const json_t *data)
{
    ptrdiff_t index = unacknowledged(socket);
    if (index < 0) {
        return;
    }
    if (!request_bool(data, "Ok")) {
        release(socket, (size_t)index);
        return;
    }
    struct label *label = &socket->labels.items[index];
    label->attached = true;
    search_one_begin(label->one);
}

static void on_start(struct socket *socket, const json_t *data)
{
    drop_unacknowledged(socket);
    if (socket->labels.count >= SEARCH_SOCKET_LABELS_MAX) {
        send_error(socket, "search", "too many searches on one websocket");
        return;
    }
    struct search_start start;
    struct search_one *one = NULL;
    struct query_error error;
    search_start_decode(data, &start);
    start.may_not_write = socket->may_not_write;
    int rc = search_launch(socket->search, &socket->who, socket->default_gid, &start, &one, &error);
    search_start_deinit(&start);
    if (rc < 0) {
        send_error(socket, "search", error.text[0] != '\0' ? error.text : err_text());
        return;
    }
    /* The label lives before the response is sent: the first request may come with the ack. */
    struct label *label = add_label(socket, "search", one, false);
    socket->ack_until_ns = now_ns(socket) + SEARCH_ACK_TIMEOUT_S * TIME_S_NS;
    send_json(socket, "search", search_start_json(one, label->name));
}

static void on_search(struct socket *socket, const json_t *data)
{
    if (request_member(data, "Ok") != NULL) {
        on_ack(socket, data);
    } else {
        on_start(socket, data);
    }
}

static void send_attached(struct socket *socket, const char *label, const char *module,
                          const char *command, json_t *takes_info)
{
    json_t *json = json_object();
    json_object_set_new(json, "Subproto", json_string(label));
    json_object_set_new(json, "RendererMod", json_string(module));
    json_object_set_new(json, "RendererCmd", json_string(command));
    json_object_set_new(json, "Info", takes_info);
    send_json(socket, "attach", json);
}

/* To a search of another webserver. */
static int attach_remote(struct socket *socket, const char *id)
{
    json_t *json = NULL;
    int rc = search_remote_call(socket->search->webserver, socket->credential, "GET", id, "/attach",
                                NULL, &json);
    if (rc < 0) {
        return rc;
    }
    struct label *label = add_label(socket, "attach", NULL, true);
    label->remote_id = mem_strdup(id);
    label->remote_session = mem_strdup(request_text(json, "SearchSessionID"));
    send_attached(socket, label->name, request_text(json, "RenderModule"),
                  request_text(json, "RenderCmd"), json_incref(request_member(json, "Info")));
    json_decref(json);
    return 0;
}

static void on_attach(struct socket *socket, const json_t *data)
{
    struct search_one *one = NULL;
    int rc = socket->labels.count < SEARCH_SOCKET_LABELS_MAX
                 ? search_find(socket->search, request_text(data, "ID"), &socket->who, false, &one)
                 : err_set(ERR_UNAVAILABLE, "too many searches on one websocket");
    if (rc == ERR_NOT_FOUND && attach_remote(socket, request_text(data, "ID")) == 0) {
        return;
    }
    if (rc == 0) {
        rc = search_one_attach(one);
    }
    if (rc < 0) {
        search_one_unref(&one);
        send_error(socket, "attach", err_text());
        return;
    }
    const struct label *label = add_label(socket, "attach", one, true);
    send_attached(socket, label->name, one->renderer, one->renderer_text, search_info_json(one));
}

/* ── Output labels ───────────────────────────────────────────────────────────────────────── */

static void send_answer(struct socket *socket, const char *label, struct search_one *one,
                        const struct search_ask *ask, struct search_told *ret_told)
{
    struct buf buf = {0};
    begin_message(&buf, label);
    search_answer(one, ask, &buf, ret_told);
    buf_append_byte(&buf, '}');
    send_span(socket, buf_span(&buf));
    buf_deinit(&buf);
}

/* Reads what has come, so that a client that left is noticed while results are streamed to it. */
static void listen(struct socket *socket)
{
    struct buf message = {0};
    int rc = 0;
    while (!socket->closed && socket->waiting.count < SEARCH_SOCKET_WAITING_MAX &&
           (rc = websocket_read(socket->websocket, 0, &message)) == 0) {
        vec_push(&socket->waiting, buf_take(&message));
    }
    socket->closed = socket->closed || (rc != 0 && rc != WEBSOCKET_TIMEOUT);
    buf_deinit(&message);
}

/* Until an empty one that says Finished. */
static void stream(struct socket *socket, const char *label, struct search_one *one,
                   struct search_ask ask)
{
    uint64_t last = ask.last <= ask.first ? UINT64_MAX : ask.last;
    struct search_told told = {0};
    while (!socket->closed && !(told.finished && told.rows == 0)) {
        ask.last = MIN(last, ask.first + STREAM_ROWS);
        if (search_one_is_over(one) || search_one_rows(one) >= ask.last) {
            send_answer(socket, label, one, &ask, &told);
            ask.first += told.rows;
        } else {
            search_one_wait(one, search_one_rows(one), STREAM_WAIT_MS);
            uint64_t rows = search_one_rows(one);
            if (rows > ask.first && ask.first < last) {
                send_answer(socket, label, one, &ask, &told);
                ask.first += told.rows;
            }
        }
        listen(socket);
    }
}

static json_t *fault_json(json_int_t id)
{
    return json_pack("{s:I, s:b, s:I, s:b, s:b, s:b, s:s, s:s}", "ID", id, "Finished", 1,
                     "EntryCount", (json_int_t)0, "EntryCountValid", 0, "AdditionalEntries", 0,
                     "OverLimit", 0, "Warning", "", "Error", err_text());
}

/* Rows in an answer, whatever the renderer. */
static size_t rows_in(const json_t *answer)
{
    const json_t *entries = json_object_get(answer, "Entries");
    const json_t *rows = json_object_get(entries, "Rows");
    rows = rows == NULL ? json_object_get(entries, "Values") : rows;
    return json_array_size(rows == NULL ? entries : rows);
}

/* As stream(), by asking again and again. */
static void stream_remote(struct socket *socket, const struct label *label,
                          const struct search_ask *ask)
{
    static const struct timespec pause = {.tv_nsec = STREAM_WAIT_MS * TIME_MS_NS};
    uint64_t first = ask->first;
    uint64_t last = ask->last <= ask->first ? UINT64_MAX : ask->last;
    bool over = false;
    while (!socket->closed && !over) {
        json_t *answer = NULL;
        uint64_t end = MIN(last, first + STREAM_ROWS);
        json_t *body = json_pack("{s:i, s:{s:I, s:I}}", "ID", SEARCH_REQUEST_ENTRIES, "EntryRange",
                                 "First", (json_int_t)first, "Last", (json_int_t)end);
        if (call_remote(socket, label, "POST", "/ask", body, &answer) < 0) {
            answer = fault_json(SEARCH_REQUEST_STREAM);
        }
        size_t rows = rows_in(answer);
        first += rows;
        over = rows == 0 && request_bool(answer, "Finished");
        json_object_set_new(answer, "ID", json_integer(SEARCH_REQUEST_STREAM));
        if (rows > 0 || over) {
            send_json(socket, label->name, json_incref(answer));
        } else {
            (void)nanosleep(&pause, NULL);
        }
        json_decref(answer);
        json_decref(body);
        listen(socket);
    }
}

static void on_remote(struct socket *socket, size_t index, const json_t *data,
                      const struct search_ask *ask)
{
    struct label label = socket->labels.items[index];
    json_t *answer = NULL;
    if (ask->id == SEARCH_REQUEST_STREAM) {
        stream_remote(socket, &label, ask);
        return;
    }
    if (call_remote(socket, &label, "POST", "/ask", data, &answer) < 0) {
        answer = fault_json(ask->id);
    }
    send_json(socket, label.name, answer);
    if (ask->id == SEARCH_REQUEST_CLOSE) {
        release(socket, index);
    }
}

static void on_output(struct socket *socket, size_t index, const json_t *data)
{
    struct search_ask ask;
    struct label label = socket->labels.items[index];
    search_ask_decode(data, &ask);
    if (label.one == NULL) {
        on_remote(socket, index, data, &ask);
        return;
    }
    if (ask.id == SEARCH_REQUEST_STREAM) {
        search_one_ref(label.one);
        stream(socket, label.name, label.one, ask);
        search_one_unref(&label.one);
        return;
    }
    struct search_told told;
    send_answer(socket, label.name, label.one, &ask, &told);
    if (ask.id == SEARCH_REQUEST_CLOSE) {
        release(socket, index);
    }
}

/* ── The session ─────────────────────────────────────────────────────────────────────────── */

static void dispatch(struct socket *socket, const char *type, const json_t *data)
{
    ptrdiff_t index = find_label(socket, type);
    if (strcmp(type, "PONG") == 0) {
        send_json(socket, "PONG", json_object());
    } else if (strcmp(type, "parse") == 0) {
        const char *text = request_text(data, "SearchString");
        send_json(socket, "parse", search_parse_json(socket->search, &socket->who, data, text));
    } else if (strcmp(type, "search") == 0) {
        on_search(socket, data);
    } else if (strcmp(type, "attach") == 0) {
        on_attach(socket, data);
    } else if (index >= 0) {
        on_output(socket, (size_t)index, data);
    } /* an unknown type is dropped by both sides */
}

static void on_message(struct socket *socket, struct span text)
{
    json_error_t error;
    if (!auth_may_go_on(socket->search->webserver, &socket->login)) {
        websocket_close(socket->websocket, WEBSOCKET_POLICY, "the session was ended");
        socket->closed = true;
        return;
    }
    json_t *json = json_loadb((const char *)text.data, text.bytes, 0, &error);
    const char *type = json == NULL ? "" : request_text(json, "type");
    const json_t *data = json == NULL ? NULL : request_member(json, "data");
    json_t *empty = json_object();
    if (type[0] != '\0') {
        dispatch(socket, type, json_is_object(data) ? data : empty);
    }
    json_decref(empty);
    json_decref(json);
}

static bool negotiate(struct socket *socket)
{
    struct buf message = {0};
    bool good = false;
    if (websocket_read(socket->websocket, NEGOTIATE_MS, &message) == 0) {
        json_error_t error;
        json_t *json = json_loadb((const char *)message.data, message.bytes, 0, &error);
        good = json != NULL && json_array_size(request_member(json, "Subs")) > 0;
        json_decref(json);
        send_span(socket, good ? SPAN_LIT("{\"Resp\":\"ACK\"}") : SPAN_LIT("{\"Resp\":\"ERROR\"}"));
    }
    buf_deinit(&message);
    return good && !socket->closed;
}

static void drain_waiting(struct socket *socket)
{
    while (socket->waiting.count > 0 && !socket->closed) {
        char *text = socket->waiting.items[0];
        socket->waiting.count--;
        memmove(socket->waiting.items, socket->waiting.items + 1,
                socket->waiting.count * sizeof(char *));
        on_message(socket, span_of_str(text));
        mem_free(text);
    }
}

static int64_t patience_ms(const struct socket *socket)
{
    if (unacknowledged(socket) < 0) {
        return -1;
    }
    return MAX((socket->ack_until_ns - now_ns(socket)) / TIME_MS_NS, (int64_t)0);
}

static void serve(struct socket *socket)
{
    struct buf message = {0};
    while (!socket->closed) {
        int rc = websocket_read(socket->websocket, patience_ms(socket), &message);
        if (rc == WEBSOCKET_TIMEOUT) {
            drop_unacknowledged(socket);
        } else if (rc == 0) {
            on_message(socket, buf_span(&message));
            drain_waiting(socket);
        } else {
            socket->closed = true;
        }
    }
    buf_deinit(&message);
}

static void session(struct websocket *websocket, void *context)
{
    struct socket *socket = context;
    socket->websocket = websocket;
    if (negotiate(socket)) {
        serve(socket);
    }
    while (socket->labels.count > 0) {
        release(socket, 0);
    }
    for (size_t i = 0; i < socket->waiting.count; i++) {
        mem_free(socket->waiting.items[i]);
    }
    vec_deinit(&socket->waiting);
    vec_deinit(&socket->labels);
    object_set_gids(&socket->gids, NULL, 0);
    mem_free(socket->credential);
    mem_free(socket);
}

void search_socket_upgrade(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    const struct auth_user *user = auth_user(request);
    struct socket *socket = MEM_NEW(struct socket);
    socket->search = webserver->search;
    socket->login = auth_login_of(user);
    socket->who = user->principal;
    object_set_gids(&socket->gids, user->principal.gids, user->principal.gid_count);
    socket->who.gids = socket->gids.items;
    socket->default_gid = user->default_gid;
    socket->may_not_write = !capability_has(user->capabilities, CAPABILITY_RESOURCE_WRITE);
    socket->credential = search_remote_credential(request);
    const char *offered = http_request_header(request, "Sec-WebSocket-Protocol");
    if (http_reply_websocket(request, offered, session, socket) != 0) {
        object_set_gids(&socket->gids, NULL, 0);
        mem_free(socket->credential);
        mem_free(socket);
    }
}
