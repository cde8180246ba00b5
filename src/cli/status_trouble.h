/*
 * What is wrong with a cluster, and what to do: the rules of `aquifer status`, those of the page
 * "Systems" (ui/src/lib/cluster.ts): who changes one here changes it there. Pure.
 */
#ifndef CLI_STATUS_TROUBLE_H
#define CLI_STATUS_TROUBLE_H

#include "cli/status_picture.h"

/* Of a forwarder as an indexer describes it: "ok", "warn" or "bad". */
const char *status_link_health(const json_t *forwarder);

/* The list `troubles` of the picture, which has the other parts; the caller's. */
json_t *status_troubles(const json_t *picture, const struct status_answers *answers);

#endif
