/*
 * The stored objects that users make and share: dashboards, macros, templates, pivots, saved
 * queries. One set of handlers; what differs between the kinds is a row of a table in thing.c.
 * Resources have contents and routes of their own (resource.h), but share the sharing.
 */
#ifndef WEBSERVER_THING_H
#define WEBSERVER_THING_H

#include <jansson.h>

#include "net/http_server.h"
#include "object/object.h"
#include "webserver/webserver.h"

struct auth_user;

/* Tables of routes, one per kind, for http_server_start(). Borrowed; freed by thing_free_tables
 * after the server has stopped. */
struct http_routes *thing_tables(struct webserver *webserver, size_t *ret_count);
void thing_free_tables(struct http_routes *tables, size_t count);

/* Adds UID, GIDs (as `gids_key`), Global, WriteAccess, Labels, Synced. */
void thing_add_sharing(json_t *json, const struct object *object, const char *gids_key);

/* Takes owner, groups, global, write access and labels from a request into `object`, as far as
 * the asker may change them. ERR_DENIED names what he may not. `gids_key` as above. */
MUST_CHECK int thing_read_sharing(const json_t *json, const struct auth_user *asker,
                                  const char *gids_key, struct object *object);

/* 403 unless the asker may do `verb` with it (404 when he may not even see it). */
bool thing_check(struct http_request *request, const struct object *object, int verb);

#endif
