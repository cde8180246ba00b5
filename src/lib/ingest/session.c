#include "ingest/session.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/vec.h"
#include "base/wire.h"
#include "ingest/snappy.h"
#include "series/evs.h"
#include "series/tags.h"

#define TENANT_VERSION_MIN 7
#define CONFIG_VERSION_MIN 5
#define CLIENT_VERSION_UNTOLD 3
#define TAG_ARENA_BYTES_MAX (96u << 20)
#define SILENT 2 /* a handler: taken, but no event comes of it */

enum state { ANSWER, TAGS, HOT, OPEN, CONFIG, FAILED };
enum question { NOTHING, BULK_TAGS, ONE_TAG, MAY_INGEST };

/* What is to be confirmed when an entry is durable. */
enum debt_kind { DEBT_ENTRY, DEBT_SILENT, DEBT_DITTO };

struct debt {
    uint64_t id;
    enum debt_kind kind;
};

struct ingest_session {
    struct ingest_session_options options;
    enum state state;
    enum question question;
    int fault; /* in FAILED */
    char fault_text[ERR_TEXT_BYTES_MAX];

    struct buf in;   /* decompressed */
    size_t taken;    /* of `in` */
    uint64_t offset; /* of in.data[0] in the stream */
    struct ingest_snappy_reader unframer;
    bool inflating; /* what arrives is framed */

    struct buf out;   /* as it goes out */
    struct buf plain; /* to be framed first */
    struct ingest_snappy_writer framer;
    bool deflating;
    bool client_spoke; /* framed bytes have arrived: ours may leave */

    VEC(struct debt) debts; /* oldest first, from debts_paid on */
    size_t debts_paid;
    uint64_t durable_early; /* durable, but nothing may be sent now */
    uint64_t last_id;
    uint64_t ditto_left;

    uint16_t client_version;
    bool allowed;
    struct arena *arena; /* of the present event */
    struct ingest_tag_list asked;
    uint8_t granted[(UINT16_MAX + 1) / 8];
};

/* ---- helpers ---- */

static struct span unread(const struct ingest_session *session)
{
    return span_from(buf_span(&session->in), session->taken);
}

static void take(struct ingest_session *session, size_t bytes)
{
    session->taken += bytes;
}

uint64_t ingest_session_offset(const struct ingest_session *session)
{
    return session->offset + session->taken;
}

