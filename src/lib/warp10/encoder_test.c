/*
 * Encoded points: the examples of the reference byte for byte, and that what is encoded is
 * decoded as it was.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"
#include "warp10/encoder.h"

#define T0 INT64_C(1700000000000000)

static void check_bytes(const struct encoder *encoder, const char *expected)
{
    struct buf hex = {0};
    text_hex(&hex, buf_span(&encoder->buf));
    assert_string_equal(buf_str(&hex), expected);
    buf_deinit(&hex);
}

static struct element of_f64(double value)
{
    return (struct element){.type = ELEMENT_F64, .value.f64 = value};
}

static struct element of_bytes(uint8_t type, struct span bytes)
{
    return (struct element){.type = type, .value.bytes = bytes};
}

static void the_examples_of_the_reference_are_made(void **state)
{
    (void)state;
    struct encoder encoder = {0};
    struct element element = of_f64(21.5);
    encoder_put(&encoder, T0, &element);
    element = (struct element){.type = ELEMENT_I64,
                               .has = ELEMENT_HAS_LOCATION | ELEMENT_HAS_ELEVATION,
                               .location = location_of_degrees(48.0, -4.5),
                               .elevation = 120000,
                               .value.i64 = 22};
    encoder_put(&encoder, T0 + 60000000, &element);
    check_bytes(&encoder, "7000060a24181e400001ae03"
                          "8c4c809c9c39b57070707070707080d30e2c");
    encoder_clear(&encoder);
    element = (struct element){.type = ELEMENT_BOOL, .value.boolean = true};
    encoder_put(&encoder, T0, &element);
    check_bytes(&encoder, "6400060a24181e4000");
    struct buf wrapper = {0};
    struct buf hex = {0};
    encoder_wrap(&wrapper, &encoder);
    text_hex(&hex, buf_span(&wrapper));
    assert_string_equal(buf_str(&hex), "78096400060a24181e4000160200");
    encoder_clear(&encoder);
    element = of_bytes(ELEMENT_TEXT, SPAN_LIT("caf\xC3\xA9 %"));
    element.has = ELEMENT_HAS_ELEVATION;
    element.elevation = 1500;
    encoder_put(&encoder, T0, &element);
    check_bytes(&encoder, "f80c00060a24181e4000b81707636166c3a92025");
    encoder_clear(&encoder);
    element = of_bytes(ELEMENT_BYTES, SPAN_LIT("\x00\x01\x02\xff"));
    encoder_put(&encoder, T0, &element);
    check_bytes(&encoder, "7a00060a24181e400004000102ff");
    encoder_deinit(&encoder);
    buf_deinit(&wrapper);
    buf_deinit(&hex);
}

/* Forms that we do not write but others do: base times, deltas, the same again, deletion
 * markers, encrypted pieces. */
static void every_form_of_a_point_is_read(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {
        0x2C, 0x0A,                /* long 5 at the base */
        0x49, 0x04,                /* the same long, base + 2 */
        0x0E, 0x02, 0x02,          /* long delta +1, time delta +1 */
        0x00, 0x03, 1,    2,    3, /* encrypted */
        0x07, 0x02,                /* deletion marker, time + 1 */
        0x8C, 0x4C, 0x02, 1,    2,    3,    4, 5, 6, 7, 8, 0x0A, 0x02, /* place, elevation 5 */
        0x8C, 0x6E, 0x02, 0x02, 0x02, 0x02,             /* deltas of place and elevation */
        0x8C, 0x59, 0x02, 0x02,                         /* the same place and elevation */
        0x14, 0x02, 0x3F, 0xF0, 0,    0,    0, 0, 0, 0, /* 1.0 as bits */
        0x11, 0x02,                                     /* the same double */
        0x1A, 0x02, 0x01, 'x',                          /* bytes */
        0x19, 0x02,                                     /* the same text */
    };
    static const int64_t times[] = {100, 102, 103, 105, 106, 107, 108, 109, 110, 111};
    struct decoder decoder = decoder_of(span_of(bytes, sizeof(bytes)), 100);
    struct element got[10];
    int64_t time;
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        assert_int_equal(decoder_next(&decoder, &time, &got[i]), 0);
        assert_int_equal(time, times[i]);
    }
    assert_int_equal(got[0].value.i64, 5);
    assert_int_equal(got[1].value.i64, 5);
    assert_int_equal(got[2].value.i64, 6);
    assert_int_equal(location_code(got[3].location), UINT64_C(0x0102030405060708));
    assert_int_equal(got[3].elevation, 5);
    assert_int_equal(location_code(got[4].location), UINT64_C(0x0102030405060709));
    assert_int_equal(got[4].elevation, 6);
    assert_int_equal(location_code(got[5].location), UINT64_C(0x0102030405060709));
    assert_int_equal(got[5].elevation, 6);
    assert_true(got[6].value.f64 == 1.0 && got[7].value.f64 == 1.0);
    assert_int_equal(got[9].type, ELEMENT_BYTES);
    assert_true(span_equal_str(got[9].value.bytes, "x"));
    assert_int_equal(decoder_next(&decoder, &time, &got[0]), DECODER_END);
}

