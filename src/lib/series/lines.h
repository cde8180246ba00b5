/*
 * A small text file of facts that are never unsaid: one line per fact with a checksum of its own,
 * added at the end, synced before the call returns. The tag catalogue and the origins are such
 * files (docs/formats/segment.md, docs/formats/catalogue.md).
 *
 * A line is "TEXT 89abcdef\n": the text, one space, hash32() of the text in eight digits. On
 * opening, a torn end is cut off and a damaged line before a good one is skipped and counted.
 * One thread at a time: the owner's lock is held.
 */
#ifndef SERIES_LINES_H
#define SERIES_LINES_H

#include "io/io.h"

struct series_lines;

struct series_lines_damage {
    uint64_t lines;      /* that could not be read */
    uint64_t torn_bytes; /* cut off the end */
};

/* What a line says; false when it is not one of the owner's. */
typedef bool series_lines_take(void *context, struct span text);

/* Creates the file, and the folders above it, when missing. ERR_CORRUPT: above `bytes_max`. */
MUST_CHECK int series_lines_open(struct io *io, const char *path, uint64_t bytes_max,
                                 series_lines_take *take, void *context,
                                 struct series_lines **ret_lines);
void series_lines_close(struct series_lines **lines); /* may be NULL */
struct series_lines_damage series_lines_damage(const struct series_lines *lines);

/* Makes a line of what stands in `buf` from `begin`. */
void series_lines_end(struct buf *buf, size_t begin);

/* Adds whole lines; they are durable when this returns 0. After a fault some of
 * them may still be found when the file is opened next. */
MUST_CHECK int series_lines_add(struct series_lines *lines, struct span added);

#endif
