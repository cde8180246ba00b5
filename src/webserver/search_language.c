/* Tested by tests/cluster/test_query_modules.py. */
#include "webserver/search_language.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "query/lex.h"
#include "service/log.h"
#include "store/store.h"
#include "webserver/account.h"
#include "webserver/contents.h"
#include "webserver/explore.h"
#include "webserver/extractor.h"
#include "webserver/resource.h"
#include "webserver/search_indexers.h"

#define RESOURCE_BYTES_MAX ((size_t)256 * 1024 * 1024)

struct language {
    struct search *search;
    const struct object_principal *who;
    const struct search_queries *queries; /* parsed so far */
    struct object_list extractors;        /* once one is asked for */
    bool listed;
    const json_t *filters; /* of the request, or NULL */
};

static bool tag_exists(void *context, const char *name)
{
    return search_indexers_know(((struct language *)context)->search->indexers, name);
}

struct candidates {
    VEC(char *) names;
};

static int take_candidate(void *context, const char *name)
{
    vec_push(&((struct candidates *)context)->names, mem_strdup(name));
    return 0;
}

static void tag_nearest(void *context, const char *name, struct buf *nearest)
{
    struct candidates tags = {0};
    int rc = search_tags(((struct language *)context)->search, take_candidate, &tags);
    const char *near = rc < 0
                           ? NULL
                           : text_nearest(span_of_str(name), (const char *const *)tags.names.items,
                                          tags.names.count);
    buf_append_str(nearest, near == NULL ? "" : near);
    for (size_t i = 0; i < tags.names.count; i++) {
        mem_free(tags.names.items[i]);
    }
    vec_deinit(&tags.names);
}

struct choice {
    const struct object_principal *who;
    struct buf *body;
    int rank; /* of what lies in the body: 3 own, 2 shared with a group, 1 global */
};

static int rank_of(const struct object_principal *who, const struct object *macro)
{
    if (macro->owner == who->uid) {
        return 3;
    }
    for (size_t i = 0; i < macro->gids.count; i++) {
        for (size_t j = 0; j < who->gid_count; j++) {
            if (macro->gids.items[i] == who->gids[j]) {
                return 2;
            }
        }
    }
    return macro->global ? 1 : 0;
}

static int choose(void *context, const struct object *macro)
{
    struct choice *choice = context;
    int rank = rank_of(choice->who, macro);
    if (rank > choice->rank && object_allows(macro, choice->who, OBJECT_READ)) {
        buf_clear(choice->body);
        buf_append_str(choice->body, object_body_text(macro, "Expansion"));
        choice->rank = rank;
    }
    return 0;
}

/* One's own, then one that is shared with a group, then a global one. */
static bool macro(void *context, const char *name, struct buf *body)
{
    const struct language *language = context;
    struct choice choice = {.who = language->who, .body = body};
    struct store_query query = {.kind = OBJECT_MACRO, .principal = language->who, .name = name};
    int rc = store_walk(language->search->webserver->store, &query, choose, &choice);
    return rc == 0 && choice.rank > 0;
}

static bool extractor(void *context, size_t index, struct query_extractor *ret_extractor)
{
    struct language *language = context;
    if (!language->listed) {
        language->listed = true;
        int rc = extractor_list(language->search->webserver, language->who, &language->extractors);
        if (rc < 0) {
            log_fault("extractors", "extraction definitions could not be read", rc, NULL);
        }
    }
    if (index >= language->extractors.count) {
        return false;
    }
    const struct object *object = language->extractors.items[index];
    extractor_decode(object->body, object->name, ret_extractor);
    return true;
}

