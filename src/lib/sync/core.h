/*
 * What decides in the control plane: pure, no clock, disk or socket. The webserver's driver
 * (sync.c), the datastore's server (server.c) and the simulator (sim_test.c) all do exactly what
 * is said here.
 *
 * Three parts:
 *   the tree   which of two versions is part of the other's past, across datastores that were
 *              restored, emptied or replaced;
 *   versions   what a change, an arriving change, an answer do to an object;
 *   the link   when a webserver checks in, follows the feed, pushes, rescues.
 *
 * The rules in words: docs/protocols/datastore.md.
 */
#ifndef SYNC_CORE_H
#define SYNC_CORE_H

#include "object/object.h"
#include "store/store.h"

/* ---- the tree of epochs ---- */

/* Borrows. Rows in any order. */
struct sync_tree {
    const struct store_epoch *epochs;
    size_t count;
};

/* The version born at `a` is `b`'s own or was part of its past. */
bool sync_tree_precedes(const struct sync_tree *tree, struct object_stamp a, struct object_stamp b);

/* Where a revision of the own past (rows with `main`) was born; epoch zero when unknown. `last`
 * is the newest epoch of that past. */
struct object_stamp sync_tree_stamp(const struct sync_tree *tree, struct uuid last,
                                    uint64_t revision);

/* The highest revision that a webserver (its tree, last epoch and highest revision) has in common
 * with a datastore: what lies above it was lost there. */
uint64_t sync_tree_common(const struct sync_tree *ours, struct uuid our_last, uint64_t our_revision,
                          const struct sync_tree *theirs, struct uuid their_last,
                          uint64_t their_revision);

/* ---- versions: webserver ---- */

/* Makes `wanted` the next local version of `stored` (NULL: there is none): sets its sync fields. */
void sync_edit(const struct object *stored, struct object *wanted, struct uuid change);

enum sync_arrival {
    SYNC_ARRIVAL_APPLY,  /* store it in place of the local one, drop the shadow */
    SYNC_ARRIVAL_SHADOW, /* keep it beside the local one, which is not pushed yet */
    SYNC_ARRIVAL_SKIP,   /* known */
};
/* `shadow`: what is kept beside a dirty `local`; NULL: nothing. */
enum sync_arrival sync_receive(const struct object *local, const struct object *shadow,
                               const struct object *incoming);

enum sync_verdict {
    SYNC_ACCEPTED,   /* it is the current version */
    SYNC_DUPLICATE,  /* it had been accepted before */
    SYNC_SUPERSEDED, /* the datastore's stays; nothing was lost, or it is kept as a version */
    SYNC_COPIED,     /* the datastore's stays; the pushed one is an object beside it */
    SYNC_REFUSED,    /* never will be; the answer says why */
    SYNC_NEEDS_BLOB, /* push its blob first, then again */
};
const char *sync_verdict_name(enum sync_verdict verdict);
bool sync_verdict_by_name(const char *name, enum sync_verdict *ret_verdict);

struct sync_answer {
    enum sync_verdict verdict;
    uint64_t revision;           /* accepted, duplicate: of the version that was pushed */
    const struct object *object; /* borrows; the datastore's version, when it is another one */
    const struct object *copy;   /* borrows; copied: the object beside, to be received too */
};

/* What an answer to the push of `pushed` does to the local object (NULL: gone) and its shadow
 * (NULL: none). *ret_object: what to store, the caller's (NULL: nothing). *ret_shadow: what to
 * keep as shadow: `shadow`, answer->object or NULL; borrows. */
void sync_settle(const struct object *local, const struct object *shadow,
                 const struct object *pushed, const struct sync_answer *answer,
                 struct object **ret_object, const struct object **ret_shadow);

/* The datastore lost revisions above `common`. Turns a clean or dirty object into one to be
 * rescued; false when it need not be. */
bool sync_rescue(struct object *object, const struct sync_tree *tree, struct uuid last,
                 uint64_t common);

/* ---- versions: datastore ---- */

/* Deliberate faults, for the test that the simulator notices. */
enum sync_canary {
    SYNC_CANARY_NONE,
    SYNC_CANARY_LAST_WRITE_WINS, /* ignores the base */
    SYNC_CANARY_FORGETS_CHANGES, /* takes a repeated push for a new one */
    SYNC_CANARY_NO_TOMBSTONES,   /* lets a rescue bring back what was deleted */
    SYNC_CANARY_TRUSTS_REVISION, /* notices a lost past by the revision number alone */
    SYNC_CANARY_NO_RESCUE,       /* does not notice a lost past */
    SYNC_CANARIES,
};

struct sync_case {
    const struct object *current; /* NULL: unknown; a tombstone counts */
    const struct object *pushed;
    bool change_known; /* pushed->change is remembered */
    bool copied;       /* and there is the object sync_copy_id(pushed): it was copied then */
    const struct sync_tree *tree;
    struct uuid last; /* newest epoch of the own past */
    enum sync_canary canary;
};

