/*
 * Lines turned into columns of fields, so that what is alike stands side by side and compresses
 * better: docs/formats/segment.md. Pure.
 *
 * Each line is cut behind every `delimiter`, into at most `columns` pieces; the last of them ends
 * with the `terminator`, a byte that no line has. The first pieces of all lines stand one after
 * the other, then the second ones, and so on. (In the manner of column stores for logs: Christensen
 * and Li, "Adaptive log compression for massive log data", 2013; here without templates, since
 * joining must keep up with zstd.)
 */
#ifndef WELL_FIELDS_H
#define WELL_FIELDS_H

#include "base/buf.h"

#define FIELDS_COLUMNS_MAX 256
#define FIELDS_PADDING 32 /* readable and writable bytes that joining wants behind its buffers */

struct fields_form {
    uint8_t delimiter;
    uint8_t terminator;
    uint32_t columns; /* 1: lines stay whole, each with a terminator; 0: no such form */
};

/* A byte that the text has not; false: it has all of them. */
bool fields_find_terminator(struct span text, uint8_t *ret_terminator);

/* Appends to `buf` the columns of `count` lines, which stand one after the other in `text`, and
 * to ret_column_bytes[form.columns] what each takes. Together text.bytes + count. */
void fields_split(struct span text, const uint32_t *line_bytes, size_t count,
                  struct fields_form form, struct buf *buf, uint32_t *ret_column_bytes);

/* The lines again, without terminators: `text_bytes` of them into `text`, and how many bytes each
 * has. Both buffers have FIELDS_PADDING more bytes than it says here. False: these are no such
 * columns. */
bool fields_join(struct span split, const uint32_t *column_bytes, struct fields_form form,
                 size_t count, uint8_t *text, size_t text_bytes, uint32_t *ret_line_bytes);

/* Lines that were not cut, where they stand: how many bytes each has up to its terminator. False:
 * there are not just so many. */
bool fields_lines(struct span split, uint8_t terminator, size_t count, uint32_t *ret_line_bytes);

#endif
