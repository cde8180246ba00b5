/*
 * The route table behind the HTTP server: which route a target ("/api/x%2Fy?z=1") means. Pure; a
 * router is made once and then only read, by any thread.
 */
#ifndef NET_HTTP_ROUTE_H
#define NET_HTTP_ROUTE_H

#include "base/arena.h"
#include "net/http_server.h"

#define HTTP_SEGMENTS_MAX 32

struct http_router;

/* ERR_INVALID names the path that is wrong or there twice. */
MUST_CHECK int http_router_new(const struct http_routes *tables, size_t table_count,
                               struct http_router **ret_router);
void http_router_free(struct http_router **router);

struct http_pair {
    const char *name, *value;
};

/* A target taken apart, in the arena. */
struct http_target {
    const char *path;                        /* decoded, as it came */
    const char *segments[HTTP_SEGMENTS_MAX]; /* decoded, none empty */
    size_t segment_count;
    const char *rests[HTTP_SEGMENTS_MAX + 1]; /* decoded path from segment i on */
    struct http_pair *query;
    size_t query_count;
};

/* ERR_INVALID: a bad escape, a NUL, "." or ".." (also between escaped slashes), or too many
 * segments. */
MUST_CHECK int http_target_parse(struct arena *arena, const char *target,
                                 struct http_target *ret_target);

struct http_match {
    const struct http_route *route; /* NULL: none */
    void *context;
    struct http_pair params[HTTP_PARAMS_MAX];
    size_t param_count;
    char allow[128]; /* "GET, PUT" when only the method is wrong, else "" */
};

void http_router_match(const struct http_router *router, const char *method,
                       const struct http_target *target, struct http_match *ret_match);

#endif
