/* Amounts and ages as people read them. */
#include "cli/human.h"

#include "base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void bytes_are(double bytes, const char *want)
{
    struct buf buf = {0};
    human_bytes(&buf, bytes);
    assert_string_equal(buf_str(&buf), want);
    buf_deinit(&buf);
}

static void lasts(int64_t time_ns, const char *want)
{
    struct buf buf = {0};
    human_duration(&buf, time_ns);
    assert_string_equal(buf_str(&buf), want);
    buf_deinit(&buf);
}

static void bytes_have_the_unit_that_keeps_them_short(void **unused)
{
    (void)unused;
    bytes_are(0, "0 B");
    bytes_are(999, "999 B");
    bytes_are(1000, "1.0 kB");
    bytes_are(999960, "1.0 MB");
    bytes_are(62177800192, "62.2 GB");
    bytes_are(5e18, "5000.0 PB");
}

static void a_duration_has_two_units_at_most(void **unused)
{
    (void)unused;
    lasts(-5, "0 ms");
    lasts(350 * TIME_MS_NS, "350 ms");
    lasts(59 * TIME_S_NS, "59 s");
    lasts(TIME_MINUTE_NS, "1 min");
    lasts(185 * TIME_S_NS, "3 min 5 s");
    lasts(3 * TIME_HOUR_NS + 5 * TIME_MINUTE_NS, "3 h 5 min");
    lasts(9 * TIME_DAY_NS + TIME_MINUTE_NS, "9 d");
    struct buf age = {0};
    human_age(&age, 3 * TIME_HOUR_NS + 5 * TIME_MINUTE_NS);
    human_age(&age, TIME_MS_NS);
    assert_string_equal(buf_str(&age), "3 h ago1 ms ago");
    buf_deinit(&age);
}

static void foreign_text_stays_on_its_line(void **unused)
{
    (void)unused;
    struct buf buf = {0};
    human_text(&buf, "b\xc3\xb6s\n\x1b[2J\x7f");
    assert_string_equal(buf_str(&buf), "b\xc3\xb6s..[2J.");
    buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_have_the_unit_that_keeps_them_short),
        cmocka_unit_test(a_duration_has_two_units_at_most),
        cmocka_unit_test(foreign_text_stays_on_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
