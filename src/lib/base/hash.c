#include "base/hash.h"

#define XXH_STATIC_LINKING_ONLY /* the state of a hash on the stack */
#include <xxhash.h>

uint64_t hash64(struct span span)
{
    return XXH3_64bits(span.data, span.bytes);
}

uint64_t hash64_seeded(struct span span, uint64_t seed)
{
    return XXH3_64bits_withSeed(span.data, span.bytes, seed);
}

uint64_t hash64_seeded_two(struct span first, struct span second, uint64_t seed)
{
    XXH3_state_t state;     /* 576 bytes, aligned to 64 */
    XXH3_INITSTATE(&state); /* else a seed that happens to stand there is taken for prepared */
    XXH3_64bits_reset_withSeed(&state, seed);
    XXH3_64bits_update(&state, first.data, first.bytes);
    XXH3_64bits_update(&state, second.data, second.bytes);
    return XXH3_64bits_digest(&state);
}

void hash128(struct span span, uint64_t *ret_low, uint64_t *ret_high)
{
    XXH128_hash_t hash = XXH3_128bits(span.data, span.bytes);
    *ret_low = hash.low64;
    *ret_high = hash.high64;
}

uint32_t hash32(struct span span)
{
    return (uint32_t)hash64(span);
}
