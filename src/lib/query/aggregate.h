/*
 * What an operation over many values has come to: a state that values are added to and that
 * merges with others of the same operation. Results do not depend on the order or on how values
 * were spread over states: sums are kept exactly and rounded once, at the end. Distinct values are
 * counted exactly up to a bound, beyond it they are estimated (distinct.h). Zero-initialised is
 * empty and valid; one thread.
 */
#ifndef QUERY_AGGREGATE_H
#define QUERY_AGGREGATE_H

#include "base/wire.h"
#include "query/distinct.h"
#include "query/value.h"

enum aggregate_op {
    AGGREGATE_COUNT = 1, /* numbers on the wire */
    AGGREGATE_SUM = 2,
    AGGREGATE_TOTAL = 3, /* as sum */
    AGGREGATE_MEAN = 4,
    AGGREGATE_STDDEV = 5, /* of the whole population, as the variance */
    AGGREGATE_VARIANCE = 6,
    AGGREGATE_MIN = 7,
    AGGREGATE_MAX = 8,
    AGGREGATE_UNIQUE_COUNT = 9,
    AGGREGATE_LEAST = 10, /* has no name: the text that is the first byte by byte */
};

/* A sum as doubles that do not overlap, and an integer: their sum is the exact one. */
struct aggregate_sum {
    int64_t whole; /* of integers, as far as it fits */
    double *parts;
    uint32_t count;
    uint32_t capacity;
};

struct aggregate {
    uint64_t count; /* of values that counted */
    bool real;      /* some were no integers */
    struct aggregate_sum sum;
    struct aggregate_sum squares;
    struct query_value best;   /* MIN, MAX; its text is owned */
    struct distinct *distinct; /* UNIQUE_COUNT */
};

void aggregate_deinit(struct aggregate *aggregate);

/* The operation of this name (avg is mean), or 0; and back. */
enum aggregate_op aggregate_find(struct span name);
const char *aggregate_name(enum aggregate_op op);

/* `value` may be NULL for COUNT. What is not of use to the operation is skipped. Returns how many
 * bytes of memory more are held, beyond a few. */
int64_t aggregate_add(struct aggregate *aggregate, enum aggregate_op op,
                      const struct query_value *value);

/* False: there is none, no value counted. */
bool aggregate_result(const struct aggregate *aggregate, enum aggregate_op op,
                      struct query_value *ret_value);
bool aggregate_is_estimate(const struct aggregate *aggregate);

/* The state as bytes, and merging such bytes; a broken form sticks to the reader. */
void aggregate_put(const struct aggregate *aggregate, enum aggregate_op op, struct buf *buf);
int64_t aggregate_take(struct aggregate *aggregate, enum aggregate_op op,
                       struct wire_reader *reader);

#endif
