/* What is claimed: the control routes say what the indexer holds, only to who knows the secret,
 * and a search streams what matches. A real HTTP server over real storage. */
#include "indexer/api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/time.h"
#include "net/http_client.h"
#include "query/serve.h"
#include "service/log.h"
#include "service/metrics.h"

#define SECRET "the control secret of the tests"

struct world {
    char dir[64];
    char path[4][100];
    struct api api;
    struct http_server *server;
    struct http_client *client;
};

static int set_up(void **state)
{
    struct world *world = MEM_NEW(struct world);
    snprintf(world->dir, sizeof(world->dir), "/tmp/aquifer-api-test-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    const char *const names[] = {"datalog", "tags.dat", "well", "states.json"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        snprintf(world->path[i], sizeof(world->path[i]), "%s/%s", world->dir, names[i]);
    }
    log_set_level(LOG_LEVEL_OFF);
    struct storage_well well = {.name = STORAGE_WELL_DEFAULT, .location = world->path[2]};
    struct storage_options options = {.io = io_real(),
                                      .node = {{7}},
                                      .datalog_dir = world->path[0],
                                      .tags_path = world->path[1],
                                      .wells = &well,
                                      .wells_count = 1};
    struct api *api = &world->api;
    *api = (struct api){.io = io_real(), .uuid = options.node, .started_ns = 1};
    assert_int_equal(storage_open(&options, &api->storage), 0);
    assert_int_equal(states_start(io_real(), world->path[3], &api->states), 0);
    static struct connection_shared shared;
    shared =
        (struct connection_shared){.io = io_real(), .storage = api->storage, .states = api->states};
    struct listener_options listen = {.io = io_real(),
                                      .kind = &connection_kind,
                                      .shared = &shared,
                                      .address = "127.0.0.1",
                                      .pipe_path = ""};
    assert_int_equal(listener_start(&listen, &api->listener), 0);
    const struct http_routes table = {api_routes, api_route_count, api};
    struct http_server_options serve = {.address = "127.0.0.1", .control_secret = SECRET};
    assert_int_equal(http_server_start(&serve, &table, 1, &world->server), 0);
    struct http_client_options call = {.control_secret = SECRET};
    assert_int_equal(http_client_new(&call, &world->client), 0);
    *state = world;
    return 0;
}

static int remove_tree(void *context, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", (const char *)context, name);
    if (io_remove(io_real(), path) < 0 && io_list(io_real(), path, remove_tree, path) == 0) {
        (void)!io_remove_dir(io_real(), path);
    }
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    http_client_free(&world->client);
    http_server_stop(&world->server);
    listener_stop(&world->api.listener);
    states_stop(&world->api.states);
    storage_close(&world->api.storage);
    (void)!io_list(io_real(), world->dir, remove_tree, world->dir);
    (void)!io_remove_dir(io_real(), world->dir);
    mem_free(world);
    return 0;
}

static void store(struct world *world, const char *tag, size_t count)
{
    uint16_t number;
    assert_int_equal(storage_tag(world->api.storage, span_of_str(tag), &number), 0);
    for (size_t i = 0; i < count; i++) {
        struct entry entry = {.time_ns = (int64_t)(i + 1) * TIME_S_NS,
                              .tag = number,
                              .data = SPAN_LIT("a needle in hay")};
        assert_int_equal(storage_append(world->api.storage, &entry, 1), 0);
    }
}

/* The status; the body goes to `body`. */
static int call(struct world *world, struct http_client *client, const char *method,
                const char *path, const char *request, struct buf *body)
{
    char url[200];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", http_server_port(world->server), path);
    struct http_call http = {
        .method = method, .url = url, .body = span_of_str(request), .control = true};
    struct http_answer answer = {0};
    int rc = http_call(client, &http, &answer);
    if (rc < 0) {
        return rc;
    }
    buf_clear(body);
    buf_append(body, buf_span(&answer.body));
    int status = answer.status;
    http_answer_deinit(&answer);
    return status;
}

static json_t *get(struct world *world, const char *path)
{
    struct buf body = {0};
    assert_int_equal(call(world, world->client, "GET", path, NULL, &body), 200);
    json_t *json = json_loadb((const char *)body.data, body.bytes, 0, NULL);
    assert_non_null(json);
    buf_deinit(&body);
    return json;
}

