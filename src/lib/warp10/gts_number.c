/*
 * Numbers as the reference reads them. Tested by gts_test.c.
 *
 * Most numbers are short: their digits fit 64 bits and the power of ten is one that a double
 * holds exactly, so one division gives the nearest double. The rest goes to strtod().
 */
#include <endian.h>
#include <math.h>
#include <stdlib.h>

#include "warp10/gts_internal.h"

#define DIGITS_MAX 19 /* that fit 64 bits without a look */
#define EXACT_MAX (UINT64_C(1) << 53)
#define DECIMAL_CHARS_MAX 15 /* longer plain numbers are doubles there */
#define TEXT_STACK_BYTES 128

static const double powers_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') <= 9;
}

/* Eight digits at a time, of which the first one is the lowest byte. */
static bool is_eight_digits(uint64_t word)
{
    const uint64_t high = UINT64_C(0xF0F0F0F0F0F0F0F0);
    const uint64_t zeros = UINT64_C(0x3030303030303030);
    return (word & high) == zeros && ((word + UINT64_C(0x0606060606060606)) & high) == zeros;
}

static uint64_t value_of_eight(uint64_t word)
{
    word -= UINT64_C(0x3030303030303030);
    word = word * 10 + (word >> 8); /* pairs, in every other byte */
    uint64_t high = (word & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x000F424000000064);
    uint64_t low = (word >> 16 & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x0000271000000001);
    return (high + low) >> 32;
}

const uint8_t *gts_scan_digits(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
    uint64_t value = 0;
    const uint8_t *safe = end - at > DIGITS_MAX - 1 ? at + DIGITS_MAX - 1 : end;
    while (safe - at >= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        word = le64toh(word);
        if (!is_eight_digits(word)) {
            break;
        }
        value = value * 100000000 + value_of_eight(word);
        at += 8;
    }
    for (; at < safe && is_digit(*at); at++) {
        value = value * 10 + (uint64_t)(*at - '0');
    }
    *ret_value = value;
    return at;
}

bool gts_parse_i64(struct span text, int64_t *ret_value)
{
    const uint8_t *at = text.data;
    const uint8_t *end = at + text.bytes;
    bool negative = at < end && *at == '-';
    at += negative || (at < end && *at == '+');
    if (at == end) {
        return false;
    }
    uint64_t value;
    at = gts_scan_digits(at, end, &value);
    for (; at < end && is_digit(*at); at++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value)) {
            return false;
        }
    }
    if (at < end || value > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *ret_value = negative ? (int64_t)-value : (int64_t)value;
    return true;
}

/* A number taken apart: [sign] digits [. digits] [exponent]. */
struct scan {
    uint64_t digits;
    size_t digit_count; /* significant ones */
    int64_t exponent;   /* of ten, of the last digit */
    bool negative;
    bool point;
    bool has_exponent;
    bool cut; /* more digits than fit */
};

static const uint8_t *scan_digits(const uint8_t *at, const uint8_t *end, struct scan *scan)
{
    for (; at < end && is_digit(*at); at++) {
        if (scan->digit_count < DIGITS_MAX) {
            scan->digits = scan->digits * 10 + (uint64_t)(*at - '0');
            scan->digit_count += scan->digits != 0;
            scan->exponent -= scan->point;
        } else {
            scan->cut = true;
            scan->exponent += !scan->point;
        }
    }
    return at;
}

static const uint8_t *scan_exponent(const uint8_t *at, const uint8_t *end, struct scan *scan)
{
    int64_t value = 0;
    bool negative = at < end && *at == '-';
    at += at < end && (*at == '-' || *at == '+');
    if (at == end || !is_digit(*at)) {
        return NULL;
    }
    for (; at < end && is_digit(*at); at++) {
        value = value > 99999 ? value : value * 10 + (*at - '0');
    }
    scan->exponent += negative ? -value : value;
    scan->has_exponent = true;
    return at;
}

/* False: not of this form. A trailing d or f is allowed, as in Java. */
static bool scan_number(struct span text, struct scan *ret_scan, bool *ret_suffix)
{
    struct scan scan = {0};
    const uint8_t *at = text.data;
    const uint8_t *end = at + text.bytes;
    scan.negative = at < end && *at == '-';
    at += at < end && (*at == '-' || *at == '+');
    const uint8_t *begin = at;
    at = scan_digits(at, end, &scan);
    size_t digits = (size_t)(at - begin);
    if (at < end && *at == '.') {
        scan.point = true;
        begin = ++at;
        at = scan_digits(at, end, &scan);
        digits += (size_t)(at - begin);
    }
    if (digits == 0) {
        return false;
    }
    if (at < end && (*at | 0x20) == 'e') {
        at = scan_exponent(at + 1, end, &scan);
        if (at == NULL) {
            return false;
        }
    }
    *ret_suffix = at + 1 == end && ((*at | 0x20) == 'd' || (*at | 0x20) == 'f');
    *ret_scan = scan;
    return at == end || *ret_suffix;
}

