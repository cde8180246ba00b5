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
    uint64_t low = 0;
    uint64_t high = 0;
    hash128(SPAN_NONE, &low, &high);
    assert_int_equal(low, UINT64_C(0x6001c324468d497f));
    assert_int_equal(high, UINT64_C(0x99aa06d3014798d8));
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

#define STACK_WORDS 1024

/* Writes over a few words of the stack below the caller. */
__attribute__((noinline)) static void disturb_the_stack(size_t at)
{
    volatile uint64_t words[STACK_WORDS];
    for (size_t i = at; i < at + 8; i++) {
        words[i] = i;
        (void)words[i];
    }
}

/* Whatever the state of the last hash, which still stands on the stack, looks like by now. */
static void the_hash_of_two_parts_is_that_of_the_whole(void **state)
{
    (void)state;
    uint8_t data[1000];
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 7);
    }
    struct span whole = span_of(data, sizeof(data));
    uint64_t expected = hash64_seeded(whole, 30);
    uint64_t wrong = 0;
    for (size_t at = 0; at < STACK_WORDS - 8; at += 4) {
        disturb_the_stack(at);
        uint64_t got = hash64_seeded_two(span_first(whole, 67), span_from(whole, 67), 30);
        wrong += got != expected;
    }
    assert_int_equal(wrong, 0);
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