static void routes_say_who_it_is_and_what_it_holds(void **state)
{
    struct world *world = *state;
    store(world, "web", 3);
    json_t *info = get(world, "/control/v1/info");
    assert_string_equal(json_string_value(json_object_get(info, "id")),
                        "07000000-0000-0000-0000-000000000000");
    assert_true(json_is_true(json_object_get(info, "takes_entries")));
    assert_int_equal(json_integer_value(json_object_get(info, "ingest_port")),
                     listener_port(world->api.listener));
    json_decref(info);

    json_t *tags = get(world, "/control/v1/tags");
    size_t index;
    json_t *row;
    uint64_t entries = 0;
    json_array_foreach(json_object_get(tags, "tags"), index, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "name")), "web") == 0) {
            entries = (uint64_t)json_integer_value(json_object_get(row, "entries"));
        }
    }
    assert_int_equal(entries, 3);
    json_decref(tags);

    json_t *stats = get(world, "/control/v1/stats");
    assert_int_equal(json_integer_value(json_object_get(
                         json_array_get(json_object_get(stats, "wells"), 0), "entries")),
                     3);
    assert_int_equal(json_array_size(json_object_get(stats, "connections")), 0);
    json_decref(stats);
}

/* Of those that there are only so many of, it is seen before the last one is used. */
static void numbers_of_origins_are_counted(void **state)
{
    struct world *world = *state;
    struct buf text = {0};
    struct buf line = {0};
    api_publish_metrics(&world->api);
    metrics_text(&text);
    buf_printf(&line, "\naquifer_storage_origins %u\n",
               series_origins_count(storage_origins(world->api.storage), NULL));
    assert_non_null(strstr(buf_str(&text), buf_str(&line)));
    metric_forget(&world->api);
    buf_deinit(&text);
    buf_deinit(&line);
}

static void without_the_secret_nothing_is_said(void **state)
{
    struct world *world = *state;
    struct http_client *stranger;
    struct http_client_options options = {.control_secret = "another"};
    assert_int_equal(http_client_new(&options, &stranger), 0);
    struct buf body = {0};
    for (size_t i = 0; i < api_route_count; i++) {
        assert_true((api_routes[i].flags & HTTP_CONTROL) != 0);
        const char *request = strcmp(api_routes[i].method, "GET") == 0 ? NULL : "{}";
        int status =
            call(world, stranger, api_routes[i].method, api_routes[i].path, request, &body);
        assert_true(status == ERR_AUTH || status == 401 || status == 403);
    }
    buf_deinit(&body);
    http_client_free(&stranger);
}

/* Whole frames of matching entries, an END last. */
static void a_search_streams_what_matches(void **state)
{
    struct world *world = *state;
    store(world, "web", 20);
    struct query_request request = {.query = "tag=web grep needle",
                                    .start_ns = 0,
                                    .end_ns = 11 * TIME_S_NS,
                                    .stages = 1,
                                    .entries_max = 1000};
    char *text = query_request_encode(&request);
    struct buf body = {0};
    assert_int_equal(call(world, world->client, "POST", "/control/v1/search", text, &body), 200);
    mem_free(text);
    size_t needles = 0;
    for (struct span rest = buf_span(&body); span_find(rest, SPAN_LIT("needle")) >= 0; needles++) {
        rest = span_from(rest, (size_t)span_find(rest, SPAN_LIT("needle")) + 1);
    }
    assert_int_equal(needles, 10);
    buf_deinit(&body);
}

static void a_bad_search_is_refused_with_a_reason(void **state)
{
    struct world *world = *state;
    struct buf body = {0};
    assert_int_equal(call(world, world->client, "POST", "/control/v1/search", "{", &body), 400);
    assert_non_null(strstr(buf_str(&body), "Error"));
    buf_deinit(&body);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    CHECK(sodium_init() >= 0);
    const struct CMUnitTest tests[] = {
        IN_WORLD(routes_say_who_it_is_and_what_it_holds), IN_WORLD(numbers_of_origins_are_counted),
        IN_WORLD(without_the_secret_nothing_is_said),     IN_WORLD(a_search_streams_what_matches),
        IN_WORLD(a_bad_search_is_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
