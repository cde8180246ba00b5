/*
 * The web interface's files, from Web-Files-Path, with the headers that keep other people's pages
 * and scripts out. Files under assets/ carry a hash in their name and may be cached for ever.
 */
#ifndef WEBSERVER_STATIC_H
#define WEBSERVER_STATIC_H

#include "base/buf.h"
#include "net/http_server.h"

extern const struct http_route static_routes[];
extern const size_t static_route_count;

/* The MIME type that goes with a file's ending; application/octet-stream when unknown. */
const char *static_content_type(const char *path);

/* Headers added to every reply of this server, API included. Ends with a NULL name. */
extern const struct http_header static_security_headers[];
extern const size_t static_security_header_count;

#endif
