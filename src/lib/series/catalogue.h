/*
 * The series catalogue: class + labels <-> u32 number, attributes, and which series live.
 *
 *     open (checkpoint) ──restore from segments──> ──apply, touch: replay──> in use
 *                                                       put ──log──> logged, touch, apply, select
 *
 * Numbers are given from 1 in order and never to another series, since stored points carry
 * them; 0 is none. A new series is in memory only until its SERIES record is in the datalog:
 * put() says so to everybody who meets it before, and each of them logs the definition in front
 * of its POINTS (twice is harmless). On disk are checkpoints (docs/formats/catalogue.md), each
 * with a datalog position: what was logged from there on is applied again after opening.
 *
 * Life: a series lives when points were written to it and no delete of whole series that covers
 * it is younger than the last of them. Only what lives is found. It keeps its number, dead or
 * not, for good: who writes may know it by its number for as long as it likes.
 *
 * Attributes: per key the last write wins, by stamp; replicas converge in whatever order the
 * records arrive.
 *
 * Threads: any number. Reading (find, key, select) takes no lock, but a short one for attributes,
 * and never waits for the disk; changes wait for each other, and checkpoints for none but
 * checkpoints.
 */
#ifndef SERIES_CATALOGUE_H
#define SERIES_CATALOGUE_H

#include "base/hash.h"
#include "io/io.h"
#include "series/key.h"
#include "series/origins.h"
#include "series/records.h"
#include "series/selector.h"

#define SERIES_NONE 0

struct series_catalogue;

enum series_catalogue_outcome {
    SERIES_UNLOGGED = 1, /* put: its definition is to be logged in front of what uses it */
};

struct series_catalogue_options {
    struct io *io;
    const char *dir;                      /* made when missing */
    const struct series_origins *origins; /* for the order of stamps; outlives the catalogue */
    void (*report)(void *context, const char *text); /* damage, one line each; may be NULL */
    void *report_context;
};

struct series_catalogue_stats {
    uint64_t series; /* that have a name */
    uint64_t next;   /* number to give next */
    uint64_t classes;
    uint64_t values;       /* distinct (label, value) */
    uint64_t memory_bytes; /* about */
    uint64_t file_bytes;
    uint64_t damaged_blocks; /* found when opened */
    uint64_t position;       /* of the last checkpoint */
};

MUST_CHECK int series_catalogue_open(const struct series_catalogue_options *options,
                                     struct series_catalogue **ret_catalogue);
/* Without a checkpoint. */
void series_catalogue_close(struct series_catalogue **catalogue);
struct series_catalogue_stats series_catalogue_stats(struct series_catalogue *catalogue);

/*
 * Names and numbers.
 */

/* The number of the series with this key (made by series_key_make); a new one gets a number.
 * SERIES_UNLOGGED as above; the number is given in that case too. ERR_TOO_LARGE: no number or
 * no memory left. */
MUST_CHECK int series_catalogue_put(struct series_catalogue *catalogue, struct span key,
                                    uint32_t *ret_number);

/* The same with hash64(key), for those who keep it beside the key. */
MUST_CHECK int series_catalogue_put_hashed(struct series_catalogue *catalogue, struct span key,
                                           uint64_t hash, uint32_t *ret_number);

/* Their definitions are durable in the datalog: from done(0) of the submission. Quick. */
void series_catalogue_logged(struct series_catalogue *catalogue, const uint32_t *numbers,
                             size_t count);

/* Whether it is: whoever writes by number alone logs the definition in front if not. No lock. */
bool series_catalogue_is_logged(const struct series_catalogue *catalogue, uint32_t number);

/* Whether there is such a series, living or not. */
bool series_catalogue_find(struct series_catalogue *catalogue, struct span key,
                           uint32_t *ret_number);

/* Appends the key of a number; false when it has no name (buf unchanged). */
bool series_catalogue_key(struct series_catalogue *catalogue, uint32_t number, struct buf *buf);

/*
 * The log. Positions are the caller's: apply() and touch() may come again for what they
 * have seen, and in any order, but for SERIES before what uses its numbers.
 */

/* A SERIES record of this log. ERR_CONFLICT: it contradicts what is known; the text names both.
 * ERR_CORRUPT: not of its form. What could be applied is. */
MUST_CHECK int series_catalogue_apply_series(struct series_catalogue *catalogue,
                                             struct span payload);

