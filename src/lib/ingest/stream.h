/*
 * A connected byte stream: TCP, a Unix socket, or TLS over TCP. The socket never blocks; waiting
 * is stream_wait's, with a time limit and a way to be woken.
 *
 * One thread. TLS is GnuTLS with the system's priorities; at least TLS 1.2.
 */
#ifndef INGEST_STREAM_H
#define INGEST_STREAM_H

#include "base/check.h"
#include "base/span.h"

struct ingest_stream;
struct ingest_tls; /* server credentials, shared by all its connections */

enum ingest_stream_outcome {
    INGEST_STREAM_AGAIN = 1,   /* read, write: nothing can be moved now */
    INGEST_STREAM_END = 2,     /* read: the peer closed in order */
    INGEST_STREAM_TIMEOUT = 3, /* wait */
};

enum ingest_scheme { INGEST_TCP, INGEST_TLS, INGEST_PIPE };

/* What a target string says. `host` is a name, an address without brackets, or a path. */
struct ingest_target {
    enum ingest_scheme scheme;
    char host[256];
    uint16_t port;
};

/* "tcp://host:port", "tls://…", "pipe:///path"; "host", "host:port" and "/path" too. */
MUST_CHECK int ingest_target_parse(const char *text, struct ingest_target *ret_target);

struct ingest_stream_options {
    bool tls_insecure;
    const char *tls_ca_path; /* NULL: the system's */
    int connect_timeout_ms;  /* each of connecting and the TLS handshake */
    int wake_fd;             /* readable: connecting ends with ERR_CANCELLED; 0: none */
};

/* ERR_AUTH: the certificate is not verified by anybody we trust. */
MUST_CHECK int ingest_stream_connect(const struct ingest_target *target,
                                     const struct ingest_stream_options *options,
                                     struct ingest_stream **ret_stream);

/* Takes an accepted socket, also when it fails. With `tls` the handshake happens here. */
MUST_CHECK int ingest_stream_accept(int fd, const struct ingest_tls *tls, int timeout_ms,
                                    struct ingest_stream **ret_stream);

/* Nothing more will be written; the peer reads what was, then sees the end. Reading goes on: a
 * socket closed with bytes unread would make the peer lose what it has not read yet. */
void ingest_stream_finish(struct ingest_stream *stream);
void ingest_stream_close(struct ingest_stream **stream);

MUST_CHECK int ingest_tls_open(const char *certificate_path, const char *key_path,
                               struct ingest_tls **ret_tls);
void ingest_tls_close(struct ingest_tls **tls);

MUST_CHECK int ingest_stream_read(struct ingest_stream *stream, void *data, size_t bytes,
                                  size_t *ret_bytes);
/* Fewer than asked is normal. After AGAIN the next write must begin with the same bytes. */
MUST_CHECK int ingest_stream_write(struct ingest_stream *stream, struct span bytes,
                                   size_t *ret_bytes);

/* Until it can be read (or written, if `writing`), `wake_fd` (0: none) is readable, or the time
 * is over (<0: never). 0 also when it is only worth trying. */
MUST_CHECK int ingest_stream_wait(struct ingest_stream *stream, bool reading, bool writing,
                                  int wake_fd, int timeout_ms);

/* The own address as an entry's source; ::1 on a Unix socket. */
void ingest_stream_own_source(const struct ingest_stream *stream, uint8_t ret_source[16]);

/* "10.0.0.1:51234", "unix"; for messages. Lives as long as the stream. */
const char *ingest_stream_peer(const struct ingest_stream *stream);
bool ingest_stream_is_tls(const struct ingest_stream *stream);
int ingest_stream_fd(const struct ingest_stream *stream);

#endif
