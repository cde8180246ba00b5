/*
 * A segment by itself: written, opened, damaged. Its life in a well: well_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <zstd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/wire.h"
#include "io/sim.h"
#include "well/segment.h"
#include "well/segment_format.h"

#define PATH "/s.seg"
#define TAGS 3
#define PER_TAG (BLOCK_ENTRIES_MAX + 1000) /* more than a block holds */

static struct series_tags *tags;

static void make_segment(struct io_sim *sim)
{
    struct segment_about about = {.first = 4, .last = 6, .log_end = 1234, .deletes_end = 17};
    struct well_names names = {.tags = tags};
    struct segment_writer *writer;
    assert_int_equal(segment_writer_open(&sim->io, PATH, about, &names, 1, &writer), 0);
    for (uint16_t tag = 0; tag < TAGS; tag++) {
        for (int i = 0; i < PER_TAG; i++) {
            struct entry entry = {.time_ns = i, .tag = tag, .data = SPAN_LIT("something")};
            assert_int_equal(segment_writer_add(writer, &entry), 0);
        }
    }
    assert_int_equal(segment_writer_finish(&writer), 0);
}

static uint64_t count_entries(struct segment *segment, uint64_t *ret_damaged)
{
    struct block_reader *reader = block_reader_new();
    struct block block = {0};
    struct buf raw = {0};
    uint64_t entries = 0;
    for (size_t i = 0; i < segment->blocks_count; i++) {
        bool first_time = false;
        int rc = segment_read(segment, i, reader, &raw, &block, &first_time);
        assert_true(rc == 0 || rc == ERR_CORRUPT);
        entries += rc == 0 ? block.count : 0;
        *ret_damaged += rc < 0;
        assert_true(rc == 0 || first_time);
        if (rc < 0) { /* reported once */
            assert_int_equal(segment_read(segment, i, reader, &raw, &block, &first_time), rc);
        }
    }
    block_deinit(&block);
    buf_deinit(&raw);
    block_reader_free(&reader);
    return entries;
}

static void setup(struct io_sim *sim)
{
    uint16_t tag;
    io_sim_init(sim, 1);
    assert_int_equal(series_tags_open(&sim->io, "/tags", &tags), 0);
    assert_int_equal(series_tags_put(tags, SPAN_LIT("one"), &tag), 0);
    assert_int_equal(series_tags_put(tags, SPAN_LIT("two"), &tag), 0);
    make_segment(sim);
}

static void teardown(struct io_sim *sim)
{
    series_tags_close(&tags);
    io_sim_deinit(sim);
}

/* Pieces of filters that fail their checksum. */
static uint64_t damaged_filters(struct io_sim *sim, const struct segment *segment)
{
    uint64_t damaged = 0;
    struct io_file *file;
    assert_int_equal(io_open(&sim->io, PATH, IO_READ, &file), 0);
    for (size_t i = 0; i < segment->filters_count; i++) {
        uint64_t offset = segment->filters[i].offset;
        uint64_t end = offset + filter_group_bytes(&segment->filters[i]);
        for (; offset < end; offset += FILTER_PIECE_BYTES) {
            uint8_t piece[FILTER_PIECE_BYTES];
            size_t got;
            assert_int_equal(io_read_at(file, offset, piece, sizeof(piece), &got), 0);
            struct span data = span_of(piece, sizeof(piece) - 4);
            damaged +=
                wire_load_u32(piece + sizeof(piece) - 4) != (uint32_t)hash64_seeded(data, offset);
        }
    }
    io_close(&file);
    return damaged;
}

static void a_segment_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct io_sim sim;
    struct segment *segment;
    uint64_t damaged = 0;
    setup(&sim);
    assert_int_equal(segment_open(&sim.io, PATH, 4, 6, &segment), 0);
    assert_true(segment->log_end == 1234 && segment->entries == TAGS * PER_TAG);
    assert_true(segment->oldest_ns == 0 && segment->newest_ns == PER_TAG - 1);
    assert_true(count_entries(segment, &damaged) == TAGS * PER_TAG && damaged == 0);
    size_t from;
    size_t to;
    segment_find_tag(segment, 1, &from, &to);
    assert_int_equal(to - from, 2); /* blocks of one tag only */
    segment_find_tag(segment, 3, &from, &to);
    assert_int_equal(to - from, 0);
    segment_unref(&segment);
    teardown(&sim);
}

/* Whatever byte is flipped, header, block, footer, trailer: the log end is known, and at most one
 * block is lost. */
