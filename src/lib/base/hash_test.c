/*
 * Claims: the hashes are XXH3 and stay so (they are on disk: a golden value guards them), a seed
 * changes them, and hash32 is the low half of hash64.
 */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void values_on_disk_never_change(void **state)
{
    (void)state;
    assert_int_equal(hash64(SPAN_NONE), UINT64_C(0x2d06800538d394c2));
    assert_int_equal(hash64(SPAN_LIT("aquifer")), hash64_seeded(SPAN_LIT("aquifer"), 0));
    assert_int_equal(hash32(SPAN_NONE), UINT32_C(0x38d394c2));
}

static void a_flipped_bit_and_a_seed_change_the_value(void **state)
{
    (void)state;
    uint8_t data[64] = {0};
    uint64_t before = hash64(span_of(data, sizeof(data)));
    assert_int_not_equal(before, hash64_seeded(span_of(data, sizeof(data)), 1));
    for (size_t bit = 0; bit < sizeof(data) * 8; bit++) {
        data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_not_equal(hash64(span_of(data, sizeof(data))), before);
        data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    assert_int_equal(hash64(span_of(data, sizeof(data))), before);
}

/* Leaves `seed` everywhere on the stack below the caller. */
__attribute__((noinline)) static void leave_on_the_stack(uint64_t seed)
{
    volatile uint64_t places[2048];
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        places[i] = seed;
    }
}

/* What stood where the state of the hash comes to lie, a seed even, makes no difference. */
static void the_hash_of_two_parts_is_that_of_the_whole(void **state)
{
    (void)state;
    uint8_t data[1000];
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 7);
    }
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct span whole = span_of(data, 200 + (size_t)seed * 8);
        uint64_t expected = hash64_seeded(whole, seed);
        leave_on_the_stack(seed);
        uint64_t got = hash64_seeded_two(span_first(whole, 67), span_from(whole, 67), seed);
        assert_true(got == expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_on_disk_never_change),
        cmocka_unit_test(a_flipped_bit_and_a_seed_change_the_value),
        cmocka_unit_test(the_hash_of_two_parts_is_that_of_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
