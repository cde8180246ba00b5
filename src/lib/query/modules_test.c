/*
 * Modules that take, make and condense values: the worked examples of the language sheet, each over
 * 1, 2 and 7 indexers and blocks of several sizes. Results are the table's cells, a row a line.
 */
#include "base/mem.h"
#include "base/time.h"
#include "query/merge.h"
#include "query/module.h"
#include "query/serve.h"
#include "query/source_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BASE_NS (INT64_C(1767355200) * TIME_S_NS) /* 2026-01-02T12:00:00Z */
#define INDEXERS_MAX 7

struct sample {
    const char *tag;
    int second;
    const char *data;
};

static const struct sample samples[] = {
    {"auth", 0, "sshd[311]: Failed password for root from 192.0.2.7 port 4242 ssh2"},
    {"auth", 1, "sshd[312]: Accepted publickey for alice from 192.168.1.20 port 50022 ssh2"},
    {"auth", 2, "sshd[99]: Failed password for bob from 192.0.2.7 port 4243 ssh2"},
    {"auth", 4, "kernel: eth0: link up, 1000 Mbps"},
    {"app", 0,
     "{\"user\":\"alice\",\"code\":200,\"ms\":12.5,\"req\":{\"path\":\"/a\",\"tags\":[\"x\","
     "\"y\"]}}"},
    {"app", 1, "{\"user\":\"bob\",\"code\":500,\"ms\":40,\"req\":{\"path\":\"/b\"}}"},
    {"app", 1, "{\"user\":\"alice\",\"code\":404,\"ms\":3,\"req\":{\"path\":\"/c\",\"tags\":[]}}"},
    {"app", 3, "{\"user\":\"\",\"code\":200}"},
    {"app", 3, "not json at all"},
    {"kv", 0, "date=2026-01-02 act = deny user=\"Ann Lee\" n=7"},
    {"kv2", 0, "x:1|y:2"},
    {"csv", 0, "2026-01-02, 15554 , \"a, b\", CL"},
    {"tsv", 0, "1700000000\tC1\t 10.0.0.1 \t443"},
    {"sys", 0, "<165>1 2026-01-02T03:04:05Z host1 app 77 ID1 [x@1 a=\"3\" b=\"q\"] hello"},
};

struct run {
    struct query *query;
    struct query_tags tags;
    struct query_merge *merge;
    struct query_pipeline *pipeline;
    struct buf *out; /* JSON objects of the renderer, a line for each block */
};

static int collect(void *context, struct span frames)
{
    buf_append(context, frames);
    return 0;
}

static const char *name_of(const void *context, uint16_t tag)
{
    return query_tags_name(context, tag);
}

/* Cells with spaces between them, a row a line. */
static int print(void *context, const struct query_block *block)
{
    struct run *run = context;
    const struct query_stage *last = &run->query->stages[run->query->stage_count - 1];
    struct query_block rows = *block;
    rows.columns = NULL;
    run->query->renderer->entries(last->plan, &rows, run->out);
    buf_append_byte(run->out, '\n');
    return 0;
}

static void serve(struct query_source_memory *indexer, const struct query *query, struct buf *out)
{
    struct query_request request = {
        .query = query->effective,
        .start_ns = query->start_ns,
        .end_ns = query->end_ns,
        .stages = query->collapse,
        .entries_max = query_first_needed(query),
    };
    char *body = query_request_encode(&request);
    struct query_serve *serve = NULL;
    int rc =
        query_serve_begin(span_of_str(body), query_source_memory_source(indexer), BASE_NS, &serve);
    if (rc < 0) {
        fail_msg("%s: %s", body, err_text());
    }
    assert_int_equal(query_serve_run(serve, NULL, collect, out), 0);
    query_serve_free(&serve);
    mem_free(body);
}

static void feed(struct run *run, size_t input, struct span *rest)
{
    struct query_frame frame;
    assert_int_equal(query_frame_get(rest, &frame), 0);
    switch (frame.kind) {
    case QUERY_FRAME_ENTRIES:
        assert_int_equal(query_batch_remap(frame.batch, &run->tags), 0);
        assert_int_equal(query_merge_push(run->merge, input, &frame.batch), 0);
        break;
    case QUERY_FRAME_PROGRESS:
        break;
    case QUERY_FRAME_END:
        query_merge_end(run->merge, input);
        break;
    case QUERY_FRAME_FAULT:
        fail_msg("%s", frame.fault);
    }
}

