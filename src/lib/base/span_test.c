/*
 * Claims: spans compare, cut, search and convert without ever reading outside themselves
 * (the address sanitizer watches: every text here lies in memory of exactly its size).
 */
#include "base/span.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"

static void comparing_is_bytewise_and_shorter_first(void **state)
{
    (void)state;
    assert_true(span_equal(SPAN_NONE, SPAN_LIT("")));
    assert_false(span_equal_str(SPAN_LIT("ab"), "abc"));
    assert_true(span_equal_nocase(SPAN_LIT("TaG"), SPAN_LIT("tAg")));
    assert_false(span_equal_nocase(SPAN_LIT("["), SPAN_LIT("{")));
    assert_true(span_compare(SPAN_LIT("ab"), SPAN_LIT("abc")) < 0);
    assert_true(span_compare(SPAN_LIT("\xff"), SPAN_LIT("a")) > 0);
    assert_int_equal(span_compare(SPAN_NONE, SPAN_NONE), 0);
}

static void prefixes_and_suffixes(void **state)
{
    (void)state;
    assert_true(span_starts_with(SPAN_LIT("tag=x"), SPAN_LIT("tag=")));
    assert_false(span_starts_with(SPAN_LIT("ta"), SPAN_LIT("tag")));
    assert_true(span_ends_with(SPAN_LIT("x.conf"), SPAN_LIT(".conf")));
    assert_false(span_ends_with(SPAN_LIT("conf"), SPAN_LIT(".conf")));
    assert_true(span_starts_with(SPAN_NONE, SPAN_NONE));
}

static void cutting_never_leaves_the_span(void **state)
{
    (void)state;
    struct span span = SPAN_LIT("hello");
    assert_true(span_equal_str(span_from(span, 2), "llo"));
    assert_int_equal(span_from(span, 5).bytes, 0);
    assert_int_equal(span_from(span, 500).bytes, 0);
    assert_true(span_equal_str(span_first(span, 2), "he"));
    assert_int_equal(span_first(span, 500).bytes, 5);
    assert_true(span_equal_str(span_trim(SPAN_LIT(" \t a b \r\n")), "a b"));
    assert_int_equal(span_trim(SPAN_LIT(" \n ")).bytes, 0);
}

static void searching_stops_at_the_end(void **state)
{
    (void)state;
    uint8_t *exact = mem_dup("abcabc", 6);
    struct span span = span_of(exact, 6);
    assert_int_equal(span_find(span, SPAN_LIT("ca")), 2);
    assert_int_equal(span_find(span, SPAN_LIT("bcd")), -1);
    assert_int_equal(span_find(span, SPAN_NONE), 0);
    assert_int_equal(span_find(SPAN_NONE, SPAN_LIT("a")), -1);
    assert_int_equal(span_find_byte(span, 'c'), 2);
    assert_int_equal(span_find_byte(span, 'x'), -1);
    mem_free(exact);
}

static void splitting_gives_every_piece(void **state)
{
    (void)state;
    struct span rest = SPAN_LIT("a,,b");
    struct span piece;
    assert_true(span_split(&rest, ',', &piece));
    assert_true(span_equal_str(piece, "a"));
    assert_true(span_split(&rest, ',', &piece));
    assert_int_equal(piece.bytes, 0);
    assert_true(span_split(&rest, ',', &piece));
    assert_true(span_equal_str(piece, "b"));
    assert_false(span_split(&rest, ',', &piece));
    rest = SPAN_NONE;
    assert_false(span_split(&rest, ',', &piece));
}

static void numbers_are_whole_or_refused(void **state)
{
    (void)state;
    int64_t i;
    uint64_t u;
    assert_true(span_to_i64(SPAN_LIT("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_true(span_to_i64(SPAN_LIT("+7"), &i) && i == 7);
    assert_true(span_to_u64(SPAN_LIT("18446744073709551615"), &u) && u == UINT64_MAX);
    static const char *const wrong[] = {"",
                                        "-",
                                        "+",
                                        "1 ",
                                        " 1",
                                        "0x1",
                                        "1e3",
                                        "--1",
                                        "1.0",
                                        "9223372036854775808",
                                        "99999999999999999999"};
    for (size_t k = 0; k < sizeof(wrong) / sizeof(wrong[0]); k++) {
        assert_false(span_to_i64(span_of_str(wrong[k]), &i));
    }
    assert_false(span_to_u64(SPAN_LIT("18446744073709551616"), &u));
    assert_false(span_to_u64(SPAN_LIT("-1"), &u));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparing_is_bytewise_and_shorter_first),
        cmocka_unit_test(prefixes_and_suffixes),
        cmocka_unit_test(cutting_never_leaves_the_span),
        cmocka_unit_test(searching_stops_at_the_end),
        cmocka_unit_test(splitting_gives_every_piece),
        cmocka_unit_test(numbers_are_whole_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
