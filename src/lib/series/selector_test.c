/*
 * Selectors mean what they mean in Warp 10, and errors say where they are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/text.h"
#include "series/selector.h"

/* "class{a=1,b=2}" with plain texts, for tests. */
static void key_of(struct buf *key, const char *text)
{
    struct series_label labels[8];
    size_t count = 0;
    struct span rest = span_of_str(text);
    struct span class;
    struct span piece;
    assert_true(span_split(&rest, '{', &class));
    rest = span_first(rest, rest.bytes - 1);
    while (span_split(&rest, ',', &piece)) {
        ptrdiff_t at = span_find_byte(piece, '=');
        labels[count++] =
            (struct series_label){span_first(piece, (size_t)at), span_from(piece, (size_t)at + 1)};
    }
    buf_clear(key);
    assert_int_equal(series_key_make(key, class, labels, count), 0);
}

/* One attribute, colour=red. */
static bool attribute(void *context, struct span name, struct span *ret_value)
{
    (void)context;
    *ret_value = SPAN_LIT("red");
    return span_equal_str(name, "colour");
}

static bool matches(const char *text, unsigned flags, const char *series)
{
    struct series_selector *selector = NULL;
    struct series_matcher matcher;
    struct buf key = {0};
    struct buf printed = {0};
    assert_int_equal(series_selector_parse(span_of_str(text), flags, &selector, NULL), 0);
    key_of(&key, series);
    series_matcher_init(&matcher);
    bool result = series_selector_matches(selector, &matcher, buf_span(&key), attribute, NULL);
    series_selector_print(&printed, selector);
    series_selector_free(&selector);
    /* What is printed is the same selector, and is printed the same. */
    assert_int_equal(series_selector_parse(buf_span(&printed), flags, &selector, NULL), 0);
    assert_true(result ==
                series_selector_matches(selector, &matcher, buf_span(&key), attribute, NULL));
    struct buf again = {0};
    series_selector_print(&again, selector);
    assert_string_equal(buf_str(&again), buf_str(&printed));
    series_selector_free(&selector);
    series_matcher_deinit(&matcher);
    buf_deinit(&key);
    buf_deinit(&printed);
    buf_deinit(&again);
    return result;
}

