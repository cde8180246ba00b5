/* What is claimed: the time of each common kind of line is found, and nothing else is taken for
 * one. All lines here are made up. */
#include "ingest/timestamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/time.h"

#define NOW "2026-05-04T12:00:00Z"

static int64_t now(void)
{
    int64_t now_ns;
    assert_true(time_parse(SPAN_LIT(NOW), &now_ns));
    return now_ns;
}

static const struct {
    const char *line, *time, *format;
} lines[] = {
    {"<34>1 2003-10-11T22:14:15.003Z mymachine su - ID47 - done", "2003-10-11T22:14:15.003Z",
     "rfc3339"},
    {"<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - x",
     "2003-08-24T12:14:15.000003Z", "rfc3339"},
    {"2026-05-04T09:30:00+0200 level=info", "2026-05-04T07:30:00Z", "rfc3339"},
    {"2026-05-04 09:30:00 +02:00 level=info", "2026-05-04T07:30:00Z", "rfc3339"},
    {"2026-05-04 09:30:00.25 UTC [17] LOG: x", "2026-05-04T09:30:00.25Z", "rfc3339"},
    {"2026/05/04 09:30:00 [error] 17#17: x", "2026-05-04T09:30:00Z", "rfc3339"},
    {"2016-12-19 20:44:59,210 INFO x", "2016-12-19T20:44:59.21Z", "rfc3339"},
    {"[2016-12-19 20:44:59,210] TRACE Controller 0 x", "2016-12-19T20:44:59.21Z", "rfc3339"},
    {"2016-12-19 20:44:60 leap", "2016-12-19T20:45:00Z", "rfc3339"},
    {"Mar 27 13:06:56 web-1 sshd[1291]: Server listening", "2026-03-27T13:06:56Z", "rfc3164"},
    {"Mar  7 13:06:56 web-1 sshd[1291]: one digit", "2026-03-07T13:06:56Z", "rfc3164"},
    {"<13>Dec 31 23:59:59 web-1 x: last year", "2025-12-31T23:59:59Z", "rfc3164"},
    {"May  5 11:59:59 web-1 x: a clock that is ahead", "2026-05-05T11:59:59Z", "rfc3164"},
    {"Feb 29 00:00:00 web-1 x: the last leap year", "2024-02-29T00:00:00Z", "rfc3164"},
    {"Mar 27 2015 13:06:56: %ASA-6-1: with a year", "2015-03-27T13:06:56Z", "rfc3164"},
    {"10.1.2.3 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1", "2015-05-17T10:05:03Z",
     "apache"},
    {"2001:db8::1 - bob [17/May/2015:10:05:03 -0130] \"GET / HTTP/1.1\" 200 1",
     "2015-05-17T11:35:03Z", "apache"},
    {"1446249499 x", "2015-10-30T23:58:19Z", "epoch"},
    {"1446249499.322 x", "2015-10-30T23:58:19.322Z", "epoch"},
    {"1446249499322,5,6", "2015-10-30T23:58:19.322Z", "epoch"},
    {"1446249499322001", "2015-10-30T23:58:19.322001Z", "epoch"},
    {"1446249499322001002", "2015-10-30T23:58:19.322001002Z", "epoch"},
    {"[1446249499] x", "2015-10-30T23:58:19Z", "epoch"},
    {"{\"v\":6,\"load_timestamp\":1445680800424,\"timestamp\":1446249499322,\"p\":1}",
     "2015-10-30T23:58:19.322Z", "json"},
    {"{\"a\":{\"timestamp\":1445680800424},\"b\":[{\"time\":1445680800424}],\"ts\": 1446249499.5}",
     "2015-10-30T23:58:19.5Z", "json"},
    {"{\"msg\":\"\\\"timestamp\\\":1445680800424\",\"@timestamp\":\"2015-10-30T23:58:19Z\"}",
     "2015-10-30T23:58:19Z", "json"},
    {"  { \"Time\" : \"2015-10-30 23:58:19\" }", "2015-10-30T23:58:19Z", "json"},
    {"{\"message\":\"2015-10-30T23:58:19Z no member says so\"}", "2015-10-30T23:58:19Z", "rfc3339"},
};

