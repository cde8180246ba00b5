/*
 * stats [-maxtracked n] op[(value)] [as name] [by key …] … [over duration]
 * count|sum|… [-maxtracked n] [value] [by key …] [over duration]
 *
 * An indexer condenses what it has into states, an entry for each combination of keys and window;
 * the webserver merges them (docs/protocols/search.md).
 * Tested by modules_test.c.
 */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/time.h"
#include "query/modules/modules.h"
#include "query/modules/stats_plan.h"

#define BLOCK_ROWS 4096
#define RECENT_MAX 1024 /* a power of two */

struct group {
    size_t table;
    int64_t window_ns;
    uint16_t tag;
    struct span key; /* owned; its values, each with its length before it */
    struct aggregate states[];
};

struct state {
    const struct stats_plan *plan;
    enum query_part part;
    struct map groups[STATS_TABLES_MAX];
    struct group **recent; /* RECENT_MAX per table: those found last, by a part of their keys */
    uint64_t tracked;
    struct buf key;
    VEC(struct group *) order; /* once the input has ended */
    bool ordered;
    size_t next;
    VEC(struct entry) entries; /* of one block that goes on */
    VEC(uint32_t) picks;
    struct buf bytes;
};

/* ── Groups ──────────────────────────────────────────────────────────────────────────────── */

