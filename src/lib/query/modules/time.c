/*
 * time [-iformat layout] [-oformat layout] [-tz zone] in out
 *
 * A text is read (by the layout, or in any form that start= takes) and becomes a time; with
 * -oformat the result is a text. Layouts are Go's. Zones: UTC, +02:00.
 * Tested by modules_values_test.c.
 */
#include "query/modules/layout.h"
#include "query/modules/modules.h"
#include "query/range.h"

enum { FLAG_IN, FLAG_OUT, FLAG_ZONE };

static const struct query_flag flags[] = {
    [FLAG_IN] = {"iformat", true}, [FLAG_OUT] = {"oformat", true}, [FLAG_ZONE] = {"tz", true}};

struct plan {
    struct span in_layout;
    struct span out_layout;
    struct span names[2];
    int64_t zone_s;
};

static int parse(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    size_t flag = 0;
    size_t count = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        plan->in_layout = flag == FLAG_IN ? span_of_str(value) : plan->in_layout;
        plan->out_layout = flag == FLAG_OUT ? span_of_str(value) : plan->out_layout;
        if (flag == FLAG_ZONE && !layout_zone(span_of_str(value), &plan->zone_s)) {
            return query_args_fault(args, "zone '%.64s' is not known: UTC, or hours such as +02:00",
                                    value);
        }
    }
    rc = rc < 0 ? rc : query_args_names(args, plan->names, 2, &count);
    return rc == 0 && count != 2 ? query_args_fault(args, "two names are needed: from, to") : rc;
}

static bool read_time(const struct plan *plan, const struct query_value *value, int64_t *ret_ns)
{
    struct query_time time;
    struct query_value number;
    if (value->type == QUERY_VALUE_TIME) {
        *ret_ns = value->number;
        return true;
    }
    if (value->type != QUERY_VALUE_TEXT && value->type != QUERY_VALUE_BYTES) {
        return query_value_number(value, &number) && number.type == QUERY_VALUE_I64 &&
               !__builtin_mul_overflow(number.number, INT64_C(1000000000), ret_ns);
    }
    if (plan->in_layout.bytes > 0) {
        return layout_parse(plan->in_layout, value->text, plan->zone_s, ret_ns);
    }
    bool good = query_time_parse(value->text, &time) && time.base == QUERY_TIME_ABSOLUTE;
    *ret_ns = good ? time.ns : 0;
    return good;
}

static int run(const void *pointer, void *state, struct query_block *block)
{
    (void)state;
    const struct plan *plan = pointer;
    for (size_t i = 0; i < block->count; i++) {
        struct query_value value;
        struct query_value time = {.type = QUERY_VALUE_TIME};
        if (!query_block_get(block, block->picks[i], plan->names[0], &value)) {
            continue;
        }
        if (!read_time(plan, &value, &time.number)) {
            block->failed++;
            continue;
        }
        if (plan->out_layout.bytes > 0) {
            struct buf text = {0};
            layout_format(plan->out_layout, time.number, plan->zone_s, &text);
            time = query_value_of_text(arena_span_dup(block->columns->arena, buf_span(&text)));
            buf_deinit(&text);
        }
        query_block_column(block, plan->names[1])[block->picks[i]] = time;
    }
    return 0;
}

static bool uses(const void *plan, struct span name)
{
    return span_equal(((const struct plan *)plan)->names[0], name);
}

static void tell(const void *pointer, query_tell *each, void *context)
{
    each(context, ((const struct plan *)pointer)->names[1]);
}

const struct query_module query_module_time = {
    .name = "time",
    .summary = "reads times and writes them by a layout",
    .parse = parse,
    .run = run,
    .tell = tell,
    .uses = uses,
};
