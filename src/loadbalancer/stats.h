/*
 * Reads the CSV that HAProxy answers `show stat` with. Pure.
 */
#ifndef LOADBALANCER_STATS_H
#define LOADBALANCER_STATS_H

#include "base/err.h"
#include "base/span.h"

struct stats_row {
    struct span proxy;  /* "webservers" */
    struct span server; /* "w1", "FRONTEND", "BACKEND" */
    bool up;            /* takes requests now */
    bool checked;       /* up or not by a check; HAProxy takes those it has just met for up */
    bool silent;        /* its last check was not answered in time, rather than refused */
    uint64_t sessions;  /* on it now */
    uint64_t requests;
    uint64_t retries;
    uint64_t redispatches;
    uint64_t failed_connections;
};

/* Calls `each` for every row; spans borrow from `csv`. ERR_PROTOCOL when a column is missing. */
MUST_CHECK int stats_read(struct span csv, void (*each)(void *context, const struct stats_row *row),
                          void *context);

#endif
