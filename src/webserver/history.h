/*
 * Search history: one synchronised, append-only object per launched search. At most
 * Max-Search-History per user are kept; the oldest go. A thread writes them, so that no search
 * waits for the disk; who reads the history gets all that was added before.
 */
#ifndef WEBSERVER_HISTORY_H
#define WEBSERVER_HISTORY_H

#include "net/http_server.h"
#include "webserver/webserver.h"

struct history_launch {
    int32_t uid;
    const int32_t *gids; /* groups the search is shared with */
    size_t gid_count;
    bool global;
    const char *user_query;      /* as typed */
    const char *effective_query; /* as run */
    int64_t launched_ns;
};

struct history;

struct history *history_start(struct webserver *webserver);
void history_stop(struct history **history); /* may be NULL; writes what is left */

/* Called by search/ when a search starts, unless it was launched with NoHistory. Never fails the
 * search: what goes wrong is logged. */
void history_add(struct history *history, const struct history_launch *launch);

extern const struct http_route history_routes[];
extern const size_t history_route_count;

#endif
