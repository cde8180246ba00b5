/* Tested by client_test.c. */
#include "ingest/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "ingest/wire.h"
#include "series/entry.h"

#define KEEPALIVE_S 30

struct ingest_stream {
    int fd;
    gnutls_session_t tls;                             /* NULL: plain */
    gnutls_certificate_credentials_t own_credentials; /* of a client */
    bool unsent; /* GnuTLS still holds what the last write was given */
    bool local;
    struct sockaddr_storage own;
    char peer[NI_MAXHOST + 8];
};

struct ingest_tls {
    gnutls_certificate_credentials_t credentials;
};

/* ---- targets ---- */

static int parse_host_port(const char *text, uint16_t default_port, struct ingest_target *target)
{
    const char *colon = strrchr(text, ':');
    size_t host_bytes = strlen(text);
    target->port = default_port;
    bool bare_v6 = text[0] != '[' && colon != NULL && strchr(text, ':') != colon;
    if (colon != NULL && !bare_v6 && strchr(colon, ']') == NULL) {
        uint64_t port;
        if (!span_to_u64(span_of_str(colon + 1), &port) || port == 0 || port > UINT16_MAX) {
            return err_set(ERR_INVALID, "\"%s\" has no port number behind its colon", text);
        }
        target->port = (uint16_t)port;
        host_bytes = (size_t)(colon - text);
    }
    if (host_bytes >= 2 && text[0] == '[' && text[host_bytes - 1] == ']') {
        text++;
        host_bytes -= 2;
    }
    if (host_bytes == 0 || host_bytes >= sizeof(target->host)) {
        return err_set(ERR_INVALID, "\"%s\" names no host", text);
    }
    memcpy(target->host, text, host_bytes);
    target->host[host_bytes] = '\0';
    return 0;
}

static int parse_path(const char *text, struct ingest_target *target)
{
    struct sockaddr_un address;
    if (text[0] != '/' || strlen(text) >= sizeof(address.sun_path)) {
        return err_set(ERR_INVALID, "\"%s\" is no absolute path of at most %zu bytes", text,
                       sizeof(address.sun_path) - 1);
    }
    target->scheme = INGEST_PIPE;
    snprintf(target->host, sizeof(target->host), "%s", text);
    return 0;
}

int ingest_target_parse(const char *text, struct ingest_target *ret_target)
{
    struct ingest_target target = {0};
    int rc;
    if (text[0] == '/') {
        rc = parse_path(text, &target);
    } else if (strncasecmp(text, "pipe://", 7) == 0) {
        rc = parse_path(text + 7, &target);
    } else if (strncasecmp(text, "tls://", 6) == 0) {
        target.scheme = INGEST_TLS;
        rc = parse_host_port(text + 6, INGEST_TLS_PORT, &target);
    } else if (strncasecmp(text, "tcp://", 6) == 0) {
        rc = parse_host_port(text + 6, INGEST_PORT, &target);
    } else if (strstr(text, "://") != NULL) {
        rc = err_set(ERR_INVALID, "\"%s\": a target begins with tcp://, tls:// or pipe://", text);
    } else {
        rc = parse_host_port(text, INGEST_PORT, &target);
    }
    if (rc == 0) {
        *ret_target = target;
    }
    return rc;
}

/* ---- sockets ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 0, INGEST_STREAM_TIMEOUT, or ERR_CANCELLED when `wake_fd` is readable. */
static int wait_fd(int fd, short events, int wake_fd, int timeout_ms)
{
    struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = wake_fd, .events = POLLIN}};
    int count = poll(fds, wake_fd > 0 ? 2 : 1, timeout_ms);
    if (count < 0 && errno != EINTR) {
        return err_set_errno(errno, "poll");
    }
    if (count <= 0) {
        return count == 0 ? INGEST_STREAM_TIMEOUT : 0;
    }
    return wake_fd > 0 && fds[1].revents != 0 ? err_set(ERR_CANCELLED, "cancelled") : 0;
}

static void set_tcp_options(int fd)
{
    int on = 1;
    int idle = KEEPALIVE_S;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle, sizeof(idle));
}

