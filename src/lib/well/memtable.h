/*
 * A memtable: the entries of a well that are in no segment yet, in the order of their arrival,
 * and the runs they stand in. It only grows until it is sealed, so a reader that knows a count
 * may look at so many items for as long as it holds a reference.
 *
 * The well's lock guards adding; references are atomic.
 */
#ifndef WELL_MEMTABLE_H
#define WELL_MEMTABLE_H

#include "base/buf.h"
#include "base/vec.h"
#include "series/entry.h"
#include "well/well.h"

#define MEMTABLE_CHUNK_ITEMS 1024

struct memtable_item {
    int64_t time_ns;
    const uint8_t *at; /* the encoded entry */
};

struct memtable_chunk {
    struct memtable_chunk *next;
    struct memtable_item items[MEMTABLE_CHUNK_ITEMS];
};

struct memtable {
    uint32_t references;
    size_t count;
    uint64_t bytes;      /* of memory */
    uint64_t data_bytes; /* of the entries' data */
    int64_t oldest_ns;
    int64_t newest_ns;
    uint64_t first_position; /* of its first record in the datalog */
    uint64_t log_end;        /* one after that of its last */
    struct memtable_chunk *first;
    struct memtable_chunk *last;
    VEC(struct buf) runs;
};

struct memtable *memtable_new(void);
struct memtable *memtable_ref(struct memtable *memtable);
void memtable_unref(struct memtable **memtable);

/* Takes a checked run. */
void memtable_add(struct memtable *memtable, struct buf *takes, struct entries *entries,
                  uint64_t position);

/* An item picked for a scan or a flush. */
struct memtable_pick {
    int64_t time_ns;
    const uint8_t *at;
    uint32_t index; /* order of arrival */
    uint16_t tag;
};

/* Those of the first `count` items that the scan wants (NULL: all), sorted by time, tag, arrival;
 * with `by_tag` by tag, time, arrival. The caller frees *ret_picks. */
void memtable_pick(const struct memtable *memtable, size_t count, const struct well_scan *scan,
                   bool by_tag, struct memtable_pick **ret_picks, size_t *ret_count);

/* Whether the scan, whose tags are sorted, wants this tag; whether it wants this time. */
bool well_scan_has_tag(const struct well_scan *scan, uint16_t tag);
static inline bool well_scan_has_time(const struct well_scan *scan, int64_t time_ns)
{
    return time_ns >= scan->start_ns && (time_ns < scan->end_ns || scan->end_ns == INT64_MAX);
}

#endif
