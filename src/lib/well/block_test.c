/*
 * Blocks as bytes: what was added is read again, stamps too; a damaged block is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/wire.h"
#include "well/block.h"

static struct entry make_entry(size_t i, char text[64])
{
    int bytes = snprintf(text, 64, "line %zu of a log, %zu", i, i * i * 7919);
    struct entry entry = {
        .time_ns = (int64_t)(i * i) * 1000000 - 5000,
        .tag = 7,
        .data = span_of(text, i % 5 == 0 ? 0 : (size_t)bytes),
        .enumerated = i % 3 == 0 ? span_of(text, 4) : SPAN_NONE,
    };
    entry.source[3] = (uint8_t)(i % 4);
    entry.stamp = (struct stamp){.time = 1000 + i / 10, .origin = (uint16_t)(i % 30 / 29)};
    return entry;
}

static void make_block(struct buf *bytes, size_t count, uint64_t offset,
                       struct block_header *ret_header)
{
    struct block_writer *writer = block_writer_new(1);
    for (size_t i = 0; i < count; i++) {
        char text[64];
        struct entry entry = make_entry(i, text);
        block_writer_add(writer, &entry);
    }
    assert_int_equal(block_writer_count(writer), count);
    block_writer_finish(writer, offset, bytes, ret_header);
    assert_int_equal(block_writer_count(writer), 0);
    block_writer_free(&writer);
}

static void check_block(const struct block *block, size_t count)
{
    assert_int_equal(block->count, count);
    for (size_t i = 0; i < count; i++) {
        char text[64];
        struct entry expected = make_entry(i, text);
        const struct entry *entry = &block->entries[i];
        assert_true(entry->time_ns == expected.time_ns && entry->tag == 7);
        assert_memory_equal(entry->source, expected.source, ENTRY_SOURCE_BYTES);
        assert_true(entry->stamp.time == expected.stamp.time);
        assert_int_equal(entry->stamp.origin, expected.stamp.origin);
        assert_true(span_equal(entry->data, expected.data));
        assert_true(span_equal(entry->enumerated, expected.enumerated));
    }
}

static void a_block_is_read_as_it_was_written(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 3, 100, 5000};
    struct block_reader *reader = block_reader_new();
    struct block block = {0};
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        struct buf bytes = {0};
        struct block_header header;
        make_block(&bytes, counts[i], 4711, &header);
        assert_int_equal(header.bytes, bytes.bytes);
        assert_int_equal(header.entries, counts[i]);
        buf_append_str(&bytes, "what follows");
        assert_int_equal(block_read(reader, buf_span(&bytes), 4711, &block), 0);
        check_block(&block, counts[i]);
        buf_deinit(&bytes);
    }
    block_deinit(&block);
    block_reader_free(&reader);
}

/* What one leaves behind another one takes: larger and smaller blocks, several at a time, also
 * after one that could not be read. */
