/* A link sends at its rate, by a clock that is simulated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "replicate/pace.h"

#define SECOND_NS INT64_C(1000000000)

/* Sends pieces of these sizes in turn, always as soon as it may, and looks again `late_ns` late:
 * how many bytes went in `seconds`. */
static uint64_t sent(uint64_t rate, const uint64_t *sizes, size_t count, int64_t late_ns,
                     int64_t seconds)
{
    struct replicate_pace pace = {.bytes_per_s = rate};
    uint64_t bytes = 0;
    int64_t begin = 12345 * SECOND_NS;
    int64_t now = begin;
    for (size_t i = 0; now < begin + seconds * SECOND_NS; i++) {
        replicate_pace_take(&pace, sizes[i % count], now);
        bytes += sizes[i % count];
        int64_t wait = replicate_pace_wait_ns(&pace, now);
        now += wait > 0 ? wait + late_ns : 0;
        assert_int_equal(replicate_pace_wait_ns(&pace, now), 0);
    }
    return bytes;
}

static void assert_within_a_percent(uint64_t got, uint64_t want)
{
    assert_in_range(got, want - want / 100, want + want / 100);
}

static void the_rate_holds_whatever_the_size_of_what_is_sent(void **state)
{
    (void)state;
    static const uint64_t small[] = {100};
    static const uint64_t mixed[] = {70, 31000, 250000, 1};
    static const uint64_t larger_than_a_second[] = {4000000};
    assert_within_a_percent(sent(1000000, small, 1, 0, 100), 100000000);
    assert_within_a_percent(sent(1000000, mixed, 4, 0, 100), 100000000);
    assert_within_a_percent(sent(1000000, larger_than_a_second, 1, 0, 1000), 1000000000);
    assert_within_a_percent(sent(50000000, mixed, 4, 0, 100), UINT64_C(5000000000));
}

static void who_looks_late_loses_nothing_of_the_rate(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {30000};
    assert_within_a_percent(sent(1000000, sizes, 1, 20000000, 100), 100000000);
}

static void idle_time_is_saved_up_to_a_bound(void **state)
{
    (void)state;
    struct replicate_pace pace = {.bytes_per_s = 1000000};
    int64_t now = 5000 * SECOND_NS;
    uint64_t at_once = 0;
    replicate_pace_take(&pace, 1, now);
    now += 3600 * SECOND_NS;
    while (replicate_pace_wait_ns(&pace, now) == 0) {
        replicate_pace_take(&pace, 1000, now);
        at_once += 1000;
    }
    assert_in_range(at_once, 100000, 101000);
}

static void without_a_rate_nothing_waits(void **state)
{
    (void)state;
    struct replicate_pace pace = {0};
    replicate_pace_take(&pace, UINT64_C(1) << 34, 0);
    assert_int_equal(replicate_pace_wait_ns(&pace, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_holds_whatever_the_size_of_what_is_sent),
        cmocka_unit_test(who_looks_late_loses_nothing_of_the_rate),
        cmocka_unit_test(idle_time_is_saved_up_to_a_bound),
        cmocka_unit_test(without_a_rate_nothing_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
