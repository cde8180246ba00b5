/*
 * One source, inside of consumer3x.c (its thread) and consumer3x_conf.c (what its section says,
 * metrics, starting and stopping).
 */
#ifndef INDEXER_CONSUMER3X_INTERNAL_H
#define INDEXER_CONSUMER3X_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "indexer/apply3x.h"
#include "indexer/consumer3x.h"
#include "indexer/link3x.h"

#define CONSUMER3X_SECTION "Datalog-Source"

enum consumer3x_start { CONSUMER3X_FROM_ALL, CONSUMER3X_FROM_NOW, CONSUMER3X_FROM_TIME };

/* A record on its way. */
struct consumer3x_entry {
    size_t ref_at, ref_bytes; /* in `refs` */
    int rc;                   /* > 0: under way */
};

struct consumer3x {
    struct io *io;
    struct storage *storage;
    const char *name, *source, *quarantine_dir;
    struct ingest_target target;
    char own_id[UUID_TEXT_BYTES];
    struct feed3x_key *key, *feeder_key;
    struct feed3x_peer feeder;
    struct feed3x_shard shards[FEED3X_SHARDS_MAX];
    struct span excluded[FEED3X_EXCLUDED_MAX];
    struct feed3x_options session_options;
    struct apply3x_options apply_options;
    enum consumer3x_start start;
    int64_t start_ms, timeout_ms, keepalive_ms;
    char *offset_path;
    char labels[160];

    pthread_t thread;
    bool started;
    int stop_fd;
    atomic_bool stopping;

    /* the thread's */
    struct apply3x *apply;
    struct offset3x offset; /* as far as all is durable */
    struct feed3x_nonces nonces;
    bool is_dirty;    /* the offset, since it was kept */
    bool begins_anew; /* where it was is not known, so it takes all there is */
    int64_t saved_ms, told_ms;
    char told[ERR_TEXT_BYTES_MAX];
    struct buf failing; /* ref of a record that storage refused; any bytes */
    unsigned failing_tries;
    unsigned pause_ms;

    struct link3x link;
    struct feed3x_session session;
    VEC(struct consumer3x_entry) entries; /* of one batch */
    struct buf refs;
    bool has_offset_fault; /* already said */
    bool has_kept_ref;

    pthread_mutex_t lock; /* over entries' rc, under_way and fault_text */
    pthread_cond_t changed;
    size_t under_way;
    char fault_text[ERR_TEXT_BYTES_MAX];

    atomic_uint_fast64_t records, passed_over, quarantined, failures;
    atomic_bool connected;
};

/* Where it was, and whose records it has had. */
void consumer3x_load(struct consumer3x *consumer);
void *consumer3x_run(void *consumer);

#endif
