/*
 * Places: how far a node has come in the records of each origin. A node that is at a place holds
 * everything the origin wrote up to it, in its log or in its wells, so places alone say what
 * one node has and another lacks. One thread at a time.
 */
#ifndef REPLICATE_PLACES_H
#define REPLICATE_PLACES_H

#include "base/vec.h"
#include "base/wire.h"
#include "datalog/log.h"

#define REPLICATE_ORIGINS_MAX 65536
#define REPLICATE_INCARNATION_MAX ((UINT64_C(1) << 48) - 1) /* of what a log begins */

struct replicate_place {
    struct datalog_origin origin;
    uint64_t position; /* the highest of this origin; 0: none */
    uint64_t time;     /* hybrid time of the record there; grows with the position */
};

/* Sorted by origin. Zero-initialised is empty: nothing is held. */
struct replicate_places {
    VEC(struct replicate_place) all;
};

/*
 * Forms of an origin. A link with a filter does not bring all that an origin wrote. What it brings
 * goes on under a derived origin: the same node, and an incarnation that has the highest bit, 15
 * bits of the filter, and the 48 bits of the incarnation it is of. Positions and times stay the
 * same; a record that the filter leaves out leaves one with nothing in it. So derived origins are
 * like any other; but a node takes an origin in one form only, the one that it met first, or it
 * would have things twice.
 */
#define REPLICATE_DERIVED (UINT64_C(1) << 63)
#define REPLICATE_FILTER_MAX 0x7fff

/* `filter` 0: none, so the origin itself. */
struct datalog_origin replicate_origin_through(struct datalog_origin origin, uint16_t filter);
bool replicate_origin_is_derived(struct datalog_origin origin);

/* The same places, of what a filter lets pass. Replaces `*to`. */
void replicate_places_through(struct replicate_places *to, const struct replicate_places *from,
                              uint16_t filter);

/* Whether both are forms of one origin, and not the same one. */
bool replicate_origin_is_other_form(struct datalog_origin a, struct datalog_origin b);

void replicate_places_deinit(struct replicate_places *places);
void replicate_places_copy(struct replicate_places *to, const struct replicate_places *from);

/* By node, then incarnation: <0, 0, >0. Also what decides between two writes of one time. */
int replicate_origin_compare(struct datalog_origin a, struct datalog_origin b);

/* Whether something of it is held in another form. */
bool replicate_places_other_form(const struct replicate_places *places,
                                 struct datalog_origin origin);

/* The place of an origin; position and time are 0 when nothing of it is held. */
struct replicate_place replicate_places_of(const struct replicate_places *places,
                                           struct datalog_origin origin);

/* Moves an origin's place forward; never back. */
void replicate_places_raise(struct replicate_places *places, struct replicate_place place);
void replicate_places_raise_all(struct replicate_places *places,
                                const struct replicate_places *others);

/* Forgets all origins of these nodes. */
void replicate_places_without(struct replicate_places *places, const struct uuid *nodes,
                              size_t count);

/* Whether who is at `places` holds all that others hold. */
bool replicate_places_cover(const struct replicate_places *places,
                            const struct replicate_places *others);

/* u32 count; per origin: node 16 bytes, u64 incarnation, position, time. */
void replicate_places_write(struct buf *buf, const struct replicate_places *places);

/* Replaces what was in `places`. ERR_PROTOCOL: cut off, out of order, too many. */
MUST_CHECK int replicate_places_read(struct wire_reader *reader, struct replicate_places *places);

#endif