static struct ingest_stream *stream_of(int fd)
{
    struct ingest_stream *stream = MEM_NEW(struct ingest_stream);
    stream->fd = fd;
    socklen_t bytes = sizeof(stream->own);
    if (getsockname(fd, (struct sockaddr *)&stream->own, &bytes) != 0) {
        stream->own.ss_family = AF_UNSPEC;
    }
    stream->local = stream->own.ss_family == AF_UNIX;
    if (stream->local) {
        snprintf(stream->peer, sizeof(stream->peer), "unix");
        return stream;
    }
    set_tcp_options(fd);
    struct sockaddr_storage peer;
    bytes = sizeof(peer);
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    if (getpeername(fd, (struct sockaddr *)&peer, &bytes) != 0 ||
        getnameinfo((struct sockaddr *)&peer, bytes, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(stream->peer, sizeof(stream->peer), "unknown");
        return stream;
    }
    const char *plain = strncmp(host, "::ffff:", 7) == 0 ? host + 7 : host;
    bool v6 = strchr(plain, ':') != NULL;
    snprintf(stream->peer, sizeof(stream->peer), "%s%.64s%s:%.6s", v6 ? "[" : "", plain,
             v6 ? "]" : "", port);
    return stream;
}

static int connect_one(const struct sockaddr *address, socklen_t bytes,
                       const struct ingest_stream_options *options, int *ret_fd)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_set_errno(errno, "socket");
    }
    int failed = 0;
    int rc = 0;
    if (connect(fd, address, bytes) != 0) {
        failed = errno;
        if (failed == EINPROGRESS) {
            rc = wait_fd(fd, POLLOUT, options->wake_fd, options->connect_timeout_ms);
            socklen_t size = sizeof(failed);
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
        }
    }
    if (rc == INGEST_STREAM_TIMEOUT) {
        rc = err_set(ERR_TIMEOUT, "connect: no answer within %d ms", options->connect_timeout_ms);
    } else if (rc == 0 && failed != 0) {
        (void)err_set_errno(failed, "connect");
        rc = ERR_UNAVAILABLE;
    }
    if (rc != 0) {
        close(fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

static int connect_tcp(const struct ingest_target *target,
                       const struct ingest_stream_options *options, int *ret_fd)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", target->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    struct addrinfo *found;
    int failed = getaddrinfo(target->host, port, &hints, &found);
    if (failed != 0) {
        return err_set(ERR_UNAVAILABLE, "%s: %s", target->host, gai_strerror(failed));
    }
    int rc = err_set(ERR_UNAVAILABLE, "no address");
    for (struct addrinfo *a = found; a != NULL && rc < 0 && rc != ERR_CANCELLED; a = a->ai_next) {
        rc = connect_one(a->ai_addr, a->ai_addrlen, options, ret_fd);
    }
    freeaddrinfo(found);
    return rc;
}

static int connect_pipe(const struct ingest_target *target,
                        const struct ingest_stream_options *options, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%.*s", (int)sizeof(address.sun_path) - 1,
             target->host);
    return connect_one((struct sockaddr *)&address, sizeof(address), options, ret_fd);
}

/* ---- TLS ---- */

static int tls_fault(int code, const char *what)
{
    bool untrusted = code == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
    return err_set(untrusted ? ERR_AUTH : ERR_UNAVAILABLE, "%s: %s", what, gnutls_strerror(code));
}

int ingest_tls_open(const char *certificate_path, const char *key_path, struct ingest_tls **ret_tls)
{
    gnutls_certificate_credentials_t credentials;
    int failed = gnutls_certificate_allocate_credentials(&credentials);
    if (failed < 0) {
        return tls_fault(failed, "TLS");
    }
    failed = gnutls_certificate_set_x509_key_file(credentials, certificate_path, key_path,
                                                  GNUTLS_X509_FMT_PEM);
    if (failed < 0) {
        gnutls_certificate_free_credentials(credentials);
        return err_set(ERR_INVALID, "certificate %s, key %s: %s", certificate_path, key_path,
                       gnutls_strerror(failed));
    }
    struct ingest_tls *tls = MEM_NEW(struct ingest_tls);
    tls->credentials = credentials;
    *ret_tls = tls;
    return 0;
}

void ingest_tls_close(struct ingest_tls **tls)
{
    if (*tls != NULL) {
        gnutls_certificate_free_credentials((*tls)->credentials);
        mem_free(*tls);
        *tls = NULL;
    }
}

