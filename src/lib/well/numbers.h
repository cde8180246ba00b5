/*
 * Sequences of integers and of doubles as few bytes: docs/formats/segment.md.
 *
 * Integers: differences to the first one, divided by what divides them all; then as they are, by
 * their differences or by the differences of these; then packed to the bits that most of a group
 * need, with exceptions (PFOR: Zukowski et al., "Super-Scalar RAM-CPU Cache Compression", 2006),
 * or as bytes in a zstd frame, whichever is smaller. Differences of differences are those
 * of Pelkonen et al., "Gorilla", 2015.
 * Doubles: as decimal numbers, integers with one exponent, where every bit comes back (Afroozeh,
 * Kuffo, Boncz, "ALP: Adaptive Lossless floating-Point Compression", 2023), the others as
 * exceptions; or their bits as integers. Pure.
 */
#ifndef WELL_NUMBERS_H
#define WELL_NUMBERS_H

#include "base/buf.h"
#include "base/err.h"

#define NUMBERS_COUNT_MAX 131072

/* Working memory of a coder. Zero-initialised is ready. One thread. */
struct numbers {
    int zstd_level; /* 0: bits only; for writing */
    struct ZSTD_CCtx_s *writing;
    struct ZSTD_DCtx_s *reading;
    struct buf scratch[5];
};

void numbers_deinit(struct numbers *numbers);

/* Appends them to `buf`; how many there are is not stored. Equal sequences give equal bytes. */
void numbers_put(struct numbers *numbers, const int64_t *values, size_t count, struct buf *buf);
void numbers_put_doubles(struct numbers *numbers, const double *values, size_t count,
                         struct buf *buf);

/* Reads `count` <= NUMBERS_COUNT_MAX of them off the front of `*rest`. ERR_CORRUPT: these bytes
 * are no such sequence. */
MUST_CHECK int numbers_get(struct numbers *numbers, struct span *rest, int64_t *values,
                           size_t count);

/* The same, of a sequence that is one number again and again, however long. False: it is not, and
 * *rest is left alone. */
bool numbers_get_same(struct span *rest, int64_t *ret_value);
MUST_CHECK int numbers_get_doubles(struct numbers *numbers, struct span *rest, double *values,
                                   size_t count);

#endif
