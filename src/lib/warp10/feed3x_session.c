/* Tested by feed3x_test.c. */
#include "warp10/feed3x_session.h"

#include "base/err.h"
#include "base/hash.h"

void feed3x_session_deinit(struct feed3x_session *session)
{
    buf_deinit(&session->plain);
    buf_deinit(&session->scratch);
    vec_deinit(&session->sent);
    explicit_bzero(session->key, sizeof(session->key));
}

/* ── Frames of messages, sealed or not ───────────────────────────────────────────────────── */

static int put(struct feed3x_session *session, const struct feed3x_message *message,
               struct buf *out)
{
    buf_clear(&session->scratch);
    feed3x_message_write(&session->scratch, message);
    struct span body = buf_span(&session->scratch);
    if (body.bytes > (session->is_sealed ? FEED3X_SEALED_BYTES_MAX : FEED3X_FRAME_BYTES_MAX)) {
        return err_set(ERR_TOO_LARGE, "%s of %zu bytes", feed3x_type_name(message->type),
                       body.bytes);
    }
    if (!session->is_sealed) {
        feed3x_frame_put(out, body);
        return 0;
    }
    struct buf sealed = {0};
    int rc = feed3x_seal(&sealed, session->key, session->options->io, body);
    if (rc == 0) {
        feed3x_frame_put(out, buf_span(&sealed));
    }
    buf_deinit(&sealed);
    return rc;
}

static int get(struct feed3x_session *session, struct span body)
{
    if (session->is_sealed) {
        buf_clear(&session->plain);
        int rc = feed3x_open(&session->plain, session->key, body);
        if (rc < 0) {
            return rc;
        }
        body = buf_span(&session->plain);
    }
    return feed3x_message_read(body, &session->message);
}

static int unexpected(const struct feed3x_session *session)
{
    static const char *const expected[] = {
        [FEED3X_EXPECTS_WELCOME] = "WELCOME",
        [FEED3X_FED] = "DATA or KEEPALIVE",
        [FEED3X_EXPECTS_INIT] = "INIT",
        [FEED3X_EXPECTS_SEEK] = "SEEK or TSEEK",
        [FEED3X_FEEDS] = "COMMIT, SEEK or KEEPALIVE",
    };
    return err_set(ERR_PROTOCOL, "%s where %s is expected", feed3x_type_name(session->message.type),
                   expected[session->state]);
}

int feed3x_keepalive(struct feed3x_session *session, struct buf *out)
{
    struct feed3x_message message = {.type = FEED3X_KEEPALIVE};
    return put(session, &message, out);
}

static struct feed3x_claim claim_of(const struct feed3x_session *session, struct span id)
{
    return (struct feed3x_claim){session->nonce, session->time_ms, id};
}

/* ── The consumer ────────────────────────────────────────────────────────────────────────── */

void feed3x_consumer_init(struct feed3x_session *session, const struct feed3x_options *options)
{
    CHECK(options->peer_count == 1);
    *session = (struct feed3x_session){.options = options, .state = FEED3X_EXPECTS_WELCOME};
}

static int remember(struct feed3x_nonces *nonces, int64_t nonce)
{
    size_t count = MIN(nonces->count, (size_t)FEED3X_NONCES_MAX);
    for (size_t i = 0; i < count; i++) {
        if (nonces->items[i] == nonce) {
            return err_set(ERR_AUTH, "a handshake that was seen before");
        }
    }
    nonces->items[nonces->count++ % FEED3X_NONCES_MAX] = nonce;
    return 0;
}

static int take_welcome(struct feed3x_session *session)
{
    const struct feed3x_message *welcome = &session->message;
    session->nonce = welcome->nonce;
    session->time_ms = welcome->time_ms;
    struct feed3x_claim claim = claim_of(session, welcome->id);
    int rc = feed3x_verify(session->options->peers[0].key, &claim, welcome->signature);
    rc = rc < 0 ? rc : remember(session->options->nonces, welcome->nonce);
    if (rc == 0) {
        session->state = FEED3X_FED;
    }
    return rc;
}

