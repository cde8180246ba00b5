/*
 * The websocket router on /api/ws/search: labels inside one socket, one session thread each.
 * docs/protocols/search.md, "Websocket".
 */
#ifndef WEBSERVER_SEARCH_SOCKET_H
#define WEBSERVER_SEARCH_SOCKET_H

#include "net/http_server.h"

#define SEARCH_SOCKET_LABELS_MAX 256  /* searches on one socket */
#define SEARCH_SOCKET_WAITING_MAX 256 /* messages that came while results were streamed */

void search_socket_upgrade(struct http_request *request, void *webserver);

#endif
