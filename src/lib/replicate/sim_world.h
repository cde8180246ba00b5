/*
 * The world of sim_test.c, and of nothing else: nodes with modelled logs and wells, and links that
 * lose what is under way. What decides is the core itself.
 */
#ifndef REPLICATE_SIM_WORLD_H
#define REPLICATE_SIM_WORLD_H

#include "replicate/sim_model.h"

/* ---- nodes ---- */

static void append(struct node *node, uint32_t number, const struct replicate_place *place)
{
    vec_push(&node->log.records, number);
    node->clock = MAX(node->clock, place->time);
}

static struct uuid id_of(size_t at)
{
    return (struct uuid){{(uint8_t)(at + 1)}};
}

static void begin_incarnation(struct world *world, size_t at)
{
    struct node *node = &world->nodes[at];
    if (world->canary == REPLICATE_CANARY_SAME_LIFE && node->self.incarnation != 0) {
        node->written = replicate_places_of(&node->receiver.have, node->self).position;
        return;
    }
    node->self.node = id_of(at);
    node->self.incarnation = ++world->incarnations;
    node->written = 0;
    trace("begins incarnation", at, node->self.incarnation, 0);
}

static void write_record(struct world *world, size_t at, struct record record)
{
    struct node *node = &world->nodes[at];
    uint64_t wall = (uint64_t)(world->now + node->skew);
    node->clock = MAX(wall, node->clock + 1);
    record.place = (struct replicate_place){node->self, ++node->written, node->clock};
    vec_push(&world->records, record);
    uint32_t number = (uint32_t)(world->records.count - 1);
    append(node, number, &record.place);
    replicate_places_raise(&node->receiver.have, record.place);
    data_apply(world, &node->data, number);
    trace("writes", at, number, record.kind);
}

static void cut_link(struct world *world, struct link *link)
{
    if (link->snapshot_on) {
        replicate_snapshot_drop(&world->nodes[link->to].receiver);
    }
    for (size_t i = 0; i < link->way.count; i++) {
        replicate_places_deinit(&link->way.items[i].places);
        replicate_places_deinit(&link->way.items[i].doubt);
        data_free(&link->way.items[i].data);
    }
    vec_clear(&link->way);
    link->up = link->snapshot = link->snapshot_on = link->told = false;
}

static void cut_all(struct world *world, size_t at)
{
    for (size_t i = 0; i < world->count; i++) {
        cut_link(world, &world->links[at][i]);
        cut_link(world, &world->links[i][at]);
    }
}

static void node_free(struct node *node)
{
    vec_deinit(&node->log.records);
    replicate_places_deinit(&node->log.start);
    replicate_receiver_deinit(&node->receiver);
    replicate_members_deinit(&node->members);
    data_free(&node->data);
}

static void node_copy(struct node *to, const struct node *from)
{
    to->self = from->self;
    to->clock = from->clock;
    to->written = from->written;
    vec_clear(&to->log.records);
    for (size_t i = 0; i < from->log.records.count; i++) {
        vec_push(&to->log.records, from->log.records.items[i]);
    }
    to->log.first = from->log.first;
    replicate_places_copy(&to->log.start, &from->log.start);
    replicate_places_copy(&to->receiver.have, &from->receiver.have);
    replicate_places_copy(&to->receiver.doubt, &from->receiver.doubt);
    replicate_members_copy(&to->members, &from->members);
    data_copy(&to->data, &from->data);
}

/* What only this node held beyond `left` is gone for good. */
static void note_lost(struct world *world, size_t at, const struct replicate_places *left)
{
    for (size_t r = 0; r < world->records.count; r++) {
        struct record *record = &world->records.items[r];
        struct datalog_origin origin = record->place.origin;
        bool held = replicate_places_of(left, origin).position >= record->place.position ||
                    record->kind == SNAPSHOT;
        for (size_t i = 0; i < world->count && !held; i++) {
            held =
                i != at && replicate_places_of(&world->nodes[i].receiver.have, origin).position >=
                               record->place.position;
        }
        record->lost = record->lost || !held;
    }
}

