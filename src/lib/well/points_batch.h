/*
 * Points as they are given out: columns as long as they are plain numbers of one type, else
 * elements. For the cursor only (points_cursor.c).
 */
#ifndef WELL_POINTS_BATCH_H
#define WELL_POINTS_BATCH_H

#include "well/points.h"
#include "well/points_stream.h"

#define POINTS_BATCH_MAX 4096

struct points_batch {
    bool stamps_wanted; /* always elements */
    bool as_elements;   /* in this run of the cursor: what is read does not fit columns */
    bool is_closed;     /* what comes next does not fit to it */
    uint8_t type;       /* of the columns; 0: elements */
    size_t count;
    VEC(int64_t) times;
    VEC(uint64_t) values;
    elements_vec elements; /* texts are offsets into `text` until they are given */
    struct buf text;
};

void points_batch_clear(struct points_batch *batch);
void points_batch_deinit(struct points_batch *batch);
size_t points_batch_room(const struct points_batch *batch);

/* Copies what of the slice is not deleted. Returns how many elements of it were used. */
size_t points_batch_add(struct points_batch *batch, const struct points_slice *slice,
                        bool ascending, const struct tombstone_list *deleted);

/* `turned`: the other way round. */
void points_batch_give(struct points_batch *batch, bool turned, uint32_t series,
                       struct well_points *ret_points);

#endif
