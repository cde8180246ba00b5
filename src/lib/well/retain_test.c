/*
 * Retention: what the rules want gone goes, by whole partitions, oldest first; what nobody
 * permitted stays; what went does not come back, whatever the disk does; what did not go is
 * found, each entry once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/time.h"
#include "base/vec.h"
#include "base/wire.h"
#include "io/sim.h"
#include "well/partition.h"
#include "well/well.h"

#define PARTITION_NS 1000
#define NOW_NS 100500 /* in partition 100 */

enum fate { STAYS, MAYBE, GONE };

struct fact {
    uint64_t position;
    int64_t time_ns;
    enum fate fate;
};

struct world {
    struct io_sim calm; /* for the tags: no faults there */
    struct io_sim sim;
    struct series_tags *tags;
    struct well *well;
    VEC(struct fact) log;
    uint64_t position;
};

static void world_init(struct world *world, uint64_t seed)
{
    *world = (struct world){0};
    io_sim_init(&world->calm, seed);
    io_sim_init(&world->sim, seed);
    world->sim.now_ns = NOW_NS;
    world->sim.tick_ns = 0;
    assert_int_equal(series_tags_open(&world->calm.io, "/tags", &world->tags), 0);
}

static void world_deinit(struct world *world)
{
    well_close(&world->well);
    series_tags_close(&world->tags);
    io_sim_deinit(&world->calm);
    io_sim_deinit(&world->sim);
    vec_deinit(&world->log);
}

static struct span name_of(void *context, uint16_t tag)
{
    return series_tags_name(context, tag);
}

static void apply(struct world *world, size_t number)
{
    uint8_t data[64] = {0};
    struct buf run = {0};
    const struct fact *fact = &world->log.items[number];
    wire_store_u64(data, number);
    struct entry entry = {.time_ns = fact->time_ns, .data = span_of(data, sizeof(data))};
    entries_encode(&run, &entry, 1, name_of, world->tags);
    assert_int_equal(
        well_apply(world->well, &run, fact->position, (struct stamp){fact->position, 0}), 0);
}

static void ingest(struct world *world, int64_t time_ns)
{
    struct fact fact = {++world->position, time_ns, STAYS};
    vec_push(&world->log, fact);
    apply(world, world->log.count - 1);
}

static int open_well(struct world *world)
{
    struct well_options options = {
        .io = &world->sim.io,
        .name = "w",
        .dir = "/wells/w",
        .names = {.tags = world->tags},
        .merge_files = 3,
        .partition_ns = PARTITION_NS,
    };
    int rc = well_open(&options, &world->well);
    for (size_t i = 0; rc == 0 && i < world->log.count; i++) { /* replay */
        if (world->log.items[i].position >= well_flushed(world->well)) {
            apply(world, i);
        }
    }
    return rc;
}

static int flush(struct world *world)
{
    well_seal(world->well);
    return well_flush(world->well);
}

/* Retention, and what it means for the facts: those of the partition that were in segments. */
static int retain(struct world *world, const struct well_retention *retention)
{
    struct well_dropped dropped = {0};
    uint64_t flushed = well_flushed(world->well);
    int rc = well_retain(world->well, retention, &dropped);
    for (size_t i = 0; i < world->log.count; i++) {
        struct fact *fact = &world->log.items[i];
        bool same = well_partition_of(fact->time_ns, PARTITION_NS) ==
                    well_partition_of(dropped.newest_ns, PARTITION_NS);
        if (fact->position >= flushed) {
            continue;
        }
        if (rc == 0 && same) {
            fact->fate = GONE;
        } else if (rc < 0 && fact->fate == STAYS && fact->time_ns < NOW_NS - retention->hot_ns) {
            fact->fate = MAYBE; /* it may have been begun */
        }
    }
    return rc;
}

static void check(struct world *world)
{
    struct well_scan scan = {.start_ns = TIME_UNSET, .end_ns = TIME_MAX_NS, .descending = true};
    struct well_cursor *cursor;
    struct well_block block;
    bool *seen = mem_alloc_array(world->log.count + 1, sizeof(bool));
    int rc;
    assert_int_equal(well_cursor_open(&world->well, 1, &scan, &cursor), 0);
    while ((rc = well_cursor_next(cursor, &block)) == 0) {
        for (size_t i = 0; i < block.count; i++) {
            uint64_t number = wire_load_u64(block.entries[i].data.data);
            assert_true(number < world->log.count);
            assert_false(seen[number]); /* none twice */
            seen[number] = true;
        }
    }
    assert_int_equal(rc, WELL_END);
    well_cursor_close(&cursor);
    for (size_t i = 0; i < world->log.count; i++) {
        assert_false(seen[i] && world->log.items[i].fate == GONE);   /* none back */
        assert_false(!seen[i] && world->log.items[i].fate == STAYS); /* none lost */
    }
    mem_free(seen);
}

