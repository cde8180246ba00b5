/* Metrics: the text is what Prometheus reads, counts are exact under threads. */
#include "service/metrics.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_printed(const char *expected)
{
    struct buf text = {0};
    metrics_text(&text);
    if (strstr(buf_str(&text), expected) == NULL) {
        fail_msg("not printed: %s\nbut: %s", expected, buf_str(&text));
    }
    buf_deinit(&text);
}

static void assert_not_printed(const char *expected)
{
    struct buf text = {0};
    metrics_text(&text);
    assert_null(strstr(buf_str(&text), expected));
    buf_deinit(&text);
}

static void counters_and_gauges_are_printed_with_help_and_type_once(void **state)
{
    (void)state;
    metric_add(metric_counter("t_lines_total", "lines", "kind=\"b\""), 3);
    metric_add(metric_counter("t_lines_total", "lines", "kind=\"a\""), 2);
    metric_set(metric_gauge("t_level", "a level", NULL), -5);
    metric_move(metric_gauge("t_level", "a level", NULL), -2);
    assert_printed("# HELP t_lines_total lines\n# TYPE t_lines_total counter\n"
                   "t_lines_total{kind=\"a\"} 2\nt_lines_total{kind=\"b\"} 3\n");
    assert_printed("# HELP t_level a level\n# TYPE t_level gauge\nt_level -7\n");
}

static void asking_again_gives_the_same_metric(void **state)
{
    (void)state;
    struct metric *metric = metric_counter("t_same_total", "x", "a=\"1\"");
    assert_ptr_equal(metric_counter("t_same_total", "x", "a=\"1\""), metric);
    assert_ptr_not_equal(metric_counter("t_same_total", "x", "a=\"2\""), metric);
}

static void a_histogram_is_cumulative_and_ends_in_inf(void **state)
{
    (void)state;
    static const double bounds[] = {0.5, 1, 10};
    struct metric *metric = metric_histogram("t_wait_seconds", "waiting", "q=\"x\"", bounds, 3);
    static const double values[] = {0.25, 0.5, 0.75, 5, 100};
    for (size_t i = 0; i < 5; i++) {
        metric_observe(metric, values[i]);
    }
    assert_printed("# TYPE t_wait_seconds histogram\n"
                   "t_wait_seconds_bucket{q=\"x\",le=\"0.5\"} 2\n"
                   "t_wait_seconds_bucket{q=\"x\",le=\"1\"} 3\n"
                   "t_wait_seconds_bucket{q=\"x\",le=\"10\"} 4\n"
                   "t_wait_seconds_bucket{q=\"x\",le=\"+Inf\"} 5\n"
                   "t_wait_seconds_sum{q=\"x\"} 106.5\n"
                   "t_wait_seconds_count{q=\"x\"} 5\n");
}

static double read_context(void *context)
{
    return *(double *)context;
}

static void a_metric_that_is_asked_prints_the_present_value_until_forgotten(void **state)
{
    (void)state;
    double value = 1.25;
    metric_gauge_call("t_asked", "asked", NULL, read_context, &value);
    assert_printed("t_asked 1.25\n");
    value = NAN;
    assert_printed("t_asked NaN\n");
    metric_forget(&value);
    assert_not_printed("t_asked");
}

static void *count_many(void *context)
{
    (void)context;
    for (int i = 0; i < 20000; i++) {
        metric_add(metric_counter("t_many_total", "many", NULL), 1);
        metric_observe(metric_histogram("t_many_seconds", "many", NULL, NULL, 0), 0.5);
    }
    return NULL;
}

static void nothing_is_lost_when_threads_count_at_once(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_many, NULL), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_printed("t_many_total 80000\n");
    assert_printed("t_many_seconds_sum 40000\nt_many_seconds_count 80000\n");
}

/* Last: it fills the table for good. */
static void above_the_bound_metrics_count_into_nothing(void **state)
{
    (void)state;
    struct metric *last = NULL;
    for (int i = 0; i < METRICS_MAX + 10; i++) {
        char labels[32];
        (void)snprintf(labels, sizeof(labels), "n=\"%d\"", i);
        last = metric_counter("t_flood_total", "flood", labels);
        metric_add(last, 1);
    }
    assert_not_printed("n=\"4105\"");
    assert_printed("t_flood_total{n=\"4000\"} 1\n");
    metric_observe(metric_histogram("t_flood_seconds", "flood", NULL, NULL, 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges_are_printed_with_help_and_type_once),
        cmocka_unit_test(asking_again_gives_the_same_metric),
        cmocka_unit_test(a_histogram_is_cumulative_and_ends_in_inf),
        cmocka_unit_test(a_metric_that_is_asked_prints_the_present_value_until_forgotten),
        cmocka_unit_test(nothing_is_lost_when_threads_count_at_once),
        cmocka_unit_test(above_the_bound_metrics_count_into_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
