/* Tested by tests/cluster/test_query_modules.py. */
#include "webserver/search_language.h"

#include "query/lex.h"
#include "store/store.h"
#include "webserver/contents.h"
#include "webserver/resource.h"
#include "webserver/search_indexers.h"

#define RESOURCE_BYTES_MAX ((size_t)256 * 1024 * 1024)

static bool tag_exists(void *context, const char *name)
{
    return search_indexers_know(((struct search_language *)context)->search->indexers, name);
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
    const struct search_language *language = context;
    struct choice choice = {.who = language->who, .body = body};
    struct store_query query = {.kind = OBJECT_MACRO, .principal = language->who, .name = name};
    int rc = store_walk(language->search->webserver->store, &query, choose, &choice);
    return rc == 0 && choice.rank > 0;
}

void search_language_options(struct search_language *language, struct query_options *options)
{
    options->tag_exists = tag_exists;
    options->macro = macro;
    options->context = language;
}

static int resource(void *context, const char *name, struct buf *contents)
{
    const struct search_language *language = context;
    struct webserver *webserver = language->search->webserver;
    struct object *object = NULL;
    if (name[0] == '@') {
        return QUERY_RESOURCE_LATER;
    }
    int rc = resource_resolve(webserver, language->who, name, &object);
    if (rc == STORE_ABSENT || (rc == 0 && !object_allows(object, language->who, OBJECT_READ))) {
        rc = err_set(ERR_NOT_FOUND, "there is no such resource");
    }
    rc = rc < 0 ? rc : contents_head(webserver, &object->blob, RESOURCE_BYTES_MAX, contents);
    object_free(&object);
    return rc;
}

int search_language_load(struct search_language *language, struct query *query,
                         struct query_error *ret_error)
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
