/* What the parse answer says of stages: names set and looked at, resources, where it condenses. */
#include "query/hints.h"
#include "query/modules_testing.h"

static struct query *parsed(const char *text)
{
    struct query *query = NULL;
    struct query_error error;
    if (query_parse(span_of_str(text), &test_options, &query, &error) < 0) {
        fail_msg("%s: %s", text, error.text);
    }
    return query;
}

static void names_are(const struct query *query, size_t stage, const char *produced,
                      const char *consumed)
{
    struct query_hint_names names;
    const char *want[] = {produced, consumed};
    for (size_t i = 0; i < 2; i++) {
        struct buf got = {0};
        (i == 0 ? query_hint_produced : query_hint_consumed)(query, stage, &names);
        for (size_t j = 0; j < names.count; j++) {
            buf_append_str(&got, j > 0 ? " " : "");
            buf_append(&got, names.items[j]);
        }
        if (strcmp(buf_str(&got), want[i]) != 0) {
            fail_msg("%s %s: '%s', not '%s'", query->stages[stage].text,
                     i == 0 ? "sets" : "looks at", buf_str(&got), want[i]);
        }
        buf_deinit(&got);
    }
}

static void stages_say_what_they_set_and_look_at(void **unused)
{
    (void)unused;
    struct query *query =
        parsed("tag=a json user code==200 as c req.ip | ip ip as addr | lookup -r hosts [addr c] "
               "[ip code] (name as n) | eval if (c == 200) { good = 1; } | stats sum(good) as g "
               "count by n TAG | sort by g desc | table n g");
    names_are(query, 0, "user c ip", "");
    names_are(query, 1, "addr", "ip");
    names_are(query, 2, "n", "c addr");
    names_are(query, 3, "good", "c good");
    names_are(query, 4, "g count n TAG", "n good TAG");
    names_are(query, 5, "", "g");
    names_are(query, 6, "", "n g");
    query_free(&query);
    query =
        parsed("tag=a kv -e user x | slice uint16be([0:2]) as y | printf \"%v\" y | alias y z | "
               "length -t l y | time z t | path -e z base | count by base");
    names_are(query, 0, "x", "user");
    names_are(query, 1, "y", "DATA");
    names_are(query, 2, "printf", "y");
    names_are(query, 3, "z", "y");
    names_are(query, 4, "l", "y");
    names_are(query, 5, "t", "z");
    names_are(query, 6, "base", "z");
    names_are(query, 7, "count base", "base");
    query_free(&query);
}

static void resources_are_named_before_they_are_loaded(void **unused)
{
    (void)unused;
    struct query *query =
        parsed("tag=a lookup -r hosts a b c | ipexist -r one -r two a | dump -p -r "
               "three | iplookup -r four -s -e a");
    static const size_t counts[] = {1, 2, 1, 1, 0};
    static const char *const first[] = {"hosts", "one", "three", "four"};
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        assert_int_equal(query->stages[i].resource_count, counts[i]);
        if (counts[i] > 0) {
            assert_string_equal(query->stages[i].resources[0], first[i]);
        }
    }
    assert_string_equal(query->stages[1].resources[1], "two");
    query_free(&query);
}

static void hints_are(const char *text, size_t want_collapsing, const char *want)
{
    struct query *query = parsed(text);
    struct query_hint hints[QUERY_HINTS_MAX];
    struct buf got = {0};
    size_t collapsing = 0;
    size_t count = query_hints(query, hints, &collapsing);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&got, "%s%s%s", i > 0 ? " " : "", hints[i].name, hints[i].condensing ? "*" : "");
    }
    if (strcmp(buf_str(&got), want) != 0 || collapsing != want_collapsing) {
        fail_msg("%s: %s, from %zu, not %s", text, buf_str(&got), collapsing, want);
    }
    buf_deinit(&got);
    query_free(&query);
}

static void implicit_stages_are_named(void **unused)
{
    (void)unused;
    hints_are("tag=gravwell limit 10", 1, "limit limitCollapser* sort*");
    hints_are("tag=a grep x", 1, "grep sort*");
    hints_are("tag=a grep x | stats count | table count", 2, "grep stats statsCollapser* sort*");
    hints_are("tag=a nosort", 1, "nosort");
    hints_are("tag=a", 0, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_say_what_they_set_and_look_at),
        cmocka_unit_test(resources_are_named_before_they_are_loaded),
        cmocka_unit_test(implicit_stages_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
