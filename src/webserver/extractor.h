/*
 * Extraction definitions (query/extractor.h) as objects: what their kind has beside the routes of
 * all kinds (thing.h): checks, engines, files, and which one a tag has. docs/protocols/web-api.md.
 * Any thread.
 */
#ifndef WEBSERVER_EXTRACTOR_H
#define WEBSERVER_EXTRACTOR_H

#include <jansson.h>

#include "net/http_server.h"
#include "object/access.h"
#include "query/extractor.h"
#include "store/store.h"
#include "webserver/webserver.h"

extern const struct http_route extractor_routes[];
extern const size_t extractor_route_count;

/* Can ax use it? `json` has the keys of the web API. ERR_INVALID says why not. */
MUST_CHECK int extractor_check(const json_t *json);

/* Fills what ax needs; borrows from `json`. */
void extractor_decode(const json_t *json, const char *name, struct query_extractor *ret_extractor);

/* Those that `who` may read, his own first, then those of his groups, then global ones. */
MUST_CHECK int extractor_list(struct webserver *webserver, const struct object_principal *who,
                              struct object_list *ret_list);

#endif
