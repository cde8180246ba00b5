/*
 * What a search module and a renderer are. A new module is one file in modules/ with one of
 * these rows, and one line in modules/modules.c; a renderer likewise.
 *
 * Parsing makes a plan: immutable, shared by every run of the query, on any thread. A run has a
 * state of its own, used by one thread.
 */
#ifndef QUERY_MODULE_H
#define QUERY_MODULE_H

#include "query/columns.h"
#include "query/lex.h"
#include "query/pipeline.h"
#include "query/query.h"

/* The arguments of one stage, read from left to right: flags first. */
struct query_args {
    const struct query_token *tokens;
    size_t count;
    size_t next;
    const char *name; /* of the module */
    struct span text; /* the whole query: tokens' offsets are in it */
    const struct query_options *options;
    size_t offset;       /* of its name, for faults about what is missing */
    struct arena *arena; /* lives as long as the query */
    struct query_error *error;
    const struct query_tag *tags; /* of the stage, else of the query; none: tag=default */
    size_t tag_count;
    struct span value;             /* of the last flag, NULs and all */
    const char *effective;         /* set by a stage that runs as another text than was typed */
    const char *resource;          /* set by a stage that has read one while it was parsed */
    struct query_flags_seen *seen; /* NULL, but for query/describe.h */
};

struct query_flag {
    const char *name; /* without the hyphen */
    bool takes_value;
};

/* The flags that a stage has asked for: static tables. */
struct query_flags_seen {
    const struct query_flag *flags;
    size_t count;
};

#define QUERY_ARGS_END 1

/* The next flag: its row and value (a C string of the arena). QUERY_ARGS_END: no more flags.
 * Fault: a flag that the table does not have, or without its value. */
MUST_CHECK int query_args_flag(struct query_args *args, const struct query_flag *flags,
                               size_t count, size_t *ret_flag, const char **ret_value);

/* The next word: quoted, or plain tokens that touch, put together. `ret_token`, which may be
 * NULL, says where it stood. */
MUST_CHECK int query_args_word(struct query_args *args, struct span *ret_word,
                               struct query_token *ret_token);

/* The next name: a word, but a comma ends it. Commas before it mean nothing. */
MUST_CHECK int query_args_name(struct query_args *args, struct span *ret_name,
                               struct query_token *ret_token);

/* The next token must be a whole number. */
MUST_CHECK int query_args_number(struct query_args *args, uint64_t *ret_number);

/* Fault unless everything has been read. */
MUST_CHECK int query_args_finish(const struct query_args *args);

/* A fault about the stage as a whole. */
int query_args_fault(const struct query_args *args, const char *format, ...) PRINTF_LIKE(2, 3);

/* The names after "by" or at the end of a stage, up to `max`; commas between them mean nothing. */
MUST_CHECK int query_args_names(struct query_args *args, struct span *names, size_t max,
                                size_t *ret_count);

/* Is the next token this plain word? Takes it if so. */
bool query_args_take(struct query_args *args, const char *word);

/* "as NAME", if that is what comes next: sets the name. */
MUST_CHECK int query_args_as(struct query_args *args, struct span *name);

/* All that is left, "NAME [as OTHER]" up to `max` times, commas meaning nothing; without "as" the
 * other name is the name. `what` they are, for faults: "values". */
MUST_CHECK int query_args_renames(struct query_args *args, const char *what, struct span *names,
                                  struct span *others, size_t max, size_t *ret_count);

#define QUERY_MODULE_END 1

typedef void query_tell(void *context, struct span name);

struct query_module {
    const char *name;
    const char *summary; /* one sentence, for help pages */

    /* Needs the whole merged stream: it and all that follows run on the webserver. `collapser` is
     * the name under which the part on the webserver is reported, when indexers do some too. */
    bool condensing;
    const char *collapser;

    MUST_CHECK int (*parse)(struct query_args *args, void **ret_plan);
    void (*free)(void *plan); /* may be NULL when the plan lies in the arena */

    MUST_CHECK int (*start)(const void *plan, void **ret_state); /* may be NULL, as stop */
    void (*stop)(void *state);

    /* Takes out of block->picks what does not pass; may set values (columns.h). */
    MUST_CHECK int (*run)(const void *plan, void *state, struct query_block *block);

    /* After the last block: gives the next block of what the stage held back, as entries and picks
     * in memory of its own, valid until the next call. QUERY_MODULE_END: no more. NULL: the stage
     * holds nothing back. */
    MUST_CHECK int (*finish)(const void *plan, void *state, struct query_block *block);