/* One entry in each of the partitions 90 to 100, in segments. */
static void fill(struct world *world)
{
    for (int64_t partition = 90; partition <= 100; partition++) {
        ingest(world, partition * PARTITION_NS + 10);
    }
    assert_int_equal(flush(world), 0);
}

/* Hot-Duration: what is older goes, partition by partition, and no more than that. */
static void old_partitions_go_oldest_first(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    assert_int_equal(open_well(&world), 0);
    fill(&world);
    struct well_retention retention = {.hot_ns = NOW_NS - 93 * PARTITION_NS};
    for (int64_t partition = 90; partition < 93; partition++) {
        struct well_dropped dropped = {0};
        assert_int_equal(well_retain(world.well, &retention, &dropped), 0);
        assert_string_equal(dropped.rule, "Hot-Duration");
        assert_true(dropped.newest_ns == partition * PARTITION_NS + 10);
        assert_true(dropped.oldest_ns == dropped.newest_ns);
        assert_true(dropped.entries == 1 && dropped.segments == 1 && dropped.bytes > 64);
        world.log.items[partition - 90].fate = GONE;
        check(&world);
    }
    assert_int_equal(retain(&world, &retention), WELL_NOTHING);
    struct well_stats stats = well_stats(world.well);
    assert_true(stats.partitions == 8 && stats.entries == 8);
    assert_true(stats.dropped_entries == 3 && stats.dropped_partitions == 3);
    assert_true(stats.oldest_ns == 93 * PARTITION_NS + 10);
    check(&world);
    well_close(&world.well);
    io_sim_crash(&world.sim);
    assert_int_equal(open_well(&world), 0);
    check(&world);
    world_deinit(&world);
}

/* Without permission nothing goes, and the answer says why. */
static void nothing_goes_without_permission(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    assert_int_equal(open_well(&world), 0);
    fill(&world);
    struct well_dropped dropped = {0};
    struct well_retention retention = {.hot_ns = 1, .forbidden = "no"};
    assert_int_equal(well_retain(world.well, &retention, &dropped), WELL_KEPT);
    assert_string_equal(dropped.rule, "Hot-Duration");
    assert_string_equal(dropped.kept, "no");
    retention = (struct well_retention){.bytes_max = 1, .required_ns = NOW_NS - 90 * PARTITION_NS};
    assert_int_equal(well_retain(world.well, &retention, &dropped), WELL_KEPT);
    assert_string_equal(dropped.rule, "Max-Hot-Storage-GB");
    assert_non_null(strstr(dropped.kept, "Required-Retention"));
    retention = (struct well_retention){0};
    assert_int_equal(well_retain(world.well, &retention, &dropped), WELL_NOTHING);
    check(&world);
    world_deinit(&world);
}

/* Whatever the rules say: the partition of now, and what claims to be later, stays. */
static void the_present_partition_never_goes(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    assert_int_equal(open_well(&world), 0);
    fill(&world);
    ingest(&world, 200 * PARTITION_NS);
    assert_int_equal(flush(&world), 0);
    struct well_retention retention = {.hot_ns = 1, .bytes_max = 1, .reserve_percent = 100};
    int dropped = 0;
    while (retain(&world, &retention) == 0) {
        dropped++;
    }
    assert_int_equal(dropped, 10);
    assert_true(well_stats(world.well).entries == 2);
    check(&world);
    world_deinit(&world);
}

/* Max-Hot-Storage-GB: as many go as are needed. */
static void a_well_that_is_too_large_shrinks_to_its_limit(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    assert_int_equal(open_well(&world), 0);
    fill(&world);
    uint64_t each = well_stats(world.well).disk_bytes / 11;
    struct well_retention retention = {.bytes_max = each * 5 + each / 2};
    while (retain(&world, &retention) == 0) {}
    assert_true(well_stats(world.well).partitions == 5);
    assert_true(well_stats(world.well).disk_bytes <= retention.bytes_max);
    check(&world);
    world_deinit(&world);
}

/* Hot-Storage-Reserve: space that comes back only when a reader has left is not asked for twice,
 * and the reader sees all it was promised. */
