/*
 * The HTTP client against our server and, where a server must misbehave, against a raw socket:
 * reuse, streams both ways, cancelling, timeouts, and Control-Auth through the whole way.
 */
#include "net/testing.h"

#include "base/testing_port.h"
#include "net/control.h"
#include "net/http_client.h"

static struct world {
    atomic_bool entered, leave;
    _Atomic size_t calls;
} world;

static void echo(struct http_request *request, void *context)
{
    (void)context;
    atomic_fetch_add(&world.calls, 1);
    http_reply_header(request, "X-Method", http_request_method(request));
    http_reply(request, 200, "text/plain", http_request_body(request));
}

static void reply_failure(struct http_request *request, void *context)
{
    (void)context;
    http_reply_error(request, atoi(http_request_query(request, "status")), "because of %s",
                     "reasons");
}

static void count_body(struct http_request *request, void *context)
{
    (void)context;
    uint8_t piece[5000];
    size_t got = 0;
    size_t bytes = 0;
    int rc;
    while ((rc = http_request_read(request, piece, sizeof(piece), &got)) == 0 && got > 0) {
        bytes += got;
    }
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        http_reply_json(request, 200, json_integer((json_int_t)bytes));
    }
}

static void endless(struct http_request *request, void *context)
{
    (void)context;
    struct http_stream *stream;
    if (http_reply_stream(request, 200, "text/plain", &stream) != 0) {
        return;
    }
    const char *limit = http_request_query(request, "limit");
    size_t left = limit != NULL ? strtoul(limit, NULL, 10) : SIZE_MAX;
    uint8_t piece[1000] = {0};
    while (left > 0 && http_stream_write(stream, span_of(piece, MIN(sizeof(piece), left))) == 0) {
        left -= MIN(sizeof(piece), left);
    }
    http_stream_end(&stream);
}

static void hang(struct http_request *request, void *context)
{
    (void)context;
    atomic_store(&world.entered, true);
    wait_for(&world.leave);
    http_reply(request, 200, NULL, SPAN_NONE);
}

static const struct http_route routes[] = {
    {.method = "*", .path = "/echo", .handler = echo},
    {.method = "GET", .path = "/fail", .handler = reply_failure},
    {.method = "POST", .path = "/count", .handler = count_body, .flags = HTTP_BODY_STREAM},
    {.method = "GET", .path = "/endless", .handler = endless},
    {.method = "GET", .path = "/hang", .handler = hang},
    {.method = "*", .path = "/signed/echo", .handler = echo, .flags = HTTP_CONTROL},
    {.method = "GET", .path = "/signed/fail", .handler = reply_failure, .flags = HTTP_CONTROL},
    {.method = "GET", .path = "/signed/endless", .handler = endless, .flags = HTTP_CONTROL},
    {.method = "PUT",
     .path = "/signed/count",
     .handler = count_body,
     .flags = HTTP_CONTROL | HTTP_BODY_STREAM},
};

static struct http_server *start(uint16_t port)
{
    struct http_server_options options = {.control_secret = "secret", .port = port};
    world = (struct world){0};
    return testing_start(options, routes, ARRAY_COUNT(routes), NULL);
}

static struct http_client *client_with(const char *secret)
{
    struct http_client *client = NULL;
    struct http_client_options options = {.control_secret = secret};
    assert_int_equal(http_client_new(&options, &client), 0);
    return client;
}

static const char *url_of(struct http_server *server, const char *path)
{
    static char url[200];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", http_server_port(server), path);
    return url;
}

/* ── Plain calls ─────────────────────────────────────────────────────────────────────────── */

static void calls_one_after_the_other_use_one_connection(void **state)
{
    (void)state;
    struct http_server *server = start(0);
    struct http_client *client = client_with(NULL);
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "PATCH"};
    for (size_t i = 0; i < 50; i++) {
        struct http_answer answer;
        struct http_call call = {.method = methods[i % ARRAY_COUNT(methods)],
                                 .url = url_of(server, i % 7 == 0 ? "/nowhere" : "/echo"),
                                 .body = i % 2 == 0 ? SPAN_NONE : SPAN_LIT("hello")};
        assert_int_equal(http_call(client, &call, &answer), 0);
        assert_int_equal(answer.status, i % 7 == 0 ? 404 : 200);
        if (answer.status == 200) {
            assert_string_equal(buf_str(&answer.body), i % 2 == 0 ? "" : "hello");
            assert_string_equal(http_answer_header(&answer, "x-method"), call.method);
        } else {
            assert_string_equal(http_answer_error(&answer), "there is nothing at this path");
        }
        http_answer_deinit(&answer);
    }
    struct http_server_stats stats;
    http_server_stats(server, &stats);
    assert_int_equal(stats.connections, 1);
    http_client_free(&client);
    http_server_stop(&server);
}

