/*
 * From where a source of Kafka reads each partition on: a small text file in the directory of the
 * datalog, written whole and renamed.
 *
 *     AQKAFKA1 kafka://broker:9092/topic
 *     offset 0 1234                                       partition, next offset; -2: the beginning
 *     place c9b1…-… 000012345678abcd 77                   node, incarnation, position
 *     sum 1f2e3d4c                                        of all before it
 *
 * It never says more than the datalog holds. One whose places are above the datalog's is of
 * another life, and counts for nothing; so does a damaged one, and one of another topic.
 */
#ifndef INDEXER_KAFKA_OFFSETS_H
#define INDEXER_KAFKA_OFFSETS_H

#include "base/vec.h"
#include "indexer/storage.h"

struct kafka_offsets {
    VEC(int64_t) all; /* by partition */
};
void kafka_offsets_deinit(struct kafka_offsets *offsets);

/* None when there is no file that counts; `*ret_why` says why there is none, NULL: it is new. */
void kafka_offsets_read(struct io *io, const char *path, const char *url, struct datalog *log,
                        struct kafka_offsets *offsets, const char **ret_why);

/* Durable on return. */
MUST_CHECK int kafka_offsets_write(struct io *io, const char *path, const char *url,
                                   struct datalog *log, const struct kafka_offsets *offsets);

#endif
