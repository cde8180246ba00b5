/*
 * Saved searches on disk: Saved-Store/ID/ with the result store's files and record.json, which
 * says all that is to know about the search. docs/formats/result-store.md.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "query/module.h"
#include "service/log.h"
#include "webserver/request.h"
#include "webserver/search_language.h"
#include "webserver/search_one.h"

#define RECORD_BYTES_MAX (4 * 1024 * 1024)

static json_t *texts_json(char *const *items, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, json_string(items[i]));
    }
    return list;
}

static json_t *stages_json(const struct search_one *one)
{
    json_t *list = json_array();
    for (size_t i = 0; i < one->stage_names.count; i++) {
        const struct query_stage_stats *stats = &one->stages[i];
        json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name",
                      one->stage_names.items[i], "text", one->stage_texts.items[i], "in_count",
                      (json_int_t)stats->in_count, "in_bytes", (json_int_t)stats->in_bytes,
                      "out_count", (json_int_t)stats->out_count, "out_bytes",
                      (json_int_t)stats->out_bytes, "duration_ns", (json_int_t)stats->duration_ns,
                      "failed_count", (json_int_t)stats->failed_count, "scratch_bytes",
                      (json_int_t)stats->scratch_bytes));
    }
    return list;
}

static json_t *messages_json(const struct search_one *one)
{
    json_t *list = json_array();
    for (size_t i = 0; i < one->messages.count; i++) {
        json_array_append_new(list,
                              json_pack("{s:s, s:s}", "severity", one->messages.items[i].severity,
                                        "text", one->messages.items[i].text));
    }
    return list;
}

static void put_text(json_t *json, const char *key, const char *text)
{
    json_object_set_new(json, key, text == NULL ? json_null() : json_string(text));
}

static void put_int(json_t *json, const char *key, int64_t value)
{
    json_object_set_new(json, key, json_integer(value));
}

json_t *search_record_json(const struct search_one *one)
{
    json_t *json = json_object();
    put_int(json, "version", 1);
    json_object_set_new(json, "kept", json_boolean(one->kept));
    put_text(json, "id", one->id);
    put_int(json, "uid", one->uid);
    json_object_set_new(json, "gids", request_gids_json(&one->gids));
    json_object_set_new(json, "global", json_boolean(one->global));
    put_text(json, "user_query", one->user_query);
    put_text(json, "effective", one->effective);
    put_text(json, "renderer", one->renderer);
    put_text(json, "renderer_text", one->renderer_text);
    json_object_set_new(json, "tags", texts_json(one->tags.items, one->tags.count));
    json_object_set(json, "hints", one->hints);
    put_int(json, "collapsing", (int64_t)one->collapsing);
    put_int(json, "start_ns", one->start_ns);
    put_int(json, "end_ns", one->end_ns);
    json_object_set_new(json, "time_given", json_boolean(one->time_given));
    json_object_set_new(json, "time_zoom_disabled", json_boolean(one->time_zoom_disabled));
    json_object_set_new(json, "no_history", json_boolean(one->no_history));
    json_object_set_new(json, "preview", json_boolean(one->preview));
    json_object_set_new(json, "non_temporal", json_boolean(one->non_temporal));
    json_object_set_new(json, "background", json_boolean(one->background));
    put_text(json, "name", one->name);
    json_object_set(json, "addendum", one->addendum == NULL ? json_null() : one->addendum);
    json_object_set(json, "filters", one->filters == NULL ? json_null() : one->filters);
    json_object_set(json, "metadata", one->metadata == NULL ? json_null() : one->metadata);
    put_int(json, "launched_ns", one->launched_ns);
    put_int(json, "finished_ns", one->finished_ns);
    put_int(json, "duration_ns", one->duration_ns);
    put_int(json, "position_ns", one->position_ns);
    put_text(json, "error", one->error);
    put_text(json, "method", one->method);
    put_text(json, "reference", one->reference);
    put_int(json, "started_ns", one->started_ns);
    put_int(json, "expires_ns", one->expires_ns);
    if (one->imported_ns != TIME_UNSET) {
        put_int(json, "imported_ns", one->imported_ns);
        put_text(json, "batch_name", one->batch_name);
        put_text(json, "batch_info", one->batch_info);
    }
    json_object_set_new(json, "messages", messages_json(one));
    json_object_set_new(json, "stages", stages_json(one));
    return json;
}

int search_record_write(struct search_one *one, const char *path)
{
    json_t *json = search_record_json(one);
    char *text = json_dumps(json, JSON_INDENT(1));
    char *file = mem_printf("%s/record.json", path);
    int rc = text == NULL ? err_set(ERR_INVALID, "the record of search %s", one->id)
                          : io_write_file(one->search->webserver->io, file, span_of_str(text));
    mem_free(file);
    free(text);
    json_decref(json);
    return rc;
}

/* On another volume: the record follows, then the old directory goes. */
static int finish_copy(struct search_one *one, const char *path)
{
    struct io *io = one->search->webserver->io;
    char *record = mem_printf("%s/record.json", one->path);
    int rc = search_record_write(one, path);
    rc = rc < 0 ? rc : io_sync_dir(io, one->search->saved_store);
    rc = rc < 0 ? rc : io_remove(io, record);
    rc = rc < 0 ? rc : query_result_remove(io, one->path);
    mem_free(record);
    return rc;
}

