/*
 * The HTTP server: libmicrohttpd moves the bytes (a few epoll threads), handlers run blocking
 * code in a bounded pool of workers.
 *
 *     request read ──> control check ──> `before` hook ──> handler ──> reply ──> `after` hook
 *           └── no route, body too large, workers full: answered without the handler
 *
 * A handler replies exactly once with one of the http_reply functions; when it returns without a
 * reply the client gets a 500. A reply is sent at once, before the handler returns.
 *
 * Routes: "/api/dashboards/{id}/clone". A literal segment wins over {id}, {id} over {path*}, which
 * stands last and takes the rest of the path, even an empty one. Empty segments do not count, so a
 * trailing slash changes nothing; "." and ".." segments are refused with 400. A route for GET
 * serves HEAD too; the method "*" is any. A path that only has other methods gets 405.
 *
 * A connection survives every reply, errors included, as long as the rest of the request's body is
 * at most HTTP_DISCARD_BYTES_MAX. Refusals: 413 body above its bound, 431 headers above theirs,
 * 503 all workers busy and their queue full, too many connections, streams or websockets, or the
 * server is stopping. Their body is {"Error":"..."} (but for requests that cannot be read at all).
 *
 * Who may call: functions on a request belong to the thread of its handler; stream and websocket
 * functions to any thread. Strings got from a request live as long as the handler runs.
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/span.h"
#include "io/io.h"

struct http_request;
struct http_server;
struct http_stream;
struct http_multipart;
struct proxies;
struct websocket;

#define HTTP_DISCARD_BYTES_MAX (16u << 20) /* of a refused body; past it the connection is cut */
#define HTTP_ERROR_BYTES_MAX 255           /* body of http_reply_error */
#define HTTP_PARAMS_MAX 8                  /* {params} in one route */

typedef void (*http_handler)(struct http_request *request, void *context);

enum http_route_flags {
    HTTP_CONTROL = 1,     /* must carry a valid Control-Auth (control.h) */
    HTTP_BODY_STREAM = 2, /* the handler starts at once and pulls the body */
    HTTP_ROUTE_USER = 256 /* this bit and the higher ones mean what the room says */
};

struct http_route {
    const char *method, *path;
    http_handler handler;
    unsigned flags;
    size_t body_bytes_max; /* 0: the server's default; streamed bodies: 0 is no bound */
};

/* A table of routes and the context that their handlers get. Both outlive the server. */
struct http_routes {
    const struct http_route *routes;
    size_t count;
    void *context;
};

struct http_header {
    const char *name, *value;
};

/* Zero means the default. Strings and pointers are only read during http_server_start(), but for
 * `io` and the hooks' context. */
struct http_server_options {
    struct io *io;             /* default io_real() */
    const char *address;       /* "127.0.0.1", "::", a name; NULL or "": all addresses */
    uint16_t port;             /* 0: any free one, see http_server_port() */
    const char *tls_cert_path; /* PEM; both or none: then plain HTTP */
    const char *tls_key_path;
    const char *control_secret; /* needed when a route has HTTP_CONTROL; adds the hello route */

    size_t io_threads;          /* 2 */
    size_t worker_threads;      /* 16 */
    size_t queued_requests_max; /* 1024, waiting for a worker; more: 503 */
    size_t connections_max;     /* 4096; more: 503 and close */
    size_t streams_max;         /* 1024 */
    size_t websockets_max;      /* 512 */
    size_t body_bytes_max;      /* 4 MiB, for buffered bodies; more: 413 */
    size_t header_bytes_max;    /* 32 KiB; more: 431 */
    size_t stream_buffer_bytes; /* 256 KiB per stream, before http_stream_write blocks */
    size_t message_bytes_max;   /* 4 MiB, one websocket message; more: close 1009 */
    size_t arena_bytes_max;     /* 64 MiB, http_request_arena() */
    unsigned idle_timeout_s;    /* 120, connections without progress */
    unsigned header_timeout_ms; /* 30000: until a request's first line, and from it to the end of
                                   its headers; on a kept connection idle_timeout_s comes before */
    unsigned websocket_ping_ms; /* 30000; three of them without a byte from the client: gone */
    unsigned drain_timeout_ms;  /* 10000, http_server_stop() */

    /* Runs in the worker before the handler of every route that is found. True: it has replied. */
    bool (*before)(struct http_request *request, void *context);
    /* Runs once per answered request, when its handler has returned; for refusals that need no
     * worker on an I/O thread: must not block. See http_request_status(). */
    void (*after)(struct http_request *request, void *context);
    void *hook_context;

