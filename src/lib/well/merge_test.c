/*
 * Merging takes whole blocks as they are where nothing comes between and nothing of them was
 * deleted; elsewhere it unpacks them. What is found stays the same, also by words. Which
 * neighbours are merged, and that nothing is lost whatever fails: well_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/time.h"
#include "io/sim.h"
#include "well/internal.h"

#define MERGE_FILES 2
#define FLUSH_LINES (3 * BLOCK_ENTRIES_MAX + 1000) /* blocks of one group, the last not full */

struct world {
    struct io_sim sim;
    struct series_tags *tags;
    struct well *well;
    uint16_t tag[2];
    uint64_t position;
    struct buf reports;
};

static void report(void *context, const char *text)
{
    struct world *world = context;
    buf_printf(&world->reports, "%s\n", text);
}

static void open_well(struct world *world)
{
    struct well_options options = {
        .io = &world->sim.io,
        .name = "w",
        .dir = "/w",
        .names = {.tags = world->tags},
        .merge_files = MERGE_FILES,
        .memtable_bytes_max = 16000, /* blocks of 1000 bytes of raw data may be taken whole */
        .report = report,
        .report_context = world,
    };
    well_close(&world->well);
    assert_int_equal(well_open(&options, &world->well), 0);
}

static void setup(struct world *world, uint64_t seed)
{
    *world = (struct world){0};
    io_sim_init(&world->sim, seed);
    assert_int_equal(series_tags_open(&world->sim.io, "/tags", &world->tags), 0);
    assert_int_equal(series_tags_put(world->tags, SPAN_LIT("a"), &world->tag[0]), 0);
    assert_int_equal(series_tags_put(world->tags, SPAN_LIT("b"), &world->tag[1]), 0);
    open_well(world);
}

static void teardown(struct world *world)
{
    well_close(&world->well);
    series_tags_close(&world->tags);
    io_sim_deinit(&world->sim);
    buf_deinit(&world->reports);
}

static struct span name_of(void *context, uint16_t tag)
{
    return series_tags_name(context, tag);
}

/* A flush of its own of so many lines, `step_ns` apart; `tag` 2: of both tags. */
static void flush_lines(struct world *world, int64_t time_ns, int64_t step_ns, size_t lines,
                        size_t tag)
{
    struct buf run = {0};
    char(*text)[32] = mem_alloc_array(lines, sizeof(*text));
    struct entry *entries = mem_alloc_array(lines, sizeof(*entries));
    world->position++;
    for (size_t i = 0; i < lines; i++) {
        int bytes = snprintf(text[i], sizeof(text[i]), "f%u line%u", (unsigned)world->position,
                             (unsigned)(i / 1000));
        entries[i] = (struct entry){.time_ns = time_ns + (int64_t)i * step_ns,
                                    .tag = world->tag[tag < 2 ? tag : i % 2],
                                    .data = span_of(text[i], (size_t)bytes)};
    }
    entries_encode(&run, entries, lines, name_of, world->tags);
    struct stamp stamp = {world->position, 0};
    assert_int_equal(well_apply(world->well, &run, world->position, stamp), 0);
    mem_free(text);
    mem_free(entries);
    well_seal(world->well);
    assert_int_equal(well_flush(world->well), 0);
}

/* What a scan finds, in its order. */
struct found {
    uint64_t count;
    uint64_t sum;
    uint64_t passed_over;
};

static struct found scan_for(struct world *world, struct span word)
{
    struct well_scan scan = {.start_ns = TIME_UNSET,
                             .end_ns = TIME_MAX_NS,
                             .words = &word,
                             .words_count = word.bytes > 0 ? 1 : 0};
    struct well_cursor *cursor;
    struct well_block block;
    struct found found = {0};
    assert_int_equal(well_cursor_open(&world->well, 1, &scan, &cursor), 0);
    while (well_cursor_next(cursor, &block) == 0) {
        for (size_t i = 0; i < block.count; i++) {
            const struct entry *entry = &block.entries[i];
            if (span_find(entry->data, word) >= 0) {
                uint64_t numbers[4] = {found.sum, (uint64_t)entry->time_ns, entry->tag,
                                       entry->stamp.time};
                found.sum = hash64_seeded(entry->data, hash64(span_of(numbers, sizeof(numbers))));
                found.count++;
            }
        }
    }
    assert_true(well_cursor_skipped(cursor) == 0);
    found.passed_over = well_cursor_passed_over(cursor);
    well_cursor_close(&cursor);
    return found;
}

