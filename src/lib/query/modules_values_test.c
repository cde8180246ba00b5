/*
 * Modules that change values, make entries of pieces and pick entries: the examples of the language
 * sheet and the edges of each.
 */
#include "query/modules_testing.h"

static void ip_makes_and_filters_addresses(void **unused)
{
    (void)unused;
    expect("tag=auth regex `from (?P<ip>\\S+)` | ip -categorize ip ~ PRIVATE | table ip "
           "ip_category",
           "192.168.1.20 PRIVATE\n");
    expect("tag=auth regex `from (?P<ip>\\S+)` | ip ip==192.0.2.7 | stats count | table count",
           "2\n");
    expect("tag=auth regex `from (?P<ip>\\S+)` | ip ip !~ 192.0.2.0/24 as a | table a",
           "192.168.1.20\n");
    expect(
        "tag=auth regex `from (?P<ip>\\S+)` | ip -or ip==192.168.1.20 ip ~ 10.0.0.0/8 | table ip",
        "192.168.1.20\n");
    expect("tag=app json user | ip user | stats count by user | table user count",
           " 1\nalice 2\nbob 1\n");
    expect("tag=auth src == 10.0.0.5 | stats count | table count", "2\n");
    expect("tag=auth src ~ 10.0.0.0/8 | src != 0x0a000005 | stats count | table count", "2\n");
    expect("tag=auth regex `from (?P<ip>\\S+)` | subnet ip /16 as net | stats count by net | table "
           "net count",
           "192.0.0.0 2\n192.168.0.0 1\n");
    expect("tag=auth stats count by SRC | subnet SRC /24 as net | stats sum(count) as n by net | "
           "table net n",
           "10.0.0.0 4\n");
    refuse("tag=auth ip x == 10.0.0.0/8", "a network is compared by ~");
    refuse("tag=auth ip x ~ nowhere", "an address, a network");
    refuse("tag=auth ip x > 10.0.0.1", "== != ~ !~");
    refuse("tag=auth subnet x /33", "the bits of its network");
    refuse("tag=auth src", "were expected");
}

static void times_are_read_and_written(void **unused)
{
    (void)unused;
    expect("tag=sys syslog Timestamp | time Timestamp t | eval unix(t) == 1767323045 | table t",
           "2026-01-02T03:04:05Z\n");
    expect("tag=sys syslog Timestamp | time -oformat \"Jan 2 15h04 -0700\" -tz +02:00 Timestamp t "
           "| table t",
           "Jan 2 05h04 +0200\n");
    expect("tag=kv kv date | time -iformat \"2006-01-02\" date t | table t",
           "2026-01-02T00:00:00Z\n");
    expect("tag=tsv fields -d \"\\t\" [0] as s | time s t | table t", "2023-11-14T22:13:20Z\n");
    expect_failed("tag=app json -s user | time user t | table t", 5); /* one is no JSON */
    refuse("tag=app time -tz Mars a b", "zone 'Mars' is not known");
    refuse("tag=app time a", "two names are needed");
}

static void texts_are_changed_in_place(void **unused)
{
    (void)unused;
    expect("tag=app json user==bob | upper user | table user", "BOB\n");
    expect("tag=kv2 upper | table DATA", "X:1|Y:2\n");
    expect("tag=kv2 upper | lower | grep x:1 | table DATA", "x:1|y:2\n");
    expect("tag=app json user | length user | stats sum(length) | table sum", "13\n");
    expect("tag=kv2 length | table length", "7\n");
    expect("tag=app json user==alice | truncate user 2 | unique user | table user", "al\n");
    expect("tag=app json user==alice | truncate -ellipsis user 2 | unique user | table user",
           "al...\n");
    expect("tag=kv2 truncate DATA 3 | table DATA", "x:1\n");
    expect("tag=app json user==bob code | concat -s \"-\" user code as uc | table uc", "bob-500\n");
    expect("tag=kv2 strings -n 3 | table DATA", "x:1|y:2\n");
    refuse("tag=app truncate x", "a number is missing");
}

static void split_makes_entries_of_pieces(void **unused)
{
    (void)unused;
    expect("tag=kv2 split -d \"|\" | table DATA", "x:1\ny:2\n");
    expect("tag=csv split -d , -clean | table DATA", "\"a\n15554\n2026-01-02\nCL\nb\"\n");
    expect("tag=kv2 split -d \"|\" | kv -sep : x y | table x y", " 2\n1 \n");
    expect("tag=app json -s user req.path as p | split -d \"/\" -clean p | table user p",
           "alice a\nalice c\nbob b\n");
    expect("tag=app,kv2 tag=kv2 split -d \"|\" | stats count by TAG | table TAG count",
           "app 5\nkv2 2\n");
    expect("tag=app,kv2 tag=app json user | tag=kv2 split -d \"|\" | require -v user | "
           "table TAG DATA",
           "app not json at all\nkv2 x:1\nkv2 y:2\n");
}

static void json_makes_entries_of_array_elements(void **unused)
{
    (void)unused;
    expect("tag=app json -s user req.tags | json -x tags | table user tags",
           "alice []\nalice x\nalice y\n");
}

static void keep_removes_all_else(void **unused)
{
    (void)unused;
    expect("tag=app json -s user ms code | keep user ms | table user ms code",
           "alice 12.5 \nalice 3 \nbob 40 \n");
    expect("tag=kv kv -q act n user | keep n | table", "7\n");
}

static void first_and_last_pick_by_time(void **unused)
{
    (void)unused;
    expect("tag=app json user | first | table TIMESTAMP user", "2026-01-02T12:00:00Z alice\n");
    expect("tag=auth last | table DATA", "kernel: eth0: link up, 1000 Mbps\n");
    expect("tag=app json -s user ms | last user | table user ms", "alice 3\nbob 40\n");
    expect("tag=app json -s user ms | first user | table user ms", "alice 12.5\nbob 40\n");
    expect("tag=app json -s user ms | sort by ms desc | first | table ms", "40\n");
    expect("tag=app json -s user ms | sort by ms desc | last | table ms", "3\n");
}

static void values_that_arrived_are_filtered_and_named(void **unused)
{
    (void)unused;
    expect("tag=app json user | intrinsic user==bob as who | table who", "bob\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ip_makes_and_filters_addresses),
        cmocka_unit_test(times_are_read_and_written),
        cmocka_unit_test(texts_are_changed_in_place),
        cmocka_unit_test(split_makes_entries_of_pieces),
        cmocka_unit_test(json_makes_entries_of_array_elements),
        cmocka_unit_test(keep_removes_all_else),
        cmocka_unit_test(first_and_last_pick_by_time),
        cmocka_unit_test(values_that_arrived_are_filtered_and_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
