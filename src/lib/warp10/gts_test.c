/*
 * The input format: the accepted and refused lines of the reference, its values, chunks of every
 * size, and that what the output prints is read as it was.
 */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "warp10/encoder.h"
#include "warp10/gts.h"
#include "warp10/output.h"

#define NOW INT64_C(1700000000000000)

static const struct gts_options plain = {.now = NOW};

/* Appends "class{labels} ts/place/elev value\n" for a reading. */
static void describe(struct buf *out, const struct gts_reading *reading)
{
    output_line(out, WARP10_US, reading->series->key, &reading->element);
    if (reading->has_attributes) {
        for (size_t i = 0; i < reading->attribute_count; i++) {
            buf_printf(out, "  %.*s=%.*s\n", SPAN_ARG(reading->attributes[i].name),
                       SPAN_ARG(reading->attributes[i].value));
        }
    }
}

/* Reads `text` in chunks of `chunk_bytes` and describes all readings up to the first fault. */
static int read_all(const struct gts_options *options, struct span text, size_t chunk_bytes,
                    struct buf *out, struct gts_error *ret_error)
{
    struct gts_reader *reader = gts_reader_new(options);
    struct gts_reading reading;
    int rc = GTS_MORE;
    while (rc >= 0 && rc != GTS_END) {
        if (rc == GTS_MORE && text.bytes > 0) {
            /* A chunk of its own, so that reading beyond it is seen. */
            size_t bytes = MIN(chunk_bytes, text.bytes);
            uint8_t *chunk = mem_dup(text.data, bytes);
            gts_reader_feed(reader, span_of(chunk, bytes));
            text = span_from(text, bytes);
            while ((rc = gts_reader_next(reader, &reading)) == 0) {
                describe(out, &reading);
            }
            mem_free(chunk);
            continue;
        }
        gts_reader_finish(reader);
        while ((rc = gts_reader_next(reader, &reading)) == 0) {
            describe(out, &reading);
        }
    }
    *ret_error = gts_reader_error(reader);
    gts_reader_free(&reader);
    return rc < 0 ? rc : 0;
}

static void check_read(const char *text, const char *expected)
{
    struct buf out = {0};
    struct gts_error error;
    assert_int_equal(read_all(&plain, span_of_str(text), 1 << 20, &out, &error), 0);
    assert_string_equal(buf_str(&out), expected);
    buf_deinit(&out);
}

static void the_accepted_lines_of_the_reference_are_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *line, *read;
    } cases[] = {
        {"1// x{} 1", "1// x{} 1\n"},
        {" 1//  x{}   1 ", "1// x{} 1\n"},
        {"// x{} 5", "1700000000000000// x{} 5\n"},
        {"T-1000000// x{} 1", "1699999999000000// x{} 1\n"},
        {"T+5// x{} 1", "1700000000000005// x{} 1\n"},
        {"+1// x{} 1", "1// x{} 1\n"},
        {"-1// x{} 1", "-1// x{} 1\n"},
        {"1/48:2/ x{} 1", "1/47.99999998882413:1.9999999646097422/ x{} 1\n"},
        {"1/48.0:-4.5/ x{} 1", "1/47.99999998882413:-4.500000067055225/ x{} 1\n"},
        {"1/-5372670727227936656/ x{} 1", "1/47.99999998882413:-4.500000067055225/ x{} 1\n"},
        {"1//-5 x{} 1", "1//-5 x{} 1\n"},
        {"1/48:-4.5/+12 x{} 1", "1/47.99999998882413:-4.500000067055225/12 x{} 1\n"},
        {"1// x y{} 1", "1// x%20y{} 1\n"},
        {"1// {} 1", "1// {} 1\n"},
        {"1// =x{} 1", "1// %3Dx{} 1\n"},
        {"1// ~x{} 1", "1// %7Ex{} 1\n"},
        {"1// x{a=} 1", "1// x{a=} 1\n"},
        {"1// x{=1} 1", "1// x{=1} 1\n"},
        {"1// x{a=1,} 1", "1// x{a=1} 1\n"},
        {"1// x{a=1,,b=2} 1", "1// x{a=1,b=2} 1\n"},
        {"1// x{ a=1 , b=2 } 1", "1// x{a=1,b=2} 1\n"},
        {"1// x{}{a=1} 1", "1// x{} 1\n  a=1\n"},
        {"1// x{}{}1", "1// x{} 1\n"},
        {"1// x{}1", "1// x{} 1\n"},
        {"1// x{a=b=c} 1", "1// x{a=b} 1\n"},
        {"1// x{a =1} 1", "1// x{a%20=1} 1\n"},
        {"1// x{a=1,a=2} 1", "1// x{a=2} 1\n"},
        {"1// x{.owner=me,.app=mine,.producer=me} 1", "1// x{} 1\n"},
        {"1// x+y{a=%C3%A9,b=1+1} 1", "1// x%2By{a=%C3%A9,b=1%2B1} 1\n"},
        {"# comment\n\n \t\n1// x{} 1\n", "1// x{} 1\n"},
        {"1// x{} 1\r2// x{} 2\r\n=3// 3\n\n4// 4", "1// x{} 1\n2// x{} 2\n3// x{} 3\n4// x{} 4\n"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        check_read(cases[i].line, cases[i].read);
    }
}

