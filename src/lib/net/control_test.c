/*
 * Control-Auth without a network: who does not know the secret, repeats or alters a message is
 * refused, and for that very reason and no other. The clock is ours.
 */
#include "net/testing.h"

#include "base/time.h"
#include "net/control.h"

/* An io whose clock stands until a test moves it. */
struct clock_io {
    struct io io;
    struct io_methods methods;
    int64_t now_ns;
};

static int64_t clock_now(struct io *io)
{
    return ((struct clock_io *)io)->now_ns;
}

static void real_random(struct io *io, void *data, size_t bytes)
{
    (void)io;
    io_random(io_real(), data, bytes);
}

static struct clock_io world;

static int make_world(void **state)
{
    (void)state;
    world = (struct clock_io){.methods = {.monotonic_ns = clock_now, .random = real_random},
                              .now_ns = TIME_HOUR_NS};
    world.io.methods = &world.methods;
    return 0;
}

static struct control_client session_with(struct control *control, const char *secret)
{
    struct control_client client;
    char session[CONTROL_SESSION_TEXT_BYTES];
    char nonce[CONTROL_NONCE_TEXT_BYTES];
    control_client_begin(&client, &world.io);
    assert_int_equal(control_hello(control, client.nonce, session, nonce), 0);
    assert_int_equal(control_client_accept(&client, secret, session, nonce), 0);
    return client;
}

struct message {
    char header[CONTROL_HEADER_BYTES_MAX];
    struct control_seal seal;
};

static struct message signed_by(struct control_client *client)
{
    struct message message;
    char hash[CONTROL_HASH_TEXT_BYTES];
    control_hash(SPAN_LIT("body"), hash);
    control_client_sign(client, "POST", "/sync/v1/push?x=1", hash, &message.seal, message.header);
    return message;
}

static int verify(struct control *control, const struct message *message)
{
    struct control_seal seal;
    return control_verify(control, message->header, "POST", "/sync/v1/push?x=1", &seal);
}

static void who_knows_the_secret_is_accepted(void **state)
{
    (void)state;
    struct control *control = control_new(&world.io, "secret");
    struct control_client client = session_with(control, "secret");
    for (int i = 0; i < 3; i++) {
        struct message message = signed_by(&client);
        assert_int_equal(verify(control, &message), 0);
    }
    control_free(&control);
}

static void another_secret_is_refused(void **state)
{
    (void)state;
    struct control *control = control_new(&world.io, "secret");
    struct control_client client = session_with(control, "Secret");
    struct message message = signed_by(&client);
    assert_int_equal(verify(control, &message), CONTROL_WRONG_MAC);
    control_free(&control);
}

/* The canary of the sequence check: bit for bit the message that was accepted a moment ago, so
 * that nothing but the used-up number can refuse it; the next number then passes. */
static void a_repeated_message_is_refused_by_its_sequence(void **state)
{
    (void)state;
    struct control *control = control_new(&world.io, "secret");
    struct control_client client = session_with(control, "secret");
    struct message message = signed_by(&client);
    assert_int_equal(verify(control, &message), 0);
    assert_int_equal(verify(control, &message), CONTROL_REPLAYED);
    assert_int_equal(verify(control, &message), CONTROL_REPLAYED);
    struct message next = signed_by(&client);
    assert_int_equal(verify(control, &next), 0);
    assert_int_equal(verify(control, &message), CONTROL_REPLAYED);
    control_free(&control);
}

/* Against a model: every number of a shuffled run is accepted once and never again, as long as it
 * is not further behind the highest than the window. */
static void numbers_may_come_out_of_order_within_the_window_but_only_once(void **state)
{
    (void)state;
    enum { COUNT = 6000 };
    struct control *control = control_new(&world.io, "secret");
    struct control_client client = session_with(control, "secret");
    struct message *messages = mem_alloc_array(COUNT + 1, sizeof(*messages));
    bool *used = mem_alloc_array(COUNT + 1, sizeof(*used));
    for (size_t i = 1; i <= COUNT; i++) {
        messages[i] = signed_by(&client);
    }
    uint64_t random = 42;
    size_t highest = 0;
    for (size_t step = 0; step < 20000; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t about = 1 + step * COUNT / 20000;
        size_t i = MIN(MAX(about + (random >> 33) % 2400, (size_t)1201) - 1200, (size_t)COUNT);
        i = MAX(i, (size_t)1);
        bool old = i + CONTROL_WINDOW <= highest;
        int expected = used[i] || old ? CONTROL_REPLAYED : 0;
        assert_int_equal(verify(control, &messages[i]), expected);
        used[i] = true;
        highest = MAX(highest, i);
    }
    mem_free(messages);
    mem_free(used);
    control_free(&control);
}

