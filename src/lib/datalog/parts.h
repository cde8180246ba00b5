/*
 * Records that go to several wells. What another node wrote as one record stays one here,
 * whatever wells it goes to: its well is empty then, and its payload has parts, each with the
 * name of its well and its payload. docs/formats/datalog.md. Pure.
 */
#ifndef DATALOG_PARTS_H
#define DATALOG_PARTS_H

#include "base/buf.h"
#include "datalog/log.h"

/* Appends a part to the payload of a record without a well. */
void datalog_parts_put(struct buf *buf, struct span well, struct span payload);

/* Walks the parts of an UPDATE or POINTS record; one with a well is its only part. Borrows. */
struct datalog_parts {
    const struct datalog_record *record;
    struct span rest;
    bool is_over;
};
struct datalog_parts datalog_parts_of(const struct datalog_record *record);

/* DATALOG_END: no more. ERR_CORRUPT. */
MUST_CHECK int datalog_parts_next(struct datalog_parts *parts, struct span *ret_well,
                                  struct span *ret_payload);

#endif
