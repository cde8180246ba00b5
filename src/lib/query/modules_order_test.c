/* top, bottom and nosort, over any spread of the data. */
#include "query/modules_testing.h"

static void the_largest_and_the_smallest_come_first(void **unused)
{
    (void)unused;
    expect_ordered("tag=app json user ms | top ms | table user ms",
                   "bob 40\nalice 12.5\nalice 3\n");
    expect_ordered("tag=app json user ms | top -n 2 ms | table user", "bob\nalice\n");
    expect_ordered("tag=app json user ms | bottom -n 2 ms | table ms", "3\n12.5\n");
    /* Equal by the first value: the second decides. */
    expect_ordered("tag=app json code ms | top -n 3 code ms | table code ms",
                   "500 40\n404 3\n200 12.5\n");
    /* As sort and limit, which do not need to be told of what is no number. */
    expect_ordered("tag=app json user ms | require ms | sort by ms desc | limit 2 | table user ms",
                   "bob 40\nalice 12.5\n");
    expect_ordered("tag=csv,kv2 length | top length | eval y = length * 2; | top -n 1 y | table y",
                   "60\n");
    /* What only top looks at still reaches it. */
    expect_ordered("tag=app json ms user | top -n 1 ms | table user", "bob\n");
}

static void what_is_no_number_is_left_out(void **unused)
{
    (void)unused;
    expect_ordered("tag=app json user | top user | table user", "");
    expect_ordered("tag=app top | table DATA", "");
    refuse("tag=app top -n 0 x", "-n needs a number");
    refuse("tag=app top -n many x", "-n needs a number");
}

static void nosort_changes_nothing(void **unused)
{
    (void)unused;
    expect("tag=app nosort | json user==bob | table user", "bob\n");
    refuse("tag=app nosort -asc", "sort by time asc");
    refuse("tag=app nosort x", "unexpected argument 'x'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_and_the_smallest_come_first),
        cmocka_unit_test(what_is_no_number_is_left_out),
        cmocka_unit_test(nosort_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
