/*
 * Records of the datalog as requests to a Warp 10 2.x. docs/protocols/warp10-datalog.md.
 *
 * The header of a request says whose record it is and when it was written, so that a Warp 10 that
 * is not the last hop, and other Aquifers behind it, know it again. Lines are percent-encoded and
 * their times absolute, so that neither charset nor clock of the target matter. Labels .app, .owner
 * and .producer are the target's token's affair.
 */
#ifndef INDEXER_TRANSLATE2X_H
#define INDEXER_TRANSLATE2X_H

#include "base/vec.h"
#include "datalog/log.h"
#include "series/catalogue.h"
#include "warp10/params.h"
#include "warp10/post.h"

#define TRANSLATE2X_TOKENS_MAX 64u

/* The first without an application is for all that no other has; without one, those are not
 * forwarded. */
struct translate2x_token {
    struct span application; /* empty: any */
    struct span token;
};

struct translate2x {
    struct series_catalogue *catalogue;
    enum warp10_unit unit;
    struct span psk;
    const struct translate2x_token *tokens;
    size_t token_count;
    struct uuid self;        /* what came from here goes nowhere again */
    const uint64_t *ignored; /* datalog2x_id_hash() of ids */
    size_t ignored_count;
};

/* Whether it goes to Warp 10 at all. */
bool translate2x_wants(const struct translate2x *translate, const struct datalog_record *record);

/* Calls `each` with every request that stands for the record, until it returns something else
 * than 0, which is returned. ERR_UNSUPPORTED: a Warp 10 cannot be asked for this. */
MUST_CHECK int translate2x_record(const struct translate2x *translate,
                                  const struct datalog_record *record,
                                  int (*each)(void *context, const struct post_request *request),
                                  void *context);

#endif
