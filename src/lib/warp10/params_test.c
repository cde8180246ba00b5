/*
 * What requests ask for: the ranges, forms and refusals of the reference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/err.h"
#include "warp10/params.h"

#define NOW_NS INT64_C(1700000000123456789)

static struct arena *arena;

static int make_arena(void **state)
{
    (void)state;
    arena = arena_new(8 << 20);
    return 0;
}

static int drop_arena(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static struct warp10_args args_of(const char *query)
{
    struct warp10_args args = {0};
    assert_int_equal(warp10_args_add(arena, &args, span_of_str(query)), 0);
    return args;
}

static int fetch_of(const char *query, struct warp10_fetch *ret_fetch)
{
    struct buf full = {0};
    buf_printf(&full, "selector=x{}&%s", query);
    struct warp10_args args = args_of(arena_span_str(arena, buf_span(&full)));
    buf_deinit(&full);
    return warp10_fetch_parse(&args, WARP10_US, NOW_NS, ret_fetch);
}

static void names_and_values_are_decoded(void **state)
{
    (void)state;
    struct warp10_args args = args_of("selector=~demo.*{a=b,c~d|e}&&x=%7B%20+&flag&x=2&=y");
    struct span value;
    assert_true(warp10_args_get(&args, "selector", &value));
    assert_true(span_equal_str(value, "~demo.*{a=b,c~d|e}"));
    assert_true(warp10_args_get(&args, "x", &value));
    assert_true(span_equal_str(value, "{  "));
    assert_true(warp10_args_get(&args, "flag", &value));
    assert_int_equal(value.bytes, 0);
    assert_false(warp10_args_has(&args, "y"));
    assert_int_equal(args.count, 5);
    struct warp10_args twice = args_of("selector=%257Ea.%252B%257Bb%253Dc%257D&x=%257B");
    assert_true(warp10_args_get(&twice, "selector", &value));
    assert_true(span_equal_str(value, "~a.+{b=c}")); /* some clients escape it twice */
    assert_true(warp10_args_get(&twice, "x", &value));
    assert_true(span_equal_str(value, "%7B"));
    assert_int_equal(warp10_args_add(arena, &args, SPAN_LIT("a=%z")), ERR_INVALID);
    assert_int_equal(args.count, 5);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i <= WARP10_ARGS_MAX; i++) {
        rc = warp10_args_add(arena, &args, SPAN_LIT("a=b"));
    }
    assert_int_equal(rc, ERR_TOO_LARGE);
}

static void ranges_are_those_of_the_reference(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        int64_t start_us, end_us;
        uint64_t count;
    } cases[] = {
        {"now=10000000&timespan=3000000", 7000001, 10000000, WARP10_UNLIMITED},
        {"end=10&timespan=3", 8, 10, WARP10_UNLIMITED},
        {"stop=10&timespan=1", 10, 10, WARP10_UNLIMITED},
        {"start=10&timespan=3", 10, 12, WARP10_UNLIMITED},
        {"start=2000000&stop=4000000", 2000000, 4000000, WARP10_UNLIMITED},
        {"start=4000000&stop=2000000", 2000000, 4000000, WARP10_UNLIMITED},
        {"now=10&timespan=PT1S", -999989, 10, WARP10_UNLIMITED},
        {"timespan=5000000&count=2&now=9000000", 4000001, 9000000, 2},
        {"start=1&end=3&count=-1", 1, 3, WARP10_UNLIMITED},
        {"start=1&end=3&count=0", 1, 3, 0},
        {"now=now&timespan=1", 1700000000123456, 1700000000123456, WARP10_UNLIMITED},
        {"start=1970-01-01T00:00:01Z&end=1970-01-01T01:00:02%2B01:00", 1000000, 2000000,
         WARP10_UNLIMITED},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct warp10_fetch fetch;
        assert_int_equal(fetch_of(cases[i].query, &fetch), 0);
        assert_int_equal(fetch.start_ns, cases[i].start_us * 1000);
        assert_int_equal(fetch.end_ns, cases[i].end_us * 1000 + 999);
        assert_int_equal(fetch.count, cases[i].count);
        assert_false(fetch.nothing);
    }
    struct warp10_fetch fetch;
    assert_int_equal(fetch_of("now=10000000&count=3", &fetch), 0);
    assert_int_equal(fetch.start_ns, TIME_MIN_NS);
    assert_int_equal(fetch.count, 3);
    assert_int_equal(fetch_of("now=10&timespan=-4", &fetch), 0);
    assert_int_equal(fetch.start_ns, TIME_MIN_NS);
    assert_int_equal(fetch.count, 4);
    assert_int_equal(fetch_of("now=10&timespan=0", &fetch), 0);
    assert_true(fetch.nothing);
    assert_int_equal(fetch_of("now=9223372036854775807&timespan=9223372036854775807", &fetch), 0);
    assert_int_equal(fetch.end_ns, TIME_MAX_NS);
}

