/*
 * What the files segment*.c share: sizes and magics of docs/formats/segment.md.
 */
#ifndef WELL_SEGMENT_FORMAT_H
#define WELL_SEGMENT_FORMAT_H

#include "series/catalogue.h"
#include "well/segment.h"

#define SEGMENT_HEADER_BYTES 64
#define SEGMENT_TRAILER_BYTES 24
#define SEGMENT_INDEX_BYTES 40  /* of a block of entries */
#define SEGMENT_POINTS_BYTES 64 /* of a block of points */
#define SEGMENT_ORIGIN_BYTES 26
#define SEGMENT_MAGIC "AQFSEG01"
#define SEGMENT_MAGIC_BYTES 8

/* The footer says where filters stand if the trailer ends with '2'. */
#define SEGMENT_TRAILER_MAGIC "AQSEGEN2"
#define SEGMENT_TRAILER_MAGIC_PLAIN "AQSEGEND"

/* Whether a fault is about the place that was read: it fails its checks, or the disk cannot read
 * it. */
static inline bool segment_is_bad_place(int rc)
{
    return rc == ERR_CORRUPT || rc == ERR_IO;
}

/* Notes that there is such a place, so that the file is not merged, and whether that is news. */
static inline void segment_note_bad_place(bool *damaged, bool *ret_first_time)
{
    *ret_first_time = !__atomic_exchange_n(damaged, true, __ATOMIC_ACQ_REL);
}

/* Reads just so many bytes; ERR_CORRUPT when there are fewer. */
MUST_CHECK int segment_read_exactly(struct io_file *file, uint64_t offset, size_t bytes,
                                    struct buf *buf);

/* Reads and checks a block; as segment_read(). */
MUST_CHECK int segment_read_packed(struct segment *segment, size_t index, struct buf *raw,
                                   bool *ret_first_time);

/* filter_cut() for blocks of the segment; as segment_find(). */
MUST_CHECK int segment_cut_filters(const struct segment *segment, struct filter_group *group,
                                   size_t from, size_t to, uint8_t **ret_bits,
                                   bool *ret_first_time);

#define SEGMENT_TABLE_BYTES_MAX ((size_t)1 << 30) /* raw; one that says more is damaged */

struct segment_series {
    uint32_t number;
    uint64_t newest_stamp;
};
/* The table of series, packed: raw it has at most `bytes_max` bytes, for which keys are left out
 * where there are too many. ERR_TOO_LARGE: it has more without any. */
MUST_CHECK int segment_table_pack(const struct segment_series *series, size_t count,
                                  const struct well_names *names, size_t bytes_max, struct buf *buf,
                                  struct segment_table *table);

#endif
