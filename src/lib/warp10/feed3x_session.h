/*
 * One connection of a Warp 10 3.x feed, from either end, as a state machine over frames:
 * docs/protocols/warp10-datalog-3x.md. Pure but for randomness, which is the io's.
 *
 *     consumer: EXPECTS_WELCOME ──WELCOME, checked; says INIT and SEEK──> FED ──RECORD…
 *     feeder:   says WELCOME ──> EXPECTS_INIT ──INIT, checked──> EXPECTS_SEEK ──SEEK──> FEEDS
 *
 * take() gets the body of one frame and says what it is. A fault ends the connection. What is to
 * be sent is appended to `out` as whole frames. One thread.
 */
#ifndef WARP10_FEED3X_SESSION_H
#define WARP10_FEED3X_SESSION_H

#include "base/vec.h"
#include "warp10/feed3x_keys.h"
#include "warp10/feed3x_message.h"

#define FEED3X_IN_FLIGHT_BYTES_MAX 1000000u /* records that no COMMIT names yet */
#define FEED3X_NONCES_MAX 1024u             /* handshakes that are remembered */

enum feed3x_state {
    FEED3X_EXPECTS_WELCOME = 1,
    FEED3X_FED,
    FEED3X_EXPECTS_INIT,
    FEED3X_EXPECTS_SEEK,
    FEED3X_FEEDS,
};

enum feed3x_event {
    FEED3X_NOTHING = 0, /* a KEEPALIVE */
    FEED3X_GREETED,     /* the peer is who it should be */
    FEED3X_RECORD,      /* consumer: message.record, message.ref */
    FEED3X_GO_TO,       /* feeder: SEEK or TSEEK; nothing is in flight any more */
    FEED3X_COMMITTED,   /* feeder: all up to session.committed */
};

/* Handshakes of a feeder, over all connections: zero-initialised is none. */
struct feed3x_nonces {
    int64_t items[FEED3X_NONCES_MAX];
    size_t count; /* ever */
};

struct feed3x_peer {
    struct span id;
    const struct feed3x_key *key;
};

/* Outlives the sessions. */
struct feed3x_options {
    struct io *io;
    struct span id;
    const struct feed3x_key *key;
    const struct feed3x_peer *peers; /* consumers that may come; of a consumer one: its feeder,
                                        whose id is what it says */
    size_t peer_count;

    bool encrypt; /* feeder: the rest is to be consumer's only */

    const struct feed3x_shard *shards; /* what a consumer asks for */
    size_t shard_count;
    int64_t shard_shift;
    const struct span *excluded;
    size_t excluded_count;
    struct feed3x_nonces *nonces;
};

/* A record that was sent and is not committed. */
struct feed3x_sent {
    uint64_t ref_hash;
    uint64_t place; /* the caller's */
    size_t bytes;
};

struct feed3x_session {
    const struct feed3x_options *options;
    enum feed3x_state state;
    bool is_sealed;
    uint8_t key[FEED3X_SESSION_KEY_BYTES];
    int64_t nonce, time_ms; /* the feeder's */
    struct buf plain, scratch;
    struct feed3x_message message; /* taken last; borrows until the next take */

    /* feeder */
    size_t peer; /* which consumer: index */
    VEC(struct feed3x_sent) sent;
    size_t sent_at;
    size_t in_flight; /* bytes */
    uint64_t committed;
};

void feed3x_session_deinit(struct feed3x_session *session);

/* consumer: says nothing before the feeder did. `ref` is where to go, or empty: by `seek_ms`. */
void feed3x_consumer_init(struct feed3x_session *session, const struct feed3x_options *options);
/* ERR_AUTH: the feeder is not who it should be, or a handshake that was seen before.
 * ERR_PROTOCOL. */
MUST_CHECK int feed3x_consumer_take(struct feed3x_session *session, struct span body,
                                    enum feed3x_event *ret_event);
/* Once it is greeted. */
MUST_CHECK int feed3x_consumer_begin(struct feed3x_session *session, struct span ref,
                                     int64_t seek_ms, struct buf *out);
MUST_CHECK int feed3x_consumer_commit(struct feed3x_session *session, struct span ref,
                                      struct buf *out);

MUST_CHECK int feed3x_feeder_init(struct feed3x_session *session,
                                  const struct feed3x_options *options, int64_t now_ms,
                                  struct buf *out);
/* ERR_AUTH: an unknown consumer, or not that one. ERR_PROTOCOL. */
MUST_CHECK int feed3x_feeder_take(struct feed3x_session *session, struct span body,
                                  enum feed3x_event *ret_event);
static inline bool feed3x_feeder_may_send(const struct feed3x_session *session)
{
    return session->state == FEED3X_FEEDS && session->in_flight < FEED3X_IN_FLIGHT_BYTES_MAX;
}
/* ERR_TOO_LARGE: the record does not fit into a frame; nothing was sent. */
MUST_CHECK int feed3x_feeder_send(struct feed3x_session *session, struct span record,
                                  struct span ref, uint64_t place, struct buf *out);

MUST_CHECK int feed3x_keepalive(struct feed3x_session *session, struct buf *out);

#endif
