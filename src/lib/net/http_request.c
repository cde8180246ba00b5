/* A request: what the I/O thread puts in, what the handler takes out. Tested by http_server_test.c.
 */
#include "net/http_internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>

bool http_name_equal(const char *a, const char *b)
{
    return strcasecmp(a, b) == 0;
}

struct http_request *http_request_new(struct http_server *server, const char *target)
{
    struct http_request *request = MEM_NEW(struct http_request);
    request->server = server;
    request->arena = arena_new(server->options.arena_bytes_max);
    request->target_text = arena_strdup(request->arena, target);
    request->method = "";
    request->peer = "";
    atomic_store(&request->holders, 1);
    request->started_ns = io_monotonic_ns(server->options.io);
    pthread_mutex_init(&request->lock, NULL);
    pthread_cond_init(&request->changed, NULL);
    return request;
}

void http_request_unhold(struct http_request *request)
{
    if (atomic_fetch_sub(&request->holders, 1) > 1) {
        return;
    }
    if (request->response != NULL) {
        MHD_destroy_response(request->response);
    }
    if (request->stream != NULL) {
        http_stream_unhold(request->stream);
    }
    for (size_t i = 0; i < request->reply_headers.count; i++) {
        mem_free((char *)request->reply_headers.items[i].name);
        mem_free((char *)request->reply_headers.items[i].value);
    }
    vec_deinit(&request->reply_headers);
    sodium_memzero(&request->seal, sizeof(request->seal));
    buf_deinit(&request->body);
    arena_free(&request->arena);
    pthread_cond_destroy(&request->changed);
    pthread_mutex_destroy(&request->lock);
    mem_free(request);
}

/* ── What the I/O thread puts in ─────────────────────────────────────────────────────────── */

struct header_take {
    struct http_request *request;
    size_t bytes;
    bool too_many;
};

static enum MHD_Result take_header(void *context, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    (void)kind;
    struct header_take *take = context;
    struct http_request *request = take->request;
    size_t value_bytes = value == NULL ? 0 : strlen(value);
    take->bytes += strlen(name) + value_bytes + 4;
    if (request->header_count == HTTP_HEADERS_MAX ||
        take->bytes > request->server->options.header_bytes_max) {
        take->too_many = true;
        return MHD_NO;
    }
    if (value_bytes > 0) {
        request->headers[request->header_count++] = (struct http_pair){
            arena_strdup(request->arena, name), arena_strdup(request->arena, value)};
    }
    return MHD_YES;
}

void http_peer_text(const struct sockaddr *address, char text[HTTP_PEER_BYTES])
{
    text[0] = 0;
    if (address != NULL && address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)address;
        (void)inet_ntop(AF_INET, &v4->sin_addr, text, HTTP_PEER_BYTES);
    } else if (address != NULL && address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)address;
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, text, HTTP_PEER_BYTES);
    }
    if (strncmp(text, "::ffff:", 7) == 0 && strchr(text, '.') != NULL) {
        memmove(text, text + 7, strlen(text + 7) + 1);
    }
}

/* All values of a header, joined by commas. */
static struct span joined(struct http_request *request, const char *name)
{
    struct span all = SPAN_NONE;
    for (size_t i = 0; i < request->header_count; i++) {
        if (http_name_equal(request->headers[i].name, name)) {
            const char *value = request->headers[i].value;
            all = all.bytes == 0
                      ? span_of_str(value)
                      : span_of_str(arena_printf(request->arena, "%.*s,%s", SPAN_ARG(all), value));
        }
    }
    return all;
}

static void believe_proxies(struct http_request *request)
{
    const struct proxies *proxies = request->server->options.proxies;
    if (proxies == NULL || !proxies_trust(proxies, span_of_str(request->peer))) {
        return;
    }
    struct proxies_headers headers = {
        .forwarded_for = joined(request, "X-Forwarded-For"),
        .forwarded_proto = joined(request, "X-Forwarded-Proto"),
        .forwarded = joined(request, "Forwarded"),
    };
    struct proxies_client client = proxies_client(proxies, request->peer, &headers, request->arena);
    request->peer = client.address;
    request->https = request->https || client.https;
}

bool http_request_take_headers(struct http_request *request, struct MHD_Connection *connection)
{
    char peer[HTTP_PEER_BYTES];
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    http_peer_text(info != NULL ? info->client_addr : NULL, peer);
    request->peer = arena_strdup(request->arena, peer);
    struct header_take take = {.request = request, .bytes = strlen(request->target_text)};
    (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, take_header, &take);
    believe_proxies(request);
    return !take.too_many;
}

