/*
 * A search with its results as one file, and such a file as a search again (saved, its importer's
 * own). Form: docs/formats/result-store.md.
 */
#ifndef WEBSERVER_SEARCH_ARCHIVE_H
#define WEBSERVER_SEARCH_ARCHIVE_H

#include "net/http_server.h"
#include "webserver/search_one.h"

/* Waits for the end of the search. A fault, or an outcome when the client has left. */
MUST_CHECK int search_archive_send(struct search_one *one, struct http_stream *stream);

/* POST /api/searchctrl/import: multipart, fields GID, BatchName, BatchInfo, then the part file. */
void search_archive_import(struct http_request *request, void *context);

#endif
