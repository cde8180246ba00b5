/* What forwarder.c and forwarder_send.c share. All of it belongs to the forwarder's thread, but for
 * what is said to be under the lock. */
#ifndef INDEXER_FORWARDER_INTERNAL_H
#define INDEXER_FORWARDER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "datalog/cursor.h"
#include "indexer/forwarder.h"
#include "indexer/link_record.h"
#include "indexer/link_start.h"
#include "indexer/snapshot_give.h"
#include "replicate/pace.h"

/* A record on its way. */
struct sent {
    uint64_t position;
    uint64_t bytes;
};

struct forwarder {
    struct forwarder_options options;
    struct span secret;
    struct datalog *log;
    struct datalog_cursor *cursor;
    struct link_maker maker;
    pthread_t thread;
    int stop_fd; /* readable: stop */
    int wake_fd; /* new records, or stop */
    atomic_bool stopping;

    /* of one link */
    struct link link;
    struct replicate_sender sender;
    struct datalog_reader *reader;
    VEC(struct sent) sent; /* from sent_at on: not acknowledged */
    size_t sent_at;
    uint64_t window; /* bytes of those */
    struct buf records, definitions;
    bool caught_up;
    uint64_t file; /* of the log: the one that was read in last */
    int64_t looked_ms;
    struct replicate_needs needs; /* of the target */
    struct snapshot_give *give;   /* NULL: the log is sent */
    bool owes_snapshot;
    bool awaits; /* that the target says that the snapshot is there: */
    struct replicate_places awaited;
    int64_t measured_ms; /* rates: then, and what had been sent */
    uint64_t measured_records, measured_bytes;
    struct replicate_pace pace;

    char told_fault[ERR_TEXT_BYTES_MAX]; /* logged last */
    pthread_mutex_t lock;                /* over info */
    struct forwarder_info info;
    struct replicate_places said; /* what the target holds, as it last said */
    bool linked;                  /* welcomed */
    int64_t reached_ms;           /* else: when that ended, or it was started */
};

void forwarder_set_state(struct forwarder *forwarder, enum forwarder_state state);

bool forwarder_is_ignored(const struct forwarder *forwarder, struct uuid node);
struct link_ignored forwarder_ignored(const struct forwarder *forwarder);

/* The log is held from here on, and read when the snapshot is there. */
MUST_CHECK int forwarder_begin_snapshot(struct forwarder *forwarder);

/* A frame of what the target lacks, of the log or of a snapshot. */
MUST_CHECK int forwarder_send_some(struct forwarder *forwarder);

/* 0: window and rate let more go; else for so long they do not, unless something comes. */
int forwarder_pause_ms(const struct forwarder *forwarder);

/* Shows it in /metrics, until metric_forget(). */
void forwarder_publish(struct forwarder *forwarder, const char *name);

#endif
