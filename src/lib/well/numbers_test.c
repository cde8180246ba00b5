/*
 * Claims: what was put is got back bit for bit, whatever it is; regular sequences cost nearly
 * nothing; damaged bytes are refused or read as something, and never beyond their end.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "well/numbers.h"

#define COUNT_MAX 3000

static uint64_t state_of_random = 1;

static uint64_t any(void)
{
    state_of_random ^= state_of_random << 13;
    state_of_random ^= state_of_random >> 7;
    state_of_random ^= state_of_random << 17;
    return state_of_random;
}

static uint64_t below(uint64_t bound)
{
    return any() % bound;
}

/* Returns how many bytes it took. */
static size_t round_trip(const int64_t *values, size_t count, int zstd_level)
{
    struct numbers numbers = {.zstd_level = zstd_level};
    struct buf buf = {0};
    numbers_put(&numbers, values, count, &buf);
    uint8_t *exact = mem_dup(buf.data, buf.bytes);
    struct span rest = span_of(exact, buf.bytes);
    int64_t *back = mem_alloc_array(count + 1, sizeof(*back));
    assert_int_equal(numbers_get(&numbers, &rest, back, count), 0);
    assert_int_equal(rest.bytes, 0);
    assert_true(count == 0 || memcmp(values, back, count * sizeof(*back)) == 0);
    size_t bytes = buf.bytes;
    mem_free(exact);
    mem_free(back);
    buf_deinit(&buf);
    numbers_deinit(&numbers);
    return bytes;
}

static size_t doubles_round_trip(const double *values, size_t count, int zstd_level)
{
    struct numbers numbers = {.zstd_level = zstd_level};
    struct buf buf = {0};
    numbers_put_doubles(&numbers, values, count, &buf);
    uint8_t *exact = mem_dup(buf.data, buf.bytes);
    struct span rest = span_of(exact, buf.bytes);
    double *back = mem_alloc_array(count + 1, sizeof(*back));
    assert_int_equal(numbers_get_doubles(&numbers, &rest, back, count), 0);
    assert_int_equal(rest.bytes, 0);
    assert_true(count == 0 || memcmp(values, back, count * sizeof(*back)) == 0);
    size_t bytes = buf.bytes;
    mem_free(exact);
    mem_free(back);
    buf_deinit(&buf);
    numbers_deinit(&numbers);
    return bytes;
}

/* One of the shapes that sequences have, and some that they should not have. */
static int64_t shaped(unsigned shape, size_t index, int64_t before, unsigned width)
{
    switch (shape) {
    case 0:
        return (int64_t)any();
    case 1:
        return (int64_t)(any() >> (64 - width));
    case 2:
        return before + (int64_t)(any() >> (64 - MIN(width, 60u)));
    case 3:
        return (int64_t)index * 1000000 * (int64_t)width;
    case 4:
        return before + 15000000000 + (int64_t)below(3) * 1000000;
    case 5:
        return below(20) == 0 ? (int64_t)any() : (int64_t)width;
    case 6:
        return below(2) == 0 ? INT64_MIN : INT64_MAX;
    case 7:
        return before + (below(50) == 0 ? (int64_t)(any() >> 20) : (int64_t)below(7) - 3);
    default:
        return (int64_t)width - 32;
    }
}

static void integers_come_back(void **state)
{
    (void)state;
    static int64_t values[COUNT_MAX];
    for (unsigned seed = 1; seed <= 2000; seed++) {
        state_of_random = seed * UINT64_C(0x9e3779b97f4a7c15);
        unsigned shape = (unsigned)below(9);
        unsigned width = 1 + (unsigned)below(64);
        size_t count = below(4) == 0 ? below(COUNT_MAX) : below(300);
        int64_t before = (int64_t)any() >> below(64);
        for (size_t i = 0; i < count; i++) {
            before = values[i] = shaped(shape, i, below(1000) == 0 ? 0 : before >> 1, width);
            before = shape == 2 || shape == 4 || shape == 7 ? before : 0;
        }
        (void)round_trip(values, count, (int)(seed % 3));
    }
}

static double shaped_double(unsigned shape, size_t index)
{
    static const double odd[] = {-0.0, 0.0, INFINITY, -INFINITY, 5e-324, 1.7976931348623157e308};
    double value;
    uint64_t bits = any();
    switch (shape) {
    case 0:
        memcpy(&value, &bits, sizeof(value)); /* all kinds of NaN among them */
        return value;
    case 1:
        return (double)below(100000) / 100;
    case 2:
        return below(10) == 0 ? odd[below(ARRAY_COUNT(odd))] : (double)below(1000) / 10;
    case 3:
        return (double)(float)((double)below(1000000) / 7);
    case 4:
        return (double)below(1000000) / 7;
    case 5:
        return (double)(int64_t)any() * (double)(index % 3);
    case 6:
        return odd[below(ARRAY_COUNT(odd))];
    default:
        return (double)below(10000000000) * 1e-15;
    }
}

