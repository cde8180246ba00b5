/* Tested by output_test.c. */
#include "warp10/shortest.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/check.h"

#define FRACTION_BITS 52
#define EXPONENT_BIAS (1023 + FRACTION_BITS)
#define POWER_MIN (-292)
#define POWER_MAX 324
#define LIMBS 36 /* of 32 bits: 10^324 has 1077 */

__extension__ typedef unsigned __int128 u128;

/* The first 128 bits of powers of ten, rounded up. Made once: 10 kB of numbers nobody can check
 * by eye are less to read as a loop. */
static struct {
    uint64_t high, low;
} powers[POWER_MAX - POWER_MIN + 1];

struct big {
    uint32_t limbs[LIMBS]; /* the least first */
};

static void multiply(struct big *big, uint32_t factor)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < LIMBS; i++) {
        carry += (uint64_t)big->limbs[i] * factor;
        big->limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    CHECK(carry == 0);
}

static int compare(const struct big *a, const struct big *b)
{
    for (size_t i = LIMBS; i > 0; i--) {
        if (a->limbs[i - 1] != b->limbs[i - 1]) {
            return a->limbs[i - 1] < b->limbs[i - 1] ? -1 : 1;
        }
    }
    return 0;
}

static void subtract(struct big *from, const struct big *what)
{
    int64_t borrow = 0;
    for (size_t i = 0; i < LIMBS; i++) {
        borrow += (int64_t)from->limbs[i] - what->limbs[i];
        from->limbs[i] = (uint32_t)borrow;
        borrow >>= 32;
    }
}

static size_t bits_of(const struct big *big)
{
    for (size_t i = LIMBS; i > 0; i--) {
        if (big->limbs[i - 1] != 0) {
            return 32 * i - (size_t)__builtin_clz(big->limbs[i - 1]);
        }
    }
    return 0;
}

static bool bit_of(const struct big *big, size_t index)
{
    return (big->limbs[index / 32] >> index % 32 & 1) != 0;
}

static void keep(int power, u128 value)
{
    powers[power - POWER_MIN].high = (uint64_t)(value >> 64);
    powers[power - POWER_MIN].low = (uint64_t)value;
}

/* The first 128 bits, one more when any bit follows. */
static u128 top_of(const struct big *big)
{
    size_t bits = bits_of(big);
    u128 top = 0;
    bool rest = false;
    for (size_t i = 0; i < 128; i++) {
        top = top << 1 | (i < bits && bit_of(big, bits - 1 - i) ? 1 : 0);
    }
    for (size_t i = 128; i < bits; i++) {
        rest |= bit_of(big, bits - 1 - i);
    }
    return top + rest;
}

/* The first 128 bits of 1 / big, rounded up: long division of a power of two. */
static u128 inverse_of(const struct big *big)
{
    struct big rest = {{0}};
    size_t bits = bits_of(big) - 1; /* 2^bits <= big */
    u128 quotient = 0;
    rest.limbs[bits / 32] = UINT32_C(1) << bits % 32;
    for (size_t i = 0; i < 128; i++) {
        multiply(&rest, 2);
        quotient <<= 1;
        if (compare(&rest, big) >= 0) {
            subtract(&rest, big);
            quotient |= 1;
        }
    }
    return quotient + 1; /* no power of ten but 1 divides a power of two */
}

static void make_powers(void)
{
    struct big big = {{1}};
    for (int power = 0; power <= POWER_MAX; power++) {
        keep(power, top_of(&big));
        if (power > 0 && power <= -POWER_MIN) {
            keep(-power, inverse_of(&big));
        }
        if (power < POWER_MAX) {
            multiply(&big, 10);
        }
    }
}

static int floor_log2_pow10(int exponent)
{
    return (exponent * 1741647) >> 19;
}

static int floor_log10_pow2(int exponent, bool three_quarters)
{
    return (exponent * 1262611 - (three_quarters ? 524031 : 0)) >> 22;
}

/* The product's upper 64 bits; the last one says whether anything was cut off. */
static uint64_t round_to_odd(uint64_t high, uint64_t low, uint64_t factor)
{
    u128 x = (u128)low * factor;
    u128 y = (u128)high * factor + (uint64_t)(x >> 64);
    return (uint64_t)(y >> 64) | ((uint64_t)y > 1 ? 1 : 0);
}

struct bounds {
    uint64_t lower, upper; /* fourths of a unit: what still reads back as the double */
    uint64_t value;
};

static void choose(const struct bounds *b, int power, uint64_t *ret_digits, int *ret_exponent)
{
    uint64_t digits = b->value / 4;
    *ret_exponent = power;
    if (digits >= 10) {
        uint64_t shorter = digits / 10;
        bool down = b->lower <= 40 * shorter;
        bool up = 40 * shorter + 40 <= b->upper;
        if (down != up) {
            *ret_digits = shorter + up;
            *ret_exponent = power + 1;
            return;
        }
    }
    bool down = b->lower <= 4 * digits;
    bool up = 4 * digits + 4 <= b->upper;
    if (down != up) {
        *ret_digits = digits + up;
        return;
    }
    uint64_t middle = 4 * digits + 2;
    *ret_digits = digits + (b->value > middle || (b->value == middle && (digits & 1) != 0));
}

void shortest_digits(double value, uint64_t *ret_digits, int *ret_exponent)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    uint64_t bits;
    (void)pthread_once(&once, make_powers);
    memcpy(&bits, &value, sizeof(bits));
    uint64_t fraction = bits & ((UINT64_C(1) << FRACTION_BITS) - 1);
    int exponent = (int)(bits >> FRACTION_BITS & 0x7FF);
    uint64_t c = exponent != 0 ? fraction | UINT64_C(1) << FRACTION_BITS : fraction;
    int q = (exponent != 0 ? exponent : 1) - EXPONENT_BIAS;
    bool closer = fraction == 0 && exponent > 1; /* the neighbour below is half as far */
    bool odd = (c & 1) != 0;

    int power = floor_log10_pow2(q, closer);
    int shift = q + floor_log2_pow10(-power) + 1;
    uint64_t high = powers[-power - POWER_MIN].high;
    uint64_t low = powers[-power - POWER_MIN].low;
    struct bounds b = {
        .lower = round_to_odd(high, low, (4 * c - 2 + closer) << shift) + odd,
        .upper = round_to_odd(high, low, (4 * c + 2) << shift) - odd,
        .value = round_to_odd(high, low, (4 * c) << shift),
    };
    choose(&b, power, ret_digits, ret_exponent);
}
