/*
 * Macros: $NAME and $NAME(argument, …) in a query are replaced by their bodies, in which %%1%%,
 * %%2%% … are the arguments, before it is parsed; again and again, until none is left.
 *
 * Names are of A-Z 0-9 _ -; the longest counts. Nothing is replaced inside quotes and comments.
 * Arguments are separated by commas outside parentheses and quotes; white space around them and
 * one pair of double quotes go.
 */
#ifndef QUERY_MACRO_H
#define QUERY_MACRO_H

#include "base/vec.h"
#include "query/query.h"

#define QUERY_MACRO_DEPTH_MAX 16

/* A piece of the result that stands for one macro of the text. */
struct query_macro_place {
    size_t offset; /* in the result */
    size_t bytes;
    size_t typed_offset; /* in the text */
    size_t typed_bytes;
};

struct query_expansion {
    struct buf text;
    VEC(struct query_macro_place) places; /* ascending */
};

/* ERR_INVALID with the place in the text: an unknown macro, one that contains itself, an argument
 * that is not there; ERR_TOO_LARGE: the result is longer than a query may be. */
MUST_CHECK int query_expand(struct span text, const struct query_options *options,
                            struct query_expansion *ret_expansion, struct query_error *ret_error);
void query_expansion_deinit(struct query_expansion *expansion);

/* The place in the text of a place in the result: inside a macro's body the macro itself. */
void query_expansion_locate(const struct query_expansion *expansion, size_t *offset, size_t *bytes);

#endif
