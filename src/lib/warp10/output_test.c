/*
 * What fetch, find and delete print: the worked example of the reference in every format, and
 * numbers.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "warp10/decimal.h"
#include "warp10/output.h"

#define T0_NS INT64_C(1700000000000000000)

struct line {
    const char *class;
    struct series_label labels[4];
    size_t label_count;
    struct element element;
};

#define LABEL(n, v)                                                                                \
    {                                                                                              \
        {(const uint8_t *)(n), sizeof(n) - 1},                                                     \
        {                                                                                          \
            (const uint8_t *)(v), sizeof(v) - 1                                                    \
        }                                                                                          \
    }

static const struct line lines[] = {
    {"demo.door",
     {LABEL(".app", "demo"), LABEL("room", "hall"), LABEL(".owner", "1"), LABEL(".producer", "1")},
     4,
     {.time_ns = T0_NS, .type = ELEMENT_BOOL, .value.boolean = true}},
    {"demo.blob",
     {LABEL(".app", "demo"), LABEL("room", "hall")},
     2,
     {.time_ns = T0_NS, .type = ELEMENT_BYTES, .value.bytes = {(const uint8_t *)"\0\1\2\xff", 4}}},
    {"demo.event",
     {LABEL(".app", "demo"), LABEL("room", "hall A")},
     2,
     {.time_ns = T0_NS,
      .type = ELEMENT_TEXT,
      .has = ELEMENT_HAS_ELEVATION,
      .elevation = 1500,
      .value.bytes = {(const uint8_t *)"caf\xC3\xA9 %", 7}}},
    {"demo.temp",
     {LABEL("sensor", "a"), LABEL(".app", "demo"), LABEL("room", "kitchen")},
     3,
     {.time_ns = T0_NS + 60000000000, .type = ELEMENT_I64, .value.i64 = 22}},
    {"demo.temp",
     {LABEL("sensor", "a"), LABEL(".app", "demo"), LABEL("room", "kitchen")},
     3,
     {.time_ns = T0_NS, .type = ELEMENT_F64, .value.f64 = 21.5}},
};

static void print_example(const struct output_options *options, struct buf *out)
{
    static const struct series_label attributes[] = {LABEL("unit", "C")};
    struct output output;
    output_init(&output, options, out);
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        struct series_label labels[4];
        struct buf key = {0};
        struct element element = lines[i].element;
        memcpy(labels, lines[i].labels, sizeof(labels));
        assert_int_equal(
            series_key_make(&key, span_of_str(lines[i].class), labels, lines[i].label_count), 0);
        struct output_series series = {
            .key = buf_span(&key), .attributes = attributes, .attribute_count = i == 3, .id = 7};
        if (i != 4) {
            output_series(&output, &series);
        }
        if (i == 3) {
            element.has = ELEMENT_HAS_LOCATION | ELEMENT_HAS_ELEVATION;
            element.location = location_of_degrees(48.0, -4.5);
            element.elevation = 120000;
        }
        output_point(&output, &element);
        if (i != 3) {
            output_series_end(&output);
        }
        buf_deinit(&key);
    }
    output_end(&output, true);
    output_deinit(&output);
}

static void the_worked_example_is_printed_in_every_format(void **state)
{
    (void)state;
    static const struct {
        struct output_options options;
        const char *text;
    } cases[] = {
        {{.format = WARP10_TEXT},
         "1700000000000000// demo.door{.app=demo,room=hall} T\n"
         "1700000000000000// demo.blob{.app=demo,room=hall} b64:AAEC_w\n"
         "1700000000000000//1500 demo.event{.app=demo,room=hall%20A} 'caf%C3%A9%20%25'\n"
         "1700000060000000/47.99999998882413:-4.500000067055225/120000 "
         "demo.temp{.app=demo,room=kitchen,sensor=a} 22\n"
         "=1700000000000000// 21.5\n"},
        {{.format = WARP10_FULLTEXT, .show_attributes = true},
         "1700000000000000// demo.door{.app=demo,room=hall}{} T\n"
         "1700000000000000// demo.blob{.app=demo,room=hall}{} b64:AAEC_w\n"
         "1700000000000000//1500 demo.event{.app=demo,room=hall%20A}{} 'caf%C3%A9%20%25'\n"
         "1700000060000000/47.99999998882413:-4.500000067055225/120000 "
         "demo.temp{.app=demo,room=kitchen,sensor=a}{unit=C} 22\n"
         "1700000000000000// demo.temp{.app=demo,room=kitchen,sensor=a}{unit=C} 21.5\n"},
        {{.format = WARP10_JSON},
         "[{\"c\":\"demo.door\",\"l\":{\".app\":\"demo\",\"room\":\"hall\"},\"a\":{},\"i\":\"7\","
         "\"la\":0,\"v\":[[1700000000000000,true]]},"
         "{\"c\":\"demo.blob\",\"l\":{\".app\":\"demo\",\"room\":\"hall\"},\"a\":{},\"i\":\"7\","
         "\"la\":0,\"v\":[[1700000000000000,\"\\u0000\\u0001\\u0002\\u00FF\"]]},"
         "{\"c\":\"demo.event\",\"l\":{\".app\":\"demo\",\"room\":\"hall A\"},\"a\":{},"
         "\"i\":\"7\",\"la\":0,\"v\":[[1700000000000000,1500,\"caf\\u00E9 %\"]]},"
         "{\"c\":\"demo.temp\",\"l\":{\".app\":\"demo\",\"room\":\"kitchen\",\"sensor\":\"a\"},"
         "\"a\":{\"unit\":\"C\"},\"i\":\"7\",\"la\":0,\"v\":[[1700000060000000,"
         "47.99999998882413,-4.500000067055225,120000,22],[1700000000000000,21.5]]}]"},
        {{.format = WARP10_TSV},
         "# demo.door{.app=demo,room=hall}{}\n1700000000000000\t\t\t\tT\n"
         "# demo.blob{.app=demo,room=hall}{}\n1700000000000000\t\t\t\tb64:AAEC_w\n"
         "# demo.event{.app=demo,room=hall%20A}{}\n"
         "1700000000000000\t\t\t1500\t'caf%C3%A9%20%25'\n"
         "# demo.temp{.app=demo,room=kitchen,sensor=a}{unit=C}\n"
         "1700000060000000\t47.99999998882413\t-4.500000067055225\t120000\t22\n"
         "1700000000000000\t\t\t\t21.5\n"},
        {{.format = WARP10_FULLTSV},
         "demo.door\t.app=demo,room=hall\t\t1700000000000000\t\t\t\tT\n"
         "demo.blob\t.app=demo,room=hall\t\t1700000000000000\t\t\t\tb64:AAEC_w\n"
         "demo.event\t.app=demo,room=hall%20A\t\t1700000000000000\t\t\t1500\t'caf%C3%A9%20%25'\n"
         "demo.temp\t.app=demo,room=kitchen,sensor=a\tunit=C\t1700000060000000\t"
         "47.99999998882413\t-4.500000067055225\t120000\t22\n"
         "demo.temp\t.app=demo,room=kitchen,sensor=a\tunit=C\t1700000000000000\t\t\t\t21.5\n"},
        {{.format = WARP10_NULL}, ""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf out = {0};
        print_example(&cases[i].options, &out);
        assert_string_equal(buf_str(&out), cases[i].text);
        buf_deinit(&out);
    }
}

static void raw_and_pack_are_those_of_the_reference(void **state)
{
    (void)state;
    struct output_options options = {.format = WARP10_RAW};
    struct buf out = {0};
    print_example(&options, &out);
    assert_non_null(strstr(buf_str(&out), "0//1 demo.door{.app=demo,room=hall} O..51XFN6Z..\r\n"));
    buf_clear(&out);
    options.format = WARP10_PACK;
    print_example(&options, &out);
    assert_non_null(strstr(buf_str(&out), "1700000000000000//1 demo.door%3Apacked{.app=demo,"
                                          "room=hall} 'T._Z..N980VTF..L.V.'\r\n"));
    buf_deinit(&out);
}

static void a_packed_line_ends_at_its_bounds_and_a_class_may_be_cut(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes, points;
        size_t lines;
    } cases[] = {{0, 0, 1}, {0, 3, 4}, {0, 10, 1}, {1, 0, 10}, {1 << 20, UINT64_MAX, 1}};
    struct buf key = {0};
    assert_int_equal(series_key_make(&key, SPAN_LIT("x:packed"), NULL, 0), 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct output_options options = {.format = WARP10_PACK,
                                         .pack_bytes_max = cases[i].bytes,
                                         .pack_points_max = cases[i].points};
        struct output_series series = {.key = buf_span(&key), .class_cut = 7};
        struct output output;
        struct buf out = {0};
        output_init(&output, &options, &out);
        output_series(&output, &series);
        for (int64_t at = 10; at > 0; at--) {
            struct element element = {.time_ns = at * 1000, .type = ELEMENT_I64, .value.i64 = at};
            output_point(&output, &element);
        }
        output_series_end(&output);
        size_t count = 0;
        for (const char *line = buf_str(&out); (line = strstr(line, "\r\n")) != NULL; line += 2) {
            count++;
        }
        assert_int_equal(count, cases[i].lines);
        assert_non_null(strstr(buf_str(&out), " x%3Apacked{} '")); /* the suffix is new */
        output_deinit(&output);
        buf_deinit(&out);
    }
    buf_deinit(&key);
}

