/* Status and info objects of searches. */
#include "base/time.h"
#include "query/module.h"
#include "webserver/request.h"
#include "webserver/search_answer.h"

static json_t *gids_json(const struct search_one *one)
{
    return request_gids_json(&one->gids);
}

static void put(json_t *json, const char *key, json_t *value)
{
    json_object_set_new(json, key, value);
}

static void put_unless_empty(json_t *json, const char *key, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        put(json, key, json_string(text));
    }
}

/* Base word, then flags (docs/protocols/search.md). Under the lock. */
static json_t *state_json(const struct search_one *one)
{
    bool running = one->state != SEARCH_FINISHED;
    bool active = running || (one->attached > 0 && !one->was_dormant);
    const char *base = active ? "ACTIVE" : one->attached > 0 ? "ATTACHED" : "DORMANT";
    return json_sprintf("%s%s%s%s", base,
                        !one->saved ? ""
                        : active    ? "/SAVING"
                                    : "/SAVED",
                        active && one->background ? "/BACKGROUNDED" : "",
                        one->error != NULL ? "/ERROR" : "");
}

json_t *search_launch_info_json(struct search_one *one)
{
    json_t *json = json_object();
    put_unless_empty(json, "method", one->method);
    put_unless_empty(json, "reference", one->reference);
    put(json, "started", request_time_json(one->started_ns));
    put(json, "expires", request_time_json(one->expires_ns));
    return json;
}

static json_t *import_json(const struct search_one *one)
{
    bool imported = one->imported_ns != TIME_UNSET;
    return json_pack("{s:b, s:o, s:s, s:s}", "Imported", imported, "Time",
                     request_time_json(one->imported_ns), "BatchName",
                     imported ? one->batch_name : "", "BatchInfo", imported ? one->batch_info : "");
}

json_t *search_tags_json(const struct search_one *one)
{
    json_t *list = json_array();
    for (size_t i = 0; i < one->tags.count; i++) {
        json_array_append_new(list, json_string(one->tags.items[i]));
    }
    return list;
}

json_t *search_messages_json(struct search_one *one)
{
    json_t *list = json_array();
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    for (size_t i = 0; i < one->messages.count; i++) {
        const struct search_message *message = &one->messages.items[i];
        json_array_append_new(list,
                              json_pack("{s:I, s:s, s:s}", "ID", (json_int_t)(i + 1), "Severity",
                                        message->severity, "Value", message->text));
    }
    if (one->error != NULL) {
        json_array_append_new(list, json_pack("{s:I, s:s, s:s}", "ID",
                                              (json_int_t)(one->messages.count + 1), "Severity",
                                              "fatal", "Value", one->error));
    }
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return list;
}

static struct query_result_counts counts_of(struct search_one *one)
{
    struct query_result *result = NULL;
    if (search_one_result(one, &result) < 0) {
        return (struct query_result_counts){0};
    }
    return query_result_counts(result);
}

static void put_common(json_t *json, struct search_one *one)
{
    put(json, "ID", json_string(one->id));
    put(json, "UID", json_integer(one->uid));
    put(json, "GIDs", gids_json(one));
    put(json, "Global", json_boolean(one->global));
    put(json, "UserQuery", json_string(one->user_query));
    put(json, "EffectiveQuery", json_string(one->effective));
    put(json, "StartRange", request_time_json(one->start_ns));
    put(json, "EndRange", request_time_json(one->end_ns));
    put(json, "NoHistory", json_boolean(one->no_history));
    put(json, "Import", import_json(one));
    put(json, "LaunchInfo", search_launch_info_json(one));
    put_unless_empty(json, "Error", one->error);
    if (one->metadata != NULL) {
        json_object_set(json, "Metadata", one->metadata);
    }
}

json_t *search_status_json(struct search_one *one)
{
    struct query_result_counts counts = counts_of(one);
    json_t *json = json_object();
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    put_common(json, one);
    put(json, "GID", json_integer(0));
    put(json, "State", state_json(one));
    put(json, "AttachedClients", json_integer((json_int_t)one->attached));
    put(json, "StoredData", json_integer((json_int_t)counts.stored_bytes));
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return json;
}

static json_t *formats_json(const struct search_one *one)
{
    json_t *list = json_array();
    for (const char *const *format = one->render->formats; *format != NULL; format++) {
        json_array_append_new(list, json_string(*format));
    }
    json_array_append_new(list, json_string("archive"));
    return list;
}

static json_t *duration_json(const struct search_one *one)
{
    struct buf text = {0};
    int64_t duration_ns = one->duration_ns;
    if (one->state != SEARCH_FINISHED) {
        duration_ns = io_monotonic_ns(one->search->webserver->io) - one->launched_mono_ns;
    }
    time_format_duration(&text, duration_ns);
    json_t *json = json_string(buf_str(&text));
    buf_deinit(&text);
    return json;
}

json_t *search_info_json(struct search_one *one)
{
    struct query_result_counts counts = counts_of(one);
    json_t *json = json_object();
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    put_common(json, one);
    put(json, "Descending", json_true());
    put(json, "Started", request_time_json(one->launched_ns));
    put(json, "LastUpdate", request_time_json(one->position_ns));
    put(json, "Duration", duration_json(one));
    put(json, "StoreSize", json_integer((json_int_t)counts.stored_bytes));
    put(json, "IndexSize", json_integer((json_int_t)counts.index_bytes));
    put(json, "ItemCount", json_integer((json_int_t)counts.rows));
    put(json, "TimeZoomDisabled", json_boolean(one->time_zoom_disabled));
    put(json, "QueryTimeSpecified", json_boolean(one->time_given));
    if (one->render != NULL) {
        put(json, "RenderDownloadFormats", formats_json(one));
    }
    put_unless_empty(json, "Name", one->name);
    put(json, "CollapsingIndex", json_integer((json_int_t)one->collapsing));
    put(json, "Background", json_boolean(one->background));
    put(json, "Finished", json_boolean(one->state == SEARCH_FINISHED));
    put(json, "MinZoomWindow", json_integer(1));
    put(json, "Tags", search_tags_json(one));
    put(json, "Preview", json_boolean(one->preview));
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return json;
}
