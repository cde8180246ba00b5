/*
 * Compound queries: `@name{ query }; @other{ query }; main query`. Inner queries run first, in
 * order; the rows of each are a table, @name, that later ones and the main one look into.
 *
 * Only the text is taken apart here; the parts borrow from it.
 */
#ifndef QUERY_COMPOUND_H
#define QUERY_COMPOUND_H

#include "base/vec.h"
#include "query/query.h"

#define QUERY_INNER_MAX 16

struct query_compound_part {
    struct span name; /* with its @; empty: the main query */
    struct span text;
    size_t offset; /* in the whole text */
};

struct query_compound {
    struct query_compound_part parts[QUERY_INNER_MAX + 1]; /* the last one is the main query */
    size_t count;
};

/* A text without inner queries is one part. ERR_INVALID: braces, names or semicolons are missing;
 * *ret_error says where. */
MUST_CHECK int query_compound_split(struct span text, struct query_compound *ret_compound,
                                    struct query_error *ret_error);

/* Inner queries must end in table; `query` is what this part was parsed to. */
MUST_CHECK int query_compound_check(const struct query_compound_part *part,
                                    const struct query *query, struct query_error *ret_error);

#endif
