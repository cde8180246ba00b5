/* What was planned for a search, and what came of it. Tested by tests/cluster/test_search.py. */
#include "base/time.h"
#include "query/module.h"
#include "query/pipeline.h"
#include "webserver/request.h"
#include "webserver/search_answer.h"

#define WORDS_MAX 16

/* Where a stage runs, in words. */
static const char *place_of(const struct query *query, size_t stage)
{
    if (stage < query->collapse) {
        return "indexers";
    }
    return stage == query->collapse && query_is_shared(query) ? "indexers, then webserver"
                                                              : "webserver";
}

/* Words without which a block is not read. */
static json_t *words_of(const struct query *query)
{
    json_t *list = json_array();
    for (size_t i = 0; i < query->collapse; i++) {
        const struct query_stage *stage = &query->stages[i];
        struct span words[WORDS_MAX];
        if (stage->module == NULL || stage->module->required == NULL) {
            break;
        }
        size_t count =
            stage->tag_count > 0 ? 0 : stage->module->required(stage->plan, words, WORDS_MAX);
        for (size_t j = 0; j < count; j++) {
            json_array_append_new(
                list, json_stringn_nocheck((const char *)words[j].data, words[j].bytes));
        }
    }
    return list;
}

static json_t *stage_json(struct search_one *one, size_t i)
{
    const struct query_stage_stats *stats = &one->stages[i];
    uint64_t dropped = stats->in_count > stats->out_count ? stats->in_count - stats->out_count : 0;
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "Name",
                     one->stage_names.items[i], "Args", one->stage_texts.items[i], "Where",
                     place_of(one->query, i), "InputCount", (json_int_t)stats->in_count,
                     "OutputCount", (json_int_t)stats->out_count, "DroppedCount",
                     (json_int_t)dropped, "InputBytes", (json_int_t)stats->in_bytes, "OutputBytes",
                     (json_int_t)stats->out_bytes, "FailedCount", (json_int_t)stats->failed_count,
                     "Duration", (json_int_t)stats->duration_ns, "ScratchWritten",
                     (json_int_t)stats->scratch_bytes);
}

json_t *search_explain_json(struct search_one *one)
{
    json_t *json = json_object();
    json_t *stages = json_array();
    json_object_set_new(json, "Query", json_string(one->effective));
    json_object_set_new(json, "Tags", search_tags_json(one));
    json_object_set_new(json, "StartRange", request_time_json(one->start_ns));
    json_object_set_new(json, "EndRange", request_time_json(one->end_ns));
    json_object_set_new(json, "Stages", stages);
    if (one->query == NULL) {
        return json;
    }
    json_object_set_new(json, "RequiredWords", words_of(one->query));
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    json_object_set_new(json, "Finished", json_boolean(one->state == SEARCH_FINISHED));
    json_object_set_new(json, "Duration", json_integer(one->duration_ns));
    json_object_set_new(json, "BlocksPassedOver", json_integer((json_int_t)one->passed_over));
    for (size_t i = 0; i < one->stage_names.count && i < one->query->stage_count; i++) {
        json_array_append_new(stages, stage_json(one, i));
    }
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    json_object_set_new(json, "Messages", search_messages_json(one));
    return json;
}
