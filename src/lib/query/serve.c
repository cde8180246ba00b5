/* Tested by pipeline_test.c. */
#include "query/serve.h"

#include <jansson.h>
#include <time.h>

#include "base/mem.h"
#include "base/time.h"
#include "query/module.h"
#include "query/pipeline.h"
#include "query/query.h"

#define PROGRESS_INTERVAL_NS (200 * TIME_MS_NS)
#define WORDS_MAX 16
#define FRAMES_BYTES_MAX QUERY_BATCH_BYTES_MAX /* collected before they are handed over */

struct query_serve {
    struct query *query;
    struct query_source *source;
    struct query_cursor *cursor;
    struct query_pipeline *pipeline;
    size_t stages;
    uint64_t entries_max;
    bool ascending;
    bool shared;        /* the last stage condenses: what it gives comes at the end */
    VEC(uint16_t) tags; /* of the source, those that the query names */
    const char **names; /* by number of the source; NULL where there is none */
    VEC(char *) owned_names;
    VEC(uint32_t) picks;
    struct buf frames;
    uint64_t sent;
    int64_t position_ns;
    int64_t last_write_ns;
};

char *query_request_encode(const struct query_request *request)
{
    json_t *json = json_pack("{s:s, s:I, s:I, s:I, s:I, s:b}", "query", request->query, "start_ns",
                             (json_int_t)request->start_ns, "end_ns", (json_int_t)request->end_ns,
                             "stages", (json_int_t)request->stages, "entries_max",
                             (json_int_t)MIN(request->entries_max, (uint64_t)INT64_MAX),
                             "ascending", request->ascending);
    CHECK(json != NULL);
    if (request->share != NULL) {
        json_object_set(json, "share", request->share);
    }
    char *text = json_dumps(json, JSON_COMPACT);
    CHECK(text != NULL);
    char *copy = mem_strdup(text);
    free(text);
    json_decref(json);
    return copy;
}

static int decode(json_t *json, struct query_request *request)
{
    json_int_t start = 0;
    json_int_t end = 0;
    json_int_t stages = 0;
    json_int_t entries_max = INT64_MAX;
    int ascending = 0;
    json_error_t error;
    if (json_unpack_ex(json, &error, 0, "{s:s, s:I, s:I, s:I, s?:I, s?:b}", "query",
                       &request->query, "start_ns", &start, "end_ns", &end, "stages", &stages,
                       "entries_max", &entries_max, "ascending", &ascending) != 0) {
        return err_set(ERR_INVALID, "search request: %s", error.text);
    }
    if (stages < 0 || stages > QUERY_STAGES_MAX || entries_max < 0 || start >= end) {
        return err_set(ERR_INVALID, "search request: a number is out of its range");
    }
    request->start_ns = start;
    request->end_ns = end;
    request->stages = (size_t)stages;
    request->entries_max = entries_max == INT64_MAX ? UINT64_MAX : (uint64_t)entries_max;
    request->ascending = ascending != 0;
    return 0;
}

static int collect_tag(void *context, const char *name, uint16_t number)
{
    struct query_serve *serve = context;
    if (query_tags_match(serve->query->tags, serve->query->tag_count, name)) {
        vec_push(&serve->tags, number);
        vec_push(&serve->owned_names, mem_strdup(name));
        serve->names[number] = serve->owned_names.items[serve->owned_names.count - 1];
    }
    return 0;
}

static const char *tag_name(const void *context, uint16_t tag)
{
    const char *name = ((const struct query_serve *)context)->names[tag];
    return name == NULL ? "" : name;
}

/* What the first stages ask of every entry, as far as they look at each one for itself: later
 * stages may depend on how many come. */
static size_t required_words(const struct query_serve *serve, struct span words[WORDS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < serve->stages; i++) {
        const struct query_stage *stage = &serve->query->stages[i];
        if (stage->module == NULL || stage->module->required == NULL) {
            break;
        }
        if (stage->tag_count == 0) { /* else others pass it by */
            count += stage->module->required(stage->plan, words + count, WORDS_MAX - count);
        }
    }
    return count;
}

