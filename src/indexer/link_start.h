/*
 * Where in the log a link begins to read, and what the log does not have any more: what the
 * headers of its files tell a forwarder.
 */
#ifndef INDEXER_LINK_START_H
#define INDEXER_LINK_START_H

#include "indexer/storage_intake.h"
#include "replicate/core.h"

/* Whose records a link forwards: all but those of some nodes. */
struct link_ignored {
    const struct uuid *nodes;
    size_t count;
};

/* Begins `sender` at the newest file before which the target lacks nothing. DATALOG_TRIMMED: there
 * is none; `sender` is begun with nothing passed. */
MUST_CHECK int link_find_start(struct datalog *log, const struct replicate_message *welcome,
                               struct link_ignored ignored, struct replicate_sender *sender,
                               uint64_t *ret_position);

/* Reading comes to the file that `position` is in: *ret_lacks is true when the target lacks
 * something that is in no record before it, for a snapshot brought it here. */
MUST_CHECK int link_look_at_file(struct datalog *log, uint64_t position,
                                 struct link_ignored ignored, struct replicate_sender *sender,
                                 bool *ret_lacks);

/* All of the log was read, up to `position`: the same of what is here besides. */
bool link_lacks_more(struct storage *storage, uint64_t position, struct link_ignored ignored,
                     struct replicate_sender *sender);

#endif