static void take(struct run *run, const struct entry *entries, size_t count)
{
    uint32_t picks[QUERY_MERGE_BLOCK_ENTRIES_MAX];
    for (size_t i = 0; i < count; i++) {
        picks[i] = (uint32_t)i;
    }
    struct query_block block = {.entries = entries,
                                .picks = picks,
                                .count = count,
                                .tag_name = name_of,
                                .context = &run->tags};
    assert_int_equal(query_pipeline_run(run->pipeline, &block), 0);
    if (block.count > 0) {
        assert_int_equal(print(run, &block), 0);
    }
}

static void search(struct query_source_memory **indexers, size_t count, const char *text,
                   struct buf *out)
{
    struct query_options options = {
        .now_ns = BASE_NS, .start_ns = BASE_NS, .end_ns = BASE_NS + TIME_MINUTE_NS};
    struct query_error error;
    struct run run = {.out = out};
    if (query_parse(span_of_str(text), &options, &run.query, &error) < 0) {
        fail_msg("%s: %s", text, error.text);
    }
    struct buf frames[INDEXERS_MAX] = {{0}};
    struct span rest[INDEXERS_MAX];
    run.merge = query_merge_new(count, false);
    assert_int_equal(query_pipeline_new_part(run.query, QUERY_PART_WEBSERVER, &run.pipeline), 0);
    for (size_t i = 0; i < count; i++) {
        serve(indexers[i], run.query, &frames[i]);
        rest[i] = buf_span(&frames[i]);
    }
    const struct entry *entries = NULL;
    size_t length = 0;
    size_t input = 0;
    int rc = 0;
    while ((rc = query_merge_next(run.merge, &entries, &length, &input)) != QUERY_MERGE_END) {
        if (rc == QUERY_MERGE_WAIT) {
            feed(&run, input, &rest[input]);
        } else {
            take(&run, entries, length);
        }
    }
    struct query_block like = {.tag_name = name_of, .context = &run.tags};
    assert_int_equal(query_pipeline_finish(run.pipeline, &like, print, &run), 0);
    query_pipeline_free(&run.pipeline);
    query_merge_free(&run.merge);
    query_tags_deinit(&run.tags);
    for (size_t i = 0; i < count; i++) {
        buf_deinit(&frames[i]);
    }
    query_free(&run.query);
}

/* The rows of the renderer's answers, sorted if need be: `a b\nc d\n`. */
static char *cells(struct span json, bool sorted);

static void expect_over(const char *query, const char *want, bool sorted, size_t count,
                        size_t block_entries)
{
    struct query_source_memory *indexers[INDEXERS_MAX];
    for (size_t i = 0; i < count; i++) {
        indexers[i] = query_source_memory_new(block_entries, false);
    }
    for (size_t i = 0; i < ARRAY_COUNT(samples); i++) {
        struct entry entry = {.time_ns = BASE_NS + samples[i].second * TIME_S_NS,
                              .data = span_of_str(samples[i].data)};
        uint8_t v4[4] = {10, 0, 0, samples[i].second < 2 ? 5 : 6};
        entry_source_of_v4(v4, entry.source);
        query_source_memory_add(indexers[(size_t)samples[i].second % count], samples[i].tag,
                                &entry);
    }
    struct buf out = {0};
    search(indexers, count, query, &out);
    char *got = cells(buf_span(&out), sorted);
    if (strcmp(got, want) != 0) {
        fail_msg("%s, %zu indexers, blocks of %zu:\n%sinstead of\n%s", query, count, block_entries,
                 got, want);
    }
    mem_free(got);
    buf_deinit(&out);
    for (size_t i = 0; i < count; i++) {
        query_source_memory_free(&indexers[i]);
    }
}

static void expect_with(const char *query, const char *want, bool sorted)
{
    static const size_t counts[] = {1, 2, 7};
    static const size_t blocks[] = {1, 3, 100};
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        for (size_t j = 0; j < ARRAY_COUNT(blocks); j++) {
            expect_over(query, want, sorted, counts[i], blocks[j]);
        }
    }
}

/* As a set: sorted lines. */
static void expect(const char *query, const char *want)
{
    expect_with(query, want, true);
}