/* A META record of any origin. What is about a series that is not known yet waits for it: no
 * number is given, since a SERIES record that is replayed later may have it. */
MUST_CHECK int series_catalogue_apply_meta(struct series_catalogue *catalogue, struct span payload,
                                           struct stamp stamp);

/* A DELETE record. Those of ranges change nothing here. */
MUST_CHECK int series_catalogue_apply_delete(struct series_catalogue *catalogue,
                                             struct span payload, struct stamp stamp);

/* Points with this stamp were written to the series: for each POINTS record, also when it is
 * replayed and the well has flushed it. Quick, no lock. */
void series_catalogue_touch(struct series_catalogue *catalogue, const uint32_t *numbers,
                            size_t count, struct stamp stamp);

/* What segments know: the number, its key, and the time of the newest stamp of its points. After
 * opening, before replay; only what the checkpoint lost is new. ERR_CONFLICT as above. */
MUST_CHECK int series_catalogue_restore(struct series_catalogue *catalogue, uint32_t number,
                                        struct span key, uint64_t stamp_time);

/* Deletes of whole series with a stamp older than `time` have done their work everywhere: they
 * are dropped at the next checkpoint. */
void series_catalogue_forget_deletes(struct series_catalogue *catalogue, uint64_t time);

/*
 * Questions.
 */

struct series_numbers {
    uint32_t *items; /* ascending */
    size_t count;
};
void series_numbers_deinit(struct series_numbers *numbers);

enum series_select_flags {
    SERIES_SELECT_DEAD = 1, /* dead ones too: what a tombstone covers */
};

/* The series that the selector means. */
MUST_CHECK int series_catalogue_select(struct series_catalogue *catalogue,
                                       const struct series_selector *selector, unsigned flags,
                                       struct series_numbers *ret_numbers);

/* Whether the selector means this one, living or not. */
bool series_catalogue_matches(struct series_catalogue *catalogue,
                              const struct series_selector *selector, uint32_t number);

bool series_catalogue_lives(struct series_catalogue *catalogue, uint32_t number);

/* Time of the newest stamp of points written to it; 0: never. After opening it may be up to an
 * hour old, until the series is written again. */
uint64_t series_catalogue_touched(struct series_catalogue *catalogue, uint32_t number);

/* Calls `each` for its attributes, sorted by name; the spans hold during the call, which may not
 * call the catalogue. A non-zero return stops and is returned. */
MUST_CHECK int series_catalogue_attributes(struct series_catalogue *catalogue, uint32_t number,
                                           int (*each)(void *context, struct span name,
                                                       struct span value),
                                           void *context);

/*
 * For snapshots: what others need to come to the same, whatever they know already.
 */

/* The changes that the attributes of a series are made of, as META payloads that each have one
 * change of the series, with their stamps; in an order in which they can be applied. The calls may
 * not call the catalogue. */
MUST_CHECK int series_catalogue_metas(struct series_catalogue *catalogue, uint32_t number,
                                      int (*each)(void *context, struct span metas,
                                                  struct stamp stamp),
                                      void *context);

/* The same of series that have no number, and of those deletes of whole series that are kept. */
MUST_CHECK int series_catalogue_orphan_metas(struct series_catalogue *catalogue,
                                             int (*each)(void *context, struct span metas,
                                                         struct stamp stamp),
                                             void *context);
MUST_CHECK int series_catalogue_deletes(struct series_catalogue *catalogue,
                                        int (*each)(void *context,
                                                    const struct series_delete *deletion,
                                                    struct stamp stamp),
                                        void *context);

/* One above the highest number that was given. */
uint32_t series_catalogue_numbers_end(struct series_catalogue *catalogue);

/*
 * Checkpoints.
 */

/* Makes durable what was logged, applied and touched below `position`, which all must have been
 * done before this call; more may be going on. Then the datalog may be trimmed up to `position`
 * as far as this catalogue is concerned. Writes what has changed, or all of it anew when the
 * file has grown to twice its need. After a fault the old checkpoint stands. */
MUST_CHECK int series_catalogue_checkpoint(struct series_catalogue *catalogue, uint64_t position);

/* That of the last checkpoint: replay from there on; 0 for none. */
uint64_t series_catalogue_position(struct series_catalogue *catalogue);

#endif
