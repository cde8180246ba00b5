/*
 * What datastores keep in etcd, all below the prefix (docs/formats/etcd.md):
 *
 *     P/head              "105 0b9c...": the last revision, and a word that no other head has
 *     P/epochs            identity and epochs of both files
 *     P/object/<id>       one object, tombstones too
 *     P/webserver/<id>    its last check-in
 *     P/datastore/<run>   a datastore that is up, and its address
 *
 * Every change of objects compares and replaces the head, so that all of them are in one order,
 * judged on everything before them. The head is the last put of its transaction: whoever sees it
 * in a watch has seen the rest.
 */
#ifndef ETCD_LAYOUT_H
#define ETCD_LAYOUT_H

#include "etcd/client.h"
#include "store/store.h"
#include "sync/server.h"

#define ETCD_FORMAT 1
#define ETCD_EPOCHS_KEPT 1024
#define ETCD_TOKEN_BYTES UUID_TEXT_BYTES

enum etcd_outcome { ETCD_ABSENT = 1 };

struct etcd_head {
    uint64_t revision;
    char token[ETCD_TOKEN_BYTES];
};

/* Identity and epochs of both files. */
struct etcd_lineage {
    struct sync_lineage files[OBJECT_FILES]; /* epochs owned */
    uint64_t mod;                            /* etcd's revision of the key */
};
void etcd_lineage_deinit(struct etcd_lineage *lineage);

/* The caller's (mem_free). */
char *etcd_key(const struct etcd *etcd, const char *name); /* P/name */
char *etcd_key_of(const struct etcd *etcd, const char *folder, const struct uuid *id);
/* The id at the end of a key in that folder; false for any other key. */
bool etcd_key_id(const struct etcd *etcd, struct span key, const char *folder, struct uuid *ret_id);

struct etcd_head etcd_head_new(struct io *io, uint64_t revision);
char *etcd_head_text(const struct etcd_head *head);
MUST_CHECK int etcd_head_parse(struct span text, struct etcd_head *ret_head);
json_t *etcd_if_head(const struct etcd *etcd, const struct etcd_head *head);
json_t *etcd_put_head(const struct etcd *etcd, const struct etcd_head *head);
json_t *etcd_put_lineage(const struct etcd *etcd, const struct etcd_lineage *lineage);
MUST_CHECK int etcd_lineage_parse(struct span text, struct etcd_lineage *ret_lineage);

/* As the store has it; sees the calling thread's transaction. */
MUST_CHECK int etcd_lineage_of_store(struct store *store, struct etcd_lineage *ret_lineage);
/* A next epoch of both files, from `revision` on. */
void etcd_lineage_begin_epoch(struct etcd_lineage *lineage, struct io *io, uint64_t revision);
/* `ours` at `revision` is part of their past, who are at `their_revision`. */
bool etcd_lineage_contains(const struct etcd_lineage *theirs, uint64_t their_revision,
                           const struct etcd_lineage *ours, uint64_t revision);

/* Head and epochs as they are together; ETCD_ABSENT: nothing is kept there yet. Linearizable: no
 * earlier commit of anybody is missing. *ret_now (may be NULL) is etcd's revision of this view. */
MUST_CHECK int etcd_read(struct etcd *etcd, unsigned timeout_ms, struct etcd_head *ret_head,
                         struct etcd_lineage *ret_lineage, uint64_t *ret_now);

/* Walks the objects changed after etcd's revision `after` as they were at `at`, by id. `unreadable`
 * is told of those that cannot be read, and the walk goes on; NULL: it ends. */
MUST_CHECK int etcd_walk(struct etcd *etcd, uint64_t after, uint64_t at,
                         int (*each)(void *context, struct object **takes),
                         void (*unreadable)(void *context, const char *text), void *context);
/* How many objects there are. */
MUST_CHECK int etcd_count(struct etcd *etcd, uint64_t *ret_count);

#endif
