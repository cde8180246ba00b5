/*
 * Whole queries without a network: the worked examples of the language sheet, and the property
 * that neither block boundaries nor the number of indexers change a result. Indexers are sources
 * in memory; what they send goes through the wire form and the merge, as in a real search.
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

/* A search over some indexers. `out` gets the data of the results, one per line. */
struct world {
    struct query_source_memory *indexers[INDEXERS_MAX];
    size_t count;
    bool ascending;
};

static void world_init(struct world *world, size_t indexers, size_t block_entries, bool region)
{
    *world = (struct world){.count = indexers};
    for (size_t i = 0; i < indexers; i++) {
        world->indexers[i] = query_source_memory_new(block_entries, region);
    }
}

static void world_deinit(struct world *world)
{
    for (size_t i = 0; i < world->count; i++) {
        query_source_memory_free(&world->indexers[i]);
    }
}

static int collect(void *context, struct span frames)
{
    buf_append(context, frames);
    return 0;
}

/* The indexer half: all frames of one indexer. */
static void serve(struct query_source_memory *indexer, const struct query *query, bool ascending,
                  struct buf *ret_frames)
{
    struct query_request request = {
        .query = query->effective,
        .start_ns = query->start_ns,
        .end_ns = query->end_ns,
        .stages = query->collapse,
        .entries_max = query_first_needed(query),
        .ascending = ascending,
    };
    char *body = query_request_encode(&request);
    struct query_serve *serve = NULL;
    int rc =
        query_serve_begin(span_of_str(body), query_source_memory_source(indexer), BASE_NS, &serve);
    if (rc < 0) {
        fail_msg("%s: %s", body, err_text());
    }
    assert_int_equal(query_serve_run(serve, NULL, collect, ret_frames), 0);
    query_serve_free(&serve);
    mem_free(body);
}

/* Feeds one frame of the input that the merge waits for. */
static void feed(struct query_merge *merge, size_t input, struct span *rest,
                 struct query_tags *tags)
{
    struct query_frame frame;
    assert_int_equal(query_frame_get(rest, &frame), 0);
    switch (frame.kind) {
    case QUERY_FRAME_ENTRIES:
        assert_int_equal(query_batch_remap(frame.batch, tags), 0);
        assert_int_equal(query_merge_push(merge, input, &frame.batch), 0);
        break;
    case QUERY_FRAME_PROGRESS:
        query_merge_bound(merge, input, frame.progress.position_ns);
        break;
    case QUERY_FRAME_END:
        assert_int_equal(rest->bytes, 0);
        query_merge_end(merge, input);
        break;
    case QUERY_FRAME_FAULT:
        fail_msg("%s", frame.fault);
    }
}

static const char *name_of(const void *context, uint16_t tag)
{
    return query_tags_name(context, tag);
}

/* The webserver half over what was merged. */
static void finish(struct query_pipeline *pipeline, const struct query_tags *tags,
                   const struct entry *entries, size_t count, struct buf *out)
{
    uint32_t picks[QUERY_MERGE_BLOCK_ENTRIES_MAX];
    for (size_t i = 0; i < count; i++) {
        picks[i] = (uint32_t)i;
    }
    struct query_block block = {
        .entries = entries, .picks = picks, .count = count, .tag_name = name_of, .context = tags};
    assert_int_equal(query_pipeline_run(pipeline, &block), 0);
    for (size_t i = 0; i < block.count; i++) {
        buf_append(out, block.entries[picks[i]].data);
        buf_append_byte(out, '\n');
    }
}

