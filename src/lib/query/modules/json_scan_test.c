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

/* Looking for outermost members alone takes a way of its own; asking for a deeper one, which is not
 * there, takes the other one. Both find the same in any text, also where it is cut off. */
static void outermost_members_are_found_whichever_way_is_taken(void **unused)
{
    (void)unused;
    static const char *const texts[] = {
        "{\"a\":1}",
        "{\"b\":{\"a\":[1,{\"a\":2}]},\"a\":\"q\\\"a\\\":5\"}",
        " { \"a\\\\\" : 1 , \"a\" : [ \"]\" ] , \"a\" : 2 }",
        "{\"x\":\"0123456789abcdef0123456789abcdef\\\\\",\"aa\":1,\"\":2,\"a\":null}",
        "{\"x\" 1,\"a\":2}",
        "{\"x\":}",
        "{\"x\":1 \"a\":true}",
        "[{\"a\":1}]",
    };
    const struct json_path *paths[] = {&a_path, &ab_path};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        for (size_t bytes = 0; bytes <= strlen(texts[i]); bytes++) {
            struct span found[2][2];
            bool broken[2];
            uint8_t *copy = mem_dup(texts[i], bytes);
            uint64_t one = json_scan(span_of(copy, bytes), paths, 1, found[0], &broken[0]);
            uint64_t both = json_scan(span_of(copy, bytes), paths, 3, found[1], &broken[1]);
            assert_int_equal(one, both & 1);
            assert_true(one == 0 || span_equal(found[0][0], found[1][0]));
            assert_true(one != 0 || broken[0] == broken[1]);
            mem_free(copy);
        }
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
        cmocka_unit_test(outermost_members_are_found_whichever_way_is_taken),
        cmocka_unit_test(any_depth_is_skipped_without_a_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
