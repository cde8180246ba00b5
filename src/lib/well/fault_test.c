/*
 * A disk that cannot read some bytes, a table of series that is damaged: the file that it happens
 * in waits for its repair, and all others are merged and packed as before. A disk with little room,
 * and a flush that has to be repeated.
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
#include "well/points.h"
#include "well/points_record.h"

#define LINES 200
#define POINTS 300
#define FILES 6
#define KEPT_BYTES 5000
#define FILE_NS 100000 /* each has times of its own */

/* The simulated disk, with a place that cannot be read. */
static struct {
    const struct io_methods *sim;
    struct io_methods methods;
    char path[64]; /* "": none */
    uint64_t offset;
    const char *refused; /* what is in no name that can be opened; NULL: nothing */
} bad;

static int bad_open(struct io *io, const char *path, int flags, struct io_file **ret_file)
{
    if (bad.refused != NULL && strstr(path, bad.refused) != NULL) {
        return err_set(ERR_IO, "open %s: Input/output error", path);
    }
    int rc = bad.sim->open(io, path, flags, ret_file);
    if (rc == 0) {
        (*ret_file)->methods = &bad.methods;
    }
    return rc;
}

static int bad_read_at(struct io_file *file, uint64_t offset, void *data, size_t bytes,
                       size_t *ret_bytes)
{
    if (strcmp(file->path, bad.path) == 0 && offset <= bad.offset && bad.offset < offset + bytes) {
        return err_set(ERR_IO, "read %s: Input/output error", file->path);
    }
    return bad.sim->read_at(file, offset, data, bytes, ret_bytes);
}

struct world {
    struct io_sim sim;
    struct well_names names;
    struct well *well;
    uint16_t tag;
    uint32_t series;
    uint64_t position;
    int64_t partition_ns;
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
        .names = world->names,
        .merge_files = 2,
        .partition_ns = world->partition_ns,
        .space_kept_bytes = KEPT_BYTES,
        .pack_at_once = true,
        .report = report,
        .report_context = world,
    };
    well_close(&world->well);
    assert_int_equal(well_open(&options, &world->well), 0);
}

static void setup(struct world *world)
{
    *world = (struct world){0};
    struct io *io = &world->sim.io;
    struct buf key = {0};
    io_sim_init(&world->sim, 1);
    bad.sim = io->methods;
    bad.methods = *io->methods;
    bad.methods.open = bad_open;
    bad.methods.read_at = bad_read_at;
    bad.path[0] = 0;
    bad.refused = NULL;
    io->methods = &bad.methods;
    assert_int_equal(series_tags_open(io, "/tags", &world->names.tags), 0);
    assert_int_equal(series_tags_put(world->names.tags, SPAN_LIT("a"), &world->tag), 0);
    assert_int_equal(series_origins_open(io, "/origins", &world->names.origins), 0);
    struct series_catalogue_options catalogue = {
        .io = io, .dir = "/series", .origins = world->names.origins};
    assert_int_equal(series_catalogue_open(&catalogue, &world->names.catalogue), 0);
    assert_int_equal(series_key_make(&key, SPAN_LIT("p"), NULL, 0), 0);
    assert_true(series_catalogue_put(world->names.catalogue, buf_span(&key), &world->series) >= 0);
    buf_deinit(&key);
    open_well(world);
}

static void teardown(struct world *world)
{
    well_close(&world->well);
    series_catalogue_close(&world->names.catalogue);
    series_origins_close(&world->names.origins);
    series_tags_close(&world->names.tags);
    io_sim_deinit(&world->sim);
    buf_deinit(&world->reports);
}

static struct span name_of(void *context, uint16_t tag)
{
    return series_tags_name(context, tag);
}

/* A file of its own of lines and points. */
static void flush_file(struct world *world)
{
    char text[LINES][32];
    struct entry entries[LINES];
    struct element elements[POINTS];
    struct buf run = {0};
    struct stamp stamp = {++world->position, 0};
    int64_t from_ns = (int64_t)world->position * FILE_NS;
    for (size_t i = 0; i < LINES; i++) {
        int bytes = snprintf(text[i], sizeof(text[i]), "line %zu", i * 2654435761u % 100003);
        entries[i] = (struct entry){.time_ns = from_ns + (int64_t)i,
                                    .tag = world->tag,
                                    .data = span_of(text[i], (size_t)bytes)};
    }
    entries_encode(&run, entries, LINES, name_of, world->names.tags);
    assert_int_equal(well_apply(world->well, &run, world->position, stamp), 0);
    for (size_t i = 0; i < POINTS; i++) {
        elements[i] = (struct element){.time_ns = from_ns + (int64_t)i,
                                       .type = ELEMENT_I64,
                                       .value.i64 = (int64_t)hash64(span_of(&i, sizeof(i)))};
    }
    points_record_begin(&run);
    points_record_put(&run, 0, world->series, elements, POINTS);
    assert_int_equal(well_apply_points(world->well, &run, world->position, stamp), 0);
    well_seal(world->well);
    assert_int_equal(well_flush(world->well), 0);
}

