/*
 * TLS in front of the HTTP server: bytes arrive unaltered both ways, a client that vanishes is
 * noticed, what is not TLS harms nobody, a certificate is checked.
 */
#include "net/testing.h"

#include <sys/resource.h>

#include "net/http_client.h"
#include "net/testing_tls.h"

static atomic_bool left;
static atomic_bool streaming;

static void echo(struct http_request *request, void *context)
{
    (void)context;
    CHECK(http_request_is_https(request));
    CHECK(strcmp(http_request_peer(request), "127.0.0.1") == 0);
    http_reply(request, 200, "text/plain", http_request_body(request));
}

static void write_until_gone(struct http_request *request, void *context)
{
    (void)context;
    struct http_stream *stream;
    if (http_reply_stream(request, 200, "text/plain", &stream) != 0) {
        return;
    }
    while (http_stream_write(stream, SPAN_LIT("more and more and more\n")) == 0) {
        atomic_store(&streaming, true);
    }
    atomic_store(&left, true);
    http_stream_end(&stream);
}

static void set_left(void *context)
{
    (void)context;
    atomic_store(&left, true);
}

static struct http_stream *silent;

static void stay_silent(struct http_request *request, void *context)
{
    (void)context;
    if (http_reply_stream(request, 200, "text/plain", &silent) == 0) {
        http_stream_on_change(silent, set_left, NULL);
        atomic_store(&streaming, true);
    }
}

static const struct http_route routes[] = {
    {.method = "POST", .path = "/echo", .handler = echo, .body_bytes_max = (size_t)16 << 20},
    {.method = "GET", .path = "/endless", .handler = write_until_gone},
    {.method = "GET", .path = "/silent", .handler = stay_silent},
};

static struct http_server *start(void)
{
    atomic_store(&left, false);
    atomic_store(&streaming, false);
    struct http_server_options options = tls_options();
    options.drain_timeout_ms = TESTING_FOR_EVER_MS;
    return testing_start(options, routes, ARRAY_COUNT(routes), NULL);
}

static struct http_client *client_of(bool insecure, const char *ca_path)
{
    struct http_client *client = NULL;
    struct http_client_options options = {
        .tls_insecure = insecure, .ca_path = ca_path, .connect_timeout_ms = TESTING_DEADLINE_MS};
    assert_int_equal(http_client_new(&options, &client), 0);
    return client;
}

static char *url_of(struct http_server *server, const char *path)
{
    return mem_printf("https://127.0.0.1:%u%s", http_server_port(server), path);
}

struct many {
    struct http_client *client;
    const char *url;
    size_t bytes;
};