static bool has_inner(const struct search_queries *queries, const char *name)
{
    for (size_t i = 0; i < queries->inner_count; i++) {
        if (strcmp(queries->inners[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static int resource(void *context, const char *name, struct buf *contents)
{
    const struct language *language = context;
    struct webserver *webserver = language->search->webserver;
    struct object *object = NULL;
    if (name[0] == '@') {
        return has_inner(language->queries, name)
                   ? QUERY_RESOURCE_LATER
                   : err_set(ERR_NOT_FOUND, "there is no inner query of that name before it");
    }
    int rc = resource_resolve(webserver, language->who, name, &object);
    if (rc == STORE_ABSENT || (rc == 0 && !object_allows(object, language->who, OBJECT_READ))) {
        rc = err_set(ERR_NOT_FOUND, "there is no such resource");
    }
    rc = rc < 0 ? rc : contents_head(webserver, &object->blob, RESOURCE_BYTES_MAX, contents);
    object_free(&object);
    return rc;
}

static int load(struct language *language, struct query *query, struct query_error *ret_error)
{
    size_t stage = 0;
    int rc = query_load(query, resource, language, &stage);
    if (rc < 0) {
        ret_error->stage = (int)stage;
        (void)query_fault(ret_error, query->stages[stage].offset, strlen(query->stages[stage].name),
                          "%s", err_text());
    }
    return rc < 0 ? ERR_INVALID : 0;
}

/* A place in the text with filters becomes the place in the text without; what is wrong in a filter
 * stands where they were put in. */
static void place_without(struct query_error *error, size_t at, size_t bytes)
{
    if (error->offset >= at + bytes) {
        error->offset -= bytes;
    } else if (error->offset >= at) {
        error->offset = at;
        error->bytes = 0;
    }
}

/* The query with the filters as its first stages. */
static int parse_filtered(struct language *language, struct span text,
                          const struct query_options *options, struct query **ret_query,
                          struct query_error *ret_error)
{
    struct query_filter filters[QUERY_FILTERS_MAX];
    size_t count = 0;
    size_t at = 0;
    size_t bytes = 0;
    struct buf filtered = {0};
    int rc = explore_filters(language->filters, filters, &count);
    rc = rc < 0 ? rc : query_filters_put(text, filters, count, &filtered, &at, &bytes);
    if (rc < 0) {
        char why[QUERY_ERROR_BYTES_MAX];
        (void)snprintf(why, sizeof(why), "%s", err_text());
        (void)query_fault(ret_error, 0, 0, "%s", why);
    } else {
        rc = query_parse(buf_span(&filtered), options, ret_query, ret_error);
        if (rc < 0) {
            place_without(ret_error, at, bytes);
        }
    }
    buf_deinit(&filtered);
    return rc;
}

static int parse_part(struct language *language, const struct query_compound_part *part,
                      const struct query_options *options, struct query **ret_query,
                      struct query_error *ret_error)
{
    bool filtered = part->name.bytes == 0 && json_array_size(language->filters) > 0;
    int rc = filtered ? parse_filtered(language, part->text, options, ret_query, ret_error)
                      : query_parse(part->text, options, ret_query, ret_error);
    rc = rc < 0 ? rc : load(language, *ret_query, ret_error);
    rc = rc < 0 ? rc : query_compound_check(part, *ret_query, ret_error);
    if (rc < 0 && part->offset > 0) {
        ret_error->offset += part->offset;
        (void)err_set((enum err)rc, "stage %d, byte %zu: %s", ret_error->stage, ret_error->offset,
                      ret_error->text);
    }
    return rc;
}

/* The bounds of the main query, which inner ones refer to. False: it is wrong, as will be said. */
static bool outer_of(const struct query_compound *compound, const struct query_options *options,
                     struct query_outer *ret_outer)
{
    struct query *query = NULL;
    struct query_error error;
    const struct query_compound_part *part = &compound->parts[compound->count - 1];
    if (query_parse(part->text, options, &query, &error) < 0) {
        return false;
    }
    *ret_outer = (struct query_outer){query->start_ns, query->end_ns};
    query_free(&query);
    return true;
}

static int parse_all(struct language *language, const char *text, struct query_options *options,
                     struct search_queries *ret_queries, struct query_error *ret_error)
{
    struct search_queries queries = {0};
    language->queries = &queries;
    options->macro = macro;
    options->extractor = extractor;
    options->resource = resource;
    options->context = language;
    struct query_compound compound;
    int rc = query_compound_split(span_of_str(text), &compound, ret_error);
    struct query_outer outer;
    bool inner = rc == 0 && compound.count > 1 && outer_of(&compound, options, &outer);
    for (size_t i = 0; rc == 0 && i < compound.count; i++) {
        const struct query_compound_part *part = &compound.parts[i];
        options->outer = inner && i + 1 < compound.count ? &outer : NULL;
        struct query *query = NULL;
        rc = parse_part(language, part, options, &query, ret_error);
        if (i + 1 == compound.count) {
            queries.main = query;
        } else {
            queries.inners[queries.inner_count++] = (struct search_inner){
                mem_strndup((const char *)part->name.data, part->name.bytes), query};
        }
    }
    object_list_deinit(&language->extractors);
    if (rc < 0) {
        search_queries_deinit(&queries);
        return rc;
    }
    *ret_queries = queries;
    return 0;
}

int search_language_parse(struct search *search, const struct object_principal *who,
                          const char *text, const json_t *filters, int64_t start_ns, int64_t end_ns,
                          struct search_queries *ret_queries, struct query_error *ret_error)
{
    struct language language = {.search = search, .who = who, .filters = filters};
    struct query_options options = {
        .now_ns = io_now_ns(search->webserver->io),
        .start_ns = start_ns,
        .end_ns = end_ns,
        .tag_exists = tag_exists,
        .tag_nearest = tag_nearest,
    };
    return parse_all(&language, text, &options, ret_queries, ret_error);
}

int search_language_again(const struct search_one *one, struct search_queries *ret_queries)
{
    struct object_gids gids = {0};
    struct object_principal who;
    int rc = account_principal(one->search->webserver, one->uid, &gids, &who);
    if (rc < 0) {
        return rc;
    }
    struct language language = {.search = one->search, .who = &who, .filters = one->filters};
    struct query_options options = {
        .now_ns = one->launched_ns, .start_ns = one->start_ns, .end_ns = one->end_ns};
    struct query_error error = {0};
    rc = parse_all(&language, one->user_query, &options, ret_queries, &error);
    object_set_gids(&gids, NULL, 0);
    return rc < 0 && error.text[0] != '\0' ? err_set(ERR_INVALID, "%s", error.text) : rc;
}

void search_queries_deinit(struct search_queries *queries)
{
    query_free(&queries->main);
    for (size_t i = 0; i < queries->inner_count; i++) {
        query_free(&queries->inners[i].query);
        mem_free(queries->inners[i].name);
    }
    queries->inner_count = 0;
}
