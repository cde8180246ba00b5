/*
 * Quarantine: requests that could not be applied here, or that another node refused, as files in
 * one directory until somebody looks at them (`aquifer datalog quarantine`). A file is
 *
 *     Time: 1700000000000000000          when it was given up, nanoseconds
 *     Link: paris                        the forwarder's name, or "received"
 *     Target: http://warp10:8080
 *     Tries: 5
 *     Reason: 500: Invalid token.
 *
 *     4iXlnUzdzj6d…                      the request as Warp 10 2.x keeps it (request_file.h), or a
 *                                        record of a link between indexers (indexer/link_poison.h)
 *
 * with lines that have no value left out. Written whole or not at all, and durable. Any thread.
 */
#ifndef WARP10_REFUSED_H
#define WARP10_REFUSED_H

#include "base/buf.h"
#include "io/io.h"

#define REFUSED_SUFFIX ".refused"
#define REFUSED_RECORD_TITLE                                                                       \
    "aquifer record "          /* a request that begins so is no request of Warp 10 */
#define REFUSED_3X_TITLE "3x " /* nor this one: REF and SOURCE in the line, then base64 */
#define REFUSED_FILES_MAX 10000
#define REFUSED_BYTES_MAX (UINT64_C(1) << 30) /* of all files */
#define REFUSED_ITEM_BYTES_MAX ((size_t)512 << 20)

struct refused_item {
    int64_t time_ns;
    struct span link, target, reason;
    unsigned tries;
    struct span request; /* first line without its #, and what follows */
};

/* ERR_NO_SPACE: the quarantine is full. Makes the directory. */
MUST_CHECK int refused_put(struct io *io, const char *dir, const struct refused_item *item);

/* Calls `each` with the name of each file, oldest first. None when there is no directory. */
MUST_CHECK int refused_each(struct io *io, const char *dir,
                            int (*each)(void *context, const char *name), void *context);

/* Borrows from `text`. ERR_NOT_FOUND, ERR_CORRUPT. */
MUST_CHECK int refused_get(struct io *io, const char *dir, const char *name, struct buf *text,
                           struct refused_item *ret_item);
MUST_CHECK int refused_drop(struct io *io, const char *dir, const char *name);

#endif