static void selectors_match_as_in_warp_10(void **state)
{
    (void)state;
    static const struct {
        const char *selector;
        const char *series;
        bool expected;
    } cases[] = {
        {"a{}", "a{}", true},
        {"a{}", "a{x=1}", true},
        {"a{}", "ab{}", false},
        {"=a{}", "a{}", true},
        {"~a{}", "ab{}", false}, /* the whole name */
        {"~a.{}", "ab{}", true},
        {"~a|ab{}", "ab{}", true}, /* tries the other branch for the whole name */
        {"~.*{}", "{}", true},
        {"={}", "{}", true},
        {"%3D{}", "{}", true}, /* decoded first */
        {"=%7Ea{}", "~a{}", true},
        {"a%20b{}", "a b{}", true},
        {"a+b{}", "a+b{}", true}, /* + is a plus */
        {"~a%2B{}", "aaa{}", true},
        {"~a+{}", "aaa{}", true},
        {"a{x=1}", "a{x=1,y=2}", true},
        {"a{x=1,y=2}", "a{x=1}", false},
        {"a{ x=1 , , y=2, }", "a{x=1,y=2}", true},
        {"a{x~[0-9]+}", "a{x=123}", true},
        {"a{x~[0-9]+}", "a{x=12b}", false},
        {"a{x~a%2Cb}", "a{x=a}", false},
        {"a{x~a{2}}", "a{x=aa}", true}, /* braces inside, as the reference lets through */
        {"a{x~caf.}", "a{x=caf\xc3\xa9}", true},
        {"a{x=1,x=2}", "a{x=2}", true}, /* the later one counts */
        {"a{x=}", "a{y=1}", true},      /* absent */
        {"a{x=}", "a{x=1}", false},
        {"a{x=}", "a{x=}", false},
        {"a{x~}", "a{x=}", true},
        {"a{x~.*}", "a{y=1}", false},
        {"a{!x=1}", "a{!x=1}", true},   /* no negation */
        {"a{x~y=1}", "a{x~y=1}", true}, /* = is looked for first */
        {"a{x=y=1}", "a{x=y=1}", true},
        {"a{colour=red}", "a{}", true}, /* the attribute, where there is no label */
        {"a{colour~r.*}", "a{}", true},
        {"a{colour=red}", "a{colour=blue}", false},
        {"a{colour=}", "a{}", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        if (matches(cases[i].selector, 0, cases[i].series) != cases[i].expected) {
            fail_msg("%s on %s", cases[i].selector, cases[i].series);
        }
    }
}

static void labels_only_and_exact_do_not_look_at_attributes(void **state)
{
    (void)state;
    assert_false(matches("a{colour=red}", SERIES_SELECTOR_LABELS_ONLY, "a{}"));
    assert_true(matches("a{colour=}", SERIES_SELECTOR_LABELS_ONLY, "a{}"));
    assert_true(matches("a{x=1}", SERIES_SELECTOR_EXACT, "a{x=1}"));
    assert_false(matches("a{x=1}", SERIES_SELECTOR_EXACT, "a{x=1,y=2}"));
    assert_false(matches("a{}", SERIES_SELECTOR_EXACT, "a{x=1}"));
    assert_true(matches("a{x=}", SERIES_SELECTOR_EXACT, "a{x=}"));
    assert_false(matches("a{x=}", SERIES_SELECTOR_EXACT, "a{}"));
}

static void an_exact_selector_of_any_key_means_just_it(void **state)
{
    (void)state;
    static const char *const series[] = {"a{}",       "~a{}",     "=a{x=1}",   "{}",
                                         "a{x=,y=1}", "a b{%=~}", "a{ x = 1 }"};
    struct series_matcher matcher;
    series_matcher_init(&matcher);
    for (size_t i = 0; i < ARRAY_COUNT(series); i++) {
        struct buf key = {0};
        struct buf text = {0};
        struct series_selector *selector = NULL;
        key_of(&key, series[i]);
        series_selector_print_exact(&text, buf_span(&key));
        assert_int_equal(
            series_selector_parse(buf_span(&text), SERIES_SELECTOR_EXACT, &selector, NULL), 0);
        for (size_t j = 0; j < ARRAY_COUNT(series); j++) {
            key_of(&key, series[j]);
            assert_int_equal(
                series_selector_matches(selector, &matcher, buf_span(&key), NULL, NULL), i == j);
            assert_int_equal(series_selector_key_hash(selector) ==
                                 series_selector_hash_of(buf_span(&key)),
                             i == j);
        }
        series_selector_free(&selector);
        assert_int_equal(series_selector_parse(buf_span(&text), 0, &selector, NULL), 0);
        assert_int_equal(series_selector_key_hash(selector), 0); /* more labels are fine for it */
        series_selector_free(&selector);
        buf_deinit(&key);
        buf_deinit(&text);
    }
    series_matcher_deinit(&matcher);
}

static void errors_say_at_which_byte(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned flags;
        size_t offset;
    } bad[] = {
        {"", 0, 0},          {"a", 0, 1},
        {"{}", 0, 0},        {"a{", 0, 2},
        {"a{}b", 0, 4},      {"a%zz{}", 0, 0},
        {"~a(b{}", 0, 4},    {"a{x}", 0, 2},
        {"a{x=1, y}", 0, 7}, {"a{x=1,y~a(}", 0, 10},
        {"a{x=%4}", 0, 4},   {"a{x~%28}", 0, 4},
        {"~a\\C{}", 0, 4},   {"~a{}", SERIES_SELECTOR_EXACT, 1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct series_selector *selector = NULL;
        size_t offset = 99;
        if (series_selector_parse(span_of_str(bad[i].text), bad[i].flags, &selector, &offset) !=
                ERR_INVALID ||
            offset != bad[i].offset) {
            fail_msg("%s: %zu", bad[i].text, offset);
        }
    }
}

static void a_regex_that_explodes_ends_and_says_so(void **state)
{
    (void)state;
    struct series_selector *selector = NULL;
    struct series_matcher matcher;
    struct buf key = {0};
    key_of(&key, "a{x=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab}");
    assert_int_equal(
        series_selector_parse(SPAN_LIT("a{x~(a+)+(a+)+(a+)+[0-9]}"), 0, &selector, NULL), 0);
    series_matcher_init(&matcher);
    assert_false(series_selector_matches(selector, &matcher, buf_span(&key), NULL, NULL));
    assert_true(matcher.exceeded);
    series_matcher_deinit(&matcher);
    series_selector_free(&selector);
    buf_deinit(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selectors_match_as_in_warp_10),
        cmocka_unit_test(labels_only_and_exact_do_not_look_at_attributes),
        cmocka_unit_test(an_exact_selector_of_any_key_means_just_it),
        cmocka_unit_test(errors_say_at_which_byte),
        cmocka_unit_test(a_regex_that_explodes_ends_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