static void a_json_call_turns_statuses_into_faults_with_the_servers_text(void **state)
{
    (void)state;
    struct http_server *server = start(0);
    struct http_client *client = client_with(NULL);
    static const struct {
        int status, rc;
    } cases[] = {{400, ERR_INVALID},     {401, ERR_DENIED},     {403, ERR_DENIED},
                 {404, ERR_NOT_FOUND},   {409, ERR_CONFLICT},   {413, ERR_TOO_LARGE},
                 {500, ERR_UNAVAILABLE}, {503, ERR_UNAVAILABLE}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char path[40];
        json_t *json = NULL;
        (void)snprintf(path, sizeof(path), "/fail?status=%d", cases[i].status);
        struct http_call call = {.url = url_of(server, path)};
        assert_int_equal(http_call_json(client, &call, NULL, &json), cases[i].rc);
        assert_non_null(strstr(err_text(), "because of reasons"));
    }
    json_t *body = json_pack("{s:[i,n]}", "a", 1);
    json_t *json = NULL;
    struct http_call call = {.method = "POST", .url = url_of(server, "/echo")};
    assert_int_equal(http_call_json(client, &call, body, &json), 0);
    assert_true(json_equal(json, body));
    json_decref(json);
    json_decref(body);
    http_client_free(&client);
    http_server_stop(&server);
}

struct source {
    size_t left, pieces;
};

static int pull(void *context, void *data, size_t bytes, size_t *ret_got)
{
    struct source *source = context;
    size_t got = MIN(MIN(bytes, source->left), (size_t)12345);
    memset(data, 'p', got);
    source->left -= got;
    source->pieces++;
    *ret_got = got;
    return 0;
}

static int pull_fails(void *context, void *data, size_t bytes, size_t *ret_got)
{
    struct source *source = context;
    if (source->pieces == 3) {
        return err_set(ERR_CORRUPT, "the source broke");
    }
    return pull(context, data, bytes, ret_got);
}

static int count_pushed(void *context, struct span data)
{
    *(size_t *)context += data.bytes;
    return 0;
}

static int refuse_pushed(void *context, struct span data)
{
    size_t *bytes = context;
    *bytes += data.bytes;
    return *bytes > 100000 ? err_set(ERR_CORRUPT, "enough") : 0;
}

static void expect_headers_first(void *context, const struct http_answer *answer)
{
    assert_int_equal(*(size_t *)context, 0);
    assert_non_null(http_answer_header(answer, "Content-Type"));
}

static void bodies_stream_both_ways_and_callbacks_can_end_the_call(void **state)
{
    (void)state;
    struct http_server *server = start(0);
    struct http_client *client = client_with(NULL);
    struct http_answer answer;
    struct source source = {.left = 3000000};
    struct http_call call = {
        .method = "POST", .url = url_of(server, "/count"), .pull = pull, .pull_context = &source};
    assert_int_equal(http_call(client, &call, &answer), 0);
    assert_string_equal(buf_str(&answer.body), "3000000");
    http_answer_deinit(&answer);

    source = (struct source){.left = 3000000};
    call.pull = pull_fails;
    assert_int_equal(http_call(client, &call, &answer), ERR_CORRUPT);
    assert_string_equal(err_text(), "the source broke");

    size_t bytes = 0;
    call = (struct http_call){.url = url_of(server, "/endless?limit=5000000"),
                              .begin = expect_headers_first,
                              .push = count_pushed,
                              .push_context = &bytes};
    assert_int_equal(http_call(client, &call, &answer), 0);
    assert_int_equal(bytes, 5000000);
    assert_int_equal(answer.body.bytes, 0);
    http_answer_deinit(&answer);

    bytes = 0;
    call = (struct http_call){
        .url = url_of(server, "/endless"), .push = refuse_pushed, .push_context = &bytes};
    assert_int_equal(http_call(client, &call, &answer), ERR_CORRUPT);
    assert_string_equal(err_text(), "enough");

    call = (struct http_call){.url = url_of(server, "/endless"), .answer_bytes_max = 100000};
    assert_int_equal(http_call(client, &call, &answer), ERR_TOO_LARGE);
    http_client_free(&client);
    http_server_stop(&server);
}

