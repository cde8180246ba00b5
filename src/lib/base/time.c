#include "base/time.h"

#include <inttypes.h>
#include <stdio.h>

/* Howard Hinnant's civil-from-days arithmetic: eras of 400 years, years that begin in March. */
int64_t time_days_of_date(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void time_date_of_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_index = (5 * day_of_year + 2) / 153;
    *ret_day = (unsigned)(day_of_year - (153 * month_index + 2) / 5 + 1);
    *ret_month = (unsigned)(month_index < 10 ? month_index + 3 : month_index - 9);
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

int64_t time_of_parts(int64_t seconds, int64_t nanoseconds)
{
    int64_t time_ns;
    if (__builtin_mul_overflow(seconds, TIME_S_NS, &time_ns) ||
        __builtin_add_overflow(time_ns, nanoseconds, &time_ns) || time_ns == TIME_UNSET) {
        return seconds < 0 ? TIME_MIN_NS : TIME_MAX_NS;
    }
    return time_ns;
}

static int64_t floor_divide(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

const char *time_text(int64_t time_ns, char text[TIME_TEXT_BYTES])
{
    if (time_ns == TIME_UNSET) {
        (void)snprintf(text, TIME_TEXT_BYTES, "0001-01-01T00:00:00Z");
        return text;
    }
    int64_t seconds = floor_divide(time_ns, TIME_S_NS);
    int64_t fraction = (int64_t)((uint64_t)time_ns - (uint64_t)seconds * (uint64_t)TIME_S_NS);
    int64_t days = floor_divide(seconds, 86400);
    int64_t second_of_day = seconds - days * 86400;
    int64_t year;
    unsigned month;
    unsigned day;
    time_date_of_days(days, &year, &month, &day);
    int used = snprintf(text, TIME_TEXT_BYTES, "%04d-%02u-%02uT%02d:%02d:%02d", (int)year, month,
                        day, (int)(second_of_day / 3600), (int)(second_of_day / 60 % 60),
                        (int)(second_of_day % 60));
    size_t at = (size_t)used;
    if (fraction != 0) {
        (void)snprintf(text + at, TIME_TEXT_BYTES - at, ".%09d", (int)fraction);
        at += 10;
        while (text[at - 1] == '0') {
            at--;
        }
    }
    text[at] = 'Z';
    text[at + 1] = 0;
    return text;
}

void time_format(struct buf *buf, int64_t time_ns)
{
    char text[TIME_TEXT_BYTES];
    buf_append_str(buf, time_text(time_ns, text));
}

/* Reads exactly `digits` digits off the front. */
static bool take_number(struct span *rest, size_t digits, int64_t *ret_value)
{
    int64_t value = 0;
    if (rest->bytes < digits) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        uint8_t c = rest->data[i];
        if (c < '0' || c > '9') {
            return false;
        }
        value = value * 10 + (c - '0');
    }
    *rest = span_from(*rest, digits);
    *ret_value = value;
    return true;
}

static bool take_byte(struct span *rest, uint8_t byte)
{
    if (rest->bytes == 0 || rest->data[0] != byte) {
        return false;
    }
    *rest = span_from(*rest, 1);
    return true;
}

static bool take_fraction(struct span *rest, int64_t *ret_ns)
{
    int64_t ns = 0;
    int64_t scale = TIME_S_NS / 10;
    size_t digits = 0;
    while (digits < rest->bytes && rest->data[digits] >= '0' && rest->data[digits] <= '9') {
        ns += (rest->data[digits] - '0') * scale;
        scale /= 10;
        digits++;
    }
    *rest = span_from(*rest, digits);
    *ret_ns = ns;
    return digits > 0;
}

static bool take_zone(struct span *rest, int64_t *ret_offset_s)
{
    if (take_byte(rest, 'Z') || take_byte(rest, 'z')) {
        *ret_offset_s = 0;
        return true;
    }
    int64_t sign = take_byte(rest, '+') ? 1 : take_byte(rest, '-') ? -1 : 0;
    int64_t hours;
    int64_t minutes = 0;
    if (sign == 0 || !take_number(rest, 2, &hours)) {
        return false;
    }
    if (rest->bytes > 0) {
        (void)take_byte(rest, ':');
        if (!take_number(rest, 2, &minutes)) {
            return false;
        }
    }
    *ret_offset_s = sign * (hours * 3600 + minutes * 60);
    return hours <= 23 && minutes <= 59;
}

static unsigned days_in_month(int64_t year, int64_t month)
{
    static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

bool time_parse(struct span text, int64_t *ret_time_ns)
{
    int64_t year;
    int64_t month;
    int64_t day;
    int64_t hour;
    int64_t minute;
    int64_t second;
    int64_t fraction_ns = 0;
    int64_t offset_s;
    struct span rest = text;
    if (!take_number(&rest, 4, &year) || !take_byte(&rest, '-') || !take_number(&rest, 2, &month) ||
        !take_byte(&rest, '-') || !take_number(&rest, 2, &day) ||
        !(take_byte(&rest, 'T') || take_byte(&rest, 't')) || !take_number(&rest, 2, &hour) ||
        !take_byte(&rest, ':') || !take_number(&rest, 2, &minute) || !take_byte(&rest, ':') ||
        !take_number(&rest, 2, &second)) {
        return false;
    }
    if (take_byte(&rest, '.') && !take_fraction(&rest, &fraction_ns)) {
        return false;
    }
    if (!take_zone(&rest, &offset_s) || rest.bytes > 0) {
        return false;
    }
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
        minute > 59 || second > 60) {
        return false;
    }
    if (year <= 1) {
        *ret_time_ns = TIME_UNSET;
        return true;
    }
    int64_t days = time_days_of_date(year, (unsigned)month, (unsigned)day);
    int64_t seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset_s;
    *ret_time_ns = time_of_parts(seconds, fraction_ns);
    return true;
}

static int64_t take_unit(struct span *rest)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {
        /* The longer of two that begin alike comes first. */
        {"ns", 1},
        {"us", TIME_US_NS},
        {"\xc2\xb5s", TIME_US_NS},
        {"ms", TIME_MS_NS},
        {"s", TIME_S_NS},
        {"m", TIME_MINUTE_NS},
        {"h", TIME_HOUR_NS},
        {"d", TIME_DAY_NS},
        {"w", 7 * TIME_DAY_NS},
        {"y", 365 * TIME_DAY_NS},
    };
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        struct span name = span_of_str(units[i].name);
        if (span_starts_with(*rest, name)) {
            *rest = span_from(*rest, name.bytes);
            return units[i].ns;
        }
    }
    return 0;
}

