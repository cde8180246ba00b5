/*
 * The HTTP server against a raw client on real sockets: what is promised in http_server.h about
 * connections, bodies, bounds, streams and stopping.
 */
#include "net/testing.h"

#include "base/testing_port.h"

/* ── Handlers ────────────────────────────────────────────────────────────────────────────── */

struct world {
    atomic_bool entered, leave, told, left;
    _Atomic uint64_t written;
    struct http_stream *streams[400];
    _Atomic size_t stream_count;
    pthread_mutex_t lock;
};

static void echo(struct http_request *request, void *context)
{
    (void)context;
    http_reply(request, 200, "application/octet-stream", http_request_body(request));
}

static void count_body(struct http_request *request, void *context)
{
    (void)context;
    uint8_t piece[7777];
    size_t got = 0;
    uint64_t bytes = 0;
    uint64_t sum = 0;
    int rc;
    while ((rc = http_request_read(request, piece, sizeof(piece), &got)) == 0 && got > 0) {
        for (size_t i = 0; i < got; i++) {
            sum = sum * 31 + piece[i];
        }
        bytes += got;
    }
    if (rc < 0) {
        http_reply_fault(request, rc);
        return;
    }
    http_reply_json(
        request, 200,
        json_pack("{s:I, s:I}", "Bytes", (json_int_t)bytes, "Sum", (json_int_t)(sum & 0xFFFFFFFF)));
}

static void refuse_early(struct http_request *request, void *context)
{
    (void)context;
    http_reply_error(request, 403, "not you");
}

static void forget_to_reply(struct http_request *request, void *context)
{
    (void)request;
    (void)context;
}

