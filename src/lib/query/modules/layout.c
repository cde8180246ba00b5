/* Tested by layout_test.c. */
#include "query/modules/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/time.h"

enum piece {
    PIECE_TEXT,
    PIECE_YEAR,
    PIECE_YEAR_2,
    PIECE_MONTH_NAME,
    PIECE_MONTH_SHORT,
    PIECE_MONTH_2,
    PIECE_MONTH,
    PIECE_WEEKDAY,
    PIECE_WEEKDAY_SHORT,
    PIECE_DAY_2,
    PIECE_DAY_SPACE,
    PIECE_DAY,
    PIECE_HOUR,
    PIECE_HOUR_12_2,
    PIECE_HOUR_12,
    PIECE_MINUTE_2,
    PIECE_MINUTE,
    PIECE_SECOND_2,
    PIECE_SECOND,
    PIECE_PM,
    PIECE_ZONE_NAME,
    PIECE_ZONE_COLON_Z,
    PIECE_ZONE_Z,
    PIECE_ZONE_COLON,
    PIECE_ZONE,
    PIECE_ZONE_HOURS,
    PIECE_FRACTION,
};

/* The longest first where one begins another. */
static const struct {
    const char *text;
    enum piece piece;
} pieces[] = {
    {"January", PIECE_MONTH_NAME},
    {"Jan", PIECE_MONTH_SHORT},
    {"Monday", PIECE_WEEKDAY},
    {"Mon", PIECE_WEEKDAY_SHORT},
    {"MST", PIECE_ZONE_NAME},
    {"2006", PIECE_YEAR},
    {"-07:00", PIECE_ZONE_COLON},
    {"-0700", PIECE_ZONE},
    {"-07", PIECE_ZONE_HOURS},
    {"Z07:00", PIECE_ZONE_COLON_Z},
    {"Z0700", PIECE_ZONE_Z},
    {"01", PIECE_MONTH_2},
    {"02", PIECE_DAY_2},
    {"03", PIECE_HOUR_12_2},
    {"04", PIECE_MINUTE_2},
    {"05", PIECE_SECOND_2},
    {"06", PIECE_YEAR_2},
    {"15", PIECE_HOUR},
    {"PM", PIECE_PM},
    {"pm", PIECE_PM},
    {"_2", PIECE_DAY_SPACE},
    {"1", PIECE_MONTH},
    {"2", PIECE_DAY},
    {"3", PIECE_HOUR_12},
    {"4", PIECE_MINUTE},
    {"5", PIECE_SECOND},
};

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const weekdays[] = {"Thursday", "Friday",  "Saturday", "Sunday",
                                       "Monday",   "Tuesday", "Wednesday"}; /* 1970 began so */

/* ".000" and ".999", also after a comma. */
static size_t fraction_bytes(struct span rest)
{
    size_t bytes = 1;
    if (rest.bytes < 2 || (rest.data[0] != '.' && rest.data[0] != ',') ||
        (rest.data[1] != '0' && rest.data[1] != '9')) {
        return 0;
    }
    while (bytes < rest.bytes && rest.data[bytes] == rest.data[1]) {
        bytes++;
    }
    bool digit_after = bytes < rest.bytes && rest.data[bytes] >= '0' && rest.data[bytes] <= '9';
    return digit_after ? 0 : bytes;
}

static enum piece next_piece(struct span *rest, struct span *ret_text)
{
    size_t bytes = fraction_bytes(*rest);
    enum piece piece = bytes > 0 ? PIECE_FRACTION : PIECE_TEXT;
    for (size_t i = 0; i < ARRAY_COUNT(pieces) && bytes == 0; i++) {
        if (span_starts_with(*rest, span_of_str(pieces[i].text))) {
            bytes = strlen(pieces[i].text);
            piece = pieces[i].piece;
        }
    }
    bytes = bytes == 0 ? 1 : bytes;
    *ret_text = span_first(*rest, bytes);
    *rest = span_from(*rest, bytes);
    return piece;
}

/* ── Writing ─────────────────────────────────────────────────────────────────────────────── */

struct parts {
    int64_t year;
    unsigned month, day;
    int64_t hour, minute, second, fraction_ns;
    int64_t days; /* since 1970 */
    int64_t zone_s;
};

