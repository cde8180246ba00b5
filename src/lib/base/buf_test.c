/*
 * Claims: a buf keeps every byte in order through growth, consumption and printing, its text is
 * always terminated, and giving the contents away leaves it empty and usable.
 */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"

static void bytes_survive_growth_in_order(void **state)
{
    (void)state;
    struct buf buf = {0};
    for (size_t i = 0; i < 100000; i++) {
        buf_append_byte(&buf, (uint8_t)(i * 7));
    }
    assert_int_equal(buf.bytes, 100000);
    for (size_t i = 0; i < 100000; i++) {
        assert_int_equal(buf.data[i], (uint8_t)(i * 7));
    }
    buf_deinit(&buf);
    assert_null(buf.data);
}

static void reserve_leaves_the_length_to_the_caller(void **state)
{
    (void)state;
    struct buf buf = {0};
    memcpy(buf_reserve(&buf, 5), "hello", 5);
    assert_int_equal(buf.bytes, 0);
    buf.bytes += 5;
    assert_true(span_equal_str(buf_span(&buf), "hello"));
    buf_deinit(&buf);
}

static void printing_appends(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_append_str(&buf, "a");
    buf_printf(&buf, "%d%s", 12, "xyz");
    buf_append(&buf, SPAN_NONE);
    assert_string_equal(buf_str(&buf), "a12xyz");
    assert_int_equal(buf.bytes, 6);
    buf_printf(&buf, "%0500d", 1);
    assert_int_equal(buf.bytes, 506);
    buf_deinit(&buf);
}

static void an_empty_buf_is_an_empty_text(void **state)
{
    (void)state;
    struct buf buf = {0};
    assert_string_equal(buf_str(&buf), "");
    assert_int_equal(buf.bytes, 0);
    buf_deinit(&buf);
}

static void consuming_moves_the_rest_to_the_front(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_append_str(&buf, "0123456789");
    buf_consume(&buf, 0);
    buf_consume(&buf, 4);
    assert_string_equal(buf_str(&buf), "456789");
    buf_consume(&buf, 6);
    assert_int_equal(buf.bytes, 0);
    buf_deinit(&buf);
}

static void taking_gives_the_contents_away(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_append_str(&buf, "mine");
    char *text = buf_take(&buf);
    assert_string_equal(text, "mine");
    assert_null(buf.data);
    buf_append_str(&buf, "again");
    assert_string_equal(buf_str(&buf), "again");
    assert_string_equal(text, "mine");
    mem_free(text);
    buf_clear(&buf);
    assert_int_equal(buf.bytes, 0);
    buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_survive_growth_in_order),
        cmocka_unit_test(reserve_leaves_the_length_to_the_caller),
        cmocka_unit_test(printing_appends),
        cmocka_unit_test(an_empty_buf_is_an_empty_text),
        cmocka_unit_test(consuming_moves_the_rest_to_the_front),
        cmocka_unit_test(taking_gives_the_contents_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
