/*
 * Where ingesters arrive: TCP, TLS and a Unix socket. One thread accepts; each connection has a
 * thread of its own (connection.h), at most LISTENER_CONNECTIONS_MAX of them.
 *
 *     start ──> accepting ──stop──> no new ones, the present ones drain ──> gone
 */
#ifndef INDEXER_LISTENER_H
#define INDEXER_LISTENER_H

#include "indexer/connection.h"

#define LISTENER_CONNECTIONS_MAX 1024

struct listener;

struct listener_options {
    struct connection_shared shared; /* copied */
    const char *address;             /* "": all */
    uint16_t port;                   /* 0: any free one */
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
/* Fills up to `max`; returns how many. */
size_t listener_connections(struct listener *listener, struct connection_info *ret_infos,
                            size_t max);

#endif
