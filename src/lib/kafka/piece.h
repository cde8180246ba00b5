/*
 * Messages of a topic that is a hub: docs/protocols/kafka.md. A record is divided into parts, one
 * per partition that it has something for, and a part into pieces, one per message. A part is
 * frames of the native link: definitions of series, and one record. Pure.
 */
#ifndef KAFKA_PIECE_H
#define KAFKA_PIECE_H

#include "base/buf.h"
#include "base/err.h"
#include "replicate/message.h"

#define KAFKA_VERSION 1
#define KAFKA_PIECE_HEADER_BYTES 68
#define KAFKA_PIECE_BYTES_DEFAULT ((size_t)512 << 10)
#define KAFKA_PIECE_BYTES_MIN ((size_t)16 << 10)
#define KAFKA_PART_BYTES_MAX (REPLICATE_BODY_BYTES_MAX + (UINT32_C(32) << 20))

struct kafka_piece {
    struct replicate_place place; /* of the record */
    uint32_t partitions;          /* into how many it was divided */
    uint16_t part;                /* which of */
    uint16_t parts;
    uint32_t part_bytes;
    uint32_t offset; /* in the part */
    struct span bytes;
};

/* Appends the message. */
void kafka_piece_write(struct buf *message, const struct kafka_piece *piece);

/* Borrows. ERR_UNSUPPORTED: it is of a later version; ERR_PROTOCOL: it is none, or damaged. */
MUST_CHECK int kafka_piece_read(struct span message, struct kafka_piece *ret_piece);

/* What a whole part carries. Borrows from the part and the scratch buffers. */
struct kafka_part_body {
    struct span definitions; /* of series; empty: none */
    struct replicate_record record;
};

/* Appends the part. */
void kafka_part_write(struct buf *part, const struct kafka_part_body *body);

/* ERR_PROTOCOL. */
MUST_CHECK int kafka_part_read(struct span part, struct buf scratch[2],
                               struct kafka_part_body *ret_body);

#endif
