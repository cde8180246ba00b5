/*
 * Keys: one series, one key; what is no key is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "series/key.h"

static struct series_label label(const char *name, const char *value)
{
    return (struct series_label){span_of_str(name), span_of_str(value)};
}

static void the_order_of_labels_does_not_matter_and_the_later_of_two_counts(void **state)
{
    (void)state;
    struct series_label one[] = {label("b", "2"), label("a", "1"), label("", "")};
    struct series_label two[] = {label("a", "old"), label("", ""), label("a", "1"),
                                 label("b", "2")};
    struct buf a = {0};
    struct buf b = {0};
    assert_int_equal(series_key_make(&a, SPAN_LIT("cpu"), one, 3), 0);
    assert_int_equal(series_key_make(&b, SPAN_LIT("cpu"), two, 4), 0);
    assert_true(span_equal(buf_span(&a), buf_span(&b)));
    assert_int_equal(series_key_check(buf_span(&a)), 0);
    struct series_key_reader reader = series_key_open(buf_span(&a));
    assert_true(span_equal_str(reader.class, "cpu"));
    assert_int_equal(reader.count, 3);
    struct series_label got;
    assert_true(series_key_next(&reader, &got));
    assert_int_equal(got.name.bytes, 0);
    assert_true(series_key_next(&reader, &got));
    assert_true(span_equal_str(got.name, "a"));
    assert_true(span_equal_str(got.value, "1"));
    assert_true(series_key_next(&reader, &got));
    assert_false(series_key_next(&reader, &got));
    buf_deinit(&a);
    buf_deinit(&b);
}

static void large_keys_are_read_back_and_larger_ones_refused(void **state)
{
    (void)state;
    struct buf key = {0};
    char *value = mem_alloc(SERIES_KEY_BYTES_MAX);
    memset(value, 'v', SERIES_KEY_BYTES_MAX);
    struct series_label one = {SPAN_LIT("n"), span_of(value, SERIES_KEY_BYTES_MAX - 20)};
    assert_int_equal(series_key_make(&key, SPAN_LIT("c"), &one, 1), 0);
    assert_int_equal(series_key_check(buf_span(&key)), 0);
    struct series_key_reader reader = series_key_open(buf_span(&key));
    struct series_label got;
    assert_true(series_key_next(&reader, &got));
    assert_true(span_equal(got.value, one.value));
    size_t before = key.bytes;
    one.value.bytes = SERIES_KEY_BYTES_MAX;
    assert_int_equal(series_key_make(&key, SPAN_LIT("c"), &one, 1), ERR_TOO_LARGE);
    assert_int_equal(key.bytes, before);

    static char names[SERIES_LABELS_MAX + 1][16];
    static struct series_label many[SERIES_LABELS_MAX + 1];
    for (int i = 0; i <= SERIES_LABELS_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "n%d", i);
        many[i] = label(names[i], "v");
    }
    buf_clear(&key);
    assert_int_equal(series_key_make(&key, SPAN_LIT("c"), many, SERIES_LABELS_MAX + 1),
                     ERR_TOO_LARGE);
    assert_int_equal(series_key_make(&key, SPAN_LIT("c"), many, SERIES_LABELS_MAX), 0);
    assert_int_equal(series_key_check(buf_span(&key)), 0);
    reader = series_key_open(buf_span(&key));
    assert_int_equal(reader.count, SERIES_LABELS_MAX);
    mem_free(value);
    buf_deinit(&key);
}

static void what_is_no_key_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t count;
    } bad[] = {
        {"", 0},
        {"\1c", 2},                /* no count */
        {"\2c\0", 3},              /* cut */
        {"\1c\1\1n", 5},           /* no value */
        {"\1c\0x", 4},             /* something behind */
        {"\1c\2\1b\1v\1a\1v", 11}, /* not sorted */
        {"\1c\2\1a\1v\1a\1v", 11}, /* twice */
        {"\x81\0c\0", 4},          /* a number not in its shortest form */
    };
    assert_int_equal(series_key_check(span_of("\1c\2\1a\1v\1b\1v", 11)), 0);
    assert_int_equal(series_key_check(span_of("\0\0", 2)), 0);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(series_key_check(span_of(bad[i].bytes, bad[i].count)), ERR_INVALID);
    }
}

static void the_text_is_encoded_as_warp_10_does(void **state)
{
    (void)state;
    struct series_label labels[] = {label("room no", "caf\xc3\xa9"), label("a.b-c_d*", "x=y,{z}~")};
    struct buf key = {0};
    struct buf text = {0};
    assert_int_equal(series_key_make(&key, SPAN_LIT("demo.temp"), labels, 2), 0);
    series_key_text(&text, buf_span(&key));
    assert_string_equal(buf_str(&text),
                        "demo.temp{a.b-c_d*=x%3Dy%2C%7Bz%7D%7E,room%20no=caf%C3%A9}");
    buf_deinit(&key);
    buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_of_labels_does_not_matter_and_the_later_of_two_counts),
        cmocka_unit_test(large_keys_are_read_back_and_larger_ones_refused),
        cmocka_unit_test(what_is_no_key_is_refused),
        cmocka_unit_test(the_text_is_encoded_as_warp_10_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
