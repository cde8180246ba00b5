/*
 * A client that sends the headers of its request byte by byte is cut, however it goes about it;
 * nobody else is: a kept connection, a handler that takes its time, an upload that comes slowly.
 */
#include "net/testing.h"

#define HEADER_TIMEOUT_MS 500
#define IDLE_TIMEOUT_S 60 /* longer than this lasts: what is cut is cut for its headers */
#define TRICKLE_MS 10

static struct testing_clock the_clock;

static struct {
    atomic_bool is_slow_here, is_uploading, leave;
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

static void upload_all(struct http_request *request, void *context)
{
    (void)context;
    char piece[10];
    size_t got = 0;
    atomic_store(&world.is_uploading, true);
    do {
        CHECK(http_request_read(request, piece, sizeof(piece), &got) == 0);
    } while (got > 0);
    http_reply_json(request, 200, json_object());
}

static struct http_server *start(void)
{
    static const struct http_route routes[] = {
        {.method = "GET", .path = "/quick", .handler = quick},
        {.method = "GET", .path = "/slow", .handler = slow},
        {.method = "POST", .path = "/upload", .handler = upload_all, .flags = HTTP_BODY_STREAM},
    };
    struct http_server_options options = {.io = &the_clock.io,
                                          .idle_timeout_s = IDLE_TIMEOUT_S,
                                          .header_timeout_ms = HEADER_TIMEOUT_MS};
    testing_clock_begin(&the_clock);
    world.is_slow_here = world.is_uploading = world.leave = false;
    return testing_start(options, routes, ARRAY_COUNT(routes), NULL);
}

/* A byte now and then, `step_ms` of the server's time between them, until it ends the connection.
 */
static bool is_cut(struct raw *raw, const char *first, int64_t step_ms)
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
        the_clock.now_ns += step_ms * TIME_MS_NS;
    }
    return false;
}

static void headers_that_never_end_are_cut(void **state)
{
    (void)state;
    static const char *const firsts[] = {"", "GE", "GET /quick HTTP/1.1\r\nHost: x\r\nX: "};
    struct http_server *server = start();
    struct http_server_stats stats;
    for (size_t i = 0; i < ARRAY_COUNT(firsts); i++) {
        struct raw raw = raw_connect(http_server_port(server));
        assert_true(is_cut(&raw, firsts[i], HEADER_TIMEOUT_MS / 10));
        raw_close(&raw);
    }
    struct raw kept = raw_connect(http_server_port(server));
    assert_int_equal(raw_status(&kept, "GET /quick HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
    assert_true(is_cut(&kept, "GET /", IDLE_TIMEOUT_S * 100));
    raw_close(&kept);
    http_server_stats(server, &stats);
    assert_int_equal(stats.cut_headers, ARRAY_COUNT(firsts) + 1);
    http_server_stop(&server);
}

/* Each holds its connection for longer than headers may take; another's cut says that it was. */
static void whoever_has_sent_its_headers_has_its_time(void **state)
{
    (void)state;
    struct http_server *server = start();
    struct raw_answer answer = {0};
    struct raw kept = raw_connect(http_server_port(server));
    assert_int_equal(raw_status(&kept, "GET /quick HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
    struct raw waiting = raw_connect(http_server_port(server));
    raw_say(&waiting, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&world.is_slow_here);
    struct raw upload = raw_connect(http_server_port(server));
    raw_say(&upload, "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab");
    wait_for(&world.is_uploading);
    for (int i = 0; i < 2; i++) {
        struct raw trickle = raw_connect(http_server_port(server));
        assert_true(is_cut(&trickle, "G", HEADER_TIMEOUT_MS / 10));
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