static void the_index_is_rebuilt_when_the_footer_is_damaged(void **state)
{
    (void)state;
    struct io_sim sim;
    setup(&sim);
    uint64_t rebuilt = 0;
    for (uint64_t at = 0; io_sim_flip(&sim, PATH, at, 0x10); at += 1 + at % 3) {
        struct segment *segment;
        uint64_t damaged = 0;
        assert_int_equal(segment_open(&sim.io, PATH, 4, 6, &segment), 0);
        uint64_t entries = count_entries(segment, &damaged);
        assert_true(segment->log_end == 1234);
        assert_true(entries >= TAGS * PER_TAG - BLOCK_ENTRIES_MAX);
        damaged += damaged_filters(&sim, segment);
        bool noticed = segment->header_damaged || segment->footer_damaged || damaged == 1;
        assert_true(noticed);
        rebuilt += segment->footer_damaged;
        if (segment->footer_damaged) {
            assert_true(entries == TAGS * PER_TAG);
        }
        segment_unref(&segment);
        assert_true(io_sim_flip(&sim, PATH, at, 0x10));
    }
    assert_true(rebuilt > 200);
    teardown(&sim);
}

static void what_is_no_segment_is_refused(void **state)
{
    (void)state;
    struct io_sim sim;
    struct segment *segment = NULL;
    setup(&sim);
    assert_int_equal(segment_open(&sim.io, "/none", 1, 1, &segment), ERR_NOT_FOUND);
    assert_null(segment);
    teardown(&sim);
}

/* Rows of the table, of which `bytes_max` bytes were allowed; how many have a key. */
static size_t pack_table(const struct well_names *names, const struct segment_series *series,
                         size_t count, size_t bytes_max)
{
    struct buf packed = {0};
    struct buf raw = {0};
    struct segment_table table = {0};
    assert_int_equal(segment_table_pack(series, count, names, bytes_max, &packed, &table), 0);
    assert_true(table.count == count && table.raw_bytes <= bytes_max);
    raw.bytes = ZSTD_decompress(buf_reserve(&raw, table.raw_bytes), table.raw_bytes, packed.data,
                                packed.bytes);
    assert_int_equal(raw.bytes, table.raw_bytes);
    struct wire_reader reader = wire_reader_of(buf_span(&raw));
    uint64_t number = 0;
    uint64_t stamp = 0;
    size_t keys = 0;
    for (size_t i = 0; i < count; i++) {
        number += wire_get_varint(&reader);
        stamp += (uint64_t)wire_get_svarint(&reader);
        struct span key = wire_get_bytes(&reader, SERIES_KEY_BYTES_MAX);
        assert_true(number == series[i].number && stamp == series[i].newest_stamp);
        assert_true(key.bytes == 0 || series_key_check(key) == 0);
        keys += key.bytes > 0;
    }
    assert_true(!reader.failed && reader.rest.bytes == 0);
    buf_deinit(&packed);
    buf_deinit(&raw);
    return keys;
}

/* Numbers and stamps are what merging needs; it is keys that are many bytes. */
static void a_table_of_series_is_never_larger_than_may_be_read(void **state)
{
    (void)state;
    struct io_sim sim;
    struct well_names names = {0};
    struct segment_series series[500];
    struct segment_table table;
    struct buf buf = {0};
    io_sim_init(&sim, 1);
    struct series_catalogue_options options = {.io = &sim.io, .dir = "/catalogue"};
    assert_int_equal(series_origins_open(&sim.io, "/origins", &names.origins), 0);
    options.origins = names.origins;
    assert_int_equal(series_catalogue_open(&options, &names.catalogue), 0);
    for (uint32_t i = 0; i < ARRAY_COUNT(series); i++) {
        char name[100];
        (void)snprintf(name, sizeof(name), "a-class-with-a-rather-long-name-%u", i);
        buf_clear(&buf);
        assert_int_equal(series_key_make(&buf, span_of_str(name), NULL, 0), 0);
        assert_true(series_catalogue_put(names.catalogue, buf_span(&buf), &series[i].number) >= 0);
        series[i].newest_stamp = i % 2 == 0 ? UINT64_MAX - i : i;
    }
    size_t count = ARRAY_COUNT(series);
    assert_int_equal(pack_table(&names, series, count, SEGMENT_TABLE_BYTES_MAX), count);
    size_t some = pack_table(&names, series, count, count * 30);
    assert_true(some > 0 && some < count);
    assert_true(pack_table(&names, series, count, count * 16) < some);
    buf_clear(&buf);
    assert_int_equal(segment_table_pack(series, count, &names, count * 16 - 1, &buf, &table),
                     ERR_TOO_LARGE);
    buf_deinit(&buf);
    series_catalogue_close(&names.catalogue);
    series_origins_close(&names.origins);
    io_sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segment_is_read_as_it_was_written),
        cmocka_unit_test(the_index_is_rebuilt_when_the_footer_is_damaged),
        cmocka_unit_test(what_is_no_segment_is_refused),
        cmocka_unit_test(a_table_of_series_is_never_larger_than_may_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