static int handshake(struct ingest_stream *stream, int wake_fd, int timeout_ms)
{
    int64_t deadline = now_ms() + timeout_ms;
    for (;;) {
        int done = gnutls_handshake(stream->tls);
        if (done == GNUTLS_E_SUCCESS) {
            return 0;
        }
        if (gnutls_error_is_fatal(done) != 0) {
            return tls_fault(done, "TLS handshake");
        }
        short events = gnutls_record_get_direction(stream->tls) == 0 ? POLLIN : POLLOUT;
        int64_t left = deadline - now_ms();
        int rc =
            left <= 0 ? INGEST_STREAM_TIMEOUT : wait_fd(stream->fd, events, wake_fd, (int)left);
        if (rc == INGEST_STREAM_TIMEOUT) {
            return err_set(ERR_TIMEOUT, "TLS handshake: not done within %d ms", timeout_ms);
        }
        if (rc < 0) {
            return rc;
        }
    }
}

static int begin_client_tls(struct ingest_stream *stream, const char *host,
                            const struct ingest_stream_options *options)
{
    gnutls_certificate_credentials_t credentials;
    CHECK(gnutls_certificate_allocate_credentials(&credentials) == 0);
    stream->own_credentials = credentials;
    int count = options->tls_ca_path == NULL
                    ? gnutls_certificate_set_x509_system_trust(credentials)
                    : gnutls_certificate_set_x509_trust_file(credentials, options->tls_ca_path,
                                                             GNUTLS_X509_FMT_PEM);
    if (count < 0 && !options->tls_insecure) {
        return tls_fault(count, options->tls_ca_path == NULL ? "the system's certificates"
                                                             : options->tls_ca_path);
    }
    CHECK(gnutls_init(&stream->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) == 0);
    CHECK(gnutls_set_default_priority(stream->tls) == 0);
    gnutls_credentials_set(stream->tls, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_transport_set_int(stream->tls, stream->fd);
    struct in6_addr scratch;
    bool is_address =
        inet_pton(AF_INET, host, &scratch) == 1 || inet_pton(AF_INET6, host, &scratch) == 1;
    if (!is_address) {
        gnutls_server_name_set(stream->tls, GNUTLS_NAME_DNS, host, strlen(host));
    }
    if (!options->tls_insecure) {
        gnutls_session_set_verify_cert(stream->tls, host, 0);
    }
    return handshake(stream, options->wake_fd, options->connect_timeout_ms);
}

/* ---- the stream ---- */

int ingest_stream_connect(const struct ingest_target *target,
                          const struct ingest_stream_options *options,
                          struct ingest_stream **ret_stream)
{
    int fd;
    int rc = target->scheme == INGEST_PIPE ? connect_pipe(target, options, &fd)
                                           : connect_tcp(target, options, &fd);
    if (rc < 0) {
        return rc;
    }
    struct ingest_stream *stream = stream_of(fd);
    if (target->scheme == INGEST_TLS) {
        rc = begin_client_tls(stream, target->host, options);
    }
    if (rc < 0) {
        ingest_stream_close(&stream);
        return rc;
    }
    *ret_stream = stream;
    return 0;
}

int ingest_stream_accept(int fd, const struct ingest_tls *tls, int timeout_ms,
                         struct ingest_stream **ret_stream)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    struct ingest_stream *stream = stream_of(fd);
    if (tls != NULL) {
        CHECK(gnutls_init(&stream->tls, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) == 0);
        CHECK(gnutls_set_default_priority(stream->tls) == 0);
        gnutls_credentials_set(stream->tls, GNUTLS_CRD_CERTIFICATE, tls->credentials);
        gnutls_transport_set_int(stream->tls, fd);
        int rc = handshake(stream, 0, timeout_ms);
        if (rc < 0) {
            rc = err_wrap(rc, "%s", stream->peer);
            ingest_stream_close(&stream);
            return rc;
        }
    }
    *ret_stream = stream;
    return 0;
}

void ingest_stream_finish(struct ingest_stream *stream)
{
    if (stream->tls != NULL) {
        (void)gnutls_bye(stream->tls, GNUTLS_SHUT_WR);
    }
    (void)shutdown(stream->fd, SHUT_WR);
}

void ingest_stream_close(struct ingest_stream **stream)
{
    struct ingest_stream *gone = *stream;
    if (gone == NULL) {
        return;
    }
    if (gone->tls != NULL) {
        (void)gnutls_bye(gone->tls, GNUTLS_SHUT_WR);
        gnutls_deinit(gone->tls);
    }
    if (gone->own_credentials != NULL) {
        gnutls_certificate_free_credentials(gone->own_credentials);
    }
    close(gone->fd);
    mem_free(gone);
    *stream = NULL;
}

