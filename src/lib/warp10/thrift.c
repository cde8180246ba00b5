/* Tested by header_test.c. */
#include "warp10/thrift.h"

#define DELTA_MAX 15
#define COUNT_SHORT_MAX 14

struct thrift_reader thrift_reader_of(struct span bytes)
{
    return (struct thrift_reader){.rest = bytes};
}

static uint8_t byte_of(struct thrift_reader *reader)
{
    if (reader->failed || reader->rest.bytes == 0) {
        reader->failed = true;
        return 0;
    }
    uint8_t byte = reader->rest.data[0];
    reader->rest = span_from(reader->rest, 1);
    return byte;
}

bool thrift_varint(struct span *rest, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (size_t i = 0; i < rest->bytes && i < 10; i++) {
        uint8_t byte = rest->data[i];
        if (i == 9 && byte > 1) {
            return false;
        }
        value |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (byte < 0x80) {
            *rest = span_from(*rest, i + 1);
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static uint64_t varint_of(struct thrift_reader *reader)
{
    uint64_t value = 0;
    if (reader->failed || !thrift_varint(&reader->rest, &value)) {
        reader->failed = true;
        return 0;
    }
    return value;
}

bool thrift_next(struct thrift_reader *reader, int16_t *ret_id, enum thrift_type *ret_type)
{
    uint8_t head = byte_of(reader);
    enum thrift_type type = head & 0x0F;
    if (reader->failed || type == THRIFT_STOP) {
        return false;
    }
    if (type > THRIFT_STRUCT) {
        reader->failed = true;
        return false;
    }
    reader->field = (int16_t)(head >> 4 != 0 ? reader->field + (head >> 4) : thrift_int(reader));
    *ret_id = reader->field;
    *ret_type = type;
    return !reader->failed;
}

int64_t thrift_int(struct thrift_reader *reader)
{
    return thrift_unzigzag(varint_of(reader));
}

struct span thrift_binary(struct thrift_reader *reader)
{
    uint64_t bytes = varint_of(reader);
    if (reader->failed || bytes > reader->rest.bytes) {
        reader->failed = true;
        return SPAN_NONE;
    }
    struct span value = span_first(reader->rest, bytes);
    reader->rest = span_from(reader->rest, bytes);
    return value;
}

/* No count can be higher than the bytes left: each element has at least one. */
static size_t count_of(struct thrift_reader *reader, uint64_t count)
{
    if (reader->failed || count > reader->rest.bytes) {
        reader->failed = true;
        return 0;
    }
    return count;
}

size_t thrift_list(struct thrift_reader *reader, enum thrift_type *ret_type)
{
    uint8_t head = byte_of(reader);
    *ret_type = head & 0x0F;
    uint64_t count = head >> 4 <= COUNT_SHORT_MAX ? head >> 4 : varint_of(reader);
    return count_of(reader, count);
}

size_t thrift_map(struct thrift_reader *reader, enum thrift_type *ret_key,
                  enum thrift_type *ret_value)
{
    *ret_key = *ret_value = THRIFT_STOP;
    uint64_t count = varint_of(reader);
    if (count == 0) {
        return 0;
    }
    uint8_t types = byte_of(reader);
    *ret_key = types >> 4;
    *ret_value = types & 0x0F;
    return count_of(reader, count);
}

static void skip(struct thrift_reader *reader, enum thrift_type type, bool element, unsigned depth);

static void skip_items(struct thrift_reader *reader, enum thrift_type type, size_t count,
                       unsigned depth)
{
    for (size_t i = 0; i < count && !reader->failed; i++) {
        skip(reader, type, true, depth + 1);
    }
}

static void skip_struct(struct thrift_reader *reader, unsigned depth)
{
    int16_t outer = thrift_enter(reader);
    int16_t id;
    enum thrift_type type;
    while (thrift_next(reader, &id, &type)) {
        skip(reader, type, false, depth + 1);
    }
    thrift_leave(reader, outer);
}

static void skip(struct thrift_reader *reader, enum thrift_type type, bool element, unsigned depth)
{
    enum thrift_type key;
    enum thrift_type value;
    if (depth > THRIFT_DEPTH_MAX) {
        reader->failed = true;
        return;
    }
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        if (element) {
            (void)byte_of(reader);
        }
        return;
    case THRIFT_BYTE:
        (void)byte_of(reader);
        return;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:
        (void)varint_of(reader);
        return;
    case THRIFT_DOUBLE:
        for (unsigned i = 0; i < 8; i++) {
            (void)byte_of(reader);
        }
        return;
    case THRIFT_BINARY:
        (void)thrift_binary(reader);
        return;
    case THRIFT_LIST:
    case THRIFT_SET: {
        size_t count = thrift_list(reader, &value);
        skip_items(reader, value, count, depth);
        return;
    }
    case THRIFT_MAP: {
        size_t count = thrift_map(reader, &key, &value);
        for (size_t i = 0; i < count && !reader->failed; i++) {
            skip(reader, key, true, depth + 1);
            skip(reader, value, true, depth + 1);
        }
        return;
    }
    case THRIFT_STRUCT:
        skip_struct(reader, depth);
        return;
    case THRIFT_STOP:
        break;
    }
    reader->failed = true;
}

void thrift_skip(struct thrift_reader *reader, enum thrift_type type)
{
    skip(reader, type, false, 0);
}

int16_t thrift_enter(struct thrift_reader *reader)
{
    int16_t outer = reader->field;
    reader->field = 0;
    return outer;
}

void thrift_leave(struct thrift_reader *reader, int16_t outer)
{
    reader->field = outer;
}

void thrift_put_varint(struct buf *buf, uint64_t value)
{
    uint8_t *at = buf_reserve(buf, 10);
    size_t bytes = 0;
    for (; value >= 0x80; value >>= 7) {
        at[bytes++] = (uint8_t)(value | 0x80);
    }
    at[bytes++] = (uint8_t)value;
    buf->bytes += bytes;
}

static void put_head(struct thrift_writer *writer, int16_t id, enum thrift_type type)
{
    int delta = id - writer->field;
    if (delta >= 1 && delta <= DELTA_MAX) {
        buf_append_byte(writer->buf, (uint8_t)((unsigned)delta << 4 | type));
    } else {
        buf_append_byte(writer->buf, (uint8_t)type);
        thrift_put_varint(writer->buf, thrift_zigzag(id));
    }
    writer->field = id;
}

void thrift_put_int(struct thrift_writer *writer, int16_t id, enum thrift_type type, int64_t value)
{
    put_head(writer, id, type);
    thrift_put_varint(writer->buf, thrift_zigzag(value));
}

void thrift_put_bool(struct thrift_writer *writer, int16_t id, bool value)
{
    put_head(writer, id, value ? THRIFT_TRUE : THRIFT_FALSE);
}

void thrift_put_bytes(struct thrift_writer *writer, struct span value)
{
    thrift_put_varint(writer->buf, value.bytes);
    buf_append(writer->buf, value);
}

void thrift_put_binary(struct thrift_writer *writer, int16_t id, struct span value)
{
    put_head(writer, id, THRIFT_BINARY);
    thrift_put_bytes(writer, value);
}

void thrift_put_list(struct thrift_writer *writer, int16_t id, enum thrift_type type, size_t count)
{
    put_head(writer, id, THRIFT_LIST);
    if (count <= COUNT_SHORT_MAX) {
        buf_append_byte(writer->buf, (uint8_t)(count << 4 | type));
        return;
    }
    buf_append_byte(writer->buf, (uint8_t)(0xF0 | type));
    thrift_put_varint(writer->buf, count);
}

void thrift_put_map(struct thrift_writer *writer, int16_t id, enum thrift_type key,
                    enum thrift_type value, size_t count)
{
    put_head(writer, id, THRIFT_MAP);
    thrift_put_varint(writer->buf, count);
    if (count > 0) {
        buf_append_byte(writer->buf, (uint8_t)(key << 4 | value));
    }
}

void thrift_put_struct(struct thrift_writer *writer, int16_t id)
{
    put_head(writer, id, THRIFT_STRUCT);
}

void thrift_put_stop(struct thrift_writer *writer)
{
    buf_append_byte(writer->buf, THRIFT_STOP);
}
