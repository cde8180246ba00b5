/*
 * This indexer's part in replication: its forwarders, and the door for those of others. Off when
 * the config has neither. docs/protocols/replication.md.
 *
 *     of_conf ──> start ──> runs by itself ──stop──> gone
 */
#ifndef INDEXER_REPLICATION_H
#define INDEXER_REPLICATION_H

#include <jansson.h>

#include "base/arena.h"
#include "conf/conf.h"
#include "indexer/follower.h"
#include "indexer/forwarder.h"
#include "indexer/joined.h"
#include "indexer/round.h"

struct replication;

struct replication_options {
    struct io *io;
    struct storage *storage;                    /* these two are the caller's to fill */
    const struct forwarder_options *forwarders; /* without io, storage, members */
    size_t forwarders_count;
    bool listens;
    struct ingest_target listen;
    const char *secret;         /* of who forwards to us */
    const char *members_path;   /* link_members_open(); NULL: none */
    const char *joined_path;    /* joined_start(); NULL: none */
    const char *quarantine_dir; /* link_poison_new(); NULL: none */
    int round_after_ms;         /* 0: ROUND_AFTER_MS */
    bool beside;                /* records come and go by other ways too: Kafka */
    const char *certificate_path, *key_path;
};

/* From [Datalog] and [Datalog-Forwarder …]; lives as long as `conf` and `arena`. */
MUST_CHECK int replication_options_of_conf(const struct conf *conf, struct arena *arena,
                                           struct replication_options *options);

/* Whether others follow this node, or it them. */
static inline bool replication_is_on(const struct replication_options *options)
{
    return options->listens || options->forwarders_count > 0 || options->beside;
}

MUST_CHECK int replication_start(const struct replication_options *options,
                                 struct replication **ret_replication);
void replication_stop(struct replication **replication);

/* Applies what was set aside: link_poison_retry(). */
MUST_CHECK int replication_retry(struct replication *replication, struct span request);

/* A node joins or leaves: joined_change(). */
MUST_CHECK int replication_join(struct replication *replication, const json_t *request,
                                const char *peer);

uint16_t replication_port(const struct replication *replication); /* 0: it does not listen */

/* For the control API: {"port", "forwarders": [...], "followers": [...], "places": [...]}. */
json_t *replication_json(struct replication *replication);

/* How far this node holds each origin: [{"node", "incarnation", "position", "time", "own"}]. */
json_t *replication_places_json(struct storage *storage);

#endif
