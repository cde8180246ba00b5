/*
 * What is in an entry, for pages on which people click at values: elements with the module and the
 * path that take them out, and filters that were clicked, put into a query.
 *
 * An entry is taken apart by the definition of its tag (query/extractor.h) if there is one, else as
 * what it looks like: JSON, syslog, CEF, pairs of keys and values, columns. Values are those that
 * the modules of the language find, so that what is clicked is what a query extracts. Pure; memory
 * of its own.
 */
#ifndef QUERY_EXPLORE_H
#define QUERY_EXPLORE_H

#include <jansson.h>

#include "query/extractor.h"

#define QUERY_EXPLORE_BYTES_MAX                                                                    \
    ((size_t)256 * 1024) /* of an entry; larger ones have no elements                              \
                          */
#define QUERY_EXPLORE_ELEMENTS_MAX 1000
#define QUERY_EXPLORE_WORDS_MAX 4096
#define QUERY_FILTERS_MAX 64

/* {"Tag","Module","Elements":[{"Module","Args","Name","Path","Value","SubElements","Filters"}],
 *  "WordOffsets":[[from,to],…]}, what is empty left out. `extractor` may be NULL. */
json_t *query_explore(struct span data, const char *tag, const struct query_extractor *extractor);

/* The names of the modules that such entries look like, and how many of them do: a definition each,
 * as the web API has it, with what it gives for the entries:
 * {"kv":[{"Extractor":{…},"Confidence":9.5,"Explore":[…]}], …} */
json_t *query_explore_generate(const char *tag, const struct span *entries, size_t count);

/* A filter as clicked. Borrows; nothing is NULL, empty is not given. */
struct query_filter {
    const char *tag;
    const char *module;
    const char *args;
    const char *path;
    const char *name;
    const char *op;
    const char *value;
};

/* Appends `text`, a query without inner ones, with these filters as its first stages; *ret_at and
 * *ret_bytes say where they were put in. ERR_INVALID: a filter without a module, or an operator
 * that is none. */
MUST_CHECK int query_filters_put(struct span text, const struct query_filter *filters, size_t count,
                                 struct buf *buf, size_t *ret_at, size_t *ret_bytes);

/* Where the stages of a query begin: behind tag=, start= and end=. */
size_t query_stages_offset(struct span text);

#endif
