/*
 * What the webserver asks its indexers by itself, once in a while: who of those that follow their
 * datalogs was away for so long that it was detached. The administrator is told by a notification
 * on the page, once for each time, whichever webservers notice it.
 */
#ifndef WEBSERVER_WATCH_H
#define WEBSERVER_WATCH_H

#include "webserver/webserver.h"

struct watch;

/* From here on a thread of its own, until it is stopped. */
struct watch *watch_start(struct webserver *webserver);
void watch_stop(struct watch **watch);

#endif
