/*
 * Feeds of Warp 10 3.x, without a wire: messages and records byte for byte as they were captured
 * or as another implementation made them (tests/cluster/warp10_feed.py), keys, and both ends with
 * each other: who is not who he should be is refused, in each state only what belongs is taken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"
#include "io/sim.h"
#include "warp10/encoder.h"
#include "warp10/feed3x_record.h"
#include "warp10/feed3x_session.h"

#define FEEDER_PRIVATE                                                                             \
    "secp256k1:1438636575839925478091129982116656465491217777864470925405999838270798827776"
#define FEEDER_PUBLIC                                                                              \
    "secp256k1:040bb1cfbe3fa4913171ba99f638671a6b9f9862d91c0f08b7ef95c7e1b1731c1b6b4863c5a47c293e" \
    "e77eb4bdc0e05ffbb52ffdd5edba267c3ed585e6c196830b"
#define CONSUMER_PRIVATE "secp256k1:12345678901234567890123456789012345678901234567890"
#define CONSUMER_PUBLIC                                                                            \
    "secp256k1:0458db0a6c0e471c56e968136a6963d3de14aa303beb0efb545b6f71d7d63c0a3225b18a4216961b5a" \
    "4e23fb83a95e76cdfc1069b5d97a2f924742137366d53330"
#define NONCE INT64_C(-6669511966315169524)
#define TIME_MS INT64_C(1795217568638)
#define SIGNATURE                                                                                  \
    "3044022056103152383348d14d34c76f0603b09f39f0655e483cc86552ba7000f1ea707602201ee8fb679b3eb7a2" \
    "5c93603c3804251ebd8b6c0dd557b4f413a6dcaee370cf6b"

static struct buf hex(const char *text)
{
    struct buf bytes = {0};
    assert_true(text_unhex(&bytes, span_of_str(text)));
    return bytes;
}

static void check_hex(struct span bytes, const char *expected)
{
    struct buf text = {0};
    text_hex(&text, bytes);
    assert_string_equal(buf_str(&text), expected);
    buf_deinit(&text);
}

static struct feed3x_key *private_key(const char *text)
{
    struct feed3x_key *key = NULL;
    assert_int_equal(feed3x_key_private(text, &key), 0);
    return key;
}

static struct feed3x_key *public_key(const char *text)
{
    struct feed3x_key *key = NULL;
    assert_int_equal(feed3x_key_public(text, &key), 0);
    return key;
}

/* ── Messages ────────────────────────────────────────────────────────────────────────────── */

static void messages_are_those_that_were_captured(void **state)
{
    (void)state;
    static const struct {
        struct feed3x_message message;
        const char *hex;
    } cases[] = {
        {{.type = FEED3X_TSEEK, .seek_ms = INT64_C(1795217539590)}, "1508063e8c88eeb4bf6800"},
        {{.type = FEED3X_SEEK,
          .ref = {(const uint8_t *)"000001a1fb4e9dd6.1f167dba-949a-4c21-b543-a5f9:2351:178", 54}},
         "1506082a36303030303031613166623465396464362e31663136376462612d393439612d346332312d623534"
         "332d613566393a323335313a31373800"},
        {{.type = FEED3X_KEEPALIVE}, "150e00"},
        {{.type = FEED3X_INIT,
          .id = {(const uint8_t *)"consumer-1", 10},
          .signature = {(const uint8_t *)"sign", 4},
          .shards = {{4, 1}, {2, 0}},
          .shard_count = 2,
          .shard_shift = 48,
          .excluded = {{(const uint8_t *)"n", 1}},
          .excluded_count = 1},
         "1504a80a636f6e73756d65722d3118047369676e1926828080808001808080804016601918016e00"},
        {{.type = FEED3X_WELCOME,
          .nonce = NONCE,
          .time_ms = TIME_MS,
          .id = {(const uint8_t *)"feeder-n", 8},
          .signature = {(const uint8_t *)"sign", 4}},
         "150216e79bf696fff2ee8eb90116fccdf1b4bf68127808666565646572"
         "2d6e18047369676e00"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf bytes = {0};
        struct buf again = {0};
        struct feed3x_message back;
        feed3x_message_write(&bytes, &cases[i].message);
        check_hex(buf_span(&bytes), cases[i].hex);
        assert_int_equal(feed3x_message_read(buf_span(&bytes), &back), 0);
        feed3x_message_write(&again, &back);
        assert_true(span_equal(buf_span(&bytes), buf_span(&again)));
        buf_deinit(&bytes);
        buf_deinit(&again);
    }
}

static void what_is_no_message_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",       "00",     "1510 00",        "1506",           "150600",
        "150a00", "150200", "150c0866016100", "15047801780000", "ffffffffffff"};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct feed3x_message message;
        struct buf bytes = {0};
        (void)text_unhex(&bytes, span_of_str(cases[i]));
        assert_int_equal(feed3x_message_read(buf_span(&bytes), &message), ERR_PROTOCOL);
        buf_deinit(&bytes);
    }
}

