/*
 * What the files of the HTTP server share. Not for others.
 *
 * A request has two holders, the connection (I/O thread, until libmicrohttpd says "completed") and
 * the worker; its lock guards what both touch. Lock order: server, request, stream: a
 * stream's lock may be taken under its request's. libmicrohttpd's own locks come last; the one
 * callback that it makes while it holds a lock is "completed" after an upgrade, which therefore
 * takes none of ours.
 */
#ifndef NET_HTTP_INTERNAL_H
#define NET_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "base/channel.h"
#include "base/mem.h"
#include "base/vec.h"
#include "net/control.h"
#include "net/http_route.h"
#include "net/http_server.h"
#include "net/proxies.h"

#define HTTP_BODY_QUEUE_BYTES                                                                      \
    ((size_t)256 * 1024) /* of a streamed body, before it is held back                             \
                          */
#define HTTP_HEADERS_MAX 128

struct http_server_counters {
    _Atomic uint64_t connections, connections_now, requests, requests_now;
    _Atomic uint64_t workers_busy, answers[6], refused_413, refused_431, refused_503;
    _Atomic uint64_t cut_headers;
    _Atomic uint64_t control_refused;
};

struct http_connection;
struct http_front;
struct http_watcher;

struct http_server {
    struct http_server_options options; /* strings are not kept */
    struct http_header *headers;        /* owned copies */
    struct http_router *router;
    struct control *control; /* NULL without a secret */
    struct MHD_Daemon *daemon;
    struct http_front *front; /* NULL: libmicrohttpd listens itself */
    bool tls;
    uint16_t port;
    int listen_fd;

    struct channel *queue; /* requests for workers */
    pthread_t *workers;
    size_t worker_count;
    struct http_watcher *watcher;

    struct http_server_counters counters;
    atomic_bool stopping; /* no new connections */
    atomic_bool cutting;  /* no new requests either */

    pthread_mutex_t connections_lock;
    VEC(struct http_connection *) connections;

    pthread_mutex_t lock;
    pthread_cond_t changed;              /* requests, streams or websockets became fewer */
    VEC(struct http_request *) requests; /* begun and not completed */
    VEC(struct http_stream *) streams;   /* whose connection is open */
    VEC(struct websocket *) websockets;  /* whose session runs */
    uint64_t stream_ids;
    size_t stream_count, websocket_count; /* places taken, see http_server_take_place */
};

struct http_request {
    struct http_server *server;
    struct arena *arena;
    const char *target_text, *method, *peer;
    struct http_target target;
    struct http_match match;
    struct http_pair headers[HTTP_HEADERS_MAX];
    size_t header_count;
    bool https;
    int64_t started_ns;

    /* I/O thread only */
    bool begun, dispatched, refused, completed;
    uint64_t discarded_bytes;

    /* handler thread only */
    void *user;
    struct http_multipart *multipart;
    VEC(struct http_header) reply_headers; /* owned strings */
    uint64_t reply_bytes;
    uint64_t body_read; /* of the whole body */
    bool body_checked;
    crypto_hash_sha256_state body_hash;

    /* Control-Auth: set before the worker has it */
    bool sealed;
    struct control_seal seal;
    int control_refusal; /* 0: none */

    atomic_uint holders;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct MHD_Connection *connection; /* NULL once completed */
    bool suspended;
    bool handler_returned, upgraded;
    struct buf body; /* buffered: all of it; streamed: what was not pulled, from head on */
    size_t body_head;
    bool body_ended, body_failed, body_too_large;
    char body_trailer[CONTROL_HASH_TEXT_BYTES];
    bool replied;
    int status;
    struct MHD_Response *response; /* until it is queued */
    struct http_stream *stream;    /* a reply that goes on; held */
    struct websocket *websocket;   /* until its session has been started */
};

static inline bool http_request_streams_body(const struct http_request *request)
{
    return request->match.route != NULL && (request->match.route->flags & HTTP_BODY_STREAM) != 0;
}

