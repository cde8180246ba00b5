/*
 * A well against a disk that fails, tears and forgets. The datalog is played by a list in the
 * test, which is durable by nature; the claim is always the same and exact: a scan gives every
 * entry of that list, each once, in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/time.h"
#include "base/vec.h"
#include "base/wire.h"
#include "io/sim.h"
#include "well/cache.h"
#include "well/well.h"

#define TAGS 5

struct fact {
    uint64_t position; /* of the record it is in */
    uint64_t number;
    int64_t time_ns;
    uint16_t tag;
    uint32_t bytes;
    bool enumerated;
};

struct world {
    struct io_sim calm; /* for the tags: no faults there */
    struct io_sim sim;
    struct series_tags *tags;
    struct block_cache *cache;
    struct well *well;
    VEC(struct fact) log;
    uint64_t position; /* of the last record */
    uint64_t reports;
};

static void on_report(void *context, const char *text)
{
    struct world *world = context;
    assert_non_null(strstr(text, "/well/"));
    world->reports++;
}

static void world_init(struct world *world, uint64_t seed)
{
    *world = (struct world){0};
    io_sim_init(&world->calm, seed);
    io_sim_init(&world->sim, seed);
    world->cache = block_cache_new(seed % 3 * 30000);
    assert_int_equal(series_tags_open(&world->calm.io, "/tags", &world->tags), 0);
    for (uint16_t i = 1; i <= TAGS; i++) {
        char name[8];
        uint16_t tag;
        snprintf(name, sizeof(name), "tag%u", i);
        assert_int_equal(series_tags_put(world->tags, span_of_str(name), &tag), 0);
        assert_int_equal(tag, i);
    }
}

static void world_deinit(struct world *world)
{
    well_close(&world->well);
    block_cache_free(&world->cache);
    series_tags_close(&world->tags);
    io_sim_deinit(&world->calm);
    io_sim_deinit(&world->sim);
    vec_deinit(&world->log);
}

static struct span name_of(void *context, uint16_t tag)
{
    return series_tags_name(context, tag);
}

static void make_data(struct buf *buf, const struct fact *fact)
{
    wire_put_u64(buf, fact->number);
    while (buf->bytes < fact->bytes) {
        buf_append_byte(buf, (uint8_t)('a' + (fact->number + buf->bytes * buf->bytes) % 23));
    }
}

static const uint8_t some_evs[] = {16, 0, 0, 0, 1, 0, 0, 0, 8 + 0, 0};

static struct entry entry_of(const struct fact *fact, struct buf *data)
{
    struct entry entry = {.time_ns = fact->time_ns, .tag = fact->tag};
    entry.source[15] = (uint8_t)(fact->number % 3);
    buf_clear(data);
    make_data(data, fact);
    entry.data = buf_span(data);
    if (fact->enumerated) {
        entry.enumerated = span_of(some_evs, sizeof(some_evs));
    }
    return entry;
}

static void apply(struct world *world, size_t first, size_t count)
{
    struct buf run = {0};
    struct buf *data = mem_alloc_array(count, sizeof(*data));
    struct entry *entries = mem_alloc_array(count, sizeof(*entries));
    for (size_t i = 0; i < count; i++) {
        entries[i] = entry_of(&world->log.items[first + i], &data[i]);
    }
    entries_encode(&run, entries, count, name_of, world->tags);
    assert_int_equal(well_apply(world->well, &run, world->log.items[first].position,
                                (struct stamp){world->log.items[first].position, 0}),
                     0);
    for (size_t i = 0; i < count; i++) {
        buf_deinit(&data[i]);
    }
    mem_free(data);
    mem_free(entries);
}

/* One record of `count` entries: into the log, then into the well. */
static void ingest(struct world *world, size_t count)
{
    size_t first = world->log.count;
    world->position++;
    for (size_t i = 0; i < count; i++) {
        struct fact fact = {
            .position = world->position,
            .number = world->log.count,
            .time_ns = (int64_t)(world->position / 4 * 1000 + io_sim_below(&world->sim, 3000)),
            .tag = (uint16_t)(1 + io_sim_below(&world->sim, TAGS)),
            .bytes = (uint32_t)(8 + io_sim_below(&world->sim, 100)),
            .enumerated = io_sim_below(&world->sim, 4) == 0,
        };
        vec_push(&world->log, fact);
    }
    apply(world, first, count);
}

