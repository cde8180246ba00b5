/*
 * Divides records of a datalog by series: one part per partition that a record has something for.
 * docs/protocols/kafka.md. Pure; one thread at a time. Memory is used again and again.
 */
#ifndef KAFKA_SPLIT_H
#define KAFKA_SPLIT_H

#include "base/vec.h"
#include "kafka/piece.h"
#include "series/catalogue.h"

#define KAFKA_PARTITIONS_MAX 65535

/* What goes to one partition. */
struct kafka_part {
    uint32_t partition;
    struct span text;  /* of its series; empty: it has several */
    struct span bytes; /* kafka_part_write() */
};

struct kafka_lane;

struct kafka_split {
    VEC(struct kafka_part) parts; /* of the record divided last */
    uint32_t partitions;
    struct kafka_lane *lanes; /* one per partition */
    struct span *names;       /* of the tags of the run at hand */
    VEC(struct element) elements;
    struct buf text, key;
};

void kafka_split_deinit(struct kafka_split *split);

/* Fills split->parts, which borrow until the next call. ERR_CORRUPT: the record is none. */
MUST_CHECK int kafka_split(struct kafka_split *split, const struct datalog_record *record,
                           struct series_catalogue *catalogue, uint32_t partitions);

/* What Kafka's default partitioner makes of a key. */
uint32_t kafka_partition_of(struct span text, uint32_t partitions);

#endif
