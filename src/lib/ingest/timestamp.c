#include "ingest/timestamp.h"

#include <ctype.h>
#include <time.h>

#include "base/time.h"

#define FRONT_BYTES 256                 /* a time is looked for so far into the line */
#define JSON_BYTES 65536                /* and a JSON member so far */
#define EPOCH_FRONT_BYTES 16            /* a bare number is a time only at the very front */
#define EPOCH_S_MIN INT64_C(946684800)  /* 2000 */
#define EPOCH_S_MAX INT64_C(4102444800) /* 2100 */

/* What a matcher may know. It looks at text[at] and on. */
struct look {
    struct span line;
    enum ingest_zone zone;
    int64_t now_ns;
};

struct date {
    int64_t year;
    unsigned month, day, hour, minute, second;
    int64_t nanoseconds;
};

/* ---- small readers ---- */

static unsigned char at(struct span line, size_t offset)
{
    return offset < line.bytes ? line.data[offset] : 0;
}

static bool digits(struct span line, size_t offset, size_t count, unsigned *ret_value)
{
    unsigned value = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned char c = at(line, offset + i);
        if (!isdigit(c)) {
            return false;
        }
        value = value * 10 + (unsigned)(c - '0');
    }
    *ret_value = value;
    return true;
}

/* "hh:mm:ss" and, behind '.' or ',', a fraction. Moves *offset behind it. */
static bool clock_time(struct span line, size_t *offset, struct date *date)
{
    size_t o = *offset;
    if (!digits(line, o, 2, &date->hour) || at(line, o + 2) != ':' ||
        !digits(line, o + 3, 2, &date->minute) || at(line, o + 5) != ':' ||
        !digits(line, o + 6, 2, &date->second)) {
        return false;
    }
    o += 8;
    date->nanoseconds = 0;
    unsigned char point = at(line, o);
    if ((point == '.' || point == ',') && isdigit(at(line, o + 1))) {
        int64_t unit = TIME_S_NS;
        for (o++; isdigit(at(line, o)); o++) {
            unit /= 10;
            date->nanoseconds += (at(line, o) - '0') * unit;
        }
    }
    *offset = o;
    return date->hour < 24 && date->minute < 60 && date->second <= 60;
}

/* "Z", "+02:00", "-0700", "+02", with or without a space in front, " UTC", " GMT". */
static bool zone_offset(struct span line, size_t offset, int64_t *ret_seconds)
{
    if ((at(line, offset) | 0x20) == 'z') {
        *ret_seconds = 0;
        return true;
    }
    if (at(line, offset) == ' ') {
        struct span word = span_first(span_from(line, offset + 1), 3);
        if (span_equal_str(word, "UTC") || span_equal_str(word, "GMT")) {
            *ret_seconds = 0;
            return true;
        }
        offset++;
    }
    unsigned char sign = at(line, offset);
    unsigned hours;
    unsigned minutes = 0;
    if ((sign != '+' && sign != '-') || !digits(line, offset + 1, 2, &hours) || hours > 23) {
        return false;
    }
    size_t colon = at(line, offset + 3) == ':' ? 1 : 0;
    if (digits(line, offset + 3 + colon, 2, &minutes) && minutes > 59) {
        return false;
    }
    int64_t seconds = (int64_t)hours * 3600 + (int64_t)minutes * 60;
    *ret_seconds = sign == '-' ? -seconds : seconds;
    return true;
}

static unsigned month_of_name(struct span line, size_t offset)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (unsigned month = 0; month < 12; month++) {
        if (span_equal(span_first(span_from(line, offset), 3), span_of(names + month * 3, 3))) {
            return month + 1;
        }
    }
    return 0;
}

static bool is_date(const struct date *date)
{
    static const unsigned char days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (date->month < 1 || date->month > 12 || date->day < 1 || date->day > days[date->month - 1]) {
        return false;
    }
    bool leap = date->year % 4 == 0 && (date->year % 100 != 0 || date->year % 400 == 0);
    return date->month != 2 || date->day < 29 || leap;
}

