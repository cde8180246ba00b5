/* Values keep type and order on every way: as text, as numbers, as enumerated values. */
#include "query/value.h"

#include "base/mem.h"
#include "base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct query_value text_of(const char *text)
{
    return query_value_of_text(span_of_str(text));
}

static void expect_text(struct query_value value, const char *want)
{
    struct buf buf = {0};
    query_value_put_text(&value, &buf);
    assert_string_equal(buf_str(&buf), want);
    buf_deinit(&buf);
}

static void floats_have_their_shortest_text(void **unused)
{
    (void)unused;
    expect_text(query_value_of_f64(0.1), "0.1");
    expect_text(query_value_of_f64(40), "40");
    expect_text(query_value_of_f64(0.1 + 0.2), "0.30000000000000004");
    expect_text(query_value_of_i64(INT64_MIN), "-9223372036854775808");
}

static void texts_are_numbers_only_as_a_whole(void **unused)
{
    (void)unused;
    static const char *const none[] = {"", " ", "12a", "nan", "inf", "1 2", "0x", "e", "-"};
    struct query_value number;
    for (size_t i = 0; i < ARRAY_COUNT(none); i++) {
        struct query_value value = text_of(none[i]);
        if (query_value_number(&value, &number)) {
            fail_msg("'%s' became a number", none[i]);
        }
    }
    struct query_value value = text_of(" 12.5 ");
    assert_true(query_value_number(&value, &number));
    assert_true(number.type == QUERY_VALUE_F64 && number.real > 12.4 && number.real < 12.6);
    value = text_of("0x1F");
    assert_true(query_value_number(&value, &number));
    assert_true(number.type == QUERY_VALUE_I64 && number.number == 31);
}

static void numbers_come_before_addresses_before_texts(void **unused)
{
    (void)unused;
    static const char *const order[] = {"-1", "2", "10.5", "11", "9.9.9.9", "10.0.0.1", "a", "b"};
    for (size_t i = 0; i < ARRAY_COUNT(order); i++) {
        for (size_t j = 0; j < ARRAY_COUNT(order); j++) {
            struct query_value a = text_of(order[i]);
            struct query_value b = text_of(order[j]);
            int sign = query_value_compare(&a, &b);
            assert_int_equal((sign > 0) - (sign < 0), (i > j) - (i < j));
        }
    }
}

static void every_type_survives_being_an_enumerated_value(void **unused)
{
    (void)unused;
    struct query_value values[] = {
        text_of("x y"),
        query_value_of_i64(-5),
        query_value_of_f64(2.5),
        query_value_of_bool(true),
        {.type = QUERY_VALUE_TIME, .number = -1},
        {.type = QUERY_VALUE_TIME, .number = TIME_MIN_NS},
        {.type = QUERY_VALUE_TIME, .number = TIME_MAX_NS},
        {.type = QUERY_VALUE_DURATION, .number = 1500},
        {.type = QUERY_VALUE_IP, .ip = {[10] = 0xFF, [11] = 0xFF, [12] = 10, [15] = 1}},
    };
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        struct buf buf = {0};
        struct series_ev ev;
        size_t begin = series_evs_begin(&buf);
        query_value_put_ev(&values[i], SPAN_LIT("n"), &buf, begin);
        assert_int_equal(series_evs_check(buf_span(&buf)), 0);
        assert_true(series_evs_find(buf_span(&buf), SPAN_LIT("n"), &ev));
        struct query_value back = query_value_of_ev(&ev);
        assert_int_equal(back.type, values[i].type);
        assert_int_equal(query_value_compare(&back, &values[i]), 0);
        buf_deinit(&buf);
    }
}

/* Their bytes compare as the values do, whatever values stand behind them. */
static void order_as_bytes_is_that_of_values(void **unused)
{
    (void)unused;
    static const char *const texts[] = {"0",
                                        "-0",
                                        "7",
                                        "7.0",
                                        "-7",
                                        "10",
                                        "9007199254740993",
                                        "9007199254740992.0",
                                        "1e300",
                                        "-1e300",
                                        "9223372036854775807",
                                        "9223372036854775808",
                                        "-9223372036854775808",
                                        "0x1F",
                                        "",
                                        "a",
                                        "ab",
                                        "b",
                                        "A",
                                        "10.0.0.1",
                                        "9.0.0.1",
                                        "::1",
                                        "nan",
                                        "1 ",
                                        "\xff"};
    struct query_value values[ARRAY_COUNT(texts) + 4];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        values[count++] = query_value_of_text(span_of_str(texts[i]));
    }
    values[count++] = query_value_of_text(span_of("a\0", 2));
    values[count++] = query_value_of_f64(0.1);
    values[count++] = query_value_of_i64(INT64_MAX - 1);
    values[count++] = query_value_of_bool(true);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            struct buf a = {0};
            struct buf b = {0};
            query_value_put_order(&values[i], false, &a);
            query_value_put_order(&values[j], false, &b);
            int want = query_value_compare(&values[i], &values[j]);
            int got = span_compare(buf_span(&a), buf_span(&b));
            assert_true((want < 0) == (got < 0) && (want > 0) == (got > 0));
            buf_clear(&a);
            buf_clear(&b);
            query_value_put_order(&values[i], true, &a);
            query_value_put_order(&values[j], true, &b);
            assert_true(span_equal(buf_span(&a), buf_span(&b)) == (i == j));
            buf_append_byte(&a, (uint8_t)j);
            buf_append_byte(&b, (uint8_t)i);
            got = span_compare(buf_span(&a), buf_span(&b));
            assert_true(want == 0 || (want < 0) == (got < 0));
            buf_deinit(&a);
            buf_deinit(&b);
        }
    }
}

static void digits_are_read_whatever_their_number(void **unused)
{
    (void)unused;
    static const char digits[] = "904817263540917253";
    static const char others[] = {'/', ':', ' ', '\0', (char)0xB0, (char)0xFF};
    int64_t want = 0;
    for (size_t bytes = 1; bytes < sizeof(digits); bytes++) {
        struct query_value number;
        char *copy = mem_strndup(digits, bytes);
        struct query_value text = query_value_of_text(span_of(copy, bytes));
        want = want * 10 + (digits[bytes - 1] - '0');
        assert_true(query_value_number(&text, &number));
        assert_int_equal(number.type, QUERY_VALUE_I64);
        assert_int_equal(number.number, want);
        for (size_t at = 1; at + 1 < bytes; at++) { /* spaces at the ends are no harm */
            for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
                copy[at] = others[i];
                assert_false(query_value_number(&text, &number));
            }
            copy[at] = digits[at];
        }
        mem_free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_have_their_shortest_text),
        cmocka_unit_test(texts_are_numbers_only_as_a_whole),
        cmocka_unit_test(numbers_come_before_addresses_before_texts),
        cmocka_unit_test(every_type_survives_being_an_enumerated_value),
        cmocka_unit_test(order_as_bytes_is_that_of_values),
        cmocka_unit_test(digits_are_read_whatever_their_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
