/* Whatever a scan gives lies in one of the extents that it was said to read, in memory or not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/vec.h"
#include "io/sim.h"
#include "well/well.h"

#define TAGS 3
#define RUNS 40
#define PER_RUN 50

struct found {
    VEC(struct piece {
        int64_t first_ns;
        int64_t last_ns;
    })
    pieces;
    uint64_t bytes;
};

static void note(void *context, int64_t first_ns, int64_t last_ns, uint64_t bytes)
{
    struct found *found = context;
    assert_true(first_ns <= last_ns);
    vec_push(&found->pieces, (struct piece){first_ns, last_ns});
    found->bytes += bytes;
}

static struct span name_of(void *context, uint16_t tag)
{
    return series_tags_name(context, tag);
}

static void ingest(struct well *well, struct series_tags *tags, uint64_t position)
{
    struct entry entries[PER_RUN];
    struct buf run = {0};
    for (size_t i = 0; i < PER_RUN; i++) {
        entries[i] = (struct entry){
            .time_ns = (int64_t)(position * 1000 + i * 7 % PER_RUN),
            .tag = (uint16_t)(1 + i % TAGS),
            .data = SPAN_LIT("some text of an entry"),
        };
    }
    entries_encode(&run, entries, PER_RUN, name_of, tags);
    assert_int_equal(well_apply(well, &run, position, (struct stamp){position, 0}), 0);
}

static void check(struct well *well, int64_t start_ns, int64_t end_ns)
{
    static const uint16_t wanted[] = {1, 3};
    struct well_scan scan = {
        .start_ns = start_ns, .end_ns = end_ns, .tags = wanted, .tags_count = 2};
    struct found found = {0};
    struct well_cursor *cursor;
    struct well_block block;
    uint64_t bytes = 0;
    well_extents(&well, 1, &scan, note, &found);
    assert_int_equal(well_cursor_open(&well, 1, &scan, &cursor), 0);
    while (well_cursor_next(cursor, &block) == 0) {
        for (size_t i = 0; i < block.count; i++) {
            int64_t time_ns = block.entries[i].time_ns;
            bytes += block.entries[i].data.bytes;
            size_t j = 0;
            while (j < found.pieces.count && (found.pieces.items[j].first_ns > time_ns ||
                                              found.pieces.items[j].last_ns < time_ns)) {
                j++;
            }
            assert_true(j < found.pieces.count);
        }
    }
    assert_true(bytes <= found.bytes);
    well_cursor_close(&cursor);
    vec_deinit(&found.pieces);
}

static void what_a_scan_gives_lies_in_its_extents(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct well *well = NULL;
    struct series_tags *tags = NULL;
    assert_int_equal(series_tags_open(&sim.io, "/tags", &tags), 0);
    static const char *const names[TAGS] = {"a", "b", "c"};
    for (size_t i = 0; i < TAGS; i++) {
        uint16_t tag;
        assert_int_equal(series_tags_put(tags, span_of_str(names[i]), &tag), 0);
        assert_int_equal(tag, i + 1);
    }
    struct well_options options = {.io = &sim.io,
                                   .name = "w",
                                   .dir = "/w",
                                   .names = {.tags = tags},
                                   .memtable_bytes_max = 20000};
    assert_int_equal(well_open(&options, &well), 0);
    for (uint64_t i = 1; i <= RUNS; i++) {
        ingest(well, tags, i);
        if (i == RUNS / 2) {
            well_seal(well);
            assert_true(well_flush(well) >= 0);
        }
    }
    check(well, 0, INT64_MAX);
    check(well, 5000, 9000);
    check(well, (RUNS - 2) * 1000, RUNS * 1000 + 20);
    well_close(&well);
    series_tags_close(&tags);
    io_sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_scan_gives_lies_in_its_extents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
