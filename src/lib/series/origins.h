/*
 * The origins that stored data speak of: u16 number <-> {node, incarnation of its log}, for ever.
 * Stamps carry the number (series/stamp.h), since 24 bytes per element would be too many.
 *
 * SERIES_ORIGIN_NONE, 0, is no origin: what was stored before there were stamps has it. It is
 * below every other. All others, this node's own included, are numbered from 1 in the order in
 * which they are first met; a number is never given again. (0 could not mean "my own": a new
 * incarnation of this log would take over what the old one wrote.) A new origin is on disk
 * before anybody hears its number. Numbers mean nothing on another node.
 *
 * One text file, one line per origin (docs/formats/catalogue.md). A torn last line is cut when it
 * is opened; a damaged line costs its own origin, which storage gives back from its segments
 * (series_origins_restore). Any number of threads; reading takes no lock.
 */
#ifndef SERIES_ORIGINS_H
#define SERIES_ORIGINS_H

#include "base/uuid.h"
#include "series/lines.h"
#include "series/stamp.h"

#define SERIES_ORIGIN_NONE 0
#define SERIES_ORIGINS_MAX 65535

struct series_origins;

struct series_origin {
    struct uuid node;
    uint64_t incarnation;
};

/* Creates the file, and the folders above it, when missing. */
MUST_CHECK int series_origins_open(struct io *io, const char *path,
                                   struct series_origins **ret_origins);
void series_origins_close(struct series_origins **origins);
struct series_lines_damage series_origins_damage(const struct series_origins *origins);

/* The number of an origin; a new one is made and durable when this returns 0.
 * ERR_TOO_LARGE: too many origins. */
MUST_CHECK int series_origins_put(struct series_origins *origins,
                                  const struct series_origin *origin, uint16_t *ret_number);

/* An origin and number that stored data know: put in when either is missing, ERR_CONFLICT when
 * the file says otherwise. */
MUST_CHECK int series_origins_restore(struct series_origins *origins,
                                      const struct series_origin *origin, uint16_t number);

/* False: no such number, or SERIES_ORIGIN_NONE. */
bool series_origins_get(const struct series_origins *origins, uint16_t number,
                        struct series_origin *ret_origin);

/* How many there are; of one node: its lives. Looks at all of them. */
uint32_t series_origins_count(const struct series_origins *origins, const struct uuid *node);

/* <0, 0, >0: by node bytewise, then incarnation, the same on every node. A number that nobody
 * knows any more (damage) is above NONE and below all others, and among its like by number. */
int series_origins_compare(const struct series_origins *origins, uint16_t a, uint16_t b);

/* The order of writes: by time, then origin. The greater one is the last write. */
static inline int series_stamp_compare(const struct series_origins *origins, struct stamp a,
                                       struct stamp b)
{
    if (a.time != b.time) {
        return a.time < b.time ? -1 : 1;
    }
    return a.origin == b.origin ? 0 : series_origins_compare(origins, a.origin, b.origin);
}

#endif
