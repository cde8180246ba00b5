/*
 * Location codes: the reference's examples, and that a place does not wander.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "warp10/location.h"

static void check_place(double latitude, double longitude, double expected_latitude,
                        double expected_longitude)
{
    double lat;
    double lon;
    location_degrees(location_code(latitude, longitude), &lat, &lon);
    assert_true(lat == expected_latitude);
    assert_true(lon == expected_longitude);
}

static void places_come_back_quantised_as_in_the_reference(void **state)
{
    (void)state;
    assert_int_equal(location_code(48.0, -4.5), UINT64_C(0xb570707070707070));
    assert_int_equal((int64_t)location_code(48.0, -4.5), INT64_C(-5372670727227936656));
    check_place(48.0, -4.5, 47.99999998882413, -4.500000067055225);
    check_place(90, 180, 89.99999995809048, 0.0);
}

static void any_finite_place_has_a_code(void **state)
{
    (void)state;
    static const double values[] = {-1e300, -1e19, -361, -180, -90.5, 0, 90.5, 720, 1e19, 1e300};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        double lat;
        double lon;
        location_degrees(location_code(values[i], -values[i]), &lat, &lon);
        assert_true(lat >= -90 && lat <= 90 && lon >= -180 && lon <= 180);
    }
}

/* What was read from a code has that code: copies of copies stay where they are. */
static void a_code_is_the_code_of_its_degrees(void **state)
{
    (void)state;
    uint64_t code = 1;
    for (unsigned i = 0; i < 100000; i++) {
        double lat;
        double lon;
        code = code * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        location_degrees(code, &lat, &lon);
        assert_int_equal(location_code(lat, lon), code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_come_back_quantised_as_in_the_reference),
        cmocka_unit_test(any_finite_place_has_a_code),
        cmocka_unit_test(a_code_is_the_code_of_its_degrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