static void a_frame_is_whole_or_not_there_and_never_too_long(void **state)
{
    (void)state;
    struct buf bytes = {0};
    struct span body;
    feed3x_frame_put(&bytes, SPAN_LIT("abc"));
    for (size_t cut = 0; cut < bytes.bytes; cut++) {
        struct span rest = span_first(buf_span(&bytes), cut);
        assert_int_equal(feed3x_frame_next(&rest, &body), FEED3X_CUT);
    }
    struct span rest = buf_span(&bytes);
    assert_int_equal(feed3x_frame_next(&rest, &body), 0);
    assert_true(span_equal_str(body, "abc"));
    assert_int_equal(rest.bytes, 0);
    rest = SPAN_LIT("\x00\x10\x00\x01xx");
    assert_int_equal(feed3x_frame_next(&rest, &body), ERR_PROTOCOL);
    rest = SPAN_LIT("\x00\x00\x00\x00");
    assert_int_equal(feed3x_frame_next(&rest, &body), ERR_PROTOCOL);
    buf_deinit(&bytes);
}

static void every_series_is_in_one_shard_of_those_of_a_modulus(void **state)
{
    (void)state;
    struct feed3x_shard shard;
    assert_int_equal(feed3x_shard_parse(SPAN_LIT("4:3"), &shard), 0);
    assert_int_equal(shard.modulus, 4);
    static const char *const wrong[] = {"",     "4",   "4:4",   "0:0",
                                        "4:-1", "x:1", "4:1:2", "4294967296:1"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        assert_int_equal(feed3x_shard_parse(span_of_str(wrong[i]), &shard), ERR_INVALID);
    }
    for (int64_t shift = 0; shift < 128; shift += 16) {
        for (uint64_t id = 1; id < UINT64_MAX / 3; id *= 3) {
            unsigned found = 0;
            for (uint32_t i = 0; i < 5; i++) {
                struct feed3x_shard one = {5, i};
                found += feed3x_is_wanted(&one, 1, shift, id, ~id);
            }
            assert_int_equal(found, 1);
        }
    }
    struct feed3x_shard one = {1 << 30, 0x34121234 & ((1 << 30) - 1)};
    assert_true(feed3x_is_wanted(&one, 1, 48, 0xABCD3412, UINT64_C(0x1234000000000000)));
    assert_true(feed3x_is_wanted(NULL, 0, 48, 1, 2));
}

/* ── Records ─────────────────────────────────────────────────────────────────────────────── */

#define UPDATE_HEX                                                                                 \
    "150218066e6f64652d6e16fccdf1b4bf6816fecdf1b4bf681c180964656d6f2e74656d701b018804726f6f6d076b" \
    "69746368656e160216031b00001600181b7400060a24181e400040358000000000006c00060a241bb1c7002c4c16" \
    "001680e09ecce5ee0115042810111111111111111111111111111111111810111111111111111111111111111111" \
    "11"                                                                                           \
    "180464656d6f0000"
