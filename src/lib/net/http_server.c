#include "net/http_internal.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTION_MEMORY_BYTES ((size_t)64 * 1024) /* request line, headers, I/O buffers */
#define TLS_FILE_BYTES_MAX ((size_t)1 << 20)
#define KEPT_MS 1000 /* after the drain, for who keeps connections to find that they are closed */
#define KEPT_LOOK_MS 20
#define ABORT_TIMEOUT_MS 2000 /* after the drain, for replies to be cut and connections closed */

/* ── Places: streams and websockets ──────────────────────────────────────────────────────── */

bool http_server_take_place(struct http_server *server, size_t *count, size_t places_max)
{
    pthread_mutex_lock(&server->lock);
    bool there = *count < places_max;
    *count += there ? 1 : 0;
    pthread_mutex_unlock(&server->lock);
    return there;
}

void http_server_give_place(struct http_server *server, size_t *count)
{
    pthread_mutex_lock(&server->lock);
    CHECK(*count > 0);
    (*count)--;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

/* ── Start ───────────────────────────────────────────────────────────────────────────────── */

static void set_defaults(struct http_server_options *options)
{
#define DEFAULT(field, value) options->field = options->field != 0 ? options->field : (value)
    DEFAULT(io, io_real());
    DEFAULT(io_threads, 2);
    DEFAULT(worker_threads, 16);
    DEFAULT(queued_requests_max, 1024);
    DEFAULT(connections_max, 4096);
    DEFAULT(streams_max, 1024);
    DEFAULT(websockets_max, 512);
    DEFAULT(body_bytes_max, (size_t)4 << 20);
    DEFAULT(header_bytes_max, (size_t)32 << 10);
    DEFAULT(stream_buffer_bytes, (size_t)256 << 10);
    DEFAULT(message_bytes_max, (size_t)4 << 20);
    DEFAULT(arena_bytes_max, (size_t)64 << 20);
    DEFAULT(idle_timeout_s, 120);
    DEFAULT(header_timeout_ms, 30000);
    DEFAULT(websocket_ping_ms, 30000);
    DEFAULT(drain_timeout_ms, 10000);
#undef DEFAULT
}

static int try_listen(const struct addrinfo *info, int *ret_fd)
{
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return errno;
    }
    int on = 1;
    int off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (info->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, 1024) < 0) {
        int reason = errno;
        (void)close(fd);
        return reason;
    }
    *ret_fd = fd;
    return 0;
}

static int open_listener(struct http_server *server)
{
    const char *address = server->options.address;
    bool any = address == NULL || address[0] == 0;
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", (unsigned)server->options.port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    /* "::" takes IPv4 too; a machine without IPv6 falls back to 0.0.0.0. */
    int found = getaddrinfo(any ? "::" : address, port, &hints, &list);
    if (found != 0) {
        return err_set(ERR_INVALID, "listen on %s: %s", address, gai_strerror(found));
    }
    int reason = EADDRNOTAVAIL;
    for (const struct addrinfo *info = list; info != NULL; info = info->ai_next) {
        reason = try_listen(info, &server->listen_fd);
        if (reason == 0) {
            break;
        }
    }
    freeaddrinfo(list);
    if (reason == EAFNOSUPPORT && any) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(server->options.port)};
        struct addrinfo info = {.ai_family = AF_INET,
                                .ai_socktype = SOCK_STREAM,
                                .ai_addr = (void *)&v4,
                                .ai_addrlen = sizeof(v4)};
        reason = try_listen(&info, &server->listen_fd);
    }
    if (reason != 0) {
        return err_set_errno(reason, "listen on %s port %s", any ? "all addresses" : address, port);
    }
    struct sockaddr_storage bound;
    socklen_t bound_bytes = sizeof(bound);
    CHECK(getsockname(server->listen_fd, (void *)&bound, &bound_bytes) == 0);
    server->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                     : ((struct sockaddr_in *)&bound)->sin_port);
    return 0;
}

/* The front, where there is TLS or the PROXY protocol. */
static int make_front(struct http_server *server)
{
    const char *cert_path = server->options.tls_cert_path;
    const char *key_path = server->options.tls_key_path;
    struct io *io = server->options.io;
    if ((cert_path == NULL) != (key_path == NULL)) {
        return err_set(ERR_INVALID, "TLS needs a certificate and a key");
    }
    server->tls = cert_path != NULL;
    server->options.proxy_protocol &= server->options.proxies != NULL;
    if (!server->tls && !server->options.proxy_protocol) {
        return 0;
    }
    struct buf cert = {0};
    struct buf key = {0};
    int rc = 0;
    if (server->tls) {
        rc = io_read_file(io, cert_path, TLS_FILE_BYTES_MAX, &cert);
        rc = rc < 0 ? rc : io_read_file(io, key_path, TLS_FILE_BYTES_MAX, &key);
        if (rc == 0 && cert.bytes == 0) {
            rc = err_set(ERR_INVALID, "%s is empty", cert_path);
        }
    }
    rc = rc < 0 ? rc : http_front_new(server, buf_span(&cert), buf_span(&key), &server->front);
    if (key.bytes > 0) {
        sodium_memzero(key.data, key.bytes);
    }
    buf_deinit(&cert);
    buf_deinit(&key);
    return rc;
}

