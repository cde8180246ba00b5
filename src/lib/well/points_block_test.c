/*
 * Claims: what was put into a block is got back, every bit of every value with its stamp and
 * place, by whole blocks and by single series; what runs have in common is stored once; a flipped
 * bit is found, and a wrong form under a right checksum does no harm.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"
#include "base/wire.h"
#include "well/points_block.h"

#define OFFSET 64

static uint64_t state_of_random = 1;

static uint64_t below(uint64_t bound)
{
    state_of_random ^= state_of_random << 13;
    state_of_random ^= state_of_random >> 7;
    state_of_random ^= state_of_random << 17;
    return state_of_random % bound;
}

struct numbered {
    uint32_t series;
    struct element element;
};

/* A block and what is in it. */
struct sample {
    VEC(struct numbered) elements;
    struct buf bytes;
    struct points_block_header header;
};

static void sample_deinit(struct sample *sample)
{
    vec_deinit(&sample->elements);
    buf_deinit(&sample->bytes);
}

static double any_double(void)
{
    static const double odd[] = {-0.0, 0.0, INFINITY, -INFINITY, 5e-324};
    double value;
    uint64_t bits = below(UINT64_MAX);
    switch (below(4)) {
    case 0:
        memcpy(&value, &bits, sizeof(value));
        return value;
    case 1:
        return odd[below(ARRAY_COUNT(odd))];
    default:
        return (double)below(100000) / 100;
    }
}

static void set_value(struct element *element, uint8_t type)
{
    static const char letters[] = "some text, and some more of it";
    element->type = type;
    switch (type) {
    case ELEMENT_I64:
        element->value.i64 = (int64_t)(below(UINT64_MAX) >> below(64));
        break;
    case ELEMENT_F64:
        element->value.f64 = any_double();
        break;
    case ELEMENT_BOOL:
        element->value.boolean = below(2) == 0;
        break;
    default:
        element->value.bytes = span_of(letters, below(sizeof(letters)));
    }
}

static void add_some(struct sample *sample, uint32_t series, size_t count, uint64_t stamps)
{
    int64_t time = INT64_C(1700000000000000000) + (int64_t)below(3) * 77;
    uint8_t type = (uint8_t)(1 + below(5));
    uint8_t has = below(3) == 0 ? (uint8_t)below(4) : 0;
    uint64_t seldom = 1 + below(50);
    for (size_t i = 0; i < count; i++) {
        struct element element = {
            .time_ns = time,
            .stamp = {.time = 1000 + below(stamps) * 10, .origin = (uint16_t)below(3)},
            .has = has,
        };
        element.location.latitude = (has & 1) != 0 ? (uint32_t)below(UINT32_MAX) : 0;
        element.location.longitude = (has & 1) != 0 ? (uint32_t)below(UINT32_MAX) : 0;
        element.elevation = (has & 2) != 0 ? (int64_t)below(9000) - 100 : 0;
        set_value(&element, type);
        struct numbered numbered = {series, element};
        vec_push(&sample->elements, numbered);
        time += (int64_t)below(3) * 1000000000;
        type = below(seldom) == 0 ? (uint8_t)(1 + below(5)) : type;
        has = below(seldom) == 0 ? (uint8_t)below(4) : has;
    }
}

static void write_block(struct sample *sample, int zstd_level)
{
    struct points_block_writer *writer = points_block_writer_new(zstd_level);
    for (size_t i = 0; i < sample->elements.count; i++) {
        const struct numbered *numbered = &sample->elements.items[i];
        points_block_writer_add(writer, numbered->series, &numbered->element);
    }
    points_block_writer_finish(writer, OFFSET, &sample->bytes, &sample->header);
    assert_int_equal(points_block_writer_count(writer), 0);
    points_block_writer_free(&writer);
}

static void make_sample(struct sample *sample, uint64_t seed)
{
    *sample = (struct sample){0};
    state_of_random = seed * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t series = 1 + (uint32_t)below(100);
    uint64_t longest = 1 + below(400);
    size_t runs = 1 + below(60);
    for (size_t i = 0; i < runs; i++) {
        add_some(sample, series, 1 + below(longest), 1 + below(500));
        series += 1 + (uint32_t)below(1 + below(1000000));
    }
    write_block(sample, (int)(seed % 4));
}