/* ── Ending early ────────────────────────────────────────────────────────────────────────── */

struct background {
    struct http_client *client;
    struct http_call call;
    int rc;
};

static void *call_in_background(void *context)
{
    struct background *background = context;
    struct http_answer answer;
    background->rc = http_call(background->client, &background->call, &answer);
    if (background->rc == 0) {
        http_answer_deinit(&answer);
    }
    return NULL;
}

static void another_thread_can_cancel_a_call_that_waits(void **state)
{
    (void)state;
    struct http_server *server = start(0);
    struct http_client *client = client_with(NULL);
    struct http_cancel *cancel = http_cancel_new();
    struct background background = {.client = client,
                                    .call = {.url = url_of(server, "/hang"), .cancel = cancel}};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, call_in_background, &background), 0);
    wait_for(&world.entered);
    http_cancel_fire(cancel);
    assert_int_equal(pthread_join(thread, NULL), 0); /* the server does not answer before "leave" */
    assert_int_equal(background.rc, ERR_CANCELLED);

    struct http_answer answer; /* and one that begins later */
    struct http_call call = {.url = url_of(server, "/echo"), .cancel = cancel};
    assert_int_equal(http_call(client, &call, &answer), ERR_CANCELLED);
    atomic_store(&world.leave, true);
    http_cancel_free(&cancel);
    http_client_free(&client);
    http_server_stop(&server);
}

static void a_call_ends_at_its_timeout_or_when_nothing_comes(void **state)
{
    (void)state;
    struct testing_port port = testing_port_take();
    struct http_server *server = start(port.number);
    struct http_client *client = client_with(NULL);
    struct http_answer answer;
    struct http_call call = {.url = url_of(server, "/hang"), .timeout_ms = 100};
    assert_int_equal(http_call(client, &call, &answer), ERR_TIMEOUT);
    call = (struct http_call){.url = url_of(server, "/hang"), .idle_ms = 100};
    assert_int_equal(http_call(client, &call, &answer), ERR_TIMEOUT);
    assert_non_null(strstr(err_text(), "silent for 100 ms"));
    atomic_store(&world.leave, true);
    http_server_stop(&server);
    char url[60];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port.number);
    call = (struct http_call){.url = url};
    assert_int_equal(http_call(client, &call, &answer), ERR_UNAVAILABLE);
    call.url = "gopher://127.0.0.1/";
    assert_int_equal(http_call(client, &call, &answer), ERR_INVALID);
    http_client_free(&client);
    testing_port_give_back(&port);
}

/* ── Control-Auth, through the whole way ─────────────────────────────────────────────────── */

static int call_signed(struct http_client *client, const char *method, const char *url,
                       struct span body, int *ret_status)
{
    struct http_answer answer;
    struct http_call call = {.method = method, .url = url, .body = body, .control = true};
    int rc = http_call(client, &call, &answer);
    if (rc == 0) {
        *ret_status = answer.status;
        assert_true(answer.proven);
        http_answer_deinit(&answer);
    }
    return rc;
}

static void signed_calls_pass_with_bodies_streams_and_errors(void **state)
{
    (void)state;
    struct http_server *server = start(0);
    struct http_client *client = client_with("secret");
    int status = 0;
    const char *echo_url = mem_strdup(url_of(server, "/signed/echo?a=%20b&c"));
    for (int i = 0; i < 5; i++) {
        assert_int_equal(call_signed(client, "PUT", echo_url, SPAN_LIT("x"), &status), 0);
        assert_int_equal(status, 200);
    }
    assert_int_equal(call_signed(client, "HEAD", echo_url, SPAN_NONE, &status), 0);
    assert_int_equal(status, 200);
    assert_int_equal(
        call_signed(client, "GET", url_of(server, "/signed/fail?status=404"), SPAN_NONE, &status),
        0);
    assert_int_equal(status, 404);

    struct http_answer answer;
    struct source source = {.left = 3000000};
    struct http_call call = {.method = "PUT",
                             .url = url_of(server, "/signed/count"),
                             .pull = pull,
                             .pull_context = &source,
                             .control = true};
    assert_int_equal(http_call(client, &call, &answer), 0);
    assert_int_equal(answer.status, 200);
    assert_string_equal(buf_str(&answer.body), "3000000");
    http_answer_deinit(&answer);

    size_t bytes = 0;
    call = (struct http_call){.url = url_of(server, "/signed/endless?limit=1000000"),
                              .push = count_pushed,
                              .push_context = &bytes,
                              .control = true};
    assert_int_equal(http_call(client, &call, &answer), 0);
    assert_int_equal(bytes, 1000000);
    http_answer_deinit(&answer);
    mem_free((char *)echo_url);
    http_client_free(&client);
    http_server_stop(&server);
}