#define DELETE_HEX                                                                                 \
    "150418066e6f64652d6e16fecdf1b4bf681680cef1b4bf681c180964656d6f2e74656d701b018804726f6f6d076b" \
    "69746368656e160216031b000036ffffffffffffffffff0116feffffffffffffffff012c16001680e09ecce5ee01" \
    "1504281011111111111111111111111111111111181011111111111111111111111111111111180464656d6f0000"
#define REGISTER_HEX                                                                               \
    "150618066e6f64652d6e1680cef1b4bf681682cef1b4bf681c180964656d6f2e74656d701b018804726f6f6d076b" \
    "69746368656e160216031b018804756e697401431817696e67726573732e6d657461646174612e75706461746500" \
    "00"

static void check_record(const char *text, struct feed3x_record *ret_record, struct arena *arena)
{
    struct buf bytes = hex(text);
    struct buf again = {0};
    struct feed3x_record back;
    struct span kept = arena_span_dup(arena, buf_span(&bytes));
    assert_int_equal(feed3x_record_read(arena, kept, ret_record), 0);
    assert_true(span_equal_str(ret_record->creator, "node-n"));
    assert_true(span_equal_str(ret_record->class, "demo.temp"));
    assert_int_equal(ret_record->labels.count, 1);
    assert_true(span_equal_str(ret_record->labels.items[0].value, "kitchen"));
    assert_int_equal(ret_record->class_id, 1);
    assert_int_equal(ret_record->labels_id, (uint64_t)-2);
    feed3x_record_write(&again, ret_record);
    assert_int_equal(feed3x_record_read(arena, buf_span(&again), &back), 0);
    assert_int_equal(back.type, ret_record->type);
    assert_true(span_equal(back.points, ret_record->points));
    assert_true(back.start == ret_record->start && back.end == ret_record->end);
    assert_int_equal(back.attributes.count, ret_record->attributes.count);
    buf_deinit(&bytes);
    buf_deinit(&again);
}

static void records_of_another_implementation_are_read(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);
    struct feed3x_record record;
    int64_t time;
    struct element element;
    check_record(UPDATE_HEX, &record, arena);
    assert_int_equal(record.created_ms, TIME_MS);
    assert_int_equal(record.stored_ms, TIME_MS + 1);
    struct decoder decoder = decoder_of(record.points, record.base);
    assert_int_equal(decoder_next(&decoder, &time, &element), 0);
    assert_true(time == INT64_C(1700000000000000) && element.value.f64 == 21.5);
    assert_int_equal(decoder_next(&decoder, &time, &element), 0);
    assert_true(time == INT64_C(1700000060000000) && element.value.i64 == 22);
    assert_int_equal(decoder_next(&decoder, &time, &element), DECODER_END);
    check_record(DELETE_HEX, &record, arena);
    assert_true(record.start == INT64_MIN && record.end == INT64_MAX);
    check_record(REGISTER_HEX, &record, arena);
    assert_true(span_equal_str(record.source, FEED3X_SOURCE_UPDATED));
    assert_true(span_equal_str(record.attributes.items[0].name, "unit"));
    arena_free(&arena);
}

static void a_record_that_lacks_something_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "", "00", "1502", "150200", "1514180178160216020000", "15021801781600160200"};
    struct arena *arena = arena_new(1 << 20);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct feed3x_record record;
        struct buf bytes = hex(cases[i]);
        assert_int_equal(feed3x_record_read(arena, buf_span(&bytes), &record), ERR_INVALID);
        buf_deinit(&bytes);
    }
    arena_free(&arena);
}

/* ── Keys ────────────────────────────────────────────────────────────────────────────────── */