static void the_refused_lines_of_the_reference_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int status;
        const char *text;
    } cases[] = {
        {"1/ x{} 1", 400, "index 2 in '1/ x{} 1' (Missing location/elevation separator.)"},
        {"1/// x{} 1", 400, "(Invalid elevation: '/'.)"},
        {"1//x{} 1", 400, "(Invalid elevation: 'x{}'.)"},
        {"1//\tx{} 1", 400, "(Invalid elevation: '\tx{}'.)"},
        {"1/48:2/12.5 x{} 1", 400, "(Invalid elevation: '12.5'.)"},
        {"1// x 1", 400, "(Missing or invalid GTS name and labels.)"},
        {"2// 3", 400, "(Missing or invalid GTS name and labels.)"},
        {"=2// 3", 400, "(Invalid continuation.)"},
        {"1// x{a} 1", 400, "(Invalid label definition. (a))"},
        {"1// x{a~1} 1", 400, "(Invalid label definition. (a~1))"},
        {"1// x{}", 400, "(Missing value.)"},
        {"now// x{} 1", 400, "(Invalid timestamp.)"},
        {"1.5// x{} 1", 400, "(Invalid timestamp.)"},
        {"9223372036854775808// x{} 1", 400, "(Invalid timestamp.)"},
        {"1/48.5,2/ x{} 1", 400, "(Invalid location: '48.5,2'.)"},
        {"1// x%zz{} 1", 500, "(Invalid escape.)"},
        {"1// x{a=%z} 1", 500, "(Invalid escape.)"},
        {"1// x{} '%zz'", 400, "(Invalid value.)"},
        {"1// x{} 1 2", 400, "(Invalid value.)"},
        {"1// x{ 1", 400, "(Missing or invalid GTS name and labels.)"},
        {"junk", 400, "(Missing timestamp separator.)"},
        {"9223372036854775807// x{} 1", 400, "(Timestamp is outside of the years that"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf out = {0};
        struct buf text = {0};
        struct gts_error error;
        buf_append_str(&text, "# first\n 0// before{} 0\n");
        if (strstr(cases[i].text, "GTS name") != NULL || cases[i].line[0] == '=') {
            buf_clear(&text); /* these need to be the first */
            buf_append_str(&text, "\n\n");
        }
        buf_append_str(&text, cases[i].line);
        buf_append_str(&text, "\n1// after{} 1\n");
        int rc = read_all(&plain, buf_span(&text), 1 << 20, &out, &error);
        assert_int_equal(rc, cases[i].status == 400 ? ERR_INVALID : ERR_PROTOCOL);
        assert_int_equal(error.status, cases[i].status);
        assert_int_equal(error.line, 3);
        assert_non_null(strstr(err_text(), "Parse error at index "));
        assert_non_null(strstr(err_text(), cases[i].text));
        assert_non_null(strstr(err_text(), ", line 3 column "));
        assert_null(strstr(buf_str(&out), "after"));
        buf_deinit(&out);
        buf_deinit(&text);
    }
}

