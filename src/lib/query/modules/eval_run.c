/* Running a program of eval on one entry. Tested by eval_test.c. */
#include "base/mem.h"
#include "query/columns.h"
#include "query/modules/eval.h"

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE, FLOW_RETURN };

struct result {
    enum flow flow;
    struct eval_value value; /* of RETURN */
};

static const struct eval_value undefined = {0};

static struct eval_value evaluate(struct eval_run *run, const struct eval_node *node);
static struct result execute(struct eval_run *run, const struct eval_node *node);

/* False: the entry has had its steps. */
static bool step(struct eval_run *run)
{
    if (run->why == NULL && ++run->steps > EVAL_STEPS_MAX) {
        run->why = "it takes too many steps";
    }
    return run->why == NULL;
}

/* ── Variables ───────────────────────────────────────────────────────────────────────────── */

/* What is kept owns its texts; lists do not go on from entry to entry, their text does. */
static void keep(struct eval_run *run, struct eval_kept *kept, const struct eval_value *value)
{
    struct span text;
    bool old = kept->value.value.type == QUERY_VALUE_TEXT;
    struct eval_value made = *value;
    if (value->list || value->value.type == QUERY_VALUE_TEXT ||
        value->value.type == QUERY_VALUE_BYTES) {
        if (!eval_value_text(run, value, &text)) {
            return;
        }
        size_t before = old ? kept->value.value.text.bytes : 0;
        if (run->kept_bytes - before + text.bytes > EVAL_KEPT_BYTES_MAX) {
            run->why = "its variables hold too much text";
            return;
        }
        run->kept_bytes = run->kept_bytes - before + text.bytes;
        const char *from = text.bytes > 0 ? (const char *)text.data : "";
        made = eval_of(query_value_of_text(span_of(mem_strndup(from, text.bytes), text.bytes)));
    }
    if (old) {
        mem_free((void *)(uintptr_t)kept->value.value.text.data);
    }
    kept->value = made;
}

/* A copy: the variable's own text goes when it is set anew. */
static struct eval_value kept_value(struct eval_run *run, const struct eval_kept *kept)
{
    bool text = kept->value.value.type == QUERY_VALUE_TEXT;
    return text ? eval_text(run, kept->value.value.text) : kept->value;
}

static struct eval_kept *in_map(struct eval_run *run, const struct eval_node *index, bool make)
{
    struct span key;
    struct eval_value value = evaluate(run, index->items[1]);
    struct eval_kept *map = &run->variables[index->items[0]->slot];
    if (!eval_value_text(run, &value, &key)) {
        return NULL;
    }
    struct eval_kept *kept = map_get(&map->map, key);
    if (kept == NULL && make) {
        if (map->map.count == EVAL_MAP_KEYS_MAX) {
            run->why = "a map has too many keys";
            return NULL;
        }
        kept = MEM_NEW(struct eval_kept);
        (void)map_put(&map->map, key, kept);
    }
    return kept;
}

static bool is_map(const struct eval_run *run, const struct eval_node *node)
{
    return node->kind == EVAL_VARIABLE && run->program->variables[node->slot].map;
}

/* Texts lie in the entry, the query or the arena: they live as long as the block. */
static void set_value(struct eval_run *run, struct span name, const struct eval_value *value)
{
    struct span text;
    struct query_value made = value->value;
    if (value->list) {
        if (!eval_value_text(run, value, &text)) {
            return;
        }
        made = query_value_of_text(text);
    }
    if (made.type != QUERY_VALUE_NONE) {
        query_block_column(run->block, name)[run->index] = made;
    }
}

static struct eval_value assign(struct eval_run *run, const struct eval_node *node)
{
    const struct eval_node *target = node->items[0];
    bool counts = node->op != EVAL_OP_NONE; /* n++ gives what was before */
    struct eval_value before = counts ? evaluate(run, target) : undefined;
    struct eval_value value = evaluate(run, node->items[1]);
    if (run->why != NULL) {
        return undefined;
    }
    if (target->kind == EVAL_NAME) {
        set_value(run, target->name, &value);
    } else if (target->kind == EVAL_VARIABLE) {
        keep(run, &run->variables[target->slot], &value);
    } else if (is_map(run, target->items[0])) {
        struct eval_kept *kept = in_map(run, target, true);
        if (kept != NULL) {
            keep(run, kept, &value);
        }
    }
    return counts ? before : value;
}

