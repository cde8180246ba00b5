/* What a token needs for a request, and that a token without it has not got it. */
#include "webserver/capability.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void reading_and_writing_need_different_capabilities(void **state)
{
    (void)state;
    assert_string_equal(capability_name(capability_needed("GET", "/api/dashboards/7")),
                        "DashboardRead");
    assert_string_equal(capability_name(capability_needed("DELETE", "/api/dashboards/7")),
                        "DashboardWrite");
    assert_string_equal(capability_name(capability_needed("PUT", "/api/files/x")), "UserFileWrite");
    assert_string_equal(capability_name(capability_needed("GET", "/api/searchctrl/7/download/csv")),
                        "Download");
    assert_string_equal(capability_name(capability_needed("PATCH", "/api/searchctrl/7/save")),
                        "SaveSearch");
}

static void what_lists_things_of_somebody_needs_what_reading_them_does(void **state)
{
    (void)state;
    assert_string_equal(capability_name(capability_needed("GET", "/api/users/0/macros")),
                        "MacroRead");
    assert_string_equal(capability_name(capability_needed("GET", "/api/groups/7/dashboards")),
                        "DashboardRead");
    assert_string_equal(capability_name(capability_needed("GET", "/api/users/7")), "ListUsers");
    assert_string_equal(capability_name(capability_needed("GET", "/api/users/7/group")),
                        "ListUsers");
    assert_false(capability_lets_in(1, "GET", "/api/users/0/macros"));
    assert_false(capability_lets_in(1, "GET", "/api/groups/7/autoextractors"));
}

static void no_token_reaches_accounts_or_what_nobody_listed(void **state)
{
    (void)state;
    assert_int_equal(capability_needed("POST", "/api/users"), CAPABILITY_NEVER);
    assert_int_equal(capability_needed("PUT", "/api/users/1/pwd"), CAPABILITY_NEVER);
    assert_int_equal(capability_needed("POST", "/api/something/new"), CAPABILITY_NEVER);
    assert_false(capability_has(CAPABILITY_ALL, CAPABILITY_NEVER));
}

static void a_set_has_what_was_named_and_nothing_else(void **state)
{
    (void)state;
    json_t *names = json_pack("[s, s, s]", "Search", "DashboardRead", "NoSuchThing");
    uint64_t set = capability_set_of(names);
    json_decref(names);
    assert_int_equal(set, 1 | 1 << 10);
    assert_true(capability_has(set, 10));
    assert_false(capability_has(set, 11));
    assert_true(capability_has(set, CAPABILITY_NONE));
}

static void a_login_without_a_capability_still_has_its_own_account(void **state)
{
    (void)state;
    uint64_t search = 1;
    assert_true(capability_lets_in(search, "GET", "/api/tags"));
    assert_false(capability_lets_in(search, "GET", "/api/dashboards"));
    assert_false(capability_lets_in(search, "GET", "/api/users"));
    assert_true(capability_lets_in(search, "GET", "/api/users/7/preferences"));
    assert_true(capability_lets_in(search, "PUT", "/api/users/7/pwd"));
    assert_true(capability_lets_in(search, "PUT", "/api/logout"));
    assert_true(capability_lets_in(CAPABILITY_ALL, "GET", "/api/dashboards"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_and_writing_need_different_capabilities),
        cmocka_unit_test(what_lists_things_of_somebody_needs_what_reading_them_does),
        cmocka_unit_test(no_token_reaches_accounts_or_what_nobody_listed),
        cmocka_unit_test(a_login_without_a_capability_still_has_its_own_account),
        cmocka_unit_test(a_set_has_what_was_named_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
