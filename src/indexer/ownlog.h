/*
 * The indexer's own log lines, stored as entries in its own storage (Self-Log-Tag). A bounded
 * ring and a thread between the two: logging never waits for a disk. What does not fit is dropped
 * and counted.
 *
 *     ownlog_start(…); log_set_sink(ownlog_sink, ownlog); … log_set_sink(NULL, NULL);
 *     ownlog_stop(…)     stores what is left
 */
#ifndef INDEXER_OWNLOG_H
#define INDEXER_OWNLOG_H

#include "io/io.h"
#include "service/log.h"

#define OWNLOG_LINES_MAX 4096
#define OWNLOG_LIVES_MAX 100 /* after so many, lines wait for the first minute of a life */
#define OWNLOG_HOLD_NS (INT64_C(60) * 1000000000)

struct ownlog;
struct storage;

MUST_CHECK int ownlog_start(struct io *io, struct storage *storage, const char *tag,
                            struct ownlog **ret_ownlog);
void ownlog_stop(struct ownlog **ownlog);

/* For log_set_sink(); `context` is the ownlog. */
void ownlog_sink(void *context, enum log_level level, struct span line);

#endif
