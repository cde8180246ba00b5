/* Layouts: what Go prints for the same time, and back. */
#include "query/modules/layout.h"

#include "base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TIME_NS (INT64_C(1767355445) * TIME_S_NS + 60 * TIME_MS_NS) /* 2026-01-02T12:04:05.06Z */

static void prints(const char *layout, int64_t zone_s, const char *want)
{
    struct buf buf = {0};
    layout_format(span_of_str(layout), TIME_NS, zone_s, &buf);
    assert_string_equal(buf_str(&buf), want);
    buf_deinit(&buf);
}

static void a_layout_prints_as_in_go(void **unused)
{
    (void)unused;
    prints("2006-01-02T15:04:05Z07:00", 0, "2026-01-02T12:04:05Z");
    prints("2006-01-02T15:04:05.000Z07:00", 3600, "2026-01-02T13:04:05.060+01:00");
    prints("Mon Jan _2 15:04:05 MST 2006", 0, "Fri Jan  2 12:04:05 UTC 2026");
    prints("Monday, January 2, 06 3:04PM", 7200, "Friday, January 2, 26 2:04PM");
    prints("02/Jan/2006:15:04:05 -0700", -12600, "02/Jan/2026:08:34:05 -0330");
    prints("15.999999", 0, "12.06");
    prints("1/2 5 4", 0, "1/2 5 4");
    prints("", 0, "");
}

static void what_a_layout_prints_it_reads(void **unused)
{
    (void)unused;
    static const char *const layouts[] = {
        "2006-01-02T15:04:05.999Z07:00", "Mon Jan _2 15:04:05.00 MST 2006",
        "January 2, 06 3:04:05.00PM -0700", "02/Jan/2006:15:04:05.000 -07:00"};
    for (size_t i = 0; i < ARRAY_COUNT(layouts); i++) {
        struct buf buf = {0};
        int64_t time_ns = 0;
        layout_format(span_of_str(layouts[i]), TIME_NS, 0, &buf);
        assert_true(layout_parse(span_of_str(layouts[i]), buf_span(&buf), 0, &time_ns));
        assert_true(time_ns == TIME_NS);
        for (size_t cut = 0; cut < buf.bytes; cut++) {
            (void)layout_parse(span_of_str(layouts[i]), span_first(buf_span(&buf), cut), 0,
                               &time_ns);
        }
        buf_deinit(&buf);
    }
}

static void what_is_not_of_the_form_is_refused(void **unused)
{
    (void)unused;
    int64_t time_ns = 0;
    assert_false(layout_parse(SPAN_LIT("2006-01-02"), SPAN_LIT("2026-13-02"), 0, &time_ns));
    assert_false(layout_parse(SPAN_LIT("2006-01-02"), SPAN_LIT("2026-02-30"), 0, &time_ns));
    assert_false(layout_parse(SPAN_LIT("2006-01-02"), SPAN_LIT("2026-02-03x"), 0, &time_ns));
    assert_false(layout_parse(SPAN_LIT("15:04"), SPAN_LIT("24:00"), 0, &time_ns));
    assert_false(layout_zone(SPAN_LIT("Europe/Prague"), &time_ns));
    assert_false(layout_zone(SPAN_LIT("+2"), &time_ns));
    assert_true(layout_zone(SPAN_LIT("-03:30"), &time_ns));
    assert_int_equal(time_ns, -12600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layout_prints_as_in_go),
        cmocka_unit_test(what_a_layout_prints_it_reads),
        cmocka_unit_test(what_is_not_of_the_form_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
