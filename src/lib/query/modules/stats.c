/*
 * stats [-maxtracked n] op[(value)] [as name] [by key …] … [over duration]
 * count|sum|… [-maxtracked n] [value] [by key …] [over duration]
 *
 * An indexer condenses what it has into states, an entry for each combination of keys and window;
 * the webserver merges them (docs/protocols/search.md): stats_groups.h. Tested by modules_test.c.
 */
#include "query/modules/modules.h"
#include "query/modules/stats_groups.h"

static void tell(const void *pointer, query_tell *each, void *context)
{
    const struct stats_plan *plan = pointer;
    for (size_t i = 0; i < plan->op_count; i++) {
        each(context, plan->ops[i].out);
    }
    for (size_t i = 0; plan->table_count > 0 && i < plan->tables[0].keys.count; i++) {
        each(context, plan->tables[0].keys.names[i]);
    }
}

bool query_stats_is_total(const void *pointer, struct span name)
{
    const struct stats_plan *plan = pointer;
    bool total = false;
    for (size_t i = 0; i < plan->op_count; i++) {
        total = total || (plan->ops[i].op == AGGREGATE_TOTAL && span_equal(plan->ops[i].out, name));
    }
    return total;
}

#define ROW(module_name, module_summary, how)                                                      \
    {                                                                                              \
        .name = (module_name), .summary = (module_summary), .condensing = true,                    \
        .collapser = module_name "Collapser", .parse = (how), .start = stats_start,                \
        .stop = stats_stop, .run = stats_run, .finish = stats_finish, .settle = stats_settle,      \
        .timeless = stats_timeless, .uses = stats_uses, .replaces = true,                          \
        .take_part = stats_take_part, .lend = stats_lend, .remark = stats_remark, .tell = tell,    \
    }

const struct query_module query_module_stats =
    ROW("stats", "condenses entries by keys and time", stats_parse);
const struct query_module query_module_count = ROW("count", "counts entries", stats_parse_one);
const struct query_module query_module_sum = ROW("sum", "adds values up", stats_parse_one);
const struct query_module query_module_mean = ROW("mean", "the mean of values", stats_parse_one);
const struct query_module query_module_min = ROW("min", "the smallest value", stats_parse_one);
const struct query_module query_module_max = ROW("max", "the largest value", stats_parse_one);
const struct query_module query_module_stddev =
    ROW("stddev", "the standard deviation of values", stats_parse_one);
const struct query_module query_module_variance =
    ROW("variance", "the variance of values", stats_parse_one);
const struct query_module query_module_unique_count =
    ROW("unique_count", "counts distinct values", stats_parse_one);
