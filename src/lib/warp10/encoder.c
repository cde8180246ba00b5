#include "warp10/encoder.h"

#include <math.h>

#include "base/err.h"
#include "warp10/decimal.h"
#include "warp10/thrift.h"

/* The first byte of a point. */
#define HAS_PLACE 0x80
#define TIME_MODE 0x60
#define TIME_DELTA 0x00
#define TIME_BASE 0x20
#define TIME_BASE_DELTA 0x40
#define TIME_RAW 0x60
#define TYPE 0x18
#define TYPE_BOOL 0x00
#define TYPE_LONG 0x08
#define TYPE_DOUBLE 0x10
#define TYPE_TEXT 0x18
#define FLAGS 0x07

#define BOOL_TRUE 4
#define BOOL_FALSE 2
#define BOOL_DELETED 7
#define SAME 1
#define LONG_ZIGZAG 4
#define LONG_DELTA 2
#define DOUBLE_IEEE 4
#define TEXT_BINARY 2

/* The second byte, with HAS_PLACE. */
#define PLACE 0x40
#define PLACE_DELTA 0x20
#define PLACE_SAME 0x10
#define ELEVATION 0x08
#define ELEVATION_ZIGZAG 0x04
#define ELEVATION_DELTA 0x02
#define ELEVATION_SAME 0x01

#define SMALL (INT64_C(1) << 48) /* numbers below it are shorter as varints */

static bool is_small(int64_t value)
{
    return value > -SMALL && value < SMALL;
}

static void put_raw(struct buf *buf, uint64_t value)
{
    uint8_t *at = buf_reserve(buf, 8);
    for (unsigned i = 0; i < 8; i++) {
        at[i] = (uint8_t)(value >> (56 - 8 * i));
    }
    buf->bytes += 8;
}

static void put_zigzag(struct buf *buf, int64_t value)
{
    thrift_put_varint(buf, thrift_zigzag(value));
}

void encoder_deinit(struct encoder *encoder)
{
    buf_deinit(&encoder->buf);
    *encoder = (struct encoder){0};
}

void encoder_clear(struct encoder *encoder)
{
    struct buf buf = encoder->buf;
    buf_clear(&buf);
    *encoder = (struct encoder){.buf = buf};
}

static uint8_t place_flags(const struct encoder *encoder, const struct element *element)
{
    const struct element *last = &encoder->last;
    unsigned flags = 0;
    if ((element->has & ELEMENT_HAS_LOCATION) != 0) {
        bool same = (last->has & ELEMENT_HAS_LOCATION) != 0 &&
                    location_code(last->location) == location_code(element->location);
        flags |= PLACE | (same ? PLACE_SAME : 0);
    }
    if ((element->has & ELEMENT_HAS_ELEVATION) != 0) {
        bool same =
            (last->has & ELEMENT_HAS_ELEVATION) != 0 && last->elevation == element->elevation;
        flags |= ELEVATION | (same                           ? ELEVATION_SAME
                              : is_small(element->elevation) ? ELEVATION_ZIGZAG
                                                             : 0);
    }
    return (uint8_t)flags;
}

static void put_place(struct buf *buf, uint8_t flags, const struct element *element)
{
    if ((flags & PLACE) != 0 && (flags & PLACE_SAME) == 0) {
        put_raw(buf, location_code(element->location));
    }
    if ((flags & ELEVATION_ZIGZAG) != 0) {
        put_zigzag(buf, element->elevation);
    } else if ((flags & ELEVATION) != 0 && (flags & ELEVATION_SAME) == 0) {
        put_raw(buf, (uint64_t)element->elevation);
    }
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static bool as_decimal(double value, struct decimal *ret_decimal)
{
    if (!isfinite(value) || (value == 0 && signbit(value) != 0)) {
        return false;
    }
    *ret_decimal = decimal_of(value);
    return decimal_is_plain(ret_decimal);
}

static uint8_t value_flags(const struct encoder *encoder, const struct element *element)
{
    struct decimal decimal;
    switch (element->type) {
    case ELEMENT_BOOL:
        return TYPE_BOOL | (element->value.boolean ? BOOL_TRUE : BOOL_FALSE);
    case ELEMENT_I64:
        if (encoder->has_long && encoder->last_long == element->value.i64) {
            return TYPE_LONG | SAME;
        }
        return TYPE_LONG | (is_small(element->value.i64) ? LONG_ZIGZAG : 0);
    case ELEMENT_F64:
        if (encoder->has_double && bits_of(encoder->last_double) == bits_of(element->value.f64)) {
            return TYPE_DOUBLE | SAME;
        }
        return TYPE_DOUBLE | (as_decimal(element->value.f64, &decimal) ? 0 : DOUBLE_IEEE);
    default:
        return TYPE_TEXT | (element->type == ELEMENT_BYTES ? TEXT_BINARY : 0);
    }
}

static void put_value(struct encoder *encoder, uint8_t flags, const struct element *element)
{
    struct buf *buf = &encoder->buf;
    struct decimal decimal;
    if ((flags & TYPE) == TYPE_TEXT) {
        thrift_put_varint(buf, element->value.bytes.bytes);
        buf_append(buf, element->value.bytes);
    } else if ((flags & TYPE) == TYPE_BOOL || (flags & SAME) != 0) {
        return;
    } else if ((flags & TYPE) == TYPE_LONG) {
        if ((flags & LONG_ZIGZAG) != 0) {
            put_zigzag(buf, element->value.i64);
        } else {
            put_raw(buf, (uint64_t)element->value.i64);
        }
        encoder->has_long = true;
        encoder->last_long = element->value.i64;
    } else {
        if ((flags & DOUBLE_IEEE) != 0) {
            put_raw(buf, bits_of(element->value.f64));
        } else if (as_decimal(element->value.f64, &decimal)) {
            buf_append_byte(buf, (uint8_t)-decimal.exponent);
            put_zigzag(buf, decimal.negative ? -(int64_t)decimal.digits : (int64_t)decimal.digits);
        }
        encoder->has_double = true;
        encoder->last_double = element->value.f64;
    }
}

void encoder_put(struct encoder *encoder, int64_t time, const struct element *element)
{
    struct buf *buf = &encoder->buf;
    int64_t delta = 0;
    bool near = encoder->count > 0 && !__builtin_sub_overflow(time, encoder->time, &delta) &&
                is_small(delta);
    uint8_t place = place_flags(encoder, element);
    uint8_t value = value_flags(encoder, element);
    buf_append_byte(
        buf, (uint8_t)((place != 0 ? HAS_PLACE : 0) | (near ? TIME_DELTA : TIME_RAW) | value));
    if (place != 0) {
        buf_append_byte(buf, place);
    }
    if (near) {
        put_zigzag(buf, delta);
    } else {
        put_raw(buf, (uint64_t)time);
    }
    put_place(buf, place, element);
    put_value(encoder, value, element);
    encoder->last = *element;
    encoder->time = time;
    encoder->count++;
}

void encoder_wrap(struct buf *buf, const struct encoder *encoder)
{
    struct thrift_writer writer = {.buf = buf};
    thrift_put_binary(&writer, 7, buf_span(&encoder->buf));
    thrift_put_int(&writer, 8, THRIFT_I64, (int64_t)encoder->count);
    thrift_put_stop(&writer);
}