static size_t body_waiting(const struct http_request *request)
{
    return request->body.bytes - request->body_head;
}

static bool body_is_above_bound(const struct http_request *request, size_t more)
{
    size_t bound = request->match.route->body_bytes_max;
    if (http_request_streams_body(request)) {
        return bound > 0 && request->body_read + body_waiting(request) + more > bound;
    }
    bound = bound > 0 ? bound : request->server->options.body_bytes_max;
    return request->body.bytes + more > bound;
}

size_t http_request_give_body(struct http_request *request, struct span data)
{
    size_t taken = data.bytes;
    pthread_mutex_lock(&request->lock);
    if (request->replied || request->body_too_large) {
        /* Nobody will read it: swallowed, so that the connection stays usable. */
        request->discarded_bytes += data.bytes;
    } else if (body_is_above_bound(request, data.bytes)) {
        request->body_too_large = true;
        request->discarded_bytes += data.bytes;
        pthread_cond_broadcast(&request->changed);
    } else if (http_request_streams_body(request) &&
               body_waiting(request) >= HTTP_BODY_QUEUE_BYTES) {
        taken = 0;
        request->suspended = true;
        MHD_suspend_connection(request->connection);
    } else {
        buf_append(&request->body, data);
        pthread_cond_broadcast(&request->changed);
    }
    pthread_mutex_unlock(&request->lock);
    return taken;
}

void http_request_end_body(struct http_request *request, const char *trailer)
{
    pthread_mutex_lock(&request->lock);
    request->body_ended = true;
    if (trailer != NULL) {
        (void)snprintf(request->body_trailer, sizeof(request->body_trailer), "%s", trailer);
    }
    pthread_cond_broadcast(&request->changed);
    pthread_mutex_unlock(&request->lock);
}

void http_request_fail(struct http_request *request)
{
    pthread_mutex_lock(&request->lock);
    if (!request->body_ended) {
        request->body_failed = true;
    }
    pthread_cond_broadcast(&request->changed);
    pthread_mutex_unlock(&request->lock);
}

/* ── What the handler asks ───────────────────────────────────────────────────────────────── */

const char *http_request_method(const struct http_request *request)
{
    return request->method;
}

const char *http_request_path(const struct http_request *request)
{
    return request->target.path == NULL ? "" : request->target.path;
}

const char *http_request_target(const struct http_request *request)
{
    return request->target_text;
}

const char *http_request_peer(const struct http_request *request)
{
    return request->peer;
}

bool http_request_is_https(const struct http_request *request)
{
    return request->https;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (http_name_equal(request->headers[i].name, name)) {
            return request->headers[i].value;
        }
    }
    return NULL;
}

const char *http_request_query(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->target.query_count; i++) {
        if (strcmp(request->target.query[i].name, name) == 0) {
            return request->target.query[i].value;
        }
    }
    return NULL;
}

bool http_request_query_next(const struct http_request *request, size_t *cursor,
                             const char **ret_name, const char **ret_value)
{
    if (*cursor >= request->target.query_count) {
        return false;
    }
    *ret_name = request->target.query[*cursor].name;
    *ret_value = request->target.query[*cursor].value;
    (*cursor)++;
    return true;
}

static const char *cookie_in(struct arena *arena, const char *header, const char *name)
{
    struct span rest = span_of_str(header);
    struct span pair;
    while (span_split(&rest, ';', &pair)) {
        struct span value = span_trim(pair);
        struct span key;
        if (span_split(&value, '=', &key) && span_equal_str(span_trim(key), name)) {
            value = span_trim(value);
            if (value.bytes >= 2 && value.data[0] == '"' && value.data[value.bytes - 1] == '"') {
                value = span_of(value.data + 1, value.bytes - 2);
            }
            return arena_span_str(arena, value);
        }
    }
    return NULL;
}

const char *http_request_cookie(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (http_name_equal(request->headers[i].name, "Cookie")) {
            const char *value = cookie_in(request->arena, request->headers[i].value, name);
            if (value != NULL) {
                return value;
            }
        }
    }
    return NULL;
}

const char *http_request_param(const struct http_request *request, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < request->match.param_count && value == NULL; i++) {
        if (strcmp(request->match.params[i].name, name) == 0) {
            value = request->match.params[i].value;
        }
    }
    CHECK(value != NULL);
    return value;
}

