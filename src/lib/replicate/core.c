/* Tested by sim_test.c. */
#include "replicate/core.h"

static bool has_other_form(const struct replicate_places *places, struct datalog_origin origin,
                           enum replicate_canary canary)
{
    return canary != REPLICATE_CANARY_MIX_FORMS && replicate_places_other_form(places, origin);
}

/* ---- the receiver ---- */

void replicate_receiver_deinit(struct replicate_receiver *receiver)
{
    replicate_places_deinit(&receiver->have);
    replicate_places_deinit(&receiver->doubt);
    replicate_places_deinit(&receiver->coming);
    replicate_places_deinit(&receiver->before);
    replicate_places_deinit(&receiver->unsure);
}

/* Whether some of what it is part of may be here. */
static bool is_in_doubt(const struct replicate_receiver *receiver, struct replicate_place place)
{
    return receiver->canary != REPLICATE_CANARY_MIX_SNAPSHOT &&
           place.position <= replicate_places_of(&receiver->doubt, place.origin).position;
}

/* What a snapshot has begun to bring in a form is held in that one, whether it came to its end. */
static bool holds_other_form(const struct replicate_receiver *receiver,
                             struct datalog_origin origin)
{
    return has_other_form(&receiver->have, origin, receiver->canary) ||
           has_other_form(&receiver->doubt, origin, receiver->canary);
}