static int PRINTF_LIKE(3, 4)
    fail(struct ingest_session *session, enum err code, const char *format, ...)
{
    char what[ERR_TEXT_BYTES_MAX / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    session->state = FAILED;
    session->fault = code;
    snprintf(session->fault_text, sizeof(session->fault_text), "at offset %" PRIu64 ": %s",
             ingest_session_offset(session), what);
    return err_set(code, "%s", session->fault_text);
}

static struct buf *output(struct ingest_session *session)
{
    return session->deflating ? &session->plain : &session->out;
}

static void grant(struct ingest_session *session, uint16_t number)
{
    session->granted[number / 8] |= (uint8_t)(1u << (number % 8));
}

static bool is_granted(const struct ingest_session *session, uint16_t number)
{
    return (session->granted[number / 8] >> (number % 8) & 1) != 0;
}

/* ---- life ---- */

struct ingest_session *ingest_session_new(const struct ingest_session_options *options)
{
    struct ingest_session *session = MEM_NEW(struct ingest_session);
    session->options = *options;
    if (session->options.version == 0) {
        session->options.version = INGEST_VERSION;
    }
    if (session->options.data_bytes_max == 0) {
        session->options.data_bytes_max = INGEST_DATA_BYTES_MAX;
    }
    session->client_version = CLIENT_VERSION_UNTOLD;
    session->arena = arena_new(TAG_ARENA_BYTES_MAX);
    grant(session, SERIES_TAG_DEFAULT); /* both sides know these two without asking */
    grant(session, SERIES_TAG_GRAVWELL);

    struct ingest_challenge challenge = {.rounds = options->rounds,
                                         .version = session->options.version};
    memcpy(challenge.nonce, options->nonce, sizeof(challenge.nonce));
    ingest_challenge_write(&session->out, &challenge);
    return session;
}

void ingest_session_free(struct ingest_session **session)
{
    struct ingest_session *gone = *session;
    if (gone == NULL) {
        return;
    }
    buf_deinit(&gone->in);
    buf_deinit(&gone->out);
    buf_deinit(&gone->plain);
    ingest_snappy_reader_deinit(&gone->unframer);
    vec_deinit(&gone->debts);
    arena_free(&gone->arena);
    mem_free(gone);
    *session = NULL;
}

bool ingest_session_authenticated(const struct ingest_session *session)
{
    return session->state >= TAGS && session->state < FAILED;
}

uint16_t ingest_session_client_version(const struct ingest_session *session)
{
    return session->client_version;
}

/* ---- input ---- */

static void inflate(struct ingest_session *session, struct span bytes)
{
    session->client_spoke = true;
    if (ingest_snappy_read(&session->unframer, bytes, &session->in) < 0) {
        /* What was whole before it is still taken; _next tells when it comes here. */
        session->fault = ERR_PROTOCOL;
        snprintf(session->fault_text, sizeof(session->fault_text), "%s", err_text());
    }
}

void ingest_session_feed(struct ingest_session *session, struct span bytes)
{
    if (session->taken > 0) {
        session->offset += session->taken;
        buf_consume(&session->in, session->taken);
        session->taken = 0;
    }
    if (session->fault != 0 || bytes.bytes == 0) {
        return;
    }
    if (session->inflating) {
        inflate(session, bytes);
    } else {
        buf_append(&session->in, bytes);
    }
}

int ingest_session_end(struct ingest_session *session)
{
    if (session->fault != 0) {
        return err_set(session->fault, "%s", session->fault_text);
    }
    struct span rest = unread(session);
    if (rest.bytes > 0 || !ingest_snappy_at_boundary(&session->unframer) ||
        session->ditto_left > 0) {
        return fail(session, ERR_PROTOCOL, "the peer closed within a message");
    }
    return 0;
}

/* ---- log-in ---- */

static int refuse(struct ingest_session *session, const char *why)
{
    ingest_state_response_write(&session->out, INGEST_NOT_AUTHENTICATED, "");
    return fail(session, ERR_AUTH, "%s", why);
}

/* The 32 bytes of an answer, or 32 fixed ones and a tenant around it. */
static int take_answer(struct ingest_session *session, struct ingest_event *event)
{
    struct span rest = unread(session);
    if (rest.bytes < INGEST_ANSWER_BYTES) {
        return INGEST_SESSION_MORE;
    }
    const uint8_t *answer = rest.data;
    size_t bytes = INGEST_ANSWER_BYTES;
    event->tenant = SPAN_NONE;
    if (session->options.version >= TENANT_VERSION_MIN &&
        memcmp(rest.data, ingest_tenant_header, INGEST_TENANT_HEADER_BYTES) == 0) {
        size_t fixed = INGEST_TENANT_HEADER_BYTES + INGEST_ANSWER_BYTES + 4;
        if (rest.bytes < fixed) {
            return INGEST_SESSION_MORE;
        }
        uint16_t version = wire_load_u16(rest.data + fixed - 4);
        uint16_t length = wire_load_u16(rest.data + fixed - 2);
        if (version < TENANT_VERSION_MIN || length > INGEST_TENANT_BYTES_MAX) {
            return refuse(session, "a tenant answer of wrong version or length");
        }
        if (rest.bytes < fixed + length) {
            return INGEST_SESSION_MORE;
        }
        answer = rest.data + INGEST_TENANT_HEADER_BYTES;
        event->tenant = span_of(rest.data + fixed, length);
        bytes = fixed + length;
    }

    struct ingest_challenge challenge = {.rounds = session->options.rounds};
    memcpy(challenge.nonce, session->options.nonce, sizeof(challenge.nonce));
    uint8_t expected[INGEST_ANSWER_BYTES];
    ingest_answer(&challenge, session->options.secret_hash, expected);
    if (gnutls_memcmp(expected, answer, sizeof(expected)) != 0) {
        return refuse(session, "wrong ingest secret");
    }
    take(session, bytes);
    ingest_state_response_write(&session->out, INGEST_AUTHENTICATED, "");
    session->state = TAGS;
    event->kind = INGEST_EVENT_AUTHENTICATED;
    return 0;
}

static int take_tag_request(struct ingest_session *session, struct ingest_event *event)
{
    struct span rest = unread(session);
    if (rest.bytes < 4) {
        return INGEST_SESSION_MORE;
    }
    uint32_t length = wire_load_u32(rest.data);
    if (length > INGEST_TAG_LIST_BYTES_MAX) {
        return fail(session, ERR_PROTOCOL, "a tag request of %" PRIu32 " bytes", length);
    }
    if (rest.bytes - 4 < length) {
        return INGEST_SESSION_MORE;
    }
    int rc =
        ingest_tag_request_read(span_of(rest.data + 4, length), session->arena, &session->asked);
    if (rc < 0) {
        return fail(session, ERR_PROTOCOL, "%s", err_text());
    }
    take(session, 4 + length);
    session->question = BULK_TAGS;
    event->kind = INGEST_EVENT_ASKS_TAGS;
    event->tags = session->asked;
    return 0;
}

void ingest_session_grant_tags(struct ingest_session *session, const uint16_t *numbers)
{
    CHECK(session->question == BULK_TAGS);
    session->question = NOTHING;
    session->state = HOT;
    struct ingest_tag_list answer = session->asked;
    answer.numbers = (uint16_t *)numbers;
    for (size_t i = 0; i < answer.count; i++) {
        grant(session, numbers[i]);
    }
    ingest_tag_response_write(&session->out, &answer);
}

void ingest_session_refuse_tags(struct ingest_session *session)
{
    CHECK(session->question == BULK_TAGS);
    session->question = NOTHING;
    struct ingest_tag_list none = {0};
    ingest_tag_response_write(&session->out, &none);
    (void)fail(session, ERR_DENIED, "tag request refused");
}

static int take_hot(struct ingest_session *session, struct ingest_event *event)
{
    struct span rest = unread(session);
    if (rest.bytes < 2) {
        return INGEST_SESSION_MORE;
    }
    size_t length = wire_load_u16(rest.data);
    if (length > INGEST_STATE_RESPONSE_BYTES_MAX) {
        return fail(session, ERR_PROTOCOL, "a state response of %zu bytes", length);
    }
    if (rest.bytes - 2 < length) {
        return INGEST_SESSION_MORE;
    }
    uint32_t id;
    const char *info;
    if (ingest_state_response_read(span_of(rest.data + 2, length), session->arena, &id, &info) <
        0) {
        return fail(session, ERR_PROTOCOL, "%s", err_text());
    }
    if (id != INGEST_HOT) {
        return fail(session, ERR_PROTOCOL, "state response %" PRIu32 " instead of HOT", id);
    }
    take(session, 2 + length);
    session->state = OPEN;
    event->kind = INGEST_EVENT_HOT;
    return 0;
}

/* ---- stream configuration ---- */

static void pay(struct ingest_session *session, uint64_t entries);

static int take_config(struct ingest_session *session, struct ingest_event *event)
{
    struct span rest = unread(session);
    if (rest.bytes < 4) {
        return INGEST_SESSION_MORE;
    }
    uint32_t length = wire_load_u32(rest.data);
    if (length == 0 || length > INGEST_CONFIG_BYTES_MAX) {
        return fail(session, ERR_PROTOCOL, "a stream configuration of %" PRIu32 " bytes", length);
    }
    if (rest.bytes - 4 < length) {
        return INGEST_SESSION_MORE;
    }
    uint8_t proposal = rest.data[4];
    if (proposal != INGEST_PLAIN && proposal != INGEST_SNAPPY) {
        return fail(session, ERR_PROTOCOL, "unknown compression 0x%02x", proposal);
    }
    take(session, 4 + length);
    event->compressed = proposal == INGEST_SNAPPY && !session->options.no_compression;
    event->kind = INGEST_EVENT_CONFIGURED;
    wire_put_u32(&session->out, 1);
    wire_put_u8(&session->out, event->compressed ? INGEST_SNAPPY : INGEST_PLAIN);
    session->state = OPEN;
    if (event->compressed) {
        session->deflating = session->inflating = true;
        /* What came glued to the proposal is framed already. */
        struct buf framed = {0};
        buf_append(&framed, unread(session));
        session->in.bytes = session->taken;
        if (framed.bytes > 0) {
            inflate(session, buf_span(&framed));
        }
        buf_deinit(&framed);
    }
    pay(session, session->durable_early);
    return 0;
}

/* ---- messages; each begins at `rest`, which has at least its magic ---- */

static int take_force_ack(struct ingest_session *session, struct span rest,
                          struct ingest_event *event)
{
    (void)rest;
    take(session, 4);
    event->kind = INGEST_EVENT_FORCE_ACK;
    return 0;
}

static int take_ping(struct ingest_session *session, struct span rest, struct ingest_event *event)
{
    (void)rest;
    (void)event;
    take(session, 4);
    ingest_message_write(output(session), INGEST_PONG);
    return SILENT;
}

static int take_api_version(struct ingest_session *session, struct span rest,
                            struct ingest_event *event)
{
    (void)event;
    if (rest.bytes < 6) {
        return INGEST_SESSION_MORE;
    }
    session->client_version = wire_load_u16(rest.data + 4);
    take(session, 6);
    ingest_message_write(output(session), INGEST_CONFIRM_API_VER);
    return SILENT;
}

static int take_identity(struct ingest_session *session, struct span rest,
                         struct ingest_event *event)
{
    struct span *const strings[] = {&event->name, &event->version, &event->uuid};
    size_t at = 4;
    for (size_t i = 0; i < ARRAY_COUNT(strings); i++) {
        if (rest.bytes < at + 4) {
            return INGEST_SESSION_MORE;
        }
        uint32_t length = wire_load_u32(rest.data + at);
        if (length > INGEST_IDENTITY_BYTES_MAX) {
            return fail(session, ERR_PROTOCOL, "an identity string of %" PRIu32 " bytes", length);
        }
        if (rest.bytes < at + 4 + length) {
            return INGEST_SESSION_MORE;
        }
        *strings[i] = span_of(rest.data + at + 4, length);
        at += 4 + length;
    }
    take(session, at);
    ingest_message_write(output(session), INGEST_CONFIRM_ID);
    event->kind = INGEST_EVENT_IDENTITY;
    return 0;
}

static int take_ingest_ok(struct ingest_session *session, struct span rest,
                          struct ingest_event *event)
{
    (void)rest;
    if (session->allowed) {
        return fail(session, ERR_PROTOCOL, "asks a second time whether it may ingest");
    }
    take(session, 4);
    session->question = MAY_INGEST;
    event->kind = INGEST_EVENT_ASKS_INGEST;
    return 0;
}

void ingest_session_allow(struct ingest_session *session, bool yes)
{
    CHECK(session->question == MAY_INGEST);
    session->question = NOTHING;
    session->allowed = yes;
    ingest_message_u64_write(output(session), INGEST_CONFIRM_OK, yes ? 1 : 0);
    if (yes && session->client_version >= CONFIG_VERSION_MIN &&
        session->options.version >= CONFIG_VERSION_MIN) {
        session->state = CONFIG;
    }
}

static int take_tag(struct ingest_session *session, struct span rest, struct ingest_event *event)
{
    if (rest.bytes < 8) {
        return INGEST_SESSION_MORE;
    }
    uint32_t length = wire_load_u32(rest.data + 4);
    if (length > INGEST_TAG_NAME_BYTES_MAX) {
        return fail(session, ERR_PROTOCOL, "a tag name of %" PRIu32 " bytes", length);
    }
    if (rest.bytes < 8 + (size_t)length) {
        return INGEST_SESSION_MORE;
    }
    take(session, 8 + length);
    session->question = ONE_TAG;
    event->kind = INGEST_EVENT_ASKS_TAG;
    event->tag = span_trim(span_of(rest.data + 8, length));
    return 0;
}

void ingest_session_grant_tag(struct ingest_session *session, uint16_t number)
{
    CHECK(session->question == ONE_TAG);
    session->question = NOTHING;
    grant(session, number);
    ingest_message_u64_write(output(session), INGEST_CONFIRM_TAG, number);
}

void ingest_session_refuse_tag(struct ingest_session *session)
{
    CHECK(session->question == ONE_TAG);
    session->question = NOTHING;
    ingest_message_write(output(session), INGEST_ERROR_TAG);
}

static int take_state(struct ingest_session *session, struct span rest, struct ingest_event *event)
{
    if (rest.bytes < 8) {
        return INGEST_SESSION_MORE;
    }
    uint32_t length = wire_load_u32(rest.data + 4);
    if (length == 0 || length > INGEST_STATE_BYTES_MAX) {
        return fail(session, ERR_PROTOCOL, "an ingester state of %" PRIu32 " bytes", length);
    }
    if (rest.bytes < 8 + (size_t)length) {
        return INGEST_SESSION_MORE;
    }
    take(session, 8 + length);
    ingest_message_write(output(session), INGEST_CONFIRM_STATE);
    event->kind = INGEST_EVENT_STATE;
    event->state = span_of(rest.data + 8, length);
    return 0;
}

static int take_ditto(struct ingest_session *session, struct span rest, struct ingest_event *event)
{
    (void)event;
    if (rest.bytes < 12) {
        return INGEST_SESSION_MORE;
    }
    session->ditto_left = wire_load_u64(rest.data + 4);
    take(session, 12);
    if (session->ditto_left == 0) {
        ingest_message_u64_write(output(session), INGEST_CONFIRM_DITTO_BLOCK, 0);
    }
    return SILENT;
}

/* ---- entries ---- */

/* The EV block behind the data: its size from its own header, its form by series/evs. */
static int find_evs(struct ingest_session *session, struct span rest, uint64_t id,
                    struct span *ret_evs)
{
    if (rest.bytes < SERIES_EVS_HEADER_BYTES) {
        return INGEST_SESSION_MORE;
    }
    size_t bytes;
    if (series_evs_announced(rest.data, &bytes) < 0) {
        return fail(session, ERR_PROTOCOL, "entry %" PRIu64 ": %s", id, err_text());
    }
    if (rest.bytes < bytes) {
        return INGEST_SESSION_MORE;
    }
    *ret_evs = span_first(rest, bytes);
    if (series_evs_check(*ret_evs) < 0) {
        return fail(session, ERR_PROTOCOL, "entry %" PRIu64 ": %s", id, err_text());
    }
    return 0;
}

static int check_entry(struct ingest_session *session, const struct ingest_entry_header *header)
{
    if (header->data_bytes > session->options.data_bytes_max) {
        return fail(session, ERR_TOO_LARGE,
                    "entry %" PRIu64 " has %" PRIu32 " bytes, more than the %" PRIu32
                    " that are taken here: lower Max-Entry-Size at the ingester",
                    header->id, header->data_bytes, session->options.data_bytes_max);
    }
    if (header->id <= session->last_id) {
        return fail(session, ERR_PROTOCOL, "entry id %" PRIu64 " after %" PRIu64, header->id,
                    session->last_id);
    }
    if (!is_granted(session, header->tag)) {
        return fail(session, ERR_PROTOCOL,
                    "entry %" PRIu64 " has tag number %u, which was never given out here",
                    header->id, header->tag);
    }
    return 0;
}

static void owe(struct ingest_session *session, uint64_t id)
{
    struct debt debt = {.id = id, .kind = DEBT_ENTRY};
    if (session->ditto_left > 0) {
        session->ditto_left--;
        debt.kind = session->ditto_left == 0 ? DEBT_DITTO : DEBT_SILENT;
    }
    vec_push(&session->debts, debt);
}

static int take_entry(struct ingest_session *session, struct span rest, struct ingest_event *event)
{
    if (rest.bytes < INGEST_ENTRY_BYTES) {
        return INGEST_SESSION_MORE;
    }
    struct ingest_entry_header header;
    ingest_entry_header_read(rest.data + 4, &header);
    int rc = check_entry(session, &header);
    if (rc < 0) {
        return rc;
    }
    size_t bytes = INGEST_ENTRY_BYTES + header.data_bytes;
    if (rest.bytes < bytes) {
        return INGEST_SESSION_MORE;
    }
    struct span evs = SPAN_NONE;
    if (header.has_evs) {
        rc = find_evs(session, span_from(rest, bytes), header.id, &evs);
        if (rc != 0) {
            return rc;
        }
    }
    take(session, bytes + evs.bytes);
    session->last_id = header.id;
    owe(session, header.id);
    event->kind = INGEST_EVENT_ENTRY;
    event->id = header.id;
    event->entry = (struct entry){
        .time_ns = header.time_ns,
        .tag = header.tag,
        .data = span_of(rest.data + INGEST_ENTRY_BYTES, header.data_bytes),
        .enumerated = evs,
    };
    memcpy(event->entry.source, header.source, sizeof(header.source));
    return 0;
}

static const struct {
    enum ingest_message message;
    int (*take)(struct ingest_session *session, struct span rest, struct ingest_event *event);
} messages[] = {
    {INGEST_NEW_ENTRY, take_entry},   {INGEST_FORCE_ACK, take_force_ack},
    {INGEST_PING, take_ping},         {INGEST_TAG, take_tag},
    {INGEST_STATE, take_state},       {INGEST_API_VER, take_api_version},
    {INGEST_ID, take_identity},       {INGEST_OK, take_ingest_ok},
    {INGEST_DITTO_BLOCK, take_ditto},
};

static int take_message(struct ingest_session *session, struct ingest_event *event)
{
    struct span rest = unread(session);
    if (rest.bytes < 4) {
        return INGEST_SESSION_MORE;
    }
    uint32_t magic = wire_load_u32(rest.data);
    if (session->ditto_left > 0 && magic != INGEST_NEW_ENTRY) {
        return fail(session, ERR_PROTOCOL,
                    "message 0x%08" PRIx32 " within a ditto block that lacks %" PRIu64 " entries",
                    magic, session->ditto_left);
    }
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        if ((uint32_t)messages[i].message == magic) {
            return messages[i].take(session, rest, event);
        }
    }
    return fail(session, ERR_PROTOCOL, "unknown message 0x%08" PRIx32, magic);
}