/* ── Expressions ─────────────────────────────────────────────────────────────────────────── */

static int64_t place(int64_t at, size_t length)
{
    at = at < 0 ? at + (int64_t)length : at;
    return at < 0 ? 0 : at > (int64_t)length ? (int64_t)length : at;
}

static struct eval_value element(struct eval_run *run, const struct eval_node *node)
{
    int64_t at = 0;
    struct span text;
    if (is_map(run, node->items[0])) {
        struct eval_kept *kept = in_map(run, node, false);
        return kept == NULL ? undefined : kept_value(run, kept);
    }
    struct eval_value of = evaluate(run, node->items[0]);
    struct eval_value index = evaluate(run, node->items[1]);
    if (!eval_integer(&index, &at)) {
        return undefined;
    }
    if (of.list) {
        return at < 0 || (uint64_t)at >= of.count ? undefined : of.items[at];
    }
    if (!eval_value_text(run, &of, &text) || at < 0 || (uint64_t)at >= text.bytes) {
        return undefined;
    }
    return eval_of(query_value_of_text(span_first(span_from(text, (size_t)at), 1)));
}

static struct eval_value slice(struct eval_run *run, const struct eval_node *node)
{
    int64_t from = 0;
    int64_t to = 0;
    struct span text = SPAN_NONE;
    struct eval_value of = evaluate(run, node->items[0]);
    struct eval_value first = evaluate(run, node->items[1]);
    struct eval_value last = evaluate(run, node->items[2]);
    if (!eval_integer(&first, &from) || !eval_integer(&last, &to) ||
        (!of.list && !eval_value_text(run, &of, &text))) {
        return undefined;
    }
    size_t length = of.list ? of.count : text.bytes;
    from = place(from, length);
    to = place(to, length);
    to = to < from ? from : to;
    if (of.list) {
        of.items += from;
        of.count = (size_t)(to - from);
        return of;
    }
    return eval_of(
        query_value_of_text(span_first(span_from(text, (size_t)from), (size_t)(to - from))));
}

static struct eval_value list(struct eval_run *run, const struct eval_node *node)
{
    struct eval_value *items = NULL;
    if (!eval_list(run, node->count, &items)) {
        return undefined;
    }
    for (size_t i = 0; i < node->count; i++) {
        items[i] = evaluate(run, node->items[i]);
    }
    return (struct eval_value){.items = items, .count = node->count, .list = true};
}

static struct eval_value call(struct eval_run *run, const struct eval_node *node)
{
    struct eval_value *args = NULL;
    struct eval_value value = {0};
    if (!eval_list(run, node->count, &args)) {
        return undefined;
    }
    for (size_t i = 0; i < node->count; i++) {
        args[i] = evaluate(run, node->items[i]);
    }
    bool defined = run->why == NULL && node->function->call(run, node, args, node->count, &value);
    return defined ? value : undefined;
}

static struct eval_value unary(struct eval_run *run, const struct eval_node *node)
{
    struct eval_value value = evaluate(run, node->items[0]);
    if (node->op == EVAL_NOT) {
        return eval_of(query_value_of_bool(!eval_true(&value)));
    }
    struct eval_value zero = eval_of(query_value_of_i64(0));
    struct eval_value made;
    return eval_binary(run, EVAL_SUB, &zero, &value, &made) ? made : undefined;
}

static struct eval_value binary(struct eval_run *run, const struct eval_node *node)
{
    struct eval_value made;
    struct eval_value a = evaluate(run, node->items[0]);
    if (node->op == EVAL_AND || node->op == EVAL_OR) {
        if (eval_true(&a) == (node->op == EVAL_OR)) {
            return eval_of(query_value_of_bool(node->op == EVAL_OR));
        }
        struct eval_value second = evaluate(run, node->items[1]);
        return eval_of(query_value_of_bool(eval_true(&second)));
    }
    struct eval_value b = evaluate(run, node->items[1]);
    return eval_binary(run, node->op, &a, &b, &made) ? made : undefined;
}

static struct eval_value named(struct eval_run *run, const struct eval_node *node)
{
    struct query_value value;
    return query_block_get(run->block, run->index, node->name, &value) ? eval_of(value) : undefined;
}