static void keys_sign_and_agree_as_another_implementation_does(void **state)
{
    (void)state;
    struct feed3x_key *feeder = private_key(FEEDER_PRIVATE);
    struct feed3x_key *consumer = private_key(CONSUMER_PRIVATE);
    struct feed3x_key *feeder_public = public_key(FEEDER_PUBLIC);
    struct feed3x_key *consumer_public = public_key(CONSUMER_PUBLIC);
    struct feed3x_claim claim = {NONCE, TIME_MS, SPAN_LIT("feeder-n")};
    struct buf signature = hex(SIGNATURE);
    struct buf text = {0};
    uint8_t key[FEED3X_SESSION_KEY_BYTES];
    assert_int_equal(feed3x_verify(feeder_public, &claim, buf_span(&signature)), 0);
    assert_int_equal(feed3x_verify(consumer_public, &claim, buf_span(&signature)), ERR_AUTH);
    claim.time_ms++;
    assert_int_equal(feed3x_verify(feeder_public, &claim, buf_span(&signature)), ERR_AUTH);
    buf_clear(&signature);
    assert_int_equal(feed3x_sign(feeder, &claim, &signature), 0);
    assert_int_equal(feed3x_verify(feeder_public, &claim, buf_span(&signature)), 0);
    feed3x_key_print_public(&text, feeder);
    assert_string_equal(buf_str(&text), FEEDER_PUBLIC);
    static const char *const session =
        "fe342d5105127013e1b48a94f1750c5dddc23f873ba389799c9d9a16acdee59e";
    assert_int_equal(feed3x_agree(feeder, consumer_public, NONCE, TIME_MS, key), 0);
    check_hex(span_of(key, sizeof(key)), session);
    assert_int_equal(feed3x_agree(consumer, feeder_public, NONCE, TIME_MS, key), 0);
    check_hex(span_of(key, sizeof(key)), session);
    buf_deinit(&signature);
    buf_deinit(&text);
    feed3x_key_free(&feeder);
    feed3x_key_free(&consumer);
    feed3x_key_free(&feeder_public);
    feed3x_key_free(&consumer_public);
}

/* The common secrets of these begin with a byte, and with half a byte, of zero. */
static void zeros_at_the_beginning_of_a_secret_do_not_count(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"secp256k1:73", "9369cfff55cddf3bf8399d904945c6b7676d52ea7778a0fa356c5a46978a0e2a"},
        {"secp256k1:0x49", "9369cfff55cddf3bf8399d904945c6b7676d52ea7778a0fa356c5a46978a0e2a"},
        {"secp256k1:1", "804f0329643cbaed59ec0a4befa3daa56e972986d936564f5b5f27c0a21d448e"}};
    struct feed3x_key *feeder = public_key(FEEDER_PUBLIC);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct feed3x_key *own = private_key(cases[i][0]);
        uint8_t key[FEED3X_SESSION_KEY_BYTES];
        assert_int_equal(feed3x_agree(own, feeder, NONCE, TIME_MS, key), 0);
        check_hex(span_of(key, sizeof(key)), cases[i][1]);
        feed3x_key_free(&own);
    }
    feed3x_key_free(&feeder);
}

static void curves_have_the_names_of_both_worlds_and_do_not_mix(void **state)
{
    (void)state;
    static const char *const names[] = {"secp256r1", "prime256v1", "P-256"};
    struct feed3x_key *feeder = public_key(FEEDER_PUBLIC);
    uint8_t session[FEED3X_SESSION_KEY_BYTES];
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct buf text = {0};
        buf_printf(&text, "%s:987654321", names[i]);
        struct feed3x_key *key = private_key(buf_str(&text));
        assert_int_equal(feed3x_agree(key, feeder, 1, 2, session), ERR_INVALID);
        feed3x_key_free(&key);
        buf_deinit(&text);
    }
    feed3x_key_free(&feeder);
}

#define TOO_HIGH                                                                                   \
    "secp256k1:9999999999999999999999999999999999999999999999999999999999999999999999999999999"

static void a_text_that_is_no_key_is_refused_and_not_repeated(void **state)
{
    (void)state;
    static const char *const cases[] = {"",
                                        "secp256k1",
                                        "secp256k1:",
                                        "secp256k1:0",
                                        "secp256k1:-5",
                                        "nocurve:5",
                                        "secp256k1:ZZ9",
                                        "secp256k1:0x",
                                        "secp256k1:0x0",
                                        "secp256k1:0x5g",
                                        "curve25519:7",
                                        ":5",
                                        TOO_HIGH};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct feed3x_key *key = NULL;
        assert_int_equal(feed3x_key_private(cases[i], &key), ERR_INVALID);
        assert_null(strstr(err_text(), "99999"));
        assert_int_equal(feed3x_key_public(cases[i], &key), ERR_INVALID);
    }
}