static void find_and_delete_list_series(void **state)
{
    (void)state;
    struct series_label labels[] = {LABEL("room", "hall A"), LABEL(".owner", "1")};
    static const struct series_label attributes[] = {LABEL("unit", "C")};
    struct buf key = {0};
    struct buf out = {0};
    struct output output;
    struct output_options options = {.show_attributes = true};
    assert_int_equal(series_key_make(&key, SPAN_LIT("x y"), labels, 2), 0);
    struct output_series series = {
        .key = buf_span(&key), .attributes = attributes, .attribute_count = 1};
    struct output_series bare = {.key = buf_span(&key)};

    output_init(&output, &options, &out);
    output_find(&output, false, &series);
    output_find(&output, false, &bare);
    output_deleted(&out, &bare, true);
    assert_string_equal(buf_str(&out), "x%20y{room=hall%20A}{unit=C}\nx%20y{room=hall%20A}{}\n"
                                       "x%20y{.owner=1,room=hall%20A}{}\r\n");
    output_deinit(&output);

    buf_clear(&out);
    output_init(&output, &options, &out);
    output_find_begin(&output, true);
    output_find(&output, true, &series);
    output_find(&output, true, &bare);
    output_find_end(&output, true);
    assert_string_equal(
        buf_str(&out),
        "[\n{\"c\":\"x y\",\"l\":{\"room\":\"hall A\"},\"a\":{\"unit\":\"C\"},\"la\":0},\n"
        "{\"c\":\"x y\",\"l\":{\"room\":\"hall A\"},\"a\":{},\"la\":0}\n]\n");
    output_deinit(&output);

    buf_clear(&out);
    output_init(&output, &options, &out);
    output_find_begin(&output, true);
    output_find_end(&output, true);
    assert_string_equal(buf_str(&out), "[\n\n]\n");
    output_deinit(&output);
    buf_deinit(&key);
    buf_deinit(&out);
}

