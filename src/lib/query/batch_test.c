/* The wire form: round trips, torn and damaged streams, bounds; and the order of the merge. */
#include "base/hash.h"
#include "base/mem.h"
#include "base/wire.h"
#include "query/batch.h"
#include "query/merge.h"
#include "series/evs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const tag_names[] = {"default", "web", "\xC3\xA9"};

static const char *name_of(const void *context, uint16_t tag)
{
    (void)context;
    return tag_names[tag];
}

static struct span values(struct buf *buf)
{
    size_t begin = series_evs_begin(buf);
    struct series_ev ev = {.name = SPAN_LIT("user"), .data = SPAN_LIT("bob"), SERIES_EV_TEXT};
    assert_int_equal(series_evs_put(buf, begin, ev), 0);
    return buf_span(buf);
}

/* Entries of every odd kind: empty, with values, extreme times, several sources. */
static size_t make(struct entry *entries, struct buf *evs)
{
    static const int64_t times[] = {INT64_MAX, 5, 5, 0, -1, INT64_MIN + 1};
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        entries[i] = (struct entry){.time_ns = times[i], .tag = (uint16_t)(i % 3)};
        entries[i].source[15] = (uint8_t)(i / 2);
        entries[i].data = span_first(SPAN_LIT("abc\0def"), i + 1);
    }
    entries[2].data = SPAN_NONE;
    entries[3].enumerated = values(evs);
    return ARRAY_COUNT(times);
}

static void assert_same(const struct entry *want, const struct query_batch *batch, size_t i)
{
    const struct entry *got = &batch->entries[i];
    assert_int_equal(got->time_ns, want->time_ns);
    assert_memory_equal(got->source, want->source, ENTRY_SOURCE_BYTES);
    assert_string_equal(batch->names[got->tag], tag_names[want->tag]);
    assert_true(span_equal(got->data, want->data));
    assert_true(span_equal(got->enumerated, want->enumerated));
}

static void what_is_encoded_comes_back(void **state)
{
    (void)state;
    struct entry entries[6];
    struct buf evs = {0};
    struct buf buf = {0};
    size_t count = make(entries, &evs);
    static const uint32_t picks[] = {1, 3, 5};
    query_batch_put(&buf, entries, NULL, count, name_of, NULL);
    query_batch_put(&buf, entries, picks, 3, name_of, NULL);
    query_batch_put(&buf, entries, NULL, 0, name_of, NULL);
    struct span rest = buf_span(&buf);
    struct query_frame frame;
    assert_int_equal(query_frame_get(&rest, &frame), 0);
    assert_int_equal(frame.batch->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_same(&entries[i], frame.batch, i);
    }
    query_frame_deinit(&frame);
    assert_int_equal(query_frame_get(&rest, &frame), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_same(&entries[picks[i]], frame.batch, i);
    }
    query_frame_deinit(&frame);
    assert_int_equal(query_frame_get(&rest, &frame), 0);
    assert_int_equal(frame.batch->count, 0);
    query_frame_deinit(&frame);
    assert_int_equal(rest.bytes, 0);
    assert_int_equal(query_frame_get(&rest, &frame), QUERY_FRAME_MORE);
    buf_deinit(&buf);
    buf_deinit(&evs);
}

static void progress_and_faults_come_back(void **state)
{
    (void)state;
    struct query_progress progress = {.position_ns = -7, .skipped_blocks = 3, .stage_count = 2};
    progress.stages[1] = (struct query_stage_stats){1, 2, 3, 4, UINT64_MAX, 6, 7};
    struct buf buf = {0};
    query_frame_put_progress(&buf, QUERY_FRAME_PROGRESS, &progress);
    query_frame_put_fault(&buf, "disk on fire", false);
    query_frame_put_fault(&buf, "too many keys", true);
    struct span rest = buf_span(&buf);
    struct query_frame frame;
    assert_int_equal(query_frame_get(&rest, &frame), 0);
    assert_int_equal(frame.kind, QUERY_FRAME_PROGRESS);
    assert_int_equal(frame.progress.position_ns, -7);
    assert_int_equal(frame.progress.skipped_blocks, 3);
    assert_true(frame.progress.stages[1].duration_ns == UINT64_MAX);
    assert_int_equal(frame.progress.stages[1].failed_count, 6);
    assert_int_equal(query_frame_get(&rest, &frame), 0);
    assert_int_equal(frame.kind, QUERY_FRAME_FAULT);
    assert_string_equal(frame.fault, "disk on fire");
    assert_false(frame.of_search);
    assert_int_equal(query_frame_get(&rest, &frame), 0);
    assert_string_equal(frame.fault, "too many keys");
    assert_true(frame.of_search);
    buf_deinit(&buf);
}

