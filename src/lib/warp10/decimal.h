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

/* Fast decimal integers; returns what follows. Room for 20 characters must be there. */
uint8_t *decimal_put_u64(uint8_t *at, uint64_t value);
uint8_t *decimal_put_i64(uint8_t *at, int64_t value);

#endif
