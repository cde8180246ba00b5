/* Blocks of points under a right length and checksum: refused, or every element of them readable.
 * The input is a block without its first 12 bytes. */
#include "base/hash.h"
#include "base/wire.h"
#include "well/points_block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void touch(const struct points_block *block)
{
    for (size_t i = 0; i < block->runs_count; i++) {
        const struct points_run *run = &block->runs[i];
        for (size_t j = run->first; j < run->first + run->count; j++) {
            struct element element = points_block_element(block, run, j);
            if (element.type == ELEMENT_TEXT || element.type == ELEMENT_BYTES) {
                (void)hash64(element.value.bytes);
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct buf raw = {0};
    buf_append_str(&raw, "AQP1");
    wire_put_u32(&raw, (uint32_t)(bytes + 12));
    wire_put_u32(&raw, (uint32_t)hash64_seeded(span_of(data, bytes), 64));
    buf_append(&raw, span_of(data, bytes));
    struct points_block_reader *reader = points_block_reader_new();
    struct points_block block = {0};
    int rc = points_block_read(reader, buf_span(&raw), 64, NULL, 0, &block);
    CHECK(rc == 0 || rc == ERR_CORRUPT);
    if (rc == 0) {
        touch(&block);
        uint32_t series = block.runs[block.runs_count - 1].series;
        CHECK(points_block_read(reader, buf_span(&raw), 64, &series, 1, &block) == 0);
        touch(&block);
    }
    points_block_deinit(&block);
    points_block_reader_free(&reader);
    buf_deinit(&raw);
    return 0;
}
