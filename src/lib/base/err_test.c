/*
 * Claims: a fault keeps its code while its text gains context from the outside in; texts belong
 * to their thread, never overflow, and every errno of weight has its code.
 */
#include "base/err.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void context_grows_from_the_outside(void **state)
{
    (void)state;
    int rc = err_set_errno(ENOSPC, "write");
    assert_int_equal(rc, ERR_NO_SPACE);
    rc = err_wrap(rc, "append at %d", 8192);
    rc = err_wrap(rc, "well %s", "netflow");
    assert_int_equal(rc, ERR_NO_SPACE);
    assert_string_equal(err_text(), "well netflow: append at 8192: write: No space left on device");
}

static void the_text_may_be_part_of_the_next(void **state)
{
    (void)state;
    (void)err_set(ERR_IO, "inner");
    assert_int_equal(err_set(ERR_CORRUPT, "outer (%s)", err_text()), ERR_CORRUPT);
    assert_string_equal(err_text(), "outer (inner)");
    (void)err_wrap(ERR_CORRUPT, "%s", err_text());
    assert_string_equal(err_text(), "outer (inner): outer (inner)");
}

static void long_texts_are_cut_not_overrun(void **state)
{
    (void)state;
    char big[3 * ERR_TEXT_BYTES_MAX];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    (void)err_set(ERR_IO, "%s", big);
    assert_int_equal(strlen(err_text()), ERR_TEXT_BYTES_MAX - 1);
    for (int i = 0; i < 10; i++) {
        (void)err_wrap(ERR_IO, "%s", big);
        assert_true(strlen(err_text()) < ERR_TEXT_BYTES_MAX);
    }
}

static void codes_fit_their_errno(void **state)
{
    (void)state;
    assert_int_equal(err_set_errno(ENOENT, "x"), ERR_NOT_FOUND);
    assert_int_equal(err_set_errno(EEXIST, "x"), ERR_EXISTS);
    assert_int_equal(err_set_errno(EDQUOT, "x"), ERR_NO_SPACE);
    assert_int_equal(err_set_errno(ECONNREFUSED, "x"), ERR_UNAVAILABLE);
    assert_int_equal(err_set_errno(ETIMEDOUT, "x"), ERR_TIMEOUT);
    assert_int_equal(err_set_errno(EACCES, "x"), ERR_DENIED);
    assert_int_equal(err_set_errno(EIO, "x"), ERR_IO);
}

static void every_code_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = ERR_IO; a >= ERR_CANCELLED; a--) {
        assert_string_not_equal(err_name(a), "unknown");
        for (int b = ERR_IO; b > a; b--) {
            assert_string_not_equal(err_name(a), err_name(b));
        }
    }
    assert_string_equal(err_name(0), "unknown");
    assert_string_equal(err_name(-1000), "unknown");
}

static void *set_another(void *context)
{
    (void)err_set(ERR_IO, "of the other thread");
    return context;
}

static void threads_do_not_see_each_others_text(void **state)
{
    (void)state;
    pthread_t thread;
    (void)err_set(ERR_AUTH, "mine");
    assert_int_equal(pthread_create(&thread, NULL, set_another, NULL), 0);
    pthread_join(thread, NULL);
    assert_string_equal(err_text(), "mine");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_grows_from_the_outside),
        cmocka_unit_test(the_text_may_be_part_of_the_next),
        cmocka_unit_test(long_texts_are_cut_not_overrun),
        cmocka_unit_test(codes_fit_their_errno),
        cmocka_unit_test(every_code_has_a_name_of_its_own),
        cmocka_unit_test(threads_do_not_see_each_others_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
