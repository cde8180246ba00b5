/*
 * Where peers arrive, ingesters (connection.h) or forwarders (follower.h): TCP, TLS and a Unix
 * socket. One thread accepts; each connection has a thread of its own, at most
 * LISTENER_CONNECTIONS_MAX of them.
 *
 *     start ──> accepting ──stop──> no new ones, the present ones drain ──> gone
 */
#ifndef INDEXER_LISTENER_H
#define INDEXER_LISTENER_H

#include "ingest/stream.h"
#include "io/io.h"

#define LISTENER_CONNECTIONS_MAX 1024

struct listener;

/* What a connection is. `info` fills the kind's own struct. */
struct listener_kind {
    const char *name; /* "ingest": of events and metrics */
    void *(*open)(const void *shared, int fd, const struct ingest_tls *tls, const char *type);
    void (*run)(void *connection); /* its whole life */
    void (*stop)(void *connection);
    void (*info)(void *connection, void *ret_info);
    void (*free)(void *connection);
    size_t info_bytes;
};

struct listener_options {
    struct io *io;
    const struct listener_kind *kind;
    const void *shared;  /* what its connections share; outlives the listener */
    bool without_plain;  /* no plain TCP */
    const char *address; /* "": all */
    uint16_t port;       /* 0: any free one */
    bool with_tls;
    uint16_t tls_port;
    const char *certificate_path, *key_path;
    const char *pipe_path; /* "": none; a stale socket there is replaced */
};

MUST_CHECK int listener_start(const struct listener_options *options,
                              struct listener **ret_listener);
void listener_stop(struct listener **listener); /* waits until every connection has drained */

uint16_t listener_port(const struct listener *listener);
uint16_t listener_tls_port(const struct listener *listener); /* 0: none */

size_t listener_count(struct listener *listener); /* connections now */
/* Fills up to `max` infos of the kind; returns how many. */
size_t listener_connections(struct listener *listener, void *ret_infos, size_t max);

#endif