static void what_is_sealed_is_opened_by_the_same_key_only(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct buf key = hex("fe342d5105127013e1b48a94f1750c5dddc23f873ba389799c9d9a16acdee59e");
    struct buf given = hex("a4a8cf406cf12c4e9b177564bfd69267e444b863c2d40217");
    struct buf plain = {0};
    struct buf sealed = {0};
    assert_int_equal(feed3x_open(&plain, key.data, buf_span(&given)), 0);
    check_hex(buf_span(&plain), "150e00");
    assert_int_equal(feed3x_seal(&sealed, key.data, &sim.io, SPAN_LIT("message")), 0);
    buf_clear(&plain);
    assert_int_equal(feed3x_open(&plain, key.data, buf_span(&sealed)), 0);
    assert_true(span_equal_str(buf_span(&plain), "message"));
    for (size_t i = 0; i < sealed.bytes; i++) {
        sealed.data[i] ^= 1;
        assert_int_equal(feed3x_open(&plain, key.data, buf_span(&sealed)), ERR_AUTH);
        sealed.data[i] ^= 1;
    }
    key.data[3] ^= 1;
    assert_int_equal(feed3x_open(&plain, key.data, buf_span(&sealed)), ERR_AUTH);
    buf_deinit(&key);
    buf_deinit(&given);
    buf_deinit(&plain);
    buf_deinit(&sealed);
    io_sim_deinit(&sim);
}

/* ── Both ends ───────────────────────────────────────────────────────────────────────────── */

struct pair {
    struct io_sim sim;
    struct feed3x_key *feeder_key, *consumer_key, *feeder_public, *consumer_public;
    struct feed3x_peer consumers[1], feeders[1];
    struct feed3x_nonces nonces;
    struct feed3x_options feeds, consumes;
    struct feed3x_session feeder, consumer;
    struct buf to_consumer, to_feeder;
};

static void pair_init(struct pair *pair, bool encrypt)
{
    *pair = (struct pair){.feeder_key = private_key(FEEDER_PRIVATE),
                          .consumer_key = private_key(CONSUMER_PRIVATE),
                          .feeder_public = public_key(FEEDER_PUBLIC),
                          .consumer_public = public_key(CONSUMER_PUBLIC)};
    io_sim_init(&pair->sim, 7);
    pair->consumers[0] = (struct feed3x_peer){SPAN_LIT("consumer-1"), pair->consumer_public};
    pair->feeders[0].key = pair->feeder_public;
    pair->feeds = (struct feed3x_options){.io = &pair->sim.io,
                                          .id = SPAN_LIT("feeder-n"),
                                          .key = pair->feeder_key,
                                          .peers = pair->consumers,
                                          .peer_count = 1,
                                          .encrypt = encrypt};
    pair->consumes = (struct feed3x_options){.io = &pair->sim.io,
                                             .id = SPAN_LIT("consumer-1"),
                                             .key = pair->consumer_key,
                                             .peers = pair->feeders,
                                             .peer_count = 1,
                                             .shard_shift = FEED3X_SHIFT_DEFAULT,
                                             .nonces = &pair->nonces};
}

static void pair_deinit(struct pair *pair)
{
    feed3x_session_deinit(&pair->feeder);
    feed3x_session_deinit(&pair->consumer);
    feed3x_key_free(&pair->feeder_key);
    feed3x_key_free(&pair->consumer_key);
    feed3x_key_free(&pair->feeder_public);
    feed3x_key_free(&pair->consumer_public);
    buf_deinit(&pair->to_consumer);
    buf_deinit(&pair->to_feeder);
    io_sim_deinit(&pair->sim);
}

