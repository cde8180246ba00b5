/* What is claimed: updates of many batches end as one lookup would have them, packed bodies that
 * are cut off are refused, and what a full fetch prints is all there is. A real HTTP server over
 * real storage; the rest of the API is in tests/cluster/test_warp10.py. */
#include "indexer/warp10.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/time.h"
#include "indexer/warp10_internal.h"
#include "net/http_client.h"
#include "service/log.h"

#define CONFIG "[Warp10]\nRead-Token=READ\nWrite-Token=WRITE\nToken-File=/nowhere/tokens\n"

struct world {
    char dir[64];
    char path[3][100];
    struct conf *conf;
    struct storage *storage;
    struct warp10 *warp10;
    struct http_server *server;
    struct http_client *client;
};

static int set_up(void **state)
{
    static const char *const names[] = {"datalog", "tags.dat", "well"};
    struct world *world = MEM_NEW(struct world);
    struct buf problems = {0};
    snprintf(world->dir, sizeof(world->dir), "/tmp/aquifer-warp10-test-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        snprintf(world->path[i], sizeof(world->path[i]), "%s/%s", world->dir, names[i]);
    }
    log_set_level(LOG_LEVEL_OFF);
    assert_int_equal(
        conf_parse(SPAN_LIT(CONFIG), "test", conf_schema_aquifer(), &problems, &world->conf), 0);
    buf_deinit(&problems);
    struct storage_well well = {.name = STORAGE_WELL_DEFAULT, .location = world->path[2]};
    struct storage_options options = {.io = io_real(),
                                      .node = {{7}},
                                      .datalog_dir = world->path[0],
                                      .tags_path = world->path[1],
                                      .wells = &well,
                                      .wells_count = 1};
    assert_int_equal(storage_open(&options, &world->storage), 0);
    assert_int_equal(warp10_new(io_real(), world->conf, world->storage, &world->warp10), 0);
    const struct http_routes table = {warp10_routes, warp10_route_count, world->warp10};
    struct http_server_options serve = {.address = "127.0.0.1"};
    assert_int_equal(http_server_start(&serve, &table, 1, &world->server), 0);
    struct http_client_options call = {0};
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
    warp10_free(&world->warp10);
    storage_close(&world->storage);
    conf_free(&world->conf);
    (void)!io_list(io_real(), world->dir, remove_tree, world->dir);
    (void)!io_remove_dir(io_real(), world->dir);
    mem_free(world);
    return 0;
}

/* The status; the body goes to `answer_body`. */
static int call(struct world *world, const char *target, const char *token, struct span body,
                const char *type, struct buf *answer_body)
{
    char url[300];
    const struct http_header header = {"X-Warp10-Token", token};
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/api/v0/%s", http_server_port(world->server),
             target);
    struct http_call http = {.method = "POST",
                             .url = url,
                             .headers = &header,
                             .header_count = 1,
                             .body = body,
                             .content_type = type};
    struct http_answer answer = {0};
    assert_int_equal(http_call(world->client, &http, &answer), 0);
    buf_clear(answer_body);
    buf_append(answer_body, buf_span(&answer.body));
    int status = answer.status;
    http_answer_deinit(&answer);
    return status;
}

/* 60000 lines: 1000 series of ten points, each written six times; the last write stands. */
static void many_batches_end_with_the_last_write_of_each_point(void **state)
{
    struct world *world = *state;
    struct buf lines = {0};
    struct buf answer = {0};
    for (int i = 0; i < 60000; i++) {
        buf_printf(&lines, "%d// many{n=%d,t=%%61} %d\n", i / 1000 % 10, i % 1000, i);
    }
    assert_int_equal(call(world, "update", "WRITE", buf_span(&lines), "text/plain", &answer), 200);
    assert_int_equal(answer.bytes, 0);
    assert_int_equal(call(world, "fetch?selector=many%7B%7D&now=99&count=99&format=fulltext",
                          "READ", SPAN_NONE, NULL, &answer),
                     200);
    struct span rest = buf_span(&answer);
    struct span line;
    size_t count = 0;
    while (span_split(&rest, '\n', &line)) {
        int time;
        int number;
        int value;
        char text[200];
        snprintf(text, sizeof(text), "%.*s", SPAN_ARG(line));
        assert_int_equal(sscanf(text, "%d// many{n=%d,t=a} %d", &time, &number, &value), 3);
        assert_int_equal(value, 50000 + time * 1000 + number);
        count++;
    }
    assert_int_equal(count, 10000);
    buf_deinit(&lines);
    buf_deinit(&answer);
}

