/*
 * Parts of a snapshot as bytes, the body of REPLICATE_SNAPSHOT_PART: what was written by many
 * records, each with its stamp. Pure; one thread.
 *
 * u8 kind; u16 number of origins, per origin node (16 bytes) and u64 incarnation; u32 number of
 * stamps, per stamp u16 origin (index of the table; 0xffff: none is known) and u64 time; and the
 * payload up to the end. Numbers are little-endian. Payloads by kind, in the order of the stamps:
 *
 *   1 entries    a run of entries (docs/formats/datalog.md), one stamp per entry
 *   2 points     a record of points in the sender's numbers of series, which were told before;
 *                one stamp per element
 *   3 metas      per stamp u32 bytes, payload of a META record
 *   4 deletes    per stamp u32 bytes, payload of a DELETE record
 *   5 progress   no stamps; u64 elements looked at, u64 of about how many
 */
#ifndef REPLICATE_SNAPSHOT_H
#define REPLICATE_SNAPSHOT_H

#include "base/vec.h"
#include "base/wire.h"
#include "datalog/log.h"

#define REPLICATE_NO_ORIGIN UINT16_MAX

enum replicate_part_kind {
    REPLICATE_PART_ENTRIES = 1,
    REPLICATE_PART_POINTS = 2,
    REPLICATE_PART_METAS = 3,
    REPLICATE_PART_DELETES = 4,
    REPLICATE_PART_PROGRESS = 5,
    REPLICATE_PART_KINDS,
};

/* ---- writing ---- */

/* Zero-initialised is empty; used again and again. */
struct replicate_part_writer {
    enum replicate_part_kind kind;
    VEC(struct datalog_origin) origins;
    struct buf stamps;
    uint32_t count; /* of stamps */
    struct buf payload;
};

void replicate_part_begin(struct replicate_part_writer *writer, enum replicate_part_kind kind);
void replicate_part_deinit(struct replicate_part_writer *writer);

/* Its index in this part's table. */
uint16_t replicate_part_origin(struct replicate_part_writer *writer, struct datalog_origin origin);
void replicate_part_stamp(struct replicate_part_writer *writer, uint16_t origin, uint64_t time);

/* A stamp and its own piece of the payload, for metas and deletes. */
void replicate_part_piece(struct replicate_part_writer *writer, uint16_t origin, uint64_t time,
                          struct span payload);

void replicate_part_write(const struct replicate_part_writer *writer, struct buf *body);

/* ---- reading ---- */

struct replicate_part {
    enum replicate_part_kind kind;
    size_t origins_count;
    const uint8_t *origins;
    uint32_t count; /* of stamps */
    const uint8_t *stamps;
    struct span payload;
};

/* Borrows from `body`. ERR_PROTOCOL: not of the form; the payload was not looked at. */
MUST_CHECK int replicate_part_read(struct span body, struct replicate_part *ret_part);

struct datalog_origin replicate_part_origin_at(const struct replicate_part *part, size_t index);

/* Returns its time; *ret_origin is an index of the table, or REPLICATE_NO_ORIGIN. */
uint64_t replicate_part_stamp_at(const struct replicate_part *part, size_t index,
                                 uint16_t *ret_origin);

/* The next piece from the front of `*payload`: ERR_PROTOCOL. */
MUST_CHECK int replicate_part_next_piece(struct span *payload, struct span *ret_piece);

#endif
