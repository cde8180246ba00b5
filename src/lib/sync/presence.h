/*
 * Following which webservers are up, without a store: for the load balancer. A thread of its own
 * holds a stream to the datastore (the next one of the list when it is gone) and reconnects.
 *
 * Any number of threads may wait.
 */
#ifndef SYNC_PRESENCE_H
#define SYNC_PRESENCE_H

#include "sync/sync.h"

struct sync_presence;

struct sync_presence_options {
    struct io *io;
    const char *const *datastores; /* "host" or "host:port" */
    size_t datastore_count;
    bool tls;
    bool tls_verify;
    const char *control_secret;
    int64_t interval_ms; /* a stream that is silent for three of these is dead; 0: 10 s */
    void (*on_event)(void *context, enum sync_level level, const char *event, const char *text);
    void *context;
};

MUST_CHECK int sync_presence_start(const struct sync_presence_options *options,
                                   struct sync_presence **ret_presence);
void sync_presence_stop(struct sync_presence **presence); /* wakes who waits: ERR_CANCELLED */

struct sync_presence_view {
    uint64_t generation; /* changes with the list or the connection */
    bool connected;      /* else the list is the last one known */
    size_t count;
    struct sync_webserver webservers[SYNC_WEBSERVERS_MAX];
};

enum sync_presence_outcome { SYNC_PRESENCE_SAME = 1 };

/* Returns 0 with the present view once its generation is not `generation` (0: at once when
 * anything is known), SYNC_PRESENCE_SAME after timeout_ms. */
MUST_CHECK int sync_presence_wait(struct sync_presence *presence, uint64_t generation,
                                  int64_t timeout_ms, struct sync_presence_view *ret_view);

#endif
