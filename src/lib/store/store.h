/*
 * A store of objects: two SQLite files of one schema (accounts; everything else) and a directory
 * of blobs. The same on a webserver and on the datastore, so that either can be copied over the
 * other. It keeps what it is told, durably and atomically; what a change means to its peers is
 * decided in sync/ (sync/core.h), which does all the writing on both sides.
 *
 *     store_open ──> open ──store_begin──> one writer ──store_commit / store_abort──> open
 *
 * Any number of threads. Reads see the last commit, never wait for the writer, and each returned
 * object belongs to the caller. Between begin and commit the store belongs to one thread;
 * others wait in store_begin. Revisions and epochs: docs/formats/store.md.
 *
 * Faults: ERR_CORRUPT names the file and what SQLite says, ERR_NO_SPACE a full disk. A failed
 * write leaves the store as it was before store_begin.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "io/io.h"
#include "object/access.h"
#include "object/object.h"

#define STORE_VERSIONS_DEFAULT 20
#define STORE_EPOCHS_MAX 4096
#define STORE_UNREADABLE_MAX 1024 /* rows; of a store with more of them lists end with a fault */

struct store;

struct store_options {
    struct io *io;
    const char *users_path; /* users.db */
    const char *web_path;   /* webstore.db */
    const char *blob_dir;
    bool authority; /* this store gives revisions: a datastore, or a webserver without one */
    bool shared;    /* authority, one of several over one truth elsewhere (etcd/): identity and
                       epochs come from there by store_set_lineage, none are made here */
    uint32_t versions_max;   /* earlier versions kept per object; 0: STORE_VERSIONS_DEFAULT */
    int64_t versions_age_ns; /* those replaced longer ago go with the next change; 0: no limit */

    /* A row that cannot be read was met, the first time in this life: its kind and id, what of it,
     * what then. Lists go on without it. From the reading thread, which must not begin a
     * transaction here. NULL: they end with ERR_CORRUPT. */
    void (*on_unreadable)(void *context, const char *text);
    void *context;
};

/* Creates what is missing, with the directories. */
MUST_CHECK int store_open(const struct store_options *options, struct store **ret_store);
void store_close(struct store **store); /* may be NULL; moves the log into the files */

/* ---- reading ---- */

enum store_outcome { STORE_ABSENT = 1 };

/* Live objects only; STORE_ABSENT for none (a tombstone is none). */
MUST_CHECK int store_get(struct store *store, const struct uuid *id, struct object **ret_object);
MUST_CHECK int store_get_by_number(struct store *store, enum object_kind kind, uint64_t number,
                                   struct object **ret_object);
/* `owner` < 0: whoever's. The oldest one of several. */
MUST_CHECK int store_get_by_name(struct store *store, enum object_kind kind, int32_t owner,
                                 const char *name, struct object **ret_object);

/* Tombstones too. */
MUST_CHECK int store_get_any(struct store *store, const struct uuid *id,
                             struct object **ret_object);

enum store_order {
    STORE_BY_NAME,
    STORE_NEWEST_FIRST, /* by created_ns: search history */
    STORE_BY_REVISION,
};

struct store_query {
    enum object_kind kind;                    /* or OBJECT_ANY */
    const struct object_principal *principal; /* lists what it may OBJECT_LIST; NULL: everything */
    bool by_owner;                            /* only those of `owner` */
    int32_t owner;
    bool by_group; /* only those shared with `gid` */
    int32_t gid;
    const struct uuid *guid; /* only those with this guid; NULL: any */
    const char *name;        /* only those with this name; NULL: any */
    bool (*filter)(void *context, const struct object *object); /* NULL: all; before paging */
    void *context;
    enum store_order order;
    size_t skip;
    size_t limit; /* 0: no limit */
};

struct object_list {
    struct object **items; /* owned, each too */
    size_t count;
    size_t capacity;
};
void object_list_deinit(struct object_list *list);

/* Appends. Live objects only. */
MUST_CHECK int store_list(struct store *store, const struct store_query *query,
                          struct object_list *list);

/* As store_list, one at a time, without keeping them: `each` borrows the object; a non-zero
 * return stops the walk and is returned. */
MUST_CHECK int store_walk(struct store *store, const struct store_query *query,
                          int (*each)(void *context, const struct object *object), void *context);

MUST_CHECK int store_count(struct store *store, enum object_kind kind, uint64_t *ret_count);

