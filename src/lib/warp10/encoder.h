/*
 * Warp 10's own encoding of points (its GTSEncoder): what formats RAW and PACK carry, multivalues
 * and the records of a 3.x datalog. One point after the other, each relative to the one before.
 * docs/protocols/warp10-http.md, "Encoded points". Pure; the writer's timestamps are in the unit
 * of the platform, in element.time_ns only when that is nanoseconds, so they are given apart.
 */
#ifndef WARP10_ENCODER_H
#define WARP10_ENCODER_H

#include "base/buf.h"
#include "base/check.h"
#include "series/element.h"

/* Zero-initialised is empty. */
struct encoder {
    struct buf buf;
    uint64_t count;
    int64_t time; /* of the last point */
    int64_t base;
    struct element last; /* place, elevation; its value when it was a number */
    bool has_long, has_double;
    int64_t last_long;
    double last_double;
};

void encoder_deinit(struct encoder *encoder);
void encoder_clear(struct encoder *encoder);
void encoder_put(struct encoder *encoder, int64_t time, const struct element *element);

/* The wrapper of one encoder: its bytes and count, as PACK and multivalues carry it. */
void encoder_wrap(struct buf *buf, const struct encoder *encoder);

enum decoder_outcome { DECODER_END = 1 };

struct decoder {
    struct span rest;
    int64_t base, time;
    struct element last;
    bool has_location, has_elevation, has_text;
    int64_t last_long;
    double last_double;
    struct span last_text;
    bool last_binary;
};

struct decoder decoder_of(struct span bytes, int64_t base);

/* DECODER_END, or ERR_CORRUPT. Texts borrow from the bytes. Deletion markers and encrypted
 * pieces are passed over. */
MUST_CHECK int decoder_next(struct decoder *decoder, int64_t *ret_time,
                            struct element *ret_element);

/* Takes a wrapper apart; the points borrow from it. ERR_CORRUPT; ERR_UNSUPPORTED: compressed. */
MUST_CHECK int decoder_unwrap(struct span wrapper, struct decoder *ret_decoder,
                              uint64_t *ret_count);

#endif
