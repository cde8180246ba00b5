/*
 * require [-s] [-v] name …   passes entries that have any of the values; -s all; -v none
 * alias name new [name new …] copies values
 * Tested by modules_test.c.
 */
#include "query/modules/modules.h"

#define NAMES_MAX 64

enum { FLAG_S, FLAG_V };

static const struct query_flag flags[] = {[FLAG_S] = {"s", false}, [FLAG_V] = {"v", false}};

struct plan {
    struct span names[NAMES_MAX];
    size_t count;
    bool all;
    bool none;
};

static int parse_require(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        plan->all = plan->all || flag == FLAG_S;
        plan->none = plan->none || flag == FLAG_V;
    }
    rc = rc < 0 ? rc : query_args_names(args, plan->names, NAMES_MAX, &plan->count);
    return rc == 0 && plan->count == 0 ? query_args_fault(args, "a name is missing") : rc;
}

static int parse_alias(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    int rc = query_args_names(args, plan->names, NAMES_MAX, &plan->count);
    return rc == 0 && (plan->count == 0 || plan->count % 2 != 0)
               ? query_args_fault(args, "pairs of a name and its new name are needed")
               : rc;
}

static int run_require(const void *pointer, void *state, struct query_block *block)
{
    (void)state;
    const struct plan *plan = pointer;
    size_t kept = 0;
    for (size_t i = 0; i < block->count; i++) {
        size_t found = 0;
        struct query_value value;
        for (size_t j = 0; j < plan->count; j++) {
            found += query_block_get(block, block->picks[i], plan->names[j], &value) ? 1 : 0;
        }
        bool enough = plan->all && !plan->none ? found == plan->count : found > 0;
        if (enough != plan->none) {
            block->picks[kept++] = block->picks[i];
        }
    }
    block->count = kept;
    return 0;
}

static int run_alias(const void *pointer, void *state, struct query_block *block)
{
    (void)state;
    const struct plan *plan = pointer;
    for (size_t j = 0; j < plan->count; j += 2) {
        struct query_value *column = query_block_column(block, plan->names[j + 1]);
        for (size_t i = 0; i < block->count; i++) {
            struct query_value value;
            if (query_block_get(block, block->picks[i], plan->names[j], &value)) {
                column[block->picks[i]] = value;
            }
        }
    }
    return 0;
}

static bool uses(const void *pointer, struct span name)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        if (span_equal(plan->names[i], name)) {
            return true;
        }
    }
    return false;
}

static bool uses_alias(const void *pointer, struct span name)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i += 2) {
        if (span_equal(plan->names[i], name)) {
            return true;
        }
    }
    return false;
}

static void tell(const void *pointer, query_tell *each, void *context)
{
    const struct plan *plan = pointer;
    for (size_t i = 1; i < plan->count; i += 2) {
        each(context, plan->names[i]);
    }
}

const struct query_module query_module_require = {
    .name = "require",
    .summary = "passes entries that have a value",
    .parse = parse_require,
    .run = run_require,
    .uses = uses,
};

const struct query_module query_module_alias = {
    .name = "alias",
    .summary = "copies values to other names",
    .parse = parse_alias,
    .run = run_alias,
    .tell = tell,
    .uses = uses_alias,
};
