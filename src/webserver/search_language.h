/*
 * What a query may name that only the webserver has: tags of the indexers, macros, resources, as
 * the user who asks may see them; and compound queries. One thread.
 */
#ifndef WEBSERVER_SEARCH_LANGUAGE_H
#define WEBSERVER_SEARCH_LANGUAGE_H

#include "object/access.h"
#include "query/compound.h"
#include "webserver/search_one.h"

struct search_queries {
    struct query *main;
    struct search_inner inners[QUERY_INNER_MAX]; /* owned */
    size_t inner_count;
};

/* Parses all parts, the main one with the request's filters (may be NULL) as its first stages,
 * [start_ns, end_ns) being the range chosen outside, and reads the resources
 * that they look into; those that begin with @ come when inner queries have run. A fault of the
 * query fills *ret_error, with its place in the whole text. */
MUST_CHECK int search_language_parse(struct search *search, const struct object_principal *who,
                                     const char *text, const json_t *filters, int64_t start_ns,
                                     int64_t end_ns, struct search_queries *ret_queries,
                                     struct query_error *ret_error);

/* The same for what a search asked when it was launched, at that time and over that range, with
 * what its owner may read now; tags need not be known yet. */
MUST_CHECK int search_language_again(const struct search_one *one,
                                     struct search_queries *ret_queries);
void search_queries_deinit(struct search_queries *queries);

#endif
