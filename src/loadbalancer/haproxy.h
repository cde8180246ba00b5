/*
 * HAProxy as a child process, with the sockets it inherits.
 *
 *     open ──start──> RUNNING ──it ends by itself──> DOWN ──start──> RUNNING
 *       └── close          └──stop: old requests end, at most the drain time──> DOWN
 *
 * The listening sockets belong to the load balancer and outlive every HAProxy: while one is away
 * users wait in the backlog. A HAProxy whose load balancer has died finishes what it has and ends.
 * What it prints goes to the log, access lines to <log dir>/access.log.
 *
 * One thread, which must live as long as the child: the kernel tells the child of its end.
 */
#ifndef LOADBALANCER_HAPROXY_H
#define LOADBALANCER_HAPROXY_H

#include "base/buf.h"
#include "base/err.h"
#include "io/io.h"
#include "loadbalancer/settings.h"

struct haproxy;

/* Makes the run directory and listens. `settings` is borrowed. */
MUST_CHECK int haproxy_open(struct io *io, const struct settings *settings,
                            struct haproxy **ret_haproxy);

/* Ends the child at once if it still runs. Clears `*haproxy`, which may be NULL. */
void haproxy_close(struct haproxy **haproxy);

/* Writes the files and starts the child. It may still end by itself right afterwards, for example
 * because it does not like its configuration. */
MUST_CHECK int haproxy_start(struct haproxy *haproxy, struct span config, struct span names);

/* Whether it runs. When it has ended, the reason is logged once. */
bool haproxy_is_running(struct haproxy *haproxy);

/* Sends commands, each ended by a newline, and gives the answers. ERR_PROTOCOL when HAProxy
 * refuses one of them. Waits at most 2 s. */
MUST_CHECK int haproxy_command(struct haproxy *haproxy, struct span commands,
                               struct buf *ret_answers);

/* Takes no new connections; returns when the old ones have ended or drain_ms is over. */
void haproxy_stop(struct haproxy *haproxy, int64_t drain_ms);

/* SIGKILL: for one that answers no commands. */
void haproxy_kill(struct haproxy *haproxy);

void haproxy_reopen_log(struct haproxy *haproxy);

/* Reads certificate and key again and gives them to the running HAProxy, which drops nothing. On a
 * fault it keeps what it had. */
MUST_CHECK int haproxy_renew_certificate(struct haproxy *haproxy);

/* The ports it listens on, for 0 in the settings. */
uint16_t haproxy_port(const struct haproxy *haproxy);

#endif