static void empty_node(struct world *world, size_t at)
{
    struct replicate_places none = {0};
    note_lost(world, at, &none);
    struct node *node = &world->nodes[at];
    struct node fresh = {.up = true, .memory = node->memory, .skew = node->skew};
    fresh.self = node->self;
    fresh.receiver.canary = world->canary;
    node_free(node);
    *node = fresh;
    begin_incarnation(world, at);
    trace("is empty", at, 0, 0);
}

/* What a snapshot brought that did not come to its end may have been in memory only. */
static void lose_some(struct world *world, struct node *node)
{
    size_t kept = 0;
    for (size_t i = 0; i < node->data.entries.count; i++) {
        uint32_t number = node->data.entries.items[i];
        const struct replicate_place *place = &world->records.items[number].place;
        bool sure =
            place->position <= replicate_places_of(&node->receiver.have, place->origin).position;
        if (sure || one_in(&world->chance, 2)) {
            node->data.entries.items[kept++] = number;
        }
    }
    node->data.entries.count = kept;
}

static void restart_node(struct world *world, size_t at)
{
    cut_all(world, at);
    lose_some(world, &world->nodes[at]);
    if (world->nodes[at].memory) {
        empty_node(world, at);
    } else {
        begin_incarnation(world, at);
    }
    world->nodes[at].up = true;
}

static void restore_node(struct world *world)
{
    size_t at = world->backup.node;
    if (world->backup.there && !world->nodes[at].memory) {
        cut_all(world, at);
        note_lost(world, at, &world->backup.state.receiver.have);
        node_copy(&world->nodes[at], &world->backup.state);
        begin_incarnation(world, at);
        trace("is restored", at, 0, 0);
    }
}

static void back_up_node(struct world *world, size_t at)
{
    node_copy(&world->backup.state, &world->nodes[at]);
    world->backup.node = at;
    world->backup.there = true;
}

static void trim_log(struct world *world, size_t at, size_t first)
{
    struct log *log = &world->nodes[at].log;
    for (; log->first < first; log->first++) {
        const struct record *record = &world->records.items[log->records.items[log->first]];
        if (record->kind == SNAPSHOT) {
            replicate_places_raise_all(&log->start, &record->places);
        } else {
            replicate_places_raise(&log->start, record->place);
        }
    }
    for (size_t i = 0; i < world->count; i++) {
        if (world->links[at][i].at < first) {
            cut_link(world, &world->links[at][i]);
        }
    }
    trace("trims to", at, first, 0);
}