enum replicate_verdict replicate_receive(struct replicate_receiver *receiver,
                                         const struct replicate_head *head)
{
    uint64_t have = replicate_places_of(&receiver->have, head->place.origin).position;
    if (head->place.position <= have && receiver->canary != REPLICATE_CANARY_TAKE_TWICE) {
        return REPLICATE_KNOWN;
    }
    bool is_gap = head->previous > have && receiver->canary != REPLICATE_CANARY_TAKE_GAPS;
    is_gap = is_gap || holds_other_form(receiver, head->place.origin);
    if (is_gap || is_in_doubt(receiver, head->place)) {
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

/* Of the snapshot only what is not held in another form; it is in doubt from now on. */
static void take_forms(struct replicate_receiver *receiver, struct replicate_places *to,
                       const struct replicate_places *coming)
{
    for (size_t i = 0; i < coming->all.count; i++) {
        if (holds_other_form(receiver, coming->all.items[i].origin)) {
            receiver->is_mixed = true;
        } else {
            replicate_places_raise(to, coming->all.items[i]);
            replicate_places_raise(&receiver->doubt, coming->all.items[i]);
        }
    }
}

bool replicate_snapshot_begin(struct replicate_receiver *receiver,
                              const struct replicate_places *coming,
                              const struct replicate_places *doubt)
{
    if (receiver->snapshot) {
        return false;
    }
    struct replicate_places unsure = {0};
    receiver->snapshot = true;
    receiver->is_mixed = false;
    vec_clear(&receiver->coming.all);
    replicate_places_copy(&receiver->before, &receiver->have);
    replicate_places_copy(&receiver->unsure, &receiver->doubt);
    take_forms(receiver, &receiver->coming, coming);
    take_forms(receiver, &unsure, doubt);
    replicate_places_deinit(&unsure);
    replicate_settle_doubt(receiver);
    if (receiver->canary == REPLICATE_CANARY_HALF_SNAPSHOT) {
        replicate_places_raise_all(&receiver->have, &receiver->coming);
    }
    return true;
}

bool replicate_snapshot_is_other(const struct replicate_receiver *receiver,
                                 struct datalog_origin origin)
{
    return receiver->is_mixed && (has_other_form(&receiver->before, origin, receiver->canary) ||
                                  has_other_form(&receiver->unsure, origin, receiver->canary));
}

enum replicate_wish replicate_snapshot_wish(const struct replicate_receiver *receiver,
                                            struct datalog_origin origin, uint64_t time)
{
    if (receiver->canary == REPLICATE_CANARY_WHOLE_SNAPSHOT) {
        return REPLICATE_TAKE;
    }
    if (replicate_snapshot_is_other(receiver, origin)) {
        return REPLICATE_HELD;
    }
    struct replicate_place before = replicate_places_of(&receiver->before, origin);
    if (before.position > 0 && before.time == 0) {
        return REPLICATE_LOOK; /* it is from before logs knew the times of places */
    }
    if (time <= before.time) {
        return REPLICATE_HELD;
    }
    return time <= replicate_places_of(&receiver->unsure, origin).time ? REPLICATE_LOOK
                                                                       : REPLICATE_TAKE;
}

void replicate_settle_doubt(struct replicate_receiver *receiver)
{
    size_t kept = 0;
    struct replicate_place *all = receiver->doubt.all.items;
    for (size_t i = 0; i < receiver->doubt.all.count; i++) {
        if (all[i].position > replicate_places_of(&receiver->have, all[i].origin).position) {
            all[kept++] = all[i];
        }
    }
    receiver->doubt.all.count = kept;
}

void replicate_snapshot_end(struct replicate_receiver *receiver)
{
    replicate_places_raise_all(&receiver->have, &receiver->coming);
    replicate_snapshot_drop(receiver);
    replicate_settle_doubt(receiver);
}

void replicate_snapshot_drop(struct replicate_receiver *receiver)
{
    receiver->snapshot = false;
    vec_clear(&receiver->coming.all);
    if (receiver->canary == REPLICATE_CANARY_NO_DOUBT) {
        vec_clear(&receiver->doubt.all);
    }
}

/* ---- the sender ---- */

void replicate_sender_begin(struct replicate_sender *sender, struct datalog_origin them,
                            const struct replicate_places *theirs,
                            const struct replicate_places *doubt,
                            const struct replicate_places *log)
{
    sender->them = them;
    vec_clear(&sender->doubt.all);
    if (doubt != NULL) {
        replicate_places_copy(&sender->doubt, doubt);
    }
    replicate_places_copy(&sender->theirs, theirs);
    replicate_places_copy(&sender->passed, log);
}

void replicate_sender_deinit(struct replicate_sender *sender)
{
    replicate_places_deinit(&sender->theirs);
    replicate_places_deinit(&sender->doubt);
    replicate_places_deinit(&sender->passed);
}

static bool is_theirs_in_another(const struct replicate_sender *sender, struct datalog_origin sent)
{
    return has_other_form(&sender->theirs, sent, sender->canary) ||
           has_other_form(&sender->doubt, sent, sender->canary);
}

/* What goes back to who wrote it, and what they have in another form, they do not lack. */
static bool is_for_them(const struct replicate_sender *sender, struct datalog_origin sent)
{
    return replicate_origin_compare(sent, sender->them) != 0 &&
           !replicate_origin_is_other_form(sent, sender->them) &&
           !is_theirs_in_another(sender, sent);
}

static bool lack(const struct replicate_sender *sender, struct datalog_origin origin,
                 uint64_t position)
{
    struct datalog_origin sent = replicate_origin_through(origin, sender->filter);
    return replicate_places_of(&sender->theirs, sent).position < position &&
           sender->canary != REPLICATE_CANARY_SKIP_THE_GAP && is_for_them(sender, sent);
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
    struct replicate_place sent = place;
    sent.origin = replicate_origin_through(place.origin, sender->filter);
    bool known = replicate_places_of(&sender->theirs, sent.origin).position >= place.position;
    bool theirs = !known && !is_for_them(sender, sent.origin);
    if (!known && !theirs &&
        place.position <= replicate_places_of(&sender->doubt, sent.origin).position) {
        return REPLICATE_SNAPSHOT;
    }
    replicate_places_raise(&sender->passed, place);
    if (known || theirs) {
        sender->withheld += theirs && is_theirs_in_another(sender, sent.origin);
        return REPLICATE_SKIP;
    }
    replicate_places_raise(&sender->theirs, sent);
    *ret_head = (struct replicate_head){sent, previous};
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

void replicate_sender_sent_snapshot(struct replicate_sender *sender,
                                    const struct replicate_places *places)
{
    for (size_t i = 0; i < places->all.count; i++) {
        struct replicate_place sent = places->all.items[i];
        sent.origin = replicate_origin_through(sent.origin, sender->filter);
        if (!is_theirs_in_another(sender, sent.origin)) {
            replicate_places_raise(&sender->theirs, sent);
        }
    }
    replicate_places_raise_all(&sender->passed, places);
}

/* ---- writes ---- */

bool replicate_stands(uint64_t time, struct datalog_origin origin, uint64_t other_time,
                      struct datalog_origin other_origin)
{
    return time != other_time ? time > other_time
                              : replicate_origin_compare(origin, other_origin) > 0;
}
