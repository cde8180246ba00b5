#include "query/value.h"

#include <endian.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/time.h"
#include "base/wire.h"

#define YEAR_1_SECONDS INT64_C(62135596800)
#define DIGITS_MAX 18
#define NUMBER_TEXT_BYTES 64
#define HEX_BYTES_MAX 18 /* 0x and 64 bits */

struct query_value query_value_of_i64(int64_t number)
{
    return (struct query_value){.type = QUERY_VALUE_I64, .number = number};
}

struct query_value query_value_of_f64(double real)
{
    return (struct query_value){.type = QUERY_VALUE_F64, .real = real};
}

struct query_value query_value_of_bool(bool yes)
{
    return (struct query_value){.type = QUERY_VALUE_BOOL, .number = yes};
}

static struct query_value of_u64(uint64_t number)
{
    return number > INT64_MAX ? query_value_of_f64((double)number)
                              : query_value_of_i64((int64_t)number);
}

static struct query_value of_bits32(uint32_t bits)
{
    float narrow;
    memcpy(&narrow, &bits, sizeof(narrow));
    return query_value_of_f64((double)narrow);
}

static struct query_value of_bits64(uint64_t bits)
{
    double real;
    memcpy(&real, &bits, sizeof(real));
    return query_value_of_f64(real);
}

static struct query_value of_address(struct span address)
{
    struct query_value value = {.type = QUERY_VALUE_IP};
    if (address.bytes == 4) {
        entry_source_of_v4(address.data, value.ip);
    } else {
        memcpy(value.ip, address.data, sizeof(value.ip));
    }
    return value;
}

static struct query_value of_instant(const uint8_t *at)
{
    int64_t seconds = (int64_t)wire_load_u64(at);
    seconds = seconds < INT64_MIN + YEAR_1_SECONDS ? INT64_MIN : seconds - YEAR_1_SECONDS;
    return (struct query_value){.type = QUERY_VALUE_TIME,
                                .number = time_of_parts(seconds, wire_load_u32(at + 8))};
}

struct query_value query_value_of_ev(const struct series_ev *ev)
{
    const uint8_t *at = ev->data.data;
    switch (ev->type) {
    case SERIES_EV_BOOL:
        return query_value_of_bool(at[0] != 0);
    case SERIES_EV_BYTE:
        return query_value_of_i64(at[0]);
    case SERIES_EV_I8:
        return query_value_of_i64((int8_t)at[0]);
    case SERIES_EV_I16:
        return query_value_of_i64((int16_t)wire_load_u16(at));
    case SERIES_EV_U16:
        return query_value_of_i64(wire_load_u16(at));
    case SERIES_EV_I32:
        return query_value_of_i64((int32_t)wire_load_u32(at));
    case SERIES_EV_U32:
        return query_value_of_i64(wire_load_u32(at));
    case SERIES_EV_I64:
        return query_value_of_i64((int64_t)wire_load_u64(at));
    case SERIES_EV_U64:
        return of_u64(wire_load_u64(at));
    case SERIES_EV_F32:
        return of_bits32(wire_load_u32(at));
    case SERIES_EV_F64:
        return of_bits64(wire_load_u64(at));
    case SERIES_EV_IP:
        return of_address(ev->data);
    case SERIES_EV_TIME:
        return of_instant(at);
    case SERIES_EV_DURATION:
        return (struct query_value){.type = QUERY_VALUE_DURATION,
                                    .number = (int64_t)wire_load_u64(at)};
    case SERIES_EV_MAC:
        return (struct query_value){.type = QUERY_VALUE_NONE};
    default:
        return (struct query_value){.type = ev->type == SERIES_EV_TEXT ? QUERY_VALUE_TEXT
                                                                       : QUERY_VALUE_BYTES,
                                    .text = ev->data};
    }
}

static void real_text(double real, struct buf *buf)
{
    char text[NUMBER_TEXT_BYTES];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, real);
        if (strtod(text, NULL) == real) {
            break;
        }
    }
    buf_append_str(buf, text);
}

