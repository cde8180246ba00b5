/* Tested by tests/cluster/test_language.py. */
#include "webserver/explore.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/store.h"
#include "webserver/account.h"
#include "webserver/auth.h"
#include "webserver/extractor.h"
#include "webserver/request.h"

#define ENTRIES_MAX 1000 /* of one request */

/* ── Filters ─────────────────────────────────────────────────────────────────────────────── */

int explore_filters(const json_t *json, struct query_filter *filters, size_t *ret_count)
{
    size_t i;
    json_t *one;
    if (json_array_size(json) > QUERY_FILTERS_MAX) {
        return err_set(ERR_INVALID, "more than %d filters", QUERY_FILTERS_MAX);
    }
    json_array_foreach(json, i, one)
    {
        if (!json_is_object(one)) {
            return err_set(ERR_INVALID, "a filter is no object");
        }
        filters[i] = (struct query_filter){.tag = request_text(one, "Tag"),
                                           .module = request_text(one, "Module"),
                                           .args = request_text(one, "Args"),
                                           .path = request_text(one, "Path"),
                                           .name = request_text(one, "Name"),
                                           .op = request_text(one, "Op"),
                                           .value = request_text(one, "Value")};
    }
    *ret_count = json_array_size(json);
    return 0;
}

/* ── Entries of a search ─────────────────────────────────────────────────────────────────── */

/* Definitions that the owner of the search may use. */
static int list_definitions(struct search_one *one, struct object_list *ret_list)
{
    struct webserver *webserver = one->search->webserver;
    struct object_gids gids = {0};
    struct object_principal who;
    int rc = account_principal(webserver, one->uid, &gids, &who);
    if (rc < 0) {
        return rc;
    }
    rc = extractor_list(webserver, &who, ret_list);
    object_set_gids(&gids, NULL, 0);
    return rc;
}

static bool find_definition(const struct object_list *list, const char *tag,
                            struct query_extractor *ret_extractor)
{
    for (size_t i = 0; i < list->count; i++) {
        extractor_decode(list->items[i]->body, list->items[i]->name, ret_extractor);
        for (size_t j = 0; j < ret_extractor->tag_count; j++) {
            if (text_glob(span_of_str(ret_extractor->tags[j]), span_of_str(tag))) {
                return true;
            }
        }
    }
    return false;
}

void explore_rows(struct search_one *one, struct query_result *result,
                  const struct query_rows *rows, struct buf *buf)
{
    struct object_list list = {0};
    if (list_definitions(one, &list) < 0) {
        list.count = 0; /* what entries look like is still said */
    }
    buf_append_str(buf, ",\"Explore\":[");
    for (size_t i = 0; i < rows->count; i++) {
        struct query_extractor extractor;
        const char *tag = query_result_tag_name(result, rows->entries[i].tag);
        bool defined = find_definition(&list, tag, &extractor);
        json_t *json = query_explore(rows->entries[i].data, tag, defined ? &extractor : NULL);
        char *text = json_dumps(json, JSON_COMPACT);
        buf_append_str(buf, i > 0 ? "," : "");
        buf_append_str(buf, text == NULL ? "{}" : text);
        free(text);
        json_decref(json);
    }
    buf_append_byte(buf, ']');
    object_list_deinit(&list);
}

/* ── Entries of a client ─────────────────────────────────────────────────────────────────── */

static void post_generate(struct http_request *request, void *context)
{
    (void)context;
    json_t *json;
    if (!request_object(request, &json)) {
        return;
    }
    json_t *entries = request_member(json, "Entries");
    size_t count = MIN(json_array_size(entries), (size_t)ENTRIES_MAX);
    struct span *spans = mem_alloc_array(count + 1, sizeof(*spans));
    struct buf *data = mem_alloc_array(count + 1, sizeof(*data));
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        const char *base64 = request_text(json_array_get(entries, i), "Data");
        data[i] = (struct buf){0};
        good = text_unbase64(&data[i], span_of_str(base64)) && good;
        spans[i] = buf_span(&data[i]);
    }
    if (!good) {
        http_reply_error(request, 400, "Data of an entry is no base64");
    } else {
        json_t *answer = query_explore_generate(request_text(json, "Tag"), spans, count);
        const char *module;
        json_t *list;
        json_object_foreach(answer, module, list)
        {
            json_object_set(json_array_get(list, 0), "Entries", entries);
        }
        http_reply_json(request, 200, answer);
    }
    for (size_t i = 0; i < count; i++) {
        buf_deinit(&data[i]);
    }
    mem_free(data);
    mem_free(spans);
    json_decref(json);
}

const struct http_route explore_routes[] = {
    {"POST", "/api/explore/generate", post_generate, 0, 0},
};
const size_t explore_route_count = ARRAY_COUNT(explore_routes);
