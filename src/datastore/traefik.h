/*
 * GET /traefik: the webservers as the dynamic configuration that Traefik's HTTP provider polls
 * (https://doc.traefik.io/traefik/providers/http/), so that an existing Traefik finds them by
 * itself. docs/load-balancing.md.
 *
 * It cannot sign as our own daemons do: it shows Traefik-Token as "Authorization: Bearer TOKEN" or
 * as ?token=TOKEN. Without that key in the configuration the route answers 403. What Traefik shall
 * do with the list, its own configuration says, in the endpoint's query:
 *
 *     scheme=https|http       how to reach webservers (https)
 *     verify=true|false       their certificates (true)
 *     rule=PathPrefix(`/`)    which requests are for them
 *     entrypoint=NAME         repeated; none: all of Traefik's
 *     tls=true|false          users come by HTTPS (false)
 *     name=aquifer            of the router and the service
 *
 * Webservers are listed as long as they are up; Traefik itself checks /readyz twice a second.
 */
#ifndef DATASTORE_TRAEFIK_H
#define DATASTORE_TRAEFIK_H

#include "net/http_server.h"
#include "sync/server.h"

struct traefik {
    struct sync_server *server;
    const char *token; /* "": nobody may ask */
};

struct traefik_options {
    bool https, verify, tls;
    const char *rule, *name;
    const char *entry_points[8];
    size_t entry_point_count;
};

/* A new reference. `webservers` is what sync_server_webservers() gives. Pure. */
json_t *traefik_config(const json_t *webservers, const struct traefik_options *options);

/* Its context is a struct traefik. */
extern const struct http_route traefik_routes[];
extern const size_t traefik_route_count;

#endif
