/* What is claimed: what a target cannot take now is sent again for ever with growing pauses, what
 * it refuses five times goes to quarantine and the rest goes on; what goes over the wire is what
 * Warp 10 2.x expects. A real HTTP server that answers as it is told. */
#include "warp10/post.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "net/http_server.h"

struct world {
    char dir[64];
    char quarantine[80];
    char url[64];
    struct http_server *server;
    struct http_client *client;
    int statuses[16]; /* of the answers, in turn; the last one for ever */
    size_t at;
    unsigned requests;
    unsigned pauses[64];
    size_t pause_count, pauses_max;
    unsigned given_up;
    char target[400], type[64], header[200];
    struct buf body;
};

static void answer(struct http_request *request, void *context)
{
    struct world *world = context;
    const char *type = http_request_header(request, "Content-Type");
    int status = world->statuses[world->at];
    world->at += world->statuses[world->at + 1] != 0;
    world->requests++;
    snprintf(world->target, sizeof(world->target), "%s %s", http_request_method(request),
             http_request_target(request));
    snprintf(world->type, sizeof(world->type), "%s", type == NULL ? "" : type);
    snprintf(world->header, sizeof(world->header), "%s",
             http_request_header(request, WARP10_DATALOG_HEADER));
    buf_clear(&world->body);
    buf_append(&world->body, http_request_body(request));
    http_reply(request, status, "text/plain", SPAN_LIT("because"));
}

