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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_on_disk_never_change),
        cmocka_unit_test(a_flipped_bit_and_a_seed_change_the_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
