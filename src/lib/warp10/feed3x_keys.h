/*
 * Keys of a Warp 10 3.x feed: who signs the handshake, and how messages are sealed after it.
 * docs/protocols/warp10-datalog-3x.md. A key does not change; any number of threads may use it.
 */
#ifndef WARP10_FEED3X_KEYS_H
#define WARP10_FEED3X_KEYS_H

#include "base/buf.h"
#include "base/check.h"
#include "io/io.h"

#define FEED3X_SESSION_KEY_BYTES 32

struct feed3x_key;

/* "CURVE:DECIMAL" (or "CURVE:0xHEX") and "CURVE:HEX", as Warp 10 has them in its configuration.
 * ERR_INVALID; the text never has the key. */
MUST_CHECK int feed3x_key_private(const char *text, struct feed3x_key **ret_key);
MUST_CHECK int feed3x_key_public(const char *text, struct feed3x_key **ret_key);
void feed3x_key_free(struct feed3x_key **key); /* may be NULL inside */

/* The public half of a private key, "CURVE:HEX". */
void feed3x_key_print_public(struct buf *buf, const struct feed3x_key *key);

/* What both sign: the feeder's nonce and time, and who signs. */
struct feed3x_claim {
    int64_t nonce, time_ms;
    struct span id;
};
MUST_CHECK int feed3x_sign(const struct feed3x_key *own, const struct feed3x_claim *claim,
                           struct buf *signature);
/* ERR_AUTH: it is not by that key. */
MUST_CHECK int feed3x_verify(const struct feed3x_key *peer, const struct feed3x_claim *claim,
                             struct span signature);

/* The key of a session. ERR_INVALID: keys of different curves. */
MUST_CHECK int feed3x_agree(const struct feed3x_key *own, const struct feed3x_key *peer,
                            int64_t nonce, int64_t time_ms,
                            uint8_t ret_key[FEED3X_SESSION_KEY_BYTES]);

/* The longest message that fits into a frame when it is sealed. */
#define FEED3X_SEALED_BYTES_MAX ((1u << 20) - 32)

/* Of one message. Randomness is the io's. */
MUST_CHECK int feed3x_seal(struct buf *buf, const uint8_t key[FEED3X_SESSION_KEY_BYTES],
                           struct io *io, struct span message);
/* ERR_AUTH, `buf` unchanged: not sealed with this key. */
MUST_CHECK int feed3x_open(struct buf *buf, const uint8_t key[FEED3X_SESSION_KEY_BYTES],
                           struct span sealed);

/* Frees what libcrypto keeps for this thread: before the end of one that nobody joins. */
void feed3x_keys_leave_thread(void);

#endif
