/* Passwords: the right one is accepted, no other is, and no account has nobody's password. */
#include "webserver/password.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"

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

static void a_hash_that_was_made_with_other_memory_is_accepted(void **state)
{
    (void)state;
    char before[PASSWORD_HASH_BYTES];
    char after[PASSWORD_HASH_BYTES];
    password_hash("x", before);
    password_use_memory(1 << 20);
    password_hash("x", after);
    assert_non_null(strstr(before, "$m=65536,"));
    assert_non_null(strstr(after, "$m=1024,"));
    assert_true(password_is(before, "x") && password_is(after, "x"));
    assert_false(password_is(before, "y") || password_is(after, "y"));
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

static void *call(void *context)
{
    (void)context;
    password_enter();
    password_leave();
    return NULL;
}

/* All places are taken, so that callers wait behind them: soon there is room for no more, and as
 * soon as they may go on there is again. */
static void callers_above_their_bound_are_told_not_to_wait(void **state)
{
    (void)state;
    pthread_t threads[PASSWORD_CALLERS_MAX - PASSWORD_HASHES_MAX];
    for (size_t i = 0; i < PASSWORD_HASHES_MAX; i++) {
        password_enter();
    }
    assert_true(password_has_room());
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, call, NULL), 0);
    }
    while (password_has_room()) {
        (void)sched_yield();
    }
    for (size_t i = 0; i < PASSWORD_HASHES_MAX; i++) {
        password_leave();
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_true(password_has_room());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_password_that_was_hashed_is_accepted),
        cmocka_unit_test(an_account_that_does_not_exist_accepts_no_password),
        cmocka_unit_test(a_hash_that_was_made_with_other_memory_is_accepted),
        cmocka_unit_test(two_hashes_of_one_password_differ),
        cmocka_unit_test(callers_above_their_bound_are_told_not_to_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