struct client {
    struct world world; /* with a client of its own */
    int index;
    pthread_t thread;
};

static void *write_some(void *context)
{
    struct client *client = context;
    struct buf lines = {0};
    struct buf answer = {0};
    for (int round = 0; round < 10; round++) {
        buf_clear(&lines);
        for (int i = 0; i < 500; i++) {
            buf_printf(&lines, "%d// own{c=%d,n=%d} %d\n%d// shared{n=%d} 1\n", round,
                       client->index, i % 50, i, round * 500 + i, i % 7);
        }
        assert_int_equal(call(&client->world, "update", "WRITE", buf_span(&lines), NULL, &answer),
                         200);
    }
    buf_deinit(&lines);
    buf_deinit(&answer);
    return NULL;
}

static size_t count_lines(struct world *world, const char *selector)
{
    char target[200];
    struct buf answer = {0};
    snprintf(target, sizeof(target), "fetch?selector=%s&now=99999&count=99999", selector);
    assert_int_equal(call(world, target, "READ", SPAN_NONE, NULL, &answer), 200);
    size_t count = 0;
    for (size_t i = 0; i < answer.bytes; i++) {
        count += answer.data[i] == '\n';
    }
    buf_deinit(&answer);
    return count;
}

/* Readers and batches go from one request to the next, and to another client's. */
static void clients_at_a_time_write_what_they_say(void **state)
{
    struct world *world = *state;
    struct client clients[6];
    struct http_client_options options = {0};
    for (int i = 0; i < (int)ARRAY_COUNT(clients); i++) {
        clients[i] = (struct client){.world = *world, .index = i};
        assert_int_equal(http_client_new(&options, &clients[i].world.client), 0);
        assert_int_equal(pthread_create(&clients[i].thread, NULL, write_some, &clients[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++) {
        assert_int_equal(pthread_join(clients[i].thread, NULL), 0);
        http_client_free(&clients[i].world.client);
    }
    assert_int_equal(count_lines(world, "own%7B%7D"), 6 * 50 * 10);
    assert_int_equal(count_lines(world, "own%7Bc=3%7D"), 50 * 10);
    assert_int_equal(count_lines(world, "shared%7B%7D"), 5000);
}

static int fetch_one(struct world *world, const char *what)
{
    struct buf answer = {0};
    int status = call(world, what, "READ", SPAN_NONE, NULL, &answer);
    buf_deinit(&answer);
    return status;
}

static void wait_until_nobody_fetches(struct world *world)
{
    while (atomic_load(&world->warp10->fetches.inside) > 0) {
        sched_yield(); /* who has the whole answer may be there before its worker is free */
    }
}

static void who_fetches_above_what_is_allowed_is_refused_and_nobody_else(void **state)
{
    static const char *const good[] = {"fetch?selector=a%7B%7D&now=9&count=9",
                                       "find?selector=a%7B%7D"};
    struct world *world = *state;
    struct buf answer = {0};
    world->warp10->fetches.max = 1;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        atomic_fetch_add(&world->warp10->fetches.inside, 1); /* a client that reads slowly */
        assert_int_equal(fetch_one(world, good[i]), 503);
        assert_int_equal(
            call(world, "update", "WRITE", SPAN_LIT("1// a{} 1"), "text/plain", &answer), 200);
        atomic_fetch_sub(&world->warp10->fetches.inside, 1);
        assert_int_equal(fetch_one(world, good[i]), 200);
        wait_until_nobody_fetches(world);
        assert_int_equal(fetch_one(world, "fetch?selector=~%5B%7B%7D&now=9&count=9"), 500);
        wait_until_nobody_fetches(world);
    }
    buf_deinit(&answer);
}

static void a_packed_body_that_is_cut_off_is_refused_and_what_came_is_kept(void **state)
{
    struct world *world = *state;
    struct buf answer = {0};
    uint8_t packed[4096];
    z_stream z = {0};
    struct span lines = SPAN_LIT("1// cut{} 1\n2// cut{} 2\n");
    assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (uint8_t *)(uintptr_t)lines.data;
    z.avail_in = (unsigned)lines.bytes;
    z.next_out = packed;
    z.avail_out = sizeof(packed);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t bytes = z.total_out;
    (void)deflateEnd(&z);
    assert_int_equal(
        call(world, "update", "WRITE", span_of(packed, bytes), "application/gzip", &answer), 200);
    for (size_t cut = 1; cut < bytes; cut += 7) {
        assert_int_equal(
            call(world, "update", "WRITE", span_of(packed, cut), "application/gzip", &answer), 500);
    }
    assert_int_equal(
        call(world, "fetch?selector=cut%7B%7D&now=99&count=99", "READ", SPAN_NONE, NULL, &answer),
        200);
    assert_string_equal(buf_str(&answer), "2// cut{} 2\n=1// 1\n");
    buf_deinit(&answer);
}

static void a_token_may_write_at_its_rate_and_others_as_they_like(void **state)
{
    (void)state;
    struct warp10_rates rates = {0};
    struct token slow = {.id = SPAN_LIT("slow"), .points_per_s = 10};
    struct token other = {.id = SPAN_LIT("other"), .points_per_s = 10};
    struct token fast = {.id = SPAN_LIT("fast")};
    warp10_rates_init(&rates);
    assert_true(warp10_rates_allow(&rates, &slow, 0));
    warp10_rates_charge(&rates, &slow, 0, 30); /* 10 were there: 20 are owed, two seconds */
    assert_false(warp10_rates_allow(&rates, &slow, 0));
    assert_false(warp10_rates_allow(&rates, &slow, 2 * TIME_S_NS));
    assert_true(warp10_rates_allow(&rates, &slow, 2 * TIME_S_NS + TIME_S_NS / 5));
    warp10_rates_charge(&rates, &slow, 9 * TIME_S_NS, 10); /* no more than a second was saved */
    assert_false(warp10_rates_allow(&rates, &slow, 9 * TIME_S_NS));
    assert_true(warp10_rates_allow(&rates, &other, 0));
    warp10_rates_charge(&rates, &fast, 0, 1000000);
    assert_true(warp10_rates_allow(&rates, &fast, 0));
    warp10_rates_deinit(&rates);
}

static void wrong_settings_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *complaint;
    } cases[] = {{"[Warp10]\nTime-Unit=s\n", "Time-Unit"},
                 {"[Warp10]\nDatalog-PSK=hex:0\n", "hex:"},
                 {"[Warp10]\nDatalog-PSK=short\n", "Datalog-PSK"},
                 {"[Warp10]\nToken-AES-Key=hex:00\nToken-Hash-Key=x\n", "Token-AES-Key"},
                 {"[Warp10]\nRead-Token=x\nWrite-Token=x\n", "twice"}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct conf *conf;
        struct buf problems = {0};
        assert_int_equal(
            conf_parse(span_of_str(cases[i].text), "test", conf_schema_aquifer(), &problems, &conf),
            0);
        assert_true(warp10_check(io_real(), conf) < 0);
        assert_non_null(strstr(err_text(), cases[i].complaint));
        conf_free(&conf);
        buf_deinit(&problems);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_batches_end_with_the_last_write_of_each_point, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(clients_at_a_time_write_what_they_say, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            who_fetches_above_what_is_allowed_is_refused_and_nobody_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_packed_body_that_is_cut_off_is_refused_and_what_came_is_kept, set_up, tear_down),
        cmocka_unit_test(a_token_may_write_at_its_rate_and_others_as_they_like),
        cmocka_unit_test(wrong_settings_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
