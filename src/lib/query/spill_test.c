/*
 * Whatever memory a search has, and however its entries are spread over indexers and blocks, the
 * result is the same, to the byte: every condensing module over generated entries, with so little
 * memory that all of them have to move what they hold into files, against a run without bounds.
 */
#include "query/modules_testing.h"

#include "query/aggregate.h"

#define ROWS 1500
#define MEMORY_BYTES 6000
#define CHART_MEMORY_BYTES 400000 /* what is shown of a chart has to fit */

static char directory[] = "/tmp/spill-test-XXXXXX";

static const char *const queries[] = {
    "json k n | stats count sum(n) mean(n) min(n) max(n) stddev(n) unique_count(n) by k | table",
    "json k n | stats count max(n) by k over 10s | table -nt",
    "json k n g | stats count by k g, sum(n) by g, unique_count(k) as all | table",
    "json k n | stats count by k | chart count by k limit 3",
    "json k n | stats sum(n) by k over 5s | chart sum by k limit 4",
    "json k n g | stats sum(n) by k g, count(n) by g | chart sum count by k g limit 3",
    "json k n | stats count by k | sort by count desc | limit 7 | table",
    "json k n | count by k | table k count",
    "json k n | unique_count n by k | table",
    "json k n | sort by n asc | table n k",
    "json k n | sort by k desc | table n k",
    "json k n | sort by missing | table n k",
    "json k n g | eval if (n % 3 == 0) { part = g; } | sort by part | table n k part",
    "json k | unique k | table k",
    "json k n | unique k n over 10s | table k n",
    "json k n | sort by n desc | unique k | table k n",
    "unique | table DATA",
    "json k | unique k | stats count | table count",
};

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* All of one second stand in one indexer: where entries of equal time stand in several, their order
 * is that of the indexers. */
static void fill(struct query_source_memory **indexers, size_t count)
{
    uint64_t seed = 0xA9u;
    for (size_t i = 0; i < ROWS; i++) {
        struct buf data = {0};
        size_t second = i * 60 / ROWS;
        buf_printf(&data, "{\"k\":\"%s%llu\",\"n\":%lld,\"g\":\"g%llu\"}", i % 3 == 0 ? "" : "key",
                   (unsigned long long)(next_random(&seed) % 400),
                   (long long)(next_random(&seed) % 2000) - 1000,
                   (unsigned long long)(next_random(&seed) % 5));
        struct entry entry = {.time_ns = BASE_NS + (int64_t)second * TIME_S_NS + (int64_t)i,
                              .data = buf_span(&data)};
        query_source_memory_add(indexers[second % count], "t", &entry);
        buf_deinit(&data);
    }
}

static char *run_query(const char *text, size_t count, size_t block_entries)
{
    struct query_source_memory *indexers[INDEXERS_MAX];
    struct buf out = {0};
    for (size_t i = 0; i < count; i++) {
        indexers[i] = query_source_memory_new(block_entries, false);
    }
    fill(indexers, count);
    char *query = mem_printf("tag=t %s", text);
    (void)search(indexers, count, query, &out);
    mem_free(query);
    for (size_t i = 0; i < count; i++) {
        query_source_memory_free(&indexers[i]);
    }
    char *all = buf_take(&out);
    bool chart = strstr(text, "chart") != NULL;
    char *rows = chart ? mem_strdup(all) : cells(span_of_str(all), false);
    mem_free(all);
    return rows;
}

static char *run_within(uint64_t memory, const char *text, size_t count, size_t block_entries)
{
    struct query_scratch_options options = {.io = io_real(),
                                            .path = directory,
                                            .memory_bytes_max = memory,
                                            .file_bytes_max = UINT64_MAX};
    test_scratch = query_scratch_new(&options);
    char *rows = run_query(text, count, block_entries);
    if (query_scratch_written(test_scratch) == 0) {
        fail_msg("%s, %zu indexers: nothing was moved into a file", text, count);
    }
    query_scratch_free(&test_scratch);
    return rows;
}

static void little_memory_and_any_spread_give_the_same(void **unused)
{
    (void)unused;
    static const size_t counts[] = {1, 2, 7};
    static const size_t blocks[] = {1, 37, 1000};
    for (size_t q = 0; q < ARRAY_COUNT(queries); q++) {
        char *want = run_query(queries[q], 1, 100);
        assert_true(strlen(want) > 1);
        for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
            bool chart = strstr(queries[q], "chart") != NULL;
            char *got = run_within(chart ? CHART_MEMORY_BYTES : MEMORY_BYTES, queries[q], counts[i],
                                   blocks[(i + q) % 3]);
            if (strcmp(got, want) != 0) {
                fail_msg("%s, %zu indexers:\n%.2000s\ninstead of\n%.2000s", queries[q], counts[i],
                         got, want);
            }
            mem_free(got);
        }
        mem_free(want);
    }
}

/* ── Bounds that are reached ─────────────────────────────────────────────────────────────── */

