/* Histograms: every entry is counted once, whatever the folding. */
#include "query/stats.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/time.h"

#include <setjmp.h>

#include <cmocka.h>

static uint64_t sum(const struct query_bucket *buckets, size_t count)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += buckets[i].count;
    }
    return total;
}

/* Ranges from one second to all of time; random entries; no fold loses or doubles one. */
static void folding_keeps_every_count(void **state)
{
    (void)state;
    static const struct {
        int64_t start_ns, end_ns;
    } ranges[] = {{0, TIME_S_NS},
                  {-5 * TIME_S_NS, 5 * TIME_S_NS},
                  {0, TIME_HOUR_NS * 24 * 365},
                  {TIME_MIN_NS, TIME_MAX_NS}};
    srandom(3);
    for (size_t r = 0; r < ARRAY_COUNT(ranges); r++) {
        struct query_histogram histogram;
        query_histogram_init(&histogram, ranges[r].start_ns, ranges[r].end_ns);
        uint64_t range = (uint64_t)ranges[r].end_ns - (uint64_t)ranges[r].start_ns;
        for (size_t i = 0; i < 1000; i++) {
            uint64_t offset = ((uint64_t)random() << 33 ^ (uint64_t)random()) % range;
            int64_t time_ns = (int64_t)((uint64_t)ranges[r].start_ns + offset);
            query_histogram_add(&histogram, time_ns, 2);
        }
        query_histogram_add(&histogram, ranges[r].end_ns, 2); /* outside: not counted */
        assert_true(histogram.last - histogram.first < QUERY_HISTOGRAM_BUCKETS_MAX);
        static struct query_bucket buckets[5000];
        for (size_t count = 1; count <= 5000; count = count * 3 + 1) {
            query_histogram_fold(&histogram, ranges[r].start_ns, ranges[r].end_ns, count, buckets);
            assert_int_equal(sum(buckets, count), 1000);
        }
        query_histogram_deinit(&histogram);
    }
}

/* A window gets what begins in it; an empty one gets nothing. */
static void a_window_counts_its_own(void **state)
{
    (void)state;
    struct query_histogram histogram;
    struct query_bucket buckets[2];
    query_histogram_init(&histogram, 0, 100 * TIME_S_NS);
    for (int64_t i = 0; i < 100; i++) {
        query_histogram_add(&histogram, i * TIME_S_NS, 1);
    }
    query_histogram_fold(&histogram, 20 * TIME_S_NS, 40 * TIME_S_NS, 2, buckets);
    assert_int_equal(buckets[0].count, 10);
    assert_int_equal(buckets[1].count, 10);
    query_histogram_fold(&histogram, 40 * TIME_S_NS, 20 * TIME_S_NS, 2, buckets);
    assert_int_equal(sum(buckets, 2), 0);
    query_histogram_deinit(&histogram);
}

/* A day of 2015, newest first, in a search over all of time: a window of it shows its minutes. */
static void what_is_there_decides_how_fine_it_is(void **state)
{
    (void)state;
    struct query_histogram histogram;
    static struct query_bucket minutes[24 * 60];
    query_histogram_init(&histogram, TIME_MIN_NS, TIME_MAX_NS);
    int64_t day_ns = INT64_C(1431820800) * TIME_S_NS;
    for (int64_t minute = 24 * 60 - 1; minute >= 0; minute--) {
        for (int64_t i = 0; i <= minute % 3; i++) {
            query_histogram_add(&histogram, day_ns + minute * 60 * TIME_S_NS, 1);
        }
    }
    query_histogram_fold(&histogram, day_ns, day_ns + 24 * TIME_HOUR_NS, ARRAY_COUNT(minutes),
                         minutes);
    for (size_t minute = 0; minute < ARRAY_COUNT(minutes); minute++) {
        assert_int_equal(minutes[minute].count, minute % 3 + 1);
    }
    query_histogram_deinit(&histogram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folding_keeps_every_count),
        cmocka_unit_test(a_window_counts_its_own),
        cmocka_unit_test(what_is_there_decides_how_fine_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
