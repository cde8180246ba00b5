/*
 * Points of a well: what a fetch gives, from memtables, segments and both, in either direction;
 * last writes, deletes, merges, and that files are written anew for what was deleted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/sim.h"
#include "well/points.h"
#include "well/points_block.h"
#include "well/points_record.h"
#include "well/tombstones.h"

#define SERIES 3 /* classes c1, c2, c3 have these numbers */

struct world {
    struct io_sim sim;
    struct well_names names;
    struct well *well;
    struct tombstones *tombstones;
    uint64_t position;
    uint32_t merge_files;
};

static void open_well(struct world *world, uint64_t memory_bytes_max)
{
    struct well_options options = {
        .io = &world->sim.io,
        .name = "w",
        .dir = "/w",
        .names = world->names,
        .merge_files = world->merge_files,
        .partition_ns = 1000000,
        .memory_bytes_max = memory_bytes_max,
    };
    assert_int_equal(well_open(&options, &world->well), 0);
    well_set_tombstones(world->well, world->tombstones);
}

static void reopen(struct world *world)
{
    well_close(&world->well);
    open_well(world, 0);
}

static void setup(struct world *world, uint64_t memory_bytes_max)
{
    *world = (struct world){.merge_files = 3};
    io_sim_init(&world->sim, 1);
    world->sim.now_ns = 1000000000;
    struct io *io = &world->sim.io;
    assert_int_equal(series_tags_open(io, "/tags", &world->names.tags), 0);
    assert_int_equal(series_origins_open(io, "/origins", &world->names.origins), 0);
    struct series_catalogue_options options = {
        .io = io, .dir = "/series", .origins = world->names.origins};
    assert_int_equal(series_catalogue_open(&options, &world->names.catalogue), 0);
    for (uint32_t i = 1; i <= SERIES; i++) {
        char class[4] = {'c', (char)('0' + i)};
        struct buf key = {0};
        uint32_t number;
        assert_int_equal(series_key_make(&key, span_of_str(class), NULL, 0), 0);
        assert_true(series_catalogue_put(world->names.catalogue, buf_span(&key), &number) >= 0);
        assert_int_equal(number, i);
        buf_deinit(&key);
    }
    world->tombstones = tombstones_new(&world->names, 0);
    open_well(world, memory_bytes_max);
}

static void teardown(struct world *world)
{
    well_close(&world->well);
    tombstones_unref(&world->tombstones);
    series_catalogue_close(&world->names.catalogue);
    series_origins_close(&world->names.origins);
    series_tags_close(&world->names.tags);
    io_sim_deinit(&world->sim);
}

static void write_elements(struct world *world, uint32_t series, const struct element *elements,
                           size_t count, uint64_t stamp_time)
{
    struct buf record = {0};
    points_record_begin(&record);
    points_record_put(&record, 0, series, elements, count);
    assert_int_equal(
        well_apply_points(world->well, &record, ++world->position, (struct stamp){stamp_time, 1}),
        0);
}

/* Numbers value, value + 1, ... at from, from + step, ... */
static void write_numbers(struct world *world, uint32_t series, int64_t from_ns, int64_t step_ns,
                          size_t count, int64_t value, uint64_t stamp_time)
{
    struct element *elements = mem_alloc_array(count, sizeof(*elements));
    for (size_t i = 0; i < count; i++) {
        elements[i] = (struct element){.time_ns = from_ns + (int64_t)i * step_ns,
                                       .type = ELEMENT_I64,
                                       .value.i64 = value + (int64_t)i};
    }
    write_elements(world, series, elements, count, stamp_time);
    mem_free(elements);
}

static void flush(struct world *world)
{
    well_seal(world->well);
    assert_int_equal(well_flush(world->well), 0);
}