static void the_column_counts_from_the_start_of_the_line(void **state)
{
    (void)state;
    struct buf out = {0};
    struct gts_error error;
    assert_int_equal(read_all(&plain, SPAN_LIT("  1//12.5 x{} 1"), 99, &out, &error), ERR_INVALID);
    assert_int_equal(error.column, 6);
    buf_deinit(&out);
}

static void check_value(const char *text, uint8_t type, const char *printed, const char *json)
{
    struct buf scratch = {0};
    struct buf out = {0};
    struct element element = {0};
    assert_int_equal(gts_value_parse(span_of_str(text), &scratch, &element), 0);
    assert_int_equal(element.type, type);
    output_value_text(&out, &element);
    assert_string_equal(buf_str(&out), printed);
    if (json != NULL) {
        buf_clear(&out);
        output_value_json(&out, &element);
        assert_string_equal(buf_str(&out), json);
    }
    buf_deinit(&scratch);
    buf_deinit(&out);
}

static void values_are_those_of_the_reference(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint8_t type;
        const char *printed, *json;
    } cases[] = {
        {"1.0", ELEMENT_F64, "1.0", "1"},
        {"1.50", ELEMENT_F64, "1.5", "1.5"},
        {"100.0", ELEMENT_F64, "100.0", "1E+2"},
        {"-0.0", ELEMENT_F64, "0.0", "0"},
        {"0.0", ELEMENT_F64, "0.0", "0"},
        {".5", ELEMENT_F64, "0.5", "0.5"},
        {"1.", ELEMENT_F64, "1.0", "1"},
        {"0.000001", ELEMENT_F64, "0.000001", "0.000001"},
        {"1000000000000.0", ELEMENT_F64, "1000000000000.0", "1E+12"},
        {"1e3", ELEMENT_F64, "1000.0", NULL},
        {"12345678901234.5", ELEMENT_F64, "1.23456789012345E13", "1.23456789012345E13"},
        {"9999999999999.9", ELEMENT_F64, "9.9999999999999E12", NULL},
        {"NaN", ELEMENT_F64, "NaN", "NaN"},
        {"Infinity", ELEMENT_F64, "Infinity", "Infinity"},
        {"-Infinity", ELEMENT_F64, "-Infinity", "-Infinity"},
        {"1d", ELEMENT_F64, "1.0", NULL},
        {"1f", ELEMENT_F64, "1.0", NULL},
        {"-1.25", ELEMENT_F64, "-1.25", "-1.25"},
        {"22", ELEMENT_I64, "22", "22"},
        {"+7", ELEMENT_I64, "7", "7"},
        {"-9223372036854775808", ELEMENT_I64, "-9223372036854775808", "-9223372036854775808"},
        {"9223372036854775807", ELEMENT_I64, "9223372036854775807", "9223372036854775807"},
        {"T", ELEMENT_BOOL, "T", "true"},
        {"true", ELEMENT_BOOL, "T", "true"},
        {"FALSE", ELEMENT_BOOL, "F", "false"},
        {"f", ELEMENT_BOOL, "F", "false"},
        {"'caf%C3%A9%20%25'", ELEMENT_TEXT, "'caf%C3%A9%20%25'", "\"caf\\u00E9 %\""},
        {"\"a'b\"", ELEMENT_TEXT, "'a%27b'", "\"a'b\""},
        {"'a'b'", ELEMENT_TEXT, "'a%27b'", "\"a'b\""},
        {"''", ELEMENT_TEXT, "''", "\"\""},
        {"b64:AAEC_w", ELEMENT_BYTES, "b64:AAEC_w", "\"\\u0000\\u0001\\u0002\\u00FF\""},
        {"b64:AAEC/w==", ELEMENT_BYTES, "b64:AAEC_w", NULL},
        {"hex:000102ff", ELEMENT_BYTES, "b64:AAEC_w", NULL},
        {"HH:48.0:-4.5", ELEMENT_I64, "-5372670727227936656", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        check_value(cases[i].text, cases[i].type, cases[i].printed, cases[i].json);
    }
}