static void long_error(struct http_request *request, void *context)
{
    (void)context;
    char text[900];
    memset(text, '"', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    memcpy(text + 100, "\xC3\xA4", 2);
    http_reply_error(request, 400, "%s", text);
}

static void wait_to_leave(struct http_request *request, void *context)
{
    struct world *world = context;
    atomic_store(&world->entered, true);
    wait_for(&world->leave);
    http_reply(request, 200, "text/plain", SPAN_LIT("done"));
}

static void hold_stream(struct http_request *request, void *context)
{
    struct world *world = context;
    struct http_stream *stream;
    if (http_reply_stream(request, 200, "text/plain", &stream) == 0) {
        pthread_mutex_lock(&world->lock);
        world->streams[world->stream_count] = stream;
        atomic_fetch_add(&world->stream_count, 1);
        pthread_mutex_unlock(&world->lock);
    }
}

static void set_left(void *context)
{
    struct world *world = context;
    atomic_store(&world->left, true);
}

static void stream_for_ever(struct http_request *request, void *context)
{
    struct world *world = context;
    struct http_stream *stream;
    uint8_t piece[10000];
    memset(piece, 'x', sizeof(piece));
    if (http_reply_stream(request, 200, "text/plain", &stream) != 0) {
        return;
    }
    while (http_stream_write(stream, span_of(piece, sizeof(piece))) == 0) {
        atomic_fetch_add(&world->written, sizeof(piece));
    }
    atomic_store(&world->told, true);
    http_stream_end(&stream);
}

static void stream_numbers(struct http_request *request, void *context)
{
    (void)context;
    struct http_stream *stream;
    const char *abort = http_request_query(request, "abort");
    if (http_reply_stream(request, 200, "text/plain", &stream) != 0) {
        return;
    }
    for (int i = 0; i < 100000; i++) {
        char line[32];
        int bytes = snprintf(line, sizeof(line), "%d\n", i);
        if (http_stream_write(stream, span_of(line, (size_t)bytes)) != 0) {
            break;
        }
    }
    if (abort != NULL) {
        http_stream_abort(&stream);
    } else {
        http_stream_end(&stream);
    }
}

static void tell_about(struct http_request *request, void *context)
{
    (void)context;
    json_t *body = NULL;
    int rc = http_request_json(request, &body);
    if (rc < 0) {
        http_reply_fault(request, rc);
        return;
    }
    const char *cookie = http_request_cookie(request, "b");
    const char *empty = http_request_header(request, "X-Empty");
    http_reply_header(request, "X-Extra", "yes");
    http_reply_json(request, 200,
                    json_pack("{s:s, s:s, s:s?, s:s?, s:b, s:s}", "Method",
                              http_request_method(request), "Param",
                              http_request_param(request, "id"), "Cookie", cookie, "Empty", empty,
                              "Json", rc == 0, "Peer", http_request_peer(request)));
    json_decref(body);
}

static void send_file(struct http_request *request, void *context)
{
    (void)context;
    http_reply_file(request, 200, "text/plain", http_request_query(request, "path"));
}

static const struct http_route routes[] = {
    {.method = "GET", .path = "/echo", .handler = echo},
    {.method = "POST", .path = "/echo", .handler = echo},
    {.method = "POST", .path = "/small", .handler = echo, .body_bytes_max = 1000},
    {.method = "POST", .path = "/count", .handler = count_body, .flags = HTTP_BODY_STREAM},
    {.method = "POST",
     .path = "/bounded",
     .handler = count_body,
     .flags = HTTP_BODY_STREAM,
     .body_bytes_max = 100000},
    {.method = "POST", .path = "/early", .handler = refuse_early, .flags = HTTP_BODY_STREAM},
    {.method = "GET", .path = "/silent", .handler = forget_to_reply},
    {.method = "GET", .path = "/long-error", .handler = long_error},
    {.method = "GET", .path = "/wait", .handler = wait_to_leave},
    {.method = "GET", .path = "/hold", .handler = hold_stream},
    {.method = "GET", .path = "/for-ever", .handler = stream_for_ever},
    {.method = "GET", .path = "/numbers", .handler = stream_numbers},
    {.method = "*", .path = "/about/{id}", .handler = tell_about},
    {.method = "GET", .path = "/file", .handler = send_file},
};

static struct world world;

static struct http_server *start(struct http_server_options options)
{
    world = (struct world){.lock = PTHREAD_MUTEX_INITIALIZER};
    return testing_start(options, routes, ARRAY_COUNT(routes), &world);
}

static void wait_for_streams(size_t count)
{
    for (int i = 0; i < TESTING_DEADLINE_MS && atomic_load(&world.stream_count) < count; i++) {
        (void)poll(NULL, 0, 1);
    }
    assert_int_equal(atomic_load(&world.stream_count), count);
}

/* ── Connections and bodies ──────────────────────────────────────────────────────────────── */

/* One connection for all of them: whatever the answer, the next request is understood. */
static void a_connection_survives_every_kind_of_answer(void **state)
{
    (void)state;
    struct http_server *server = start((struct http_server_options){0});
    struct raw raw = raw_connect(http_server_port(server));
    struct buf large = {0};
    buf_printf(&large, "POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n%300000s",
               "x");
    struct buf unknown = {0};
    buf_printf(&unknown, "POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n%90000s",
               "x");
    const struct {
        int status;
        const char *request;
    } cases[] = {
        {200, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"},
        {404, "GET /nope HTTP/1.1\r\nHost: x\r\n\r\n"},
        {404, buf_str(&unknown)},
        {405, "PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"},
        {413, buf_str(&large)},
        {413, "POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
              "3E8\r\n%1000s\r\n1\r\nx\r\n0\r\n\r\n"},
        {400, "GET /echo/%zz HTTP/1.1\r\nHost: x\r\n\r\n"},
        {400, "POST /about/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n{"},
        {200, "GET /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nbody on get"},
        {200, "DELETE /about/1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\r\n"},
        {200, "PUT /about/1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
              "Content-Length: 0\r\n\r\n"},
        {403, "POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"},
        {500, "GET /silent HTTP/1.1\r\nHost: x\r\n\r\n"},
        {200, "GET /numbers HTTP/1.1\r\nHost: x\r\n\r\n"},
        {404, "GET /file?path=/nowhere HTTP/1.1\r\nHost: x\r\n\r\n"},
        {200, "GET /echo/ HTTP/1.1\r\nHost: x\r\n\r\n"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char *request = mem_strdup(cases[i].request);
        char *hole = strstr(request, "%1000s");
        if (hole != NULL) {
            char *filled =
                mem_printf("%.*s%1000s%s", (int)(hole - request), request, "x", hole + 6);
            mem_free(request);
            request = filled;
        }
        int status = raw_status(&raw, request);
        if (status != cases[i].status) {
            fail_msg("%d instead of %d: %.60s", status, cases[i].status, request);
        }
        mem_free(request);
    }
    struct http_server_stats stats;
    http_server_stats(server, &stats);
    assert_int_equal(stats.connections, 1);
    assert_int_equal(stats.requests, ARRAY_COUNT(cases));
    buf_deinit(&large);
    buf_deinit(&unknown);
    raw_close(&raw);
    http_server_stop(&server);
}

static void a_get_with_a_body_gives_the_body_to_its_handler(void **state)
{
    (void)state;
    struct http_server *server = start((struct http_server_options){0});
    struct raw raw = raw_connect(http_server_port(server));
    struct raw_answer answer = {0};
    raw_say(&raw, "GET /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nbody ");
    raw_say(&raw, "on get");
    raw_read(&raw, &answer);
    assert_string_equal(buf_str(&answer.body), "body on get");
    raw_answer_deinit(&answer);
    raw_close(&raw);
    http_server_stop(&server);
}

static void a_handler_sees_method_parameter_cookie_and_peer(void **state)
{
    (void)state;
    struct http_server *server = start((struct http_server_options){0});
    struct raw raw = raw_connect(http_server_port(server));
    struct raw_answer answer = {0};
    raw_say(&raw, "PATCH /about/a%2Fb HTTP/1.1\r\nhost: x\r\nCOOKIE: a=1; b=\"two\" ;c=3\r\n"
                  "X-Empty:\r\nContent-Length: 4\r\n\r\nnull");
    raw_read(&raw, &answer);
    assert_string_equal(buf_str(&answer.body),
                        "{\"Method\":\"PATCH\",\"Param\":\"a/b\",\"Cookie\":\"two\",\"Empty\":null,"
                        "\"Json\":true,\"Peer\":\"127.0.0.1\"}");
    assert_non_null(strstr(buf_str(&answer.head), "\r\nX-Extra: yes\r\n"));
    /* What no JSON can hold ends a request, not the server. */
    assert_int_equal(raw_status(&raw, "GET /about/%FF HTTP/1.1\r\nHost: x\r\n\r\n"), 500);
    raw_answer_deinit(&answer);
    raw_close(&raw);
    http_server_stop(&server);
}

/* Chunks of odd sizes, cut anywhere; far more than the queue between I/O thread and handler. */
static void a_chunked_upload_arrives_whole_and_in_order(void **state)
{
    (void)state;
    struct http_server *server = start((struct http_server_options){0});
    struct raw raw = raw_connect(http_server_port(server));
    uint8_t chunk[9001];
    uint64_t sum = 0;
    uint64_t bytes = 0;
    raw_say(&raw, "POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; i < 400; i++) {
        size_t size = 1 + i * 7919 % sizeof(chunk);
        char head[16];
        for (size_t b = 0; b < size; b++) {
            chunk[b] = (uint8_t)(b * 13 + i);
            sum = sum * 31 + chunk[b];
        }
        bytes += size;
        raw_send(&raw, head, (size_t)snprintf(head, sizeof(head), "%zx\r\n", size));
        raw_send(&raw, chunk, size / 3);
        raw_send(&raw, chunk + size / 3, size - size / 3);
        raw_say(&raw, "\r\n");
    }
    raw_say(&raw, "0\r\n\r\n");
    struct raw_answer answer = {0};
    char expected[96];
    raw_read(&raw, &answer);
    (void)snprintf(expected, sizeof(expected), "{\"Bytes\":%llu,\"Sum\":%llu}",
                   (unsigned long long)bytes, (unsigned long long)(sum & 0xFFFFFFFF));
    assert_int_equal(answer.status, 200);
    assert_string_equal(buf_str(&answer.body), expected);
    raw_answer_deinit(&answer);
    raw_close(&raw);
    http_server_stop(&server);
}

static void a_streamed_body_above_its_bound_is_refused(void **state)
{
    (void)state;
    struct http_server *server = start((struct http_server_options){0});
    struct raw raw = raw_connect(http_server_port(server));
    struct raw_answer answer = {0};
    char *zeros = mem_alloc(1000);
    raw_say(&raw, "POST /bounded HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 200; i++) {
        raw_say(&raw, "3e8\r\n");
        raw_send(&raw, zeros, 1000);
        raw_say(&raw, "\r\n");
    }
    raw_say(&raw, "0\r\n\r\n");
    raw_read(&raw, &answer);
    assert_int_equal(answer.status, 413);
    assert_int_equal(raw_status(&raw, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
    /* libmicrohttpd takes this length for "not known" and would wait for it. */
    assert_int_equal(raw_status(&raw, "POST /echo HTTP/1.1\r\nHost: x\r\n"
                                      "Content-Length: 18446744073709551615\r\n\r\n"),
                     413);
    mem_free(zeros);
    raw_answer_deinit(&answer);
    raw_close(&raw);
    http_server_stop(&server);
}

/* Two lengths, a length and chunks, a coding that is not known, a name with a space: one reader may
 * see one request there, another two. */
static void a_body_whose_end_is_not_clear_is_refused_and_nothing_behind_it_is_read(void **state)
{
    (void)state;
    struct http_server *server = start((struct http_server_options){0});
    static const char *const heads[] = {
        "Content-Length: 4\r\nContent-Length: 5",
        "Content-Length: 4\r\nContent-Length: 4",
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding : chunked",
        "Content-Length : 4",
        "Content-Length: 4\r\nTransfer-Encoding\t: chunked",
    };
    for (size_t i = 0; i < ARRAY_COUNT(heads); i++) {
        struct raw raw = raw_connect(http_server_port(server));
        char *text = mem_printf("POST /echo HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n0\r\n\r\n"
                                "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n",
                                heads[i]);
        assert_int_equal(raw_status(&raw, text), 400);
        while (raw_more(&raw)) {}
        assert_int_equal(raw.in.bytes, 0);
        mem_free(text);
        raw_close(&raw);
    }
    http_server_stop(&server);
}

static void a_client_that_breaks_off_its_upload_fails_the_handler_and_nobody_else(void **state)
{
    (void)state;
    struct http_server *server = start((struct http_server_options){.worker_threads = 1});
    struct raw raw = raw_connect(http_server_port(server));
    raw_say(&raw, "POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nfew");
    raw_close(&raw);
    raw = raw_connect(http_server_port(server));
    assert_int_equal(raw_status(&raw, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
    raw_close(&raw);
    raw = raw_connect(http_server_port(server));
    raw_say(&raw, "GET /ec"); /* nor one that breaks off its headers */
    raw_close(&raw);
    raw = raw_connect(http_server_port(server));
    raw_say(&raw, "\x16\x03\x01 nonsense\r\n\r\n");
    while (raw_more(&raw)) {}
    raw_close(&raw);
    http_server_stop(&server);
}

/* Data, end of stream and all in one segment, for streamed and buffered bodies. */
static void a_client_that_only_closes_its_sending_side_gets_its_answer(void **state)
{
    (void)state;
    struct http_server *server = start((struct http_server_options){0});
    static const char *const paths[] = {"echo", "count"};
    for (size_t i = 0; i < 40; i++) {
        struct raw raw = raw_connect(http_server_port(server));
        struct raw_answer answer = {0};
        char *request = mem_printf("POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
                                   paths[i % 2]);
        raw_say(&raw, request);
        assert_int_equal(shutdown(raw.fd, SHUT_WR), 0);
        raw_read(&raw, &answer);
        assert_int_equal(answer.status, 200);
        mem_free(request);
        raw_answer_deinit(&answer);
        raw_close(&raw);
    }
    http_server_stop(&server);
}

/* ── Bounds ──────────────────────────────────────────────────────────────────────────────── */

static void headers_above_their_bound_get_431(void **state)
{
    (void)state;
    struct http_server *server = start((struct http_server_options){.header_bytes_max = 4096});
    struct raw raw = raw_connect(http_server_port(server));
    char *request = mem_printf("GET /echo HTTP/1.1\r\nHost: x\r\nX-Long: a%5000sz\r\n\r\n", "");
    assert_int_equal(raw_status(&raw, request), 431);
    assert_int_equal(raw_status(&raw, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
    struct http_server_stats stats;
    http_server_stats(server, &stats);
    assert_int_equal(stats.refused_431, 1);
    mem_free(request);
    raw_close(&raw);
    http_server_stop(&server);
}

static void busy_workers_and_a_full_queue_give_503(void **state)
{
    (void)state;
    struct http_server *server =
        start((struct http_server_options){.worker_threads = 1, .queued_requests_max = 1});
    struct raw first = raw_connect(http_server_port(server));
    struct raw second = raw_connect(http_server_port(server));
    struct raw third = raw_connect(http_server_port(server));
    struct http_server_stats stats = {0};
    struct raw_answer answer = {0};
    raw_say(&first, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&world.entered);
    raw_say(&second, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    while (stats.queued_now == 0) {
        http_server_stats(server, &stats);
    }
    assert_int_equal(raw_status(&third, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"), 503);
    atomic_store(&world.leave, true);
    raw_read(&first, &answer);
    assert_int_equal(answer.status, 200);
    raw_read(&second, &answer);
    assert_int_equal(answer.status, 200);
    raw_answer_deinit(&answer);
    raw_close(&first);
    raw_close(&second);
    raw_close(&third);
    http_server_stop(&server);
}

static void connections_above_their_bound_get_503(void **state)
{
    (void)state;
    struct http_server *server = start((struct http_server_options){.connections_max = 2});
    struct raw raws[3];
    for (size_t i = 0; i < ARRAY_COUNT(raws); i++) {
        raws[i] = raw_connect(http_server_port(server));
        assert_int_equal(raw_status(&raws[i], "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"),
                         i < 2 ? 200 : 503);
    }
    for (size_t i = 0; i < ARRAY_COUNT(raws); i++) {
        raw_close(&raws[i]);
    }
    http_server_stop(&server);
}

static void an_error_body_has_at_most_255_bytes_and_is_json(void **state)
{
    (void)state;
    struct http_server *server = start((struct http_server_options){0});
    struct raw raw = raw_connect(http_server_port(server));
    struct raw_answer answer = {0};
    raw_say(&raw, "GET /long-error HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_read(&raw, &answer);
    assert_true(answer.body.bytes <= HTTP_ERROR_BYTES_MAX && answer.body.bytes > 240);
    json_t *json = json_loadb((const char *)answer.body.data, answer.body.bytes, 0, NULL);
    assert_non_null(json_string_value(json_object_get(json, "Error")));
    json_decref(json);
    raw_answer_deinit(&answer);
    raw_close(&raw);
    http_server_stop(&server);
}

/* ── Streams ─────────────────────────────────────────────────────────────────────────────── */

static void a_stream_arrives_whole_and_an_aborted_one_does_not_look_whole(void **state)
{
    (void)state;
    struct http_server *server = start((struct http_server_options){.stream_buffer_bytes = 4096});
    struct raw raw = raw_connect(http_server_port(server));
    struct raw_answer answer = {0};
    raw_say(&raw, "GET /numbers HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_read(&raw, &answer);
    assert_int_equal(answer.body.bytes, 588890);
    assert_memory_equal(answer.body.data + answer.body.bytes - 6, "99999\n", 6);
    raw_say(&raw, "GET /numbers?abort HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_head(&raw, &answer);
    while (raw_more(&raw)) {}
    assert_true(span_find(buf_span(&raw.in), SPAN_LIT("\r\n0\r\n\r\n")) < 0);
    raw_answer_deinit(&answer);
    raw_close(&raw);
    http_server_stop(&server);
}

/* Two workers, 300 streams: they cost no worker; each write reaches every client. */
static void hundreds_of_streams_need_no_worker(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    struct http_server *server = start((struct http_server_options){.worker_threads = 2});
    struct raw *raws = mem_alloc_array(COUNT, sizeof(*raws));
    struct raw_answer answer = {0};
    for (size_t i = 0; i < COUNT; i++) {
        raws[i] = raw_connect(http_server_port(server));
        raw_say(&raws[i], "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    wait_for_streams(COUNT);
    struct raw raw = raw_connect(http_server_port(server));
    assert_int_equal(raw_status(&raw, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(http_stream_try_write(world.streams[i], SPAN_LIT("news\n")), 0);
    }
    for (size_t i = 0; i < COUNT; i++) {
        raw_head(&raws[i], &answer);
        assert_true(raw_chunk(&raws[i], &answer.body));
        assert_string_equal(buf_str(&answer.body), "news\n");
    }
    for (size_t i = 0; i < COUNT; i++) {
        http_stream_end(&world.streams[i]); /* in the order of the workers, not of the clients */
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_false(raw_chunk(&raws[i], &answer.body));
        raw_close(&raws[i]);
    }
    raw_answer_deinit(&answer);
    mem_free(raws);
    raw_close(&raw);
    http_server_stop(&server);
}

static void a_client_that_leaves_is_noticed_although_nothing_is_written(void **state)
{
    (void)state;
    struct http_server *server = start((struct http_server_options){0});
    struct raw raw = raw_connect(http_server_port(server));
    struct raw_answer answer = {0};
    raw_say(&raw, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for_streams(1);
    http_stream_on_change(world.streams[0], set_left, &world);
    raw_head(&raw, &answer);
    assert_false(http_stream_is_gone(world.streams[0]));
    raw_close(&raw);
    wait_for(&world.left);
    assert_int_equal(http_stream_write(world.streams[0], SPAN_LIT("x")), HTTP_STREAM_GONE);
    http_stream_end(&world.streams[0]);
    raw_answer_deinit(&answer);
    http_server_stop(&server);
}

/* The client does not read: what the server takes on is the buffer and what the kernel holds. */
static void a_slow_reader_costs_bounded_memory(void **state)
{
    (void)state;
    struct http_server *server = start((struct http_server_options){.stream_buffer_bytes = 100000});
    struct raw raw = raw_connect(http_server_port(server));
    raw_say(&raw, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for_streams(1);
    uint8_t piece[1000] = {0};
    size_t taken = 0;
    int full = 0;
    while (full < 100) { /* full, and still full a while later: the kernel has had enough too */
        int rc = http_stream_try_write(world.streams[0], span_of(piece, sizeof(piece)));
        assert_true(rc == 0 || rc == HTTP_STREAM_FULL);
        full = rc == 0 ? 0 : full + 1;
        taken += rc == 0 ? sizeof(piece) : 0;
        assert_true(taken < (size_t)64 << 20);
        if (rc == HTTP_STREAM_FULL) {
            (void)poll(NULL, 0, 1);
        }
    }
    http_stream_on_change(world.streams[0], set_left, &world);
    struct raw_answer answer = {0};
    raw_head(&raw, &answer);
    while (answer.body.bytes < taken) { /* it reads after all: everything is there, in order */
        assert_true(raw_chunk(&raw, &answer.body));
    }
    wait_for(&world.left); /* room again: the producer is told */
    assert_int_equal(answer.body.bytes, taken);
    assert_int_equal(http_stream_try_write(world.streams[0], span_of(piece, 1)), 0);
    http_stream_end(&world.streams[0]);
    raw_answer_deinit(&answer);
    raw_close(&raw);
    http_server_stop(&server);
}

static void streams_above_their_bound_get_503(void **state)
{
    (void)state;
    struct http_server *server = start((struct http_server_options){.streams_max = 1});
    struct raw first = raw_connect(http_server_port(server));
    struct raw second = raw_connect(http_server_port(server));
    raw_say(&first, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for_streams(1);
    assert_int_equal(raw_status(&second, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"), 503);
    http_stream_end(&world.streams[0]);
    raw_close(&first);
    raw_close(&second);
    http_server_stop(&server);
}

/* ── Stopping ────────────────────────────────────────────────────────────────────────────── */

static void *stop_server(void *context)
{
    http_server_stop(context);
    return NULL;
}

static void stopping_lets_a_request_that_has_begun_finish(void **state)
{
    (void)state;
    struct http_server *server =
        start((struct http_server_options){.drain_timeout_ms = TESTING_FOR_EVER_MS});
    struct raw raw = raw_connect(http_server_port(server));
    struct raw_answer answer = {0};
    pthread_t thread;
    raw_say(&raw, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&world.entered);
    assert_int_equal(pthread_create(&thread, NULL, stop_server, &server), 0);
    (void)poll(NULL, 0, 50);
    atomic_store(&world.leave, true);
    raw_read(&raw, &answer);
    assert_string_equal(buf_str(&answer.body), "done");
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_null(server);
    raw_answer_deinit(&answer);
    raw_close(&raw);
}

/* A load balancer keeps connections and has sent a request on one before it can know. */
static void while_it_drains_kept_connections_are_served_once_more(void **state)
{
    (void)state;
    struct testing_port port = testing_port_take();
    struct http_server *server = start(
        (struct http_server_options){.port = port.number, .drain_timeout_ms = TESTING_FOR_EVER_MS});
    struct raw slow = raw_connect(port.number);
    struct raw kept = raw_connect(port.number);
    struct raw_answer answer = {0};
    pthread_t thread;
    assert_int_equal(raw_status(&kept, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
    raw_say(&slow, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&world.entered);
    assert_int_equal(pthread_create(&thread, NULL, stop_server, &server), 0);
    for (bool refused = false; !refused;) { /* nothing new gets in */
        struct raw late = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons(port.number),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        refused = connect(late.fd, (const void *)&address, sizeof(address)) < 0;
        raw_close(&late);
    }
    bool told = false; /* with this answer, or with the next: it has just begun to stop */
    for (int i = 0; i < TESTING_DEADLINE_MS && !told; i++) {
        raw_say(&kept, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
        raw_read(&kept, &answer);
        assert_int_equal(answer.status, 200);
        told = strstr(buf_str(&answer.head), "Connection: close") != NULL;
    }
    assert_true(told);
    atomic_store(&world.leave, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    raw_answer_deinit(&answer);
    raw_close(&slow);
    raw_close(&kept);
    testing_port_give_back(&port);
}

/* One stream is detached, one is being written by its handler to a client that does not read, one
 * request's body does not come: the stop is bounded all the same. */
static void stopping_tells_streams_and_cuts_what_does_not_end(void **state)
{
    (void)state;
    struct http_server *server = start((struct http_server_options){.drain_timeout_ms = 300});
    struct raw detached = raw_connect(http_server_port(server));
    struct raw written = raw_connect(http_server_port(server));
    struct raw upload = raw_connect(http_server_port(server));
    raw_say(&detached, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_say(&written, "GET /for-ever HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_say(&upload, "POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nfew");
    wait_for_streams(1);
    http_stream_on_change(world.streams[0], set_left, &world);
    while (atomic_load(&world.written) == 0) {
        (void)poll(NULL, 0, 1);
    }
    http_server_stop(&server);
    assert_true(atomic_load(&world.left));
    assert_true(atomic_load(&world.told));
    assert_int_equal(http_stream_write(world.streams[0], SPAN_LIT("x")), HTTP_STREAM_GONE);
    http_stream_end(&world.streams[0]); /* after its server */
    raw_close(&detached);
    raw_close(&written);
    raw_close(&upload);
}

static void a_port_in_use_and_a_missing_secret_are_faults_with_a_reason(void **state)
{
    (void)state;
    static const struct http_route signed_route[] = {
        {.method = "GET", .path = "/x", .handler = echo, .flags = HTTP_CONTROL}};
    struct http_server *server = start((struct http_server_options){0});
    struct http_server *second = NULL;
    struct http_server_options options = {.address = "127.0.0.1", .port = http_server_port(server)};
    assert_true(http_server_start(&options, NULL, 0, &second) < 0);
    assert_non_null(strstr(err_text(), "listen on 127.0.0.1 port"));
    struct http_routes table = {signed_route, 1, NULL};
    options.port = 0;
    assert_int_equal(http_server_start(&options, &table, 1, &second), ERR_INVALID);
    assert_non_null(strstr(err_text(), "Control-Auth"));
    http_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_survives_every_kind_of_answer),
        cmocka_unit_test(a_get_with_a_body_gives_the_body_to_its_handler),
        cmocka_unit_test(a_handler_sees_method_parameter_cookie_and_peer),
        cmocka_unit_test(a_chunked_upload_arrives_whole_and_in_order),
        cmocka_unit_test(a_streamed_body_above_its_bound_is_refused),
        cmocka_unit_test(a_body_whose_end_is_not_clear_is_refused_and_nothing_behind_it_is_read),
        cmocka_unit_test(a_client_that_breaks_off_its_upload_fails_the_handler_and_nobody_else),
        cmocka_unit_test(a_client_that_only_closes_its_sending_side_gets_its_answer),
        cmocka_unit_test(headers_above_their_bound_get_431),
        cmocka_unit_test(busy_workers_and_a_full_queue_give_503),
        cmocka_unit_test(connections_above_their_bound_get_503),
        cmocka_unit_test(an_error_body_has_at_most_255_bytes_and_is_json),
        cmocka_unit_test(a_stream_arrives_whole_and_an_aborted_one_does_not_look_whole),
        cmocka_unit_test(hundreds_of_streams_need_no_worker),
        cmocka_unit_test(a_client_that_leaves_is_noticed_although_nothing_is_written),
        cmocka_unit_test(a_slow_reader_costs_bounded_memory),
        cmocka_unit_test(streams_above_their_bound_get_503),
        cmocka_unit_test(stopping_lets_a_request_that_has_begun_finish),
        cmocka_unit_test(while_it_drains_kept_connections_are_served_once_more),
        cmocka_unit_test(stopping_tells_streams_and_cuts_what_does_not_end),
        cmocka_unit_test(a_port_in_use_and_a_missing_secret_are_faults_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
