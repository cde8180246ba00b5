/* Tested by encoder_test.c. */
#include <math.h>

#include "base/err.h"
#include "warp10/encoder.h"
#include "warp10/thrift.h"

#define HAS_PLACE 0x80
#define PLACE 0x40
#define PLACE_DELTA 0x20
#define PLACE_SAME 0x10
#define ELEVATION 0x08
#define ELEVATION_ZIGZAG 0x04
#define ELEVATION_DELTA 0x02
#define ELEVATION_SAME 0x01
#define DELETED 7
#define SAME 1

struct decoder decoder_of(struct span bytes, int64_t base)
{
    return (struct decoder){.rest = bytes, .base = base};
}

static bool get_byte(struct decoder *decoder, uint8_t *ret_byte)
{
    if (decoder->rest.bytes == 0) {
        return false;
    }
    *ret_byte = decoder->rest.data[0];
    decoder->rest = span_from(decoder->rest, 1);
    return true;
}

static bool get_raw(struct decoder *decoder, int64_t *ret_value)
{
    uint64_t value = 0;
    if (decoder->rest.bytes < 8) {
        return false;
    }
    for (size_t i = 0; i < 8; i++) {
        value = value << 8 | decoder->rest.data[i];
    }
    decoder->rest = span_from(decoder->rest, 8);
    *ret_value = (int64_t)value;
    return true;
}

static bool get_zigzag(struct decoder *decoder, int64_t *ret_value)
{
    uint64_t value;
    if (!thrift_varint(&decoder->rest, &value)) {
        return false;
    }
    *ret_value = thrift_unzigzag(value);
    return true;
}

/* Arithmetic wraps as it does there. */
static int64_t plus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static bool get_time(struct decoder *decoder, unsigned mode)
{
    int64_t value = 0;
    if (mode == 1) {
        decoder->time = decoder->base;
        return true;
    }
    if (mode == 3 ? !get_raw(decoder, &value) : !get_zigzag(decoder, &value)) {
        return false;
    }
    decoder->time = mode == 3   ? value
                    : mode == 0 ? plus(decoder->time, value)
                                : plus(decoder->base, value);
    return true;
}

static bool get_location(struct decoder *decoder, uint8_t flags, struct element *element)
{
    int64_t code = (int64_t)location_code(decoder->last.location);
    int64_t value = 0;
    if ((flags & (PLACE_SAME | PLACE_DELTA)) != 0 && !decoder->has_location) {
        return false;
    }
    if ((flags & PLACE_SAME) == 0) {
        if ((flags & PLACE_DELTA) != 0 ? !get_zigzag(decoder, &value) : !get_raw(decoder, &value)) {
            return false;
        }
        code = (flags & PLACE_DELTA) != 0 ? plus(code, value) : value;
    }
    element->location = location_of_code((uint64_t)code);
    element->has |= ELEMENT_HAS_LOCATION;
    return true;
}

static bool get_elevation(struct decoder *decoder, uint8_t flags, struct element *element)
{
    int64_t value = 0;
    if ((flags & (ELEVATION_SAME | ELEVATION_DELTA)) != 0 && !decoder->has_elevation) {
        return false;
    }
    element->has |= ELEMENT_HAS_ELEVATION;
    element->elevation = decoder->last.elevation;
    if ((flags & ELEVATION_SAME) != 0) {
        return true;
    }
    if ((flags & ELEVATION_ZIGZAG) != 0 ? !get_zigzag(decoder, &value)
                                        : !get_raw(decoder, &value)) {
        return false;
    }
    element->elevation = (flags & ELEVATION_DELTA) != 0 ? plus(element->elevation, value) : value;
    return true;
}

static bool get_place(struct decoder *decoder, uint8_t flags, struct element *element)
{
    if ((flags & PLACE) != 0 && !get_location(decoder, flags, element)) {
        return false;
    }
    if ((flags & ELEVATION) != 0 && !get_elevation(decoder, flags, element)) {
        return false;
    }
    decoder->has_location = (flags & PLACE) != 0;
    decoder->has_elevation = (flags & ELEVATION) != 0;
    decoder->last.location = element->location;
    decoder->last.elevation = element->elevation;
    return true;
}

static bool get_long(struct decoder *decoder, uint8_t flags, struct element *element)
{
    int64_t value = 0;
    if ((flags & SAME) == 0) {
        if ((flags & 4) != 0 ? !get_zigzag(decoder, &value) : !get_raw(decoder, &value)) {
            return false;
        }
        decoder->last_long = (flags & 2) != 0 ? plus(decoder->last_long, value) : value;
    }
    element->type = ELEMENT_I64;
    element->value.i64 = decoder->last_long;
    return true;
}

