/* Finding by path: what is found, and that nothing is read beyond the end of a broken text. */
#include "query/modules/json_scan.h"

#include "base/buf.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct json_path a_path = {.steps = {{JSON_STEP_KEY, {(const uint8_t *)"a", 1}, 0}},
                                        .count = 1};
static const struct json_path ab_path = {.steps = {{JSON_STEP_KEY, {(const uint8_t *)"a", 1}, 0},
                                                   {JSON_STEP_KEY, {(const uint8_t *)"b", 1}, 0}},
                                         .count = 2};
static const struct json_path any_b_path = {
    .steps = {{JSON_STEP_KEY, {(const uint8_t *)"a", 1}, 0},
              {JSON_STEP_ANY, {NULL, 0}, 0},
              {JSON_STEP_KEY, {(const uint8_t *)"b", 1}, 0}},
    .count = 3};

/* `want`: NULL when the path leads nowhere. */
static void expect(const char *text, const struct json_path *path, const char *want)
{
    struct span found;
    bool broken;
    /* A copy of the exact size, so that reading beyond it is seen. */
    size_t bytes = strlen(text);
    uint8_t *copy = mem_dup(text, bytes);
    bool there = json_scan(span_of(copy, bytes), &path, 1, &found, &broken) != 0;
    if (there != (want != NULL) || (there && !span_equal_str(found, want))) {
        fail_msg("%s gave '%.*s'", text, there ? (int)found.bytes : 0,
                 there ? (const char *)found.data : "");
    }
    mem_free(copy);
}

static void values_are_found_as_they_stand(void **unused)
{
    (void)unused;
    expect("{\"a\":1}", &a_path, "1");
    expect(" { \"x\" : [1,{\"a\":2}] , \"a\" : \"q\\\"r\\\\\" }", &a_path, "q\\\"r\\\\");
    expect("{\"a\":{\"b\":[1,\"]\"]},\"b\":2}", &ab_path, "[1,\"]\"]");
    expect("{\"a\":{\"b\":[1,\"]\"]},\"b\":2}", &a_path, "{\"b\":[1,\"]\"]}");
    expect("{\"a\":[{\"c\":1},5,{\"b\":null},{\"b\":4}]}", &any_b_path, "null");
    expect("{\"b\":{\"a\":1}}", &a_path, NULL);
    expect("{\"a\":1,\"a\":2}", &a_path, "1");
}

static void what_cannot_be_read_ends_the_search(void **unused)
{
    (void)unused;
    static const char *const broken[] = {
        "",         "{",       "{\"a", "{\"a\"",   "{\"a\":",          "{\"a\":\"",
        "{\"a\":[", "nothing", "[1,2", "{\"b\":}", "{\"b\" 1,\"a\":2}"};
    for (size_t i = 0; i < ARRAY_COUNT(broken); i++) {
        expect(broken[i], &a_path, NULL);
    }
}

static void any_depth_is_skipped_without_a_stack(void **unused)
{
    (void)unused;
    enum { DEPTH = 1 << 20 };
    struct span found;
    bool broken;
    const struct json_path *path = &a_path;
    struct buf buf = {0};
    buf_append_str(&buf, "{\"x\":");
    for (size_t i = 0; i < DEPTH; i++) {
        buf_append_byte(&buf, '[');
    }
    for (size_t i = 0; i < DEPTH; i++) {
        buf_append_byte(&buf, ']');
    }
    buf_append_str(&buf, ",\"a\":7}");
    assert_int_equal(json_scan(buf_span(&buf), &path, 1, &found, &broken), 1);
    assert_true(span_equal_str(found, "7"));
    buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_found_as_they_stand),
        cmocka_unit_test(what_cannot_be_read_ends_the_search),
        cmocka_unit_test(any_depth_is_skipped_without_a_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
