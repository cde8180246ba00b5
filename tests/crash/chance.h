/*
 * Numbers from a seed, for what a life does next. Apart from the disk's own (io/sim.h), so that
 * more trouble with the disk does not change what users do.
 */
#ifndef CRASH_CHANCE_H
#define CRASH_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

struct chance {
    uint64_t state;
};

/* splitmix64 */
static inline uint64_t chance_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline uint64_t below(struct chance *chance, uint64_t bound)
{
    uint64_t value = chance_mix(chance->state);
    chance->state += UINT64_C(0x9e3779b97f4a7c15);
    return value % bound;
}

static inline bool one_in(struct chance *chance, uint64_t bound)
{
    return below(chance, bound) == 0;
}

#endif
