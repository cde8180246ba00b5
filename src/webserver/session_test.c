/* The list of sessions at work: whose, from where, how long ago; bounded and forgetful. */
#include "webserver/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TIMEOUT_NS 1000

static void a_users_sessions_are_listed_latest_first(void **state)
{
    (void)state;
    struct session_list *list = session_list_new(TIMEOUT_NS);
    struct session_seen seen[8];
    session_hit(list, "a", 1, "192.0.2.1", 10);
    session_hit(list, "b", 2, "192.0.2.2", 20);
    session_hit(list, "c", 1, "192.0.2.3", 30);
    session_hit(list, "a", 1, "192.0.2.4", 40);
    assert_int_equal(session_of_user(list, 1, 50, seen, 8), 2);
    assert_string_equal(seen[0].session, "a");
    assert_string_equal(seen[0].origin, "192.0.2.4");
    assert_int_equal(seen[0].last_hit_ns, 40);
    assert_string_equal(seen[1].session, "c");
    session_list_free(&list);
}

static void a_session_that_ended_or_timed_out_is_not_listed(void **state)
{
    (void)state;
    struct session_list *list = session_list_new(TIMEOUT_NS);
    struct session_seen seen[8];
    session_hit(list, "a", 1, "::1", 10);
    session_hit(list, "b", 1, "::1", 500);
    assert_int_equal(session_of_user(list, 1, 10 + TIMEOUT_NS, seen, 8), 1);
    session_gone(list, "b");
    assert_int_equal(session_of_user(list, 1, 20, seen, 8), 1);
    session_list_free(&list);
}

static void the_list_has_a_bound_and_the_idlest_goes(void **state)
{
    (void)state;
    struct session_list *list = session_list_new(INT64_MAX);
    struct session_seen seen[2];
    char name[16];
    for (int i = 0; i < SESSION_MAX + 1; i++) {
        (void)snprintf(name, sizeof(name), "s%d", i);
        session_hit(list, name, i, "::1", i);
    }
    assert_int_equal(session_of_user(list, 0, SESSION_MAX, seen, 2), 0);
    assert_int_equal(session_of_user(list, 1, SESSION_MAX, seen, 2), 1);
    assert_int_equal(session_of_user(list, SESSION_MAX, SESSION_MAX, seen, 2), 1);
    session_list_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_users_sessions_are_listed_latest_first),
        cmocka_unit_test(a_session_that_ended_or_timed_out_is_not_listed),
        cmocka_unit_test(the_list_has_a_bound_and_the_idlest_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
