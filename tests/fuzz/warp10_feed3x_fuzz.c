/* Any frames, messages and records of a 3.x feed: refused or read, without harm; what is read and
 * written is read as it was. The first byte says what the rest is given to. */
#include "base/check.h"
#include "io/io.h"
#include "warp10/encoder.h"
#include "warp10/feed3x_record.h"
#include "warp10/feed3x_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void read_message(struct span body)
{
    struct feed3x_message first;
    struct feed3x_message second;
    struct buf buf = {0};
    if (feed3x_message_read(body, &first) != 0) {
        return;
    }
    feed3x_message_write(&buf, &first);
    CHECK(feed3x_message_read(buf_span(&buf), &second) == 0);
    CHECK(first.type == second.type);
    CHECK(first.type != FEED3X_DATA || span_equal(first.record, second.record));
    if (first.type == FEED3X_INIT) {
        CHECK(first.shard_count == second.shard_count);
        CHECK(first.excluded_count == second.excluded_count && span_equal(first.id, second.id));
    }
    buf_deinit(&buf);
}

static void read_record(struct span bytes)
{
    struct arena *arena = arena_new(4 << 20);
    struct feed3x_record first;
    struct feed3x_record second;
    struct buf buf = {0};
    int64_t time;
    struct element element;
    if (feed3x_record_read(arena, bytes, &first) == 0 && first.type != FEED3X_KVSTORE) {
        feed3x_record_write(&buf, &first);
        CHECK(feed3x_record_read(arena, buf_span(&buf), &second) == 0);
        CHECK(first.type == second.type && span_equal(first.class, second.class));
        CHECK(first.labels.count == second.labels.count);
        CHECK(first.created_ms == second.created_ms);
        struct decoder decoder = decoder_of(first.points, first.base);
        while (decoder_next(&decoder, &time, &element) == 0) {}
    }
    buf_deinit(&buf);
    arena_free(&arena);
}

/* Frames into one end, which stays usable until its first fault. */
static void read_frames(struct span rest, bool feeder)
{
    static struct feed3x_key *key;
    struct feed3x_nonces nonces = {0};
    struct buf out = {0};
    struct span body;
    enum feed3x_event event;
    if (key == NULL) {
        CHECK(feed3x_key_private("secp256k1:7", &key) == 0);
    }
    struct feed3x_peer peer = {SPAN_LIT("c"), key};
    struct feed3x_options options = {.io = io_real(),
                                     .id = SPAN_LIT("n"),
                                     .key = key,
                                     .peers = &peer,
                                     .peer_count = 1,
                                     .nonces = &nonces};
    struct feed3x_session session;
    if (feeder) {
        CHECK(feed3x_feeder_init(&session, &options, 1, &out) == 0);
        session.state = FEED3X_EXPECTS_SEEK;
    } else {
        feed3x_consumer_init(&session, &options);
        session.state = FEED3X_FED;
    }
    while (feed3x_frame_next(&rest, &body) == 0 &&
           (feeder ? feed3x_feeder_take(&session, body, &event)
                   : feed3x_consumer_take(&session, body, &event)) == 0) {}
    feed3x_session_deinit(&session);
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0) {
        return 0;
    }
    struct span rest = span_of(data + 1, bytes - 1);
    switch (data[0] % 4) {
    case 0:
        read_message(rest);
        break;
    case 1:
        read_record(rest);
        break;
    default:
        read_frames(rest, data[0] % 4 == 2);
        break;
    }
    return 0;
}
