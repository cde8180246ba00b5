/*
 * A datastore over etcd: its store is a cache that follows etcd, its commits are transactions of
 * etcd, and several of them are one datastore to the webservers.
 *
 *     open ──> cache as etcd was ──start──> follows ──stop──> ──close
 *
 * Opening checks that the cache is a part of etcd's past; else it is set aside and filled anew.
 * Threads of its own: one watches, one keeps the lease and sees whether etcd answers. While it
 * does not, the server is away (sync/server.h) and webservers go to another datastore.
 *
 * docs/decisions/ says why, docs/formats/etcd.md what is kept there.
 */
#ifndef ETCD_FOLLOWER_H
#define ETCD_FOLLOWER_H

#include "etcd/layout.h"
#include "sync/server.h"

#define ETCD_AWAY_MS 2500 /* without an answer of etcd: away */
#define ETCD_LEASE_S 5    /* how long a datastore that is gone is still listed */

struct etcd_follower;

struct etcd_follower_options {
    struct io *io;
    const char *url; /* etcd_new */
    struct etcd_tls tls;
    const char *users_path, *web_path, *blob_dir;
    uint32_t versions_max; /* as store_options */
    int64_t versions_age_ns;
    const char *control_secret; /* to talk to other datastores */
    bool tls_verify;
    void (*on_event)(void *context, enum sync_level level, const char *event, const char *text);
    /* Once, from a thread: etcd went back in time; this process must end and begin anew. */
    void (*on_fatal)(void *context);
    void *context;
};

/* ERR_CONFLICT: the files hold objects that are not from etcd; they are left alone. */
MUST_CHECK int etcd_follower_open(const struct etcd_follower_options *options,
                                  struct etcd_follower **ret_follower);
struct store *etcd_follower_store(struct etcd_follower *follower); /* borrowed */
const struct sync_backend *etcd_follower_backend(struct etcd_follower *follower);

/* Before the server is asked anything. Borrows. */
void etcd_follower_attach(struct etcd_follower *follower, struct sync_server *server);
/* `address`: "http://host:port" that other datastores reach this one by. */
MUST_CHECK int etcd_follower_start(struct etcd_follower *follower, const char *address);
void etcd_follower_stop(struct etcd_follower *follower);   /* before the server is freed */
void etcd_follower_close(struct etcd_follower **follower); /* may be NULL; the store too */

/* ---- contents: content-addressed files that datastores copy from each other ---- */

/* 0: here, or fetched from another datastore. ERR_NOT_FOUND: nobody who is up has it. */
MUST_CHECK int etcd_follower_fetch_blob(struct etcd_follower *follower, const uint8_t sha256[32]);
/* 0: a second datastore has it, or there is none. */
MUST_CHECK int etcd_follower_spread_blob(struct etcd_follower *follower, const uint8_t sha256[32]);

/* ---- earlier versions: each datastore keeps those it saw ---- */

/* Adds what the others have of an object to the answer {"versions":[...]}; whoever does not answer
 * is passed over. */
void etcd_follower_add_versions(struct etcd_follower *follower, const struct uuid *id,
                                json_t *answer);

struct etcd_follower_stats {
    uint64_t commits, behind, applied, resyncs, watches, blobs_sent, blobs_fetched, peers;
    uint64_t unreadable; /* objects of etcd that were passed over */
    bool away;
};
void etcd_follower_stats(struct etcd_follower *follower, struct etcd_follower_stats *ret_stats);

#endif
