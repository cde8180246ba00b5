/*
 * Where a source of Warp 10 3.x records is: a small file that is replaced whole, beside the
 * datalog. docs/protocols/warp10-datalog-3x.md. And the ids of the nodes whose records came from
 * there, by the hash that stands for them in origins (datalog2x.h), for those who tell them on.
 *
 *     aquifer-source 1
 *     ref 000001a1fb4e9dd6.1f167dba-949a-4c21-b543-a5f9:2351:178
 *     since 1795298523177                 instead, before there is a ref: what Start=now was, in ms
 *     nonce -6669511966315169524          handshakes that were seen, the last ones
 *     creator 17 node-n                   so many records of its were in our log at ref
 *     end 89abcdef                        hash32() of all lines before
 *
 * Refs and ids are percent-encoded.
 */
#ifndef INDEXER_OFFSET3X_H
#define INDEXER_OFFSET3X_H

#include "base/vec.h"
#include "io/io.h"
#include "warp10/feed3x_session.h"

#define OFFSET3X_BYTES_MAX ((size_t)4 << 20)
#define OFFSET3X_NONCES_KEPT 16u

struct offset3x_creator {
    char *id; /* owned */
    uint64_t records;
};

/* Zero-initialised is the beginning. */
struct offset3x {
    bool is_kept;   /* it was read, or written: what the log has more than it says came after it */
    struct buf ref; /* empty: none yet */
    int64_t since_ms; /* 0: none */
    VEC(struct offset3x_creator) creators;
};
void offset3x_deinit(struct offset3x *offset);
void offset3x_clear(struct offset3x *offset);

/* 0 when it has none. */
uint64_t offset3x_records(const struct offset3x *offset, struct span id);
void offset3x_set(struct offset3x *offset, struct span id, uint64_t records);

/* ERR_NOT_FOUND; ERR_CORRUPT. What it has is added to both. */
MUST_CHECK int offset3x_read(struct io *io, const char *path, struct offset3x *offset,
                             struct feed3x_nonces *nonces);
/* Durable when it returns 0. */
MUST_CHECK int offset3x_write(struct io *io, const char *path, struct offset3x *offset,
                              const struct feed3x_nonces *nonces);

/* A place in a real feeder's file: "STEM:POSITION:BYTES", STEM beginning with 16 hex digits and a
 * dot. False: another's ref. */
bool offset3x_place(struct span ref, struct span *ret_stem, uint64_t *ret_position);

/* Whether a real feeder that went back to the beginning of its file brings once more what lies at
 * or before `ref`; or it is that very ref. */
bool offset3x_is_behind(struct span ref, struct span other);

/* ── Ids ─────────────────────────────────────────────────────────────────────────────────── */

struct names3x;
struct names3x *names3x_new(void);
void names3x_free(struct names3x **names);
void names3x_put(struct names3x *names, struct span id); /* any thread, as the next */
/* Appends the id; "~HASH" when nobody knows it. */
void names3x_text(struct names3x *names, uint64_t hash, struct buf *buf);

#endif
