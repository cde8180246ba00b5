/*
 * Blocks as bytes: what was added is read again; a damaged block is refused.
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
        cmocka_unit_test(a_damaged_block_is_refused),
        cmocka_unit_test(a_wrong_form_under_a_right_checksum_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