void query_value_put_text(const struct query_value *value, struct buf *buf)
{
    switch (value->type) {
    case QUERY_VALUE_NONE:
    case QUERY_VALUE_REMOVED:
        break;
    case QUERY_VALUE_TEXT:
    case QUERY_VALUE_BYTES:
        buf_append(buf, value->text);
        break;
    case QUERY_VALUE_I64:
        buf_printf(buf, "%" PRId64, value->number);
        break;
    case QUERY_VALUE_F64:
        real_text(value->real, buf);
        break;
    case QUERY_VALUE_BOOL:
        buf_append_str(buf, value->number != 0 ? "true" : "false");
        break;
    case QUERY_VALUE_IP:
        entry_source_text(buf, value->ip);
        break;
    case QUERY_VALUE_TIME:
        time_format(buf, value->number);
        break;
    case QUERY_VALUE_DURATION:
        time_format_duration(buf, value->number);
        break;
    }
}

static uint8_t ev_type(enum query_value_type type)
{
    static const uint8_t types[] = {
        [QUERY_VALUE_TEXT] = SERIES_EV_TEXT, [QUERY_VALUE_BYTES] = SERIES_EV_BYTES,
        [QUERY_VALUE_I64] = SERIES_EV_I64,   [QUERY_VALUE_F64] = SERIES_EV_F64,
        [QUERY_VALUE_BOOL] = SERIES_EV_BOOL, [QUERY_VALUE_IP] = SERIES_EV_IP,
        [QUERY_VALUE_TIME] = SERIES_EV_TIME, [QUERY_VALUE_DURATION] = SERIES_EV_DURATION,
    };
    return types[type];
}

/* Bytes of the value in `data`, which has room for any that is not a text. */
static size_t encode(const struct query_value *value, uint8_t data[16])
{
    uint64_t bits = (uint64_t)value->number;
    int64_t below = value->number % TIME_S_NS < 0 ? 1 : 0;
    int64_t seconds = value->number / TIME_S_NS - below;
    int64_t nanoseconds = value->number % TIME_S_NS + below * TIME_S_NS;
    switch (value->type) {
    case QUERY_VALUE_BOOL:
        data[0] = value->number != 0;
        return 1;
    case QUERY_VALUE_IP:
        memcpy(data, value->ip, ENTRY_SOURCE_BYTES);
        return ENTRY_SOURCE_BYTES;
    case QUERY_VALUE_TIME:
        wire_store_u64(data, (uint64_t)(seconds + YEAR_1_SECONDS));
        wire_store_u32(data + 8, (uint32_t)nanoseconds);
        return 12;
    case QUERY_VALUE_F64:
        memcpy(&bits, &value->real, sizeof(bits));
        wire_store_u64(data, bits);
        return 8;
    default:
        wire_store_u64(data, bits);
        return 8;
    }
}

void query_value_put_ev(const struct query_value *value, struct span name, struct buf *buf,
                        size_t begin)
{
    uint8_t data[16];
    bool text = value->type == QUERY_VALUE_TEXT || value->type == QUERY_VALUE_BYTES;
    size_t room = MIN((size_t)SERIES_EV_DATA_BYTES_MAX, UINT16_MAX - 8 - name.bytes);
    struct series_ev ev = {
        .name = name,
        .type = ev_type(value->type),
        .data = text ? span_first(value->text, room) : span_of(data, encode(value, data)),
    };
    int full = series_evs_put(buf, begin, ev);
    (void)full; /* 65535 values of one entry are enough */
}

/* The first byte lowest; none of 1 to 8 bytes is looked at one by one. */
static inline uint64_t load_bytes(struct span text)
{
    uint32_t low;
    uint32_t high;
    uint64_t all;
    if (text.bytes == 8) {
        memcpy(&all, text.data, 8);
        return le64toh(all);
    }
    if (text.bytes < 4) {
        size_t middle = text.bytes / 2;
        size_t last = text.bytes - 1;
        return text.data[0] | (uint64_t)text.data[middle] << 8 * middle |
               (uint64_t)text.data[last] << 8 * last;
    }
    memcpy(&low, text.data, 4);
    memcpy(&high, text.data + text.bytes - 4, 4);
    return le32toh(low) | (uint64_t)le32toh(high) << 8 * (text.bytes - 4);
}

