/* Claims: numeric addresses need nobody's help, names get an address and keep their name, and what
 * HAProxy could not take is refused here. Only localhost is looked up. */
#include "loadbalancer/resolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void numbers_stay_and_names_are_resolved(void **state)
{
    (void)state;
    struct resolve *resolve = resolve_new(io_real(), 1000);
    struct slot_target target;
    assert_int_equal(resolve_target(resolve, "10.0.0.1:8080", 80, &target), 0);
    assert_string_equal(target.address, "10.0.0.1");
    assert_int_equal(target.port, 8080);
    assert_string_equal(target.name, "");
    assert_int_equal(resolve_target(resolve, "[2001:db8::1]", 443, &target), 0);
    assert_string_equal(target.address, "2001:db8::1");
    assert_int_equal(target.port, 443);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(resolve_target(resolve, "localhost", 80, &target), 0);
        assert_true(strcmp(target.address, "127.0.0.1") == 0 || strcmp(target.address, "::1") == 0);
        assert_string_equal(target.name, "localhost");
    }
    resolve_free(&resolve);
}

static void what_haproxy_cannot_take_is_refused(void **state)
{
    (void)state;
    struct resolve *resolve = resolve_new(io_real(), 1000);
    struct slot_target target = {.port = 7};
    assert_int_equal(resolve_target(resolve, "", 80, &target), ERR_INVALID);
    assert_int_equal(resolve_target(resolve, ":80", 80, &target), ERR_INVALID);
    assert_int_equal(resolve_target(resolve, "a b", 80, &target), ERR_INVALID);
    assert_true(resolve_target(resolve, "fe80::1%lo", 80, &target) < 0);
    assert_int_equal(target.port, 7);
    resolve_free(&resolve);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_stay_and_names_are_resolved),
        cmocka_unit_test(what_haproxy_cannot_take_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
