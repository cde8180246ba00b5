/* What the language says of itself is what the parser accepts. */
#include "query/describe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct seen {
    const char *flags[8]; /* of the module looked for */
    size_t count;
    const char *name;
    size_t modules;
};

static void note(void *context, const struct query_description *description)
{
    struct seen *seen = context;
    seen->modules++;
    assert_true(description->summary != NULL && description->summary[0] != '\0');
    for (size_t i = 0; strcmp(description->name, seen->name) == 0 && i < description->flag_count;
         i++) {
        assert_true(seen->count < ARRAY_COUNT(seen->flags));
        seen->flags[seen->count++] = description->flags[i].name;
    }
}

static void flags_are_those_that_the_parser_takes(void **unused)
{
    (void)unused;
    struct seen grep = {.name = "grep"};
    query_describe(note, &grep);
    assert_true(grep.modules > 50);
    assert_int_equal(grep.count, 6);
    struct seen table = {.name = "table"};
    query_describe(note, &table);
    assert_true(table.count > 0);
    assert_string_equal(table.flags[0], "nt");
    struct seen none = {.name = "keep"};
    query_describe(note, &none);
    assert_int_equal(none.count, 0);
}

/* Every flag is refused where it is not said to be: -nonsense nowhere. */
static void parse_with_each_flag(void *context, const struct query_description *description)
{
    (void)context;
    for (size_t i = 0; i < description->flag_count; i++) {
        char text[128];
        struct query *query = NULL;
        struct query_error error;
        struct query_options options = {0};
        (void)snprintf(text, sizeof(text), "tag=a | %s -%s%s", description->name,
                       description->flags[i].name, description->flags[i].takes_value ? " 1" : "");
        int rc = query_parse(span_of_str(text), &options, &query, &error);
        if (rc < 0 && strstr(error.text, "unknown flag") != NULL) {
            fail_msg("%s: %s", text, error.text);
        }
        query_free(&query);
    }
}

static void no_flag_that_is_named_is_unknown(void **unused)
{
    (void)unused;
    query_describe(parse_with_each_flag, NULL);
}

static void count_function(void *context, const char *name, unsigned args_min, unsigned args_max)
{
    assert_true(args_min <= args_max && name[0] != '\0');
    ++*(size_t *)context;
}

static void functions_are_all_there(void **unused)
{
    (void)unused;
    size_t count = 0;
    query_describe_functions(count_function, &count);
    assert_true(count > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_are_those_that_the_parser_takes),
        cmocka_unit_test(no_flag_that_is_named_is_unknown),
        cmocka_unit_test(functions_are_all_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
