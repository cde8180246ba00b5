/*
 * Any bytes at any point of an ingest connection: the session takes or refuses them, never reads
 * beyond them, and owes no confirmation for what did not come.
 * The first byte says how far the log-in has come and into which pieces the rest is cut.
 */
#include "base/wire.h"
#include "ingest/session.h"
#include "ingest/snappy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct world {
    struct ingest_session *session;
    uint64_t entries;
};

static void act(struct world *world, const struct ingest_event *event)
{
    uint16_t numbers[64];
    switch (event->kind) {
    case INGEST_EVENT_ASKS_TAGS:
        if (event->tags.count == 0 || event->tags.count > ARRAY_COUNT(numbers)) {
            ingest_session_refuse_tags(world->session);
            break;
        }
        for (size_t i = 0; i < event->tags.count; i++) {
            numbers[i] = (uint16_t)(i + 1);
        }
        ingest_session_grant_tags(world->session, numbers);
        break;
    case INGEST_EVENT_ASKS_TAG:
        if (event->tag.bytes % 2 == 0) {
            ingest_session_refuse_tag(world->session);
        } else {
            ingest_session_grant_tag(world->session, 7);
        }
        break;
    case INGEST_EVENT_ASKS_INGEST:
        ingest_session_allow(world->session, true);
        break;
    case INGEST_EVENT_ENTRY:
        world->entries++;
        CHECK(ingest_session_pending(world->session) > 0);
        if (event->id % 3 == 0) { /* some late, some early */
            ingest_session_durable(world->session, ingest_session_pending(world->session));
        }
        break;
    default:
        break;
    }
}

static void take_output(struct world *world)
{
    struct span out = ingest_session_output(world->session);
    ingest_session_sent(world->session, out.bytes);
}

static void run(struct world *world)
{
    struct ingest_event event;
    while (ingest_session_next(world->session, &event) == 0) {
        act(world, &event);
    }
}

static void feed(struct world *world, struct span bytes)
{
    ingest_session_feed(world->session, bytes);
    run(world);
    ingest_session_idle(world->session);
    take_output(world);
}

static void log_in(struct world *world, const struct ingest_session_options *options,
                   unsigned how_far, bool compress)
{
    static const char *const tags[] = {"a", "b"};
    struct ingest_challenge challenge = {.rounds = options->rounds};
    memcpy(challenge.nonce, options->nonce, sizeof(challenge.nonce));
    uint8_t answer[INGEST_ANSWER_BYTES];
    ingest_answer(&challenge, options->secret_hash, answer);
    struct buf buf = {0};
    if (how_far >= 1) {
        buf_append(&buf, span_of(answer, sizeof(answer)));
    }
    if (how_far >= 2) {
        ingest_tag_request_write(&buf, tags, 2);
        ingest_state_response_write(&buf, INGEST_HOT, "");
    }
    if (how_far >= 3) {
        ingest_message_write(&buf, INGEST_API_VER);
        wire_put_u16(&buf, 9);
        ingest_message_write(&buf, INGEST_OK);
        wire_put_u32(&buf, 1);
        wire_put_u8(&buf, compress ? INGEST_SNAPPY : INGEST_PLAIN);
    }
    feed(world, buf_span(&buf));
    CHECK((how_far >= 1) == ingest_session_authenticated(world->session));
    buf_deinit(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0) {
        return 0;
    }
    struct world world = {0};
    struct ingest_session_options options = {.rounds = 1, .data_bytes_max = 4096};
    world.session = ingest_session_new(&options);
    bool compress = (data[0] & 4) != 0;
    log_in(&world, &options, data[0] & 3, compress);

    struct span rest = span_of(data + 1, bytes - 1);
    struct buf framed = {0};
    if ((data[0] & 3) == 3 && compress && (data[0] & 8) != 0) { /* well framed, at least */
        struct ingest_snappy_writer writer = {0};
        ingest_snappy_write(&writer, rest, &framed);
        rest = buf_span(&framed);
    }
    size_t piece = (size_t)(data[0] >> 4) == 0 ? rest.bytes : (size_t)(data[0] >> 4) * 3;
    while (rest.bytes > 0) {
        feed(&world, span_first(rest, piece));
        rest = span_from(rest, piece);
    }
    CHECK(ingest_session_pending(world.session) <= world.entries);
    (void)!ingest_session_end(world.session);
    buf_deinit(&framed);
    ingest_session_free(&world.session);
    return 0;
}