static struct parts parts_of(int64_t time_ns, int64_t zone_s)
{
    struct parts parts = {.zone_s = zone_s};
    int64_t seconds = time_ns / TIME_S_NS;
    parts.fraction_ns = time_ns % TIME_S_NS;
    if (parts.fraction_ns < 0) {
        parts.fraction_ns += TIME_S_NS;
        seconds--;
    }
    seconds += zone_s;
    parts.days = seconds / 86400;
    int64_t rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        parts.days--;
    }
    time_date_of_days(parts.days, &parts.year, &parts.month, &parts.day);
    parts.hour = rest / 3600;
    parts.minute = rest / 60 % 60;
    parts.second = rest % 60;
    return parts;
}

static void put_zone(const struct parts *parts, enum piece piece, struct buf *buf)
{
    int64_t zone = parts->zone_s < 0 ? -parts->zone_s : parts->zone_s;
    if (parts->zone_s == 0 && (piece == PIECE_ZONE_COLON_Z || piece == PIECE_ZONE_Z)) {
        buf_append_byte(buf, 'Z');
        return;
    }
    if (parts->zone_s == 0 && piece == PIECE_ZONE_NAME) {
        buf_append_str(buf, "UTC");
        return;
    }
    bool colon = piece == PIECE_ZONE_COLON || piece == PIECE_ZONE_COLON_Z;
    buf_printf(buf, "%c%02" PRId64, parts->zone_s < 0 ? '-' : '+', zone / 3600);
    if (piece != PIECE_ZONE_HOURS) {
        buf_printf(buf, "%s%02" PRId64, colon ? ":" : "", zone / 60 % 60);
    }
}

static void put_fraction(const struct parts *parts, struct span layout, struct buf *buf)
{
    char digits[16];
    size_t count = MIN(layout.bytes - 1, (size_t)9);
    (void)snprintf(digits, sizeof(digits), "%09" PRId64, parts->fraction_ns);
    while (layout.data[1] == '9' && count > 0 && digits[count - 1] == '0') {
        count--;
    }
    if (count > 0) {
        buf_append_byte(buf, layout.data[0]);
        buf_append(buf, span_of(digits, count));
    }
}

static void put_piece(const struct parts *parts, enum piece piece, struct span text,
                      struct buf *buf)
{
    int64_t hour_12 = parts->hour % 12 == 0 ? 12 : parts->hour % 12;
    size_t weekday = (size_t)(((parts->days % 7) + 7) % 7);
    switch (piece) {
    case PIECE_TEXT:
        buf_append(buf, text);
        break;
    case PIECE_YEAR:
        buf_printf(buf, "%04" PRId64, parts->year);
        break;
    case PIECE_YEAR_2:
        buf_printf(buf, "%02" PRId64, parts->year % 100);
        break;
    case PIECE_MONTH_NAME:
        buf_append_str(buf, months[parts->month - 1]);
        break;
    case PIECE_MONTH_SHORT:
        buf_printf(buf, "%.3s", months[parts->month - 1]);
        break;
    case PIECE_WEEKDAY:
        buf_append_str(buf, weekdays[weekday]);
        break;
    case PIECE_WEEKDAY_SHORT:
        buf_printf(buf, "%.3s", weekdays[weekday]);
        break;
    case PIECE_MONTH_2:
    case PIECE_MONTH:
        buf_printf(buf, piece == PIECE_MONTH ? "%u" : "%02u", parts->month);
        break;
    case PIECE_DAY_2:
        buf_printf(buf, "%02u", parts->day);
        break;
    case PIECE_DAY_SPACE:
        buf_printf(buf, "%2u", parts->day);
        break;
    case PIECE_DAY:
        buf_printf(buf, "%u", parts->day);
        break;
    case PIECE_HOUR:
        buf_printf(buf, "%02" PRId64, parts->hour);
        break;
    case PIECE_HOUR_12_2:
    case PIECE_HOUR_12:
        buf_printf(buf, piece == PIECE_HOUR_12 ? "%" PRId64 : "%02" PRId64, hour_12);
        break;
    case PIECE_MINUTE_2:
    case PIECE_MINUTE:
        buf_printf(buf, piece == PIECE_MINUTE ? "%" PRId64 : "%02" PRId64, parts->minute);
        break;
    case PIECE_SECOND_2:
    case PIECE_SECOND:
        buf_printf(buf, piece == PIECE_SECOND ? "%" PRId64 : "%02" PRId64, parts->second);
        break;
    case PIECE_PM:
        buf_append_byte(buf, (uint8_t)((parts->hour < 12 ? 'A' : 'P') | (text.data[0] & 0x20)));
        buf_append_byte(buf, text.data[1]);
        break;
    case PIECE_FRACTION:
        put_fraction(parts, text, buf);
        break;
    default:
        put_zone(parts, piece, buf);
        break;
    }
}

