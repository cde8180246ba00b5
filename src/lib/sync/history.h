/*
 * The earlier versions of an object: what this webserver has seen of it and what the datastore
 * has. A webserver that is new has seen none, and an emptied datastore has none, so both are asked;
 * without a datastore it is what is here.
 *
 * Versions are in the order of the present one's past, which is the same everywhere; what is
 * older than that, or lost against it, follows by the time people see.
 */
#ifndef SYNC_HISTORY_H
#define SYNC_HISTORY_H

#include <jansson.h>

#include "sync/sync.h"

/* Appends, newest first, without the present one. A datastore that cannot be reached is no fault.
 */
MUST_CHECK int sync_versions(struct sync *sync, const struct object *present,
                             struct object_list *versions);

/* Pure. */
void sync_order_versions(const struct object *present, struct object_list *versions);
/* Those of {"versions":[...]} that are not in the list yet, and not the version `present`. One that
 * is in the list without a revision gets the datastore's. */
MUST_CHECK int sync_add_versions(const json_t *answer, struct uuid present,
                                 struct object_list *versions);

#endif