/* Of 1 to 8 digits, all at once. False: not all are digits. */
static inline bool few_digits(struct span text, int64_t *ret_number)
{
    uint64_t digits =
        load_bytes(text) << 8 * (8 - text.bytes) |
        (UINT64_C(0x3030303030303030) & ((UINT64_C(1) << (8 * (8 - text.bytes))) - 1));
    uint64_t values = digits ^ UINT64_C(0x3030303030303030);
    if (((values + UINT64_C(0x7676767676767676)) & UINT64_C(0x8080808080808080)) != 0 ||
        (values & UINT64_C(0x8080808080808080)) != 0) {
        return false;
    }
    values = values * 10 + (values >> 8); /* pairs, then fours, then all */
    values = (values & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x000F424000000064) +
             (values >> 16 & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x0000271000000001);
    *ret_number = (int64_t)(values >> 32);
    return true;
}

/* Digits alone, so few that their number fits. */
static inline bool digits_number(struct span text, int64_t *ret_number)
{
    uint64_t number = 0;
    size_t i = 0;
    if (text.bytes == 0 || text.bytes > DIGITS_MAX) {
        return false;
    }
    if (text.bytes <= 8) {
        return few_digits(text, ret_number);
    }
    while (i < text.bytes && text.data[i] >= '0' && text.data[i] <= '9') {
        number = number * 10 + (text.data[i++] - '0');
    }
    *ret_number = (int64_t)number;
    return i == text.bytes;
}

/* Whole text as an integer, then as a fraction. */
static bool text_number(struct span text, struct query_value *ret_number)
{
    char copy[NUMBER_TEXT_BYTES];
    int64_t number = 0;
    if (digits_number(text, &number)) { /* by its members: a copy would wait for both */
        ret_number->type = QUERY_VALUE_I64;
        ret_number->number = number;
        return true;
    }
    text = span_trim(text);
    if (text.bytes == 0 || text.bytes >= sizeof(copy)) {
        return false;
    }
    if (span_to_i64(text, &number)) {
        *ret_number = query_value_of_i64(number);
        return true;
    }
    memcpy(copy, text.data, text.bytes);
    copy[text.bytes] = '\0';
    if (strspn(copy, "+-.0123456789eExXabcdefABCDEF") != text.bytes) {
        return false;
    }
    char *end = NULL;
    bool hex = copy[0] == '0' && (copy[1] == 'x' || copy[1] == 'X');
    if (hex && text.bytes > HEX_BYTES_MAX) {
        return false;
    }
    if (hex) {
        uint64_t value = strtoull(copy, &end, 16);
        *ret_number = of_u64(value);
    } else {
        *ret_number = query_value_of_f64(strtod(copy, &end));
    }
    return end == copy + text.bytes && (hex || isfinite(ret_number->real));
}

bool query_value_number(const struct query_value *value, struct query_value *ret_number)
{
    switch (value->type) {
    case QUERY_VALUE_TEXT:
    case QUERY_VALUE_BYTES:
        return text_number(value->text, ret_number);
    case QUERY_VALUE_F64:
        *ret_number = *value;
        return isfinite(value->real);
    case QUERY_VALUE_I64:
    case QUERY_VALUE_BOOL:
    case QUERY_VALUE_TIME:
    case QUERY_VALUE_DURATION:
        ret_number->type = QUERY_VALUE_I64; /* by its members, as above */
        ret_number->number = value->number;
        return true;
    default:
        return false;
    }
}

double query_value_real(const struct query_value *number)
{
    return number->type == QUERY_VALUE_F64 ? number->real : (double)number->number;
}

bool query_value_ip(const struct query_value *value, uint8_t ret_ip[ENTRY_SOURCE_BYTES])
{
    if (value->type == QUERY_VALUE_IP) {
        memcpy(ret_ip, value->ip, ENTRY_SOURCE_BYTES);
        return true;
    }
    return (value->type == QUERY_VALUE_TEXT || value->type == QUERY_VALUE_BYTES) &&
           entry_source_parse(value->text, ret_ip);
}

