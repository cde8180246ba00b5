/*
 * Websockets against a client that makes its frames by hand, over TCP and over TLS.
 */
#include "net/testing.h"

#include <gnutls/gnutls.h>

#include "net/testing_tls.h"
#include "net/websocket.h"

/* ── The server ──────────────────────────────────────────────────────────────────────────── */

static struct world {
    atomic_bool began, ended;
    _Atomic uint64_t messages;
} world;

static void echo_session(struct websocket *websocket, void *context)
{
    struct buf message = {0};
    CHECK(context == &world);
    atomic_store(&world.began, true);
    while (websocket_read(websocket, -1, &message) == 0) {
        atomic_fetch_add(&world.messages, 1);
        if (span_equal_str(buf_span(&message), "bye")) {
            websocket_close(websocket, 1008, "as you like");
        } else if (websocket_write(websocket, buf_span(&message)) != 0) {
            break;
        }
    }
    buf_deinit(&message);
    atomic_store(&world.ended, true);
}

static void open_echo(struct http_request *request, void *context)
{
    const char *subprotocol = http_request_header(request, "Sec-WebSocket-Protocol");
    int rc = http_reply_websocket(request, subprotocol, echo_session, context);
    CHECK(rc == 0 || rc == HTTP_REPLY_REFUSED);
}

/* Many threads write at once; each message must stay whole. */
struct writer {
    struct websocket *websocket;
    char letter;
};

static void *write_many(void *context)
{
    struct writer *writer = context;
    char text[3000];
    memset(text, writer->letter, sizeof(text));
    for (size_t i = 0; i < 200; i++) {
        CHECK(websocket_write(writer->websocket, span_of(text, 1 + i * 14)) == 0);
    }
    return NULL;
}