/* The next frame for one end. */
static int hear(struct feed3x_session *session,
                int (*take)(struct feed3x_session *, struct span, enum feed3x_event *),
                struct buf *in, enum feed3x_event *ret_event)
{
    struct span rest = buf_span(in);
    struct span body;
    assert_int_equal(feed3x_frame_next(&rest, &body), 0);
    struct buf frame = {0};
    buf_append(&frame, body);
    buf_consume(in, in->bytes - rest.bytes);
    int rc = take(session, buf_span(&frame), ret_event);
    assert_true(rc != 0 || *ret_event != FEED3X_RECORD || session->message.ref.bytes > 0);
    buf_deinit(&session->scratch); /* the message may borrow from the frame: only types count */
    buf_deinit(&frame);
    return rc;
}

static int feeder_hears(struct pair *pair, enum feed3x_event *ret_event)
{
    return hear(&pair->feeder, feed3x_feeder_take, &pair->to_feeder, ret_event);
}

static int consumer_hears(struct pair *pair, enum feed3x_event *ret_event)
{
    return hear(&pair->consumer, feed3x_consumer_take, &pair->to_consumer, ret_event);
}

static void greet(struct pair *pair)
{
    enum feed3x_event event;
    assert_int_equal(feed3x_feeder_init(&pair->feeder, &pair->feeds, TIME_MS, &pair->to_consumer),
                     0);
    feed3x_consumer_init(&pair->consumer, &pair->consumes);
    assert_int_equal(consumer_hears(pair, &event), 0);
    assert_int_equal(event, FEED3X_GREETED);
    assert_int_equal(feed3x_consumer_begin(&pair->consumer, SPAN_LIT("a:1"), 0, &pair->to_feeder),
                     0);
    assert_int_equal(feeder_hears(pair, &event), 0);
    assert_int_equal(event, FEED3X_GREETED);
    assert_false(feed3x_feeder_may_send(&pair->feeder));
    assert_int_equal(feeder_hears(pair, &event), 0);
    assert_int_equal(event, FEED3X_GO_TO);
    assert_true(feed3x_feeder_may_send(&pair->feeder));
}

static void records_go_over_and_commits_come_back(void **state)
{
    (void)state;
    for (int encrypt = 0; encrypt <= 1; encrypt++) {
        struct pair pair;
        enum feed3x_event event;
        pair_init(&pair, encrypt == 1);
        greet(&pair);
        for (uint64_t i = 1; i <= 3; i++) {
            char ref[] = {'r', (char)('0' + i), 0};
            assert_int_equal(feed3x_feeder_send(&pair.feeder, SPAN_LIT("record"), span_of_str(ref),
                                                i, &pair.to_consumer),
                             0);
            assert_int_equal(consumer_hears(&pair, &event), 0);
            assert_int_equal(event, FEED3X_RECORD);
        }
        assert_int_equal(feed3x_keepalive(&pair.feeder, &pair.to_consumer), 0);
        assert_int_equal(consumer_hears(&pair, &event), 0);
        assert_int_equal(event, FEED3X_NOTHING);
        assert_int_equal(pair.feeder.in_flight, 18);
        assert_int_equal(feed3x_consumer_commit(&pair.consumer, SPAN_LIT("r2"), &pair.to_feeder),
                         0);
        assert_int_equal(feeder_hears(&pair, &event), 0);
        assert_int_equal(event, FEED3X_COMMITTED);
        assert_int_equal(pair.feeder.committed, 2);
        assert_int_equal(pair.feeder.in_flight, 6);
        assert_int_equal(feed3x_consumer_commit(&pair.consumer, SPAN_LIT("r1"), &pair.to_feeder),
                         0);
        assert_int_equal(feeder_hears(&pair, &event), ERR_PROTOCOL);
        pair_deinit(&pair);
    }
}

