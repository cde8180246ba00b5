/*
 * What is claimed: the session answers the captured exchange byte for byte, however it is cut into
 * pieces; it sends nothing where nothing may be sent; what is malformed ends it with a text.
 */
#include "ingest/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"
#include "base/wire.h"
#include "ingest/snappy.h"

#define ANSWER "82eb47c4eba6d5e40cb355f712f2fea500550fe79fcbfdb810c56c4b22f3a1e0"
#define CHALLENGE "1027000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0900"
#define YES "19007b224944223a31323531333039302c22496e666f223a22227d"
#define NO "19007b224944223a31363730363839372c22496e666f223a22227d"
#define TAG_REQUEST                                                                                \
    "270000007b22436f756e74223a322c2254616773223a5b2264656661756c74222c227379736c6f67225d7d"
#define TAG_RESPONSE                                                                               \
    "2b0000007b22436f756e74223a322c2254616773223a7b2264656661756c74223a302c227379736c6f67223a317d" \
    "7d"
#define HOT_RESPONSE "19007b224944223a31333330333338302c22496e666f223a22227d"
#define FORCE_ACK "5073df1a"
#define IDENTITY                                                                                   \
    "00347922070000006578616d706c6505000000312e302e302400000031313131313131312d323232322d33333333" \
    "2d343434342d353535353535353535353535"
#define EVS                                                                                        \
    "60000000060000000f00040003000d0075736572626f620e000400020006"                                 \
    "00706f7274bb010e00020004000f0069700a0000011100010008000c00660000"                             \
    "000000000c400b000200010002006f6b0111000100080011006400046bf414000000"
#define ENTRY_1                                                                                    \
    "cb5ac9c70500008000e8e5dc0e00000015cd5b070100c0a80102000000000000000000000000010000000000000"  \
    "068656c6c6f"
#define ENTRY_2                                                                                    \
    "cb5ac9c70500004001e8e5dc0e000000000000000100fe8000000000000000000000000000010200000000000000" \
    "776f726c64" EVS
#define ENTRY_3                                                                                    \
    "cb5ac9c70800008002e8e5dc0e0000000000000001000a0000010000000000000000000000010300000000000000" \
    "6166746572207636"
#define ENTRY_4                                                                                    \
    "cb5ac9c70c00000003e8e5dc0e00000000000000020000000000000000000000ffff7f0000010400000000000000" \
    "6e6f737263206e6577746167"

/* One session, its scripted driver and what it saw. */
struct world {
    struct ingest_session *session;
    struct buf sent; /* everything the session put out */
    struct buf seen; /* entries, "tag source time data evs\n" */
    unsigned states;
    bool allow;
    bool hold; /* entries do not become durable */
    int rc;
};

static void world_init(struct world *world, const struct ingest_session_options *base)
{
    *world = (struct world){.allow = true};
    struct ingest_session_options options =
        base == NULL ? (struct ingest_session_options){0} : *base;
    ingest_secret_hash(SPAN_LIT("IngestSecrets"), options.secret_hash);
    for (uint8_t i = 0; i < 32; i++) {
        options.nonce[i] = i;
    }
    options.rounds = 10000;
    world->session = ingest_session_new(&options);
}

static void world_deinit(struct world *world)
{
    ingest_session_free(&world->session);
    buf_deinit(&world->sent);
    buf_deinit(&world->seen);
}

static uint16_t number_of(struct span name)
{
    return span_equal_str(name, "default") ? 0 : span_equal_str(name, "syslog") ? 1 : 2;
}

