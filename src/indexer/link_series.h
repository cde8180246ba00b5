/*
 * Numbers of series on a link. They mean nothing on another node: the forwarder names each once
 * before the first record that uses it, the follower keeps which number of its own that is. And
 * what records are made of, in the follower's numbers of tags and series. One thread per link.
 */
#ifndef INDEXER_LINK_SERIES_H
#define INDEXER_LINK_SERIES_H

#include "base/vec.h"
#include "indexer/storage.h"

/* Forwarder: which numbers were told. */
struct link_told {
    VEC(uint64_t) bits;
};
void link_told_deinit(struct link_told *told);

/* Appends definitions of what the record uses and was not told to `definitions`. */
MUST_CHECK int link_tell_series(struct link_told *told, struct series_catalogue *catalogue,
                                const struct datalog_record *record, struct buf *definitions);

/* Follower: theirs -> ours, and memory that is used again and again. */
struct link_heard {
    VEC(uint32_t) numbers;
    uint16_t *tags; /* of the run at hand; so the next */
    bool *named;
    VEC(struct entry) entries;
    VEC(struct element) elements;
    VEC(struct storage_points) points;
};
void link_heard_deinit(struct link_heard *heard);

/* Definitions that the forwarder told. ERR_PROTOCOL. */
MUST_CHECK int link_hear_series(struct link_heard *heard, struct storage *storage,
                                struct span definitions);

/* Appends definitions of the record's series, in their numbers, as far as they were told. */
void link_heard_define(const struct link_heard *heard, struct storage *storage,
                       const struct datalog_record *record, struct buf *definitions);

/* Appends what a run of entries, or a record of points, has to `entries` or to `points` and
 * `elements`, without stamps. */
MUST_CHECK int link_hear_entries(struct link_heard *heard, struct storage *storage,
                                 struct span payload);
MUST_CHECK int link_hear_points(struct link_heard *heard, struct span payload);
/* All elements are there: the points find theirs. */
void link_heard_place(struct link_heard *heard);

/* Hands a record of theirs to storage, as storage_submit_received(). */
MUST_CHECK int link_submit(struct link_heard *heard, struct storage *storage,
                           const struct datalog_record *record, uint64_t after, storage_done done,
                           void *context);

#endif
