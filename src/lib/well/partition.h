/*
 * Time partitions of a well, and the names of its files: docs/formats/segment.md. Pure.
 *
 * A partition is a fixed length of time, numbered from 1970. A flush makes one segment per
 * partition; merging stays within one; retention drops a partition as a whole.
 */
#ifndef WELL_PARTITION_H
#define WELL_PARTITION_H

#include "base/span.h"

/* 2^17 s, some 36 hours: as the reference system, so that its retention settings mean the same. */
#define WELL_PARTITION_NS_DEFAULT ((INT64_C(1) << 17) * INT64_C(1000000000))

/* The partition of a segment that holds several: what a flush had of times too scattered for a
 * file each, and what was written before there were partitions. */
#define WELL_PARTITION_MIXED INT64_MIN

#define WELL_PARTITION_NUMBER_MAX 99999 /* names have room for it; times need less */

static inline int64_t well_partition_of(int64_t time_ns, int64_t partition_ns)
{
    int64_t number = time_ns / partition_ns;
    return time_ns % partition_ns < 0 ? number - 1 : number;
}

struct well_file_name {
    uint64_t first; /* flushes that the file holds */
    uint64_t last;
    int64_t partition;
};

/* The caller frees it. */
char *well_file_name(const char *dir, const struct well_file_name *name);
bool well_file_name_parse(struct span text, struct well_file_name *ret_name);

/* Of two files of one well, whether `outer` replaces `inner`. */
bool well_file_supersedes(const struct well_file_name *outer, const struct well_file_name *inner);

/* The mark: every flush up to `flush` is complete, and with it every record before `log_end`. */
struct well_mark {
    uint64_t flush;
    uint64_t log_end;
};

char *well_mark_name(const char *dir, const struct well_mark *mark);
bool well_mark_name_parse(struct span text, struct well_mark *ret_mark);

#endif
