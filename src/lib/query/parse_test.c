/* Constraints, stages, what is supplied when it is missing, and what faults say. */
#include "base/mem.h"
#include "base/time.h"
#include "query/hints.h"
#include "query/query.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int64_t at(const char *text)
{
    int64_t ns = 0;
    assert_true(time_parse(span_of_str(text), &ns));
    return ns;
}

static bool known(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "nosuch") != 0 && strcmp(name, "wbe") != 0;
}

static void nearest_tag(void *context, const char *name, struct buf *nearest)
{
    (void)context;
    buf_append_str(nearest, strcmp(name, "wbe") == 0 ? "web" : "");
}

static int try_parse(const char *text, struct query **ret_query, struct query_error *ret_error)
{
    struct query_options options = {
        .now_ns = at("2026-01-02T12:00:00Z"),
        .start_ns = TIME_UNSET,
        .end_ns = TIME_UNSET,
        .tag_exists = known,
        .tag_nearest = nearest_tag,
    };
    return query_parse(span_of_str(text), &options, ret_query, ret_error);
}

static struct query *parsed(const char *text)
{
    struct query *query = NULL;
    struct query_error error;
    if (try_parse(text, &query, &error) < 0) {
        fail_msg("%s: %s", text, error.text);
    }
    return query;
}

static void expect_effective(const char *text, const char *want)
{
    struct query *query = parsed(text);
    assert_string_equal(query->effective, want);
    assert_string_equal(query->text, text);
    struct query *again = parsed(query->effective);
    assert_string_equal(again->effective, want);
    query_free(&again);
    query_free(&query);
}

static void expect_fault(const char *text, int stage, size_t offset, const char *want)
{
    struct query *query = NULL;
    struct query_error error;
    int rc = try_parse(text, &query, &error);
    if (rc == 0) {
        fail_msg("accepted: %s", text);
    }
    assert_string_equal(error.text, want);
    assert_int_equal(error.stage, stage);
    assert_int_equal(error.offset, offset);
}

static void expect_range(const char *text, const char *start, const char *end)
{
    struct query *query = parsed(text);
    char start_text[TIME_TEXT_BYTES];
    char end_text[TIME_TEXT_BYTES];
    assert_string_equal(time_text(query->start_ns, start_text), start);
    assert_string_equal(time_text(query->end_ns, end_text), end);
    query_free(&query);
}

/* The effective text spells out tag and renderer, and means the same when parsed again. */
static void the_effective_query_is_complete_and_stable(void **state)
{
    (void)state;
    expect_effective("tag=gravwell", "tag=gravwell text");
    expect_effective("", "tag=default text");
    expect_effective("grep x", "tag=default grep x | text");
    expect_effective("tag=a | grep x", "tag=a grep x | text");
    expect_effective("tag=a grep x // why\n| raw", "tag=a grep x | raw");
    expect_effective("tag=a start=-1h", "tag=a start=-1h text");
    expect_effective("start=-1h limit 5", "start=-1h tag=default limit 5 | text");
    expect_effective("tag=a,b tag=a grep x | tag=b,c* words y | hex",
                     "tag=a,b tag=a grep x | tag=b,c* words y | hex");
}

static void tags_are_lists_globs_and_quoted_names(void **state)
{
    (void)state;
    struct query *query = parsed("tag=a, b-*,{x,y}z,[ab]c,\"odd name\" grep x");
    static const char *const want[] = {"a", "b-*", "{x,y}z", "[ab]c", "odd name"};
    assert_int_equal(query->tag_count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(query->tags[i].pattern, want[i]);
        assert_int_equal(query->tags[i].glob, i >= 1 && i <= 3);
    }
    assert_true(query_tags_match(query->tags, query->tag_count, "b-1"));
    assert_true(query_tags_match(query->tags, query->tag_count, "yz"));
    assert_false(query_tags_match(query->tags, query->tag_count, "b"));
    query_free(&query);
}