static int read_tls(struct ingest_stream *stream, void *data, size_t bytes, size_t *ret_bytes)
{
    ssize_t got = gnutls_record_recv(stream->tls, data, bytes);
    if (got > 0) {
        *ret_bytes = (size_t)got;
        return 0;
    }
    if (got == 0 || got == GNUTLS_E_PREMATURE_TERMINATION) {
        return INGEST_STREAM_END;
    }
    return gnutls_error_is_fatal((int)got) == 0 ? INGEST_STREAM_AGAIN
                                                : tls_fault((int)got, "TLS read");
}

int ingest_stream_read(struct ingest_stream *stream, void *data, size_t bytes, size_t *ret_bytes)
{
    if (stream->tls != NULL) {
        return read_tls(stream, data, bytes, ret_bytes);
    }
    ssize_t got = recv(stream->fd, data, bytes, 0);
    if (got > 0) {
        *ret_bytes = (size_t)got;
        return 0;
    }
    if (got == 0) {
        return INGEST_STREAM_END;
    }
    if (errno == EAGAIN || errno == EINTR) {
        return INGEST_STREAM_AGAIN;
    }
    (void)err_set_errno(errno, "read");
    return ERR_UNAVAILABLE;
}

static int write_tls(struct ingest_stream *stream, struct span bytes, size_t *ret_bytes)
{
    /* After AGAIN the same record must be pushed on, not given again: it would go out twice. */
    ssize_t put = stream->unsent ? gnutls_record_send(stream->tls, NULL, 0)
                                 : gnutls_record_send(stream->tls, bytes.data, bytes.bytes);
    stream->unsent = put == GNUTLS_E_AGAIN || put == GNUTLS_E_INTERRUPTED;
    if (put >= 0) {
        *ret_bytes = (size_t)put;
        return 0;
    }
    return gnutls_error_is_fatal((int)put) == 0 ? INGEST_STREAM_AGAIN
                                                : tls_fault((int)put, "TLS write");
}

int ingest_stream_write(struct ingest_stream *stream, struct span bytes, size_t *ret_bytes)
{
    if (stream->tls != NULL) {
        return write_tls(stream, bytes, ret_bytes);
    }
    ssize_t put = send(stream->fd, bytes.data, bytes.bytes, MSG_NOSIGNAL);
    if (put >= 0) {
        *ret_bytes = (size_t)put;
        return 0;
    }
    if (errno == EAGAIN || errno == EINTR) {
        return INGEST_STREAM_AGAIN;
    }
    (void)err_set_errno(errno, "write");
    return ERR_UNAVAILABLE;
}

int ingest_stream_wait(struct ingest_stream *stream, bool reading, bool writing, int wake_fd,
                       int timeout_ms)
{
    if (reading && stream->tls != NULL && gnutls_record_check_pending(stream->tls) > 0) {
        return 0;
    }
    short events = (short)((reading ? POLLIN : 0) | (writing ? POLLOUT : 0));
    /* A closed peer is always ready; who waits for neither would spin. */
    struct pollfd fds[2] = {{.fd = events == 0 ? -1 : stream->fd, .events = events},
                            {.fd = wake_fd, .events = POLLIN}};
    int count = poll(fds, wake_fd > 0 ? 2 : 1, timeout_ms);
    if (count < 0 && errno != EINTR) {
        return err_set_errno(errno, "poll");
    }
    return count == 0 ? INGEST_STREAM_TIMEOUT : 0;
}

void ingest_stream_own_source(const struct ingest_stream *stream, uint8_t ret_source[16])
{
    memset(ret_source, 0, 16);
    if (stream->own.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&stream->own;
        entry_source_of_v4((const uint8_t *)&v4->sin_addr, ret_source);
    } else if (stream->own.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&stream->own;
        memcpy(ret_source, &v6->sin6_addr, 16);
    } else {
        ret_source[15] = 1;
    }
}

const char *ingest_stream_peer(const struct ingest_stream *stream)
{
    return stream->peer;
}

bool ingest_stream_is_tls(const struct ingest_stream *stream)
{
    return stream->tls != NULL;
}

int ingest_stream_fd(const struct ingest_stream *stream)
{
    return stream->fd;
}
