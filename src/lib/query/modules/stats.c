/*
 * stats [-maxtracked n] op[(value)] [as name] [by key …] … [over duration]
 * count|sum|… [-maxtracked n] [value] [by key …] [over duration]
 *
 * An indexer condenses what it has into states, an entry for each combination of keys and window;
 * the webserver merges them (docs/protocols/search.md). Each set of keys is a table; the first is
 * the one that rows come from: all keys of the stage.
 * Tested by modules_test.c.
 */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/time.h"
#include "query/aggregate.h"
#include "query/modules/modules.h"

#define OPS_MAX 32
#define KEYS_MAX 16
#define TABLES_MAX (OPS_MAX + 1)
#define TRACKED_MAX 1000000
#define BLOCK_ROWS 4096
#define CHART_BUCKETS 300

enum { FLAG_TRACKED };

static const struct query_flag flags[] = {[FLAG_TRACKED] = {"maxtracked", true}};

struct keys {
    struct span names[KEYS_MAX];
    size_t count;
};

struct op {
    enum aggregate_op op;
    struct span operand; /* empty: none */
    struct span out;
    struct keys keys;
    size_t table;
};

struct table {
    struct keys keys;
    size_t ops[OPS_MAX];
    size_t op_count;
};

struct plan {
    struct op ops[OPS_MAX];
    size_t op_count;
    struct table tables[TABLES_MAX];
    size_t table_count;
    uint64_t tracked_max;
    int64_t over_ns;
    int64_t window_ns; /* 0: the whole range is one */
    int64_t start_ns;
    size_t series_max; /* of a chart behind it; 0: all */
};

struct group {
    size_t table;
    int64_t window_ns;
    uint16_t tag;
    struct span key; /* owned; its values, each with its length before it */
    struct aggregate states[];
};

struct state {
    const struct plan *plan;
    enum query_part part;
    struct map groups[TABLES_MAX];
    uint64_t tracked;
    struct buf key;
    VEC(struct group *) order; /* once the input has ended */
    bool ordered;
    size_t next;
    VEC(struct entry) entries; /* of one block that goes on */
    VEC(uint32_t) picks;
    struct buf bytes;
};

/* ── Parsing ─────────────────────────────────────────────────────────────────────────────── */

static const struct query_token *peek(const struct query_args *args, size_t ahead)
{
    return args->next + ahead < args->count ? &args->tokens[args->next + ahead] : NULL;
}

static bool is_name(const struct query_token *token)
{
    return token != NULL && token->kind != QUERY_TOKEN_PUNCT && token->kind != QUERY_TOKEN_OP;
}

static bool is_over(const struct query_token *token)
{
    return token->kind == QUERY_TOKEN_WORD && span_equal_str(token->text, "over");
}

/* After "by": every word is a key until one that "(" follows, or "over". */
static int parse_keys(struct query_args *args, struct keys *keys)
{
    const struct query_token *token;
    while ((token = peek(args, 0)) != NULL && !is_over(token)) {
        const struct query_token *after = peek(args, 1);
        if (query_token_is(token, ',')) {
            args->next++;
            continue;
        }
        if (after != NULL && query_token_is(after, '(')) {
            break;
        }
        if (!is_name(token)) {
            return query_fault(args->error, token->offset, token->bytes, "%s: a key was expected",
                               args->name);
        }
        if (keys->count == KEYS_MAX) {
            return query_args_fault(args, "more than %d keys", KEYS_MAX);
        }
        keys->names[keys->count++] = arena_span_dup(args->arena, token->text);
        args->next++;
    }
    return keys->count > 0 ? 0 : query_args_fault(args, "a key must follow 'by'");
}

static int parse_over(struct query_args *args, struct plan *plan)
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

static int parse_operand(struct query_args *args, struct op *op)
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

static int parse_op(struct query_args *args, struct op *op)
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
    if (rc == 0 && query_args_take(args, "as")) {
        rc = query_args_word(args, &op->out, NULL);
        rc = rc == QUERY_ARGS_END ? query_args_fault(args, "a name must follow 'as'") : rc;
    }
    if (rc == 0 && query_args_take(args, "by")) {
        rc = parse_keys(args, &op->keys);
    }
    return rc;
}