static void delete (struct world *world, const char *selector, int64_t start_ns, int64_t end_ns,
                    uint64_t stamp_time)
{
    struct series_delete deletion = {
        .start_ns = start_ns, .end_ns = end_ns, .selector = span_of_str(selector)};
    struct tombstone *tombstone = NULL;
    uint64_t position = ++world->position;
    assert_int_equal(tombstone_new(&deletion, position, (struct stamp){stamp_time, 1},
                                   world->sim.now_ns, &tombstone),
                     0);
    struct tombstones *with = tombstones_with(world->tombstones, &tombstone, position + 1);
    tombstones_unref(&world->tombstones);
    world->tombstones = with;
    well_set_tombstones(world->well, with);
}

/* "series: time=value time=value; series: ..." */
static void fetch_text(struct world *world, const struct well_fetch *fetch, struct buf *text)
{
    struct well_points_cursor *cursor;
    struct well_points points;
    uint32_t series = 0;
    int rc;
    buf_clear(text);
    assert_int_equal(well_points_cursor_open(&world->well, 1, fetch, &cursor), 0);
    while ((rc = well_points_cursor_next(cursor, &points)) == 0) {
        if (points.series != series) {
            assert_true(points.series > series);
            series = points.series;
            buf_printf(text, "%s%u:", text->bytes > 0 ? "; " : "", series);
        }
        for (size_t i = 0; i < points.count; i++) {
            struct element element = well_points_at(&points, i);
            buf_printf(text, " %lld=", (long long)element.time_ns);
            if (element.type >= ELEMENT_TEXT) {
                buf_append(text, element.value.bytes);
            } else {
                buf_printf(text, "%lld", (long long)element.value.i64);
            }
        }
    }
    assert_int_equal(rc, WELL_END);
    assert_true(well_points_cursor_skipped(cursor) == 0);
    well_points_cursor_close(&cursor);
}

static struct well_fetch everything(void)
{
    static const uint32_t all[] = {3, 1, 2, 1, 9};
    return (struct well_fetch){
        .series = all,
        .series_count = ARRAY_COUNT(all),
        .start_ns = INT64_MIN,
        .end_ns = INT64_MAX,
        .ascending = true,
        .count_max = UINT64_MAX,
    };
}

static void check_fetch(struct world *world, const struct well_fetch *fetch, const char *expected)
{
    struct buf text = {0};
    fetch_text(world, fetch, &text);
    assert_string_equal(buf_str(&text), expected);
    buf_deinit(&text);
}

static void check_all(struct world *world, const char *expected)
{
    struct well_fetch fetch = everything();
    check_fetch(world, &fetch, expected);
}

static void ranges_counts_and_neighbours_are_as_asked_for(void **state)
{
    (void)state;
    struct world world;
    setup(&world, 0);
    for (int round = 0; round < 3; round++) { /* memtable, segment, and both with overlaps */
        if (round == 0) {
            write_numbers(&world, 2, 0, 10, 10, 100, 1);
            write_numbers(&world, 1, 5, 10, 2, 7, 1);
        } else if (round == 1) {
            flush(&world);
        } else {
            write_numbers(&world, 2, 0, 30, 4, 999, 0); /* older: nothing changes */
        }
        struct well_fetch fetch = everything();
        check_fetch(&world, &fetch,
                    "1: 5=7 15=8; 2: 0=100 10=101 20=102 30=103 40=104 50=105 60=106 70=107 "
                    "80=108 90=109");
        fetch.ascending = false;
        fetch.count_max = 3;
        check_fetch(&world, &fetch, "1: 15=8 5=7; 2: 90=109 80=108 70=107");
        fetch.start_ns = 20;
        fetch.end_ns = 60;
        check_fetch(&world, &fetch, "2: 60=106 50=105 40=104");
        fetch.before = 2;
        fetch.after = 2;
        check_fetch(&world, &fetch,
                    "1: 15=8 5=7; 2: 80=108 70=107 60=106 50=105 40=104 10=101 "
                    "0=100");
        fetch.ascending = true;
        check_fetch(&world, &fetch,
                    "1: 5=7 15=8; 2: 0=100 10=101 20=102 30=103 40=104 70=107 "
                    "80=108");
        fetch.count_max = 0;
        check_fetch(&world, &fetch, "1: 5=7 15=8; 2: 0=100 10=101 70=107 80=108");
        fetch.start_ns = 61;
        fetch.end_ns = 60;
        fetch.before = fetch.after = 0;
        check_fetch(&world, &fetch, "");
    }
    teardown(&world);
}