static void search(struct world *world, const char *text, struct buf *out)
{
    struct query_options options = {
        .now_ns = BASE_NS,
        .start_ns = BASE_NS,
        .end_ns = BASE_NS + TIME_HOUR_NS,
    };
    struct query *query = NULL;
    struct query_error error;
    if (query_parse(span_of_str(text), &options, &query, &error) < 0) {
        fail_msg("%s: %s", text, error.text);
    }
    struct buf frames[INDEXERS_MAX] = {{0}};
    struct span rest[INDEXERS_MAX];
    struct query_tags tags = {0};
    struct query_merge *merge = query_merge_new(world->count, world->ascending);
    struct query_pipeline *pipeline = NULL;
    assert_int_equal(query_pipeline_new(query, query->collapse, query->stage_count, &pipeline), 0);
    for (size_t i = 0; i < world->count; i++) {
        serve(world->indexers[i], query, world->ascending, &frames[i]);
        rest[i] = buf_span(&frames[i]);
    }
    const struct entry *entries = NULL;
    size_t count = 0;
    size_t input = 0;
    int rc = 0;
    while ((rc = query_merge_next(merge, &entries, &count, &input)) != QUERY_MERGE_END) {
        if (rc == QUERY_MERGE_WAIT) {
            feed(merge, input, &rest[input], &tags);
        } else {
            finish(pipeline, &tags, entries, count, out);
        }
    }
    query_pipeline_free(&pipeline);
    query_merge_free(&merge);
    query_tags_deinit(&tags);
    for (size_t i = 0; i < world->count; i++) {
        buf_deinit(&frames[i]);
    }
    query_free(&query);
}

/* Section 10 of the sheet: names and what they stand for. */
static const struct sample {
    const char *name;
    const char *tag;
    int second;
    const char *data;
} samples[] = {
    {"a1", "auth", 0, "sshd[311]: Failed password for root from 192.0.2.7 port 4242 ssh2"},
    {"a2", "auth", 1, "sshd[312]: Accepted publickey for alice from 192.168.1.20 port 50022 ssh2"},
    {"a3", "auth", 2, "sshd[99]: Failed password for bob from 192.0.2.7 port 4243 ssh2"},
    {"a4", "auth", 4, "kernel: eth0: link up, 1000 Mbps"},
    {"j1", "app", 0,
     "{\"user\":\"alice\",\"code\":200,\"ms\":12.5,\"req\":{\"path\":\"/a\",\"tags\":[\"x\","
     "\"y\"]}}"},
    {"j2", "app", 1, "{\"user\":\"bob\",\"code\":500,\"ms\":40,\"req\":{\"path\":\"/b\"}}"},
    {"j3", "app", 1,
     "{\"user\":\"alice\",\"code\":404,\"ms\":3,\"req\":{\"path\":\"/c\",\"tags\":[]}}"},
    {"j4", "app", 3, "{\"user\":\"\",\"code\":200}"},
    {"j5", "app", 3, "not json at all"},
};

static void fill_samples(struct world *world)
{
    for (size_t i = 0; i < ARRAY_COUNT(samples); i++) {
        struct entry entry = {
            .time_ns = BASE_NS + samples[i].second * TIME_S_NS,
            .data = span_of_str(samples[i].data),
        };
        /* Equal times stay together: their order between indexers is nobody's promise. */
        size_t to = (size_t)samples[i].second % world->count;
        query_source_memory_add(world->indexers[to], samples[i].tag, &entry);
    }
}

/* The names of the results, oldest first, as the sheet writes them. */
static void expect_names(const char *query, const char *want)
{
    for (size_t indexers = 1; indexers <= 2; indexers++) {
        struct world world;
        struct buf out = {0};
        struct buf names = {0};
        world_init(&world, indexers, 3, true);
        world.ascending = true;
        fill_samples(&world);
        search(&world, query, &out);
        struct span rest = buf_span(&out);
        struct span line;
        while (span_split(&rest, '\n', &line)) {
            for (size_t i = 0; i < ARRAY_COUNT(samples); i++) {
                if (span_equal_str(line, samples[i].data)) {
                    buf_printf(&names, "%s%s", names.bytes > 0 ? " " : "", samples[i].name);
                }
            }
        }
        assert_string_equal(buf_str(&names), want);
        buf_deinit(&names);
        buf_deinit(&out);
        world_deinit(&world);
    }
}