static int prepare(struct query_serve *serve, const struct query_request *request, int64_t now_ns)
{
    struct query_options options = {
        .now_ns = now_ns,
        .start_ns = request->start_ns,
        .end_ns = request->end_ns,
    };
    struct query_error error;
    int rc = query_parse(span_of_str(request->query), &options, &serve->query, &error);
    if (rc < 0) {
        return rc;
    }
    if (request->stages > serve->query->collapse) {
        return err_set(ERR_INVALID, "search request: %zu stages, the query has %zu for an indexer",
                       request->stages, serve->query->collapse);
    }
    serve->stages = request->stages;
    serve->entries_max = request->entries_max;
    serve->ascending = request->ascending;
    serve->position_ns = request->ascending ? request->start_ns : request->end_ns;
    rc = query_source_tags(serve->source, collect_tag, serve);
    if (rc < 0) {
        return rc;
    }
    struct span words[WORDS_MAX];
    struct query_scan scan = {
        .words = words,
        .word_count = required_words(serve, words),
        .tags = serve->tags.items,
        .tag_count = serve->tags.count,
        .start_ns = request->start_ns,
        .end_ns = request->end_ns,
        .ascending = request->ascending,
    };
    if (scan.tag_count > 0) {
        rc = query_source_open(serve->source, &scan, &serve->cursor);
    }
    if (rc < 0) {
        return rc;
    }
    if (serve->stages < serve->query->collapse) {
        return query_pipeline_new(serve->query, 0, serve->stages, &serve->pipeline);
    }
    serve->shared = query_is_shared(serve->query);
    serve->stages += serve->shared ? 1 : 0;
    serve->entries_max = serve->shared ? UINT64_MAX : serve->entries_max;
    return query_pipeline_new_part(serve->query, QUERY_PART_INDEXER, &serve->pipeline);
}

int query_serve_begin(struct span body, struct query_source *source, int64_t now_ns,
                      struct query_serve **ret_serve)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)body.data, body.bytes, 0, &error);
    if (json == NULL) {
        return err_set(ERR_INVALID, "search request: %s", error.text);
    }
    struct query_request request = {0};
    int rc = decode(json, &request);
    if (rc == 0) {
        struct query_serve *serve = MEM_NEW(struct query_serve);
        serve->source = source;
        serve->names = mem_alloc_array(QUERY_TAG_NUMBERS_MAX, sizeof(*serve->names));
        rc = prepare(serve, &request, now_ns);
        if (rc < 0) {
            query_serve_free(&serve);
        } else {
            *ret_serve = serve;
        }
    }
    json_decref(json);
    return rc;
}

void query_serve_free(struct query_serve **pointer)
{
    struct query_serve *serve = *pointer;
    if (serve == NULL) {
        return;
    }
    query_pipeline_free(&serve->pipeline);
    query_source_close(&serve->cursor);
    query_free(&serve->query);
    for (size_t i = 0; i < serve->owned_names.count; i++) {
        mem_free(serve->owned_names.items[i]);
    }
    vec_deinit(&serve->owned_names);
    vec_deinit(&serve->tags);
    vec_deinit(&serve->picks);
    buf_deinit(&serve->frames);
    mem_free(serve->names);
    mem_free(serve);
    *pointer = NULL;
}

static int64_t clock_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * TIME_S_NS + now.tv_nsec;
}

static void put_progress(struct query_serve *serve, enum query_frame_kind kind)
{
    struct query_progress progress = {
        .position_ns = serve->position_ns,
        .skipped_blocks = serve->cursor == NULL ? 0 : query_source_skipped(serve->cursor),
        .stage_count = serve->stages,
    };
    for (size_t i = 0; i < serve->stages; i++) {
        progress.stages[i] = *query_pipeline_stats(serve->pipeline, i);
    }
    query_frame_put_progress(&serve->frames, kind, &progress);
}

struct output {
    int (*write)(void *context, struct span frames);
    void *context;
};

static int hand_over(struct query_serve *serve, const struct output *output)
{
    if (serve->frames.bytes == 0) {
        return 0;
    }
    int rc = output->write(output->context, buf_span(&serve->frames));
    buf_clear(&serve->frames);
    serve->last_write_ns = clock_ns();
    return rc;
}

