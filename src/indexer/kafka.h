/*
 * Kafka as a hub: all forwarders to topics and sources from them, by the config; their metrics
 * and state. docs/protocols/kafka.md.
 */
#ifndef INDEXER_KAFKA_H
#define INDEXER_KAFKA_H

#include <jansson.h>

#include "conf/conf.h"
#include "indexer/storage.h"

struct kafka;

/* Whether the config has any. */
bool kafka_is_on(const struct conf *conf);

/* Checks their sections, with what librdkafka thinks of the properties. */
MUST_CHECK int kafka_check(const struct conf *conf);

/* `conf` and `storage` outlive it. NULL when there is none. */
MUST_CHECK int kafka_start(struct io *io, const struct conf *conf, struct storage *storage,
                           struct kafka **ret_kafka);
void kafka_stop(struct kafka **kafka);

/* Adds to what replication_json() made: to "forwarders", and "sources". */
void kafka_add_json(struct kafka *kafka, json_t *replication);

#endif
