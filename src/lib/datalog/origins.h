/*
 * How far the records of other nodes are in the log: per origin the highest origin position.
 * A position is staged while its record is in a group, and counts when the group is durable.
 * Used under the log's lock.
 */
#ifndef DATALOG_ORIGINS_H
#define DATALOG_ORIGINS_H

#include "base/map.h"
#include "base/vec.h"
#include "datalog/log.h"

struct datalog_origin_row;

struct datalog_origins {
    struct map rows;                          /* origin -> row, owned */
    VEC(struct datalog_origin_row *) touched; /* rows with something staged */
};

void datalog_origins_deinit(struct datalog_origins *origins);

/* What is durable; what is staged or else durable. Position 0: nothing. */
struct datalog_origin_position datalog_origins_durable(const struct datalog_origins *origins,
                                                       struct datalog_origin origin);
uint64_t datalog_origins_staged(const struct datalog_origins *origins,
                                struct datalog_origin origin);

/* False when there are DATALOG_ORIGINS_MAX others. */
MUST_CHECK bool datalog_origins_stage(struct datalog_origins *origins,
                                      struct datalog_origin_position position);
void datalog_origins_commit(struct datalog_origins *origins);
void datalog_origins_rollback(struct datalog_origins *origins);

/* Calls `each` for all that is durable, or `staged`, in no order. */
void datalog_origins_each(const struct datalog_origins *origins, bool staged,
                          void (*each)(void *context,
                                       const struct datalog_origin_position *position),
                          void *context);

#endif