const struct http_route *http_request_route(const struct http_request *request)
{
    return request->match.route;
}

struct arena *http_request_arena(struct http_request *request)
{
    return request->arena;
}

struct io *http_request_io(const struct http_request *request)
{
    return request->server->options.io;
}

int64_t http_request_started_ns(const struct http_request *request)
{
    return request->started_ns;
}

void http_request_set_user(struct http_request *request, void *user)
{
    request->user = user;
}

void *http_request_user(const struct http_request *request)
{
    return request->user;
}

int http_request_control_refusal(const struct http_request *request)
{
    return request->control_refusal;
}

int http_request_status(const struct http_request *request)
{
    return request->status;
}

uint64_t http_request_reply_bytes(const struct http_request *request)
{
    return request->reply_bytes;
}

bool http_request_stopping(const struct http_request *request)
{
    return atomic_load(&request->server->stopping);
}

/* ── The body ────────────────────────────────────────────────────────────────────────────── */

struct span http_request_body(const struct http_request *request)
{
    return http_request_streams_body(request) ? SPAN_NONE : buf_span(&request->body);
}

int http_request_json(struct http_request *request, json_t **ret_json)
{
    struct span body = span_trim(http_request_body(request));
    if (body.bytes == 0) {
        return HTTP_JSON_EMPTY;
    }
    json_error_t error;
    json_t *json = json_loadb((const char *)body.data, body.bytes, JSON_DECODE_ANY, &error);
    if (json == NULL) {
        return err_set(ERR_INVALID, "the body is not JSON: line %d, column %d: %s", error.line,
                       error.column,
                       json_error_code(&error) == json_error_null_character
                           ? "a text must not have the character \\u0000"
                           : error.text);
    }
    *ret_json = json;
    return 0;
}

static int compare_with_seal(struct http_request *request)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    char hex[CONTROL_HASH_TEXT_BYTES];
    (void)crypto_hash_sha256_final(&request->body_hash, hash);
    (void)sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
    request->body_checked = true;
    if (control_seal_body(&request->seal, hex, request->body_trailer) != 0) {
        atomic_fetch_add(&request->server->counters.control_refused, 1);
        return err_set(ERR_AUTH, "the body is not the one that Control-Auth covers");
    }
    return 0;
}

int http_request_check_body(struct http_request *request)
{
    if (!request->sealed) {
        return 0;
    }
    (void)crypto_hash_sha256_init(&request->body_hash);
    (void)crypto_hash_sha256_update(&request->body_hash, request->body.data, request->body.bytes);
    return compare_with_seal(request);
}

/* Waits for bytes, the end or a fault; takes bytes out of the queue. Locked. */
static int pull_locked(struct http_request *request, void *data, size_t bytes, size_t *ret_got)
{
    while (body_waiting(request) == 0 && !request->body_ended && !request->body_failed &&
           !request->body_too_large) {
        pthread_cond_wait(&request->changed, &request->lock);
    }
    size_t got = MIN(bytes, body_waiting(request));
    if (got > 0) {
        memcpy(data, request->body.data + request->body_head, got);
        request->body_head += got;
        request->body_read += got;
    } else if (request->body_too_large) {
        return err_set(ERR_TOO_LARGE, "the body has more than %zu bytes",
                       request->match.route->body_bytes_max);
    } else if (request->body_failed) {
        return err_set(ERR_UNAVAILABLE, "the body was cut off");
    }
    if (http_request_streams_body(request)) {
        if (request->body_head > request->body.bytes / 2) {
            buf_consume(&request->body, request->body_head);
            request->body_head = 0;
        }
        if (request->suspended && body_waiting(request) <= HTTP_BODY_QUEUE_BYTES / 2) {
            request->suspended = false;
            MHD_resume_connection(request->connection);
        }
    }
    *ret_got = got;
    return 0;
}

int http_request_read(struct http_request *request, void *data, size_t bytes, size_t *ret_got)
{
    size_t got = 0;
    pthread_mutex_lock(&request->lock);
    int rc = pull_locked(request, data, bytes, &got);
    pthread_mutex_unlock(&request->lock);
    if (rc < 0) {
        return rc;
    }
    if (request->sealed && http_request_streams_body(request) && !request->body_checked &&
        bytes > 0) {
        if (got == 0) {
            rc = compare_with_seal(request);
        } else {
            (void)crypto_hash_sha256_update(&request->body_hash, data, got);
        }
    }
    if (rc == 0) {
        *ret_got = got;
    }
    return rc;
}