static void flush_files(struct world *world)
{
    for (int i = 0; i < FILES; i++) {
        flush_file(world);
    }
}

static size_t count_lines(struct world *world)
{
    struct well_scan scan = {.start_ns = TIME_UNSET, .end_ns = TIME_MAX_NS};
    struct well_cursor *cursor;
    struct well_block block;
    size_t count = 0;
    int rc;
    assert_int_equal(well_cursor_open(&world->well, 1, &scan, &cursor), 0);
    while ((rc = well_cursor_next(cursor, &block)) == 0) {
        count += block.count;
    }
    assert_int_equal(rc, WELL_END);
    assert_true(well_cursor_skipped(cursor) == 0);
    well_cursor_close(&cursor);
    return count;
}

static size_t count_points(struct world *world)
{
    struct well_fetch fetch = {
        .series = &world->series,
        .series_count = 1,
        .start_ns = INT64_MIN,
        .end_ns = INT64_MAX,
        .ascending = true,
        .count_max = UINT64_MAX,
    };
    struct well_points_cursor *cursor;
    struct well_points points;
    size_t count = 0;
    int rc;
    assert_int_equal(well_points_cursor_open(&world->well, 1, &fetch, &cursor), 0);
    while ((rc = well_points_cursor_next(cursor, &points)) == 0) {
        count += points.count;
    }
    assert_int_equal(rc, WELL_END);
    assert_true(well_points_cursor_skipped(cursor) == 0);
    well_points_cursor_close(&cursor);
    return count;
}

static void assert_found(struct world *world)
{
    assert_int_equal(count_lines(world), LINES * FILES);
    assert_int_equal(count_points(world), POINTS * FILES);
}

/* Merges until there is nothing left to do: all files but the third one are in the way of none. */
static void assert_others_merge(struct world *world)
{
    int faults = 0;
    int rc;
    while ((rc = well_merge(world->well)) != WELL_NOTHING) {
        assert_true(rc == 0 || rc == ERR_CORRUPT || rc == ERR_IO);
        faults += rc < 0 ? 1 : 0;
        assert_true(faults <= 1);
    }
    assert_int_equal(faults, 1);
    assert_int_equal(world->well->segments.count, 3);
    assert_int_equal(world->well->segments.items[1]->first, 3);
    assert_int_equal(world->well->segments.items[1]->last, 3);
    while ((rc = well_pack(world->well)) != WELL_NOTHING) {
        assert_int_equal(rc, 0);
    }
    assert_int_equal(world->well->segments.items[0]->packed_level, 19);
    assert_int_equal(world->well->segments.items[1]->packed_level, 0);
    assert_int_equal(world->well->segments.items[2]->packed_level, 19);
}

static void a_damaged_table_of_series_keeps_only_its_file_from_merging(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    flush_files(&world);
    const struct segment *third = world.well->segments.items[2];
    assert_true(io_sim_flip(&world.sim, third->file->path, third->table.offset + 3, 1));
    assert_others_merge(&world);
    assert_found(&world);
    assert_non_null(strstr(buf_str(&world.reports), third->file->path));
    assert_true(well_stats(world.well).corrupt_blocks == 1);
    teardown(&world);
}

static void make_bad(const struct segment *segment, uint64_t offset)
{
    snprintf(bad.path, sizeof(bad.path), "%s", segment->file->path);
    bad.offset = offset;
}

static void what_the_disk_cannot_read_keeps_only_its_file_from_merging(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct world world;
        setup(&world);
        flush_files(&world);
        const struct segment *third = world.well->segments.items[2];
        uint64_t places[] = {third->blocks[0].offset + 70, third->points[0].offset + 100,
                             third->table.offset};
        make_bad(third, places[i]);
        assert_others_merge(&world);
        bad.path[0] = 0; /* it can again: nothing is lost */
        assert_found(&world);
        teardown(&world);
    }
}

static uint64_t skipped_lines(struct world *world, size_t *ret_lines)
{
    struct well_scan scan = {
        .start_ns = TIME_UNSET, .end_ns = TIME_MAX_NS, .past_bad_places = true};
    struct well_cursor *cursor;
    struct well_block block;
    int rc;
    *ret_lines = 0;
    assert_int_equal(well_cursor_open(&world->well, 1, &scan, &cursor), 0);
    while ((rc = well_cursor_next(cursor, &block)) == 0) {
        *ret_lines += block.count;
    }
    assert_int_equal(rc, WELL_END);
    uint64_t skipped = well_cursor_skipped(cursor);
    well_cursor_close(&cursor);
    return skipped;
}

