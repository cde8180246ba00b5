/*
 * Memtables: what a scan or a flush picks, in which order, and for how long it holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "well/memtable.h"

static struct span no_name(void *context, uint16_t tag)
{
    (void)context;
    (void)tag;
    return SPAN_NONE;
}

/* One run per call: entries with the given times, tags going round 0, 1, 2. */
static void add(struct memtable *memtable, const int64_t *times, size_t count, uint64_t position)
{
    struct entry *list = mem_alloc_array(count, sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        list[i] =
            (struct entry){.time_ns = times[i], .tag = (uint16_t)(i % 3), .data = SPAN_LIT("data")};
    }
    struct buf run = {0};
    struct entries entries;
    entries_encode(&run, list, count, no_name, NULL);
    assert_int_equal(entries_open(&entries, buf_span(&run)), 0);
    memtable_add(memtable, &run, &entries, position,
                 (struct memtable_stamps){.one = {position, 0}});
    assert_int_equal(run.bytes, 0); /* taken */
    mem_free(list);
}

static void picks_are_sorted_and_stable(void **state)
{
    (void)state;
    static const int64_t times[] = {5, 3, 3, 9, 3, 1, 5};
    struct memtable *memtable = memtable_new();
    struct memtable_pick *picks;
    size_t count;
    add(memtable, times, ARRAY_COUNT(times), 10);
    add(memtable, times, ARRAY_COUNT(times), 11);
    assert_true(memtable->first_position == 10 && memtable->log_end == 12);
    assert_true(memtable->oldest_ns == 1 && memtable->newest_ns == 9);
    for (int by_tag = 0; by_tag < 2; by_tag++) {
        memtable_pick(memtable, memtable->runs_count, NULL, NULL, by_tag != 0, &picks, &count);
        assert_int_equal(count, 14);
        for (size_t i = 1; i < count; i++) {
            const struct memtable_pick *a = &picks[i - 1];
            const struct memtable_pick *b = &picks[i];
            uint64_t first_a = by_tag != 0 ? a->tag : (uint64_t)a->time_ns;
            uint64_t first_b = by_tag != 0 ? b->tag : (uint64_t)b->time_ns;
            uint64_t second_a = by_tag != 0 ? (uint64_t)a->time_ns : a->tag;
            uint64_t second_b = by_tag != 0 ? (uint64_t)b->time_ns : b->tag;
            assert_true(first_a < first_b || (first_a == first_b && second_a < second_b) ||
                        (first_a == first_b && second_a == second_b && a->index < b->index));
        }
        mem_free(picks);
    }
    memtable_unref(&memtable);
}

static void a_scan_picks_by_time_and_tag(void **state)
{
    (void)state;
    static const int64_t times[] = {0, 10, 20, 30, 40, INT64_MAX, INT64_MIN};
    static const uint16_t tags[] = {0, 2};
    struct memtable *memtable = memtable_new();
    struct memtable_pick *picks;
    size_t count;
    add(memtable, times, ARRAY_COUNT(times), 1);
    struct well_scan scan = {.start_ns = 0, .end_ns = 30, .tags = tags, .tags_count = 2};
    memtable_pick(memtable, memtable->runs_count, &scan, NULL, false, &picks, &count);
    assert_int_equal(count, 2); /* 0 of tag 0, 20 of tag 2; 10 has tag 1, 30 is outside */
    mem_free(picks);
    scan = (struct well_scan){.start_ns = INT64_MIN, .end_ns = INT64_MAX};
    memtable_pick(memtable, memtable->runs_count, &scan, NULL, false, &picks, &count);
    assert_int_equal(count, 7);
    mem_free(picks);
    scan.tags = tags;
    memtable_pick(memtable, memtable->runs_count, &scan, NULL, false, &picks, &count);
    assert_int_equal(count, 0); /* an empty set of tags is no tag */
    mem_free(picks);
    memtable_unref(&memtable);
}

/* A reader that knows a count sees those items, whatever is added after. */
static void growing_does_not_disturb_a_reader(void **state)
{
    (void)state;
    struct memtable *memtable = memtable_new();
    struct memtable *reader = memtable_ref(memtable);
    int64_t times[700];
    struct memtable_pick *picks;
    size_t count;
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        times[i] = (int64_t)i;
    }
    for (uint64_t i = 1; i <= 5; i++) {
        add(memtable, times, ARRAY_COUNT(times), i);
        memtable_pick(reader, 1, NULL, NULL, false, &picks, &count);
        assert_int_equal(count, 700);
        assert_int_equal(picks[699].index, 699);
        mem_free(picks);
    }
    assert_true(memtable->entries == 3500 && memtable->data_bytes == 14000);
    memtable_unref(&memtable);
    memtable_pick(reader, 5, NULL, NULL, true, &picks, &count); /* still held by the reader */
    assert_int_equal(count, 3500);
    mem_free(picks);
    memtable_unref(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picks_are_sorted_and_stable),
        cmocka_unit_test(a_scan_picks_by_time_and_tag),
        cmocka_unit_test(growing_does_not_disturb_a_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
