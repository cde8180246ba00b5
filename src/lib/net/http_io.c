/*
 * What happens to a request: libmicrohttpd's callbacks on the I/O threads, then a worker.
 * Tested by http_server_test.c.
 */
#include "net/http_internal.h"

#include <stdio.h>
#include <sys/socket.h>

#define HELLO_BYTES_MAX 4096

/* ── Refusals: replies without a handler, made on the I/O thread ─────────────────────────── */

static void refuse(struct http_request *request, int status, const char *text)
{
    struct http_server_counters *counters = &request->server->counters;
    if (status == 413) {
        atomic_fetch_add(&counters->refused_413, 1);
    } else if (status == 431) {
        atomic_fetch_add(&counters->refused_431, 1);
    } else if (status == 503) {
        atomic_fetch_add(&counters->refused_503, 1);
        http_reply_header(request, "Connection", "close");
    }
    request->refused = true;
    http_reply_error(request, status, "%s", text);
}

static void count_answer(struct http_server *server, int status)
{
    if (status >= 100 && status < 600) {
        atomic_fetch_add(&server->counters.answers[status / 100], 1);
    }
}

static void after(struct http_request *request)
{
    struct http_server *server = request->server;
    if (server->options.after != NULL) {
        server->options.after(request, server->options.hook_context);
    }
}

/* ── Workers ─────────────────────────────────────────────────────────────────────────────── */

static void handle(struct http_request *request)
{
    struct http_server *server = request->server;
    bool checked = http_request_streams_body(request) || http_request_check_body(request) == 0;
    if (!checked) {
        http_reply_header(request, CONTROL_REFUSED_HEADER,
                          control_refusal_name(CONTROL_ALTERED_BODY));
        http_reply_error(request, 401, "%s", err_text());
    } else if (server->options.before == NULL ||
               !server->options.before(request, server->options.hook_context)) {
        request->match.route->handler(request, request->match.context);
    }
    if (!request->replied) {
        http_reply_error(request, 500, "the request was not answered");
    }
    after(request);
}

static void finish_handler(struct http_request *request)
{
    struct http_server *server = request->server;
    pthread_mutex_lock(&server->lock);
    pthread_mutex_lock(&request->lock);
    request->handler_returned = true;
    if (atomic_load(&server->stopping) && request->stream != NULL) {
        http_stream_fail(request->stream);
    }
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&request->lock);
    pthread_mutex_unlock(&server->lock);
    http_request_unhold(request);
}

void *http_io_work(void *context)
{
    struct http_server *server = context;
    void *item;
    (void)pthread_setname_np(pthread_self(), "http-worker");
    while (channel_pop(server->queue, -1, &item) == 0) {
        atomic_fetch_add(&server->counters.workers_busy, 1);
        handle(item);
        finish_handler(item);
        atomic_fetch_sub(&server->counters.workers_busy, 1);
    }
    return NULL;
}

static void dispatch(struct http_request *request)
{
    request->dispatched = true;
    atomic_fetch_add(&request->holders, 1);
    if (channel_try_push(request->server->queue, request) != 0) {
        http_request_unhold(request);
        refuse(request, 503, "the server is busy, try again");
    }
}

/* libmicrohttpd takes a short read for "nothing more there" and waits for the next edge of epoll.
 * When the client's last bytes and its end of stream came together, that edge has passed, and a
 * handler that pulls the body would wait until the idle timeout. Suspending and resuming makes it
 * read again. Only within its callbacks. */
static void look_for_end_of_stream(struct MHD_Connection *connection)
{
    char byte;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
        MHD_suspend_connection(connection);
        MHD_resume_connection(connection);
    }
}

/* ── What libmicrohttpd calls, on I/O threads ────────────────────────────────────────────── */

void *http_io_target(void *context, const char *target, struct MHD_Connection *connection)
{
    http_deadline_begin(context, connection);
    return http_request_new(context, target);
}

/* True when it was refused. */
static bool refuse_unsigned(struct http_request *request)
{
    struct http_server *server = request->server;
    if ((request->match.route->flags & HTTP_CONTROL) == 0) {
        return false;
    }
    const char *header = http_request_header(request, CONTROL_HEADER);
    int refusal = CONTROL_MALFORMED;
    if (header != NULL) {
        refusal = control_verify(server->control, header, request->method, request->target_text,
                                 &request->seal);
    }
    if (refusal == 0) {
        request->sealed = true;
        (void)crypto_hash_sha256_init(&request->body_hash);
        return false;
    }
    atomic_fetch_add(&server->counters.control_refused, 1);
    request->control_refusal = refusal;
    const char *name = control_refusal_name(refusal);
    http_reply_header(request, CONTROL_REFUSED_HEADER, name);
    char text[96];
    (void)snprintf(text, sizeof(text), "Control-Auth refused: %s", name);
    refuse(request, 401, text);
    return true;
}

