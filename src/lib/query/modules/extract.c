/* Tested by modules_test.c. */
#include "query/modules/extract.h"

#include <stdlib.h>

static const char *const ops[] = {
    [EXTRACT_EQ] = "==", [EXTRACT_NE] = "!=", [EXTRACT_HAS] = "~", [EXTRACT_HAS_NOT] = "!~",
    [EXTRACT_LT] = "<",  [EXTRACT_GT] = ">",  [EXTRACT_LE] = "<=", [EXTRACT_GE] = ">=",
};

static const struct query_token *peek(const struct query_args *args)
{
    return args->next < args->count ? &args->tokens[args->next] : NULL;
}

int extract_parse_filter(struct query_args *args, struct extract_filter *filter)
{
    const struct query_token *op = peek(args);
    if (op == NULL || op->kind != QUERY_TOKEN_OP) {
        return 0;
    }
    for (size_t i = EXTRACT_EQ; i < ARRAY_COUNT(ops); i++) {
        filter->op = query_token_is_op(op, ops[i]) ? (enum extract_op)i : filter->op;
    }
    args->next++;
    const struct query_token *value = peek(args);
    if (value == NULL || value->kind == QUERY_TOKEN_PUNCT || value->kind == QUERY_TOKEN_OP) {
        return query_fault(args->error, op->offset, op->bytes, "%s: a value must follow '%s'",
                           args->name, ops[filter->op]);
    }
    filter->text = arena_span_dup(args->arena, value->text);
    args->next++;
    return 0;
}

static int check_op(const struct query_args *args, const struct query_token *at,
                    struct extract_item *item)
{
    enum extract_op op = item->filter.op;
    bool text_op = op == EXTRACT_HAS || op == EXTRACT_HAS_NOT;
    if (!item->numeric) {
        return op < EXTRACT_LT
                   ? 0
                   : query_fault(args->error, at->offset, at->bytes,
                                 "%s: '%s' does not work on a text; take eval for numbers",
                                 args->name, ops[op]);
    }
    struct query_value text = query_value_of_text(item->filter.text);
    if (op != EXTRACT_NONE && (text_op || !query_value_number(&text, &item->filter.number))) {
        return query_fault(args->error, at->offset, at->bytes,
                           "%s: a filter here needs a number and == != < > <= >=", args->name);
    }
    return 0;
}

int extract_parse_rest(struct query_args *args, struct extract_item *item)
{
    const struct query_token *at = peek(args);
    int rc = extract_parse_filter(args, &item->filter);
    rc = rc == 0 && item->filter.op != EXTRACT_NONE ? check_op(args, at, item) : rc;
    return rc < 0 ? rc : query_args_as(args, &item->name);
}

int extract_parse_items(struct query_args *args, struct extract_plan *plan)
{
    while (peek(args) != NULL) {
        if (query_token_is(peek(args), ',')) {
            args->next++;
            continue;
        }
        if (plan->count == EXTRACT_ITEMS_MAX) {
            return query_args_fault(args, "more than %d items", EXTRACT_ITEMS_MAX);
        }
        struct extract_item *item = &plan->items[plan->count];
        int rc = plan->way->path(args, plan, item);
        rc = rc < 0 ? rc : extract_parse_rest(args, item);
        if (rc < 0) {
            return rc;
        }
        item->wanted = true;
        plan->count++;
    }
    return plan->count > 0 ? 0 : query_args_fault(args, "what to extract is missing");
}

int extract_parse(struct query_args *args, const struct extract_way *way, void **ret_plan)
{
    enum { FLAG_E, FLAG_S };
    static const struct query_flag flags[] = {[FLAG_E] = {"e", true}, [FLAG_S] = {"s", false}};
    struct extract_plan *plan = ARENA_NEW(args->arena, struct extract_plan);
    plan->way = way;
    *ret_plan = plan;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        plan->strict = plan->strict || flag == FLAG_S;
        plan->source = flag == FLAG_E ? span_of_str(value) : plan->source;
    }
    return rc < 0 ? rc : extract_parse_items(args, plan);
}

int extract_parse_index(struct query_args *args, uint64_t *ret_index, struct span *ret_text)
{
    const struct query_token *open = peek(args);
    if (open == NULL || !query_token_is(open, '[') || args->next + 2 >= args->count ||
        !query_token_is(&args->tokens[args->next + 2], ']')) {
        return query_fault(args->error, open == NULL ? args->offset : open->offset,
                           open == NULL ? 0 : open->bytes, "%s: an index such as [2] was expected",
                           args->name);
    }
    const struct query_token *number = &args->tokens[args->next + 1];
    const char *text = arena_span_str(args->arena, number->text);
    char *end = NULL;
    *ret_index = strtoull(text, &end, 0);
    if (text[0] < '0' || text[0] > '9' || *end != '\0') {
        return query_fault(args->error, number->offset, number->bytes, "%s: '%.32s' is no index",
                           args->name, text);
    }
    *ret_text = span_of_str(text);
    args->next += 3;
    return 0;
}

