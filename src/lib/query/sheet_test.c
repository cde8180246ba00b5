/*
 * The worked examples of the language sheet, section by section, over any spread of the data; those
 * of its section 31 are in examples_test.c. An entry is named by the seconds of its time: a1 to a4
 * are 00 01 02 04, j1 to j5 00 01 01 03 03.
 */
#include "query/modules_testing.h"

#define SECONDS " | time -oformat \"05\" TIMESTAMP t | table t"

struct example {
    const char *section;
    const char *query;
    const char *rows; /* sorted */
};

static int resource(void *context, const char *name, struct buf *contents)
{
    (void)context;
    buf_append_str(contents, strcmp(name, "@bad") == 0
                                 ? "user\nbob\n"
                                 : "ip,name,site\n192.0.2.7,evil,none\n192.168.1.20,desk1,hq\n");
    return 0;
}

static const struct example filters[] = {
    {"11", "tag=auth grep Failed" SECONDS, "00\n02\n"},
    {"11", "tag=auth grep -v sshd" SECONDS, "04\n"},
    {"11", "tag=auth grep root bob" SECONDS, "00\n02\n"},
    {"11", "tag=auth grep -s Failed bob" SECONDS, "02\n"},
    {"11", "tag=auth grep \"Failed*root\"" SECONDS, "00\n"},
    {"11", "tag=auth grep -i FAILED" SECONDS, "00\n02\n"},
    {"11", "tag=auth grep -w ssh" SECONDS, ""},
    {"11", "tag=auth grep -w 192.0.2.7" SECONDS, "00\n02\n"},
    {"11", "tag=auth words Failed 192.0.2.7" SECONDS, "00\n02\n"},
    {"11", "tag=auth words -or root kernel" SECONDS, "00\n04\n"},
    {"11", "tag=auth words -v sshd" SECONDS, "04\n"},
};

static const struct example extraction[] = {
    {"12",
     "tag=auth regex `Failed password for (?P<user>\\S+) from (?P<ip>\\S+) port (?P<port>\\d+)` "
     "ip==\"192.0.2.7\" user!=root | table user ip port",
     "bob 192.0.2.7 4243\n"},
    {"12", "tag=auth grep root | regex -a `(?P<n>\\d+)` | table n", "[ 311 192 0 2 7 4242 2 ]\n"},
    {"13", "tag=app json user code | table user code", " \n 200\nalice 200\nalice 404\nbob 500\n"},
    {"13", "tag=app json -s user ms" SECONDS, "00\n01\n01\n"},
    {"13", "tag=app json user!=\"\"" SECONDS, "00\n01\n01\n03\n"},
    {"13", "tag=app json -s user!=\"\"" SECONDS, "00\n01\n01\n"},
    {"13", "tag=app json code==200 user" SECONDS, "00\n03\n"},
    {"13", "tag=app json user~li" SECONDS, "00\n01\n"},
    {"13", "tag=app json req.path as p | table p", "\n\n/a\n/b\n/c\n"},
    {"13", "tag=app json -s req.tags.[0] as t | table t", "x\n"},
    {"13", "tag=app json -s user req.tags | json -x tags | grep /a | table tags", "x\ny\n"},
    {"14", "tag=kv kv -q act user n | table act user n", "deny Ann Lee 7\n"},
    {"14", "tag=kv2 kv -sep : -d \"|\" y | table y", "2\n"},
    {"14", "tag=kv kv user | table user", "\"Ann\n"},
    {"15", "tag=csv csv [1] as id [2]~\"a,\" as t [3]==CL | table id t \"3\"", "15554 a, b CL\n"},
    {"16", "tag=tsv fields -d \"\\t\" [2] as src [3]==\"443\" as port | table src port",
     " 10.0.0.1  443\n"},
    {"16", "tag=tsv fields -clean -d \"\\t\" [2] as src [3]==\"443\" as port | table src port",
     "10.0.0.1 443\n"},
    {"17",
     "tag=sys syslog Severity<6 Hostname Structured.a Message | table Severity Hostname a "
     "Message",
     "5 host1 3 hello\n"},
    {"18", "tag=xml xml S.D[N]==\"os\" | table D", "w\n"},
    {"18", "tag=xml xml S.D | table D", "w\n"},
    {"18", "tag=xml xml S.D[N] | table N", "os\n"},
    {"18", "tag=cef cef DeviceVendor==Acme Severity msg | table DeviceVendor Severity msg",
     "Acme 7 bad thing\n"},
    {"19",
     "tag=auth regex `from (?P<ip>\\S+)` | ip -categorize ip ~ PRIVATE | table ip ip_category",
     "192.168.1.20 PRIVATE\n"},
    {"19", "tag=auth regex `from (?P<ip>\\S+)` | subnet ip /16 as net | unique net | table net",
     "192.0.0.0\n192.168.0.0\n"},
};

