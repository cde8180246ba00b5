/*
 * One ingester's connection, from its first byte to its last: a thread that reads, gives entries
 * to storage in batches, and confirms what storage calls durable.
 *
 *     SET-UP ──hot──> STEADY ──peer closed, or told to stop──> DRAINING ──> ended
 *        └──wrong secret, malformed, silent: a log line──> ended
 *
 * Draining: nothing more is read, what is on its way to the disk is waited for and confirmed.
 * Bounded: entries and bytes that wait for the disk, output that the peer does not take, the time
 * a log-in may take and how long a peer may be silent.
 */
#ifndef INDEXER_CONNECTION_H
#define INDEXER_CONNECTION_H

#include "indexer/listener.h"
#include "indexer/states.h"
#include "indexer/storage.h"
#include "ingest/session.h"
#include "ingest/stream.h"

#define CONNECTION_PENDING_MAX 16384             /* entries on their way to the disk */
#define CONNECTION_PENDING_BYTES_MAX (32u << 20) /* of their data; one larger entry is let in */
#define CONNECTION_UNSENT_BYTES_MAX (1u << 20)
#define CONNECTION_LOG_IN_MS 10000
#define CONNECTION_SILENCE_MS 600000
#define CONNECTION_STUCK_MS 30000 /* the peer takes no output */
#define CONNECTION_DRAIN_MS 5000  /* after the last entry is durable */
#define CONNECTION_LINGER_MS 500  /* for the peer to read its last confirmations */

/* What all connections share; outlives them. */
struct connection_shared {
    struct io *io;
    struct storage *storage;
    struct states *states;
    uint8_t secret_hash[INGEST_SECRET_HASH_BYTES];
};

struct connection;

struct connection_info {
    char client[80];  /* address and port, or "unix" */
    const char *type; /* "tcp", "tls", "pipe" */
    char name[64], version[64], uuid[64];
    bool hot;
    int64_t since_ns;
    uint64_t entries, bytes;
};

/* Takes the accepted socket. `tls` NULL: plain. `type` is a literal. */
struct connection *connection_new(const struct connection_shared *shared, int fd,
                                  const struct ingest_tls *tls, const char *type);

/* The whole life; in a thread of its own. */
void connection_run(struct connection *connection);

/* Any thread, also before run: the connection drains and run returns. */
void connection_stop(struct connection *connection);
void connection_info(struct connection *connection, struct connection_info *ret_info);

/* After run has returned. */
void connection_free(struct connection **connection);

/* For a listener; `shared` is a struct connection_shared. */
extern const struct listener_kind connection_kind;

#endif
