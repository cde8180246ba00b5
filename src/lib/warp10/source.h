/*
 * A directory of request files (request_file.h), as Warp 10 2.x and our indexers link them, and
 * what forwards from it: in the order of names, each file removed once the target has it. After a
 * kill it goes on where it was; what was under way is sent once more.
 *
 * What is no request, or not sealed with the PSK, goes to quarantine with its bytes: it blocks
 * nothing. One thread; a directory has one forwarder.
 */
#ifndef WARP10_SOURCE_H
#define WARP10_SOURCE_H

#include "warp10/post.h"

#define SOURCE_SUFFIX ".datalog"

struct source {
    const char *dir;
    struct span psk;
    const struct span *ignored; /* ids whose requests are removed unsent */
    size_t ignored_count;
    const struct post_target *target; /* with a quarantine */
};

struct source_counts {
    uint64_t sent, ignored, set_aside;
};

/* One look at the directory: all files that are there now. Adds to *counts. ERR_CANCELLED;
 * ERR_NO_SPACE: the quarantine is full. */
MUST_CHECK int source_forward(const struct source *source, struct source_counts *counts);

#endif
