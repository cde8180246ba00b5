/*
 * Objects that do not fit into a transaction of etcd: their JSON is put beside, in parts of 1 MB
 * under a name that is used once, before the transaction that makes them current. The object's own
 * key then has, in the place of its JSON, what names the parts:
 *
 *     P/object/<id> {"id":...,"revision":9,"parts":{"name":"<uuid>","count":3,"bytes":N}}
 *     P/part/<id>/<uuid>/<0000>   the first of them
 *
 * Parts never change. Those that no object names (replaced, or put for a transaction that did not
 * happen) are removed when they were found so in two rounds, an hour apart.
 */
#ifndef ETCD_PARTS_H
#define ETCD_PARTS_H

#include "base/map.h"
#include "etcd/client.h"
#include "object/object.h"

#define ETCD_LARGE_BYTES 524288 /* JSON above this is put in parts */
#define ETCD_PART_BYTES 1000000

/* Puts the parts, if there must be some, and appends to `value` what the object's key is to have.
 */
MUST_CHECK int etcd_parts_put(struct etcd *etcd, struct io *io, const struct uuid *id,
                              uint64_t revision, struct span json, struct buf *value);

enum etcd_parts_outcome { ETCD_PARTS_GONE = 1 };

/* The object that a key has as its value. ETCD_PARTS_GONE: it has been replaced for an hour.
 * ERR_UNSUPPORTED as object_from_json; ERR_CORRUPT: it is no object. */
MUST_CHECK int etcd_parts_get(struct etcd *etcd, struct span value, struct object **ret_object);

/* One round. `suspects` are the keeper's between rounds: names of parts that no object named. */
MUST_CHECK int etcd_parts_sweep(struct etcd *etcd, struct map *suspects, uint64_t *ret_removed);

#endif
