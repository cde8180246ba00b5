/*
 * A snapshot that comes: its parts in numbers of this node, into storage. One thread.
 */
#ifndef INDEXER_SNAPSHOT_TAKE_H
#define INDEXER_SNAPSHOT_TAKE_H

#include "indexer/link_series.h"
#include "indexer/storage_intake.h"

/* Zeroed; of one link. */
struct snapshot_take {
    bool on;
    uint64_t elements;  /* that came */
    uint64_t looked_at; /* by the sender, of */
    uint64_t total;
    VEC(uint16_t) origins; /* of the part at hand: theirs -> ours */
};

/* ERR_UNAVAILABLE: another one is under way. */
MUST_CHECK int snapshot_take_begin(struct snapshot_take *take, struct storage *storage,
                                   const struct replicate_message *begin);
MUST_CHECK int snapshot_take_part(struct snapshot_take *take, struct storage *storage,
                                  struct link_heard *heard, struct span body);
/* Durable on return. */
MUST_CHECK int snapshot_take_end(struct snapshot_take *take, struct storage *storage);

/* The link has ended, maybe in the middle. */
void snapshot_take_deinit(struct snapshot_take *take, struct storage *storage);

#endif
