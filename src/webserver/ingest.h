/*
 * Ingest through the web API: lines of a file, or entries as the JSON download gives them, sent on
 * to the indexers of Self-Log-Target with Ingest-Auth. The answer comes when every entry is
 * acknowledged; a fault says how many were.
 *
 * Who may: admins, and members of Webserver-Ingest-Groups.
 */
#ifndef WEBSERVER_INGEST_H
#define WEBSERVER_INGEST_H

#include "net/http_server.h"
#include "webserver/auth.h"
#include "webserver/webserver.h"

#define INGEST_LINE_BYTES_MAX ((size_t)16 * 1024 * 1024)

bool ingest_allowed(const struct webserver *webserver, const struct auth_user *user);

extern const struct http_route ingest_routes[];
extern const size_t ingest_route_count;

#endif
