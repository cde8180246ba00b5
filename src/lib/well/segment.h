/*
 * A segment: an immutable file of a well, its index in memory. docs/formats/segment.md.
 *
 *     writer: open ──add (entries by tag, time; then points by series, time)──> ...
 *             ──finish: synced──> rename by the caller
 *     segment: open ──ref, unref──> gone with the last reference; the file may go before
 *
 * A segment is read by any number of threads.
 */
#ifndef WELL_SEGMENT_H
#define WELL_SEGMENT_H

#include "io/io.h"
#include "series/tags.h"
#include "well/block.h"
#include "well/filter.h"
#include "well/points_block.h"
#include "well/well.h"

#define SEGMENT_VERSION 3 /* 1: before there were filters; 2: before there were points */

struct segment_block {
    uint64_t offset;
    uint32_t bytes;
    uint32_t entries;
    int64_t first_ns;
    int64_t last_ns;
    uint32_t data_bytes; /* raw */
    uint16_t tag;
    bool damaged; /* found so by some reader; atomic */
    uint64_t
        first_stamp; /* time of its oldest write; what is deleted by an older one is not here */
};

struct segment_points {
    uint64_t offset;
    uint32_t bytes;
    uint32_t elements;
    uint32_t first_series;
    uint32_t last_series;
    int64_t first_ns;
    int64_t last_ns;
    uint64_t first_stamp;
    uint64_t last_stamp;
    bool damaged; /* as above */
};

/* Where the table of series lies: what their numbers mean. */
struct segment_table {
    uint64_t offset;
    uint32_t bytes; /* 0: there is none */
    uint32_t raw_bytes;
    uint32_t sum;
    uint32_t count;
    bool damaged; /* as above */
};

struct segment {
    uint32_t references;
    uint64_t opening; /* unlike that of any other segment of this process: key of its blocks */
    struct io_file *file;
    uint64_t bytes;
    uint32_t version; /* 0: the header is damaged */
    uint64_t first;   /* flushes it holds */
    uint64_t last;
    uint64_t log_end;
    uint64_t
        deletes_end;    /* deletes below this position of the datalog were applied to it; atomic */
    int64_t partition;  /* the well's business */
    int64_t flushed_ns; /* the last flush that it has something of, by the wall clock; 0: unknown */
    uint8_t packed_level; /* 0: it is not packed */
    uint64_t entries;
    uint64_t data_bytes;
    uint64_t elements;    /* of points */
    uint64_t first_stamp; /* of all; UINT64_MAX: none */
    int64_t oldest_ns;
    int64_t newest_ns;
    bool header_damaged;
    bool footer_damaged;          /* the index was rebuilt from the blocks */
    struct segment_block *blocks; /* by tag, then time */
    size_t blocks_count;
    struct filter_group *filters; /* by first block; none in files of before there were groups */
    size_t filters_count;
    struct segment_points *points; /* by series, then time */
    size_t points_count;
    struct buf names;   /* u16 tag, u16 bytes, name, repeated */
    struct buf origins; /* u16 number, 16 bytes of node, u64 incarnation, repeated */
    struct segment_table table;
    uint64_t footer_offset; /* 0: it is damaged */
};

/* ERR_CORRUPT: neither header nor footer nor blocks can be read. */
MUST_CHECK int segment_open(struct io *io, const char *path, uint64_t first, uint64_t last,
                            struct segment **ret_segment);
struct segment *segment_ref(struct segment *segment);
void segment_unref(struct segment **segment);

/* The blocks of a tag: [*ret_from, *ret_to) of segment->blocks. */
void segment_find_tag(const struct segment *segment, uint16_t tag, size_t *ret_from,
                      size_t *ret_to);

/* Reads and decodes a block; `raw` is scratch. ERR_CORRUPT, also when the disk cannot read it,
 * names file and offset; *ret_first_time says whether nobody had found it damaged before. */
MUST_CHECK int segment_read(struct segment *segment, size_t index, struct block_reader *reader,
                            struct buf *raw, struct block *block, bool *ret_first_time);

/* The filters that block `index` belongs to; NULL: nothing is known of its words. */
struct filter_group *segment_filters(const struct segment *segment, size_t index);

/* Which blocks of the group may have all of the tokens (filter_hashes()). With a fault all of
 * them; it names the file, and *ret_first_time says whether nobody had found it before. */
MUST_CHECK int segment_find(const struct segment *segment, struct filter_group *group,
                            struct span tokens, struct filter_blocks *ret_blocks,
                            bool *ret_first_time);

/* The first block of points that can have the series, and the one behind the last. */
void segment_find_series(const struct segment *segment, uint32_t series, size_t *ret_from,
                         size_t *ret_to);

/* The same for a block of points; only `series` (sorted) are unpacked. POINTS_BLOCK_SKIPPED as
 * points_block_read(). */
MUST_CHECK int segment_read_points(struct segment *segment, size_t index,
                                   struct points_block_reader *reader, const uint32_t *series,
                                   size_t series_count, struct buf *raw, struct points_block *block,
                                   bool *ret_first_time);

/* Calls `each` for every series that has points here, ascending; the key may be empty. A non-zero
 * return stops and is returned. ERR_CORRUPT and ERR_IO, of the table, as segment_read(). */
MUST_CHECK int segment_each_series(struct segment *segment,
                                   int (*each)(void *context, uint32_t number, struct span key,
                                               uint64_t newest_stamp),
                                   void *context, bool *ret_first_time);

/* Whether some reader found it damaged. */
bool segment_is_damaged(const struct segment *segment);

struct segment_writer;

struct segment_about {
    uint64_t first;
    uint64_t last;
    uint64_t log_end;
    uint64_t deletes_end;
    int64_t flushed_ns;
    uint8_t packed_level; /* of zstd, in what is packed for good; else 0 */
};

MUST_CHECK int segment_writer_open(struct io *io, const char *path, struct segment_about about,
                                   const struct well_names *names, int zstd_level,
                                   struct segment_writer **ret_writer);
MUST_CHECK int segment_writer_add(struct segment_writer *writer, const struct entry *entry);

/* Adds the blocks [from, to) of another segment, which follow in order and have one group of
 * filters, as they are: checked, but not unpacked. SEGMENT_NO_FILTERS: these cannot be read (the
 * text names the file, *ret_first_time says whether nobody had found it before), and nothing was
 * added; ERR_CORRUPT: a block is damaged, likewise, and the writer is of no use any more. */
enum { SEGMENT_NO_FILTERS = 1 };
MUST_CHECK int segment_writer_add_blocks(struct segment_writer *writer, struct segment *source,
                                         size_t from, size_t to, bool *ret_first_time);
MUST_CHECK int segment_writer_add_point(struct segment_writer *writer, uint32_t series,
                                        const struct element *element);

bool segment_writer_is_empty(const struct segment_writer *writer);

/* Writes what is left, syncs; the file is complete. Closes in any case. */
MUST_CHECK int segment_writer_finish(struct segment_writer **writer);
void segment_writer_abort(struct segment_writer **writer);

#endif
