/*
 * Inside sync/: a webserver's driver. It does what the link (core.h) says, with four threads:
 *
 *     link    check-ins and the clock
 *     feed    holds the stream, applies what comes
 *     push    sends what is dirty, settles the answers
 *     blobs   moves contents in both directions
 *
 * `lock` guards everything here; it is never held while a store transaction or a call to the
 * datastore runs. `generation` counts datastores adopted; it changes only within a transaction,
 * so that an answer of an earlier datastore is recognised before it is stored.
 */
#ifndef SYNC_DRIVER_H
#define SYNC_DRIVER_H

#include <pthread.h>

#include "base/map.h"
#include "net/http_client.h"
#include "sync/core.h"
#include "sync/message.h"
#include "sync/server.h"
#include "sync/sync.h"

enum sync_thread { SYNC_THREAD_LINK, SYNC_THREAD_FEED, SYNC_THREAD_PUSH, SYNC_THREAD_BLOBS };
#define SYNC_THREADS 4

#define SYNC_PUSH_BATCH 64
#define SYNC_PUSH_BATCH_BYTES (4u << 20)
/* With several datastores, one that hangs is left as quickly as one that is gone. */
#define SYNC_FAILOVER_BEAT_MS 250
#define SYNC_FAILOVER_SILENT_MS 1000 /* four beats */
#define SYNC_FAILOVER_PUSH_MS 1500   /* etcd may be choosing a leader meanwhile */
#define SYNC_THROUGH_WAIT_MS 3000    /* write-through: so long for a datastore to be there again */

/* A local-first write that waits for its confirmation; on the writer's stack. */
struct sync_waiter {
    struct uuid change;
    struct uuid object; /* zero: a new one */
    bool done;
    enum sync_verdict verdict;
    uint64_t revision;
    int fault;
    char text[256];
    struct sync_waiter *next;
};

struct sync {
    struct io *io;
    struct store *store;
    struct sync_options options;
    char *external_addr;
    char *urls[SYNC_DATASTORES_MAX];
    char *names[SYNC_DATASTORES_MAX];
    size_t url_count;
    int64_t interval_ms;

    struct http_client *client;
    struct http_cancel *cancel; /* everything, when it stops */

    pthread_mutex_t lock;
    pthread_cond_t changed;           /* for writers and readers that wait */
    pthread_cond_t due[SYNC_THREADS]; /* for each thread: there is something to do */
    bool stopping;
    bool farewell; /* stopping, and connected until then: the datastore is told */
    struct sync_link link;
    struct http_cancel *feed_cancel; /* of the feed under way */
    bool want_check, want_feed, want_push, want_blobs;
    uint64_t feed_since;
    struct uuid epochs_told; /* the run that knows our past */
    uint64_t generation;
    uint64_t confirmed; /* the highest revision that a write of ours got in this generation */
    struct sync_status status;
    struct sync_waiter *waiters;
    struct sync_webserver webservers[SYNC_WEBSERVERS_MAX];
    size_t webserver_count;
    int64_t webservers_ns; /* when heard */
    struct map blobs_sent; /* keys: the SHA-256 of what this run of the datastore has */
    uint8_t blobs_wanted[SYNC_WANTED_MAX][32]; /* what the datastore lacks, as last heard */
    size_t blobs_wanted_count;

    pthread_t threads[SYNC_THREADS];
    size_t thread_count;
};

void sync_tell(struct sync *sync, enum sync_level level, const char *event, const char *format, ...)
    PRINTF_LIKE(4, 5);
int64_t sync_now_ms(struct sync *sync);
/* Under the lock: steps the link and wakes whoever has to do something. */
void sync_post(struct sync *sync, const struct sync_event *event);
void sync_post_type(struct sync *sync, enum sync_event_type type); /* takes the lock itself */
/* Under the lock. Waits for a change until the monotonic time; false when it is over. */
bool sync_wait(struct sync *sync, int64_t until_ms);
/* The same for one of sync's own threads. */
bool sync_wait_due(struct sync *sync, enum sync_thread thread, int64_t until_ms);
void sync_want_blobs(struct sync *sync); /* under the lock */

/* "host" or "host:port" as the beginning of a URL; the caller's (mem_free). */
char *sync_url_of(const char *datastore, bool tls);

bool sync_is_connected(struct sync *sync);           /* under the lock */
char *sync_url(struct sync *sync, const char *path); /* under the lock; of the present one */

void *sync_link_thread(void *context);
void *sync_feed_thread(void *context);
void *sync_push_thread(void *context);
void *sync_blob_thread(void *context);

/* Sends objects, calls `each` with every answer. ERR_CONFLICT: another run. */
int sync_push_objects(struct sync *sync, struct object *const *objects, size_t count,
                      unsigned timeout_ms, struct sync_reply *ret_replies);
/* Stores what the answers say; ERR_CANCELLED when another datastore was adopted meanwhile. */
int sync_settle_all(struct sync *sync, uint64_t generation, struct object *const *pushed,
                    const struct sync_reply *replies, size_t count);
/* What arrived by the feed. */
struct sync_arrived {
    struct object *const *objects;
    size_t count;
    uint64_t cursor;             /* everything up to here has arrived */
    uint64_t seen[OBJECT_FILES]; /* store_place.seen */
};
/* Stores it, lazily: it can be fetched again. */
int sync_apply_all(struct sync *sync, uint64_t generation, const struct sync_arrived *arrived);
/* Stores durably what was written through: its writer is about to hear that it is done, and this
 * webserver must be able to give it back to a datastore that loses it. */
int sync_apply_own(struct sync *sync, uint64_t generation, const struct object *object);
uint64_t sync_generation(struct sync *sync);

/* Reports changes to the room and wakes who waits for them. */
void sync_report(struct sync *sync, const struct object *object);
/* `object` is what the feed says has the change, NULL: it is the answer to a push. When it is
 * another one than was written, that was copied beside: the feed may be faster than the answer. */
void sync_confirm(struct sync *sync, uint64_t generation, const struct uuid *object,
                  const struct sync_reply *reply);
/* A write of this webserver is revision `revision` of the datastore of that generation. */
void sync_note_revision(struct sync *sync, uint64_t generation, uint64_t revision);

#endif
