/*
 * Changes of objects that a user makes through the API: written through sync, with an audit line
 * that says who, what and from where, and answered with the revision they gave.
 *
 * An audit line is an object of the kind "audit", appended and never changed; the newest
 * CHANGE_AUDIT_MAX are kept. It also goes to the log. Search history, preferences, notifications
 * and internal kinds are not audited.
 */
#ifndef WEBSERVER_CHANGE_H
#define WEBSERVER_CHANGE_H

#include <jansson.h>

#include "net/http_server.h"
#include "object/object.h"
#include "webserver/webserver.h"

#define CHANGE_AUDIT_MAX 10000

/* As sync_write and sync_delete with SYNC_BY_KIND. `request` tells who changes it. */
MUST_CHECK int change_save(struct http_request *request, struct webserver *webserver,
                           struct object *object);
MUST_CHECK int change_delete(struct http_request *request, struct webserver *webserver,
                             const struct object *object);

/* An audit line for what is no change of a single object: a backup taken or restored. */
void change_note(struct http_request *request, struct webserver *webserver, const char *verb,
                 const char *kind, const char *name);

/* Answers with 200 and `answer` (taken; NULL: {}) after a change that went well, else with the
 * refusal that fits the fault `rc`. */
void change_reply(struct http_request *request, struct webserver *webserver, int rc,
                  json_t *answer);

/* GET /api/audit: newest first, admins only; ?start=&end= page, ?object=, ?uid= narrow. */
extern const struct http_route change_routes[];
extern const size_t change_route_count;

#endif
