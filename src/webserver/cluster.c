/* Tested by tests/cluster/test_cluster_picture.py */
#include "webserver/cluster.h"

#include "base/mem.h"
#include "conf/conf.h"
#include "net/http_client.h"
#include "webserver/request.h"
#include "webserver/search.h"
#include "webserver/search_indexers.h"

#define ASK_TIMEOUT_MS 3000

static json_t *datastores_json(const struct conf *conf)
{
    json_t *list = json_array();
    for (size_t i = 0; i < conf_list_count(conf, CONF_GLOBAL, "Datastore"); i++) {
        json_array_append_new(list, json_string(conf_list(conf, CONF_GLOBAL, "Datastore", i)));
    }
    return list;
}

static void get_cluster(struct http_request *request, void *context)
{
    const struct webserver *webserver = context;
    const struct search_indexers *indexers = search_indexers_of(webserver->search);
    json_t *list = json_array();
    for (size_t i = 0; i < search_indexers_count(indexers); i++) {
        json_array_append_new(list, json_string(search_indexer_name(indexers, i)));
    }
    http_reply_json(
        request, 200,
        json_pack("{s:o, s:o}", "Datastores", datastores_json(webserver->conf), "Indexers", list));
}

static int ask(struct search_indexers *indexers, size_t index, const char *path, json_t *answer,
               const char *member)
{
    char *url = search_indexer_url(indexers, index, path);
    struct http_call call = {.url = url, .control = true, .timeout_ms = ASK_TIMEOUT_MS};
    json_t *json = NULL;
    int rc = http_call_json(search_indexers_client(indexers), &call, NULL, &json);
    if (rc == 0) {
        json_object_set_new(answer, member, json);
    }
    mem_free(url);
    return rc;
}

/* An indexer that does not answer is no failure of the request: that is the answer. */
static void get_indexer(struct http_request *request, void *context)
{
    const struct webserver *webserver = context;
    struct search_indexers *indexers = search_indexers_of(webserver->search);
    int64_t index;
    if (!request_number(request, "index", &index)) {
        return;
    }
    if (index < 0 || (uint64_t)index >= search_indexers_count(indexers)) {
        http_reply_error(request, 404, "there is no such indexer");
        return;
    }
    json_t *answer = json_pack("{s:s}", "Address", search_indexer_name(indexers, (size_t)index));
    int rc = ask(indexers, (size_t)index, "/control/v1/info", answer, "Info");
    rc = rc < 0 ? rc : ask(indexers, (size_t)index, "/control/v1/stats", answer, "Stats");
    rc = rc < 0 ? rc : ask(indexers, (size_t)index, "/control/v1/tags", answer, "Tags");
    json_object_set_new(answer, "Up", json_boolean(rc == 0));
    json_object_set_new(answer, "Error", json_string(rc < 0 ? err_text() : ""));
    http_reply_json(request, 200, answer);
}

const struct http_route cluster_routes[] = {
    {"GET", "/api/cluster", get_cluster, 0, 0},
    {"GET", "/api/cluster/indexers/{index}", get_indexer, 0, 0},
};
const size_t cluster_route_count = ARRAY_COUNT(cluster_routes);
