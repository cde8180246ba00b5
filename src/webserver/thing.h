/*
 * The stored objects that users make and share: dashboards, macros, templates, pivots, saved
 * queries. One set of handlers; what differs between the kinds is a row of a table in thing.c.
 * Resources have contents and routes of their own (resource.h), but share the sharing.
 */
#ifndef WEBSERVER_THING_H
#define WEBSERVER_THING_H

#include <jansson.h>

#include "net/http_server.h"
#include "object/access.h"
#include "object/object.h"
#include "store/store.h"
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

/* Passes on what a lookup found: true when `rc` is 0 and the asker may do `verb` with *object.
 * Else it has answered (404 for STORE_ABSENT, 403, a fault) and freed the object. */
bool thing_found(struct http_request *request, int rc, enum object_kind kind, const char *id,
                 enum object_verb verb, struct object **object);

/* The web API's form of one of these objects, whole. */
json_t *thing_to_json(const struct object *object, const struct object_principal *asker);

/* Makes one of a kind of the asker's own, as its POST does. ERR_INVALID and what sync_write says;
 * above 0 as change_save. */
MUST_CHECK int thing_make(struct http_request *request, struct webserver *webserver,
                          enum object_kind kind, const json_t *json, struct object **ret_object);

/* The object of that uuid and kind; STORE_ABSENT when there is none. */
MUST_CHECK int thing_get(struct webserver *webserver, enum object_kind kind, const char *uuid,
                         struct object **ret_object);

/* As thing_get, by the guid that copies may share: own, then group-shared, then global ones. */
MUST_CHECK int thing_get_by_guid(struct webserver *webserver, enum object_kind kind,
                                 const char *guid, const struct object_principal *asker,
                                 struct object **ret_object);

/* Answers with a list of what the asker may see of a kind. */
void thing_reply_list(struct http_request *request, struct webserver *webserver,
                      const struct store_query *query, json_t *(*to_json)(const struct object *));

#endif
