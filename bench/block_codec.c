/*
 * Blocks of entries out of a file's lines: what they take and how fast they are unpacked, beside
 * zstd -9 of the whole file.
 *
 *     block_codec LEVEL FILE
 *
 * Prints: lines, raw bytes, bytes of zstd -9, bytes of the blocks, of their filters, GB/s of text
 * packed into blocks, unpacked from blocks, unpacked by zstd. Each rate is of CPU time, the best of
 * several rounds. Times are a second apart: where a well's partitions cut the file is not seen
 * here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zstd.h>

#include "base/time.h"
#include "base/vec.h"
#include "io/io.h"
#include "well/block.h"
#include "well/filter.h"

#define FILE_BYTES_MAX ((size_t)1 << 31)
#define ROUNDS 7
#define PEER_LEVEL 9
#define FILTER_SHARE 8 /* as segments do */
#define FOOTER_BYTES 250
#define INDEX_BYTES 44 /* per block */

struct packed {
    struct buf bytes;
    VEC(size_t) offsets;
    struct buf filters;
    uint64_t lines;
    double seconds;
};

static double cpu_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void finish_block(struct block_writer *writer, struct filter_writer *filter,
                         struct packed *packed)
{
    struct block_header header;
    vec_push(&packed->offsets, packed->bytes.bytes);
    block_writer_finish(writer, packed->bytes.bytes, &packed->bytes, &header);
    filter_end_block(filter);
}

static void pack_lines(struct span text, int level, struct packed *packed)
{
    struct block_writer *writer = block_writer_new(level);
    struct filter_writer filter = {0};
    struct filter_group group;
    double begin = cpu_seconds();
    while (text.bytes > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.bytes);
        size_t bytes = end == NULL ? text.bytes : (size_t)(end - text.data);
        struct entry entry = {.time_ns = (int64_t)packed->lines++ * TIME_S_NS,
                              .tag = 1,
                              .data = span_first(text, bytes)};
        entry.stamp = (struct stamp){.time = (uint64_t)entry.time_ns, .origin = 1};
        block_writer_add(writer, &entry);
        filter_add(&filter, entry.data);
        text = span_from(text, bytes + 1);
        if (text.bytes == 0 || block_writer_is_full(writer)) {
            finish_block(writer, &filter, packed);
        }
    }
    filter_end_group(&filter, packed->bytes.bytes / FILTER_SHARE, 0, &packed->filters, &group);
    packed->seconds = cpu_seconds() - begin;
    filter_deinit(&filter);
    block_writer_free(&writer);
}

static double unpack_blocks(const struct packed *packed)
{
    struct block_reader *reader = block_reader_new();
    struct block block = {0};
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double begin = cpu_seconds();
        for (size_t i = 0; i < packed->offsets.count; i++) {
            size_t offset = packed->offsets.items[i];
            CHECK(block_read(reader, span_from(buf_span(&packed->bytes), offset), offset, &block) ==
                  0);
        }
        best = MIN(best, cpu_seconds() - begin);
    }
    block_deinit(&block);
    block_reader_free(&reader);
    return best;
}

static double unpack_zstd(struct span text, size_t *ret_bytes)
{
    size_t room = ZSTD_compressBound(text.bytes);
    uint8_t *frame = mem_alloc(room);
    uint8_t *back = mem_alloc(text.bytes + 1);
    double best = 1e9;
    *ret_bytes = ZSTD_compress(frame, room, text.data, text.bytes, PEER_LEVEL);
    for (int round = 0; round < ROUNDS; round++) {
        double begin = cpu_seconds();
        CHECK(ZSTD_decompress(back, text.bytes, frame, *ret_bytes) == text.bytes);
        best = MIN(best, cpu_seconds() - begin);
    }
    mem_free(frame);
    mem_free(back);
    return best;
}

int main(int argc, char **argv)
{
    struct buf text = {0};
    if (argc != 3 || io_read_file(io_real(), argv[2], FILE_BYTES_MAX, &text) < 0 ||
        text.bytes == 0) {
        fprintf(stderr, "block_codec LEVEL FILE: %s\n", argc == 3 ? err_text() : "");
        return 2;
    }
    struct packed packed = {0};
    size_t peer_bytes = 0;
    double raw = (double)text.bytes / 1e9;
    pack_lines(buf_span(&text), atoi(argv[1]), &packed);
    double peer_seconds = unpack_zstd(buf_span(&text), &peer_bytes);
    double seconds = unpack_blocks(&packed);
    size_t stored = packed.bytes.bytes + packed.filters.bytes + FOOTER_BYTES +
                    packed.offsets.count * INDEX_BYTES;
    printf("%" PRIu64 " %zu %zu %zu %zu %.3f %.3f %.3f\n", packed.lines, text.bytes, peer_bytes,
           stored, packed.filters.bytes, raw / packed.seconds, raw / seconds, raw / peer_seconds);
    buf_deinit(&packed.bytes);
    buf_deinit(&packed.filters);
    vec_deinit(&packed.offsets);
    buf_deinit(&text);
    return 0;
}
