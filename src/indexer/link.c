/* Tested by replication_test.c. */
#include "indexer/link.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define MEMBERS_MS 200
#define READ_BYTES ((size_t)256 << 10)

void link_init(struct link *link, struct io *io, struct ingest_stream *stream)
{
    *link = (struct link){.io = io, .stream = stream};
    link->body_bytes_max = REPLICATE_GREETING_BYTES_MAX;
    link->heard_ms = link->said_ms = link_now_ms(link);
    link->silence_ms = LINK_SILENCE_MS;
}

void link_deinit(struct link *link)
{
    ingest_stream_close(&link->stream);
    buf_deinit(&link->in);
    buf_deinit(&link->out);
    buf_deinit(&link->scratch);
    replicate_message_deinit(&link->message);
}

int64_t link_now_ms(const struct link *link)
{
    return io_monotonic_ns(link->io) / 1000000;
}

void link_say(struct link *link, const struct replicate_message *message, int level)
{
    if (link->out_at == link->out.bytes) {
        buf_clear(&link->out);
        link->out_at = 0;
    }
    replicate_message_write(&link->out, message, level);
    link->said_ms = link_now_ms(link);
}

void link_say_members(struct link *link, struct link_members *members)
{
    uint64_t edition = link_members_edition(members);
    int64_t now_ms = link_now_ms(link);
    if (edition != link->members_told && now_ms - link->members_told_ms >= MEMBERS_MS) {
        struct replicate_message message = {.type = REPLICATE_TOPOLOGY};
        link_members_copy(members, &message.members);
        link_say(link, &message, 1);
        link->members_told = edition;
        link->members_told_ms = now_ms;
        replicate_message_deinit(&message);
    }
}

int link_write(struct link *link)
{
    while (link_unsent(link) > 0) {
        size_t put = 0;
        struct span rest = span_from(buf_span(&link->out), link->out_at);
        int rc = ingest_stream_write(link->stream, rest, &put);
        if (rc == INGEST_STREAM_AGAIN) {
            return 0;
        }
        if (rc < 0) {
            return rc;
        }
        link->out_at += put;
        link->bytes_out += put;
    }
    return 0;
}

int link_read(struct link *link)
{
    size_t left = link->in.bytes - link->in_at;
    if (link->in_at > 0) {
        memmove(link->in.data, link->in.data + link->in_at, left);
        link->in.bytes = left;
        link->in_at = 0;
    }
    size_t got = 0;
    int rc = ingest_stream_read(link->stream, buf_reserve(&link->in, READ_BYTES), READ_BYTES, &got);
    if (rc == INGEST_STREAM_AGAIN) {
        return 0;
    }
    if (rc == INGEST_STREAM_END) {
        return err_set(ERR_UNAVAILABLE, "the peer has closed the link");
    }
    if (rc == 0) {
        link->in.bytes += got;
        link->bytes_in += got;
        link->heard_ms = link_now_ms(link);
    }
    return rc;
}

int link_next(struct link *link)
{
    size_t bytes = 0;
    struct span rest = span_from(buf_span(&link->in), link->in_at);
    int rc =
        replicate_message_read(rest, link->body_bytes_max, &link->scratch, &link->message, &bytes);
    if (rc == 0) {
        link->in_at += bytes;
    }
    return rc;
}

int link_wait(struct link *link, bool reading, int wake_fd, int timeout_ms)
{
    if (link_now_ms(link) - link->heard_ms > link->silence_ms) {
        return err_set(ERR_TIMEOUT, "the peer was silent for %lld s",
                       (long long)link->silence_ms / 1000);
    }
    int rc = ingest_stream_wait(link->stream, reading, link_unsent(link) > 0, wake_fd, timeout_ms);
    return rc == INGEST_STREAM_TIMEOUT ? 0 : rc;
}

/* Whether somebody wants us to stop. */
static bool is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) > 0;
}

int link_expect(struct link *link, int stop_fd)
{
    int64_t until = link_now_ms(link) + LINK_GREETING_MS;
    for (;;) {
        int rc = link_write(link);
        rc = rc < 0 ? rc : link_next(link);
        if (rc == ERR_PROTOCOL) { /* always the same words, for it will come again */
            return err_set(ERR_PROTOCOL, "what came is no greeting of an indexer: is it the port "
                                         "of [Datalog] Listen, TLS on both sides or on none?");
        }
        if (rc != REPLICATE_CUT) {
            return rc;
        }
        int64_t left = until - link_now_ms(link);
        if (left <= 0) {
            return err_set(ERR_TIMEOUT, "the peer has said nothing for %d s",
                           LINK_GREETING_MS / 1000);
        }
        rc = link_wait(link, true, stop_fd, (int)left);
        if (is_readable(stop_fd)) {
            return err_set(ERR_CANCELLED, "told to stop");
        }
        rc = rc < 0 ? rc : link_read(link);
        if (rc < 0) {
            return rc;
        }
    }
}

int link_address_parse(const char *text, bool tls, struct ingest_target *ret_target)
{
    char whole[320];
    const char *colon = strrchr(text, ':');
    const char *bracket = strrchr(text, ']');
    bool has_port = colon != NULL && (bracket == NULL || bracket < colon);
    int length = has_port ? snprintf(whole, sizeof(whole), "%s://%s", tls ? "tls" : "tcp", text)
                          : snprintf(whole, sizeof(whole), "%s://%s:%d", tls ? "tls" : "tcp", text,
                                     LINK_PORT);
    if (length < 0 || (size_t)length >= sizeof(whole)) {
        return err_set(ERR_INVALID, "\"%.64s…\" is too long for an address", text);
    }
    return ingest_target_parse(whole, ret_target);
}
