/*
 * Records of points: what is put in comes out, and bytes that are none are refused, not read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "well/points_record.h"

static const struct element numbers[] = {
    {.time_ns = -5, .type = ELEMENT_I64, .value.i64 = INT64_MIN},
    {.time_ns = 7, .type = ELEMENT_I64, .value.i64 = 12},
    {.time_ns = 7, .type = ELEMENT_I64, .value.i64 = -1},
};

static const struct element doubles[] = {
    {.time_ns = INT64_MAX, .type = ELEMENT_F64, .value.f64 = 1.5},
    {.time_ns = INT64_MIN, .type = ELEMENT_F64, .value.f64 = -0.0},
};

static struct element mixed[5];

static void fill_mixed(void)
{
    mixed[0] = (struct element){
        .time_ns = 1, .type = ELEMENT_TEXT, .value.bytes = SPAN_LIT("a text"), .has = 0};
    mixed[1] = (struct element){.time_ns = 2, .type = ELEMENT_BYTES, .value.bytes = SPAN_LIT("")};
    mixed[2] = (struct element){.time_ns = 3, .type = ELEMENT_BOOL, .value.boolean = true};
    mixed[3] = (struct element){.time_ns = 4,
                                .type = ELEMENT_F64,
                                .has = ELEMENT_HAS_LOCATION | ELEMENT_HAS_ELEVATION,
                                .location = {5, UINT32_MAX},
                                .elevation = -1000,
                                .value.f64 = 2.25};
    mixed[4] = (struct element){
        .time_ns = 5, .type = ELEMENT_TEXT, .value.bytes = SPAN_LIT("another"), .has = 0};
}

static void make(struct buf *buf)
{
    fill_mixed();
    buf_append_str(buf, "before");
    size_t begin = buf->bytes;
    points_record_begin(buf);
    points_record_put(buf, begin, 3, numbers, ARRAY_COUNT(numbers));
    points_record_put(buf, begin, 1, doubles, ARRAY_COUNT(doubles));
    points_record_put(buf, begin, UINT32_MAX, mixed, ARRAY_COUNT(mixed));
}

static void check_part(struct points_record *record, uint32_t series, uint8_t type,
                       const struct element *elements, size_t count)
{
    struct points_part part;
    assert_true(points_record_next(record, &part));
    assert_int_equal(part.series, series);
    assert_int_equal(part.type, type);
    assert_int_equal(part.count, count);
    for (size_t i = 0; i < count; i++) {
        struct element element = points_part_element(&part, i);
        assert_int_equal(element.time_ns, elements[i].time_ns);
        assert_int_equal(points_part_time(&part, i), elements[i].time_ns);
        assert_int_equal(element.type, elements[i].type);
        assert_int_equal(element.has, elements[i].has);
        assert_int_equal(element.elevation, elements[i].elevation);
        assert_memory_equal(&element.location, &elements[i].location, sizeof(element.location));
        if (element.type >= ELEMENT_TEXT) {
            assert_true(span_equal(element.value.bytes, elements[i].value.bytes));
        } else if (element.type == ELEMENT_BOOL) {
            assert_int_equal(element.value.boolean, elements[i].value.boolean);
        } else {
            assert_int_equal(element.value.i64, elements[i].value.i64);
        }
    }
}

static void what_is_put_in_comes_out(void **state)
{
    (void)state;
    struct buf buf = {0};
    struct points_record record;
    struct points_part part;
    make(&buf);
    assert_int_equal(points_record_open(&record, span_from(buf_span(&buf), 6)), 0);
    assert_int_equal(record.parts, 3);
    assert_int_equal(record.elements, 10);
    check_part(&record, 3, ELEMENT_I64, numbers, ARRAY_COUNT(numbers));
    check_part(&record, 1, ELEMENT_F64, doubles, ARRAY_COUNT(doubles));
    check_part(&record, UINT32_MAX, 0, mixed, ARRAY_COUNT(mixed));
    assert_false(points_record_next(&record, &part));
    buf_deinit(&buf);
}

/* Every cut, and every byte changed in several ways: refused, or read within its bytes (the
 * sanitizer watches; each copy has exactly its size). */
static void damaged_bytes_are_refused_or_read_within_bounds(void **state)
{
    (void)state;
    struct buf buf = {0};
    make(&buf);
    struct span good = span_from(buf_span(&buf), 6);
    for (size_t bytes = 0; bytes < good.bytes; bytes++) {
        uint8_t *copy = mem_dup(good.data, MAX(bytes, (size_t)1));
        struct points_record record;
        assert_int_equal(points_record_open(&record, span_of(copy, bytes)), ERR_CORRUPT);
        mem_free(copy);
    }
    for (size_t at = 0; at < good.bytes * 3; at++) {
        static const uint8_t flips[] = {1, 0x80, 0xff};
        uint8_t *copy = mem_dup(good.data, good.bytes);
        copy[at / 3] ^= flips[at % 3];
        struct points_record record;
        struct points_part part;
        uint64_t sum = 0;
        if (points_record_open(&record, span_of(copy, good.bytes)) == 0) {
            while (points_record_next(&record, &part)) {
                for (size_t i = 0; i < part.count; i++) {
                    struct element element = points_part_element(&part, i);
                    for (size_t j = 0;
                         element.type >= ELEMENT_TEXT && j < element.value.bytes.bytes; j++) {
                        sum += element.value.bytes.data[j];
                    }
                }
            }
        }
        assert_true(sum < UINT64_MAX);
        mem_free(copy);
    }
    buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_in_comes_out),
        cmocka_unit_test(damaged_bytes_are_refused_or_read_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