void layout_format(struct span layout, int64_t time_ns, int64_t zone_s, struct buf *buf)
{
    struct parts parts = parts_of(time_ns, zone_s);
    struct span text;
    while (layout.bytes > 0) {
        enum piece piece = next_piece(&layout, &text);
        put_piece(&parts, piece, text, buf);
    }
}

/* ── Reading ─────────────────────────────────────────────────────────────────────────────── */

struct reading {
    struct parts parts;
    struct span rest;
    bool pm, twelve;
};

static bool take_number(struct reading *reading, size_t least, size_t most, int64_t *ret_number)
{
    size_t bytes = 0;
    *ret_number = 0;
    while (bytes < most && bytes < reading->rest.bytes && reading->rest.data[bytes] >= '0' &&
           reading->rest.data[bytes] <= '9') {
        *ret_number = *ret_number * 10 + (reading->rest.data[bytes] - '0');
        bytes++;
    }
    reading->rest = span_from(reading->rest, bytes);
    return bytes >= least;
}

/* One of the names, `bytes` long or (0) whole, in any case; its number from 1. */
static unsigned take_name(struct reading *reading, const char *const *names, size_t count,
                          size_t bytes)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = bytes == 0 ? strlen(names[i]) : bytes;
        if (reading->rest.bytes >= length &&
            span_equal_nocase(span_first(reading->rest, length), span_of(names[i], length))) {
            reading->rest = span_from(reading->rest, length);
            return (unsigned)i + 1;
        }
    }
    return 0;
}

static bool take_zone(struct reading *reading)
{
    size_t bytes = 0;
    while (bytes < reading->rest.bytes && bytes < 6 &&
           strchr("+-0123456789:ZUTC", reading->rest.data[bytes]) != NULL &&
           reading->rest.data[bytes] != 0) {
        bytes++;
    }
    struct span zone = span_first(reading->rest, bytes);
    reading->rest = span_from(reading->rest, bytes);
    return layout_zone(zone, &reading->parts.zone_s);
}

static bool take_fraction(struct reading *reading, struct span layout)
{
    size_t digits = 0;
    int64_t scale = TIME_S_NS / 10;
    bool point = reading->rest.bytes > 0 && reading->rest.data[0] == layout.data[0];
    if (!point) {
        return layout.data[1] == '9';
    }
    reading->rest = span_from(reading->rest, 1);
    for (; reading->rest.bytes > 0 && reading->rest.data[0] >= '0' && reading->rest.data[0] <= '9';
         digits++) {
        reading->parts.fraction_ns += (reading->rest.data[0] - '0') * scale;
        scale /= 10;
        reading->rest = span_from(reading->rest, 1);
    }
    return digits > 0;
}

static bool take_date(struct reading *reading, enum piece piece)
{
    struct parts *parts = &reading->parts;
    int64_t number = 0;
    bool good = true;
    switch (piece) {
    case PIECE_YEAR:
        return take_number(reading, 4, 4, &parts->year);
    case PIECE_YEAR_2:
        good = take_number(reading, 2, 2, &number);
        parts->year = number + (number >= 69 ? 1900 : 2000);
        return good;
    case PIECE_MONTH_NAME:
        parts->month = take_name(reading, months, ARRAY_COUNT(months), 0);
        return parts->month > 0;
    case PIECE_MONTH_SHORT:
        parts->month = take_name(reading, months, ARRAY_COUNT(months), 3);
        return parts->month > 0;
    case PIECE_MONTH_2:
    case PIECE_MONTH:
        good = take_number(reading, piece == PIECE_MONTH ? 1 : 2, 2, &number);
        parts->month = (unsigned)number;
        return good && number >= 1 && number <= 12;
    case PIECE_WEEKDAY:
        return take_name(reading, weekdays, ARRAY_COUNT(weekdays), 0) > 0;
    case PIECE_WEEKDAY_SHORT:
        return take_name(reading, weekdays, ARRAY_COUNT(weekdays), 3) > 0;
    default:
        if (piece == PIECE_DAY_SPACE && reading->rest.bytes > 0 && reading->rest.data[0] == ' ') {
            reading->rest = span_from(reading->rest, 1);
        }
        good = take_number(reading, piece == PIECE_DAY_2 ? 2 : 1, 2, &number);
        parts->day = (unsigned)number;
        return good && number >= 1 && number <= 31;
    }
}

