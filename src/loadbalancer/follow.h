/*
 * The load balancer's one thread: the list of webservers comes in from the datastore, changes go
 * out to HAProxy. It keeps HAProxy running, and tells service whether users can be served.
 *
 *     start ──> FOLLOWING ──stop──> draining: HAProxy finishes what it has ──> gone
 */
#ifndef LOADBALANCER_FOLLOW_H
#define LOADBALANCER_FOLLOW_H

#include "base/err.h"
#include "io/io.h"
#include "loadbalancer/settings.h"
#include "service/service.h"
#include "sync/presence.h"

struct follow;

struct follow_options {
    struct io *io;
    struct service *service;
    const struct settings *settings;
    struct sync_presence *presence; /* NULL without a datastore */
};

/* Listens for users; a fault when that cannot be. All options are borrowed. */
MUST_CHECK int follow_start(const struct follow_options *options, struct follow **ret_follow);

/* Drains, at most Drain-Timeout. Clears `*follow`, which may be NULL. */
void follow_stop(struct follow **follow);

/* Opens the access log anew and reads the certificate again, soon. Any thread. */
void follow_reload(struct follow *follow);

uint16_t follow_port(const struct follow *follow); /* for users */

#endif
