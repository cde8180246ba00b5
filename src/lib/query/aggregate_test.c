/*
 * Results do not depend on order or on how values are spread over states that are merged: random
 * values of very different size, cut in random ways, give the same bits.
 */
#include "query/aggregate.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define VALUES 300

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void merge(struct aggregate *into, enum aggregate_op op, const struct aggregate *from)
{
    struct buf buf = {0};
    aggregate_put(from, op, &buf);
    struct wire_reader reader = wire_reader_of(buf_span(&buf));
    (void)aggregate_take(into, op, &reader);
    assert_int_equal(wire_finish(&reader), 0);
    buf_deinit(&buf);
}

/* The values, dealt out to `parts` states and merged backwards. */
static char *result(enum aggregate_op op, const struct query_value *values, size_t parts,
                    uint64_t seed)
{
    struct aggregate states[8] = {{0}};
    for (size_t i = 0; i < VALUES; i++) {
        size_t at = parts == 1 ? i : VALUES - 1 - i;
        (void)aggregate_add(&states[next_random(&seed) % parts], op, &values[at]);
    }
    for (size_t i = parts - 1; i > 0; i--) {
        merge(&states[0], op, &states[i]);
    }
    struct query_value value;
    struct buf text = {0};
    assert_true(aggregate_result(&states[0], op, &value));
    query_value_put_text(&value, &text);
    for (size_t i = 0; i < parts; i++) {
        aggregate_deinit(&states[i]);
    }
    return buf_take(&text);
}

static void results_do_not_depend_on_how_values_are_spread(void **unused)
{
    (void)unused;
    uint64_t seed = 20260102;
    struct query_value values[VALUES];
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < VALUES; i++) {
            double real = ((double)(next_random(&seed) % 2000001) - 1000000) / 7;
            double scale = (double)(UINT64_C(1) << (next_random(&seed) % 60));
            bool whole = next_random(&seed) % 3 == 0;
            values[i] = whole ? query_value_of_i64((int64_t)next_random(&seed) >> 8)
                              : query_value_of_f64(round % 2 == 0 ? real * scale : real / scale);
        }
        for (enum aggregate_op op = AGGREGATE_COUNT; op <= AGGREGATE_UNIQUE_COUNT; op++) {
            char *one = result(op, values, 1, seed);
            for (size_t parts = 2; parts <= 7; parts += 5) {
                char *many = result(op, values, parts, seed);
                if (strcmp(one, many) != 0) {
                    fail_msg("%s of %zu parts: %s, not %s", aggregate_name(op), parts, many, one);
                }
                mem_free(many);
            }
            mem_free(one);
        }
    }
}

static void sums_are_exact(void **unused)
{
    (void)unused;
    struct aggregate sum = {0};
    struct query_value value;
    static const double reals[] = {1e100, 1, -1e100, 0.1, 0.1, 0.1, 1e16, 1, -1e16};
    for (size_t i = 0; i < ARRAY_COUNT(reals); i++) {
        value = query_value_of_f64(reals[i]);
        (void)aggregate_add(&sum, AGGREGATE_SUM, &value);
    }
    assert_true(aggregate_result(&sum, AGGREGATE_SUM, &value));
    assert_memory_equal(&value.real, &(double){2.3}, sizeof(double));
    aggregate_deinit(&sum);
    for (int64_t i = 0; i < 3; i++) {
        value = query_value_of_i64(INT64_C(9007199254740993));
        (void)aggregate_add(&sum, AGGREGATE_SUM, &value);
    }
    assert_true(aggregate_result(&sum, AGGREGATE_SUM, &value));
    assert_int_equal(value.type, QUERY_VALUE_I64);
    assert_int_equal(value.number, INT64_C(27021597764222979));
    aggregate_deinit(&sum);
}

static void sums_of_integers_are_exact_beyond_what_an_integer_holds(void **unused)
{
    (void)unused;
    struct aggregate sum = {0};
    struct aggregate variance = {0};
    struct query_value value;
    for (int64_t i = 0; i < 9; i++) { /* five up, four down */
        int64_t number = INT64_MAX / 2 - 12345;
        value = query_value_of_i64(i < 5 ? number : -number);
        (void)aggregate_add(&sum, AGGREGATE_SUM, &value);
    }
    assert_true(aggregate_result(&sum, AGGREGATE_SUM, &value));
    assert_int_equal(value.type, QUERY_VALUE_I64);
    assert_int_equal(value.number, INT64_MAX / 2 - 12345);
    for (int64_t i = 0; i < 10; i++) {
        value = query_value_of_i64(INT64_C(2999999990) + i % 2 * 20); /* around the largest root */
        (void)aggregate_add(&variance, AGGREGATE_VARIANCE, &value);
    }
    assert_true(aggregate_result(&variance, AGGREGATE_VARIANCE, &value));
    assert_memory_equal(&value.real, &(double){100}, sizeof(double));
    aggregate_deinit(&sum);
    aggregate_deinit(&variance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_do_not_depend_on_how_values_are_spread),
        cmocka_unit_test(sums_are_exact),
        cmocka_unit_test(sums_of_integers_are_exact_beyond_what_an_integer_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
