/*
 * Puts records together again whose pieces come from several partitions, and says in which order
 * they may be taken and from which offsets reading begins anew. docs/protocols/kafka.md. Pure: no
 * clock, no disk, no socket. One thread.
 *
 *     take(piece) ──> waiting ──whole, and all before it handed over──> next() ──> handed()
 *                        │                                                           │
 *                        │ too much waits: something is missing                      v
 *                        └──> set aside ──what was missing is here──> REWIND      durable()
 *
 * REWIND: the caller reads on from kafka_gather_offset() of each partition, after
 * kafka_gather_clear(). What comes twice by that is known by its position.
 */
#ifndef KAFKA_GATHER_H
#define KAFKA_GATHER_H

#include "kafka/piece.h"

#define KAFKA_WAITING_BYTES_DEFAULT (UINT64_C(256) << 20)
#define KAFKA_ORIGINS_MAX 65536u /* as many as a node can number (series/origins.h), and more */
#define KAFKA_MARKS_DEFAULT ((size_t)4 << 20) /* 16 bytes each */
#define KAFKA_OFFSET_BEGINNING INT64_C(-2)    /* as librdkafka's */

struct kafka_gather;

enum kafka_gather_outcome {
    KAFKA_GATHER_REWIND = 1,
};

struct kafka_gather_options {
    uint64_t waiting_bytes_max; /* 0: default; more than the largest record */
    size_t marks_max;           /* 0: default; messages of a partition behind one that waits */
    /* The highest position of an origin that is durable here. */
    uint64_t (*position_of)(void *context, struct datalog_origin origin);
    void *context;
};

struct kafka_gather *kafka_gather_new(const struct kafka_gather_options *options);
void kafka_gather_free(struct kafka_gather **gather);

/* Where reading of a partition begins; before its first message. */
void kafka_gather_begin(struct kafka_gather *gather, uint32_t partition, int64_t offset);

/* The next message of a partition. Copies. ERR_PROTOCOL: it contradicts others of its record;
 * ERR_TOO_LARGE: one origin too many. It is as one that is no piece. */
MUST_CHECK int kafka_gather_take(struct kafka_gather *gather, const struct kafka_piece *piece,
                                 uint32_t partition, int64_t offset);

/* A message that is no piece; what was to be done with it is durable. */
void kafka_gather_pass(struct kafka_gather *gather, uint32_t partition, int64_t offset);

/* A record that is whole and whose turn it is. */
struct kafka_whole {
    struct replicate_place place;
    uint32_t partitions;
    uint16_t parts;
    const struct buf *part; /* borrowed until kafka_gather_handed() */
};
bool kafka_gather_next(struct kafka_gather *gather, struct kafka_whole *ret_whole);

/* It is on its way into the datalog, and its bytes are not needed any more. */
void kafka_gather_handed(struct kafka_gather *gather);

/* All of the origin up to this position is durable. */
void kafka_gather_durable(struct kafka_gather *gather, struct datalog_origin origin,
                          uint64_t position);

/* Places may have moved by other links; call it now and then. KAFKA_GATHER_REWIND also when
 * something was set aside and reading since then or before it brought the origin on. */
MUST_CHECK int kafka_gather_look(struct kafka_gather *gather);

/* From where a partition is read again: everything before it is durable here. */
int64_t kafka_gather_offset(const struct kafka_gather *gather, uint32_t partition);

/* Forgets what waits; each partition begins at its offset. Nothing may be under way. */
void kafka_gather_clear(struct kafka_gather *gather);

/* The first origin whose turn does not come. False: none waits. */
struct kafka_missing {
    struct datalog_origin origin;
    uint64_t first, last; /* positions that are not here, not whole */
    bool aside;
};
bool kafka_gather_missing(const struct kafka_gather *gather, struct kafka_missing *ret_missing);

/* Nothing more of the origin is kept until what it waits for is here. */
void kafka_gather_set_aside(struct kafka_gather *gather, struct datalog_origin origin);

uint64_t kafka_gather_waiting_bytes(const struct kafka_gather *gather);

/* Of one partition: one that is far ahead of others need not be read for a while. */
uint64_t kafka_gather_waiting_bytes_of(const struct kafka_gather *gather, uint32_t partition);

#endif
