/*
 * What users and machines get wrong: texts of queries, and entries that are not what a stage
 * expects. A message names the place; nothing crashes, hangs or is lost silently.
 */
#include "query/modules_testing.h"
#include "query/pipeline.h"

#define DEEP_BYTES ((size_t)10 << 20)

static const char *tag_of(const void *context, uint16_t tag)
{
    (void)context;
    (void)tag;
    return "t";
}

/* One entry through the stages; how many come out, and how many were not read. */
static size_t run_on(const char *text, struct span data, uint64_t *ret_failed)
{
    struct query *query = NULL;
    struct query_error error;
    struct query_pipeline *pipeline = NULL;
    if (query_parse(span_of_str(text), &test_options, &query, &error) < 0) {
        fail_msg("%s: %s", text, error.text);
    }
    struct entry entry = {.time_ns = BASE_NS, .data = data};
    uint32_t pick = 0;
    struct query_block block = {.entries = &entry, .picks = &pick, .count = 1, .tag_name = tag_of};
    assert_int_equal(query_pipeline_new(query, 0, query->stage_count - 1, &pipeline), 0);
    assert_int_equal(query_pipeline_run(pipeline, &block), 0);
    *ret_failed = query_pipeline_stats(pipeline, 0)->failed_count;
    size_t count = block.count;
    query_pipeline_free(&pipeline);
    query_free(&query);
    return count;
}

static void fails_at(const char *text, size_t bytes, const char *why, size_t offset)
{
    struct query *query = NULL;
    struct query_error error;
    assert_int_equal(query_parse(span_of(text, bytes), &test_options, &query, &error), ERR_INVALID);
    if (strstr(error.text, why) == NULL || error.offset != offset) {
        fail_msg("%s: '%s' at %zu", text, error.text, error.offset);
    }
}

static void a_wrong_query_is_refused_with_its_place(void **unused)
{
    (void)unused;
#define FAILS(text, why, offset) fails_at(text, sizeof(text) - 1, why, offset)
    FAILS("tag=a grep \"x", "quote \" without its end", 11);
    FAILS("tag=a regex `x", "quote ` without its end", 12);
    FAILS("tag=a eval x == \"y", "quote \" without its end", 16);
    FAILS("tag=a /* grep x", "comment without its end", 6);
    FAILS("tag=a gr\0p x", "NUL byte", 8);
    FAILS("tag=a grep \xC3(", "not UTF-8", 11);
    FAILS("start=NOW end=-1h tag=a", "empty or reversed", 6);
    FAILS("tag=a regex \"(a\"", "missing closing parenthesis", 12);
    FAILS("tag=a jsn x", "unknown module 'jsn', did you mean 'json'", 6);
    FAILS("tag=a grep x | sylog Hostname", "did you mean 'syslog'", 15);
#undef FAILS
}

static void json_of_any_depth_is_read(void **unused)
{
    (void)unused;
    static const char *const queries[] = {"tag=t json a",
                                          "tag=t json a.b.[0].c as c",
                                          "tag=t json -s a.[].b",
                                          "tag=t json -x a a",
                                          "tag=t eval json_len(DATA) > 0",
                                          "tag=t eval x = json_get(DATA, \"a\"); y = json(DATA);"};
    struct buf open = {0};
    buf_append_str(&open, "{\"a\":");
    while (open.bytes < DEEP_BYTES / 2) {
        buf_append_str(&open, "[");
    }
    size_t half = open.bytes;
    while (open.bytes < DEEP_BYTES) {
        buf_append_str(&open, "]");
    }
    buf_append_str(&open, "}");
    for (size_t i = 0; i < ARRAY_COUNT(queries); i++) {
        uint64_t failed = 0;
        (void)run_on(queries[i], buf_span(&open), &failed);
        (void)run_on(queries[i], span_first(buf_span(&open), half), &failed);
        assert_true(failed == (i < 4 ? 1 : 0)); /* cut in the middle: counted by json */
    }
    buf_deinit(&open);
}

static void entries_of_any_bytes_go_through_every_module(void **unused)
{
    (void)unused;
    static const char *const stages[] = {
        "json a",
        "kv a",
        "csv [0] as a",
        "fields -d \"\\x01\" [1] as a",
        "regex -p `(?P<a>.)`",
        "syslog Hostname Structured.a",
        "xml A.B",
        "cef Severity msg",
        "grep -v x",
        "words -v x",
        "eval a = strings_toupper(DATA); b = hash_md5(DATA); c = DATA[1:3]; d = html_escape(DATA);",
        "upper",
        "lower",
        "length",
        "truncate DATA 1",
        "strings",
        "split -d \"\\xff\"",
        "concat DATA SRC",
        "keep a",
        "intrinsic a",
        "ip DATA",
        "subnet DATA /8",
        "time DATA t",
        "require a",
        "alias DATA a",
        "enrich a b"};
    static const struct span entries[] = {
        {(const uint8_t *)"\0\0", 2},
        {(const uint8_t *)"\xff\xfe\0<a", 5},
        {(const uint8_t *)"", 0},
        {NULL, 0},
        {(const uint8_t *)"{\"a\":\"\0\xc3\"}", 10},
        {(const uint8_t *)"<165>1 \xff - - - - [a b=\"\0", 24},
        {(const uint8_t *)"CEF:0|\xff|\\|=\\", 12},
        {(const uint8_t *)"<A><B c='\0'>\xff</B></A>", 20},
    };
    for (size_t i = 0; i < ARRAY_COUNT(stages); i++) {
        char *query = mem_printf("tag=t %s | table", stages[i]);
        for (size_t j = 0; j < ARRAY_COUNT(entries); j++) {
            uint64_t failed = 0;
            /* A copy of the exact size, so that reading beyond it is seen. */
            uint8_t *copy =
                entries[j].bytes == 0 ? NULL : mem_dup(entries[j].data, entries[j].bytes);
            (void)run_on(query, span_of(copy, entries[j].bytes), &failed);
            mem_free(copy);
        }
        mem_free(query);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_query_is_refused_with_its_place),
        cmocka_unit_test(json_of_any_depth_is_read),
        cmocka_unit_test(entries_of_any_bytes_go_through_every_module),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
