/*
 * For tests of modules: the sample data of the language sheet, searched over 1, 2 and 7 indexers
 * and with blocks of several sizes. Results are the table's cells, a row a line.
 */
#ifndef QUERY_MODULES_TESTING_H
#define QUERY_MODULES_TESTING_H

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
    {"sys2", 0, "<13>1 - h a - - [a@1 k=\"say \\\"x\\] y\\\"\"][b@2 k=\"2\"]"},
    {"sys3", 0, "<34>Oct 11 22:14:15 mymachine su: message"},
    {"xml", 0,
     "<?xml version=\"1.0\"?><!-- <S> --><S><D N=\"os\">w</D><D N='u'>ann &amp; "
     "co</D><E><F>5</F></E>"
     "<G><![CDATA[<raw>]]></G><H/></S>"},
    {"xml2", 0, "<S><E>5</E><D>open"},
    {"cef", 0, "CEF:0|Acme|FW|1|100|deny|7|src=10.0.0.1 msg=bad thing act=blk"},
    {"cef2", 0, "Jan 2 host CEF:0|A|F|1|2|a\\|b|7|Version=9 msg=x\\=y z"},
    {"slow", 0, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"},
};

static struct query_options test_options = {
    .now_ns = BASE_NS, .start_ns = BASE_NS, .end_ns = BASE_NS + TIME_MINUTE_NS};

static query_resource *test_resource;
static struct query_scratch *test_scratch; /* NULL: no bounds */

struct run {
    struct query *query;
    struct query_tags tags;
    struct query_merge *merge;
    struct query_pipeline *pipeline;
    struct buf *out; /* JSON objects of the renderer, a line for each block */
    uint64_t failed; /* entries that stages could not read */
    struct buf rows; /* for a renderer that wants them all */
};

static inline int collect(void *context, struct span frames)
{
    buf_append(context, frames);
    return 0;
}

static inline const char *name_of(const void *context, uint16_t tag)
{
    return query_tags_name(context, tag);
}

static inline void render(struct run *run, const struct query_block *block)
{
    const struct query_stage *last = &run->query->stages[run->query->stage_count - 1];
    struct query_block rows = *block;
    rows.columns = NULL;
    run->query->renderer->entries(last->plan, &rows, run->out);
    buf_append_byte(run->out, '\n');
}

static inline int print(void *context, const struct query_block *block)
{
    struct run *run = context;
    if (run->query->renderer->whole) {
        query_batch_put(&run->rows, block->entries, block->picks, block->count, name_of,
                        &run->tags);
    } else {
        render(run, block);
    }
    return 0;
}

/* All rows at once. */
static inline void render_whole(struct run *run)
{
    VEC(struct query_batch *) batches = {0};
    VEC(struct entry) entries = {0};
    VEC(uint32_t) picks = {0};
    struct span rest = buf_span(&run->rows);
    struct query_frame frame;
    while (query_frame_get(&rest, &frame) == 0) {
        assert_int_equal(query_batch_remap(frame.batch, &run->tags), 0);
        for (size_t i = 0; i < frame.batch->count; i++) {
            vec_push(&picks, (uint32_t)entries.count);
            vec_push(&entries, frame.batch->entries[i]);
        }
        vec_push(&batches, frame.batch);
    }
    struct query_block block = {.entries = entries.items,
                                .picks = picks.items,
                                .count = entries.count,
                                .tag_name = name_of,
                                .context = &run->tags};
    render(run, &block);
    for (size_t i = 0; i < batches.count; i++) {
        query_batch_free(&batches.items[i]);
    }
    vec_deinit(&batches);
    vec_deinit(&entries);
    vec_deinit(&picks);
    buf_deinit(&run->rows);
}

static inline void serve(struct query_source_memory *indexer, const struct query *query,
                         struct buf *out)
{
    struct query_request request = {
        .query = query->effective,
        .start_ns = query->start_ns,
        .end_ns = query->end_ns,
        .stages = query->collapse,
        .entries_max = query_first_needed(query),
        .tables = query,
    };
    struct query_scratch_options options = {
        .memory_bytes_max = UINT64_MAX / 2,
        .tables = query_tables_new(UINT64_MAX),
    };
    struct query_scratch *scratch = test_scratch;
    if (scratch == NULL) {
        scratch = query_scratch_new(&options);
    }
    for (size_t i = 0; i < query->copy_count; i++) {
        assert_int_equal(query_tables_put(options.tables, query->copies[i].hash,
                                          buf_span(&query->copies[i].contents)),
                         0);
    }
    char *body = query_request_encode(&request);
    struct query_serve *serve = NULL;
    int rc = query_serve_begin_pooled(span_of_str(body), query_source_memory_source(indexer),
                                      BASE_NS, NULL, scratch, &serve);
    if (rc < 0) {
        fail_msg("%s: %s", body, err_text());
    }
    assert_int_equal(query_serve_run(serve, NULL, collect, out), 0);
    query_serve_free(&serve);
    if (scratch != test_scratch) {
        query_scratch_free(&scratch);
    }
    query_tables_free(&options.tables);
    mem_free(body);
}

