/* Tested by pipeline_test.c. */
#include "query/serve.h"

#include <jansson.h>
#include <time.h>

#include "base/mem.h"
#include "base/time.h"
#include "query/module.h"
#include "query/pipeline.h"
#include "query/query.h"
#include "query/sweep.h"

#define PROGRESS_INTERVAL_NS (200 * TIME_MS_NS)
#define WORDS_MAX 16
#define FRAMES_BYTES_MAX QUERY_BATCH_BYTES_MAX /* collected before they are handed over */
#define LOOK_UP_MS 20                          /* whether the search was cancelled */

/* What follows. */
struct tail {
    struct query_cursor *cursor;
    struct query_pipeline *pipeline;
    VEC(uint32_t) picks;
    bool looked_at[QUERY_TAG_NUMBERS_MAX]; /* tags whose names were asked for */
};

struct query_serve {
    struct query *query;
    struct query_source *source;
    struct query_sweep *sweep;
    struct tail *tail; /* of a search that follows: in place of the sweep */
    size_t stages;
    struct span words[WORDS_MAX];
    VEC(uint16_t) tags; /* of the source, those that the query names */
    const char **names; /* by number of the source; NULL where there is none */
    VEC(char *) owned_names;
    struct buf frames;
    int64_t last_progress_ns;
};

static json_t *tables_json(const struct query *query)
{
    json_t *json = json_object();
    for (size_t i = 0; i < query->copy_count; i++) {
        json_object_set_new(json, query->copies[i].name, json_string(query->copies[i].hash));
    }
    return json;
}