/* The highest number a kind ever used, tombstones included; 0 for none. For the next uid. */
MUST_CHECK int store_number_max(struct store *store, enum object_kind kind, uint64_t *ret_number);

/* Earlier versions, newest first; as they were. At most store_options.versions_max. */
MUST_CHECK int store_versions(struct store *store, const struct uuid *id, struct object_list *list);

/* Everything after `revision`, in order, tombstones too, at most `limit`. What is dirty here is
 * left out: its contents are nobody else's yet. */
MUST_CHECK int store_changes(struct store *store, uint64_t revision, size_t limit,
                             struct object_list *list);

/* What waits to be pushed, in the order it was written, after place `after`; *ret_last is the
 * place of the last one. */
MUST_CHECK int store_dirty(struct store *store, uint64_t after, size_t limit,
                           struct object_list *list, uint64_t *ret_last);
MUST_CHECK int store_dirty_count(struct store *store, uint64_t *ret_count);

/* All of a file, dirty or not, tombstones too, by id from after `after` (NULL: the first). */
MUST_CHECK int store_scan(struct store *store, enum object_file file, const struct uuid *after,
                          size_t limit, struct object_list *list);

/* The datastore's version of an object that is dirty here (it arrived meanwhile). */
MUST_CHECK int store_get_shadow(struct store *store, const struct uuid *id,
                                struct object **ret_object);

/* Where a change id was taken, while it is remembered. */
struct store_change {
    struct uuid object;
    uint64_t revision;
};
MUST_CHECK int store_find_change(struct store *store, const struct uuid *change,
                                 struct store_change *ret_change);

/* What on_unreadable was told of; *ret_ids is the caller's (mem_free), NULL: only the count. */
size_t store_unreadable(struct store *store, struct uuid **ret_ids);
bool store_is_unreadable(struct store *store, const struct uuid *id);

/* ---- one moment of both files, for backups ---- */

struct store_snapshot;

/* Waits for the writer, then sees the last commit for as long as it is open, whatever is written
 * meanwhile; the logs cannot be emptied until it is closed. By one thread. */
MUST_CHECK int store_snapshot_open(struct store *store, struct store_snapshot **ret_snapshot);
/* Live objects of a kind by id; as store_walk. */
MUST_CHECK int store_snapshot_walk(struct store_snapshot *snapshot, enum object_kind kind,
                                   int (*each)(void *context, const struct object *object),
                                   void *context);
uint64_t store_snapshot_revision(const struct store_snapshot *snapshot);
void store_snapshot_close(struct store_snapshot **snapshot); /* may be NULL */

/* ---- where the store stands ---- */

struct store_epoch {
    struct uuid epoch;
    struct uuid parent; /* zero: the beginning of a datastore */
    uint64_t start;     /* revisions above this one belong to it */
    bool main;          /* of this store's own past; else learnt from another */
};

struct store_place {
    struct uuid identity; /* of the datastore whose revisions these are; zero: none yet */
    struct uuid epoch;    /* the last one of the own past */
    uint64_t revision;    /* the highest revision of an object or shadow in this file */
    uint64_t cursor;      /* webserver: everything up to here has been applied */
    uint64_t seen;        /* webserver: the datastore's highest in this file when it was read;
                             what had been replaced by then was passed over */
};
MUST_CHECK int store_place(struct store *store, enum object_file file,
                           struct store_place *ret_place);

/* The whole tree, parents first; *ret_epochs is the caller's (mem_free). */
MUST_CHECK int store_epochs(struct store *store, enum object_file file,
                            struct store_epoch **ret_epochs, size_t *ret_count);

uint64_t store_cursor(struct store *store, enum object_file file); /* as in store_place, quickly */
uint64_t store_revision(struct store *store); /* datastore: given last; webserver: the cursor */

/* ---- writing: between store_begin and its end, by one thread ---- */

enum store_durability {
    STORE_DURABLE, /* on disk when store_commit returns */
    STORE_LAZY,    /* on disk with the next durable commit: what can be fetched again */
};

MUST_CHECK int store_begin(struct store *store, enum store_durability durability);
MUST_CHECK int store_commit(struct store *store);
void store_abort(struct store *store);

/* Inside a transaction the getters above see it too, when called by the writing thread. */

/* The next revision of an authority. */
MUST_CHECK int store_next_revision(struct store *store, uint64_t *ret_revision);

