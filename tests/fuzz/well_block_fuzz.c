/* Blocks of a segment under a right length and checksum: refused, or every byte of them readable.
 * The input is a block without its first 12 bytes, tried as one of each version. */
#include "base/hash.h"
#include "base/wire.h"
#include "well/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void try_as(const char *magic, struct span input)
{
    struct buf raw = {0};
    buf_append_str(&raw, magic);
    wire_put_u32(&raw, (uint32_t)(input.bytes + 12));
    wire_put_u32(&raw, (uint32_t)hash64_seeded(input, 64));
    buf_append(&raw, input);
    struct block_reader *reader = block_reader_new();
    struct block block = {0};
    int rc = block_read(reader, buf_span(&raw), 64, &block);
    CHECK(rc == 0 || rc == ERR_CORRUPT);
    for (size_t i = 0; rc == 0 && i < block.count; i++) {
        (void)hash64(block.entries[i].data);
        (void)hash64(block.entries[i].enumerated);
    }
    block_deinit(&block);
    block_reader_free(&reader);
    buf_deinit(&raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    try_as("AQB1", span_of(data, bytes));
    try_as("AQB2", span_of(data, bytes));
    return 0;
}