/* The declared length, UINT64_MAX for a chunked body. */
static uint64_t declared_bytes(const struct http_request *request)
{
    uint64_t bytes = 0;
    const char *length = http_request_header(request, "Content-Length");
    if (http_request_header(request, "Transfer-Encoding") != NULL) {
        return UINT64_MAX;
    }
    bool declared = length != NULL && span_to_u64(span_of_str(length), &bytes);
    return declared ? MIN(bytes, UINT64_MAX - 1) : 0;
}

/* Where its body ends, another reader may find elsewhere: a proxy that did would take what follows
 * for the next request, or we would. */
static bool is_ambiguous(const struct http_request *request)
{
    size_t lengths = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_pair *header = &request->headers[i];
        bool coding = http_name_equal(header->name, "Transfer-Encoding");
        lengths += coding || http_name_equal(header->name, "Content-Length");
        if (strpbrk(header->name, " \t") != NULL ||
            (coding && !span_equal_nocase(span_of_str(header->value), SPAN_LIT("chunked")))) {
            return true;
        }
    }
    return lengths > 1;
}

static bool refuse_large(struct http_request *request, uint64_t bytes)
{
    const struct http_route *route = request->match.route;
    uint64_t bound = route->body_bytes_max;
    if (bound == 0) {
        bound = http_request_streams_body(request) ? UINT64_MAX
                                                   : request->server->options.body_bytes_max;
    }
    if (bytes == UINT64_MAX || bytes <= bound) {
        return false;
    }
    refuse(request, 413, "the body is too large");
    return true;
}

static void find_route(struct http_request *request)
{
    struct http_server *server = request->server;
    if (http_target_parse(request->arena, request->target_text, &request->target) < 0) {
        refuse(request, 400, err_text());
        return;
    }
    http_router_match(server->router, request->method, &request->target, &request->match);
    if (request->match.route != NULL) {
        return;
    }
    if (request->match.allow[0] == 0) {
        refuse(request, 404, "there is nothing at this path");
        return;
    }
    http_reply_header(request, "Allow", request->match.allow);
    refuse(request, 405, "this path does not have this method");
}

static bool is_crowded(struct http_server *server)
{
    return atomic_load(&server->counters.connections_now) > server->options.connections_max;
}

static void begin(struct http_request *request, struct MHD_Connection *connection,
                  const char *method)
{
    struct http_server *server = request->server;
    request->begun = true;
    request->connection = connection;
    request->method = arena_strdup(request->arena, method);
    request->https = server->tls;
    atomic_fetch_add(&server->counters.requests, 1);
    pthread_mutex_lock(&server->lock);
    vec_push(&server->requests, request);
    pthread_mutex_unlock(&server->lock);

    if (!http_request_take_headers(request, connection)) {
        refuse(request, 431, "the headers are too large");
    } else if (atomic_load(&server->cutting)) {
        refuse(request, 503, "the server is stopping");
    } else if (is_crowded(server)) {
        refuse(request, 503, "too many connections");
    } else if (is_ambiguous(request)) {
        http_reply_header(request, "Connection", "close");
        refuse(request, 400, "it is not clear where the body ends");
    } else {
        find_route(request);
    }
}

static enum MHD_Result queue_reply(struct http_request *request, struct MHD_Connection *connection)
{
    if (request->stream != NULL) {
        http_stream_attach(request->stream, connection);
    }
    struct MHD_Response *response = request->response;
    request->response = NULL;
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)request->status, response);
    MHD_destroy_response(response);
    count_answer(request->server, request->status);
    if (request->refused) {
        after(request);
    }
    return result;
}

static enum MHD_Result take_begin(struct http_request *request, struct MHD_Connection *connection,
                                  const char *method)
{
    begin(request, connection, method);
    uint64_t bytes = declared_bytes(request);
    if (!request->refused && !refuse_large(request, bytes)) {
        (void)refuse_unsigned(request);
    }
    if (!request->refused && http_request_streams_body(request)) {
        dispatch(request);
    }
    /* A refusal normally waits for the end of the body, so that the connection stays usable. When
     * the client waits for our consent, would send too much, or nobody knows how much, it goes out
     * now and closes. */
    bool consent = http_request_header(request, "Expect") != NULL;
    bool huge = bytes != UINT64_MAX && bytes > HTTP_DISCARD_BYTES_MAX;
    if (request->refused && (is_ambiguous(request) || (bytes > 0 && (consent || huge)))) {
        return queue_reply(request, connection);
    }
    if (bytes > 0) {
        look_for_end_of_stream(connection);
    }
    return MHD_YES;
}

