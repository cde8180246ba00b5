#include "webserver/static.h"

#include "conf/conf.h"
#include "webserver/webserver.h"

const struct http_header static_security_headers[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Content-Security-Policy",
     "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
     "form-action 'self'; frame-ancestors 'none'"},
};
const size_t static_security_header_count = ARRAY_COUNT(static_security_headers);

const char *static_content_type(const char *path)
{
    static const struct {
        const char *ending;
        const char *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
        {".json", "application/json"},
        {".woff2", "font/woff2"},
        {".txt", "text/plain; charset=utf-8"},
        {".webmanifest", "application/manifest+json"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        if (span_ends_with(span_of_str(path), span_of_str(types[i].ending))) {
            return types[i].type;
        }
    }
    return "application/octet-stream";
}

static const char *file_path(struct http_request *request, const struct webserver *webserver,
                             const char *name)
{
    const char *root = conf_text(webserver->conf, CONF_GLOBAL, "Web-Files-Path");
    return arena_printf(http_request_arena(request), "%s/%s", root, name);
}

/* Clients of the reference system probe "/" and expect 200, with or without a page. */
static void get_page(struct http_request *request, void *context)
{
    const struct webserver *webserver = context;
    const char *path = file_path(request, webserver, "index.html");
    http_reply_header(request, "Cache-Control", "no-cache");
    if (io_exists(webserver->io, path)) {
        http_reply_file(request, 200, "text/html; charset=utf-8", path);
        return;
    }
    http_reply(request, 200, "text/html; charset=utf-8",
               SPAN_LIT("<!doctype html><title>Aquifer</title><p>This webserver has no web "
                        "interface installed (Web-Files-Path). Its API is at work.</p>"));
}

static void get_file(struct http_request *request, void *context)
{
    /* The server refuses "." and ".." segments, so the path stays below the root. */
    const char *name = http_request_param(request, "path");
    if (span_starts_with(span_of_str(name), SPAN_LIT("api/"))) {
        http_reply_error(request, 404, "there is no %s", http_request_path(request));
        return;
    }
    bool hashed = span_starts_with(span_of_str(name), SPAN_LIT("assets/"));
    http_reply_header(request, "Cache-Control",
                      hashed ? "public, max-age=31536000, immutable" : "no-cache");
    http_reply_file(request, 200, static_content_type(name), file_path(request, context, name));
}

const struct http_route static_routes[] = {
    {"GET", "/", get_page, 0, 0},
    {"GET", "/{path*}", get_file, 0, 0},
};
const size_t static_route_count = ARRAY_COUNT(static_routes);
