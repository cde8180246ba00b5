/*
 * Session tokens: three dot-joined lower-case hex strings, as clients of the reference system
 * expect them: JSON header, JSON payload, HMAC-SHA-512 of the two, keyed by a signing key
 * that all webservers share. Pure: keys and the time are arguments.
 *
 *     hex({"algo":1,"typ":"jwt","kid":"<key id>"}) . hex({"uid":7,"expires":"…",…}) . hex(MAC)
 */
#ifndef WEBSERVER_TOKEN_H
#define WEBSERVER_TOKEN_H

#include "base/buf.h"
#include "base/uuid.h"

#define TOKEN_KEY_BYTES 32
#define TOKEN_BYTES_MAX 2048

struct token_key {
    char id[UUID_TEXT_BYTES];
    uint8_t secret[TOKEN_KEY_BYTES];
};

struct token_claims {
    int32_t uid;
    int64_t issued_ns;
    int64_t expires_ns;
    char session[UUID_TEXT_BYTES];
};

void token_sign(const struct token_claims *claims, const struct token_key *key, struct buf *token);

/* 0, or ERR_AUTH with the reason: not of this form, unknown key, wrong MAC, expired. */
MUST_CHECK int token_verify(struct span token, const struct token_key *keys, size_t key_count,
                            int64_t now_ns, struct token_claims *ret_claims);

#endif
