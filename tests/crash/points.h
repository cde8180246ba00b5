/*
 * Points, attributes and deletes of the world (world.h), written here and received from two other
 * nodes, and what must be found of them. Of each time of a series the write with the greatest
 * stamp is found, unless a delete with a greater one covers it.
 */
#ifndef CRASH_POINTS_H
#define CRASH_POINTS_H

#include <pthread.h>

#include "base/vec.h"
#include "indexer/storage.h"

struct world;

#define POINTS_SERIES 10
#define POINTS_SLOTS 60 /* different times of a series */
#define POINTS_ATTRIBUTES 2
#define POINTS_NODES 2

/* How stamps of writes compare. Those made here: the earliest time that the stamp may have. */
struct order {
    uint64_t time;
    uint32_t rank; /* of the node, among equal times */
};

enum status {
    STATUS_MAYBE, /* it was refused: it may have happened or not */
    STATUS_SURE,
    STATUS_NEVER, /* it has not happened, as was seen */
};

struct point {
    uint16_t series;
    uint16_t slot;
    uint8_t place; /* where it went */
    uint8_t status;
    bool since_open;
    struct order order;
};

struct removal {
    size_t selector;
    uint8_t flags;
    int64_t start_ns;
    int64_t end_ns;
    uint8_t status;
    struct order order;
};

struct change {
    uint16_t series;
    uint8_t name;
    bool removed;
    uint8_t status;
    struct order order;
};

struct interval {
    uint64_t low;
    uint64_t high;
};

struct points {
    VEC(struct point) points;
    VEC(struct removal) removals;
    VEC(struct change) changes;
    VEC(struct interval) stamps; /* of what was written here, in order */
    int64_t times[POINTS_SLOTS];
    uint64_t positions[POINTS_NODES]; /* of the other nodes */
    uint64_t received;
    struct order last_received;
    bool unsure;      /* what was stamped last was refused: the clock must not be set back now */
    VEC(size_t) lost; /* writes that should stand and do not, if the world is damaged */
};

/* A canary: writes that came later win, whatever their stamps; or deletes cover nothing. */
enum belief { BELIEF_RIGHT, BELIEF_ARRIVAL, BELIEF_NO_DELETES, BELIEFS };

void points_init(struct world *world);
void points_deinit(struct world *world);
void points_closed(struct world *world); /* the storage was */

/* What is done next gets this order. What it brings must be given out before the next one. */
struct order points_begin_local(struct world *world);
void points_end_local(struct world *world);
struct order points_draw_received(struct world *world, struct storage_received *ret_received);

void points_append(struct world *world, size_t count);
void points_remove(struct world *world);
void points_change(struct world *world);

/* Whether a delete covers an entry: STATUS_NEVER: none does. */
enum status points_cover_of_tag(const struct world *world, size_t tag, int64_t time_ns,
                                struct order order);

/* In a damaged world (world.damaged) what should stand and does not is listed in points.lost. */
void points_check(struct world *world, bool opened);

/* Of a series: its key; of a write: its element, whose text lies beside it. */
void points_key(struct buf *key, size_t series);
struct points_value {
    struct element element;
    char text[40];
};
void points_value(const struct world *world, size_t number, struct points_value *value);

/* Whether a delete is about a series or, behind those, a tag; times aside. */
bool points_meant(const struct removal *removal, size_t what);
extern const char *const points_attributes[POINTS_ATTRIBUTES];

/* For submissions that are not waited for by the storage itself. */
struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t finished;
    bool is_done;
    int rc;
    char text[ERR_TEXT_BYTES_MAX];
};
void waiting_init(struct waiting *waiting);
void waiting_done(void *context, int rc);
int waiting_end(struct waiting *waiting, int submit_rc);

#endif
