/* Tokens: white space, comments, quotes, operators and the value after them. */
#include "base/text.h"
#include "query/lex.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Tokens as one line: kind letter, text, '+' before one that touches the last. */
static char *lexed(const char *text)
{
    struct arena *arena = arena_new(1 << 20);
    struct query_tokens tokens = {0};
    struct query_error error = {0};
    struct buf buf = {0};
    static const char kinds[] = "?wqrvo.";
    if (query_lex(span_of_str(text), arena, &tokens, &error) < 0) {
        buf_printf(&buf, "%zu: %s", error.offset, error.text);
    }
    for (size_t i = 0; error.text[0] == '\0' && i < tokens.list.count; i++) {
        const struct query_token *token = &tokens.list.items[i];
        buf_printf(&buf, "%s%s%c<%.*s>", i > 0 ? " " : "", token->glued ? "+" : "",
                   kinds[token->kind], SPAN_ARG(token->text));
    }
    query_tokens_deinit(&tokens);
    arena_free(&arena);
    return buf_take(&buf);
}

static void expect(const char *text, const char *want)
{
    char *got = lexed(text);
    assert_string_equal(got, want);
    mem_free(got);
}

/* White space of any kind separates, reserved characters stand alone, hyphens do not split. */
static void words_and_reserved_characters(void **state)
{
    (void)state;
    expect("tag=a,b-* json x|table x",
           "w<tag> +.<=> +w<a> +.<,> +w<b-> +.<*> w<json> w<x> +.<|> +w<table> w<x>");
    expect("a\xC2\xA0"
           "b\xE2\x80\x83"
           "c\n\td",
           "w<a> w<b> w<c> w<d>");
    expect("it's under_score", "w<it's> w<under_score>");
    expect("", "");
}

/* The value after an operator runs to white space or a bracket, punctuation included. */
static void a_filter_value_is_one_token(void **state)
{
    (void)state;
    expect("ip ~ 10.0.0.0/8 x", "w<ip> o<~> v<10.0.0.0/8> w<x>");
    expect("x == ::!!!.50|y", "w<x> o<==> v<::!!!.50> +.<|> +w<y>");
    expect("x!=\"a b\" (y>=1)", "w<x> +o<!=> +q<a b> .<(> +w<y> +o<>=> +v<1> +.<)>");
    expect("a!~b<c", "w<a> +o<!~> +v<b<c>");
}

/* Escapes of double quotes are decoded, unknown ones stay; backticks keep everything. */
static void quotes_and_escapes(void **state)
{
    (void)state;
    expect("\"a\\tb\\x41\\101\\u00e9\\\"\"", "q<a\tbAA\xC3\xA9\">");
    expect("\"\\s\\d\\.\\[\\xZZ\"", "q<\\s\\d\\.\\[\\xZZ>");
    expect("`\\d+ \"x\"`", "r<\\d+ \"x\">");
    expect("foo\"bar baz\"", "w<foo> +q<bar baz>");
    expect("\"a // b /* c */\"", "q<a // b /* c */>");
}

/* A raw byte escape may make a token that is no UTF-8: binary patterns. */
static void a_byte_escape_gives_the_byte(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);
    struct query_tokens tokens = {0};
    struct query_error error = {0};
    assert_int_equal(query_lex(SPAN_LIT("\"\\xff\\x00z\""), arena, &tokens, &error), 0);
    assert_true(span_equal(tokens.list.items[0].text, span_of("\xFF\0z", 3)));
    query_tokens_deinit(&tokens);
    arena_free(&arena);
}

static void comments_vanish(void **state)
{
    (void)state;
    expect("a /* x | y\n z */ b // c\n d", "w<a> w<b> w<d>");
    expect("a/**/b", "w<a> w<b>");
    expect("http://host", "w<http> +.<:>");
}

/* What is not closed is named with the place where it began. */
static void what_never_ends_is_named(void **state)
{
    (void)state;
    expect("a \"b", "2: quote \" without its end");
    expect("a `b", "2: quote ` without its end");
    expect("ab /* c", "3: comment without its end '*/'");
    expect("ab \xFF", "3: the query is not UTF-8");
}

/* Stripping keeps quoted text as it is and leaves single spaces elsewhere. */
static void stripping_keeps_what_is_quoted(void **state)
{
    (void)state;
    struct buf buf = {0};
    query_strip(SPAN_LIT("  tag=a\n /* c */ grep  \"x  // y\" // end"), &buf);
    assert_string_equal(buf_str(&buf), "tag=a grep \"x  // y\"");
    buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_reserved_characters),
        cmocka_unit_test(a_filter_value_is_one_token),
        cmocka_unit_test(quotes_and_escapes),
        cmocka_unit_test(a_byte_escape_gives_the_byte),
        cmocka_unit_test(comments_vanish),
        cmocka_unit_test(what_never_ends_is_named),
        cmocka_unit_test(stripping_keeps_what_is_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
