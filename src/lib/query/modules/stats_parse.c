/* Tested by modules_test.c. */
#include "query/modules/stats_plan.h"

#include "base/time.h"

#define TRACKED_MAX 1000000
#define CHART_WINDOWS_MAX 400       /* that nobody asked for */
#define CHART_OVER_WINDOWS_MAX 1200 /* of those that `over` asks for */

enum { FLAG_TRACKED, FLAG_SIZE, FLAG_B };

static const struct query_flag flags[] = {[FLAG_TRACKED] = {"maxtracked", true},
                                          [FLAG_SIZE] = {"maxsize", true}, /* of no effect: bounded
                                                                              anyway */
                                          [FLAG_B] = {"b", false}};

static const struct query_token *peek(const struct query_args *args, size_t ahead)
{
    return args->next + ahead < args->count ? &args->tokens[args->next + ahead] : NULL;
}

static bool is_name(const struct query_token *token)
{
    return token != NULL && token->kind != QUERY_TOKEN_PUNCT && token->kind != QUERY_TOKEN_OP;
}

static bool is_word(const struct query_token *token, const char *word)
{
    return token != NULL && token->kind == QUERY_TOKEN_WORD && span_equal_str(token->text, word);
}

static bool is_over(const struct query_token *token)
{
    return is_word(token, "over");
}

/* "(" follows, or the name of an operation and "as" or "by". */
static bool begins_op(const struct query_args *args, const struct query_token *token)
{
    const struct query_token *after = peek(args, 1);
    bool named = is_word(after, "as") || is_word(after, "by");
    return (after != NULL && query_token_is(after, '(')) ||
           (named && is_name(token) && aggregate_find(token->text) != 0);
}

/* After "by": every word is a key until the next operation, or "over". */
static int parse_keys(struct query_args *args, struct stats_keys *keys)
{
    const struct query_token *token;
    while ((token = peek(args, 0)) != NULL && !is_over(token)) {
        if (query_token_is(token, ',')) {
            args->next++;
            continue;
        }
        if (begins_op(args, token)) {
            break;
        }
        if (!is_name(token) || is_word(token, "as") || is_word(token, "by")) {
            return query_fault(args->error, token->offset, token->bytes, "%s: a key was expected",
                               args->name);
        }
        if (keys->count == STATS_KEYS_MAX) {
            return query_args_fault(args, "more than %d keys", STATS_KEYS_MAX);
        }
        keys->names[keys->count++] = arena_span_dup(args->arena, token->text);
        args->next++;
    }
    return keys->count > 0 ? 0 : query_args_fault(args, "a key must follow 'by'");
}

static int parse_over(struct query_args *args, struct stats_plan *plan)
{
    struct span text;
    struct query_token token;
    if (!query_args_take(args, "over")) {
        return 0;
    }
    int rc = query_args_word(args, &text, &token);
    if (rc == QUERY_ARGS_END) {
        return query_args_fault(args, "a duration must follow 'over'");
    }
    if (rc == 0 && (!time_parse_duration(text, &plan->over_ns) || plan->over_ns < TIME_S_NS)) {
        rc = query_fault(args->error, token.offset, token.bytes,
                         "%s: a duration of at least 1s was expected, such as 10m", args->name);
    }
    return rc;
}

static int parse_operand(struct query_args *args, struct stats_op *op)
{
    const struct query_token *open = peek(args, 0);
    if (open == NULL || !query_token_is(open, '(')) {
        return 0;
    }
    const struct query_token *name = peek(args, 1);
    const struct query_token *close = peek(args, 2);
    if (!is_name(name) || close == NULL || !query_token_is(close, ')')) {
        return query_fault(args->error, open->offset, 1,
                           "%s: one name was expected between ( and )", args->name);
    }
    op->operand = arena_span_dup(args->arena, name->text);
    args->next += 3;
    return 0;
}