static int64_t utc_seconds(const struct date *date)
{
    return time_days_of_date(date->year, date->month, date->day) * 86400 +
           (int64_t)date->hour * 3600 + (int64_t)date->minute * 60 + date->second;
}

static int64_t local_seconds(const struct date *date)
{
    struct tm tm = {
        .tm_year = (int)(date->year - 1900),
        .tm_mon = (int)date->month - 1,
        .tm_mday = (int)date->day,
        .tm_hour = (int)date->hour,
        .tm_min = (int)date->minute,
        .tm_sec = (int)date->second,
        .tm_isdst = -1,
    };
    return mktime(&tm);
}

/* The point in time, with the zone that stands at `offset` or else the finder's. */
static int64_t resolve(const struct look *look, const struct date *date, size_t offset)
{
    int64_t zone;
    int64_t seconds;
    if (zone_offset(look->line, offset, &zone)) {
        seconds = utc_seconds(date) - zone;
    } else {
        seconds = look->zone == INGEST_ZONE_LOCAL ? local_seconds(date) : utc_seconds(date);
    }
    return time_of_parts(seconds, date->nanoseconds);
}

/* ---- matchers: at `offset`, true and a time ---- */

/* 2016-12-19 20:44:59,210   2003-10-11T22:14:15.003Z   2026/05/04 10:00:00 */
static bool match_iso(const struct look *look, size_t offset, int64_t *ret_time_ns)
{
    struct date date;
    unsigned year;
    unsigned char separator = at(look->line, offset + 4);
    if ((separator != '-' && separator != '/') || at(look->line, offset + 7) != separator ||
        !digits(look->line, offset, 4, &year) || !digits(look->line, offset + 5, 2, &date.month) ||
        !digits(look->line, offset + 8, 2, &date.day)) {
        return false;
    }
    date.year = year;
    unsigned char between = at(look->line, offset + 10);
    if ((between | 0x20) != 't' && between != ' ') {
        return false;
    }
    size_t end = offset + 11;
    if (!clock_time(look->line, &end, &date) || !is_date(&date)) {
        return false;
    }
    *ret_time_ns = resolve(look, &date, end);
    return true;
}

/* 17/May/2015:10:05:03 +0000 */
static bool match_apache(const struct look *look, size_t offset, int64_t *ret_time_ns)
{
    struct date date;
    unsigned year;
    if (at(look->line, offset + 2) != '/' || at(look->line, offset + 6) != '/' ||
        at(look->line, offset + 11) != ':' || !digits(look->line, offset, 2, &date.day) ||
        !digits(look->line, offset + 7, 4, &year)) {
        return false;
    }
    date.year = year;
    date.month = month_of_name(look->line, offset + 3);
    size_t end = offset + 12;
    if (!clock_time(look->line, &end, &date) || !is_date(&date)) {
        return false;
    }
    *ret_time_ns = resolve(look, &date, end);
    return true;
}

/* The year that such a date has: not after tomorrow, and one in which it exists. */
static bool guess_year(const struct look *look, struct date *date, size_t end, int64_t *ret_time_ns)
{
    unsigned month;
    unsigned day;
    time_date_of_days(look->now_ns / TIME_DAY_NS, &date->year, &month, &day);
    date->year++; /* on New Year's Eve, tomorrow is next year */
    for (int tries = 0; tries < 10; tries++, date->year--) {
        if (is_date(date)) {
            int64_t time_ns = resolve(look, date, end);
            if (time_ns <= look->now_ns + TIME_DAY_NS) {
                *ret_time_ns = time_ns;
                return true;
            }
        }
    }
    return false;
}

