/*
 * A follower: one forwarder's connection, from its greeting to its end. A thread that takes
 * records of another node's datalog, hands them to storage as received, and acknowledges what is
 * durable or was known.
 *
 *     GREETING ──welcome──> TAKING ──a fault, the peer left, or told to stop──> ended
 *         └──wrong secret, our own id: refused, with the reason──> ended
 *
 * The datalog itself decides what is known, what comes too early and what is taken
 * (datalog/log.h: a received record), in the order of its writes, so links need not know of each
 * other. What cannot be taken ends the link: the forwarder begins anew where our places say; a
 * record that is itself the reason goes to quarantine in the end (link_poison.h).
 */
#ifndef INDEXER_FOLLOWER_H
#define INDEXER_FOLLOWER_H

#include <pthread.h>

#include "indexer/link.h"
#include "indexer/link_poison.h"
#include "indexer/listener.h"

#define FOLLOWER_PENDING_BYTES_MAX ((uint64_t)32 << 20) /* on their way to the disk */
#define FOLLOWER_PLACES_MS 200                          /* acknowledgements bring them so often */

/* In which form each origin is taken, so that two links do not begin with two at one time. */
struct follower_forms {
    pthread_mutex_t lock;
    VEC(struct datalog_origin) met;
};

/* What all followers share; outlives them. */
struct follower_shared {
    struct io *io;
    struct storage *storage;
    const char *secret;
    struct link_members *members;
    struct link_poison *poison;
    struct follower_forms *forms;
};

struct follower_info {
    char client[80];
    char name[LINK_NAME_BYTES_MAX + 1]; /* of the forwarder, as it says */
    struct uuid peer;
    bool welcomed;
    int64_t since_ns;
    uint64_t records;   /* taken */
    uint64_t known;     /* held already */
    uint64_t aside;     /* in quarantine */
    uint64_t bytes;     /* of payloads taken */
    bool snapshot;      /* one is under way; of it, or of the last one: */
    uint64_t elements;  /* that came; the forwarder has looked at */
    uint64_t looked_at; /* so many of about */
    uint64_t look_at;   /* so many */
};

extern const struct listener_kind follower_kind; /* shared: struct follower_shared */

#endif
