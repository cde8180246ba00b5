/*
 * The indexer's own log lines, stored as entries in its own storage (Self-Log-Tag). A bounded
 * ring and a thread between the two: logging never waits for a disk. What does not fit is dropped
 * and counted.
 *
 *     selflog_start(…); log_set_sink(selflog_sink, selflog); … log_set_sink(NULL, NULL);
 *     selflog_stop(…)     stores what is left
 */
#ifndef INDEXER_SELFLOG_H
#define INDEXER_SELFLOG_H

#include "io/io.h"
#include "service/log.h"

#define SELFLOG_LINES_MAX 4096

struct selflog;
struct storage;

MUST_CHECK int selflog_start(struct io *io, struct storage *storage, const char *tag,
                             struct selflog **ret_selflog);
void selflog_stop(struct selflog **selflog);

/* For log_set_sink(); `context` is the selflog. */
void selflog_sink(void *context, enum log_level level, struct span line);

#endif
