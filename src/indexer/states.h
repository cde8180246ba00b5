/*
 * What every ingester last said about itself (its state message), by UUID, kept in
 * Ingester-State-Tracking-File: one JSON object, UUID -> state, so that an ingester that is gone
 * is still known. Saved at most every few seconds by a thread of its own, and when it is stopped.
 *
 * A damaged file is set aside with a log line: it is a record of the past, not of entries.
 * Any thread.
 */
#ifndef INDEXER_STATES_H
#define INDEXER_STATES_H

#include <jansson.h>

#include "base/span.h"
#include "io/io.h"

#define STATES_MAX 4096 /* ingesters; past it the one not seen for the longest is forgotten */
#define STATES_SAVE_MS 5000

struct states;

MUST_CHECK int states_start(struct io *io, const char *path, struct states **ret_states);
void states_stop(struct states **states); /* saves */

/* Takes over a state message; what is no JSON object is counted and passed over. `address` is
 * the peer's; it is kept beside the state. */
void states_note(struct states *states, struct span json, const char *address, int64_t now_ns);

/* UUID -> state; a new reference. */
json_t *states_json(struct states *states);

#endif
