/* Taking compound queries apart: parts and their places, and what is wrong with which. */
#include "query/compound.h"

#include "base/check.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void parts_are_found_at_their_places(void **unused)
{
    (void)unused;
    static const char text[] = " // first\n@a{ tag={x,y} grep \"}\" | table };\n@b-2 "
                               "{ tag=* lookup -r @a a a () | table }\n ; tag=z limit 3";
    struct query_compound compound;
    struct query_error error;
    assert_int_equal(query_compound_split(span_of_str(text), &compound, &error), 0);
    assert_int_equal(compound.count, 3);
    assert_true(span_equal_str(compound.parts[0].name, "@a"));
    assert_true(span_equal_str(compound.parts[0].text, " tag={x,y} grep \"}\" | table "));
    assert_true(span_equal_str(compound.parts[1].name, "@b-2"));
    assert_true(span_equal_str(compound.parts[2].text, "tag=z limit 3"));
    for (size_t i = 0; i < compound.count; i++) {
        assert_ptr_equal(compound.parts[i].text.data, text + compound.parts[i].offset);
    }
    assert_int_equal(query_compound_split(SPAN_LIT("tag=a grep @x"), &compound, &error), 0);
    assert_int_equal(compound.count, 1);
    assert_int_equal(compound.parts[0].offset, 0);
    assert_int_equal(query_compound_split(SPAN_LIT(""), &compound, &error), 0);
    assert_int_equal(compound.count, 1);
}

static void what_is_missing_is_said_with_its_place(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *why;
        size_t offset;
    } wrong[] = {{"@{ x };", "a name must follow", 0},
                 {"@a x", "'{' was expected", 0},
                 {"@a{ x \"}\" ", "'{' without its '}'", 2},
                 {"@a{ x } tag=b", "';' was expected", 8},
                 {"@a{ x }; @a{ y }; z", "two inner queries", 9}};
    struct query_compound compound;
    struct query_error error;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        assert_int_equal(query_compound_split(span_of_str(wrong[i].text), &compound, &error),
                         ERR_INVALID);
        if (strstr(error.text, wrong[i].why) == NULL || error.offset != wrong[i].offset) {
            fail_msg("%s: '%s' at %zu", wrong[i].text, error.text, error.offset);
        }
    }
    struct buf many = {0};
    for (int i = 0; i <= QUERY_INNER_MAX; i++) {
        buf_printf(&many, "@a%d{ x };", i);
    }
    assert_int_equal(query_compound_split(buf_span(&many), &compound, &error), ERR_INVALID);
    buf_deinit(&many);
}

static void inner_queries_end_in_table(void **unused)
{
    (void)unused;
    struct query_options options = {.now_ns = 1000000000000};
    struct query_compound compound;
    struct query_error error;
    assert_int_equal(
        query_compound_split(SPAN_LIT("@a{ tag=x limit 3 }; tag=y"), &compound, &error), 0);
    for (size_t i = 0; i < 2; i++) {
        struct query *query = NULL;
        assert_int_equal(query_parse(compound.parts[i].text, &options, &query, &error), 0);
        assert_int_equal(query_compound_check(&compound.parts[i], query, &error),
                         i == 0 ? ERR_INVALID : 0);
        query_free(&query);
    }
}

static void inner_queries_save_nothing(void **unused)
{
    (void)unused;
    struct query_options options = {.now_ns = 1000000000000};
    struct query_compound compound;
    struct query_error error;
    struct query *query = NULL;
    assert_int_equal(
        query_compound_split(SPAN_LIT("@a{ tag=x table -save b c }; tag=y table -save z w"),
                             &compound, &error),
        0);
    assert_int_equal(query_parse(compound.parts[0].text, &options, &query, &error), 0);
    assert_int_equal(query_compound_check(&compound.parts[0], query, &error), ERR_INVALID);
    assert_non_null(strstr(error.text, "inner query '@a' cannot save its table"));
    query_free(&query);
    assert_int_equal(query_parse(compound.parts[1].text, &options, &query, &error), 0);
    assert_int_equal(query_compound_check(&compound.parts[1], query, &error), 0);
    query_free(&query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_found_at_their_places),
        cmocka_unit_test(what_is_missing_is_said_with_its_place),
        cmocka_unit_test(inner_queries_end_in_table),
        cmocka_unit_test(inner_queries_save_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
