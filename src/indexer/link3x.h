/*
 * One connection of a Warp 10 3.x feed as frames over a stream: what consumer3x.c and feeder3x.c
 * share. docs/protocols/warp10-datalog-3x.md. One thread.
 */
#ifndef INDEXER_LINK3X_H
#define INDEXER_LINK3X_H

#include "ingest/stream.h"
#include "io/io.h"
#include "warp10/feed3x_session.h"

#define LINK3X_GREETING_MS                                                                         \
    10000 /* a peer that says nothing for so long in the handshake is gone                         \
           */
#define LINK3X_UNSENT_BYTES_MAX ((size_t)1 << 20)

struct link3x {
    struct io *io;
    struct ingest_stream *stream; /* owned */
    struct buf in, out;
    size_t in_at, out_at;
    int64_t heard_ms, said_ms, moved_ms; /* last bytes in, last frame out, last bytes out */
    uint64_t taken;                      /* bytes of whole frames: where the next one begins */
};

/* Takes the stream. */
void link3x_init(struct link3x *link, struct io *io, struct ingest_stream *stream);
void link3x_deinit(struct link3x *link);
int64_t link3x_now_ms(const struct link3x *link);

/* As much as the peer takes now. */
MUST_CHECK int link3x_write(struct link3x *link);
static inline size_t link3x_unsent(const struct link3x *link)
{
    return link->out.bytes - link->out_at;
}
/* What is put behind it is to be written; it was said now. */
struct buf *link3x_out(struct link3x *link);

/* What is there: 0, also for nothing; ERR_UNAVAILABLE: the peer has closed. */
MUST_CHECK int link3x_read(struct link3x *link);
/* The next frame's body: 0, FEED3X_CUT (read more), ERR_PROTOCOL. Holds until the next read. */
MUST_CHECK int link3x_next(struct link3x *link, struct span *ret_body);

/* Until there is something to do: 0. */
MUST_CHECK int link3x_wait(struct link3x *link, int wake_fd, int timeout_ms);

/* Writes what there is and waits for one frame, for LINK3X_GREETING_MS: ERR_TIMEOUT;
 * ERR_CANCELLED when `stop_fd` is readable. */
MUST_CHECK int link3x_expect(struct link3x *link, int stop_fd, struct span *ret_body);

#endif