static void the_time_of_every_kind_of_line_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        struct ingest_timestamp finder = {0};
        int64_t time_ns = 0;
        char text[TIME_TEXT_BYTES];
        if (!ingest_timestamp_find(&finder, span_of_str(lines[i].line), now(), &time_ns)) {
            fail_msg("no time in: %s", lines[i].line);
        }
        assert_string_equal(time_text(time_ns, text), lines[i].time);
        assert_string_equal(ingest_timestamp_format(&finder), lines[i].format);
    }
}

/* One finder for all lines, twice over: what it remembers must never mislead it. */
static void a_remembered_format_changes_no_result(void **state)
{
    (void)state;
    struct ingest_timestamp finder = {0};
    for (size_t i = 0; i < 2 * ARRAY_COUNT(lines); i++) {
        size_t line = i * 7 % ARRAY_COUNT(lines);
        int64_t time_ns = 0;
        char text[TIME_TEXT_BYTES];
        assert_true(ingest_timestamp_find(&finder, span_of_str(lines[line].line), now(), &time_ns));
        assert_string_equal(time_text(time_ns, text), lines[line].time);
    }
}

static void what_is_no_time_is_not_taken_for_one(void **state)
{
    (void)state;
    static const char *const none[] = {
        "",
        "{",
        "{\"",
        "{\"timestamp\"",
        "{\"timestamp\":",
        "{\"timestamp\":\"",
        "{\"timestamp\":12}",
        "hello world",
        "Mar",
        "Mar 27",
        "Mar 32 13:06:56 x",
        "Mar 27 24:06:56 x",
        "Feb 30 00:00:00 x",
        "March 27 13:06:56 x",
        "2026-13-04T09:30:00Z",
        "2026-02-29T09:30:00Z",
        "2026-05-04T09:60:00Z",
        "2026-05-04",
        "17/Mai/2015:10:05:03",
        "17/May/2015:10:05",
        "1446249499a",
        "a1446249499",
        "99999999999999",
        "0000000001",
        "99999999999999999999999999",
        "a message of no interest whose number 1446249499 stands too far behind",
    };
    for (size_t i = 0; i < ARRAY_COUNT(none); i++) {
        struct ingest_timestamp finder = {0};
        int64_t time_ns = 17;
        if (ingest_timestamp_find(&finder, span_of_str(none[i]), now(), &time_ns)) {
            fail_msg("a time in: %s", none[i]);
        }
    }
}

static void a_time_without_a_zone_is_local_when_asked(void **state)
{
    (void)state;
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    struct ingest_timestamp finder = {.zone = INGEST_ZONE_LOCAL};
    int64_t time_ns;
    char text[TIME_TEXT_BYTES];
    assert_true(ingest_timestamp_find(&finder, SPAN_LIT("2026-07-04 12:00:00 x"), now(), &time_ns));
    assert_string_equal(time_text(time_ns, text), "2026-07-04T10:00:00Z");
    assert_true(
        ingest_timestamp_find(&finder, SPAN_LIT("Jan  4 12:00:00 host x"), now(), &time_ns));
    assert_string_equal(time_text(time_ns, text), "2026-01-04T11:00:00Z");
    assert_true(
        ingest_timestamp_find(&finder, SPAN_LIT("2026-07-04T12:00:00Z x"), now(), &time_ns));
    assert_string_equal(time_text(time_ns, text), "2026-07-04T12:00:00Z");
    unsetenv("TZ");
    tzset();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_time_of_every_kind_of_line_is_found),
        cmocka_unit_test(a_remembered_format_changes_no_result),
        cmocka_unit_test(what_is_no_time_is_not_taken_for_one),
        cmocka_unit_test(a_time_without_a_zone_is_local_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