static const struct example computing[] = {
    {"20", "tag=app json user code ms | eval ms > 10" SECONDS, "00\n01\n"},
    {"20", "tag=app json user code ms | eval (user == \"bob\" || code == 404)" SECONDS, "01\n01\n"},
    {"20", "tag=app json user code ms | eval in(user, \"bob\", \"carol\") | table user", "bob\n"},
    {"20", "tag=app json user code ms | eval has(ms) | table ms", "12.5\n3\n40\n"},
    {"20",
     "tag=app json code | eval if (int(code) >= 400) { cls = \"bad\"; } else { cls = \"ok\"; } | "
     "require code | table code cls",
     "200 ok\n200 ok\n404 bad\n500 bad\n"},
    {"20", "tag=app json user | eval var n = 0; n++; seq = n; | table seq", "1\n2\n3\n4\n5\n"},
    {"20", "tag=app json user code ms | (ms > 20 && user != \"alice\") | table user", "bob\n"},
    {"21", "tag=app json user ms code | count by user | table user count", " 1\nalice 2\nbob 1\n"},
    {"21", "tag=app json user ms code | sum ms | table sum", "55.5\n"},
    {"21", "tag=app json user ms code | mean ms by user | table user mean", "alice 7.75\nbob 40\n"},
    {"21", "tag=app json user ms code | max ms | table max", "40\n"},
    {"22", "tag=app json user ms code | stats count | table count", "5\n"},
    {"22",
     "tag=app json user ms code | stats mean(ms) as avg max(ms) count by user | table user avg "
     "max count",
     "   1\nalice 7.75 12.5 2\nbob 40 40 1\n"},
    {"22", "tag=app json user ms code | stats unique_count(user) | table unique_count", "3\n"},
    {"22",
     "tag=app json user ms code | stats sum(ms) by user sum(ms) as all | table "
     "-nt user sum all",
     "alice 15.5 55.5\nbob 40 55.5\n"},
    {"22", "tag=app json user ms code | stats count by code over 1m | table -nt code count",
     "200 2\n404 1\n500 1\n"},
    {"22",
     "tag=app json ms | stats variance(ms) stddev(ms) | eval v = int(variance * 10000); s = "
     "int(stddev * 1000); | table v s",
     "2461666 15689\n"},
    {"23", "tag=app json user | limit 1 by user | table user", "\nalice\nbob\n"},
    {"23", "tag=app json user | unique user | table user", "\nalice\nbob\n"},
    {"23", "tag=kv2 eval x = \"a b c d e f\"; | split -d \" \" x | limit 2 5 | table x",
     "c\nd\ne\n"},
    {"5", "tag=app json user code | lookup -s -r @bad user user () | table user code", "bob 500\n"},
    {"24",
     "tag=auth regex `for (?P<u>\\S+) from (?P<ip>\\S+)` | lookup -r hosts ip ip (name as h site) "
     "| "
     "table u ip h site",
     "alice 192.168.1.20 desk1 hq\nbob 192.0.2.7 evil none\nroot 192.0.2.7 evil none\n"},
    {"24", "tag=auth regex `from (?P<ip>\\S+)` | lookup -v -s -r hosts ip ip () | table ip", ""},
    {"25", "tag=app json ms | require ms" SECONDS, "00\n01\n01\n"},
    {"25", "tag=app json ms | require -v ms" SECONDS, "03\n03\n"},
    {"25", "tag=app json ms user | alias ms duration user who | require ms | table duration who",
     "12.5 alice\n3 alice\n40 bob\n"},
    {"27",
     "tag=app json user code | require user | stats count by user code | table user code count",
     " 200 1\nalice 200 1\nalice 404 1\nbob 500 1\n"},
};