static void no_more_is_under_way_than_may_be(void **state)
{
    (void)state;
    struct pair pair;
    enum feed3x_event event;
    struct buf record = {0};
    pair_init(&pair, false);
    greet(&pair);
    memset(buf_reserve(&record, 100000), 'x', 100000);
    record.bytes = 100000;
    uint64_t sent = 0;
    for (; feed3x_feeder_may_send(&pair.feeder); sent++) {
        char ref[32];
        (void)snprintf(ref, sizeof(ref), "r%llu", (unsigned long long)sent);
        assert_int_equal(feed3x_feeder_send(&pair.feeder, buf_span(&record), span_of_str(ref), sent,
                                            &pair.to_consumer),
                         0);
    }
    assert_int_equal(sent, 10);
    assert_int_equal(feed3x_consumer_commit(&pair.consumer, SPAN_LIT("r0"), &pair.to_feeder), 0);
    assert_int_equal(feeder_hears(&pair, &event), 0);
    assert_true(feed3x_feeder_may_send(&pair.feeder));
    memset(buf_reserve(&record, 1 << 20), 'x', 1 << 20);
    record.bytes += 1 << 20;
    assert_int_equal(
        feed3x_feeder_send(&pair.feeder, buf_span(&record), SPAN_LIT("big"), 11, &pair.to_consumer),
        ERR_TOO_LARGE);
    assert_int_equal(pair.feeder.in_flight, 900000);
    buf_deinit(&record);
    pair_deinit(&pair);
}

static void a_handshake_that_was_seen_before_is_refused(void **state)
{
    (void)state;
    struct pair pair;
    enum feed3x_event event;
    pair_init(&pair, true);
    assert_int_equal(feed3x_feeder_init(&pair.feeder, &pair.feeds, TIME_MS, &pair.to_consumer), 0);
    struct buf kept = {0};
    buf_append(&kept, buf_span(&pair.to_consumer));
    feed3x_consumer_init(&pair.consumer, &pair.consumes);
    assert_int_equal(consumer_hears(&pair, &event), 0);
    feed3x_session_deinit(&pair.consumer);
    feed3x_consumer_init(&pair.consumer, &pair.consumes);
    assert_int_equal(hear(&pair.consumer, feed3x_consumer_take, &kept, &event), ERR_AUTH);
    buf_deinit(&kept);
    pair_deinit(&pair);
}

/* An INIT of another connection has the signature of another nonce. */
static void an_init_of_another_connection_is_refused(void **state)
{
    (void)state;
    struct pair pair;
    enum feed3x_event event;
    pair_init(&pair, false);
    assert_int_equal(feed3x_feeder_init(&pair.feeder, &pair.feeds, TIME_MS, &pair.to_consumer), 0);
    feed3x_consumer_init(&pair.consumer, &pair.consumes);
    assert_int_equal(consumer_hears(&pair, &event), 0);
    assert_int_equal(feed3x_consumer_begin(&pair.consumer, SPAN_NONE, 0, &pair.to_feeder), 0);
    feed3x_session_deinit(&pair.feeder);
    assert_int_equal(feed3x_feeder_init(&pair.feeder, &pair.feeds, TIME_MS, &pair.to_consumer), 0);
    assert_int_equal(feeder_hears(&pair, &event), ERR_AUTH);
    pair_deinit(&pair);
}

static void strangers_are_refused_on_both_sides(void **state)
{
    (void)state;
    struct pair pair;
    enum feed3x_event event;
    pair_init(&pair, true);
    pair.feeders[0].key = pair.consumer_public;
    assert_int_equal(feed3x_feeder_init(&pair.feeder, &pair.feeds, TIME_MS, &pair.to_consumer), 0);
    feed3x_consumer_init(&pair.consumer, &pair.consumes);
    assert_int_equal(consumer_hears(&pair, &event), ERR_AUTH);
    pair.feeders[0].key = pair.feeder_public;
    feed3x_session_deinit(&pair.feeder);
    for (int wrong = 0; wrong < 2; wrong++) {
        assert_int_equal(feed3x_feeder_init(&pair.feeder, &pair.feeds, TIME_MS, &pair.to_consumer),
                         0);
        feed3x_session_deinit(&pair.consumer);
        feed3x_consumer_init(&pair.consumer, &pair.consumes);
        assert_int_equal(consumer_hears(&pair, &event), 0);
        pair.consumes.id = wrong == 0 ? SPAN_LIT("consumer-2") : SPAN_LIT("consumer-1");
        pair.consumes.key = wrong == 0 ? pair.consumer_key : pair.feeder_key;
        assert_int_equal(feed3x_consumer_begin(&pair.consumer, SPAN_NONE, 0, &pair.to_feeder), 0);
        assert_int_equal(feeder_hears(&pair, &event), ERR_AUTH);
        buf_clear(&pair.to_feeder);
        feed3x_session_deinit(&pair.feeder);
    }
    pair_deinit(&pair);
}

