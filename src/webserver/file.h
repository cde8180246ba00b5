/*
 * User files: small files of front ends (pictures of dashboards and the like), at most
 * FILE_BYTES_MAX each, metadata as an object of the kind "file", contents as a blob.
 */
#ifndef WEBSERVER_FILE_H
#define WEBSERVER_FILE_H

#include "net/http_server.h"

#define FILE_BYTES_MAX ((uint64_t)8 * 1024 * 1024)

extern const struct http_route file_routes[];
extern const size_t file_route_count;

#endif
