/* Passwords: the right one is accepted, no other is, and no account has nobody's password. */
#include "webserver/password.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void only_the_password_that_was_hashed_is_accepted(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_BYTES];
    password_hash("correct horse", hash);
    assert_true(strncmp(hash, "$argon2id$", 10) == 0);
    assert_true(password_is(hash, "correct horse"));
    assert_false(password_is(hash, "correct horsE"));
    assert_false(password_is(hash, ""));
    assert_false(password_is("", ""));
}

static void an_account_that_does_not_exist_accepts_no_password(void **state)
{
    (void)state;
    assert_false(password_is(NULL, "a password that nobody has"));
}

static void two_hashes_of_one_password_differ(void **state)
{
    (void)state;
    char first[PASSWORD_HASH_BYTES];
    char second[PASSWORD_HASH_BYTES];
    password_hash("x", first);
    password_hash("x", second);
    assert_string_not_equal(first, second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_password_that_was_hashed_is_accepted),
        cmocka_unit_test(an_account_that_does_not_exist_accepts_no_password),
        cmocka_unit_test(two_hashes_of_one_password_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