/* A series may have values of several types, texts and places; whatever stands beside what. */
static void values_of_all_kinds_come_back(void **state)
{
    (void)state;
    struct world world;
    setup(&world, 0);
    struct element elements[] = {
        {.time_ns = 30, .type = ELEMENT_TEXT, .value.bytes = SPAN_LIT("thirty")},
        {.time_ns = 10, .type = ELEMENT_I64, .value.i64 = 10},
        {.time_ns = 20, .type = ELEMENT_BYTES, .value.bytes = SPAN_LIT("bytes")},
        {.time_ns = 40, .type = ELEMENT_I64, .value.i64 = 4, .has = ELEMENT_HAS_ELEVATION},
        {.time_ns = 10, .type = ELEMENT_I64, .value.i64 = 11}, /* the later one of the record */
    };
    write_elements(&world, 1, elements, ARRAY_COUNT(elements), 5);
    check_all(&world, "1: 10=11 20=bytes 30=thirty 40=4");
    flush(&world);
    check_all(&world, "1: 10=11 20=bytes 30=thirty 40=4");
    elements[0].value.bytes = SPAN_LIT("over");
    write_elements(&world, 1, elements, 1, 6);
    elements[2].value.bytes = SPAN_LIT("older");
    write_elements(&world, 1, elements + 2, 1, 4);
    check_all(&world, "1: 10=11 20=bytes 30=over 40=4");
    flush(&world);
    struct well_fetch fetch = everything();
    fetch.ascending = false;
    check_fetch(&world, &fetch, "1: 40=4 30=over 20=bytes 10=11");
    teardown(&world);
}

/* The greater stamp stands, whichever of memtable and segments has it, before and after merges. */
static void the_last_write_stands_in_every_order(void **state)
{
    (void)state;
    static const uint64_t orders[][3] = {{1, 2, 3}, {1, 3, 2}, {2, 1, 3},
                                         {2, 3, 1}, {3, 1, 2}, {3, 2, 1}};
    for (size_t order = 0; order < ARRAY_COUNT(orders); order++) {
        for (unsigned flushes = 0; flushes < 8; flushes++) {
            struct world world;
            setup(&world, 0);
            for (size_t i = 0; i < 3; i++) {
                uint64_t stamp = orders[order][i];
                write_numbers(&world, 1, 10, 1, 1, (int64_t)stamp, stamp);
                write_numbers(&world, 1, 20 + (int64_t)i, 1, 1, 5, stamp);
                if ((flushes >> i & 1) != 0) {
                    flush(&world);
                }
            }
            check_all(&world, "1: 10=3 20=5 21=5 22=5");
            flush(&world);
            assert_true(well_merge(world.well) >= 0);
            check_all(&world, "1: 10=3 20=5 21=5 22=5");
            reopen(&world);
            check_all(&world, "1: 10=3 20=5 21=5 22=5");
            teardown(&world);
        }
    }
}

