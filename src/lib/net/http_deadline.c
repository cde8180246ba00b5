/*
 * A deadline for the headers of a request. libmicrohttpd knows idle connections only, and a client
 * that sends a byte now and then is never idle: with some thousand connections it would hold all
 * places for ever.
 *
 *     opened ──first line──> headers ──whole──> none ──the request ended──> the next one, idle
 *        └── so long after each of these without the next ──> the connection is cut
 *
 * Deadlines are set by I/O threads without a lock; the watcher's thread sweeps. Cutting is a
 * shutdown: libmicrohttpd sees the end of the stream and closes, and as it says so before it closes
 * the descriptor, the descriptor is never another's.
 */
#include <sys/socket.h>

#include "base/time.h"
#include "net/http_internal.h"

#define NEVER INT64_MAX

struct http_connection {
    int fd;
    size_t index; /* in the server's */
    _Atomic int64_t deadline_ns;
};

static int64_t now_ns(struct http_server *server)
{
    return io_monotonic_ns(server->options.io);
}

static int64_t header_ns(const struct http_server *server)
{
    return (int64_t)server->options.header_timeout_ms * TIME_MS_NS;
}

static struct http_connection *connection_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

void *http_deadline_open(struct http_server *server, struct MHD_Connection *connection)
{
    struct http_connection *made = MEM_NEW(struct http_connection);
    made->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    atomic_store(&made->deadline_ns, now_ns(server) + header_ns(server));
    pthread_mutex_lock(&server->connections_lock);
    made->index = server->connections.count;
    vec_push(&server->connections, made);
    pthread_mutex_unlock(&server->connections_lock);
    return made;
}

void http_deadline_close(struct http_server *server, void *state)
{
    struct http_connection *gone = state;
    if (gone == NULL) {
        return;
    }
    pthread_mutex_lock(&server->connections_lock);
    server->connections.items[server->connections.count - 1]->index = gone->index;
    vec_remove_swap(&server->connections, gone->index);
    pthread_mutex_unlock(&server->connections_lock);
    mem_free(gone);
}

void http_deadline_begin(struct http_server *server, struct MHD_Connection *connection)
{
    struct http_connection *its = connection_of(connection);
    if (its != NULL) {
        atomic_store(&its->deadline_ns, now_ns(server) + header_ns(server));
    }
}

void http_deadline_met(struct MHD_Connection *connection)
{
    struct http_connection *its = connection_of(connection);
    if (its != NULL) {
        atomic_store(&its->deadline_ns, NEVER);
    }
}

void http_deadline_next(struct http_server *server, struct MHD_Connection *connection)
{
    struct http_connection *its = connection_of(connection);
    int64_t idle_ns = (int64_t)server->options.idle_timeout_s * TIME_S_NS;
    if (its != NULL) {
        atomic_store(&its->deadline_ns, now_ns(server) + idle_ns + header_ns(server));
    }
}

void http_deadline_sweep(struct http_server *server)
{
    int64_t now = now_ns(server);
    pthread_mutex_lock(&server->connections_lock);
    for (size_t i = 0; i < server->connections.count; i++) {
        struct http_connection *connection = server->connections.items[i];
        if (atomic_load(&connection->deadline_ns) <= now) {
            atomic_store(&connection->deadline_ns, NEVER);
            atomic_fetch_add(&server->counters.cut_headers, 1);
            (void)shutdown(connection->fd, SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&server->connections_lock);
}
