/*
 * Modules that are a function of eval over the values they name:
 *
 *     abs value [as out] …
 *     hexlify [-d] [value [as out] …]
 *     printf [-e out] "format" [value …]                              as "printf"
 *     trim trimleft trimright trimprefix trimsuffix value text
 *     trimspace [value …]
 *
 * Without values: DATA. A value that is not there, or that the function cannot take, stays as it
 * is. Tested by modules_text_test.c.
 */
#include "query/modules/eval.h"

#include <stdio.h>

#include "base/mem.h"
#include "query/columns.h"
#include "query/modules/modules.h"

#define ITEMS_MAX 64

static const struct query_flag hex_flags[] = {{"d", false}};
static const struct query_flag printf_flags[] = {{"e", true}};

struct plan {
    const struct eval_function *function;
    struct span from[ITEMS_MAX];
    struct span to[ITEMS_MAX];
    size_t count;
    struct span text; /* printf's format, what trim trims */
    bool together;    /* one call with all values: printf */
};

static struct plan *new_plan(struct query_args *args, void **ret_plan, const char *function)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    plan->function = eval_function_find(span_of_str(function));
    CHECK(plan->function != NULL);
    *ret_plan = plan;
    return plan;
}

/* value [as out] …; DATA when there are none and that is allowed. */
static int parse_items(struct query_args *args, struct plan *plan, bool data)
{
    int rc = query_args_renames(args, "values", plan->from, plan->to, ITEMS_MAX, &plan->count);
    if (rc == 0 && plan->count == 0 && !data) {
        return query_args_fault(args, "a name is missing");
    }
    if (rc == 0 && plan->count == 0) {
        plan->from[0] = plan->to[0] = SPAN_LIT("DATA");
        plan->count = 1;
    }
    return rc;
}

static int parse_abs(struct query_args *args, void **ret_plan)
{
    return parse_items(args, new_plan(args, ret_plan, "abs"), false);
}

static int parse_hexlify(struct query_args *args, void **ret_plan)
{
    bool decode = false;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, hex_flags, ARRAY_COUNT(hex_flags), &flag, &value)) == 0) {
        decode = true;
    }
    struct plan *plan = new_plan(args, ret_plan, decode ? "hex_decode" : "hex_encode");
    return rc < 0 ? rc : parse_items(args, plan, true);
}

static int parse_printf(struct query_args *args, void **ret_plan)
{
    struct plan *plan = new_plan(args, ret_plan, "printf");
    struct span out = SPAN_LIT("printf");
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, printf_flags, ARRAY_COUNT(printf_flags), &flag, &value)) ==
           0) {
        out = span_of_str(value);
    }
    rc = rc < 0 ? rc : query_args_word(args, &plan->text, NULL);
    if (rc != 0) {
        return rc < 0 ? rc : query_args_fault(args, "a format is missing");
    }
    plan->together = true;
    rc = query_args_names(args, plan->from, ITEMS_MAX, &plan->count);
    plan->to[0] = out;
    return rc;
}

static int parse_trim(struct query_args *args, void **ret_plan)
{
    char function[32];
    (void)snprintf(function, sizeof(function), "strings_%s", args->name);
    struct plan *plan = new_plan(args, ret_plan, function);
    if (plan->function->args_max == 1) {
        return parse_items(args, plan, true);
    }
    int rc = query_args_name(args, &plan->from[0], NULL);
    rc = rc != 0 ? rc : query_args_word(args, &plan->text, NULL);
    plan->to[0] = plan->from[0];
    plan->count = 1;
    return rc == QUERY_ARGS_END ? query_args_fault(args, "a value and a text were expected") : rc;
}

/* ── Running ─────────────────────────────────────────────────────────────────────────────── */

static int start(const void *plan, void **ret_state)
{
    (void)plan;
    *ret_state = MEM_NEW(struct eval_run);
    return 0;
}

static void call(const struct plan *plan, struct eval_run *run, struct eval_value *args,
                 size_t count, struct span to)
{
    struct eval_value made = {0};
    if (plan->function->call(run, NULL, args, count, &made) && !made.list) {
        query_block_set(run->block, run->index, to, made.value);
    }
}

static void each_value(const struct plan *plan, struct eval_run *run)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct eval_value args[2] = {0};
        args[1].value = query_value_of_text(plan->text);
        if (query_block_get(run->block, run->index, plan->from[i], &args[0].value)) {
            call(plan, run, args, plan->function->args_max == 1 ? 1 : 2, plan->to[i]);
        }
    }
}

static void all_values(const struct plan *plan, struct eval_run *run)
{
    struct eval_value args[ITEMS_MAX + 1] = {0};
    args[0].value = query_value_of_text(plan->text);
    for (size_t i = 0; i < plan->count; i++) {
        (void)query_block_get(run->block, run->index, plan->from[i], &args[i + 1].value);
    }
    call(plan, run, args, plan->count + 1, plan->to[0]);
}

static int run(const void *pointer, void *state, struct query_block *block)
{
    const struct plan *plan = pointer;
    struct eval_run *run = state;
    *run = (struct eval_run){.block = block, .arena = block->columns->arena};
    for (size_t i = 0; i < block->count; i++) {
        run->index = block->picks[i];
        run->why = NULL;
        (plan->together ? all_values : each_value)(plan, run);
        block->failed += run->why != NULL ? 1 : 0;
    }
    return 0;
}

static bool uses(const void *pointer, struct span name)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        if (span_equal(plan->from[i], name)) {
            return true;
        }
    }
    return false;
}

static void tell(const void *pointer, query_tell *each, void *context)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < (plan->together ? 1 : plan->count); i++) {
        each(context, plan->to[i]);
    }
}

#define ROW(module, module_summary, parser)                                                        \
    const struct query_module query_module_##module = {                                            \
        .name = #module,                                                                           \
        .summary = (module_summary),                                                               \
        .parse = (parser),                                                                         \
        .start = start,                                                                            \
        .stop = mem_free,                                                                          \
        .run = run,                                                                                \
        .uses = uses,                                                                              \
        .tell = tell,                                                                              \
    }

ROW(abs, "the size of a number without its sign", parse_abs);
ROW(hexlify, "hexadecimal digits of values, or back", parse_hexlify);
ROW(printf, "writes values by a format", parse_printf);
ROW(trim, "takes characters off both ends of a value", parse_trim);
ROW(trimleft, "takes characters off the front of a value", parse_trim);
ROW(trimprefix, "takes a text off the front of a value", parse_trim);
ROW(trimright, "takes characters off the end of a value", parse_trim);
ROW(trimspace, "takes white space off both ends of values", parse_trim);
ROW(trimsuffix, "takes a text off the end of a value", parse_trim);
