/*
 * Several threads find what one finds, in the same order; a reader that takes nothing makes the
 * scan rest; faults and cancelling end it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/time.h"
#include "base/vec.h"
#include "query/batch.h"
#include "query/pipeline.h"
#include "query/serve.h"
#include "query/source_memory.h"

#define ENTRIES 6000
#define RANGE_NS (1000 * TIME_S_NS)
#define SLOW_QUERY "tag=* grep word1"

static struct query_source_memory *make_source(size_t block, size_t entry_bytes)
{
    static const char *const tags[] = {"a", "b", "c"};
    struct query_source_memory *memory = query_source_memory_new(block, true);
    struct buf text = {0};
    uint64_t seed = 7;
    for (size_t i = 0; i < ENTRIES; i++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        buf_clear(&text);
        buf_printf(&text, "number=%zu user=u%u word%u ", i, (unsigned)(seed >> 40) % 20,
                   (unsigned)(seed >> 50) % 10);
        while (text.bytes < entry_bytes) {
            buf_append_str(&text, "padding ");
        }
        struct entry entry = {
            .time_ns = (int64_t)((seed >> 33) % 1000) * TIME_S_NS,
            .data = buf_span(&text),
        };
        query_source_memory_add(memory, tags[(seed >> 20) % 3], &entry);
    }
    buf_deinit(&text);
    return memory;
}

static char *request_of(const char *query, size_t stages, bool ascending)
{
    struct query_request request = {
        .query = query,
        .end_ns = RANGE_NS,
        .stages = stages,
        .entries_max = UINT64_MAX,
        .ascending = ascending,
    };
    return query_request_encode(&request);
}

static int collect(void *context, struct span frames)
{
    buf_append(context, frames);
    return 0;
}

static int print_block(void *context, const struct query_block *block)
{
    for (size_t i = 0; i < block->count; i++) {
        const struct entry *entry = &block->entries[block->picks[i]];
        buf_printf(context, "%lld ", (long long)entry->time_ns);
        buf_append(context, entry->data);
        buf_append(context, entry->enumerated);
        buf_append_byte(context, '\n');
    }
    return 0;
}

static const char *no_name(const void *context, uint16_t tag)
{
    (void)context;
    (void)tag;
    return "a";
}

/* What the frames hold, through the webserver's half of the query. */
static void finish_frames(const char *text, struct span frames, struct buf *ret_text)
{
    struct query_options options = {.end_ns = RANGE_NS, .now_ns = RANGE_NS};
    struct query_error error;
    struct query *query = NULL;
    struct query_pipeline *pipeline = NULL;
    assert_int_equal(query_parse(span_of_str(text), &options, &query, &error), 0);
    assert_int_equal(query_pipeline_new_part(query, QUERY_PART_WEBSERVER, &pipeline), 0);
    struct query_block block = {.tag_name = no_name};
    VEC(uint32_t) picks = {0};
    bool ended = false;
    while (frames.bytes > 0) {
        struct query_frame frame;
        assert_int_equal(query_frame_get(&frames, &frame), 0);
        assert_false(ended);
        ended = frame.kind == QUERY_FRAME_END;
        assert_int_not_equal(frame.kind, QUERY_FRAME_FAULT);
        block.count = frame.kind == QUERY_FRAME_ENTRIES ? frame.batch->count : 0;
        block.entries = block.count > 0 ? frame.batch->entries : NULL;
        vec_clear(&picks);
        for (size_t i = 0; i < block.count; i++) {
            vec_push(&picks, (uint32_t)i);
        }
        block.picks = picks.items;
        assert_int_equal(query_pipeline_run(pipeline, &block), 0);
        print_block(ret_text, &block);
        query_frame_deinit(&frame);
    }
    assert_true(ended);
    assert_int_equal(query_pipeline_finish(pipeline, &block, print_block, ret_text), 0);
    query_pipeline_free(&pipeline);
    query_free(&query);
    vec_deinit(&picks);
}