/* Section 11 of the sheet, both tables, and flags in combination. */
static void worked_examples_of_grep_and_words(void **state)
{
    (void)state;
    expect_names("tag=auth grep Failed", "a1 a3");
    expect_names("tag=auth grep -v sshd", "a4");
    expect_names("tag=auth grep root bob", "a1 a3");
    expect_names("tag=auth grep -s Failed bob", "a3");
    expect_names("tag=auth grep \"Failed*root\"", "a1");
    expect_names("tag=auth grep Failed*root", "a1");
    expect_names("tag=auth grep -i FAILED", "a1 a3");
    expect_names("tag=auth grep FAILED", "");
    expect_names("tag=auth grep -w ssh", "");
    expect_names("tag=auth grep -w 192.0.2.7", "a1 a3");
    expect_names("tag=auth grep -w -i SSHD", "a1 a2 a3");
    expect_names("tag=auth grep ssh?[3*port", "a1 a2");
    expect_names("tag=auth grep \"sshd\\[[0-9][0-9]\\]\"", "a3");
    expect_names("tag=auth grep -simple \"sshd[99]\"", "a3");
    expect_names("tag=auth grep -v -s Failed bob", "a2 a4");
    expect_names("tag=auth grep *", "a1 a2 a3 a4");
    expect_names("tag=auth grep -e SRC ::", "a1 a2 a3 a4");
    expect_names("tag=auth grep -e nosuch x", "");
    expect_names("tag=auth grep -v -e nosuch x", "");
    expect_names("tag=auth words Failed 192.0.2.7", "a1 a3");
    expect_names("tag=auth words -or root kernel", "a1 a4");
    expect_names("tag=auth words -v sshd", "a4");
    expect_names("tag=auth words -v -or Failed bob", "a3");
    expect_names("tag=auth words fail", "");
    expect_names("tag=auth words 16.246.30.72", "");
    expect_names("tag=app grep \"\\\"code\\\":200\"", "j1 j4");
}

/* Several tags, one stage for some of them only, positions, times in the query. */
static void worked_examples_of_constraints_and_limit(void **state)
{
    (void)state;
    expect_names("tag=auth,app grep Failed", "a1 a3");
    expect_names("tag=a* tag=auth grep Failed", "a1 j1 j2 j3 a3 j4 j5");
    expect_names("tag=* tag=auth grep Failed | tag=app words json", "a1 a3 j5");
    expect_names("tag=nothing*", "");
    expect_names("tag=auth limit 2", "a1 a2");
    expect_names("tag=auth limit 1 3", "a2 a3");
    expect_names("tag=auth limit 2 2", "");
    expect_names("tag=auth grep ssh2 | limit 2 | grep Accepted", "a2");
    expect_names("tag=auth,app limit 1 by TAG | grep a", "a1 j1");
    expect_names("start=\"2026-01-02T12:00:01Z\" end=\"2026-01-02T12:00:03Z\" tag=app", "j2 j3");
}

/* A simple reference evaluator: one pass over entries sorted by time. */
struct line {
    int64_t time_ns;
    const char *tag;
    char data[48];
};

struct reference {
    const char *query;
    const char *needle; /* of the first grep; NULL: none */
    const char *tag;    /* the grep acts on this tag only; NULL: on all */
    bool invert;
    size_t from; /* limit */
    size_t to;
};

static const struct reference references[] = {
    {"tag=t*", NULL, NULL, false, 0, SIZE_MAX},
    {"tag=t* grep ab", "ab", NULL, false, 0, SIZE_MAX},
    {"tag=t* grep -v ab", "ab", NULL, true, 0, SIZE_MAX},
    {"tag=t* tag=t1 grep ba", "ba", "t1", false, 0, SIZE_MAX},
    {"tag=t* grep a | limit 17", "a", NULL, false, 0, 17},
    {"tag=t* grep aa | limit 3 40", "aa", NULL, false, 3, 40},
    {"tag=t* tag=t2 grep -v b | limit 25", "b", "t2", true, 0, 25},
};

