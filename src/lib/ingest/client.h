/*
 * An ingester: sends entries to one or more indexers and knows which of them are confirmed.
 *
 *     new ──send──> (connects by itself) ──send, tag, …──> sync: 0 = every entry is confirmed
 *
 * It keeps every entry until its confirmation has come. When a connection ends, what it had
 * unconfirmed goes to the next one, the same target or another: delivery is at least once.
 * Entries go to whichever connection has room. At most `window` entries are unconfirmed per
 * connection and `bytes_max` bytes in all; then send waits.
 *
 * Targets: "tcp://host:port", "tls://host:port", "pipe:///path" (a Unix stream socket);
 * "host:port" and "host" mean tcp, "/path" means pipe; ports 4023 and 4024 when left out.
 *
 * One thread owns a client; its calls block, within the timeouts of the options. For a caller
 * that must never wait there is ingest/feeder.h. Protocol: docs/protocols/ingest.md.
 */
#ifndef INGEST_CLIENT_H
#define INGEST_CLIENT_H

#include "ingest/wire.h"

struct ingest_client;

/* Zero means the default that stands beside it. Everything is copied. */
struct ingest_client_options {
    const char *const *targets;
    size_t target_count;
    const char *secret;
    const char *tenant;  /* NULL: none */
    const char *name;    /* kind of ingester, "aquifer" */
    const char *version; /* AQUIFER_VERSION */
    const char *label;   /* "" */
    const char *uuid;    /* "" */
    bool compress;
    bool tls_insecure;       /* do not verify the certificate */
    const char *tls_ca_path; /* NULL: the system's */
    size_t window;           /* INGEST_WINDOW_MAX */
    size_t bytes_max;        /* 64 MiB of unconfirmed entries */
    int64_t patience_ms;     /* 30 s: send and sync give up after so long without any progress */
    int64_t connect_ms;      /* patience_ms: how long ingest_client_connect tries */
};

struct ingest_client_stats {
    uint64_t sent;      /* entries given to send */
    uint64_t confirmed; /* of these; once each, whatever was sent again */
    uint64_t resent;
    uint64_t connected; /* times a connection became hot */
    uint64_t bytes;     /* of data confirmed */
    size_t live;        /* connections that are hot now */
};

/* Connects nothing yet. ERR_INVALID for a target that is none. */
MUST_CHECK int ingest_client_new(const struct ingest_client_options *options,
                                 struct ingest_client **ret_client);

/* Closes at once; what is unconfirmed is forgotten. Clears `*client`, which may be NULL. */
void ingest_client_free(struct ingest_client **client);

/* Waits until one target is hot; when one is there that takes no entries at the moment (its disk is
 * full), for patience_ms more. ERR_AUTH, at once: all targets refuse the secret or show a
 * certificate that nobody vouches for. */
MUST_CHECK int ingest_client_connect(struct ingest_client *client);

/* A handle for a tag name, good for all targets and reconnects; asked of the live connections at
 * once and in bulk on later ones (it connects nothing by itself). ERR_INVALID: no tag name;
 * ERR_DENIED: an indexer refused it. */
MUST_CHECK int ingest_client_tag(struct ingest_client *client, const char *name, uint16_t *ret_tag);

/* Copies. `source` NULL is the connection's own address; `evs` a whole block or empty. Returns
 * when the entry is queued; it is safe only after a sync. A fault: no target took it within
 * options.patience_ms; it may be tried again. */
MUST_CHECK int ingest_client_send(struct ingest_client *client, uint16_t tag, int64_t time_ns,
                                  const uint8_t source[16], struct span data, struct span evs);

/* Sends what is buffered and takes the confirmations that are there, without waiting. Also the
 * heartbeat of an idle client: call it at least every few minutes. */
MUST_CHECK int ingest_client_poll(struct ingest_client *client);

/* 0: every entry sent so far is confirmed. */
MUST_CHECK int ingest_client_sync(struct ingest_client *client);

/* Tells the indexers about this ingester (name, counters), as ingesters do now and then. */
MUST_CHECK int ingest_client_report(struct ingest_client *client);

void ingest_client_stats(const struct ingest_client *client, struct ingest_client_stats *ret_stats);

/* Safe from any thread: makes the blocking call in progress, and all later ones, end with
 * ERR_CANCELLED. */
void ingest_client_cancel(struct ingest_client *client);

#endif
