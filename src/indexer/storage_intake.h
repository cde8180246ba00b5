/*
 * Taking in what another node holds: elements that were written by many records, with their
 * stamps, in no log. docs/protocols/replication.md, Snapshots.
 *
 *     begin ──entries, points, metas, deletes──> … ──end: durable, the places move──> done
 *                        └──drop, a fault, a crash──> in doubt until another one comes to its end
 *
 * One at a time, by one thread. Records of other nodes that a snapshot brings too are refused
 * meanwhile (ERR_UNAVAILABLE), whoever submits them, and as long as this node is in doubt.
 */
#ifndef INDEXER_STORAGE_INTAKE_H
#define INDEXER_STORAGE_INTAKE_H

#include "indexer/storage.h"
#include "replicate/message.h"
#include "well/tombstones.h"

enum storage_intake_outcome {
    STORAGE_INTAKE_BUSY = 1, /* another snapshot is under way */
};

/* What this node holds of all origins; up to where it may hold some besides; what it needs. */
void storage_places(struct storage *storage, struct replicate_places *places);
/* Of struct datalog_origin_position. */
void storage_raise_rows(struct replicate_places *places, const struct buf *rows);
void storage_doubt(struct storage *storage, struct replicate_places *doubt);
struct replicate_needs storage_needs(struct storage *storage);

/* Of times in [start, end) something may be missing here though the places say that it is held:
 * asks all who forward to this node. */
void storage_need(struct storage *storage, int64_t start_ns, int64_t end_ns);

/* Nobody can give it: nothing is asked for any more. */
void storage_need_nothing(struct storage *storage);

/* Changes whenever storage_need() was called: links that began before must begin anew. */
uint64_t storage_needs_version(struct storage *storage);

/* How far back this node holds everything that it ever got; INT64_MIN: retention drops nothing. */
int64_t storage_horizon(struct storage *storage);

/* Waits until wells and catalogue have all that is durable in the log now. */
void storage_settle(struct storage *storage);

/* Of a REPLICATE_SNAPSHOT_BEGIN. */
MUST_CHECK int storage_intake_begin(struct storage *storage, const struct replicate_message *begin);

/* The number of an origin here; durable. */
MUST_CHECK int storage_origin(struct storage *storage, struct datalog_origin origin,
                              uint16_t *ret_number);
int64_t storage_now_ns(const struct storage *storage); /* by the wall clock */

/* In numbers of this node, with their stamps. What is held already is left out. */
MUST_CHECK int storage_intake_entries(struct storage *storage, const struct entry *entries,
                                      size_t count);
MUST_CHECK int storage_intake_points(struct storage *storage, const struct storage_points *points,
                                     size_t count);
/* During a snapshot: whether writes of this stamp's origin are held in another form. Nothing of it
 * is taken then, or it would be here twice. */
bool storage_intake_is_other(const struct storage *storage, struct stamp stamp);
MUST_CHECK int storage_intake_meta(struct storage *storage, struct span metas, struct stamp stamp);
/* Takes the tombstones. */
MUST_CHECK int storage_intake_deletes(struct storage *storage, struct tombstone **tombstones,
                                      size_t count);

MUST_CHECK int storage_intake_end(struct storage *storage);
void storage_intake_drop(struct storage *storage);

/* Deletes that are kept, with their stamps, each maybe twice. */
MUST_CHECK int storage_each_delete(struct storage *storage,
                                   int (*each)(void *context, const struct series_delete *deletion,
                                               struct stamp stamp),
                                   void *context);

/* For storage itself. */
struct storage_intake;
MUST_CHECK int storage_intake_open(struct storage *storage);
void storage_intake_free(struct storage *storage);
/* A received record is about to be submitted; it was completed. */
MUST_CHECK int storage_intake_enter(struct storage *storage,
                                    const struct storage_received *received);
void storage_intake_leave(struct storage *storage);

#endif