/* 10 points i/3 rounded down, newest first, dedup: 10, 8, 5, 2 and always the last. */
static void dedup_keeps_the_first_of_equal_neighbours_and_the_last_point(void **state)
{
    (void)state;
    struct output_options options = {.dedup = true};
    struct buf key = {0};
    struct buf out = {0};
    struct output output;
    assert_int_equal(series_key_make(&key, SPAN_LIT("s"), NULL, 0), 0);
    struct output_series series = {.key = buf_span(&key)};
    output_init(&output, &options, &out);
    output_series(&output, &series);
    for (int64_t i = 10; i >= 1; i--) {
        struct element element = {
            .time_ns = i * 1000000000, .type = ELEMENT_I64, .value.i64 = i / 3};
        output_point(&output, &element);
    }
    output_series_end(&output);
    assert_string_equal(buf_str(&out), "10000000// s{} 3\n=8000000// 2\n=5000000// 1\n"
                                       "=2000000// 0\n=1000000// 0\n");
    output_deinit(&output);
    buf_deinit(&key);
    buf_deinit(&out);
}

static void json_without_points_or_series_is_as_in_the_reference(void **state)
{
    (void)state;
    struct output_options options = {.format = WARP10_JSON};
    struct buf key = {0};
    struct buf out = {0};
    struct output output;
    assert_int_equal(series_key_make(&key, SPAN_LIT("s"), NULL, 0), 0);
    struct output_series series = {.key = buf_span(&key)};
    output_init(&output, &options, &out);
    output_end(&output, false);
    assert_int_equal(out.bytes, 0);
    output_series(&output, &series);
    output_series_end(&output);
    output_end(&output, true);
    assert_string_equal(buf_str(&out), "[]");
    output_deinit(&output);
    buf_deinit(&key);
    buf_deinit(&out);
}