static void refusals_are_those_of_the_reference(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        int status;
    } cases[] = {
        {"", 400},
        {"start=1", 400},
        {"end=1", 400},
        {"start=1&count=2", 400},
        {"start=1&end=2&timespan=3", 400},
        {"now=1&end=2&timespan=3", 400},
        {"now=x&timespan=3", 400},
        {"now=1&timespan=P1M", 400},
        {"now=1&timespan=1.5", 400},
        {"now=1&timespan=3&count=x", 500},
        {"now=1&timespan=3&sample=0", 400},
        {"now=1&timespan=3&sample=1.5", 400},
        {"now=1&timespan=3&format=wrapper", 400},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct warp10_fetch fetch;
        assert_int_equal(warp10_status(fetch_of(cases[i].query, &fetch)), cases[i].status);
    }
    struct warp10_args none = args_of("now=1&timespan=3");
    struct warp10_fetch fetch;
    assert_int_equal(warp10_fetch_parse(&none, WARP10_US, NOW_NS, &fetch), ERR_INVALID);
}

static void everything_a_fetch_can_ask_is_read(void **state)
{
    (void)state;
    struct warp10_fetch fetch;
    assert_int_equal(fetch_of("now=1&timespan=3&skip=2&step=3&timestep=2500000&sample=0.5"
                              "&boundary.pre=1&boundary.post=2&format=fulltsv&dedup=true&showattr"
                              "&sortmeta=true&showerrors&gskip=4&gcount=5&activeafter=6"
                              "&quietafter=7&token=T&suffix=:p&maxsize=99&chunksize=5"
                              "&unpack",
                              &fetch),
                     0);
    assert_int_equal(fetch.skip, 2);
    assert_int_equal(fetch.step, 3);
    assert_int_equal(fetch.timestep_ns, 2500000000);
    assert_true(fetch.sample == 0.5);
    assert_int_equal(fetch.before, 1);
    assert_int_equal(fetch.after, 2);
    assert_int_equal(fetch.format, WARP10_FULLTSV);
    assert_true(fetch.dedup && fetch.show_attributes && fetch.sort_labels && fetch.show_errors);
    assert_int_equal(fetch.series_skip, 4);
    assert_int_equal(fetch.series_count, 5);
    assert_int_equal(fetch.active_after_ms, 6);
    assert_int_equal(fetch.quiet_after_ms, 7);
    assert_true(span_equal_str(fetch.token, "T"));
    assert_int_equal(fetch.pack_bytes_max, 99);
    assert_int_equal(fetch.pack_points_max, 5);
    assert_true(fetch.unpack && span_equal_str(fetch.suffix, ":p"));
    assert_int_equal(fetch_of("now=1&timespan=3&dedup=false&format=word&skip=-1", &fetch), 0);
    assert_false(fetch.dedup);
    assert_int_equal(fetch.format, WARP10_TEXT);
}