static uint64_t skipped_points(struct world *world, size_t *ret_points)
{
    struct well_fetch fetch = {.series = &world->series,
                               .series_count = 1,
                               .start_ns = INT64_MIN,
                               .end_ns = INT64_MAX,
                               .ascending = true,
                               .past_bad_places = true,
                               .count_max = UINT64_MAX};
    struct well_points_cursor *cursor;
    struct well_points points;
    int rc;
    *ret_points = 0;
    assert_int_equal(well_points_cursor_open(&world->well, 1, &fetch, &cursor), 0);
    while ((rc = well_points_cursor_next(cursor, &points)) == 0) {
        *ret_points += points.count;
    }
    assert_int_equal(rc, WELL_END);
    uint64_t skipped = well_points_cursor_skipped(cursor);
    well_points_cursor_close(&cursor);
    return skipped;
}

/* As without one that is damaged; the file and the times are said, once. */
static void a_search_goes_on_without_a_block_that_the_disk_cannot_read(void **state)
{
    (void)state;
    struct world world;
    size_t count;
    setup(&world);
    flush_files(&world);
    const struct segment *third = world.well->segments.items[2];
    make_bad(third, third->blocks[0].offset + 70);
    assert_true(skipped_lines(&world, &count) == 1);
    assert_true(count > 0 && count < LINES * FILES);
    assert_non_null(strstr(buf_str(&world.reports), third->file->path));
    assert_non_null(strstr(buf_str(&world.reports), "entries, from 1970-01-01T"));
    make_bad(third, third->points[0].offset + 100);
    assert_true(skipped_points(&world, &count) >= 1);
    assert_true(count > 0 && count < POINTS * FILES);
    assert_true(well_stats(world.well).corrupt_blocks == 2);
    bad.path[0] = 0; /* it can again: nothing is lost */
    assert_found(&world);
    teardown(&world);
}

/* Neither begins what would take the room that ingest needs; with more room both do their work. */
static void merging_and_packing_wait_for_room(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    flush_files(&world);
    uint64_t used = io_sim_used(&world.sim);
    world.sim.space_bytes = used + KEPT_BYTES + 100;
    assert_int_equal(well_merge(world.well), WELL_NOTHING);
    assert_int_equal(well_pack(world.well), WELL_NOTHING);
    assert_true(io_sim_used(&world.sim) == used);
    assert_int_equal(world.well->segments.count, FILES);
    world.sim.space_bytes = 8 * (used + KEPT_BYTES);
    assert_int_equal(well_merge(world.well), 0);
    while (well_merge(world.well) == 0) {}
    assert_int_equal(well_pack(world.well), 0);
    assert_found(&world);
    teardown(&world);
}

#define PARTITIONS 66 /* more than a flush makes files */

static void flush_scattered(struct world *world)
{
    struct entry entries[PARTITIONS];
    struct buf run = {0};
    struct stamp stamp = {++world->position, 0};
    for (size_t i = 0; i < PARTITIONS; i++) {
        entries[i] = (struct entry){
            .time_ns = (int64_t)i * FILE_NS, .tag = world->tag, .data = SPAN_LIT("line")};
    }
    entries_encode(&run, entries, PARTITIONS, name_of, world->names.tags);
    assert_int_equal(well_apply(world->well, &run, world->position, stamp), 0);
    well_seal(world->well);
}

static void delete_before(struct world *world, int64_t end_ns)
{
    struct series_delete deletion = {
        .start_ns = INT64_MIN, .end_ns = end_ns - 1, .selector = SPAN_LIT("a{}")};
    struct tombstones *none = tombstones_new(&world->names, 0);
    struct tombstone *tombstone = NULL;
    struct stamp stamp = {1000, 0};
    assert_int_equal(tombstone_new(&deletion, ++world->position, stamp, 0, &tombstone), 0);
    struct tombstones *with = tombstones_with(none, &tombstone, world->position + 1);
    well_set_tombstones(world->well, with);
    tombstones_unref(&with);
    tombstones_unref(&none);
}

/* The files of the first try have their names, but it does not count; then some of what it had is
 * deleted, so that fewer partitions have anything. */
static void a_flush_that_is_repeated_after_a_delete_keeps_all_once(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    world.partition_ns = FILE_NS;
    open_well(&world);
    flush_scattered(&world);
    bad.refused = "/flushed-";
    assert_int_equal(well_flush(world.well), ERR_IO);
    bad.refused = NULL;
    delete_before(&world, 2 * FILE_NS);
    assert_int_equal(well_flush(world.well), 0);
    assert_int_equal(count_lines(&world), PARTITIONS - 2);
    open_well(&world);
    assert_int_equal(count_lines(&world), PARTITIONS - 2);
    teardown(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_table_of_series_keeps_only_its_file_from_merging),
        cmocka_unit_test(merging_and_packing_wait_for_room),
        cmocka_unit_test(a_flush_that_is_repeated_after_a_delete_keeps_all_once),
        cmocka_unit_test(what_the_disk_cannot_read_keeps_only_its_file_from_merging),
        cmocka_unit_test(a_search_goes_on_without_a_block_that_the_disk_cannot_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
