/*
 * nosort: the order of entries does not matter. They are merged by time all the same, which
 * costs nothing here, so that this only says so in the parse answer. Tested by
 * modules_order_test.c.
 */
#include "query/modules/modules.h"

static int parse(struct query_args *args, void **ret_plan)
{
    *ret_plan = NULL;
    return query_args_take(args, "-asc")
               ? query_args_fault(args, "without -asc: 'sort by time asc' gives the oldest first")
               : 0;
}

static int run(const void *plan, void *state, struct query_block *block)
{
    (void)plan;
    (void)state;
    (void)block;
    return 0;
}

static bool uses(const void *plan, struct span name)
{
    (void)plan;
    (void)name;
    return false;
}

const struct query_module query_module_nosort = {
    .name = "nosort",
    .summary = "says that the order of entries does not matter",
    .parse = parse,
    .run = run,
    .uses = uses,
};
