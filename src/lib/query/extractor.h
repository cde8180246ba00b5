/*
 * Extraction definitions: how the fields of a tag's entries are found, for the module ax and for
 * pages that show fields. Webservers keep them as objects; a query carries those that it uses, in
 * its effective text, so that indexers need not know them.
 *
 *     module   params
 *     csv      a, b, c              names of columns, "" or _ for one that has none
 *     fields   a, b, c              the same; args: -d "|" -clean …
 *     regex    (?P<a>\S+) (?P<b>…)  the expression
 *     slice    uint16be([0:2]) as a …
 *     json kv xml cef syslog  items as the module has them: req.path as path, user …
 *
 * args are flags of the module.
 */
#ifndef QUERY_EXTRACTOR_H
#define QUERY_EXTRACTOR_H

#include "query/query.h"

#define QUERY_EXTRACTOR_TAGS_MAX 64
#define QUERY_EXTRACTORS_MAX 64 /* in one query */

/* Borrows. */
struct query_extractor {
    const char *name;
    const char *module;
    const char *params;
    const char *args;
    const char *tags[QUERY_EXTRACTOR_TAGS_MAX]; /* names, or globs */
    size_t tag_count;
};

/* The modules that definitions can name, NULL behind the last one. */
extern const char *const query_extractor_engines[];

/* Is it a definition that ax can use? A fault says why not. */
MUST_CHECK int query_extractor_check(const struct query_extractor *extractor);

/* Calls `each` with every field that it gives. */
MUST_CHECK int query_extractor_fields(const struct query_extractor *extractor,
                                      void (*each)(void *context, struct span name), void *context);

/* Appends the stage `ax -def "…"` that has this definition. */
void query_extractor_put(const struct query_extractor *extractor, struct buf *buf);

#endif