int feed3x_consumer_take(struct feed3x_session *session, struct span body,
                         enum feed3x_event *ret_event)
{
    int rc = get(session, body);
    if (rc < 0) {
        return rc;
    }
    enum feed3x_type type = session->message.type;
    if (session->state == FEED3X_EXPECTS_WELCOME && type == FEED3X_WELCOME) {
        *ret_event = FEED3X_GREETED;
        return take_welcome(session);
    }
    if (session->state == FEED3X_FED && (type == FEED3X_DATA || type == FEED3X_KEEPALIVE)) {
        *ret_event = type == FEED3X_DATA ? FEED3X_RECORD : FEED3X_NOTHING;
        return 0;
    }
    return unexpected(session);
}

static int put_init(struct feed3x_session *session, struct buf *out)
{
    const struct feed3x_options *options = session->options;
    struct buf signature = {0};
    struct feed3x_claim claim = claim_of(session, options->id);
    struct feed3x_message init = {
        .type = FEED3X_INIT,
        .id = options->id,
        .shard_count = options->shard_count,
        .shard_shift = options->shard_shift,
        .excluded_count = options->excluded_count,
    };
    for (size_t i = 0; i < options->shard_count; i++) {
        init.shards[i] = options->shards[i];
    }
    for (size_t i = 0; i < options->excluded_count; i++) {
        init.excluded[i] = options->excluded[i];
    }
    int rc = feed3x_sign(options->key, &claim, &signature);
    init.signature = buf_span(&signature);
    rc = rc < 0 ? rc : put(session, &init, out);
    buf_deinit(&signature);
    return rc;
}

int feed3x_consumer_begin(struct feed3x_session *session, struct span ref, int64_t seek_ms,
                          struct buf *out)
{
    const struct feed3x_options *options = session->options;
    struct feed3x_message seek = {
        .type = ref.bytes > 0 ? FEED3X_SEEK : FEED3X_TSEEK, .ref = ref, .seek_ms = seek_ms};
    bool encrypt = session->message.encrypt;
    int rc = put_init(session, out);
    if (rc == 0 && encrypt) {
        rc = feed3x_agree(options->key, options->peers[0].key, session->nonce, session->time_ms,
                          session->key);
        session->is_sealed = rc == 0;
    }
    return rc < 0 ? rc : put(session, &seek, out);
}

int feed3x_consumer_commit(struct feed3x_session *session, struct span ref, struct buf *out)
{
    struct feed3x_message message = {.type = FEED3X_COMMIT, .ref = ref};
    return put(session, &message, out);
}

/* ── The feeder ──────────────────────────────────────────────────────────────────────────── */

int feed3x_feeder_init(struct feed3x_session *session, const struct feed3x_options *options,
                       int64_t now_ms, struct buf *out)
{
    struct buf signature = {0};
    *session = (struct feed3x_session){.options = options, .state = FEED3X_EXPECTS_INIT};
    io_random(options->io, &session->nonce, sizeof(session->nonce));
    session->time_ms = now_ms;
    struct feed3x_claim claim = claim_of(session, options->id);
    int rc = feed3x_sign(options->key, &claim, &signature);
    struct feed3x_message welcome = {
        .type = FEED3X_WELCOME,
        .nonce = session->nonce,
        .time_ms = now_ms,
        .encrypt = options->encrypt,
        .id = options->id,
        .signature = buf_span(&signature),
    };
    rc = rc < 0 ? rc : put(session, &welcome, out);
    buf_deinit(&signature);
    return rc;
}

static int check_shards(const struct feed3x_message *init)
{
    for (size_t i = 0; i < init->shard_count; i++) {
        if (!feed3x_shard_is_good(init->shards[i])) {
            return err_set(ERR_PROTOCOL, "the shard %u:%u cannot be", init->shards[i].modulus,
                           init->shards[i].remainder);
        }
    }
    return init->shard_shift >= 0 && init->shard_shift < 128
               ? 0
               : err_set(ERR_PROTOCOL, "a shift of shards of %lld bits",
                         (long long)init->shard_shift);
}