static double slow_f64(struct span text)
{
    char stack[TEXT_STACK_BYTES];
    char *copy = text.bytes < sizeof(stack) ? stack : mem_alloc(text.bytes + 1);
    memcpy(copy, text.data, text.bytes);
    copy[text.bytes] = 0;
    double value = strtod(copy, NULL);
    if (copy != stack) {
        mem_free(copy);
    }
    return value;
}

static double f64_of(const struct scan *scan, struct span text)
{
    if (scan->cut || scan->digits > EXACT_MAX || scan->exponent < -22 || scan->exponent > 22) {
        return slow_f64(text);
    }
    double value = (double)scan->digits;
    value = scan->exponent < 0 ? value / powers_of_ten[-scan->exponent]
                               : value * powers_of_ten[scan->exponent];
    return scan->negative ? -value : value;
}

/* "NaN", "Infinity", with a sign. */
static bool word_f64(struct span text, double *ret_value)
{
    bool negative = text.bytes > 0 && text.data[0] == '-';
    if (text.bytes > 0 && (text.data[0] == '-' || text.data[0] == '+')) {
        text = span_from(text, 1);
    }
    if (span_equal_str(text, "NaN")) {
        *ret_value = NAN;
        return true;
    }
    *ret_value = negative ? -INFINITY : INFINITY;
    return span_equal_str(text, "Infinity");
}

bool gts_parse_f64(struct span text, double *ret_value)
{
    struct scan scan;
    bool suffix;
    if (!scan_number(text, &scan, &suffix)) {
        return word_f64(text, ret_value);
    }
    *ret_value = f64_of(&scan, span_first(text, text.bytes - suffix));
    return true;
}

/* [sign] digits [. digits], short: what most numbers are. Not zero, which has a sign or not. */
static bool parse_short(struct span text, struct element *ret_element)
{
    const uint8_t *begin = text.data;
    const uint8_t *end = begin + text.bytes;
    uint64_t digits;
    uint64_t decimals;
    if (text.bytes > DECIMAL_CHARS_MAX || text.bytes == 0) {
        return false;
    }
    begin += *begin == '-' || *begin == '+';
    bool negative = text.data[0] == '-';
    const uint8_t *at = gts_scan_digits(begin, end, &digits);
    if (at == end && at > begin) {
        ret_element->type = ELEMENT_I64;
        ret_element->value.i64 = negative ? -(int64_t)digits : (int64_t)digits;
        return true;
    }
    if (at == end || *at != '.' || gts_scan_digits(at + 1, end, &decimals) != end) {
        return false;
    }
    size_t places = (size_t)(end - at) - 1;
    digits = digits * (uint64_t)powers_of_ten[places] + decimals;
    if (digits == 0 || (at == begin && places == 0)) {
        return false;
    }
    double value = (double)digits / powers_of_ten[places];
    ret_element->type = ELEMENT_F64;
    ret_element->value.f64 = negative ? -value : value;
    return true;
}

bool gts_parse_number(struct span text, struct element *ret_element)
{
    if (parse_short(text, ret_element)) {
        return true;
    }
    struct scan scan;
    bool suffix;
    if (!scan_number(text, &scan, &suffix)) {
        ret_element->type = ELEMENT_F64;
        return word_f64(text, &ret_element->value.f64);
    }
    if (!scan.point && !scan.has_exponent && !suffix) {
        ret_element->type = ELEMENT_I64;
        if (scan.cut || scan.digits > (uint64_t)INT64_MAX + scan.negative) {
            return false;
        }
        ret_element->value.i64 = scan.negative ? (int64_t)-scan.digits : (int64_t)scan.digits;
        return true;
    }
    ret_element->type = ELEMENT_F64;
    double value = f64_of(&scan, span_first(text, text.bytes - suffix));
    /* Short plain numbers are decimals there, and a decimal zero has no sign. */
    bool decimal = !scan.has_exponent && !suffix && text.bytes <= DECIMAL_CHARS_MAX;
    ret_element->value.f64 = decimal && scan.digits == 0 ? 0.0 : value;
    return true;
}

bool gts_parse_location(struct span text, struct location *ret_location)
{
    ptrdiff_t colon = span_find_byte(text, ':');
    double latitude;
    double longitude;
    int64_t code;
    if (colon < 0) {
        if (!gts_parse_i64(text, &code)) {
            return false;
        }
        *ret_location = location_of_code((uint64_t)code);
        return true;
    }
    if (!gts_parse_f64(span_first(text, (size_t)colon), &latitude) ||
        !gts_parse_f64(span_from(text, (size_t)colon + 1), &longitude) || !isfinite(latitude) ||
        !isfinite(longitude)) {
        return false;
    }
    *ret_location = location_of_degrees(latitude, longitude);
    return true;
}