static void what_is_no_value_of_the_reference_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"0x10",  "1_000",  "9223372036854775808",
                                        "hex:0", "hex:0g", ":p:x",
                                        "b64:!", "nan",    "'open",
                                        "1..2",  "1e",     "--1",
                                        ".",     "truely", "[ 1 2",
                                        "[ x ]", "HH:1",   "Q:1:2:3",
                                        "",      "'%4'"};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf scratch = {0};
        struct element element = {0};
        assert_int_equal(gts_value_parse(span_of_str(cases[i]), &scratch, &element), ERR_INVALID);
        buf_deinit(&scratch);
    }
}

static void a_multivalue_is_stored_as_wrapped_points(void **state)
{
    (void)state;
    struct buf scratch = {0};
    struct element element = {0};
    struct element point;
    struct decoder decoder;
    uint64_t count;
    int64_t time;
    assert_int_equal(gts_value_parse(SPAN_LIT("[! 1/T 2/48:2/ 3/48.0:-4.5/7/'a%20b' [ 5 6.5 ] ]"),
                                     &scratch, &element),
                     ERR_INVALID); /* the second has no value */
    assert_int_equal(
        gts_value_parse(SPAN_LIT("[ 1/T 3/48.0:-4.5/7/'a%20b' [ 5 6.5 ] ]"), &scratch, &element),
        0);
    assert_int_equal(element.type, ELEMENT_BYTES);
    assert_int_equal(decoder_unwrap(element.value.bytes, &decoder, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(decoder_next(&decoder, &time, &point), 0);
    assert_int_equal(time, 1);
    assert_true(point.value.boolean);
    assert_int_equal(decoder_next(&decoder, &time, &point), 0);
    assert_int_equal(time, 3);
    assert_int_equal(point.elevation, 7);
    assert_int_equal(location_code(point.location), UINT64_C(0xb570707070707070));
    assert_true(span_equal_str(point.value.bytes, "a b"));
    assert_int_equal(decoder_next(&decoder, &time, &point), 0);
    assert_int_equal(point.type, ELEMENT_BYTES);
    assert_int_equal(decoder_unwrap(point.value.bytes, &decoder, &count), 0);
    assert_int_equal(count, 2);
    buf_deinit(&scratch);
}

static void labels_of_the_token_are_put_over_those_of_the_line(void **state)
{
    (void)state;
    static const struct series_label labels[] = {
        {{(const uint8_t *)".app", 4}, {(const uint8_t *)"demo", 4}},
        {{(const uint8_t *)"a", 1}, {(const uint8_t *)"9", 1}}};
    struct gts_options options = plain;
    struct buf out = {0};
    struct gts_error error;
    options.labels = labels;
    options.label_count = ARRAY_COUNT(labels);
    assert_int_equal(read_all(&options, SPAN_LIT("1// x{b=1,a=2,.app=z} 1"), 99, &out, &error), 0);
    assert_string_equal(buf_str(&out), "1// x{.app=demo,a=9,b=1} 1\n");
    buf_deinit(&out);
}

static const char example[] = "1700000000000000// demo.temp{room=kitchen,sensor=a} 21.5\n"
                              "=1700000060000000/48.0:-4.5/120000 22\n"
                              "1700000000000000// demo.door{room=hall} T\r\n"
                              "1700000000000000//1500 demo.event{room=hall%20A} "
                              "'caf%C3%A9%20%25'\r"
                              "# a comment\n\n"
                              "1700000000000000// demo.blob{room=hall}{unit=x,e=} b64:AAEC_w";

static const char example_read[] =
    "1700000000000000// demo.temp{room=kitchen,sensor=a} 21.5\n"
    "1700000060000000/47.99999998882413:-4.500000067055225/120000 "
    "demo.temp{room=kitchen,sensor=a} 22\n"
    "1700000000000000// demo.door{room=hall} T\n"
    "1700000000000000//1500 demo.event{room=hall%20A} 'caf%C3%A9%20%25'\n"
    "1700000000000000// demo.blob{room=hall} b64:AAEC_w\n"
    "  unit=x\n  e=\n";

static void chunks_of_any_size_give_the_same(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes <= sizeof(example); bytes++) {
        struct buf out = {0};
        struct gts_error error;
        assert_int_equal(read_all(&plain, span_of_str(example), bytes, &out, &error), 0);
        assert_string_equal(buf_str(&out), example_read);
        buf_deinit(&out);
    }
}

static void lines_and_values_above_their_bounds_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct gts_options options;
        const char *text, *complaint;
    } cases[] = {
        {{.line_bytes_max = 8}, "1// xyz{} 1\n", "Line of more than 8 bytes"},
        {{.value_bytes_max = 3}, "1// x{} 'abcd'", "Value too large"},
        {{.value_bytes_max = 3}, "1// x{} 'a%F0%9F%98%80b'", "Value too large"},
        {{.value_bytes_max = 3}, "1// x{} b64:AAECAw", "Value too large"},
        {{.labels_bytes_max = 3}, "1// x{a=bcd} 1", "Invalid or too large metadata"},
        {{.class_bytes_max = 3}, "1// abcd{} 1", "Invalid or too large metadata"},
        {{.attributes_bytes_max = 3}, "1// x{}{a=bcd} 1", "Invalid or too large metadata"},
        {{.bounded = true, .oldest = 5, .newest = 9},
         "4// x{} 1",
         "Timestamp 4 is too far in "
         "the past."},
        {{.bounded = true, .oldest = 5, .newest = 9}, "10// x{} 1", "too far in the future."},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        for (size_t bytes = 1; bytes < 20; bytes++) {
            struct buf out = {0};
            struct gts_error error;
            assert_int_equal(
                read_all(&cases[i].options, span_of_str(cases[i].text), bytes, &out, &error),
                ERR_INVALID);
            assert_non_null(strstr(err_text(), cases[i].complaint));
            assert_int_equal(error.line, 1);
            buf_deinit(&out);
        }
    }
}

