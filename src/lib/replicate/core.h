/*
 * What nodes decide that follow each other's datalogs. Pure: no clock, no disk, no socket; driven
 * by links and by the simulator (sim_test.c). docs/protocols/replication.md.
 *
 * The rules, from which the rest follows:
 *
 * - A record keeps its origin, its origin position and its time on every hop, and stands in every
 *   log behind all records of its origin that it was written after. A node takes a record only
 *   when it holds everything of that origin before it. So a place per origin says exactly what a
 *   node holds; what comes twice, or comes round, is known and dropped.
 * - A log may lack a stretch of an origin: it was trimmed, or arrived as a snapshot. The record
 *   behind it says so by `previous`, and who lacks the stretch gets a snapshot, never a silent gap.
 * - A snapshot is what the sender holds, with its places. The receiver takes of it what is newer
 *   than its own place of the origin; when all of it is durable its places move.
 * - Until then, and for good when the snapshot does not come to its end, the receiver is in doubt:
 *   it may hold things above its place. So it takes no records from there, which would be there
 *   twice, only another snapshot, and of that it looks up what it may hold already. What it has in
 *   doubt it gives on as such.
 * - A node whose log begins, or comes back without its end (an older copy, a new disk), is a new
 *   incarnation: positions are never used twice. Since nobody can know that a copy is not an older
 *   one, each start of a node that others follow begins an incarnation with its first write.
 */
#ifndef REPLICATE_CORE_H
#define REPLICATE_CORE_H

#include "replicate/places.h"

/* Deliberate faults, to show that the simulator finds them. */
enum replicate_canary {
    REPLICATE_CANARY_NONE,
    REPLICATE_CANARY_TAKE_GAPS,      /* takes a record though something before it is missing */
    REPLICATE_CANARY_TAKE_TWICE,     /* does not know what it holds */
    REPLICATE_CANARY_SKIP_THE_GAP,   /* the sender goes on behind what was trimmed */
    REPLICATE_CANARY_MIX_SNAPSHOT,   /* takes records beside a snapshot that brings them too */
    REPLICATE_CANARY_WHOLE_SNAPSHOT, /* takes of a snapshot what it has already */
    REPLICATE_CANARY_NO_DOUBT,       /* forgets a snapshot that did not come to its end */
    REPLICATE_CANARY_HALF_SNAPSHOT,  /* the places of a snapshot move when it begins */
    REPLICATE_CANARY_SAME_LIFE,      /* an older copy goes on as the same incarnation */
    REPLICATE_CANARY_MIX_FORMS,      /* takes an origin whole and in part */
    REPLICATE_CANARY_STAY,           /* does not go round who is dead */
    REPLICATE_CANARY_COUNT,
};

/* What decides about a record, of its header and of the link that brought it. */
struct replicate_head {
    struct replicate_place place;
    uint64_t previous; /* position of the origin's record before it in the sender's log */
};

/* ---- the receiver ---- */

enum replicate_verdict {
    REPLICATE_APPLY = 0,
    REPLICATE_KNOWN, /* held already: drop and acknowledge */
    REPLICATE_GAP,   /* something before it is missing, or may be here: ask for a snapshot */
    REPLICATE_LATER, /* a snapshot under way brings it: ask again when that is over */
};

struct replicate_receiver {
    struct replicate_places have;
    struct replicate_places doubt;  /* above `have`: up to here some of it may be here */
    struct replicate_places coming; /* places of the snapshot under way */
    struct replicate_places before; /* what was held when it began */
    struct replicate_places unsure; /* what was in doubt then */
    bool snapshot;                  /* one is under way */
    bool is_mixed;                  /* some of its origins are held in another form */
    enum replicate_canary canary;
};

void replicate_receiver_deinit(struct replicate_receiver *receiver);

/* APPLY has moved the place. */
enum replicate_verdict replicate_receive(struct replicate_receiver *receiver,
                                         const struct replicate_head *head);

