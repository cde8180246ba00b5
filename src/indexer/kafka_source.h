/*
 * A source of records that is a topic of Kafka: one thread that reads all partitions, puts
 * records together (kafka/gather.h) and hands them to storage as received. docs/protocols/kafka.md.
 *
 *     start ──> CONNECTING ──> CATCHING UP <──> FOLLOWING
 *                   ^               ├──> NEEDS A SNAPSHOT: records are missing in the topic
 *                   └──a fault──────┴──> NEEDS AN UPGRADE: a message of a later version
 *
 * What counts are the places of the datalog; the file of offsets only saves reading twice.
 */
#ifndef INDEXER_KAFKA_SOURCE_H
#define INDEXER_KAFKA_SOURCE_H

#include "indexer/kafka_link.h"

#define KAFKA_PENDING_BYTES_MAX ((uint64_t)32 << 20) /* on their way to the disk */
#define KAFKA_MISSING_MS 10000                       /* that long nothing came: it is said */

struct kafka_source;

MUST_CHECK int kafka_source_start(const struct kafka_options *options,
                                  struct kafka_source **ret_source);
void kafka_source_stop(struct kafka_source **source);
struct kafka_link *kafka_source_link(struct kafka_source *source);

#endif