static void doubles_print_as_the_fewest_digits_that_read_back(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.1, "0.1"},
                 {1.0 / 3, "0.3333333333333333"},
                 {-2.5, "-2.5"},
                 {1e7, "10000000.0"},
                 {1e-3, "0.001"},
                 {1e100, "1.0E100"},
                 {1.5e-9, "0.0000000015"},
                 {1.5e-20, "1.5E-20"},
                 {1.7976931348623157e308, "1.7976931348623157E308"},
                 {5e-324, "4.9E-324"},
                 {-0.0, "-0.0"},
                 {123456789.123456789, "1.2345678912345679E8"}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf out = {0};
        decimal_print_text(&out, cases[i].value);
        if (cases[i].value != 5e-324) { /* Java prints two digits where one is enough */
            assert_string_equal(buf_str(&out), cases[i].text);
        }
        assert_true(strtod(buf_str(&out), NULL) == cases[i].value);
        buf_deinit(&out);
    }
    uint64_t seed = 3;
    for (size_t i = 0; i < 20000; i++) {
        double value;
        struct buf out = {0};
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        memcpy(&value, &seed, sizeof(value));
        if (isfinite(value)) {
            decimal_print_text(&out, value);
            assert_true(strtod(buf_str(&out), NULL) == value);
            buf_clear(&out);
            decimal_print_json(&out, value);
            assert_true(strtod(buf_str(&out), NULL) == value);
        }
        buf_deinit(&out);
    }
}

/* One by one and as columns, with every kind of number beside every other. */
static void columns_print_as_their_points_do(void **state)
{
    (void)state;
    static const enum warp10_format formats[] = {WARP10_TEXT, WARP10_FULLTEXT, WARP10_JSON,
                                                 WARP10_TSV, WARP10_RAW};
    static const double kinds[] = {0.0,  -0.0,   1.5,     -1.25, 100.0, 1e8, 99999999.9999, 1e-4,
                                   1e-5, -0.001, 1.0 / 3, 12.34, 1e300, NAN, INFINITY,      -7};
    enum { COUNT = 3000 };
    static int64_t times[COUNT];
    static uint64_t values[COUNT];
    uint64_t seed = 5;
    struct buf key = {0};
    assert_int_equal(series_key_make(&key, SPAN_LIT("x"), NULL, 0), 0);
    struct output_series series = {.key = buf_span(&key)};
    for (uint8_t type = ELEMENT_I64; type <= ELEMENT_BOOL; type++) {
        for (size_t i = 0; i < COUNT; i++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            double value = i % 3 == 0 ? kinds[seed >> 32 & 15]
                                      : (double)(int64_t)(seed >> 40) / (i % 7 < 4 ? 100 : 1000);
            memcpy(&values[i], &value, sizeof(value));
            values[i] = type == ELEMENT_F64   ? values[i]
                        : type == ELEMENT_I64 ? seed >> (seed & 63)
                                              : seed >> 63;
            times[i] = (int64_t)(T0_NS - (i < 2000 ? (int64_t)i * INT64_C(7000000000)
                                                   : (int64_t)(seed >> 1)));
        }
        for (size_t f = 0; f < ARRAY_COUNT(formats) * 2; f++) {
            struct output_options options = {.format = formats[f / 2], .dedup = f % 2 == 1};
            struct buf out[2] = {{0}};
            for (size_t as_columns = 0; as_columns < 2; as_columns++) {
                struct output output;
                output_init(&output, &options, &out[as_columns]);
                output_series(&output, &series);
                for (size_t i = 0; i < COUNT && !as_columns; i++) {
                    struct element element = {.time_ns = times[i], .type = type};
                    if (type == ELEMENT_BOOL) {
                        element.value.boolean = values[i] != 0;
                    } else {
                        element.value.i64 = (int64_t)values[i];
                    }
                    output_point(&output, &element);
                }
                if (as_columns) {
                    output_column(&output, type, times, values, COUNT);
                }
                output_series_end(&output);
                output_deinit(&output);
            }
            assert_string_equal(buf_str(&out[0]), buf_str(&out[1]));
            buf_deinit(&out[0]);
            buf_deinit(&out[1]);
        }
    }
    buf_deinit(&key);
}

