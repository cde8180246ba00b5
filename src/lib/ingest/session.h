/*
 * The indexer's side of one ingest connection, as a state machine between bytes and events.
 * It has no socket, no disk, no clock and no randomness; whoever drives it has.
 *
 *     ANSWER ──right──> TAGS ──granted──> HOT ──> OPEN ──INGEST_OK: yes──> CONFIG ──> OPEN
 *        └──wrong: ERR_AUTH                         └──what is no message──> FAILED
 *
 * Feed what arrives, take events until there is none, send the output:
 *
 *     ingest_session_feed(session, bytes);
 *     while ((rc = ingest_session_next(session, &event)) == 0) { … act on it … }
 *     send(ingest_session_output(session)); ingest_session_sent(session, n);
 *     if (rc < 0) { log err_text(); close; }
 *
 * On a fault the remaining output (a refusal, say) should still be sent before closing; its text
 * names the offset in the decompressed stream and what was wrong there. A fault is for ever.
 *
 * Confirmations leave in the order in which entries came, each once: the driver only says how
 * many entries are durable by now. Nothing is sent where the protocol leaves no room for it
 * (before OPEN, while CONFIG is awaited, compressed bytes before the client's first).
 *
 * One thread. Protocol: docs/protocols/ingest.md.
 */
#ifndef INGEST_SESSION_H
#define INGEST_SESSION_H

#include "ingest/wire.h"

struct ingest_session;

struct ingest_session_options {
    uint8_t secret_hash[INGEST_SECRET_HASH_BYTES];
    uint8_t nonce[32];       /* fresh random bytes */
    uint16_t rounds;         /* INGEST_HASH_ROUNDS_MIN..MAX; any other count works too */
    uint16_t version;        /* 0: INGEST_VERSION; lower ones make a smaller server */
    uint32_t data_bytes_max; /* 0: INGEST_DATA_BYTES_MAX */
    bool no_compression;     /* answer every proposal with "none" */
};

enum ingest_event_kind {
    INGEST_EVENT_AUTHENTICATED, /* the secret was right; `tenant` is set ("" mostly) */
    INGEST_EVENT_ASKS_TAGS,     /* `tags`; answer with ingest_session_grant_tags or refuse_tags */
    INGEST_EVENT_HOT,           /* log-in complete */
    INGEST_EVENT_IDENTITY,      /* `name`, `version`, `uuid` */
    INGEST_EVENT_ASKS_INGEST,   /* answer with ingest_session_allow */
    INGEST_EVENT_CONFIGURED,    /* `compressed` is set */
    INGEST_EVENT_ENTRY,         /* `entry`, `id`; count it, and say so when it is durable */
    INGEST_EVENT_FORCE_ACK,     /* the client waits: hurry what is pending */
    INGEST_EVENT_ASKS_TAG,      /* `tag`; answer with ingest_session_grant_tag or refuse_tag */
    INGEST_EVENT_STATE,         /* `state`: the ingester's JSON as it came, unchecked; confirmed */
};

/* Everything in it borrows from the session: entries hold until the next _feed, the rest until the
 * next call of _next or _feed. */
struct ingest_event {
    enum ingest_event_kind kind;
    union {
        struct span tenant;
        struct ingest_tag_list tags; /* names, trimmed; not yet judged */
        struct {
            struct span name, version, uuid;
        };
        bool compressed;
        struct {
            struct entry entry; /* tag is one that was granted here, 0 or 65535 */
            uint64_t id;
        };
        struct span tag; /* trimmed; not yet judged */
        struct span state;
    };
};

enum ingest_session_outcome {
    INGEST_SESSION_MORE = 1, /* next: nothing whole is left, feed more */
};

/* The challenge is in the output at once. */
struct ingest_session *ingest_session_new(const struct ingest_session_options *options);
void ingest_session_free(struct ingest_session **session);

/* Copies. A fault here is one of the compressed framing; it also comes from _next. */
void ingest_session_feed(struct ingest_session *session, struct span bytes);

/* Must not be called while an ASKS_ event is unanswered. */
MUST_CHECK int ingest_session_next(struct ingest_session *session, struct ingest_event *ret_event);

/* The peer closed: 0 when that was between two messages, else ERR_PROTOCOL. */
MUST_CHECK int ingest_session_end(struct ingest_session *session);

/* `numbers` in the order of the names of the event. */
void ingest_session_grant_tags(struct ingest_session *session, const uint16_t *numbers);
void ingest_session_refuse_tags(struct ingest_session *session);
void ingest_session_grant_tag(struct ingest_session *session, uint16_t number);
void ingest_session_refuse_tag(struct ingest_session *session);
void ingest_session_allow(struct ingest_session *session, bool yes);

/* `entries` more of the entries that _next gave, oldest first, are durable. */
void ingest_session_durable(struct ingest_session *session, uint64_t entries);
/* Entries given by _next and not durable yet. */
uint64_t ingest_session_pending(const struct ingest_session *session);

/* To be called when nothing was sent for a second: a PONG, where one is allowed. */
void ingest_session_idle(struct ingest_session *session);

/* Bytes for the peer, to be sent in one write as far as possible. Holds until the next call. */
struct span ingest_session_output(struct ingest_session *session);
void ingest_session_sent(struct ingest_session *session, size_t bytes);

/* Bytes of the decompressed stream taken so far, for messages. */
uint64_t ingest_session_offset(const struct ingest_session *session);
bool ingest_session_authenticated(const struct ingest_session *session);
/* For messages and statistics: the protocol version the client announced (3 until it did). */
uint16_t ingest_session_client_version(const struct ingest_session *session);

#endif