static int move_to_saved(struct search_one *one, struct query_result *result)
{
    char *path = mem_printf("%s/%s", one->search->saved_store, one->id);
    int rc = query_result_move(result, path);
    if (rc == QUERY_RESULT_COPIED) {
        rc = finish_copy(one, path);
    }
    if (rc < 0) {
        mem_free(path);
        return rc;
    }
    mem_free(one->path);
    one->path = path;
    one->persisted = true;
    return io_sync_dir(one->search->webserver->io, one->search->saved_store);
}

/* For all webservers; if it does not succeed now the keeper tries again. */
static int keep(struct search_one *one)
{
    int rc = search_kept_put(one);
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    one->kept = rc == 0;
    rc = search_record_write(one, one->path);
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return rc;
}

/* The record first, then the move: what lies in the saved store is complete. */
static int write_and_keep(struct search_one *one)
{
    struct query_result *result = NULL;
    int rc = search_one_result(one, &result);
    rc = rc < 0 ? rc : query_result_sync(result);
    if (rc < 0) {
        return rc;
    }
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    CHECK(one->state == SEARCH_FINISHED);
    rc = search_record_write(one, one->path);
    if (rc == 0 && !one->persisted) {
        rc = move_to_saved(one, result);
    }
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return rc < 0 ? rc : keep(one);
}

/* Meanwhile the keeper leaves it alone: what it put besides would be an edit of its own, which wins
 * against somebody's deletion. */
int search_saved_write(struct search_one *one)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    one->saving++;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    int rc = write_and_keep(one);
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    one->saving--;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return rc;
}

/* ── After a restart ─────────────────────────────────────────────────────────────────────── */

static char *take_text(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return mem_strdup(text == NULL ? "" : text);
}

static int64_t take_int(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

static bool take_bool(const json_t *json, const char *key)
{
    return json_is_true(json_object_get(json, key));
}

/* A member that is an object or a list; NULL for null. */
static json_t *take_json(const json_t *json, const char *key)
{
    json_t *member = json_object_get(json, key);
    return member == NULL || json_is_null(member) ? NULL : json_incref(member);
}

static const char *severity_of(const char *text)
{
    static const char *const known[] = {"info", "warn"};
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (text != NULL && strcmp(text, known[i]) == 0) {
            return known[i];
        }
    }
    return "error";
}

static void take_lists(struct search_one *one, const json_t *json)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(json, "tags"), i, item)
    {
        vec_push(&one->tags, mem_strdup(json_is_string(item) ? json_string_value(item) : ""));
    }
    json_array_foreach(json_object_get(json, "messages"), i, item)
    {
        struct search_message message = {
            .severity = severity_of(json_string_value(json_object_get(item, "severity"))),
            .text = take_text(item, "text"),
        };
        vec_push(&one->messages, message);
    }
    json_array_foreach(json_object_get(json, "stages"), i, item)
    {
        if (i == QUERY_STAGES_STATS_MAX) {
            break;
        }
        vec_push(&one->stage_names, take_text(item, "name"));
        vec_push(&one->stage_texts, take_text(item, "text"));
        one->stages[i] = (struct query_stage_stats){
            .in_count = (uint64_t)take_int(item, "in_count"),
            .in_bytes = (uint64_t)take_int(item, "in_bytes"),
            .out_count = (uint64_t)take_int(item, "out_count"),
            .out_bytes = (uint64_t)take_int(item, "out_bytes"),
            .duration_ns = (uint64_t)take_int(item, "duration_ns"),
            .failed_count = (uint64_t)take_int(item, "failed_count"),
            .scratch_bytes = (uint64_t)take_int(item, "scratch_bytes"),
        };
    }
}