static uint64_t seed = 7;

static uint64_t random_u64(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return seed ^ seed >> 29;
}

static struct element random_element(void)
{
    static const uint8_t text[16] = "abcdefghijklmno";
    struct element element = {.type = (uint8_t)(1 + random_u64() % 5),
                              .has = (uint8_t)(random_u64() % 4)};
    if ((element.has & ELEMENT_HAS_LOCATION) != 0) {
        element.location = location_of_code(random_u64() % 3);
    }
    if ((element.has & ELEMENT_HAS_ELEVATION) != 0) {
        element.elevation = (int64_t)(random_u64() >> random_u64() % 64);
    }
    if (element.type >= ELEMENT_TEXT) {
        element.value.bytes = span_of(text, random_u64() % 16);
    } else if (element.type == ELEMENT_BOOL) {
        element.value.boolean = random_u64() % 2 == 0;
    } else if (element.type == ELEMENT_F64 && random_u64() % 2 == 0) {
        element.value.f64 = (double)(int64_t)(random_u64() % 1000) / 100;
    } else {
        element.value.i64 = (int64_t)(random_u64() >> random_u64() % 64);
    }
    return element;
}

static void what_is_encoded_is_decoded_as_it_was(void **state)
{
    (void)state;
    for (size_t round = 0; round < 2000; round++) {
        struct encoder encoder = {0};
        struct element elements[8];
        int64_t times[8];
        for (size_t i = 0; i < ARRAY_COUNT(elements); i++) {
            elements[i] = random_element();
            times[i] = (int64_t)(random_u64() >> random_u64() % 64);
            encoder_put(&encoder, times[i], &elements[i]);
        }
        struct decoder decoder = decoder_of(buf_span(&encoder.buf), 0);
        struct element back;
        int64_t time;
        for (size_t i = 0; i < ARRAY_COUNT(elements); i++) {
            assert_int_equal(decoder_next(&decoder, &time, &back), 0);
            assert_int_equal(time, times[i]);
            assert_true(element_equal_value(&back, &elements[i]));
        }
        assert_int_equal(decoder_next(&decoder, &time, &back), DECODER_END);

        /* Cut anywhere: an end or a fault, never a point that was not there. */
        for (size_t bytes = 0; bytes < encoder.buf.bytes; bytes++) {
            decoder = decoder_of(span_of(encoder.buf.data, bytes), 0);
            size_t count = 0;
            while (decoder_next(&decoder, &time, &back) == 0) {
                count++;
            }
            assert_true(count < ARRAY_COUNT(elements));
        }
        encoder_deinit(&encoder);
    }
}

static void compressed_wrappers_are_named(void **state)
{
    (void)state;
    struct decoder decoder;
    uint64_t count;
    assert_int_equal(decoder_unwrap(SPAN_LIT("\x78\x01x\x16\x02\x11\x00"), &decoder, &count),
                     ERR_UNSUPPORTED);
    assert_int_equal(decoder_unwrap(SPAN_LIT("\x78\x09x"), &decoder, &count), ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_reference_are_made),
        cmocka_unit_test(every_form_of_a_point_is_read),
        cmocka_unit_test(what_is_encoded_is_decoded_as_it_was),
        cmocka_unit_test(compressed_wrappers_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
