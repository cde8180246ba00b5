/*
 * What a scan would read, piece by piece: so that it can be shared among cursors.
 */
#include "well/internal.h"

struct walk {
    const struct well_scan *scan;
    void (*each)(void *context, int64_t first_ns, int64_t last_ns, uint64_t bytes);
    void *context;
};

static void walk_segment(const struct walk *walk, const struct segment *segment)
{
    const struct well_scan *scan = walk->scan;
    if (!well_scan_overlaps(scan, segment->oldest_ns, segment->newest_ns)) {
        return;
    }
    for (size_t i = 0; i < scan->tags_count; i++) {
        size_t from;
        size_t to;
        segment_find_tag(segment, scan->tags[i], &from, &to);
        for (; from < to; from++) {
            const struct segment_block *block = &segment->blocks[from];
            if (well_scan_overlaps(scan, block->first_ns, block->last_ns)) {
                walk->each(walk->context, block->first_ns, block->last_ns, block->data_bytes);
            }
        }
    }
}

void well_extents(struct well *const *wells, size_t count, const struct well_scan *scan,
                  void (*each)(void *context, int64_t first_ns, int64_t last_ns, uint64_t bytes),
                  void *context)
{
    struct walk walk = {scan, each, context};
    for (size_t i = 0; i < count; i++) {
        struct well_snapshot snapshot;
        well_snapshot_take(wells[i], &snapshot);
        for (size_t j = 0; j < snapshot.segments.count; j++) {
            walk_segment(&walk, snapshot.segments.items[j]);
        }
        for (size_t j = 0; j < snapshot.sealed_count; j++) {
            const struct memtable *memtable = snapshot.memtables.items[j];
            if (well_scan_overlaps(scan, memtable->oldest_ns, memtable->newest_ns)) {
                each(context, memtable->oldest_ns, memtable->newest_ns, memtable->data_bytes);
            }
        }
        if (snapshot.memtables.count > snapshot.sealed_count &&
            well_scan_overlaps(scan, snapshot.active_oldest_ns, snapshot.active_newest_ns)) {
            each(context, snapshot.active_oldest_ns, snapshot.active_newest_ns,
                 snapshot.active_bytes);
        }
        well_snapshot_drop(&snapshot);
    }
}
