/* Claims: every type takes its documented forms and nothing else; nothing overflows silently. */
#include "conf/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/time.h"

static void only_the_environment_knows_short_booleans(void **state)
{
    (void)state;
    bool value = false;
    assert_false(conf_value_bool(SPAN_LIT("y"), &value));
    assert_true(conf_value_environment_bool(SPAN_LIT("Y"), &value));
    assert_true(value);
    assert_true(conf_value_environment_bool(SPAN_LIT("f"), &value));
    assert_false(value);
    assert_false(conf_value_environment_bool(SPAN_LIT(""), &value));
    assert_false(conf_value_environment_bool(SPAN_LIT("x"), &value));
}

static void ages_do_not_overflow(void **state)
{
    (void)state;
    int64_t age = 5;
    assert_true(conf_value_age(SPAN_LIT("106751d"), &age)); /* the most that fits */
    assert_true(age > 0);
    assert_false(conf_value_age(SPAN_LIT("106752d"), &age));
    assert_false(conf_value_age(SPAN_LIT("18446744073709551615w"), &age));
    assert_false(conf_value_age(SPAN_LIT("+1d"), &age));
    assert_true(conf_value_age(SPAN_LIT("2 Weeks"), &age));
    assert_true(age == 14 * TIME_DAY_NS);
}

static void a_refusal_names_the_value_and_what_was_expected(void **state)
{
    (void)state;
    static const struct conf_key port = {.name = "P", .type = CONF_PORT};
    static const struct conf_key percent = {.name = "X", .type = CONF_INT, .min = 0, .max = 99};
    static const struct conf_key flag = {.name = "B", .type = CONF_BOOL};
    static const struct conf_key address = {.name = "A", .type = CONF_ADDRESS};
    assert_int_equal(conf_value_check(&port, SPAN_LIT("65536")), ERR_INVALID);
    assert_string_equal(err_text(), "65536 is not between 0 and 65535");
    assert_int_equal(conf_value_check(&port, SPAN_LIT("-1")), ERR_INVALID);
    assert_int_equal(conf_value_check(&port, SPAN_LIT("0")), 0);
    assert_int_equal(conf_value_check(&percent, SPAN_LIT("100")), ERR_INVALID);
    assert_int_equal(conf_value_check(&percent, SPAN_LIT("99")), 0);
    assert_int_equal(conf_value_check(&flag, SPAN_LIT("maybe")), ERR_INVALID);
    assert_string_equal(err_text(), "\"maybe\" is not true or false (also yes, no, on, off, 1, 0)");
    assert_int_equal(conf_value_check(&address, SPAN_LIT("http://x/")), ERR_INVALID);
    assert_int_equal(conf_value_check(&address, SPAN_LIT("")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_environment_knows_short_booleans),
        cmocka_unit_test(ages_do_not_overflow),
        cmocka_unit_test(a_refusal_names_the_value_and_what_was_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
