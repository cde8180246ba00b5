/*
 * A well: a directory of entries and points. New ones live in a memtable, which the datalog can
 * rebuild; sealed memtables become immutable segment files, and small neighbours are merged.
 *
 * Every entry is kept. Of the points of one time of one series the last write is: the one with
 * the greater stamp (series/stamp.h), whatever the order in which they come. What a delete of
 * the well's tombstones covers is not found, and goes when files are written anew.
 *
 *     apply ──> memtable ──seal──> sealed ──flush──> segment files ──merge──> fewer of them
 *                                                                 ──pack──> small ones, once
 *
 * A memory well has no directory and makes no segments: its sealed memtables stay, and go whole
 * when there are more bytes than it may have or they are too old. A restart leaves it what the
 * datalog still has.
 *
 * Each segment belongs to one time partition (well/partition.h). Retention drops partitions as a
 * whole, oldest first, and only what the options permit.
 *
 * Names alone say what is valid: a file holds the flushes and the partition of its name and
 * replaces every file within that range; a flush counts once its mark is there
 * (docs/formats/segment.md).
 *
 * Threads: apply by one thread at a time; flush, merge and pack each by one at a time, beside
 * it; cursors by any number. A cursor sees the well as it was when it was opened, also what is
 * merged or dropped meanwhile, and neither it nor flush nor merge makes apply wait for a disk.
 */
#ifndef WELL_WELL_H
#define WELL_WELL_H

#include "io/io.h"
#include "series/entry.h"
#include "series/stamp.h"
#include "series/tags.h"

#define WELL_MEMTABLE_BYTES_DEFAULT (UINT64_C(64) << 20)
#define WELL_MERGE_FILES_DEFAULT 8
#define WELL_SEGMENT_BYTES_DEFAULT (UINT64_C(1) << 30)

/* A partition is closed when all its times are one partition's length in the past and nothing was
 * flushed to it for so long. */
#define WELL_PACK_QUIET_NS (INT64_C(3600) * 1000000000)

/* How long a delete may wait until the files that have what it covers are written anew. */
#define WELL_PURGE_NS (INT64_C(24) * 3600 * 1000000000)

struct well;
struct well_cursor;
struct block_cache;
struct series_catalogue;
struct series_origins;
struct tombstones;

/* What tells names by numbers. All of it outlives the wells. */
struct well_names {
    struct series_tags *tags;
    struct series_catalogue *catalogue; /* may be NULL where there are no points */
    struct series_origins *origins;     /* may be NULL where there is one origin */
};

enum well_outcome {
    WELL_END = 1,     /* cursor: no more entries */
    WELL_NOTHING = 2, /* merge, pack, retain: nothing to do */
    WELL_KEPT = 3,    /* retain: a partition should go, but may not */
};

struct well_options {
    struct io *io;
    const char *name;
    const char *dir;             /* made when missing */
    struct well_names names;     /* they learn what only segments know */
    uint64_t memtable_bytes_max; /* sealed at this size; 0: default */
    uint64_t segment_bytes_max;  /* merging makes none larger; 0: default */
    uint32_t merge_files;        /* as many neighbours of a size are merged; 0: default */
    int64_t partition_ns;        /* 0: default */
    uint64_t memory_bytes_max;   /* > 0: a memory well of this size; `dir` is not used. One run, and
                                    what readers hold of dropped memtables, come on top. */
    uint64_t space_kept_bytes;   /* merging and packing leave so many free on the volume, or an
                                    eighth of it if that is less */
    bool pack_at_once;           /* tests and benchmarks: all partitions count as closed */
    struct block_cache *cache;   /* of unpacked blocks (well/cache.h); outlives it; NULL: none */
    /* Told of damage, by any thread, at most once per damaged block. May be NULL. */
    void (*report)(void *context, const char *text);
    void *report_context;
};

struct well_stats {
    uint64_t entries;
    uint64_t points;         /* several of one time too, until they are merged */
    uint64_t bytes;          /* of their data */
    uint64_t disk_bytes;     /* of the segment files */
    uint64_t memtable_bytes; /* active and sealed */
    uint64_t segments;
    uint64_t sealed;          /* memtables that wait for a flush */
    uint64_t partitions;      /* that have segments */
    uint64_t dropped_entries; /* by retention, since it was opened */
    uint64_t dropped_points;
    uint64_t dropped_bytes; /* of segment files */
    uint64_t dropped_partitions;
    uint64_t corrupt_blocks; /* found damaged since it was opened, and skipped */
    uint64_t flushed_bytes;  /* of segment files, written by flushes since it was opened */
    uint64_t merged_bytes;   /* written by merges: write amplification is 1 + merged / flushed */
    uint64_t packed_bytes;   /* of them by packing */
    uint64_t purged_bytes;   /* written to remove what was deleted */
    int64_t oldest_ns;       /* TIME_UNSET when empty */
    int64_t newest_ns;
};

struct well_tag_stats {
    uint64_t entries;
    uint64_t bytes;
};

MUST_CHECK int well_open(const struct well_options *options, struct well **ret_well);

/* Cursors must be closed before. Does not flush: the datalog has what memory held. */
void well_close(struct well **well);
const char *well_name(const struct well *well);

/* Takes a run of entries (series/entry.h) that is durable in the datalog at `position`, not less
 * than at any call before. The run's form is checked: ERR_CORRUPT takes it and keeps nothing. */
MUST_CHECK int well_apply(struct well *well, struct buf *takes, uint64_t position,
                          struct stamp stamp);

/* The same for a record of points (well/points_record.h). */
MUST_CHECK int well_apply_points(struct well *well, struct buf *takes, uint64_t position,
                                 struct stamp stamp);