static bool take_clock(struct reading *reading, enum piece piece, struct span layout)
{
    struct parts *parts = &reading->parts;
    switch (piece) {
    case PIECE_HOUR:
        return take_number(reading, 2, 2, &parts->hour) && parts->hour < 24;
    case PIECE_HOUR_12_2:
    case PIECE_HOUR_12:
        reading->twelve = true;
        return take_number(reading, piece == PIECE_HOUR_12 ? 1 : 2, 2, &parts->hour) &&
               parts->hour >= 1 && parts->hour <= 12;
    case PIECE_MINUTE_2:
    case PIECE_MINUTE:
        return take_number(reading, piece == PIECE_MINUTE ? 1 : 2, 2, &parts->minute) &&
               parts->minute < 60;
    case PIECE_SECOND_2:
    case PIECE_SECOND:
        return take_number(reading, piece == PIECE_SECOND ? 1 : 2, 2, &parts->second) &&
               parts->second < 61;
    case PIECE_PM:
        reading->pm = span_starts_with(reading->rest, SPAN_LIT("P")) ||
                      span_starts_with(reading->rest, SPAN_LIT("p"));
        reading->rest = span_from(reading->rest, 2);
        return true;
    case PIECE_FRACTION:
        return take_fraction(reading, layout);
    default:
        return take_zone(reading);
    }
}

static bool take_piece(struct reading *reading, enum piece piece, struct span text)
{
    if (piece == PIECE_TEXT) {
        bool same = span_starts_with(reading->rest, text);
        reading->rest = span_from(reading->rest, text.bytes);
        return same;
    }
    return piece <= PIECE_DAY ? take_date(reading, piece) : take_clock(reading, piece, text);
}

bool layout_parse(struct span layout, struct span text, int64_t zone_s, int64_t *ret_time_ns)
{
    struct reading reading = {.rest = text,
                              .parts = {.year = 1970, .month = 1, .day = 1, .zone_s = zone_s}};
    struct span piece_text;
    while (layout.bytes > 0) {
        enum piece piece = next_piece(&layout, &piece_text);
        if (!take_piece(&reading, piece, piece_text)) {
            return false;
        }
    }
    struct parts *parts = &reading.parts;
    if (reading.twelve) {
        parts->hour = parts->hour % 12 + (reading.pm ? 12 : 0);
    }
    int64_t year = 0;
    unsigned month = 0;
    unsigned day = 0;
    int64_t days = time_days_of_date(parts->year, parts->month, parts->day);
    time_date_of_days(days, &year, &month, &day);
    int64_t seconds =
        days * 86400 + parts->hour * 3600 + parts->minute * 60 + parts->second - parts->zone_s;
    *ret_time_ns = time_of_parts(seconds, parts->fraction_ns);
    return reading.rest.bytes == 0 && day == parts->day;
}

bool layout_zone(struct span text, int64_t *ret_zone_s)
{
    uint64_t hours = 0;
    uint64_t minutes = 0;
    if (span_equal_str(text, "UTC") || span_equal_str(text, "Z")) {
        *ret_zone_s = 0;
        return true;
    }
    if (text.bytes < 3 || (text.data[0] != '+' && text.data[0] != '-')) {
        return false;
    }
    struct span rest = span_from(text, 3);
    rest = rest.bytes > 0 && rest.data[0] == ':' ? span_from(rest, 1) : rest;
    if (!span_to_u64(span_first(span_from(text, 1), 2), &hours) || hours > 14 ||
        (rest.bytes > 0 && (rest.bytes != 2 || !span_to_u64(rest, &minutes) || minutes > 59))) {
        return false;
    }
    *ret_zone_s = (int64_t)(hours * 3600 + minutes * 60) * (text.data[0] == '-' ? -1 : 1);
    return true;
}
