/*
 * Looking at a well's files: what is whole is called so, and any flipped bit is told by the
 * file's name; nothing is changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/sim.h"
#include "well/inspect.h"
#include "well/segment.h"

#define PATH "/w/000000000001-000000000003+00000.seg"
#define OLD_PATH "/w/000000000002-000000000002+00000.seg"
#define UNFINISHED_PATH "/w/000000000004-000000000004+00000.seg"
#define ENTRIES (BLOCK_ENTRIES_MAX + 500)
#define POINTS 300

static void write_file(struct io_sim *sim, struct series_tags *tags, const char *path)
{
    struct segment_about about = {.first = 1, .last = 3, .log_end = 99};
    struct well_names names = {.tags = tags};
    struct segment_writer *writer;
    assert_int_equal(segment_writer_open(&sim->io, path, about, &names, 1, &writer), 0);
    for (int i = 0; i < ENTRIES; i++) {
        char text[32];
        int bytes = snprintf(text, sizeof(text), "line%d", i / 100);
        struct entry entry = {.time_ns = i, .data = span_of(text, (size_t)bytes)};
        assert_int_equal(segment_writer_add(writer, &entry), 0);
    }
    for (uint32_t i = 0; i < POINTS; i++) {
        struct element element = {.time_ns = i % 100,
                                  .type = ELEMENT_I64,
                                  .value.i64 = i * (int64_t)i,
                                  .stamp = {i + 1, 0}};
        assert_int_equal(segment_writer_add_point(writer, 1 + i / 100, &element), 0);
    }
    assert_int_equal(segment_writer_finish(&writer), 0);
}

static void setup(struct io_sim *sim)
{
    struct series_tags *tags;
    struct io_file *mark;
    io_sim_init(sim, 1);
    assert_int_equal(io_make_dirs(&sim->io, "/w"), 0);
    assert_int_equal(series_tags_open(&sim->io, "/tags", &tags), 0);
    write_file(sim, tags, PATH);
    write_file(sim, tags, OLD_PATH);
    write_file(sim, tags, UNFINISHED_PATH);
    series_tags_close(&tags);
    assert_int_equal(io_open(&sim->io, "/w/flushed-000000000003-00000000000000000099",
                             IO_WRITE | IO_CREATE, &mark),
                     0);
    io_close(&mark);
}

struct seen {
    uint64_t files;
    uint64_t voids;
    uint64_t damaged;
    uint64_t faults;
    uint64_t entries;
    uint64_t points;
};

static int see_damage(void *context, const char *name, const char *text)
{
    struct seen *seen = context;
    assert_string_equal(name, strrchr(PATH, '/') + 1);
    assert_non_null(strstr(text, PATH));
    seen->faults++;
    return 0;
}

static int see_file(void *context, const struct well_seen_file *file)
{
    struct seen *seen = context;
    seen->files++;
    seen->voids += file->is_void;
    seen->damaged += file->faults > 0;
    seen->entries += file->is_void ? 0 : file->entries;
    seen->points += file->is_void ? 0 : file->points;
    return 0;
}

static struct seen inspect(struct io_sim *sim, bool verifies)
{
    struct seen seen = {0};
    struct well_visitor visitor = {see_damage, see_file, &seen, verifies};
    assert_int_equal(well_inspect(&sim->io, "/w", &visitor), 0);
    return seen;
}

static void what_is_whole_is_called_so(void **state)
{
    (void)state;
    struct io_sim sim;
    setup(&sim);
    for (int verifies = 0; verifies < 2; verifies++) {
        struct seen seen = inspect(&sim, verifies);
        assert_true(seen.files == 3 && seen.voids == 2 && seen.faults == 0 && seen.damaged == 0);
        assert_true(seen.entries == ENTRIES && seen.points == POINTS);
    }
    struct well_visitor visitor = {0};
    assert_int_equal(well_inspect(&sim.io, "/none", &visitor), ERR_NOT_FOUND);
    io_sim_deinit(&sim);
}

static void any_flipped_bit_is_told(void **state)
{
    (void)state;
    struct io_sim sim;
    setup(&sim);
    uint64_t at = 0;
    for (; io_sim_flip(&sim, PATH, at, (uint8_t)(1u << at % 8)); at++) {
        struct seen seen = inspect(&sim, true);
        assert_true(seen.files == 3 && seen.faults > 0 && seen.damaged == 1);
        assert_true(io_sim_flip(&sim, PATH, at, (uint8_t)(1u << at % 8)));
    }
    assert_true(at > 1000);
    assert_true(inspect(&sim, true).faults == 0); /* nothing was changed */
    io_sim_deinit(&sim);
}

static int see_no_damage(void *context, const char *name, const char *text)
{
    (void)context;
    fail_msg("%s: %s", name, text);
    return 0;
}

/* Files of earlier versions are good ones. */
static void old_files_are_whole(void **state)
{
    (void)state;
    static const char *const dirs[] = {"tests/golden/well-1/default", "tests/golden/well-1/web"};
    for (size_t i = 0; i < ARRAY_COUNT(dirs); i++) {
        struct seen seen = {0};
        struct well_visitor visitor = {see_no_damage, see_file, &seen, true};
        assert_int_equal(well_inspect(io_real(), dirs[i], &visitor), 0);
        assert_true(seen.files > 10 && seen.entries > 500);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_whole_is_called_so),
        cmocka_unit_test(any_flipped_bit_is_told),
        cmocka_unit_test(old_files_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