static void act(struct world *world, const struct ingest_event *event)
{
    uint16_t numbers[16];
    switch (event->kind) {
    case INGEST_EVENT_ASKS_TAGS:
        for (size_t i = 0; i < event->tags.count; i++) {
            numbers[i] = number_of(span_of_str(event->tags.names[i]));
        }
        ingest_session_grant_tags(world->session, numbers);
        break;
    case INGEST_EVENT_ASKS_TAG:
        if (span_equal_str(event->tag, "bad/tag")) {
            ingest_session_refuse_tag(world->session);
        } else {
            ingest_session_grant_tag(world->session, number_of(event->tag));
        }
        break;
    case INGEST_EVENT_ASKS_INGEST:
        ingest_session_allow(world->session, world->allow);
        break;
    case INGEST_EVENT_ENTRY:
        buf_printf(&world->seen, "%u ", event->entry.tag);
        entry_source_text(&world->seen, event->entry.source);
        buf_printf(&world->seen, " %lld %.*s %zu\n", (long long)event->entry.time_ns,
                   SPAN_ARG(event->entry.data), event->entry.enumerated.bytes);
        if (!world->hold) {
            ingest_session_durable(world->session, 1);
        }
        break;
    case INGEST_EVENT_STATE:
        world->states++;
        break;
    case INGEST_EVENT_IDENTITY:
        assert_true(span_equal_str(event->name, "example"));
        assert_true(span_equal_str(event->version, "1.0.0"));
        assert_int_equal(event->uuid.bytes, 36);
        break;
    default:
        break;
    }
}

static void take_output(struct world *world)
{
    struct span out = ingest_session_output(world->session);
    buf_append(&world->sent, out);
    ingest_session_sent(world->session, out.bytes);
}

static void feed(struct world *world, struct span bytes)
{
    ingest_session_feed(world->session, bytes);
    struct ingest_event event;
    while ((world->rc = ingest_session_next(world->session, &event)) == 0) {
        act(world, &event);
    }
    take_output(world);
}

static void feed_hex(struct world *world, const char *hex)
{
    struct buf bytes = {0};
    assert_true(text_unhex(&bytes, span_of_str(hex)));
    feed(world, buf_span(&bytes));
    buf_deinit(&bytes);
}

/* What was sent since the last look. */
static void expect_sent(struct world *world, const char *hex)
{
    struct buf text = {0};
    text_hex(&text, buf_span(&world->sent));
    assert_string_equal(buf_str(&text), hex);
    buf_deinit(&text);
    buf_clear(&world->sent);
}

static void log_in(struct world *world)
{
    feed_hex(world, ANSWER TAG_REQUEST HOT_RESPONSE);
    assert_int_equal(world->rc, INGEST_SESSION_MORE);
    buf_clear(&world->sent);
}

/* Up to steady state, without compression. */
static void set_up(struct world *world)
{
    log_in(world);
    feed_hex(world, FORCE_ACK "004433220900" FORCE_ACK IDENTITY "00554433"
                              "0100000000" FORCE_ACK);
    assert_int_equal(world->rc, INGEST_SESSION_MORE);
    buf_clear(&world->sent);
}

static void the_captured_exchange_is_answered_byte_for_byte(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, NULL);
    take_output(&world);
    expect_sent(&world, CHALLENGE);
    feed_hex(&world, ANSWER);
    expect_sent(&world, YES);
    feed_hex(&world, TAG_REQUEST);
    expect_sent(&world, TAG_RESPONSE);
    feed_hex(&world, HOT_RESPONSE FORCE_ACK);
    expect_sent(&world, "");
    feed_hex(&world, "004433220900");
    expect_sent(&world, "01443322");
    feed_hex(&world, FORCE_ACK IDENTITY);
    expect_sent(&world, "01347922");
    feed_hex(&world, "00554433");
    expect_sent(&world, "015544330100000000000000");
    feed_hex(&world, "0100000000");
    expect_sent(&world, "0100000000");
    feed_hex(&world, FORCE_ACK ENTRY_1);
    expect_sent(&world, "7e30e0f60100000000000000");
    feed_hex(&world, ENTRY_2);
    expect_sent(&world, "7e30e0f60200000000000000");
    feed_hex(&world, ENTRY_3);
    expect_sent(&world, "7e30e0f60300000000000000");
    feed_hex(&world, FORCE_ACK "00536718060000006e6577746167");
    expect_sent(&world, "015367180200000000000000");
    feed_hex(&world, ENTRY_4);
    expect_sent(&world, "7e30e0f60400000000000000");
    feed_hex(&world, FORCE_ACK "00665544020000007b7d");
    expect_sent(&world, "01665544");
    feed_hex(&world, FORCE_ACK FORCE_ACK FORCE_ACK);
    expect_sent(&world, "");
    assert_int_equal(ingest_session_end(world.session), 0);
    assert_int_equal(world.states, 1);
    assert_string_equal(buf_str(&world.seen), "1 192.168.1.2 1700000000123456789 hello 0\n"
                                              "1 fe80::1 1700000001000000000 world 96\n"
                                              "1 10.0.0.1 1700000002000000000 after v6 0\n"
                                              "2 127.0.0.1 1700000003000000000 nosrc newtag 0\n");
    world_deinit(&world);
}

