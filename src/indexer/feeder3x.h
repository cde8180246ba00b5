/*
 * What consumers of Warp 10 3.x fetch here: [Warp10-Feeder]. docs/protocols/warp10-datalog-3x.md.
 * A listener; a thread per consumer, which reads the datalog from where the consumer says.
 *
 *     WELCOME ──INIT, SEEK──> feeding ──COMMIT, SEEK──> feeding … ──any fault──> gone
 *
 * Who comes again ends its older connection. A consumer that is slow or away delays no other, and
 * holds the log as far as Max-Datalog-GB allows.
 */
#ifndef INDEXER_FEEDER3X_H
#define INDEXER_FEEDER3X_H

#include "conf/conf.h"
#include "indexer/offset3x.h"
#include "indexer/storage.h"

#define FEEDER3X_CONSUMERS_MAX 256u

struct feeder3x;

/* Checks the section. */
MUST_CHECK int feeder3x_check(const struct conf *conf);

/* *ret_feeder stays NULL when none is wanted. `conf`, `storage` and `names` outlive it. */
MUST_CHECK int feeder3x_start(struct io *io, const struct conf *conf, struct storage *storage,
                              struct names3x *names, struct feeder3x **ret_feeder);
void feeder3x_stop(struct feeder3x **feeder);

#endif