/* The worked example of docs/protocols/control-auth.md, computed elsewhere. */
static void the_bytes_are_those_of_the_protocol_page(void **state)
{
    (void)state;
    struct control_client client = {0};
    struct control_seal seal;
    char text[CONTROL_HEADER_BYTES_MAX];
    char hash[CONTROL_HASH_TEXT_BYTES];
    char session[CONTROL_SESSION_TEXT_BYTES];
    char nonce[CONTROL_NONCE_TEXT_BYTES];
    memset(client.nonce, 'a', sizeof(client.nonce) - 1);
    memset(nonce, 'b', sizeof(nonce));
    memset(session, 'c', sizeof(session));
    nonce[sizeof(nonce) - 1] = session[sizeof(session) - 1] = 0;
    assert_int_equal(control_client_accept(&client, "secret", session, nonce), 0);
    control_hash(SPAN_LIT("hello"), hash);
    control_client_sign(&client, "POST", "/sync/v1/push?x=1", hash, &seal, text);
    assert_string_equal(text,
                        "v1 session=cccccccccccccccccccccccccccccccc sequence=1 "
                        "body=2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 "
                        "mac=9d2d4f67c4298d5b9db442783cb6feb49aa7951eb9f4e0339f49b69cae2d9393");
    control_client_trailer(&seal, hash, text);
    assert_string_equal(text, "6aacaddf4248e3d304ec72a5627017c8653003e1098264ffebf5c4a629270940");
    control_seal_answer(&seal, 200, "-", text);
    assert_string_equal(text,
                        "v1 body=- "
                        "mac=1a70dae8b11f9969b597cdb92c9e01da5cc5a325aaee893836f8ef827a021973");
}

static void an_altered_method_path_query_or_number_is_refused(void **state)
{
    (void)state;
    struct control *control = control_new(&world.io, "secret");
    struct control_client client = session_with(control, "secret");
    struct control_seal seal;
    struct message message = signed_by(&client);
    const char *target = "/sync/v1/push?x=1";
    assert_int_equal(control_verify(control, message.header, "PUT", target, &seal),
                     CONTROL_WRONG_MAC);
    assert_int_equal(control_verify(control, message.header, "POST", "/sync/v1/push?x=2", &seal),
                     CONTROL_WRONG_MAC);
    assert_int_equal(control_verify(control, message.header, "POST", "/sync/v1/pull?x=1", &seal),
                     CONTROL_WRONG_MAC);
    char *number = strstr(message.header, "sequence=1 ");
    assert_non_null(number);
    number[9] = '2';
    assert_int_equal(control_verify(control, message.header, "POST", target, &seal),
                     CONTROL_WRONG_MAC);
    number[9] = '1'; /* a refused forgery has not used the number up */
    assert_int_equal(control_verify(control, message.header, "POST", target, &seal), 0);
    control_free(&control);
}

static void an_altered_body_is_refused_with_hash_and_with_trailer(void **state)
{
    (void)state;
    struct control *control = control_new(&world.io, "secret");
    struct control_client client = session_with(control, "secret");
    char good[CONTROL_HASH_TEXT_BYTES];
    char bad[CONTROL_HASH_TEXT_BYTES];
    control_hash(SPAN_LIT("body"), good);
    control_hash(SPAN_LIT("bodx"), bad);
    struct message message = signed_by(&client);
    struct control_seal seal;
    assert_int_equal(control_verify(control, message.header, "POST", "/sync/v1/push?x=1", &seal),
                     0);
    assert_int_equal(control_seal_body(&seal, good, NULL), 0);
    assert_int_equal(control_seal_body(&seal, bad, NULL), CONTROL_ALTERED_BODY);

    char trailer[CONTROL_HASH_TEXT_BYTES];
    control_client_sign(&client, "PUT", "/b", "trailer", &message.seal, message.header);
    control_client_trailer(&message.seal, good, trailer);
    assert_int_equal(control_verify(control, message.header, "PUT", "/b", &seal), 0);
    assert_int_equal(control_seal_body(&seal, good, trailer), 0);
    assert_int_equal(control_seal_body(&seal, bad, trailer), CONTROL_ALTERED_BODY);
    assert_int_equal(control_seal_body(&seal, good, NULL), CONTROL_ALTERED_BODY);
    assert_int_equal(control_seal_body(&seal, good, good), CONTROL_ALTERED_BODY);
    control_free(&control);
}

