/*
 * Results as files: text, a stream of JSON objects, CSV. A download of a search that still runs
 * goes on until it is done, and counts as a client of it.
 */
#ifndef WEBSERVER_SEARCH_DOWNLOAD_H
#define WEBSERVER_SEARCH_DOWNLOAD_H

#include "net/http_server.h"

void search_download_get(struct http_request *request, void *webserver);
void search_download_post(struct http_request *request, void *webserver);
void search_download_direct(struct http_request *request, void *webserver);

#endif
