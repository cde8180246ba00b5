/*
 * Counts are exact up to the bound; beyond it they are off by no more than four standard errors;
 * however values are spread over states that are merged, the result is the same.
 */
#include "query/distinct.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void add_range(struct distinct *distinct, uint64_t first, uint64_t last)
{
    for (uint64_t i = first; i < last; i++) {
        char text[32];
        int bytes = snprintf(text, sizeof(text), "value %llu", (unsigned long long)i);
        distinct_add(distinct, span_of(text, (size_t)bytes));
    }
}

static void merge(struct distinct *to, const struct distinct *from)
{
    struct buf buf = {0};
    distinct_put(from, &buf);
    struct wire_reader reader = wire_reader_of(buf_span(&buf));
    distinct_take(to, &reader);
    assert_int_equal(wire_finish(&reader), 0);
    buf_deinit(&buf);
}

static void counts_are_exact_up_to_the_bound(void **unused)
{
    (void)unused;
    struct distinct distinct = {0};
    assert_int_equal(distinct_count(&distinct), 0);
    add_range(&distinct, 0, DISTINCT_EXACT_MAX);
    add_range(&distinct, 500, 5000);
    assert_int_equal(distinct_count(&distinct), DISTINCT_EXACT_MAX);
    assert_false(distinct_is_estimate(&distinct));
    add_range(&distinct, DISTINCT_EXACT_MAX, DISTINCT_EXACT_MAX + 1);
    assert_true(distinct_is_estimate(&distinct));
    assert_true(distinct_bytes(&distinct) <= DISTINCT_REGISTERS);
    distinct_deinit(&distinct);
}

static void estimates_are_within_their_error(void **unused)
{
    (void)unused;
    struct distinct distinct = {0};
    uint64_t done = 0;
    for (uint64_t count = 100001; count <= 1000000; count += 128571) {
        add_range(&distinct, done, count);
        done = count;
        double off = (double)distinct_count(&distinct) / (double)count - 1;
        assert_true(off > -4 * 0.0081 && off < 4 * 0.0081);
    }
    distinct_deinit(&distinct);
}

static void any_spread_gives_the_same(void **unused)
{
    (void)unused;
    static const uint64_t totals[] = {10, 99999, 100000, 100001, 150000};
    for (size_t t = 0; t < ARRAY_COUNT(totals); t++) {
        struct distinct whole = {0};
        add_range(&whole, 0, totals[t]);
        for (uint64_t parts = 2; parts <= 7; parts += 5) {
            struct distinct sum = {0};
            for (uint64_t i = parts; i-- > 0;) { /* they overlap */
                struct distinct part = {0};
                uint64_t last = MIN(totals[t], (i + 2) * totals[t] / parts);
                add_range(&part, i * totals[t] / parts, last);
                merge(&sum, &part);
                distinct_deinit(&part);
            }
            assert_int_equal(distinct_count(&sum), distinct_count(&whole));
            assert_int_equal(distinct_is_estimate(&sum), distinct_is_estimate(&whole));
            distinct_deinit(&sum);
        }
        distinct_deinit(&whole);
    }
}

static void a_broken_form_is_noticed(void **unused)
{
    (void)unused;
    static const uint8_t broken[][8] = {{0, 255, 255, 255, 255, 1, 2, 3}, {1, 3, 3, 3, 3, 3, 3, 3}};
    for (size_t i = 0; i < ARRAY_COUNT(broken); i++) {
        struct distinct distinct = {0};
        struct wire_reader reader = wire_reader_of(span_of(broken[i], sizeof(broken[i])));
        distinct_take(&distinct, &reader);
        assert_true(reader.failed);
        distinct_deinit(&distinct);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_exact_up_to_the_bound),
        cmocka_unit_test(estimates_are_within_their_error),
        cmocka_unit_test(any_spread_gives_the_same),
        cmocka_unit_test(a_broken_form_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