/* Every form of section 3.2 of the sheet; now is 2026-01-02T12:00:00Z. */
static void every_form_of_time(void **state)
{
    (void)state;
    expect_range("tag=a", "2026-01-02T11:00:00Z", "2026-01-02T12:00:00Z");
    expect_range("start=-90s", "2026-01-02T11:58:30Z", "2026-01-02T12:00:00Z");
    expect_range("start=-2d end=-1d", "2025-12-31T12:00:00Z", "2026-01-01T12:00:00Z");
    expect_range("start=NOW-1h end=NOW", "2026-01-02T11:00:00Z", "2026-01-02T12:00:00Z");
    expect_range("start=now-1h end=now", "2026-01-02T11:00:00Z", "2026-01-02T12:00:00Z");
    expect_range("end=-1h start=END-2h", "2026-01-02T09:00:00Z", "2026-01-02T11:00:00Z");
    expect_range("start=-3h end=START+1h", "2026-01-02T09:00:00Z", "2026-01-02T10:00:00Z");
    expect_range("start=\"2026-01-01T10:00:00.5+01:00\" end=\"2026-01-01T10:00:00.5Z\"",
                 "2026-01-01T09:00:00Z", "2026-01-01T10:00:01Z");
    expect_range("start=\"2026-01-01 10:00:00\"", "2026-01-01T10:00:00Z", "2026-01-02T12:00:00Z");
    expect_range("start=2026-01-01", "2026-01-01T00:00:00Z", "2026-01-02T12:00:00Z");
    expect_range("start=\"01/Jan/2026:10:00:00 +0200\"", "2026-01-01T08:00:00Z",
                 "2026-01-02T12:00:00Z");
    expect_range("start=\"Thu Jan  1 10:00:00 2026\"", "2026-01-01T10:00:00Z",
                 "2026-01-02T12:00:00Z");
    expect_range("start=1767261600", "2026-01-01T10:00:00Z", "2026-01-02T12:00:00Z");
    expect_range("start=1767261600.5 end=1767261601.5", "2026-01-01T10:00:00Z",
                 "2026-01-01T10:00:02Z");
}

static void a_range_in_the_text_overrides_the_one_outside(void **state)
{
    (void)state;
    struct query_options options = {
        .now_ns = at("2026-01-02T12:00:00Z"),
        .start_ns = at("2026-01-01T00:00:00.25Z"),
        .end_ns = at("2026-01-01T01:00:00.25Z"),
    };
    struct query *query = NULL;
    struct query_error error;
    assert_int_equal(query_parse(SPAN_LIT("tag=a"), &options, &query, &error), 0);
    assert_int_equal(query->start_ns, at("2026-01-01T00:00:00Z"));
    assert_int_equal(query->end_ns, at("2026-01-01T01:00:01Z"));
    assert_false(query->time_given);
    query_free(&query);
    assert_int_equal(query_parse(SPAN_LIT("tag=a start=-1h"), &options, &query, &error), 0);
    assert_int_equal(query->start_ns, at("2026-01-02T11:00:00Z"));
    assert_true(query->time_given);
    query_free(&query);
}