static void run(struct query_source_memory *memory, const char *query, const char *body,
                struct query_pool *pool, struct buf *ret_text)
{
    struct query_serve *serve = NULL;
    struct buf frames = {0};
    struct query_source *source = query_source_memory_source(memory);
    if (query_serve_begin_pooled(span_of_str(body), source, RANGE_NS, pool, NULL, &serve) < 0) {
        fail_msg("%s: %s", body, err_text());
    }
    assert_int_equal(query_serve_run(serve, NULL, collect, &frames), 0);
    query_serve_free(&serve);
    finish_frames(query, buf_span(&frames), ret_text);
    buf_deinit(&frames);
}

static void many_threads_find_what_one_finds(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        size_t stages;
    } cases[] = {
        {"tag=*", 0},
        {"tag=a,c grep word3", 1},
        {"tag=* kv user number | grep -e user u1", 2},
        {"tag=* kv number | stats count sum(number) max(number)", 1},
        {"tag=* kv user number | stats count mean(number) unique_count(number) by user over 10s "
         "| table",
         1},
    };
    struct query_pool *pool = query_pool_new(4);
    struct query_source_memory *memory = make_source(100, 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        for (int ascending = 0; ascending < 2; ascending++) {
            char *body = request_of(cases[i].query, cases[i].stages, ascending != 0);
            struct buf one = {0};
            struct buf many = {0};
            run(memory, cases[i].query, body, NULL, &one);
            assert_true(one.bytes > 0);
            for (int round = 0; round < 5; round++) {
                buf_clear(&many);
                run(memory, cases[i].query, body, pool, &many);
                assert_true(span_equal(buf_span(&one), buf_span(&many)));
            }
            buf_deinit(&one);
            buf_deinit(&many);
            mem_free(body);
        }
    }
    query_source_memory_free(&memory);
    query_pool_free(&pool);
}

/* Takes a frame now and then; others search meanwhile with the same threads. */
struct slow {
    size_t calls;
    struct query_source_memory *memory;
    struct query_pool *pool;
    char *body;
    struct buf expected;
};

static int search_meanwhile(void *context, struct span frames)
{
    struct slow *slow = context;
    (void)frames;
    if (slow->calls++ < 3) {
        struct buf text = {0};
        run(slow->memory, SLOW_QUERY, slow->body, slow->pool, &text);
        assert_true(span_equal(buf_span(&text), buf_span(&slow->expected)));
        buf_deinit(&text);
    }
    return 0;
}

static void a_slow_reader_holds_up_nobody_else(void **state)
{
    (void)state;
    struct slow slow = {.pool = query_pool_new(2), .memory = make_source(100, 0)};
    struct query_source_memory *large = make_source(50, 20000); /* 120 MB: more than may wait */
    char *all = request_of("tag=*", 0, false);
    struct query_serve *serve = NULL;
    slow.body = request_of(SLOW_QUERY, 1, false);
    run(slow.memory, SLOW_QUERY, slow.body, NULL, &slow.expected);
    assert_int_equal(query_serve_begin_pooled(span_of_str(all), query_source_memory_source(large),
                                              RANGE_NS, slow.pool, NULL, &serve),
                     0);
    assert_int_equal(query_serve_run(serve, NULL, search_meanwhile, &slow), 0);
    assert_true(slow.calls > 3);
    query_serve_free(&serve);
    query_source_memory_free(&large);
    query_source_memory_free(&slow.memory);
    query_pool_free(&slow.pool);
    buf_deinit(&slow.expected);
    mem_free(slow.body);
    mem_free(all);
}

static int cancel_it(void *context, struct span frames)
{
    (void)frames;
    atomic_store((atomic_bool *)context, true);
    return 0;
}

