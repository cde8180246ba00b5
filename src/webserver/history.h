/*
 * Search history: one synchronised, append-only object per launched search. At most
 * Max-Search-History per user are kept; the oldest go.
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

/* Called by search/ when a search starts, unless it was launched with NoHistory. Never fails the
 * search: what goes wrong is logged. */
void history_add(struct webserver *webserver, const struct history_launch *launch);

extern const struct http_route history_routes[];
extern const size_t history_route_count;

#endif
