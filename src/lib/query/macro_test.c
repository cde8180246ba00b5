/* Macros: what a query becomes, where a fault in it is, and that it always ends. */
#include "query/macro.h"

#include "base/mem.h"
#include "base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct {
    const char *name, *body;
} bodies[] = {{"SLOW", "json user ms | eval ms > %%1%%"},
              {"TAGS", "a,b-*"},
              {"GREP", "grep \"%%1%%\" %%2%%"},
              {"TWICE", "$SLOW(%%1%%) | $SLOW(%%1%%)"},
              {"SELF", "x $SELF"},
              {"PING", "$PONG"},
              {"PONG", "$PING"},
              {"BIG", "$BIG1 $BIG1 $BIG1 $BIG1 $BIG1 $BIG1 $BIG1 $BIG1"},
              {"A-B", "grep ab"},
              {"BAD", "gerp x"}};

static bool macro(void *context, const char *name, struct buf *body)
{
    (void)context;
    if (strncmp(name, "BIG", 3) == 0 && name[3] >= '1' && name[3] <= '9') {
        for (int i = 0; i < 8; i++) {
            buf_printf(body, name[3] == '9' ? "some more text to fill it " : "$BIG%c ",
                       name[3] + 1);
        }
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
        if (strcmp(bodies[i].name, name) == 0) {
            buf_append_str(body, bodies[i].body);
            return true;
        }
    }
    return false;
}

static const struct query_options options = {.now_ns = TIME_DAY_NS, .macro = macro};

static void becomes(const char *text, const char *want)
{
    struct query_expansion expansion = {0};
    struct query_error error;
    assert_int_equal(query_expand(span_of_str(text), &options, &expansion, &error), 0);
    assert_string_equal(buf_str(&expansion.text), want);
    query_expansion_deinit(&expansion);
}

static void refuses(const char *text, const char *why, size_t offset)
{
    struct query *query = NULL;
    struct query_error error;
    assert_true(query_parse(span_of_str(text), &options, &query, &error) < 0);
    if (strstr(error.text, why) == NULL || error.offset != offset) {
        fail_msg("%s: '%s' at %zu", text, error.text, error.offset);
    }
}

static void macros_are_replaced_until_none_is_left(void **unused)
{
    (void)unused;
    becomes("tag=app $SLOW(30) | table user ms",
            "tag=app json user ms | eval ms > 30 | table user ms");
    becomes("tag=$TAGS limit 3", "tag=a,b-* limit 3");
    becomes("$TWICE( \"x y\" )", "json user ms | eval ms > x y | json user ms | eval ms > x y");
    becomes("$GREP(f(a,b), c)", "grep \"f(a,b)\" c");
    becomes("$A-B", "grep ab");
    becomes("grep \"$SLOW\" `$SLOW` /* $SLOW */ // $SLOW", "grep \"$SLOW\" `$SLOW` /* $SLOW */ // "
                                                           "$SLOW");
    becomes("eval $(odd name) > 3", "eval $(odd name) > 3");
    becomes("a $ b 100$", "a $ b 100$");
}

static void a_fault_names_the_place_in_what_was_typed(void **unused)
{
    (void)unused;
    refuses("tag=x $NONE", "unknown macro '$NONE'", 6);
    refuses("tag=x $SELF", "'$SELF' contains itself", 6);
    refuses("tag=x $PING", "contains itself", 6);
    refuses("tag=x $SLOW", "'$SLOW' needs more arguments", 6);
    refuses("tag=x $SLOW(1", "have no end", 6);
    refuses("tag=x $BIG", "longer than", 6);
    refuses("tag=x $BAD | table", "unknown module 'gerp', did you mean 'grep'", 6);
    refuses("tag=x $SLOW(1) | gerp y", "unknown module 'gerp'", 17);
}

static void a_query_runs_without_its_macros(void **unused)
{
    (void)unused;
    struct query *query = NULL;
    struct query_error error;
    assert_int_equal(
        query_parse(SPAN_LIT("tag=app $SLOW(30) | table user"), &options, &query, &error), 0);
    assert_string_equal(query->text, "tag=app $SLOW(30) | table user");
    assert_string_equal(query->effective, "tag=app json user ms | eval ms > 30 | table user");
    query_free(&query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(macros_are_replaced_until_none_is_left),
        cmocka_unit_test(a_fault_names_the_place_in_what_was_typed),
        cmocka_unit_test(a_query_runs_without_its_macros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