static void details_come_back_to_who_asked_for_them(void **state)
{
    (void)state;
    struct query_timeline timeline;
    query_timeline_init(&timeline, 1);
    struct query_stage_stats none = {0};
    struct query_progress progress = {.stage_count = 1, .timeline = &timeline};
    progress.stages[0] = (struct query_stage_stats){.in_count = 3, .scratch_bytes = 9};
    query_timeline_add(&timeline, 0, &none, &progress.stages[0]);
    struct buf buf = {0};
    query_frame_put_progress(&buf, QUERY_FRAME_END, &progress);
    struct span rest = buf_span(&buf);
    struct query_frame frame;
    assert_int_equal(query_frame_get(&rest, &frame), 0);
    assert_int_equal(frame.progress.stages[0].scratch_bytes, 9);
    assert_non_null(frame.progress.timeline);
    assert_int_equal(frame.progress.timeline->slots[0].in_count, 3);
    query_frame_deinit(&frame);
    query_timeline_deinit(&timeline);
    buf_deinit(&buf);
}

/* Every cut asks for more and leaves the stream as it was. */
static void a_torn_frame_waits_for_the_rest(void **state)
{
    (void)state;
    struct entry entries[6];
    struct buf evs = {0};
    struct buf buf = {0};
    query_batch_put(&buf, entries, NULL, make(entries, &evs), name_of, NULL);
    for (size_t bytes = 0; bytes < buf.bytes; bytes++) {
        struct span rest = span_first(buf_span(&buf), bytes);
        struct query_frame frame;
        assert_int_equal(query_frame_get(&rest, &frame), QUERY_FRAME_MORE);
        assert_int_equal(rest.bytes, bytes);
    }
    buf_deinit(&buf);
    buf_deinit(&evs);
}

