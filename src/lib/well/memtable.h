/*
 * A memtable: the entries and points of a well that are in no segment yet, in the runs in which
 * they arrived. It only grows until it is sealed, so a reader that knows a number of runs may
 * look at so many for as long as it holds a reference.
 *
 * The well's lock guards adding; references are atomic. Which runs have points of which series
 * is looked up in an index that its readers extend when they need it, under a lock of its own:
 * writing pays nothing for it.
 */
#ifndef WELL_MEMTABLE_H
#define WELL_MEMTABLE_H

#include <pthread.h>

#include "base/buf.h"
#include "base/vec.h"
#include "series/element.h"
#include "series/entry.h"
#include "series/origins.h"
#include "well/points_record.h"
#include "well/tombstones.h"
#include "well/well.h"

struct memtable_item {
    int64_t time_ns;
    const uint8_t *at; /* the encoded entry */
};

/* What one record of the datalog brought. */
struct memtable_run {
    struct memtable_run *next;
    struct buf bytes;
    struct stamp stamp;
    struct stamp *stamps;         /* of each element, owned; NULL: all have `stamp` */
    bool points;                  /* a record of points; else a run of entries */
    size_t count;                 /* entries */
    struct memtable_item items[]; /* entries */
};

/* Elements of one series in one run. */
struct memtable_piece {
    const uint8_t *part;        /* in a record of points */
    const struct stamp *stamps; /* `stamped`: one per element; else one of all */
    uint32_t run_index : 31;    /* order of arrival */
    uint32_t stamped : 1;
    uint32_t before; /* piece of the same series before it, + 1; 0: none */
};

struct memtable_series {
    uint32_t number; /* 0: a free place */
    uint32_t last;   /* piece + 1 */
};

struct memtable_index {
    pthread_mutex_t lock;
    const struct memtable_run *last; /* run that is in it; NULL: none */
    size_t runs;
    VEC(struct memtable_piece) pieces;
    struct memtable_series *table; /* open addressing */
    size_t table_size;             /* a power of two, or 0 */
    size_t series;
};

struct memtable {
    uint32_t references;
    size_t runs_count;
    uint64_t entries;
    uint64_t points;     /* elements, several of one time too */
    uint64_t bytes;      /* of memory */
    uint64_t data_bytes; /* of the entries' data, and of points */
    int64_t oldest_ns;
    int64_t newest_ns;
    uint64_t first_stamp;    /* the oldest time of a stamp; UINT64_MAX: none */
    uint64_t first_position; /* of its first record in the datalog */
    uint64_t log_end;        /* one after that of its last */
    struct memtable_run *first;
    struct memtable_run *last;
    struct memtable_index index;
};

struct memtable *memtable_new(void);
struct memtable *memtable_ref(struct memtable *memtable);
void memtable_unref(struct memtable **memtable);

/* Takes a checked run, all of one stamp, or with a stamp of each element, which are copied. */
struct memtable_stamps {
    struct stamp one;
    const struct stamp *each; /* NULL: `one` */
};
void memtable_add(struct memtable *memtable, struct buf *takes, struct entries *entries,
                  uint64_t position, struct memtable_stamps stamps);
void memtable_add_points(struct memtable *memtable, struct buf *takes,
                         const struct points_record *record, uint64_t position,
                         struct memtable_stamps stamps);

/* An item picked for a scan or a flush. */
struct memtable_pick {
    int64_t time_ns;
    const uint8_t *at;
    const struct stamp *stamp;
    uint32_t index; /* order of arrival */
    uint16_t tag;
};

/* The entry that was picked, with its stamp. */
static inline void memtable_entry(const struct memtable_pick *pick, struct entry *ret_entry)
{
    entries_entry_at(pick->at, ret_entry);
    ret_entry->stamp = *pick->stamp;
}

/* Those entries of the first `runs` runs that the scan wants (NULL: all) and no delete covers,
 * sorted by time, tag, arrival; with `by_tag` by tag, time, arrival. The caller frees
 * *ret_picks. */
void memtable_pick(const struct memtable *memtable, size_t runs, const struct well_scan *scan,
                   const struct tombstones *tombstones, bool by_tag,
                   struct memtable_pick **ret_picks, size_t *ret_count);

/* The series of which the first `runs` runs have points, ascending. The caller frees them. */
void memtable_series(struct memtable *memtable, size_t runs, uint32_t **ret_series,
                     size_t *ret_count);

typedef VEC(struct element) elements_vec;

/* Appends what the first `runs` runs have of a series in [start, end]: sorted by time, of each
 * time the last write (by the stamp, then the order of arrival). */
void memtable_elements(struct memtable *memtable, size_t runs, uint32_t series, int64_t start_ns,
                       int64_t end_ns, const struct series_origins *origins,
                       elements_vec *elements);

/* Whether the scan, whose tags are sorted, wants this tag; whether it wants this time. */
bool well_scan_has_tag(const struct well_scan *scan, uint16_t tag);
static inline bool well_scan_has_time(const struct well_scan *scan, int64_t time_ns)
{
    return time_ns >= scan->start_ns && (time_ns < scan->end_ns || scan->end_ns == INT64_MAX);
}

/* Whether it can want anything of these times, both of them included. */
static inline bool well_scan_overlaps(const struct well_scan *scan, int64_t first_ns,
                                      int64_t last_ns)
{
    return last_ns >= scan->start_ns && (first_ns < scan->end_ns || scan->end_ns == INT64_MAX);
}

#endif
