/*
 * How many different values there were: exact up to DISTINCT_EXACT_MAX, an estimate beyond.
 *
 * Up to the bound a set of 128-bit hashes is kept (XXH3; two values are taken for one with a chance
 * below 1e-28). Beyond it the set becomes a HyperLogLog of m = 2^14 registers of one byte: the
 * first 14 bits of a value's hash choose the register, which keeps the greatest number of leading
 * zeros of the other 50 bits, plus one. The estimate is alpha_m * m^2 / sum(2^-register), alpha_m =
 * 0.7213 / (1 + 1.079 / m); its standard error is 1.04 / sqrt(m) = 0.81 %. The bound lies above
 * 5 m, where the estimate has no bias to correct, and 64-bit hashes need no correction for large
 * counts. (Flajolet, Fusy, Gandouet, Meunier: HyperLogLog, AOFA 2007; Heule, Nunkesser, Hall:
 * HyperLogLog in Practice, EDBT 2013.)
 *
 * Both forms merge, and the result does not depend on the order or on how values were spread.
 * Zero-initialised is empty and valid; one thread.
 */
#ifndef QUERY_DISTINCT_H
#define QUERY_DISTINCT_H

#include "base/wire.h"

#define DISTINCT_EXACT_MAX 100000
#define DISTINCT_REGISTERS 16384

struct distinct_hash {
    uint64_t low;
    uint64_t high;
};

struct distinct {
    struct distinct_hash *set; /* open addressing, zeros are free; NULL when `registers` is not */
    uint32_t capacity;
    uint32_t count;
    uint8_t *registers;
};

void distinct_deinit(struct distinct *distinct);
void distinct_add(struct distinct *distinct, struct span value);
uint64_t distinct_count(const struct distinct *distinct);
bool distinct_is_estimate(const struct distinct *distinct);
size_t distinct_bytes(const struct distinct *distinct); /* of memory */

/* As bytes, and merging such bytes; a broken form sticks to the reader. */
void distinct_put(const struct distinct *distinct, struct buf *buf);
void distinct_take(struct distinct *distinct, struct wire_reader *reader);

#endif
