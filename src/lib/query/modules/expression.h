/*
 * A regular expression, compiled by PCRE2 for the machine, with bounds on steps, depth and memory:
 * what an expression costs on one text is bounded, whatever it is. Compiled once, immutable; a run
 * of it is one thread's.
 */
#ifndef QUERY_MODULES_EXPRESSION_H
#define QUERY_MODULES_EXPRESSION_H

#include "base/err.h"
#include "base/span.h"

#define EXPRESSION_GROUPS_MAX 256

struct expression;
struct expression_run;

/* Fault ERR_INVALID: err_text() says why and where in the pattern. */
MUST_CHECK int expression_new(struct span pattern, struct expression **ret_expression);
void expression_free(struct expression **expression); /* may be NULL */

/* Calls `each` with every named group, in the order of names; what is not 0 ends the walk. */
int expression_groups(const struct expression *expression,
                      int (*each)(void *context, const char *name, size_t group), void *context);

struct expression_run *expression_run_new(const struct expression *expression);
void expression_run_free(struct expression_run **run);

enum expression_outcome {
    EXPRESSION_NO_MATCH,
    EXPRESSION_MATCH,
    EXPRESSION_TOO_MUCH, /* a bound was reached before it was known */
};

/* From `offset` on. Groups stay until the next call. */
enum expression_outcome expression_match(struct expression_run *run, struct span text,
                                         size_t offset);

/* False: it took no part in the match. */
bool expression_group(const struct expression_run *run, size_t group, struct span *ret_text);

#endif