static int parse_op(struct query_args *args, struct stats_op *op)
{
    const struct query_token *name = peek(args, 0);
    op->op = is_name(name) ? aggregate_find(name->text) : (enum aggregate_op)0;
    if (op->op == 0) {
        return query_fault(args->error, name->offset, name->bytes,
                           "%s: '%.*s' is no operation; there are count sum total mean stddev "
                           "variance min max unique_count",
                           args->name, SPAN_ARG(span_first(name->text, 32)));
    }
    op->out = span_of_str(aggregate_name(op->op));
    args->next++;
    int rc = parse_operand(args, op);
    if (rc == 0 && op->operand.bytes == 0 && op->op != AGGREGATE_COUNT) {
        op->operand = SPAN_LIT("DATA");
    }
    rc = rc < 0 ? rc : query_args_as(args, &op->out);
    if (rc == 0 && query_args_take(args, "by")) {
        rc = parse_keys(args, &op->keys);
    }
    return rc;
}

static bool same_keys(const struct stats_keys *a, const struct stats_keys *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = span_equal(a->names[i], b->names[i]);
    }
    return same;
}

size_t stats_key_index(const struct stats_keys *keys, struct span name)
{
    size_t i = 0;
    while (i < keys->count && !span_equal(keys->names[i], name)) {
        i++;
    }
    return i;
}

static size_t table_of(struct stats_plan *plan, const struct stats_keys *keys)
{
    for (size_t i = 0; i < plan->table_count; i++) {
        if (same_keys(&plan->tables[i].keys, keys)) {
            return i;
        }
    }
    plan->tables[plan->table_count].keys = *keys;
    return plan->table_count++;
}

static void keep_entries(struct stats_plan *plan)
{
    struct stats_table *table = &plan->tables[0];
    plan->ops[plan->op_count] = (struct stats_op){.op = AGGREGATE_LEAST};
    table->ops[table->op_count++] = plan->op_count;
    plan->keeps_best = 0;
    while (plan->keeps_best < plan->op_count && plan->ops[plan->keeps_best].op != AGGREGATE_MIN &&
           plan->ops[plan->keeps_best].op != AGGREGATE_MAX) {
        plan->keeps_best++;
    }
}

/* One "by" behind the last operation is for all of them; table 0 has all keys there are. */
static int arrange(struct query_args *args, struct stats_plan *plan)
{
    struct stats_keys all = {0};
    size_t with_keys = 0;
    for (size_t i = 0; i < plan->op_count; i++) {
        with_keys += plan->ops[i].keys.count > 0 ? 1 : 0;
    }
    const struct stats_op *last = &plan->ops[plan->op_count - 1];
    for (size_t i = 0; i < plan->op_count; i++) {
        struct stats_op *op = &plan->ops[i];
        op->keys = with_keys == 1 && last->keys.count > 0 ? last->keys : op->keys;
        for (size_t j = 0; j < op->keys.count; j++) {
            if (stats_key_index(&all, op->keys.names[j]) < all.count) {
                continue;
            }
            if (all.count == STATS_KEYS_MAX) {
                return query_args_fault(args, "more than %d keys", STATS_KEYS_MAX);
            }
            all.names[all.count++] = op->keys.names[j];
        }
        for (size_t j = 0; j < i; j++) {
            if (span_equal(plan->ops[j].out, op->out)) {
                return query_args_fault(args, "two results are named '%.*s': name one with 'as'",
                                        SPAN_ARG(span_first(op->out, 64)));
            }
        }
    }
    (void)table_of(plan, &all);
    for (size_t i = 0; i < plan->op_count; i++) {
        struct stats_op *op = &plan->ops[i];
        op->table = table_of(plan, &op->keys);
        struct stats_table *table = &plan->tables[op->table];
        table->ops[table->op_count++] = i;
    }
    if (plan->keeps) {
        keep_entries(plan);
    }
    return 0;
}

