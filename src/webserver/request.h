/*
 * What the handlers of this room share: JSON of requests (keys in any case, absent and null and
 * year 1 mean "not set"), and answers that tell which revision they reflect.
 */
#ifndef WEBSERVER_REQUEST_H
#define WEBSERVER_REQUEST_H

#include <jansson.h>

#include "net/http_server.h"
#include "object/object.h"
#include "store/store.h"
#include "webserver/webserver.h"

/* The revision that an answer reflects, and that a later request must see at least
 * (docs/protocols/web-api.md, read your writes). */
#define REQUEST_REVISION_HEADER "Aquifer-Revision"
#define REQUEST_REVISION_COOKIE "aquifer-revision"
#define REQUEST_REVISION_WAIT_MS 1000

/* "false" with an answer to a write that is durable here and not yet confirmed by the datastore:
 * the revision does not cover it. */
#define REQUEST_SYNCED_HEADER "Aquifer-Synced"

/* Waits until this webserver reflects what the client has seen elsewhere, a second at most. */
void request_await_revision(struct http_request *request, const struct webserver *webserver);

/* Adds the present revision to the answer that follows. Handlers that wrote call it after the
 * write; for reads the hook does. */
void request_tell_revision(struct http_request *request, const struct webserver *webserver);

/* The body as a JSON object; an empty body is {}. On false a 400 has been sent. */
bool request_object(struct http_request *request, json_t **ret_json);

/* The page that ?start= and ?end= ask for: start inclusive, end exclusive, 0 the first. */
void request_page(struct http_request *request, struct store_query *query);

/* An integer of the path; on false a 404 has been sent. */
bool request_number(struct http_request *request, const char *param, int64_t *ret_number);

/* The member of that name, in any case; the exact spelling wins. NULL when absent or null. */
json_t *request_member(const json_t *json, const char *key);
const char *request_text(const json_t *json, const char *key); /* "" when absent or no string */
bool request_bool(const json_t *json, const char *key);
int64_t request_int(const json_t *json, const char *key);  /* 0 when absent or no number */
int64_t request_time(const json_t *json, const char *key); /* TIME_UNSET when not set */
bool request_uuid(const json_t *json, const char *key, struct uuid *ret_uuid); /* false: not set */
void request_gids(const json_t *json, const char *key, struct object_gids *gids);

json_t *request_gids_json(const struct object_gids *gids); /* null when empty, as the original */
json_t *request_time_json(int64_t time_ns);
json_t *request_uuid_json(const struct uuid *uuid);

#endif
