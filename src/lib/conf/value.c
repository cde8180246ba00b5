#include "conf/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/time.h"
#include "base/uuid.h"
#include "conf/conf.h"

const char *conf_type_name(enum conf_type type)
{
    static const char *const names[] = {
        [CONF_TEXT] = "text",
        [CONF_PATH] = "a path",
        [CONF_BOOL] = "true or false (also yes, no, on, off, 1, 0)",
        [CONF_INT] = "an integer",
        [CONF_PORT] = "a port, 0 to 65535",
        [CONF_FLOAT] = "a number",
        [CONF_AGE] = "a number of days or weeks, as 7d or 12w",
        [CONF_DURATION] = "a duration, as 90s or 1h30m",
        [CONF_TIME_OF_DAY] = "a time of day, HH:MM",
        [CONF_ADDRESS] = "host or host:port",
        [CONF_UUID] = "a UUID",
        [CONF_LEVEL] = "a log level: DEBUG, INFO, WARN, ERROR or OFF",
    };
    return names[type];
}

static bool is_one_of(struct span value, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (span_equal_nocase(value, span_of_str(words[i]))) {
            return true;
        }
    }
    return false;
}

bool conf_value_bool(struct span value, bool *ret_value)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};
    *ret_value = is_one_of(value, yes, ARRAY_COUNT(yes));
    return *ret_value || is_one_of(value, no, ARRAY_COUNT(no));
}

bool conf_value_environment_bool(struct span value, bool *ret_value)
{
    static const char *const yes[] = {"t", "y"};
    static const char *const no[] = {"f", "n"};
    if (conf_value_bool(value, ret_value)) {
        return true;
    }
    *ret_value = is_one_of(value, yes, ARRAY_COUNT(yes));
    return *ret_value || is_one_of(value, no, ARRAY_COUNT(no));
}

static int digit_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

bool conf_value_int(struct span value, int64_t *ret_value)
{
    bool negative = value.bytes > 0 && value.data[0] == '-';
    if (value.bytes > 0 && (negative || value.data[0] == '+')) {
        value = span_from(value, 1);
    }
    bool hex = value.bytes > 2 && value.data[0] == '0' && (value.data[1] | 0x20) == 'x';
    value = span_from(value, hex ? 2 : 0);
    int base = hex ? 16 : 10;
    int64_t sum = 0;
    for (size_t i = 0; i < value.bytes; i++) {
        int digit = digit_value(value.data[i]);
        if (digit >= base || __builtin_mul_overflow(sum, base, &sum) ||
            __builtin_sub_overflow(sum, digit, &sum)) {
            return false; /* summed downwards, so that the smallest number fits */
        }
    }
    if (value.bytes == 0 || (!negative && sum == INT64_MIN)) {
        return false;
    }
    *ret_value = negative ? sum : -sum;
    return true;
}

bool conf_value_age(struct span value, int64_t *ret_ns)
{
    static const char *const day[] = {"d", "day", "days"};
    static const char *const week[] = {"w", "week", "weeks"};
    size_t digits = 0;
    while (digits < value.bytes && value.data[digits] >= '0' && value.data[digits] <= '9') {
        digits++;
    }
    uint64_t count;
    if (!span_to_u64(span_first(value, digits), &count)) {
        return false;
    }
    struct span unit = span_trim(span_from(value, digits));
    bool weeks = is_one_of(unit, week, ARRAY_COUNT(week));
    if (!weeks && !is_one_of(unit, day, ARRAY_COUNT(day))) {
        return false;
    }
    int64_t unit_ns = weeks ? 7 * TIME_DAY_NS : TIME_DAY_NS;
    return count <= INT64_MAX && !__builtin_mul_overflow((int64_t)count, unit_ns, ret_ns);
}

bool conf_value_time_of_day(struct span value, int64_t *ret_ns)
{
    ptrdiff_t colon = span_find_byte(value, ':');
    uint64_t hour;
    uint64_t minute;
    if (colon < 1 || colon > 2 || value.bytes != (size_t)colon + 3 ||
        !span_to_u64(span_first(value, (size_t)colon), &hour) ||
        !span_to_u64(span_from(value, (size_t)colon + 1), &minute) || hour > 23 || minute > 59) {
        return false;
    }
    *ret_ns = (int64_t)hour * TIME_HOUR_NS + (int64_t)minute * TIME_MINUTE_NS;
    return true;
}

bool conf_value_float(struct span value, double *ret_value)
{
    char text[64];
    if (value.bytes == 0 || value.bytes >= sizeof(text) || value.data[0] <= ' ') {
        return false;
    }
    memcpy(text, value.data, value.bytes);
    text[value.bytes] = 0;
    char *end;
    *ret_value = strtod(text, &end);
    return end == text + value.bytes && isfinite(*ret_value);
}

static int check_range(const struct conf_key *key, struct span value)
{
    int64_t min = key->type == CONF_PORT ? 0 : key->min;
    int64_t max = key->type == CONF_PORT ? UINT16_MAX : key->max;
    int64_t number;
    if (!conf_value_int(value, &number)) {
        return err_set(ERR_INVALID, "\"%.*s\" is not %s", SPAN_ARG(span_first(value, 80)),
                       conf_type_name(key->type));
    }
    if ((min != 0 || max != 0) && (number < min || number > max)) {
        return err_set(ERR_INVALID, "%" PRId64 " is not between %" PRId64 " and %" PRId64, number,
                       min, max);
    }
    return 0;
}

static bool is_address(struct span value)
{
    struct buf host = {0};
    uint16_t port;
    bool valid = conf_host_port(value, 0, &host, &port) == 0;
    buf_deinit(&host);
    return valid;
}

static bool has_form(enum conf_type type, struct span value)
{
    static const char *const levels[] = {"debug", "info", "warn",    "error",
                                         "off",   "none", "disabled"};
    bool flag;
    int64_t number;
    double fraction;
    struct uuid uuid;
    switch (type) {
    case CONF_BOOL:
        return conf_value_bool(value, &flag);
    case CONF_FLOAT:
        return conf_value_float(value, &fraction);
    case CONF_AGE:
        return conf_value_age(value, &number);
    case CONF_DURATION:
        return time_parse_duration(value, &number);
    case CONF_TIME_OF_DAY:
        return conf_value_time_of_day(value, &number);
    case CONF_ADDRESS:
        return value.bytes == 0 || is_address(value);
    case CONF_UUID:
        return value.bytes == 0 || uuid_parse(value, &uuid);
    case CONF_LEVEL:
        return value.bytes == 0 || is_one_of(value, levels, ARRAY_COUNT(levels));
    default:
        return true;
    }
}

int conf_value_check(const struct conf_key *key, struct span value)
{
    if (key->type == CONF_INT || key->type == CONF_PORT) {
        return check_range(key, value);
    }
    if (!has_form(key->type, value)) {
        return err_set(ERR_INVALID, "\"%.*s\" is not %s", SPAN_ARG(span_first(value, 80)),
                       conf_type_name(key->type));
    }
    return 0;
}

struct span conf_value_canonical(const struct conf_key *key, struct span value)
{
    static const char *const off[] = {"none", "disabled"};
    bool is_off = key->type == CONF_LEVEL && is_one_of(value, off, ARRAY_COUNT(off));
    return is_off ? SPAN_LIT("OFF") : value;
}
