/*
 * A bit is flipped in a file of a stopped storage: in every byte of the small files in turn and in
 * a sample of the large ones. Then the storage starts, somebody says the name of the file, and all
 * lines and points are found but those of one block or one record, exactly as they were given. It
 * stays so while the storage flushes and merges, and over one more restart.
 *
 * AQUIFER_EVERY=n tries about every n-th byte of all files; 10 in `make lives`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/time.h"
#include "image.h"
#include "indexer/storage_internal.h"
#include "well/partition.h"
#include "world.h"

#define SEEDS 2
#define EVERY_DEFAULT 2999
#define WORDS 60

static uint64_t every(void)
{
    const char *text = getenv("AQUIFER_EVERY");
    uint64_t number;
    return text != NULL && span_to_u64(span_of_str(text), &number) ? number : EVERY_DEFAULT;
}

static void begin(struct world *world, uint64_t seed)
{
    world_init(world, seed, LIE_NONE);
    world->plain_opens = true;
    world->has_memory = false;
    world->wells[PLACE_WEB].retention = (struct well_retention){0};
    world->options.memtable_bytes_max = 6000;
    world->options.datalog_segment_bytes_max = 4000;
    world->options.datalog_kept_bytes_max = 12000;
}

/* Everything acknowledged; some of it in segments, merged and not, some in the log alone. */
static void make(struct world *world, uint64_t seed, struct image *image)
{
    begin(world, seed);
    assert_true(world_open(world));
    for (size_t i = 0; i < 12; i++) {
        world_append(world, 10);
        points_append(world, 20);
        if (i % 3 == 1) {
            points_change(world);
            points_remove(world);
        }
        world_flush(world);
        world_work(world);
    }
    for (size_t i = 0; i < 4; i++) {
        world_append(world, 6);
        points_append(world, 6);
    }
    points_change(world);
    points_remove(world);
    world_check(world, false); /* as far as it can be told what happened */
    io_sim_power_off(&world->disk.sim);
    storage_close(&world->storage);
    io_sim_crash(&world->disk.sim);
    assert_string_equal(world->wrong, "");
    image_take(image, &world->disk.sim.io, "/data");
}

/* A world of its own with the image and the lines of another. */
static void put(struct world *world, const struct world *origin, uint64_t seed,
                const struct image *image)
{
    begin(world, seed);
    world->damaged = world->keep_reports = true;
    world->trace = getenv("AQUIFER_TRACE") != NULL;
    for (size_t i = 0; i < origin->lines.count; i++) {
        vec_push(&world->lines, origin->lines.items[i]);
        world->lines.items[i].since_open = false;
    }
    for (size_t i = 0; i < origin->points.points.count; i++) {
        vec_push(&world->points.points, origin->points.points.items[i]);
    }
    for (size_t i = 0; i < origin->points.removals.count; i++) {
        vec_push(&world->points.removals, origin->points.removals.items[i]);
    }
    for (size_t i = 0; i < origin->points.changes.count; i++) {
        vec_push(&world->points.changes, origin->points.changes.items[i]);
    }
    points_closed(world);
    memcpy(world->points.times, origin->points.times, sizeof(world->points.times));
    memcpy(world->tags, origin->tags, sizeof(world->tags));
    world->disk.sim.now_ns = origin->disk.sim.now_ns;
    world->newest_now_ns = origin->newest_now_ns;
    image_put(image, &world->disk.sim.io);
}

static bool is_segment(const char *path)
{
    return span_ends_with(span_of_str(path), SPAN_LIT(".seg"));
}

/* Lost lines must lie together: in a block, of one tag and partition; in the log, of one
 * submission, whose records, one per well, are written as one: if that was the last one, nobody
 * can tell a flipped bit from a write that the power cut short. */
static bool lie_together(const char *path, const struct line *a, const struct line *b)
{
    bool one_partition = well_partition_of(a->time_ns, WELL_PARTITION_NS_DEFAULT) ==
                         well_partition_of(b->time_ns, WELL_PARTITION_NS_DEFAULT);
    return is_segment(path) ? a->place == b->place && a->tag == b->tag && one_partition
                            : a->submission == b->submission;
}

static size_t check_lost(struct world *world, const char *path)
{
    const struct line *first = NULL;
    size_t lost = 0;
    bool may_cost = is_segment(path) || strstr(path, "/log/0") != NULL;
    for (size_t i = 0; i < world->lines.count; i++) {
        const struct line *line = &world->lines.items[i];
        enum status cover = points_cover_of_tag(world, line->tag, line->time_ns, line->order);
        if (line->seen || cover != STATUS_NEVER) {
            continue;
        }
        lost++;
        first = first == NULL ? line : first;
        if (!may_cost || !lie_together(path, first, line)) {
            world_complain(world, "it costs line %zu too, and %zu before", i, lost - 1);
        }
    }
    return lost;
}

