/*
 * The datastore's side: takes pushes, gives revisions, feeds changes, knows who is up. The room
 * (src/datastore) puts HTTP around it. It owns all writing of its store.
 *
 * Any number of threads. Pushes that wait while another one is on its way to the disk go there
 * together, with one sync. docs/protocols/datastore.md.
 */
#ifndef SYNC_SERVER_H
#define SYNC_SERVER_H

#include "sync/sync.h"

#define SYNC_SERVER_RECENT 8192 /* changes kept in memory for the feeds; older ones are read */
#define SYNC_SERVER_RECENT_BYTES (64u << 20) /* of them; the last one is kept whatever it has */
#define SYNC_PUSH_OBJECTS_MAX 1024
#define SYNC_PUSH_BYTES_MAX (64u << 20)
#define SYNC_MISSED_MAX 3 /* check-ins, then a webserver is down */

struct sync_server;
struct sync_feed;

/* A change on its way into a shared truth. */
struct sync_change {
    struct uuid id;
    uint64_t revision;
    struct span json; /* the object, object_to_json */
};

/* Some changes that were judged together on what the truth was at revision `base`. */
struct sync_proposal {
    uint64_t base;
    uint64_t revision; /* of the last one; `base` when there are none */
    const struct sync_change *changes;
    size_t count;
    bool epochs; /* the store learnt epochs that the others must know too */
};

enum sync_backend_outcome { SYNC_BACKEND_BEHIND = 1 };

/*
 * Where the truth is when several datastores share one and the store is but a cache of it
 * (etcd/follower.h). What comes from the others arrives by sync_server_apply. All of these may
 * block; commit and learnt are called within a transaction of the store.
 */
struct sync_backend {
    size_t changes_max; /* of a proposal; at least 2 */
    size_t bytes_max;   /* of all of its JSON; a larger object is alone in its proposal */
    /* 0: the proposal is part of the truth, and the note says so in the store once it commits.
     * SYNC_BACKEND_BEHIND: it is not, the truth went on. Negative: not known. */
    int (*commit)(void *context, const struct sync_proposal *proposal);
    /* The store has everything that was part of the truth when this was called. */
    int (*catch_up)(void *context);
    /* The contents would outlive this datastore, or it is the only one. */
    bool (*blob_is_safe)(void *context, const uint8_t sha256[32]);
    void (*checked_in)(void *context, const json_t *request);
    void *context;
};

struct sync_server_options {
    struct io *io;
    struct store *store;                /* borrowed, opened as authority */
    const struct sync_backend *backend; /* NULL: the store is the truth; else `shared`. Borrowed */
    void (*on_event)(void *context, enum sync_level level, const char *event, const char *text);
    void *context;
};

/* A store that was a webserver's until now is taken over: what was waiting there to be pushed is
 * accepted. */
MUST_CHECK int sync_server_new(const struct sync_server_options *options,
                               struct sync_server **ret_server);
/* No feed may be open, no call under way. */
void sync_server_free(struct sync_server **server);
/* Wakes all feeds: their next call says ERR_CANCELLED. */
void sync_server_stop(struct sync_server *server);

/* ERR_INVALID names the member; ERR_UNSUPPORTED: a protocol this program does not speak.
 * *ret_answer is a new reference. */
MUST_CHECK int sync_server_check_in(struct sync_server *server, const json_t *request,
                                    json_t **ret_answer);
/* As above; ERR_CONFLICT: the push was meant for an earlier process: check in again. */
MUST_CHECK int sync_server_push(struct sync_server *server, const json_t *request,
                                json_t **ret_answer);
/* {"webservers":[...]}, a new reference. */
json_t *sync_server_webservers(struct sync_server *server);

/* {"versions":[...]}: what the object was before, newest first; a new reference. */
MUST_CHECK int sync_server_versions(struct sync_server *server, const struct uuid *id,
                                    json_t **ret_answer);

/* ---- contents that are gone or damaged: check-ins ask webservers for them ---- */

#define SYNC_WANTED_MAX 64 /* asked for at once */
/* Looks for contents of live objects that are not here. Walks all of them. */
MUST_CHECK int sync_server_look_for_blobs(struct sync_server *server);
/* Somebody got other contents than these: hashes them, moves them aside when they are damaged. */
MUST_CHECK int sync_server_verify_blob(struct sync_server *server, const uint8_t sha256[32],
                                       bool *ret_whole);

/* What another datastore made part of the truth: objects above what the store has, in order, and
 * the epochs, when they are new (NULL: they are not). `note` as for store_set_note, may be NULL.
 * ERR_CONFLICT: these epochs do not continue what is here. */
struct sync_applied {
    struct object *const *objects;
    size_t count;
    uint64_t revision; /* 0: unchanged */
    const struct sync_lineage *lineage;
    const char *note;
};
struct sync_lineage {
    struct uuid identity, last;
    struct store_epoch *epochs;
    size_t count;
};
MUST_CHECK int sync_server_apply(struct sync_server *server, const struct sync_applied *applied);
#define SYNC_BACKEND_NOTE "backend"

/* As if the webserver had checked in here. */
void sync_server_hear(struct sync_server *server, const json_t *request);
/* Says why nothing is taken or told: calls and feeds end with ERR_UNAVAILABLE. NULL: all well. */
void sync_server_set_away(struct sync_server *server, const char *why);
uint64_t sync_server_revision(struct sync_server *server);
/* Waits; false when it is not reached in time. */
bool sync_server_wait_revision(struct sync_server *server, uint64_t revision, int64_t timeout_ms);

struct sync_feed_options {
    bool objects;    /* else only who is up */
    uint64_t since;  /* changes above this revision */
    const char *run; /* NULL: any; else ERR_CONFLICT when it is not this process */
};
MUST_CHECK int sync_feed_open(struct sync_server *server, const struct sync_feed_options *options,
                              struct sync_feed **ret_feed);
/* Appends whole lines of JSON: what there is, or after timeout_ms a sign of life.
 * ERR_CANCELLED: the server stops. One thread per feed. */
MUST_CHECK int sync_feed_next(struct sync_feed *feed, int64_t timeout_ms, struct buf *lines);
void sync_feed_close(struct sync_feed **feed); /* may be NULL */

struct sync_server_stats {
    uint64_t revision;
    uint64_t pushes, commits; /* commits < pushes: they went together */
    uint64_t verdicts[6];     /* by enum sync_verdict */
    uint64_t feeds, webservers_up, webservers_known;
    uint64_t unreadable; /* rows of the store that feeds go on without (store_unreadable) */
};
void sync_server_stats(struct sync_server *server, struct sync_server_stats *ret_stats);

#endif
