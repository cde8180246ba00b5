/*
 * What modules share that take values out of a text by items: json, kv, csv, fields, regex, syslog,
 * xml, cef.
 *
 *     item = path [OP value] [as name]
 *
 * A module says how its paths are written and how values are found; filters, -e, -s and names are
 * the same for all. Items that nobody asks for and that have no filter are not looked for.
 */
#ifndef QUERY_MODULES_EXTRACT_H
#define QUERY_MODULES_EXTRACT_H

#include "query/module.h"
#include "query/value.h"

#define EXTRACT_ITEMS_MAX 64

enum extract_op {
    EXTRACT_NONE,
    EXTRACT_EQ,
    EXTRACT_NE,
    EXTRACT_HAS,
    EXTRACT_HAS_NOT,
    EXTRACT_LT,
    EXTRACT_GT,
    EXTRACT_LE,
    EXTRACT_GE,
};

struct extract_filter {
    enum extract_op op;
    struct span text;
    struct query_value number; /* of `text`, when order or numbers are asked for */
};

struct extract_item {
    struct span name; /* of the value */
    struct extract_filter filter;
    bool numeric; /* its values are integers, and so is its filter's */
    bool wanted;  /* somebody uses it, or it has a filter */
    bool met;     /* the module finds only what meets the filter */
    void *path;   /* the module's */
};

struct extract_plan {
    const struct extract_way *way;
    void *own; /* the module's: flags, an expression */
    struct span source;
    bool strict;
    bool pass; /* entries in which nothing can be found pass, filters or not (regex -p) */
    bool drop_found;
    struct extract_item items[EXTRACT_ITEMS_MAX];
    size_t count;
};

struct extract_found {
    struct query_value *values; /* by item; NONE at first */
    bool broken;                /* set when the text could not be read: it is counted */
};

struct extract_way {
    /* Reads one path; `ret_name` is the value's name if there is no "as". */
    MUST_CHECK int (*path)(struct query_args *args, struct extract_plan *plan,
                           struct extract_item *item);

    /* Fills found->values[i] for wanted items; they may point into `data` or `arena`. False: there
     * is nothing to be found (an expression does not match): the entry is dropped. */
    bool (*find)(const struct extract_plan *plan, void *state, struct span data,
                 struct arena *arena, struct extract_found *found);
};

/* [-e name] [-s] and items up to the end: the whole of a module that has no other flags. */
MUST_CHECK int extract_parse(struct query_args *args, const struct extract_way *way,
                             void **ret_plan);

/* Reads items up to the end. */
MUST_CHECK int extract_parse_items(struct query_args *args, struct extract_plan *plan);

/* [OP value] [as name] after a path, as every item has it. */
MUST_CHECK int extract_parse_rest(struct query_args *args, struct extract_item *item);

/* OP value, if it stands here. */
MUST_CHECK int extract_parse_filter(struct query_args *args, struct extract_filter *filter);
bool extract_passes(const struct extract_filter *filter, bool numeric,
                    const struct query_value *value);

/* A zero-based index in brackets, decimal, octal or hexadecimal; its text as written. */
MUST_CHECK int extract_parse_index(struct query_args *args, uint64_t *ret_index,
                                   struct span *ret_text);

/* Rows of struct query_module. */
int extract_run(const void *plan, void *state, struct query_block *block);
bool extract_uses(const void *plan, struct span name);

/* For modules whose values stand in the data as they are, with no letter or digit beside them. */
size_t extract_required(const void *plan, struct span *ret_words, size_t words_max);
void extract_tell(const void *plan, query_tell *each, void *context);
void extract_settle(void *plan, const struct query *query, size_t stage);

#endif
