/*
 * Modules that take, make and condense values: the worked examples of the language sheet.
 */
#include "query/modules_testing.h"

static void json_takes_values_by_their_paths(void **unused)
{
    (void)unused;
    expect("tag=app json user code | table user code", " \n 200\nalice 200\nalice 404\nbob 500\n");
    expect("tag=app json -s user ms | table user ms", "alice 12.5\nalice 3\nbob 40\n");
    expect("tag=app json user!=\"\" | table user", "\nalice\nalice\nbob\n");
    expect("tag=app json -s user!=\"\" | table user", "alice\nalice\nbob\n");
    expect("tag=app json code==200 user | table user code", " 200\nalice 200\n");
    expect("tag=app json user~li | table user", "alice\nalice\n");
    expect("tag=app json user!~li | table user", "\n\nbob\n");
    expect("tag=app json req.path as p | table p", "\n\n/a\n/b\n/c\n");
    expect("tag=app json -s req.tags.[0] as t | table t", "x\n");
    expect("tag=app json -s req.tags.[1] | table \"[1]\"", "y\n");
    expect("tag=app json -s req.tags.[] as t | table t", "x\n");
    expect("tag=app json -s req.tags req.path | table tags path", "[\"x\",\"y\"] /a\n[] /c\n");
    expect("tag=app json -s req | json -e req -s path | table path", "/a\n/b\n/c\n");
    expect_ordered("tag=app json user==alice ms | table ms TAG SRC",
                   "3 app 10.0.0.5\n12.5 app 10.0.0.5\n");
    expect("tag=app json -s req req.path as p | table p", "/a\n/b\n/c\n");
    refuse("tag=app json user>3", "'>' does not work on a text");
    refuse("tag=app json", "what to extract is missing");
    refuse("tag=app json user==", "a value must follow '=='");
}

static void regex_takes_named_groups(void **unused)
{
    (void)unused;
    expect("tag=auth regex `Failed password for (?P<user>\\S+) from (?P<ip>\\S+) port "
           "(?P<port>\\d+)` ip==\"192.0.2.7\" user!=root | table user ip port",
           "bob 192.0.2.7 4243\n");
    expect("tag=auth regex -v `sshd` | table DATA", "kernel: eth0: link up, 1000 Mbps\n");
    expect("tag=auth regex -v `sshd` | table",
           "2026-01-02T12:00:04Z kernel: eth0: link up, 1000 Mbps\n");
    expect("tag=auth,app tag=auth regex -p `for (?P<who>\\S+) from` | tag=app json user as who | "
           "table who",
           "\n\n\nalice\nalice\nalice\nbob\nbob\nroot\n");
    refuse("tag=auth regex `(unclosed`", "regex:");
    refuse("tag=auth regex `(?P<a>x)` b==3", "no group 'b'");
}

static void pairs_columns_and_fields_give_values(void **unused)
{
    (void)unused;
    expect("tag=kv kv -q act user n | table act user n", "deny Ann Lee 7\n");
    expect("tag=kv kv user | table user", "\"Ann\n");
    expect("tag=kv2 kv -sep : -d \"|\" y | table y", "2\n");
    expect("tag=csv csv [1] as id [2]~\"a,\" as t [3]==CL | table id t 3", "15554 a, b CL\n");
    expect("tag=csv csv -s [9] | table 9", "");
    expect("tag=tsv fields -d \"\\t\" [2] as src [3]==\"443\" as port | table src port",
           " 10.0.0.1  443\n");
    expect("tag=tsv fields -clean -d \"\\t\" [2] as src [0x3] | table src 0x3", "10.0.0.1 443\n");
    refuse("tag=csv csv [x]", "is no index");
    refuse("tag=csv csv 3", "an index such as [2] was expected");
}

static void stats_condense_by_keys_and_time(void **unused)
{
    (void)unused;
    expect("tag=app stats count | table count", "5\n");
    expect("tag=app json user ms code | stats mean(ms) as avg max(ms) count by user | table",
           "   1\nalice 7.75 12.5 2\nbob 40 40 1\n");
    expect("tag=app json user | stats unique_count(user) | table unique_count", "3\n");
    expect("tag=app json user ms | stats sum(ms) by user sum(ms) as all | table -nt user sum all",
           "alice 15.5 55.5\nbob 40 55.5\n");
    expect("tag=app json code | stats count by code over 1m | table -nt code count",
           "200 2\n404 1\n500 1\n");
    expect_ordered("tag=app stats count over 2s | table -nt TIMESTAMP count",
                   "2026-01-02T12:00:02Z 2\n2026-01-02T12:00:00Z 3\n");
    expect("tag=app stats count over 2s | table count", "5\n");
    expect("tag=app json ms | stats variance(ms) min(ms) | table", "246.16666666666666 3\n");
    expect("tag=app json user code | stats count by user code | table user code count",
           " 200 1\nalice 200 1\nalice 404 1\nbob 500 1\n");
    expect("tag=auth stats count by SRC | table SRC count", "10.0.0.5 2\n10.0.0.6 2\n");
    expect("tag=auth,app stats count by TAG | table TAG count", "app 5\nauth 4\n");
    expect("tag=auth,app stats count | table TAG count", "app 9\n"); /* the first by name */
    expect("tag=auth stats count by SRC | stats sum(count) as n count | table n count", "4 2\n");
    refuse("tag=app stats averge(ms)", "'averge' is no operation");
    refuse("tag=app stats sum(a) sum(b)", "two results are named 'sum'");
    refuse("tag=app stats count over soon", "a duration");
    refuse("tag=app stats", "an operation is missing");
}

