#include "indexer/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/vec.h"
#include "service/log.h"
#include "service/metrics.h"

#define BACKLOG 128
#define DOORS_MAX 10 /* addresses of two ports, and a path */
#define THREAD_STACK_BYTES (1u << 20)

struct door {
    int fd;
    const char *type;
    bool tls;
};

struct listener {
    struct io *io;
    const struct listener_kind *kind;
    const void *shared;
    struct ingest_tls *tls;
    char *pipe_path;
    struct door doors[DOORS_MAX];
    size_t door_count;
    uint16_t port, tls_port;
    int wake_fd;
    pthread_t thread;
    struct metric *refused;
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t changed;
    VEC(void *) connections;
};

/* A connection's thread needs both. */
struct seat {
    struct listener *listener;
    void *connection;
};

/* ---- doors ---- */

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t bytes = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &bytes) != 0) {
        return 0;
    }
    return address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port)
                                         : ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static int open_socket(const struct addrinfo *address, bool dual, int *ret_fd)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_set_errno(errno, "socket");
    }
    int on = 1;
    int v6_only = dual ? 0 : 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->ai_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only));
    }
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int failed = errno;
        close(fd);
        return err_set_errno(failed, "listen");
    }
    *ret_fd = fd;
    return 0;
}

/* One socket: dual-stack for "all", else the first address of the name that can be had. */
static int open_tcp(struct listener *listener, const char *address, uint16_t port, bool tls)
{
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    bool all = address[0] == '\0';
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    int failed = getaddrinfo(all ? "::" : address, service, &hints, &found);
    if (failed != 0) {
        return err_set(ERR_INVALID, "listen address \"%s\": %s", address, gai_strerror(failed));
    }
    int fd = -1;
    int rc = err_set(ERR_IO, "no address");
    for (struct addrinfo *a = found; a != NULL && rc < 0; a = a->ai_next) {
        rc = open_socket(a, all, &fd);
    }
    freeaddrinfo(found);
    if (rc < 0 && all) { /* a machine without IPv6 */
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
        struct addrinfo v4 = {
            .ai_family = AF_INET, .ai_addr = (struct sockaddr *)&any, .ai_addrlen = sizeof(any)};
        rc = open_socket(&v4, false, &fd);
    }
    if (rc < 0) {
        return err_wrap(rc, "%s port %s:%u", listener->kind->name, all ? "*" : address, port);
    }
    listener->doors[listener->door_count++] = (struct door){fd, tls ? "tls" : "tcp", tls};
    *(tls ? &listener->tls_port : &listener->port) = port_of(fd);
    return 0;
}

/* A socket file that nobody listens on is left over from a crash. */
static int clear_stale(const struct sockaddr_un *address)
{
    struct stat stat;
    if (lstat(address->sun_path, &stat) != 0) {
        return 0;
    }
    if (!S_ISSOCK(stat.st_mode)) {
        return err_set(ERR_EXISTS, "%s is there and is no socket", address->sun_path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = 0;
    if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0) {
        rc = err_set(ERR_EXISTS, "%s: another process listens there", address->sun_path);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (rc == 0 && unlink(address->sun_path) != 0) {
        rc = err_set_errno(errno, "remove %s", address->sun_path);
    }
    return rc;
}

static int open_pipe(struct listener *listener, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        return err_set(ERR_INVALID, "Pipe-Ingest-Path has more than %zu bytes",
                       sizeof(address.sun_path) - 1);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    char *dir = mem_strdup(path);
    char *slash = strrchr(dir, '/');
    int rc = 0;
    if (slash != NULL && slash != dir) {
        *slash = '\0';
        rc = io_make_dirs(listener->io, dir);
    }
    mem_free(dir);
    rc = rc < 0 ? rc : clear_stale(&address);
    if (rc < 0) {
        return rc;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_set_errno(errno, "socket");
    }
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || chmod(path, 0660) != 0 ||
        listen(fd, BACKLOG) != 0) {
        rc = err_set_errno(errno, "listen on %s", path);
        close(fd);
        return rc;
    }
    listener->pipe_path = mem_strdup(path);
    listener->doors[listener->door_count++] = (struct door){fd, "pipe", false};
    return 0;
}

static int open_doors(struct listener *listener, const struct listener_options *options)
{
    int rc =
        options->without_plain ? 0 : open_tcp(listener, options->address, options->port, false);
    if (rc == 0 && options->with_tls) {
        rc = ingest_tls_open(options->certificate_path, options->key_path, &listener->tls);
        rc = rc < 0 ? rc : open_tcp(listener, options->address, options->tls_port, true);
    }
    if (rc == 0 && options->pipe_path != NULL && options->pipe_path[0] != '\0') {
        rc = open_pipe(listener, options->pipe_path);
    }
    return rc;
}

/* ---- connections ---- */

static void *run_connection(void *context)
{
    struct seat *seat = context;
    struct listener *listener = seat->listener;
    listener->kind->run(seat->connection);
    pthread_mutex_lock(&listener->lock);
    for (size_t i = 0; i < listener->connections.count; i++) {
        if (listener->connections.items[i] == seat->connection) {
            vec_remove_swap(&listener->connections, i);
            break;
        }
    }
    listener->kind->free(seat->connection);
    mem_free(seat);
    pthread_cond_broadcast(&listener->changed);
    pthread_mutex_unlock(&listener->lock);
    return NULL;
}

static int start_thread(struct seat *seat)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    int failed = pthread_create(&thread, &attributes, run_connection, seat);
    pthread_attr_destroy(&attributes);
    return failed == 0 ? 0 : err_set_errno(failed, "thread of a connection");
}

