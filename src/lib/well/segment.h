/*
 * A segment: an immutable file of a well, its index in memory. docs/formats/segment.md.
 *
 *     writer: open ──add (by tag, time)──> ... ──finish: synced──> rename by the caller
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

struct segment_block {
    uint64_t offset;
    uint32_t bytes;
    uint32_t entries;
    int64_t first_ns;
    int64_t last_ns;
    uint32_t data_bytes; /* raw */
    uint16_t tag;
    bool damaged; /* found so by some reader; atomic */
};

struct segment {
    uint32_t references;
    struct io_file *file;
    uint64_t bytes;
    uint64_t first; /* flushes it holds */
    uint64_t last;
    uint64_t log_end;
    int64_t partition; /* the well's business */
    uint64_t entries;
    uint64_t data_bytes;
    int64_t oldest_ns;
    int64_t newest_ns;
    bool header_damaged;
    bool footer_damaged;          /* the index was rebuilt from the blocks */
    struct segment_block *blocks; /* by tag, then time */
    size_t blocks_count;
    struct buf names;             /* u16 tag, u16 bytes, name, repeated */
    struct filter_group *filters; /* by first block; none in files of before there were groups */
    size_t filters_count;
};

/* ERR_CORRUPT: neither header nor footer nor blocks can be read. */
MUST_CHECK int segment_open(struct io *io, const char *path, uint64_t first, uint64_t last,
                            struct segment **ret_segment);
struct segment *segment_ref(struct segment *segment);
void segment_unref(struct segment **segment);

/* The blocks of a tag: [*ret_from, *ret_to) of segment->blocks. */
void segment_find_tag(const struct segment *segment, uint16_t tag, size_t *ret_from,
                      size_t *ret_to);

/* Reads and decodes a block; `raw` is scratch. ERR_CORRUPT names file and offset; *ret_first_time
 * says whether nobody had found it damaged before. */
MUST_CHECK int segment_read(struct segment *segment, size_t index, struct block_reader *reader,
                            struct buf *raw, struct block *block, bool *ret_first_time);

/* The filters that block `index` belongs to; NULL: nothing is known of its words. */
struct filter_group *segment_filters(const struct segment *segment, size_t index);

/* Which blocks of the group may have all of the tokens (filter_hashes()). With a fault all of
 * them; it names the file, and *ret_first_time says whether nobody had found it before. */
MUST_CHECK int segment_find(const struct segment *segment, struct filter_group *group,
                            struct span tokens, struct filter_blocks *ret_blocks,
                            bool *ret_first_time);

struct segment_writer;

struct segment_about {
    uint64_t first;
    uint64_t last;
    uint64_t log_end;
};

MUST_CHECK int segment_writer_open(struct io *io, const char *path, struct segment_about about,
                                   struct series_tags *tags, int zstd_level,
                                   struct segment_writer **ret_writer);
MUST_CHECK int segment_writer_add(struct segment_writer *writer, const struct entry *entry);

/* Writes what is left, syncs; the file is complete. Closes in any case. */
MUST_CHECK int segment_writer_finish(struct segment_writer **writer);
void segment_writer_abort(struct segment_writer **writer);

#endif
