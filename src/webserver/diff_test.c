/* The difference of two values names each place that differs, and no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "webserver/version.h"

static void assert_diff(const char *before, const char *after, const char *expected)
{
    json_t *a = json_loads(before, JSON_DECODE_ANY, NULL);
    json_t *b = json_loads(after, JSON_DECODE_ANY, NULL);
    json_t *diff = version_diff(a, b);
    char *text = json_dumps(diff, JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
    json_decref(diff);
    json_decref(a);
    json_decref(b);
}

static void equal_values_do_not_differ(void **state)
{
    (void)state;
    assert_diff("{\"a\":[1,{\"b\":null}]}", "{\"a\":[1,{\"b\":null}]}", "[]");
    assert_diff("{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", "[]");
}

static void a_change_deep_inside_is_named_by_its_path(void **state)
{
    (void)state;
    assert_diff("{\"Data\":{\"tiles\":[{\"t\":1},{\"t\":2}]}}",
                "{\"Data\":{\"tiles\":[{\"t\":1},{\"t\":3}]}}",
                "[{\"Path\":\"Data.tiles[1].t\",\"Before\":2,\"After\":3}]");
}

static void what_only_one_side_has_is_told_from_null(void **state)
{
    (void)state;
    assert_diff("{\"a\":null}", "{\"b\":null}",
                "[{\"Path\":\"a\",\"Before\":null},{\"Path\":\"b\",\"After\":null}]");
    assert_diff("[1,2]", "[1]", "[{\"Path\":\"[1]\",\"Before\":2}]");
}

static void values_of_different_types_differ_as_a_whole(void **state)
{
    (void)state;
    assert_diff("{\"a\":[1]}", "{\"a\":{\"b\":1}}",
                "[{\"Path\":\"a\",\"Before\":[1],\"After\":{\"b\":1}}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_values_do_not_differ),
        cmocka_unit_test(a_change_deep_inside_is_named_by_its_path),
        cmocka_unit_test(what_only_one_side_has_is_told_from_null),
        cmocka_unit_test(values_of_different_types_differ_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
