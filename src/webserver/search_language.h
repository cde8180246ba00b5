/*
 * What a query may name that only the webserver has: tags of the indexers, macros, resources; as
 * the user who asks may see them. One thread; for one query.
 */
#ifndef WEBSERVER_SEARCH_LANGUAGE_H
#define WEBSERVER_SEARCH_LANGUAGE_H

#include "object/access.h"
#include "query/query.h"
#include "webserver/search_one.h"

struct search_language {
    struct search *search;
    const struct object_principal *who;
};

/* Fills tag_exists, macro and context; the language must outlive the parsing. */
void search_language_options(struct search_language *language, struct query_options *options);

/* The resources that the query looks into. What begins with @ is left for later. A fault fills
 * *ret_error. */
MUST_CHECK int search_language_load(struct search_language *language, struct query *query,
                                    struct query_error *ret_error);

#endif