/* Points that are lost, or whose last write is: of one well and partition, or one submission. */
static size_t check_lost_points(struct world *world, const char *path)
{
    const struct points *points = &world->points;
    bool may_cost = is_segment(path) || strstr(path, "/log/0") != NULL;
    points_check(world, false);
    for (size_t i = 0; i < points->lost.count; i++) {
        const struct point *first = &points->points.items[points->lost.items[0]];
        const struct point *point = &points->points.items[points->lost.items[i]];
        bool one_partition =
            well_partition_of(points->times[point->slot], WELL_PARTITION_NS_DEFAULT) ==
            well_partition_of(points->times[first->slot], WELL_PARTITION_NS_DEFAULT);
        bool together = is_segment(path) ? point->place == first->place && one_partition
                                         : point->order.time == first->order.time;
        if (!may_cost || !together) {
            world_complain(world, "it costs write %zu too", points->lost.items[i]);
        }
    }
    return points->lost.count;
}

static bool is_said(const struct world *world, const char *path)
{
    return span_find(buf_span(&world->reports), span_of_str(path)) >= 0;
}

/* Of the filters of a segment a search for words looks at a part; the table of series is read
 * when the catalogue asks for it. */
static void check_said(struct world *world, const char *path)
{
    storage_restore_series(world->storage);
    for (uint64_t i = 0; i < WORDS && is_segment(path) && !is_said(world, path); i++) {
        world_check_word(world, i * 7 % world->lines.count);
    }
    bool is_void = !io_exists(&world->disk.sim.io, path); /* superseded, and gone at the opening */
    if (world->wrong[0] == 0 && !is_void && !is_said(world, path)) {
        world_complain(world, "nobody says so; said is: %.300s", buf_str(&world->reports));
    }
}

static size_t open_and_scan(struct world *world, const char *path)
{
    size_t lost = 0;
    if (world_open(world)) {
        if (world_scan(world) < 0) {
            world_complain(world, "cannot be scanned: %s", err_text());
        } else if (world->wrong[0] == 0) {
            lost = check_lost(world, path) + check_lost_points(world, path);
        }
    }
    return lost;
}

/* A line that is found once stays found. */
static void go_on(struct world *world, const char *path, size_t lost)
{
    for (int i = 0; i < 3 && world->wrong[0] == 0; i++) {
        world_append(world, 3);
        world_flush(world);
        (void)!storage_work(world->storage);
    }
    if (world->wrong[0] == 0 &&
        (world_scan(world) < 0 ||
         check_lost(world, path) + check_lost_points(world, path) != lost)) {
        world_complain(world, "more is lost while it works");
    }
    storage_close(&world->storage);
    if (world->wrong[0] == 0 && open_and_scan(world, path) != lost) {
        world_complain(world, "more is lost after a restart");
    }
}

/* What it cost. */
static size_t flip(const struct world *origin, uint64_t seed, const struct image *image,
                   const struct image_file *file, uint64_t offset, uint8_t mask, size_t *wrong)
{
    struct world world;
    put(&world, origin, seed, image);
    world.damaged_log = strstr(file->path, "/log/0") != NULL;
    world.damaged_catalogue = world.damaged_log || strstr(file->path, "/series/") != NULL;
    assert_true(io_sim_flip(&world.disk.sim, file->path, offset, mask));
    size_t lost = open_and_scan(&world, file->path);
    if (world.wrong[0] == 0) {
        check_said(&world, file->path);
    }
    if (world.wrong[0] == 0) {
        go_on(&world, file->path, lost);
    }
    if (world.wrong[0] != 0) {
        (*wrong)++;
        printf("seed %" PRIu64 ", %s, byte %" PRIu64 " of %zu, bit %02x: %s\n", seed, file->path,
               offset, file->content.bytes, mask, world.wrong);
    }
    world_deinit(&world);
    return lost;
}

static void a_flipped_bit_is_said_and_costs_a_block_or_a_record(void **state)
{
    (void)state;
    size_t wrong = 0;
    size_t flips = 0;
    size_t lost_most = 0;
    struct chance chance = {1};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world origin;
        struct image image = {0};
        make(&origin, seed, &image);
        for (size_t i = 0; i < image.files.count; i++) {
            const struct image_file *file = &image.files.items[i];
            uint64_t step = every();
            for (uint64_t at = below(&chance, step); at < file->content.bytes;
                 at += 1 + below(&chance, 2 * step - 1)) {
                uint8_t mask = (uint8_t)(1 << below(&chance, 8));
                size_t lost = flip(&origin, seed, &image, file, at, mask, &wrong);
                lost_most = MAX(lost_most, lost);
                flips++;
            }
        }
        image_deinit(&image);
        world_deinit(&origin);
    }
    printf("%zu flips, at most %zu lines were lost by one\n", flips, lost_most);
    assert_int_equal(wrong, 0);
    assert_true(flips > 50 && lost_most > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flipped_bit_is_said_and_costs_a_block_or_a_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