/* The same bytes one by one, and all at once, give the same output. */
static void cutting_the_stream_changes_nothing(void **state)
{
    (void)state;
    static const char whole[] = ANSWER TAG_REQUEST HOT_RESPONSE FORCE_ACK
        "004433220900" FORCE_ACK IDENTITY "00554433"
        "0100000000" FORCE_ACK ENTRY_1 ENTRY_2 ENTRY_3 "00536718060000006e6577746167" ENTRY_4;
    struct buf bytes = {0};
    assert_true(text_unhex(&bytes, span_of_str(whole)));
    struct buf expected = {0};
    for (size_t piece = bytes.bytes; piece > 0; piece /= 5) {
        struct world world;
        world_init(&world, NULL);
        for (size_t at = 0; at < bytes.bytes; at += piece) {
            feed(&world, span_first(span_from(buf_span(&bytes), at), piece));
            assert_int_equal(world.rc, INGEST_SESSION_MORE);
        }
        if (expected.bytes == 0) {
            buf_append(&expected, buf_span(&world.sent));
        }
        assert_true(span_equal(buf_span(&world.sent), buf_span(&expected)));
        world_deinit(&world);
    }
    buf_deinit(&bytes);
    buf_deinit(&expected);
}

static void a_wrong_secret_is_refused_and_nothing_else_is_taken(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, NULL);
    take_output(&world);
    buf_clear(&world.sent);
    feed_hex(&world, "ae9e6444b9587bcff556cce7fd32b11dec37282433852f665648b731cd28c128");
    assert_int_equal(world.rc, ERR_AUTH);
    expect_sent(&world, NO);
    feed_hex(&world, TAG_REQUEST);
    assert_int_equal(world.rc, ERR_AUTH);
    expect_sent(&world, "");
    assert_false(ingest_session_authenticated(world.session));
    world_deinit(&world);
}

static void the_tenant_form_is_an_answer_too(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, NULL);
    take_output(&world);
    buf_clear(&world.sent);
    feed_hex(&world, "6772617677656c6c0000000000000000000000000000000074656e616e743031" ANSWER
                     "0900040061636d65");
    expect_sent(&world, YES);
    world_deinit(&world);
}

/* Trap: a PONG there would be read as the size of the configuration. */
static void no_pong_leaves_while_the_configuration_is_awaited(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, NULL);
    take_output(&world);
    buf_clear(&world.sent);
    ingest_session_idle(world.session);
    take_output(&world);
    expect_sent(&world, ""); /* nor before the log-in is complete */
    log_in(&world);
    ingest_session_idle(world.session);
    take_output(&world);
    expect_sent(&world, "08007788");
    feed_hex(&world, "004433220900" IDENTITY "00554433");
    buf_clear(&world.sent);
    ingest_session_idle(world.session);
    take_output(&world);
    expect_sent(&world, "");
    feed_hex(&world, "0100000000");
    expect_sent(&world, "0100000000");
    ingest_session_idle(world.session);
    take_output(&world);
    expect_sent(&world, "08007788");
    world_deinit(&world);
}

/* An old client, which announced no version, is asked for no configuration. */
static void an_old_client_goes_straight_to_entries(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, NULL);
    log_in(&world);
    feed_hex(&world, "00554433" ENTRY_1);
    expect_sent(&world, "0155443301000000000000007e30e0f60100000000000000");
    world_deinit(&world);
}

static void no_means_ask_again(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, NULL);
    log_in(&world);
    world.allow = false;
    feed_hex(&world, "004433220900" IDENTITY);
    buf_clear(&world.sent);
    feed_hex(&world, "00554433");
    expect_sent(&world, "015544330000000000000000");
    world.allow = true;
    feed_hex(&world, "00554433");
    expect_sent(&world, "015544330100000000000000");
    feed_hex(&world, "0100000000" ENTRY_1);
    expect_sent(&world, "01000000007e30e0f60100000000000000");
    world_deinit(&world);
}

