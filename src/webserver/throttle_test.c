/* Throttling: the n-th failure makes the next attempt wait, longer each time, and not for ever. */
#include "webserver/throttle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/time.h"

#define KEY SPAN_LIT("admin 192.0.2.1")

static void four_failures_do_not_wait_and_the_fifth_does(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new(5, 5 * TIME_MINUTE_NS);
    for (int i = 0; i < 4; i++) {
        throttle_failed(throttle, KEY, 0);
        assert_int_equal(throttle_wait_ns(throttle, KEY, 0), 0);
    }
    throttle_failed(throttle, KEY, 0);
    assert_int_equal(throttle_wait_ns(throttle, KEY, 0), TIME_S_NS);
    assert_int_equal(throttle_wait_ns(throttle, KEY, TIME_S_NS), 0);
    assert_int_equal(throttle_wait_ns(throttle, SPAN_LIT("admin 192.0.2.2"), 0), 0);
    throttle_free(&throttle);
}

static void waits_double_up_to_their_bound(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new(1, 5 * TIME_MINUTE_NS);
    int64_t expected_s[] = {1, 2, 4, 8, 16, 30, 30, 30};
    for (size_t i = 0; i < sizeof(expected_s) / sizeof(expected_s[0]); i++) {
        throttle_failed(throttle, KEY, 0);
        assert_int_equal(throttle_wait_ns(throttle, KEY, 0), expected_s[i] * TIME_S_NS);
    }
    throttle_free(&throttle);
}

static void a_success_or_the_end_of_the_window_forgets(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new(1, TIME_MINUTE_NS);
    throttle_failed(throttle, KEY, 0);
    throttle_succeeded(throttle, KEY);
    assert_int_equal(throttle_wait_ns(throttle, KEY, 0), 0);
    throttle_failed(throttle, KEY, 0);
    throttle_failed(throttle, KEY, TIME_MINUTE_NS);
    assert_int_equal(throttle_wait_ns(throttle, KEY, TIME_MINUTE_NS), TIME_S_NS);
    throttle_free(&throttle);
}

/* The table does not grow past its bound, whatever names are tried. */
static void names_that_are_tried_do_not_pile_up(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new(1, TIME_MINUTE_NS);
    for (uint32_t i = 0; i < THROTTLE_KEYS_MAX + 5; i++) {
        throttle_failed(throttle, span_of(&i, sizeof(i)), 0);
    }
    uint32_t first = 0;
    uint32_t last = THROTTLE_KEYS_MAX + 4;
    assert_int_equal(throttle_wait_ns(throttle, span_of(&first, sizeof(first)), 0), 0);
    assert_int_equal(throttle_wait_ns(throttle, span_of(&last, sizeof(last)), 0), TIME_S_NS);
    throttle_free(&throttle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_failures_do_not_wait_and_the_fifth_does),
        cmocka_unit_test(waits_double_up_to_their_bound),
        cmocka_unit_test(a_success_or_the_end_of_the_window_forgets),
        cmocka_unit_test(names_that_are_tried_do_not_pile_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
