/* The end-to-end examples of the language sheet (its section 31), over any spread of the data. */
#include "query/modules_testing.h"

static int resource(void *context, const char *name, struct buf *contents)
{
    (void)context;
    bool inner = strcmp(name, "@users") == 0;
    buf_append_str(contents,
                   inner ? "\"u\"\n\"root\"\n\"bob\"\n" : "ip,name,site\n192.0.2.7,evil,none\n");
    return 0;
}

static void failed_logins_per_address(void **unused)
{
    (void)unused;
    expect("tag=auth regex `Failed password for (?P<user>\\S+) from (?P<ip>\\S+)` | stats count by "
           "ip | table ip count",
           "192.0.2.7 2\n");
    expect("tag=auth regex `Failed password for (?P<user>\\S+) from (?P<ip>\\S+)` | stats "
           "unique_count(user) as users by ip | table ip users",
           "192.0.2.7 2\n");
}

static void two_tags_in_one_query(void **unused)
{
    (void)unused;
    expect_ordered("tag=auth,app tag=auth regex -p `for (?P<who>\\S+) from` | tag=app json user as "
                   "who\n| require who | eval who != \"\" | stats count by who | sort by who asc | "
                   "table who count",
                   "alice 3\nbob 2\nroot 1\n");
}

static void slowest_request_per_user(void **unused)
{
    (void)unused;
    expect_ordered("tag=app json user ms req.path as path | require -s user ms | sort by ms desc | "
                   "unique user | table user ms path",
                   "bob 40 /b\nalice 12.5 /a\n");
}

static void share_of_errors(void **unused)
{
    (void)unused;
    expect_answer("tag=app json code | require code | eval if (int(code) >= 400) { bad = 1; } else "
                  "{ bad = 0; } | stats mean(bad) | numbercard (mean 0 1 \"error rate\")",
                  "[{\"Name\":\"error rate\",\"Magnitude\":0.5,\"Min\":0,\"Max\":1}]\n");
}

static void sources_by_subnet(void **unused)
{
    (void)unused;
    expect("tag=auth stats count by SRC | subnet SRC /24 as net | stats sum(count) as n by net | "
           "table net n",
           "10.0.0.0 4\n");
}

static void unknown_hosts_and_users_of_an_inner_query(void **unused)
{
    (void)unused;
    expect("tag=auth regex `from (?P<ip>\\S+) port` | unique ip | lookup -v -s -r hosts ip ip () | "
           "table ip",
           "192.168.1.20\n");
    expect("tag=app json user | lookup -s -r @users user u () | stats count by user | table user "
           "count",
           "bob 1\n");
}

static void paging_and_time_in_the_query(void **unused)
{
    (void)unused;
    expect("tag=app sort by time asc | limit 1 3 | json user | table user", "alice\nbob\n");
    expect("start=\"2026-01-02T12:00:01Z\" end=\"2026-01-02T12:00:03Z\" tag=app json -s user | "
           "table user",
           "alice\nbob\n");
}

static void windowed_unique(void **unused)
{
    (void)unused;
    expect("tag=app json user | unique user over 2s | table -nt user", "\nalice\nbob\n");
}

static void one_entry_in_every_form(void **unused)
{
    (void)unused;
    static const struct {
        const char *renderer, *want;
    } forms[] = {{"text", "A.\xc3\xa9"}, {"raw", "A\t\xc3\xa9"}, {"hex", "41 09 C3 A9"}};
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        struct buf buf = {0};
        query_renderer_find(span_of_str(forms[i].renderer))->text(SPAN_LIT("A\t\xc3\xa9"), &buf);
        assert_string_equal(buf_str(&buf), forms[i].want);
        buf_deinit(&buf);
    }
}

int main(void)
{
    test_resource = resource;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failed_logins_per_address),
        cmocka_unit_test(two_tags_in_one_query),
        cmocka_unit_test(slowest_request_per_user),
        cmocka_unit_test(share_of_errors),
        cmocka_unit_test(sources_by_subnet),
        cmocka_unit_test(unknown_hosts_and_users_of_an_inner_query),
        cmocka_unit_test(paging_and_time_in_the_query),
        cmocka_unit_test(windowed_unique),
        cmocka_unit_test(one_entry_in_every_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
