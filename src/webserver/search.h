/*
 * Searches on a webserver: launched by a user, run on all indexers, kept until nobody needs them.
 *
 *     WAITING ──acknowledged──> QUEUED ──a place is free──> RUNNING ──merged or stopped──> FINISHED
 *         └─────────── deleted, expired, nobody needs it: gone, with its results ──────────┘
 *
 * Attached clients, the background and the save flag decide how long a search stays; the rules
 * are those of docs/protocols/search.md. Each running search has one coordinator thread and one
 * thread per indexer; at most SEARCH_RUNNING_MAX run, the others wait their turn.
 *
 * All functions may be called from any thread.
 */
#ifndef WEBSERVER_SEARCH_H
#define WEBSERVER_SEARCH_H

#include "base/check.h"
#include "net/http_server.h"
#include "webserver/webserver.h"

#define SEARCH_RUNNING_MAX 32
#define SEARCH_KEPT_MAX 4096 /* searches with results on this webserver */

struct search;
struct search_indexers;

/* Reads Remote-Indexers, Render-Store, Render-Store-Limit and Saved-Store from the configuration;
 * clears the render store, opens what is saved. */
MUST_CHECK int search_new(struct webserver *webserver, struct search **ret_search);

/* Ends every search; saved results stay. */
void search_free(struct search **search);

/* Whom it asks; lives as long as `search`. */
struct search_indexers *search_indexers_of(struct search *search);

/* Tag names known to the indexers, asked for at most every two seconds. */
MUST_CHECK int search_tags(struct search *search, int (*each)(void *context, const char *name),
                           void *context);

extern const struct http_route search_routes[];
extern const size_t search_route_count;

#endif