static void a_reader_keeps_what_is_dropped_and_its_space_is_counted(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    assert_int_equal(open_well(&world), 0);
    fill(&world);
    struct well_scan scan = {.start_ns = TIME_UNSET, .end_ns = TIME_MAX_NS};
    struct well_cursor *cursor;
    struct well_block block;
    assert_int_equal(well_cursor_open(&world.well, 1, &scan, &cursor), 0);
    struct well_retention retention = {.hot_ns = NOW_NS - 95 * PARTITION_NS};
    while (retain(&world, &retention) == 0) {}
    assert_true(well_stats(world.well).entries == 6);
    size_t seen = 0;
    while (well_cursor_next(cursor, &block) == 0) {
        seen += block.count;
    }
    assert_int_equal(seen, 11);
    well_cursor_close(&cursor);
    check(&world);
    world.sim.space_bytes = io_sim_used(&world.sim) * 2; /* half of it is free */
    retention = (struct well_retention){.reserve_percent = 40};
    assert_int_equal(retain(&world, &retention), WELL_NOTHING);
    retention.reserve_percent = 60;
    assert_int_equal(retain(&world, &retention), 0);
    check(&world);
    world_deinit(&world);
}

/* Times all over the centuries cost one flush a bounded number of files, and no entry. */
static void scattered_times_make_few_files(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    assert_int_equal(open_well(&world), 0);
    for (int i = 0; i < 500; i++) {
        ingest(&world, (int64_t)io_sim_below(&world.sim, 90000 * PARTITION_NS) - 40000);
    }
    assert_int_equal(flush(&world), 0);
    assert_true(well_stats(world.well).segments == 64);
    check(&world);
    well_close(&world.well);
    io_sim_crash(&world.sim);
    assert_int_equal(open_well(&world), 0);
    check(&world);
    world_deinit(&world);
}

/* Files of before there were partitions: no mark, no partition in the name. */
static void files_of_before_partitions_are_taken_over(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    assert_int_equal(open_well(&world), 0);
    ingest(&world, 5);
    assert_int_equal(flush(&world), 0);
    uint64_t flushed = well_flushed(world.well);
    well_close(&world.well);
    assert_int_equal(io_rename(&world.sim.io, "/wells/w/000000000001-000000000001+00000.seg",
                               "/wells/w/000000000001-000000000001.seg"),
                     0);
    struct well_mark mark = {1, flushed};
    char *path = well_mark_name("/wells/w", &mark);
    assert_int_equal(io_remove(&world.sim.io, path), 0);
    mem_free(path);
    assert_int_equal(open_well(&world), 0);
    assert_true(well_flushed(world.well) == flushed);
    check(&world);
    ingest(&world, 6);
    assert_int_equal(flush(&world), 0);
    check(&world);
    struct well_retention retention = {.hot_ns = 1};
    while (retain(&world, &retention) == 0) {}
    assert_true(well_stats(world.well).entries == 0);
    world_deinit(&world);
}

/* The life that sweeps repeat: late and early entries, flushes, merges and drops. */
static void live(struct world *world)
{
    static const struct well_retention retention = {.hot_ns = NOW_NS - 95 * PARTITION_NS};
    if (open_well(world) < 0) {
        return;
    }
    for (int i = 0; i < 16; i++) {
        ingest(world, (93 + i % 3) * PARTITION_NS + i);
        ingest(world, (97 + i % 2) * PARTITION_NS + i);
        if (i % 2 == 1) {
            (void)!flush(world);
        }
        if (i % 3 == 2) {
            (void)!well_merge(world->well);
        }
        if (i % 5 == 4) {
            (void)!retain(world, &retention);
        }
    }
}

static void dropped_stays_dropped_after_any_one_failed_call(void **state)
{
    (void)state;
    for (uint64_t fail_at = 1;; fail_at++) {
        bool failed = false;
        for (int crash = 0; crash < 2; crash++) {
            struct world world;
            world_init(&world, fail_at);
            world.sim.fail_at = fail_at;
            live(&world);
            failed = world.sim.failed;
            world.sim.fail_at = 0;
            if (world.well != NULL) {
                check(&world);
                well_close(&world.well);
            }
            if (crash != 0) {
                io_sim_crash(&world.sim);
            }
            assert_int_equal(open_well(&world), 0);
            check(&world);
            world_deinit(&world);
        }
        if (!failed) {
            assert_true(fail_at > 100);
            break; /* fewer calls than that: each of them has failed once */
        }
    }
}

/* AQUIFER_SEEDS, as in `make soak`: what was not synced is lost in several ways at each call. */
static uint64_t sweep_seeds(void)
{
    return getenv("AQUIFER_SEEDS") != NULL ? 4 : 1;
}