/* Reads many blocks: a scan over large series, with another one written between. */
static void long_series_are_read_whole(void **state)
{
    (void)state;
    struct world world;
    setup(&world, 0);
    uint64_t sum = 0;
    for (int64_t part = 0; part < 5; part++) {
        write_numbers(&world, 1, part * 20000, 1, 20000, part * 20000, 1);
        write_numbers(&world, 2, 50000 - part * 10000, 2, 5000, 1, 1);
        if (part != 2) {
            flush(&world);
        }
    }
    for (int ascending = 0; ascending < 2; ascending++) {
        struct well_fetch fetch = everything();
        struct well_points_cursor *cursor;
        struct well_points points;
        size_t counts[SERIES + 1] = {0};
        fetch.ascending = ascending != 0;
        assert_int_equal(well_points_cursor_open(&world.well, 1, &fetch, &cursor), 0);
        while (well_points_cursor_next(cursor, &points) == 0) {
            assert_true(points.type == ELEMENT_I64); /* columns all the way */
            for (size_t i = 0; i < points.count; i++) {
                size_t n = counts[points.series]++;
                sum += points.values[i];
                if (points.series == 1) {
                    int64_t expected = (int64_t)(ascending != 0 ? n : 99999 - n);
                    assert_true(points.times[i] == expected &&
                                (int64_t)points.values[i] == expected);
                }
            }
        }
        assert_true(counts[1] == 100000 && counts[2] == 25000);
        well_points_cursor_close(&cursor);
    }
    assert_true(sum > 0);
    teardown(&world);
}

/* A delete covers what is older than it, also what comes later; not what is newer, nor others. */
static void deletes_cover_what_is_older(void **state)
{
    (void)state;
    for (int flushed = 0; flushed < 3; flushed++) {
        struct world world;
        setup(&world, 0);
        write_numbers(&world, 1, 10, 10, 4, 1, 5);
        write_numbers(&world, 2, 10, 10, 2, 1, 5);
        if (flushed > 0) {
            flush(&world);
        }
        write_numbers(&world, 1, 30, 10, 1, 77, 9);
        if (flushed > 1) {
            flush(&world);
        }
        delete (&world, "c1{}", 20, 30, 7);
        check_all(&world, "1: 10=1 30=77 40=4; 2: 10=1 20=2");
        write_numbers(&world, 1, 20, 5, 3, 50, 6); /* comes later, but is older */
        write_numbers(&world, 1, 21, 1, 1, 60, 8);
        check_all(&world, "1: 10=1 21=60 30=77 40=4; 2: 10=1 20=2");
        flush(&world);
        flush(&world);
        check_all(&world, "1: 10=1 21=60 30=77 40=4; 2: 10=1 20=2");
        assert_true(well_merge(world.well) >= 0);
        check_all(&world, "1: 10=1 21=60 30=77 40=4; 2: 10=1 20=2");
        teardown(&world);
    }
}

static bool is_undone(struct world *world)
{
    bool is_done[8];
    memset(is_done, true, sizeof(is_done));
    well_find_undone(world->well, world->tombstones, is_done);
    return !is_done[0];
}

/* What is deleted leaves the disk: at once when it is much, after a day when it is little; a
 * delete that covers nothing costs nothing. Then its tombstone may go, and nothing comes back. */
static void files_are_written_anew_for_what_was_deleted(void **state)
{
    (void)state;
    for (int little = 0; little < 2; little++) {
        struct world world;
        setup(&world, 0);
        write_numbers(&world, 1, 0, 7, 5000, 1, 5);
        write_numbers(&world, 2, 0, 7, 5000, 1, 5);
        write_numbers(&world, 3, 0, 1, 4000, 1, 5);
        flush(&world);
        uint64_t before = well_stats(world.well).points;
        delete (&world, "c9{}", INT64_MIN, INT64_MAX, 7); /* there is no such series */
        assert_true(is_undone(&world));
        assert_int_equal(well_merge(world.well), WELL_NOTHING);
        assert_false(is_undone(&world)); /* it was seen that the file has nothing of it */
        delete (&world, little != 0 ? "c2{}" : "~c[12]{}", 0, little != 0 ? 65 : INT64_MAX, 7);
        if (little != 0) {
            assert_int_equal(well_merge(world.well), WELL_NOTHING);
            world.sim.now_ns += WELL_PURGE_NS + 1;
        }
        assert_int_equal(well_merge(world.well), 0);
        assert_int_equal(well_merge(world.well), WELL_NOTHING);
        uint64_t after = well_stats(world.well).points;
        assert_true(after == before - (little != 0 ? 10 : 10000));
        assert_true(well_stats(world.well).purged_bytes > 0);
        bool is_done[2] = {true, true};
        well_find_undone(world.well, world.tombstones, is_done);
        assert_true(is_done[0] && is_done[1]);
        tombstones_unref(&world.tombstones);
        world.tombstones = tombstones_new(&world.names, 0);
        reopen(&world);
        assert_true(well_stats(world.well).points == after);
        teardown(&world);
    }
}