static int take_next(struct ingest_session *session, struct ingest_event *event)
{
    switch (session->state) {
    case ANSWER:
        return take_answer(session, event);
    case TAGS:
        return take_tag_request(session, event);
    case HOT:
        return take_hot(session, event);
    case OPEN:
        return take_message(session, event);
    case CONFIG:
        return take_config(session, event);
    case FAILED:
        break;
    }
    return err_set(session->fault, "%s", session->fault_text);
}

int ingest_session_next(struct ingest_session *session, struct ingest_event *ret_event)
{
    CHECK(session->question == NOTHING);
    arena_reset(session->arena);
    int rc;
    do {
        rc = take_next(session, ret_event);
    } while (rc == SILENT);
    if (rc == INGEST_SESSION_MORE && session->fault != 0) {
        char what[ERR_TEXT_BYTES_MAX];
        snprintf(what, sizeof(what), "%s", session->fault_text);
        return fail(session, session->fault, "%s", what);
    }
    return rc;
}

/* ---- confirmations and output ---- */

/* Confirms what the next `entries` debts ask for. */
static void pay(struct ingest_session *session, uint64_t entries)
{
    if (session->state == CONFIG) {
        session->durable_early += entries;
        return;
    }
    session->durable_early = 0;
    CHECK(entries <= session->debts.count - session->debts_paid);
    struct buf *out = output(session);
    for (uint64_t i = 0; i < entries; i++) {
        const struct debt *debt = &session->debts.items[session->debts_paid++];
        if (debt->kind == DEBT_ENTRY) {
            ingest_message_u64_write(out, INGEST_CONFIRM_ENTRY, debt->id);
        } else if (debt->kind == DEBT_DITTO) {
            ingest_message_u64_write(out, INGEST_CONFIRM_DITTO_BLOCK, 0);
        }
    }
    if (session->debts_paid == session->debts.count) {
        vec_clear(&session->debts);
        session->debts_paid = 0;
    } else if (session->debts_paid > session->debts.count / 2) {
        session->debts.count -= session->debts_paid;
        memmove(session->debts.items, session->debts.items + session->debts_paid,
                session->debts.count * sizeof(struct debt));
        session->debts_paid = 0;
    }
}

void ingest_session_durable(struct ingest_session *session, uint64_t entries)
{
    if (entries > 0) {
        pay(session, entries);
    }
}

uint64_t ingest_session_pending(const struct ingest_session *session)
{
    return session->debts.count - session->debts_paid - session->durable_early;
}

void ingest_session_idle(struct ingest_session *session)
{
    if (session->state == OPEN) {
        ingest_message_write(output(session), INGEST_PONG);
    }
}

struct span ingest_session_output(struct ingest_session *session)
{
    if (session->plain.bytes > 0 && session->client_spoke) {
        ingest_snappy_write(&session->framer, buf_span(&session->plain), &session->out);
        buf_clear(&session->plain);
    }
    return buf_span(&session->out);
}

void ingest_session_sent(struct ingest_session *session, size_t bytes)
{
    buf_consume(&session->out, bytes);
}