static void shards_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct feed3x_shard shards[] = {{0, 0}, {4, 4}};
    for (size_t i = 0; i < ARRAY_COUNT(shards); i++) {
        struct pair pair;
        enum feed3x_event event;
        pair_init(&pair, false);
        pair.consumes.shards = &shards[i];
        pair.consumes.shard_count = 1;
        assert_int_equal(feed3x_feeder_init(&pair.feeder, &pair.feeds, TIME_MS, &pair.to_consumer),
                         0);
        feed3x_consumer_init(&pair.consumer, &pair.consumes);
        assert_int_equal(consumer_hears(&pair, &event), 0);
        assert_int_equal(feed3x_consumer_begin(&pair.consumer, SPAN_NONE, 0, &pair.to_feeder), 0);
        assert_int_equal(feeder_hears(&pair, &event), ERR_PROTOCOL);
        assert_non_null(strstr(err_text(), "shard"));
        pair_deinit(&pair);
    }
}

static void what_does_not_belong_ends_the_connection(void **state)
{
    (void)state;
    struct pair pair;
    enum feed3x_event event;
    struct buf body = {0};
    pair_init(&pair, false);
    struct feed3x_message data = {
        .type = FEED3X_DATA, .ref = SPAN_LIT("r"), .record = SPAN_LIT("x")};
    feed3x_message_write(&body, &data);
    feed3x_consumer_init(&pair.consumer, &pair.consumes);
    assert_int_equal(feed3x_consumer_take(&pair.consumer, buf_span(&body), &event), ERR_PROTOCOL);
    assert_int_equal(feed3x_feeder_init(&pair.feeder, &pair.feeds, TIME_MS, &pair.to_consumer), 0);
    assert_int_equal(feed3x_feeder_take(&pair.feeder, buf_span(&body), &event), ERR_PROTOCOL);
    buf_clear(&pair.to_consumer);
    feed3x_session_deinit(&pair.feeder);
    greet(&pair);
    assert_int_equal(feed3x_feeder_take(&pair.feeder, buf_span(&body), &event), ERR_PROTOCOL);
    assert_int_equal(feed3x_consumer_take(&pair.consumer, SPAN_LIT("garbage"), &event),
                     ERR_PROTOCOL);
    buf_deinit(&body);
    pair_deinit(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_those_that_were_captured),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(a_frame_is_whole_or_not_there_and_never_too_long),
        cmocka_unit_test(every_series_is_in_one_shard_of_those_of_a_modulus),
        cmocka_unit_test(records_of_another_implementation_are_read),
        cmocka_unit_test(a_record_that_lacks_something_is_refused),
        cmocka_unit_test(keys_sign_and_agree_as_another_implementation_does),
        cmocka_unit_test(zeros_at_the_beginning_of_a_secret_do_not_count),
        cmocka_unit_test(curves_have_the_names_of_both_worlds_and_do_not_mix),
        cmocka_unit_test(a_text_that_is_no_key_is_refused_and_not_repeated),
        cmocka_unit_test(what_is_sealed_is_opened_by_the_same_key_only),
        cmocka_unit_test(records_go_over_and_commits_come_back),
        cmocka_unit_test(no_more_is_under_way_than_may_be),
        cmocka_unit_test(a_handshake_that_was_seen_before_is_refused),
        cmocka_unit_test(an_init_of_another_connection_is_refused),
        cmocka_unit_test(strangers_are_refused_on_both_sides),
        cmocka_unit_test(shards_that_cannot_be_are_refused),
        cmocka_unit_test(what_does_not_belong_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
