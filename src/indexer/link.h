/*
 * One replication link as messages over a stream: what forwarder and follower share. The bytes
 * are replicate/message.h; docs/protocols/replication.md. One thread per link.
 */
#ifndef INDEXER_LINK_H
#define INDEXER_LINK_H

#include "indexer/link_members.h"
#include "indexer/storage_intake.h"
#include "ingest/stream.h"
#include "replicate/greeting.h"

#define LINK_PORT 9406
#define LINK_NAME_BYTES_MAX 64 /* of a forwarder */
#define LINK_GREETING_MS 10000
#define LINK_HEARTBEAT_MS 1000          /* the forwarder says something at least so often */
#define LINK_SILENCE_MS 15000           /* a peer that says nothing for so long is gone */
#define LINK_SNAPSHOT_SILENCE_MS 300000 /* who takes a snapshot may have much to write */
#define LINK_UNSENT_BYTES_MAX ((size_t)1 << 20)

/* Zeroed but for `stream` and `io`. */
struct link {
    struct io *io;
    struct ingest_stream *stream; /* owned */
    uint32_t body_bytes_max;
    struct buf in, out;
    size_t in_at, out_at;
    struct buf scratch; /* of the message read last */
    struct replicate_message message;
    int64_t heard_ms, said_ms;
    int64_t silence_ms; /* the peer is gone then */
    uint64_t bytes_in, bytes_out;
    uint64_t members_told; /* edition, and when */
    int64_t members_told_ms;
};

/* Takes the stream. */
void link_init(struct link *link, struct io *io, struct ingest_stream *stream);
void link_deinit(struct link *link);

int64_t link_now_ms(const struct link *link);

/* Puts it behind what is to be written. */
void link_say(struct link *link, const struct replicate_message *message, int level);

/* Who forwards to whom, when there is news of it since the link began or was told last; at most
 * five times a second. */
void link_say_members(struct link *link, struct link_members *members);

/* As much as the peer takes now. */
MUST_CHECK int link_write(struct link *link);
static inline size_t link_unsent(const struct link *link)
{
    return link->out.bytes - link->out_at;
}

/* What is there: 0, also for nothing; ERR_UNAVAILABLE: the peer has closed. Ends what the message
 * borrowed. */
MUST_CHECK int link_read(struct link *link);

/* The next message into link->message: 0, REPLICATE_CUT (read more), ERR_PROTOCOL. It borrows
 * until the next link_read(). */
MUST_CHECK int link_next(struct link *link);

/* 0: try again; ERR_TIMEOUT: the peer was silent for too long. */
MUST_CHECK int link_wait(struct link *link, bool reading, int wake_fd, int timeout_ms);

/* Writes what there is and waits for one message, for LINK_GREETING_MS. ERR_CANCELLED when
 * `stop_fd` is readable. */
MUST_CHECK int link_expect(struct link *link, int stop_fd);

/* "host:port", "[::1]:port", or "host", whose port is LINK_PORT then. */
MUST_CHECK int link_address_parse(const char *text, bool tls, struct ingest_target *ret_target);

#endif