/* The sender believes that all it sent has arrived, so that we hold this: KNOWN, GAP or LATER. */
enum replicate_verdict replicate_receive_places(const struct replicate_receiver *receiver,
                                                const struct replicate_places *sent);

/* One at a time: false when another is under way. `doubt` is the sender's. The receiver's own is
 * to be durable before anything of the snapshot is. */
bool replicate_snapshot_begin(struct replicate_receiver *receiver,
                              const struct replicate_places *coming,
                              const struct replicate_places *doubt);

/* Whether an origin of the snapshot is held, or in doubt, in another form: nothing of it is taken.
 */
bool replicate_snapshot_is_other(const struct replicate_receiver *receiver,
                                 struct datalog_origin origin);

enum replicate_wish {
    REPLICATE_HELD, /* it is here, or was */
    REPLICATE_TAKE,
    REPLICATE_LOOK, /* take it if it is not here: an earlier snapshot may have brought it */
};

/* What to do with an element of the snapshot, of that origin and time. It may be asked as they
 * come: what is held beside them does not change until the end. */
enum replicate_wish replicate_snapshot_wish(const struct replicate_receiver *receiver,
                                            struct datalog_origin origin, uint64_t time);

/* All of it is durable: the places move. */
void replicate_snapshot_end(struct replicate_receiver *receiver);
void replicate_snapshot_drop(struct replicate_receiver *receiver); /* the link is gone */

/* Forgets doubts that `have` has passed. */
void replicate_settle_doubt(struct replicate_receiver *receiver);

/* ---- the sender ---- */

enum replicate_offer {
    REPLICATE_SEND = 0,
    REPLICATE_SKIP,     /* they hold it, or wrote it */
    REPLICATE_SNAPSHOT, /* they lack what our log does not have any more */
};

/* One per link, from its hello to its end. */
struct replicate_sender {
    struct replicate_places theirs; /* what they hold once all that was sent has arrived */
    struct replicate_places doubt;  /* theirs: no record up to there is any good */
    struct replicate_places passed; /* where our log stands, at the record offered last */
    struct datalog_origin them;     /* what they write now needs no way back to them */
    uint16_t filter;                /* of the link, 0: none; the caller's to set before it begins */
    uint64_t withheld;              /* records that they take in another form */
    enum replicate_canary canary;
};

/* `log` are the places at the record that will be offered first. `doubt` may be NULL: none. */
void replicate_sender_begin(struct replicate_sender *sender, struct datalog_origin them,
                            const struct replicate_places *theirs,
                            const struct replicate_places *doubt,
                            const struct replicate_places *log);
void replicate_sender_deinit(struct replicate_sender *sender);

/* SNAPSHOT when they lack something before the place where the log is read from: begin earlier in
 * the log if it reaches back, else send a snapshot. */
enum replicate_offer replicate_sender_may_read(const struct replicate_sender *sender);

/* The next record of our log. SEND has filled ret_head, whose origin is derived where there is a
 * filter: then the caller leaves out of the record what the filter does not let pass. After
 * SNAPSHOT it is offered again once the snapshot was sent. */
enum replicate_offer replicate_sender_offer(struct replicate_sender *sender,
                                            struct replicate_place place,
                                            struct replicate_head *ret_head);

/* A record of our log that says that a snapshot arrived here, with its places. */
enum replicate_offer replicate_sender_offer_places(struct replicate_sender *sender,
                                                   const struct replicate_places *places);

/* They told anew what they hold. */
void replicate_sender_learn(struct replicate_sender *sender, const struct replicate_places *theirs);

/* They were sent a snapshot with these places, which the log goes on from. */
void replicate_sender_sent_snapshot(struct replicate_sender *sender,
                                    const struct replicate_places *places);

/* ---- writes ---- */

/* Whether of two writes of one thing the first one stands. */
bool replicate_stands(uint64_t time, struct datalog_origin origin, uint64_t other_time,
                      struct datalog_origin other_origin);

#endif