static void math_modules_are_single_operations(void **unused)
{
    (void)unused;
    expect("tag=app json user | count by user | table user count", " 1\nalice 2\nbob 1\n");
    expect("tag=app json ms | sum ms | table sum", "55.5\n");
    expect("tag=app json ms user | mean ms by user | table user mean", "alice 7.75\nbob 40\n");
    expect("tag=app json ms | max ms | table max", "40\n");
}

static void sort_require_and_alias_work_on_values(void **unused)
{
    (void)unused;
    expect_ordered("tag=app json -s user ms | sort by ms desc | table user ms",
                   "bob 40\nalice 12.5\nalice 3\n");
    expect_ordered("tag=app json code | count by code | sort by count desc | limit 1 | table code",
                   "200\n");
    expect_ordered("tag=auth sort by time asc | limit 1 3 | table TIMESTAMP",
                   "2026-01-02T12:00:01Z\n2026-01-02T12:00:02Z\n");
    expect("tag=app json ms | require ms | table ms", "12.5\n3\n40\n");
    expect("tag=app json ms | require -v ms | table ms", "\n\n");
    expect("tag=app json ms user | require ms | alias ms duration user who | table duration who",
           "12.5 alice\n3 alice\n40 bob\n");
    expect("tag=app json user | limit 1 by user | table user", "\nalice\nbob\n");
}

static void unique_passes_the_first_of_each(void **unused)
{
    (void)unused;
    expect("tag=app json user | unique user | table user", "\nalice\nbob\n");
    expect("tag=app json user | unique user over 2s | table -nt user", "\nalice\nbob\n");
    expect("tag=app json user code | unique user code | table user code",
           " 200\nalice 200\nalice 404\nbob 500\n");
    expect("tag=app unique | table TAG", "app\napp\napp\napp\napp\n");
    refuse("tag=app unique user over x", "a duration");
}

static void gauges_show_a_number_for_each_row(void **unused)
{
    (void)unused;
    expect_answer("tag=app json ms | stats mean(ms) | numbercard (mean 0 100 \"avg ms\")",
                  "[{\"Name\":\"avg ms\",\"Magnitude\":18.5,\"Min\":0,\"Max\":100}]\n");
    expect_answer("tag=app json ms user | max ms by user | gauge max",
                  "[{\"Name\":\"alice\",\"Magnitude\":12.5,\"Min\":0,\"Max\":0},"
                  "{\"Name\":\"bob\",\"Magnitude\":40,\"Min\":0,\"Max\":0}]\n");
    refuse("tag=app gauge", "the name of a value is missing");
    refuse("tag=app gauge (x 3)", "a maximum must follow");
}

/* Passed or dropped, as the module has it, but never silently. */
static void entries_that_cannot_be_read_are_counted(void **unused)
{
    (void)unused;
    expect_failed("tag=app json user code | table user", 1);
    expect_failed("tag=app json user | count by user | table user count", 1);
    expect_failed("tag=app json -s ms | table ms", 1);
    expect_failed("tag=app regex `(?P<a>(\\w+\\s?)+)$` | table a", 0);
    expect_failed("tag=slow regex `^(?P<a>(a+)+)$` | table a", 1);
    expect("tag=slow regex -p `^(?P<a>(a+)+)$` | table TAG a", "slow \n");
}

static void all_matches_come_as_a_list(void **unused)
{
    (void)unused;
    expect("tag=auth regex -a `(?P<n>\\d+)` n~4242 | table n", "[ 311 192 0 2 7 4242 2 ]\n");
}

/* Groups are found by a few bytes of their keys first. */
static void keys_that_differ_in_the_middle_alone_are_told_apart(void **unused)
{
    (void)unused;
    enum { KEYS = 50, EACH = 3 };
    struct query_source_memory *indexer = query_source_memory_new(KEYS, false);
    struct buf want = {0};
    struct buf out = {0};
    for (int i = 0; i < KEYS * EACH; i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), "{\"k\":\"beginning-%03d-and the end\",\"n\":\"%d\"}",
                       i % KEYS, i);
        struct entry entry = {.time_ns = BASE_NS + i, .data = span_of_str(text)};
        query_source_memory_add(indexer, "k", &entry);
    }
    for (int i = 0; i < KEYS; i++) {
        buf_printf(&want, "beginning-%03d-and the end %d %d %d %d\n", i, EACH, EACH * (i + KEYS),
                   2 * KEYS + i, EACH);
    }
    (void)search(&indexer, 1,
                 "tag=k json k n | stats count sum(n) max(n) unique_count(n) by k | table k count "
                 "sum max unique_count",
                 &out);
    char *got = cells(buf_span(&out), true);
    assert_string_equal(got, buf_str(&want));
    mem_free(got);
    buf_deinit(&out);
    buf_deinit(&want);
    query_source_memory_free(&indexer);
}