bool extract_passes(const struct extract_filter *filter, bool numeric,
                    const struct query_value *value)
{
    enum extract_op op = filter->op;
    if (op == EXTRACT_NONE) {
        return true;
    }
    if (value->type == QUERY_VALUE_NONE) {
        return op == EXTRACT_NE || op == EXTRACT_HAS_NOT;
    }
    if (op == EXTRACT_HAS || op == EXTRACT_HAS_NOT) {
        return (span_find(value->text, filter->text) >= 0) == (op == EXTRACT_HAS);
    }
    if (!numeric) {
        return span_equal(value->text, filter->text) == (op == EXTRACT_EQ);
    }
    int order = query_value_compare(value, &filter->number);
    return op == EXTRACT_EQ   ? order == 0
           : op == EXTRACT_NE ? order != 0
           : op == EXTRACT_LT ? order < 0
           : op == EXTRACT_GT ? order > 0
           : op == EXTRACT_LE ? order <= 0
                              : order >= 0;
}

/* Does the entry with these values pass? */
static bool passes(const struct extract_plan *plan, const struct query_value *values)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct extract_item *item = &plan->items[i];
        bool there = values[i].type != QUERY_VALUE_NONE;
        bool met = (item->met && there) || extract_passes(&item->filter, item->numeric, &values[i]);
        if (!met || (plan->strict && !there)) {
            return false;
        }
    }
    return true;
}

static bool run_one(const struct extract_plan *plan, void *state, struct query_block *block,
                    size_t index, struct query_value *const *columns)
{
    struct query_value values[EXTRACT_ITEMS_MAX];
    struct extract_found what = {.values = values};
    struct span data = block->entries[index].data;
    for (size_t i = 0; i < plan->count; i++) {
        values[i].type = QUERY_VALUE_NONE;
    }
    bool there = plan->source.bytes == 0 || query_block_text(block, index, plan->source, &data);
    bool found = there && plan->way->find(plan, state, data, block->columns->arena, &what);
    block->failed += what.broken ? 1 : 0;
    if (!found && plan->pass) {
        return true;
    }
    if (plan->drop_found) {
        return !found;
    }
    if (!found || !passes(plan, values)) {
        return false;
    }
    for (size_t i = 0; i < plan->count; i++) {
        if (values[i].type == QUERY_VALUE_TEXT && columns[i] != NULL) {
            columns[i][index].type = QUERY_VALUE_TEXT; /* members are there sooner than the whole */
            columns[i][index].text = values[i].text;
        } else if (values[i].type != QUERY_VALUE_NONE && columns[i] != NULL) {
            columns[i][index] = values[i];
        }
    }
    return true;
}

int extract_run(const void *pointer, void *state, struct query_block *block)
{
    const struct extract_plan *plan = pointer;
    struct query_value *columns[EXTRACT_ITEMS_MAX] = {NULL};
    for (size_t i = 0; i < plan->count; i++) {
        columns[i] = plan->items[i].wanted ? query_block_column(block, plan->items[i].name) : NULL;
    }
    size_t kept = 0;
    for (size_t i = 0; i < block->count; i++) {
        if (run_one(plan, state, block, block->picks[i], columns)) {
            block->picks[kept++] = block->picks[i];
        }
    }
    block->count = kept;
    return 0;
}

bool extract_uses(const void *plan, struct span name)
{
    return span_equal(((const struct extract_plan *)plan)->source, name);
}

size_t extract_required(const void *pointer, struct span *ret_words, size_t words_max)
{
    const struct extract_plan *plan = pointer;
    size_t count = 0;
    if (plan->source.bytes > 0 || plan->pass || plan->drop_found) {
        return 0;
    }
    for (size_t i = 0; i < plan->count && count < words_max; i++) {
        const struct extract_item *item = &plan->items[i];
        if (item->filter.op == EXTRACT_EQ && !item->numeric && item->filter.text.bytes > 0) {
            ret_words[count++] = item->filter.text;
        }
    }
    return count;
}

void extract_settle(void *pointer, const struct query *query, size_t stage)
{
    struct extract_plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        struct extract_item *item = &plan->items[i];
        item->wanted = plan->strict || item->filter.op != EXTRACT_NONE ||
                       query_later_uses(query, stage, item->name);
    }
}

void extract_tell(const void *pointer, query_tell *each, void *context)
{
    const struct extract_plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        each(context, plan->items[i].name);
    }
}