static void chatter_session(struct websocket *websocket, void *context)
{
    (void)context;
    enum { WRITERS = 4 };
    pthread_t threads[WRITERS];
    struct writer writers[WRITERS];
    for (size_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){websocket, (char)('a' + i)};
        CHECK(pthread_create(&threads[i], NULL, write_many, &writers[i]) == 0);
    }
    for (size_t i = 0; i < WRITERS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

static void open_chatter(struct http_request *request, void *context)
{
    int rc = http_reply_websocket(request, NULL, chatter_session, context);
    CHECK(rc == 0);
}

static void timeout_session(struct websocket *websocket, void *context)
{
    (void)context;
    struct buf message = {0};
    CHECK(websocket_read(websocket, 0, &message) == WEBSOCKET_TIMEOUT);
    CHECK(websocket_read(websocket, 20, &message) == WEBSOCKET_TIMEOUT);
    CHECK(websocket_write_binary(websocket, SPAN_LIT("tick")) == 0);
    buf_deinit(&message);
}

static void open_timeout(struct http_request *request, void *context)
{
    int rc = http_reply_websocket(request, NULL, timeout_session, context);
    CHECK(rc == 0);
}

static const struct http_route routes[] = {
    {.method = "GET", .path = "/echo", .handler = open_echo},
    {.method = "GET", .path = "/chatter", .handler = open_chatter},
    {.method = "GET", .path = "/timeout", .handler = open_timeout},
};

static struct http_server *start(struct http_server_options options)
{
    world = (struct world){0};
    return testing_start(options, routes, ARRAY_COUNT(routes), &world);
}

/* ── A client over TCP or TLS ────────────────────────────────────────────────────────────── */

struct client {
    struct raw raw;
    gnutls_session_t tls; /* NULL: plain */
    gnutls_certificate_credentials_t credentials;
};

static void client_send(struct client *client, const void *data, size_t bytes)
{
    if (client->tls == NULL) {
        raw_send(&client->raw, data, bytes);
        return;
    }
    const char *at = data;
    while (bytes > 0) {
        ssize_t sent = gnutls_record_send(client->tls, at, bytes);
        assert_true(sent > 0);
        at += sent;
        bytes -= (size_t)sent;
    }
}

/* Until `bytes` are there; false: the stream has ended before. */
static bool client_has(struct client *client, size_t bytes)
{
    while (client->raw.in.bytes < bytes) {
        if (client->tls == NULL) {
            if (!raw_more(&client->raw)) {
                return false;
            }
            continue;
        }
        ssize_t got = gnutls_record_recv(client->tls, buf_reserve(&client->raw.in, 65536), 65536);
        if (got <= 0 && got != GNUTLS_E_AGAIN && got != GNUTLS_E_INTERRUPTED) {
            return false;
        }
        client->raw.in.bytes += got > 0 ? (size_t)got : 0;
    }
    return true;
}

static void client_close(struct client *client)
{
    if (client->tls != NULL) {
        gnutls_deinit(client->tls);
        gnutls_certificate_free_credentials(client->credentials);
    }
    raw_close(&client->raw);
}

static struct client client_connect(struct http_server *server, bool tls)
{
    struct client client = {.raw = raw_connect(http_server_port(server))};
    if (!tls) {
        return client;
    }
    assert_int_equal(gnutls_certificate_allocate_credentials(&client.credentials), 0);
    assert_int_equal(gnutls_init(&client.tls, GNUTLS_CLIENT), 0);
    assert_int_equal(gnutls_set_default_priority(client.tls), 0);
    assert_int_equal(gnutls_credentials_set(client.tls, GNUTLS_CRD_CERTIFICATE, client.credentials),
                     0);
    gnutls_transport_set_int(client.tls, client.raw.fd);
    gnutls_handshake_set_timeout(client.tls, TESTING_DEADLINE_MS);
    int rc;
    do {
        rc = gnutls_handshake(client.tls);
    } while (rc < 0 && gnutls_error_is_fatal(rc) == 0);
    assert_int_equal(rc, 0);
    return client;
}

/* The head of the answer to an upgrade, in `head`; returns the status. */
static int client_upgrade(struct client *client, const char *path, const char *more,
                          struct buf *head)
{
    char *request = mem_printf("GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\n"
                               "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                               "Origin: ws://x\r\n%s\r\n",
                               path, more);
    client_send(client, request, strlen(request));
    mem_free(request);
    ptrdiff_t end;
    for (size_t bytes = 1; (end = span_find(buf_span(&client->raw.in), SPAN_LIT("\r\n\r\n"))) < 0;
         bytes++) {
        assert_true(client_has(client, client->raw.in.bytes + 1));
    }
    buf_clear(head);
    buf_append(head, span_first(buf_span(&client->raw.in), (size_t)end + 2));
    buf_consume(&client->raw.in, (size_t)end + 4);
    int status = 0;
    assert_int_equal(sscanf(buf_str(head), "HTTP/1.1 %d", &status), 1);
    return status;
}

static struct client client_open(struct http_server *server, const char *path, bool tls)
{
    struct client client = client_connect(server, tls);
    struct buf head = {0};
    assert_int_equal(client_upgrade(&client, path, "", &head), 101);
    buf_deinit(&head);
    return client;
}

enum { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, FIN = 0x80 };

/* One masked frame; short, middle and long lengths. */
static void send_frame(struct client *client, int first, struct span data)
{
    static const uint8_t mask[4] = {0x12, 0x34, 0xAB, 0xCD};
    struct buf frame = {0};
    buf_append_byte(&frame, (uint8_t)first);
    if (data.bytes < 126) {
        buf_append_byte(&frame, (uint8_t)(0x80 | data.bytes));
    } else if (data.bytes < 65536) {
        buf_append_byte(&frame, 0x80 | 126);
        buf_append_byte(&frame, (uint8_t)(data.bytes >> 8));
        buf_append_byte(&frame, (uint8_t)data.bytes);
    } else {
        buf_append_byte(&frame, 0x80 | 127);
        for (int shift = 56; shift >= 0; shift -= 8) {
            buf_append_byte(&frame, (uint8_t)((uint64_t)data.bytes >> shift));
        }
    }
    buf_append(&frame, span_of(mask, sizeof(mask)));
    for (size_t i = 0; i < data.bytes; i++) {
        buf_append_byte(&frame, data.data[i] ^ mask[i % 4]);
    }
    client_send(client, frame.data, frame.bytes);
    buf_deinit(&frame);
}

/* The first byte of the next frame, its data in `data`; -1 at the end of the stream. */
static int read_frame(struct client *client, struct buf *data)
{
    if (!client_has(client, 2)) {
        return -1;
    }
    int first = client->raw.in.data[0];
    size_t bytes = client->raw.in.data[1];
    size_t head = bytes < 126 ? 2 : bytes == 126 ? 4 : 10;
    assert_true(bytes < 128); /* a server does not mask */
    assert_true(client_has(client, head));
    if (head > 2) {
        bytes = 0;
        for (size_t i = 2; i < head; i++) {
            bytes = bytes << 8 | client->raw.in.data[i];
        }
    }
    assert_true(client_has(client, head + bytes));
    buf_clear(data);
    buf_append(data, span_first(span_from(buf_span(&client->raw.in), head), bytes));
    buf_consume(&client->raw.in, head + bytes);
    return first;
}

static void assert_frame(struct client *client, int first, struct span expected)
{
    struct buf data = {0};
    assert_int_equal(read_frame(client, &data), first);
    assert_true(span_equal(buf_span(&data), expected));
    buf_deinit(&data);
}

static const struct http_server_options plain;

/* ── Tests ───────────────────────────────────────────────────────────────────────────────── */

/* The example of RFC 6455, section 1.3. */
static void the_handshake_answers_the_key_and_echoes_the_subprotocol(void **state)
{
    (void)state;
    struct http_server *server = start(plain);
    struct buf head = {0};
    struct client client = client_connect(server, false);
    assert_int_equal(
        client_upgrade(&client, "/echo", "Sec-WebSocket-Protocol: a.token.7\r\n", &head), 101);
    assert_non_null(
        strstr(buf_str(&head), "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert_non_null(strstr(buf_str(&head), "\r\nSec-WebSocket-Protocol: a.token.7\r\n"));
    assert_non_null(strcasestr(buf_str(&head), "\r\nUpgrade: websocket\r\n"));
    client_close(&client);
    client = client_connect(server, false);
    assert_int_equal(client_upgrade(&client, "/echo", "Sec-WebSocket-Protocol:\r\n", &head), 101);
    assert_null(strstr(buf_str(&head), "Sec-WebSocket-Protocol"));
    client_close(&client);
    buf_deinit(&head);
    http_server_stop(&server);
}

static void what_is_no_handshake_is_refused_and_the_connection_stays(void **state)
{
    (void)state;
    struct http_server *server = start(plain);
    struct raw raw = raw_connect(http_server_port(server));
    assert_int_equal(raw_status(&raw, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"), 426);
    assert_int_equal(raw_status(&raw, "GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                                      "Connection: Upgrade\r\nSec-WebSocket-Version: 8\r\n\r\n"),
                     426);
    assert_int_equal(raw_status(&raw, "GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                                      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                      "Sec-WebSocket-Key: short\r\n\r\n"),
                     400);
    assert_false(atomic_load(&world.began));
    raw_close(&raw);
    http_server_stop(&server);
}

static void echo_many(struct http_server *server, bool tls)
{
    struct client client = client_open(server, "/echo", tls);
    struct buf big = {0};
    /* 3 kB as the Go client sends them: 1024, 1024, 1024 and the rest. */
    for (size_t i = 0; i < 3315; i++) {
        buf_append_byte(&big, (uint8_t)('a' + i % 26));
    }
    struct span rest = buf_span(&big);
    send_frame(&client, TEXT, span_first(rest, 1024));
    send_frame(&client, CONTINUATION, span_first(span_from(rest, 1024), 1024));
    send_frame(&client, FIN | PING, SPAN_LIT("in between"));
    send_frame(&client, CONTINUATION, span_first(span_from(rest, 2048), 1024));
    send_frame(&client, FIN | CONTINUATION, span_from(rest, 3072));
    assert_frame(&client, FIN | PONG, SPAN_LIT("in between"));
    assert_frame(&client, FIN | TEXT, buf_span(&big));
    /* Several in one go, answered in order; an empty one; one with a 64-bit length. */
    for (int i = 0; i < 10; i++) {
        send_frame(&client, FIN | TEXT, span_first(rest, (size_t)i));
    }
    for (int i = 0; i < 10; i++) {
        assert_frame(&client, FIN | TEXT, span_first(rest, (size_t)i));
    }
    while (big.bytes < 1000000) {
        buf_append_byte(&big, 'z');
    }
    send_frame(&client, FIN | TEXT, buf_span(&big));
    assert_frame(&client, FIN | TEXT, buf_span(&big));
    send_frame(&client, FIN | CLOSE, SPAN_LIT("\x03\xE8"));
    assert_frame(&client, FIN | CLOSE, SPAN_LIT("\x03\xE8"));
    wait_for(&world.ended);
    buf_deinit(&big);
    client_close(&client);
}

static void fragments_are_put_together_and_pings_between_them_answered(void **state)
{
    (void)state;
    struct http_server *server = start(plain);
    echo_many(server, false);
    http_server_stop(&server);
}

static void tls_makes_no_difference(void **state)
{
    (void)state;
    struct http_server *server = start(tls_options());
    for (int i = 0; i < 3; i++) {
        atomic_store(&world.ended, false);
        echo_many(server, true);
    }
    http_server_stop(&server);
}

static void a_client_that_vanishes_ends_its_session_with_and_without_tls(void **state)
{
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct http_server *server = start(tls != 0 ? tls_options() : plain);
        struct client client = client_open(server, "/echo", tls != 0);
        send_frame(&client, FIN | TEXT, SPAN_LIT("x"));
        assert_frame(&client, FIN | TEXT, SPAN_LIT("x"));
        send_frame(&client, TEXT, SPAN_LIT("half a mess"));
        client_close(&client);
        wait_for(&world.ended);
        assert_int_equal(atomic_load(&world.messages), 1);
        http_server_stop(&server);
    }
}

static void the_server_can_close_with_a_reason(void **state)
{
    (void)state;
    struct http_server *server = start(plain);
    struct client client = client_open(server, "/echo", false);
    struct buf data = {0};
    send_frame(&client, FIN | TEXT, SPAN_LIT("bye"));
    assert_frame(&client, FIN | CLOSE,
                 SPAN_LIT("\x03\xF0"
                          "as you like"));
    wait_for(&world.ended);
    assert_int_equal(read_frame(&client, &data), -1);
    client_close(&client);
    http_server_stop(&server);
}

static void a_message_above_its_bound_closes_with_1009(void **state)
{
    (void)state;
    struct http_server *server = start((struct http_server_options){.message_bytes_max = 5000});
    struct client client = client_open(server, "/echo", false);
    char text[3000];
    struct buf data = {0};
    memset(text, 'x', sizeof(text));
    send_frame(&client, TEXT, span_of(text, sizeof(text)));
    send_frame(&client, FIN | CONTINUATION, span_of(text, sizeof(text)));
    assert_int_equal(read_frame(&client, &data), FIN | CLOSE);
    assert_memory_equal(data.data, "\x03\xF1", 2);
    wait_for(&world.ended);
    assert_int_equal(atomic_load(&world.messages), 0);
    buf_deinit(&data);
    client_close(&client);
    http_server_stop(&server);
}

static void frames_against_the_rules_close_with_1002(void **state)
{
    (void)state;
    struct http_server *server = start(plain);
    struct client client = client_open(server, "/echo", false);
    struct buf data = {0};
    client_send(&client, "\x81\x01x", 3); /* not masked */
    assert_int_equal(read_frame(&client, &data), FIN | CLOSE);
    assert_memory_equal(data.data, "\x03\xEA", 2);
    wait_for(&world.ended);
    buf_deinit(&data);
    client_close(&client);
    http_server_stop(&server);
}

static void many_threads_may_write_and_every_message_stays_whole(void **state)
{
    (void)state;
    struct http_server *server = start(plain);
    struct client client = client_open(server, "/chatter", false);
    struct buf data = {0};
    size_t next[4] = {0};
    int first;
    while ((first = read_frame(&client, &data)) == (FIN | TEXT)) {
        size_t writer = (size_t)(data.data[0] - 'a');
        assert_int_equal(data.bytes, 1 + next[writer] * 14);
        for (size_t i = 0; i < data.bytes; i++) {
            assert_int_equal(data.data[i], data.data[0]);
        }
        next[writer]++;
    }
    assert_int_equal(first, FIN | CLOSE); /* 1000: the session has returned */
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(next[i], 200);
    }
    buf_deinit(&data);
    client_close(&client);
    http_server_stop(&server);
}

static void reading_with_a_timeout_returns_and_loses_nothing(void **state)
{
    (void)state;
    struct http_server *server = start(plain);
    struct client client = client_open(server, "/timeout", false);
    assert_frame(&client, FIN | BINARY, SPAN_LIT("tick"));
    client_close(&client);
    http_server_stop(&server);
}

#define PING_MS 50

/* Moves the server's clock until it pings. It may have read the last answer only after the clock
 * was moved and count from then; one that has slept meanwhile must not be two intervals late. */
static void expect_ping(struct client *client, struct testing_clock *clock, struct buf *data)
{
    static const int waits_ms[] = {10 * PING_MS, 10000, 0};
    struct pollfd fd = {.fd = client->raw.fd, .events = POLLIN};
    int ready = 0;
    for (size_t i = 0; i < ARRAY_COUNT(waits_ms) && ready == 0; i++) {
        clock->now_ns += PING_MS * TIME_MS_NS;
        ready = poll(&fd, 1, waits_ms[i]);
    }
    assert_int_equal(read_frame(client, data), FIN | PING);
}

static void a_silent_client_is_pinged_and_a_dead_one_dropped(void **state)
{
    (void)state;
    static struct testing_clock clock;
    testing_clock_begin(&clock);
    struct http_server *server =
        start((struct http_server_options){.io = &clock.io, .websocket_ping_ms = PING_MS});
    struct client client = client_open(server, "/echo", false);
    struct buf data = {0};
    wait_for(&world.began);
    for (int i = 0; i < 5; i++) { /* answering keeps it open beyond three intervals */
        expect_ping(&client, &clock, &data);
        send_frame(&client, FIN | PONG, buf_span(&data));
    }
    expect_ping(&client, &clock, &data);
    assert_false(atomic_load(&world.ended));
    for (int i = 0; i < TESTING_DEADLINE_MS && !atomic_load(&world.ended); i++) {
        clock.now_ns += PING_MS * TIME_MS_NS;
        (void)poll(NULL, 0, 1);
    }
    assert_true(atomic_load(&world.ended));
    buf_deinit(&data);
    client_close(&client);
    http_server_stop(&server);
}

static void websockets_above_their_bound_get_503(void **state)
{
    (void)state;
    struct http_server *server = start((struct http_server_options){.websockets_max = 1});
    struct client first = client_open(server, "/echo", false);
    struct client second = client_connect(server, false);
    struct buf head = {0};
    assert_int_equal(client_upgrade(&second, "/echo", "", &head), 503);
    buf_deinit(&head);
    client_close(&first);
    client_close(&second);
    http_server_stop(&server);
}

static void stopping_the_server_says_going_away(void **state)
{
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct http_server *server = start(tls != 0 ? tls_options() : plain);
        struct client client = client_open(server, "/echo", tls != 0);
        struct buf data = {0};
        wait_for(&world.began);
        http_server_stop(&server);
        assert_true(atomic_load(&world.ended));
        assert_int_equal(read_frame(&client, &data), FIN | CLOSE);
        assert_memory_equal(data.data, "\x03\xE9", 2);
        buf_deinit(&data);
        client_close(&client);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_handshake_answers_the_key_and_echoes_the_subprotocol),
        cmocka_unit_test(what_is_no_handshake_is_refused_and_the_connection_stays),
        cmocka_unit_test(fragments_are_put_together_and_pings_between_them_answered),
        cmocka_unit_test(tls_makes_no_difference),
        cmocka_unit_test(a_client_that_vanishes_ends_its_session_with_and_without_tls),
        cmocka_unit_test(the_server_can_close_with_a_reason),
        cmocka_unit_test(a_message_above_its_bound_closes_with_1009),
        cmocka_unit_test(frames_against_the_rules_close_with_1002),
        cmocka_unit_test(many_threads_may_write_and_every_message_stays_whole),
        cmocka_unit_test(reading_with_a_timeout_returns_and_loses_nothing),
        cmocka_unit_test(a_silent_client_is_pinged_and_a_dead_one_dropped),
        cmocka_unit_test(websockets_above_their_bound_get_503),
        cmocka_unit_test(stopping_the_server_says_going_away),
    };
    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
