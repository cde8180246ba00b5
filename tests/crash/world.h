/*
 * A storage, the disk it stands on, what is done to both, and what users were told: the world of
 * the tests in this folder. The storage is the real one, the disk the simulated one (io/sim.h).
 *
 *     world_init ──world_open──> living ──world_append, world_work, …──> world_deinit
 *                                  ^  │ the power goes, or a clean end
 *                                  └──┘ world_restart: and everything is checked
 *
 * What users were told is kept as lines. A line that was acknowledged, or was once seen, is found
 * by every scan, exactly as it was given; one that was refused is found or not, but does not come
 * and go; no line is found twice and none that nobody gave. The first breach is said in `wrong`.
 */
#ifndef CRASH_WORLD_H
#define CRASH_WORLD_H

#include "base/vec.h"
#include "chance.h"
#include "indexer/storage.h"
#include "liar.h"
#include "points.h"

/* The wells; PLACE_WEB deletes what is old, PLACE_SYS comes and goes with the config, and
 * PLACE_MEMORY is in some lives a memory well and in the others not there. */
enum place { PLACE_DEFAULT, PLACE_WEB, PLACE_SYS, PLACE_MEMORY, PLACES };

#define WORLD_TAGS 8
#define WORLD_LINES_MAX 64 /* of one submission */

struct line {
    int64_t time_ns;
    uint8_t tag;     /* index of world_tags */
    uint8_t place;   /* the well that holds it, as far as we know */
    bool acked;      /* it must be found */
    bool never;      /* it must not be found: it was lost when it could be, or is gone for good */
    bool since_open; /* it was given to the storage that is open now */
    bool seen;       /* by the present scan */
    uint32_t bytes;  /* of its data */
    uint32_t submission;
    struct order order;
    uint64_t content; /* what its data, source and values are made of */
};

struct tally {
    uint64_t lines, acked, refused;
    uint64_t opens, opens_failed, crashes, faults, full;
    uint64_t flushes, merges, drops, checks, scans_failed;
    uint64_t seen;
    uint64_t points, points_seen, deletes;
};

struct world {
    struct liar disk;
    struct chance chance;
    struct storage *storage; /* NULL: it is not open */
    struct storage_options options;
    struct storage_well wells[PLACES];
    bool sys_away;
    bool has_memory;
    uint16_t tags[WORLD_TAGS];
    bool tag_given[WORLD_TAGS]; /* its number is known and must stay */
    bool tag_known[WORLD_TAGS]; /* the storage that is open was asked for it */
    VEC(struct line) lines;
    struct points points;
    enum belief belief;
    bool received_too;      /* other nodes' records come too */
    int64_t newest_now_ns;  /* the latest time that retention may have seen */
    bool plain_opens;       /* opening meets no trouble but what is armed already */
    bool troubled;          /* a fault or a full disk came since it was last well */
    bool work_failed;       /* since it was opened: what was dropped may come back */
    bool damaged;           /* blocks may be skipped */
    bool damaged_log;       /* a delete may be gone, or all points of a series */
    bool damaged_catalogue; /* attributes and deletes of series may be gone */
    struct buf reports;     /* what the storage said, if `keep_reports` */
    bool keep_reports;
    uint32_t submissions;
    bool trace;
    char wrong[512];
    struct tally tally;
};

extern const char *const world_tags[WORLD_TAGS];

void world_init(struct world *world, uint64_t seed, enum lie lie);
void world_deinit(struct world *world);

/* Says the first breach; the others follow from it. */
void world_complain(struct world *world, const char *format, ...) PRINTF_LIKE(2, 3);
void world_say(struct world *world, const char *format, ...) PRINTF_LIKE(2, 3);

/* Opens the storage as the config is now. False: it could not, and that is no wonder. */
bool world_open(struct world *world);

/* Ends the present storage, by a crash if `crashes`, and opens it until that succeeds; then
 * everything is checked. */
void world_restart(struct world *world, bool crashes);

void world_append(struct world *world, size_t count);
void world_work(struct world *world);
void world_flush(struct world *world);

/* No more trouble: the storage must be well by itself. */
void world_calm(struct world *world);

/* Scans everything and compares. `opened`: nothing was done since the storage was opened. */
void world_check(struct world *world, bool opened);

/* As above, but leaves it to the caller what may be missing: see line.seen. 0, or a fault of the
 * disk. */
MUST_CHECK int world_scan(struct world *world);

/* A search for its number finds a line if the last scan did. */
void world_check_word(struct world *world, uint64_t number);

/* Whether retention may have dropped what has this time. */
bool world_may_be_gone(const struct world *world, enum place place, int64_t time_ns);

/* Whether the disk may be at fault when a call fails. */
bool world_has_trouble(const struct world *world);

#endif
