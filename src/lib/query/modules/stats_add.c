/*
 * Entries are added to their groups, a block at a time: where values come from is looked up once,
 * and groups that were found last are found by a few bytes of their keys. Tested by modules_test.c.
 */
#include <endian.h>

#include "base/time.h"
#include "query/modules/stats_groups.h"

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
    size_t op_count;             /* but for that which keeps entries */
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
    sources->op_count = table->op_count - (plan->keeps && table == &plan->tables[0] ? 1 : 0);
    for (size_t i = 0; i < table->keys.count; i++) {
        struct span name = table->keys.names[i];
        sources->keys[i] = (struct source){name, query_block_values(block, name), false};
    }
    for (size_t i = 0; i < sources->op_count; i++) {
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
static inline void get_value(const struct query_block *block, size_t index,
                             const struct source *source, struct query_value *ret_value)
{
    const struct query_value *text = source->column == NULL ? NULL : &source->column[index];
    struct query_value value;
    if (text == NULL || !is_text(text)) {
        value.type = QUERY_VALUE_NONE;
        bool there = query_block_get(block, index, source->name, &value);
        ret_value->type = QUERY_VALUE_NONE;
        if (!there) {
            return;
        }
        text = &value;
    }
    if (!source->as_number || !is_text(text) || !query_value_number(text, ret_value)) {
        *ret_value = *text;
    }
}

/* What is least for the entry that a row keeps: the order of the value (backwards for the largest),
 * then the newest, then the data itself; behind it how many bytes stand before the data. */
static bool put_kept(struct stats_state *state, const struct query_block *block, size_t index)
{
    const struct stats_op *best = &state->plan->ops[state->plan->keeps_best];
    const struct entry *entry = &block->entries[index];
    struct buf *kept = &state->kept;
    struct query_value value;
    buf_clear(kept);
    if (best->op == AGGREGATE_MIN || best->op == AGGREGATE_MAX) {
        if (!query_block_get(block, index, best->operand, &value)) {
            return false;
        }
        query_value_put_order(&value, false, kept);
        for (size_t i = 1; best->op == AGGREGATE_MAX && i < kept->bytes; i++) {
            kept->data[i] = (uint8_t)~kept->data[i]; /* numbers stay before addresses and texts */
        }
    }
    uint64_t newest = htobe64(~((uint64_t)entry->time_ns ^ (UINT64_C(1) << 63)));
    buf_append(kept, span_of(&newest, sizeof(newest)));
    uint32_t before = (uint32_t)kept->bytes;
    buf_append(kept, entry->data);
    buf_append(kept, span_of(&before, sizeof(before)));
    return true;
}

static int64_t window_of(struct stats_state *state, int64_t time_ns)
{
    const struct stats_plan *plan = state->plan;
    if (plan->window_ns == 0) {
        return plan->start_ns;
    }
    if (plan->windows_max > 0 &&
        (!state->any_window || time_ns < state->first_ns || time_ns > state->last_ns)) {
        return stats_reach(state, time_ns);
    }
    return time_floor(time_ns, state->window_ns);
}

/* Of a few bytes of the text, which tell most keys apart. */
static inline uint64_t mix(uint64_t hash, struct span text)
{
    uint64_t first = 0;
    uint64_t last = 0;
    size_t some = text.bytes >= 8 ? 8 : text.bytes >= 4 ? 4 : text.bytes > 0 ? 1 : 0;
    if (some == 8) {
        memcpy(&first, text.data, 8);
        memcpy(&last, text.data + text.bytes - 8, 8);
    } else if (some == 4) {
        memcpy(&first, text.data, 4);
        memcpy(&last, text.data + text.bytes - 4, 4);
    } else if (some == 1) {
        first = text.data[0] | (uint64_t)text.data[text.bytes / 2] << 8;
        last = text.data[text.bytes - 1];
    }
    hash = (hash ^ first ^ text.bytes) * UINT64_C(0x9E3779B97F4A7C15);
    return (hash ^ hash >> 32 ^ last) * UINT64_C(0xC2B2AE3D27D4EB4F);
}

static inline bool has_key(const struct stats_group *group, int64_t window_ns,
                           const struct span *values, size_t count)
{
    const uint8_t *at = group->key.data;
    bool same = group->window_ns == window_ns;
    for (size_t i = 0; i < count && same; i++) {
        uint32_t bytes;
        memcpy(&bytes, at, sizeof(bytes)); /* it has all keys, each with its length */
        at += sizeof(bytes);
        same = span_equal(span_of(at, bytes), values[i]);
        at += bytes;
    }
    return same;
}

static struct stats_group *look_up(struct stats_state *state, size_t table, int64_t window_ns,
                                   const struct span *values, uint16_t tag)
{
    buf_clear(&state->key);
    buf_append(&state->key, span_of(&window_ns, sizeof(window_ns)));
    for (size_t i = 0; i < state->plan->tables[table].keys.count; i++) {
        stats_put_key(&state->key, values[i]);
    }
    return stats_group_of(state, table, tag);
}

/* NULL: the entry has not all keys. */
static struct stats_group *find_group(struct stats_state *state, size_t number,
                                      const struct query_block *block, size_t index,
                                      const struct sources *sources)
{
    const struct stats_plan *plan = state->plan;
    const struct entry *entry = &block->entries[index];
    size_t keys = plan->tables[number].keys.count;
    struct span values[STATS_KEYS_MAX];
    int64_t window_ns = window_of(state, entry->time_ns);
    uint64_t hash = (uint64_t)window_ns;
    for (size_t i = 0; i < keys; i++) {
        if (!get_text(block, index, &sources->keys[i], &values[i])) {
            return NULL;
        }
        hash = mix(hash, values[i]);
    }
    struct stats_group **recent =
        &state->recent[number * STATS_RECENT_MAX + (hash >> 32) % STATS_RECENT_MAX];
    if (*recent == NULL || !has_key(*recent, window_ns, values, keys)) {
        *recent = look_up(state, number, window_ns, values, entry->tag);
    }
    stats_note_tag(state, *recent, entry->tag);
    return *recent;
}

void stats_add_block(struct stats_state *state, const struct query_block *block, size_t number)
{
    const struct stats_plan *plan = state->plan;
    const struct stats_table *table = &plan->tables[number];
    struct sources sources;
    struct query_value values[STATS_OPS_MAX];
    find_sources(plan, table, block, &sources);
    for (size_t i = 0; i < block->count; i++) {
        size_t index = block->picks[i];
        struct stats_group *group = find_group(state, number, block, index, &sources);
        if (group == NULL) {
            continue;
        }
        for (size_t j = 0; j < sources.operand_count; j++) {
            get_value(block, index, &sources.operands[j], &values[j]);
        }
        if (plan->keeps && number == 0 && put_kept(state, block, index)) {
            struct query_value kept = query_value_of_text(buf_span(&state->kept));
            query_holder_add(&state->holder, aggregate_add(&group->states[table->op_count - 1],
                                                           AGGREGATE_LEAST, &kept));
        }
        for (size_t j = 0; j < sources.op_count; j++) {
            enum aggregate_op op = plan->ops[table->ops[j]].op;
            size_t operand = sources.of_op[j];
            if (operand == SIZE_MAX || values[operand].type != QUERY_VALUE_NONE) {
                const struct query_value *value = operand == SIZE_MAX ? NULL : &values[operand];
                int64_t more = aggregate_add(&group->states[j], op, value);
                if (more != 0) {
                    query_holder_add(&state->holder, more);
                }
            }
        }
    }
}
