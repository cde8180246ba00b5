/*
 * A snapshot that is sent: what this node holds and a target lacks, part by part, in bounded
 * memory. Each tag and each few series are read as they are when their turn comes; what was
 * written after the places were taken is left out, for it comes with the log.
 *
 * The log is to be held from its end at the beginning. One thread.
 */
#ifndef INDEXER_SNAPSHOT_GIVE_H
#define INDEXER_SNAPSHOT_GIVE_H

#include "indexer/link_filter.h"
#include "indexer/link_series.h"
#include "indexer/storage_intake.h"
#include "replicate/snapshot.h"

struct snapshot_give;

enum snapshot_give_outcome {
    SNAPSHOT_GIVE_END = 1, /* nothing more: the target is at the places now */
};

struct snapshot_give_options {
    struct storage *storage;
    const struct replicate_places *theirs; /* copied */
    struct replicate_needs needs;          /* of the target */
    bool only_needs;                       /* what they lack comes with the log */
    const struct uuid *ignored;            /* nodes that are left out */
    size_t ignored_count;
    struct link_filter *filter; /* NULL: none; borrowed to the end */
};

/* Whether it can help the target with what it needs beside what its places lack. */
bool snapshot_give_helps(struct storage *storage, const struct replicate_needs *needs);

/* Waits for what is on its way into the wells. */
struct snapshot_give *snapshot_give_new(const struct snapshot_give_options *options);
void snapshot_give_free(struct snapshot_give **give);

/* As this node has them: replicate_sender_sent_snapshot(). */
const struct replicate_places *snapshot_give_places(const struct snapshot_give *give);

/* Fills in a REPLICATE_SNAPSHOT_BEGIN; it borrows. */
void snapshot_give_begin(const struct snapshot_give *give, struct replicate_message *message);

/* Appends the next part to `body`, and what series it uses to `definitions`. */
MUST_CHECK int snapshot_give_next(struct snapshot_give *give, struct link_told *told,
                                  struct buf *definitions, struct buf *body);

struct snapshot_progress {
    uint64_t looked_at; /* elements */
    uint64_t total;     /* about */
    uint64_t given;
};
struct snapshot_progress snapshot_give_progress(const struct snapshot_give *give);

#endif
