/*
 * A daemon's own log lines, sent to the indexers of Self-Log-Target under Self-Log-Tag, beside
 * stderr. Logging never waits for it: what the indexers do not take in time is dropped, oldest
 * first (feeder.h). An indexer does not need it: it puts its lines into its own storage.
 */
#ifndef INGEST_SELFLOG_H
#define INGEST_SELFLOG_H

#include "base/check.h"
#include "conf/conf.h"
#include "io/io.h"

struct ingest_selflog;

/* Reads Self-Log-Target, Self-Log-Tag, Ingest-Auth and Disable-Self-Ingest of [Global]. Without
 * targets, or when disabled, *ret_selflog is NULL. A target that is none is a fault. */
MUST_CHECK int ingest_selflog_start(const struct conf *conf, struct io *io, const char *program,
                                    struct ingest_selflog **ret_selflog);

/* Gives the last lines a short chance. Clears `*selflog`, which may be NULL. */
void ingest_selflog_stop(struct ingest_selflog **selflog);

#endif
