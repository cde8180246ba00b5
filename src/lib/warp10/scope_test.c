/*
 * What tokens let see: conditions of requests on the reserved labels have no effect.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/err.h"
#include "series/selector.h"
#include "warp10/scope.h"

#define TEXT(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static struct span one[] = {TEXT("o1")};
static struct span two[] = {TEXT("a.b"), TEXT("c|d")};
static struct token_pair conditions[] = {{TEXT("room"), TEXT("=hall A")},
                                         {TEXT("n"), TEXT("~x.*")}};
static struct token_pair labels[] = {{TEXT("site"), TEXT("s 1")}};

static const struct token reader = {
    .owners = {one, 1}, .applications = {two, 2}, .labels = {conditions, 2}};
static const struct token writer = {.write = true,
                                    .owner = TEXT("o1"),
                                    .producer = TEXT("o1"),
                                    .application = TEXT("demo"),
                                    .labels = {labels, 1}};
static const struct token anybody = {.id = TEXT("x")};

static void check_scope(const struct token *token, const char *selector, const char *expected)
{
    struct buf out = {0};
    struct series_selector *parsed;
    assert_int_equal(scope_selector(&out, token, span_of_str(selector)), 0);
    assert_string_equal(buf_str(&out), expected);
    assert_int_equal(series_selector_parse(buf_span(&out), 0, &parsed, NULL), 0);
    series_selector_free(&parsed);
    buf_deinit(&out);
}

static void the_conditions_of_the_token_are_added(void **state)
{
    (void)state;
    check_scope(&reader, "~demo.*{a=b}",
                "~demo.*{a=b,room=hall%20A,n~x.*,.owner=o1,"
                ".app~%5E%28a%5C.b%7Cc%5C%7Cd%29%24}");
    check_scope(&writer, " x{} ", "x{site=s%201,.owner=o1,.app=demo}");
    check_scope(&anybody, "=x{a~b,c=}", "=x{a~b,c=}");
}

static void reserved_conditions_of_the_request_are_dropped(void **state)
{
    (void)state;
    check_scope(&anybody, "x{.owner=me,.app~.*,%2Eproducer=p,a=.owner, .owner =z}", "x{a=.owner}");
    check_scope(&writer, "x{.app=other}", "x{site=s%201,.owner=o1,.app=demo}");
}

static void what_has_no_braces_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"", "x", "x{", "{}", "x{}y", "x}"};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf out = {0};
        assert_int_equal(scope_selector(&out, &anybody, span_of_str(cases[i])), ERR_INVALID);
        buf_deinit(&out);
    }
}

static void packed_series_are_named_by_their_suffix(void **state)
{
    (void)state;
    static const struct {
        const char *selector, *suffix, *expected;
    } cases[] = {
        {"demo.temp{a=b}", "", "demo.temp%3Apacked{a=b}"},
        {" ~demo.(a|b){} ", "", "~(demo.(a|b))%3Apacked{}"},
        {"~a|b{}", ".p", "~(a|b)%5C.p{}"},
        {"=x{}", "-z", "=x-z{}"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf out = {0};
        struct series_selector *parsed;
        assert_int_equal(
            scope_packed(&out, span_of_str(cases[i].selector), span_of_str(cases[i].suffix)), 0);
        assert_string_equal(buf_str(&out), cases[i].expected);
        assert_int_equal(series_selector_parse(buf_span(&out), 0, &parsed, NULL), 0);
        series_selector_free(&parsed);
        buf_deinit(&out);
    }
    struct buf none = {0};
    assert_int_equal(scope_packed(&none, SPAN_LIT("x"), SPAN_NONE), ERR_INVALID);
    buf_deinit(&none);
}

static void a_writer_marks_its_series(void **state)
{
    (void)state;
    static struct series_label out[SCOPE_LABELS_MAX];
    assert_int_equal(scope_labels(&writer, out), 4);
    assert_true(span_equal_str(out[0].name, "site"));
    assert_true(span_equal_str(out[1].name, ".owner"));
    assert_true(span_equal_str(out[3].value, "demo"));
    struct token bare = {.write = true, .owner = TEXT("o")};
    assert_int_equal(scope_labels(&bare, out), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_conditions_of_the_token_are_added),
        cmocka_unit_test(reserved_conditions_of_the_request_are_dropped),
        cmocka_unit_test(what_has_no_braces_is_refused),
        cmocka_unit_test(packed_series_are_named_by_their_suffix),
        cmocka_unit_test(a_writer_marks_its_series),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