/* Each bit of a frame, flipped, is noticed: as damage, or as a frame that claims more bytes. */
static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    struct entry entries[6];
    struct buf evs = {0};
    struct buf buf = {0};
    query_batch_put(&buf, entries, NULL, make(entries, &evs), name_of, NULL);
    for (size_t bit = 0; bit < buf.bytes * 8; bit++) {
        buf.data[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        struct span rest = buf_span(&buf);
        struct query_frame frame;
        int rc = query_frame_get(&rest, &frame);
        assert_true(rc == ERR_CORRUPT || (rc == QUERY_FRAME_MORE && bit >= 64 && bit < 96));
        buf.data[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    buf_deinit(&buf);
    buf_deinit(&evs);
}

/* A liar with a right checksum: random payloads never read outside or crash (sanitizers watch). */
static void a_payload_that_lies_is_refused(void **state)
{
    (void)state;
    srandom(1);
    struct entry entries[6];
    struct buf evs = {0};
    size_t count = make(entries, &evs);
    for (size_t round = 0; round < 20000; round++) {
        struct buf buf = {0};
        query_batch_put(&buf, entries, NULL, count, name_of, NULL);
        size_t payload = buf.bytes - QUERY_FRAME_HEADER_BYTES;
        for (long flips = random() % 4 + 1; flips > 0; flips--) {
            buf.data[QUERY_FRAME_HEADER_BYTES + (size_t)random() % payload] = (uint8_t)random();
        }
        uint64_t sum =
            hash64_seeded(span_from(buf_span(&buf), QUERY_FRAME_HEADER_BYTES), QUERY_FRAME_ENTRIES);
        wire_store_u32(buf.data + 12, (uint32_t)sum);
        struct span rest = buf_span(&buf);
        struct query_frame frame;
        int rc = query_frame_get(&rest, &frame);
        assert_true(rc == 0 || rc == ERR_CORRUPT);
        if (rc == 0) {
            query_frame_deinit(&frame);
        }
        buf_deinit(&buf);
    }
    buf_deinit(&evs);
}

static struct query_batch *batch_of(const int64_t *times, size_t count)
{
    struct entry entries[8] = {0};
    struct buf buf = {0};
    for (size_t i = 0; i < count; i++) {
        entries[i].time_ns = times[i];
    }
    query_batch_put(&buf, entries, NULL, count, name_of, NULL);
    struct span rest = buf_span(&buf);
    struct query_frame frame;
    assert_int_equal(query_frame_get(&rest, &frame), 0);
    buf_deinit(&buf);
    return frame.batch;
}

static void push(struct query_merge *merge, size_t input, const int64_t *times, size_t count,
                 int want)
{
    struct query_batch *batch = batch_of(times, count);
    assert_int_equal(query_merge_push(merge, input, &batch), want);
}

/* The merge names the input it waits for, a bound lets it go on, and nothing comes too early. */
static void the_merge_waits_for_whom_it_must(void **state)
{
    (void)state;
    struct query_merge *merge = query_merge_new(2, false);
    const struct entry *entries = NULL;
    size_t count = 0;
    size_t input = 9;
    assert_int_equal(query_merge_next(merge, &entries, &count, &input), QUERY_MERGE_WAIT);
    assert_int_equal(input, 0);
    push(merge, 0, (int64_t[]){50, 40, 10}, 3, 0);
    assert_int_equal(query_merge_next(merge, &entries, &count, &input), QUERY_MERGE_WAIT);
    assert_int_equal(input, 1);
    query_merge_bound(merge, 1, 40);
    assert_int_equal(query_merge_position(merge), 50);
    assert_int_equal(query_merge_next(merge, &entries, &count, &input), 0);
    assert_int_equal(count, 2); /* 50, 40: input 0 comes first among equals */
    assert_int_equal(entries[1].time_ns, 40);
    push(merge, 1, (int64_t[]){40, 20}, 2, 0);
    assert_int_equal(query_merge_next(merge, &entries, &count, &input), 0);
    assert_int_equal(count, 2); /* 40, 20 */
    assert_int_equal(entries[1].time_ns, 20);
    assert_int_equal(query_merge_position(merge), 20);
    query_merge_end(merge, 1);
    assert_int_equal(query_merge_next(merge, &entries, &count, &input), 0);
    assert_int_equal(count, 1);
    query_merge_end(merge, 0);
    assert_int_equal(query_merge_next(merge, &entries, &count, &input), QUERY_MERGE_END);
    query_merge_free(&merge);
}

static void an_input_out_of_order_is_told_apart(void **state)
{
    (void)state;
    struct query_merge *merge = query_merge_new(1, false);
    push(merge, 0, (int64_t[]){5, 4}, 2, 0);
    push(merge, 0, (int64_t[]){7}, 1, ERR_PROTOCOL);
    query_merge_free(&merge);
    merge = query_merge_new(1, true);
    push(merge, 0, (int64_t[]){4, 5, 5, 6}, 4, 0);
    query_merge_free(&merge);
}

/* What an input gave of its last time is held back, so that another can go on in its place: all
 * times come whole, from the one or the other. */
static void a_lost_input_is_replaced_without_gap_or_double(void **state)
{
    (void)state;
    struct query_merge *merge = query_merge_new(2, false);
    const struct entry *entries = NULL;
    size_t count = 0;
    size_t input = 9;
    query_merge_may_lose(merge);
    push(merge, 0, (int64_t[]){50, 40}, 2, 0);
    push(merge, 0, (int64_t[]){40, 40}, 2, 0);
    push(merge, 1, (int64_t[]){45, 10, 5}, 3, 0);
    assert_int_equal(query_merge_next(merge, &entries, &count, &input), 0);
    assert_int_equal(count, 2); /* 50, 45; there may be more of 40 */
    assert_int_equal(query_merge_next(merge, &entries, &count, &input), QUERY_MERGE_WAIT);
    assert_int_equal(input, 0);
    bool partly = true;
    int64_t from_ns = query_merge_lose(merge, 0, &partly);
    assert_false(partly);
    assert_int_equal(from_ns, 40);
    assert_int_equal(query_merge_add(merge, from_ns), 2);
    push(merge, 2, (int64_t[]){40, 40, 40, 40, 7}, 5, 0);
    assert_int_equal(query_merge_next(merge, &entries, &count, &input), 0);
    assert_int_equal(count, 5); /* 40 four times, 10 */
    assert_int_equal(entries[4].time_ns, 10);
    query_merge_end(merge, 1);
    query_merge_end(merge, 2);
    assert_int_equal(query_merge_next(merge, &entries, &count, &input), 0);
    assert_int_equal(count, 2); /* 7, 5 */
    assert_int_equal(query_merge_next(merge, &entries, &count, &input), QUERY_MERGE_END);
    query_merge_free(&merge);
}

/* A whole log of one time is not kept in memory; who has it cannot be replaced for that time. */
static void too_many_of_one_time_are_not_held_back(void **state)
{
    (void)state;
    struct query_merge *merge = query_merge_new(1, false);
    const struct entry *entries = NULL;
    size_t count = 0;
    size_t given = 0;
    size_t input = 0;
    bool partly = false;
    query_merge_may_lose(merge);
    for (size_t i = 0; i <= QUERY_MERGE_HELD_MAX; i += 8) {
        push(merge, 0, (int64_t[]){7, 7, 7, 7, 7, 7, 7, 7}, 8, 0);
    }
    while (query_merge_next(merge, &entries, &count, &input) == 0) {
        given += count;
    }
    assert_true(given > QUERY_MERGE_HELD_MAX);
    assert_int_equal(query_merge_lose(merge, 0, &partly), 7);
    assert_true(partly);
    query_merge_free(&merge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_comes_back),
        cmocka_unit_test(progress_and_faults_come_back),
        cmocka_unit_test(details_come_back_to_who_asked_for_them),
        cmocka_unit_test(a_torn_frame_waits_for_the_rest),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(a_payload_that_lies_is_refused),
        cmocka_unit_test(the_merge_waits_for_whom_it_must),
        cmocka_unit_test(an_input_out_of_order_is_told_apart),
        cmocka_unit_test(a_lost_input_is_replaced_without_gap_or_double),
        cmocka_unit_test(too_many_of_one_time_are_not_held_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
