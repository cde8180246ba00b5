/*
 * What the files of well/ share and nobody else sees.
 */
#ifndef WELL_INTERNAL_H
#define WELL_INTERNAL_H

#include <pthread.h>

#include "well/cache.h"
#include "well/memtable.h"
#include "well/partition.h"
#include "well/segment.h"
#include "well/tombstones.h"

typedef VEC(struct segment *) segments_vec;
typedef VEC(struct memtable *) memtables_vec;

#define WELL_SMALL_BYTES ((uint64_t)64 * 1024) /* such segments are written again at any time */

/* `lock` guards everything below it; the two others let one thread flush and one merge or drop. */
struct well {
    struct io *io;
    char *name;
    char *dir;
    struct well_names names;
    uint64_t memtable_bytes_max;
    uint64_t segment_bytes_max;
    uint32_t merge_files;
    int64_t partition_ns;
    uint64_t memory_bytes_max; /* 0: on disk */
    uint64_t space_kept_bytes;
    bool pack_at_once;
    struct block_cache *cache; /* NULL: none */
    bool gives_up;             /* atomic: merging and packing end soon */
    void (*report)(void *context, const char *text);
    void *report_context;

    pthread_mutex_t flushing;
    pthread_mutex_t merging;
    bool merging_stopped;      /* under `merging`, as the next two */
    uint64_t purge_looked_end; /* `end` of the tombstones that segments were compared with last */
    int64_t purge_looked_ns;   /* and when */
    pthread_mutex_t lock;
    struct memtable *active;       /* NULL: nothing yet */
    memtables_vec sealed;          /* oldest first */
    segments_vec segments;         /* by partition, then by the flushes they hold */
    segments_vec dropped;          /* off the disk, but somebody may still read them */
    struct well_mark mark;         /* as on the disk; next flush is mark.flush + 1 */
    struct tombstones *tombstones; /* a reference; NULL: none */
    uint64_t corrupt_blocks;
    uint64_t flushed_bytes;
    uint64_t merged_bytes;
    uint64_t packed_bytes;
    uint64_t purged_bytes;
    uint64_t dropped_entries;
    uint64_t dropped_points;
    uint64_t dropped_bytes;
    uint64_t dropped_partitions;
    struct well_dropped evicted; /* of a memory well, since it was asked for */
};

/* The well at one moment. Holds references. */
struct well_snapshot {
    struct well *well;
    VEC(struct memtable *) memtables; /* oldest first */
    size_t sealed_count;              /* of them that cannot grow any more */
    size_t active_runs;               /* of the last one that may be looked at */
    int64_t active_oldest_ns;         /* of its elements */
    int64_t active_newest_ns;
    uint64_t active_bytes; /* of their data */
    segments_vec segments;
    struct tombstones *tombstones; /* NULL: none */
};

void well_snapshot_take(struct well *well, struct well_snapshot *snapshot);
void well_snapshot_drop(struct well_snapshot *snapshot);
size_t well_snapshot_runs(const struct well_snapshot *snapshot, size_t memtable);

void well_seal_locked(struct well *well);

/* Memory wells; under the lock. What goes is moved to `gone`, to be freed without the lock. */
void well_memory_evict(struct well *well, memtables_vec *gone);
MUST_CHECK int well_memory_retain(struct well *well, const struct well_retention *retention,
                                  struct well_dropped *ret_dropped);
void well_memory_free(memtables_vec *gone);

/* Counts and reports damage; takes the lock. The text is that of the last fault. */
void well_note_damage(struct well *well, bool first_time);

char *well_segment_path(const struct well *well, const struct segment *segment);
struct well_file_name well_segment_name(const struct segment *segment);

/* Opens a file that has its name. */
MUST_CHECK int well_open_segment(struct well *well, const struct well_file_name *name,
                                 struct segment **ret_segment);

/* Puts it where it belongs in the list; under the lock, or while opening. */
void well_insert_segment(struct well *well, struct segment *segment);

/* Makes the mark, durably; well->mark is left alone. */
MUST_CHECK int well_write_mark(struct well *well, const struct well_mark *mark);

/* A cursor over some segments of one well, for merging: stops with ERR_CORRUPT at damage. */
MUST_CHECK int well_cursor_over(struct well *well, struct segment *const *segments, size_t count,
                                const struct tombstones *tombstones, const struct well_scan *scan,
                                struct well_cursor **ret_cursor);

/* Blocks of one group of filters that come next and may be taken as they are: nothing else comes
 * between, nothing of them was deleted, and with what was passed of this file before, and comes of
 * it behind, they have at least so many bytes of raw data. For cursors of well_cursor_over() that
 * take all times. */
bool well_cursor_whole_blocks(const struct well_cursor *cursor, uint64_t bytes_min,
                              struct segment **ret_segment, size_t *ret_from, size_t *ret_to);
void well_cursor_pass(struct well_cursor *cursor, size_t blocks);

/* The same for all points of these series. */
struct well_points_cursor;
MUST_CHECK int well_points_cursor_over(struct well *well, struct segment *const *segments,
                                       size_t count, struct tombstones *tombstones,
                                       const uint32_t *series, size_t series_count,
                                       struct well_points_cursor **ret_cursor);

/* The tombstones of now; the caller drops the reference. NULL: none. */
struct tombstones *well_tombstones(struct well *well);

/* Off the disk and off the list, for good; under `merging`. */
MUST_CHECK int well_drop_segments(struct well *well, const segments_vec *run, bool by_retention);

/* merge.c: writes neighbours as one file, at this level of zstd if it is not 0. 0, WELL_NOTHING
 * when the well gives up, or a fault; *ret_empty: nothing of them is left. */
MUST_CHECK int well_write_run(struct well *well, const segments_vec *run, const char *temp,
                              uint8_t packed_level, bool *ret_empty);

/* Whether the volume has room for them once more. Else they wait: what is ingested needs it more,
 * and a copy that fills the disk only to be removed would stop ingest every time. */
bool well_has_room(struct well *well, const segments_vec *run);

/* What came of it, `rc`, takes their place, or is removed; under `merging`. Returns `rc` if that
 * is not 0. The neighbours must still stand in the list, side by side. */
MUST_CHECK int well_put_run(struct well *well, const segments_vec *run, const char *temp, int rc,
                            bool is_empty);

/* purge.c: the segment that is to be written anew for what was deleted from it, with a reference;
 * NULL: none. Notes of the others that they have nothing of it. */
struct segment *well_choose_purge(struct well *well, struct tombstones *tombstones);

#endif
