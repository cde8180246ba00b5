#include "query/describe.h"

#include "query/modules/eval.h"
#include "query/modules/modules.h"

#define ARENA_BYTES_MAX (16 * 1024 * 1024)

/* Parses a stage without arguments: the first thing that a parser does is to name its flags. Some
 * are then content, others say what is missing; neither matters. */
static void look(const char *name, int (*parse)(struct query_args *args, void **ret_plan),
                 void (*free_plan)(void *plan), struct query_flags_seen *seen)
{
    struct query_options options = {0};
    struct query_error error = {0};
    struct query_args args = {.name = name,
                              .options = &options,
                              .arena = arena_new(ARENA_BYTES_MAX),
                              .error = &error,
                              .seen = seen};
    void *plan = NULL;
    int rc = parse(&args, &plan);
    (void)rc;
    if (free_plan != NULL && plan != NULL) {
        free_plan(plan);
    }
    arena_free(&args.arena);
}

static void tell(struct query_description *description,
                 int (*parse)(struct query_args *args, void **ret_plan),
                 void (*free_plan)(void *plan),
                 void (*each)(void *context, const struct query_description *description),
                 void *context)
{
    struct query_flags_seen seen = {0};
    if (parse != NULL) {
        look(description->name, parse, free_plan, &seen);
    }
    description->flags = seen.flags;
    description->flag_count = seen.count;
    each(context, description);
}

void query_describe(void (*each)(void *context, const struct query_description *description),
                    void *context)
{
    const struct query_module *module = NULL;
    for (size_t i = 0; (module = query_module_at(i)) != NULL; i++) {
        struct query_description description = {
            .name = module->name, .summary = module->summary, .condensing = module->condensing};
        tell(&description, module->parse, module->free, each, context);
    }
    const struct query_renderer *renderer = NULL;
    for (size_t i = 0; (renderer = query_renderer_at(i)) != NULL; i++) {
        struct query_description description = {
            .name = renderer->name, .summary = renderer->summary, .renderer = true};
        tell(&description, renderer->parse, NULL, each, context);
    }
}

void query_describe_functions(void (*each)(void *context, const char *name, unsigned args_min,
                                           unsigned args_max),
                              void *context)
{
    static const struct eval_function *const tables[] = {eval_functions_core, eval_functions_text,
                                                         eval_functions_math, eval_functions_json};
    for (size_t i = 0; i < ARRAY_COUNT(tables); i++) {
        for (const struct eval_function *one = tables[i]; one->name != NULL; one++) {
            each(context, one->name, one->args_min, one->args_max);
        }
    }
}
