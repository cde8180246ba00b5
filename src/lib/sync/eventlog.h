/*
 * What sync and presence report (their on_event), as log lines: for rooms that want nothing else
 * with it.
 */
#ifndef SYNC_EVENTLOG_H
#define SYNC_EVENTLOG_H

#include "sync/sync.h"

/* Fits sync_options.on_event and sync_presence_options.on_event; `context` is not used. */
void sync_eventlog(void *context, enum sync_level level, const char *event, const char *text);

#endif