static void what_is_left_out_or_added_below_0_is_none(void **state)
{
    (void)state;
    struct warp10_fetch fetch;
    assert_int_equal(fetch_of("now=1&timespan=3&skip=-1&step=-1&boundary.pre=-1&boundary.post=-1"
                              "&gskip=-1&gcount=-1",
                              &fetch),
                     0);
    assert_true(fetch.skip == 0 && fetch.step == 1 && fetch.before == 0 && fetch.after == 0);
    assert_true(fetch.series_skip == 0 && fetch.series_count == WARP10_UNLIMITED);
    struct warp10_args args = args_of("selector=a{}&gskip=-1&gcount=-1");
    struct warp10_find find;
    assert_int_equal(warp10_find_parse(&args, &find), 0);
    assert_true(find.series_skip == 0 && find.series_count == WARP10_UNLIMITED);
}

static void selectors_are_separated_by_white_space(void **state)
{
    (void)state;
    struct span rest = SPAN_LIT("  a{} ~b.*{x=1, y~2 }\n c{}");
    struct span selector;
    static const char *const expected[] = {"a{}", "~b.*{x=1, y~2 }", "c{}"};
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        assert_true(warp10_next_selector(&rest, &selector));
        assert_true(span_equal_str(selector, expected[i]));
    }
    assert_false(warp10_next_selector(&rest, &selector));
}

static void deletes_are_checked_as_in_the_reference(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        int status;
        const char *text;
    } cases[] = {
        {"selector=x{}&start=1", 500, "Both start and end should be defined."},
        {"selector=x{}", 500,
         "Parameter deleteall or metaonly should be set when no time range is specified."},
        {"selector=x{}&start=2&end=1", 500, "Invalid time range specification."},
        {"selector=x{}&start=a&end=1", 500, "Invalid time range specification."},
        {"selector=x{}&deleteall&minage=1", 500,
         "Standalone version does not support the 'minage' parameter in delete requests."},
        {"deleteall", 400, "Missing 'selector' parameter."},
        {"selector=&deleteall", 400, "Missing 'selector' parameter."},
        {"selector=x{}%20y{}&deleteall", 400, "Only one selector may be given."},
        {"selector=x{}&deleteall&nocache", 500,
         "Parameters nocache and nopersist need a time range."},
        {"selector=x{}&metaonly&start=1&end=2", 500,
         "Parameter metaonly cannot be used with a time range."},
        {"selector=x{}&deleteall&quietafter=x", 500,
         "Parameter quietafter must be a whole number, not 'x'."},
    };
    struct warp10_delete deletion;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct warp10_args args = args_of(cases[i].query);
        assert_int_equal(warp10_status(warp10_delete_parse(&args, WARP10_US, &deletion)),
                         cases[i].status);
        assert_string_equal(err_text(), cases[i].text);
    }
    struct warp10_args range = args_of("selector=x{}&start=1&end=2&deleteall&dryrun");
    assert_int_equal(warp10_delete_parse(&range, WARP10_US, &deletion), 0);
    assert_false(deletion.all);
    assert_true(deletion.dry_run);
    assert_int_equal(deletion.start_ns, 1000);
    assert_int_equal(deletion.end_ns, 2999);
    assert_false(deletion.by_activity);
    struct warp10_args quiet = args_of("selector=x{}&metaonly&activeafter=1&quietafter=2");
    assert_int_equal(warp10_delete_parse(&quiet, WARP10_US, &deletion), 0);
    assert_true(deletion.all && deletion.metadata_only && deletion.by_activity);
    assert_int_equal(deletion.active_after_ms, 1);
    assert_int_equal(deletion.quiet_after_ms, 2);
    struct warp10_args all = args_of("selector=x{}&deleteall=");
    assert_int_equal(warp10_delete_parse(&all, WARP10_US, &deletion), 0);
    assert_true(deletion.all);
}

static void finds_show_attributes_unless_told_not_to(void **state)
{
    (void)state;
    struct warp10_find find;
    struct warp10_args args = args_of("selector=x{}&format=json&limit=3&sortmeta");
    assert_int_equal(warp10_find_parse(&args, &find), 0);
    assert_true(find.json && find.show_attributes && find.sort_labels && !find.show_uuid);
    assert_int_equal(find.series_count, 3);
    struct warp10_args hidden = args_of("selector=x{}&showattr=false&gcount=2&limit=3&showuuid=1");
    assert_int_equal(warp10_find_parse(&hidden, &find), 0);
    assert_false(find.show_attributes);
    assert_true(find.show_uuid);
    assert_int_equal(find.series_count, 2);
    struct warp10_args none = args_of("x=1");
    assert_int_equal(warp10_status(warp10_find_parse(&none, &find)), 500);
}

