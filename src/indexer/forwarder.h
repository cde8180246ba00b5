/*
 * A forwarder: one thread that brings another indexer what it lacks of this one's datalog.
 *
 *     start ──> CONNECTING ──welcome──> CATCHING UP <──> FOLLOWING
 *                   ^  ^──fault: a pause that grows to one second──┘
 *                   └──> NEEDS A SNAPSHOT: the target lacks what our log has no more
 *
 * Where it starts in the log follows from what the target holds; its durable cursor
 * "forward-<name>" only keeps the log from being trimmed. What decides is replicate/core.h.
 * It is independent of all others: a target that is gone delays nobody.
 */
#ifndef INDEXER_FORWARDER_H
#define INDEXER_FORWARDER_H

#include "indexer/link.h"
#include "indexer/link_filter.h"
#include "indexer/link_poison.h"

#define FORWARDER_PREFIX "forward-"
#define FORWARDER_ROUND_PREFIX "round-" /* of cursors that go with their forwarder */
#define FORWARDER_ROUND SIZE_MAX
#define FORWARDER_WINDOW_BYTES ((uint64_t)32 << 20) /* sent and not acknowledged */
#define FORWARDER_PAUSE_MS_MIN 20
#define FORWARDER_PAUSE_MS_MAX 1000

struct forwarder;

/* What it borrows must outlive it. */
struct forwarder_options {
    struct io *io;
    struct storage *storage;
    const char *name;
    const char *target; /* as the config has it, and */
    struct ingest_target address;
    bool tls_insecure;
    const char *secret;
    int level;           /* of zstd; 0: plain */
    uint64_t rate_bytes; /* per second; 0: as fast as it goes */
    struct link_filter_options filter;
    const struct uuid *ignored; /* nodes whose records are not forwarded */
    size_t ignored_count;
    struct link_members *members;
    struct link_poison *poison;
    size_t target_index; /* of link_members_met(); FORWARDER_ROUND: not a target of ours */

    /* FORWARDER_ROUND */
    struct uuid node;       /* who is to be there */
    const char *instead_of; /* the forwarder whose target is dead: the cursor goes with this one */
};

enum forwarder_state {
    FORWARDER_CONNECTING,
    FORWARDER_CATCHING_UP,
    FORWARDER_FOLLOWING,
    FORWARDER_NEEDS_SNAPSHOT, /* and does not take one now */
    FORWARDER_SNAPSHOT,
};
const char *forwarder_state_name(enum forwarder_state state);

struct forwarder_info {
    const char *name, *target; /* as long as the forwarder */
    enum forwarder_state state;
    struct uuid peer;  /* zeros: not met yet */
    uint64_t position; /* of our log, acknowledged by the target */
    uint64_t lag_records;
    uint64_t lag_bytes;
    uint64_t lag_ns;  /* age of the oldest record that is not acknowledged */
    bool detached;    /* it held back more of the log than it may: it needs a snapshot */
    uint64_t records; /* sent since start */
    uint64_t aside;   /* in quarantine: they cannot be told */
    bool filtered;
    uint64_t withheld;  /* records not sent on this link: the target takes them in another form */
    uint64_t bytes;     /* on the wire */
    uint64_t snapshots; /* begun since start; of the present or last one: */
    uint64_t looked_at; /* elements, of about */
    uint64_t look_at;   /* so many, and */
    uint64_t given;     /* sent */
    uint64_t records_per_s; /* of the last second or so; so the next */
    uint64_t bytes_per_s;   /* on the wire */
    uint64_t connections;
    uint64_t unreached_ms;  /* for so long nobody has welcomed us; 0: linked */
    const char *instead_of; /* NULL: a target of ours */
    uint64_t faults;
    char fault[256]; /* the last one; "": none since it follows */
};

MUST_CHECK int forwarder_start(const struct forwarder_options *options,
                               struct forwarder **ret_forwarder);
void forwarder_stop(struct forwarder **forwarder);
void forwarder_info(struct forwarder *forwarder, struct forwarder_info *ret_info);

/* How far the target held each origin when it last said so, and how far we do: of those that go
 * over this link, in the form in which they go. */
struct forwarder_origin {
    struct replicate_place theirs, ours;
};
void forwarder_origins(struct forwarder *forwarder,
                       void (*each)(void *context, const struct forwarder_origin *origin),
                       void *context);

#endif
