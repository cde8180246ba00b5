/*
 * Tombstones: deletes that still have to be looked at, since something that they cover may be
 * stored or may come. A delete covers what is older than its stamp, in whatever order the two
 * come.
 *
 * A set is immutable; wells, cursors, flushes and merges hold references to the one that was
 * current when they began. Any number of threads.
 */
#ifndef WELL_TOMBSTONES_H
#define WELL_TOMBSTONES_H

#include "base/vec.h"
#include "series/catalogue.h"
#include "series/records.h"
#include "series/stamp.h"
#include "series/tags.h"
#include "well/well.h"

/* series_stamp_compare(); without `origins` by number. */
static inline int well_stamp_compare(const struct series_origins *origins, struct stamp a,
                                     struct stamp b)
{
    if (origins == NULL && a.time == b.time) {
        return (int)a.origin - (int)b.origin;
    }
    return series_stamp_compare(origins, a, b);
}

struct tombstone {
    uint32_t references;
    uint64_t position; /* of its record in the datalog here */
    struct stamp stamp;
    int64_t since_ns; /* when it came here, by the wall clock */
    struct series_delete deletion;
    struct buf text; /* of the selector; canonical */
    struct series_selector *selector;
    uint64_t key_hash; /* of the one series that it is about; 0: it may be about several */
};

struct tombstones {
    uint32_t references;
    struct well_names names;
    uint64_t end;          /* every delete below this position of the datalog is in it, or done */
    uint64_t newest_stamp; /* the latest time of a stamp; 0 without any */
    struct tombstone **items; /* by key_hash, so that one of a series is found among many */
    size_t count;
};

/* An empty set. */
struct tombstones *tombstones_new(const struct well_names *names, uint64_t end);
struct tombstones *tombstones_ref(struct tombstones *tombstones);
void tombstones_unref(struct tombstones **tombstones);

/* Copies the delete. ERR_INVALID: its selector is none. */
MUST_CHECK int tombstone_new(const struct series_delete *deletion, uint64_t position,
                             struct stamp stamp, int64_t since_ns,
                             struct tombstone **ret_tombstone);
void tombstone_unref(struct tombstone **tombstone);

/* The set with one more, which is taken; without those that it makes needless. */
struct tombstones *tombstones_with(const struct tombstones *tombstones, struct tombstone **takes,
                                   uint64_t end);

/* The set with many more, which are all taken and of which none is needless. */
struct tombstones *tombstones_with_many(const struct tombstones *tombstones,
                                        struct tombstone **takes, size_t count);

/* Whether the same delete is in it, whatever its position. */
bool tombstones_have(const struct tombstones *tombstones, const struct tombstone *tombstone);

/* The set without some. */
struct tombstones *
tombstones_without(const struct tombstones *tombstones,
                   bool (*goes)(void *context, const struct tombstone *tombstone), void *context);

/* Whether the selector means this series, or the tag. */
bool tombstone_means_series(const struct tombstones *tombstones, const struct tombstone *tombstone,
                            uint32_t series);
bool tombstone_means_tag(const struct tombstones *tombstones, const struct tombstone *tombstone,
                         uint16_t tag);

/* Those of a set that mean one series or tag. Zero-initialised is empty; borrows from the set. */
struct tombstone_list {
    VEC(const struct tombstone *) items;
    uint64_t newest_stamp; /* what is stamped later is covered by none */
    const struct series_origins *origins;
};

/* Replace what the list held. `tombstones` may be NULL: none. */
void tombstones_of_series(const struct tombstones *tombstones, uint32_t series,
                          struct tombstone_list *list);
void tombstones_of_tag(const struct tombstones *tombstones, uint16_t tag,
                       struct tombstone_list *list);
void tombstone_list_deinit(struct tombstone_list *list);

bool tombstone_list_covers_slowly(const struct tombstone_list *list, int64_t time_ns,
                                  struct stamp stamp);
static inline bool tombstone_list_covers(const struct tombstone_list *list, int64_t time_ns,
                                         struct stamp stamp)
{
    return list->items.count > 0 && stamp.time <= list->newest_stamp &&
           tombstone_list_covers_slowly(list, time_ns, stamp);
}

#endif
