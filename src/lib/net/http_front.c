/*
 * What stands in front of libmicrohttpd where there is TLS or the PROXY protocol: epoll threads of
 * our own accept. TLS is GnuTLS sessions, each joined to a plain connection by a socket pair.
 * libmicrohttpd has TLS too, but after an upgrade it carries websocket bytes four at a time and
 * does not pass on that the client has left; and this way the rest of the server is the same with
 * and without TLS.
 *
 *     client <──outer: TLS──> link <──inner: socket pair──> libmicrohttpd
 *
 *     HEADER ──read──> HANDSHAKE ──done──> OPEN ──either side ended, all passed on──> closed
 *        ├── no TLS: libmicrohttpd gets the connection itself
 *        └── refused or too slow, as in HANDSHAKE ──> closed
 *
 * One thread owns a link from accept to close. Descriptors are armed once (EPOLLONESHOT) for what
 * the link waits for, so a hang-up that cannot be acted on yet does not spin.
 */
#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/time.h"
#include "net/http_internal.h"

#define PIPE_BYTES ((size_t)16 * 1024) /* one TLS record */
#define ROUNDS_MAX 16                  /* per event, so that one client does not starve others */
#define HANDSHAKE_MS 10000
#define SWEEP_MS 1000
#define CLOSING_MS 2000 /* when the server stops, for clients to take their last bytes */

/* Bytes on their way in one direction. */
struct pipe {
    uint8_t data[PIPE_BYTES];
    size_t begin, end;
    bool ended; /* no more will come */
};

struct link {
    struct front_thread *thread;
    int outer, inner;         /* inner is -1 during the handshake */
    gnutls_session_t session; /* NULL: no TLS */
    bool in_header;           /* the PROXY header is to come; `in` has its beginning */
    bool open, broken, told_inner, resend, dead;
    struct pipe in, out;
    int64_t progress_ns;
    struct sockaddr_storage address;
    socklen_t address_bytes;
    size_t index; /* in the thread's links */
};

struct front_thread {
    struct http_front *front;
    pthread_t thread;
    int epoll;
    bool full; /* no descriptor was left: nobody is accepted until the next sweep */
    VEC(struct link *) links;
    VEC(struct link *) dead; /* closed; freed when no event can name them any more */
};

struct http_front {
    struct http_server *server;
    gnutls_certificate_credentials_t credentials; /* NULL: no TLS */
    gnutls_datum_t ticket_key;
    int listener, wake;
    atomic_bool accepting, stopping;
    _Atomic size_t link_count;
    struct front_thread *threads;
    size_t thread_count;
};

static int64_t now_ns(const struct http_front *front)
{
    return io_monotonic_ns(front->server->options.io);
}

/* ── A link's bytes ──────────────────────────────────────────────────────────────────────── */

static size_t filled(const struct pipe *pipe)
{
    return pipe->end - pipe->begin;
}

static bool wants_more(const struct pipe *pipe)
{
    return filled(pipe) == 0 && !pipe->ended;
}

static void filled_with(struct pipe *pipe, ssize_t got)
{
    pipe->begin = 0;
    pipe->end = got > 0 ? (size_t)got : 0;
}

