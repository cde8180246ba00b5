/*
 * For the tests of this folder: a server on a free port of 127.0.0.1 and a raw client that sends
 * bytes as they are and reads one answer at a time. Everything waits with a deadline.
 */
#ifndef NET_TESTING_H
#define NET_TESTING_H

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "net/http_server.h"

#define TESTING_DEADLINE_MS 120000
#define TESTING_FOR_EVER_MS 600000 /* longer than a test may last */
#define TESTING __attribute__((unused)) static

/* The real io, but for its clock, which stands until a test moves it: who is late in the test is
 * not late for the server. */
struct testing_clock {
    struct io io;
    struct io_methods methods;
    _Atomic int64_t now_ns;
};

TESTING int64_t testing_clock_now(struct io *io)
{
    return ((struct testing_clock *)io)->now_ns;
}

TESTING void testing_clock_begin(struct testing_clock *clock)
{
    clock->methods = *io_real()->methods;
    clock->methods.monotonic_ns = testing_clock_now;
    clock->io.methods = &clock->methods;
    clock->now_ns = TIME_HOUR_NS;
}

struct raw {
    int fd;
    struct buf in;
};

struct raw_answer {
    int status;
    struct buf head; /* "HTTP/1.1 200 OK\r\n...\r\n\r\n" */
    struct buf body;
};

TESTING struct http_server *testing_start(struct http_server_options options,
                                          const struct http_route *routes, size_t count,
                                          void *context)
{
    struct http_server *server = NULL;
    struct http_routes table = {routes, count, context};
    options.address = "127.0.0.1";
    int rc = http_server_start(&options, &table, 1, &server);
    if (rc < 0) {
        fail_msg("%s", err_text());
    }
    return server;
}

TESTING struct raw raw_connect(uint16_t port)
{
    struct raw raw = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(raw.fd, (const void *)&address, sizeof(address)), 0);
    return raw;
}

TESTING void raw_close(struct raw *raw)
{
    if (raw->fd >= 0) {
        (void)close(raw->fd);
    }
    raw->fd = -1;
    buf_deinit(&raw->in);
}

TESTING void raw_send(struct raw *raw, const void *data, size_t bytes)
{
    const char *at = data;
    while (bytes > 0) {
        ssize_t sent = send(raw->fd, at, bytes, MSG_NOSIGNAL);
        assert_true(sent > 0);
        at += sent;
        bytes -= (size_t)sent;
    }
}

TESTING void raw_say(struct raw *raw, const char *text)
{
    raw_send(raw, text, strlen(text));
}

/* Reads more. False at the end of the stream or when it broke. */
TESTING bool raw_more(struct raw *raw)
{
    struct pollfd fd = {.fd = raw->fd, .events = POLLIN};
    assert_int_equal(poll(&fd, 1, TESTING_DEADLINE_MS), 1);
    ssize_t got = recv(raw->fd, buf_reserve(&raw->in, 65536), 65536, 0);
    raw->in.bytes += got > 0 ? (size_t)got : 0;
    return got > 0;
}

TESTING void raw_need(struct raw *raw, size_t bytes)
{
    while (raw->in.bytes < bytes) {
        assert_true(raw_more(raw));
    }
}

TESTING void raw_take(struct raw *raw, struct buf *to, size_t bytes)
{
    raw_need(raw, bytes);
    buf_append(to, span_first(buf_span(&raw->in), bytes));
    buf_consume(&raw->in, bytes);
}

TESTING void raw_answer_deinit(struct raw_answer *answer)
{
    buf_deinit(&answer->head);
    buf_deinit(&answer->body);
    answer->status = 0;
}

/* The head only; what follows is left. */
TESTING void raw_head(struct raw *raw, struct raw_answer *answer)
{
    ptrdiff_t end;
    raw_answer_deinit(answer);
    while ((end = span_find(buf_span(&raw->in), SPAN_LIT("\r\n\r\n"))) < 0) {
        assert_true(raw_more(raw));
    }
    raw_take(raw, &answer->head, (size_t)end + 4);
    assert_int_equal(sscanf(buf_str(&answer->head), "HTTP/1.1 %d", &answer->status), 1);
}

/* One chunk of a chunked body is appended; false for the last, empty one. */
TESTING bool raw_chunk(struct raw *raw, struct buf *to)
{
    ptrdiff_t end;
    while ((end = span_find(buf_span(&raw->in), SPAN_LIT("\r\n"))) < 0) {
        assert_true(raw_more(raw));
    }
    size_t bytes = strtoul(buf_str(&raw->in), NULL, 16);
    buf_consume(&raw->in, (size_t)end + 2);
    raw_take(raw, to, bytes);
    raw_need(raw, 2);
    buf_consume(&raw->in, 2);
    return bytes > 0;
}

/* A whole answer, with Content-Length or chunked. */
TESTING void raw_read(struct raw *raw, struct raw_answer *answer)
{
    raw_head(raw, answer);
    const char *length = strcasestr(buf_str(&answer->head), "\r\nContent-Length:");
    if (length != NULL) {
        raw_take(raw, &answer->body, strtoul(length + 17, NULL, 10));
    } else if (strcasestr(buf_str(&answer->head), "chunked") != NULL) {
        while (raw_chunk(raw, &answer->body)) {}
    }
}

TESTING int raw_status(struct raw *raw, const char *request)
{
    struct raw_answer answer = {0};
    raw_say(raw, request);
    raw_read(raw, &answer);
    int status = answer.status;
    raw_answer_deinit(&answer);
    return status;
}

/* Waits until the flag is set. */
TESTING void wait_for(atomic_bool *flag)
{
    for (int i = 0; i < TESTING_DEADLINE_MS && !atomic_load(flag); i++) {
        (void)poll(NULL, 0, 1);
    }
    assert_true(atomic_load(flag));
}

#endif