/* Characters as the reference counts them, not bytes; of bytes, bytes. */
static void texts_are_bounded_by_their_characters(void **state)
{
    (void)state;
    static const char *const texts[] = {"1// x{} 'abc'", "1// x{} '%E2%82%AC%C3%A9%C3%A9'",
                                        "1// x{} '\xE2\x82\xAC\xE2\x82\xAC'",
                                        "1// x{} '%F0%9F%98%80b'", "1// x{} hex:000102"};
    struct gts_options options = {.value_bytes_max = 3};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct buf out = {0};
        struct gts_error error;
        assert_int_equal(read_all(&options, span_of_str(texts[i]), 99, &out, &error), 0);
        buf_deinit(&out);
    }
}

static void what_is_out_of_bounds_is_dropped_when_so_wanted(void **state)
{
    (void)state;
    struct gts_options options = {
        .bounded = true, .skip_out_of_bounds = true, .oldest = 5, .newest = 9, .shift = 1};
    struct buf out = {0};
    struct gts_error error;
    assert_int_equal(
        read_all(&options, SPAN_LIT("3// x{} 1\n=4// 2\n=9// 3\n=8// 4"), 99, &out, &error), 0);
    assert_string_equal(buf_str(&out), "5// x{} 2\n9// x{} 4\n");
    buf_deinit(&out);
}

static void text_that_is_not_utf8_is_taken_as_latin1(void **state)
{
    (void)state;
    check_read("1// \xC3\xA9{} '\xC3\xA9'", "1// %C3%A9{} '%C3%A9'\n");
    check_read("1// \xE9{} '\xE9%20'", "1// %C3%A9{} '%C3%A9%20'\n");
    check_read("1// x{} '%FF'", "1// x{} '%EF%BF%BD'\n");
    struct gts_options options = plain;
    struct buf out = {0};
    struct gts_error error;
    options.latin1 = true;
    assert_int_equal(read_all(&options, SPAN_LIT("1// x{} '\xC3\xA9'"), 99, &out, &error), 0);
    assert_string_equal(buf_str(&out), "1// x{} '%C3%83%C2%A9'\n");
    buf_deinit(&out);
}