static inline void feed(struct run *run, size_t input, struct span *rest)
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
        for (size_t i = 0; i < frame.progress.stage_count; i++) {
            run->failed += frame.progress.stages[i].failed_count;
        }
        query_merge_end(run->merge, input);
        break;
    case QUERY_FRAME_FAULT:
        fail_msg("%s", frame.fault);
    }
}

static inline void take(struct run *run, const struct entry *entries, size_t count)
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

static inline uint64_t search(struct query_source_memory **indexers, size_t count, const char *text,
                              struct buf *out)
{
    struct query_error error;
    struct run run = {.out = out};
    if (query_parse(span_of_str(text), &test_options, &run.query, &error) < 0) {
        fail_msg("%s: %s", text, error.text);
    }
    if (test_resource != NULL && query_load(run.query, test_resource, NULL, NULL) < 0) {
        fail_msg("%s: %s", text, err_text());
    }
    struct buf frames[INDEXERS_MAX] = {{0}};
    struct span rest[INDEXERS_MAX];
    run.merge = query_merge_new(count, false);
    assert_int_equal(query_pipeline_new_part(run.query, QUERY_PART_WEBSERVER, &run.pipeline), 0);
    query_pipeline_lend(run.pipeline, test_scratch);
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
    if (run.query->renderer->whole) {
        render_whole(&run);
    }
    for (size_t i = run.query->collapse + (query_is_shared(run.query) ? 1 : 0);
         i < run.query->stage_count; i++) {
        run.failed += query_pipeline_stats(run.pipeline, i - run.query->collapse)->failed_count;
    }
    query_pipeline_free(&run.pipeline);
    query_merge_free(&run.merge);
    query_tags_deinit(&run.tags);
    for (size_t i = 0; i < count; i++) {
        buf_deinit(&frames[i]);
    }
    query_free(&run.query);
    return run.failed;
}

/* The rows of the renderer's answers, sorted if need be: `a b\nc d\n`. */
static inline char *cells(struct span json, bool sorted);

/* The sample over so many indexers; what the renderer says, a line a block. */
static inline uint64_t ask(const char *query, size_t count, size_t block_entries, struct buf *out)
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
    uint64_t failed = search(indexers, count, query, out);
    for (size_t i = 0; i < count; i++) {
        query_source_memory_free(&indexers[i]);
    }
    return failed;
}

static inline void expect_over(const char *query, const char *want, bool sorted, size_t count,
                               size_t block_entries)
{
    struct buf out = {0};
    (void)ask(query, count, block_entries, &out);
    char *got = cells(buf_span(&out), sorted);
    if (strcmp(got, want) != 0) {
        fail_msg("%s, %zu indexers, blocks of %zu:\n%sinstead of\n%s", query, count, block_entries,
                 got, want);
    }
    mem_free(got);
    buf_deinit(&out);
}

/* What a renderer says that is given all rows at once. */
static inline void expect_answer(const char *query, const char *want)
{
    static const size_t counts[] = {1, 2, 7};
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        struct buf out = {0};
        (void)ask(query, counts[i], 100, &out);
        if (strcmp(buf_str(&out), want) != 0) {
            fail_msg("%s, %zu indexers:\n%sinstead of\n%s", query, counts[i], buf_str(&out), want);
        }
        buf_deinit(&out);
    }
}

/* How many entries stages could not read. */
static inline void expect_failed(const char *query, uint64_t want)
{
    struct buf out = {0};
    assert_int_equal(ask(query, 2, 3, &out), want);
    buf_deinit(&out);
}

static inline void expect_with(const char *query, const char *want, bool sorted)
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
static inline void expect(const char *query, const char *want)
{
    expect_with(query, want, true);
}

/* In the order of the stream. */
static inline void expect_ordered(const char *query, const char *want)
{
    expect_with(query, want, false);
}

static inline int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One row from its `[` on: the cells with spaces between them. */
static inline const char *put_cells(const char *at, struct buf *line)
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

static inline char *cells(struct span json, bool sorted)
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

static inline void refuse(const char *text, const char *why)
{
    struct query *query = NULL;
    struct query_error error;
    assert_int_equal(query_parse(span_of_str(text), &test_options, &query, &error), ERR_INVALID);
    if (strstr(error.text, why) == NULL) {
        fail_msg("%s: '%s' does not say '%s'", text, error.text, why);
    }
}

#endif
