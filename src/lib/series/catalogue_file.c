/* Tested by catalogue_checkpoint_test.c. */
#include "series/catalogue_file.h"

#include <inttypes.h>

#include "base/hash.h"
#include "base/wire.h"

static const uint8_t file_magic[8] = {'A', 'Q', 'F', 'C', 'A', 'T', '0', '1'};
static const uint8_t block_magic[4] = {'A', 'Q', 'C', '1'};

void catalogue_header_write(struct buf *buf, uint64_t generation)
{
    size_t begin = buf->bytes;
    buf_append(buf, span_of(file_magic, sizeof(file_magic)));
    wire_put_u32(buf, 0);
    wire_put_u32(buf, 1);
    wire_put_u64(buf, generation);
    while (buf->bytes < begin + CATALOGUE_HEADER_BYTES) {
        wire_put_u64(buf, 0);
    }
    wire_store_u32(buf->data + begin + 8, hash32(span_from(buf_span(buf), begin + 12)));
}

int catalogue_header_read(struct span bytes, uint64_t generation)
{
    if (bytes.bytes < CATALOGUE_HEADER_BYTES ||
        memcmp(bytes.data, file_magic, sizeof(file_magic)) != 0 ||
        wire_load_u32(bytes.data + 8) !=
            hash32(span_from(span_first(bytes, CATALOGUE_HEADER_BYTES), 12)) ||
        wire_load_u64(bytes.data + 16) != generation) {
        return err_set(ERR_CORRUPT, "its header is damaged");
    }
    uint32_t version = wire_load_u32(bytes.data + 12);
    if (version != 1) {
        return err_set(ERR_UNSUPPORTED, "version %" PRIu32 " of its form is not known", version);
    }
    return 0;
}

static uint32_t sum_of(struct span block, uint64_t generation, uint64_t offset)
{
    uint64_t seed = generation * UINT64_C(0x9E3779B97F4A7C15) + offset;
    return (uint32_t)hash64_seeded(span_from(block, 12), seed);
}

size_t catalogue_block_begin(struct buf *buf, enum catalogue_block_kind kind)
{
    size_t begin = buf->bytes;
    buf_append(buf, span_of(block_magic, sizeof(block_magic)));
    wire_put_u32(buf, 0);
    wire_put_u32(buf, 0);
    wire_put_u32(buf, kind);
    return begin;
}

void catalogue_block_end(struct buf *buf, size_t begin, uint64_t generation, uint64_t offset)
{
    struct span block = span_from(buf_span(buf), begin);
    wire_store_u32(buf->data + begin + 4, (uint32_t)block.bytes);
    wire_store_u32(buf->data + begin + 8, sum_of(block, generation, offset));
}

bool catalogue_block_read(struct span content, uint64_t generation, size_t offset,
                          uint32_t *ret_kind, struct span *ret_payload)
{
    struct span rest = span_from(content, offset);
    if (rest.bytes < CATALOGUE_BLOCK_HEADER_BYTES ||
        memcmp(rest.data, block_magic, sizeof(block_magic)) != 0) {
        return false;
    }
    uint32_t bytes = wire_load_u32(rest.data + 4);
    if (bytes < CATALOGUE_BLOCK_HEADER_BYTES || bytes > rest.bytes) {
        return false;
    }
    struct span block = span_first(rest, bytes);
    if (wire_load_u32(rest.data + 8) != sum_of(block, generation, offset)) {
        return false;
    }
    *ret_kind = wire_load_u32(rest.data + 12);
    *ret_payload = span_of(block.data + CATALOGUE_BLOCK_HEADER_BYTES,
                           block.bytes - CATALOGUE_BLOCK_HEADER_BYTES);
    return true;
}

bool catalogue_block_find(struct span content, uint64_t generation, size_t offset,
                          size_t *ret_offset)
{
    uint32_t kind;
    struct span payload;
    while (offset < content.bytes) {
        ptrdiff_t at = span_find(span_from(content, offset), span_of(block_magic, 4));
        if (at < 0) {
            return false;
        }
        offset += (size_t)at;
        if (catalogue_block_read(content, generation, offset, &kind, &payload)) {
            *ret_offset = offset;
            return true;
        }
        offset++;
    }
    return false;
}
