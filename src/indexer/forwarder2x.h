/*
 * Forwarders to Warp 10 2.x: each [Datalog-Forwarder] whose Target is http:// or https:// is one
 * thread with its own durable cursor "warp10-<name>". docs/protocols/warp10-datalog.md.
 *
 *     record ──> requests (translate2x.h) ──> each sent until taken or set aside (warp10/post.h)
 *            ──> acknowledged
 *
 * After a crash some requests come again, which changes nothing at the target. A target that is
 * down delays no other; one that is gone for so long that its records were trimmed is told what it
 * missed in the log, and goes on.
 */
#ifndef INDEXER_FORWARDER2X_H
#define INDEXER_FORWARDER2X_H

#include "conf/conf.h"
#include "indexer/storage.h"

struct forwarders2x;

/* Checks their sections. */
MUST_CHECK int forwarders2x_check(const struct conf *conf);

/* `conf` and `storage` outlive them. */
MUST_CHECK int forwarders2x_start(struct io *io, const struct conf *conf, struct storage *storage,
                                  struct forwarders2x **ret_forwarders);
void forwarders2x_stop(struct forwarders2x **forwarders);

#endif