static enum MHD_Result take_end(struct http_request *request, struct MHD_Connection *connection)
{
    if (!request->body_ended) {
        http_request_end_body(
            request, MHD_lookup_connection_value(connection, MHD_FOOTER_KIND, CONTROL_TRAILER));
        if (!request->refused && !request->dispatched) {
            if (request->body_too_large) {
                refuse(request, 413, "the body is too large");
            } else {
                dispatch(request);
            }
        }
    }
    pthread_mutex_lock(&request->lock);
    bool replied = request->replied;
    if (!replied) {
        request->suspended = true;
        MHD_suspend_connection(connection);
    }
    pthread_mutex_unlock(&request->lock);
    return replied ? queue_reply(request, connection) : MHD_YES;
}

enum MHD_Result http_io_request(void *context, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_bytes, void **connection_state)
{
    (void)context;
    (void)url;
    (void)version;
    struct http_request *request = *connection_state;
    if (!request->begun) {
        http_deadline_met(connection);
        return take_begin(request, connection, method);
    }
    if (*upload_bytes == 0) {
        return take_end(request, connection);
    }
    *upload_bytes -= http_request_give_body(request, span_of(upload, *upload_bytes));
    if (*upload_bytes == 0) {
        look_for_end_of_stream(connection);
    }
    return request->discarded_bytes > HTTP_DISCARD_BYTES_MAX ? MHD_NO : MHD_YES;
}

void http_io_complete(struct http_request *request)
{
    struct http_server *server = request->server;
    request->completed = true;
    http_request_fail(request);
    pthread_mutex_lock(&request->lock);
    request->connection = NULL;
    struct http_stream *stream = request->stream;
    struct websocket *websocket = request->websocket;
    request->websocket = NULL;
    pthread_mutex_unlock(&request->lock);
    if (stream != NULL) {
        http_stream_completed(stream);
    }
    if (websocket != NULL) {
        websocket_run(websocket, -1, SPAN_NONE, NULL);
    }
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->requests.count; i++) {
        if (server->requests.items[i] == request) {
            vec_remove_swap(&server->requests, i);
            break;
        }
    }
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

void http_io_completed(void *context, struct MHD_Connection *connection, void **connection_state,
                       enum MHD_RequestTerminationCode code)
{
    (void)code;
    struct http_request *request = *connection_state;
    if (request == NULL) {
        return;
    }
    *connection_state = NULL;
    if (!request->upgraded) {
        http_deadline_next(context, connection);
    }
    if (!request->completed) {
        http_io_complete(request);
    }
    http_request_unhold(request);
}

void http_io_connection(void *context, struct MHD_Connection *connection, void **socket_state,
                        enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        atomic_fetch_add(&server->counters.connections, 1);
        atomic_fetch_add(&server->counters.connections_now, 1);
        *socket_state = http_deadline_open(server, connection);
    } else {
        http_deadline_close(server, *socket_state);
        *socket_state = NULL;
        atomic_fetch_sub(&server->counters.connections_now, 1);
    }
}

void http_io_message(void *context, const char *format, va_list args)
{
    /* libmicrohttpd's remarks about clients that break off; counted nowhere, said nowhere. */
    (void)context;
    (void)format;
    (void)args;
}

/* ── Control-Auth's hello ────────────────────────────────────────────────────────────────── */

static void hello(struct http_request *request, void *context)
{
    (void)context;
    char session[CONTROL_SESSION_TEXT_BYTES];
    char nonce[CONTROL_NONCE_TEXT_BYTES];
    json_t *body = NULL;
    const char *client_nonce = NULL;
    if (http_request_json(request, &body) == 0) {
        client_nonce = json_string_value(json_object_get(body, "Nonce"));
    }
    int rc = client_nonce == NULL
                 ? err_set(ERR_INVALID, "hello needs {\"Nonce\":\"...\"}")
                 : control_hello(request->server->control, client_nonce, session, nonce);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        http_reply_json(request, 200, json_pack("{s:s, s:s}", "Session", session, "Nonce", nonce));
    }
    json_decref(body);
}

const struct http_route http_hello_route = {.method = "POST",
                                            .path = CONTROL_HELLO_PATH,
                                            .handler = hello,
                                            .body_bytes_max = HELLO_BYTES_MAX};
