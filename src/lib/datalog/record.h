/*
 * Records and file headers of the datalog as bytes: docs/formats/datalog.md. Pure.
 */
#ifndef DATALOG_RECORD_H
#define DATALOG_RECORD_H

#include "datalog/log.h"

#define DATALOG_FILE_HEADER_BYTES 64 /* of version 1, and what all versions begin with */
#define DATALOG_ORIGINS_AT 72
#define DATALOG_ORIGIN_BYTES 40 /* of a row of the table of origins; 32 in version 2 */
#define DATALOG_FILE_HEADER_BYTES_MAX                                                              \
    (DATALOG_ORIGINS_AT + (size_t)DATALOG_ORIGINS_MAX * DATALOG_ORIGIN_BYTES)
#define DATALOG_RECORD_BYTES_MAX                                                                   \
    (DATALOG_HEADER_BYTES + DATALOG_WELL_BYTES_MAX + DATALOG_PAYLOAD_BYTES_MAX)

enum datalog_record_outcome {
    DATALOG_RECORD_CUT = 1, /* a record may begin here, but its end is not there */
    DATALOG_RECORD_BAD = 2, /* no record */
};

struct datalog_file_header {
    uint64_t first;
    uint64_t origin_position; /* last one given before by the own origin */
    uint64_t time;            /* last one given before */
    struct datalog_origin origin;
    struct span origins; /* rows: how far the records of others were here. Borrowed. */
    size_t row_bytes;    /* as read; 0: as written today */
    size_t bytes;        /* of the header as read: the first record begins here */
};

void datalog_file_header_write(struct buf *buf, const struct datalog_file_header *header);

/* How long the header is that begins like this: 72 bytes are enough to tell. Unchecked. */
size_t datalog_file_header_bytes(struct span bytes);

/* `bytes` are the first of the file named by `first`; ERR_CORRUPT, ERR_UNSUPPORTED. */
MUST_CHECK int datalog_file_header_read(struct span bytes, uint64_t first,
                                        struct datalog_file_header *ret_header);

void datalog_origin_row_write(struct buf *rows, const struct datalog_origin_position *row);

/* Row `index` of a header's table; false behind its end. */
bool datalog_origin_row_read(const struct datalog_file_header *header, size_t index,
                             struct datalog_origin_position *ret_row);

size_t datalog_record_bytes(struct span well, struct span payload);

/* Appends it to `buf`; `file` is the first position of the file it goes to. */
void datalog_record_write(struct buf *buf, const struct datalog_record *record, uint64_t group,
                          uint64_t file);

/* The same without the payload, which is to follow right behind it. */
void datalog_record_write_head(struct buf *buf, const struct datalog_record *record, uint64_t group,
                               uint64_t file);

/* The record at the front of `bytes`. *ret_bytes is its length, also when it is CUT (then at
 * least what is needed to know more). The record borrows. */
MUST_CHECK int datalog_record_read(struct span bytes, uint64_t file,
                                   struct datalog_record *ret_record, uint64_t *ret_group,
                                   size_t *ret_bytes);

/* Offset of the first whole record in `bytes` from `from` on, with a position in [low, high);
 * false when there is none. */
bool datalog_record_find(struct span bytes, size_t from, uint64_t file, uint64_t low, uint64_t high,
                         size_t *ret_offset);

#endif