/* Mar 27 13:06:56   Mar  7 13:06:56   Mar 27 2015 13:06:56 */
static bool match_bsd(const struct look *look, size_t offset, int64_t *ret_time_ns)
{
    struct date date = {.month = month_of_name(look->line, offset)};
    if (date.month == 0 || at(look->line, offset + 3) != ' ') {
        return false;
    }
    size_t end = offset + 4;
    if (at(look->line, end) == ' ') {
        end++;
    }
    size_t width = isdigit(at(look->line, end + 1)) ? 2 : 1;
    if (!digits(look->line, end, width, &date.day) || at(look->line, end + width) != ' ') {
        return false;
    }
    end += width + 1;
    unsigned year = 0;
    if (digits(look->line, end, 4, &year) && at(look->line, end + 4) == ' ') {
        end += 5;
    } else {
        year = 0;
    }
    if (!clock_time(look->line, &end, &date)) {
        return false;
    }
    if (year == 0) {
        return guess_year(look, &date, end, ret_time_ns);
    }
    date.year = year;
    if (!is_date(&date)) {
        return false;
    }
    *ret_time_ns = resolve(look, &date, end);
    return true;
}

/* A whole number of 10, 13, 16 or 19 digits: s, ms, µs, ns; 10 may have a fraction. */
static bool match_epoch(const struct look *look, size_t offset, int64_t *ret_time_ns)
{
    struct span line = look->line;
    int64_t value = 0;
    size_t count = 0;
    for (; isdigit(at(line, offset + count)) && count < 20; count++) {
        if (count < 19 && (__builtin_mul_overflow(value, 10, &value) ||
                           __builtin_add_overflow(value, at(line, offset + count) - '0', &value))) {
            return false;
        }
    }
    int64_t unit = count == 10   ? TIME_S_NS
                   : count == 13 ? TIME_MS_NS
                   : count == 16 ? TIME_US_NS
                   : count == 19 ? 1
                                 : 0;
    if (unit == 0 || isalpha(at(line, offset + count)) || at(line, offset + count) == '_') {
        return false;
    }
    int64_t seconds = value / (TIME_S_NS / unit);
    if (seconds < EPOCH_S_MIN || seconds >= EPOCH_S_MAX) {
        return false;
    }
    int64_t fraction = value % (TIME_S_NS / unit) * unit;
    size_t o = offset + count;
    if (at(line, o) == '.') {
        for (o++; isdigit(at(line, o)); o++) {
            unit /= 10;
            fraction += (at(line, o) - '0') * unit;
        }
    }
    *ret_time_ns = time_of_parts(seconds, fraction);
    return true;
}

static bool match_json_value(const struct look *look, size_t offset, int64_t *ret_time_ns)
{
    if (at(look->line, offset) != '"') {
        return match_epoch(look, offset, ret_time_ns);
    }
    offset++;
    return match_iso(look, offset, ret_time_ns) || match_apache(look, offset, ret_time_ns) ||
           match_epoch(look, offset, ret_time_ns) || match_bsd(look, offset, ret_time_ns);
}

/* ---- finding the place ---- */

enum format { ISO, APACHE, BSD, EPOCH, JSON, FORMATS };

static const struct {
    const char *name;
    bool (*match)(const struct look *look, size_t offset, int64_t *ret_time_ns);
} formats[FORMATS] = {
    [ISO] = {"rfc3339", match_iso},      [APACHE] = {"apache", match_apache},
    [BSD] = {"rfc3164", match_bsd},      [EPOCH] = {"epoch", match_epoch},
    [JSON] = {"json", match_json_value},
};

static bool try_at(struct ingest_timestamp *finder, const struct look *look, enum format format,
                   size_t offset, int64_t *ret_time_ns)
{
    if (!formats[format].match(look, offset, ret_time_ns)) {
        return false;
    }
    finder->last = format + 1;
    finder->last_offset = offset;
    return true;
}

static bool is_word(unsigned char c)
{
    return isalnum(c) || c == '_';
}

