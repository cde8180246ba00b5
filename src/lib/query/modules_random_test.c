/*
 * Generated queries over generated entries: what comes out is what a simple evaluator finds by
 * looking at every entry once, whatever the block boundaries and however the entries are spread
 * over 1, 2 or 7 indexers. Integers only, so that the evaluator is exact by itself.
 * AQUIFER_SEEDS: how many rounds; AQUIFER_SEED: the first one.
 */
#include "base/mem.h"
#include "base/time.h"
#include "query/merge.h"
#include "query/module.h"
#include "query/serve.h"
#include "query/source_memory.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BASE_NS (INT64_C(1767355200) * TIME_S_NS)
#define ROWS 200
#define USERS 5
#define ROUNDS_DEFAULT 40
#define INDEXERS_MAX 7

struct row {
    int user; /* -1: the value is not there */
    int64_t size;
    int second;
};

/* One query: `json|kv user==… size [| eval size > …] [| eval size = size / …;] | stats count
 * sum(size) max(size) by user [over 10s] | table -nt`. */
struct asked {
    uint64_t round;
    bool pairs; /* key=value instead of JSON */
    int only;   /* this user, or -1 for all */
    int not_this;
    bool windows;
    int64_t above; /* INT64_MIN: all */
    int divisor;   /* of every size; 1: as it is */
};

static uint64_t number_of_env(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    uint64_t number = 0;
    return text != NULL && span_to_u64(span_of_str(text), &number) ? number : fallback;
}

static uint64_t first_round(void)
{
    return number_of_env("AQUIFER_SEED", 0);
}

