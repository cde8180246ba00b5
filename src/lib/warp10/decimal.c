/* Tested by output_test.c. */
#include "warp10/decimal.h"

#include <endian.h>
#include <math.h>

#include "warp10/shortest.h"

#define EXACT_DIGITS 1e15 /* fewer digits than that: rounding finds the right ones */
#define EXACT_POWER_MAX 22
#define PLAIN_CHARS_MAX 15
#define SCALE_MAX 127
#define NEAR_UNIT 100000000
#define ALIKE_PLACES_MAX 4
#define ALIKE_MAX 1e8   /* with so few places all of it is plain, and exact */
#define DIGITS_BYTES 20 /* of a 64-bit number */
#define TEXT_BYTES                                                                                 \
    64 /* of any double: -1.2345678901234567E-308, or plain within PLAIN_CHARS_MAX                 \
        */

static const double powers_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static void strip_zeros(struct decimal *decimal)
{
    while (decimal->digits != 0 && decimal->digits % 10 == 0) {
        decimal->digits /= 10;
        decimal->exponent++;
    }
}

struct decimal decimal_of(double value)
{
    struct decimal decimal = {.negative = signbit(value) != 0};
    value = fabs(value);
    for (int power = 0; power <= EXACT_POWER_MAX; power++) {
        double shifted = value * powers_of_ten[power];
        if (shifted >= EXACT_DIGITS) {
            break;
        }
        double whole = (double)(int64_t)(shifted + 0.5);
        if (power == 0 ? whole == value : whole / powers_of_ten[power] == value) {
            decimal.digits = (uint64_t)whole;
            decimal.exponent = -power;
            strip_zeros(&decimal);
            return decimal;
        }
    }
    shortest_digits(value, &decimal.digits, &decimal.exponent);
    strip_zeros(&decimal);
    return decimal;
}

static int count_digits(uint64_t value)
{
    static const uint64_t least[] = {0,
                                     UINT64_C(10),
                                     UINT64_C(100),
                                     UINT64_C(1000),
                                     UINT64_C(10000),
                                     UINT64_C(100000),
                                     UINT64_C(1000000),
                                     UINT64_C(10000000),
                                     UINT64_C(100000000),
                                     UINT64_C(1000000000),
                                     UINT64_C(10000000000),
                                     UINT64_C(100000000000),
                                     UINT64_C(1000000000000),
                                     UINT64_C(10000000000000),
                                     UINT64_C(100000000000000),
                                     UINT64_C(1000000000000000),
                                     UINT64_C(10000000000000000),
                                     UINT64_C(100000000000000000),
                                     UINT64_C(1000000000000000000),
                                     UINT64_C(10000000000000000000)};
    int about = (64 - __builtin_clzll(value | 1)) * 1233 >> 12; /* log10(2), a bit below */
    return about + (value >= least[about]);
}

/* The shortest plain text, such as ".5" or "100.", must be one that is kept as a decimal. */
bool decimal_is_plain(const struct decimal *decimal)
{
    int digits = count_digits(decimal->digits);
    int whole = digits + decimal->exponent;
    int chars = decimal->exponent >= 0 ? whole + 1 : (whole > 0 ? digits : -decimal->exponent) + 1;
    return decimal->digits < DECIMAL_DIGITS_MAX && decimal->exponent >= -SCALE_MAX &&
           chars + decimal->negative <= PLAIN_CHARS_MAX;
}

static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";

uint8_t *decimal_put_u64(uint8_t *at, uint64_t value)
{
    uint8_t *end = at + count_digits(value);
    uint8_t *to = end;
    while (value >= 100) {
        to -= 2;
        memcpy(to, pairs + 2 * (value % 100), 2);
        value /= 100;
    }
    if (value >= 10) {
        memcpy(to - 2, pairs + 2 * value, 2);
    } else {
        to[-1] = (uint8_t)('0' + value);
    }
    return end;
}

/* Eight digits at a time: halves, quarters and eighths of a word each get theirs. */
static void put_eight(uint8_t *at, uint32_t value)
{
    uint64_t halves = value / 10000 | (uint64_t)(value % 10000) << 32;
    uint64_t hundreds = (halves * 10486 >> 20) & UINT64_C(0x0000007F0000007F);
    uint64_t quarters = hundreds | (halves - hundreds * 100) << 16;
    uint64_t tens = (quarters * 103 >> 10) & UINT64_C(0x000F000F000F000F);
    uint64_t digits = (tens | (quarters - tens * 10) << 8) + UINT64_C(0x3030303030303030);
    digits = le64toh(digits);
    memcpy(at, &digits, sizeof(digits));
}

uint8_t *decimal_put_near(uint8_t *at, int64_t value, struct decimal_near *near)
{
    if (value < NEAR_UNIT) {
        return decimal_put_i64(at, value);
    }
    uint64_t low = (uint64_t)value - near->base;
    if (near->base == 0 || low >= NEAR_UNIT) {
        uint64_t high = (uint64_t)value / NEAR_UNIT;
        near->base = high * NEAR_UNIT;
        near->chars = (size_t)(decimal_put_u64(near->text, high) - near->text);
        low = (uint64_t)value - near->base;
    }
    memcpy(at, near->text, sizeof(near->text));
    put_eight(at + near->chars, (uint32_t)low);
    return at + near->chars + 8;
}

