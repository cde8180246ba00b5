/*
 * API tokens: long-lived credentials for programs, sent as the header Gravwell-Token. A token is
 * an object of the kind "token"; its value is `aq_<id>_<secret>` in hex, shown once, of which the
 * object keeps only a hash. It carries capabilities (capability.h) and may expire.
 */
#ifndef WEBSERVER_APITOKEN_H
#define WEBSERVER_APITOKEN_H

#include "base/span.h"
#include "net/http_server.h"
#include "webserver/webserver.h"

/* 0: the value is that of a live token: whose, and what it may. ERR_AUTH with the reason. */
MUST_CHECK int apitoken_check(struct webserver *webserver, struct span value, int32_t *ret_uid,
                              uint64_t *ret_capabilities);

extern const struct http_route apitoken_routes[];
extern const size_t apitoken_route_count;

#endif