static bool same_keys(const struct keys *a, const struct keys *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = span_equal(a->names[i], b->names[i]);
    }
    return same;
}

static size_t key_index(const struct keys *keys, struct span name)
{
    size_t i = 0;
    while (i < keys->count && !span_equal(keys->names[i], name)) {
        i++;
    }
    return i;
}

static size_t table_of(struct plan *plan, const struct keys *keys)
{
    for (size_t i = 0; i < plan->table_count; i++) {
        if (same_keys(&plan->tables[i].keys, keys)) {
            return i;
        }
    }
    plan->tables[plan->table_count].keys = *keys;
    return plan->table_count++;
}

/* One "by" behind the last operation is for all of them; table 0 has all keys there are. */
static int arrange(struct query_args *args, struct plan *plan)
{
    struct keys all = {0};
    size_t with_keys = 0;
    for (size_t i = 0; i < plan->op_count; i++) {
        with_keys += plan->ops[i].keys.count > 0 ? 1 : 0;
    }
    const struct op *last = &plan->ops[plan->op_count - 1];
    for (size_t i = 0; i < plan->op_count; i++) {
        struct op *op = &plan->ops[i];
        op->keys = with_keys == 1 && last->keys.count > 0 ? last->keys : op->keys;
        for (size_t j = 0; j < op->keys.count; j++) {
            if (key_index(&all, op->keys.names[j]) < all.count) {
                continue;
            }
            if (all.count == KEYS_MAX) {
                return query_args_fault(args, "more than %d keys", KEYS_MAX);
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
        struct op *op = &plan->ops[i];
        op->table = table_of(plan, &op->keys);
        struct table *table = &plan->tables[op->table];
        table->ops[table->op_count++] = i;
    }
    return 0;
}

static int parse_flags(struct query_args *args, struct plan *plan)
{
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    plan->tracked_max = TRACKED_MAX;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        if (!span_to_u64(span_of_str(value), &plan->tracked_max) || plan->tracked_max == 0) {
            return query_args_fault(args, "-maxtracked needs a number");
        }
    }
    return rc < 0 ? rc : 0;
}

static int parse_stats(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    int rc = parse_flags(args, plan);
    const struct query_token *token;
    while (rc == 0 && (token = peek(args, 0)) != NULL && !is_over(token)) {
        if (query_token_is(token, ',')) {
            args->next++;
            continue;
        }
        if (plan->op_count == OPS_MAX) {
            return query_args_fault(args, "more than %d operations", OPS_MAX);
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
static int parse_math(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    int rc = parse_flags(args, plan);
    struct op *op = &plan->ops[plan->op_count++];
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
static void settle(void *pointer, const struct query *query, size_t stage)
{
    struct plan *plan = pointer;
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
        int64_t range_s = (query->end_ns - query->start_ns) / TIME_S_NS;
        plan->window_ns = MAX(range_s / CHART_BUCKETS, INT64_C(1)) * TIME_S_NS;
    }
}

static bool uses(const void *pointer, struct span name)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->op_count; i++) {
        const struct op *op = &plan->ops[i];
        if (span_equal(op->operand, name) || key_index(&op->keys, name) < op->keys.count) {
            return true;
        }
    }
    return false;
}

/* ── Groups ──────────────────────────────────────────────────────────────────────────────── */

static int start(const void *plan, void **ret_state)
{
    struct state *state = MEM_NEW(struct state);
    state->plan = plan;
    *ret_state = state;
    return 0;
}

static void take_part(void *state, enum query_part part)
{
    ((struct state *)state)->part = part;
}

static bool gives_states(const struct state *state)
{
    return state->part == QUERY_PART_INDEXER || state->part == QUERY_PART_GATHER;
}

static void free_group(const struct plan *plan, struct group *group)
{
    for (size_t i = 0; i < plan->tables[group->table].op_count; i++) {
        aggregate_deinit(&group->states[i]);
    }
    mem_free((void *)(uintptr_t)group->key.data);
    mem_free(group);
}

static void put_key(struct buf *key, struct span value)
{
    uint32_t bytes = (uint32_t)value.bytes;
    buf_append(key, span_of(&bytes, sizeof(bytes)));
    buf_append(key, value);
}

static struct span next_key(struct span *rest)
{
    uint32_t bytes = 0;
    if (rest->bytes >= sizeof(bytes)) {
        memcpy(&bytes, rest->data, sizeof(bytes));
    }
    struct span value = span_first(span_from(*rest, sizeof(bytes)), bytes);
    *rest = span_from(*rest, sizeof(bytes) + bytes);
    return value;
}

/* The group of state->key, which begins with the window; a new one if there is none. */
static struct group *group_of(const struct plan *plan, struct state *state, size_t table,
                              uint16_t tag)
{
    struct span key = buf_span(&state->key);
    struct group *group = map_get(&state->groups[table], key);
    if (group == NULL) {
        size_t states = plan->tables[table].op_count * sizeof(struct aggregate);
        group = mem_alloc(sizeof(*group) + states);
        group->table = table;
        memcpy(&group->window_ns, key.data, sizeof(group->window_ns));
        group->tag = tag;
        key = span_from(key, sizeof(group->window_ns));
        group->key = span_of(mem_dup(key.data, key.bytes), key.bytes);
        (void)map_put(&state->groups[table], buf_span(&state->key), group);
        state->tracked++;
    }
    return group;
}

static int check_tracked(const struct plan *plan, const struct state *state)
{
    return state->tracked <= plan->tracked_max
               ? 0
               : err_set(ERR_TOO_LARGE,
                         "more than %llu combinations of keys and distinct values; -maxtracked "
                         "allows more",
                         (unsigned long long)plan->tracked_max);
}

static int64_t window_of(const struct plan *plan, int64_t time_ns)
{
    if (plan->window_ns == 0) {
        return plan->start_ns;
    }
    int64_t into = time_ns % plan->window_ns;
    return time_ns - (into < 0 ? into + plan->window_ns : into);
}

static void add_entry(const struct plan *plan, struct state *state, const struct query_block *block,
                      size_t index, size_t number)
{
    const struct table *table = &plan->tables[number];
    int64_t window_ns = window_of(plan, block->entries[index].time_ns);
    buf_clear(&state->key);
    buf_append(&state->key, span_of(&window_ns, sizeof(window_ns)));
    for (size_t i = 0; i < table->keys.count; i++) {
        struct span value;
        if (!query_block_text(block, index, table->keys.names[i], &value)) {
            return;
        }
        put_key(&state->key, value);
    }
    struct group *group = group_of(plan, state, number, block->entries[index].tag);
    for (size_t i = 0; i < table->op_count; i++) {
        const struct op *op = &plan->ops[table->ops[i]];
        struct query_value value = {.type = QUERY_VALUE_NONE};
        if (op->operand.bytes == 0 || query_block_get(block, index, op->operand, &value)) {
            state->tracked += aggregate_add(&group->states[i], op->op, &value);
        }
    }
}

/* ── States on the wire ──────────────────────────────────────────────────────────────────── */

static void put_state(const struct plan *plan, const struct group *group, struct buf *buf)
{
    const struct table *table = &plan->tables[group->table];
    wire_put_u8(buf, (uint8_t)group->table);
    wire_put_i64(buf, group->window_ns);
    struct span rest = group->key;
    for (size_t i = 0; i < table->keys.count; i++) {
        wire_put_bytes(buf, next_key(&rest));
    }
    for (size_t i = 0; i < table->op_count; i++) {
        aggregate_put(&group->states[i], plan->ops[table->ops[i]].op, buf);
    }
}

static int add_state(const struct plan *plan, struct state *state, const struct entry *entry)
{
    struct wire_reader reader = wire_reader_of(entry->data);
    size_t number = wire_get_u8(&reader);
    int64_t window_ns = wire_get_i64(&reader);
    if (number >= plan->table_count) {
        return err_set(ERR_PROTOCOL, "a state of table %zu", number);
    }
    const struct table *table = &plan->tables[number];
    buf_clear(&state->key);
    buf_append(&state->key, span_of(&window_ns, sizeof(window_ns)));
    for (size_t i = 0; i < table->keys.count; i++) {
        put_key(&state->key, wire_get_bytes(&reader, ENTRY_DATA_BYTES_MAX));
    }
    struct group *group = group_of(plan, state, number, entry->tag);
    for (size_t i = 0; i < table->op_count; i++) {
        enum aggregate_op op = plan->ops[table->ops[i]].op;
        state->tracked += aggregate_take(&group->states[i], op, &reader);
    }
    return wire_finish(&reader);
}

static int run(const void *pointer, void *state_pointer, struct query_block *block)
{
    const struct plan *plan = pointer;
    struct state *state = state_pointer;
    for (size_t i = 0; i < block->count; i++) {
        int rc = 0;
        if (state->part == QUERY_PART_WEBSERVER || state->part == QUERY_PART_GATHER) {
            rc = add_state(plan, state, &block->entries[block->picks[i]]);
        } else {
            for (size_t table = 0; table < plan->table_count; table++) {
                add_entry(plan, state, block, block->picks[i], table);
            }
        }
        rc = rc < 0 ? rc : check_tracked(plan, state);
        if (rc < 0) {
            return rc;
        }
    }
    block->count = 0;
    return 0;
}

/* ── The end ─────────────────────────────────────────────────────────────────────────────── */

/* Newest window first, then by table and keys. */
static int compare_groups(const void *a, const void *b)
{
    const struct group *x = *(struct group *const *)a;
    const struct group *y = *(struct group *const *)b;
    if (x->window_ns != y->window_ns) {
        return x->window_ns > y->window_ns ? -1 : 1;
    }
    if (x->table != y->table) {
        return x->table < y->table ? -1 : 1;
    }
    struct span left = x->key;
    struct span right = y->key;
    while (left.bytes > 0 && right.bytes > 0) {
        struct query_value u = query_value_of_text(next_key(&left));
        struct query_value v = query_value_of_text(next_key(&right));
        int order = query_value_compare(&u, &v);
        order = order == 0 ? span_compare(u.text, v.text) : order;
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

struct weight { /* of a combination of keys over all windows */
    struct span key;
    double sum;
    bool shown;
};

static int compare_weights(const void *a, const void *b)
{
    const struct weight *x = *(struct weight *const *)a;
    const struct weight *y = *(struct weight *const *)b;
    return x->sum != y->sum ? (x->sum > y->sum ? -1 : 1) : span_compare(x->key, y->key);
}

static void weigh(const struct plan *plan, const struct state *state, struct map *weights)
{
    for (size_t i = 0; i < state->order.count; i++) {
        const struct group *group = state->order.items[i];
        struct weight *weight = map_get(weights, group->key);
        struct query_value value, number;
        if (weight == NULL) {
            weight = MEM_NEW(struct weight);
            weight->key = group->key; /* borrowed */
            (void)map_put(weights, group->key, weight);
        }
        enum aggregate_op op = plan->ops[plan->tables[0].ops[0]].op;
        if (aggregate_result(&group->states[0], op, &value) &&
            query_value_number(&value, &number)) {
            weight->sum += fabs(query_value_real(&number));
        }
    }
}

/* Adds a group's states to that of "other" in its window. */
static void add_to_other(const struct plan *plan, struct state *state, const struct group *group)
{
    const struct table *table = &plan->tables[0];
    buf_clear(&state->key);
    buf_append(&state->key, span_of(&group->window_ns, sizeof(group->window_ns)));
    for (size_t i = 0; i < table->keys.count; i++) {
        put_key(&state->key, i == 0 ? SPAN_LIT("other") : SPAN_LIT(""));
    }
    struct group *other = group_of(plan, state, 0, group->tag);
    for (size_t i = 0; i < table->op_count; i++) {
        enum aggregate_op op = plan->ops[table->ops[i]].op;
        struct buf bytes = {0};
        aggregate_put(&group->states[i], op, &bytes);
        struct wire_reader reader = wire_reader_of(buf_span(&bytes));
        (void)aggregate_take(&other->states[i], op, &reader);
        buf_deinit(&bytes);
    }
}

/* A chart shows so many series: the states of all others become one, "other". */
static void fold_others(const struct plan *plan, struct state *state)
{
    struct map weights = {0};
    VEC(struct weight *) list = {0};
    size_t cursor = 0;
    struct span key;
    void *item = NULL;
    weigh(plan, state, &weights);
    while (map_next(&weights, &cursor, &key, &item)) {
        vec_push(&list, (struct weight *)item);
    }
    qsort(list.items, list.count, sizeof(struct weight *), compare_weights);
    for (size_t i = 0; i < MIN(list.count, plan->series_max); i++) {
        list.items[i]->shown = true;
    }
    size_t kept = 0;
    for (size_t i = 0; i < state->order.count; i++) {
        struct group *group = state->order.items[i];
        const struct weight *weight = map_get(&weights, group->key);
        state->order.items[kept] = group;
        kept += weight->shown ? 1 : 0;
        if (!weight->shown) {
            add_to_other(plan, state, group);
        }
    }
    state->order.count = kept;
    cursor = 0;
    while (map_next(&state->groups[0], &cursor, &key, &item)) {
        if (map_get(&weights, ((struct group *)item)->key) == NULL) {
            vec_push(&state->order, (struct group *)item);
        }
    }
    for (size_t i = 0; i < list.count; i++) {
        mem_free(list.items[i]);
    }
    vec_deinit(&list);
    map_deinit(&weights);
}

static void put_in_order(const struct plan *plan, struct state *state)
{
    size_t tables = gives_states(state) ? plan->table_count : 1;
    for (size_t i = 0; i < tables; i++) {
        size_t cursor = 0;
        struct span key;
        void *group = NULL;
        while (map_next(&state->groups[i], &cursor, &key, &group)) {
            vec_push(&state->order, (struct group *)group);
        }
    }
    if (plan->series_max > 0 && !gives_states(state) && plan->tables[0].op_count > 0 &&
        state->order.count > plan->series_max) {
        fold_others(plan, state);
    }
    if (state->order.count > 1) {
        qsort(state->order.items, state->order.count, sizeof(struct group *), compare_groups);
    }
    state->ordered = true;
}

/* The group of another table with the keys that it shares with this row. */
static const struct group *sibling(const struct plan *plan, struct state *state,
                                   const struct group *row, size_t table)
{
    const struct keys *all = &plan->tables[0].keys;
    const struct keys *keys = &plan->tables[table].keys;
    buf_clear(&state->key);
    buf_append(&state->key, span_of(&row->window_ns, sizeof(row->window_ns)));
    for (size_t i = 0; i < keys->count; i++) {
        struct span rest = row->key;
        struct span value = SPAN_NONE;
        for (size_t j = 0; j <= key_index(all, keys->names[i]); j++) {
            value = next_key(&rest);
        }
        put_key(&state->key, value);
    }
    return map_get(&state->groups[table], buf_span(&state->key));
}

static void put_row_keys(const struct plan *plan, const struct group *row, struct buf *evs,
                         size_t begin, struct buf *text, struct entry *entry)
{
    const struct keys *keys = &plan->tables[0].keys;
    struct span rest = row->key;
    for (size_t i = 0; i < keys->count; i++) {
        struct query_value value = query_value_of_text(next_key(&rest));
        query_value_put_ev(&value, keys->names[i], evs, begin);
        buf_append(text, value.text);
        buf_append_str(text, "  ");
        if (span_equal_str(keys->names[i], "SRC")) {
            (void)entry_source_parse(value.text, entry->source);
        }
    }
}

/* A row of the result: keys, then results, as enumerated values; as text in its data. */
static void put_row(const struct plan *plan, struct state *state, const struct group *row,
                    struct entry *entry)
{
    struct buf text = {0};
    size_t before = state->bytes.bytes;
    size_t begin = series_evs_begin(&state->bytes);
    put_row_keys(plan, row, &state->bytes, begin, &text, entry);
    for (size_t i = 0; i < plan->op_count; i++) {
        const struct op *op = &plan->ops[i];
        const struct table *table = &plan->tables[op->table];
        const struct group *group = op->table == 0 ? row : sibling(plan, state, row, op->table);
        size_t at = 0;
        while (table->ops[at] != i) {
            at++;
        }
        struct query_value value;
        if (group != NULL && aggregate_result(&group->states[at], op->op, &value)) {
            query_value_put_ev(&value, op->out, &state->bytes, begin);
            query_value_put_text(&value, &text);
            buf_append_str(&text, i + 1 < plan->op_count ? "  " : "");
        }
    }
    entry->enumerated.bytes = state->bytes.bytes - before;
    entry->data.bytes = text.bytes;
    buf_append(&state->bytes, buf_span(&text));
    buf_deinit(&text);
}

static int finish(const void *pointer, void *state_pointer, struct query_block *block)
{
    const struct plan *plan = pointer;
    struct state *state = state_pointer;
    if (!state->ordered) {
        put_in_order(plan, state);
    }
    if (state->next == state->order.count) {
        return QUERY_MODULE_END;
    }
    vec_clear(&state->entries);
    vec_clear(&state->picks);
    buf_clear(&state->bytes);
    while (state->next < state->order.count && state->entries.count < BLOCK_ROWS) {
        const struct group *group = state->order.items[state->next++];
        struct entry entry = {.time_ns = MAX(group->window_ns, plan->start_ns), .tag = group->tag};
        size_t before = state->bytes.bytes;
        if (gives_states(state)) {
            put_state(plan, group, &state->bytes);
            entry.data.bytes = state->bytes.bytes - before;
        } else {
            put_row(plan, state, group, &entry);
        }
        vec_push(&state->picks, (uint32_t)state->entries.count);
        vec_push(&state->entries, entry);
    }
    const uint8_t *at = state->bytes.data;
    for (size_t i = 0; i < state->entries.count; i++) {
        struct entry *entry = &state->entries.items[i];
        entry->enumerated.data = at;
        entry->data.data = at + entry->enumerated.bytes;
        at = entry->data.data + entry->data.bytes;
    }
    block->entries = state->entries.items;
    block->picks = state->picks.items;
    block->count = state->entries.count;
    return 0;
}

static void stop(void *pointer)
{
    struct state *state = pointer;
    const struct plan *plan = state->plan;
    for (size_t i = 0; i < plan->table_count; i++) {
        size_t cursor = 0;
        struct span key;
        void *group = NULL;
        while (map_next(&state->groups[i], &cursor, &key, &group)) {
            free_group(plan, group);
        }
        map_deinit(&state->groups[i]);
    }
    vec_deinit(&state->order);
    vec_deinit(&state->entries);
    vec_deinit(&state->picks);
    buf_deinit(&state->key);
    buf_deinit(&state->bytes);
    mem_free(state);
}

#define ROW(module_name, module_summary, how)                                                      \
    {                                                                                              \
        .name = (module_name), .summary = (module_summary), .condensing = true,                    \
        .collapser = module_name "Collapser", .parse = (how), .start = start, .stop = stop,        \
        .run = run, .finish = finish, .settle = settle, .uses = uses, .replaces = true,            \
        .take_part = take_part,                                                                    \
    }

const struct query_module query_module_stats =
    ROW("stats", "condenses entries by keys and time", parse_stats);
const struct query_module query_module_count = ROW("count", "counts entries", parse_math);
const struct query_module query_module_sum = ROW("sum", "adds values up", parse_math);
const struct query_module query_module_mean = ROW("mean", "the mean of values", parse_math);
const struct query_module query_module_min = ROW("min", "the smallest value", parse_math);
const struct query_module query_module_max = ROW("max", "the largest value", parse_math);
const struct query_module query_module_stddev =
    ROW("stddev", "the standard deviation of values", parse_math);
const struct query_module query_module_variance =
    ROW("variance", "the variance of values", parse_math);
const struct query_module query_module_unique_count =
    ROW("unique_count", "counts distinct values", parse_math);
