/*
 * What the world of sim_world.h is made of: chance, records, nodes with modelled logs, links, and
 * what wells make of records.
 */
#ifndef REPLICATE_SIM_MODEL_H
#define REPLICATE_SIM_MODEL_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replicate/core.h"
#include "replicate/members.h"

#define NODES_MAX 10
#define SERIES 6
#define TIMES 12
#define KEYS 2
#define WINDOW 6 /* messages under way on a link */
#define HOUR 3600000
#define FILTER 5
#define TRIES 3 /* a node that could not be reached so often is gone round */

/* ---- chance ---- */

struct chance {
    uint64_t state;
};

static uint64_t below(struct chance *chance, uint64_t bound)
{
    uint64_t z = (chance->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % bound;
}

static bool one_in(struct chance *chance, uint64_t n)
{
    return below(chance, n) == 0;
}

/* ---- records ---- */

enum kind { POINT, ENTRY, META, DELETE, SNAPSHOT, NOTHING };

/* The only copy of what was written; logs hold indices. */
struct record {
    struct replicate_place place;
    enum kind kind;
    unsigned series; /* DELETE: the lowest bit of the series it selects, or all: `every` */
    bool every;
    unsigned time; /* DELETE: from here … */
    unsigned end;  /* … to here */
    unsigned key;
    uint32_t value;
    bool lost;                      /* the only node that had it lost its disk */
    struct replicate_places places; /* SNAPSHOT */
};

/* ---- what wells hold ---- */

struct cell {
    bool set;
    uint32_t value;
    struct datalog_origin origin;
    uint64_t stamp;
};

struct data {
    struct cell points[SERIES][TIMES];
    struct cell attributes[SERIES][KEYS];
    VEC(uint32_t) entries; /* records */
    VEC(uint32_t) deletes; /* records */
    unsigned cut;          /* retention: older times are gone */
    unsigned whole;        /* from here on nothing is missing: a snapshot is as old as its source */
    bool mixed; /* it came with origins held in another form: their writes may have hidden others */
};

struct world;

struct message {
    enum { RECORD, SNAPSHOT_BEGIN, SNAPSHOT_PART, SNAPSHOT_END, PLACES } type;
    uint32_t record;
    struct replicate_head head;
    struct replicate_places places;
    struct replicate_places doubt;
    unsigned part;
    struct data data;
};

struct link {
    size_t from;
    size_t to;
    uint16_t filter;
    bool cut;
    bool up;
    struct replicate_sender sender;
    size_t at; /* place in the sender's log of what is offered next */
    VEC(struct message) way;
    bool snapshot;    /* the sender owes one */
    bool told;        /* the sender told what it believes since it sent a record */
    bool snapshot_on; /* the receiver takes this link's snapshot */
    unsigned part;    /* that comes next; PARTS: the end */
};

struct log {
    VEC(uint32_t) records;
    size_t first;                  /* trimmed before it */
    struct replicate_places start; /* places at `first` */
};

struct node {
    bool up;
    bool memory; /* a restart leaves nothing */
    struct datalog_origin self;
    uint64_t written; /* own positions of this incarnation */
    uint64_t clock;
    int64_t skew;
    struct log log;
    struct replicate_receiver receiver;
    struct replicate_members members; /* whom they forward to, as far as it has heard */
    unsigned tries[NODES_MAX];        /* how often each could not be reached of late */
    struct data data;
};

struct copy {
    bool there;
    size_t node;
    struct node state;
};

struct world {
    struct chance chance;
    enum replicate_canary canary;
    int64_t now;
    bool calm;
    uint64_t incarnations;
    struct node nodes[NODES_MAX];
    size_t count;
    bool edges[NODES_MAX][NODES_MAX];   /* configured targets */
    bool filters[NODES_MAX][NODES_MAX]; /* of those that let only some records pass */
    bool any_filter;
    struct link links[NODES_MAX][NODES_MAX];
    bool news; /* somebody heard of a member */
    VEC(struct record) records;
    struct copy backup;
    uint64_t mixed;  /* nodes whose data are */
    uint64_t doubts; /* nodes that are in doubt at the end: nobody could finish a snapshot */
    char wrong[256];
};

static void complain(struct world *world, const char *what, size_t node, uint64_t number)
{
    if (world->wrong[0] == 0) {
        snprintf(world->wrong, sizeof(world->wrong), "%s: node %zu, %" PRIu64, what, node, number);
    }
}

static bool tracing(void)
{
    return getenv("AQUIFER_TRACE") != NULL;
}

static void trace(const char *what, size_t node, uint64_t a, uint64_t b)
{
    if (tracing()) {
        printf("%zu %s %" PRIu64 " %" PRIu64 "\n", node, what, a, b);
    }
}

/* ---- data ---- */

static void data_copy(struct data *to, const struct data *from)
{
    memcpy(to->points, from->points, sizeof(to->points));
    memcpy(to->attributes, from->attributes, sizeof(to->attributes));
    to->cut = from->cut;
    to->whole = from->whole;
    to->mixed = from->mixed;
    vec_clear(&to->entries);
    vec_clear(&to->deletes);
    for (size_t i = 0; i < from->entries.count; i++) {
        vec_push(&to->entries, from->entries.items[i]);
    }
    for (size_t i = 0; i < from->deletes.count; i++) {
        vec_push(&to->deletes, from->deletes.items[i]);
    }
}

static void data_free(struct data *data)
{
    vec_deinit(&data->entries);
    vec_deinit(&data->deletes);
    *data = (struct data){0};
}

static bool selects(const struct record *delete, unsigned series, unsigned time)
{
    return (delete->every || (series & 1) == (delete->series & 1)) && time >= delete->time &&
           time <= delete->end;
}

/* A delete covers what was written before it, wherever and whenever that arrives. */
static bool covers(const struct record *delete, unsigned series, unsigned time, uint64_t stamp,
                   struct datalog_origin origin)
{
    return selects(delete, series, time) &&
           replicate_stands(delete->place.time, delete->place.origin, stamp, origin);
}

static bool is_deleted(const struct world *world, const struct data *data, unsigned series,
                       unsigned time, uint64_t stamp, struct datalog_origin origin)
{
    for (size_t i = 0; i < data->deletes.count; i++) {
        if (covers(&world->records.items[data->deletes.items[i]], series, time, stamp, origin)) {
            return true;
        }
    }
    return false;
}

static void put_cell(struct cell *cell, const struct cell *value)
{
    if (!cell->set || replicate_stands(value->stamp, value->origin, cell->stamp, cell->origin)) {
        *cell = *value;
    }
}

static void put_point(const struct world *world, struct data *data, unsigned series, unsigned time,
                      const struct cell *value)
{
    if (value->set && time >= data->cut &&
        !is_deleted(world, data, series, time, value->stamp, value->origin)) {
        put_cell(&data->points[series][time], value);
    }
}

static void put_entry(const struct world *world, struct data *data, uint32_t number)
{
    const struct record *record = &world->records.items[number];
    if (record->time >= data->cut && !is_deleted(world, data, record->series, record->time,
                                                 record->place.time, record->place.origin)) {
        vec_push(&data->entries, number);
    }
}

static void put_delete(const struct world *world, struct data *data, uint32_t number)
{
    const struct record *delete = &world->records.items[number];
    for (size_t i = 0; i < data->deletes.count; i++) {
        if (data->deletes.items[i] == number) {
            return;
        }
    }
    vec_push(&data->deletes, number);
    for (unsigned series = 0; series < SERIES; series++) {
        for (unsigned time = 0; time < TIMES; time++) {
            struct cell *cell = &data->points[series][time];
            if (cell->set && covers(delete, series, time, cell->stamp, cell->origin)) {
                cell->set = false;
            }
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < data->entries.count; i++) {
        const struct record *entry = &world->records.items[data->entries.items[i]];
        if (!covers(delete, entry->series, entry->time, entry->place.time, entry->place.origin)) {
            data->entries.items[kept++] = data->entries.items[i];
        }
    }
    data->entries.count = kept;
}

static void data_apply(const struct world *world, struct data *data, uint32_t number)
{
    const struct record *record = &world->records.items[number];
    struct cell value = {true, record->value, record->place.origin, record->place.time};
    switch (record->kind) {
    case POINT:
        put_point(world, data, record->series, record->time, &value);
        break;
    case ENTRY:
        put_entry(world, data, number);
        break;
    case META:
        put_cell(&data->attributes[record->series][record->key], &value);
        break;
    case DELETE:
        put_delete(world, data, number);
        break;
    case SNAPSHOT:
    case NOTHING:
        break;
    }
}

static bool has_entry(const struct data *data, uint32_t number)
{
    for (size_t i = 0; i < data->entries.count; i++) {
        if (data->entries.items[i] == number) {
            return true;
        }
    }
    return false;
}

/* Of entries of a snapshot those that this node does not hold yet. */
static void merge_entries(const struct world *world, struct node *node, const struct data *from,
                          size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        uint32_t number = from->entries.items[i];
        const struct replicate_place *place = &world->records.items[number].place;
        enum replicate_wish wish =
            replicate_snapshot_wish(&node->receiver, place->origin, place->time);
        if (wish == REPLICATE_TAKE || (wish == REPLICATE_LOOK && !has_entry(&node->data, number))) {
            put_entry(world, &node->data, number);
        }
    }
}

#define PARTS 4

/* One part of a snapshot, of what this node does not hold yet. */
static void merge_part(const struct world *world, struct node *node, const struct data *from,
                       unsigned part)
{
    const struct replicate_receiver *receiver = &node->receiver;
    size_t half = from->entries.count / 2;
    if (part == 1) {
        merge_entries(world, node, from, 0, half);
    } else if (part == 2) {
        merge_entries(world, node, from, half, from->entries.count);
    }
    node->data.whole = MAX(node->data.whole, from->whole);
    node->data.mixed = node->data.mixed || from->mixed || receiver->is_mixed;
    for (size_t i = 0; part == 0 && i < from->deletes.count; i++) {
        uint32_t number = from->deletes.items[i];
        if (!replicate_snapshot_is_other(receiver, world->records.items[number].place.origin)) {
            put_delete(world, &node->data, number);
        }
    }
    if (part != 3) {
        return;
    }
    for (unsigned series = 0; series < SERIES; series++) {
        for (unsigned key = 0; key < KEYS; key++) {
            const struct cell *cell = &from->attributes[series][key];
            if (cell->set && !replicate_snapshot_is_other(receiver, cell->origin)) {
                put_cell(&node->data.attributes[series][key], cell);
            }
        }
        for (unsigned time = 0; time < TIMES; time++) {
            const struct cell *cell = &from->points[series][time];
            if (cell->set &&
                replicate_snapshot_wish(receiver, cell->origin, cell->stamp) != REPLICATE_HELD) {
                put_point(world, &node->data, series, time, cell);
            }
        }
    }
}

#endif
