/*
 * Reading points: elements of series, series by series, over a snapshot of wells. Each time of a
 * series has one element, the last write; what a delete covers is not there.
 *
 * One thread per cursor. It sees the wells as they were when it was opened.
 */
#ifndef WELL_POINTS_H
#define WELL_POINTS_H

#include "series/element.h"
#include "well/well.h"

struct well_fetch {
    const uint32_t *series; /* numbers; they come in ascending order, each once */
    size_t series_count;
    int64_t start_ns; /* [start, end], both included */
    int64_t end_ns;
    bool ascending;       /* oldest first; else newest first */
    bool stamps;          /* elements with their stamps, never columns */
    bool past_bad_places; /* as of a scan */
    uint64_t count_max;   /* of each series, from where it begins; UINT64_MAX: all */

    /* As many of each series just before start and just after end, whatever count_max. */
    uint64_t before;
    uint64_t after;
};

/* Some elements of one series, in the order of the fetch; those of a series may come in several
 * batches. Borrowed until the next call. */
struct well_points {
    uint32_t series;
    size_t count;
    uint8_t type; /* ELEMENT_I64, _F64, _BOOL: all are of it, none has a location or an elevation,
                     and they stand in the columns; 0: they stand in `elements` */
    const int64_t *times;
    const uint64_t *values; /* as bits; booleans 0 and 1 */
    const struct element *elements;
};

/* Any of them, whatever the form of the batch; without its stamp in columns. */
static inline struct element well_points_at(const struct well_points *points, size_t i)
{
    if (points->type == 0) {
        return points->elements[i];
    }
    struct element element = {.time_ns = points->times[i], .type = points->type};
    if (points->type == ELEMENT_BOOL) {
        element.value.boolean = points->values[i] != 0;
    } else {
        element.value.i64 = (int64_t)points->values[i]; /* the bits of a double too */
    }
    return element;
}

struct well_points_cursor;

/* Copies `fetch`. */
MUST_CHECK int well_points_cursor_open(struct well *const *wells, size_t count,
                                       const struct well_fetch *fetch,
                                       struct well_points_cursor **ret_cursor);

/* Damaged blocks are skipped, counted and reported. WELL_END when there is no more. */
MUST_CHECK int well_points_cursor_next(struct well_points_cursor *cursor,
                                       struct well_points *ret_points);
uint64_t well_points_cursor_skipped(const struct well_points_cursor *cursor); /* damaged blocks */
void well_points_cursor_close(struct well_points_cursor **cursor);

#endif