/* The same for what is in no log: a run with a stamp of each element, in their order. It is gone
 * after a crash unless it was flushed. By any thread. */
MUST_CHECK int well_apply_stamped(struct well *well, struct buf *takes, const struct stamp *stamps);
MUST_CHECK int well_apply_points_stamped(struct well *well, struct buf *takes,
                                         const struct stamp *stamps);

/* The deletes that are looked at from now on. Takes a reference of its own. */
void well_set_tombstones(struct well *well, struct tombstones *tombstones);

/* Whether something may be stored, or lie in memory, that these deletes of the present set have
 * not been applied to: what they are about, older than they, and in no file that was written
 * since. Sets is_done[i] to false for item i of the set then. */
void well_find_undone(struct well *well, const struct tombstones *tombstones, bool *is_done);

/* Tells the catalogue the series that the segments have points of, and how new those are. Damage
 * is reported. By any thread. */
void well_restore_series(struct well *well);

/* Every record before this position is in segment files: replay begins here. */
uint64_t well_flushed(struct well *well);

/* As above, but for trimming the log while the well runs: with an empty memtable it follows
 * `applied_end`, one after the last position that was offered to the well's owner. */
uint64_t well_needs_from(struct well *well, uint64_t applied_end);

/* Seals the memtable if it has anything, whatever its size. */
void well_seal(struct well *well);
uint64_t well_sealed(struct well *well); /* memtables that wait for a flush; memory wells: 0 */

/* Writes the sealed memtables, oldest first, to segment files. After a fault they are still
 * there and the call may be repeated. */
MUST_CHECK int well_flush(struct well *well);

/* Merges one run of neighbouring segments if there is one worth it, or else writes one anew for
 * what was deleted from it. Every byte flushed is written again about once per factor of 4 in
 * size (docs/formats/segment.md has the bound). */
MUST_CHECK int well_merge(struct well *well);

/* Writes the segments of a closed partition as one, as dense as is reasonable: for good, unless
 * something comes late. May take minutes of CPU, without keeping flush, merge or retain waiting
 * for them: it gives way when they change what it has in hand. 0: it did one. */
MUST_CHECK int well_pack(struct well *well);

/* A merge or a packing that runs ends soon, without a result, and so do later ones: the well is
 * about to be closed. By any thread. */
void well_give_up(struct well *well);

/* What may be kept and for how long; zeros: for ever. */
struct well_retention {
    int64_t hot_ns;           /* Hot-Duration: a partition whose newest entry is older goes */
    uint64_t bytes_max;       /* Max-Hot-Storage-GB, of segment files */
    uint32_t reserve_percent; /* Hot-Storage-Reserve: to keep free on the volume */
    int64_t required_ns;      /* Required-Retention: nothing younger ever goes */
    const char *forbidden;    /* why nothing may be deleted; NULL: it may (Delete-Cold-Data) */
};

/* What was dropped, or should be. */
struct well_dropped {
    int64_t oldest_ns;
    int64_t newest_ns;
    uint64_t entries;
    uint64_t points;
    uint64_t bytes; /* of segment files */
    size_t segments;
    const char *rule; /* the key that wants it gone; static. Of a memory well the last one */
    const char *kept; /* WELL_KEPT: the reason, of the retention or static; else NULL */
};

/* Drops the oldest partition if a rule wants it gone: 0. The partition of now, and later ones,
 * stay. When it returns 0, no crash brings the entries back; while it has not, any of the files
 * may be there or not. Space that readers still hold counts as free.
 * A memory well drops all memtables that are older than hot_ns, and also says here what gave way
 * to new entries since the last call; being one is the permission. */
MUST_CHECK int well_retain(struct well *well, const struct well_retention *retention,
                           struct well_dropped *ret_dropped);

struct well_stats well_stats(struct well *well);

/* Adds what the well holds to counts[tag]; the array has 65536 places. */
void well_count_tags(struct well *well, struct well_tag_stats *counts);

struct well_scan {
    int64_t start_ns; /* [start, end); an end of TIME_MAX_NS includes it */
    int64_t end_ns;
    const uint16_t *tags; /* NULL: all */
    size_t tags_count;
    bool descending;      /* newest first */
    bool past_bad_places; /* what the disk cannot read is left out, as what is damaged always is;
                             for who can say so */

    /* Entries without all of these words, with no letter or digit beside them, whatever the case
     * of ASCII letters, may be left out. May be NULL. */
    const struct span *words;
    size_t words_count;
};

/* Calls `each` with what a scan would read as a whole: blocks and memtables, their first and last
 * time and the size of their data. */
void well_extents(struct well *const *wells, size_t count, const struct well_scan *scan,
                  void (*each)(void *context, int64_t first_ns, int64_t last_ns, uint64_t bytes),
                  void *context);

/* Over a snapshot of several wells. Entries come by time; those of one time by tag, then in the
 * order of their arrival (all turned round when descending). Copies `scan`. */
MUST_CHECK int well_cursor_open(struct well *const *wells, size_t count,
                                const struct well_scan *scan, struct well_cursor **ret_cursor);

/* Some entries in the order of the scan, at least one. */
struct well_block {
    const struct entry *entries; /* all borrowed until the next call */
    size_t count;
    struct span region; /* where the data of all of them lies, in their order or backwards */
};

/* Damaged blocks are skipped, counted and reported. WELL_END when there are no more entries. */
MUST_CHECK int well_cursor_next(struct well_cursor *cursor, struct well_block *ret_block);
uint64_t well_cursor_passed_over(const struct well_cursor *cursor); /* blocks without the words */
uint64_t well_cursor_skipped(const struct well_cursor *cursor);     /* damaged blocks so far */
void well_cursor_close(struct well_cursor **cursor);

#endif