/* How many of the picks from `from` on make one batch: both bounds, at least one entry. */
static size_t batch_length(const struct query_block *block, size_t from)
{
    size_t bytes = 0;
    size_t count = 0;
    while (from + count < block->count && count < QUERY_BATCH_ENTRIES_MAX) {
        const struct entry *entry = &block->entries[block->picks[from + count]];
        bytes += entry->data.bytes + entry->enumerated.bytes;
        if (count > 0 && bytes > QUERY_BATCH_BYTES_MAX) {
            break;
        }
        count++;
    }
    return count;
}

static int put_entries(struct query_serve *serve, const struct query_block *block,
                       const struct output *output)
{
    size_t end = (size_t)MIN((uint64_t)block->count, serve->entries_max - serve->sent);
    for (size_t from = 0; from < end;) {
        size_t count = MIN(batch_length(block, from), end - from);
        query_batch_put(&serve->frames, block->entries, block->picks + from, count, tag_name,
                        serve);
        from += count;
        serve->sent += count;
        if (serve->frames.bytes >= FRAMES_BYTES_MAX) {
            int rc = hand_over(serve, output);
            if (rc < 0) {
                return rc;
            }
        }
    }
    return 0;
}

static int run_block(struct query_serve *serve, const struct query_source_block *source,
                     const struct output *output)
{
    while (serve->picks.count < source->count) {
        vec_push(&serve->picks, 0);
    }
    for (size_t i = 0; i < source->count; i++) {
        serve->picks.items[i] = (uint32_t)i;
    }
    struct query_block block = {
        .entries = source->entries,
        .picks = serve->picks.items,
        .count = source->count,
        .region = source->region,
        .tag_name = tag_name,
        .context = serve,
    };
    int rc = query_pipeline_run(serve->pipeline, &block);
    rc = rc < 0 ? rc : put_entries(serve, &block, output);
    serve->position_ns = source->entries[source->count - 1].time_ns;
    if (rc == 0 && clock_ns() - serve->last_write_ns > PROGRESS_INTERVAL_NS) {
        put_progress(serve, QUERY_FRAME_PROGRESS);
        rc = hand_over(serve, output);
    }
    return rc;
}

static int scan(struct query_serve *serve, const atomic_bool *cancel, const struct output *output)
{
    while (serve->cursor != NULL && serve->sent < serve->entries_max &&
           !query_pipeline_done(serve->pipeline)) {
        if (cancel != NULL && atomic_load(cancel)) {
            return err_set(ERR_CANCELLED, "the search was cancelled");
        }
        struct query_source_block block;
        int rc = query_source_next(serve->cursor, &block);
        if (rc == QUERY_SOURCE_END) {
            return 0;
        }
        rc = rc < 0 ? rc : run_block(serve, &block, output);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

struct finishing {
    struct query_serve *serve;
    const struct output *output;
};

static int put_held_back(void *context, const struct query_block *block)
{
    const struct finishing *finishing = context;
    return put_entries(finishing->serve, block, finishing->output);
}

static int finish(struct query_serve *serve, const struct output *output)
{
    struct query_block like = {.tag_name = tag_name, .context = serve};
    struct finishing finishing = {.serve = serve, .output = output};
    return query_pipeline_finish(serve->pipeline, &like, put_held_back, &finishing);
}

int query_serve_run(struct query_serve *serve, const atomic_bool *cancel,
                    int (*write)(void *context, struct span frames), void *context)
{
    struct output output = {.write = write, .context = context};
    int rc = scan(serve, cancel, &output);
    rc = rc < 0 ? rc : finish(serve, &output);
    if (rc == 0) {
        put_progress(serve, QUERY_FRAME_END);
        return hand_over(serve, &output);
    }
    if (rc != ERR_CANCELLED) {
        /* When it was the writer that failed this goes nowhere, which does no harm. */
        query_frame_put_fault(&serve->frames, err_text());
        int ignored = hand_over(serve, &output);
        (void)ignored;
    }
    return rc;
}
