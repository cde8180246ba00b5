/* Claims: columns are found by name, whatever else HAProxy adds; strange input is refused or read
 * as nothing, never beyond its end. */
#include "loadbalancer/stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"

struct seen {
    size_t rows, up, unchecked, silent;
    uint64_t requests, redispatches, sessions;
};

static void count(void *context, const struct stats_row *row)
{
    struct seen *seen = context;
    seen->rows++;
    seen->up += row->up;
    seen->unchecked += !row->checked;
    seen->silent += row->silent;
    seen->sessions += row->sessions;
    seen->requests += row->requests;
    seen->redispatches += row->redispatches;
}

static void rows_are_read_by_the_names_of_their_columns(void **state)
{
    (void)state;
    struct seen seen = {0};
    assert_int_equal(stats_read(SPAN_LIT("# pxname,svname,new,scur,stot,econ,wretr,wredis,status,"
                                         "check_status,\n"
                                         "users,FRONTEND,,9,7,,,,OPEN,,\n"
                                         "webservers,w1,x,1,3,0,1,2,UP,L7OK,\n"
                                         "webservers,w2,x,0,4,0,0,1,UP 1/2,L7TOUT,\n"
                                         "webservers,w3,x,2,0,0,0,0,DOWN 1/2,* L4TOUT,\n"
                                         "webservers,w4,x,0,0,0,0,0,MAINT,,\n"
                                         "webservers,w5,x,0,0,0,0,0,DRAIN,L4CON,\n"
                                         "webservers,o1,x,0,0,0,0,0,UP,INI,\n"
                                         "webservers,o2,x,0,0,0,0,0,UP,* INI,\n\n"),
                                count, &seen),
                     0);
    assert_int_equal(seen.rows, 8);
    assert_int_equal(seen.up, 5);
    assert_int_equal(seen.unchecked, 2);
    assert_int_equal(seen.silent, 2);
    assert_int_equal(seen.sessions, 12);
    assert_int_equal(seen.requests, 14);
    assert_int_equal(seen.redispatches, 3);
}

static void what_is_no_statistics_is_refused(void **state)
{
    (void)state;
    struct seen seen = {0};
    static const char *const texts[] = {"", "\n", "# pxname,svname\nx,y\n", "Unknown command\n"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        assert_int_equal(stats_read(span_of_str(texts[i]), count, &seen), ERR_PROTOCOL);
    }
    assert_int_equal(seen.rows, 0);
    assert_int_equal(
        stats_read(SPAN_LIT("# pxname,svname,status,check_status,scur,stot,wretr,wredis,econ\nx\n"),
                   count, &seen),
        0);
    assert_int_equal(seen.rows, 1);
    assert_int_equal(seen.up, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_read_by_the_names_of_their_columns),
        cmocka_unit_test(what_is_no_statistics_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