static uint64_t last_round(void)
{
    return first_round() + number_of_env("AQUIFER_SEEDS", ROUNDS_DEFAULT);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static int collect(void *context, struct span frames)
{
    buf_append(context, frames);
    return 0;
}

static const char *name_of(const void *context, uint16_t tag)
{
    return query_tags_name(context, tag);
}

/* "user window count sum max" a row; stats give them in the order of windows and keys. */
static int print(void *context, const struct query_block *block)
{
    static const char *const names[] = {"user", "TIMESTAMP", "count", "sum", "max"};
    for (size_t i = 0; i < block->count; i++) {
        for (size_t j = 0; j < ARRAY_COUNT(names); j++) {
            (void)query_value_text(block, block->picks[i], span_of_str(names[j]), context);
            buf_append_byte(context, j + 1 < ARRAY_COUNT(names) ? ' ' : '\n');
        }
    }
    return 0;
}

static void serve(struct query_source_memory *indexer, const struct query *query, struct buf *out)
{
    struct query_request request = {.query = query->effective,
                                    .start_ns = query->start_ns,
                                    .end_ns = query->end_ns,
                                    .stages = query->collapse,
                                    .entries_max = query_first_needed(query)};
    char *body = query_request_encode(&request);
    struct query_serve *serve = NULL;
    assert_int_equal(
        query_serve_begin(span_of_str(body), query_source_memory_source(indexer), BASE_NS, &serve),
        0);
    assert_int_equal(query_serve_run(serve, NULL, collect, out), 0);
    query_serve_free(&serve);
    mem_free(body);
}

/* Every indexer's states, one indexer after the other: the merge by time is not needed here. */
static char *search(struct query_source_memory **indexers, size_t count, const char *text,
                    int (*sink)(void *context, const struct query_block *block))
{
    struct query_options options = {
        .now_ns = BASE_NS, .start_ns = BASE_NS, .end_ns = BASE_NS + TIME_MINUTE_NS};
    struct query *query = NULL;
    struct query_error error;
    struct query_pipeline *pipeline = NULL;
    struct query_tags tags = {0};
    struct buf out = {0};
    assert_int_equal(query_parse(span_of_str(text), &options, &query, &error), 0);
    assert_int_equal(query_pipeline_new_part(query, QUERY_PART_WEBSERVER, &pipeline), 0);
    struct query_block like = {.tag_name = name_of, .context = &tags};
    for (size_t i = 0; i < count; i++) {
        struct buf frames = {0};
        struct query_frame frame;
        serve(indexers[i], query, &frames);
        struct span rest = buf_span(&frames);
        while (query_frame_get(&rest, &frame) == 0) {
            assert_int_not_equal(frame.kind, QUERY_FRAME_FAULT);
            if (frame.kind == QUERY_FRAME_ENTRIES) {
                assert_int_equal(query_batch_remap(frame.batch, &tags), 0);
                uint32_t picks[QUERY_BATCH_ENTRIES_MAX];
                for (size_t j = 0; j < frame.batch->count; j++) {
                    picks[j] = (uint32_t)j;
                }
                struct query_block block = like;
                block.entries = frame.batch->entries;
                block.picks = picks;
                block.count = frame.batch->count;
                assert_int_equal(query_pipeline_run(pipeline, &block), 0);
            }
            query_frame_deinit(&frame);
        }
        buf_deinit(&frames);
    }
    assert_int_equal(query_pipeline_finish(pipeline, &like, sink, &out), 0);
    query_pipeline_free(&pipeline);
    query_tags_deinit(&tags);
    query_free(&query);
    return buf_take(&out);
}

/* Looks at every row once for each group: slow and plain. */
static char *evaluate(const struct row *rows, const struct asked *asked)
{
    struct buf out = {0};
    buf_append_str(&out, "");
    int step = asked->windows ? 10 : 60;
    for (int window = 60 - step; window >= 0; window -= step) {
        for (int user = 0; user < USERS; user++) {
            int64_t count = 0;
            int64_t sum = 0;
            int64_t max = INT64_MIN;
            for (size_t i = 0; i < ROWS; i++) {
                bool in = rows[i].user == user && rows[i].second / step == window / step &&
                          (asked->only < 0 || user == asked->only) && user != asked->not_this &&
                          rows[i].size > asked->above;
                count += in;
                sum += in ? rows[i].size / asked->divisor : 0;
                max = in ? MAX(max, rows[i].size / asked->divisor) : max;
            }
            if (count > 0) {
                buf_printf(&out, "u%d ", user);
                time_format(&out, BASE_NS + window * TIME_S_NS);
                buf_printf(&out, " %" PRId64 " %" PRId64 " %" PRId64 "\n", count, sum, max);
            }
        }
    }
    return buf_take(&out);
}

static void fill(struct row *rows, uint64_t *seed)
{
    for (size_t i = 0; i < ROWS; i++) {
        rows[i].user = (int)(next_random(seed) % (USERS + 1)) - 1;
        rows[i].size = (int64_t)(next_random(seed) >> 12) - (INT64_C(1) << 51);
        rows[i].second = (int)(next_random(seed) % 60);
    }
}

/* What looks like the pairs that are asked for, and is not: other keys, values, another order. */
static void print_pairs(const struct row *row, struct buf *data)
{
    char user[16] = "";
    if (row->user >= 0) {
        (void)snprintf(user, sizeof(user), row->second % 3 == 0 ? "user = u%d" : "user=u%d",
                       row->user);
    }
    buf_printf(data, "xuser=u%d at\tuser u1 ", row->second % USERS);
    buf_printf(data, row->second % 2 == 0 ? "size=%" PRId64 " %s" : "size = %" PRId64 "\t%s",
               row->size, user);
    buf_printf(data, " users=u%d usize=7 %s size=1", row->second % USERS,
               row->user >= 0 ? "user=u9" : "");
}

static void print_json(const struct row *row, struct buf *data)
{
    buf_printf(data, "{\"x\":[{\"user\":\"no\"}],\"size\":%" PRId64, row->size);
    if (row->user >= 0) {
        buf_printf(data, ", \"user\" : \"u%d\"", row->user);
    }
    buf_append_str(data, "}");
}

static void add(struct query_source_memory *indexer, const struct row *row, bool pairs)
{
    struct buf data = {0};
    if (pairs) {
        print_pairs(row, &data);
    } else {
        print_json(row, &data);
    }
    struct entry entry = {.time_ns = BASE_NS + row->second * TIME_S_NS + 5,
                          .data = buf_span(&data)};
    query_source_memory_add(indexer, "t", &entry);
    buf_deinit(&data);
}

static void compare(const struct row *rows, const struct asked *asked, size_t count, uint64_t *seed)
{
    struct query_source_memory *indexers[INDEXERS_MAX];
    size_t block_entries = 1 + next_random(seed) % 90;
    char filter[64] = "";
    for (size_t i = 0; i < count; i++) {
        indexers[i] = query_source_memory_new(block_entries, next_random(seed) % 2 == 0);
    }
    for (size_t i = 0; i < ROWS; i++) {
        add(indexers[next_random(seed) % count], &rows[i], asked->pairs);
    }
    if (asked->only >= 0) {
        (void)snprintf(filter, sizeof(filter), "user==u%d", asked->only);
    } else {
        (void)snprintf(filter, sizeof(filter), "user!=u%d", asked->not_this);
    }
    char *above = asked->above == INT64_MIN
                      ? mem_strdup("")
                      : mem_printf("| (size > %" PRId64 " && has(size))", asked->above);
    char *divide = asked->divisor == 1 ? mem_strdup("")
                                       : mem_printf("| eval size = size / %d;", asked->divisor);
    char *query = mem_printf(
        "tag=t %s %s size %s %s | stats count sum(size) max(size) by user %s | "
        "table -nt user count sum max",
        asked->pairs ? "kv" : "json", filter, above, divide, asked->windows ? "over 10s" : "");
    char *got = search(indexers, count, query, print);
    char *want = evaluate(rows, asked);
    if (strcmp(got, want) != 0) {
        fail_msg("AQUIFER_SEED=%" PRIu64 ": %s, %zu indexers, blocks of %zu:\n%sinstead of\n%s",
                 asked->round, query, count, block_entries, got, want);
    }
    mem_free(got);
    mem_free(want);
    mem_free(query);
    mem_free(above);
    mem_free(divide);
    for (size_t i = 0; i < count; i++) {
        query_source_memory_free(&indexers[i]);
    }
}

/* ── top, bottom, and what is made of texts on the way ───────────────────────────────────── */

struct ordered {
    uint64_t round;
    bool smallest;
    size_t most;
    int64_t above; /* of the size without its sign */
};

/* "user-size" a row, as written by printf, there and back through base64 and hexadecimal. */
static int print_texts(void *context, const struct query_block *block)
{
    for (size_t i = 0; i < block->count; i++) {
        (void)query_value_text(block, block->picks[i], SPAN_LIT("text"), context);
        buf_append_byte(context, '\n');
    }
    return 0;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = ((const struct row *)a)->size;
    int64_t y = ((const struct row *)b)->size;
    return x < y ? -1 : x > y;
}

static char *evaluate_ordered(const struct row *rows, const struct ordered *asked)
{
    struct row sorted[ROWS];
    struct buf out = {0};
    size_t given = 0;
    memcpy(sorted, rows, sizeof(sorted));
    qsort(sorted, ROWS, sizeof(sorted[0]), by_size);
    buf_append_str(&out, "");
    for (size_t i = 0; i < ROWS && given < asked->most; i++) {
        const struct row *row = &sorted[asked->smallest ? i : ROWS - 1 - i];
        if (llabs(row->size) > asked->above && row->user >= 0) {
            buf_printf(&out, "u%d-%" PRId64 "\n", row->user, row->size);
            given++;
        }
    }
    return buf_take(&out);
}

static void compare_ordered(const struct row *rows, const struct ordered *asked, size_t count,
                            uint64_t *seed)
{
    struct query_source_memory *indexers[INDEXERS_MAX];
    for (size_t i = 0; i < count; i++) {
        indexers[i] =
            query_source_memory_new(1 + next_random(seed) % 90, next_random(seed) % 2 == 0);
    }
    for (size_t i = 0; i < ROWS; i++) {
        add(indexers[next_random(seed) % count], &rows[i], false);
    }
    char *query = mem_printf(
        "tag=t json user size | require user | abs size as a | (a > %" PRId64 ") | printf -e text "
        "\"%%s-%%s  \" user size | base64 text | hexlify text | hexlify -d text | base64 -d text | "
        "trimspace text | %s -n %zu size | table text",
        asked->above, asked->smallest ? "bottom" : "top", asked->most);
    char *got = search(indexers, count, query, print_texts);
    char *want = evaluate_ordered(rows, asked);
    if (strcmp(got, want) != 0) {
        fail_msg("AQUIFER_SEED=%" PRIu64 ": %s, %zu indexers:\n%sinstead of\n%s", asked->round,
                 query, count, got, want);
    }
    mem_free(got);
    mem_free(want);
    mem_free(query);
    for (size_t i = 0; i < count; i++) {
        query_source_memory_free(&indexers[i]);
    }
}

static void any_spread_gives_the_largest_and_the_smallest(void **unused)
{
    (void)unused;
    static const size_t counts[] = {1, 2, 7};
    struct row rows[ROWS];
    for (uint64_t round = first_round(); round < last_round(); round++) {
        uint64_t seed = (round + 1) * 0x70B;
        fill(rows, &seed);
        struct ordered asked = {.round = round,
                                .smallest = next_random(&seed) % 2 == 0,
                                .most = 1 + next_random(&seed) % ROWS,
                                .above = (int64_t)(next_random(&seed) >> 14)};
        for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
            compare_ordered(rows, &asked, counts[i], &seed);
        }
    }
}

static void any_spread_gives_what_a_simple_evaluator_finds(void **unused)
{
    (void)unused;
    static const size_t counts[] = {1, 2, 7};
    struct row rows[ROWS];
    for (uint64_t round = first_round(); round < last_round(); round++) {
        uint64_t seed = (round + 1) * 0x5EED6;
        fill(rows, &seed);
        struct asked asked = {.round = round,
                              .only = (int)(next_random(&seed) % (USERS + 2)) - 2,
                              .not_this = -1,
                              .windows = next_random(&seed) % 2 == 0,
                              .above = INT64_MIN,
                              .divisor = 1 + (int)(next_random(&seed) % 3)};
        if (next_random(&seed) % 2 == 0) {
            asked.above = (int64_t)(next_random(&seed) >> 12) - (INT64_C(1) << 51);
        }
        asked.pairs = next_random(&seed) % 2 == 0;
        asked.not_this = asked.only < 0 ? (int)(next_random(&seed) % USERS) : -1;
        for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
            compare(rows, &asked, counts[i], &seed);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_spread_gives_what_a_simple_evaluator_finds),
        cmocka_unit_test(any_spread_gives_the_largest_and_the_smallest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
