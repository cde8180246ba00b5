/*
 * Records of a Warp 10 3.x feed as records of our datalog: their origin, position and time, and
 * what they do. docs/protocols/warp10-datalog-3x.md.
 *
 *     resume(offset) ──> take, take … ──all done()──> note(offset)
 *        └──APPLY3X_OLDER: the log has less than the offset says
 *
 * Each record becomes one record of the log or none. Its origin is {who made it and this source,
 * lane}, its time when it was made, so that it changes nothing when it comes twice, or late; in
 * the log the records of an origin have times that grow, so an older one goes to another lane.
 * What the log had already when it was resumed is passed over. One thread.
 */
#ifndef INDEXER_APPLY3X_H
#define INDEXER_APPLY3X_H

#include "indexer/offset3x.h"
#include "indexer/storage.h"
#include "warp10/params.h"
#include "warp10/siphash.h"

#define APPLY3X_LANES_MAX 256u
#define APPLY3X_BYTES_MAX ((size_t)64 << 20) /* of the points of one record */

struct apply3x;

enum apply3x_outcome {
    APPLY3X_PASSED_OVER = 1, /* take: it does nothing here; done() is not called */
    APPLY3X_OLDER = 1,       /* resume */
};

struct apply3x_options {
    struct storage *storage;
    const char *source;   /* its name */
    struct span consumer; /* our id there */
    enum warp10_unit unit;
    const struct span *excluded;
    size_t excluded_count;
    const struct feed3x_shard *shards;
    size_t shard_count;
    int64_t shard_shift;
    bool has_keys; /* of ids; else those of the record count */
    struct siphash_key class_key, labels_key;
    struct names3x *names;
};

struct apply3x *apply3x_new(const struct apply3x_options *options);
void apply3x_free(struct apply3x **apply);

/* Before the first take, and after a fault, when nothing is under way. */
MUST_CHECK int apply3x_resume(struct apply3x *apply, const struct offset3x *offset);

/* How many records of each id the log has. When nothing is under way. */
void apply3x_note(struct apply3x *apply, struct offset3x *offset);
/* True after a record of an id that was not known: its name should be kept. */
bool apply3x_has_news(struct apply3x *apply);

/*
 * 0: done() will be called as storage_done. *ret_aside: something of it could not be taken and
 * err_text() says what; it is to be set aside, the rest goes on.
 * ERR_INVALID, ERR_TOO_LARGE, ERR_UNSUPPORTED: it can never be applied; other faults: not now.
 */
MUST_CHECK int apply3x_take(struct apply3x *apply, struct span record, bool *ret_aside,
                            storage_done done, void *context);

#endif
