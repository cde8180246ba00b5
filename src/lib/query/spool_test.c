/* Batches come out as they went in, whether they were in memory or in a file. */
#include "query/spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BATCHES 40

static const char *name_of(const void *context, uint16_t tag)
{
    (void)context;
    return tag == 0 ? "a" : "b";
}

static struct query_batch *batch_of(size_t number)
{
    struct buf data = {0};
    struct buf frames = {0};
    buf_printf(&data, "entry %zu", number);
    struct entry entries[] = {
        {.time_ns = (int64_t)number, .tag = (uint16_t)(number % 2), .data = buf_span(&data)},
        {.time_ns = (int64_t)number, .tag = 0},
    };
    query_batch_put(&frames, entries, NULL, ARRAY_COUNT(entries), name_of, NULL);
    struct span rest = buf_span(&frames);
    struct query_frame frame;
    assert_int_equal(query_frame_get(&rest, &frame), 0);
    buf_deinit(&data);
    buf_deinit(&frames);
    return frame.batch;
}

static void batches_come_out_as_they_went_in(void **unused)
{
    (void)unused;
    static const uint64_t bounds[] = {1, 4000, 1 << 20};
    char base[] = "/tmp/spool-test-XXXXXX";
    assert_non_null(mkdtemp(base));
    for (size_t b = 0; b < ARRAY_COUNT(bounds); b++) {
        struct query_scratch_options options = {.io = io_real(),
                                                .path = base,
                                                .memory_bytes_max = bounds[b],
                                                .file_bytes_max = UINT64_MAX};
        struct query_scratch *scratch = query_scratch_new(&options);
        struct query_spool spool;
        query_spool_init(&spool, scratch);
        for (size_t i = 0; i < BATCHES; i++) {
            struct query_batch *batch = batch_of(i);
            assert_int_equal(query_spool_add(&spool, &batch), 0);
        }
        assert_int_equal(query_scratch_written(scratch) > 0, b < 2);
        struct query_batch *batch = NULL;
        for (size_t i = 0; i < BATCHES - 3; i++) {
            char text[32];
            (void)snprintf(text, sizeof(text), "entry %zu", i);
            assert_int_equal(query_spool_next(&spool, &batch), 0);
            assert_int_equal(batch->count, 2);
            assert_int_equal(batch->entries[0].time_ns, i);
            assert_true(span_equal_str(batch->entries[0].data, text));
            assert_string_equal(batch->names[batch->entries[0].tag], i % 2 == 0 ? "a" : "b");
            query_batch_free(&batch);
        }
        query_spool_deinit(&spool);
        query_scratch_free(&scratch);
    }
    assert_int_equal(io_remove_dir(io_real(), base), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_come_out_as_they_went_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
