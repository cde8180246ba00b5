/*
 * Packing: a partition in which nothing happens any more becomes one dense file, once; what it
 * writes is bounded; it gives way. That nothing is lost by it, whatever fails: well_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/time.h"
#include "io/sim.h"
#include "well/internal.h"

#define HOUR_NS (TIME_DAY_NS / 24)

struct world {
    struct io_sim sim;
    struct series_tags *tags;
    struct well *well;
    bool pack_at_once;
    uint16_t tag;
    uint64_t position;
    uint64_t random;
};

static void open_well(struct world *world)
{
    struct well_options options = {
        .io = &world->sim.io,
        .name = "w",
        .dir = "/w",
        .names = {.tags = world->tags},
        .pack_at_once = world->pack_at_once,
    };
    well_close(&world->well);
    assert_int_equal(well_open(&options, &world->well), 0);
}

static void setup(struct world *world, bool pack_at_once)
{
    *world = (struct world){.pack_at_once = pack_at_once, .random = 1};
    io_sim_init(&world->sim, 1);
    world->sim.now_ns = 100 * WELL_PARTITION_NS_DEFAULT;
    assert_int_equal(series_tags_open(&world->sim.io, "/tags", &world->tags), 0);
    assert_int_equal(series_tags_put(world->tags, SPAN_LIT("t"), &world->tag), 0);
    open_well(world);
}

static void teardown(struct world *world)
{
    well_close(&world->well);
    series_tags_close(&world->tags);
    io_sim_deinit(&world->sim);
}

static struct span name_of(void *context, uint16_t tag)
{
    return series_tags_name(context, tag);
}

/* A flush of its own, of some 7 bytes per line on the disk, from this time on. */
static void flush_lines(struct world *world, int64_t time_ns, size_t lines)
{
    struct buf run = {0};
    char(*text)[100] = mem_alloc_array(lines, sizeof(*text));
    struct entry *entries = mem_alloc_array(lines, sizeof(*entries));
    for (size_t i = 0; i < lines; i++) {
        world->random = world->random * UINT64_C(6364136223846793005) + 1;
        unsigned number = (unsigned)(world->random >> 33);
        int bytes = snprintf(text[i], sizeof(text[i]), "10.1.%u.%u: request %u took %u ms",
                             number % 7, number / 7 % 250, number / 1750 % 100000, number % 997);
        entries[i] = (struct entry){.time_ns = time_ns + (int64_t)i,
                                    .tag = world->tag,
                                    .data = span_of(text[i], (size_t)bytes)};
    }
    entries_encode(&run, entries, lines, name_of, world->tags);
    struct stamp stamp = {++world->position, 0};
    assert_int_equal(well_apply(world->well, &run, world->position, stamp), 0);
    mem_free(text);
    mem_free(entries);
    well_seal(world->well);
    assert_int_equal(well_flush(world->well), 0);
}

static uint64_t entries_with(struct world *world, struct span word)
{
    struct well_scan scan = {.start_ns = TIME_UNSET,
                             .end_ns = TIME_MAX_NS,
                             .words = &word,
                             .words_count = word.bytes > 0 ? 1 : 0};
    struct well_cursor *cursor;
    struct well_block block;
    uint64_t count = 0;
    assert_int_equal(well_cursor_open(&world->well, 1, &scan, &cursor), 0);
    while (well_cursor_next(cursor, &block) == 0) {
        count += block.count;
    }
    assert_true(well_cursor_skipped(cursor) == 0);
    well_cursor_close(&cursor);
    return count;
}

static uint64_t entries_found(struct world *world)
{
    return entries_with(world, SPAN_NONE);
}

static int64_t partition_begin(int64_t number)
{
    return number * WELL_PARTITION_NS_DEFAULT;
}

/* Small files and a lone one become one file per partition, smaller than they were, and that is
 * remembered: also by the next to open the well. */
static void what_is_closed_is_packed_once(void **state)
{
    (void)state;
    struct world world;
    setup(&world, true);
    for (int i = 0; i < 5; i++) {
        flush_lines(&world, partition_begin(90), 2000);
    }
    flush_lines(&world, partition_begin(91), 2000);
    uint64_t before = well_stats(world.well).disk_bytes;
    assert_int_equal(well_pack(world.well), 0);
    assert_int_equal(well_pack(world.well), 0);
    assert_int_equal(well_pack(world.well), WELL_NOTHING);
    struct well_stats stats = well_stats(world.well);
    assert_true(stats.segments == 2 && stats.disk_bytes < before);
    assert_true(stats.packed_bytes == stats.disk_bytes && stats.merged_bytes == stats.disk_bytes);
    open_well(&world);
    assert_int_equal(well_pack(world.well), WELL_NOTHING);
    assert_true(entries_found(&world) == 12000);
    assert_true(entries_with(&world, SPAN_LIT("request")) == 12000); /* without filters */
    teardown(&world);
}