/* The first place near the front where any format but JSON matches. */
static bool find_front(struct ingest_timestamp *finder, const struct look *look,
                       int64_t *ret_time_ns)
{
    size_t end = look->line.bytes < FRONT_BYTES ? look->line.bytes : FRONT_BYTES;
    for (size_t o = 0; o < end; o++) {
        unsigned char c = look->line.data[o];
        if (!is_word(c) || (o > 0 && is_word(look->line.data[o - 1]))) {
            continue;
        }
        if (isdigit(c)) {
            if (try_at(finder, look, ISO, o, ret_time_ns) ||
                try_at(finder, look, APACHE, o, ret_time_ns) ||
                (o < EPOCH_FRONT_BYTES && try_at(finder, look, EPOCH, o, ret_time_ns))) {
                return true;
            }
        } else if (isupper(c) && try_at(finder, look, BSD, o, ret_time_ns)) {
            return true;
        }
    }
    return false;
}

/* Behind the closing quote of the string that begins at `offset`. */
static size_t skip_string(struct span line, size_t offset)
{
    for (offset++; offset < line.bytes; offset++) {
        if (line.data[offset] == '\\') {
            offset++;
        } else if (line.data[offset] == '"') {
            return offset + 1;
        }
    }
    return line.bytes;
}

static bool is_time_key(struct span key)
{
    return span_equal_nocase(key, SPAN_LIT("timestamp")) ||
           span_equal_nocase(key, SPAN_LIT("@timestamp")) ||
           span_equal_nocase(key, SPAN_LIT("time")) || span_equal_nocase(key, SPAN_LIT("ts"));
}

static size_t skip_space(struct span line, size_t offset)
{
    while (at(line, offset) == ' ' || at(line, offset) == '\t') {
        offset++;
    }
    return offset;
}

/* A member of the outermost object whose name says that it is the time. */
static bool find_json(struct ingest_timestamp *finder, const struct look *look, size_t start,
                      int64_t *ret_time_ns)
{
    struct span line = span_first(look->line, start + JSON_BYTES);
    unsigned depth = 0;
    for (size_t o = start; o < line.bytes;) {
        unsigned char c = line.data[o];
        if (c == '"') {
            size_t end = skip_string(line, o);
            size_t colon = skip_space(line, end);
            struct span key = span_of(line.data + o + 1, end - o - (end - o > 1 ? 2 : 1));
            if (depth == 1 && at(line, colon) == ':' && is_time_key(key) &&
                try_at(finder, look, JSON, skip_space(line, colon + 1), ret_time_ns)) {
                return true;
            }
            o = end;
            continue;
        }
        if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            break;
        }
        o++;
    }
    return false;
}

/* Where the last one was: a line of the same kind has it there again. A JSON value is only taken
 * where its name stands in front. */
static bool try_last(struct ingest_timestamp *finder, const struct look *look, int64_t *ret_time_ns)
{
    size_t o = finder->last_offset;
    if (finder->last == 0 || o >= look->line.bytes || finder->last - 1 == JSON) {
        return false;
    }
    if (o > 0 && is_word(look->line.data[o - 1])) {
        return false;
    }
    return formats[finder->last - 1].match(look, o, ret_time_ns);
}

bool ingest_timestamp_find(struct ingest_timestamp *finder, struct span line, int64_t now_ns,
                           int64_t *ret_time_ns)
{
    struct look look = {.line = line, .zone = finder->zone, .now_ns = now_ns};
    if (try_last(finder, &look, ret_time_ns)) {
        return true;
    }
    size_t start = skip_space(line, 0);
    if (at(line, start) == '{' && find_json(finder, &look, start, ret_time_ns)) {
        return true;
    }
    return find_front(finder, &look, ret_time_ns);
}

const char *ingest_timestamp_format(const struct ingest_timestamp *finder)
{
    return finder->last == 0 ? "none" : formats[finder->last - 1].name;
}