static void metadata_lines_need_both_braces(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
    } cases[] = {{"x{}", 500},         {"x", 500},           {"x{}{a}", 500},  {"x{}{a=1} z", 500},
                 {"x{a=1}{a=2}", 400}, {"x{}{.app=2}", 400}, {"x{}{a=1", 400}, {"%zz{}{}", 500}};
    struct gts_options options = {.metadata = true};
    struct gts_reader *reader = gts_reader_new(&options);
    struct gts_reading reading;
    gts_reader_feed(reader,
                    SPAN_LIT(" demo.temp{b=1,a=2} {unit=C,%C3%A9=x%20y,none=} \n# c\nx{}{}\n"));
    assert_int_equal(gts_reader_next(reader, &reading), 0);
    assert_true(reading.has_attributes);
    assert_int_equal(reading.attribute_count, 3);
    assert_true(span_equal_str(reading.attributes[1].name, "\xC3\xA9"));
    assert_true(span_equal_str(reading.attributes[1].value, "x y"));
    assert_int_equal(reading.attributes[2].value.bytes, 0);
    assert_int_equal(reading.series->hash, hash64(reading.series->key));
    assert_int_equal(gts_reader_next(reader, &reading), 0);
    assert_true(reading.has_attributes);
    assert_int_equal(reading.attribute_count, 0);
    assert_int_equal(gts_reader_next(reader, &reading), GTS_MORE);
    gts_reader_free(&reader);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        reader = gts_reader_new(&options);
        gts_reader_feed(reader, span_of_str(cases[i].text));
        gts_reader_finish(reader);
        int rc = gts_reader_next(reader, &reading);
        assert_true(rc < 0);
        assert_int_equal(gts_reader_error(reader).status, cases[i].status);
        gts_reader_free(&reader);
    }
}

/* More series than are remembered: the caller hears of it, and no number is of another series. */
static void series_are_recognised_and_forgetting_them_is_told(void **state)
{
    (void)state;
    struct gts_reader *reader = gts_reader_new(&plain);
    struct gts_reading reading;
    uint32_t next = 0;
    size_t forgotten = 0;
    for (size_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < GTS_SERIES_MAX + 10; i++) {
            char line[64];
            int bytes = snprintf(line, sizeof(line), "1// x{n=%u} 1\n", i);
            gts_reader_feed(reader, span_of(line, (size_t)bytes));
            assert_int_equal(gts_reader_next(reader, &reading), 0);
            forgotten += reading.forgotten;
            if (reading.series->number == 0) {
                reading.series->number = ++next;
                reading.series->mark = i;
            }
            assert_int_equal(reading.series->mark, i);
            assert_int_equal(gts_reader_next(reader, &reading), GTS_MORE);
        }
    }
    assert_int_equal(forgotten, 2);
    assert_true(next >= 2 * GTS_SERIES_MAX && next <= 2 * (GTS_SERIES_MAX + 10));
    gts_reader_free(&reader);
}