static void a_wrong_secret_or_none_reaches_no_handler(void **state)
{
    (void)state;
    struct http_server *server = start(0);
    struct http_client *wrong = client_with("sekret");
    struct http_client *none = client_with(NULL);
    int status = 0;
    const char *url = url_of(server, "/signed/echo");
    assert_int_equal(call_signed(wrong, "GET", url, SPAN_NONE, &status), ERR_AUTH);
    assert_non_null(strstr(err_text(), "wrong-mac"));
    assert_int_equal(call_signed(none, "GET", url, SPAN_NONE, &status), ERR_INVALID);
    struct http_answer answer;
    struct http_call call = {.url = url}; /* not signed at all */
    assert_int_equal(http_call(none, &call, &answer), 0);
    assert_int_equal(answer.status, 401);
    http_answer_deinit(&answer);
    assert_int_equal(atomic_load(&world.calls), 0);
    struct http_server_stats stats;
    http_server_stats(server, &stats);
    assert_int_equal(stats.control_refused, 2);
    http_client_free(&wrong);
    http_client_free(&none);
    http_server_stop(&server);
}

/* A session made by hand, so that messages can be repeated and altered on the wire. */
static struct control_client say_hello(struct http_server *server, const char *secret)
{
    struct control_client session;
    struct raw raw = raw_connect(http_server_port(server));
    struct raw_answer answer = {0};
    control_client_begin(&session, io_real());
    char *request = mem_printf("POST " CONTROL_HELLO_PATH " HTTP/1.1\r\nHost: x\r\n"
                               "Content-Length: 76\r\n\r\n{\"Nonce\":\"%s\"}",
                               session.nonce);
    raw_say(&raw, request);
    raw_read(&raw, &answer);
    assert_int_equal(answer.status, 200);
    json_t *json = json_loadb((const char *)answer.body.data, answer.body.bytes, 0, NULL);
    assert_int_equal(control_client_accept(&session, secret,
                                           json_string_value(json_object_get(json, "Session")),
                                           json_string_value(json_object_get(json, "Nonce"))),
                     0);
    json_decref(json);
    mem_free(request);
    raw_answer_deinit(&answer);
    raw_close(&raw);
    return session;
}

static int send_signed(struct http_server *server, const char *header, const char *body)
{
    struct raw raw = raw_connect(http_server_port(server));
    char *request = mem_printf("POST /signed/echo HTTP/1.1\r\nHost: x\r\n%s: %s\r\n"
                               "Content-Length: %zu\r\n\r\n%s",
                               CONTROL_HEADER, header, strlen(body), body);
    int status = raw_status(&raw, request);
    mem_free(request);
    raw_close(&raw);
    return status;
}

/* The canary: the very bytes that were accepted are refused when they come again, on another
 * connection, and the handler has run once. The sequence check alone can do that: the MAC and the
 * session are still good, as the next number shows. */
static void a_recorded_request_is_refused_when_it_is_sent_again(void **state)
{
    (void)state;
    struct http_server *server = start(0);
    struct control_client session = say_hello(server, "secret");
    struct control_seal seal;
    char hash[CONTROL_HASH_TEXT_BYTES];
    char recorded[CONTROL_HEADER_BYTES_MAX];
    char next[CONTROL_HEADER_BYTES_MAX];
    control_hash(SPAN_LIT("pay 5"), hash);
    control_client_sign(&session, "POST", "/signed/echo", hash, &seal, recorded);
    control_client_sign(&session, "POST", "/signed/echo", hash, &seal, next);
    assert_int_equal(send_signed(server, recorded, "pay 5"), 200);
    assert_int_equal(send_signed(server, recorded, "pay 5"), 401);
    assert_int_equal(atomic_load(&world.calls), 1);
    assert_int_equal(send_signed(server, next, "pay 5"), 200);
    assert_int_equal(atomic_load(&world.calls), 2);
    http_server_stop(&server);
}

