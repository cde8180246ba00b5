/* Tested by parse_test.c. */
#include "query/range.h"

#include "base/check.h"
#include "base/time.h"

static const char *const months[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                     "jul", "aug", "sep", "oct", "nov", "dec"};

/* A cursor over fixed-form dates; `failed` sticks. */
struct scan {
    struct span rest;
    bool failed;
};

static int64_t digits(struct scan *scan, size_t least, size_t most)
{
    int64_t value = 0;
    size_t count = 0;
    while (count < most && count < scan->rest.bytes && scan->rest.data[count] >= '0' &&
           scan->rest.data[count] <= '9') {
        value = value * 10 + (scan->rest.data[count] - '0');
        count++;
    }
    scan->failed = scan->failed || count < least;
    scan->rest = span_from(scan->rest, count);
    return value;
}

static bool accept(struct scan *scan, char byte)
{
    if (scan->rest.bytes == 0 || scan->rest.data[0] != (uint8_t)byte) {
        return false;
    }
    scan->rest = span_from(scan->rest, 1);
    return true;
}

static void expect(struct scan *scan, char byte)
{
    scan->failed = !accept(scan, byte) || scan->failed;
}

static unsigned month_name(struct scan *scan)
{
    for (unsigned i = 0; i < ARRAY_COUNT(months); i++) {
        if (span_equal_nocase(span_first(scan->rest, 3), span_of_str(months[i]))) {
            scan->rest = span_from(scan->rest, 3);
            return i + 1;
        }
    }
    scan->failed = true;
    return 1;
}

/* hh:mm:ss[.fraction] */
static int64_t time_of_day(struct scan *scan)
{
    int64_t hour = digits(scan, 1, 2);
    expect(scan, ':');
    int64_t minute = digits(scan, 2, 2);
    expect(scan, ':');
    int64_t second = digits(scan, 2, 2);
    int64_t ns = 0;
    if (accept(scan, '.')) {
        int64_t unit = TIME_S_NS / 10;
        do {
            ns += digits(scan, 1, 1) * unit;
            unit /= 10;
        } while (!scan->failed && scan->rest.bytes > 0 && scan->rest.data[0] >= '0' &&
                 scan->rest.data[0] <= '9');
    }
    scan->failed = scan->failed || hour > 23 || minute > 59 || second > 60;
    return hour * TIME_HOUR_NS + minute * TIME_MINUTE_NS + second * TIME_S_NS + ns;
}

/* Z, +hhmm, +hh:mm; nothing is UTC. Returns what has to be taken off. */
static int64_t zone(struct scan *scan)
{
    if (scan->rest.bytes == 0 || accept(scan, 'Z')) {
        return 0;
    }
    int64_t sign = accept(scan, '-') ? -1 : 1;
    if (sign > 0) {
        expect(scan, '+');
    }
    int64_t hour = digits(scan, 2, 2);
    (void)accept(scan, ':');
    int64_t minute = digits(scan, 2, 2);
    scan->failed = scan->failed || hour > 23 || minute > 59;
    return sign * (hour * TIME_HOUR_NS + minute * TIME_MINUTE_NS);
}

static bool finish(struct scan *scan, int64_t year, int64_t month, int64_t day, int64_t rest_ns,
                   int64_t *ret_ns)
{
    if (scan->failed || scan->rest.bytes > 0 || month < 1 || month > 12 || day < 1 || day > 31) {
        return false;
    }
    int64_t days = time_days_of_date(year, (unsigned)month, (unsigned)day);
    int64_t back_year = 0;
    unsigned back_month = 0;
    unsigned back_day = 0;
    time_date_of_days(days, &back_year, &back_month, &back_day);
    int64_t seconds = days * 86400 + rest_ns / TIME_S_NS;
    *ret_ns = time_of_parts(seconds, rest_ns % TIME_S_NS);
    return back_day == (unsigned)day;
}

/* 2006-01-02, 2006-01-02 15:04:05.999 +0100, with a T too */
static bool parse_iso(struct span text, int64_t *ret_ns)
{
    struct scan scan = {.rest = text};
    int64_t year = digits(&scan, 4, 4);
    bool slashes = scan.rest.bytes > 0 && scan.rest.data[0] == '/';
    expect(&scan, slashes ? '/' : '-');
    int64_t month = digits(&scan, 2, 2);
    expect(&scan, slashes ? '/' : '-');
    int64_t day = digits(&scan, 2, 2);
    int64_t rest_ns = 0;
    if (scan.rest.bytes > 0) {
        if (!accept(&scan, 'T')) {
            expect(&scan, ' ');
        }
        rest_ns = time_of_day(&scan);
        (void)accept(&scan, ' ');
        rest_ns -= zone(&scan);
    }
    return finish(&scan, year, month, day, rest_ns, ret_ns);
}

