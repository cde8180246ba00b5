/*
 * Memory wells: the newest entries are there, the oldest have gone, by whole memtables, and no
 * disk is asked for anything.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/time.h"
#include "base/wire.h"
#include "io/sim.h"
#include "well/well.h"

#define ENTRY_BYTES 500

struct world {
    struct io_sim sim;
    struct series_tags *tags;
    struct well *well;
    uint64_t count; /* of entries; number i has position i + 1 */
    uint64_t calls; /* of the disk, before the well */
};

static void world_init(struct world *world, uint64_t bytes_max)
{
    *world = (struct world){0};
    io_sim_init(&world->sim, 1);
    assert_int_equal(series_tags_open(&world->sim.io, "/tags", &world->tags), 0);
    world->calls = world->sim.calls;
    struct well_options options = {
        .io = &world->sim.io,
        .name = "m",
        .names = {.tags = world->tags},
        .memory_bytes_max = bytes_max,
    };
    assert_int_equal(well_open(&options, &world->well), 0);
}

static void world_deinit(struct world *world)
{
    assert_true(world->sim.calls == world->calls); /* the disk was never asked */
    well_close(&world->well);
    series_tags_close(&world->tags);
    io_sim_deinit(&world->sim);
}

static struct span name_of(void *context, uint16_t tag)
{
    return series_tags_name(context, tag);
}

static void ingest(struct world *world, int64_t time_ns)
{
    uint8_t data[ENTRY_BYTES] = {0};
    struct buf run = {0};
    wire_store_u64(data, world->count);
    struct entry entry = {.time_ns = time_ns, .data = span_of(data, sizeof(data))};
    entries_encode(&run, &entry, 1, name_of, world->tags);
    assert_int_equal(well_apply(world->well, &run, ++world->count, (struct stamp){world->count, 0}),
                     0);
}

/* What a scan finds is [first, count) without gaps, each once; returns `first`. */
static uint64_t first_found(struct world *world, bool descending)
{
    struct well_scan scan = {
        .start_ns = TIME_UNSET, .end_ns = TIME_MAX_NS, .descending = descending};
    struct well_cursor *cursor;
    struct well_block block;
    bool *seen = mem_alloc_array(world->count + 1, sizeof(bool));
    int64_t last = descending ? INT64_MAX : INT64_MIN;
    assert_int_equal(well_cursor_open(&world->well, 1, &scan, &cursor), 0);
    while (well_cursor_next(cursor, &block) == 0) {
        for (size_t i = 0; i < block.count; i++) {
            uint64_t number = wire_load_u64(block.entries[i].data.data);
            int64_t time_ns = block.entries[i].time_ns;
            assert_true(number < world->count && !seen[number]);
            assert_true(descending ? time_ns <= last : time_ns >= last);
            seen[number] = true;
            last = time_ns;
        }
    }
    well_cursor_close(&cursor);
    uint64_t first = 0;
    while (first < world->count && !seen[first]) {
        first++;
    }
    for (uint64_t i = first; i < world->count; i++) {
        assert_true(seen[i]);
    }
    mem_free(seen);
    return first;
}

/* Max-Memory-MB: it never holds more, it always holds most of that, and those are the newest. */
static void the_newest_entries_fill_the_memory_allowed(void **state)
{
    (void)state;
    struct world world;
    const uint64_t bytes_max = 4000000;
    world_init(&world, bytes_max);
    uint64_t most = 0;
    for (int i = 0; i < 20000; i++) {
        ingest(&world, i * 1000 + i * 37 % 5000);
        uint64_t bytes = well_stats(world.well).memtable_bytes;
        assert_true(bytes <= bytes_max);
        most = MAX(most, bytes);
    }
    assert_true(most > bytes_max / 10 * 9);
    uint64_t first = first_found(&world, false);
    assert_true(first > 10000 && world.count - first > 3000);
    assert_true(first_found(&world, true) == first);
    struct well_stats stats = well_stats(world.well);
    assert_true(stats.entries == world.count - first && stats.dropped_entries == first);
    assert_true(stats.disk_bytes == 0 && stats.sealed == 0);
    struct well_retention retention = {0};
    struct well_dropped dropped = {0};
    assert_int_equal(well_retain(world.well, &retention, &dropped), 0);
    assert_string_equal(dropped.rule, "Max-Memory-MB");
    assert_true(dropped.entries == first && dropped.oldest_ns == 0);
    assert_int_equal(well_retain(world.well, &retention, &dropped), WELL_NOTHING);
    world_deinit(&world);
}

/* Hot-Duration: nothing younger goes, and what is older by an eighth has gone. */
static void old_entries_leave_memory(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 100000000);
    struct well_retention retention = {.hot_ns = TIME_HOUR_NS};
    world.sim.tick_ns = 0;
    for (int minute = 0; minute < 300; minute++) {
        struct well_dropped dropped;
        world.sim.now_ns = minute * TIME_MINUTE_NS;
        ingest(&world, world.sim.now_ns);
        int rc = well_retain(world.well, &retention, &dropped);
        assert_true(rc == WELL_NOTHING || strcmp(dropped.rule, "Hot-Duration") == 0);
        int64_t age_ns = world.sim.now_ns - well_stats(world.well).oldest_ns;
        assert_true(age_ns <= TIME_HOUR_NS / 8 * 9 + 2 * TIME_MINUTE_NS);
    }
    assert_true(first_found(&world, false) <= 300 - 60);
    world.sim.now_ns += 2 * TIME_HOUR_NS;
    struct well_dropped dropped;
    assert_int_equal(well_retain(world.well, &retention, &dropped), 0);
    assert_true(well_stats(world.well).entries == 0);
    world_deinit(&world);
}

/* A cursor sees all it saw when it was opened, though it is dropped meanwhile. */
static void a_cursor_keeps_what_is_dropped(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1000000);
    for (int i = 0; i < 1000; i++) {
        ingest(&world, i);
    }
    uint64_t there = well_stats(world.well).entries;
    struct well_scan scan = {.start_ns = TIME_UNSET, .end_ns = TIME_MAX_NS, .descending = true};
    struct well_cursor *cursor;
    struct well_block block;
    assert_int_equal(well_cursor_open(&world.well, 1, &scan, &cursor), 0);
    for (int i = 0; i < 5000; i++) {
        ingest(&world, i);
    }
    uint64_t seen = 0;
    while (well_cursor_next(cursor, &block) == 0) {
        seen += block.count;
    }
    assert_true(seen == there);
    well_cursor_close(&cursor);
    world_deinit(&world);
}

/* It never makes the log wait, nor anybody flush. */
static void it_holds_back_no_log(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1000000);
    for (int i = 0; i < 1000; i++) {
        ingest(&world, i);
    }
    well_seal(world.well);
    assert_true(well_sealed(world.well) == 0);
    assert_int_equal(well_flush(world.well), 0);
    assert_int_equal(well_merge(world.well), WELL_NOTHING);
    assert_true(well_needs_from(world.well, 777) == 777);
    assert_true(well_flushed(world.well) == 0);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_entries_fill_the_memory_allowed),
        cmocka_unit_test(old_entries_leave_memory),
        cmocka_unit_test(a_cursor_keeps_what_is_dropped),
        cmocka_unit_test(it_holds_back_no_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
