/*
 * Claims: a CHECK that holds costs nothing; one that does not names its condition and place,
 * runs the hook once and aborts, even when the hook fails a CHECK itself.
 */
#include "base/check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void say_trace(void)
{
    fprintf(stderr, "trace of events\n");
    int the_hook_itself = 0;
    CHECK(the_hook_itself);
}

/* Runs CHECK(value == 4) with value 5 in a child; returns what it wrote to stderr. */
static int fail_in_a_child(char *text, size_t text_bytes)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        check_set_hook(say_trace);
        int value = 5;
        CHECK(value == 4);
        _exit(0);
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t got; (got = read(ends[0], text + used, text_bytes - 1 - used)) > 0;) {
        used += (size_t)got;
    }
    text[used] = 0;
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_failed_check_says_what_and_where_and_aborts(void **state)
{
    (void)state;
    char text[2048];
    int status = fail_in_a_child(text, sizeof(text));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "value == 4"));
    assert_non_null(strstr(text, "check_test.c"));
    assert_non_null(strstr(text, "fail_in_a_child"));
    char *trace = strstr(text, "trace of events");
    assert_non_null(trace);
    assert_null(strstr(trace + 1, "trace of events"));
}

static void a_check_that_holds_goes_on(void **state)
{
    (void)state;
    int evaluated = 0;
    CHECK(++evaluated == 1);
    assert_int_equal(evaluated, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_check_says_what_and_where_and_aborts),
        cmocka_unit_test(a_check_that_holds_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