/* A reader that is used again knows its series as long as they mean the same. */
static void a_reader_for_another_text_keeps_what_means_the_same(void **state)
{
    (void)state;
    static const struct series_label one[] = {
        {{(const uint8_t *)".app", 4}, {(const uint8_t *)"a", 1}}};
    static const struct series_label other[] = {
        {{(const uint8_t *)".app", 4}, {(const uint8_t *)"b", 1}}};
    struct gts_options options = {.labels = one, .label_count = 1, .now = 5};
    struct gts_reader *reader = gts_reader_new(&options);
    struct gts_reading reading;
    gts_reader_feed(reader, SPAN_LIT("1// x{} 1\n1// y{} 1\n1// x{} 2\nwrong\n1// x"));
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(gts_reader_next(reader, &reading), 0);
        reading.series->number = reading.series->number == 0 ? i : reading.series->number;
        assert_int_equal(reading.series->number, i == 3 ? 1 : i);
    }
    assert_int_equal(gts_reader_next(reader, &reading), ERR_INVALID);
    options.now = 7;
    gts_reader_reset(reader, &options); /* in the middle of a line, after a fault */
    gts_reader_feed(reader, SPAN_LIT("// y{} 1\n// x{} 1\n"));
    assert_int_equal(gts_reader_next(reader, &reading), 0);
    assert_int_equal(reading.line, 1);
    assert_int_equal(reading.series->number, 2);
    assert_int_equal(reading.element.time_ns, 7000);
    assert_int_equal(gts_reader_next(reader, &reading), 0);
    assert_int_equal(reading.series->number, 1);
    options.labels = other;
    gts_reader_reset(reader, &options);
    gts_reader_feed(reader, SPAN_LIT("=1// 1\n"));
    assert_int_equal(gts_reader_next(reader, &reading), ERR_INVALID); /* of another text */
    gts_reader_reset(reader, &options);
    gts_reader_feed(reader, SPAN_LIT("1// x{} 1\n"));
    assert_int_equal(gts_reader_next(reader, &reading), 0);
    assert_int_equal(reading.series->number, 0); /* another series */
    assert_true(gts_reader_bytes(reader) > 0);
    gts_reader_free(&reader);
}

/* ── Properties ──────────────────────────────────────────────────────────────────────────── */

static uint64_t seed;

static uint64_t random_u64(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return seed ^ seed >> 29;
}

/* Up to 12 code points of any kind: specials of the format, controls, non-ASCII. */
static struct span random_text(struct buf *buf)
{
    static const char specials[] = "{},=~%/ \t\n\r'\"#[]:\\+";
    size_t begin = buf->bytes;
    (void)buf_reserve(buf, 64);
    for (size_t count = random_u64() % 12; count > 0; count--) {
        uint64_t kind = random_u64() % 4;
        text_utf8_put(buf, kind == 0   ? (uint32_t)specials[random_u64() % (sizeof(specials) - 1)]
                           : kind == 1 ? (uint32_t)(random_u64() % 0xD7FF)
                                       : 'a' + (uint32_t)(random_u64() % 26));
    }
    return span_of(buf->data + begin, buf->bytes - begin);
}

static void random_number(struct element *element)
{
    double power = pow(10, (double)(random_u64() % 20));
    switch (random_u64() % 4) {
    case 0:
        element->type = ELEMENT_I64;
        element->value.i64 = (int64_t)(random_u64() >> random_u64() % 64);
        return;
    case 1: /* any bits of a finite double */
        element->type = ELEMENT_F64;
        do {
            element->value.i64 = (int64_t)random_u64();
        } while (!isfinite(element->value.f64));
        return;
    case 2: /* few digits */
        element->type = ELEMENT_F64;
        element->value.f64 = (double)(int64_t)(random_u64() % 100000000) / power;
        return;
    default:
        element->type = ELEMENT_BOOL;
        element->value.boolean = random_u64() % 2 == 0;
        return;
    }
}

static void random_element(struct element *element, struct buf *text)
{
    memset(element, 0, sizeof(*element));
    element->time_ns = ((int64_t)(random_u64() >> 3) - (INT64_C(1) << 60)) / 1000 * 1000;
    element->has = (uint8_t)(random_u64() % 4);
    if ((element->has & ELEMENT_HAS_LOCATION) != 0) {
        element->location = location_of_code(random_u64());
    }
    if ((element->has & ELEMENT_HAS_ELEVATION) != 0) {
        element->elevation = (int64_t)random_u64();
    }
    uint64_t kind = random_u64() % 3;
    if (kind == 2) {
        random_number(element);
        return;
    }
    element->type = kind == 0 ? ELEMENT_TEXT : ELEMENT_BYTES;
    element->value.bytes = random_text(text);
}

