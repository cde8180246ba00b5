/*
 * Claims: each item says exactly where it stands, so that a file can be edited in place. What the
 * values mean is conf_test.c's.
 */
#include "conf/gcfg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect_written(const struct conf_gcfg *scanner, const struct conf_gcfg_item *item,
                           const char *written)
{
    struct span all = span_from(scanner->text, item->value_from);
    struct span value = span_first(all, item->value_to - item->value_from);
    if (!span_equal_str(value, written)) {
        fail_msg("\"%.*s\" is not \"%s\"", SPAN_ARG(value), written);
    }
}

static void values_know_what_was_written_for_them(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *written;
    } cases[] = {
        {"[g]\nA=x", "x"},
        {"[g]\nA = \"x\" y  # c", "\"x\" y"},
        {"[g]\nA=", ""},
        {"[g]\nA=  # c", ""},
        {"[g]\nA=`x\ny` ; c", "`x\ny`"},
        {"[g]\nA=x \\\n y \r\n", "x \\\n y"},
        {"[g]\nA", ""},
        {"[g]\nA=\"\"", "\"\""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct conf_gcfg scanner;
        struct conf_gcfg_item item;
        conf_gcfg_init(&scanner, span_of_str(cases[i].line), "f");
        assert_int_equal(conf_gcfg_next(&scanner, &item), 0);
        assert_int_equal(conf_gcfg_next(&scanner, &item), 0);
        expect_written(&scanner, &item, cases[i].written);
        assert_int_equal(conf_gcfg_next(&scanner, &item), CONF_GCFG_END);
        assert_int_equal(conf_gcfg_next(&scanner, &item), CONF_GCFG_END);
        conf_gcfg_deinit(&scanner);
    }
}

static void lines_and_columns_are_counted_from_one(void **state)
{
    (void)state;
    struct conf_gcfg scanner;
    struct conf_gcfg_item item;
    conf_gcfg_init(&scanner, SPAN_LIT("\n # c\n  [ s \"x\" ] # c\n\tKey = `a\nb`\nLast=1"), "f");
    assert_int_equal(conf_gcfg_next(&scanner, &item), 0);
    assert_int_equal(item.kind, CONF_GCFG_HEADER);
    assert_int_equal(item.line, 3);
    assert_int_equal(item.column, 5);
    assert_true(item.has_subsection);
    assert_true(span_equal_str(item.subsection, "x"));
    assert_int_equal(scanner.text.data[item.line_to], '\n');
    assert_int_equal(conf_gcfg_next(&scanner, &item), 0);
    assert_int_equal(item.line, 4);
    assert_int_equal(item.column, 2);
    assert_int_equal(item.value_column, 8);
    assert_true(span_equal_str(item.value, "a\nb"));
    assert_int_equal(conf_gcfg_next(&scanner, &item), 0);
    assert_int_equal(item.line, 6);
    assert_int_equal(item.line_to, scanner.text.bytes);
    assert_int_equal(conf_gcfg_next(&scanner, &item), CONF_GCFG_END);
    conf_gcfg_deinit(&scanner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_know_what_was_written_for_them),
        cmocka_unit_test(lines_and_columns_are_counted_from_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
