/*
 * A query: text in, a checked pipeline out.
 *
 *     [tag=a,b-* start=-1h end="2026-01-02T03:04:05Z"] [|] module {| module} [| renderer]
 *
 * A parsed query is immutable: any number of threads may read it and run it (pipeline.h). It owns
 * everything it points to. The language: docs/query-language.md.
 *
 * Stages are numbered as typed, from 0, the renderer being the last. `collapse` is the number of
 * the first stage that needs the whole stream: stages before it run on the indexers, it and
 * everything after it on the webserver, which merges by time, newest first.
 */
#ifndef QUERY_QUERY_H
#define QUERY_QUERY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "query/tables.h"

#define QUERY_TEXT_BYTES_MAX (256 * 1024)
#define QUERY_STAGES_MAX 64
#define QUERY_TAGS_MAX 1024 /* names and globs in one tag= */
#define QUERY_STAGE_RESOURCES_MAX 16
#define QUERY_ERROR_BYTES_MAX 240 /* the web API promises error texts below 256 bytes */

struct query_module;
struct query_renderer;

/* What is wrong with a query and where. */
struct query_error {
    char text[QUERY_ERROR_BYTES_MAX];
    int stage;     /* number of the stage; -1: the constraints before the first one */
    size_t offset; /* of the offending text, in bytes from the start of what was typed */
    size_t bytes;  /* its length; may be 0 */
};

struct query_tag {
    const char *pattern; /* a name, or a glob */
    bool glob;
    size_t offset;
    size_t bytes;
};

struct query_stage {
    const struct query_module *module; /* NULL in the last stage, the renderer */
    const char *name;
    const char *text;             /* as typed, without comments: "grep -i error" */
    const struct query_tag *tags; /* the stage acts on entries of these tags only ... */
    size_t tag_count;             /* ... 0: on all */
    void *plan;                   /* the module's */
    size_t offset;
    const char *resources[QUERY_STAGE_RESOURCES_MAX]; /* that it looks into */
    size_t resource_count;
};

/* A table that was loaded, as it goes to indexers. */
struct query_copy {
    char *name; /* of the resource */
    char hash[QUERY_TABLE_HASH_BYTES];
    struct buf contents;
};

struct query {
    const char *text;      /* as typed */
    const char *effective; /* as it runs: no comments, tag and renderer spelled out */

    const struct query_tag *tags; /* at least one */
    size_t tag_count;

    /* Half open, whole seconds: [start_ns, end_ns). */
    int64_t start_ns;
    int64_t end_ns;
    bool time_given; /* by start= or end= in the text */
    int64_t now_ns;

    struct query_stage *stages; /* the last one is the renderer */
    size_t stage_count;
    size_t collapse; /* first stage that runs on the webserver */
    struct query_copy *copies;
    size_t copy_count;

    const struct query_renderer *renderer;
    const char *renderer_text; /* as typed or supplied: "text" */
    bool time_zoom_disabled; /* the result is one for the whole range */
};

struct query_extractor;

/* Appends the contents of a resource, or says why not. QUERY_RESOURCE_LATER: it will be there, but
 * is not yet. */
#define QUERY_RESOURCE_LATER 1
typedef int query_resource(void *context, const char *name, struct buf *contents);

/* The bounds of the main query, for an inner one. */
struct query_outer {
    int64_t start_ns;
    int64_t end_ns;
};

struct query_options {
    int64_t now_ns;
    int64_t start_ns; /* the range chosen outside the text; start= and end= override it */
    int64_t end_ns;

    /* An inner query: its START and END are these, and so is what a bare offset goes from, start=
     * from the start and end= from the end. NULL: it is none. */
    const struct query_outer *outer;

    /* Says whether a plain tag name exists. NULL: every name is accepted. */
    bool (*tag_exists)(void *context, const char *name);
    void *context;

    /* Appends the tag that is nearest to one that does not exist, if any is near. May be NULL. */
    void (*tag_nearest)(void *context, const char *name, struct buf *nearest);

    /* Appends the body of a macro; false: there is none. NULL: there are no macros. */
    bool (*macro)(void *context, const char *name, struct buf *body);

    /* Gives extraction definition `index` of those that the asker may use, the nearest ones first;
     * false: there are no more. What it gives lives until the next call. NULL: there are none. */
    bool (*extractor)(void *context, size_t index, struct query_extractor *ret_extractor);

    /* For what a stage must know while it is parsed; NULL: there are no resources. */
    query_resource *resource;
};

/* Copies `text`. A fault is ERR_INVALID or ERR_TOO_LARGE, with *ret_error filled and err_text()
 * "stage 2, byte 17: unknown module 'gerp', did you mean 'grep'". */
MUST_CHECK int query_parse(struct span text, const struct query_options *options,
                           struct query **ret_query, struct query_error *ret_error);
void query_free(struct query **query);

/* Gives the stages the tables that they look into, before a run on a webserver; `resource` appends
 * the contents of one, says why not, or QUERY_RESOURCE_LATER: the query will be loaded once more,
 * what is there stays then. A stage that looks into a table runs on indexers, which are given
 * copies, if the table is there and not larger than QUERY_COPY_BYTES_MAX. Not while the query runs.
 * A fault: *ret_stage (may be NULL) is the stage. */
#define QUERY_COPY_BYTES_MAX ((size_t)64 << 20)
MUST_CHECK int query_load(struct query *query, query_resource *resource, void *context,
                          size_t *ret_stage);

/* The same on an indexer, for its stages [0, stages). */
MUST_CHECK int query_load_part(struct query *query, size_t stages, query_resource *resource,
                               void *context);

/* Does this tag belong to the query (or to the stage)? */
bool query_tags_match(const struct query_tag *tags, size_t count, const char *name);

/* How many entries of the merged stream can matter at all, from its newest on: the indexers need
 * not send more each. UINT64_MAX when all may. */
uint64_t query_first_needed(const struct query *query);

#endif