static void check_element(const struct numbered *expected, uint32_t series, struct element got)
{
    const struct element *element = &expected->element;
    assert_int_equal(series, expected->series);
    assert_true(got.time_ns == element->time_ns);
    assert_true(got.stamp.time == element->stamp.time);
    assert_int_equal(got.stamp.origin, element->stamp.origin);
    assert_int_equal(got.type, element->type);
    assert_int_equal(got.has, element->has);
    assert_int_equal(got.location.latitude, element->location.latitude);
    assert_int_equal(got.location.longitude, element->location.longitude);
    assert_true(got.elevation == element->elevation);
    if (got.type == ELEMENT_TEXT || got.type == ELEMENT_BYTES) {
        assert_true(span_equal(got.value.bytes, element->value.bytes));
    } else if (got.type == ELEMENT_BOOL) {
        assert_int_equal(got.value.boolean, element->value.boolean);
    } else {
        assert_memory_equal(&got.value.i64, &element->value.i64, sizeof(int64_t));
    }
}

/* The elements of the block against those of the sample for which `wanted` holds. */
static void check_block(const struct sample *sample, const struct points_block *block,
                        uint32_t series)
{
    size_t next = 0;
    size_t count = 0;
    for (size_t i = 0; i < block->runs_count; i++) {
        const struct points_run *run = &block->runs[i];
        for (size_t j = run->first; j < run->first + run->count; j++, next++, count++) {
            while (series != 0 && sample->elements.items[next].series != series) {
                next++;
            }
            assert_true(next < sample->elements.count);
            struct element got = points_block_element(block, run, j);
            check_element(&sample->elements.items[next], run->series, got);
        }
    }
    size_t expected = 0;
    for (size_t i = 0; i < sample->elements.count; i++) {
        expected += series == 0 || sample->elements.items[i].series == series;
    }
    assert_int_equal(count, expected);
    assert_int_equal(block->count, expected);
}

static void every_element_comes_back(void **state)
{
    (void)state;
    struct points_block_reader *reader = points_block_reader_new();
    struct points_block block = {0};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct sample sample;
        make_sample(&sample, seed);
        struct span bytes = buf_span(&sample.bytes);
        assert_int_equal(sample.header.bytes, bytes.bytes);
        assert_int_equal(points_block_read(reader, bytes, OFFSET, NULL, 0, &block), 0);
        check_block(&sample, &block, 0);
        for (int i = 0; i < 5; i++) { /* single series, and one that is not there */
            uint32_t series = sample.elements.items[below(sample.elements.count)].series;
            assert_int_equal(points_block_read(reader, bytes, OFFSET, &series, 1, &block), 0);
            check_block(&sample, &block, series);
        }
        uint32_t missing[] = {sample.header.last_series + 1};
        assert_int_equal(points_block_read(reader, bytes, OFFSET, missing, 1, &block),
                         POINTS_BLOCK_SKIPPED);
        sample_deinit(&sample);
    }
    points_block_deinit(&block);
    points_block_reader_free(&reader);
}

static void the_header_says_what_is_in_the_block(void **state)
{
    (void)state;
    struct sample sample;
    struct points_block_header header;
    make_sample(&sample, 7);
    assert_int_equal(points_block_header_read(buf_span(&sample.bytes), &header), 0);
    int64_t first = INT64_MAX;
    int64_t last = INT64_MIN;
    uint64_t first_stamp = UINT64_MAX;
    uint64_t last_stamp = 0;
    for (size_t i = 0; i < sample.elements.count; i++) {
        const struct element *element = &sample.elements.items[i].element;
        first = MIN(first, element->time_ns);
        last = MAX(last, element->time_ns);
        first_stamp = MIN(first_stamp, element->stamp.time);
        last_stamp = MAX(last_stamp, element->stamp.time);
    }
    assert_int_equal(header.elements, sample.elements.count);
    assert_true(header.first_ns == first && header.last_ns == last);
    assert_true(header.first_stamp == first_stamp && header.last_stamp == last_stamp);
    assert_int_equal(header.first_series, sample.elements.items[0].series);
    assert_int_equal(header.last_series, sample.elements.items[sample.elements.count - 1].series);
    sample_deinit(&sample);
}

