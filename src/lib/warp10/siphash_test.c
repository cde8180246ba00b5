/*
 * Ids as Warp 10 computes them: every vector of the reference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/check.h"
#include "warp10/siphash.h"

/* Keys of 16 bytes, ascending from `first`. */
static struct siphash_key key_from(uint8_t first)
{
    uint8_t bytes[SIPHASH_KEY_BYTES];
    for (uint8_t i = 0; i < SIPHASH_KEY_BYTES; i++) {
        bytes[i] = (uint8_t)(first + i);
    }
    return siphash_key_of(bytes);
}

static void the_key_is_two_big_endian_words(void **state)
{
    (void)state;
    uint8_t data[15];
    for (uint8_t i = 0; i < sizeof(data); i++) {
        data[i] = i;
    }
    assert_int_equal(siphash(key_from(0), span_of(data, sizeof(data))),
                     UINT64_C(0x965ca8d49eeb0f14));
    /* The published vector: the same key as little-endian words. */
    struct siphash_key little = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    assert_int_equal(siphash(little, span_of(data, sizeof(data))), UINT64_C(0xa129ca6149be45e5));
}

static void names_have_the_ids_of_the_reference(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t id;
    } cases[] = {{".app", UINT64_C(0x2dae8fc4d2f4d730)},
                 {"demo", UINT64_C(0x6c4179ac065fb100)},
                 {"room", UINT64_C(0xcaa154d0ef48f2b4)},
                 {"kitchen", UINT64_C(0x37aaf18884e18711)}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_int_equal(siphash_mirrored(key_from(0x10), span_of_str(cases[i].text)), cases[i].id);
    }
}

static void label_sets_have_the_ids_and_shard_keys_of_the_reference(void **state)
{
    (void)state;
    struct span uuid = SPAN_LIT("11111111-1111-1111-1111-111111111111");
    const struct siphash_label labels[] = {{SPAN_LIT("room"), SPAN_LIT("kitchen")},
                                           {SPAN_LIT("sensor"), SPAN_LIT("a")},
                                           {SPAN_LIT(".app"), SPAN_LIT("demo")},
                                           {SPAN_LIT(".owner"), uuid},
                                           {SPAN_LIT(".producer"), uuid}};
    const struct siphash_label turned[] = {labels[4], labels[2], labels[0], labels[3], labels[1]};
    uint64_t class_id = siphash_mirrored(key_from(0), SPAN_LIT("demo.temp"));
    uint64_t labels_id = siphash_labels(key_from(0x10), labels, ARRAY_COUNT(labels));
    assert_int_equal(class_id, UINT64_C(0x90613024cf833fd6));
    assert_int_equal(labels_id, UINT64_C(0x5e9132e85a28d5d4));
    assert_int_equal(siphash_labels(key_from(0x10), turned, ARRAY_COUNT(turned)), labels_id);
    assert_int_equal(siphash_shard_key(class_id, labels_id), UINT64_C(52934652515796));
    (void)siphash_labels(key_from(0x10), NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_is_two_big_endian_words),
        cmocka_unit_test(names_have_the_ids_of_the_reference),
        cmocka_unit_test(label_sets_have_the_ids_and_shard_keys_of_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
