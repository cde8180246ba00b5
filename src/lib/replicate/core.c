/* Tested by sim_test.c. */
#include "replicate/core.h"

/* ---- the receiver ---- */

void replicate_receiver_deinit(struct replicate_receiver *receiver)
{
    replicate_places_deinit(&receiver->have);
    replicate_places_deinit(&receiver->coming);
    replicate_places_deinit(&receiver->before);
}

static bool is_coming(const struct replicate_receiver *receiver, struct datalog_origin origin)
{
    return receiver->snapshot && receiver->canary != REPLICATE_CANARY_MIX_SNAPSHOT &&
           replicate_places_of(&receiver->coming, origin).position >
               replicate_places_of(&receiver->have, origin).position;
}

enum replicate_verdict replicate_receive(struct replicate_receiver *receiver,
                                         const struct replicate_head *head)
{
    uint64_t have = replicate_places_of(&receiver->have, head->place.origin).position;
    if (head->place.position <= have && receiver->canary != REPLICATE_CANARY_TAKE_TWICE) {
        return REPLICATE_KNOWN;
    }
    if (is_coming(receiver, head->place.origin)) {
        return REPLICATE_LATER;
    }
    if (head->previous > have && receiver->canary != REPLICATE_CANARY_TAKE_GAPS) {
        return receiver->snapshot ? REPLICATE_LATER : REPLICATE_GAP;
    }
    replicate_places_raise(&receiver->have, head->place);
    return REPLICATE_APPLY;
}

enum replicate_verdict replicate_receive_places(const struct replicate_receiver *receiver,
                                                const struct replicate_places *sent)
{
    if (replicate_places_cover(&receiver->have, sent)) {
        return REPLICATE_KNOWN;
    }
    return receiver->snapshot ? REPLICATE_LATER : REPLICATE_GAP;
}

bool replicate_snapshot_begin(struct replicate_receiver *receiver,
                              const struct replicate_places *coming)
{
    if (receiver->snapshot) {
        return false;
    }
    receiver->snapshot = true;
    replicate_places_copy(&receiver->coming, coming);
    replicate_places_copy(&receiver->before, &receiver->have);
    return true;
}

bool replicate_snapshot_wants(const struct replicate_receiver *receiver,
                              struct datalog_origin origin, uint64_t time)
{
    return time > replicate_places_of(&receiver->before, origin).time ||
           receiver->canary == REPLICATE_CANARY_WHOLE_SNAPSHOT;
}

void replicate_snapshot_end(struct replicate_receiver *receiver)
{
    replicate_places_raise_all(&receiver->have, &receiver->coming);
    replicate_snapshot_drop(receiver);
}

void replicate_snapshot_drop(struct replicate_receiver *receiver)
{
    receiver->snapshot = false;
    vec_clear(&receiver->coming.all);
}

/* ---- the sender ---- */

void replicate_sender_begin(struct replicate_sender *sender, struct datalog_origin them,
                            const struct replicate_places *theirs,
                            const struct replicate_places *log)
{
    sender->them = them;
    replicate_places_copy(&sender->theirs, theirs);
    replicate_places_copy(&sender->passed, log);
}

void replicate_sender_deinit(struct replicate_sender *sender)
{
    replicate_places_deinit(&sender->theirs);
    replicate_places_deinit(&sender->passed);
}

static bool lack(const struct replicate_sender *sender, struct datalog_origin origin,
                 uint64_t position)
{
    return replicate_origin_compare(origin, sender->them) != 0 &&
           replicate_places_of(&sender->theirs, origin).position < position &&
           sender->canary != REPLICATE_CANARY_SKIP_THE_GAP;
}

enum replicate_offer replicate_sender_may_read(const struct replicate_sender *sender)
{
    for (size_t i = 0; i < sender->passed.all.count; i++) {
        const struct replicate_place *place = &sender->passed.all.items[i];
        if (lack(sender, place->origin, place->position)) {
            return REPLICATE_SNAPSHOT;
        }
    }
    return REPLICATE_SEND;
}

enum replicate_offer replicate_sender_offer(struct replicate_sender *sender,
                                            struct replicate_place place,
                                            struct replicate_head *ret_head)
{
    uint64_t previous = replicate_places_of(&sender->passed, place.origin).position;
    if (lack(sender, place.origin, previous)) {
        return REPLICATE_SNAPSHOT;
    }
    replicate_places_raise(&sender->passed, place);
    if (replicate_origin_compare(place.origin, sender->them) == 0 ||
        replicate_places_of(&sender->theirs, place.origin).position >= place.position) {
        return REPLICATE_SKIP;
    }
    replicate_places_raise(&sender->theirs, place);
    *ret_head = (struct replicate_head){place, previous};
    return REPLICATE_SEND;
}

enum replicate_offer replicate_sender_offer_places(struct replicate_sender *sender,
                                                   const struct replicate_places *places)
{
    for (size_t i = 0; i < places->all.count; i++) {
        if (lack(sender, places->all.items[i].origin, places->all.items[i].position)) {
            return REPLICATE_SNAPSHOT;
        }
    }
    replicate_places_raise_all(&sender->passed, places);
    return REPLICATE_SKIP;
}

void replicate_sender_learn(struct replicate_sender *sender, const struct replicate_places *theirs)
{
    replicate_places_raise_all(&sender->theirs, theirs);
}

/* ---- writes ---- */

bool replicate_stands(uint64_t time, struct datalog_origin origin, uint64_t other_time,
                      struct datalog_origin other_origin)
{
    return time != other_time ? time > other_time
                              : replicate_origin_compare(origin, other_origin) > 0;
}

/* ---- going round dead members ---- */

size_t replicate_targets(const struct replicate_member *members, size_t count, size_t self,
                         uint16_t *ret_targets)
{
    bool met[REPLICATE_NODES_MAX] = {false};
    uint16_t behind[REPLICATE_NODES_MAX]; /* whose targets are ours too */
    size_t behind_count = 0;
    size_t found = 0;
    met[self] = true;
    behind[behind_count++] = (uint16_t)self;
    for (size_t i = 0; i < behind_count; i++) {
        const struct replicate_member *member = &members[behind[i]];
        for (size_t t = 0; t < member->targets_count; t++) {
            uint16_t target = member->targets[t];
            if (target >= count || met[target]) {
                continue;
            }
            met[target] = true;
            if (behind[i] == self || members[target].alive) {
                ret_targets[found++] = target;
            }
            if (!members[target].alive) {
                behind[behind_count++] = target;
            }
        }
    }
    return found;
}
