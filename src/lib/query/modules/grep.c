/*
 * grep [-v] [-i] [-s] [-w] [-simple] [-e value] pattern …
 *
 * Passes entries in which any of the patterns occurs (-s: all of them). -v: passes those in
 * which none does; -s changes nothing then.
 * Tested by pipeline_test.c.
 */
#include "query/modules/match.h"
#include "query/modules/modules.h"

enum { FLAG_V, FLAG_I, FLAG_S, FLAG_W, FLAG_SIMPLE, FLAG_E };

static const struct query_flag flags[] = {
    [FLAG_V] = {"v", false}, [FLAG_I] = {"i", false},           [FLAG_S] = {"s", false},
    [FLAG_W] = {"w", false}, [FLAG_SIMPLE] = {"simple", false}, [FLAG_E] = {"e", true},
};

static int parse(struct query_args *args, void **ret_plan)
{
    struct match_plan *plan = ARENA_NEW(args->arena, struct match_plan);
    bool given[ARRAY_COUNT(flags)] = {0};
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        given[flag] = true;
        plan->value = flag == FLAG_E ? span_of_str(value) : plan->value;
    }
    if (rc < 0) {
        return rc;
    }
    enum query_pattern_kind kind = given[FLAG_W]        ? QUERY_PATTERN_WORD
                                   : given[FLAG_SIMPLE] ? QUERY_PATTERN_LITERAL
                                                        : QUERY_PATTERN_WILDCARD;
    plan->invert = given[FLAG_V];
    plan->all = given[FLAG_S] && !given[FLAG_V];
    *ret_plan = plan;
    return match_parse(args, kind, given[FLAG_I], plan);
}

const struct query_module query_module_grep = {
    .name = "grep",
    .summary = "passes entries that contain a pattern",
    .parse = parse,
    .free = match_free,
    .start = match_start,
    .stop = match_stop,
    .run = match_run,
    .uses = match_uses,
    .required = match_required,
};