static void *echo_many(void *context)
{
    struct many *many = context;
    uint8_t *body = mem_alloc(many->bytes);
    for (size_t i = 0; i < many->bytes; i++) {
        body[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    for (int round = 0; round < 20; round++) {
        struct http_answer answer;
        struct http_call call = {.method = "POST",
                                 .url = many->url,
                                 .body = span_of(body, many->bytes),
                                 .timeout_ms = TESTING_DEADLINE_MS};
        int rc = http_call(many->client, &call, &answer);
        if (rc < 0) {
            fprintf(stderr, "%s\n", err_text());
        }
        CHECK(rc == 0 && answer.status == 200);
        CHECK(span_equal(buf_span(&answer.body), span_of(body, many->bytes)));
        http_answer_deinit(&answer);
    }
    mem_free(body);
    return NULL;
}

static void bodies_of_any_size_pass_both_ways_on_many_connections(void **state)
{
    (void)state;
    struct http_server *server = start();
    struct http_client *client = client_of(false, cert_path);
    char *url = url_of(server, "/echo");
    static const size_t sizes[] = {0, 1, 16383, 16384, 16385, 65536, 300000, 2000000};
    struct many many[ARRAY_COUNT(sizes)];
    pthread_t threads[ARRAY_COUNT(sizes)];
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        many[i] = (struct many){client, url, sizes[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, echo_many, &many[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    struct http_server_stats stats;
    http_server_stats(server, &stats);
    assert_true(stats.connections <= ARRAY_COUNT(sizes)); /* they were kept */
    mem_free(url);
    http_client_free(&client);
    http_server_stop(&server);
}

static void a_certificate_that_nobody_vouches_for_is_refused_unless_told_otherwise(void **state)
{
    (void)state;
    struct http_server *server = start();
    char *url = url_of(server, "/echo");
    struct http_answer answer;
    struct http_call call = {.method = "POST", .url = url};
    struct http_client *strict = client_of(false, NULL);
    struct http_client *careless = client_of(true, NULL);
    assert_int_equal(http_call(strict, &call, &answer), ERR_UNAVAILABLE);
    assert_int_equal(http_call(careless, &call, &answer), 0);
    assert_int_equal(answer.status, 200);
    http_answer_deinit(&answer);
    mem_free(url);
    http_client_free(&strict);
    http_client_free(&careless);
    http_server_stop(&server);
}

static int stop_at_once(void *context, struct span data)
{
    (void)context;
    (void)data;
    return 1;
}

struct listener {
    struct http_client *client;
    struct http_call call;
};

static void *listen_until_cancelled(void *context)
{
    struct listener *listener = context;
    struct http_answer answer;
    CHECK(http_call(listener->client, &listener->call, &answer) == ERR_CANCELLED);
    return NULL;
}

static void a_client_that_leaves_a_stream_is_noticed(void **state)
{
    (void)state;
    struct http_server *server = start();
    struct http_client *client = client_of(true, NULL);
    char *url = url_of(server, "/endless");
    struct http_answer answer;
    struct http_call call = {.url = url, .push = stop_at_once};
    assert_int_equal(http_call(client, &call, &answer), ERR_CANCELLED);
    wait_for(&left);

    atomic_store(&left, false);
    atomic_store(&streaming, false);
    char *silent_url = url_of(server, "/silent");
    struct http_cancel *cancel = http_cancel_new();
    struct listener listener = {client, {.url = silent_url, .cancel = cancel}};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, listen_until_cancelled, &listener), 0);
    wait_for(&streaming);
    http_cancel_fire(cancel);
    assert_int_equal(pthread_join(thread, NULL), 0);
    http_cancel_free(&cancel);
    wait_for(&left);
    http_stream_end(&silent);
    mem_free(url);
    mem_free(silent_url);
    http_client_free(&client);
    http_server_stop(&server);
}

static void what_is_not_tls_is_hung_up_on_and_harms_nobody(void **state)
{
    (void)state;
    struct http_server *server = start();
    struct raw raw = raw_connect(http_server_port(server));
    raw_say(&raw, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    while (raw_more(&raw)) {}
    raw_close(&raw);
    for (int i = 0; i < 50; i++) { /* scanners */
        raw = raw_connect(http_server_port(server));
        raw_close(&raw);
    }
    struct http_client *client = client_of(true, NULL);
    char *url = url_of(server, "/echo");
    struct many many = {client, url, 100};
    (void)echo_many(&many);
    raw =
        raw_connect(http_server_port(server)); /* never says a word, and does not delay the stop */
    mem_free(url);
    http_client_free(&client);
    http_server_stop(&server);
    raw_close(&raw);
}

/* The client has the last descriptor of the process, and none is left for who accepts. */
static void who_comes_while_no_descriptor_is_left_is_served_later(void **state)
{
    (void)state;
    struct http_server *server = start();
    struct timespec moment = {0, 50000000};
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(STDOUT_FILENO);
    assert_true(next > 0 && close(next) == 0);
    struct rlimit none = {(rlim_t)next + 1, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct raw raw = raw_connect(http_server_port(server));
    nanosleep(&moment, NULL); /* in which it is tried to accept */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    struct http_client *client = client_of(true, NULL);
    char *url = url_of(server, "/echo");
    struct many many = {client, url, 100};
    (void)echo_many(&many);
    mem_free(url);
    http_client_free(&client);
    raw_close(&raw);
    http_server_stop(&server);
}

static void a_key_that_does_not_fit_is_a_fault_with_a_reason(void **state)
{
    (void)state;
    struct http_server *server = NULL;
    struct http_server_options options = tls_options();
    options.address = "127.0.0.1";
    options.tls_key_path = options.tls_cert_path;
    assert_int_equal(http_server_start(&options, NULL, 0, &server), ERR_INVALID);
    assert_non_null(strstr(err_text(), "TLS certificate and key"));
    options.tls_key_path = "/nowhere/key.pem";
    assert_int_equal(http_server_start(&options, NULL, 0, &server), ERR_NOT_FOUND);
    options.tls_key_path = NULL;
    assert_int_equal(http_server_start(&options, NULL, 0, &server), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_of_any_size_pass_both_ways_on_many_connections),
        cmocka_unit_test(a_certificate_that_nobody_vouches_for_is_refused_unless_told_otherwise),
        cmocka_unit_test(a_client_that_leaves_a_stream_is_noticed),
        cmocka_unit_test(what_is_not_tls_is_hung_up_on_and_harms_nobody),
        cmocka_unit_test(who_comes_while_no_descriptor_is_left_is_served_later),
        cmocka_unit_test(a_key_that_does_not_fit_is_a_fault_with_a_reason),
    };
    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
