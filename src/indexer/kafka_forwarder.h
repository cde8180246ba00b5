/*
 * A forwarder to a topic of Kafka: one thread that writes this node's records, divided by series,
 * through an idempotent producer. docs/protocols/kafka.md.
 *
 *     start ──> CONNECTING ──> CATCHING UP <──> FOLLOWING
 *                   ^──a fault: a pause, a new producer, from the first record on that is not
 *                      acknowledged by all in-sync replicas──┘
 *
 * Its durable cursor is "kafka-<name>". A target that is down delays no other forwarder.
 */
#ifndef INDEXER_KAFKA_FORWARDER_H
#define INDEXER_KAFKA_FORWARDER_H

#include "datalog/cursor.h"
#include "indexer/kafka_link.h"

#define KAFKA_CURSOR_PREFIX "kafka-"
#define KAFKA_WINDOW_BYTES ((uint64_t)32 << 20) /* written and not acknowledged */

struct kafka_forwarder;

MUST_CHECK int kafka_forwarder_start(const struct kafka_options *options,
                                     struct kafka_forwarder **ret_forwarder);
void kafka_forwarder_stop(struct kafka_forwarder **forwarder);
struct kafka_link *kafka_forwarder_link(struct kafka_forwarder *forwarder);
struct datalog_cursor_stats kafka_forwarder_lag(struct kafka_forwarder *forwarder);

#endif
