/*
 * Inside etcd/: a follower. cache.c fills the store, follower.c commits and watches, keeper.c
 * keeps lease and list of datastores, blobs.c copies contents.
 */
#ifndef ETCD_STATE_H
#define ETCD_STATE_H

#include <pthread.h>

#include "base/map.h"
#include "etcd/follower.h"

#define ETCD_PEERS_MAX 16

struct etcd_peer {
    struct uuid run;
    char address[256];
    int64_t down_ns; /* it could not be reached: not counted until then; monotonic */
};

struct etcd_follower {
    struct io *io;
    struct etcd_follower_options options; /* texts are copies */
    char *url, *users_path, *web_path, *blob_dir, *address, *control_secret;
    struct etcd *etcd;
    struct store *store;
    struct sync_backend backend;
    struct sync_server *server;
    struct uuid run; /* of this process, among the datastores */
    struct http_client *peer_client;
    struct http_cancel *cancel;

    pthread_mutex_t lineage_lock; /* while epochs are applied; taken before `lock` */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping;
    bool fatal;                /* etcd went back; it has been said */
    bool epoch_due;            /* etcd was full at the start: nothing is committed before */
    struct etcd_head head;     /* what the store is a copy of */
    uint64_t epochs_mod;       /* etcd's revision of the epochs in the store */
    uint64_t applied_mod;      /* etcd's revision up to which everything is in the store */
    struct http_cancel *watch; /* of the watch under way */
    uint64_t lease;            /* 0: none yet */
    int64_t heard_ns;          /* when etcd answered last; monotonic */
    struct etcd_peer peers[ETCD_PEERS_MAX]; /* the other datastores that are up */
    size_t peer_count;
    uint64_t peer_generation;
    struct map safe_blobs; /* SHA-256 of what a second datastore has, of this peer_generation */
    bool want_blobs;
    struct etcd_follower_stats stats;

    struct object_list pending; /* the watch's: objects of a commit whose head is to come */
    pthread_t threads[3];
    size_t thread_count;
};

void etcd_tell(struct etcd_follower *follower, enum sync_level level, const char *event,
               const char *format, ...) PRINTF_LIKE(4, 5);
/* Under the lock. False when `ms` are over or it stops. */
bool etcd_nap(struct etcd_follower *follower, int64_t ms);
int64_t etcd_now_ns(void);

#define ETCD_START_MS 20000                 /* so long etcd may be away when a datastore starts */
bool etcd_passes(int rc, int64_t until_ns); /* a fault of who is away, and there is time left */

/* ---- cache.c ---- */

int etcd_cache_open(struct etcd_follower *follower);
/* What the note in the store says, and the other way round; the caller's (mem_free). */
char *etcd_note_text(const struct etcd_head *head, uint64_t mod);
/* Of a life that began while etcd was full. */
int etcd_cache_begin_epoch(struct etcd_follower *follower);
/* Everything changed since the last applied revision, in order, into the server. Etcd has
 * forgotten the steps between. */
int etcd_cache_resync(struct etcd_follower *follower);

/* ---- follower.c ---- */

void *etcd_watch_thread(void *context);
/* An object of etcd cannot be read: it is told of and counted; what is here of it stays. */
void etcd_pass_over(struct etcd_follower *follower, const char *why);
/* Head and epochs now; new epochs are applied. */
int etcd_look(struct etcd_follower *follower, unsigned timeout_ms, struct etcd_head *ret_head);
/* Gives the server what others committed, and with it the lineage if it is newer than what it
 * has. When it does not continue that, this datastore ends: ERR_UNAVAILABLE. */
int etcd_apply(struct etcd_follower *follower, struct sync_applied *applied,
               const struct etcd_lineage *lineage);

/* ---- keeper.c ---- */

void *etcd_keeper_thread(void *context);
/* One event of the folders of webservers and datastores. */
void etcd_keeper_take(struct etcd_follower *follower, const json_t *event, struct span key);
int etcd_keeper_load(struct etcd_follower *follower);
int etcd_keeper_lease(struct etcd_follower *follower); /* makes it or keeps it */
void etcd_keeper_checked_in(void *context, const json_t *request);
void etcd_keeper_leave(struct etcd_follower *follower);

/* ---- blobs.c ---- */

void *etcd_blob_thread(void *context);
bool etcd_blob_is_safe(void *context, const uint8_t sha256[32]);

#endif