uint8_t *decimal_put_i64(uint8_t *at, int64_t value)
{
    if (value < 0) {
        *at++ = '-';
    }
    return decimal_put_u64(at, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

static uint8_t *put_zeros(uint8_t *at, int count)
{
    for (int i = 0; i < count; i++) {
        *at++ = '0';
    }
    return at;
}

/* digits * 10^exponent without an exponent; `fraction`: at least ".0". Copies have fixed sizes,
 * which take no call: there is room behind what counts. */
static uint8_t *put_plain(uint8_t *at, const struct decimal *decimal, bool fraction)
{
    uint8_t digits[DIGITS_BYTES];
    int count = (int)(decimal_put_u64(digits, decimal->digits) - digits);
    int whole = count + decimal->exponent;
    if (whole <= 0) {
        *at++ = '0';
        *at++ = '.';
        at = put_zeros(at, -whole);
        memcpy(at, digits, (size_t)count);
        return at + count;
    }
    int before = MIN(whole, count);
    memcpy(at, digits, DIGITS_BYTES);
    at += before;
    if (whole > before) {
        at = put_zeros(at, whole - before);
    }
    if (count > before) {
        *at++ = '.';
        for (int i = before; i < count; i++) {
            *at++ = digits[i];
        }
        return at;
    }
    if (fraction) {
        *at++ = '.';
        *at++ = '0';
    }
    return at;
}

/* d.ddd and `mark` with the exponent. */
static uint8_t *put_scientific(uint8_t *at, const struct decimal *decimal, bool java_double)
{
    uint8_t digits[DIGITS_BYTES];
    int count = (int)(decimal_put_u64(digits, decimal->digits) - digits);
    int exponent = count - 1 + decimal->exponent;
    *at++ = digits[0];
    if (count > 1 || java_double) {
        *at++ = '.';
        memcpy(at, digits + 1, (size_t)(count - 1));
        at += count - 1;
        at = put_zeros(at, count == 1);
    }
    *at++ = 'E';
    if (!java_double && exponent > 0) {
        *at++ = '+';
    }
    return decimal_put_i64(at, exponent);
}

static bool put_special(struct buf *buf, double value)
{
    if (isnan(value)) {
        buf_append_str(buf, "NaN");
    } else if (isinf(value)) {
        buf_append_str(buf, value < 0 ? "-Infinity" : "Infinity");
    } else if (value == 0 && signbit(value) != 0) {
        buf_append_str(buf, "-0.0");
    } else {
        return false;
    }
    return true;
}

/* As Java prints a double. */
static uint8_t *put_double(uint8_t *at, const struct decimal *decimal, double value)
{
    bool plain = fabs(value) >= 1e-3 && fabs(value) < 1e7;
    return plain ? put_plain(at, decimal, true) : put_scientific(at, decimal, true);
}

static uint8_t *put_decimal(uint8_t *at, const struct decimal *decimal, double value)
{
    if (decimal->negative) {
        *at++ = '-';
    }
    return decimal->digits == 0 || decimal_is_plain(decimal) ? put_plain(at, decimal, true)
                                                             : put_double(at, decimal, value);
}

uint8_t *decimal_put_f64(uint8_t *at, double value)
{
    struct decimal decimal = decimal_of(value);
    return put_decimal(at, &decimal, value);
}

/* whole.rest, the rest with `places` digits. */
static uint8_t *put_fixed(uint8_t *at, uint64_t digits, unsigned places)
{
    static const uint32_t units[ALIKE_PLACES_MAX + 1] = {1, 10, 100, 1000, 10000};
    uint32_t rest = (uint32_t)(digits % units[places]);
    at = decimal_put_u64(at, digits / units[places]);
    *at++ = '.';
    if (places % 2 != 0) {
        *at++ = (uint8_t)('0' + rest / units[places - 1]);
        rest %= units[places - 1];
    }
    if (places > 3) {
        memcpy(at, pairs + 2 * (rest / 100), 2);
        at += 2;
        rest %= 100;
    }
    if (places > 1) {
        memcpy(at, pairs + 2 * rest, 2);
        at += 2;
    }
    return at;
}

uint8_t *decimal_put_alike(uint8_t *at, double value, struct decimal_alike *alike)
{
    unsigned places = alike->places;
    double magnitude = fabs(value);
    if (places > 0 && magnitude < ALIKE_MAX) {
        uint64_t digits = (uint64_t)(magnitude * powers_of_ten[places] + 0.5);
        if ((double)digits / powers_of_ten[places] == magnitude) {
            for (; digits % 10 == 0 && places > 1; places--) {
                digits /= 10;
            }
            *at = '-';
            return put_fixed(at + (value < 0), digits, places);
        }
    }
    struct decimal decimal = decimal_of(value);
    if (decimal.exponent < 0 && decimal.exponent >= -ALIKE_PLACES_MAX) {
        alike->places = (unsigned)-decimal.exponent;
    }
    return put_decimal(at, &decimal, value);
}

void decimal_print_text(struct buf *buf, double value)
{
    if (put_special(buf, value)) {
        return;
    }
    uint8_t *at = buf_reserve(buf, DECIMAL_TEXT_BYTES);
    buf->bytes += (size_t)(decimal_put_f64(at, value) - at);
}

void decimal_print_json(struct buf *buf, double value)
{
    if (put_special(buf, value)) {
        return;
    }
    uint8_t *begin = buf_reserve(buf, DECIMAL_TEXT_BYTES);
    uint8_t *at = begin;
    struct decimal decimal = decimal_of(value);
    if (decimal.negative) {
        *at++ = '-';
    }
    int adjusted = count_digits(decimal.digits) - 1 + decimal.exponent;
    if (decimal.digits == 0) {
        *at++ = '0';
    } else if (!decimal_is_plain(&decimal)) {
        at = put_double(at, &decimal, value);
    } else if (decimal.exponent <= 0 && adjusted >= -6) {
        at = put_plain(at, &decimal, false);
    } else {
        at = put_scientific(at, &decimal, false);
    }
    buf->bytes += (size_t)(at - begin);
}