static int run_to_fault(const char *text, uint64_t memory, uint64_t files)
{
    struct query_scratch_options options = {
        .io = io_real(), .path = directory, .memory_bytes_max = memory, .file_bytes_max = files};
    struct query_scratch *scratch = query_scratch_new(&options);
    struct query_source_memory *indexer = query_source_memory_new(100, false);
    struct query *query = NULL;
    struct query_error error;
    struct query_serve *serving = NULL;
    struct query_pipeline *pipeline = NULL;
    struct query_tags tags = {0};
    struct buf frames = {0};
    fill(&indexer, 1);
    assert_int_equal(query_parse(span_of_str(text), &test_options, &query, &error), 0);
    struct query_request request = {.query = query->effective,
                                    .start_ns = query->start_ns,
                                    .end_ns = query->end_ns,
                                    .stages = query->collapse,
                                    .entries_max = UINT64_MAX};
    char *body = query_request_encode(&request);
    assert_int_equal(query_serve_begin_pooled(span_of_str(body),
                                              query_source_memory_source(indexer), BASE_NS, NULL,
                                              scratch, &serving),
                     0);
    int rc = query_serve_run(serving, NULL, collect, &frames);
    assert_int_equal(query_pipeline_new_part(query, QUERY_PART_WEBSERVER, &pipeline), 0);
    query_pipeline_lend(pipeline, scratch);
    struct span rest = buf_span(&frames);
    struct query_frame frame;
    while (rc == 0 && query_frame_get(&rest, &frame) == 0) {
        if (frame.kind != QUERY_FRAME_ENTRIES) {
            continue;
        }
        uint32_t picks[QUERY_BATCH_ENTRIES_MAX];
        for (size_t i = 0; i < frame.batch->count; i++) {
            picks[i] = (uint32_t)i;
        }
        assert_int_equal(query_batch_remap(frame.batch, &tags), 0);
        struct query_block block = {.entries = frame.batch->entries,
                                    .picks = picks,
                                    .count = frame.batch->count,
                                    .tag_name = name_of,
                                    .context = &tags};
        rc = query_pipeline_run(pipeline, &block);
        query_frame_deinit(&frame);
    }
    query_pipeline_free(&pipeline);
    query_serve_free(&serving);
    query_scratch_free(&scratch);
    query_source_memory_free(&indexer);
    query_tags_deinit(&tags);
    query_free(&query);
    buf_deinit(&frames);
    mem_free(body);
    return rc;
}

static void a_bound_that_is_reached_is_named(void **unused)
{
    (void)unused;
    static const struct {
        const char *query;
        uint64_t files;
        const char *key;
    } cases[] = {
        {"tag=t json k | stats count by k", 2000, "Search-Scratch-Limit"},
        {"tag=t json k n | sort by n", 2000, "Search-Scratch-Limit"},
        {"tag=t json k n | unique k n", 2000, "Search-Scratch-Limit"},
        {"tag=t json k n | stats -maxtracked 10 count by k", 1 << 30, "-maxtracked"},
        {"tag=t json k n | unique -maxtracked 10 k n", 1 << 30, "-maxtracked"},
        {"tag=t json k n | first k n", 1 << 30, "Max-Search-Memory-MB"},
        {"tag=t json k n | limit 5 by k n", 1 << 30, "Max-Search-Memory-MB"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        if (run_to_fault(cases[i].query, 3000, cases[i].files) != ERR_TOO_LARGE) {
            fail_msg("%s: no fault", cases[i].query);
        }
        if (strstr(err_text(), cases[i].key) == NULL) {
            fail_msg("%s: '%s' does not name %s", cases[i].query, err_text(), cases[i].key);
        }
    }
}

/* ── Estimates ───────────────────────────────────────────────────────────────────────────── */

static void note(void *context, const char *text)
{
    buf_append_str(context, text);
}

static void an_estimate_says_that_it_is_one(void **unused)
{
    (void)unused;
    static const size_t counts[] = {DISTINCT_EXACT_MAX, DISTINCT_EXACT_MAX + 1};
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        struct query *query = NULL;
        struct query_error error;
        struct query_pipeline *pipeline = NULL;
        struct query_source_memory *indexer = query_source_memory_new(1000, false);
        struct run run = {.out = &(struct buf){0}};
        struct buf said = {0};
        const char *text = "tag=t stats unique_count(DATA) as n | table n";
        assert_int_equal(query_parse(span_of_str(text), &test_options, &query, &error), 0);
        assert_int_equal(query_pipeline_new(query, 0, query->stage_count, &pipeline), 0);
        for (size_t j = 0; j < counts[i]; j++) {
            uint32_t pick = 0;
            struct entry entry = {.data = span_of(&j, sizeof(j))};
            struct query_block block = {.entries = &entry,
                                        .picks = &pick,
                                        .count = 1,
                                        .tag_name = name_of,
                                        .context = &run.tags};
            assert_int_equal(query_pipeline_run(pipeline, &block), 0);
        }
        struct query_block like = {.tag_name = name_of, .context = &run.tags};
        run.query = query;
        assert_int_equal(query_pipeline_finish(pipeline, &like, print, &run), 0);
        query_pipeline_remarks(pipeline, note, &said);
        assert_int_equal(strstr(buf_str(&said), "estimate") != NULL, i == 1);
        query_pipeline_free(&pipeline);
        query_source_memory_free(&indexer);
        query_free(&query);
        buf_deinit(run.out);
        buf_deinit(&said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(little_memory_and_any_spread_give_the_same),
        cmocka_unit_test(a_bound_that_is_reached_is_named),
        cmocka_unit_test(an_estimate_says_that_it_is_one),
    };
    if (mkdtemp(directory) == NULL) {
        return 1;
    }
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    (void)!io_remove_dir(io_real(), directory);
    return rc;
}
