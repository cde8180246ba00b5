/*
 * What the parse answer says about the stages of a query: a row per physical stage ("limit",
 * "limitCollapser", "sort"), and of each the values that it sets, those that it looks at, the
 * resources that it needs.
 */
#ifndef QUERY_HINTS_H
#define QUERY_HINTS_H

#include "base/vec.h"
#include "query/query.h"

#define QUERY_HINTS_MAX (2 * QUERY_STAGES_MAX + 1)
#define QUERY_HINT_NAMES_MAX 256

struct query_hint {
    const char *name;
    bool condensing;
    size_t stage; /* SIZE_MAX: the merge by time, which is no stage */
};

/* Fills up to QUERY_HINTS_MAX rows; *ret_collapsing is the row of the first condensing one. */
size_t query_hints(const struct query *query, struct query_hint *ret_hints, size_t *ret_collapsing);

/* Names without repetition, borrowed from the query. */
struct query_hint_names {
    struct span items[QUERY_HINT_NAMES_MAX];
    size_t count;
};

void query_hint_produced(const struct query *query, size_t stage, struct query_hint_names *names);

/* Of the names that earlier stages set and that its text has, and the universal ones, those that
 * it looks at. */
void query_hint_consumed(const struct query *query, size_t stage, struct query_hint_names *names);

#endif