static bool is_later(ssize_t rc)
{
    return rc < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

static bool is_tls_later(ssize_t rc)
{
    return rc == GNUTLS_E_AGAIN || rc == GNUTLS_E_INTERRUPTED;
}

/* Each of the four steps returns whether something moved. */
static bool outer_to_pipe(struct link *link)
{
    ssize_t got = wants_more(&link->in)
                      ? gnutls_record_recv(link->session, link->in.data, PIPE_BYTES)
                      : GNUTLS_E_AGAIN;
    if (is_tls_later(got)) {
        return false;
    }
    filled_with(&link->in, got);
    link->in.ended = got <= 0;
    return true;
}

static bool pipe_to_inner(struct link *link)
{
    if (filled(&link->in) == 0) {
        if (link->in.ended && !link->told_inner) {
            (void)shutdown(link->inner, SHUT_WR);
            link->told_inner = true;
        }
        return false;
    }
    ssize_t sent = send(link->inner, link->in.data + link->in.begin, filled(&link->in),
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (is_later(sent)) {
        return false;
    }
    /* An inner side that takes nothing any more may still have something to say. */
    link->in.begin = sent < 0 ? link->in.end : link->in.begin + (size_t)sent;
    return true;
}

static bool inner_to_pipe(struct link *link)
{
    if (!wants_more(&link->out)) {
        return false;
    }
    ssize_t got = recv(link->inner, link->out.data, PIPE_BYTES, MSG_DONTWAIT);
    if (is_later(got)) {
        return false;
    }
    filled_with(&link->out, got);
    link->out.ended = got <= 0;
    return true;
}

static bool pipe_to_outer(struct link *link)
{
    if (filled(&link->out) == 0) {
        return false;
    }
    /* After "again" GnuTLS wants to be called without data: it has kept the record. */
    ssize_t sent = link->resend
                       ? gnutls_record_send(link->session, NULL, 0)
                       : gnutls_record_send(link->session, link->out.data + link->out.begin,
                                            filled(&link->out));
    link->resend = is_tls_later(sent);
    if (link->resend) {
        return false;
    }
    link->broken = sent < 0;
    link->out.begin += sent > 0 ? (size_t)sent : 0;
    return true;
}

/* ── A link's life ───────────────────────────────────────────────────────────────────────── */

static void close_link(struct link *link)
{
    struct front_thread *thread = link->thread;
    struct link *last = thread->links.items[thread->links.count - 1];
    last->index = link->index;
    vec_remove_swap(&thread->links, link->index);
    if (link->session != NULL) {
        gnutls_deinit(link->session);
    }
    if (link->outer >= 0) {
        (void)close(link->outer);
    }
    if (link->inner >= 0) {
        (void)close(link->inner);
    }
    link->dead = true;
    vec_push(&thread->dead, link);
    atomic_fetch_sub(&thread->front->link_count, 1);
}

static void free_dead(struct front_thread *thread)
{
    for (size_t i = 0; i < thread->dead.count; i++) {
        mem_free(thread->dead.items[i]);
    }
    vec_clear(&thread->dead);
}

static void arm(struct link *link, int fd, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events | EPOLLONESHOT, .data.ptr = link};
    if (events != 0 || operation == EPOLL_CTL_ADD) {
        (void)epoll_ctl(link->thread->epoll, operation, fd, &event);
    }
}

/* The handshake is done: libmicrohttpd gets the other end of a socket pair. */
static bool join_inner(struct link *link)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
        return false;
    }
    if (MHD_add_connection(link->thread->front->server->daemon, pair[1], (void *)&link->address,
                           link->address_bytes) != MHD_YES) {
        (void)close(pair[0]); /* the other one is closed already */
        return false;
    }
    link->inner = pair[0];
    link->open = true;
    arm(link, link->inner, EPOLL_CTL_ADD, 0);
    return true;
}

/* False: the link is to be closed. */
static bool shake_hands(struct link *link)
{
    int rc = gnutls_handshake(link->session);
    if (rc == 0) {
        return join_inner(link);
    }
    if (gnutls_error_is_fatal(rc) != 0) {
        return false;
    }
    arm(link, link->outer, EPOLL_CTL_MOD,
        gnutls_record_get_direction(link->session) == 1 ? EPOLLOUT : EPOLLIN);
    return true;
}

static bool move_bytes(struct link *link)
{
    bool moved = true;
    for (int round = 0; moved && !link->broken && round < ROUNDS_MAX; round++) {
        moved = outer_to_pipe(link);
        moved = pipe_to_inner(link) || moved;
        moved = inner_to_pipe(link) || moved;
        moved = pipe_to_outer(link) || moved;
        link->progress_ns = moved ? now_ns(link->thread->front) : link->progress_ns;
    }
    if (link->broken || (link->out.ended && filled(&link->out) == 0)) {
        if (!link->broken) {
            (void)gnutls_bye(link->session, GNUTLS_SHUT_WR);
        }
        return false;
    }
    /* Data that GnuTLS has decrypted already wakes nobody: look again as soon as possible. */
    bool pending = wants_more(&link->in) && gnutls_record_check_pending(link->session) > 0;
    uint32_t outer = (wants_more(&link->in) ? EPOLLIN : 0u) |
                     (filled(&link->out) > 0 || pending ? EPOLLOUT : 0u);
    uint32_t inner =
        (filled(&link->in) > 0 ? EPOLLOUT : 0u) | (wants_more(&link->out) ? EPOLLIN : 0u);
    arm(link, link->outer, EPOLL_CTL_MOD, outer);
    arm(link, link->inner, EPOLL_CTL_MOD, inner);
    return true;
}