static void a_cancelled_search_ends(void **state)
{
    (void)state;
    struct query_pool *pool = query_pool_new(2);
    struct query_source_memory *memory = make_source(100, 0);
    struct query_source *source = query_source_memory_source(memory);
    char *body = request_of("tag=*", 0, false);
    struct query_serve *serve = NULL;
    atomic_bool cancel = false;
    assert_int_equal(
        query_serve_begin_pooled(span_of_str(body), source, RANGE_NS, pool, NULL, &serve), 0);
    assert_int_equal(query_serve_run(serve, &cancel, cancel_it, &cancel), ERR_CANCELLED);
    query_serve_free(&serve);
    assert_int_equal(
        query_serve_begin_pooled(span_of_str(body), source, RANGE_NS, pool, NULL, &serve), 0);
    query_serve_free(&serve); /* without a run */
    query_source_memory_free(&memory);
    query_pool_free(&pool);
    mem_free(body);
}

static void a_fault_on_any_thread_is_told(void **state)
{
    (void)state;
    struct query_pool *pool = query_pool_new(3);
    struct query_source_memory *memory = make_source(100, 0);
    char *body = request_of("tag=* kv number | stats -maxtracked 7 count by number", 1, false);
    struct query_serve *serve = NULL;
    struct buf frames = {0};
    assert_int_equal(query_serve_begin_pooled(span_of_str(body), query_source_memory_source(memory),
                                              RANGE_NS, pool, NULL, &serve),
                     0);
    assert_int_equal(query_serve_run(serve, NULL, collect, &frames), ERR_TOO_LARGE);
    struct span rest = buf_span(&frames);
    struct query_frame frame = {0};
    do {
        query_frame_deinit(&frame);
        assert_int_equal(query_frame_get(&rest, &frame), 0);
    } while (rest.bytes > 0);
    assert_int_equal(frame.kind, QUERY_FRAME_FAULT);
    assert_non_null(strstr(frame.fault, "-maxtracked"));
    assert_true(frame.of_search);
    query_frame_deinit(&frame);
    query_serve_free(&serve);
    query_source_memory_free(&memory);
    query_pool_free(&pool);
    buf_deinit(&frames);
    mem_free(body);
}

struct watched {
    atomic_bool cancel;
    uint64_t seen; /* entries, when progress was told of some */
};

static int note_progress(void *context, struct span frames)
{
    struct watched *watched = context;
    struct query_frame frame;
    while (query_frame_get(&frames, &frame) == 0) {
        if (frame.kind == QUERY_FRAME_PROGRESS && frame.progress.stages[0].in_count > 0 &&
            !atomic_load(&watched->cancel)) {
            watched->seen = frame.progress.stages[0].in_count;
            atomic_store(&watched->cancel, true);
        }
        query_frame_deinit(&frame);
    }
    return 0;
}

/* One block of entries that an expression takes long for: it is run in parts, so that a search can
 * be cancelled, and others have their turn, within it. */
static void a_block_that_takes_long_is_run_in_parts(void **state)
{
    (void)state;
    enum { SLOW_ENTRIES = 20000 };
    struct query_pool *pool = query_pool_new(1);
    struct query_source_memory *memory = query_source_memory_new(SLOW_ENTRIES, true);
    struct entry entry = {
        .data = SPAN_LIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"),
    };
    for (size_t i = 0; i < SLOW_ENTRIES; i++) {
        query_source_memory_add(memory, "a", &entry);
    }
    char *body = request_of("tag=* regex \"^(a+)+$\"", 1, false);
    struct query_serve *serve = NULL;
    struct watched watched = {0};
    assert_int_equal(query_serve_begin_pooled(span_of_str(body), query_source_memory_source(memory),
                                              RANGE_NS, pool, NULL, &serve),
                     0);
    assert_int_equal(query_serve_run(serve, &watched.cancel, note_progress, &watched),
                     ERR_CANCELLED);
    query_serve_free(&serve);
    assert_true(watched.seen > 0 && watched.seen < SLOW_ENTRIES);
    query_source_memory_free(&memory);
    query_pool_free(&pool);
    mem_free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads_find_what_one_finds),
        cmocka_unit_test(a_slow_reader_holds_up_nobody_else),
        cmocka_unit_test(a_cancelled_search_ends),
        cmocka_unit_test(a_fault_on_any_thread_is_told),
        cmocka_unit_test(a_block_that_takes_long_is_run_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