/* Confirmations wait for storage, and then come in order, each once. */
static void confirmations_come_only_when_entries_are_durable(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, NULL);
    set_up(&world);
    world.hold = true;
    feed_hex(&world, ENTRY_1 ENTRY_2 ENTRY_3);
    expect_sent(&world, "");
    assert_int_equal(ingest_session_pending(world.session), 3);
    ingest_session_durable(world.session, 2);
    take_output(&world);
    expect_sent(&world, "7e30e0f601000000000000007e30e0f60200000000000000");
    ingest_session_durable(world.session, 1);
    take_output(&world);
    expect_sent(&world, "7e30e0f60300000000000000");
    assert_int_equal(ingest_session_pending(world.session), 0);
    world_deinit(&world);
}

static void a_ditto_block_is_confirmed_once_for_all_its_entries(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, NULL);
    set_up(&world);
    feed_hex(&world, "aabbccdd0200000000000000" ENTRY_1 ENTRY_2);
    expect_sent(&world, "887766550000000000000000");
    feed_hex(&world, ENTRY_3);
    expect_sent(&world, "7e30e0f60300000000000000");
    feed_hex(&world, "aabbccdd0000000000000000");
    expect_sent(&world, "887766550000000000000000");
    world_deinit(&world);
}

static void a_ping_gets_a_pong_and_a_bad_tag_an_error(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, NULL);
    set_up(&world);
    feed_hex(&world, "01007788");
    expect_sent(&world, "08007788");
    feed_hex(&world, "00536718070000006261642f746167");
    expect_sent(&world, "02536718");
    world_deinit(&world);
}

/* Clients write their own log with tag 65535 and never ask for it. */
static void the_gravwell_tag_needs_no_asking(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, NULL);
    set_up(&world);
    struct entry entry = {.tag = 65535, .data = SPAN_LIT("x")};
    struct buf bytes = {0};
    ingest_entry_write(&bytes, &entry, 1);
    feed(&world, buf_span(&bytes));
    assert_int_equal(world.rc, INGEST_SESSION_MORE);
    expect_sent(&world, "7e30e0f60100000000000000");
    buf_deinit(&bytes);
    world_deinit(&world);
}

/* Trap: the client drops what it has buffered when it switches, so the server's first compressed
 * byte waits for the client's. */
static void compressed_bytes_wait_for_the_clients_first(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, NULL);
    log_in(&world);
    feed_hex(&world, "004433220900" IDENTITY "00554433");
    buf_clear(&world.sent);
    feed_hex(&world, "0100000010");
    expect_sent(&world, "0100000010");
    ingest_session_idle(world.session);
    take_output(&world);
    expect_sent(&world, "");
    feed_hex(&world, "ff060000734e6150705901080000900e813a5073df1a");
    expect_sent(&world, "ff060000734e615070590108000048d12b4f08007788");

    struct ingest_snappy_writer writer = {.identified = true};
    struct buf plain = {0};
    struct buf framed = {0};
    assert_true(text_unhex(&plain, SPAN_LIT(ENTRY_1 ENTRY_2)));
    ingest_snappy_write(&writer, buf_span(&plain), &framed);
    feed(&world, buf_span(&framed));
    struct ingest_snappy_reader reader = {.identified = true};
    buf_clear(&plain);
    assert_int_equal(ingest_snappy_read(&reader, buf_span(&world.sent), &plain), 0);
    buf_clear(&world.sent);
    buf_append(&world.sent, buf_span(&plain));
    expect_sent(&world, "7e30e0f601000000000000007e30e0f60200000000000000");
    ingest_snappy_reader_deinit(&reader);
    buf_deinit(&plain);
    buf_deinit(&framed);
    world_deinit(&world);
}

static void compression_may_be_declined(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, &(struct ingest_session_options){.no_compression = true});
    log_in(&world);
    feed_hex(&world, "004433220900" IDENTITY "00554433");
    buf_clear(&world.sent);
    feed_hex(&world, "0100000010" FORCE_ACK ENTRY_1);
    expect_sent(&world, "01000000007e30e0f60100000000000000");
    world_deinit(&world);
}

