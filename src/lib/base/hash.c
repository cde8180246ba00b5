#include "base/hash.h"

#include <xxhash.h>

uint64_t hash64(struct span span)
{
    return XXH3_64bits(span.data, span.bytes);
}

uint64_t hash64_seeded(struct span span, uint64_t seed)
{
    return XXH3_64bits_withSeed(span.data, span.bytes, seed);
}

uint32_t hash32(struct span span)
{
    return (uint32_t)hash64(span);
}
