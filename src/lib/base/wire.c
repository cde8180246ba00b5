#include "base/wire.h"

#include "base/err.h"

void wire_put_u8(struct buf *buf, uint8_t value)
{
    buf_append_byte(buf, value);
}

void wire_put_u16(struct buf *buf, uint16_t value)
{
    wire_store_u16(buf_reserve(buf, 2), value);
    buf->bytes += 2;
}

void wire_put_u32(struct buf *buf, uint32_t value)
{
    wire_store_u32(buf_reserve(buf, 4), value);
    buf->bytes += 4;
}

void wire_put_u64(struct buf *buf, uint64_t value)
{
    wire_store_u64(buf_reserve(buf, 8), value);
    buf->bytes += 8;
}

void wire_put_i64(struct buf *buf, int64_t value)
{
    wire_put_u64(buf, (uint64_t)value);
}

void wire_put_varint(struct buf *buf, uint64_t value)
{
    uint8_t *at = buf_reserve(buf, 10);
    size_t used = 0;
    while (value >= 0x80) {
        at[used++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    at[used++] = (uint8_t)value;
    buf->bytes += used;
}

void wire_put_svarint(struct buf *buf, int64_t value)
{
    wire_put_varint(buf, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

void wire_put_bytes(struct buf *buf, struct span bytes)
{
    wire_put_varint(buf, bytes.bytes);
    buf_append(buf, bytes);
}

struct wire_reader wire_reader_of(struct span span)
{
    return (struct wire_reader){.rest = span};
}

struct span wire_get_raw(struct wire_reader *reader, size_t bytes)
{
    if (reader->failed || bytes > reader->rest.bytes) {
        reader->failed = true;
        return SPAN_NONE;
    }
    struct span taken = span_first(reader->rest, bytes);
    reader->rest = span_from(reader->rest, bytes);
    return taken;
}

uint8_t wire_get_u8(struct wire_reader *reader)
{
    struct span raw = wire_get_raw(reader, 1);
    return raw.bytes == 1 ? raw.data[0] : 0;
}

uint16_t wire_get_u16(struct wire_reader *reader)
{
    struct span raw = wire_get_raw(reader, 2);
    return raw.bytes == 2 ? wire_load_u16(raw.data) : 0;
}

uint32_t wire_get_u32(struct wire_reader *reader)
{
    struct span raw = wire_get_raw(reader, 4);
    return raw.bytes == 4 ? wire_load_u32(raw.data) : 0;
}

uint64_t wire_get_u64(struct wire_reader *reader)
{
    struct span raw = wire_get_raw(reader, 8);
    return raw.bytes == 8 ? wire_load_u64(raw.data) : 0;
}

int64_t wire_get_i64(struct wire_reader *reader)
{
    return (int64_t)wire_get_u64(reader);
}

uint64_t wire_get_long_varint(struct wire_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = wire_get_u8(reader);
        if (reader->failed || (shift == 63 && byte > 1)) {
            break;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
    reader->failed = true;
    return 0;
}

int64_t wire_get_svarint(struct wire_reader *reader)
{
    uint64_t value = wire_get_varint(reader);
    return (int64_t)((value >> 1) ^ (0 - (value & 1)));
}

struct span wire_get_bytes(struct wire_reader *reader, size_t bytes_max)
{
    uint64_t bytes = wire_get_varint(reader);
    if (reader->failed || bytes > bytes_max) {
        reader->failed = true;
        return SPAN_NONE;
    }
    return wire_get_raw(reader, (size_t)bytes);
}

int wire_finish(struct wire_reader *reader)
{
    if (reader->failed) {
        return err_set(ERR_PROTOCOL, "message is cut short or a length in it is wrong");
    }
    if (reader->rest.bytes > 0) {
        return err_set(ERR_PROTOCOL, "%zu bytes left over after the message", reader->rest.bytes);
    }
    return 0;
}