/* http_request.c */
struct http_request *http_request_new(struct http_server *server, const char *target);
void http_request_unhold(struct http_request *request);
/* Takes the headers out of the connection. False: too many or too large. */
bool http_request_take_headers(struct http_request *request, struct MHD_Connection *connection);
/* I/O thread: hands body bytes over; returns how many were taken, suspends when full. */
size_t http_request_give_body(struct http_request *request, struct span data);
void http_request_end_body(struct http_request *request, const char *trailer);
/* No more body will come and no reply will be seen: wakes the handler. */
void http_request_fail(struct http_request *request);
/* Worker: the buffered body is what Control-Auth covers. 0 or ERR_AUTH. */
MUST_CHECK int http_request_check_body(struct http_request *request);
bool http_name_equal(const char *a, const char *b); /* ignoring case */

/* http_reply.c */
/* Makes `response` (taken) the reply and wakes the connection. body_hash: for Control-Auth, "-"
 * when the body is not covered. */
void http_reply_send(struct http_request *request, int status, struct MHD_Response *response,
                     const char *body_hash);

/* http_stream.c */
void http_stream_attach(struct http_stream *stream, struct MHD_Connection *connection);
void http_stream_completed(struct http_stream *stream); /* the connection is done with it */
void http_stream_fail(struct http_stream *stream);      /* tells the producer, cuts the client */
void http_stream_unhold(struct http_stream *stream);
struct http_watcher *http_watcher_new(struct http_server *server);
void http_watcher_free(struct http_watcher **watcher);
void http_watcher_add(struct http_watcher *watcher, int fd, uint64_t id);
void http_watcher_remove(struct http_watcher *watcher, int fd);

/* http_deadline.c; on I/O threads but for sweep(), which the watcher calls */
#define HTTP_SWEEP_MS_MAX 1000
void *http_deadline_open(struct http_server *server, struct MHD_Connection *connection);
void http_deadline_close(struct http_server *server, void *state); /* what open() gave; or NULL */
void http_deadline_begin(struct http_server *server, struct MHD_Connection *connection);
void http_deadline_met(struct MHD_Connection *connection);
void http_deadline_next(struct http_server *server, struct MHD_Connection *connection);
void http_deadline_sweep(struct http_server *server);

#define HTTP_PEER_BYTES 64
void http_peer_text(const struct sockaddr *address, char text[HTTP_PEER_BYTES]); /* NULL: "" */

/* http_front.c; without a certificate: no TLS */
MUST_CHECK int http_front_new(struct http_server *server, struct span cert, struct span key,
                              struct http_front **ret_front);
void http_front_start(struct http_front *front, int listener); /* takes it; the daemon runs */
void http_front_quiesce(struct http_front *front);             /* new connections are hung up on */
void http_front_free(struct http_front **front); /* the daemon is gone; clients get their last */

/* websocket.c */
void websocket_run(struct websocket *websocket, int fd, struct span read_ahead,
                   struct MHD_UpgradeResponseHandle *upgrade);
void websocket_stop(struct websocket *websocket); /* the server stops; its lock is held */

/* http_io.c: what libmicrohttpd calls, and what workers run */
void *http_io_work(void *server);
void *http_io_target(void *server, const char *target, struct MHD_Connection *connection);
enum MHD_Result http_io_request(void *server, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_bytes, void **connection_state);
void http_io_completed(void *server, struct MHD_Connection *connection, void **connection_state,
                       enum MHD_RequestTerminationCode code);
void http_io_connection(void *server, struct MHD_Connection *connection, void **socket_state,
                        enum MHD_ConnectionNotificationCode code);
void http_io_message(void *server, const char *format, va_list args) PRINTF_LIKE(2, 0);
/* The connection has no more to do with the request, but for the last hold. */
void http_io_complete(struct http_request *request);
extern const struct http_route http_hello_route;

/* http_server.c */
/* One of at most `places_max`; false: all are taken. */
bool http_server_take_place(struct http_server *server, size_t *count, size_t places_max);
void http_server_give_place(struct http_server *server, size_t *count);

#endif
