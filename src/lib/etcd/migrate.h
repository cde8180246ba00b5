/*
 * Moving a datastore between its own SQLite files and etcd, either way: every object with its
 * revision, tombstones too, identity and epochs, so that webservers go on as if nothing had
 * happened. Contents stay where they are, in Datastore-Resource-Store. Earlier versions stay too:
 * each webserver has its own.
 *
 * The target must hold nothing. What was begun and broken off is no datastore: it can be begun
 * again. Counted at the end on both sides; ERR_CORRUPT when they differ.
 */
#ifndef ETCD_MIGRATE_H
#define ETCD_MIGRATE_H

#include "etcd/client.h"
#include "store/store.h"

struct etcd_migration {
    struct etcd *etcd;
    struct store *store; /* into etcd: opened as authority; out of it: shared */
    struct io *io;
    void (*progress)(void *context, uint64_t objects, uint64_t bytes); /* more of them */
    void *context;
    uint64_t objects; /* set: how many were moved, tombstones too */
    uint64_t revision;
};

/* ERR_EXISTS: the target holds a datastore. */
MUST_CHECK int etcd_migrate_in(struct etcd_migration *migration);
/* ERR_CONFLICT: a datastore is running over this etcd. */
MUST_CHECK int etcd_migrate_out(struct etcd_migration *migration);

/* Objects of a store, tombstones too, and about how many bytes they are. */
MUST_CHECK int etcd_migrate_measure(struct store *store, uint64_t *ret_objects,
                                    uint64_t *ret_bytes);

#endif
