/*
 * How a link begins: each side proves that it knows the secret, says who it is, and what it holds.
 * Pure; the caller carries the messages.
 *
 *     target: challenge ──> forwarder: hello ──> target: welcome ──> forwarder: begins to send
 *                                                       └──> refused, with the reason
 *
 * A link ends when a step returns a fault; err_text() says why, and the peer was told what it may
 * know (replicate_refuse).
 */
#ifndef REPLICATE_GREETING_H
#define REPLICATE_GREETING_H

#include "replicate/message.h"

/* Who we are; borrowed by everything below. */
struct replicate_self {
    struct span secret;
    struct datalog_origin origin;            /* the node, and what it writes as now */
    const struct replicate_members *members; /* whom we and others forward to, as far as we know */
    const struct replicate_places *places;   /* what we hold */
    const struct replicate_places *doubt;    /* target: what we may hold in part; NULL: nothing */
    struct replicate_needs needs;            /* target */
};

struct replicate_greeting {
    uint8_t target_nonce[REPLICATE_NONCE_BYTES];
    uint8_t forwarder_nonce[REPLICATE_NONCE_BYTES];
};

/* Target, first: `random` is fresh. Appends the challenge. */
void replicate_challenge(struct replicate_greeting *greeting,
                         const uint8_t random[REPLICATE_NONCE_BYTES], struct buf *out);

/* Forwarder: the challenge came; appends the hello. ERR_UNSUPPORTED: another protocol. */
MUST_CHECK int replicate_hello(struct replicate_greeting *greeting,
                               const struct replicate_message *challenge,
                               const struct replicate_self *self, struct span name,
                               const uint8_t random[REPLICATE_NONCE_BYTES], struct buf *out);

/* Target: whether the hello is from somebody who knows the secret. ERR_AUTH; ERR_UNSUPPORTED;
 * ERR_CONFLICT: it has our own id. */
MUST_CHECK int replicate_check_hello(const struct replicate_greeting *greeting,
                                     const struct replicate_message *hello,
                                     const struct replicate_self *self);

/* Target: the hello was right, and we are ready (our origin is new if theirs knows more of the old
 * one than we: replicate_is_behind). Appends the welcome. */
void replicate_welcome(const struct replicate_greeting *greeting,
                       const struct replicate_message *hello, const struct replicate_self *self,
                       struct buf *out);

/* Forwarder: the same of the welcome. */
MUST_CHECK int replicate_check_welcome(const struct replicate_greeting *greeting,
                                       const struct replicate_message *welcome,
                                       const struct replicate_self *self);

/* Either: appends a refusal with a text for the peer; err_text() of ERR_AUTH is not for it. */
void replicate_refuse(struct buf *out, int rc);

/* Whether somebody holds more of what we wrote than we do: we were restored from an older copy. */
bool replicate_is_behind(const struct replicate_self *self, const struct replicate_places *theirs);

#endif
