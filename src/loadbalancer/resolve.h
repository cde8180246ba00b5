/*
 * Host names to addresses for HAProxy's slots. An answer is kept for a while, and as long as it is
 * among the new answers, so that a name with several addresses does not make a server wander.
 * When resolving fails the last answer goes on. One thread; resolving blocks it.
 */
#ifndef LOADBALANCER_RESOLVE_H
#define LOADBALANCER_RESOLVE_H

#include "base/err.h"
#include "io/io.h"
#include "loadbalancer/slots.h"

struct resolve;

struct resolve *resolve_new(struct io *io, int64_t keep_ms);
void resolve_free(struct resolve **resolve);

/* "host[:port]" to a target. ERR_INVALID: not of that form; ERR_NOT_FOUND: it has no address. */
MUST_CHECK int resolve_target(struct resolve *resolve, const char *text, uint16_t default_port,
                              struct slot_target *ret_target);

#endif
