/*
 * A client that sends the headers of its request byte by byte is cut, however it goes about it;
 * nobody else is: a kept connection, a handler that takes its time, an upload that comes slowly.
 */
#include "net/testing.h"

#define HEADER_TIMEOUT_MS 500
#define FAIR_TIMEOUT_MS 1500 /* a busy machine sends a line within it */
#define TRICKLE_MS 10

static struct {
    atomic_bool is_slow_here, leave;
} world;

static void quick(struct http_request *request, void *context)
{
    (void)context;
    http_reply_json(request, 200, json_object());
}

static void slow(struct http_request *request, void *context)
{
    (void)context;
    atomic_store(&world.is_slow_here, true);
    wait_for(&world.leave);
    http_reply_json(request, 200, json_object());
}

static struct http_server *start(struct http_server_options options)
{
    static const struct http_route routes[] = {
        {.method = "GET", .path = "/quick", .handler = quick},
        {.method = "POST", .path = "/quick", .handler = quick},
        {.method = "GET", .path = "/slow", .handler = slow},
    };
    world.is_slow_here = world.leave = false;
    return testing_start(options, routes, ARRAY_COUNT(routes), NULL);
}

/* A byte now and then until the server ends the connection. */
static bool is_cut(struct raw *raw, const char *first)
{
    raw_say(raw, first);
    for (int i = 0; i < TESTING_DEADLINE_MS / TRICKLE_MS; i++) {
        struct pollfd fd = {.fd = raw->fd, .events = POLLIN};
        if (poll(&fd, 1, TRICKLE_MS) > 0) {
            return !raw_more(raw);
        }
        if (send(raw->fd, "x", 1, MSG_NOSIGNAL) < 0) {
            return true;
        }
    }
    return false;
}

static void headers_that_never_end_are_cut(void **state)
{
    (void)state;
    static const char *const firsts[] = {"", "GE", "GET /quick HTTP/1.1\r\nHost: x\r\nX: "};
    struct http_server *server = start(
        (struct http_server_options){.idle_timeout_s = 1, .header_timeout_ms = HEADER_TIMEOUT_MS});
    struct http_server_stats stats;
    for (size_t i = 0; i < ARRAY_COUNT(firsts); i++) {
        struct raw raw = raw_connect(http_server_port(server));
        assert_true(is_cut(&raw, firsts[i]));
        raw_close(&raw);
    }
    struct raw kept = raw_connect(http_server_port(server));
    assert_int_equal(raw_status(&kept, "GET /quick HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
    assert_true(is_cut(&kept, "GET /"));
    raw_close(&kept);
    http_server_stats(server, &stats);
    assert_int_equal(stats.cut_headers, ARRAY_COUNT(firsts) + 1);
    http_server_stop(&server);
}

/* Each holds its connection for longer than headers may take; another's cut says that it was. */
static void whoever_has_sent_its_headers_has_its_time(void **state)
{
    (void)state;
    struct http_server *server =
        start((struct http_server_options){.header_timeout_ms = FAIR_TIMEOUT_MS});
    struct raw_answer answer = {0};
    struct raw kept = raw_connect(http_server_port(server));
    assert_int_equal(raw_status(&kept, "GET /quick HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
    struct raw waiting = raw_connect(http_server_port(server));
    raw_say(&waiting, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&world.is_slow_here);
    struct raw upload = raw_connect(http_server_port(server));
    raw_say(&upload, "POST /quick HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab");
    for (int i = 0; i < 2; i++) {
        struct raw trickle = raw_connect(http_server_port(server));
        assert_true(is_cut(&trickle, "G"));
        raw_close(&trickle);
    }
    assert_int_equal(raw_status(&upload, "cd"), 200);
    assert_int_equal(raw_status(&kept, "GET /quick HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
    atomic_store(&world.leave, true);
    raw_read(&waiting, &answer);
    assert_int_equal(answer.status, 200);
    raw_answer_deinit(&answer);
    raw_close(&upload);
    raw_close(&waiting);
    raw_close(&kept);
    http_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_that_never_end_are_cut),
        cmocka_unit_test(whoever_has_sent_its_headers_has_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
