#include "datastore/traefik.h"

#include <sodium.h>
#include <string.h>

#include "base/span.h"
#include "base/text.h"

#define COOKIE "AQUIFER_LB" /* as our own load balancer's */

static json_t *servers(const json_t *webservers, const struct traefik_options *options)
{
    json_t *list = json_array();
    size_t i;
    json_t *webserver;
    json_array_foreach(json_object_get(webservers, "webservers"), i, webserver)
    {
        const char *address = json_string_value(json_object_get(webserver, "external_addr"));
        if (address != NULL && address[0] != 0 && json_is_true(json_object_get(webserver, "up"))) {
            json_array_append_new(
                list,
                json_pack("{s:o}", "url",
                          json_sprintf("%s://%s", options->https ? "https" : "http", address)));
        }
    }
    return list;
}

static json_t *router(const struct traefik_options *options)
{
    json_t *router = json_pack("{s:s, s:s, s:[s]}", "rule", options->rule, "service", options->name,
                               "middlewares", options->name);
    if (options->entry_point_count > 0) {
        json_t *entry_points = json_array();
        for (size_t i = 0; i < options->entry_point_count; i++) {
            json_array_append_new(entry_points, json_string(options->entry_points[i]));
        }
        json_object_set_new(router, "entryPoints", entry_points);
    }
    if (options->tls) {
        json_object_set_new(router, "tls", json_object());
    }
    return router;
}

json_t *traefik_config(const json_t *webservers, const struct traefik_options *options)
{
    const char *name = options->name;
    json_t *cookie = json_pack("{s:s, s:b, s:b, s:s}", "name", COOKIE, "httpOnly", 1, "secure",
                               options->tls, "sameSite", "lax");
    json_t *balancer =
        json_pack("{s:o, s:b, s:{s:o}, s:{s:s, s:s, s:s}}", "servers", servers(webservers, options),
                  "passHostHeader", 1, "sticky", "cookie", cookie, "healthCheck", "path", "/readyz",
                  "interval", "500ms", "timeout", "500ms");
    json_t *http =
        json_pack("{s:{s:o}, s:{s:{s:o}}, s:{s:{s:{s:i, s:s}}}}", "routers", name, router(options),
                  "services", name, "loadBalancer", balancer, "middlewares", name, "retry",
                  "attempts", 3, "initialInterval", "50ms");
    if (options->https && !options->verify) {
        json_object_set_new(balancer, "serversTransport", json_string(name));
        json_object_set_new(http, "serversTransports",
                            json_pack("{s:{s:b}}", name, "insecureSkipVerify", 1));
    }
    return json_pack("{s:o}", "http", http);
}

static bool is_allowed(const struct http_request *request, const char *token)
{
    const char *header = http_request_header(request, "Authorization");
    const char *shown = http_request_query(request, "token");
    if (header != NULL && strncmp(header, "Bearer ", 7) == 0) {
        shown = header + 7;
    }
    return shown != NULL && token[0] != 0 && strlen(shown) == strlen(token) &&
           sodium_memcmp(shown, token, strlen(token)) == 0;
}

/* False: it is neither; a refusal was sent. */
static bool read_flag(struct http_request *request, const char *name, const char *value, bool *flag)
{
    if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0) {
        http_reply_error(request, 400, "%s is true or false, not \"%.64s\"", name, value);
        return false;
    }
    *flag = value[0] == 't';
    return true;
}

static bool read_options(struct http_request *request, struct traefik_options *options)
{
    size_t cursor = 0;
    const char *name;
    const char *value;
    while (http_request_query_next(request, &cursor, &name, &value)) {
        if (!text_is_utf8(span_of_str(value))) {
            http_reply_error(request, 400, "%.64s is not UTF-8", name);
            return false;
        }
        if (strcmp(name, "scheme") == 0 &&
            (strcmp(value, "http") == 0 || strcmp(value, "https") == 0)) {
            options->https = value[4] != 0;
        } else if (strcmp(name, "verify") == 0 || strcmp(name, "tls") == 0) {
            if (!read_flag(request, name, value,
                           name[0] == 'v' ? &options->verify : &options->tls)) {
                return false;
            }
        } else if (strcmp(name, "rule") == 0 && value[0] != 0) {
            options->rule = value;
        } else if (strcmp(name, "name") == 0 && value[0] != 0) {
            options->name = value;
        } else if (strcmp(name, "entrypoint") == 0 &&
                   options->entry_point_count < ARRAY_COUNT(options->entry_points)) {
            options->entry_points[options->entry_point_count++] = value;
        } else if (strcmp(name, "token") != 0) {
            http_reply_error(request, 400,
                             "%.64s=%.64s is not understood: scheme, verify, tls, "
                             "rule, name and up to 8 entrypoint are",
                             name, value);
            return false;
        }
    }
    return true;
}

static void get_traefik(struct http_request *request, void *context)
{
    const struct traefik *traefik = context;
    struct traefik_options options = {
        .https = true, .verify = true, .rule = "PathPrefix(`/`)", .name = "aquifer"};
    if (!is_allowed(request, traefik->token)) {
        http_reply_error(request, 403,
                         traefik->token[0] == 0
                             ? "Traefik-Token is not set here"
                             : "the token is not this datastore's Traefik-Token");
        return;
    }
    if (!read_options(request, &options)) {
        return;
    }
    json_t *webservers = sync_server_webservers(traefik->server);
    http_reply_json(request, 200, traefik_config(webservers, &options));
    json_decref(webservers);
}

const struct http_route traefik_routes[] = {{"GET", "/traefik", get_traefik, 0, 0}};
const size_t traefik_route_count = ARRAY_COUNT(traefik_routes);