static int compare_numbers(const struct query_value *a, const struct query_value *b)
{
    if (a->type == QUERY_VALUE_I64 && b->type == QUERY_VALUE_I64) {
        return a->number < b->number ? -1 : a->number > b->number;
    }
    long double x = a->type == QUERY_VALUE_I64 ? (long double)a->number : (long double)a->real;
    long double y = b->type == QUERY_VALUE_I64 ? (long double)b->number : (long double)b->real;
    return x < y ? -1 : x > y;
}

int query_value_compare(const struct query_value *a, const struct query_value *b)
{
    struct query_value x;
    struct query_value y;
    bool x_number = query_value_number(a, &x);
    bool y_number = query_value_number(b, &y);
    if (x_number != y_number) {
        return x_number ? -1 : 1;
    }
    if (x_number) {
        return compare_numbers(&x, &y);
    }
    bool x_ip = query_value_ip(a, x.ip);
    bool y_ip = query_value_ip(b, y.ip);
    if (x_ip != y_ip) {
        return x_ip ? -1 : 1;
    }
    if (x_ip) {
        return memcmp(x.ip, y.ip, ENTRY_SOURCE_BYTES);
    }
    struct buf x_text = {0};
    struct buf y_text = {0};
    bool texts = a->type <= QUERY_VALUE_BYTES && b->type <= QUERY_VALUE_BYTES;
    if (!texts) {
        query_value_put_text(a, &x_text);
        query_value_put_text(b, &y_text);
    }
    int order =
        texts ? span_compare(a->text, b->text) : span_compare(buf_span(&x_text), buf_span(&y_text));
    buf_deinit(&x_text);
    buf_deinit(&y_text);
    return order;
}

/* ── Order as bytes ──────────────────────────────────────────────────────────────────────── */

static void put_big_endian(struct buf *buf, uint64_t bits)
{
    bits = htobe64(bits);
    buf_append(buf, span_of(&bits, sizeof(bits)));
}

/* The nearest double, then how far an integer is from it: both rise with the number. */
static void put_number_order(const struct query_value *number, struct buf *buf)
{
    double real = query_value_real(number) + 0.0; /* no negative zero */
    uint64_t bits;
    memcpy(&bits, &real, sizeof(bits));
    put_big_endian(buf, (bits >> 63) != 0 ? ~bits : bits | (UINT64_C(1) << 63));
    int64_t off = 0;
    if (number->type == QUERY_VALUE_I64) {
        off = (int64_t)((__int128)number->number - (__int128)real);
    }
    put_big_endian(buf, (uint64_t)off ^ (UINT64_C(1) << 63));
}

/* Ends with two zeros; a zero in it is followed by 0xFF. */
static void put_text_order(struct span text, struct buf *buf)
{
    const uint8_t *zero;
    while ((zero = text.bytes == 0 ? NULL : memchr(text.data, 0, text.bytes)) != NULL) {
        size_t bytes = (size_t)(zero - text.data) + 1;
        buf_append(buf, span_first(text, bytes));
        buf_append_byte(buf, 0xFF);
        text = span_from(text, bytes);
    }
    buf_append(buf, text);
    buf_append(buf, span_of("\0\0", 2));
}

void query_value_put_order(const struct query_value *value, bool texts, struct buf *buf)
{
    struct query_value number;
    uint8_t ip[ENTRY_SOURCE_BYTES];
    bool is_text = false;
    if (query_value_number(value, &number)) {
        buf_append_byte(buf, 0);
        put_number_order(&number, buf);
    } else if (query_value_ip(value, ip)) {
        buf_append_byte(buf, 1);
        buf_append(buf, span_of(ip, sizeof(ip)));
    } else {
        buf_append_byte(buf, 2);
        is_text = true;
    }
    if (!is_text && !texts) {
        return;
    }
    if (value->type == QUERY_VALUE_TEXT || value->type == QUERY_VALUE_BYTES) {
        put_text_order(value->text, buf);
        return;
    }
    struct buf text = {0};
    query_value_put_text(value, &text);
    put_text_order(buf_span(&text), buf);
    buf_deinit(&text);
}
