/*
 * The feeder, inside of feeder3x.c (what its section says, metrics, starting and stopping) and
 * feeder3x_link.c (one consumer's connection).
 */
#ifndef INDEXER_FEEDER3X_INTERNAL_H
#define INDEXER_FEEDER3X_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "indexer/feeder3x.h"
#include "indexer/listener.h"
#include "indexer/translate3x.h"
#include "warp10/feed3x_session.h"

#define FEEDER3X_CURSOR_PREFIX "warp10-feed-"

struct feeder3x_link;

/* A consumer of the config. */
struct feeder3x_consumer {
    struct feed3x_key *key;
    struct feeder3x_link *link; /* its connection now; under the feeder's lock */
    char labels[160];
    atomic_uint_fast64_t records, missed;
};

struct feeder3x {
    struct io *io;
    struct storage *storage;
    char own_id[UUID_TEXT_BYTES];
    struct feed3x_key *key;
    struct feed3x_peer peers[FEEDER3X_CONSUMERS_MAX];
    struct feeder3x_consumer consumers[FEEDER3X_CONSUMERS_MAX];
    size_t consumer_count;
    struct feed3x_options session_options;
    struct translate3x_options translate_options;
    int64_t keepalive_ms, timeout_ms;
    char host[256];
    uint16_t port;
    struct listener *listener;
    pthread_mutex_t lock;
    atomic_uint_fast64_t failures;
};

struct feeder3x_info {
    char client[80];
};

extern const struct listener_kind feeder3x_kind; /* shared: struct feeder3x */

#endif
