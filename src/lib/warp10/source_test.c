/* What is claimed: files are sent in the order of their names and removed once they are taken; one
 * that is no request, has another's name, or is sealed with another key blocks nothing; what was
 * not taken is there for the next time. */
#include "warp10/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "net/http_server.h"
#include "warp10/request_file.h"

struct world {
    char dir[64], quarantine[80], url[64];
    struct http_server *server;
    struct http_client *client;
    struct buf got; /* bodies, one after the other */
    int status;
};

static void answer(struct http_request *request, void *context)
{
    struct world *world = context;
    if (world->status == 200) {
        buf_append(&world->got, http_request_body(request));
    }
    http_reply(request, world->status, NULL, SPAN_NONE);
}

static int set_up(void **state)
{
    static const struct http_route routes[] = {{"*", "/{rest*}", answer, 0, 1 << 20}};
    struct world *world = calloc(1, sizeof(*world));
    const struct http_routes table = {routes, ARRAY_COUNT(routes), world};
    struct http_server_options serve = {.address = "127.0.0.1"};
    struct http_client_options call = {0};
    snprintf(world->dir, sizeof(world->dir), "/tmp/aquifer-source-test-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    snprintf(world->quarantine, sizeof(world->quarantine), "%s/q", world->dir);
    assert_int_equal(http_server_start(&serve, &table, 1, &world->server), 0);
    assert_int_equal(http_client_new(&call, &world->client), 0);
    snprintf(world->url, sizeof(world->url), "http://127.0.0.1:%u",
             http_server_port(world->server));
    world->status = 200;
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
    (void)!io_list(io_real(), world->dir, remove_tree, world->dir);
    (void)!io_remove_dir(io_real(), world->dir);
    buf_deinit(&world->got);
    free(world);
    return 0;
}

static void put(struct world *world, const char *name, struct span text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", world->dir, name);
    assert_int_equal(io_write_file(io_real(), path, text), 0);
}

/* A request of `id` at `time_ns` with one line, under its name. */
static void put_request(struct world *world, int64_t time_ns, struct span id, struct span psk,
                        const char *line)
{
    struct warp10_datalog datalog = {.time_ns = time_ns,
                                     .id = id,
                                     .action = WARP10_UPDATE,
                                     .token = SPAN_LIT("W"),
                                     .now = SPAN_LIT("1")};
    struct buf name = {0};
    struct buf text = {0};
    warp10_file_name(&name, time_ns, id, 1);
    assert_int_equal(request_file_begin(&text, &datalog, psk), 0);
    buf_append_str(&text, line);
    put(world, buf_str(&name), buf_span(&text));
    buf_deinit(&name);
    buf_deinit(&text);
}

static bool stop_waiting(void *context, unsigned ms)
{
    (void)context;
    (void)ms;
    return false;
}

static bool go_on(void *context, unsigned ms)
{
    (void)context;
    (void)ms;
    return true;
}

static int count_one(void *context, const char *name)
{
    *(int *)context += span_ends_with(span_of_str(name), SPAN_LIT(SOURCE_SUFFIX));
    return 0;
}

static int left(const struct world *world)
{
    int count = 0;
    assert_int_equal(io_list(io_real(), world->dir, count_one, &count), 0);
    return count;
}

static void files_go_in_order_and_what_is_wrong_blocks_nothing(void **state)
{
    struct world *world = *state;
    const struct span ignored = SPAN_LIT("node-c");
    struct source_counts counts = {0};
    const struct span psk = SPAN_LIT("0123456789abcdef");
    struct post_target target = {.io = io_real(),
                                 .client = world->client,
                                 .url = world->url,
                                 .link = "test",
                                 .quarantine_dir = world->quarantine,
                                 .pause = go_on};
    struct source source = {world->dir, psk, &ignored, 1, &target};
    put_request(world, 300, SPAN_LIT("node-a"), psk, "3\n");
    put_request(world, 100, SPAN_LIT("node-b"), psk, "1\n");
    put_request(world, 200, SPAN_LIT("node-a"), psk, "2\n");
    put_request(world, 250, SPAN_LIT("node-c"), psk, "ignored\n");
    put_request(world, 150, SPAN_LIT("node-a"), SPAN_LIT("another key 1234"), "sealed\n");
    put(world, "00.datalog", SPAN_LIT("junk"));
    put(world, "01.datalog", SPAN_NONE);
    put(world, "being-written", SPAN_LIT("#"));
    assert_int_equal(source_forward(&source, &counts), 0);
    assert_string_equal(buf_str(&world->got), "1\n2\n3\n");
    assert_int_equal(counts.sent, 3);
    assert_int_equal(counts.ignored, 1);
    assert_int_equal(counts.set_aside, 2);
    assert_int_equal(left(world), 0);
}

static void what_was_not_taken_is_there_the_next_time(void **state)
{
    struct world *world = *state;
    struct source_counts counts = {0};
    struct post_target target = {.io = io_real(),
                                 .client = world->client,
                                 .url = world->url,
                                 .link = "test",
                                 .quarantine_dir = world->quarantine,
                                 .pause = stop_waiting};
    struct source source = {.dir = world->dir, .target = &target};
    put_request(world, 100, SPAN_LIT("node-a"), SPAN_NONE, "1\n");
    put_request(world, 200, SPAN_LIT("node-a"), SPAN_NONE, "2\n");
    world->status = 503;
    assert_int_equal(source_forward(&source, &counts), ERR_CANCELLED);
    assert_int_equal(left(world), 2);
    world->status = 200;
    assert_int_equal(source_forward(&source, &counts), 0);
    assert_string_equal(buf_str(&world->got), "1\n2\n");
    assert_int_equal(left(world), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_go_in_order_and_what_is_wrong_blocks_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_was_not_taken_is_there_the_next_time, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