static int make_router(struct http_server *server, const struct http_routes *tables, size_t count)
{
    bool control = server->options.control_secret != NULL && server->options.control_secret[0] != 0;
    VEC(struct http_routes) all = {0};
    int rc = 0;
    for (size_t t = 0; t < count; t++) {
        vec_push(&all, tables[t]);
        for (size_t i = 0; i < tables[t].count; i++) {
            if ((tables[t].routes[i].flags & HTTP_CONTROL) != 0 && !control) {
                rc = err_set(ERR_INVALID, "%s needs a control secret (Control-Auth)",
                             tables[t].routes[i].path);
            }
        }
    }
    if (control) {
        server->control = control_new(server->options.io, server->options.control_secret);
        vec_push(&all, (struct http_routes){&http_hello_route, 1, NULL});
    }
    rc = rc < 0 ? rc : http_router_new(all.items, all.count, &server->router);
    vec_deinit(&all);
    return rc;
}

static int start_daemon(struct http_server *server)
{
    const struct http_server_options *options = &server->options;
    bool front = server->front != NULL;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE |
                     MHD_USE_ERROR_LOG | (front ? MHD_USE_NO_LISTEN_SOCKET : 0u);
    struct MHD_OptionItem items[] = {
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)(options->connections_max + 256), NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)options->idle_timeout_s, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT,
         (intptr_t)MAX(CONNECTION_MEMORY_BYTES, 2 * options->header_bytes_max), NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)http_io_completed, server},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)http_io_connection, server},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)http_io_target, server},
        {MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)(options->io_threads > 1 ? options->io_threads : 0),
         NULL},
        {front ? MHD_OPTION_END : MHD_OPTION_LISTEN_SOCKET, server->listen_fd, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    server->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, http_io_request, server, MHD_OPTION_EXTERNAL_LOGGER,
                         http_io_message, NULL, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
    if (server->daemon == NULL) {
        return err_set(ERR_IO, "the HTTP server does not start");
    }
    if (front) {
        http_front_start(server->front, server->listen_fd);
    }
    server->listen_fd = -1; /* theirs now */
    return 0;
}

static void start_workers(struct http_server *server)
{
    server->queue = channel_new(server->options.queued_requests_max);
    server->watcher = http_watcher_new(server);
    server->workers = mem_alloc_array(server->options.worker_threads, sizeof(pthread_t));
    for (; server->worker_count < server->options.worker_threads; server->worker_count++) {
        CHECK(pthread_create(&server->workers[server->worker_count], NULL, http_io_work, server) ==
              0);
    }
}

static void copy_headers(struct http_server *server)
{
    size_t count = server->options.header_count;
    server->headers = mem_alloc_array(count, sizeof(*server->headers));
    for (size_t i = 0; i < count; i++) {
        server->headers[i] = (struct http_header){mem_strdup(server->options.headers[i].name),
                                                  mem_strdup(server->options.headers[i].value)};
    }
}

static void free_server(struct http_server *server)
{
    if (server->queue != NULL) {
        channel_close(server->queue);
        for (size_t i = 0; i < server->worker_count; i++) {
            (void)pthread_join(server->workers[i], NULL);
        }
    }
    if (server->daemon != NULL) {
        MHD_stop_daemon(server->daemon);
    }
    http_front_free(&server->front);
    http_watcher_free(&server->watcher);
    channel_free(&server->queue);
    if (server->listen_fd >= 0) {
        (void)close(server->listen_fd);
    }
    for (size_t i = 0; i < server->options.header_count; i++) {
        mem_free((char *)server->headers[i].name);
        mem_free((char *)server->headers[i].value);
    }
    mem_free(server->headers);
    mem_free(server->workers);
    vec_deinit(&server->connections);
    vec_deinit(&server->requests);
    vec_deinit(&server->streams);
    vec_deinit(&server->websockets);
    control_free(&server->control);
    http_router_free(&server->router);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    pthread_mutex_destroy(&server->connections_lock);
    mem_free(server);
}

int http_server_start(const struct http_server_options *options, const struct http_routes *tables,
                      size_t table_count, struct http_server **ret_server)
{
    CHECK(sodium_init() >= 0);
    struct http_server *server = MEM_NEW(struct http_server);
    server->options = *options;
    server->listen_fd = -1;
    set_defaults(&server->options);
    copy_headers(server);
    pthread_mutex_init(&server->lock, NULL);
    pthread_mutex_init(&server->connections_lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);

    int rc = make_router(server, tables, table_count);
    rc = rc < 0 ? rc : make_front(server);
    rc = rc < 0 ? rc : open_listener(server);
    if (rc == 0) {
        start_workers(server);
        rc = start_daemon(server);
    }
    if (rc < 0) {
        free_server(server);
        return rc;
    }
    *ret_server = server;
    return 0;
}