/* Each fault names the stage and the byte where it stands. */
static void faults_say_what_and_where(void **state)
{
    (void)state;
    expect_fault("tag=a gerp x", 0, 6, "unknown module 'gerp', did you mean 'grep'");
    expect_fault("tag=a grep x | zzzzzzz", 1, 15, "unknown module 'zzzzzzz'");
    expect_fault("tag=a grep x | text | grep y", 1, 15, "renderer 'text' must be the last stage");
    expect_fault("tag=a grep -q x", 0, 11, "grep: unknown flag '-q'");
    expect_fault("tag=a grep -e", 0, 11, "grep: a value must follow '-e'");
    expect_fault("tag=a grep", 0, 6, "grep: a pattern is missing");
    expect_fault("tag=a limit", 0, 6, "limit: a number is missing");
    expect_fault("tag=a limit x", 0, 12, "limit: not a number: 'x'");
    expect_fault("tag=a limit 5 2", 0, 6, "limit: position 2 comes before 5");
    expect_fault("tag=a limit 5 6 7", 0, 16, "limit: unexpected argument '7'");
    expect_fault("tag=a text x", 0, 11, "text: unexpected argument 'x'");
    expect_fault("tag=a words \"link up\"", 0, 12,
                 "words: pattern 'link up' holds ' ', which separates words");
    expect_fault("tag=a grep -w \"Version/11.00\"", 0, 14,
                 "grep: pattern 'Version/11.00' holds '/', which separates words");
    expect_fault("tag=nosuch", -1, 4, "tag 'nosuch' does not exist");
    expect_fault("tag=a tag=nosuch grep x", 0, 10, "tag 'nosuch' does not exist");
    expect_fault("tag=wbe", -1, 4, "tag 'wbe' does not exist, did you mean 'web'");
    expect_fault("tag=!a", -1, 4, "tags cannot be negated: take tag=* and filter later");
    expect_fault("tag=a,{x~", -1, 8, "tag= cannot hold an operator that is not quoted");
    expect_fault("tag= | grep x", -1, 5, "tag= needs a value");
    expect_fault("tag=a,", -1, 6, "tag= needs a value");
    expect_fault("tga=a", -1, 0, "unknown constraint 'tga': there are tag=, start= and end=");
    expect_fault("tag=a grep x |", 0, 14, "nothing follows the last '|'");
    expect_fault("tag=a |", -1, 7, "nothing follows the last '|'");
    expect_fault("tag=a grep x || grep y", 1, 14, "a stage is empty");
    expect_fault("tag=a grep \"x", -1, 11, "quote \" without its end");
    expect_fault("tag=a grep (x", 0, 11, "'(' without its ')'");
    expect_fault("tag=a grep x)", 0, 12, "')' without its '('");
    expect_fault("tag=a $ERR", 0, 6, "unknown macro '$ERR'");
    expect_fault("@x{tag=a}; tag=b", 0, 0,
                 "a module was expected, not '@' (inner queries, @name{ … };, stand first)");
    expect_fault("start=soon", -1, 6,
                 "start= is not a time: 'soon'; write -1h, NOW-2d or \"2026-01-02T15:04:05Z\"");
    expect_fault("start=1h", -1, 6,
                 "start= is not a time: '1h'; write -1h, NOW-2d or \"2026-01-02T15:04:05Z\"");
    expect_fault("start=-1h start=-2h", -1, 16, "this bound is given twice");
    expect_fault("end=-1h", -1, 4,
                 "the range is empty or reversed: start 2026-01-02T12:00:00Z, end "
                 "2026-01-02T11:00:00Z");
    expect_fault("start=END-1h end=START+1h", -1, 6,
                 "start and end refer to each other or to themselves");
}

/* The rows that the web API documents for `limit`. */
static void hints_name_the_physical_stages(void **state)
{
    (void)state;
    struct query_hint hints[QUERY_HINTS_MAX];
    size_t collapsing = 99;
    struct query *query = parsed("tag=gravwell limit 10");
    assert_int_equal(query_hints(query, hints, &collapsing), 3);
    assert_string_equal(hints[0].name, "limit");
    assert_string_equal(hints[1].name, "limitCollapser");
    assert_string_equal(hints[2].name, "sort");
    assert_int_equal(collapsing, 1);
    assert_false(query->time_zoom_disabled);
    assert_int_equal(query->collapse, 0);
    assert_int_equal(query_first_needed(query), 10);
    query_free(&query);

    query = parsed("tag=gravwell");
    assert_int_equal(query_hints(query, hints, &collapsing), 0);
    assert_int_equal(collapsing, 0);
    query_free(&query);

    query = parsed("grep a | words b | raw");
    assert_int_equal(query_hints(query, hints, &collapsing), 3);
    assert_int_equal(collapsing, 2);
    assert_int_equal(query->collapse, 2);
    assert_true(query_first_needed(query) == UINT64_MAX);
    query_free(&query);
}

/* Only without windows that something shows is the result one for the whole range. */
static void a_result_for_the_whole_range_cannot_be_zoomed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool disabled;
    } cases[] = {
        {"tag=a", false},
        {"tag=a stats count by SRC | table", true},
        {"tag=a count by SRC | sort by count desc | table", true},
        {"tag=a stats count by SRC over 1m", false},
        {"tag=a stats count by SRC over 1m | table -nt", false},
        {"tag=a count by SRC | chart count by SRC", false},
        {"tag=a limit 3 | table", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct query *query = parsed(cases[i].text);
        assert_int_equal(query->time_zoom_disabled, cases[i].disabled);
        query_free(&query);
    }
}

