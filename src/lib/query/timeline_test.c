/* Counts by time: what goes in comes out, whatever the widths, the order and the way they took. */
#include "query/timeline.h"

#include "base/mem.h"
#include "base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define START_NS (INT64_C(1767355200) * TIME_S_NS)

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void add(struct query_timeline *timeline, int64_t second, uint64_t count)
{
    struct query_stage_stats before[2] = {{.in_count = 5}, {.scratch_bytes = 1}};
    struct query_stage_stats after[2] = {{.in_count = 5 + count}, {.scratch_bytes = 1 + 2 * count}};
    query_timeline_add(timeline, START_NS + second * TIME_S_NS + 7, before, after);
}

/* In a range of a day they stand in the hour that they belong to; widths divide hours. */
static void counts_stand_at_their_times(void **state)
{
    (void)state;
    uint64_t seed = 99;
    for (int round = 0; round < 50; round++) {
        struct query_timeline parts[3];
        struct query_timeline all;
        uint64_t want[24] = {0};
        struct query_stage_stats hours[24 * 2] = {{0}};
        query_timeline_init(&all, 2);
        for (size_t i = 0; i < 3; i++) {
            query_timeline_init(&parts[i], 2);
        }
        for (int i = 0; i < 200; i++) {
            int64_t second = (int64_t)(next_random(&seed) % 86400);
            uint64_t count = next_random(&seed) % 9;
            want[second / 3600] += count;
            add(&parts[next_random(&seed) % 3], second, count);
        }
        for (size_t i = 0; i < 3; i++) { /* over the wire, as an indexer's come */
            struct buf buf = {0};
            struct query_timeline came;
            query_timeline_put(&buf, &parts[i]);
            struct wire_reader reader = wire_reader_of(buf_span(&buf));
            assert_true(query_timeline_get(&reader, &came));
            assert_int_equal(wire_finish(&reader), 0);
            query_timeline_merge(&all, &came, 0);
            query_timeline_deinit(&came);
            query_timeline_deinit(&parts[i]);
            buf_deinit(&buf);
        }
        query_timeline_fold(&all, START_NS, START_NS + TIME_DAY_NS, 24, 0, 2, hours);
        for (size_t i = 0; i < 24; i++) {
            assert_int_equal(hours[i * 2].in_count, want[i]);
            assert_int_equal(hours[i * 2 + 1].scratch_bytes, 2 * want[i]);
        }
        query_timeline_deinit(&all);
    }
}

/* Entries are cut where a slot ends, forwards and backwards. */
static void a_cut_leaves_nothing_out_and_no_slot_twice(void **state)
{
    (void)state;
    for (int backwards = 0; backwards < 2; backwards++) {
        struct query_timeline timeline;
        struct entry entries[1000] = {{0}};
        query_timeline_init(&timeline, 1);
        for (int64_t i = 0; i < 1000; i++) {
            entries[i].time_ns = START_NS + (backwards ? 999 - i : i) * TIME_S_NS;
        }
        size_t parts = 0;
        int64_t before = INT64_MIN;
        for (size_t at = 0; at < 1000; parts++) {
            size_t count = query_timeline_cut(&timeline, entries + at, 1000 - at);
            assert_in_range(count, 1, 1000 - at);
            int64_t slot = entries[at].time_ns / TIME_S_NS / timeline.width_s;
            assert_int_equal(entries[at + count - 1].time_ns / TIME_S_NS / timeline.width_s, slot);
            assert_true(slot != before);
            before = slot;
            at += count;
        }
        assert_int_equal(timeline.width_s, 10); /* the least that does with so many slots */
        assert_in_range(parts, 100, 101);
        query_timeline_deinit(&timeline);
    }
}

/* Any times there can be, at once. */
static void the_ends_of_time_fit(void **state)
{
    (void)state;
    struct query_timeline timeline;
    struct query_stage_stats sum[2] = {{0}};
    query_timeline_init(&timeline, 2);
    struct query_stage_stats none[2] = {{0}};
    struct query_stage_stats one[2] = {{.in_count = 1}, {0}};
    query_timeline_add(&timeline, INT64_MIN, none, one);
    query_timeline_add(&timeline, INT64_MAX, none, one);
    query_timeline_add(&timeline, 0, none, one);
    query_timeline_fold(&timeline, INT64_MIN, INT64_MAX, 1, 0, 2, sum);
    assert_int_equal(sum[0].in_count, 3);
    query_timeline_clear(&timeline);
    add(&timeline, 0, 4);
    memset(sum, 0, sizeof(sum));
    query_timeline_fold(&timeline, INT64_MIN, INT64_MAX, 1, 0, 2, sum);
    assert_int_equal(sum[0].in_count, 4);
    query_timeline_deinit(&timeline);
}

/* What no timeline puts is refused, without a sanitizer's word. */
static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    static const int64_t widths[] = {0, -1, INT64_C(1) << 35, 1};
    static const int64_t firsts[] = {0, 0, 0, INT64_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(widths); i++) {
        struct buf buf = {0};
        struct query_timeline timeline;
        wire_put_varint(&buf, 1);
        wire_put_varint(&buf, 1);
        wire_put_svarint(&buf, widths[i]);
        wire_put_svarint(&buf, firsts[i]);
        for (int j = 0; j < 7; j++) {
            wire_put_varint(&buf, 1);
        }
        struct wire_reader reader = wire_reader_of(buf_span(&buf));
        assert_false(query_timeline_get(&reader, &timeline));
        buf_deinit(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_stand_at_their_times),
        cmocka_unit_test(a_cut_leaves_nothing_out_and_no_slot_twice),
        cmocka_unit_test(the_ends_of_time_fit),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