static void commas_between_names_mean_nothing(void **unused)
{
    (void)unused;
    expect("tag=app json user,code | limit 1 by user,code | table user,code",
           " 200\nalice 200\nalice 404\nbob 500\n");
    expect("tag=app json user as u,code as c | unique u,c | table u, c",
           " 200\nalice 200\nalice 404\nbob 500\n");
    expect("tag=app json -s user ms | alias user,who | abs ms as a,ms as b | table who a b",
           "alice 12.5 12.5\nalice 3 3\nbob 40 40\n");
    expect("tag=app json -s user ms code | stats sum(ms) by user, count by code | table",
           "alice 200 15.5 1\nalice 404 15.5 1\nbob 500 40 1\n");
    expect(
        "tag=app json -s user ms code | stats sum(ms) by user, count as n by code | table user n",
        "alice 1\nalice 1\nbob 1\n");
    expect("tag=app json -s user ms | stats mean(ms) as m,count as n by user | table",
           "alice 7.75 2\nbob 40 1\n");
    refuse("tag=app sort by ms,user", "unexpected argument ','");
    refuse("tag=app unique a.b", "a name or 'over' was expected");
    refuse("tag=app split a,b", "unexpected argument ','");
    refuse("tag=app stats count by user as n", "a key was expected");
    refuse("tag=app limit 2 by a.b", "a name was expected");
}

static void stats_can_keep_the_entry_of_the_extreme(void **unused)
{
    (void)unused;
    expect("tag=app json user ms | stats -b max(ms) count | table -nt TIMESTAMP max count DATA",
           "2026-01-02T12:00:01Z 40 5 "
           "{\"user\":\"bob\",\"code\":500,\"ms\":40,\"req\":{\"path\":\"/b\"}}\n");
    expect("tag=app json -s user ms code | stats -b count min(ms) by user | table user code min "
           "TIMESTAMP",
           "alice  3 2026-01-02T12:00:01Z\nbob  40 2026-01-02T12:00:01Z\n");
    expect("tag=auth stats -b count by SRC | table SRC count DATA",
           "10.0.0.5 2 sshd[312]: Accepted publickey for alice from 192.168.1.20 port 50022 ssh2\n"
           "10.0.0.6 2 kernel: eth0: link up, 1000 Mbps\n");
    expect("tag=auth stats -b min(SRC) over 2s | table -nt min DATA",
           "10.0.0.5 sshd[312]: Accepted publickey for alice from 192.168.1.20 port 50022 ssh2\n"
           "10.0.0.6 kernel: eth0: link up, 1000 Mbps\n"
           "10.0.0.6 sshd[99]: Failed password for bob from 192.0.2.7 port 4243 ssh2\n");
}

/* Delimiters are any bytes. */
static void a_delimiter_may_be_a_nul(void **unused)
{
    (void)unused;
    static const char eval[] = "tag=kv eval x = \"a=1\\x00b=2\";";
    char query[256];
    (void)snprintf(query, sizeof(query), "%s | fields -d \"\\x00\" -e x [1] as f | table f", eval);
    expect(query, "b=2\n");
    (void)snprintf(query, sizeof(query), "%s | kv -d \"\\x00\" -e x b | table b", eval);
    expect(query, "2\n");
    (void)snprintf(query, sizeof(query), "%s | split -d \"\\x00\" x | table x", eval);
    expect(query, "a=1\nb=2\n");
    refuse("tag=kv fields -d \"\" [1]", "the delimiter cannot be empty");
    refuse("tag=sys syslog Severity~5", "a filter here needs a number");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_takes_values_by_their_paths),
        cmocka_unit_test(regex_takes_named_groups),
        cmocka_unit_test(pairs_columns_and_fields_give_values),
        cmocka_unit_test(stats_condense_by_keys_and_time),
        cmocka_unit_test(math_modules_are_single_operations),
        cmocka_unit_test(commas_between_names_mean_nothing),
        cmocka_unit_test(stats_can_keep_the_entry_of_the_extreme),
        cmocka_unit_test(a_delimiter_may_be_a_nul),
        cmocka_unit_test(sort_require_and_alias_work_on_values),
        cmocka_unit_test(unique_passes_the_first_of_each),
        cmocka_unit_test(gauges_show_a_number_for_each_row),
        cmocka_unit_test(entries_that_cannot_be_read_are_counted),
        cmocka_unit_test(all_matches_come_as_a_list),
        cmocka_unit_test(keys_that_differ_in_the_middle_alone_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