/* Bounds have names, and reaching one is a fault, not a crash. */
static void bounds_are_reached_with_a_fault(void **state)
{
    (void)state;
    struct query *query = NULL;
    struct query_error error;
    struct buf text = {0};
    buf_append_str(&text, "grep x");
    for (size_t i = 0; i < QUERY_STAGES_MAX - 1; i++) {
        buf_append_str(&text, " | grep x"); /* 64, and no place for the renderer */
    }
    assert_int_equal(try_parse(buf_str(&text), &query, &error), ERR_INVALID);
    assert_string_equal(error.text, "the query has more than 64 stages, the renderer included");
    buf_clear(&text);
    buf_append_str(&text, "grep");
    for (size_t i = 0; i <= 64; i++) {
        buf_printf(&text, " p%zu", i);
    }
    assert_int_equal(try_parse(buf_str(&text), &query, &error), ERR_INVALID);
    assert_string_equal(error.text, "grep: more than 64 patterns");
    buf_clear(&text);
    buf_append_str(&text, "tag=a");
    for (size_t i = 0; i < QUERY_TAGS_MAX; i++) {
        buf_append_str(&text, ",b");
    }
    assert_int_equal(try_parse(buf_str(&text), &query, &error), ERR_INVALID);
    while (text.bytes <= QUERY_TEXT_BYTES_MAX) {
        buf_append_str(&text, " ");
    }
    assert_int_equal(try_parse(buf_str(&text), &query, &error), ERR_TOO_LARGE);
    buf_deinit(&text);
}

static void inner_range(const char *text, const char *start, const char *end)
{
    struct query_outer outer = {at("2026-01-02T08:00:00Z"), at("2026-01-02T09:00:00Z")};
    struct query_options options = {.now_ns = at("2026-01-02T12:00:00Z"),
                                    .start_ns = at("2026-01-02T11:00:00Z"),
                                    .end_ns = at("2026-01-02T12:00:00Z"),
                                    .outer = &outer};
    struct query *query = NULL;
    struct query_error error;
    if (query_parse(span_of_str(text), &options, &query, &error) < 0) {
        fail_msg("%s: %s", text, error.text);
    }
    if (query->start_ns != at(start) || query->end_ns != at(end)) {
        fail_msg("%s: another range", text);
    }
    assert_string_equal(query->effective, "tag=a text"); /* its times mean nothing elsewhere */
    query_free(&query);
}

static void times_of_an_inner_query_refer_to_the_main_one(void **unused)
{
    (void)unused;
    inner_range("tag=a start=-10h", "2026-01-01T22:00:00Z", "2026-01-02T12:00:00Z");
    inner_range("tag=a start=-10h end=-1h", "2026-01-01T22:00:00Z", "2026-01-02T08:00:00Z");
    inner_range("tag=a start=START-1h end=END", "2026-01-02T07:00:00Z", "2026-01-02T09:00:00Z");
    inner_range("tag=a start=START end=START+5m", "2026-01-02T08:00:00Z", "2026-01-02T08:05:00Z");
    inner_range("tag=a start=END+2h end=+1d", "2026-01-02T11:00:00Z", "2026-01-03T09:00:00Z");
    inner_range("tag=a start=NOW-2h", "2026-01-02T10:00:00Z", "2026-01-02T12:00:00Z");
    inner_range("tag=a start=\"2026-01-02T01:00:00Z\" end=-30m", "2026-01-02T01:00:00Z",
                "2026-01-02T08:30:00Z");
    inner_range("tag=a", "2026-01-02T11:00:00Z", "2026-01-02T12:00:00Z"); /* as chosen outside */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_effective_query_is_complete_and_stable),
        cmocka_unit_test(tags_are_lists_globs_and_quoted_names),
        cmocka_unit_test(every_form_of_time),
        cmocka_unit_test(a_range_in_the_text_overrides_the_one_outside),
        cmocka_unit_test(faults_say_what_and_where),
        cmocka_unit_test(hints_name_the_physical_stages),
        cmocka_unit_test(a_result_for_the_whole_range_cannot_be_zoomed),
        cmocka_unit_test(bounds_are_reached_with_a_fault),
        cmocka_unit_test(times_of_an_inner_query_refer_to_the_main_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