    const struct http_header *headers; /* added to every reply */
    size_t header_count;

    /* Proxies in front that are believed; NULL: none. Outlives the server. */
    const struct proxies *proxies;
    bool proxy_protocol; /* their connections begin with a PROXY header */
};

MUST_CHECK int http_server_start(const struct http_server_options *options,
                                 const struct http_routes *tables, size_t table_count,
                                 struct http_server **ret_server);

/*
 * Drains: no new connections; requests that have begun, or come on a connection that is open,
 * finish within drain_timeout_ms, and their connections are closed then; clients that keep idle
 * connections get a second to close them. Streams whose handler has returned and websockets are
 * told at once (their writes and reads say that the client is gone). Then everything still open is
 * cut. Returns when all handlers and websocket sessions have returned; a stream may be held longer
 * and ended later. Clears `*server`, which may be NULL.
 */
void http_server_stop(struct http_server **server);

uint16_t http_server_port(const struct http_server *server);

struct http_server_stats {
    uint64_t connections, connections_now, requests, requests_now;
    uint64_t streams_now, websockets_now, workers_busy, queued_now;
    uint64_t answers_1xx, answers_2xx, answers_3xx, answers_4xx, answers_5xx;
    uint64_t refused_413, refused_431, refused_503; /* bounds reached */
    uint64_t cut_headers;                           /* connections, by header_timeout_ms */
    uint64_t control_refused;
};
void http_server_stats(struct http_server *server, struct http_server_stats *ret_stats);

/* ── The request ─────────────────────────────────────────────────────────────────────────── */

const char *http_request_method(const struct http_request *request);
const char *http_request_path(const struct http_request *request);   /* decoded */
const char *http_request_target(const struct http_request *request); /* path and query as sent */

/* The client's address ("127.0.0.1", "::1") and whether it came by HTTPS, as far as the proxies
 * in front are to be believed. */
const char *http_request_peer(const struct http_request *request);
bool http_request_is_https(const struct http_request *request);

/* NULL when absent; a header with an empty value counts as absent. Names ignore case. */
const char *http_request_header(const struct http_request *request, const char *name);
const char *http_request_query(const struct http_request *request, const char *name); /* first */
const char *http_request_cookie(const struct http_request *request, const char *name);

/* The value of {name}; never NULL for a name of the route. */
const char *http_request_param(const struct http_request *request, const char *name);

/* Walks over all query parameters in order: start with *cursor = 0, stop on false. */
bool http_request_query_next(const struct http_request *request, size_t *cursor,
                             const char **ret_name, const char **ret_value);

/* The route found. In `after`: NULL when there was none (404, 405). */
const struct http_route *http_request_route(const struct http_request *request);

struct arena *http_request_arena(struct http_request *request);
struct io *http_request_io(const struct http_request *request);
int64_t http_request_started_ns(const struct http_request *request); /* monotonic */

/* Whatever the `before` hook wants the handler to know (the user). */
void http_request_set_user(struct http_request *request, void *user);
void *http_request_user(const struct http_request *request);

/* For `after`: the status sent, 0 when the client left before; bytes of a buffered reply. */
int http_request_status(const struct http_request *request);
int http_request_control_refusal(const struct http_request *request); /* net/control.h; 0: none */
uint64_t http_request_reply_bytes(const struct http_request *request);

/* Whole body; empty with HTTP_BODY_STREAM. */
struct span http_request_body(const struct http_request *request);

enum http_json_outcome { HTTP_JSON_EMPTY = 1 /* no body, or only white space */ };

/* The body as JSON (any value); the caller owns *ret_json. ERR_INVALID says where it is wrong. */
MUST_CHECK int http_request_json(struct http_request *request, json_t **ret_json);

/* Pulls the body, blocking: *ret_got is 0 only at its end. Works for buffered bodies too.
 * ERR_TOO_LARGE: above the route's bound; ERR_UNAVAILABLE: the client left or the server stops;
 * ERR_AUTH: at the end, when the body is not the one that Control-Auth covers. */
MUST_CHECK int http_request_read(struct http_request *request, void *data, size_t bytes,
                                 size_t *ret_got);

/* ── multipart/form-data, streamed ───────────────────────────────────────────────────────── */

struct http_part {
    const char *name;
    const char *filename;     /* NULL for plain fields */
    const char *content_type; /* NULL when not given */
};