static void dates_and_durations_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns; /* -1: refused */
    } durations[] = {{"PT1H", TIME_HOUR_NS},
                     {"P1D", TIME_DAY_NS},
                     {"P1DT1M", TIME_DAY_NS + TIME_MINUTE_NS},
                     {"PT0.5S", TIME_S_NS / 2},
                     {"P2W", 14 * TIME_DAY_NS},
                     {"-PT5M", -5 * TIME_MINUTE_NS},
                     {"P1M", -1},
                     {"P1Y", -1},
                     {"P", -1},
                     {"PT", -1},
                     {"PT1", -1},
                     {"P1H", -1},
                     {"1H", -1},
                     {"", -1},
                     {"PT1e3S", -1},
                     {"PTT1S", -1}};
    int64_t ns;
    for (size_t i = 0; i < ARRAY_COUNT(durations); i++) {
        bool good = warp10_parse_duration(span_of_str(durations[i].text), &ns);
        assert_int_equal(good, durations[i].ns != -1);
        assert_true(!good || ns == durations[i].ns);
    }
    assert_true(warp10_parse_date(SPAN_LIT("2023-11-14T22:13:20.000000001Z"), &ns));
    assert_int_equal(ns, INT64_C(1700000000000000001));
    assert_true(warp10_parse_date(SPAN_LIT("2023-11-14T23:13+01:00"), &ns));
    assert_int_equal(ns, INT64_C(1699999980000000000));
    assert_false(warp10_parse_date(SPAN_LIT("2023-11-14T22:13:20"), &ns));

    assert_int_equal(warp10_parse_shift(WARP10_MS, SPAN_LIT("-5"), &ns), 0);
    assert_int_equal(ns, -5 * TIME_MS_NS);
    assert_int_equal(warp10_parse_shift(WARP10_MS, SPAN_LIT("PT1S"), &ns), 0);
    assert_int_equal(ns, TIME_S_NS);
    assert_int_equal(warp10_parse_shift(WARP10_MS, SPAN_LIT("1.5"), &ns), ERR_INVALID);
}

static void units_convert_and_keep_their_bounds(void **state)
{
    (void)state;
    enum warp10_unit unit;
    int64_t ns;
    assert_true(warp10_unit_parse(SPAN_LIT("ms"), &unit));
    assert_int_equal(unit, WARP10_MS);
    assert_false(warp10_unit_parse(SPAN_LIT("s"), &unit));
    assert_true(warp10_time_to_ns(WARP10_US, -1, &ns));
    assert_int_equal(ns, -1000);
    assert_false(warp10_time_to_ns(WARP10_US, INT64_MAX, &ns));
    assert_false(warp10_time_to_ns(WARP10_NS, INT64_MIN, &ns));
    assert_int_equal(warp10_time_of_ns(WARP10_US, -1), -1);
    assert_int_equal(warp10_time_of_ns(WARP10_US, 1999), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values_are_decoded),
        cmocka_unit_test(ranges_are_those_of_the_reference),
        cmocka_unit_test(refusals_are_those_of_the_reference),
        cmocka_unit_test(everything_a_fetch_can_ask_is_read),
        cmocka_unit_test(what_is_left_out_or_added_below_0_is_none),
        cmocka_unit_test(selectors_are_separated_by_white_space),
        cmocka_unit_test(deletes_are_checked_as_in_the_reference),
        cmocka_unit_test(finds_show_attributes_unless_told_not_to),
        cmocka_unit_test(dates_and_durations_are_read),
        cmocka_unit_test(units_convert_and_keep_their_bounds),
    };
    return cmocka_run_group_tests(tests, make_arena, drop_arena);
}
