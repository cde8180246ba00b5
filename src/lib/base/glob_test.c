/*
 * Claims: globs match as a shell user expects, whole text only; what is malformed matches
 * nothing; no pattern takes more than its bound of steps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "base/text.h"

static bool glob(const char *pattern, const char *text)
{
    return text_glob(span_of_str(pattern), span_of_str(text));
}

static void patterns_match_as_a_shell_user_expects(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *text;
        bool matches;
    } rows[] = {
        {"", "", true},
        {"", "a", false},
        {"syslog", "syslog", true},
        {"syslog", "syslog2", false},
        {"syslog", "Syslog", false},
        {"*", "", true},
        {"*", "anything", true},
        {"web*", "web", true},
        {"web*", "web-1", true},
        {"web*", "aweb", false},
        {"*log", "syslog", true},
        {"*log", "logs", false},
        {"a*b*c", "a-b-b-c", true},
        {"a*b*c", "acb", false},
        {"a**c", "abc", true},
        {"?", "a", true},
        {"?", "", false},
        {"?", "ab", false},
        {"[abc]x", "bx", true},
        {"[abc]x", "dx", false},
        {"[a-f]", "c", true},
        {"[a-f]", "g", false},
        {"[!a-f]", "g", true},
        {"[^a-f]", "c", false},
        {"[]]", "]", true},
        {"[a-]", "-", true},
        {"{web,app}", "web", true},
        {"{web,app}", "app", true},
        {"{web,app}", "we", false},
        {"{web,app}-*", "app-7", true},
        {"x{,y}z", "xz", true},
        {"x{,y}z", "xyz", true},
        {"{a,{b,c}d}e", "cde", true},
        {"{a,{b,c}d}e", "ae", true},
        {"{a,{b,c}d}e", "be", false},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"a\\", "a\\", true},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (glob(rows[i].pattern, rows[i].text) != rows[i].matches) {
            fail_msg("glob %s on %s", rows[i].pattern, rows[i].text);
        }
    }
}

static void malformed_patterns_match_nothing(void **state)
{
    (void)state;
    assert_false(glob("[abc", "a"));
    assert_false(glob("[", "["));
    assert_false(glob("{a,b", "a"));
}

static void a_hostile_pattern_ends_soon(void **state)
{
    (void)state;
    struct buf text = {0};
    for (size_t i = 0; i < 5000; i++) {
        buf_append_byte(&text, 'a');
    }
    clock_t start = clock();
    assert_false(text_glob(SPAN_LIT("*a*a*a*a*a*a*a*a*a*a*b"), buf_span(&text)));
    assert_true(clock() - start < CLOCKS_PER_SEC);
    buf_deinit(&text);
}

static void globs_are_told_from_names(void **state)
{
    (void)state;
    assert_true(text_is_glob(SPAN_LIT("web*")));
    assert_true(text_is_glob(SPAN_LIT("{a,b}")));
    assert_false(text_is_glob(SPAN_LIT("web-1")));
    assert_false(text_is_glob(SPAN_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_as_a_shell_user_expects),
        cmocka_unit_test(malformed_patterns_match_nothing),
        cmocka_unit_test(a_hostile_pattern_ends_soon),
        cmocka_unit_test(globs_are_told_from_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