/* Shared: another datastore gave revisions up to this one. Never goes back. */
MUST_CHECK int store_reach_revision(struct store *store, uint64_t revision);

/* Keeps the object as it is, whatever was there. What it replaces goes to the versions; its
 * change id is remembered. A dirty object that was clean goes to the end of the dirty order. */
MUST_CHECK int store_put(struct store *store, const struct object *object);
/* NULL removes it. */
MUST_CHECK int store_put_shadow(struct store *store, const struct uuid *id,
                                const struct object *object);
/* A version that lost: goes to the versions of its object without ever being current. Once. */
MUST_CHECK int store_put_version(struct store *store, const struct object *object);
/* Really gone, tombstone and all. For replicas that were told so. */
MUST_CHECK int store_forget(struct store *store, const struct uuid *id);

MUST_CHECK int store_set_cursor(struct store *store, enum object_file file, uint64_t cursor);
MUST_CHECK int store_set_seen(struct store *store, enum object_file file, uint64_t revision);
/* Webserver, shared authority: takes over the datastore's past as its own; rows it has stay as
 * they are. */
MUST_CHECK int store_set_lineage(struct store *store, enum object_file file,
                                 const struct uuid *identity, const struct uuid *last,
                                 const struct store_epoch *epochs, size_t count);
/* Datastore: learns another past, to be able to compare with it. */
MUST_CHECK int store_add_epochs(struct store *store, enum object_file file,
                                const struct store_epoch *epochs, size_t count);

/* Remembers small things of the owner ("sync.run"); "" when never set. */
MUST_CHECK int store_set_note(struct store *store, const char *key, const char *value);
MUST_CHECK int store_get_note(struct store *store, const char *key, struct buf *buf);

/* ---- blobs: named by the SHA-256 of their contents, written once, streamed ---- */

struct store_blob_writer;

MUST_CHECK int store_blob_begin(struct store *store, uint64_t bytes_max,
                                struct store_blob_writer **ret_writer);
/* ERR_TOO_LARGE beyond bytes_max. */
MUST_CHECK int store_blob_write(struct store_blob_writer *writer, struct span data);
/* Durable on return, and there for readers. With `expected`: ERR_CORRUPT when the contents have
 * another hash. Clears *writer in any case. */
MUST_CHECK int store_blob_commit(struct store_blob_writer **writer, const uint8_t expected[32],
                                 struct object_blob *ret_blob);
void store_blob_abort(struct store_blob_writer **writer); /* may be NULL */

bool store_blob_has(struct store *store, const uint8_t sha256[32]);
/* The caller reads with io_read_at and closes. ERR_NOT_FOUND when it is not (yet) here. */
MUST_CHECK int store_blob_open(struct store *store, const uint8_t sha256[32],
                               struct io_file **ret_file, uint64_t *ret_bytes);
/* Where the file is, or would be; the caller's (mem_free). It never changes once it is there. */
char *store_blob_path(struct store *store, const uint8_t sha256[32]);
/* Somebody is about to name it in an object: its time as an unused one begins anew. */
void store_blob_spare(struct store *store, const uint8_t sha256[32]);

#define STORE_UNUSED_NS (24 * 3600 * INT64_C(1000000000)) /* daemons keep unused contents a day */
#define STORE_SWEEP_NS (3600 * INT64_C(1000000000))       /* and look every hour */
struct store_swept {
    uint64_t unused;  /* files that no object, tombstone, shadow or earlier version names */
    uint64_t removed; /* of these: all that were found unused for so long, in this process */
};
/* Outside a transaction. Whatever clocks and file times say: what is put or spared begins anew. */
MUST_CHECK int store_blobs_sweep(struct store *store, int64_t unused_ns,
                                 struct store_swept *ret_swept);
/* Live objects' blobs that are not here. */
MUST_CHECK int store_blobs_missing(struct store *store, size_t limit, struct object_list *list);
/* Hashes the file again and compares. ERR_CORRUPT: damaged; it is moved aside. */
MUST_CHECK int store_blob_verify(struct store *store, const uint8_t sha256[32]);

/* Moves the write-ahead logs into the files, so that a plain copy of them is whole. Cheap when
 * there is nothing to do. */
MUST_CHECK int store_checkpoint(struct store *store);
/* The same, once a minute or in a pause: writers wait for a checkpoint and its syncs. */
MUST_CHECK int store_checkpoint_in_pause(struct store *store);

#endif