/* Digits are read eight at a time: of any length, in any form, they are what strtod reads. */
static void numbers_of_any_length_are_those_of_the_c_library(void **state)
{
    (void)state;
    seed = 77;
    for (size_t i = 0; i < 100000; i++) {
        char text[64];
        struct element element = {0};
        uint64_t random = random_u64();
        int bytes = snprintf(text, sizeof(text), "%s%" PRIu64, random % 3 == 0 ? "-" : "",
                             random >> (random & 63));
        int64_t integer = (int64_t)strtoull(text, NULL, 10);
        bool fits = random >> (random & 63) <= INT64_MAX;
        assert_int_equal(gts_value_parse(span_of_str(text), NULL, &element) == 0, fits);
        assert_true(!fits || (element.type == ELEMENT_I64 && element.value.i64 == integer));
        int at = (int)(random_u64() % (unsigned)(bytes + 1));
        memmove(text + at + 1, text + at, (size_t)(bytes - at) + 1);
        text[at] = at == 0 && text[1] == '-' ? ' ' : '.';
        if (text[0] != ' ' && strcmp(text, "-.") != 0) {
            assert_int_equal(gts_value_parse(span_of_str(text), NULL, &element), 0);
            assert_int_equal(element.type, ELEMENT_F64);
            assert_true(element.value.f64 == strtod(text, NULL));
        }
        text[at] = "x e-+"[random_u64() % 4];
        (void)(gts_value_parse(span_of_str(text), NULL, &element) == 0);
    }
}

static void what_is_printed_is_read_again(void **state)
{
    (void)state;
    for (seed = 1; seed < 20000;) {
        uint64_t first = seed;
        struct buf text = {0};
        struct buf key = {0};
        struct buf line = {0};
        struct element element;
        struct series_label labels[4];
        struct gts_reading reading;
        (void)buf_reserve(&text, 4096);
        size_t count = random_u64() % ARRAY_COUNT(labels);
        for (size_t i = 0; i < count; i++) {
            labels[i].name = random_text(&text);
            labels[i].value = random_text(&text);
        }
        struct span class = random_text(&text);
        assert_int_equal(series_key_make(&key, class, labels, count), 0);
        random_element(&element, &text);
        output_line(&line, WARP10_US, buf_span(&key), &element);

        struct gts_reader *reader = gts_reader_new(&plain);
        gts_reader_feed(reader, buf_span(&line));
        assert_int_equal(gts_reader_next(reader, &reading), 0);
        assert_true(span_equal(reading.series->key, buf_span(&key)));
        assert_int_equal(reading.element.time_ns, element.time_ns);
        assert_true(element_equal_value(&reading.element, &element));
        gts_reader_free(&reader);
        buf_deinit(&text);
        buf_deinit(&key);
        buf_deinit(&line);
        seed = first + 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_accepted_lines_of_the_reference_are_accepted),
        cmocka_unit_test(the_refused_lines_of_the_reference_are_refused),
        cmocka_unit_test(the_column_counts_from_the_start_of_the_line),
        cmocka_unit_test(values_are_those_of_the_reference),
        cmocka_unit_test(what_is_no_value_of_the_reference_is_refused),
        cmocka_unit_test(a_multivalue_is_stored_as_wrapped_points),
        cmocka_unit_test(labels_of_the_token_are_put_over_those_of_the_line),
        cmocka_unit_test(chunks_of_any_size_give_the_same),
        cmocka_unit_test(lines_and_values_above_their_bounds_are_refused),
        cmocka_unit_test(texts_are_bounded_by_their_characters),
        cmocka_unit_test(what_is_out_of_bounds_is_dropped_when_so_wanted),
        cmocka_unit_test(text_that_is_not_utf8_is_taken_as_latin1),
        cmocka_unit_test(metadata_lines_need_both_braces),
        cmocka_unit_test(series_are_recognised_and_forgetting_them_is_told),
        cmocka_unit_test(a_reader_for_another_text_keeps_what_means_the_same),
        cmocka_unit_test(numbers_of_any_length_are_those_of_the_c_library),
        cmocka_unit_test(what_is_printed_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
