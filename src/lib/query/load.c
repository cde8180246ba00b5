/* Tested by lookup_test.c and compound_test.c. */
#include "query/load.h"

#include "base/mem.h"
#include "query/module.h"

static void find_collapse(struct query *query)
{
    query->collapse = query->stage_count - 1;
    for (size_t i = 0; i < query->stage_count; i++) {
        const struct query_module *module = query->stages[i].module;
        if (module != NULL && (module->condensing ||
                               (module->merged != NULL && module->merged(query->stages[i].plan)))) {
            query->collapse = i;
            return;
        }
    }
}

static const struct query_copy *copy_of(const struct query *query, const char *name)
{
    for (size_t i = 0; i < query->copy_count; i++) {
        if (strcmp(query->copies[i].name, name) == 0) {
            return &query->copies[i];
        }
    }
    return NULL;
}

/* Stages that look into a table of which there is no copy run on the webserver. */
static void keep_back(struct query *query)
{
    find_collapse(query);
    for (size_t i = 0; i < query->collapse; i++) {
        const struct query_stage *stage = &query->stages[i];
        bool loads = stage->module != NULL && stage->module->load != NULL;
        for (size_t j = 0; loads && j < QUERY_STAGE_RESOURCES_MAX && stage->resources[j] != NULL;
             j++) {
            if (copy_of(query, stage->resources[j]) == NULL) {
                query->collapse = i;
                return;
            }
        }
    }
}

struct needs {
    const char *names[QUERY_STAGE_RESOURCES_MAX];
    size_t count;
};

static int note_resource(void *context, const char *name, struct buf *contents)
{
    struct needs *needs = context;
    (void)contents;
    if (needs->count < ARRAY_COUNT(needs->names)) {
        needs->names[needs->count++] = name;
    }
    return QUERY_RESOURCE_LATER;
}

/* What a stage would load is what it asks for. */
static void note_resources(struct query *query)
{
    for (size_t i = 0; i < query->stage_count; i++) {
        struct query_stage *stage = &query->stages[i];
        struct needs needs = {.count = 0};
        if (stage->module != NULL && stage->module->load != NULL) {
            int rc = stage->module->load(stage->plan, note_resource, &needs);
            CHECK(rc == 0);
        }
        for (size_t j = 0; j < needs.count && stage->resource_count < ARRAY_COUNT(needs.names);
             j++) {
            stage->resources[stage->resource_count++] = needs.names[j];
        }
    }
}

void query_place_stages(struct query *query)
{
    note_resources(query);
    keep_back(query);
}

static int load_stages(struct query *query, size_t count, query_resource *resource, void *context,
                       size_t *ret_stage)
{
    for (size_t i = 0; i < count; i++) {
        const struct query_module *module = query->stages[i].module;
        int rc = module == NULL || module->load == NULL
                     ? 0
                     : module->load(query->stages[i].plan, resource, context);
        if (rc < 0) {
            if (ret_stage != NULL) {
                *ret_stage = i;
            }
            return err_wrap(rc, "%s", module->name);
        }
    }
    return 0;
}

struct loading {
    struct query *query;
    query_resource *resource;
    void *context;
};

static int load_and_copy(void *pointer, const char *name, struct buf *contents)
{
    struct loading *loading = pointer;
    struct query *query = loading->query;
    int rc = loading->resource(loading->context, name, contents);
    if (rc == 0 && contents->bytes <= QUERY_COPY_BYTES_MAX && copy_of(query, name) == NULL) {
        struct query_copy copy = {.name = mem_strdup(name)};
        query_table_hash(buf_span(contents), copy.hash);
        buf_append(&copy.contents, buf_span(contents));
        query->copies =
            mem_realloc(query->copies, (query->copy_count + 1) * sizeof(*query->copies));
        query->copies[query->copy_count++] = copy;
    }
    return rc;
}

int query_load(struct query *query, query_resource *resource, void *context, size_t *ret_stage)
{
    struct loading loading = {query, resource, context};
    int rc = load_stages(query, query->stage_count, load_and_copy, &loading, ret_stage);
    keep_back(query);
    return rc;
}

int query_load_part(struct query *query, size_t stages, query_resource *resource, void *context)
{
    int rc = load_stages(query, MIN(stages, query->stage_count), resource, context, NULL);
    find_collapse(query);
    return rc;
}
