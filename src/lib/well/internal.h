/*
 * What the files of well/ share and nobody else sees.
 */
#ifndef WELL_INTERNAL_H
#define WELL_INTERNAL_H

#include <pthread.h>

#include "well/memtable.h"
#include "well/segment.h"

typedef VEC(struct segment *) segments_vec;

/* `lock` guards everything below it; the two others let one thread flush and one merge. */
struct well {
    struct io *io;
    char *name;
    char *dir;
    struct series_tags *tags;
    uint64_t memtable_bytes_max;
    uint64_t segment_bytes_max;
    uint32_t merge_files;
    void (*report)(void *context, const char *text);
    void *report_context;

    pthread_mutex_t flushing;
    pthread_mutex_t merging;
    bool merging_stopped; /* under `merging` */
    pthread_mutex_t lock;
    struct memtable *active;       /* NULL: nothing yet */
    VEC(struct memtable *) sealed; /* oldest first */
    segments_vec segments;         /* by the flushes they hold */
    uint64_t next_flush;
    uint64_t corrupt_blocks;
};

/* The well at one moment. Holds references. */
struct well_snapshot {
    struct well *well;
    VEC(struct memtable *) memtables; /* oldest first */
    size_t active_count;              /* items of the last one that may be looked at */
    segments_vec segments;
};

void well_snapshot_take(struct well *well, struct well_snapshot *snapshot);
void well_snapshot_drop(struct well_snapshot *snapshot);
size_t well_snapshot_items(const struct well_snapshot *snapshot, size_t memtable);

/* Counts and reports damage; takes the lock. The text is that of the last fault. */
void well_note_damage(struct well *well, bool first_time);

char *well_segment_path(const struct well *well, uint64_t first, uint64_t last);

/* temp -> its name, durably; then opens it. */
MUST_CHECK int well_publish(struct well *well, const char *temp, uint64_t first, uint64_t last,
                            struct segment **ret_segment);

/* A cursor over some segments of one well, for merging: stops with ERR_CORRUPT at damage. */
MUST_CHECK int well_cursor_over(struct well *well, struct segment *const *segments, size_t count,
                                const struct well_scan *scan, struct well_cursor **ret_cursor);

#endif