static int parse_flags(struct query_args *args, struct stats_plan *plan)
{
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    plan->tracked_max = TRACKED_MAX;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        uint64_t number = 0;
        if (flag == FLAG_B) {
            plan->keeps = true;
            continue;
        }
        if (!span_to_u64(span_of_str(value), &number) || number == 0) {
            return query_args_fault(args, "-%s needs a number", flags[flag].name);
        }
        plan->tracked_max = flag == FLAG_TRACKED ? number : plan->tracked_max;
    }
    return rc < 0 ? rc : 0;
}

int stats_parse(struct query_args *args, void **ret_plan)
{
    struct stats_plan *plan = ARENA_NEW(args->arena, struct stats_plan);
    *ret_plan = plan;
    int rc = parse_flags(args, plan);
    const struct query_token *token;
    while (rc == 0 && (token = peek(args, 0)) != NULL && !is_over(token)) {
        if (query_token_is(token, ',')) {
            args->next++;
            continue;
        }
        if (plan->op_count == STATS_OPS_MAX - 1) {
            return query_args_fault(args, "more than %d operations", STATS_OPS_MAX - 1);
        }
        rc = parse_op(args, &plan->ops[plan->op_count++]);
    }
    rc = rc < 0 ? rc : parse_over(args, plan);
    if (rc == 0 && plan->op_count == 0) {
        return query_args_fault(args, "an operation is missing, such as count");
    }
    return rc < 0 ? rc : arrange(args, plan);
}

/* sum ms by user: one operation, called like the module. */
int stats_parse_one(struct query_args *args, void **ret_plan)
{
    struct stats_plan *plan = ARENA_NEW(args->arena, struct stats_plan);
    *ret_plan = plan;
    int rc = parse_flags(args, plan);
    struct stats_op *op = &plan->ops[plan->op_count++];
    op->op = aggregate_find(span_of_str(args->name));
    op->out = span_of_str(aggregate_name(op->op));
    op->operand = op->op == AGGREGATE_COUNT ? SPAN_NONE : SPAN_LIT("DATA");
    const struct query_token *token = peek(args, 0);
    if (is_name(token) && !is_over(token) && !span_equal_str(token->text, "by")) {
        op->operand = arena_span_dup(args->arena, token->text);
        args->next++;
    }
    if (rc == 0 && query_args_take(args, "by")) {
        rc = parse_keys(args, &op->keys);
    }
    rc = rc < 0 ? rc : parse_over(args, plan);
    return rc < 0 ? rc : arrange(args, plan);
}

/* Windows are kept apart if something behind can tell them apart. */
void stats_settle(void *pointer, const struct query *query, size_t stage)
{
    struct stats_plan *plan = pointer;
    const struct query_renderer *renderer = query->renderer;
    const void *render_plan = query->stages[query->stage_count - 1].plan;
    bool apart = renderer->by_time == NULL || renderer->by_time(render_plan);
    for (size_t i = stage + 1; i < query->stage_count; i++) {
        const struct query_module *module = query->stages[i].module;
        apart = apart || (module != NULL && module->replaces);
    }
    plan->start_ns = query->start_ns;
    if (renderer->series_max != NULL && stage + 2 == query->stage_count) {
        plan->series_max = renderer->series_max(render_plan);
    }
    plan->window_ns = apart ? plan->over_ns : 0;
    if (plan->window_ns == 0 && renderer->timeline) {
        plan->window_ns = TIME_S_NS;
        plan->windows_max = CHART_WINDOWS_MAX;
    } else if (renderer->timeline && stage + 2 == query->stage_count) {
        plan->windows_max = CHART_OVER_WINDOWS_MAX;
    }
}

bool stats_timeless(const void *pointer)
{
    return ((const struct stats_plan *)pointer)->window_ns == 0;
}

bool stats_uses(const void *pointer, struct span name)
{
    const struct stats_plan *plan = pointer;
    for (size_t i = 0; i < plan->op_count; i++) {
        const struct stats_op *op = &plan->ops[i];
        if (span_equal(op->operand, name) || stats_key_index(&op->keys, name) < op->keys.count) {
            return true;
        }
    }
    return false;
}