/* A hint may be wrong: what is printed is what is printed without one. */
static void a_double_prints_the_same_whatever_came_before(void **state)
{
    (void)state;
    uint64_t seed = 9;
    struct decimal_alike alike = {0};
    struct decimal_near near = {0};
    for (size_t i = 0; i < 300000; i++) {
        static const double divisors[] = {1, 10, 100, 1000, 1e4, 1e5, 1e9, 3};
        uint8_t plain[DECIMAL_TEXT_BYTES];
        uint8_t hinted[DECIMAL_TEXT_BYTES];
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        double value = (double)((int64_t)seed >> (seed & 63)) / divisors[i / 9 % 8];
        if (value == 0) {
            value = 0; /* -0.0 is another matter */
        }
        size_t bytes = (size_t)(decimal_put_f64(plain, value) - plain);
        assert_int_equal(decimal_put_alike(hinted, value, &alike) - hinted, bytes);
        assert_memory_equal(plain, hinted, bytes);
        int64_t integer = i % 4 == 0 ? (int64_t)seed : INT64_C(1700000000000000) - (int64_t)i * 99;
        bytes = (size_t)(decimal_put_i64(plain, integer) - plain);
        assert_int_equal(decimal_put_near(hinted, integer, &near) - hinted, bytes);
        assert_memory_equal(plain, hinted, bytes);
    }
}

/* Against printf: no fewer digits read back, and of those with so many none is nearer. */
static void no_shorter_digits_would_do(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (size_t i = 0; i < 100000; i++) {
        double value;
        char text[64];
        char fewer[64];
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t bits = i % 3 == 0 ? seed & ~(UINT64_C(0xFFFFFFFFFFFFF) >> seed % 53) : seed;
        memcpy(&value, &bits, sizeof(value));
        value = fabs(value);
        if (!isfinite(value) || value == 0) {
            continue;
        }
        struct decimal decimal = decimal_of(value);
        (void)snprintf(text, sizeof(text), "%llue%d", (unsigned long long)decimal.digits,
                       decimal.exponent);
        assert_true(strtod(text, NULL) == value);
        int digits = snprintf(text, sizeof(text), "%llu", (unsigned long long)decimal.digits);
        if (digits > 1) {
            (void)snprintf(fewer, sizeof(fewer), "%.*e", digits - 2, value);
            assert_false(strtod(fewer, NULL) == value);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worked_example_is_printed_in_every_format),
        cmocka_unit_test(raw_and_pack_are_those_of_the_reference),
        cmocka_unit_test(a_packed_line_ends_at_its_bounds_and_a_class_may_be_cut),
        cmocka_unit_test(find_and_delete_list_series),
        cmocka_unit_test(dedup_keeps_the_first_of_equal_neighbours_and_the_last_point),
        cmocka_unit_test(json_without_points_or_series_is_as_in_the_reference),
        cmocka_unit_test(doubles_print_as_the_fewest_digits_that_read_back),
        cmocka_unit_test(no_shorter_digits_would_do),
        cmocka_unit_test(columns_print_as_their_points_do),
        cmocka_unit_test(a_double_prints_the_same_whatever_came_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