static int set_up(void **state)
{
    static const struct http_route routes[] = {{"*", "/{rest*}", answer, 0, 1 << 20}};
    struct world *world = MEM_NEW(struct world);
    const struct http_routes table = {routes, ARRAY_COUNT(routes), world};
    struct http_server_options serve = {.address = "127.0.0.1"};
    struct http_client_options call = {0};
    snprintf(world->dir, sizeof(world->dir), "/tmp/aquifer-post-test-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    snprintf(world->quarantine, sizeof(world->quarantine), "%s/q", world->dir);
    assert_int_equal(http_server_start(&serve, &table, 1, &world->server), 0);
    assert_int_equal(http_client_new(&call, &world->client), 0);
    snprintf(world->url, sizeof(world->url), "http://127.0.0.1:%u",
             http_server_port(world->server));
    world->pauses_max = ARRAY_COUNT(world->pauses);
    *state = world;
    return 0;
}

static int drop(void *context, const char *name)
{
    return refused_drop(io_real(), context, name);
}

static int tear_down(void **state)
{
    struct world *world = *state;
    http_client_free(&world->client);
    http_server_stop(&world->server);
    assert_int_equal(refused_each(io_real(), world->quarantine, drop, world->quarantine), 0);
    (void)!io_remove_dir(io_real(), world->quarantine);
    assert_int_equal(io_remove_dir(io_real(), world->dir), 0);
    buf_deinit(&world->body);
    mem_free(world);
    return 0;
}

static bool note_pause(void *context, unsigned ms)
{
    struct world *world = context;
    if (world->pause_count == world->pauses_max) {
        return false;
    }
    world->pauses[world->pause_count++] = ms;
    return true;
}

static void note(void *context, const char *text, bool given_up)
{
    struct world *world = context;
    assert_true(text[0] != 0);
    world->given_up += given_up;
}

static struct post_target target_of(struct world *world)
{
    return (struct post_target){.io = io_real(),
                                .client = world->client,
                                .url = world->url,
                                .link = "paris",
                                .quarantine_dir = world->quarantine,
                                .pause = note_pause,
                                .pause_context = world,
                                .tell = note,
                                .tell_context = world};
}

static const struct post_request update = {WARP10_UPDATE, SPAN_LIT("HEADER"), SPAN_NONE,
                                           SPAN_LIT("1// a{} 1\n")};

static void what_cannot_be_taken_now_is_sent_until_it_is(void **state)
{
    struct world *world = *state;
    struct post_target target = target_of(world);
    memcpy(world->statuses, (int[]){503, 429, 504, 408, 502, 503, 503, 503, 200, 0},
           10 * sizeof(int));
    assert_int_equal(post_deliver(&target, &update), 0);
    assert_int_equal(world->requests, 9);
    assert_int_equal(world->pause_count, 8);
    for (size_t i = 1; i < 8; i++) {
        assert_int_equal(world->pauses[i], 2 * world->pauses[i - 1]);
    }
    assert_int_equal(world->given_up, 0);
}

static void pauses_grow_to_a_minute_and_stop_when_told(void **state)
{
    struct world *world = *state;
    struct post_target target = target_of(world);
    world->statuses[0] = 503;
    assert_int_equal(post_deliver(&target, &update), ERR_CANCELLED);
    assert_int_equal(world->pause_count, 64);
    assert_int_equal(world->pauses[63], POST_PAUSE_MS_MAX);
}

static int look(void *context, const char *name)
{
    struct world *world = context;
    struct buf text = {0};
    struct refused_item item;
    assert_int_equal(refused_get(io_real(), world->quarantine, name, &text, &item), 0);
    assert_true(span_equal_str(item.reason, "500: because"));
    assert_true(span_equal_str(item.link, "paris"));
    assert_true(span_equal_str(item.target, world->url));
    assert_true(span_equal_str(item.request, "HEADER\n1// a{} 1\n"));
    assert_int_equal(item.tries, 5);
    buf_deinit(&text);
    return 1;
}

static void what_is_refused_five_times_is_set_aside_with_its_reason(void **state)
{
    struct world *world = *state;
    struct post_target target = target_of(world);
    world->statuses[0] = 500;
    assert_int_equal(post_deliver(&target, &update), 1);
    assert_int_equal(world->requests, POST_TRIES_MAX);
    assert_int_equal(world->given_up, 1);
    assert_int_equal(refused_each(io_real(), world->quarantine, look, world), 1);
    target.quarantine_dir = NULL;
    assert_int_equal(post_deliver(&target, &update), ERR_DENIED);
}

static void refusals_between_failures_count_alone(void **state)
{
    (void)state;
    struct post_retry retry = {0};
    for (unsigned i = 1; i < POST_TRIES_MAX; i++) {
        assert_true(post_again(&retry, POST_REFUSED));
        assert_true(post_again(&retry, POST_LATER));
    }
    assert_false(post_again(&retry, POST_REFUSED));
}

static void requests_look_as_those_of_warp_10(void **state)
{
    struct world *world = *state;
    struct post_target target = target_of(world);
    struct post_request request = update;
    world->statuses[0] = 200;
    assert_int_equal(post_deliver(&target, &request), 0);
    assert_string_equal(world->target, "POST /api/v0/update");
    assert_string_equal(world->header, "HEADER");
    assert_string_equal(buf_str(&world->body), "1// a{} 1\n");
    target.compress = true;
    request.action = WARP10_META;
    assert_int_equal(post_deliver(&target, &request), 0);
    assert_string_equal(world->target, "POST /api/v0/meta");
    assert_string_equal(world->type, "application/gzip");
    uint8_t plain[64];
    z_stream z = {.next_in = world->body.data, .avail_in = (unsigned)world->body.bytes};
    assert_int_equal(inflateInit2(&z, 31), Z_OK);
    z.next_out = plain;
    z.avail_out = sizeof(plain);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_true(span_equal_str(span_of(plain, z.total_out), "1// a{} 1\n"));
    (void)inflateEnd(&z);
    request = (struct post_request){
        .action = WARP10_DELETE,
        .header = SPAN_LIT("H"),
        .query = SPAN_LIT("selector=~demo.*{room=hall,a~b|c}&start=1&end=2&x=%7B%20+")};
    assert_int_equal(post_deliver(&target, &request), 0);
    assert_string_equal(
        world->target,
        "GET /api/v0/delete?selector=~demo.*{room=hall,a~b|c}&start=1&end=2&x=%7B%20+");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_cannot_be_taken_now_is_sent_until_it_is, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(pauses_grow_to_a_minute_and_stop_when_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_refused_five_times_is_set_aside_with_its_reason,
                                        set_up, tear_down),
        cmocka_unit_test(refusals_between_failures_count_alone),
        cmocka_unit_test_setup_teardown(requests_look_as_those_of_warp_10, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
