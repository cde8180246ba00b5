/*
 * What grep and words have in common: a set of patterns, looked for in DATA or in a value, and
 * what a hit means.
 */
#ifndef QUERY_MODULES_MATCH_H
#define QUERY_MODULES_MATCH_H

#include "query/module.h"
#include "query/pattern.h"

struct match_plan {
    struct query_patterns *patterns;
    struct span value; /* -e: look into this value; empty: DATA */
    bool all;          /* all patterns must be there, not just any */
    bool invert;
};

/* Reads the patterns that follow the flags; they become the plan's. */
MUST_CHECK int match_parse(struct query_args *args, enum query_pattern_kind kind, bool caseless,
                           struct match_plan *plan);
void match_free(void *plan);
MUST_CHECK int match_start(const void *plan, void **ret_state);
void match_stop(void *state);
MUST_CHECK int match_run(const void *plan, void *state, struct query_block *block);

bool match_uses(const void *plan, struct span name);
size_t match_required(const void *plan, struct span *ret_words, size_t words_max);

#endif
