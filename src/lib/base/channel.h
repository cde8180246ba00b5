/*
 * A bounded queue of pointers between threads. Pushing transfers ownership. Any number of
 * threads on either side.
 *
 *     open ──push, pop──> open ──close──> CLOSED: push refuses, pop drains what is left
 */
#ifndef BASE_CHANNEL_H
#define BASE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

struct channel;

enum channel_outcome {
    CHANNEL_FULL = 1,   /* try_push: at its bound */
    CHANNEL_CLOSED = 2, /* push: nothing was taken; pop: closed and drained */
    CHANNEL_TIMEOUT = 3,
};

struct channel *channel_new(size_t items_max);

/* Nobody may use it any more; what is left inside is not freed. Clears `*channel`. */
void channel_free(struct channel **channel);

MUST_CHECK int channel_push(struct channel *channel, void *item); /* waits while full */
MUST_CHECK int channel_try_push(struct channel *channel, void *item);
MUST_CHECK int channel_pop(struct channel *channel, int64_t timeout_ms,
                           void **ret_item); /* <0: for ever */

/* Takes up to `items_max` at once; waits only for the first. Sets *ret_count when it returns 0. */
MUST_CHECK int channel_pop_many(struct channel *channel, int64_t timeout_ms, void **ret_items,
                                size_t items_max, size_t *ret_count);
void channel_close(struct channel *channel); /* wakes everybody */
size_t channel_count(struct channel *channel);

#endif