static void dropped_stays_dropped_after_a_crash_at_any_call(void **state)
{
    (void)state;
    for (uint64_t crash_at = 1;; crash_at++) {
        bool went_off = false;
        for (uint64_t seed = 1; seed <= sweep_seeds(); seed++) {
            struct world world;
            world_init(&world, seed * 1000 + crash_at);
            world.sim.crash_at = crash_at;
            live(&world);
            went_off = world.sim.off;
            well_close(&world.well);
            io_sim_crash(&world.sim);
            world.sim.crash_at = world.sim.calls + 1 + io_sim_below(&world.sim, 20);
            live(&world); /* and again, in recovery or soon after */
            well_close(&world.well);
            io_sim_crash(&world.sim);
            assert_int_equal(open_well(&world), 0);
            check(&world);
            world_deinit(&world);
        }
        if (!went_off) {
            break;
        }
    }
}

/* Any call of a merge fails; then what was merged, or was not, is dropped: none of it returns. */
static void what_a_merge_could_not_remove_does_not_return(void **state)
{
    (void)state;
    static const struct well_retention retention = {.hot_ns = NOW_NS - 95 * PARTITION_NS};
    for (uint64_t fail_at = 1;; fail_at++) {
        struct world world;
        world_init(&world, fail_at);
        assert_int_equal(open_well(&world), 0);
        for (int i = 0; i < 3; i++) {
            ingest(&world, 93 * PARTITION_NS + i);
            ingest(&world, 97 * PARTITION_NS + i);
            assert_int_equal(flush(&world), 0);
        }
        world.sim.fail_at = world.sim.calls + fail_at;
        (void)!well_merge(world.well);
        bool failed = world.sim.failed;
        world.sim.fail_at = 0;
        assert_int_equal(retain(&world, &retention), 0);
        check(&world);
        well_close(&world.well);
        assert_int_equal(open_well(&world), 0);
        check(&world);
        world_deinit(&world);
        if (!failed) {
            assert_true(fail_at > 10);
            break;
        }
    }
}

static void one_life(struct world *world)
{
    struct well_retention retention = {.hot_ns = (int64_t)(1 + io_sim_below(&world->sim, 12)) *
                                                 PARTITION_NS};
    if (io_sim_below(&world->sim, 3) == 0) {
        world->sim.fail_at = world->sim.calls + 1 + io_sim_below(&world->sim, 150);
    }
    if (io_sim_below(&world->sim, 2) == 0) {
        world->sim.crash_at = world->sim.calls + 1 + io_sim_below(&world->sim, 300);
    }
    if (open_well(world) < 0) {
        return;
    }
    for (uint64_t i = io_sim_below(&world->sim, 60); i > 0; i--) {
        ingest(world, (int64_t)(88 + io_sim_below(&world->sim, 14)) * PARTITION_NS);
        if (io_sim_below(&world->sim, 4) == 0) {
            (void)!flush(world);
        }
        if (io_sim_below(&world->sim, 4) == 0) {
            (void)!well_merge(world->well);
        }
        if (io_sim_below(&world->sim, 4) == 0) {
            (void)!retain(world, &retention);
        }
    }
}

static void seeded_lives_lose_nothing_and_bring_nothing_back(void **state)
{
    (void)state;
    const char *more = getenv("AQUIFER_SEEDS");
    uint64_t seeds = more != NULL ? strtoull(more, NULL, 10) : 60;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct world world;
        world_init(&world, seed);
        for (int life = 0; life < 4; life++) {
            one_life(&world);
            well_close(&world.well);
            io_sim_crash(&world.sim);
        }
        assert_int_equal(open_well(&world), 0);
        check(&world);
        world_deinit(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_partitions_go_oldest_first),
        cmocka_unit_test(nothing_goes_without_permission),
        cmocka_unit_test(the_present_partition_never_goes),
        cmocka_unit_test(a_well_that_is_too_large_shrinks_to_its_limit),
        cmocka_unit_test(a_reader_keeps_what_is_dropped_and_its_space_is_counted),
        cmocka_unit_test(scattered_times_make_few_files),
        cmocka_unit_test(files_of_before_partitions_are_taken_over),
        cmocka_unit_test(dropped_stays_dropped_after_any_one_failed_call),
        cmocka_unit_test(dropped_stays_dropped_after_a_crash_at_any_call),
        cmocka_unit_test(what_a_merge_could_not_remove_does_not_return),
        cmocka_unit_test(seeded_lives_lose_nothing_and_bring_nothing_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