static void all_are_as_they_say(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        expect(examples[i].query, examples[i].rows);
    }
}

static void filters_pass_what_they_say(void **unused)
{
    (void)unused;
    all_are_as_they_say(filters, ARRAY_COUNT(filters));
    refuse("tag=auth words \"link up\"", "words");
}

static void modules_extract_what_they_say(void **unused)
{
    (void)unused;
    all_are_as_they_say(extraction, ARRAY_COUNT(extraction));
}

static void modules_compute_what_they_say(void **unused)
{
    (void)unused;
    all_are_as_they_say(computing, ARRAY_COUNT(computing));
    expect_ordered("tag=app json user ms | sort by ms desc | limit 3 | table user ms",
                   "bob 40\nalice 12.5\nalice 3\n");
}

static void renderers_show_what_they_say(void **unused)
{
    (void)unused;
    expect_answer("tag=app json user ms code | stats mean(ms) | numbercard (mean 0 100 \"avg ms\")",
                  "[{\"Name\":\"avg ms\",\"Magnitude\":18.5,\"Min\":0,\"Max\":100}]\n");
    expect_answer(
        "tag=app json user code | require user | count by user code | stackgraph user code "
        "count",
        "[{\"Key\":\"\",\"Values\":[{\"Label\":\"200\",\"Value\":1}]},{\"Key\":\"alice\","
        "\"Values\":[{\"Label\":\"200\",\"Value\":1},{\"Label\":\"404\",\"Value\":1}]},{"
        "\"Key\":\"bob\",\"Values\":[{\"Label\":\"500\",\"Value\":1}]}]\n");
}

/* Section 29: each fault of a query has its stage and its place. */
static void every_fault_has_its_place(void **unused)
{
    (void)unused;
    static const struct {
        const char *query, *why;
        int stage;
        const char *at; /* the place begins with this */
    } rows[] = {
        {"tag=app jsno x", "did you mean 'json'", 0, "jsno"},
        {"tag=app json x | grep -q y", "unknown flag '-q'", 1, "-q"},
        {"tag=app grep x | json -e", "a value must follow", 1, "-e"},
        {"tag=app table x | json y", "must be the last stage", 0, "table"},
        {"tag=app json x>1", "does not work on a text", 0, ">"},
        {"tag=app ip x > 1.2.3.4", "== != ~ !~", 0, ">"},
        {"tag=app words \"a b\"", "words", 0, "\"a b\""},
        {"tag=app grep -w Version/11.00", "grep", 0, "Version/11.00"},
        {"tag=app regex `(`", "regex:", 0, "`(`"},
        {"tag=app csv [x]", "is no index", 0, "x]"},
        {"tag=app grep \"x", "quote", -1, "\"x"},
        {"tag=app json x | (x == 1", "'(' without its ')'", 1, "("},
        {"tag=app /* grep x", "comment without its end", -1, "/*"},
        {"start=NOW end=-1h tag=app", "empty or reversed", -1, "NOW"},
        {"tag=app lookup x y z", "-r and the name of a resource", 0, "lookup"},
        {"tag=app $NONE x", "unknown macro '$NONE'", 0, "$"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct query *query = NULL;
        struct query_error error;
        int rc = query_parse(span_of_str(rows[i].query), &test_options, &query, &error);
        bool right = rc < 0 && strstr(error.text, rows[i].why) != NULL &&
                     error.stage == rows[i].stage &&
                     strncmp(rows[i].query + error.offset, rows[i].at, strlen(rows[i].at)) == 0;
        if (!right) {
            fail_msg("%s: stage %d, byte %zu: %s", rows[i].query, error.stage, error.offset,
                     error.text);
        }
    }
}

int main(void)
{
    test_resource = resource;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_pass_what_they_say),
        cmocka_unit_test(modules_extract_what_they_say),
        cmocka_unit_test(modules_compute_what_they_say),
        cmocka_unit_test(renderers_show_what_they_say),
        cmocka_unit_test(every_fault_has_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
