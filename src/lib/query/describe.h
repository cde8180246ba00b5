/*
 * What the language has: modules, renderers and eval's functions, for help pages and for editors
 * that complete and colour queries. Taken from the modules' own declarations, so it cannot say
 * anything else than the parser does.
 */
#ifndef QUERY_DESCRIBE_H
#define QUERY_DESCRIBE_H

#include "query/module.h"

struct query_description {
    const char *name;
    const char *summary; /* one sentence */
    bool renderer;
    bool condensing;
    const struct query_flag *flags;
    size_t flag_count;
};

/* Calls `each` for every module, then for every renderer, by name. Borrowed for ever. */
void query_describe(void (*each)(void *context, const struct query_description *description),
                    void *context);

/* The same for eval's functions; `args_max` 255: any number. */
void query_describe_functions(void (*each)(void *context, const char *name, unsigned args_min,
                                           unsigned args_max),
                              void *context);

#endif