/* In the order of the stream. */
static void expect_ordered(const char *query, const char *want)
{
    expect_with(query, want, false);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One row from its `[` on: the cells with spaces between them. */
static const char *put_cells(const char *at, struct buf *line)
{
    bool quoted = false;
    for (; quoted || *at != ']'; at++) {
        if (*at == '\\') {
            at++;
            buf_append_byte(line, (uint8_t)*at);
        } else if (*at == '"') {
            quoted = !quoted;
        } else if (quoted) {
            buf_append_byte(line, (uint8_t)*at);
        } else if (*at == ',') {
            buf_append_byte(line, ' ');
        }
    }
    return at;
}

static char *cells(struct span json, bool sorted)
{
    char *text = mem_strndup((const char *)json.data, json.bytes);
    VEC(char *) lines = {0};
    for (const char *at = text; (at = strstr(at, "\"Row\":[")) != NULL;) {
        struct buf line = {0};
        at = put_cells(at + strlen("\"Row\":["), &line);
        vec_push(&lines, buf_take(&line));
    }
    if (sorted && lines.count > 1) {
        qsort(lines.items, lines.count, sizeof(char *), compare_lines);
    }
    struct buf out = {0};
    for (size_t i = 0; i < lines.count; i++) {
        buf_printf(&out, "%s\n", lines.items[i]);
        mem_free(lines.items[i]);
    }
    vec_deinit(&lines);
    mem_free(text);
    return buf_take(&out);
}

static void refuse(const char *text, const char *why)
{
    struct query_options options = {
        .now_ns = BASE_NS, .start_ns = BASE_NS, .end_ns = BASE_NS + TIME_MINUTE_NS};
    struct query *query = NULL;
    struct query_error error;
    assert_int_equal(query_parse(span_of_str(text), &options, &query, &error), ERR_INVALID);
    if (strstr(error.text, why) == NULL) {
        fail_msg("%s: '%s' does not say '%s'", text, error.text, why);
    }
}

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
           "  55.5\nalice 15.5 55.5\nbob 40 55.5\n");
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
    expect("tag=app json ms user | mean ms by user | table user mean", " \nalice 7.75\nbob 40\n");
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
    struct query_source_memory *indexer = query_source_memory_new(2, false);
    for (size_t i = 0; i < ARRAY_COUNT(samples); i++) {
        struct entry entry = {.time_ns = BASE_NS + samples[i].second * TIME_S_NS,
                              .data = span_of_str(samples[i].data)};
        query_source_memory_add(indexer, samples[i].tag, &entry);
    }
    struct buf out = {0};
    search(&indexer, 1, "tag=app json ms | stats mean(ms) | numbercard (mean 0 100 \"avg ms\")",
           &out);
    search(&indexer, 1, "tag=app json ms user | max ms by user | gauge max", &out);
    assert_string_equal(buf_str(&out),
                        "[{\"Name\":\"avg ms\",\"Magnitude\":18.5,\"Min\":0,\"Max\":100}]\n"
                        "[{\"Name\":\"alice\",\"Magnitude\":12.5,\"Min\":0,\"Max\":0},"
                        "{\"Name\":\"bob\",\"Magnitude\":40,\"Min\":0,\"Max\":0}]\n");
    buf_deinit(&out);
    query_source_memory_free(&indexer);
    refuse("tag=app gauge", "the name of a value is missing");
    refuse("tag=app gauge (x 3)", "a maximum must follow");
}

/* The sheet's end-to-end examples 1 and 2. */
static void failed_logins_are_counted_by_address(void **unused)
{
    (void)unused;
    expect("tag=auth regex `Failed password for (?P<user>\\S+) from (?P<ip>\\S+)` | stats count by "
           "ip | table ip count",
           "192.0.2.7 2\n");
    expect("tag=auth regex `Failed password for (?P<user>\\S+) from (?P<ip>\\S+)` | stats "
           "unique_count(user) as users by ip | table ip users",
           "192.0.2.7 2\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_takes_values_by_their_paths),
        cmocka_unit_test(regex_takes_named_groups),
        cmocka_unit_test(pairs_columns_and_fields_give_values),
        cmocka_unit_test(stats_condense_by_keys_and_time),
        cmocka_unit_test(math_modules_are_single_operations),
        cmocka_unit_test(sort_require_and_alias_work_on_values),
        cmocka_unit_test(unique_passes_the_first_of_each),
        cmocka_unit_test(gauges_show_a_number_for_each_row),
        cmocka_unit_test(failed_logins_are_counted_by_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