/* What the renderer needs of the query, whose text was checked when it was started. */
static struct query *parse_again(const struct search_one *one)
{
    struct query_options options = {
        .now_ns = one->end_ns, .start_ns = one->start_ns, .end_ns = one->end_ns};
    struct query *query = NULL;
    struct query_error error;
    int rc = query_parse(span_of_str(one->effective), &options, &query, &error);
    return rc < 0 ? NULL : query;
}

static void take_record(struct search_one *one, const json_t *json)
{
    one->kept = take_bool(json, "kept");
    one->uid = (int32_t)take_int(json, "uid");
    request_gids(json, "gids", &one->gids);
    one->global = take_bool(json, "global");
    one->user_query = take_text(json, "user_query");
    one->effective = take_text(json, "effective");
    one->renderer = take_text(json, "renderer");
    one->renderer_text = take_text(json, "renderer_text");
    one->render = query_renderer_find(span_of_str(one->renderer));
    one->hints = take_json(json, "hints");
    one->collapsing = (size_t)take_int(json, "collapsing");
    one->start_ns = take_int(json, "start_ns");
    one->end_ns = take_int(json, "end_ns");
    one->time_given = take_bool(json, "time_given");
    one->time_zoom_disabled = take_bool(json, "time_zoom_disabled");
    one->no_history = take_bool(json, "no_history");
    one->preview = take_bool(json, "preview");
    one->non_temporal = take_bool(json, "non_temporal");
    one->background = take_bool(json, "background");
    one->name = take_text(json, "name");
    one->addendum = take_json(json, "addendum");
    one->filters = take_json(json, "filters");
    one->metadata = take_json(json, "metadata");
    one->launched_ns = take_int(json, "launched_ns");
    one->finished_ns = take_int(json, "finished_ns");
    one->duration_ns = take_int(json, "duration_ns");
    one->position_ns = take_int(json, "position_ns");
    const char *error = json_string_value(json_object_get(json, "error"));
    one->error = error == NULL ? NULL : mem_strdup(error);
    one->method = take_text(json, "method");
    one->reference = take_text(json, "reference");
    one->started_ns = take_int(json, "started_ns");
    one->expires_ns = take_int(json, "expires_ns");
    if (json_object_get(json, "imported_ns") != NULL) {
        one->imported_ns = take_int(json, "imported_ns");
        one->batch_name = take_text(json, "batch_name");
        one->batch_info = take_text(json, "batch_info");
    }
    take_lists(one, json);
    one->query = parse_again(one);
}

bool search_is_id(const char *name)
{
    size_t bytes = strlen(name);
    return bytes > 0 && bytes < SEARCH_ID_BYTES && strspn(name, "0123456789") == bytes;
}

static int read_record(struct search *search, const char *store, const char *name,
                       json_t **ret_json)
{
    struct buf text = {0};
    json_error_t error;
    char *file = mem_printf("%s/%s/record.json", store, name);
    int rc = io_read_file(search->webserver->io, file, RECORD_BYTES_MAX, &text);
    if (rc == 0) {
        *ret_json = json_loadb((const char *)text.data, text.bytes, 0, &error);
        rc = json_is_object(*ret_json) ? 0 : err_set(ERR_CORRUPT, "%s: %s", file, error.text);
    }
    mem_free(file);
    buf_deinit(&text);
    return rc;
}

struct search_one *search_one_of_record(struct search *search, const char *id, const json_t *record)
{
    struct search_one *one = search_one_new(search);
    (void)snprintf(one->id, sizeof(one->id), "%s", id);
    take_record(one, record);
    one->path = mem_printf("%s/%s", search->saved_store, id);
    one->state = SEARCH_FINISHED;
    one->saved = true;
    one->persisted = true;
    one->was_dormant = true;
    return one;
}