static bool get_double(struct decoder *decoder, uint8_t flags, struct element *element)
{
    int64_t value;
    uint8_t scale;
    element->type = ELEMENT_F64;
    if ((flags & 4) != 0 && (flags & SAME) == 0) {
        if (!get_raw(decoder, &value)) {
            return false;
        }
        memcpy(&decoder->last_double, &value, sizeof(value));
    } else if ((flags & SAME) == 0) {
        if (!get_byte(decoder, &scale) || !get_zigzag(decoder, &value)) {
            return false;
        }
        int power = (int8_t)scale;
        double unscaled = (double)value;
        decoder->last_double = power >= 0 ? unscaled / pow(10, power) : unscaled * pow(10, -power);
    }
    element->value.f64 = decoder->last_double;
    return true;
}

static bool get_text(struct decoder *decoder, uint8_t flags, struct element *element)
{
    uint64_t bytes;
    if ((flags & SAME) != 0) {
        element->type = decoder->last_binary ? ELEMENT_BYTES : ELEMENT_TEXT;
        element->value.bytes = decoder->last_text;
        return decoder->has_text;
    }
    if (!thrift_varint(&decoder->rest, &bytes) || bytes > decoder->rest.bytes) {
        return false;
    }
    decoder->has_text = true;
    decoder->last_binary = (flags & 2) != 0;
    decoder->last_text = span_first(decoder->rest, bytes);
    decoder->rest = span_from(decoder->rest, bytes);
    element->type = decoder->last_binary ? ELEMENT_BYTES : ELEMENT_TEXT;
    element->value.bytes = decoder->last_text;
    return true;
}

/* A piece for those who have its key. */
static bool skip_encrypted(struct decoder *decoder)
{
    uint64_t bytes;
    if (!thrift_varint(&decoder->rest, &bytes) || bytes > decoder->rest.bytes) {
        return false;
    }
    decoder->rest = span_from(decoder->rest, bytes);
    return true;
}

enum point { POINT_BAD, POINT_GOOD, POINT_SKIPPED };

static enum point get_point(struct decoder *decoder, uint8_t head, struct element *element)
{
    uint8_t place = 0;
    unsigned type = head >> 3 & 3;
    uint8_t flags = head & 7;
    if (head == 0) {
        return skip_encrypted(decoder) ? POINT_SKIPPED : POINT_BAD;
    }
    if (((head & HAS_PLACE) != 0 && !get_byte(decoder, &place)) ||
        !get_time(decoder, head >> 5 & 3) || !get_place(decoder, place, element)) {
        return POINT_BAD;
    }
    if (type == 0 && flags == DELETED) {
        return POINT_SKIPPED;
    }
    if (type == 0) {
        element->type = ELEMENT_BOOL;
        element->value.boolean = flags == 4;
        return flags == 4 || flags == 2 ? POINT_GOOD : POINT_BAD;
    }
    bool good = type == 1   ? get_long(decoder, flags, element)
                : type == 2 ? get_double(decoder, flags, element)
                            : get_text(decoder, flags, element);
    return good ? POINT_GOOD : POINT_BAD;
}

int decoder_next(struct decoder *decoder, int64_t *ret_time, struct element *ret_element)
{
    uint8_t head;
    while (get_byte(decoder, &head)) {
        *ret_element = (struct element){0};
        enum point point = get_point(decoder, head, ret_element);
        if (point == POINT_BAD) {
            decoder->rest = SPAN_NONE;
            return err_set(ERR_CORRUPT, "encoded points are cut off or not of their form");
        }
        if (point == POINT_GOOD) {
            *ret_time = decoder->time;
            return 0;
        }
    }
    return DECODER_END;
}

int decoder_unwrap(struct span wrapper, struct decoder *ret_decoder, uint64_t *ret_count)
{
    struct thrift_reader reader = thrift_reader_of(wrapper);
    struct span points = SPAN_NONE;
    int64_t count = 0;
    int64_t base = 0;
    bool compressed = false;
    int16_t id;
    enum thrift_type type;
    while (thrift_next(&reader, &id, &type)) {
        if (id == 7 && type == THRIFT_BINARY) {
            points = thrift_binary(&reader);
        } else if (id == 8 && type == THRIFT_I64) {
            count = thrift_int(&reader);
        } else if (type == THRIFT_TRUE) {
            compressed = true; /* the only flag there is */
        } else {
            thrift_skip(&reader, type);
        }
    }
    if (reader.failed || count < 0) {
        return err_set(ERR_CORRUPT, "a wrapper of points is cut off or not of its form");
    }
    if (compressed) {
        return err_set(ERR_UNSUPPORTED, "a wrapper of compressed points");
    }
    *ret_decoder = decoder_of(points, base);
    *ret_count = (uint64_t)count;
    return 0;
}
