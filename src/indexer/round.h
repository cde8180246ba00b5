/*
 * Going round dead targets: while a target of ours cannot be reached, we forward to the nodes
 * behind it in its stead, as far as it told us of them, with the settings of its forwarder. When it
 * is back that ends: positions say what it lacks, and what those behind it have already.
 * docs/protocols/replication.md. A thread of its own, which starts and stops those forwarders.
 */
#ifndef INDEXER_ROUND_H
#define INDEXER_ROUND_H

#include "indexer/forwarder.h"

#define ROUND_AFTER_MS 3000 /* a target that was not reached for so long is gone round */

struct round;

/* All of it is borrowed. `options` are those of `forwarders`, one for one. */
struct round_options {
    struct forwarder *const *forwarders;
    const struct forwarder_options *options;
    size_t count;
    int after_ms; /* 0: ROUND_AFTER_MS */
};

MUST_CHECK int round_start(const struct round_options *options, struct round **ret_round);
void round_stop(struct round **round);

/* Calls `each` for every forwarder that goes round somebody, while they stay. */
void round_each(struct round *round, void (*each)(void *context, struct forwarder *forwarder),
                void *context);

#endif