static void doubles_come_back_bit_for_bit(void **state)
{
    (void)state;
    static double values[COUNT_MAX];
    for (unsigned seed = 1; seed <= 1000; seed++) {
        state_of_random = seed * UINT64_C(0x9e3779b97f4a7c15);
        unsigned shape = (unsigned)below(8);
        size_t count = below(4) == 0 ? below(COUNT_MAX) : below(300);
        for (size_t i = 0; i < count; i++) {
            values[i] = shaped_double(shape, i);
        }
        (void)doubles_round_trip(values, count, (int)(seed % 3));
    }
}

static void what_is_regular_costs_nearly_nothing(void **state)
{
    (void)state;
    static int64_t values[COUNT_MAX];
    static double doubles[COUNT_MAX];
    for (size_t i = 0; i < COUNT_MAX; i++) {
        values[i] = 1700000000000000000 + (int64_t)i * 15000000000;
        doubles[i] = 36.6;
    }
    assert_true(round_trip(values, COUNT_MAX, 0) < 24);
    assert_true(doubles_round_trip(doubles, COUNT_MAX, 0) < 12);
    values[COUNT_MAX / 2] += 1000000; /* one was late */
    assert_true(round_trip(values, COUNT_MAX, 0) < 100);
    for (size_t i = 0; i < COUNT_MAX; i++) { /* milliseconds, 0 to 7 late */
        values[i] = 1700000000000000000 + (int64_t)i * 15000000000 + (int64_t)below(8) * 1000000;
        doubles[i] = (double)(2000 + below(16)) / 100;
    }
    assert_true(round_trip(values, COUNT_MAX, 0) < COUNT_MAX * 5 / 8);
    assert_true(doubles_round_trip(doubles, COUNT_MAX, 0) < COUNT_MAX * 9 / 16);
}

/* Full doubles of which there are few different ones. */
static void what_repeats_is_stored_shorter(void **state)
{
    (void)state;
    static double doubles[COUNT_MAX];
    for (size_t i = 0; i < COUNT_MAX; i++) {
        doubles[i] = 100.0 / (double)(7 + below(30));
    }
    assert_true(doubles_round_trip(doubles, COUNT_MAX, 0) > COUNT_MAX * 5);
    assert_true(doubles_round_trip(doubles, COUNT_MAX, 3) < COUNT_MAX * 3);
}

static void damaged_bytes_do_no_harm(void **state)
{
    (void)state;
    static int64_t values[COUNT_MAX];
    static double doubles[COUNT_MAX];
    for (unsigned seed = 1; seed <= 3000; seed++) {
        state_of_random = seed * UINT64_C(0x9e3779b97f4a7c15);
        struct numbers numbers = {.zstd_level = (int)(seed % 2)};
        struct buf buf = {0};
        size_t count = 1 + below(400);
        unsigned shape = (unsigned)below(8);
        for (size_t i = 0; i < count; i++) {
            values[i] = shaped(shape, i, 0, 9);
            doubles[i] = shaped_double(shape, i);
        }
        if (seed % 2 == 0) {
            numbers_put(&numbers, values, count, &buf);
        } else {
            numbers_put_doubles(&numbers, doubles, count, &buf);
        }
        for (unsigned changes = 0; changes < 1 + seed % 3; changes++) {
            buf.data[below(MIN(buf.bytes, (size_t)40))] = (uint8_t)any();
        }
        size_t bytes = below(3) == 0 ? below(buf.bytes + 1) : buf.bytes;
        uint8_t *exact = mem_alloc(MAX(bytes, (size_t)1));
        memcpy(exact, buf.data, bytes);
        struct span rest = span_of(exact, bytes);
        int rc = seed % 2 == 0 ? numbers_get(&numbers, &rest, values, count)
                               : numbers_get_doubles(&numbers, &rest, doubles, count);
        assert_true(rc == 0 || rc == ERR_CORRUPT);
        mem_free(exact);
        buf_deinit(&buf);
        numbers_deinit(&numbers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_come_back),
        cmocka_unit_test(doubles_come_back_bit_for_bit),
        cmocka_unit_test(what_is_regular_costs_nearly_nothing),
        cmocka_unit_test(what_repeats_is_stored_shorter),
        cmocka_unit_test(damaged_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
