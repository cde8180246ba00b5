/* Tested by tests/cluster/test_warp10_3x.py. */
#include "indexer/link3x.h"

#include <poll.h>
#include <string.h>

#include "base/err.h"

#define READ_BYTES ((size_t)256 << 10)

void link3x_init(struct link3x *link, struct io *io, struct ingest_stream *stream)
{
    *link = (struct link3x){.io = io, .stream = stream};
    link->heard_ms = link->said_ms = link->moved_ms = link3x_now_ms(link);
}

void link3x_deinit(struct link3x *link)
{
    ingest_stream_close(&link->stream);
    buf_deinit(&link->in);
    buf_deinit(&link->out);
}

int64_t link3x_now_ms(const struct link3x *link)
{
    return io_monotonic_ns(link->io) / 1000000;
}

struct buf *link3x_out(struct link3x *link)
{
    if (link->out_at == link->out.bytes) {
        buf_clear(&link->out);
        link->out_at = 0;
    }
    link->said_ms = link3x_now_ms(link);
    return &link->out;
}

int link3x_write(struct link3x *link)
{
    while (link3x_unsent(link) > 0) {
        size_t put = 0;
        struct span rest = span_from(buf_span(&link->out), link->out_at);
        int rc = ingest_stream_write(link->stream, rest, &put);
        if (rc != 0) {
            return rc == INGEST_STREAM_AGAIN ? 0 : rc;
        }
        link->out_at += put;
        link->moved_ms = link3x_now_ms(link);
    }
    return 0;
}

int link3x_read(struct link3x *link)
{
    size_t got = 0;
    buf_consume(&link->in, link->in_at);
    link->in_at = 0;
    int rc = ingest_stream_read(link->stream, buf_reserve(&link->in, READ_BYTES), READ_BYTES, &got);
    if (rc == INGEST_STREAM_AGAIN) {
        return 0;
    }
    if (rc == INGEST_STREAM_END) {
        return err_set(ERR_UNAVAILABLE, "the peer has closed the connection");
    }
    if (rc == 0) {
        link->in.bytes += got;
        link->heard_ms = link3x_now_ms(link);
    }
    return rc;
}

int link3x_next(struct link3x *link, struct span *ret_body)
{
    struct span rest = span_from(buf_span(&link->in), link->in_at);
    size_t before = rest.bytes;
    int rc = feed3x_frame_next(&rest, ret_body);
    if (rc == 0) {
        link->in_at += before - rest.bytes;
        link->taken += before - rest.bytes;
    }
    return rc;
}

int link3x_wait(struct link3x *link, int wake_fd, int timeout_ms)
{
    int rc = ingest_stream_wait(link->stream, true, link3x_unsent(link) > 0, wake_fd, timeout_ms);
    return rc == INGEST_STREAM_TIMEOUT ? 0 : rc;
}

static bool is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) > 0;
}

int link3x_expect(struct link3x *link, int stop_fd, struct span *ret_body)
{
    int64_t until = link3x_now_ms(link) + LINK3X_GREETING_MS;
    for (;;) {
        int rc = link3x_write(link);
        rc = rc < 0 ? rc : link3x_next(link, ret_body);
        if (rc != FEED3X_CUT) {
            return rc;
        }
        int64_t left = until - link3x_now_ms(link);
        if (left <= 0) {
            return err_set(ERR_TIMEOUT, "the peer says nothing for %d s in the handshake",
                           LINK3X_GREETING_MS / 1000);
        }
        rc = link3x_wait(link, stop_fd, (int)left);
        if (is_readable(stop_fd)) {
            return err_set(ERR_CANCELLED, "told to stop");
        }
        rc = rc < 0 ? rc : link3x_read(link);
        if (rc < 0) {
            return rc;
        }
    }
}