static void evaluate(const struct line *lines, size_t count, const struct reference *reference,
                     struct buf *out)
{
    size_t position = 0;
    for (size_t i = count; i-- > 0;) { /* newest first */
        bool acts = reference->needle != NULL &&
                    (reference->tag == NULL || strcmp(reference->tag, lines[i].tag) == 0);
        if (acts && (strstr(lines[i].data, reference->needle) != NULL) == reference->invert) {
            continue;
        }
        if (position >= reference->from && position < reference->to) {
            buf_printf(out, "%s\n", lines[i].data);
        }
        position++;
    }
}

static uint64_t number_of_env(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    uint64_t number = 0;
    return text != NULL && span_to_u64(span_of_str(text), &number) ? number : fallback;
}

/* Lines over a tiny alphabet, so that matches across entry borders would be frequent. */
static void make_lines(struct line *lines, size_t count, unsigned seed)
{
    static const char *const tags[] = {"t1", "t2", "t3"};
    srandom(seed);
    for (size_t i = 0; i < count; i++) {
        lines[i].time_ns = BASE_NS + (int64_t)i * TIME_MS_NS; /* distinct: one right order */
        lines[i].tag = tags[random() % 3];
        size_t bytes = (size_t)(random() % 8);
        for (size_t j = 0; j < bytes; j++) {
            lines[i].data[j] = random() % 2 == 0 ? 'a' : 'b';
        }
        lines[i].data[bytes] = '\0';
    }
}

/*
 * Random lines, dealt out at random to 1, 2 and 7 indexers with blocks of 1, 3 and 1000 entries,
 * in one piece of memory or not: every query gives what the reference evaluator gives.
 * AQUIFER_SEEDS: how many times; AQUIFER_SEED: the first one.
 */
static void neither_blocks_nor_indexers_change_a_result(void **state)
{
    (void)state;
    enum { LINES = 300 };
    static const size_t indexers[] = {1, 2, 7};
    static const size_t blocks[] = {1, 3, 1000};
    struct line *lines = mem_alloc_array(LINES, sizeof(*lines));
    uint64_t first = number_of_env("AQUIFER_SEED", 1);
    uint64_t seeds = number_of_env("AQUIFER_SEEDS", 4);
    for (unsigned seed = (unsigned)first; seed < first + seeds; seed++) {
        make_lines(lines, LINES, seed);
        for (size_t variant = 0; variant < 18; variant++) {
            struct world world;
            world_init(&world, indexers[variant % 3], blocks[variant / 3 % 3], variant >= 9);
            for (size_t i = 0; i < LINES; i++) {
                struct entry entry = {.time_ns = lines[i].time_ns,
                                      .data = span_of_str(lines[i].data)};
                size_t to = (size_t)random() % world.count;
                query_source_memory_add(world.indexers[to], lines[i].tag, &entry);
            }
            for (size_t i = 0; i < ARRAY_COUNT(references); i++) {
                struct buf want = {0};
                struct buf got = {0};
                evaluate(lines, LINES, &references[i], &want);
                search(&world, references[i].query, &got);
                if (!span_equal(buf_span(&want), buf_span(&got))) {
                    fail_msg("AQUIFER_SEED=%u, variant %zu: %s", seed, variant,
                             references[i].query);
                }
                buf_deinit(&want);
                buf_deinit(&got);
            }
            world_deinit(&world);
        }
    }
    mem_free(lines);
}