/* Each after a full set-up: what follows, and what the fault must name. */
static void malformed_messages_end_the_session_with_a_text(void **state)
{
    (void)state;
    static const struct {
        const char *hex, *says;
    } bad[] = {
        {"deadbeef", "unknown message 0xefbeadde"},
        {"00000000", "unknown message 0x00000000"},
        {"cb5ac9c7ffffff3f00e8e5dc0e000000000000000100c0a80102000000000000000000000000"
         "0100000000000000",
         "entry 1 has 1073741823 bytes, more than the 134217728"},
        {"cb5ac9c70000000000e8e5dc0e000000000000000900c0a80102000000000000000000000000"
         "0100000000000000",
         "tag number 9"},
        {"cb5ac9c70000000000e8e5dc0e000000000000000100c0a80102000000000000000000000000"
         "0000000000000000",
         "entry id 0"},
        {ENTRY_1 ENTRY_1, "entry id 1 after 1"},
        {"cb5ac9c70000004000e8e5dc0e000000000000000100c0a80102000000000000000000000000"
         "010000000000000004000000",
         ""},
        {"cb5ac9c70000004000e8e5dc0e000000000000000100c0a80102000000000000000000000000"
         "01000000000000000a0000000100000000000000",
         "entry 1"},
        {"0053671801100000", "tag name of 4097 bytes"},
        {"0034792201000100", "identity string of 65537 bytes"},
        {"0066554401001000", "state of 1048577 bytes"},
        {"0066554400000000", "state of 0 bytes"},
        {"00554433", "second time"},
        {"aabbccdd0100000000000000" FORCE_ACK, "ditto"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct world world;
        world_init(&world, NULL);
        set_up(&world);
        feed_hex(&world, bad[i].hex);
        if (bad[i].says[0] == '\0') { /* a header too short to judge */
            assert_int_equal(world.rc, INGEST_SESSION_MORE);
        } else {
            assert_true(world.rc < 0);
            assert_non_null(strstr(err_text(), bad[i].says));
            assert_non_null(strstr(err_text(), "at offset "));
        }
        assert_int_equal(ingest_session_end(world.session) < 0, true);
        world_deinit(&world);
    }
}

static void a_broken_log_in_ends_the_session(void **state)
{
    (void)state;
    static const struct {
        const char *hex, *says;
    } bad[] = {
        {ANSWER "01000002", "tag request of 33554433 bytes"},
        {ANSWER "020000007b7b", "not JSON"},
        {ANSWER TAG_REQUEST "0110", "state response of 4097 bytes"},
        {ANSWER TAG_REQUEST YES, "instead of HOT"},
        {ANSWER TAG_REQUEST HOT_RESPONSE "004433220900"
                                         "00554433"
                                         "00000000",
         "configuration"},
        {ANSWER TAG_REQUEST HOT_RESPONSE "004433220900"
                                         "00554433"
                                         "0100000011",
         "compression 0x11"},
        {ANSWER TAG_REQUEST HOT_RESPONSE "004433220900"
                                         "00554433"
                                         "0100000010"
                                         "00",
         ""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct world world;
        world_init(&world, NULL);
        feed_hex(&world, bad[i].hex);
        if (bad[i].says[0] != '\0') {
            assert_int_equal(world.rc, ERR_PROTOCOL);
            assert_non_null(strstr(err_text(), bad[i].says));
        }
        world_deinit(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_captured_exchange_is_answered_byte_for_byte),
        cmocka_unit_test(cutting_the_stream_changes_nothing),
        cmocka_unit_test(a_wrong_secret_is_refused_and_nothing_else_is_taken),
        cmocka_unit_test(the_tenant_form_is_an_answer_too),
        cmocka_unit_test(no_pong_leaves_while_the_configuration_is_awaited),
        cmocka_unit_test(an_old_client_goes_straight_to_entries),
        cmocka_unit_test(no_means_ask_again),
        cmocka_unit_test(confirmations_come_only_when_entries_are_durable),
        cmocka_unit_test(a_ditto_block_is_confirmed_once_for_all_its_entries),
        cmocka_unit_test(a_ping_gets_a_pong_and_a_bad_tag_an_error),
        cmocka_unit_test(the_gravwell_tag_needs_no_asking),
        cmocka_unit_test(compressed_bytes_wait_for_the_clients_first),
        cmocka_unit_test(compression_may_be_declined),
        cmocka_unit_test(malformed_messages_end_the_session_with_a_text),
        cmocka_unit_test(a_broken_log_in_ends_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