static int start(const void *plan, void **ret_state)
{
    struct state *state = MEM_NEW(struct state);
    state->plan = plan;
    state->recent = mem_alloc_array(state->plan->table_count * RECENT_MAX, sizeof(struct group *));
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

static void free_group(const struct stats_plan *plan, struct group *group)
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
static struct group *group_of(const struct stats_plan *plan, struct state *state, size_t table,
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

static int check_tracked(const struct stats_plan *plan, const struct state *state)
{
    return state->tracked <= plan->tracked_max
               ? 0
               : err_set(ERR_TOO_LARGE,
                         "more than %llu combinations of keys and distinct values; -maxtracked "
                         "allows more",
                         (unsigned long long)plan->tracked_max);
}

/* ── Adding entries ──────────────────────────────────────────────────────────────────────── */

/* Where the values of a name in a block come from. */
struct source {
    struct span name;
    const struct query_value *column; /* NULL: none, query_block_get() knows */
    bool as_number;                   /* texts that are numbers may be taken as such */
};

/* What a table needs of a block's entries. */
struct sources {
    struct source keys[STATS_KEYS_MAX];
    struct source operands[STATS_OPS_MAX]; /* each once */
    size_t operand_count;
    size_t of_op[STATS_OPS_MAX]; /* by number in the table; operand_count: none */
};

static size_t operand_of(struct sources *sources, const struct query_block *block,
                         const struct stats_op *op)
{
    size_t i = 0;
    while (i < sources->operand_count && !span_equal(sources->operands[i].name, op->operand)) {
        i++;
    }
    struct source *source = &sources->operands[i];
    if (i == sources->operand_count) {
        *source = (struct source){op->operand, query_block_values(block, op->operand), true};
        sources->operand_count++;
    }
    source->as_number = source->as_number && op->op != AGGREGATE_UNIQUE_COUNT;
    return i;
}

static void find_sources(const struct stats_plan *plan, const struct stats_table *table,
                         const struct query_block *block, struct sources *sources)
{
    sources->operand_count = 0;
    for (size_t i = 0; i < table->keys.count; i++) {
        struct span name = table->keys.names[i];
        sources->keys[i] = (struct source){name, query_block_values(block, name), false};
    }
    for (size_t i = 0; i < table->op_count; i++) {
        const struct stats_op *op = &plan->ops[table->ops[i]];
        sources->of_op[i] = op->operand.bytes == 0 ? SIZE_MAX : operand_of(sources, block, op);
    }
}

static bool is_text(const struct query_value *value)
{
    return value->type == QUERY_VALUE_TEXT || value->type == QUERY_VALUE_BYTES;
}

static inline bool get_text(const struct query_block *block, size_t index,
                            const struct source *source, struct span *ret_text)
{
    if (source->column != NULL && is_text(&source->column[index])) {
        *ret_text = source->column[index].text;
        return true;
    }
    return query_block_text(block, index, source->name, ret_text);
}

/* NONE: there is none. */
static inline struct query_value get_value(const struct query_block *block, size_t index,
                                           const struct source *source)
{
    struct query_value value = {.type = QUERY_VALUE_NONE};
    struct query_value number;
    if (source->column != NULL && is_text(&source->column[index])) {
        value = source->column[index];
    } else if (!query_block_get(block, index, source->name, &value)) {
        value.type = QUERY_VALUE_NONE;
    }
    bool as_number = source->as_number && is_text(&value) && query_value_number(&value, &number);
    return as_number ? number : value;
}

static int64_t window_of(const struct stats_plan *plan, int64_t time_ns)
{
    if (plan->window_ns == 0) {
        return plan->start_ns;
    }
    int64_t into = time_ns % plan->window_ns;
    return time_ns - (into < 0 ? into + plan->window_ns : into);
}

/* Of a few bytes of the text, which tell most keys apart. */
static inline uint64_t mix(uint64_t hash, struct span text)
{
    uint64_t first = 0;
    uint64_t last = 0;
    if (text.bytes >= sizeof(first)) {
        memcpy(&first, text.data, sizeof(first));
        memcpy(&last, text.data + text.bytes - sizeof(last), sizeof(last));
    } else {
        for (size_t i = 0; i < text.bytes; i++) {
            first = first << 8 | text.data[i];
        }
    }
    hash = (hash ^ first ^ text.bytes) * UINT64_C(0x9E3779B97F4A7C15);
    return (hash ^ hash >> 32 ^ last) * UINT64_C(0xC2B2AE3D27D4EB4F);
}

static bool has_key(const struct group *group, int64_t window_ns, const struct span *values,
                    size_t count)
{
    struct span rest = group->key;
    bool same = group->window_ns == window_ns;
    for (size_t i = 0; i < count && same; i++) {
        same = span_equal(next_key(&rest), values[i]);
    }
    return same;
}

static struct group *look_up(const struct stats_plan *plan, struct state *state, size_t table,
                             int64_t window_ns, const struct span *values, uint16_t tag)
{
    buf_clear(&state->key);
    buf_append(&state->key, span_of(&window_ns, sizeof(window_ns)));
    for (size_t i = 0; i < plan->tables[table].keys.count; i++) {
        put_key(&state->key, values[i]);
    }
    return group_of(plan, state, table, tag);
}

/* NULL: the entry has not all keys. */
static struct group *find_group(const struct stats_plan *plan, struct state *state, size_t number,
                                const struct query_block *block, size_t index,
                                const struct sources *sources)
{
    const struct entry *entry = &block->entries[index];
    size_t keys = plan->tables[number].keys.count;
    struct span values[STATS_KEYS_MAX];
    int64_t window_ns = window_of(plan, entry->time_ns);
    uint64_t hash = (uint64_t)window_ns;
    for (size_t i = 0; i < keys; i++) {
        if (!get_text(block, index, &sources->keys[i], &values[i])) {
            return NULL;
        }
        hash = mix(hash, values[i]);
    }
    struct group **recent = &state->recent[number * RECENT_MAX + (hash >> 32) % RECENT_MAX];
    if (*recent == NULL || !has_key(*recent, window_ns, values, keys)) {
        *recent = look_up(plan, state, number, window_ns, values, entry->tag);
    }
    return *recent;
}

static void add_block(const struct stats_plan *plan, struct state *state,
                      const struct query_block *block, size_t number)
{
    const struct stats_table *table = &plan->tables[number];
    struct sources sources;
    struct query_value values[STATS_OPS_MAX];
    find_sources(plan, table, block, &sources);
    for (size_t i = 0; i < block->count; i++) {
        size_t index = block->picks[i];
        struct group *group = find_group(plan, state, number, block, index, &sources);
        if (group == NULL) {
            continue;
        }
        for (size_t j = 0; j < sources.operand_count; j++) {
            values[j] = get_value(block, index, &sources.operands[j]);
        }
        for (size_t j = 0; j < table->op_count; j++) {
            enum aggregate_op op = plan->ops[table->ops[j]].op;
            size_t operand = sources.of_op[j];
            if (operand == SIZE_MAX || values[operand].type != QUERY_VALUE_NONE) {
                const struct query_value *value = operand == SIZE_MAX ? NULL : &values[operand];
                state->tracked += aggregate_add(&group->states[j], op, value);
            }
        }
    }
}

/* ── States on the wire ──────────────────────────────────────────────────────────────────── */

static void put_state(const struct stats_plan *plan, const struct group *group, struct buf *buf)
{
    const struct stats_table *table = &plan->tables[group->table];
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

static int add_state(const struct stats_plan *plan, struct state *state, const struct entry *entry)
{
    struct wire_reader reader = wire_reader_of(entry->data);
    size_t number = wire_get_u8(&reader);
    int64_t window_ns = wire_get_i64(&reader);
    if (number >= plan->table_count) {
        return err_set(ERR_PROTOCOL, "a state of table %zu", number);
    }
    const struct stats_table *table = &plan->tables[number];
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
    const struct stats_plan *plan = pointer;
    struct state *state = state_pointer;
    bool states = state->part == QUERY_PART_WEBSERVER || state->part == QUERY_PART_GATHER;
    int rc = 0;
    for (size_t i = 0; states && i < block->count && rc == 0; i++) {
        rc = add_state(plan, state, &block->entries[block->picks[i]]);
        rc = rc < 0 ? rc : check_tracked(plan, state);
    }
    for (size_t table = 0; !states && table < plan->table_count && rc == 0; table++) {
        add_block(plan, state, block, table);
        rc = check_tracked(plan, state);
    }
    block->count = 0;
    return rc;
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

static void weigh(const struct stats_plan *plan, const struct state *state, struct map *weights)
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
static void add_to_other(const struct stats_plan *plan, struct state *state,
                         const struct group *group)
{
    const struct stats_table *table = &plan->tables[0];
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
static void fold_others(const struct stats_plan *plan, struct state *state)
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

static void put_in_order(const struct stats_plan *plan, struct state *state)
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
static const struct group *sibling(const struct stats_plan *plan, struct state *state,
                                   const struct group *row, size_t table)
{
    const struct stats_keys *all = &plan->tables[0].keys;
    const struct stats_keys *keys = &plan->tables[table].keys;
    buf_clear(&state->key);
    buf_append(&state->key, span_of(&row->window_ns, sizeof(row->window_ns)));
    for (size_t i = 0; i < keys->count; i++) {
        struct span rest = row->key;
        struct span value = SPAN_NONE;
        for (size_t j = 0; j <= stats_key_index(all, keys->names[i]); j++) {
            value = next_key(&rest);
        }
        put_key(&state->key, value);
    }
    return map_get(&state->groups[table], buf_span(&state->key));
}

static void put_row_keys(const struct stats_plan *plan, const struct group *row, struct buf *evs,
                         size_t begin, struct buf *text, struct entry *entry)
{
    const struct stats_keys *keys = &plan->tables[0].keys;
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
static void put_row(const struct stats_plan *plan, struct state *state, const struct group *row,
                    struct entry *entry)
{
    struct buf text = {0};
    size_t before = state->bytes.bytes;
    size_t begin = series_evs_begin(&state->bytes);
    put_row_keys(plan, row, &state->bytes, begin, &text, entry);
    for (size_t i = 0; i < plan->op_count; i++) {
        const struct stats_op *op = &plan->ops[i];
        const struct stats_table *table = &plan->tables[op->table];
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
    const struct stats_plan *plan = pointer;
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
    const struct stats_plan *plan = state->plan;
    for (size_t i = 0; i < plan->table_count; i++) {
        size_t cursor = 0;
        struct span key;
        void *group = NULL;
        while (map_next(&state->groups[i], &cursor, &key, &group)) {
            free_group(plan, group);
        }
        map_deinit(&state->groups[i]);
    }
    mem_free(state->recent);
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
        .run = run, .finish = finish, .settle = stats_settle, .uses = stats_uses,                  \
        .replaces = true, .take_part = take_part,                                                  \
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
