/*
 * Payloads of SERIES, META and DELETE are read back as they were written, or refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "series/records.h"
#include "series/selector.h"

#define KEY SPAN_LIT("\1c\1\1n\1v")
#define OTHER SPAN_LIT("\1d\0")

static void definitions_are_read_back(void **state)
{
    (void)state;
    struct buf payload = {0};
    series_definitions_begin(&payload);
    series_definitions_put(&payload, &(struct series_definition){7, KEY});
    series_definitions_put(&payload, &(struct series_definition){UINT32_MAX, OTHER});
    struct series_definitions reader;
    struct series_definition got;
    assert_int_equal(series_definitions_open(&reader, buf_span(&payload)), 0);
    assert_true(series_definitions_next(&reader, &got));
    assert_int_equal(got.number, 7);
    assert_true(span_equal(got.key, KEY));
    assert_true(series_definitions_next(&reader, &got));
    assert_int_equal(got.number, UINT32_MAX);
    assert_false(series_definitions_next(&reader, &got));
    payload.data[payload.bytes - 1] = 1; /* a label that is not there */
    assert_int_equal(series_definitions_open(&reader, buf_span(&payload)), ERR_CORRUPT);
    assert_int_equal(series_definitions_open(&reader, SPAN_NONE), ERR_CORRUPT);
    buf_deinit(&payload);
}

static void metas_are_read_back(void **state)
{
    (void)state;
    static const struct series_attribute attributes[] = {
        {SPAN_LIT("team"), SPAN_LIT("blue"), false},
        {SPAN_LIT("old"), SPAN_LIT(""), true},
    };
    struct buf payload = {0};
    series_metas_begin(&payload);
    assert_int_equal(series_metas_put(&payload, KEY, true, attributes, 2), 0);
    assert_int_equal(series_metas_put(&payload, OTHER, false, NULL, 0), 0);
    size_t before = payload.bytes;
    assert_int_equal(
        series_metas_put(&payload, OTHER, false, attributes, SERIES_ATTRIBUTES_MAX + 1),
        ERR_TOO_LARGE);
    assert_int_equal(payload.bytes, before);
    struct series_metas reader;
    struct series_meta meta;
    struct series_attribute got;
    assert_int_equal(series_metas_open(&reader, buf_span(&payload)), 0);
    assert_true(series_metas_next(&reader, &meta));
    assert_true(meta.replace);
    assert_int_equal(meta.count, 2);
    assert_true(series_meta_attribute(&meta, &got));
    assert_true(span_equal_str(got.value, "blue"));
    assert_true(series_meta_attribute(&meta, &got));
    assert_true(got.removed);
    assert_false(series_meta_attribute(&meta, &got));
    assert_true(series_metas_next(&reader, &meta));
    assert_false(meta.replace);
    assert_false(series_metas_next(&reader, &meta));
    buf_deinit(&payload);
}

static void deletes_are_read_back_and_bad_ones_refused(void **state)
{
    (void)state;
    static const struct series_delete bad[] = {
        {4, 0, 1, SPAN_LIT("a{}")},
        {0, 2, 1, SPAN_LIT("a{}")},
        {0, 0, 1, SPAN_LIT("a{")},
        {SERIES_DELETE_WHOLE, 0, INT64_MAX, SPAN_LIT("a{}")},
        {SERIES_DELETE_WHOLE, INT64_MIN, 0, SPAN_LIT("a{}")},
        {SERIES_DELETE_EXACT, 0, 1, SPAN_LIT("~a{}")},
    };
    struct buf payload = {0};
    struct series_delete got;
    struct series_delete good = {SERIES_DELETE_WHOLE, INT64_MIN, INT64_MAX, SPAN_LIT("~a{x=1}")};
    series_delete_encode(&payload, &good);
    assert_int_equal(series_delete_decode(buf_span(&payload), &got), 0);
    assert_int_equal(got.flags, good.flags);
    assert_true(got.start_ns == INT64_MIN && got.end_ns == INT64_MAX);
    assert_true(span_equal(got.selector, good.selector));
    assert_int_equal(series_delete_selector_flags(&got), SERIES_SELECTOR_LABELS_ONLY);
    struct series_delete alone = {SERIES_DELETE_WHOLE, INT64_MIN, INT64_MIN, SPAN_LIT("a{}")};
    buf_clear(&payload);
    series_delete_encode(&payload, &alone);
    assert_int_equal(series_delete_decode(buf_span(&payload), &got), 0);
    assert_true(got.end_ns == INT64_MIN);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        buf_clear(&payload);
        series_delete_encode(&payload, &bad[i]);
        assert_int_equal(series_delete_decode(buf_span(&payload), &got), ERR_CORRUPT);
    }
    buf_deinit(&payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(definitions_are_read_back),
        cmocka_unit_test(metas_are_read_back),
        cmocka_unit_test(deletes_are_read_back_and_bad_ones_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