static bool take_duration_piece(struct span *rest, int64_t *ret_ns)
{
    int64_t whole = 0;
    size_t digits = 0;
    while (rest->bytes > 0 && rest->data[0] >= '0' && rest->data[0] <= '9') {
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, rest->data[0] - '0', &whole)) {
            return false;
        }
        *rest = span_from(*rest, 1);
        digits++;
    }
    int64_t fraction = 0;
    if (take_byte(rest, '.') && !take_fraction(rest, &fraction)) {
        return false;
    }
    int64_t unit = take_unit(rest);
    if (unit == 0 || (digits == 0 && fraction == 0)) {
        return false;
    }
    int64_t part = (int64_t)((__int128)fraction * unit / TIME_S_NS);
    return !__builtin_mul_overflow(whole, unit, ret_ns) &&
           !__builtin_add_overflow(*ret_ns, part, ret_ns);
}

bool time_parse_duration(struct span text, int64_t *ret_duration_ns)
{
    struct span rest = text;
    bool negative = take_byte(&rest, '-');
    if (!negative) {
        (void)take_byte(&rest, '+');
    }
    if (span_equal_str(rest, "0")) {
        *ret_duration_ns = 0;
        return true;
    }
    int64_t total = 0;
    if (rest.bytes == 0) {
        return false;
    }
    while (rest.bytes > 0) {
        int64_t piece;
        if (!take_duration_piece(&rest, &piece) || __builtin_add_overflow(total, piece, &total)) {
            return false;
        }
    }
    *ret_duration_ns = negative ? -total : total;
    return true;
}

static void format_fraction(struct buf *buf, int64_t value, int64_t unit, const char *name)
{
    int width = unit == TIME_S_NS ? 9 : unit == TIME_MS_NS ? 6 : 3;
    buf_printf(buf, "%" PRId64, value / unit);
    if (value % unit != 0) {
        buf_printf(buf, ".%0*" PRId64, width, value % unit);
        while (buf->data[buf->bytes - 1] == '0') {
            buf->bytes--;
        }
    }
    buf_append_str(buf, name);
}

void time_format_duration(struct buf *buf, int64_t duration_ns)
{
    if (duration_ns < 0) {
        buf_append_byte(buf, '-');
        duration_ns = duration_ns == INT64_MIN ? INT64_MAX : -duration_ns;
    }
    if (duration_ns == 0) {
        buf_append_str(buf, "0s");
    } else if (duration_ns < TIME_US_NS) {
        buf_printf(buf, "%" PRId64 "ns", duration_ns);
    } else if (duration_ns < TIME_MS_NS) {
        format_fraction(buf, duration_ns, TIME_US_NS, "\xc2\xb5s");
    } else if (duration_ns < TIME_S_NS) {
        format_fraction(buf, duration_ns, TIME_MS_NS, "ms");
    } else {
        if (duration_ns >= TIME_HOUR_NS) {
            buf_printf(buf, "%" PRId64 "h", duration_ns / TIME_HOUR_NS);
        }
        if (duration_ns >= TIME_MINUTE_NS) {
            buf_printf(buf, "%" PRId64 "m", duration_ns / TIME_MINUTE_NS % 60);
        }
        format_fraction(buf, duration_ns % TIME_MINUTE_NS, TIME_S_NS, "s");
    }
}