/* With an early stop no more than what is needed leaves the indexer. */
static void a_limit_stops_the_indexer_early(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1, 10, false);
    for (int i = 0; i < 1000; i++) {
        struct entry entry = {.time_ns = BASE_NS + i, .data = SPAN_LIT("x")};
        query_source_memory_add(world.indexers[0], "t", &entry);
    }
    struct query_options options = {
        .now_ns = BASE_NS, .start_ns = BASE_NS, .end_ns = BASE_NS + TIME_S_NS};
    struct query *query = NULL;
    struct query_error error;
    assert_int_equal(query_parse(SPAN_LIT("tag=t grep x | limit 7"), &options, &query, &error), 0);
    struct buf frames = {0};
    serve(world.indexers[0], query, false, &frames);
    struct span rest = buf_span(&frames);
    size_t entries = 0;
    struct query_frame frame = {0};
    while (rest.bytes > 0) {
        assert_int_equal(query_frame_get(&rest, &frame), 0);
        entries += frame.batch == NULL ? 0 : frame.batch->count;
        query_frame_deinit(&frame);
    }
    assert_int_equal(frame.kind, QUERY_FRAME_END);
    assert_int_equal(entries, 7);
    assert_int_equal(frame.progress.stages[0].in_count, 10); /* one block was enough */
    buf_deinit(&frames);
    query_free(&query);
    world_deinit(&world);
}

static int refuse(void *context, struct span frames)
{
    (void)context;
    (void)frames;
    return err_set(ERR_IO, "the client left");
}

/* A request that is not of its form, a cancelled search and a reader that leaves all end well. */
static void a_search_that_cannot_go_on_ends_with_a_fault(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1, 10, false);
    fill_samples(&world);
    struct query_source *source = query_source_memory_source(world.indexers[0]);
    struct query_serve *search_serve = NULL;
    static const char *const bad[] = {
        "",
        "{}",
        "[1,2]",
        "{\"query\":\"tag=a\",\"start_ns\":2,\"end_ns\":1,\"stages\":0}",
        "{\"query\":\"tag=a\",\"start_ns\":1,\"end_ns\":2,\"stages\":9}",
        "{\"query\":\"tag=a gerp\",\"start_ns\":1,\"end_ns\":2,\"stages\":0}",
        "{\"query\":\"tag=a limit 1\",\"start_ns\":1,\"end_ns\":2,\"stages\":1}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(query_serve_begin(span_of_str(bad[i]), source, BASE_NS, &search_serve),
                         ERR_INVALID);
    }
    char body[160];
    (void)snprintf(body, sizeof(body),
                   "{\"query\":\"tag=auth\",\"start_ns\":%lld,\"end_ns\":%lld,\"stages\":0}",
                   (long long)BASE_NS, (long long)(BASE_NS + TIME_HOUR_NS));
    assert_int_equal(query_serve_begin(span_of_str(body), source, BASE_NS, &search_serve), 0);
    atomic_bool cancel = true;
    struct buf frames = {0};
    assert_int_equal(query_serve_run(search_serve, &cancel, collect, &frames), ERR_CANCELLED);
    assert_int_equal(frames.bytes, 0);
    assert_int_equal(query_serve_run(search_serve, NULL, refuse, NULL), ERR_IO);
    query_serve_free(&search_serve);
    buf_deinit(&frames);
    world_deinit(&world);
}

/* Example 11 of section 31: bytes 41 09 c3 a9. */
static void renderers_show_one_entry(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *want;
    } cases[] = {{"text", "A.\xC3\xA9"}, {"raw", "A\t\xC3\xA9"}, {"hex", "41 09 C3 A9"}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf buf = {0};
        query_renderer_find(span_of_str(cases[i].name))->text(SPAN_LIT("A\t\xC3\xA9"), &buf);
        assert_string_equal(buf_str(&buf), cases[i].want);
        buf_deinit(&buf);
    }
    struct buf buf = {0};
    query_renderer_find(SPAN_LIT("text"))->text(SPAN_LIT("\xFF\x01\xC2\x85z"), &buf);
    assert_string_equal(buf_str(&buf), "...z");
    buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_examples_of_grep_and_words),
        cmocka_unit_test(worked_examples_of_constraints_and_limit),
        cmocka_unit_test(neither_blocks_nor_indexers_change_a_result),
        cmocka_unit_test(a_limit_stops_the_indexer_early),
        cmocka_unit_test(a_search_that_cannot_go_on_ends_with_a_fault),
        cmocka_unit_test(renderers_show_one_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