static int open_well(struct world *world)
{
    struct well_options options = {
        .io = &world->sim.io,
        .name = "w",
        .dir = "/wells/well",
        .names = {.tags = world->tags},
        .memtable_bytes_max = 30000,
        .merge_files = 3,
        .pack_at_once = true,
        .cache = world->cache,
        .report = on_report,
        .report_context = world,
    };
    int rc = well_open(&options, &world->well);
    if (rc < 0) {
        return rc;
    }
    uint64_t flushed = well_flushed(world->well);
    assert_true(flushed <= world->position + 1);
    for (size_t i = 0; i < world->log.count;) { /* replay */
        size_t count = 1;
        while (i + count < world->log.count &&
               world->log.items[i + count].position == world->log.items[i].position) {
            count++;
        }
        if (world->log.items[i].position >= flushed) {
            apply(world, i, count);
        }
        i += count;
    }
    return 0;
}

static int by_place(const void *left, const void *right)
{
    const struct fact *a = left;
    const struct fact *b = right;
    if (a->time_ns != b->time_ns) {
        return a->time_ns < b->time_ns ? -1 : 1;
    }
    if (a->tag != b->tag) {
        return a->tag < b->tag ? -1 : 1;
    }
    return a->number < b->number ? -1 : 1;
}

static bool fact_wanted(const struct fact *fact, const struct well_scan *scan)
{
    bool has_tag = scan->tags == NULL;
    for (size_t i = 0; !has_tag && i < scan->tags_count; i++) {
        has_tag = scan->tags[i] == fact->tag;
    }
    return has_tag && fact->time_ns >= scan->start_ns &&
           (fact->time_ns < scan->end_ns || scan->end_ns == TIME_MAX_NS);
}

static void check_entry(const struct fact *fact, const struct entry *entry)
{
    struct buf data = {0};
    struct entry expected = entry_of(fact, &data);
    assert_true(entry->time_ns == expected.time_ns && entry->tag == expected.tag);
    assert_true(span_equal(entry->data, expected.data));
    assert_true(span_equal(entry->enumerated, expected.enumerated));
    assert_memory_equal(entry->source, expected.source, 16);
    buf_deinit(&data);
}

/* Reads the scan to its end and compares it with the log. */
static void check_scan(struct world *world, const struct well_scan *scan)
{
    VEC(struct fact) expected = {0};
    for (size_t i = 0; i < world->log.count; i++) {
        if (fact_wanted(&world->log.items[i], scan)) {
            vec_push(&expected, world->log.items[i]);
        }
    }
    if (expected.count > 0) {
        qsort(expected.items, expected.count, sizeof(*expected.items), by_place);
    }
    struct well_cursor *cursor;
    struct well_block block;
    assert_int_equal(well_cursor_open(&world->well, 1, scan, &cursor), 0);
    size_t seen = 0;
    int rc;
    while ((rc = well_cursor_next(cursor, &block)) == 0) {
        assert_true(block.count > 0);
        for (size_t i = 0; i < block.count; i++, seen++) {
            assert_true(seen < expected.count);
            size_t at = scan->descending ? expected.count - 1 - seen : seen;
            check_entry(&expected.items[at], &block.entries[i]);
            assert_true(block.entries[i].data.data >= block.region.data);
            assert_true(block.entries[i].data.data + block.entries[i].data.bytes <=
                        block.region.data + block.region.bytes);
        }
    }
    assert_int_equal(rc, WELL_END);
    assert_true(seen == expected.count);
    well_cursor_close(&cursor);
    vec_deinit(&expected);
}

static void check_everything(struct world *world)
{
    struct well_scan scan = {.start_ns = INT64_MIN, .end_ns = TIME_MAX_NS};
    check_scan(world, &scan);
    scan.descending = true;
    check_scan(world, &scan);
    uint16_t tags[] = {(uint16_t)(1 + io_sim_below(&world->sim, TAGS)), 4, 2, 2, 99};
    scan.tags = tags;
    scan.tags_count = 1 + io_sim_below(&world->sim, 5);
    scan.start_ns = (int64_t)io_sim_below(&world->sim, 2000 + world->position * 250);
    scan.end_ns = scan.start_ns + (int64_t)io_sim_below(&world->sim, 30000);
    check_scan(world, &scan);
    scan.descending = false;
    check_scan(world, &scan);
}

/* The life that sweeps repeat. Faults of flush and merge change nothing that a scan sees. */
static void live(struct world *world)
{
    if (open_well(world) < 0) {
        return;
    }
    for (int i = 0; i < 12; i++) {
        ingest(world, 1 + (size_t)i % 5);
        if (i % 2 == 1) {
            well_seal(world->well);
            (void)!well_flush(world->well);
        }
        if (i % 4 == 3) {
            (void)!well_merge(world->well);
        }
        if (i % 8 == 5) {
            (void)!well_pack(world->well);
        }
    }
    ingest(world, 3);
}

