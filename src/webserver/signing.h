/*
 * The keys that sign session tokens: objects of the kind "signing-key", one per period of
 * Signing-Key-Lifetime, shared by all webservers. The newest signs, all of them verify; a key is
 * dropped once every session it may have signed is over.
 *
 * Keys add up: when two webservers mint one for the same period both verify and the newer signs,
 * so nobody's session ends. Any thread may call.
 */
#ifndef WEBSERVER_SIGNING_H
#define WEBSERVER_SIGNING_H

#include "base/buf.h"
#include "webserver/token.h"
#include "webserver/webserver.h"

#define SIGNING_KEYS_MAX 64
#define SIGNING_PERIODS_MAX 60 /* Session-Timeout-Minutes is at most so many key lifetimes */

struct signing;

/* Reads Signing-Key-Lifetime; ERR_INVALID names the key when it is too short. */
MUST_CHECK int signing_new(struct webserver *webserver, int64_t session_ns,
                           struct signing **ret_signing);
void signing_free(struct signing **signing);

/* Forgets the keys it has read: one has changed. */
void signing_keys_changed(struct signing *signing);

/* A token of a new session. ERR_UNAVAILABLE: there is no key yet. */
MUST_CHECK int signing_make(struct signing *signing, int32_t uid, struct token_claims *ret_claims,
                            struct buf *token);
MUST_CHECK int signing_verify(struct signing *signing, struct span token,
                              struct token_claims *ret_claims);

/* Mints the key of the present period if there is none, drops what is outlived. */
MUST_CHECK int signing_rotate(struct signing *signing);

#endif