enum sync_verdict sync_judge(const struct sync_case *the_case);

/* The object to store for an accepted push, and for a copied one. The caller's. */
struct object *sync_accepted(const struct sync_case *the_case, uint64_t revision);
struct object *sync_copied(const struct sync_case *the_case, uint64_t revision);
/* The id that the copy of a change has. When there is an object with it, the change has been
 * copied before, and that one (it may have been edited since) must stay as it is. */
struct uuid sync_copy_id(const struct object *object);
/* Superseded: the current version once more, knowing now what the pushed one had replaced, so
 * that none of it ever displaces a successor. NULL when it knew. The caller's. */
struct object *sync_merged(const struct sync_case *the_case);
/* Tells the owner about a copy. */
struct object *sync_notice(const struct object *copy, const struct object *current, int64_t now_ns,
                           uint64_t revision);

/* Tells the administrator that a datastore (its newest epoch) had lost what came after `common`,
 * and that it has it again. To be given to sync_edit. */
struct object *sync_notice_lost(struct uuid their_last, uint64_t common, uint64_t rescued,
                                int64_t now_ns);

/* A webserver judges itself, because the datastore that had the shadow (`current`) lost it:
 * `pushed` is the dirty local object, the tree its own. Both results are the caller's; *ret_copy
 * may be NULL. */
void sync_fork(const struct sync_case *the_case, struct object **ret_object,
               struct object **ret_copy);

/* ---- the link of a webserver to its datastores ---- */

enum sync_link_state {
    SYNC_LINK_OFFLINE,  /* waits to try again */
    SYNC_LINK_CHECKING, /* a check-in is under way, the first with this datastore */
    SYNC_LINK_CATCHING_UP,
    SYNC_LINK_LIVE,
};

struct sync_link {
    enum sync_link_state state;
    size_t datastore_count;
    size_t datastore; /* the one in use or tried */
    size_t tried;     /* in a row without success */
    struct uuid run;  /* of the datastore's process; zero: never connected */
    bool feed_open;
    bool rescuing; /* pushes wait until the feed is through */
    bool pushing;  /* a push is under way */
    bool dirty;    /* there may be something to push */
    bool checking; /* a check-in is under way */
    bool waiting;  /* no datastore has room for what is pushed: it is tried at the next check-in */
    size_t full;   /* datastores in a row that had none */
    int64_t next_ms; /* when to check in next */
    int64_t interval_ms;
    enum sync_canary canary;
};

#define SYNC_RETRY_MS 250 /* between rounds through the datastores */

enum sync_event_type {
    SYNC_EVENT_TIME,    /* now_ms */
    SYNC_EVENT_DIRTY,   /* something was written here */
    SYNC_EVENT_CHECKED, /* the check-in was answered: run, files */
    SYNC_EVENT_CHECK_FAILED,
    SYNC_EVENT_THROUGH,     /* the feed has sent all there was when it was opened */
    SYNC_EVENT_FEED_ENDED,  /* or could not be opened */
    SYNC_EVENT_PUSHED,      /* answered and settled; `more` */
    SYNC_EVENT_PUSH_FAILED, /* `run`: of the datastore that it was meant for; `full` */
    SYNC_EVENT_LOST,        /* `run`: a call found that datastore gone or another process */
};

/* What is known of one file at a check-in. */
struct sync_file_view {
    struct sync_tree ours;
    struct store_place place; /* ours */
    struct sync_tree theirs;
    struct uuid their_last;
    uint64_t their_revision;
    struct uuid their_identity;
};

struct sync_event {
    enum sync_event_type type;
    int64_t now_ms;
    struct uuid run;                    /* checked, push failed, lost */
    const struct sync_file_view *files; /* checked, another run: OBJECT_FILES of them */
    bool more;                          /* pushed: the round was cut, there is more */
    bool full;                          /* push failed: it answers, but has no room */
};

enum sync_action {
    SYNC_DO_CHECK_IN = 1,
    SYNC_DO_CLOSE_FEED = 2,
    SYNC_DO_ADOPT = 4,     /* store the lineages, rescue and move the cursors as `files` says */
    SYNC_DO_OPEN_FEED = 8, /* after the lower of the cursors */
    SYNC_DO_PUSH = 16,
    SYNC_DO_TELL = 32, /* the state changed */
};

struct sync_file_action {
    bool lost;       /* the datastore lost something of ours: sync_rescue() everything dated */
    uint64_t common; /* above this */
    uint64_t cursor;
};

struct sync_actions {
    unsigned what; /* sync_action bits, to be done from the lowest up */
    struct sync_file_action files[OBJECT_FILES]; /* adopt */
};

void sync_link_init(struct sync_link *link, size_t datastore_count, int64_t interval_ms);

/* Takes one event, says what is to be done. */
void sync_step(struct sync_link *link, const struct sync_event *event,
               struct sync_actions *ret_actions);

#endif
