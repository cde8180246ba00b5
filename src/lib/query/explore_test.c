/* Entries are taken apart as the modules do it; what was clicked becomes stages of the query. */
#include "query/explore.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* "module path=value …" of the elements, those inside others behind them in brackets. */
static void put(const json_t *elements, struct buf *buf)
{
    size_t i;
    const json_t *one;
    json_array_foreach(elements, i, one)
    {
        buf_printf(buf, " %s=%s", json_string_value(json_object_get(one, "Path")),
                   json_string_value(json_object_get(one, "Value")));
        if (json_object_get(one, "SubElements") != NULL) {
            buf_append_str(buf, " [");
            put(json_object_get(one, "SubElements"), buf);
            buf_append_str(buf, " ]");
        }
    }
}

static void looks_like(const char *data, const struct query_extractor *extractor, const char *want)
{
    struct buf got = {0};
    json_t *json = query_explore(span_of_str(data), "t", extractor);
    buf_append_str(&got, json_string_value(json_object_get(json, "Module")));
    put(json_object_get(json, "Elements"), &got);
    json_decref(json);
    if (strcmp(buf_str(&got), want) != 0) {
        fail_msg("%s:\n%s\nnot\n%s", data, buf_str(&got), want);
    }
    buf_deinit(&got);
}

static void entries_are_taken_apart_as_what_they_look_like(void **unused)
{
    (void)unused;
    looks_like("{\"user\":\"ann\",\"n\":1.5,\"req\":{\"a b\":[true,null]}}", NULL,
               "json user=ann n=1.5 req={\"a b\":[true,null]} [ req.\"a b\"=[true,null] [ req.\"a "
               "b\".[0]=true req.\"a b\".[1]=null ] ]");
    looks_like("<165>1 2026-01-02T03:04:05Z host1 app 77 ID1 [x@1 a=\"3\" b=\"q\"] hello", NULL,
               "syslog Facility=20 Severity=5 Priority=165 Version=1 "
               "Timestamp=2026-01-02T03:04:05Z Hostname=host1 Appname=app ProcID=77 MsgID=ID1 "
               "Message=hello StructuredID=x@1 Structured.a=3 Structured.b=q");
    looks_like(
        "CEF:0|Acme|FW|1|100|deny|7|src=10.0.0.1 msg=bad thing", NULL,
        "cef Version=0 DeviceVendor=Acme DeviceProduct=FW Signature=100 Name=deny Severity=7 "
        "src=10.0.0.1 msg=bad thing");
    looks_like("act=deny user=\"Ann Lee\" n=7 act=later", NULL, "kv act=deny user=Ann Lee n=7");
    looks_like("a,\"b, c\",d", NULL, "csv [0]=a [1]=b, c [2]=d");
    looks_like("just some words", NULL, "");
    looks_like("", NULL, "");
}

static void a_definition_comes_first(void **unused)
{
    (void)unused;
    struct query_extractor extractor = {.name = "x",
                                        .module = "regex",
                                        .params = "for (?P<who>\\S+) from (?P<ip>\\S+)",
                                        .args = "",
                                        .tags = {"t"},
                                        .tag_count = 1};
    looks_like("a,b for ann from 10.0.0.1", &extractor, "ax ip=10.0.0.1 who=ann");
    looks_like("a=1 b=2", &extractor, "kv a=1 b=2"); /* it finds nothing here */
}

static void words_have_their_places(void **unused)
{
    (void)unused;
    json_t *json = query_explore(SPAN_LIT("one, two"), "t", NULL);
    char *words = json_dumps(json_object_get(json, "WordOffsets"), JSON_COMPACT);
    assert_string_equal(words, "[[0,3],[5,8]]");
    free(words);
    json_decref(json);
}

static void definitions_are_offered_for_entries(void **unused)
{
    (void)unused;
    struct span entries[] = {SPAN_LIT("a=1 b=2"), SPAN_LIT("b=3 c=4"), SPAN_LIT("nothing")};
    json_t *json = query_explore_generate("t", entries, ARRAY_COUNT(entries));
    const json_t *kv = json_array_get(json_object_get(json, "kv"), 0);
    const json_t *extractor = json_object_get(kv, "Extractor");
    assert_string_equal(json_string_value(json_object_get(extractor, "Params")), "a b c");
    assert_true(json_real_value(json_object_get(kv, "Confidence")) > 6.6);
    assert_int_equal(json_array_size(json_object_get(kv, "Explore")), 3);
    assert_null(json_object_get(json, "json"));
    struct query_extractor made = {.name = "t",
                                   .module = "kv",
                                   .params =
                                       json_string_value(json_object_get(extractor, "Params")),
                                   .args = json_string_value(json_object_get(extractor, "Args")),
                                   .tags = {"t"},
                                   .tag_count = 1};
    assert_int_equal(query_extractor_check(&made), 0);
    json_decref(json);
}

static void becomes(const char *text, const struct query_filter *filter, const char *want)
{
    struct buf buf = {0};
    size_t at = 0;
    size_t bytes = 0;
    assert_int_equal(query_filters_put(span_of_str(text), filter, 1, &buf, &at, &bytes), 0);
    if (strcmp(buf_str(&buf), want) != 0) {
        fail_msg("%s: '%s', not '%s'", text, buf_str(&buf), want);
    }
    struct query *query = NULL;
    struct query_error error;
    struct query_options options = {.now_ns = 1};
    if (query_parse(buf_span(&buf), &options, &query, &error) < 0) {
        fail_msg("%s: %s", want, error.text);
    }
    query_free(&query);
    assert_true(strncmp(buf_str(&buf) + at + bytes, text + at, strlen(text + at)) == 0);
    buf_deinit(&buf);
}

/* tag, module, args, path, name, op, value */
#define FILTER(...) (&(struct query_filter){__VA_ARGS__})

static void filters_are_the_first_stages(void **unused)
{
    (void)unused;
    becomes("tag=a start=-1h json x | table x",
            FILTER("a", "json", "", "req.\"a b\"", "", "==", "q\"x"),
            "tag=a start=-1h  tag=\"a\" json req.\"a b\" == \"q\\\"x\" | json x | table x");
    becomes("tag=a", FILTER("", "kv", "-q", "u", "who", "", ""), "tag=a kv -q u as \"who\" ");
    becomes("tag=a | limit 5", FILTER("", "words", "", "", "", "!=", "x"),
            "tag=a  words -v  \"x\" | limit 5");
    becomes("table", FILTER("", "csv", "", "[1]", "", "~", "v"), " csv [1] ~ \"v\" | table");
    struct buf buf = {0};
    size_t at = 0;
    size_t bytes = 0;
    assert_int_equal(query_filters_put(SPAN_LIT("tag=a"), FILTER("", "nothing", "", "", "", "", ""),
                                       1, &buf, &at, &bytes),
                     ERR_INVALID);
    assert_int_equal(query_filters_put(SPAN_LIT("tag=a"),
                                       FILTER("", "json", "", "x", "", "| table", ""), 1, &buf, &at,
                                       &bytes),
                     ERR_INVALID);
    buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_taken_apart_as_what_they_look_like),
        cmocka_unit_test(a_definition_comes_first),
        cmocka_unit_test(words_have_their_places),
        cmocka_unit_test(definitions_are_offered_for_entries),
        cmocka_unit_test(filters_are_the_first_stages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
