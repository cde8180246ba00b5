/*
 * The webserver room: what its parts share. main.c sets it up from top to bottom and tears it
 * down in reverse; a route's handler gets it as its context. Everything here is set before the
 * HTTP server starts and stays until it has stopped, so reading needs no lock.
 */
#ifndef WEBSERVER_WEBSERVER_H
#define WEBSERVER_WEBSERVER_H

#include <stdatomic.h>

#include "base/span.h"
#include "base/uuid.h"

struct conf;
struct history;
struct http_request;
struct http_server;
struct io;
struct proxies;
struct search;
struct service;
struct session_list;
struct signing;
struct store;
struct sync;
struct throttle;

struct webserver {
    struct io *io;
    struct conf *conf;
    struct service *service;
    struct store *store; /* the local replica of the control plane, or the authority itself */
    struct sync *sync;
    struct signing *signing;
    struct session_list *sessions;
    struct throttle *throttle;
    struct search *search;
    struct history *history;   /* of searches */
    atomic_bool saved_changed; /* objects of saved searches */
    struct http_server *http;
    const struct proxies *proxies; /* Trusted-Proxy */

    struct uuid uuid;           /* Webserver-UUID */
    const char *external_addr;  /* External-Addr, "" when unset */
    const char *control_secret; /* Control-Auth */
    bool distributed;           /* a datastore is configured */
    int64_t session_ns;         /* Session-Timeout-Minutes */
};

#endif