char *query_request_encode(const struct query_request *request)
{
    json_t *json = json_pack("{s:s, s:I, s:I, s:I, s:I, s:b}", "query", request->query, "start_ns",
                             (json_int_t)request->start_ns, "end_ns", (json_int_t)request->end_ns,
                             "stages", (json_int_t)request->stages, "entries_max",
                             (json_int_t)MIN(request->entries_max, (uint64_t)INT64_MAX),
                             "ascending", request->ascending);
    CHECK(json != NULL);
    if (request->follow) {
        json_object_set_new(json, "follow", json_true());
    }
    if (request->read_max > 0) {
        json_object_set_new(json, "read_max", json_integer((json_int_t)request->read_max));
    }
    if (request->detailed) {
        json_object_set_new(json, "detailed", json_true());
    }
    if (request->share != NULL) {
        json_object_set(json, "share", request->share);
    }
    if (request->tables != NULL && request->tables->copy_count > 0) {
        json_object_set_new(json, "tables", tables_json(request->tables));
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
    json_int_t read_max = 0;
    int follow = 0;
    int detailed = 0;
    json_error_t error;
    if (json_unpack_ex(json, &error, 0, "{s:s, s:I, s:I, s:I, s?:I, s?:b, s?:b, s?:b, s?:I}",
                       "query", &request->query, "start_ns", &start, "end_ns", &end, "stages",
                       &stages, "entries_max", &entries_max, "ascending", &ascending, "follow",
                       &follow, "detailed", &detailed, "read_max", &read_max) != 0) {
        return err_set(ERR_INVALID, "search request: %s", error.text);
    }
    if (stages < 0 || stages > QUERY_STAGES_MAX || entries_max < 0 || read_max < 0 ||
        start >= end) {
        return err_set(ERR_INVALID, "search request: a number is out of its range");
    }
    request->start_ns = start;
    request->end_ns = end;
    request->stages = (size_t)stages;
    request->entries_max = entries_max == INT64_MAX ? UINT64_MAX : (uint64_t)entries_max;
    request->ascending = ascending != 0;
    request->follow = follow != 0;
    request->detailed = detailed != 0;
    request->read_max = (uint64_t)read_max;
    request->hashes = json_object_get(json, "tables");
    return 0;
}

static int collect_tag(void *context, const char *name, uint16_t number)
{
    struct query_serve *serve = context;
    if (serve->names[number] == NULL &&
        query_tags_match(serve->query->tags, serve->query->tag_count, name)) {
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

static int open_sweep(struct query_serve *serve, const struct query_request *request,
                      struct query_pool *pool, struct query_scratch *scratch)
{
    bool half = serve->stages == serve->query->collapse;
    struct query_sweep_options options = {
        .query = serve->query,
        .stages = serve->stages,
        .half = half,
        .detailed = request->detailed,
        .source = serve->source,
        .scan =
            {
                .words = serve->words,
                .word_count = required_words(serve, serve->words),
                .tags = serve->tags.items,
                .tag_count = serve->tags.count,
                .start_ns = request->start_ns,
                .end_ns = request->end_ns,
                .ascending = request->ascending,
            },
        .entries_max = half && query_is_shared(serve->query) ? UINT64_MAX : request->entries_max,
        .read_max = request->read_max == 0 ? UINT64_MAX : request->read_max,
        .tag_name = tag_name,
        .context = serve,
        .pool = pool,
        .scratch = scratch,
    };
    return query_sweep_new(&options, &serve->sweep);
}

static int open_tail(struct query_serve *serve)
{
    struct tail *tail = MEM_NEW(struct tail);
    serve->tail = tail;
    if (serve->stages < serve->query->collapse || query_is_shared(serve->query)) {
        return err_set(ERR_INVALID, "search request: a query that condenses cannot be followed");
    }
    int rc = query_source_follow(serve->source, &tail->cursor);
    return rc < 0 ? rc : query_pipeline_new(serve->query, 0, serve->stages, &tail->pipeline);
}

static void free_tail(struct tail *tail)
{
    if (tail != NULL) {
        query_source_close(&tail->cursor);
        query_pipeline_free(&tail->pipeline);
        vec_deinit(&tail->picks);
        mem_free(tail);
    }
}

struct wanted {
    const json_t *hashes; /* by name */
    struct query_tables *tables;
};

static int find_table(void *context, const char *name, struct buf *contents)
{
    const struct wanted *wanted = context;
    const char *hash = json_string_value(json_object_get(wanted->hashes, name));
    bool here =
        hash != NULL && wanted->tables != NULL && query_tables_get(wanted->tables, hash, contents);
    return here ? 0 : err_set(ERR_CONFLICT, "the table is not here");
}

static int prepare(struct query_serve *serve, const struct query_request *request, int64_t now_ns,
                   struct query_pool *pool, struct query_scratch *scratch)
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
    serve->stages = request->stages;
    struct wanted wanted = {request->hashes, query_scratch_tables(scratch)};
    rc = query_load_part(serve->query, serve->stages, find_table, &wanted);
    if (rc < 0) {
        return rc;
    }
    if (request->stages > serve->query->collapse) {
        return err_set(ERR_INVALID, "search request: %zu stages, the query has %zu for an indexer",
                       request->stages, serve->query->collapse);
    }
    rc = query_source_tags(serve->source, collect_tag, serve);
    if (rc == 0 && request->follow) {
        return open_tail(serve);
    }
    return rc < 0 ? rc : open_sweep(serve, request, pool, scratch);
}

int query_serve_begin_pooled(struct span body, struct query_source *source, int64_t now_ns,
                             struct query_pool *pool, struct query_scratch *scratch,
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
        rc = prepare(serve, &request, now_ns, pool, scratch);
        if (rc < 0) {
            query_serve_free(&serve);
        } else {
            *ret_serve = serve;
        }
    }
    json_decref(json);
    return rc;
}

int query_serve_begin(struct span body, struct query_source *source, int64_t now_ns,
                      struct query_serve **ret_serve)
{
    return query_serve_begin_pooled(body, source, now_ns, NULL, NULL, ret_serve);
}

void query_serve_free(struct query_serve **pointer)
{
    struct query_serve *serve = *pointer;
    if (serve == NULL) {
        return;
    }
    query_sweep_free(&serve->sweep);
    free_tail(serve->tail);
    query_free(&serve->query);
    for (size_t i = 0; i < serve->owned_names.count; i++) {
        mem_free(serve->owned_names.items[i]);
    }
    vec_deinit(&serve->owned_names);
    vec_deinit(&serve->tags);
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

static void tail_progress(const struct query_serve *serve, struct query_progress *ret_progress)
{
    *ret_progress = (struct query_progress){
        .position_ns = INT64_MAX,
        .skipped_blocks = query_source_skipped(serve->tail->cursor),
        .stage_count = serve->stages,
    };
    for (size_t i = 0; i < serve->stages; i++) {
        ret_progress->stages[i] = *query_pipeline_stats(serve->tail->pipeline, i);
    }
}

static void put_progress(struct query_serve *serve, enum query_frame_kind kind)
{
    struct query_progress progress;
    struct query_timeline timeline = {0};
    if (serve->tail != NULL) {
        tail_progress(serve, &progress);
    } else {
        query_sweep_progress(serve->sweep, &progress, &timeline);
    }
    query_frame_put_progress(&serve->frames, kind, &progress);
    query_timeline_deinit(&timeline);
    serve->last_progress_ns = clock_ns();
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
    return rc;
}

static int scan(struct query_serve *serve, const atomic_bool *cancel, const struct output *output)
{
    for (;;) {
        if (cancel != NULL && atomic_load(cancel)) {
            return err_set(ERR_CANCELLED, "the search was cancelled");
        }
        int rc = query_sweep_take(serve->sweep, LOOK_UP_MS, &serve->frames);
        if (rc < 0 || rc == QUERY_SWEEP_END) {
            return rc < 0 ? rc : 0;
        }
        if (clock_ns() - serve->last_progress_ns > PROGRESS_INTERVAL_NS) {
            put_progress(serve, QUERY_FRAME_PROGRESS);
        }
        rc = hand_over(serve, output);
        if (rc < 0) {
            return rc;
        }
    }
}

/* ---- following ---- */

/* A tag that was made after the search began is asked for when an entry has it. */
static int is_wanted(struct query_serve *serve, uint16_t tag, bool *ret_wanted)
{
    int rc = 0;
    if (serve->names[tag] == NULL && !serve->tail->looked_at[tag]) {
        serve->tail->looked_at[tag] = true;
        rc = query_source_tags(serve->source, collect_tag, serve);
    }
    *ret_wanted = serve->names[tag] != NULL;
    return rc;
}

static int follow_block(struct query_serve *serve, const struct query_source_block *source)
{
    struct tail *tail = serve->tail;
    vec_clear(&tail->picks);
    for (size_t i = 0; i < source->count; i++) {
        bool wanted = false;
        int rc = is_wanted(serve, source->entries[i].tag, &wanted);
        if (rc < 0) {
            return rc;
        }
        if (wanted) {
            vec_push(&tail->picks, (uint32_t)i);
        }
    }
    struct query_block block = {
        .entries = source->entries,
        .picks = tail->picks.items,
        .count = tail->picks.count,
        .tag_name = tag_name,
        .context = serve,
    };
    int rc = block.count == 0 ? 0 : query_pipeline_run(tail->pipeline, &block);
    if (rc == 0) {
        query_sweep_put(&block, &serve->frames);
    }
    return rc;
}

static int follow(struct query_serve *serve, const atomic_bool *cancel, const struct output *output)
{
    static const struct timespec pause = {.tv_nsec = LOOK_UP_MS * TIME_MS_NS};
    for (;;) {
        if (cancel != NULL && atomic_load(cancel)) {
            return err_set(ERR_CANCELLED, "the search was cancelled");
        }
        struct query_source_block block;
        int rc = query_source_next(serve->tail->cursor, &block);
        bool nothing = rc == QUERY_SOURCE_NOTHING;
        rc = rc == 0 ? follow_block(serve, &block) : MIN(rc, 0);
        if (clock_ns() - serve->last_progress_ns > PROGRESS_INTERVAL_NS) {
            put_progress(serve, QUERY_FRAME_PROGRESS);
        }
        if (rc == 0 && (nothing || serve->frames.bytes >= FRAMES_BYTES_MAX)) {
            rc = hand_over(serve, output);
        }
        if (rc < 0) {
            return rc;
        }
        if (nothing) {
            (void)nanosleep(&pause, NULL);
        }
    }
}

/* ---- the run ---- */

struct finishing {
    struct query_serve *serve;
    const struct output *output;
};

static int put_held_back(void *context, const struct query_block *block)
{
    const struct finishing *finishing = context;
    struct query_serve *serve = finishing->serve;
    query_sweep_put(block, &serve->frames);
    return serve->frames.bytes < FRAMES_BYTES_MAX ? 0 : hand_over(serve, finishing->output);
}

/* So that the webserver knows that somebody is at work. */
static int say_alive(void *context)
{
    const struct finishing *finishing = context;
    struct query_serve *serve = finishing->serve;
    if (clock_ns() - serve->last_progress_ns <= PROGRESS_INTERVAL_NS) {
        return 0;
    }
    put_progress(serve, QUERY_FRAME_PROGRESS);
    return hand_over(serve, finishing->output);
}

/* When it was the writer that failed this goes nowhere, which does no harm. A bound that was
 * reached is no matter of who has reached it. */
static int tell_fault(struct query_serve *serve, int rc, const struct output *output)
{
    query_frame_put_fault(&serve->frames, err_text(), rc == ERR_TOO_LARGE);
    int ignored = hand_over(serve, output);
    (void)ignored;
    return rc;
}

int query_serve_run(struct query_serve *serve, const atomic_bool *cancel,
                    int (*write)(void *context, struct span frames), void *context)
{
    struct output output = {.write = write, .context = context};
    struct finishing finishing = {.serve = serve, .output = &output};
    if (serve->tail != NULL) {
        int fault = follow(serve, cancel, &output);
        return fault == ERR_CANCELLED ? fault : tell_fault(serve, fault, &output);
    }
    int rc = scan(serve, cancel, &output);
    rc = rc < 0 ? rc : query_sweep_finish(serve->sweep, put_held_back, say_alive, &finishing);
    if (rc == 0) {
        put_progress(serve, QUERY_FRAME_END);
        return hand_over(serve, &output);
    }
    return rc == ERR_CANCELLED ? rc : tell_fault(serve, rc, &output);
}