static void memory_that_is_used_again_changes_nothing(void **state)
{
    (void)state;
    static const size_t counts[] = {3000, 10, 5000, 1, 800};
    enum { AT_ONCE = 12, ROUNDS = 3 };
    struct buf bytes[ARRAY_COUNT(counts)] = {{0}};
    struct block_header header;
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        make_block(&bytes[i], counts[i], 64, &header);
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        struct block_reader *readers[AT_ONCE];
        struct block blocks[AT_ONCE] = {{0}};
        for (size_t i = 0; i < AT_ONCE; i++) {
            struct span good = buf_span(&bytes[(round + i) % ARRAY_COUNT(counts)]);
            readers[i] = block_reader_new();
            assert_int_equal(block_read(readers[i], good, 65, &blocks[i]), ERR_CORRUPT);
            assert_int_equal(block_read(readers[i], good, 64, &blocks[i]), 0);
        }
        for (size_t i = 0; i < AT_ONCE; i++) {
            check_block(&blocks[i], counts[(round + i) % ARRAY_COUNT(counts)]);
            block_deinit(&blocks[i]);
            block_reader_free(&readers[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        buf_deinit(&bytes[i]);
    }
}

static uint64_t below(uint64_t *random, uint64_t bound)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random % bound;
}

/* Lines of several shapes: alike, with bytes that lines mostly have not, empty, long, of bytes. */
static void put_line(struct buf *buf, uint64_t *random, uint64_t shape, size_t i)
{
    unsigned line = (unsigned)i;
    unsigned small = (unsigned)below(random, 9);
    unsigned large = (unsigned)below(random, 99999);
    uint64_t bytes = shape == 3 ? below(random, 300) : 0;
    for (uint64_t j = 0; j < bytes; j++) {
        buf_append_byte(buf, (uint8_t)below(random, 256));
    }
    if (shape == 0) {
        buf_printf(buf, "10.0.%u.7 - - [%u] \"GET /page/%u.html HTTP/1.1\" 200", small, line,
                   large);
    } else if (shape == 1) {
        buf_printf(buf, "{\"a\":%u,\"b\":{\"c\":%u,\"d\":1},\"e\":%u}", small, line, large);
    } else if (shape == 2) {
        buf_printf(buf, "one\nof %u\tseveral %u\r\nlines %u\n\n", small, line, large);
    }
}

/* Whatever the shape of the lines, at every level, also when one writer makes many blocks. */
static void lines_of_any_shape_come_back(void **state)
{
    (void)state;
    struct block_reader *reader = block_reader_new();
    struct block block = {0};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15);
        struct block_writer *writer = block_writer_new(1 + (int)(seed % 3) * 4);
        for (uint16_t tag = 0; tag < 3; tag++) {
            struct buf lines = {0};
            uint32_t ends[3000];
            size_t count = 1 + below(&random, ARRAY_COUNT(ends));
            uint64_t shape = below(&random, 6);
            for (size_t i = 0; i < count; i++) {
                put_line(&lines, &random, shape < 5 ? shape : below(&random, 5), i);
                ends[i] = (uint32_t)lines.bytes;
            }
            for (size_t i = 0; i < count; i++) {
                uint32_t begin = i == 0 ? 0 : ends[i - 1];
                struct entry entry = {.tag = tag,
                                      .data = span_of(lines.data + begin, ends[i] - begin)};
                block_writer_add(writer, &entry);
            }
            struct buf bytes = {0};
            struct block_header header;
            block_writer_finish(writer, 64, &bytes, &header);
            assert_int_equal(block_read(reader, buf_span(&bytes), 64, &block), 0);
            assert_int_equal(block.count, count);
            for (size_t i = 0; i < count; i++) {
                uint32_t begin = i == 0 ? 0 : ends[i - 1];
                struct span expected = span_of(lines.data + begin, ends[i] - begin);
                assert_true(span_equal(block.entries[i].data, expected));
            }
            buf_deinit(&bytes);
            buf_deinit(&lines);
        }
        block_writer_free(&writer);
    }
    block_deinit(&block);
    block_reader_free(&reader);
}

/* Any bit, any cut, another place in the file. */
static void a_damaged_block_is_refused(void **state)
{
    (void)state;
    struct block_reader *reader = block_reader_new();
    struct block block = {0};
    struct buf bytes = {0};
    struct block_header header;
    make_block(&bytes, 60, 64, &header);
    for (size_t bit = 0; bit < bytes.bytes * 8; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(block_read(reader, buf_span(&bytes), 64, &block), ERR_CORRUPT);
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < bytes.bytes; cut++) {
        uint8_t *copy = mem_dup(bytes.data, cut);
        assert_int_equal(block_read(reader, span_of(copy, cut), 64, &block), ERR_CORRUPT);
        mem_free(copy);
    }
    assert_int_equal(block_read(reader, buf_span(&bytes), 65, &block), ERR_CORRUPT);
    buf_deinit(&bytes);
    block_deinit(&block);
    block_reader_free(&reader);
}

/* A block whose checksum is right and whose contents are not: refused by its form, or read, but
 * nothing outside is touched (the sanitizer looks on). */
static void a_wrong_form_under_a_right_checksum_does_no_harm(void **state)
{
    (void)state;
    struct block_reader *reader = block_reader_new();
    struct block block = {0};
    struct buf bytes = {0};
    struct block_header header;
    make_block(&bytes, 60, 64, &header);
    uint64_t refused = 0;
    for (size_t bit = 12 * 8; bit < bytes.bytes * 8; bit++) {
        uint8_t *copy = mem_dup(bytes.data, bytes.bytes);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        wire_store_u32(copy + 8, (uint32_t)hash64_seeded(span_of(copy + 12, bytes.bytes - 12), 64));
        int rc = block_read(reader, span_of(copy, bytes.bytes), 64, &block);
        assert_true(rc == 0 || rc == ERR_CORRUPT);
        for (size_t i = 0; rc == 0 && i < block.count; i++) {
            (void)hash64(block.entries[i].data);
            (void)hash64(block.entries[i].enumerated);
        }
        refused += rc == ERR_CORRUPT;
        mem_free(copy);
    }
    assert_true(refused > 1000);
    buf_deinit(&bytes);
    block_deinit(&block);
    block_reader_free(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_read_as_it_was_written),
        cmocka_unit_test(memory_that_is_used_again_changes_nothing),
        cmocka_unit_test(lines_of_any_shape_come_back),
        cmocka_unit_test(a_damaged_block_is_refused),
        cmocka_unit_test(a_wrong_form_under_a_right_checksum_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