/* A file of which everything is deleted goes. */
static uint32_t make_series(struct world *world, const char *value)
{
    struct series_label label = {SPAN_LIT("l"), span_of_str(value)};
    struct buf key = {0};
    uint32_t number;
    assert_int_equal(series_key_make(&key, SPAN_LIT("e"), &label, 1), 0);
    assert_true(series_catalogue_put(world->names.catalogue, buf_span(&key), &number) >= 0);
    buf_deinit(&key);
    return number;
}

/* The regex gives up on one of the values: what it means of the others goes nevertheless before the
 * delete is done. */
static void a_delete_that_the_catalogue_cannot_answer_is_not_forgotten(void **state)
{
    (void)state;
    struct world world;
    bool is_done = true;
    setup(&world, 0);
    uint32_t meant = make_series(&world, "aaaa");
    uint32_t hard =
        make_series(&world, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!");
    write_numbers(&world, meant, 0, 10, 5, 1, 5);
    write_numbers(&world, hard, 0, 10, 100, 1, 5);
    flush(&world);
    delete (&world, "e{l~(a+)+b?(a|aa)+}", INT64_MIN, INT64_MAX, 7);
    assert_int_equal(well_merge(world.well), 0);
    well_find_undone(world.well, world.tombstones, &is_done);
    assert_true(is_done);
    assert_true(well_stats(world.well).points == 100);
    teardown(&world);
}

static void a_file_with_nothing_left_goes(void **state)
{
    (void)state;
    struct world world;
    setup(&world, 0);
    write_numbers(&world, 1, 0, 1, 100, 1, 5);
    flush(&world);
    delete (&world, "~c.{}", INT64_MIN, INT64_MAX, 7);
    assert_int_equal(well_merge(world.well), 0);
    assert_true(well_stats(world.well).segments == 0);
    assert_true(well_stats(world.well).dropped_points == 0); /* that was no retention */
    reopen(&world);
    check_all(&world, "");
    teardown(&world);
}

static void a_memory_well_has_points_too(void **state)
{
    (void)state;
    struct world world;
    setup(&world, 200000);
    for (int64_t i = 0; i < 2000; i++) {
        write_numbers(&world, 1, i * 100, 1, 50, i, 5);
        assert_true(well_stats(world.well).memtable_bytes <= 200000);
    }
    assert_true(well_stats(world.well).dropped_points > 0);
    struct well_fetch fetch = everything();
    fetch.ascending = false;
    fetch.count_max = 2;
    check_fetch(&world, &fetch, "1: 199949=2048 199948=2047");
    teardown(&world);
}

/* What merging writes is bounded (docs/formats/segment.md): for the files of flushes that bring
 * the least favourable sizes, a large one and small ones in turn, as for equal ones. */
static void merging_writes_a_bounded_number_of_times(void **state)
{
    (void)state;
    static const size_t sizes[][8] = {{3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000},
                                      {60000, 10, 10, 10, 10, 10, 10, 10},
                                      {10, 10, 10, 10, 10, 10, 10, 10},
                                      {20000, 10, 10000, 10, 10, 5000, 10, 100}};
    for (size_t kind = 0; kind < ARRAY_COUNT(sizes); kind++) {
        struct world world;
        setup(&world, 0);
        world.merge_files = 0; /* as usual */
        reopen(&world);
        uint64_t random = 1;
        size_t files = 0;
        for (; files < 120; files++) {
            size_t count = sizes[kind][files % 8];
            struct element *elements = mem_alloc_array(count, sizeof(*elements));
            for (size_t i = 0; i < count; i++) {
                random = random * UINT64_C(6364136223846793005) + 1;
                elements[i] = (struct element){.time_ns = (int64_t)(random >> 45),
                                               .type = ELEMENT_I64,
                                               .value.i64 = (int64_t)random};
            }
            write_elements(&world, 1, elements, count, files);
            mem_free(elements);
            flush(&world);
            int rc;
            while ((rc = well_merge(world.well)) == 0) {}
            assert_int_equal(rc, WELL_NOTHING);
        }
        struct well_stats stats = well_stats(world.well);
        assert_true(stats.merged_bytes > 0);
        assert_true(stats.merged_bytes <= 8 * stats.flushed_bytes + files * 64 * 1024 * 8 / 7);
        assert_true(stats.merged_bytes <= 4 * stats.flushed_bytes); /* and mostly it is far less */
        assert_true(stats.segments < 50);
        teardown(&world);
    }
}

/* A flipped bit costs the block that it is in, and is reported. */
static void a_flipped_bit_costs_its_block(void **state)
{
    (void)state;
    struct world world;
    setup(&world, 0);
    write_numbers(&world, 1, 0, 1, 60000, 1, 5); /* several blocks */
    flush(&world);
    const char *path = "/w/000000000001-000000000001+00000.seg";
    uint64_t lost_sometimes = 0;
    for (uint64_t at = 64; io_sim_flip(&world.sim, path, at, 0x04); at += 131) {
        reopen(&world);
        struct well_fetch fetch = everything();
        struct well_points_cursor *cursor;
        struct well_points points;
        uint64_t count = 0;
        assert_int_equal(well_points_cursor_open(&world.well, 1, &fetch, &cursor), 0);
        while (well_points_cursor_next(cursor, &points) == 0) {
            for (size_t i = 0; i < points.count; i++) {
                assert_true((int64_t)points.values[i] == points.times[i] + 1);
            }
            count += points.count;
        }
        uint64_t skipped = well_points_cursor_skipped(cursor);
        assert_true(skipped <= 1 && count + POINTS_BLOCK_ELEMENTS_MAX >= 60000);
        assert_true(count == 60000 || skipped == 1 || well_stats(world.well).corrupt_blocks > 0);
        lost_sometimes += count < 60000 ? 1 : 0;
        well_points_cursor_close(&cursor);
        assert_true(io_sim_flip(&world.sim, path, at, 0x04));
    }
    assert_true(lost_sometimes > 0);
    teardown(&world);
}

/* What comes from elsewhere brings its stamps: the last write stands, also of a run of several
 * series, in memory and in files; and what was in no log is gone unless it was flushed. */
static void elements_may_bring_their_stamps(void **state)
{
    (void)state;
    struct world world;
    setup(&world, 0);
    write_numbers(&world, 1, 10, 10, 3, 100, 50);
    struct element elements[] = {
        {.time_ns = 10, .type = ELEMENT_I64, .value.i64 = 1},
        {.time_ns = 20, .type = ELEMENT_I64, .value.i64 = 2},
        {.time_ns = 40, .type = ELEMENT_I64, .value.i64 = 3},
    };
    static const struct stamp stamps[] = {{40, 1}, {60, 1}, {7, 1}, {8, 1}, {9, 1}, {10, 1}};
    struct buf record = {0};
    points_record_begin(&record);
    points_record_put(&record, 0, 1, elements, 3);
    points_record_put(&record, 0, 2, elements, 3);
    assert_int_equal(well_apply_points_stamped(world.well, &record, stamps), 0);
    write_numbers(&world, 2, 20, 10, 2, 200, 9);
    for (int round = 0; round < 2; round++) {
        check_all(&world, "1: 10=100 20=2 30=102 40=3; 2: 10=1 20=200 30=201 40=3");
        struct well_fetch fetch = everything();
        struct well_points_cursor *cursor;
        struct well_points points;
        fetch.stamps = true;
        assert_int_equal(well_points_cursor_open(&world.well, 1, &fetch, &cursor), 0);
        assert_int_equal(well_points_cursor_next(cursor, &points), 0);
        assert_true(points.type == 0 && points.elements[1].stamp.time == 60);
        assert_true(points.elements[3].stamp.time == 7);
        well_points_cursor_close(&cursor);
        flush(&world);
    }
    assert_true(well_flushed(world.well) == world.position + 1);
    points_record_begin(&record);
    points_record_put(&record, 0, 3, elements, 1);
    assert_int_equal(well_apply_points_stamped(world.well, &record, stamps), 0);
    assert_true(well_needs_from(world.well, world.position + 1) <= world.position + 1);
    reopen(&world);
    check_all(&world, "1: 10=100 20=2 30=102 40=3; 2: 10=1 20=200 30=201 40=3");
    teardown(&world);
}

/* Hot-Duration and Max-Hot-Storage-GB: points go by partitions, the oldest first and whatever
 * files they are in; that of now stays, and what went stays away. */
static void retention_drops_points_on_the_disk(void **state)
{
    (void)state;
    struct world world;
    struct well_dropped dropped;
    setup(&world, 0);
    int64_t part = 1000000; /* now is the beginning of partition 1000 */
    write_numbers(&world, 1, 900 * part, 1, 3, 10, 1);
    write_numbers(&world, 2, 950 * part, 1, 2, 20, 2);
    flush(&world);
    write_numbers(&world, 1, 900 * part + 2, 1, 2, 50, 3); /* one of them once more */
    write_numbers(&world, 3, 1000 * part, 1, 2, 30, 4);
    flush(&world);
    struct well_retention retention = {.hot_ns = 60 * part};
    assert_int_equal(well_retain(world.well, &retention, &dropped), 0);
    assert_true(dropped.points == 5 && dropped.entries == 0 && dropped.segments == 2);
    assert_true(dropped.oldest_ns == 900 * part && dropped.newest_ns == 900 * part + 3);
    assert_string_equal(dropped.rule, "Hot-Duration");
    assert_int_equal(well_retain(world.well, &retention, &dropped), WELL_NOTHING);
    check_all(&world, "2: 950000000=20 950000001=21; 3: 1000000000=30 1000000001=31");
    retention = (struct well_retention){.bytes_max = 1, .required_ns = 100 * part};
    assert_int_equal(well_retain(world.well, &retention, &dropped), WELL_KEPT);
    retention.required_ns = 0;
    assert_int_equal(well_retain(world.well, &retention, &dropped), 0);
    assert_true(dropped.points == 2 && well_stats(world.well).dropped_points == 7);
    assert_string_equal(dropped.rule, "Max-Hot-Storage-GB");
    assert_int_equal(well_retain(world.well, &retention, &dropped), WELL_NOTHING);
    check_all(&world, "3: 1000000000=30 1000000001=31");
    reopen(&world);
    check_all(&world, "3: 1000000000=30 1000000001=31");
    assert_true(well_stats(world.well).points == 2);
    teardown(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_may_bring_their_stamps),
        cmocka_unit_test(ranges_counts_and_neighbours_are_as_asked_for),
        cmocka_unit_test(values_of_all_kinds_come_back),
        cmocka_unit_test(the_last_write_stands_in_every_order),
        cmocka_unit_test(long_series_are_read_whole),
        cmocka_unit_test(deletes_cover_what_is_older),
        cmocka_unit_test(files_are_written_anew_for_what_was_deleted),
        cmocka_unit_test(a_file_with_nothing_left_goes),
        cmocka_unit_test(a_delete_that_the_catalogue_cannot_answer_is_not_forgotten),
        cmocka_unit_test(retention_drops_points_on_the_disk),
        cmocka_unit_test(a_memory_well_has_points_too),
        cmocka_unit_test(merging_writes_a_bounded_number_of_times),
        cmocka_unit_test(a_flipped_bit_costs_its_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