/* Takes the fd. The connection is made before the lock is taken: it asks for metrics, whose own
 * lock is held while they ask how many connections there are. */
static void seat_one(struct listener *listener, const struct door *door, int fd)
{
    struct seat *seat = MEM_NEW(struct seat);
    seat->listener = listener;
    seat->connection =
        listener->kind->open(listener->shared, fd, door->tls ? listener->tls : NULL, door->type);
    pthread_mutex_lock(&listener->lock);
    int rc = 0;
    if (listener->connections.count >= LISTENER_CONNECTIONS_MAX) {
        rc = err_set(ERR_TOO_LARGE, "there are %d connections", LISTENER_CONNECTIONS_MAX);
    } else {
        vec_push(&listener->connections, seat->connection);
        rc = start_thread(seat);
        listener->connections.count -= rc < 0;
    }
    pthread_mutex_unlock(&listener->lock);
    if (rc < 0) {
        log_fault("listener-full", "a connection was turned away", rc, "kind", listener->kind->name,
                  NULL);
        metric_add(listener->refused, 1);
        listener->kind->free(seat->connection);
        mem_free(seat);
    }
}

static void *run(void *context)
{
    struct listener *listener = context;
    struct pollfd fds[DOORS_MAX + 1];
    for (size_t i = 0; i < listener->door_count; i++) {
        fds[i] = (struct pollfd){.fd = listener->doors[i].fd, .events = POLLIN};
    }
    fds[listener->door_count] = (struct pollfd){.fd = listener->wake_fd, .events = POLLIN};
    for (;;) {
        if (poll(fds, listener->door_count + 1, -1) < 0) {
            continue;
        }
        if (fds[listener->door_count].revents != 0) {
            return NULL;
        }
        for (size_t i = 0; i < listener->door_count; i++) {
            if (fds[i].revents == 0) {
                continue;
            }
            int fd = accept4(listener->doors[i].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
            if (fd >= 0) {
                seat_one(listener, &listener->doors[i], fd);
            } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
                log_error("listener-accept", "no file descriptor for a new connection", "kind",
                          listener->kind->name, NULL);
                (void)poll(&fds[listener->door_count], 1, 1000);
            }
        }
    }
}

/* ---- life ---- */

static double count_now(void *context)
{
    return (double)listener_count(context);
}

static void free_listener(struct listener *listener)
{
    for (size_t i = 0; i < listener->door_count; i++) {
        close(listener->doors[i].fd);
    }
    if (listener->pipe_path != NULL) {
        (void)unlink(listener->pipe_path);
    }
    mem_free(listener->pipe_path);
    ingest_tls_close(&listener->tls);
    close(listener->wake_fd);
    vec_deinit(&listener->connections);
    pthread_cond_destroy(&listener->changed);
    pthread_mutex_destroy(&listener->lock);
    mem_free(listener);
}

int listener_start(const struct listener_options *options, struct listener **ret_listener)
{
    struct listener *listener = MEM_NEW(struct listener);
    listener->io = options->io;
    listener->kind = options->kind;
    listener->shared = options->shared;
    listener->wake_fd = eventfd(0, EFD_CLOEXEC);
    CHECK(listener->wake_fd > 0);
    pthread_mutex_init(&listener->lock, NULL);
    pthread_cond_init(&listener->changed, NULL);
    char *name = mem_printf("aquifer_%s_connections_refused_total", options->kind->name);
    listener->refused = metric_counter(name, "connections above the bound", NULL);
    mem_free(name);
    int rc = open_doors(listener, options);
    if (rc == 0) {
        int failed = pthread_create(&listener->thread, NULL, run, listener);
        rc = failed == 0 ? 0
                         : err_set_errno(failed, "thread of the %s listener", options->kind->name);
    }
    if (rc < 0) {
        free_listener(listener);
        return rc;
    }
    name = mem_printf("aquifer_%s_connections", options->kind->name);
    metric_gauge_call(name, "peers connected now", NULL, count_now, listener);
    mem_free(name);
    *ret_listener = listener;
    return 0;
}

void listener_stop(struct listener **listener)
{
    struct listener *gone = *listener;
    if (gone == NULL) {
        return;
    }
    uint64_t one = 1;
    (void)!write(gone->wake_fd, &one, sizeof(one));
    pthread_join(gone->thread, NULL);
    pthread_mutex_lock(&gone->lock);
    for (size_t i = 0; i < gone->connections.count; i++) {
        gone->kind->stop(gone->connections.items[i]);
    }
    while (gone->connections.count > 0) {
        pthread_cond_wait(&gone->changed, &gone->lock);
    }
    pthread_mutex_unlock(&gone->lock);
    metric_forget(gone);
    free_listener(gone);
    *listener = NULL;
}

uint16_t listener_port(const struct listener *listener)
{
    return listener->port;
}

uint16_t listener_tls_port(const struct listener *listener)
{
    return listener->tls_port;
}

size_t listener_count(struct listener *listener)
{
    pthread_mutex_lock(&listener->lock);
    size_t count = listener->connections.count;
    pthread_mutex_unlock(&listener->lock);
    return count;
}

size_t listener_connections(struct listener *listener, void *ret_infos, size_t max)
{
    pthread_mutex_lock(&listener->lock);
    size_t count = MIN(max, listener->connections.count);
    for (size_t i = 0; i < count; i++) {
        listener->kind->info(listener->connections.items[i],
                             (uint8_t *)ret_infos + i * listener->kind->info_bytes);
    }
    pthread_mutex_unlock(&listener->lock);
    return count;
}