static void every_entry_survives_any_one_failed_call(void **state)
{
    (void)state;
    for (uint64_t fail_at = 1;; fail_at++) {
        bool failed = false;
        for (int crash = 0; crash < 2; crash++) {
            struct world world;
            world_init(&world, fail_at);
            world.sim.fail_at = fail_at;
            world.sim.fail_with = fail_at % 3 == 0 ? ERR_NO_SPACE : ERR_IO;
            live(&world);
            failed = world.sim.failed;
            world.sim.fail_at = 0;
            if (world.well != NULL) {
                check_everything(&world);
                well_close(&world.well);
            }
            if (crash != 0) {
                io_sim_crash(&world.sim);
            }
            assert_int_equal(open_well(&world), 0);
            check_everything(&world);
            world_deinit(&world);
        }
        if (!failed) {
            assert_true(fail_at > 50);
            break; /* fewer calls than that: each of them has failed once */
        }
    }
}

/* AQUIFER_SEEDS, as in `make soak`: what was not synced is lost in several ways at each call. */
static uint64_t sweep_seeds(void)
{
    return getenv("AQUIFER_SEEDS") != NULL ? 4 : 1;
}

static void every_entry_survives_a_crash_at_any_call(void **state)
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
            world.sim.crash_at = world.sim.calls + 1 + io_sim_below(&world.sim, 15);
            if (open_well(&world) == 0) { /* and again, in recovery or soon after */
                well_seal(world.well);
                (void)!well_flush(world.well);
                (void)!well_merge(world.well);
                well_close(&world.well);
            }
            io_sim_crash(&world.sim);
            assert_int_equal(open_well(&world), 0);
            check_everything(&world);
            world_deinit(&world);
        }
        if (!went_off) {
            break;
        }
    }
}

static void one_life(struct world *world)
{
    if (io_sim_below(&world->sim, 3) == 0) {
        world->sim.fail_at = world->sim.calls + 1 + io_sim_below(&world->sim, 100);
    }
    if (io_sim_below(&world->sim, 2) == 0) {
        world->sim.crash_at = world->sim.calls + 1 + io_sim_below(&world->sim, 200);
    }
    if (open_well(world) < 0) {
        return;
    }
    for (uint64_t i = io_sim_below(&world->sim, 60); i > 0; i--) {
        ingest(world, 1 + io_sim_below(&world->sim, 30));
        if (io_sim_below(&world->sim, 5) == 0) {
            well_seal(world->well);
        }
        if (io_sim_below(&world->sim, 4) == 0) {
            (void)!well_flush(world->well);
        }
        if (io_sim_below(&world->sim, 6) == 0) {
            (void)!well_merge(world->well);
        }
        if (io_sim_below(&world->sim, 10) == 0) {
            (void)!well_pack(world->well);
        }
    }
    well_close(&world->well);
}

/* Lives of ingesting, flushing, merging, faults, crashes; AQUIFER_SEEDS: how many. */
static void seeded_lives_keep_every_entry_once(void **state)
{
    (void)state;
    const char *more = getenv("AQUIFER_SEEDS");
    uint64_t seeds = more != NULL ? strtoull(more, NULL, 10) : 30;
    uint64_t hits = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct world world;
        world_init(&world, seed);
        for (int life = 0; life < 3; life++) {
            one_life(&world);
            well_close(&world.well);
            io_sim_crash(&world.sim);
        }
        assert_int_equal(open_well(&world), 0);
        check_everything(&world);
        (void)!well_merge(world.well);
        check_everything(&world); /* some blocks unpacked before, some in new files */
        hits += block_cache_stats(world.cache).hits;
        world_deinit(&world);
    }
    assert_true(hits > seeds);
}

/* However often it is flushed, the number of files stays small, and nothing is lost by it. */
static void merging_bounds_the_number_of_files(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    assert_int_equal(open_well(&world), 0);
    uint64_t most = 0;
    for (int i = 0; i < 200; i++) {
        ingest(&world, 20);
        well_seal(world.well);
        assert_int_equal(well_flush(world.well), 0);
        int rc;
        while ((rc = well_merge(world.well)) == 0) {}
        assert_int_equal(rc, WELL_NOTHING);
        most = MAX(most, well_stats(world.well).segments);
    }
    assert_true(most <= 10);
    assert_true(well_stats(world.well).entries == 4000);
    check_everything(&world);
    well_close(&world.well);
    assert_int_equal(open_well(&world), 0);
    assert_true(well_stats(world.well).entries == 4000);
    check_everything(&world);
    world_deinit(&world);
}

