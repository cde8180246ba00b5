/*
 * A chart over all time has windows as narrow as its entries permit, whatever the range asked, the
 * number of indexers, the blocks and the memory: against windows made by looking at all entries.
 */
#include "query/modules_testing.h"

#include "query/stats.h"

#define ROWS 1500
#define WINDOWS_MAX 400
#define MEMORY_BYTES 60000
#define SERIES_MEMORY_BYTES 700000 /* what is shown of a chart has to fit */
#define MEMORY_ENOUGH (UINT64_C(1) << 28)

static char directory[] = "/tmp/windows-test-XXXXXX";

/* Seconds since the base: dense at first, then rare, seven years in all; or every second. */
static int64_t second_of(int64_t i, bool rare)
{
    return rare ? i * i * 97 : i;
}

static char *run_query(const char *query, bool rare, size_t count, size_t block_entries,
                       uint64_t memory)
{
    struct query_scratch_options options = {.io = io_real(),
                                            .path = directory,
                                            .memory_bytes_max = memory,
                                            .file_bytes_max = UINT64_MAX};
    struct query_source_memory *indexers[INDEXERS_MAX];
    struct buf out = {0};
    for (size_t i = 0; i < count; i++) {
        indexers[i] = query_source_memory_new(block_entries, false);
    }
    for (int64_t i = 0; i < ROWS; i++) {
        struct buf data = {0};
        buf_printf(&data, "{\"n\":%lld,\"k\":\"%lld\"}", (long long)i, (long long)(i % 5));
        struct entry entry = {.time_ns = BASE_NS + second_of(i, rare) * TIME_S_NS,
                              .data = buf_span(&data)};
        query_source_memory_add(indexers[(size_t)(i * 7 / 3) % count], "t", &entry);
        buf_deinit(&data);
    }
    test_scratch = query_scratch_new(&options);
    (void)search(indexers, count, query, &out);
    query_scratch_free(&test_scratch);
    for (size_t i = 0; i < count; i++) {
        query_source_memory_free(&indexers[i]);
    }
    return buf_take(&out);
}

static void expect_chart(const char *query, bool rare, uint64_t memory, const char *want)
{
    static const size_t counts[] = {1, 2, 7};
    static const size_t blocks[] = {1000, 1, 37};
    for (size_t i = 0; i < 2 * ARRAY_COUNT(counts); i++) {
        char *got = run_query(query, rare, counts[i / 2], blocks[i / 2],
                              i % 2 == 0 ? memory : MEMORY_ENOUGH);
        if (strcmp(got, want) != 0) {
            fail_msg("%s, %zu indexers:\n%.1500s\ninstead of\n%.1500s", query, counts[i / 2], got,
                     want);
        }
        mem_free(got);
    }
}

/* Its entries by windows of this width: their number, or their mean. */
static char *evaluate(bool rare, int64_t width_s, bool mean)
{
    struct buf out = {0};
    int64_t base_s = BASE_NS / TIME_S_NS;
    buf_printf(&out, "{\"Names\":[\"%s\"],\"Values\":[", mean ? "mean" : "count");
    for (int64_t i = 0, count = 0; i < ROWS; i += count) {
        int64_t window = (base_s + second_of(i, rare)) / width_s;
        int64_t sum = 0;
        for (count = 0;
             i + count < ROWS && (base_s + second_of(i + count, rare)) / width_s == window;
             count++) {
            sum += i + count;
        }
        buf_append_str(&out, i > 0 ? ",{\"TS\":\"" : "{\"TS\":\"");
        time_format(&out, window * width_s * TIME_S_NS);
        buf_printf(&out, "\",\"Data\":[%g]}", mean ? (double)sum / (double)count : (double)count);
    }
    buf_append_str(&out, "]}\n");
    return buf_take(&out);
}

static void windows_are_as_narrow_as_the_entries_permit(void **unused)
{
    (void)unused;
    int64_t base_s = BASE_NS / TIME_S_NS;
    int64_t width_s = 1;
    while ((base_s + second_of(ROWS - 1, true)) / width_s - base_s / width_s >= WINDOWS_MAX) {
        width_s = query_histogram_wider_s(width_s);
    }
    assert_int_equal(width_s, 691200); /* eight days of seven years, asked over a hundred */
    char *want = evaluate(true, width_s, false);
    expect_chart("tag=t stats count | chart count", true, MEMORY_BYTES, want);
    mem_free(want);
}

/* The mean of what a wide window has, never a sum of means. */
static void too_many_windows_become_wider_ones(void **unused)
{
    (void)unused;
    char *want = evaluate(false, 2, true);
    expect_chart("tag=t json n | stats mean(n) over 1s | chart mean", false, MEMORY_BYTES, want);
    mem_free(want);
}

static void series_by_keys_are_the_same_over_any_spread(void **unused)
{
    (void)unused;
    static const char query[] =
        "tag=t json n k | stats sum(n) by k mean(n) as all | chart sum all by k limit 2";
    char *want = run_query(query, true, 1, 100, MEMORY_ENOUGH);
    expect_chart(query, true, SERIES_MEMORY_BYTES, want);
    mem_free(want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_as_narrow_as_the_entries_permit),
        cmocka_unit_test(too_many_windows_become_wider_ones),
        cmocka_unit_test(series_by_keys_are_the_same_over_any_spread),
    };
    test_options.end_ns = INT64_C(4102444800) * TIME_S_NS; /* to 2100 */
    test_options.start_ns = 0;                             /* 1970 */
    assert_non_null(mkdtemp(directory));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)!io_remove_dir(io_real(), directory);
    return failed;
}