static struct eval_value evaluate(struct eval_run *run, const struct eval_node *node)
{
    if (!step(run)) {
        return undefined;
    }
    switch (node->kind) {
    case EVAL_CONST:
        return eval_of(node->value);
    case EVAL_NAME:
        return named(run, node);
    case EVAL_VARIABLE:
        return kept_value(run, &run->variables[node->slot]);
    case EVAL_UNARY:
        return unary(run, node);
    case EVAL_BINARY:
        return binary(run, node);
    case EVAL_TERNARY: {
        struct eval_value condition = evaluate(run, node->items[0]);
        return evaluate(run, node->items[eval_true(&condition) ? 1 : 2]);
    }
    case EVAL_CALL:
        return call(run, node);
    case EVAL_INDEX:
        return element(run, node);
    case EVAL_SLICE:
        return slice(run, node);
    case EVAL_LIST:
        return list(run, node);
    case EVAL_ASSIGN:
        return assign(run, node);
    default:
        return undefined;
    }
}

/* ── Statements ──────────────────────────────────────────────────────────────────────────── */

static struct result on(void)
{
    return (struct result){.flow = FLOW_ON};
}

static struct result run_for(struct eval_run *run, const struct eval_node *node)
{
    (void)evaluate(run, node->items[0]);
    while (run->why == NULL) {
        struct eval_value condition = evaluate(run, node->items[1]);
        if (!eval_true(&condition)) {
            break;
        }
        struct result result = execute(run, node->items[3]);
        if (result.flow == FLOW_RETURN) {
            return result;
        }
        if (result.flow == FLOW_BREAK) {
            break;
        }
        (void)evaluate(run, node->items[2]);
    }
    return on();
}

/* From the case that fits (or the default) on, until a break. */
static struct result run_switch(struct eval_run *run, const struct eval_node *node)
{
    struct eval_value value = evaluate(run, node->items[0]);
    size_t first = 0;
    for (size_t i = 1; i < node->count && first == 0; i++) {
        if (node->items[i]->slot == 0) {
            struct eval_value label = evaluate(run, node->items[i]->items[0]);
            first = eval_equal(&value, &label) ? i : 0;
        }
    }
    for (size_t i = 1; i < node->count && first == 0; i++) {
        first = node->items[i]->slot == 1 ? i : 0;
    }
    for (size_t i = first; first > 0 && i < node->count; i++) {
        const struct eval_node *one = node->items[i];
        struct result result = execute(run, one->items[one->count - 1]);
        if (result.flow == FLOW_BREAK) {
            return on();
        }
        if (result.flow != FLOW_ON) {
            return result;
        }
    }
    return on();
}

static struct result run_block(struct eval_run *run, const struct eval_node *node)
{
    struct result result = on();
    for (size_t i = 0; i < node->count && result.flow == FLOW_ON && run->why == NULL; i++) {
        result = execute(run, node->items[i]);
    }
    return result;
}

static struct result execute(struct eval_run *run, const struct eval_node *node)
{
    if (!step(run)) {
        return on();
    }
    switch (node->kind) {
    case EVAL_BLOCK:
        return run_block(run, node);
    case EVAL_IF: {
        struct eval_value condition = evaluate(run, node->items[0]);
        if (eval_true(&condition)) {
            return execute(run, node->items[1]);
        }
        return node->count > 2 ? execute(run, node->items[2]) : on();
    }
    case EVAL_FOR:
        return run_for(run, node);
    case EVAL_SWITCH:
        return run_switch(run, node);
    case EVAL_RETURN:
        return (struct result){FLOW_RETURN, evaluate(run, node->items[0])};
    case EVAL_BREAK:
        return (struct result){.flow = FLOW_BREAK};
    case EVAL_CONTINUE:
        return (struct result){.flow = FLOW_CONTINUE};
    case EVAL_EMPTY:
        return on();
    default:
        (void)evaluate(run, node);
        return on();
    }
}

/* Before the first entry. */
static void begin(struct eval_run *run)
{
    for (size_t i = 0; !run->begun && i < run->program->variable_count; i++) {
        const struct eval_variable *variable = &run->program->variables[i];
        if (variable->first != NULL) {
            struct eval_value value = evaluate(run, variable->first);
            keep(run, &run->variables[i], &value);
        }
    }
    run->begun = true;
}

bool eval_entry(struct eval_run *run)
{
    run->steps = 0;
    run->why = NULL;
    begin(run);
    if (run->program->filter) {
        struct eval_value value = evaluate(run, run->program->root);
        return eval_true(&value);
    }
    struct result result = execute(run, run->program->root);
    return result.flow != FLOW_RETURN || eval_true(&result.value);
}
