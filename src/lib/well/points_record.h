/*
 * A record of points: the payload of the datalog's POINTS record, and what memtables hold.
 * docs/formats/datalog.md. Pure.
 *
 * It has parts, each with elements of one series in the order in which they were written.
 * Columns of plain numbers as long as a part has nothing else, so that making, checking and
 * looking into it costs a few nanoseconds per element.
 */
#ifndef WELL_POINTS_RECORD_H
#define WELL_POINTS_RECORD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/wire.h"
#include "series/element.h"

struct points_part {
    uint32_t series;
    uint32_t count;
    uint8_t type;          /* ELEMENT_I64, _F64 or _BOOL: of all, none has a place; else 0 */
    const uint8_t *times;  /* 8 bytes each */
    const uint8_t *values; /* 8 bytes each; with type 0 32 bytes of everything but the time */
    struct span text;      /* what values of text and bytes are pieces of */
};

/* A record that is walked. Borrows. */
struct points_record {
    struct span rest;
    uint32_t parts; /* of the whole record */
    uint32_t elements;
};

/* Appends the beginning of a record; parts are appended behind it. */
void points_record_begin(struct buf *buf);

/* `begin` is where points_record_begin() stood in `buf`; count > 0. */
void points_record_put(struct buf *buf, size_t begin, uint32_t series,
                       const struct element *elements, size_t count);

/* About as many bytes as one element takes. */
static inline size_t points_record_element_bytes(const struct element *element)
{
    return element->type < ELEMENT_TEXT ? 40 : 40 + element->value.bytes.bytes;
}

/* Checks the form of all of it, so that reading cannot fail. ERR_CORRUPT otherwise. */
MUST_CHECK int points_record_open(struct points_record *record, struct span payload);
bool points_record_next(struct points_record *record, struct points_part *ret_part);

/* The part that begins at `at`, where record->rest.data was before points_record_next(). */
struct points_part points_part_at(const uint8_t *at);

static inline int64_t points_part_time(const struct points_part *part, size_t i)
{
    int64_t time_ns;
    memcpy(&time_ns, part->times + i * sizeof(time_ns), sizeof(time_ns));
    return time_ns;
}

/* Without its stamp; text and bytes borrow from the record. */
struct element points_part_element(const struct points_part *part, size_t i);

#endif