static void an_altered_body_reaches_no_handler(void **state)
{
    (void)state;
    struct http_server *server = start(0);
    struct control_client session = say_hello(server, "secret");
    struct control_seal seal;
    char hash[CONTROL_HASH_TEXT_BYTES];
    char header[CONTROL_HEADER_BYTES_MAX];
    control_hash(SPAN_LIT("pay 5"), hash);
    control_client_sign(&session, "POST", "/signed/echo", hash, &seal, header);
    assert_int_equal(send_signed(server, header, "pay 9"), 401);
    assert_int_equal(atomic_load(&world.calls), 0);
    http_server_stop(&server);
}

/* A chunked upload signed by trailer: the handler hears of the forgery at the end of the body. */
static void an_altered_or_unsealed_streamed_body_fails_its_reader(void **state)
{
    (void)state;
    struct http_server *server = start(0);
    struct control_client session = say_hello(server, "secret");
    for (int i = 0; i < 3; i++) {
        struct control_seal seal;
        char hash[CONTROL_HASH_TEXT_BYTES];
        char trailer[CONTROL_HASH_TEXT_BYTES];
        char header[CONTROL_HEADER_BYTES_MAX];
        control_client_sign(&session, "PUT", "/signed/count", "trailer", &seal, header);
        control_hash(i == 1 ? SPAN_LIT("other") : SPAN_LIT("hello"), hash);
        control_client_trailer(&seal, hash, trailer);
        char *request =
            mem_printf("PUT /signed/count HTTP/1.1\r\nHost: x\r\n%s: %s\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n%s%s%s\r\n",
                       CONTROL_HEADER, header, i < 2 ? CONTROL_TRAILER ": " : "",
                       i < 2 ? trailer : "", i < 2 ? "\r\n" : "");
        struct raw raw = raw_connect(http_server_port(server));
        assert_int_equal(raw_status(&raw, request), i == 0 ? 200 : 401);
        mem_free(request);
        raw_close(&raw);
    }
    http_server_stop(&server);
}

/* The server restarts and knows no session: calls go on as if nothing had been. A streamed upload
 * is not even begun before the session is there again. */
static void a_restarted_server_is_greeted_anew(void **state)
{
    (void)state;
    struct testing_port port = testing_port_take();
    struct http_server *server = start(port.number);
    struct http_client *client = client_with("secret");
    int status = 0;
    for (int round = 0; round < 3; round++) {
        assert_int_equal(
            call_signed(client, "GET", url_of(server, "/signed/echo"), SPAN_NONE, &status), 0);
        assert_int_equal(status, 200);
        http_server_stop(&server);
        server = start(port.number);
        struct http_answer answer;
        struct source source = {.left = 200000};
        struct http_call call = {.method = "PUT",
                                 .url = url_of(server, "/signed/count"),
                                 .pull = pull,
                                 .pull_context = &source,
                                 .control = true};
        assert_int_equal(http_call(client, &call, &answer), 0);
        assert_string_equal(buf_str(&answer.body), "200000");
        http_answer_deinit(&answer);
        http_server_stop(&server);
        server = start(port.number);
    }
    http_client_free(&client);
    http_server_stop(&server);
    testing_port_give_back(&port);
}

/* Somebody in between who answers in the server's place. */
static void *impostor(void *context)
{
    int listener = *(int *)context;
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 121\r\n\r\n"
        "{\"Session\":\"00112233445566778899aabbccddeeff\",\"Nonce\":\""
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlies",
    };
    int fd = accept(listener, NULL, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(answers); i++) {
        struct raw raw = {.fd = fd};

        while (span_find(buf_span(&raw.in), SPAN_LIT("\r\n\r\n")) < 0 ||
               (i == 0 && raw.in.data[raw.in.bytes - 1] != '}')) {
            CHECK(raw_more(&raw));
        }
        raw_say(&raw, answers[i]);
        buf_deinit(&raw.in);
    }
    (void)close(fd);
    return NULL;
}

/* A socket that listens on a port of the kernel's choice. */
static int listen_somewhere(unsigned *ret_port)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    assert_int_equal(bind(listener, (const void *)&address, bytes), 0);
    assert_int_equal(listen(listener, 5), 0);
    assert_int_equal(getsockname(listener, (void *)&address, &bytes), 0);
    *ret_port = ntohs(address.sin_port);
    return listener;
}

static void an_answer_of_somebody_without_the_secret_is_not_believed(void **state)
{
    (void)state;
    unsigned port;
    int listener = listen_somewhere(&port);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, impostor, &listener), 0);
    struct http_client *client = client_with("secret");
    char url[60];
    int status = 0;
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/signed/echo", port);
    assert_int_equal(call_signed(client, "GET", url, SPAN_NONE, &status), ERR_AUTH);
    assert_int_equal(pthread_join(thread, NULL), 0);
    http_client_free(&client);
    (void)close(listener);
}

