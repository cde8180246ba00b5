/*
 * Checksums and hash values: XXH3 of xxHash. For tables and for detecting damage, not for secrets.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/span.h"

uint64_t hash64(struct span span);
uint64_t hash64_seeded(struct span span, uint64_t seed);
/* Of both as if the second stood right behind the first. */
uint64_t hash64_seeded_two(struct span first, struct span second, uint64_t seed);
void hash128(struct span span, uint64_t *ret_low, uint64_t *ret_high);
uint32_t hash32(struct span span); /* the low half of hash64: record checksums */

#endif