    /* The whole query is known now: what the plan takes from it. May be NULL. */
    void (*settle)(void *plan, const struct query *query, size_t stage);

    /* After settle: does each entry that it makes stand for the whole range? NULL: no. */
    bool (*timeless)(const void *plan);

    /* Fetches the resources that the stage needs (query_load). NULL: none. */
    MUST_CHECK int (*load)(void *plan, query_resource *resource, void *context);

    /* Does it look at this value of an entry? NULL: it may look at any. */
    bool (*uses)(const void *plan, struct span name);
    bool replaces; /* only values that it makes itself go on from it */

    /* Calls `each` with the names of the values that it sets, for the parse answer. NULL: it sets
     * none, or knows only as it runs. */
    void (*tell)(const void *plan, query_tell *each, void *context);

    /* A condensing module that indexers can begin: there it condenses what one indexer has into
     * entries that hold states; on the webserver it takes these. An indexer may do its part on
     * several threads: then it gathers what they have, taking states and giving states. NULL: they
     * cannot. */
    void (*take_part)(void *state, enum query_part part);

    /* After start: what the run may use. `scratch` outlives the state; it may be NULL. NULL: the
     * stage holds little. */
    void (*lend)(void *state, struct query_scratch *scratch);

    /* After the last block: appends what is to be said about the result. False: nothing. May be
     * NULL. */
    bool (*remark)(const void *plan, const void *state, struct buf *text);

    /* Does this stage need the merged stream though it condenses nothing (a counter that goes on
     * from entry to entry, a table that only webservers have)? NULL: no. */
    bool (*merged)(const void *plan);

    /* Nothing that could still come would pass. NULL: never. */
    bool (*done)(const void *plan, const void *state);

    /* How many entries of its input, from the first on, can pass at all. NULL: all. */
    uint64_t (*first_needed)(const void *plan);

    /* Words that stand in the data of every entry that passes, no letter or digit beside them. Only
     * a module that looks at each entry for itself may have it. NULL: nothing is known. */
    size_t (*required)(const void *plan, struct span *ret_words, size_t words_max);
};

/* The part of a map that is in view; all zero: the whole earth. `west` may be greater than `east`,
 * across the antimeridian. */
struct query_fence {
    double south, west, north, east;
};

struct query_renderer {
    const char *name;
    const char *summary;

    /* Appends the data of one entry as the download format `text` shows it. */
    void (*text)(struct span data, struct buf *buf);
    const char *const *formats; /* of downloads, NULL-terminated */

    /* Arguments; NULL: it takes none. */
    MUST_CHECK int (*parse)(struct query_args *args, void **ret_plan);
    bool (*uses)(const void *plan, struct span name); /* as a module's */

    /* The whole query is known now, its stages are settled. NULL: it takes nothing from it. */
    void (*settle)(void *plan, const struct query *query);

    /* Are rows of different windows wanted apart? NULL: yes. */
    bool (*by_time)(const void *plan);
    bool timeline; /* it shows values over time: windows are made for it */

    /* How many series it shows; stats in front of it merges the others. NULL: no bound. */
    size_t (*series_max)(const void *plan);

    /* Appends the JSON value `Entries` of the web API for these rows. NULL: rows are entries. With
     * `whole` it is given all rows of the range at once, else a page of them. */
    void (*entries)(const void *plan, const struct query_block *rows, struct buf *buf);
    bool whole;

    /* Is the row in view? NULL: rows have no places. */
    bool (*inside)(const void *plan, const struct query_block *rows, size_t index,
                   const struct query_fence *fence);

    /* Appends what stands beside `Entries`, members with a comma before each. May be NULL. */
    void (*beside)(const void *plan, struct buf *buf);
    bool in_words; /* its text says more than the data: shown with entries */
};

/* May a stage behind this one look at the value? */
bool query_later_uses(const struct query *query, size_t stage, struct span name);

const struct query_module *query_module_find(struct span name);
const struct query_renderer *query_renderer_find(struct span name);

const struct query_module *query_module_at(size_t index); /* NULL behind the last one */
const struct query_renderer *query_renderer_at(size_t index);

/* The module or renderer with the most similar name, or NULL. */
const char *query_module_nearest(struct span name);

/* The value of `name` in this entry, as text appended to `buf`: a universal name (SRC, TAG, DATA,
 * TIMESTAMP) or an enumerated value. False when the entry has none. */
bool query_value_text(const struct query_block *block, size_t index, struct span name,
                      struct buf *buf);

#endif