/* 02/Jan/2006:15:04:05 -0700 */
static bool parse_apache(struct span text, int64_t *ret_ns)
{
    struct scan scan = {.rest = text};
    int64_t day = digits(&scan, 2, 2);
    expect(&scan, '/');
    unsigned month = month_name(&scan);
    expect(&scan, '/');
    int64_t year = digits(&scan, 4, 4);
    expect(&scan, ':');
    int64_t rest_ns = time_of_day(&scan);
    (void)accept(&scan, ' ');
    rest_ns -= zone(&scan);
    return finish(&scan, year, month, day, rest_ns, ret_ns);
}

/* Mon Jan _2 15:04:05 2006 */
static bool parse_ansi(struct span text, int64_t *ret_ns)
{
    struct scan scan = {.rest = span_from(text, 3)};
    expect(&scan, ' ');
    unsigned month = month_name(&scan);
    expect(&scan, ' ');
    (void)accept(&scan, ' ');
    int64_t day = digits(&scan, 1, 2);
    expect(&scan, ' ');
    int64_t rest_ns = time_of_day(&scan);
    expect(&scan, ' ');
    int64_t year = digits(&scan, 4, 4);
    return finish(&scan, year, month, day, rest_ns, ret_ns);
}

/* 1700000000, 1700000000.25 */
static bool parse_unix(struct span text, int64_t *ret_ns)
{
    struct scan scan = {.rest = text};
    int64_t seconds = digits(&scan, 1, 11);
    int64_t ns = 0;
    if (accept(&scan, '.')) {
        int64_t unit = TIME_S_NS / 10;
        for (size_t i = 0; i < 9 && scan.rest.bytes > 0 && !scan.failed; i++, unit /= 10) {
            ns += digits(&scan, 1, 1) * unit;
        }
    }
    *ret_ns = time_of_parts(seconds, ns);
    return !scan.failed && scan.rest.bytes == 0;
}

/* NOW, START-1h, END+5m */
static bool parse_arithmetic(struct span text, struct query_time *ret_time)
{
    static const struct {
        const char *verb;
        enum query_time_base base;
    } verbs[] = {{"NOW", QUERY_TIME_NOW}, {"START", QUERY_TIME_START}, {"END", QUERY_TIME_END}};
    for (size_t i = 0; i < ARRAY_COUNT(verbs); i++) {
        struct span verb = span_of_str(verbs[i].verb);
        if (!span_equal_nocase(span_first(text, verb.bytes), verb)) {
            continue;
        }
        struct span rest = span_trim(span_from(text, verb.bytes));
        ret_time->base = verbs[i].base;
        ret_time->ns = 0;
        return rest.bytes == 0 || ((rest.data[0] == '+' || rest.data[0] == '-') &&
                                   time_parse_duration(rest, &ret_time->ns));
    }
    return false;
}

bool query_time_parse(struct span text, struct query_time *ret_time)
{
    text = span_trim(text);
    ret_time->bare = false;
    if (text.bytes == 0) {
        return false;
    }
    if (text.data[0] == '-' || text.data[0] == '+') {
        ret_time->base = QUERY_TIME_NOW;
        ret_time->bare = true;
        return text.bytes > 1 && !span_equal_str(text, "-0") &&
               time_parse_duration(text, &ret_time->ns);
    }
    if (parse_arithmetic(text, ret_time)) {
        return true;
    }
    ret_time->base = QUERY_TIME_ABSOLUTE;
    return time_parse(text, &ret_time->ns) || parse_iso(text, &ret_time->ns) ||
           parse_unix(text, &ret_time->ns) || parse_apache(text, &ret_time->ns) ||
           parse_ansi(text, &ret_time->ns);
}

static int64_t floor_second(int64_t ns)
{
    int64_t over = ns % TIME_S_NS;
    over += over < 0 ? TIME_S_NS : 0;
    return ns < TIME_MIN_NS + over ? TIME_MIN_NS : ns - over;
}

void query_range_align(int64_t *start_ns, int64_t *end_ns)
{
    *start_ns = floor_second(*start_ns);
    int64_t end = floor_second(*end_ns);
    *end_ns = end == *end_ns || end > TIME_MAX_NS - TIME_S_NS ? *end_ns : end + TIME_S_NS;
}
