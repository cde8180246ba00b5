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

/* A result as text, of the values in this order, or the other way round. */
static char *of_texts(enum aggregate_op op, const char *const *texts, size_t count, bool backwards)
{
    struct aggregate state = {0};
    struct query_value value;
    struct buf text = {0};
    for (size_t i = 0; i < count; i++) {
        value = query_value_of_text(span_of_str(texts[backwards ? count - 1 - i : i]));
        value.type = i % 2 == 0 ? QUERY_VALUE_BYTES : QUERY_VALUE_TEXT;
        (void)aggregate_add(&state, op, &value);
    }
    buf_append_str(&text, "");
    if (aggregate_result(&state, op, &value)) {
        query_value_put_text(&value, &text);
    }
    aggregate_deinit(&state);
    return buf_take(&text);
}

static void expect(enum aggregate_op op, const char *const *texts, size_t count, const char *want)
{
    for (size_t backwards = 0; backwards < 2; backwards++) {
        char *got = of_texts(op, texts, count, backwards == 1);
        assert_string_equal(got, want);
        mem_free(got);
    }
}

static void what_is_too_large_to_be_added_is_skipped_in_any_order(void **unused)
{
    (void)unused;
    static const char *const large[] = {"1e308", "5", "1.7e308", "1e308", "-1e308", "7"};
    expect(AGGREGATE_SUM, large, ARRAY_COUNT(large), "12");
    expect(AGGREGATE_MEAN, large, ARRAY_COUNT(large), "6");
    expect(AGGREGATE_STDDEV, large, ARRAY_COUNT(large), "1");
    expect(AGGREGATE_MAX, large, ARRAY_COUNT(large), "1.7e+308");
    static const char *const squares[] = {"1e200", "5", "-1e160", "7"};
    expect(AGGREGATE_VARIANCE, squares, ARRAY_COUNT(squares), "1");
}

static void numbers_that_are_equal_are_one_however_they_are_written(void **unused)
{
    (void)unused;
    static const char *const whole[] = {"1e15", "1000000000000000", "1000000000000000.0"};
    expect(AGGREGATE_MAX, whole, ARRAY_COUNT(whole), "1000000000000000");
    static const char *const zeros[] = {"-0.0", "0", "0.0", "-0"};
    expect(AGGREGATE_MIN, zeros, ARRAY_COUNT(zeros), "0");
    expect(AGGREGATE_SUM, zeros, 1, "0");
    static const char *const addresses[] = {"9.0.0.1", "10.0.0.1", "::ffff:10.0.0.1"};
    expect(AGGREGATE_MAX, addresses, ARRAY_COUNT(addresses), "10.0.0.1");
}

static void the_largest_is_that_of_the_numbers(void **unused)
{
    (void)unused;
    static const char *const sizes[] = {"-", "512", "", "99", "10.0.0.1", "n/a"};
    expect(AGGREGATE_MAX, sizes, ARRAY_COUNT(sizes), "512");
    expect(AGGREGATE_MIN, sizes, ARRAY_COUNT(sizes), "99");
    expect(AGGREGATE_MAX, sizes, 1, "-");
    static const char *const ids[] = {"beef", "dead", "10.0.0", "face", "0x10000000000000000"};
    expect(AGGREGATE_MAX, ids, ARRAY_COUNT(ids), "face");
    expect(AGGREGATE_MIN, ids, ARRAY_COUNT(ids), "0x10000000000000000");
}

/* Nanoseconds since 1970 are that large: their squares have 122 bits. */
static void the_deviation_of_large_integers_is_exact(void **unused)
{
    (void)unused;
    static const char *const times[] = {"1767355200000000001", "1767355200000000003",
                                        "1767355200000000005", "1767355200000000007"};
    expect(AGGREGATE_VARIANCE, times, ARRAY_COUNT(times), "5");
}

static void texts_that_are_held_are_counted(void **unused)
{
    (void)unused;
    struct aggregate state = {0};
    struct query_value value = query_value_of_text(SPAN_LIT("some"));
    assert_int_equal(aggregate_add(&state, AGGREGATE_MAX, &value), 4);
    value = query_value_of_text(SPAN_LIT("sun"));
    assert_int_equal(aggregate_add(&state, AGGREGATE_MAX, &value), -1);
    value = query_value_of_text(SPAN_LIT("a much longer text"));
    assert_int_equal(aggregate_add(&state, AGGREGATE_MAX, &value), 0);
    aggregate_deinit(&state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_do_not_depend_on_how_values_are_spread),
        cmocka_unit_test(sums_are_exact),
        cmocka_unit_test(sums_of_integers_are_exact_beyond_what_an_integer_holds),
        cmocka_unit_test(what_is_too_large_to_be_added_is_skipped_in_any_order),
        cmocka_unit_test(numbers_that_are_equal_are_one_however_they_are_written),
        cmocka_unit_test(the_largest_is_that_of_the_numbers),
        cmocka_unit_test(the_deviation_of_large_integers_is_exact),
        cmocka_unit_test(texts_that_are_held_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
