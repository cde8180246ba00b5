/*
 * A webserver's side of the control plane: every write of an object goes through here, every
 * change that others made arrives here. Reads go to the store, whose owner stays the room.
 *
 *     start ──> OFFLINE ──check-in──> CATCHING UP ──feed is through──> LIVE
 *                  ^──────── the datastore is gone: the next one is tried ──┘
 *
 * Without a datastore in the options the store is its own authority: everything works, nothing
 * is ever dirty. Any number of threads may call. Callbacks come from threads of sync's own, for
 * own writes from the writing thread; they must not call sync_write, sync_delete or sync_stop.
 *
 * Protocol: docs/protocols/datastore.md. Decisions are made in sync/core.h, which is pure.
 */
#ifndef SYNC_SYNC_H
#define SYNC_SYNC_H

#include "object/object.h"
#include "store/store.h"

#define SYNC_PROTOCOL 1
/* One version back is accepted; there is none before the first. Each version that was ever released
 * has an exchange in tests/golden. */
#define SYNC_PROTOCOL_OLDEST (SYNC_PROTOCOL > 1 ? SYNC_PROTOCOL - 1 : 1)
#define SYNC_PORT_DEFAULT 9405
#define SYNC_DATASTORES_MAX 16
#define SYNC_WEBSERVERS_MAX 256
#define SYNC_CONFIRM_WAIT_MS 250 /* a local-first write waits this long for the datastore */

struct sync;

enum sync_level { SYNC_INFO, SYNC_WARN, SYNC_ERROR };

struct sync_options {
    struct io *io;
    struct store *store;           /* borrowed */
    const char *const *datastores; /* "host" or "host:port", tried in order, borrowed until
                                      sync_start returns */
    size_t datastore_count;        /* 0: the store is its own authority */
    bool tls;
    bool tls_verify;
    const char *control_secret;
    struct uuid webserver;     /* Webserver-UUID */
    const char *external_addr; /* host:port that others reach this webserver by; may be "" */
    int64_t interval_ms;       /* check-in; 0: 10 s */
    int64_t confirm_wait_ms;   /* of local-first writes; 0: SYNC_CONFIRM_WAIT_MS */

    /* May be NULL. `object` borrows; it may be a tombstone. Own writes are reported too. */
    void (*on_change)(void *context, const struct object *object);
    /* May be NULL. An event for the log; `text` is a sentence. */
    void (*on_event)(void *context, enum sync_level level, const char *event, const char *text);
    void *context;
};

MUST_CHECK int sync_start(const struct sync_options *options, struct sync **ret_sync);
void sync_stop(struct sync **sync); /* may be NULL; waits for its threads */

/* ---- writing ---- */

enum sync_mode {
    SYNC_BY_KIND,      /* as the kind's row says */
    SYNC_LOCAL_FIRST,  /* durable here, pushed at once, waits up to SYNC_CONFIRM_WAIT_MS */
    SYNC_WRITE_THROUGH /* the datastore has it, or nobody */
};

enum sync_outcome {
    SYNC_UNCONFIRMED = 1,   /* local-first: durable here, not yet confirmed ("Synced": false) */
    SYNC_COPIED_BESIDE = 2, /* somebody else was first: theirs stays, this one is a copy beside */
};

/* Creates (object->change zero) or replaces (an object from the store, edited). Sets id (when
 * zero, from randomness), created_ns, updated_ns, change, revision, dirty.
 * 0: the datastore has it (or there is none to have it).
 * ERR_INVALID, ERR_TOO_LARGE: object_validate. ERR_EXISTS: a new object whose id, number or unique
 * name is taken. ERR_CONFLICT: it changed since it was read. ERR_UNAVAILABLE: write-through, and
 * the datastore cannot be reached; the text says why. */
MUST_CHECK int sync_write(struct sync *sync, struct object *object, enum sync_mode mode);

/* Leaves a tombstone. ERR_NOT_FOUND when it is not there. Else as sync_write. */
MUST_CHECK int sync_delete(struct sync *sync, const struct uuid *id, enum sync_mode mode);

/* As above, and with it `beside` (NULL: nothing): a new object of a kind that is only appended to,
 * as the audit line of a change. Local first and alone both are kept or neither, and go on
 * together; written through, `beside` follows and is not waited for. */
MUST_CHECK int sync_write_with(struct sync *sync, struct object *object, struct object *beside,
                               enum sync_mode mode);
MUST_CHECK int sync_delete_with(struct sync *sync, const struct uuid *id, struct object *beside,
                                enum sync_mode mode);

/* What sync_write sets of an object before anything else: id, number, times. */
void sync_complete(struct sync *sync, struct object *object);

/* Objects of one kind from a backup: each comes in the place of whatever is here under its id, a
 * tombstone too, and keeps its times. Either all of them or none, but for kinds written through,
 * which go one by one. Does not wait for the datastore to confirm the others: sync_status.dirty
 * tells. A fault is about one of them (or about the store): with a single one it says which. */
MUST_CHECK int sync_restore(struct sync *sync, struct object *const *objects, size_t count);

/* ---- reading your writes ---- */

uint64_t sync_revision(struct sync *sync); /* what the local store reflects */
/* What a writer here may hear: at least the revision of every write of this webserver that was
 * confirmed, though the feed may not have brought that far yet. Whoever has reached it has them. */
uint64_t sync_revision_told(struct sync *sync);

/* 0 as soon as the local store reflects `revision`; ERR_TIMEOUT. */
MUST_CHECK int sync_wait_revision(struct sync *sync, uint64_t revision, int64_t timeout_ms);

/* ---- blobs ---- */

/* 0 once the blob is in the local store, fetched from the datastore if need be: because it is not
 * here, or damaged. */
MUST_CHECK int sync_blob_fetch(struct sync *sync, const struct object_blob *blob,
                               int64_t timeout_ms);

/* Contents that were given away did not have their hash: looks again, ERR_CORRUPT when it is so,
 * and has them fetched anew. */
int sync_blob_damaged(struct sync *sync, const struct object_blob *blob);

/* ---- state ---- */

enum sync_state {
    SYNC_STATE_ALONE, /* no datastore configured */
    SYNC_STATE_OFFLINE,
    SYNC_STATE_CATCHING_UP,
    SYNC_STATE_LIVE,
};

struct sync_status {
    enum sync_state state;
    char datastore[256]; /* the one in use or tried last; "" when alone */
    char reason[256];    /* OFFLINE: why */
    int64_t since_ns;    /* wall clock of the last change of state */
    uint64_t revision;
    uint64_t upstream_revision;                            /* as last heard */
    uint64_t dirty;                                        /* objects waiting to be pushed */
    uint64_t applied, pushed, conflicts, refused, resyncs; /* counters since start */
};
void sync_status(struct sync *sync, struct sync_status *ret_status);
const char *sync_state_name(enum sync_state state);

struct sync_webserver {
    struct uuid id;
    char external_addr[256];
    char version[64];
    uint64_t revision;
    int64_t seen_ms; /* since its last sign of life */
    bool up;
};

/* The webservers the datastore knows, oneself included; up to `max`, returns how many. */
size_t sync_webservers(struct sync *sync, struct sync_webserver *ret_webservers, size_t max);

#endif
