/*
 * Claims: every text form reads back to the bytes it was made of, what is not of its form is
 * refused and leaves the buf as it was, and broken UTF-8 never reaches a JSON reader.
 */
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(struct buf *buf, const char *text)
{
    assert_string_equal(buf_str(buf), text);
    buf_clear(buf);
}

static void known_values_of_hex_and_base64(void **state)
{
    (void)state;
    struct buf buf = {0};
    text_hex(&buf, SPAN_LIT("\x00\xfe\x7f"));
    expect(&buf, "00fe7f");
    text_base64(&buf, SPAN_LIT(""));
    expect(&buf, "");
    text_base64(&buf, SPAN_LIT("f"));
    expect(&buf, "Zg==");
    text_base64(&buf, SPAN_LIT("fo"));
    expect(&buf, "Zm8=");
    text_base64(&buf, SPAN_LIT("foobar"));
    expect(&buf, "Zm9vYmFy");
    assert_true(text_unbase64(&buf, SPAN_LIT("Zm9vYg")));
    expect(&buf, "foob");
    assert_true(text_unhex(&buf, SPAN_LIT("4A6b")));
    expect(&buf, "Jk");
    buf_deinit(&buf);
}

static void any_bytes_come_back_from_every_form(void **state)
{
    (void)state;
    unsigned seed = 11;
    struct buf form = {0};
    struct buf back = {0};
    uint8_t data[100];
    for (size_t round = 0; round < 300; round++) {
        struct span bytes = span_of(data, round % sizeof(data));
        for (size_t i = 0; i < bytes.bytes; i++) {
            data[i] = (uint8_t)rand_r(&seed);
        }
        text_hex(&form, bytes);
        assert_true(text_unhex(&back, buf_span(&form)));
        assert_true(span_equal(buf_span(&back), bytes));
        buf_clear(&form);
        buf_clear(&back);
        text_base64(&form, bytes);
        assert_true(text_unbase64(&back, buf_span(&form)));
        assert_true(span_equal(buf_span(&back), bytes));
        buf_clear(&form);
        buf_clear(&back);
        text_url_encode(&form, bytes);
        assert_true(text_url_decode(&back, buf_span(&form), true));
        assert_true(span_equal(buf_span(&back), bytes));
        buf_clear(&form);
        buf_clear(&back);
    }
    buf_deinit(&form);
    buf_deinit(&back);
}

static void what_is_not_of_its_form_is_refused(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_append_str(&buf, "kept");
    assert_false(text_unhex(&buf, SPAN_LIT("abc")));
    assert_false(text_unhex(&buf, SPAN_LIT("zz")));
    assert_false(text_unbase64(&buf, SPAN_LIT("a")));
    assert_false(text_unbase64(&buf, SPAN_LIT("a*bc")));
    assert_false(text_unbase64(&buf, SPAN_LIT("ab=c")));
    assert_false(text_url_decode(&buf, SPAN_LIT("a%4"), false));
    assert_false(text_url_decode(&buf, SPAN_LIT("abc%"), false));
    assert_false(text_url_decode(&buf, SPAN_LIT("%zz"), false));
    assert_string_equal(buf_str(&buf), "kept");
    buf_deinit(&buf);
}

static void a_plus_is_a_space_only_where_forms_say_so(void **state)
{
    (void)state;
    struct buf buf = {0};
    assert_true(text_url_decode(&buf, SPAN_LIT("a+b%2b%20"), true));
    expect(&buf, "a b+ ");
    assert_true(text_url_decode(&buf, SPAN_LIT("a+b"), false));
    expect(&buf, "a+b");
    text_url_encode(&buf, SPAN_LIT("a b/\xc3\xa9~"));
    expect(&buf, "a%20b%2F%C3%A9~");
    buf_deinit(&buf);
}

static void utf8_is_shortest_form_without_surrogates(void **state)
{
    (void)state;
    assert_true(text_is_utf8(SPAN_LIT("plain, \xc3\xa9, \xe2\x82\xac, \xf0\x9f\x92\xa7")));
    assert_true(text_is_utf8(SPAN_NONE));
    assert_false(text_is_utf8(SPAN_LIT("\xc0\x80")));         /* overlong NUL */
    assert_false(text_is_utf8(SPAN_LIT("\xe0\x80\xaf")));     /* overlong slash */
    assert_false(text_is_utf8(SPAN_LIT("\xed\xa0\x80")));     /* a surrogate */
    assert_false(text_is_utf8(SPAN_LIT("\xf4\x90\x80\x80"))); /* above U+10FFFF */
    assert_false(text_is_utf8(SPAN_LIT("\xe2\x82")));         /* cut short */
    assert_false(text_is_utf8(SPAN_LIT("\x80")));
}

static void every_code_point_comes_back(void **state)
{
    (void)state;
    struct buf buf = {0};
    for (uint32_t c = 1; c <= 0x10ffff; c += 13) {
        if (c >= 0xd800 && c <= 0xdfff) {
            continue;
        }
        buf_clear(&buf);
        text_utf8_put(&buf, c);
        struct span rest = buf_span(&buf);
        assert_int_equal(text_utf8_next(&rest), c);
        assert_int_equal(rest.bytes, 0);
    }
    struct span broken = SPAN_LIT("\xff"
                                  "a");
    assert_int_equal(text_utf8_next(&broken), 0xfffd);
    assert_int_equal(text_utf8_next(&broken), 'a');
    buf_deinit(&buf);
}

static void json_strings_are_always_valid(void **state)
{
    (void)state;
    struct buf buf = {0};
    text_json_string(&buf, SPAN_LIT("a\"b\\c\n\x01\x7f"));
    expect(&buf, "\"a\\\"b\\\\c\\u000a\\u0001\\u007f\"");
    text_json_string(&buf, SPAN_LIT("\xff\xc3\xa9"));
    expect(&buf, "\"\xef\xbf\xbd\xc3\xa9\"");
    text_json_string(&buf, SPAN_NONE);
    expect(&buf, "\"\"");
    buf_deinit(&buf);
}

static void the_nearest_word_is_offered_or_none(void **state)
{
    (void)state;
    static const char *const keys[] = {"Ingest-Port", "Control-Port", "Web-Port"};
    assert_string_equal(text_nearest(SPAN_LIT("ingest-prot"), keys, 3), "Ingest-Port");
    assert_string_equal(text_nearest(SPAN_LIT("WebPort"), keys, 3), "Web-Port");
    assert_null(text_nearest(SPAN_LIT("something-else"), keys, 3));
    assert_null(text_nearest(SPAN_LIT("x"), keys, 0));
    assert_int_equal(text_distance(SPAN_LIT("kitten"), SPAN_LIT("Sitting")), 3);
    assert_int_equal(text_distance(SPAN_NONE, SPAN_LIT("abc")), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values_of_hex_and_base64),
        cmocka_unit_test(any_bytes_come_back_from_every_form),
        cmocka_unit_test(what_is_not_of_its_form_is_refused),
        cmocka_unit_test(a_plus_is_a_space_only_where_forms_say_so),
        cmocka_unit_test(utf8_is_shortest_form_without_surrogates),
        cmocka_unit_test(every_code_point_comes_back),
        cmocka_unit_test(json_strings_are_always_valid),
        cmocka_unit_test(the_nearest_word_is_offered_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