/* False: the link is to be closed. */
static bool read_header(struct link *link)
{
    struct pipe *pipe = &link->in;
    for (;;) {
        size_t more = 0;
        int rc = proxies_header(span_of(pipe->data, pipe->end), &link->address,
                                &link->address_bytes, &more);
        if (rc <= 0) {
            link->in_header = rc != 0;
            pipe->end = 0;
            return rc == 0;
        }
        ssize_t got = recv(link->outer, pipe->data + pipe->end, more, MSG_DONTWAIT);
        if (is_later(got)) {
            arm(link, link->outer, EPOLL_CTL_MOD, EPOLLIN);
            return true;
        }
        if (got <= 0) {
            return false;
        }
        pipe->end += (size_t)got;
    }
}

/* Without TLS: the connection is libmicrohttpd's from here on. */
static void give_away(struct link *link)
{
    (void)epoll_ctl(link->thread->epoll, EPOLL_CTL_DEL, link->outer, NULL);
    (void)MHD_add_connection(link->thread->front->server->daemon, link->outer,
                             (void *)&link->address, link->address_bytes); /* or closes it */
    link->outer = -1;
    close_link(link);
}

static void drive(struct link *link)
{
    if (link->dead) {
        return; /* its other descriptor's event of the same batch closed it */
    }
    bool alive = !link->in_header || read_header(link);
    if (alive && link->in_header) {
        return;
    }
    if (alive && link->session == NULL) {
        give_away(link);
        return;
    }
    alive = alive && (link->open || shake_hands(link));
    if (alive && link->open) {
        alive = move_bytes(link);
    }
    if (!alive) {
        close_link(link);
    }
}

static gnutls_session_t new_session(struct http_front *front, int fd)
{
    static const gnutls_datum_t protocol = {(unsigned char *)(uintptr_t) "http/1.1", 8};
    gnutls_session_t session;
    CHECK(gnutls_init(&session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) == 0);
    CHECK(gnutls_set_default_priority(session) == 0);
    CHECK(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, front->credentials) == 0);
    (void)gnutls_alpn_set_protocols(session, &protocol, 1, 0);
    (void)gnutls_session_ticket_enable_server(session, &front->ticket_key);
    gnutls_transport_set_int(session, fd);
    return session;
}

static void listen_on(struct front_thread *thread)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = thread->front};
    CHECK(epoll_ctl(thread->epoll, EPOLL_CTL_ADD, thread->front->listener, &event) == 0);
}

/* Who waits in the listener's queue would wake us at once, again and again. */
static void note_full(struct front_thread *thread)
{
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        CHECK(epoll_ctl(thread->epoll, EPOLL_CTL_DEL, thread->front->listener, NULL) == 0);
        thread->full = true;
    }
}

static void accept_links(struct front_thread *thread)
{
    struct http_front *front = thread->front;
    struct sockaddr_storage address;
    socklen_t bytes = sizeof(address);
    int fd = accept4(front->listener, (void *)&address, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        note_full(thread);
        return;
    }
    /* Above the bound of connections libmicrohttpd answers 503; far above, we hang up. */
    if (!atomic_load(&front->accepting) ||
        atomic_load(&front->link_count) >= front->server->options.connections_max + 128) {
        (void)close(fd);
        return;
    }
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct link *link = MEM_NEW(struct link);
    link->thread = thread;
    link->outer = fd;
    link->inner = -1;
    link->session = front->credentials != NULL ? new_session(front, fd) : NULL;
    link->address = address;
    link->address_bytes = bytes;
    link->progress_ns = now_ns(front);
    if (front->server->options.proxy_protocol) {
        char peer[HTTP_PEER_BYTES];
        http_peer_text((const void *)&address, peer);
        link->in_header = proxies_trust(front->server->options.proxies, span_of_str(peer));
    }
    link->index = thread->links.count;
    vec_push(&thread->links, link);
    atomic_fetch_add(&front->link_count, 1);
    arm(link, fd, EPOLL_CTL_ADD, EPOLLIN);
}

/* Handshakes that do not get on, and clients that do not take the end of their answer. */
static void sweep(struct front_thread *thread)
{
    int64_t now = now_ns(thread->front);
    int64_t idle_ns = (int64_t)thread->front->server->options.idle_timeout_s * TIME_S_NS;
    for (size_t i = thread->links.count; i-- > 0;) {
        struct link *link = thread->links.items[i];
        bool slow = !link->open && now - link->progress_ns > HANDSHAKE_MS * TIME_MS_NS;
        bool stuck = link->out.ended && now - link->progress_ns > idle_ns;
        if (slow || stuck) {
            close_link(link);
        }
    }
}

