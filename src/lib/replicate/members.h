/*
 * Members: what each node said about whom it forwards to. Everybody tells everybody what it knows,
 * so who cannot reach a target knows the nodes behind it and forwards to them in its stead.
 * Positions per origin make that safe: what arrives both ways is known. Pure. One thread at a time.
 *
 * Of two things a node said the one with the higher version holds. Only the node itself makes
 * versions; one that has forgotten its last one (a new disk) hears of it and goes above.
 */
#ifndef REPLICATE_MEMBERS_H
#define REPLICATE_MEMBERS_H

#include "base/uuid.h"
#include "base/vec.h"
#include "base/wire.h"

#define REPLICATE_MEMBERS_MAX 256
#define REPLICATE_CONTRADICTIONS_MAX 3
/* A node whose id is another's too goes on for as long again: the other one is to hear enough of
 * it, whatever it said in between. */
#define REPLICATE_CONTRADICTIONS_QUIET (2 * REPLICATE_CONTRADICTIONS_MAX)
#define REPLICATE_TARGETS_MAX 64        /* of one node */
#define REPLICATE_ADDRESS_BYTES_MAX 320 /* "tcp://host:port" or "tls://host:port" */

struct replicate_target {
    struct uuid node;
    struct span address; /* borrowed */
};

struct replicate_member {
    struct uuid node;
    uint64_t version;
    uint64_t life;      /* random, of its process: two of one node at one time are two nodes */
    struct buf targets; /* owned; replicate_target_put(), replicate_target_next() */
};

/* Zero-initialised is empty. */
struct replicate_members {
    VEC(struct replicate_member) all;
};

void replicate_members_deinit(struct replicate_members *members);
void replicate_members_copy(struct replicate_members *to, const struct replicate_members *from);

void replicate_target_put(struct buf *targets, const struct replicate_target *target);

/* From the front of `*rest`, which moves on; false at its end. */
bool replicate_target_next(struct span *rest, struct replicate_target *ret_target);

/* NULL: nobody has spoken of it. */
const struct replicate_member *replicate_members_of(const struct replicate_members *members,
                                                    struct uuid node);

/* `self`, in this life, forwards to these now. True when that is news, which has a new version
 * then: above the one that is known, and not below `version`. */
bool replicate_members_say(struct replicate_members *members, struct uuid self, uint64_t life,
                           struct span targets, uint64_t version);

/* Takes what is newer; what is said of `self` only raises its version, and *contradictions by one.
 * Once is an earlier life, of which somebody has not forgotten; again and again is another node
 * with our id. True when anything changed. More than REPLICATE_MEMBERS_MAX nodes are not kept. */
bool replicate_members_learn(struct replicate_members *members, struct uuid self,
                             const struct replicate_members *others, unsigned *contradictions);

/*
 * Whom `self` forwards to instead of `dead`, a target of its own: the nodes behind it, and behind
 * those of them that are dead too, which are tried all the same. Neither itself nor who is a target
 * of its own. Returns their number, at most `max`. ret_targets borrows from `members`.
 */
size_t replicate_members_behind(const struct replicate_members *members, struct uuid self,
                                struct uuid dead,
                                bool (*is_dead)(const void *context, struct uuid node),
                                const void *context, struct replicate_target *ret_targets,
                                size_t max);

void replicate_members_write(struct buf *buf, const struct replicate_members *members);

/* Replaces `*members`. ERR_PROTOCOL. */
MUST_CHECK int replicate_members_read(struct wire_reader *reader,
                                      struct replicate_members *members);

#endif