static void an_answer_proves_the_secret_its_status_and_its_body(void **state)
{
    (void)state;
    struct control *control = control_new(&world.io, "secret");
    struct control_client client = session_with(control, "secret");
    struct control_client other = session_with(control, "secret");
    struct message message = signed_by(&client);
    struct message stranger = signed_by(&other);
    struct control_seal seal;
    char header[CONTROL_HEADER_BYTES_MAX];
    char body[CONTROL_HASH_TEXT_BYTES];
    char hash[CONTROL_HASH_TEXT_BYTES];
    control_hash(SPAN_LIT("answer"), hash);
    assert_int_equal(control_verify(control, message.header, "POST", "/sync/v1/push?x=1", &seal),
                     0);
    control_seal_answer(&seal, 200, hash, header);
    assert_int_equal(control_client_check(&message.seal, 200, header, body), 0);
    assert_string_equal(body, hash);
    assert_int_equal(control_client_check(&message.seal, 404, header, body), ERR_AUTH);
    assert_int_equal(control_client_check(&message.seal, 200, NULL, body), ERR_AUTH);
    assert_int_equal(control_client_check(&stranger.seal, 200, header, body), ERR_AUTH);
    header[10] = header[10] == 'a' ? 'b' : 'a';
    assert_int_equal(control_client_check(&message.seal, 200, header, body), ERR_AUTH);
    control_free(&control);
}

static void a_header_that_is_not_of_its_form_is_refused(void **state)
{
    (void)state;
    struct control *control = control_new(&world.io, "secret");
    struct control_client client = session_with(control, "secret");
    struct message message = signed_by(&client);
    struct control_seal seal;
    size_t length = strlen(message.header);
    for (size_t cut = 0; cut < length; cut++) {
        char part[CONTROL_HEADER_BYTES_MAX];
        (void)snprintf(part, sizeof(part), "%.*s", (int)cut, message.header);
        assert_int_equal(control_verify(control, part, "POST", "/sync/v1/push?x=1", &seal),
                         CONTROL_MALFORMED);
    }
    char session[CONTROL_SESSION_TEXT_BYTES];
    char nonce[CONTROL_NONCE_TEXT_BYTES];
    assert_int_equal(control_hello(control, "abc", session, nonce), ERR_INVALID);
    assert_int_equal(control_hello(control, "", session, nonce), ERR_INVALID);
    control_free(&control);
}

static void a_session_ends_when_unproven_or_idle_for_too_long(void **state)
{
    (void)state;
    struct control *control = control_new(&world.io, "secret");
    struct control_client used = session_with(control, "secret");
    struct control_client never = session_with(control, "secret");
    struct message message = signed_by(&used);
    assert_int_equal(verify(control, &message), 0);
    world.now_ns += (CONTROL_UNPROVEN_MS + 1) * TIME_MS_NS;
    message = signed_by(&never);
    assert_int_equal(verify(control, &message), CONTROL_UNKNOWN_SESSION);
    message = signed_by(&used);
    assert_int_equal(verify(control, &message), 0);
    world.now_ns += (CONTROL_IDLE_MS + INT64_C(1)) * TIME_MS_NS;
    message = signed_by(&used);
    assert_int_equal(verify(control, &message), CONTROL_UNKNOWN_SESSION);
    assert_int_equal(control_session_count(control), 0);
    control_free(&control);
}

static void a_flood_of_hellos_is_bounded_and_drives_no_proven_session_out(void **state)
{
    (void)state;
    struct control *control = control_new(&world.io, "secret");
    struct control_client client = session_with(control, "secret");
    struct message message = signed_by(&client);
    assert_int_equal(verify(control, &message), 0);
    for (size_t i = 0; i < CONTROL_SESSIONS_MAX + 500; i++) {
        (void)session_with(control, "guess");
    }
    assert_int_equal(control_session_count(control), CONTROL_SESSIONS_MAX);
    message = signed_by(&client);
    assert_int_equal(verify(control, &message), 0);
    control_free(&control);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(who_knows_the_secret_is_accepted, make_world),
        cmocka_unit_test_setup(another_secret_is_refused, make_world),
        cmocka_unit_test_setup(a_repeated_message_is_refused_by_its_sequence, make_world),
        cmocka_unit_test_setup(numbers_may_come_out_of_order_within_the_window_but_only_once,
                               make_world),
        cmocka_unit_test_setup(the_bytes_are_those_of_the_protocol_page, make_world),
        cmocka_unit_test_setup(an_altered_method_path_query_or_number_is_refused, make_world),
        cmocka_unit_test_setup(an_altered_body_is_refused_with_hash_and_with_trailer, make_world),
        cmocka_unit_test_setup(an_answer_proves_the_secret_its_status_and_its_body, make_world),
        cmocka_unit_test_setup(a_header_that_is_not_of_its_form_is_refused, make_world),
        cmocka_unit_test_setup(a_session_ends_when_unproven_or_idle_for_too_long, make_world),
        cmocka_unit_test_setup(a_flood_of_hellos_is_bounded_and_drives_no_proven_session_out,
                               make_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