/* ── Stop ────────────────────────────────────────────────────────────────────────────────── */

/* Locked: a request that only waits for its client or its stream's producer. */
static bool is_detached(struct http_request *request)
{
    pthread_mutex_lock(&request->lock);
    bool detached = request->handler_returned && (request->stream != NULL || request->upgraded);
    pthread_mutex_unlock(&request->lock);
    return detached;
}

static size_t count_attached(struct http_server *server)
{
    size_t count = 0;
    for (size_t i = 0; i < server->requests.count; i++) {
        count += !is_detached(server->requests.items[i]);
    }
    return count;
}

static void fail_requests(struct http_server *server, bool all)
{
    for (size_t i = 0; i < server->requests.count; i++) {
        struct http_request *request = server->requests.items[i];
        if (all) {
            http_request_fail(request);
        }
        if (all || is_detached(request)) {
            pthread_mutex_lock(&request->lock);
            if (request->stream != NULL) {
                http_stream_fail(request->stream);
            }
            pthread_mutex_unlock(&request->lock);
        }
    }
}

/* Locked. Waits until `left(server)` is 0 or the time is over. */
static void wait_until_none(struct http_server *server, size_t (*left)(struct http_server *server),
                            unsigned timeout_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (left(server) > 0) {
        if (pthread_cond_timedwait(&server->changed, &server->lock, &until) == ETIMEDOUT) {
            return;
        }
    }
}

static size_t count_connections(struct http_server *server)
{
    return (size_t)atomic_load(&server->counters.connections_now);
}

/* Locked. A load balancer that keeps connections may have sent a request on one before it can
 * know; it is served, and gets the message with the answer or with its next check. */
static void wait_for_kept_connections(struct http_server *server)
{
    for (unsigned waited = 0; waited < KEPT_MS; waited += KEPT_LOOK_MS) {
        if (count_connections(server) == 0) {
            return;
        }
        wait_until_none(server, count_connections, KEPT_LOOK_MS);
    }
}

static size_t count_websockets(struct http_server *server)
{
    return server->websocket_count;
}

static size_t count_requests(struct http_server *server)
{
    return server->requests.count;
}

void http_server_stop(struct http_server **ret_server)
{
    struct http_server *server = *ret_server;
    if (server == NULL) {
        return;
    }
    *ret_server = NULL;
    int fd = MHD_quiesce_daemon(server->daemon);
    if (server->front != NULL) {
        http_front_quiesce(server->front);
    } else if (fd >= 0) {
        (void)close(fd);
    }
    pthread_mutex_lock(&server->lock);
    atomic_store(&server->stopping, true);
    for (size_t i = 0; i < server->websockets.count; i++) {
        websocket_stop(server->websockets.items[i]);
    }
    fail_requests(server, false);
    wait_until_none(server, count_attached, server->options.drain_timeout_ms);
    wait_for_kept_connections(server);
    wait_until_none(server, count_attached, server->options.drain_timeout_ms);
    atomic_store(&server->cutting, true);
    fail_requests(server, true);
    wait_until_none(server, count_websockets, UINT32_MAX);
    wait_until_none(server, count_requests, ABORT_TIMEOUT_MS);
    pthread_mutex_unlock(&server->lock);
    free_server(server);
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

void http_server_stats(struct http_server *server, struct http_server_stats *ret_stats)
{
    struct http_server_counters *counters = &server->counters;
    pthread_mutex_lock(&server->lock);
    *ret_stats = (struct http_server_stats){
        .connections = atomic_load(&counters->connections),
        .connections_now = atomic_load(&counters->connections_now),
        .requests = atomic_load(&counters->requests),
        .requests_now = server->requests.count,
        .streams_now = server->stream_count,
        .websockets_now = server->websocket_count,
        .workers_busy = atomic_load(&counters->workers_busy),
        .queued_now = channel_count(server->queue),
        .answers_1xx = atomic_load(&counters->answers[1]),
        .answers_2xx = atomic_load(&counters->answers[2]),
        .answers_3xx = atomic_load(&counters->answers[3]),
        .answers_4xx = atomic_load(&counters->answers[4]),
        .answers_5xx = atomic_load(&counters->answers[5]),
        .refused_413 = atomic_load(&counters->refused_413),
        .refused_431 = atomic_load(&counters->refused_431),
        .refused_503 = atomic_load(&counters->refused_503),
        .cut_headers = atomic_load(&counters->cut_headers),
        .control_refused = atomic_load(&counters->control_refused),
    };
    pthread_mutex_unlock(&server->lock);
}