/* Older times go, as retention has it on each node by itself. */
static void retain(struct world *world, size_t at)
{
    struct data *data = &world->nodes[at].data;
    data->cut = MIN(data->cut + 1, (unsigned)TIMES / 3);
    data->whole = MAX(data->whole, data->cut);
    for (unsigned series = 0; series < SERIES; series++) {
        for (unsigned time = 0; time < data->cut; time++) {
            data->points[series][time].set = false;
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < data->entries.count; i++) {
        if (world->records.items[data->entries.items[i]].time >= data->cut) {
            data->entries.items[kept++] = data->entries.items[i];
        }
    }
    data->entries.count = kept;
}

/* ---- links ---- */

static void connect_link(struct world *world, struct link *link)
{
    struct node *from = &world->nodes[link->from];
    struct node *to = &world->nodes[link->to];
    cut_link(world, link);
    link->up = true;
    link->at = from->log.first;
    link->sender.canary = world->canary;
    link->sender.filter = link->filter;
    link->sender.withheld = 0;
    replicate_sender_begin(&link->sender, to->self, &to->receiver.have, &to->receiver.doubt,
                           &from->log.start);
    link->snapshot = replicate_sender_may_read(&link->sender) == REPLICATE_SNAPSHOT;
}

/* As the filter lets it pass: points and entries of every other series, and what is about all. The
 * number of the record that is sent, which may have been sent before. */
static uint32_t filter_record(struct world *world, uint32_t number, struct datalog_origin sent)
{
    struct record derived = world->records.items[number];
    if (replicate_origin_compare(derived.place.origin, sent) == 0) {
        return number;
    }
    for (uint32_t i = 0; i < world->records.count; i++) {
        const struct replicate_place *place = &world->records.items[i].place;
        if (place->position == derived.place.position &&
            replicate_origin_compare(place->origin, sent) == 0) {
            return i;
        }
    }
    derived.place.origin = sent;
    derived.lost = true; /* if nobody takes it */
    if ((derived.kind == POINT || derived.kind == ENTRY) && derived.series % 2 == 0) {
        derived.kind = NOTHING;
    }
    vec_push(&world->records, derived);
    return (uint32_t)(world->records.count - 1);
}

/* All that the node holds, in the form in which it goes over the link: what comes with a snapshot
 * has records behind it too. */
static void filter_data(struct world *world, const struct link *link, struct data *data)
{
    const struct replicate_places *have = &world->nodes[link->from].receiver.have;
    size_t kept = 0;
    for (uint32_t i = 0, end = (uint32_t)world->records.count; i < end; i++) {
        struct replicate_place place = world->records.items[i].place;
        if (world->records.items[i].kind != SNAPSHOT &&
            replicate_places_of(have, place.origin).position >= place.position) {
            (void)filter_record(world, i, replicate_origin_through(place.origin, link->filter));
        }
    }
    for (size_t i = 0; i < data->entries.count; i++) {
        uint32_t number = data->entries.items[i];
        struct datalog_origin origin = world->records.items[number].place.origin;
        number = filter_record(world, number, replicate_origin_through(origin, link->filter));
        data->entries.items[kept] = number;
        kept += world->records.items[number].kind == ENTRY;
    }
    data->entries.count = kept;
    for (size_t i = 0; i < data->deletes.count; i++) {
        uint32_t number = data->deletes.items[i];
        struct datalog_origin origin = world->records.items[number].place.origin;
        data->deletes.items[i] =
            filter_record(world, number, replicate_origin_through(origin, link->filter));
    }
    for (unsigned series = 0; series < SERIES; series++) {
        for (unsigned time = 0; time < TIMES; time++) {
            struct cell *cell = &data->points[series][time];
            cell->set = cell->set && (series % 2 != 0);
            cell->origin = replicate_origin_through(cell->origin, link->filter);
        }
        for (unsigned key = 0; key < KEYS; key++) {
            struct cell *cell = &data->attributes[series][key];
            cell->origin = replicate_origin_through(cell->origin, link->filter);
        }
    }
}

static void send_snapshot(struct world *world, struct link *link)
{
    const struct node *from = &world->nodes[link->from];
    struct message begin = {.type = SNAPSHOT_BEGIN};
    struct message end = {.type = SNAPSHOT_END};
    replicate_places_through(&begin.places, &from->receiver.have, link->filter);
    replicate_places_through(&begin.doubt, &from->receiver.doubt, link->filter);
    vec_push(&link->way, begin);
    for (unsigned part = 0; part < PARTS; part++) {
        struct message message = {.type = SNAPSHOT_PART, .part = part};
        data_copy(&message.data, &from->data);
        if (link->filter != 0) {
            filter_data(world, link, &message.data);
        }
        vec_push(&link->way, message);
    }
    vec_push(&link->way, end);
    replicate_sender_sent_snapshot(&link->sender, &from->receiver.have);
    link->snapshot = link->told = false;
    trace("sends a snapshot to", link->from, link->to, 0);
}

static void tell_places(struct link *link)
{
    if (!link->told) {
        struct message message = {.type = PLACES};
        replicate_places_copy(&message.places, &link->sender.theirs);
        vec_push(&link->way, message);
        link->told = true;
    }
}

static void send_next(struct world *world, struct link *link)
{
    const struct node *from = &world->nodes[link->from];
    if (link->snapshot) {
        send_snapshot(world, link);
        return;
    }
    if (link->at == from->log.records.count) {
        tell_places(link);
        return;
    }
    uint32_t number = from->log.records.items[link->at];
    const struct record *record = &world->records.items[number];
    struct message message = {.type = RECORD, .record = number};
    enum replicate_offer offer =
        record->kind == SNAPSHOT
            ? replicate_sender_offer_places(&link->sender, &record->places)
            : replicate_sender_offer(&link->sender, record->place, &message.head);
    if (offer == REPLICATE_SNAPSHOT) {
        link->snapshot = true;
        return;
    }
    link->at++;
    if (offer == REPLICATE_SEND) {
        if (replicate_origin_compare(record->place.origin, world->nodes[link->to].self) == 0) {
            complain(world, "goes back to its origin", link->from, number);
        }
        message.record = filter_record(world, number, message.head.place.origin);
        vec_push(&link->way, message);
        link->told = false;
    }
}

static void take_record(struct world *world, struct link *link, const struct message *message)
{
    struct node *to = &world->nodes[link->to];
    append(to, message->record, &message->head.place);
    data_apply(world, &to->data, message->record);
    trace("takes", link->to, message->record, link->from);
}

static void end_snapshot(struct world *world, struct link *link)
{
    struct node *to = &world->nodes[link->to];
    struct record record = {.kind = SNAPSHOT};
    replicate_places_copy(&record.places, &to->receiver.coming);
    for (size_t i = 0; i < record.places.all.count; i++) {
        to->clock = MAX(to->clock, record.places.all.items[i].time);
    }
    replicate_snapshot_end(&to->receiver);
    vec_push(&world->records, record);
    vec_push(&to->log.records, (uint32_t)(world->records.count - 1));
    link->snapshot_on = false;
    trace("takes a snapshot from", link->to, link->from, 0);
}

/* APPLY, too, when a message of another type was taken. */
static enum replicate_verdict receive_one(struct world *world, struct link *link,
                                          const struct message *message)
{
    struct node *to = &world->nodes[link->to];
    enum replicate_verdict verdict = REPLICATE_APPLY;
    bool is_rest = message->type == SNAPSHOT_PART || message->type == SNAPSHOT_END;
    unsigned part = message->type == SNAPSHOT_PART ? message->part : PARTS;
    if (link->snapshot_on != is_rest || (is_rest && part != link->part)) {
        return REPLICATE_GAP; /* something between is missing */
    }
    switch (message->type) {
    case RECORD:
        verdict = replicate_receive(&to->receiver, &message->head);
        if (verdict == REPLICATE_APPLY) {
            take_record(world, link, message);
        }
        return verdict;
    case PLACES:
        return replicate_receive_places(&to->receiver, &message->places);
    case SNAPSHOT_BEGIN:
        link->snapshot_on =
            replicate_snapshot_begin(&to->receiver, &message->places, &message->doubt);
        link->part = 0;
        return link->snapshot_on ? REPLICATE_APPLY : REPLICATE_LATER;
    case SNAPSHOT_PART:
        merge_part(world, to, &message->data, link->part++);
        return REPLICATE_APPLY;
    case SNAPSHOT_END:
        end_snapshot(world, link);
        return REPLICATE_APPLY;
    }
    return verdict;
}

static void forget_message(struct link *link, size_t at)
{
    replicate_places_deinit(&link->way.items[at].places);
    replicate_places_deinit(&link->way.items[at].doubt);
    data_free(&link->way.items[at].data);
    memmove(link->way.items + at, link->way.items + at + 1,
            (link->way.count - 1 - at) * sizeof(*link->way.items));
    link->way.count--;
}

/* Wires that lose, repeat and exchange messages. */
static void spoil(struct world *world, struct link *link)
{
    size_t count = link->way.count;
    if (count < 2) {
        return;
    }
    size_t at = below(&world->chance, count - 1);
    struct message *items = link->way.items;
    switch (below(&world->chance, 3)) {
    case 0:
        forget_message(link, at);
        break;
    case 1:
        if (items[at].type == RECORD) {
            vec_push(&link->way, items[at]);
        }
        break;
    default: {
        struct message kept = items[at];
        items[at] = items[at + 1];
        items[at + 1] = kept;
        break;
    }
    }
}

static void receive_next(struct world *world, struct link *link)
{
    if (link->way.count == 0) {
        return;
    }
    enum replicate_verdict verdict = receive_one(world, link, &link->way.items[0]);
    if (verdict == REPLICATE_GAP) {
        cut_link(world, link);
    } else if (verdict != REPLICATE_LATER) {
        forget_message(link, 0);
    }
}

#endif
