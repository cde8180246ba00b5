/*
 * Doubles as decimals: the fewest digits that give the same double again.
 */
#ifndef WARP10_DECIMAL_H
#define WARP10_DECIMAL_H

#include "base/buf.h"

struct decimal {
    uint64_t digits; /* without trailing zeros; 0 for zero */
    int exponent;    /* the value is digits * 10^exponent */
    bool negative;
};

#define DECIMAL_DIGITS_MAX (UINT64_C(1) << 46) /* what Warp 10 keeps as a decimal */

/* The value must be finite. */
struct decimal decimal_of(double value);

/* Whether Warp 10 would have kept it as a decimal, had it been written as plain digits. */
bool decimal_is_plain(const struct decimal *decimal);

/* As the text formats and as JSON show doubles: docs/protocols/warp10-http.md, "Numbers". */
void decimal_print_text(struct buf *buf, double value);
void decimal_print_json(struct buf *buf, double value);

/*
 * The same into memory with room for DECIMAL_TEXT_BYTES, of which less is used; they return what
 * follows.
 */
#define DECIMAL_TEXT_BYTES 64
uint8_t *decimal_put_u64(uint8_t *at, uint64_t value);
uint8_t *decimal_put_i64(uint8_t *at, int64_t value);
uint8_t *decimal_put_f64(uint8_t *at, double value); /* as text; finite, and not -0.0 */

/* An integer that is near the one before, such as a time: its upper digits are kept.
 * Zero-initialised. */
struct decimal_near {
    uint64_t base; /* what they stand for */
    size_t chars;
    uint8_t text[12];
};
uint8_t *decimal_put_near(uint8_t *at, int64_t value, struct decimal_near *near);

/* decimal_put_f64() of a double that has as many decimals as the one before, or nearly so.
 * Zero-initialised. */
struct decimal_alike {
    unsigned places;
};
uint8_t *decimal_put_alike(uint8_t *at, double value, struct decimal_alike *alike);

#endif
