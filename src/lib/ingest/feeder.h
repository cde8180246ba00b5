/*
 * A client on a thread of its own, for callers that must never wait: a daemon's own log lines.
 * A bounded ring of lines; what does not fit is dropped and counted, never waited for.
 *
 *     struct ingest_feeder_options options = {.client = {.targets = …}, .tag = "gravwell"};
 *     ingest_feeder_start(&options, &feeder);
 *     ingest_feeder_put(feeder, now_ns, line);      (any thread, never blocks)
 *     ingest_feeder_stop(&feeder);                  (gives what is left a short chance)
 *
 * While no indexer is reachable the ring keeps the newest FEEDER_LINES_MAX lines.
 */
#ifndef INGEST_FEEDER_H
#define INGEST_FEEDER_H

#include "ingest/client.h"

#define INGEST_FEEDER_LINES_MAX 4096
#define INGEST_FEEDER_LINE_BYTES_MAX (64u << 10)
#define INGEST_FEEDER_STOP_MS 2000

struct ingest_feeder;

struct ingest_feeder_options {
    struct ingest_client_options client;
    const char *tag; /* NULL: "gravwell" */
};

struct ingest_feeder_stats {
    uint64_t lines;     /* given to put */
    uint64_t confirmed; /* stored by an indexer */
    uint64_t dropped;   /* pushed out of the ring, too long, or left at the end */
};

/* Faults only for options that make no sense; connecting is the thread's business. */
MUST_CHECK int ingest_feeder_start(const struct ingest_feeder_options *options,
                                   struct ingest_feeder **ret_feeder);

/* Copies the line. Any thread; waits for nothing but a short lock. Never logs. */
void ingest_feeder_put(struct ingest_feeder *feeder, int64_t time_ns, struct span line);

void ingest_feeder_stats(struct ingest_feeder *feeder, struct ingest_feeder_stats *ret_stats);

/* Waits at most INGEST_FEEDER_STOP_MS for what is in the ring, less when no indexer is there.
 * Clears `*feeder`; may be NULL. */
void ingest_feeder_stop(struct ingest_feeder **feeder);

#endif
