/*
 * Secrets: values that automations use and people only write. The value is encrypted at rest
 * with a key that follows from Control-Auth, so that a stolen copy of the store does not hold it.
 */
#ifndef WEBSERVER_SECRET_H
#define WEBSERVER_SECRET_H

#include "net/http_server.h"
#include "object/object.h"
#include "webserver/webserver.h"

/* For backups, which carry values in clear and are restored under another Control-Auth: puts the
 * value in the place of its encrypted form (ERR_CORRUPT when that cannot be decrypted), and back.
 * One without a value stays without. */
MUST_CHECK int secret_reveal(const struct webserver *webserver, struct object *secret);
void secret_conceal(const struct webserver *webserver, struct object *secret);

extern const struct http_route secret_routes[];
extern const size_t secret_route_count;

#endif