static int take_init(struct feed3x_session *session)
{
    const struct feed3x_options *options = session->options;
    const struct feed3x_message *init = &session->message;
    size_t peer = 0;
    while (peer < options->peer_count && !span_equal(options->peers[peer].id, init->id)) {
        peer++;
    }
    if (peer == options->peer_count) {
        return err_set(ERR_AUTH, "unknown consumer \"%.*s\"", SPAN_ARG(init->id));
    }
    struct feed3x_claim claim = claim_of(session, init->id);
    int rc = feed3x_verify(options->peers[peer].key, &claim, init->signature);
    rc = rc < 0 ? rc : check_shards(init);
    if (rc == 0 && options->encrypt) {
        rc = feed3x_agree(options->key, options->peers[peer].key, session->nonce, session->time_ms,
                          session->key);
        session->is_sealed = rc == 0;
    }
    if (rc == 0) {
        session->peer = peer;
        session->state = FEED3X_EXPECTS_SEEK;
    }
    return rc;
}

static void forget_sent(struct feed3x_session *session)
{
    vec_clear(&session->sent);
    session->sent_at = 0;
    session->in_flight = 0;
}

static int take_commit(struct feed3x_session *session)
{
    uint64_t hash = hash64(session->message.ref);
    size_t at = session->sent_at;
    while (at < session->sent.count && session->sent.items[at].ref_hash != hash) {
        at++;
    }
    if (at == session->sent.count) {
        return err_set(ERR_PROTOCOL, "COMMIT of \"%.*s\", which is not under way",
                       SPAN_ARG(span_first(session->message.ref, 120)));
    }
    for (; session->sent_at <= at; session->sent_at++) {
        session->in_flight -= session->sent.items[session->sent_at].bytes;
    }
    session->committed = session->sent.items[at].place;
    if (session->sent_at == session->sent.count) {
        forget_sent(session);
    }
    return 0;
}

int feed3x_feeder_take(struct feed3x_session *session, struct span body,
                       enum feed3x_event *ret_event)
{
    int rc = get(session, body);
    if (rc < 0) {
        return rc;
    }
    enum feed3x_type type = session->message.type;
    bool is_seek = type == FEED3X_SEEK || type == FEED3X_TSEEK;
    if (session->state == FEED3X_EXPECTS_INIT && type == FEED3X_INIT) {
        *ret_event = FEED3X_GREETED;
        return take_init(session);
    }
    if (session->state >= FEED3X_EXPECTS_SEEK && is_seek) {
        session->state = FEED3X_FEEDS;
        forget_sent(session);
        session->committed = 0;
        *ret_event = FEED3X_GO_TO;
        return 0;
    }
    if (session->state == FEED3X_FEEDS && type == FEED3X_COMMIT) {
        *ret_event = FEED3X_COMMITTED;
        return take_commit(session);
    }
    if (session->state == FEED3X_FEEDS && type == FEED3X_KEEPALIVE) {
        *ret_event = FEED3X_NOTHING;
        return 0;
    }
    return unexpected(session);
}

/* What was committed goes when it is half of all. */
static void drop_committed(struct feed3x_session *session)
{
    size_t left = session->sent.count - session->sent_at;
    if (session->sent_at > left) {
        memmove(session->sent.items, session->sent.items + session->sent_at,
                left * sizeof(*session->sent.items));
        session->sent.count = left;
        session->sent_at = 0;
    }
}

int feed3x_feeder_send(struct feed3x_session *session, struct span record, struct span ref,
                       uint64_t place, struct buf *out)
{
    struct feed3x_message data = {.type = FEED3X_DATA, .record = record, .ref = ref};
    int rc = put(session, &data, out);
    if (rc == 0) {
        drop_committed(session);
        vec_push(&session->sent, (struct feed3x_sent){hash64(ref), place, record.bytes});
        session->in_flight += record.bytes;
    }
    return rc;
}
