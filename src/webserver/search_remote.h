/*
 * Searches of other webservers: whoever is asked passes the request on, through External-Addr, to
 * the webserver that runs the search, with the user's own credential; what comes back goes to the
 * client as it is. The first digits of a search's id say whose it is. docs/protocols/search.md.
 *
 * Any thread.
 */
#ifndef WEBSERVER_SEARCH_REMOTE_H
#define WEBSERVER_SEARCH_REMOTE_H

#include <jansson.h>

#include "net/http_server.h"
#include "webserver/webserver.h"

struct search_remote;

MUST_CHECK int search_remote_new(struct webserver *webserver, struct search_remote **ret_remote);
void search_remote_free(struct search_remote **remote); /* may be NULL */

/* For a request about search {id} that is not here. False: it is nobody else's, answer 404. Else
 * it has answered: as the other webserver did, or 503 at once when that one is gone. */
bool search_remote_answer(struct http_request *request, struct webserver *webserver);

/* Adds to the list of searches what the other webservers' lists have and it has not; who cannot be
 * reached is left out. Newest first. */
void search_remote_list(struct http_request *request, struct webserver *webserver, json_t *list);

/* Asks every other webserver that is up for `target`, at the same time and as the asker: `take` is
 * called, on this thread, with what each of them answers (borrowed). A request that was itself
 * passed on asks nobody. */
void search_remote_ask(struct http_request *request, struct webserver *webserver,
                       const char *target, void (*take)(void *context, const json_t *answer),
                       void *context);

/* ---- for the websocket ---- */

/* The value of the header Authorization that this request's user has; mem_free() */
char *search_remote_credential(struct http_request *request);

/* A call about search `id` to the webserver that runs it: `path` is what follows the id. `body`
 * (borrowed, NULL: none) and *ret_json (owned) are JSON. ERR_NOT_FOUND: it is nobody's. */
MUST_CHECK int search_remote_call(struct webserver *webserver, const char *credential,
                                  const char *method, const char *id, const char *path,
                                  const json_t *body, json_t **ret_json);

#endif