enum http_multipart_outcome { HTTP_MULTIPART_END = 1 };

/* Lives as long as the request. ERR_INVALID: the request is not multipart/form-data. */
MUST_CHECK int http_multipart_open(struct http_request *request, struct http_multipart **ret);

/* The next part; what is unread of the present one is skipped. *ret_part lives as long as the
 * request. */
MUST_CHECK int http_multipart_next(struct http_multipart *multipart, struct http_part *ret_part);

/* Pulls the present part: *ret_got is 0 only at its end. */
MUST_CHECK int http_multipart_read(struct http_multipart *multipart, void *data, size_t bytes,
                                   size_t *ret_got);

/* The whole rest of the present part as text; ERR_TOO_LARGE above `bytes_max`. */
MUST_CHECK int http_multipart_text(struct http_multipart *multipart, size_t bytes_max,
                                   const char **ret_text);

/* ── Replies ─────────────────────────────────────────────────────────────────────────────── */

/* Adds a header to the reply that follows. Copies. */
void http_reply_header(struct http_request *request, const char *name, const char *value);

void http_reply(struct http_request *request, int status, const char *content_type,
                struct span body); /* copies */
void http_reply_buf(struct http_request *request, int status, const char *content_type,
                    struct buf *body); /* takes the contents */
/* NULL, which jansson makes of text that is not UTF-8: 500. */
void http_reply_json(struct http_request *request, int status, json_t *takes);
void http_reply_error(struct http_request *request, int status, const char *format, ...)
    PRINTF_LIKE(3, 4); /* {"Error":"..."} */

/* The status that suits a fault (404 for ERR_NOT_FOUND, 503 for ERR_UNAVAILABLE ...) and its
 * text. */
void http_reply_fault(struct http_request *request, int rc);

/* A file, sent by the I/O thread. 404 when it is not there. */
void http_reply_file(struct http_request *request, int status, const char *content_type,
                     const char *path);
/* `bytes` bytes from `offset` on; takes the fd. */
void http_reply_fd(struct http_request *request, int status, const char *content_type, int fd,
                   uint64_t offset, uint64_t bytes);

/* True once http_server_stop() was called: long work should come to its end. */
bool http_request_stopping(const struct http_request *request);

/* ── Streaming replies ───────────────────────────────────────────────────────────────────── */

enum http_stream_outcome {
    HTTP_STREAM_GONE = 1, /* the client left or the server stops: end the stream */
    HTTP_STREAM_FULL = 2, /* try_write: nothing was taken */
};

enum http_reply_outcome { HTTP_REPLY_REFUSED = 1 /* a refusal was sent, nothing was taken */ };

/*
 * Status and headers go out at once, the body follows in pieces. The stream may outlive the handler
 * (it needs no worker) and must be ended. A client that closes its side is noticed although
 * nothing is written. HTTP_REPLY_REFUSED: streams_max reached, 503 was sent.
 */
MUST_CHECK int http_reply_stream(struct http_request *request, int status, const char *content_type,
                                 struct http_stream **ret_stream);

/* Copies. Waits while the buffer is full; a client that takes nothing for idle_timeout_s is cut. */
MUST_CHECK int http_stream_write(struct http_stream *stream, struct span data);
MUST_CHECK int http_stream_try_write(struct http_stream *stream, struct span data);
bool http_stream_is_gone(struct http_stream *stream);

/* `notify` runs on an I/O thread when there is room again after HTTP_STREAM_FULL, and once when
 * the client has left. It must not block nor call stream functions (set a flag, wake a thread).
 * After http_stream_end() it is not called any more. */
void http_stream_on_change(struct http_stream *stream, void (*notify)(void *context),
                           void *context);

/* The client sees a complete body. Clears `*stream`, which may be NULL. */
void http_stream_end(struct http_stream **stream);
/* The client sees a body that is cut short: for a producer that failed half-way. */
void http_stream_abort(struct http_stream **stream);

/* ── Websockets (websocket.h) ────────────────────────────────────────────────────────────── */

/*
 * 101, then `session` runs in a thread of its own, exactly once even when the client leaves at
 * once; the socket is closed when it returns. `subprotocol` is echoed (NULL or "": none).
 * HTTP_REPLY_REFUSED: not an upgrade (400, 426) or websockets_max reached (503); `session` will not
 * run.
 */
MUST_CHECK int http_reply_websocket(struct http_request *request, const char *subprotocol,
                                    void (*session)(struct websocket *websocket, void *context),
                                    void *context);

#endif
