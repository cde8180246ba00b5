/*
 * Records of our datalog as records of a Warp 10 3.x feed, and refs: places in our log as
 * consumers give them back. docs/protocols/warp10-datalog-3x.md. One thread.
 */
#ifndef INDEXER_TRANSLATE3X_H
#define INDEXER_TRANSLATE3X_H

#include "base/vec.h"
#include "datalog/log.h"
#include "indexer/offset3x.h"
#include "series/catalogue.h"
#include "warp10/params.h"
#include "warp10/siphash.h"

#define TRANSLATE3X_POINTS_BYTES_MAX ((size_t)256 << 10) /* of an UPDATE, when it has several */
#define TRANSLATE3X_VALUE_BYTES_MAX ((size_t)(1 << 20) - 8192) /* what fits a message for sure */

/* "aquifer-UUID:POSITION.PART:TIME", with "r" behind the part a REGISTER before it. */
struct ref3x {
    struct uuid node;
    uint64_t position; /* in its log */
    uint64_t part;     /* the how-manieth of that record, from 0 */
    bool registers;
    uint64_t time; /* of the record */
};
void ref3x_print(struct buf *buf, const struct ref3x *ref);
bool ref3x_parse(struct span text, struct ref3x *ret_ref);

struct translate3x_options {
    struct series_catalogue *catalogue;
    struct uuid self;
    enum warp10_unit unit;
    struct siphash_key class_key, labels_key; /* zeros do */
    struct names3x *names;
};

/* What one consumer wants. */
struct translate3x {
    const struct translate3x_options *options;
    VEC(uint64_t) excluded; /* datalog2x_id_hash() */
    VEC(struct feed3x_shard) shards;
    int64_t shard_shift;
    struct buf told; /* bits: series that it knows, by number */
    struct buf encoded;
};
void translate3x_deinit(struct translate3x *translate);

/* Whether anything of it may go to this consumer. */
bool translate3x_wants(const struct translate3x *translate, const struct datalog_record *record);

/* Takes one record of the feed. */
typedef int (*translate3x_each)(void *context, struct span record, const struct ref3x *ref);

/*
 * Calls `each` for all that stands for the record, from part `first` on, until it returns something
 * else than 0, which is returned. *missed is raised by what a message cannot hold. Numbers of
 * parts are the same each time.
 */
MUST_CHECK int translate3x_record(struct translate3x *translate,
                                  const struct datalog_record *record, uint64_t first,
                                  translate3x_each each, void *context, uint64_t *missed);

#endif