/* A cursor sees what was there when it was opened, whatever happens meanwhile. */
static void a_cursor_sees_its_snapshot(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    assert_int_equal(open_well(&world), 0);
    for (int i = 0; i < 30; i++) {
        ingest(&world, 20);
        if (i % 4 == 0) {
            well_seal(world.well);
            assert_int_equal(well_flush(world.well), 0);
        }
    }
    struct well_scan scan = {.start_ns = INT64_MIN, .end_ns = TIME_MAX_NS, .descending = true};
    struct well_cursor *cursor;
    struct well_block block;
    assert_int_equal(well_cursor_open(&world.well, 1, &scan, &cursor), 0);
    size_t seen = 0;
    size_t before = world.log.count;
    while (well_cursor_next(cursor, &block) == 0) {
        seen += block.count;
        ingest(&world, 50);
        well_seal(world.well);
        assert_int_equal(well_flush(world.well), 0);
        (void)!well_merge(world.well);
    }
    assert_true(seen == before);
    well_cursor_close(&cursor);
    check_everything(&world);
    world_deinit(&world);
}

/* Large blocks come where they lie, in either direction, with their region. */
static void a_long_run_of_one_tag_is_read_in_order(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    assert_int_equal(open_well(&world), 0);
    world.position++;
    for (size_t i = 0; i < 30000; i++) {
        struct fact fact = {.position = world.position,
                            .number = i,
                            .time_ns = (int64_t)i / 3 - 5000,
                            .tag = 3,
                            .bytes = 20 + (uint32_t)(i % 50),
                            .enumerated = i % 7000 == 0};
        vec_push(&world.log, fact);
    }
    apply(&world, 0, world.log.count);
    check_everything(&world);
    well_seal(world.well);
    assert_int_equal(well_flush(world.well), 0);
    check_everything(&world);
    struct well_scan scan = {.start_ns = -3000, .end_ns = 4321};
    check_scan(&world, &scan);
    scan.descending = true;
    check_scan(&world, &scan);
    assert_true(well_stats(world.well).disk_bytes * 2 < well_stats(world.well).bytes);
    world_deinit(&world);
}

static int keep_name(void *context, const char *name)
{
    if (span_ends_with(span_of_str(name), SPAN_LIT(".seg"))) {
        buf_clear(context);
        buf_printf(context, "/wells/well/%s", name);
    }
    return 0;
}

/* One flipped bit anywhere in a segment is detected and reported, and costs at most the block it
 * is in; everything else is still read, and the file is never merged away. */
static void a_flipped_bit_costs_at_most_its_block(void **state)
{
    (void)state;
    uint64_t detected = 0;
    uint64_t flips = 0;
    for (uint64_t at = 0;; at += 29) {
        struct world world;
        world_init(&world, 1);
        assert_int_equal(open_well(&world), 0);
        for (int i = 0; i < 10; i++) {
            ingest(&world, 20);
        }
        well_seal(world.well);
        assert_int_equal(well_flush(world.well), 0);
        well_close(&world.well);
        struct buf path = {0};
        assert_int_equal(io_list(&world.sim.io, "/wells/well", keep_name, &path), 0);
        bool there = io_sim_flip(&world.sim, buf_str(&path), at, (uint8_t)(1 << at % 8));
        buf_deinit(&path);
        if (!there) {
            world_deinit(&world);
            break;
        }
        flips++;
        assert_int_equal(open_well(&world), 0);
        assert_true(well_flushed(world.well) == world.position + 1); /* nothing comes twice */
        struct well_scan scan = {.start_ns = INT64_MIN, .end_ns = TIME_MAX_NS};
        struct span word = SPAN_LIT("anything");
        struct well_cursor *cursor;
        struct well_block block;
        size_t seen = 0;
        bool *found = mem_alloc_array(world.log.count, sizeof(bool));
        assert_int_equal(well_cursor_open(&world.well, 1, &scan, &cursor), 0);
        while (well_cursor_next(cursor, &block) == 0) {
            seen += block.count;
            for (size_t i = 0; i < block.count; i++) {
                found[wire_load_u64(block.entries[i].data.data)] = true;
            }
        }
        well_cursor_close(&cursor);
        scan.words = &word; /* looks into the filters */
        scan.words_count = 1;
        assert_int_equal(well_cursor_open(&world.well, 1, &scan, &cursor), 0);
        while (well_cursor_next(cursor, &block) == 0) {}
        well_cursor_close(&cursor);
        uint16_t missing = 0; /* at most one block: all of one tag */
        for (size_t i = 0; i < world.log.count; i++) {
            missing = (uint16_t)(missing | (found[i] ? 0u : 1u << world.log.items[i].tag));
        }
        mem_free(found);
        assert_true(__builtin_popcount(missing) <= 1 && seen <= world.log.count);
        assert_true(world.reports > 0 && well_stats(world.well).corrupt_blocks > 0);
        detected++;
        world_deinit(&world);
    }
    assert_true(flips > 50 && detected == flips);
}