static void assert_same(struct world *world, struct found before)
{
    struct found now = scan_for(world, SPAN_NONE);
    assert_true(now.count == before.count && now.sum == before.sum);
}

/* All blocks of a segment, without their first 12 bytes, the last of which are the checksum. */
static void read_blocks(const struct segment *segment, struct buf *blocks, struct buf *sizes)
{
    for (size_t i = 0; i < segment->blocks_count; i++) {
        size_t got;
        uint32_t bytes = segment->blocks[i].bytes - 12;
        assert_int_equal(io_read_at(segment->file, segment->blocks[i].offset + 12,
                                    buf_reserve(blocks, bytes), bytes, &got),
                         0);
        assert_int_equal(got, bytes);
        blocks->bytes += bytes;
        buf_append(sizes, span_of(&segment->blocks[i].entries, sizeof(uint32_t)));
    }
}

/* Two flushes one after another become one file with the same blocks, and the same filters. */
static void blocks_that_nothing_interleaves_are_taken_as_they_are(void **state)
{
    (void)state;
    struct world world;
    struct buf blocks[2] = {{0}};
    struct buf sizes[2] = {{0}};
    setup(&world, 1);
    flush_lines(&world, 0, 1, FLUSH_LINES, 0);
    flush_lines(&world, FLUSH_LINES, 1, FLUSH_LINES, 0);
    struct found before = scan_for(&world, SPAN_NONE);
    assert_true(before.count == (uint64_t)2 * FLUSH_LINES);
    read_blocks(world.well->segments.items[0], &blocks[0], &sizes[0]);
    read_blocks(world.well->segments.items[1], &blocks[0], &sizes[0]);
    struct found word = scan_for(&world, SPAN_LIT("line30"));
    assert_int_equal(well_merge(world.well), 0);
    assert_int_equal(world.well->segments.count, 1);
    const struct segment *merged = world.well->segments.items[0];
    read_blocks(merged, &blocks[1], &sizes[1]);
    assert_true(span_equal(buf_span(&sizes[0]), buf_span(&sizes[1])));
    assert_true(span_equal(buf_span(&blocks[0]), buf_span(&blocks[1])));
    assert_int_equal(merged->filters_count, 2);
    assert_same(&world, before);
    struct found same = scan_for(&world, SPAN_LIT("line30"));
    assert_true(same.sum == word.sum && same.passed_over == word.passed_over &&
                same.passed_over >= 4);
    open_well(&world);
    assert_same(&world, before);
    for (int i = 0; i < 2; i++) {
        buf_deinit(&blocks[i]);
        buf_deinit(&sizes[i]);
    }
    teardown(&world);
}

/* Where files overlap their blocks are unpacked; those beside are taken, with their part of the
 * filters. */
static void only_what_overlaps_is_unpacked(void **state)
{
    (void)state;
    struct world world;
    setup(&world, 1);
    flush_lines(&world, 0, 1, FLUSH_LINES, 0);
    flush_lines(&world, FLUSH_LINES - 500, 1, FLUSH_LINES, 0);
    struct found before = scan_for(&world, SPAN_NONE);
    struct found word = scan_for(&world, SPAN_LIT("line30"));
    assert_int_equal(well_merge(world.well), 0);
    const struct segment *merged = world.well->segments.items[0];
    assert_int_equal(merged->filters_count, 3);
    assert_true(merged->filters[0].blocks == 3 && merged->filters[2].blocks == 3);
    assert_same(&world, before);
    struct found same = scan_for(&world, SPAN_LIT("line30"));
    assert_true(same.sum == word.sum && same.passed_over >= 4);
    teardown(&world);
}

/* Small blocks become larger ones. */
static void small_blocks_are_put_together(void **state)
{
    (void)state;
    struct world world;
    setup(&world, 1);
    for (int i = 0; i < 8; i++) {
        flush_lines(&world, i * 100, 1, 60, 0);
    }
    struct found before = scan_for(&world, SPAN_NONE);
    while (well_merge(world.well) == 0) {}
    assert_int_equal(world.well->segments.count, 1);
    assert_int_equal(world.well->segments.items[0]->blocks_count, 1);
    assert_same(&world, before);
    teardown(&world);
}