static void *serve(void *context)
{
    struct front_thread *thread = context;
    struct http_front *front = thread->front;
    int64_t swept = now_ns(front);
    int64_t stop_at = INT64_MAX;
    (void)pthread_setname_np(pthread_self(), "http-front");
    for (;;) {
        struct epoll_event events[64];
        int count = epoll_wait(thread->epoll, events, ARRAY_COUNT(events), SWEEP_MS);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == front) {
                accept_links(thread);
            } else if (events[i].data.ptr != NULL) {
                drive(events[i].data.ptr);
            } /* else: woken to stop */
        }
        free_dead(thread);
        int64_t now = now_ns(front);
        if (now - swept > SWEEP_MS * TIME_MS_NS) {
            sweep(thread);
            swept = now;
            if (thread->full) {
                listen_on(thread);
                thread->full = false;
            }
        }
        if (atomic_load(&front->stopping)) {
            stop_at = MIN(stop_at, now + CLOSING_MS * TIME_MS_NS);
            if (thread->links.count == 0 || now >= stop_at) {
                return NULL;
            }
        }
    }
}

/* ── The whole ───────────────────────────────────────────────────────────────────────────── */

static int load_credentials(struct http_front *front, struct span cert, struct span key)
{
    gnutls_datum_t cert_datum = {(unsigned char *)(uintptr_t)cert.data, (unsigned)cert.bytes};
    gnutls_datum_t key_datum = {(unsigned char *)(uintptr_t)key.data, (unsigned)key.bytes};
    CHECK(gnutls_certificate_allocate_credentials(&front->credentials) == 0);
    int rc = gnutls_certificate_set_x509_key_mem(front->credentials, &cert_datum, &key_datum,
                                                 GNUTLS_X509_FMT_PEM);
    if (rc < 0) {
        return err_set(ERR_INVALID, "the TLS certificate and key cannot be used: %s",
                       gnutls_strerror(rc));
    }
    return 0;
}

int http_front_new(struct http_server *server, struct span cert, struct span key,
                   struct http_front **ret_front)
{
    struct http_front *front = MEM_NEW(struct http_front);
    front->server = server;
    front->listener = -1;
    front->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(front->wake >= 0);
    int rc = cert.bytes > 0 ? load_credentials(front, cert, key) : 0;
    if (rc < 0) {
        http_front_free(&front);
        return rc;
    }
    CHECK(gnutls_session_ticket_key_generate(&front->ticket_key) == 0);
    *ret_front = front;
    return 0;
}

void http_front_start(struct http_front *front, int listener)
{
    front->listener = listener;
    front->thread_count = front->server->options.io_threads;
    front->threads = mem_alloc_array(front->thread_count, sizeof(*front->threads));
    atomic_store(&front->accepting, true);
    for (size_t i = 0; i < front->thread_count; i++) {
        struct front_thread *thread = &front->threads[i];
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
        thread->front = front;
        thread->epoll = epoll_create1(EPOLL_CLOEXEC);
        CHECK(thread->epoll >= 0);
        listen_on(thread);
        CHECK(epoll_ctl(thread->epoll, EPOLL_CTL_ADD, front->wake, &event) == 0);
        CHECK(pthread_create(&thread->thread, NULL, serve, thread) == 0);
    }
}

void http_front_quiesce(struct http_front *front)
{
    atomic_store(&front->accepting, false);
}

void http_front_free(struct http_front **ret_front)
{
    struct http_front *front = *ret_front;
    if (front == NULL) {
        return;
    }
    *ret_front = NULL;
    atomic_store(&front->stopping, true);
    (void)eventfd_write(front->wake, 1);
    for (size_t i = 0; i < front->thread_count; i++) {
        struct front_thread *thread = &front->threads[i];
        (void)pthread_join(thread->thread, NULL);
        while (thread->links.count > 0) {
            close_link(thread->links.items[0]);
        }
        free_dead(thread);
        vec_deinit(&thread->dead);
        vec_deinit(&thread->links);
        (void)close(thread->epoll);
    }
    if (front->listener >= 0) {
        (void)close(front->listener);
    }
    (void)close(front->wake);
    if (front->credentials != NULL) {
        gnutls_certificate_free_credentials(front->credentials);
    }
    gnutls_free(front->ticket_key.data);
    mem_free(front->threads);
    mem_free(front);
}
