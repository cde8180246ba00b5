/*
 * words [-v] [-or] [-e value] word …
 *
 * Passes entries that hold all of the words (-or: any of them). -v: passes those that hold none;
 * -v -or: those that hold all, as documented for the reference system.
 * Tested by pipeline_test.c.
 */
#include "query/modules/match.h"
#include "query/modules/modules.h"

enum { FLAG_V, FLAG_OR, FLAG_E };

static const struct query_flag flags[] = {
    [FLAG_V] = {"v", false}, [FLAG_OR] = {"or", false}, [FLAG_E] = {"e", true}};

static int parse(struct query_args *args, void **ret_plan)
{
    struct match_plan *plan = ARENA_NEW(args->arena, struct match_plan);
    bool invert = false;
    bool any = false;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        invert = invert || flag == FLAG_V;
        any = any || flag == FLAG_OR;
        plan->value = flag == FLAG_E ? span_of_str(value) : plan->value;
    }
    if (rc < 0) {
        return rc;
    }
    plan->invert = invert && !any;
    plan->all = invert == any;
    *ret_plan = plan;
    return match_parse(args, QUERY_PATTERN_WORD, false, plan);
}

const struct query_module query_module_words = {
    .name = "words",
    .summary = "passes entries that hold whole words",
    .parse = parse,
    .free = match_free,
    .start = match_start,
    .stop = match_stop,
    .run = match_run,
    .uses = match_uses,
    .required = match_required,
};
