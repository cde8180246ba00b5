/*
 * nosort [-asc]: the order of entries does not matter. They are merged by time all the same, which
 * costs nothing here, so that this only says so in the parse answer. Tested by
 * modules_order_test.c.
 */
#include "query/modules/modules.h"

static const struct query_flag flags[] = {{"asc", false}};

static int parse(struct query_args *args, void **ret_plan)
{
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    *ret_plan = NULL;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {}
    return rc < 0 ? rc : 0;
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
