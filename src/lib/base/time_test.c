/*
 * Claims: times and durations read and print as RFC 3339 and the web API want them, every
 * representable instant comes back from its text, and what is no time is refused.
 */
#include "base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static int64_t parsed(const char *text)
{
    int64_t time_ns;
    if (!time_parse(span_of_str(text), &time_ns)) {
        fail_msg("%s is not read", text);
    }
    return time_ns;
}

static void known_instants(void **state)
{
    (void)state;
    assert_int_equal(parsed("1970-01-01T00:00:00Z"), 0);
    assert_int_equal(parsed("2026-05-04T09:30:00.25Z"), INT64_C(1777887000250000000));
    assert_int_equal(parsed("2026-05-04T11:30:00.25+02:00"), INT64_C(1777887000250000000));
    assert_int_equal(parsed("2026-05-04T11:30:00.25+02"), INT64_C(1777887000250000000));
    assert_int_equal(parsed("1969-12-31T23:59:59.999999999Z"), -1);
    assert_int_equal(parsed("2024-02-29T00:00:00.1234567891Z") % TIME_S_NS, 123456789);
    assert_int_equal(parsed("0001-01-01T00:00:00Z"), TIME_UNSET);
    assert_int_equal(parsed("0002-01-01T00:00:00Z"), TIME_MIN_NS); /* a time, if a distant one */
    assert_int_equal(parsed("1600-01-01T00:00:00Z"), TIME_MIN_NS);
    assert_int_equal(parsed("1677-09-21T00:12:43.145224193Z"), TIME_MIN_NS);
    assert_int_equal(parsed("1677-10-01T00:00:00Z"), TIME_MIN_NS + INT64_C(863236854775807));
    assert_int_equal(parsed("9999-12-31T00:00:00Z"), TIME_MAX_NS);
}

static void instants_print_without_trailing_zeros(void **state)
{
    (void)state;
    char text[TIME_TEXT_BYTES];
    assert_string_equal(time_text(0, text), "1970-01-01T00:00:00Z");
    assert_string_equal(time_text(-1, text), "1969-12-31T23:59:59.999999999Z");
    assert_string_equal(time_text(1500 * TIME_MS_NS, text), "1970-01-01T00:00:01.5Z");
    assert_string_equal(time_text(TIME_UNSET, text), "0001-01-01T00:00:00Z");
    assert_string_equal(time_text(TIME_MAX_NS, text), "2262-04-11T23:47:16.854775807Z");
    assert_string_equal(time_text(TIME_MIN_NS, text), "1677-09-21T00:12:43.145224193Z");
}

static void every_instant_comes_back_and_agrees_with_libc(void **state)
{
    (void)state;
    unsigned seed = 5;
    for (int round = 0; round < 5000; round++) {
        int64_t seconds = ((int64_t)rand_r(&seed) << 2) - (INT64_C(1) << 32);
        int64_t time_ns = time_of_parts(seconds, rand_r(&seed) % 1000000000);
        char text[TIME_TEXT_BYTES];
        (void)time_text(time_ns, text);
        assert_int_equal(parsed(text), time_ns);
        struct tm parts;
        time_t clock = (time_t)seconds;
        char expected[TIME_TEXT_BYTES];
        (void)strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S", gmtime_r(&clock, &parts));
        assert_memory_equal(text, expected, 19);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "2026-05-04",
        "2026-05-04 09:30:00Z",
        "2026-05-04T09:30:00",
        "2026-13-04T09:30:00Z",
        "2026-00-04T09:30:00Z",
        "2025-02-29T09:30:00Z",
        "2026-05-04T24:00:00Z",
        "2026-05-04T09:60:00Z",
        "2026-05-04T09:30:00.Z",
        "2026-05-04T09:30:00+24:00",
        "2026-05-04T09:30:00Zx",
        "2026-05-04T09:30:00+0",
        "26-05-04T09:30:00Z",
    };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        int64_t time_ns;
        if (time_parse(span_of_str(wrong[i]), &time_ns)) {
            fail_msg("%s is read as a time", wrong[i]);
        }
    }
}

static void days_and_dates_are_inverse(void **state)
{
    (void)state;
    for (int64_t days = -200000; days < 200000; days += 7) {
        int64_t year;
        unsigned month;
        unsigned day;
        time_date_of_days(days, &year, &month, &day);
        assert_int_equal(time_days_of_date(year, month, day), days);
    }
}

static void sums_stay_within_the_range(void **state)
{
    (void)state;
    assert_int_equal(time_of_parts(INT64_MAX, 0), TIME_MAX_NS);
    assert_int_equal(time_of_parts(INT64_MIN, 0), TIME_MIN_NS);
    assert_int_equal(time_of_parts(1, -1), TIME_S_NS - 1);
}

static void durations_read_with_their_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } rows[] = {
        {"0", 0},
        {"90s", 90 * TIME_S_NS},
        {"1h30m", 90 * TIME_MINUTE_NS},
        {"250ms", 250 * TIME_MS_NS},
        {"1.5s", 1500 * TIME_MS_NS},
        {".5m", 30 * TIME_S_NS},
        {"2d", 2 * TIME_DAY_NS},
        {"1w", 7 * TIME_DAY_NS},
        {"-3m", -3 * TIME_MINUTE_NS},
        {"+1us", TIME_US_NS},
        {"1\xc2\xb5s", TIME_US_NS},
        {"7ns", 7},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int64_t ns;
        assert_true(time_parse_duration(span_of_str(rows[i].text), &ns));
        assert_int_equal(ns, rows[i].ns);
    }
    static const char *const wrong[] = {"",     "5",   "s",          "1x", "-",
                                        "1h30", "1.s", "999999999y", "1 h"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        int64_t ns;
        assert_false(time_parse_duration(span_of_str(wrong[i]), &ns));
    }
}

static void durations_print_as_the_web_api_wants(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } rows[] = {
        {0, "0s"},
        {7, "7ns"},
        {77100, "77.1\xc2\xb5s"},
        {250 * TIME_MS_NS, "250ms"},
        {1500 * TIME_MS_NS, "1.5s"},
        {TIME_HOUR_NS + 2 * TIME_MINUTE_NS + 3 * TIME_S_NS, "1h2m3s"},
        {TIME_HOUR_NS, "1h0m0s"},
        {-TIME_S_NS, "-1s"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buf buf = {0};
        time_format_duration(&buf, rows[i].ns);
        assert_string_equal(buf_str(&buf), rows[i].text);
        buf_deinit(&buf);
    }
}

static void windows_begin_at_the_epoch_on_both_sides_of_it(void **state)
{
    (void)state;
    assert_int_equal(time_floor(0, 10), 0);
    assert_int_equal(time_floor(19, 10), 10);
    assert_int_equal(time_floor(-1, 10), -10);
    assert_int_equal(time_floor(-10, 10), -10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_begin_at_the_epoch_on_both_sides_of_it),
        cmocka_unit_test(known_instants),
        cmocka_unit_test(instants_print_without_trailing_zeros),
        cmocka_unit_test(every_instant_comes_back_and_agrees_with_libc),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(days_and_dates_are_inverse),
        cmocka_unit_test(sums_stay_within_the_range),
        cmocka_unit_test(durations_read_with_their_units),
        cmocka_unit_test(durations_print_as_the_web_api_wants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