/* The kernel takes the connection, nobody answers. */
static void a_call_to_one_that_hangs_ends_at_its_timeout_also_before_the_session(void **state)
{
    (void)state;
    unsigned port;
    int listener = listen_somewhere(&port);
    struct http_client *client = client_with("secret");
    struct http_answer answer;
    char url[60];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
    struct http_call call = {.url = url, .control = true, .timeout_ms = 200};
    assert_int_equal(http_call(client, &call, &answer), ERR_TIMEOUT);
    const char *after = strstr(err_text(), "no answer within ");
    assert_non_null(after); /* not the session's 10 s */
    assert_true(strtol(after + strlen("no answer within "), NULL, 10) < 10000);
    http_client_free(&client);
    (void)close(listener);
}

/* What cuts its answer short: the body is longer in its head. */
static void *cut_short(void *context)
{
    const int *listener = context;
    char got[4096];
    int fd = accept(*listener, NULL, NULL);
    CHECK(fd >= 0 && recv(fd, got, sizeof(got), 0) > 0);
    static const char part[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nso far";
    CHECK(send(fd, part, sizeof(part) - 1, 0) == (ssize_t)sizeof(part) - 1);
    CHECK(close(fd) == 0);
    return NULL;
}

/* Users read these texts: who is missing, and why, not what a library calls it. */
static void what_broke_a_call_is_told_in_our_words(void **state)
{
    (void)state;
    unsigned port;
    pthread_t thread;
    int listener = listen_somewhere(&port);
    struct http_client *client = client_with(NULL);
    struct http_answer answer;
    char url[60];
    char want[120];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
    struct http_call call = {.url = url};
    assert_int_equal(pthread_create(&thread, NULL, cut_short, &listener), 0);
    assert_int_equal(http_call(client, &call, &answer), ERR_UNAVAILABLE);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)snprintf(want, sizeof(want), "http://127.0.0.1:%u: the connection broke during the call",
                   port);
    assert_string_equal(err_text(), want);
    (void)close(listener);
    assert_int_equal(http_call(client, &call, &answer), ERR_UNAVAILABLE);
    (void)snprintf(want, sizeof(want), "http://127.0.0.1:%u: Connection refused", port);
    assert_string_equal(err_text(), want);
    http_client_free(&client);
}

struct many {
    struct http_client *client;
    const char *url;
};

static void *call_many(void *context)
{
    struct many *many = context;
    for (int i = 0; i < 100; i++) {
        int status = 0;
        CHECK(call_signed(many->client, "POST", many->url, SPAN_LIT("x"), &status) == 0);
        CHECK(status == 200);
    }
    return NULL;
}

static void many_threads_share_one_client_and_one_session(void **state)
{
    (void)state;
    struct http_server *server = start(0);
    struct many many = {client_with("secret"), url_of(server, "/signed/echo")};
    pthread_t threads[8];
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, call_many, &many), 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&world.calls), 800);
    struct http_server_stats stats;
    http_server_stats(server, &stats);
    assert_int_equal(stats.control_refused, 0);
    assert_true(stats.connections <= 9);
    http_client_free(&many.client);
    http_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_one_after_the_other_use_one_connection),
        cmocka_unit_test(a_json_call_turns_statuses_into_faults_with_the_servers_text),
        cmocka_unit_test(bodies_stream_both_ways_and_callbacks_can_end_the_call),
        cmocka_unit_test(another_thread_can_cancel_a_call_that_waits),
        cmocka_unit_test(a_call_ends_at_its_timeout_or_when_nothing_comes),
        cmocka_unit_test(signed_calls_pass_with_bodies_streams_and_errors),
        cmocka_unit_test(a_wrong_secret_or_none_reaches_no_handler),
        cmocka_unit_test(a_recorded_request_is_refused_when_it_is_sent_again),
        cmocka_unit_test(an_altered_body_reaches_no_handler),
        cmocka_unit_test(an_altered_or_unsealed_streamed_body_fails_its_reader),
        cmocka_unit_test(a_restarted_server_is_greeted_anew),
        cmocka_unit_test(an_answer_of_somebody_without_the_secret_is_not_believed),
        cmocka_unit_test(a_call_to_one_that_hangs_ends_at_its_timeout_also_before_the_session),
        cmocka_unit_test(what_broke_a_call_is_told_in_our_words),
        cmocka_unit_test(many_threads_share_one_client_and_one_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