/* A full disk leaves the memtable where it is; flushing goes on when there is room. */
static void a_full_disk_fails_the_flush_until_there_is_room(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    assert_int_equal(open_well(&world), 0);
    for (int i = 0; i < 20; i++) {
        ingest(&world, 20);
    }
    well_seal(world.well);
    world.sim.space_bytes = 3000;
    assert_int_equal(well_flush(world.well), ERR_NO_SPACE);
    assert_true(well_sealed(world.well) > 0);
    assert_true(io_sim_used(&world.sim) == 0); /* what it took was given back */
    check_everything(&world);
    world.sim.space_bytes = 1 << 20;
    assert_int_equal(well_flush(world.well), 0);
    assert_true(well_sealed(world.well) == 0);
    check_everything(&world);
    world_deinit(&world);
}

/* The names of tags that the catalogue lost come back from the segments. */
static void segments_give_lost_tag_names_back(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    assert_int_equal(open_well(&world), 0);
    for (int i = 0; i < 10; i++) {
        ingest(&world, 20);
    }
    well_seal(world.well);
    assert_int_equal(well_flush(world.well), 0);
    well_close(&world.well);
    series_tags_close(&world.tags);
    assert_int_equal(io_remove(&world.calm.io, "/tags"), 0);
    assert_int_equal(series_tags_open(&world.calm.io, "/tags", &world.tags), 0);
    assert_true(series_tags_count(world.tags) == 2);
    assert_int_equal(open_well(&world), 0);
    uint16_t tag = 0;
    assert_true(series_tags_find(world.tags, SPAN_LIT("tag3"), &tag));
    assert_int_equal(tag, 3);
    assert_int_equal(series_tags_put(world.tags, SPAN_LIT("another"), &tag), 0);
    assert_int_equal(tag, TAGS + 1);
    world_deinit(&world);
}

static void *scan_forever(void *context)
{
    struct world *world = context;
    for (int i = 0; i < 40; i++) {
        struct well_scan scan = {
            .start_ns = INT64_MIN, .end_ns = TIME_MAX_NS, .descending = i % 2 == 0};
        struct well_cursor *cursor;
        struct well_block block;
        CHECK(well_cursor_open(&world->well, 1, &scan, &cursor) == 0);
        int64_t last = scan.descending ? INT64_MAX : INT64_MIN;
        while (well_cursor_next(cursor, &block) == 0) {
            for (size_t j = 0; j < block.count; j++) {
                int64_t time_ns = block.entries[j].time_ns;
                CHECK(scan.descending ? time_ns <= last : time_ns >= last);
                last = time_ns;
            }
        }
        well_cursor_close(&cursor);
    }
    return NULL;
}

static void *flush_and_merge(void *context)
{
    struct world *world = context;
    for (int i = 0; i < 60; i++) {
        CHECK(well_flush(world->well) == 0);
        CHECK(well_merge(world->well) >= 0);
    }
    return NULL;
}

/* Scans, flushes and merges run beside ingest (thread sanitizer looks on in its build). */
static void scans_run_beside_ingest_flush_and_merge(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    assert_int_equal(open_well(&world), 0);
    pthread_t threads[3];
    assert_int_equal(pthread_create(&threads[0], NULL, scan_forever, &world), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, scan_forever, &world), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, flush_and_merge, &world), 0);
    for (int i = 0; i < 300; i++) {
        ingest(&world, 30);
    }
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    check_everything(&world);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entry_survives_any_one_failed_call),
        cmocka_unit_test(every_entry_survives_a_crash_at_any_call),
        cmocka_unit_test(seeded_lives_keep_every_entry_once),
        cmocka_unit_test(merging_bounds_the_number_of_files),
        cmocka_unit_test(a_cursor_sees_its_snapshot),
        cmocka_unit_test(a_long_run_of_one_tag_is_read_in_order),
        cmocka_unit_test(a_flipped_bit_costs_at_most_its_block),
        cmocka_unit_test(a_full_disk_fails_the_flush_until_there_is_room),
        cmocka_unit_test(segments_give_lost_tag_names_back),
        cmocka_unit_test(scans_run_beside_ingest_flush_and_merge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
