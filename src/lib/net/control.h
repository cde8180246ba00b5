/*
 * Control-Auth: two processes that share a secret prove it to each other on every request; the
 * secret never travels and no clock is needed. The HTTP server and client of this folder do all of
 * it (HTTP_CONTROL, http_call.control); rooms only pass the secret. docs/protocols/control-auth.md
 * has the bytes.
 *
 *     client ──hello, its nonce──> server          the server remembers a session, unproven
 *            <──session, its nonce──
 *     both: session key = HMAC(secret, nonces, session)
 *     client ──request, session, sequence, body hash, MAC──> server: MAC right? sequence new?
 *            <──answer, MAC over status and body hash──      the session is proven from here on
 *
 * struct control is the server's side, used by any thread; struct control_client one session of a
 * client, one thread at a time.
 */
#ifndef NET_CONTROL_H
#define NET_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/span.h"
#include "io/io.h"

#define CONTROL_HELLO_PATH "/control/v1/hello"
#define CONTROL_HEADER "Control-Auth"
#define CONTROL_ANSWER_HEADER "Control-Auth-Answer"
#define CONTROL_REFUSED_HEADER "Control-Auth-Refused"
#define CONTROL_TRAILER "Control-Auth-Body"

#define CONTROL_KEY_BYTES 32
#define CONTROL_HASH_TEXT_BYTES 65 /* 64 hex digits and the NUL */
#define CONTROL_NONCE_TEXT_BYTES 65
#define CONTROL_SESSION_TEXT_BYTES 33
#define CONTROL_HEADER_BYTES_MAX 320

#define CONTROL_SESSIONS_MAX 4096          /* the one idle for longest goes, unproven ones first */
#define CONTROL_UNPROVEN_MS 30000          /* a hello that no request followed */
#define CONTROL_IDLE_MS (12 * 3600 * 1000) /* a session that was not used */
#define CONTROL_WINDOW 1024                /* how far behind the highest a sequence may come */

enum control_refusal {
    CONTROL_MALFORMED = 1,   /* no or not a Control-Auth header */
    CONTROL_UNKNOWN_SESSION, /* say hello again */
    CONTROL_WRONG_MAC,       /* another secret, or an altered request */
    CONTROL_REPLAYED,        /* this sequence number was used, or is too old */
    CONTROL_ALTERED_BODY,    /* the body is not the one that was signed */
};
const char *control_refusal_name(int refusal); /* "unknown-session", as in the header */

/* What a verified request was signed with; needed for the body and the answer. */
struct control_seal {
    char session[CONTROL_SESSION_TEXT_BYTES];
    uint64_t sequence;
    uint8_t key[CONTROL_KEY_BYTES];
    char body[CONTROL_HASH_TEXT_BYTES]; /* hex SHA-256, or "trailer" */
};

/* ── Server ──────────────────────────────────────────────────────────────────────────────── */

struct control;

struct control *control_new(struct io *io, const char *secret);
void control_free(struct control **control);

/* A new, unproven session. ERR_INVALID: not a nonce. */
MUST_CHECK int control_hello(struct control *control, const char *client_nonce,
                             char ret_session[CONTROL_SESSION_TEXT_BYTES],
                             char ret_nonce[CONTROL_NONCE_TEXT_BYTES]);

/* Checks the header of a request and uses its sequence number up. 0 or enum control_refusal. The
 * body is still to be compared: control_seal_body(). */
MUST_CHECK int control_verify(struct control *control, const char *header, const char *method,
                              const char *target, struct control_seal *ret_seal);

/* The received body's SHA-256 (hex) and the trailer, if there was one. 0 or CONTROL_ALTERED_BODY.
 */
MUST_CHECK int control_seal_body(const struct control_seal *seal, const char *body_hash,
                                 const char *trailer);

/* The value of CONTROL_ANSWER_HEADER. body_hash "-": a streamed answer, only its status is
 * covered. */
void control_seal_answer(const struct control_seal *seal, int status, const char *body_hash,
                         char ret_header[CONTROL_HEADER_BYTES_MAX]);

size_t control_session_count(struct control *control);

/* ── Client ──────────────────────────────────────────────────────────────────────────────── */

struct control_client {
    char nonce[CONTROL_NONCE_TEXT_BYTES];
    char session[CONTROL_SESSION_TEXT_BYTES]; /* "": no session yet */
    uint8_t key[CONTROL_KEY_BYTES];
    uint64_t sequence; /* of the last request */
};

/* A fresh nonce, to be sent as hello. */
void control_client_begin(struct control_client *client, struct io *io);

/* The answer to the hello. */
MUST_CHECK int control_client_accept(struct control_client *client, const char *secret,
                                     const char *session, const char *server_nonce);

/* Signs the next request. body_hash: hex SHA-256 or "trailer". */
void control_client_sign(struct control_client *client, const char *method, const char *target,
                         const char *body_hash, struct control_seal *ret_seal,
                         char ret_header[CONTROL_HEADER_BYTES_MAX]);

/* The value of CONTROL_TRAILER for a body that was signed as "trailer". */
void control_client_trailer(const struct control_seal *seal, const char *body_hash,
                            char ret_trailer[CONTROL_HASH_TEXT_BYTES]);

/* ERR_AUTH unless the header (NULL: none) proves that the server knows the secret. Gives the hash
 * that the answer's body must have, "-" when the body is not covered. */
MUST_CHECK int control_client_check(const struct control_seal *seal, int status, const char *header,
                                    char ret_body_hash[CONTROL_HASH_TEXT_BYTES]);

/* ── Both ────────────────────────────────────────────────────────────────────────────────── */

void control_hash(struct span data, char ret_hex[CONTROL_HASH_TEXT_BYTES]);

#endif
