/* What a client learns before a search runs: the parse answer and the start response. */
#include "base/mem.h"
#include "base/time.h"
#include "query/module.h"
#include "webserver/request.h"
#include "webserver/search_answer.h"
#include "webserver/search_language.h"

static void put(json_t *json, const char *key, json_t *value)
{
    json_object_set_new(json, key, value);
}

static void put_if(json_t *json, const char *key, bool value)
{
    if (value) {
        put(json, key, json_true());
    }
}

json_t *search_start_json(struct search_one *one, const char *label)
{
    json_t *json = json_object();
    put(json, "RawQuery", json_string(one->user_query));
    put(json, "SearchString", json_string(one->effective));
    put(json, "RenderModule", json_string(one->renderer));
    put(json, "RenderCmd", json_string(one->renderer_text));
    put(json, "OutputSearchSubproto", json_string(label));
    put(json, "SearchID", json_string(one->id));
    put(json, "SearchStartRange", request_time_json(one->start_ns));
    put(json, "SearchEndRange", request_time_json(one->end_ns));
    put_if(json, "Background", one->background);
    put_if(json, "NonTemporal", one->non_temporal);
    put_if(json, "QueryTimeSpecified", one->time_given);
    put(json, "CollapsingIndex", json_integer((json_int_t)one->collapsing));
    if (one->metadata != NULL) {
        json_object_set(json, "Metadata", one->metadata);
    }
    if (one->addendum != NULL) {
        json_object_set(json, "Addendum", one->addendum);
    }
    put(json, "LaunchInfo", search_launch_info_json(one));
    put(json, "TimeZoomDisabled", json_boolean(one->time_zoom_disabled));
    put(json, "Tags", search_tags_json(one));
    json_object_set(json, "ModuleHints", one->hints);
    put(json, "GIDs", request_gids_json(&one->gids));
    put(json, "Global", json_boolean(one->global));
    return json;
}

static void put_good(json_t *json, const struct query *query)
{
    size_t collapsing = 0;
    json_t *tags = json_array();
    for (size_t i = 0; i < query->tag_count; i++) {
        json_array_append_new(tags, json_string(query->tags[i].pattern));
    }
    put(json, "GoodQuery", json_true());
    put(json, "ParsedQuery", json_string(query->effective));
    put(json, "ModuleIndex", json_integer(0));
    put(json, "RenderModule", json_string(query->renderer->name));
    put(json, "TimeZoomDisabled", json_boolean(query->time_zoom_disabled));
    put(json, "Tags", tags);
    put(json, "ModuleHints", search_hints_json(query, &collapsing));
    put(json, "CollapsingIndex", json_integer((json_int_t)collapsing));
}

static void put_bad(json_t *json, const struct query_error *error)
{
    put(json, "GoodQuery", json_false());
    put(json, "ParseError", json_string(error->text));
    put(json, "ErrorOffset", json_integer((json_int_t)error->offset));
    put(json, "ErrorLength", json_integer((json_int_t)error->bytes));
    put(json, "ErrorStage", json_integer(error->stage));
    put(json, "ModuleIndex", json_integer(MAX(error->stage, 0)));
    put(json, "CollapsingIndex", json_integer(0));
    put(json, "TimeZoomDisabled", json_false());
    put(json, "Tags", json_null());
    put(json, "ModuleHints", json_null());
}

json_t *search_parse_json(struct search *search, const struct object_principal *who,
                          const json_t *request, const char *text)
{
    const json_t *filters = request_member(request, "Filters");
    struct search_queries queries = {0};
    struct query_error error = {0};
    json_t *json = json_object();
    put(json, "Sequence", json_integer((json_int_t)request_int(request, "Sequence")));
    put(json, "RawQuery", json_string(text));
    if (search_language_parse(search, who, text, filters, TIME_UNSET, TIME_UNSET, &queries,
                              &error) < 0) {
        put_bad(json, &error);
    } else {
        put_good(json, queries.main);
    }
    search_queries_deinit(&queries);
    return json;
}