/* Neither what is young nor where something came within the hour, by the clock of the flush,
 * also if the well was opened since. */
static void what_may_still_grow_is_left_alone(void **state)
{
    (void)state;
    struct world world;
    setup(&world, false);
    flush_lines(&world, partition_begin(99) + HOUR_NS + TIME_DAY_NS / 86400, 10);
    flush_lines(&world, partition_begin(90), 10);
    assert_int_equal(well_pack(world.well), WELL_NOTHING);
    world.sim.now_ns += HOUR_NS - TIME_DAY_NS / 1440;
    open_well(&world);
    assert_int_equal(well_pack(world.well), WELL_NOTHING);
    world.sim.now_ns += TIME_DAY_NS / 1440;
    assert_int_equal(well_pack(world.well), 0); /* 90 */
    assert_int_equal(well_pack(world.well), WELL_NOTHING);
    world.sim.now_ns += TIME_DAY_NS / 1440;
    assert_int_equal(well_pack(world.well), 0); /* 99 */
    world.sim.now_ns -= TIME_DAY_NS;            /* set back: nothing is known of the flush */
    flush_lines(&world, partition_begin(91), 10);
    world.sim.now_ns -= TIME_DAY_NS;
    assert_int_equal(well_pack(world.well), 0);
    teardown(&world);
}

/* What comes late, as often as it comes, is packed too, and a large file is not written again for
 * every small one: all in all at most once per doubling. */
static void late_entries_cost_a_bounded_number_of_writes(void **state)
{
    (void)state;
    struct world world;
    setup(&world, true);
    flush_lines(&world, partition_begin(90), 40000);
    assert_int_equal(well_pack(world.well), 0);
    uint64_t large = well_stats(world.well).packed_bytes;
    assert_true(large > 3 * WELL_SMALL_BYTES);
    for (int i = 0; i < 40; i++) {
        flush_lines(&world, partition_begin(90) + i, 300);
        assert_int_equal(well_pack(world.well), 0);
        assert_int_equal(well_pack(world.well), WELL_NOTHING);
    }
    struct well_stats stats = well_stats(world.well);
    assert_true(stats.segments >= 2 && stats.segments < 8);
    assert_true(stats.packed_bytes < large + 40 * 2 * WELL_SMALL_BYTES);
    flush_lines(&world, partition_begin(90), 40000); /* as much as all the rest: one file again */
    assert_int_equal(well_pack(world.well), 0);
    assert_int_equal(well_pack(world.well), WELL_NOTHING);
    assert_true(well_stats(world.well).segments == 1);
    assert_true(entries_found(&world) == 92000);
    assert_true(entries_with(&world, SPAN_LIT("request")) == 92000);
    assert_true(entries_with(&world, SPAN_LIT("nowhere")) == 0); /* the filters say so */
    teardown(&world);
}

/* Before a well is closed nobody waits for it; it is done another time. */
static void it_gives_up_when_it_is_told_to(void **state)
{
    (void)state;
    struct world world;
    setup(&world, true);
    flush_lines(&world, partition_begin(90), 1000);
    well_give_up(world.well);
    assert_int_equal(well_pack(world.well), WELL_NOTHING);
    assert_false(io_exists(&world.sim.io, "/w/pack.tmp"));
    open_well(&world);
    assert_int_equal(well_pack(world.well), 0);
    assert_true(entries_found(&world) == 1000);
    teardown(&world);
}

/* A damaged file stays as it is, so that it can be repaired; the others are packed. */
static void what_is_damaged_is_not_packed(void **state)
{
    (void)state;
    struct world world;
    setup(&world, true);
    flush_lines(&world, partition_begin(90), 1000);
    flush_lines(&world, partition_begin(90), 1000);
    assert_true(
        io_sim_flip(&world.sim, "/w/000000000001-000000000001+00090.seg", 200, 4)); /* a block */
    open_well(&world);
    assert_int_equal(well_pack(world.well), ERR_CORRUPT);
    assert_true(well_stats(world.well).corrupt_blocks == 1);
    assert_int_equal(well_pack(world.well), 0);
    assert_int_equal(well_pack(world.well), WELL_NOTHING);
    assert_true(io_exists(&world.sim.io, "/w/000000000001-000000000001+00090.seg"));
    assert_true(well_stats(world.well).segments == 2);
    teardown(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_closed_is_packed_once),
        cmocka_unit_test(what_may_still_grow_is_left_alone),
        cmocka_unit_test(late_entries_cost_a_bounded_number_of_writes),
        cmocka_unit_test(it_gives_up_when_it_is_told_to),
        cmocka_unit_test(what_is_damaged_is_not_packed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
