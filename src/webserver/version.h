/*
 * What an object was before: its last versions (Versions-Max), the difference between two
 * of them, going back to one, and bringing back what was deleted. For the kinds that users share
 * (dashboards, resources, macros, ...), whoever may read the object may read its versions, whoever
 * may change it may go back. A version is named by its change id.
 *
 *     GET  /api/versions/{uuid}             newest first, the present one in front
 *     GET  /api/versions/{uuid}/{change}    one of them, whole
 *     GET  /api/versions/{uuid}/diff        ?from=&to= change ids; without: the last change
 *     POST /api/versions/{uuid}/restore     {"Change": ...}; without: the one before the present
 *     GET  /api/deleted                     what the asker has deleted and can bring back
 */
#ifndef WEBSERVER_VERSION_H
#define WEBSERVER_VERSION_H

#include <jansson.h>

#include "net/http_server.h"

/* What differs between two JSON values: a list of {"Path":"Data.tiles[2].title","Before":...,
 * "After":...}; a side that lacks the path has no such member. Pure. A new reference. */
json_t *version_diff(json_t *before, json_t *after);

extern const struct http_route version_routes[];
extern const size_t version_route_count;

#endif