/* A block of which something was deleted is unpacked, and no other one. */
static void what_was_deleted_is_not_taken(void **state)
{
    (void)state;
    struct world world;
    setup(&world, 1);
    flush_lines(&world, 0, 1, FLUSH_LINES, 0);
    flush_lines(&world, FLUSH_LINES, 1, FLUSH_LINES, 0);
    struct well_names names = {.tags = world.tags};
    struct tombstones *none = tombstones_new(&names, 1);
    struct series_delete deletion = {.start_ns = 5, .end_ns = 6, .selector = SPAN_LIT("a{}")};
    struct tombstone *tombstone;
    assert_int_equal(tombstone_new(&deletion, 3, (struct stamp){2, 0}, 0, &tombstone), 0);
    struct tombstones *tombstones = tombstones_with(none, &tombstone, 4);
    well_set_tombstones(world.well, tombstones);
    struct found before = scan_for(&world, SPAN_NONE);
    assert_true(before.count == 2 * FLUSH_LINES - 2);
    assert_int_equal(well_merge(world.well), 0);
    const struct segment *merged = world.well->segments.items[0];
    assert_true(merged->deletes_end == 4 && merged->entries == 2 * FLUSH_LINES - 2);
    assert_true(merged->filters_count == 3 && merged->filters[0].blocks == 1 &&
                merged->filters[1].blocks == 3 && merged->filters[2].blocks == 4);
    assert_same(&world, before);
    tombstones_unref(&tombstones);
    tombstones_unref(&none);
    teardown(&world);
}

/* Filters that cannot be read are made anew; it is said once. */
static void damaged_filters_are_made_anew(void **state)
{
    (void)state;
    struct world world;
    setup(&world, 1);
    flush_lines(&world, 0, 1, FLUSH_LINES, 0);
    flush_lines(&world, FLUSH_LINES, 1, FLUSH_LINES, 0);
    struct found before = scan_for(&world, SPAN_NONE);
    const struct segment *first = world.well->segments.items[0];
    assert_true(io_sim_flip(&world.sim, first->file->path, first->filters[0].offset + 10, 1));
    assert_int_equal(well_merge(world.well), 0);
    assert_true(span_find(buf_span(&world.reports), SPAN_LIT("filter")) >= 0);
    assert_true(well_stats(world.well).corrupt_blocks == 1);
    assert_same(&world, before);
    assert_true(scan_for(&world, SPAN_LIT("line30")).passed_over >= 4);
    teardown(&world);
}

static void a_damaged_block_is_not_taken(void **state)
{
    (void)state;
    struct world world;
    setup(&world, 1);
    flush_lines(&world, 0, 1, FLUSH_LINES, 0);
    flush_lines(&world, FLUSH_LINES, 1, FLUSH_LINES, 0);
    const struct segment *second = world.well->segments.items[1];
    uint64_t at = second->blocks[1].offset + second->blocks[1].bytes / 2;
    assert_true(io_sim_flip(&world.sim, second->file->path, at, 1));
    assert_int_equal(well_merge(world.well), ERR_CORRUPT);
    assert_true(well_stats(world.well).corrupt_blocks == 1);
    assert_int_equal(well_merge(world.well), WELL_NOTHING);
    assert_int_equal(world.well->segments.count, 2);
    assert_false(io_exists(&world.sim.io, "/w/merge.tmp"));
    teardown(&world);
}

/* Flushes of any times, of one tag or two, merged again and again: every scan stays the same. */
static void scans_find_the_same_however_files_overlap(void **state)
{
    (void)state;
    uint64_t whole = 0;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct world world;
        setup(&world, seed);
        for (int i = 0; i < 7; i++) {
            flush_lines(&world, (int64_t)io_sim_below(&world.sim, 60000),
                        1 + (int64_t)io_sim_below(&world.sim, 3),
                        1 + (size_t)io_sim_below(&world.sim, 30000),
                        (size_t)io_sim_below(&world.sim, 3));
            struct found before = scan_for(&world, SPAN_NONE);
            while (well_merge(world.well) == 0) {}
            assert_same(&world, before);
            struct found word = scan_for(&world, SPAN_LIT("line7"));
            uint64_t passed_over = word.passed_over;
            assert_true(word.count <= before.count);
            whole += world.well->segments.items[0]->filters_count > 2;
            assert_true(passed_over <= 64);
        }
        teardown(&world);
    }
    assert_true(whole > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_that_nothing_interleaves_are_taken_as_they_are),
        cmocka_unit_test(only_what_overlaps_is_unpacked),
        cmocka_unit_test(small_blocks_are_put_together),
        cmocka_unit_test(what_was_deleted_is_not_taken),
        cmocka_unit_test(damaged_filters_are_made_anew),
        cmocka_unit_test(a_damaged_block_is_not_taken),
        cmocka_unit_test(scans_find_the_same_however_files_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