void search_take_notes(struct search_one *one, const json_t *record)
{
    json_decref(one->metadata);
    one->metadata = take_json(record, "metadata");
    one->expires_ns = take_int(record, "expires_ns");
    mem_free(one->method);
    mem_free(one->reference);
    one->method = take_text(record, "method");
    one->reference = take_text(record, "reference");
}

/* ── In the background ───────────────────────────────────────────────────────────────────── */

void search_remember(struct search_one *one)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    bool can = !one->persisted && !one->deleted && !one->follow;
    bool finished = one->state == SEARCH_FINISHED; /* the record says so: its rows must be there */
    int rc = can && finished && one->result != NULL ? query_result_sync(one->result) : 0;
    rc = rc < 0 || !can ? rc : search_record_write(one, one->path);
    one->remembered = can && rc == 0;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    if (rc < 0) {
        log_fault("search-remember", "a search in the background will not outlive the webserver",
                  rc, "search", one->id, NULL);
    }
}

/* With all that it looks into: tables, macros, inner queries. */
static int ask_again(struct search_one *one)
{
    struct search_queries queries = {0};
    int rc = search_language_again(one, &queries);
    if (rc < 0) {
        return rc;
    }
    query_free(&one->query);
    one->query = queries.main;
    for (size_t i = 0; i < queries.inner_count; i++) {
        vec_push(&one->inners, queries.inners[i]);
    }
    return 0;
}

/* It had not finished: from its beginning, over the same range. */
static int begin_anew(struct search_one *one)
{
    struct search *search = one->search;
    struct io *io = search->webserver->io;
    char *record = mem_printf("%s/record.json", one->path);
    int rc = ask_again(one);
    rc = rc < 0 ? rc : io_remove(io, record);
    mem_free(record);
    rc = rc < 0 ? rc : query_result_remove(io, one->path);
    rc = rc < 0 ? rc
                : query_result_create(io, one->path, search->result_bytes_max, one->start_ns,
                                      one->end_ns, &one->result);
    one->state = SEARCH_WAITING;
    one->was_dormant = false;
    one->position_ns = one->end_ns;
    one->no_history = true; /* it is in there */
    one->launched_mono_ns = io_monotonic_ns(io);
    return rc;
}

bool search_recall(struct search *search, const char *name, struct search_one **ret_again)
{
    json_t *json = NULL;
    if (!search_is_id(name) || read_record(search, search->render_store, name, &json) < 0) {
        json_decref(json);
        return false;
    }
    struct search_one *one = search_one_of_record(search, name, json);
    json_decref(json);
    mem_free(one->path);
    one->path = mem_printf("%s/%s", search->render_store, name);
    one->saved = one->persisted = one->kept = false;
    bool finished = one->finished_ns != TIME_UNSET;
    int rc = finished || !one->background ? 0 : begin_anew(one);
    one->remembered = rc == 0 && one->background;
    if (rc < 0) {
        log_fault("search-remember", "a search in the background cannot begin anew", rc, "search",
                  name, NULL);
    }
    bool recalled = one->remembered && search_table_add(one);
    if (recalled && !finished) {
        *ret_again = one;
        return true;
    }
    search_one_unref(&one); /* with its files, if it is not remembered */
    return true;
}

/* ── After a restart: the saved store ────────────────────────────────────────────────────── */

static int load_one(void *context, const char *name)
{
    struct search *search = context;
    json_t *json = NULL;
    int rc = search_is_id(name) ? read_record(search, search->saved_store, name, &json)
                                : err_set(ERR_INVALID, "%s is not the id of a search", name);
    if (rc < 0) {
        log_fault("saved-store", "a saved search cannot be read; it stays where it is", rc, "name",
                  name, NULL);
        json_decref(json);
        return 0;
    }
    struct search_one *one = search_one_of_record(search, name, json);
    CHECK(search_table_add(one));
    search_one_unref(&one);
    json_decref(json);
    return 0;
}

void search_saved_load(struct search *search)
{
    int rc = io_list(search->webserver->io, search->saved_store, load_one, search);
    if (rc < 0) {
        log_fault("saved-store", "the saved store cannot be read", rc, NULL);
    }
}
