/*
 * Sources that are feeders of Warp 10 3.x: each [Datalog-Source] whose Source is warp10:// is one
 * thread. docs/protocols/warp10-datalog-3x.md.
 *
 *     connect ──WELCOME──> INIT, SEEK ──> records: applied, durable ──> COMMIT, offset kept ──> …
 *        └──<── any fault: after a pause, from the last durable record on
 *
 * What cannot be applied goes to quarantine and blocks nothing; a source that is down delays no
 * other.
 */
#ifndef INDEXER_CONSUMER3X_H
#define INDEXER_CONSUMER3X_H

#include "conf/conf.h"
#include "indexer/offset3x.h"
#include "indexer/storage.h"

#define CONSUMER3X_TRIES_MAX 5u /* of a record that storage refuses */
#define CONSUMER3X_PAUSE_MS_MIN 100
#define CONSUMER3X_PAUSE_MS_MAX 30000
#define CONSUMER3X_SAVE_MS 1000

struct consumers3x;

/* Checks their sections. */
MUST_CHECK int consumers3x_check(const struct conf *conf);

/* `conf`, `storage` and `names` outlive them. */
MUST_CHECK int consumers3x_start(struct io *io, const struct conf *conf, struct storage *storage,
                                 struct names3x *names, struct consumers3x **ret_consumers);
void consumers3x_stop(struct consumers3x **consumers);

/* Applies what a source set aside, as it is configured now, with the time it had. Waits. Any
 * thread. */
MUST_CHECK int consumers3x_retry(struct consumers3x *consumers, struct span request);

#endif