/* 64 series, scraped together: times and stamps, though irregular, cost what they cost once. */
static void what_was_scraped_together_is_stored_once(void **state)
{
    (void)state;
    struct sample sample = {0};
    for (uint32_t series = 1; series <= 64; series++) {
        state_of_random = 5;
        for (int64_t i = 0; i < 500; i++) {
            int64_t time = i * 15000000000 + (int64_t)below(1000) * 1000000;
            struct element element = {
                .time_ns = INT64_C(1700000000000000000) + time,
                .stamp = {.time = (uint64_t)time + below(100000000), .origin = 1},
                .type = ELEMENT_F64,
                .value.f64 = 36.6,
            };
            struct numbered numbered = {series, element};
            vec_push(&sample.elements, numbered);
        }
    }
    write_block(&sample, 1);
    assert_true(sample.bytes.bytes < 64 * 500 / 8);
    sample_deinit(&sample);
}

static void full_blocks_of_single_elements_come_back(void **state)
{
    (void)state;
    struct sample sample = {0};
    state_of_random = 3;
    for (uint32_t series = 0; series < POINTS_BLOCK_ELEMENTS_MAX; series++) {
        add_some(&sample, series * 3, 1, UINT32_MAX);
        sample.elements.items[series].element.time_ns += (int64_t)below(UINT32_MAX);
    }
    write_block(&sample, 1);
    struct points_block_reader *reader = points_block_reader_new();
    struct points_block block = {0};
    assert_int_equal(points_block_read(reader, buf_span(&sample.bytes), OFFSET, NULL, 0, &block),
                     0);
    check_block(&sample, &block, 0);
    points_block_deinit(&block);
    points_block_reader_free(&reader);
    sample_deinit(&sample);
}

static void a_flipped_bit_is_found(void **state)
{
    (void)state;
    struct sample sample;
    make_sample(&sample, 11);
    struct points_block_reader *reader = points_block_reader_new();
    struct points_block block = {0};
    size_t step = sample.bytes.bytes / 60 + 1;
    for (size_t bit = 0; bit < sample.bytes.bytes * 8; bit += step) {
        sample.bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int rc = points_block_read(reader, buf_span(&sample.bytes), OFFSET, NULL, 0, &block);
        assert_int_equal(rc, ERR_CORRUPT);
        sample.bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    struct span bytes = buf_span(&sample.bytes);
    assert_int_equal(points_block_read(reader, bytes, OFFSET + 1, NULL, 0, &block), ERR_CORRUPT);
    assert_int_equal(
        points_block_read(reader, span_first(bytes, bytes.bytes - 1), OFFSET, NULL, 0, &block),
        ERR_CORRUPT);
    points_block_deinit(&block);
    points_block_reader_free(&reader);
    sample_deinit(&sample);
}

static void a_wrong_form_under_a_right_checksum_does_no_harm(void **state)
{
    (void)state;
    struct points_block_reader *reader = points_block_reader_new();
    struct points_block block = {0};
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct sample sample;
        make_sample(&sample, 1 + seed % 40);
        state_of_random = seed * 7919;
        for (uint64_t i = 0; i < 1 + seed % 3; i++) {
            uint64_t reach = below(2) == 0 ? sample.bytes.bytes : MIN(sample.bytes.bytes, 200u);
            sample.bytes.data[12 + below(reach - 12)] = (uint8_t)below(256);
        }
        uint8_t *exact = mem_dup(sample.bytes.data, sample.bytes.bytes);
        struct span bytes = span_of(exact, sample.bytes.bytes);
        wire_store_u32(exact + 8, (uint32_t)hash64_seeded(span_from(bytes, 12), OFFSET));
        int rc = points_block_read(reader, bytes, OFFSET, NULL, 0, &block);
        assert_true(rc == 0 || rc == ERR_CORRUPT);
        for (size_t i = 0; rc == 0 && i < block.runs_count; i++) {
            const struct points_run *run = &block.runs[i];
            for (size_t j = run->first; j < run->first + run->count; j++) {
                struct element element = points_block_element(&block, run, j);
                if (element.type == ELEMENT_TEXT || element.type == ELEMENT_BYTES) {
                    (void)hash64(element.value.bytes);
                }
            }
        }
        mem_free(exact);
        sample_deinit(&sample);
    }
    points_block_deinit(&block);
    points_block_reader_free(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_element_comes_back),
        cmocka_unit_test(the_header_says_what_is_in_the_block),
        cmocka_unit_test(what_was_scraped_together_is_stored_once),
        cmocka_unit_test(full_blocks_of_single_elements_come_back),
        cmocka_unit_test(a_flipped_bit_is_found),
        cmocka_unit_test(a_wrong_form_under_a_right_checksum_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
