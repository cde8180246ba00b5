/*
 * Numbers and byte strings on disk and on the wire, little-endian, written by hand.
 * The reader keeps its first error: read everything, then look once with wire_finish().
 */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include <endian.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/span.h"

void wire_put_u8(struct buf *buf, uint8_t value);
void wire_put_u16(struct buf *buf, uint16_t value);
void wire_put_u32(struct buf *buf, uint32_t value);
void wire_put_u64(struct buf *buf, uint64_t value);
void wire_put_i64(struct buf *buf, int64_t value);
void wire_put_varint(struct buf *buf, uint64_t value);   /* LEB128 */
void wire_put_svarint(struct buf *buf, int64_t value);   /* zigzag, LEB128 */
void wire_put_bytes(struct buf *buf, struct span bytes); /* varint length, bytes */

/* At fixed places, for headers filled in afterwards. Inline, as the hot paths are made of them. */
static inline void wire_store_u16(uint8_t *at, uint16_t value)
{
    value = htole16(value);
    memcpy(at, &value, sizeof(value));
}

static inline void wire_store_u32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof(value));
}

static inline void wire_store_u64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof(value));
}

static inline uint16_t wire_load_u16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return le16toh(value);
}

static inline uint32_t wire_load_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static inline uint64_t wire_load_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

struct wire_reader {
    struct span rest;
    bool failed; /* sticky; getters return zeros from then on */
};

struct wire_reader wire_reader_of(struct span span);
uint8_t wire_get_u8(struct wire_reader *reader);
uint16_t wire_get_u16(struct wire_reader *reader);
uint32_t wire_get_u32(struct wire_reader *reader);
uint64_t wire_get_u64(struct wire_reader *reader);
int64_t wire_get_i64(struct wire_reader *reader);
uint64_t wire_get_long_varint(struct wire_reader *reader); /* wire_get_varint() of any length */
static inline uint64_t wire_get_varint(struct wire_reader *reader)
{
    if (reader->failed || reader->rest.bytes == 0 || reader->rest.data[0] >= 0x80) {
        return wire_get_long_varint(reader);
    }
    reader->rest.bytes--;
    return *reader->rest.data++;
}
int64_t wire_get_svarint(struct wire_reader *reader);
struct span wire_get_raw(struct wire_reader *reader, size_t bytes);       /* borrows */
struct span wire_get_bytes(struct wire_reader *reader, size_t bytes_max); /* borrows */

/* 0 when everything was there and nothing is left over, else ERR_PROTOCOL with a text. */
MUST_CHECK int wire_finish(struct wire_reader *reader);

#endif
