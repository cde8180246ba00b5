#include "webserver/search_share.h"

#include <pthread.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define ASK_TIMEOUT_MS 5000 /* a stall is no reason to leave out what one holds */

/* ---- asking ---- */

struct question {
    struct search_indexers *indexers;
    size_t index;
    json_t *answer;
    char *fault;
    pthread_t thread;
};

static void *ask(void *context)
{
    struct question *question = context;
    char *url = search_indexer_url(question->indexers, question->index, "/control/v1/places");
    struct http_call call = {.url = url, .control = true, .timeout_ms = ASK_TIMEOUT_MS};
    if (http_call_json(search_indexers_client(question->indexers), &call, NULL, &question->answer) <
        0) {
        json_decref(question->answer);
        question->answer = NULL;
        question->fault = mem_strdup(err_text());
    }
    mem_free(url);
    return NULL;
}

void search_places_ask(struct search_indexers *indexers, struct search_places *places)
{
    size_t count = search_indexers_count(indexers);
    *places = (struct search_places){.count = count};
    if (count < 2) {
        return; /* nobody to share with */
    }
    struct question *questions = mem_alloc_array(count, sizeof(*questions));
    for (size_t i = 0; i < count; i++) {
        questions[i].indexers = indexers;
        questions[i].index = i;
        CHECK(pthread_create(&questions[i].thread, NULL, ask, &questions[i]) == 0);
    }
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_join(questions[i].thread, NULL) == 0);
        places->answers[i] = questions[i].answer;
        places->faults[i] = questions[i].fault;
    }
    mem_free(questions);
}

void search_places_deinit(struct search_places *places)
{
    for (size_t i = 0; i < places->count; i++) {
        json_decref(places->answers[i]);
        mem_free(places->faults[i]);
    }
    *places = (struct search_places){0};
}

/* ---- the plan ---- */

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text == NULL ? "" : text;
}

/* How far an indexer holds an origin; 0: nothing. */
static json_int_t position_of(const json_t *answer, const json_t *origin)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(answer, "places"), i, row)
    {
        if (strcmp(text_of(row, "node"), text_of(origin, "node")) == 0 &&
            strcmp(text_of(row, "incarnation"), text_of(origin, "incarnation")) == 0) {
            return json_integer_value(json_object_get(row, "position"));
        }
    }
    return 0;
}

/* Whether indexer a rather than b returns an origin: who holds more of it; else its own node; else
 * the lower id. Every indexer finds the same. */
static bool goes_before(const json_t *a, const json_t *b, const json_t *origin)
{
    json_int_t a_position = position_of(a, origin);
    json_int_t b_position = position_of(b, origin);
    if (a_position != b_position) {
        return a_position > b_position;
    }
    const char *node = text_of(origin, "node");
    bool a_is_it = strcmp(text_of(a, "id"), node) == 0;
    bool b_is_it = strcmp(text_of(b, "id"), node) == 0;
    return a_is_it != b_is_it ? a_is_it : strcmp(text_of(a, "id"), text_of(b, "id")) < 0;
}

/* What a link with a filter brought goes under a derived origin: the highest bit of 16 hexadecimal
 * digits; the last twelve are those of the incarnation that it is a part of (replication.md). */
static bool is_derived(const char *incarnation)
{
    return strlen(incarnation) == 16 && incarnation[0] >= '8';
}

static bool holds_whole(const json_t *answer, const json_t *part)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(answer, "places"), i, row)
    {
        const char *incarnation = text_of(row, "incarnation");
        if (strlen(incarnation) == 16 && !is_derived(incarnation) &&
            strcmp(text_of(row, "node"), text_of(part, "node")) == 0 &&
            strcmp(incarnation + 4, text_of(part, "incarnation") + 4) == 0) {
            return true;
        }
    }
    return false;
}

static bool returns(const struct search_places *places, size_t index, const json_t *origin)
{
    bool derived = is_derived(text_of(origin, "incarnation"));
    for (size_t i = 0; derived && i < places->count; i++) {
        if (places->answers[i] != NULL && holds_whole(places->answers[i], origin)) {
            return false; /* who holds the whole returns it */
        }
    }
    for (size_t i = 0; i < places->count; i++) {
        if (i != index && places->answers[i] != NULL &&
            goes_before(places->answers[i], places->answers[index], origin)) {
            return false;
        }
    }
    return true;
}

json_t *search_share_of(const struct search_places *places, size_t index)
{
    if (places->count < 2 || places->answers[index] == NULL) {
        return NULL;
    }
    json_t *asked = json_array();
    json_t *origins = json_array();
    for (size_t i = 0; i < places->count; i++) {
        if (places->answers[i] != NULL) {
            json_array_append_new(asked, json_string(text_of(places->answers[i], "id")));
        }
    }
    size_t i;
    json_t *origin;
    json_array_foreach(json_object_get(places->answers[index], "places"), i, origin)
    {
        json_array_append_new(origins, json_pack("{s:s, s:s, s:b}", "node", text_of(origin, "node"),
                                                 "incarnation", text_of(origin, "incarnation"),
                                                 "keep", returns(places, index, origin)));
    }
    return json_pack("{s:o, s:o}", "asked", asked, "origins", origins);
}

/* ---- who breaks off ---- */

/* Who returns the origin in place of `lost`; places->count: nobody holds it. */
static size_t heir(const struct search_places *places, size_t lost, const json_t *origin)
{
    size_t best = places->count;
    for (size_t i = 0; i < places->count; i++) {
        if (i != lost && places->answers[i] != NULL &&
            position_of(places->answers[i], origin) > 0 &&
            (best == places->count ||
             goes_before(places->answers[i], places->answers[best], origin))) {
            best = i;
        }
    }
    return best;
}

json_t *search_share_instead(const json_t *share, const struct search_places *now, size_t lost,
                             size_t index)
{
    json_t *origins = json_array();
    size_t i;
    json_t *origin;
    json_array_foreach(json_object_get(share, "origins"), i, origin)
    {
        if (json_is_true(json_object_get(origin, "keep")) && heir(now, lost, origin) == index) {
            json_array_append(origins, origin);
        }
    }
    if (json_array_size(origins) == 0) {
        json_decref(origins);
        return NULL;
    }
    return json_pack("{s:[], s:b, s:o}", "asked", "only", 1, "origins", origins);
}

bool search_share_is_held(const json_t *share, const struct search_places *then,
                          const struct search_places *now, size_t lost)
{
    size_t i;
    json_t *origin;
    json_array_foreach(json_object_get(share, "origins"), i, origin)
    {
        if (!json_is_true(json_object_get(origin, "keep"))) {
            continue;
        }
        size_t by = heir(now, lost, origin);
        if (by == now->count ||
            position_of(now->answers[by], origin) < position_of(then->answers[lost], origin)) {
            return false;
        }
    }
    return true;
}
