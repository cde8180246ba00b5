/*
 * Feeds of Warp 10 3.x, both ways: sources that are followed (consumer3x.h) and what others fetch
 * here (feeder3x.h). docs/protocols/warp10-datalog-3x.md.
 */
#ifndef INDEXER_FEEDS3X_H
#define INDEXER_FEEDS3X_H

#include "conf/conf.h"
#include "indexer/storage.h"

struct feeds3x;

MUST_CHECK int feeds3x_check(const struct conf *conf);

/* `conf` and `storage` outlive them. */
MUST_CHECK int feeds3x_start(struct io *io, const struct conf *conf, struct storage *storage,
                             struct feeds3x **ret_feeds);
void feeds3x_stop(struct feeds3x **feeds);

MUST_CHECK int feeds3x_retry(struct feeds3x *feeds, struct span request); /* consumers3x_retry() */

#endif
