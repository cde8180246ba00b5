/*
 * Elements: locations are rounded as Warp 10 rounds them, and nothing equal differs by a bit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "series/element.h"

static void locations_are_those_of_warp_10(void **state)
{
    (void)state;
    struct location location = location_of_degrees(48.0, -4.5);
    assert_true(location_code(location) == UINT64_C(0xb570707070707070));
    double latitude = 0;
    double longitude = 0;
    location_degrees(location_of_code(UINT64_C(0xb570707070707070)), &latitude, &longitude);
    assert_true(latitude == 47.99999998882413);
    assert_true(longitude == -4.500000067055225);
    location_degrees(location_of_degrees(90, 180), &latitude, &longitude);
    assert_true(latitude == 89.99999995809048);
    assert_true(longitude == 0.0);
}

static void degrees_far_outside_wrap_and_do_not_overflow(void **state)
{
    (void)state;
    struct location plain = location_of_degrees(10, 20);
    struct location around = location_of_degrees(10, 20 + 360 * 5);
    assert_int_equal(plain.latitude, around.latitude);
    assert_int_equal(plain.longitude, around.longitude);
    (void)location_of_degrees(1e300, -1e300);
    for (uint64_t bit = 0; bit < 64; bit++) {
        uint64_t code = UINT64_C(1) << bit;
        assert_true(location_code(location_of_code(code)) == code);
    }
}

static void values_are_equal_bit_by_bit(void **state)
{
    (void)state;
    struct element a = {.time_ns = 1, .type = ELEMENT_F64, .value.f64 = 0.0};
    struct element b = {.time_ns = 2, .type = ELEMENT_F64, .value.f64 = 0.0};
    assert_true(element_equal_value(&a, &b));
    b.value.f64 = -0.0;
    assert_false(element_equal_value(&a, &b));
    a = b;
    b.has = ELEMENT_HAS_ELEVATION;
    assert_false(element_equal_value(&a, &b));
    a.has = ELEMENT_HAS_ELEVATION;
    assert_true(element_equal_value(&a, &b));
    b.elevation = 1;
    assert_false(element_equal_value(&a, &b));
    a = (struct element){.type = ELEMENT_TEXT, .value.bytes = SPAN_LIT("x")};
    b = (struct element){.type = ELEMENT_BYTES, .value.bytes = SPAN_LIT("x")};
    assert_false(element_equal_value(&a, &b));
    b.type = ELEMENT_TEXT;
    assert_true(element_equal_value(&a, &b));
    a.has = b.has = ELEMENT_HAS_LOCATION;
    a.location.longitude = 1;
    assert_false(element_equal_value(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locations_are_those_of_warp_10),
        cmocka_unit_test(degrees_far_outside_wrap_and_do_not_overflow),
        cmocka_unit_test(values_are_equal_bit_by_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
