/* Tested by modules_test.c and spill_test.c. */
#include "query/modules/stats_groups.h"

#include <endian.h>
#include <inttypes.h>

#include "base/mem.h"
#include "base/time.h"

#define BLOCK_ROWS 4096
#define GROUP_BYTES 160 /* of its slot in the map and what the allocator adds */
#define STATE_BYTES 48  /* of the parts of sums */
#define ROWS_BYTES (1024 * 1024)

int stats_start(const void *plan, void **ret_state)
{
    struct stats_state *state = MEM_NEW(struct stats_state);
    state->plan = plan;
    state->window_ns = state->plan->window_ns;
    state->recent =
        mem_alloc_array(state->plan->table_count * STATS_RECENT_MAX, sizeof(struct stats_group *));
    *ret_state = state;
    return 0;
}

void stats_lend(void *pointer, struct query_scratch *scratch)
{
    query_holder_init(&((struct stats_state *)pointer)->holder, scratch);
}

void stats_take_part(void *state, enum query_part part)
{
    ((struct stats_state *)state)->part = part;
}

static bool gives_states(const struct stats_state *state)
{
    return state->part == QUERY_PART_INDEXER || state->part == QUERY_PART_GATHER;
}

void stats_group_free(const struct stats_plan *plan, struct stats_group *group)
{
    for (size_t i = 0; i < plan->tables[group->table].op_count; i++) {
        aggregate_deinit(&group->states[i]);
    }
    mem_free((void *)(uintptr_t)group->key.data);
    mem_free(group);
}

void stats_put_key(struct buf *key, struct span value)
{
    uint32_t bytes = (uint32_t)value.bytes;
    buf_append(key, span_of(&bytes, sizeof(bytes)));
    buf_append(key, value);
}

struct span stats_next_key(struct span *rest)
{
    uint32_t bytes = 0;
    if (rest->bytes >= sizeof(bytes)) {
        memcpy(&bytes, rest->data, sizeof(bytes));
    }
    struct span value = span_first(span_from(*rest, sizeof(bytes)), bytes);
    *rest = span_from(*rest, sizeof(bytes) + bytes);
    return value;
}

int64_t stats_group_bytes(const struct stats_plan *plan, const struct stats_group *group)
{
    size_t ops = plan->tables[group->table].op_count;
    size_t bytes = sizeof(*group) + ops * (sizeof(struct aggregate) + STATE_BYTES);
    return (int64_t)(GROUP_BYTES + bytes + 3 * group->key.bytes);
}

void stats_forget_recent(struct stats_state *state)
{
    memset(state->recent, 0,
           state->plan->table_count * STATS_RECENT_MAX * sizeof(struct stats_group *));
}

struct stats_group *stats_group_of(struct stats_state *state, size_t table, uint16_t tag)
{
    struct span key = buf_span(&state->key);
    struct stats_group *group = map_get(&state->groups[table], key);
    if (group == NULL) {
        size_t ops = state->plan->tables[table].op_count;
        size_t bytes = sizeof(*group) + ops * sizeof(struct aggregate);
        group = mem_alloc(bytes);
        group->table = table;
        memcpy(&group->window_ns, key.data, sizeof(group->window_ns));
        group->tag = tag;
        key = span_from(key, sizeof(group->window_ns));
        group->key = span_of(mem_dup(key.data, key.bytes), key.bytes);
        (void)map_put(&state->groups[table], buf_span(&state->key), group);
        state->tracked++;
        query_holder_add(&state->holder, stats_group_bytes(state->plan, group));
    }
    stats_note_tag(state, group, tag);
    return group;
}

void stats_note_tag(const struct stats_state *state, struct stats_group *group, uint16_t tag)
{
    if (group->tag != tag && strcmp(state->tag_name(state->context, tag),
                                    state->tag_name(state->context, group->tag)) < 0) {
        group->tag = tag;
    }
}

int64_t stats_add_group(const struct stats_plan *plan, struct stats_group *to,
                        const struct stats_group *from)
{
    int64_t more = 0;
    const struct stats_table *table = &plan->tables[from->table];
    for (size_t i = 0; i < table->op_count; i++) {
        enum aggregate_op op = plan->ops[table->ops[i]].op;
        struct buf bytes = {0};
        aggregate_put(&from->states[i], op, &bytes);
        struct wire_reader reader = wire_reader_of(buf_span(&bytes));
        more += aggregate_take(&to->states[i], op, &reader);
        buf_deinit(&bytes);
    }
    return more;
}

int stats_too_many(const struct stats_plan *plan)
{
    return err_set(ERR_TOO_LARGE,
                   "more than %llu combinations of keys; -maxtracked with a greater number allows "
                   "more",
                   (unsigned long long)plan->tracked_max);
}

static int check_tracked(const struct stats_state *state)
{
    return state->tracked <= state->plan->tracked_max ? 0 : stats_too_many(state->plan);
}

/* ── States on the wire ──────────────────────────────────────────────────────────────────── */

static void put_state(const struct stats_state *state, const struct stats_group *group,
                      struct buf *buf)
{
    const struct stats_plan *plan = state->plan;
    const struct stats_table *table = &plan->tables[group->table];
    wire_put_u8(buf, (uint8_t)group->table);
    wire_put_i64(buf, group->window_ns);
    if (plan->windows_max > 0) {
        wire_put_i64(buf, state->window_ns);
    }
    struct span rest = group->key;
    for (size_t i = 0; i < table->keys.count; i++) {
        wire_put_bytes(buf, stats_next_key(&rest));
    }
    for (size_t i = 0; i < table->op_count; i++) {
        aggregate_put(&group->states[i], plan->ops[table->ops[i]].op, buf);
    }
}

/* The window of a state that comes from where windows have some width or other. */
static int get_window(struct stats_state *state, struct wire_reader *reader, int64_t *ret_window_ns)
{
    int64_t window_ns = wire_get_i64(reader);
    if (state->plan->windows_max > 0) {
        int64_t width_ns = wire_get_i64(reader);
        if (width_ns <= 0 || width_ns % state->plan->window_ns != 0) {
            return err_set(ERR_PROTOCOL, "a state of %" PRId64 " ns", width_ns);
        }
        stats_widen(state, width_ns);
        window_ns = stats_reach(state, window_ns);
    }
    *ret_window_ns = window_ns;
    return 0;
}

static int add_state(struct stats_state *state, const struct entry *entry)
{
    const struct stats_plan *plan = state->plan;
    struct wire_reader reader = wire_reader_of(entry->data);
    size_t number = wire_get_u8(&reader);
    int64_t window_ns = 0;
    if (number >= plan->table_count) {
        return err_set(ERR_PROTOCOL, "a state of table %zu", number);
    }
    int rc = get_window(state, &reader, &window_ns);
    if (rc < 0) {
        return rc;
    }
    const struct stats_table *table = &plan->tables[number];
    buf_clear(&state->key);
    buf_append(&state->key, span_of(&window_ns, sizeof(window_ns)));
    for (size_t i = 0; i < table->keys.count; i++) {
        stats_put_key(&state->key, wire_get_bytes(&reader, ENTRY_DATA_BYTES_MAX));
    }
    struct stats_group *group = stats_group_of(state, number, entry->tag);
    for (size_t i = 0; i < table->op_count; i++) {
        enum aggregate_op op = plan->ops[table->ops[i]].op;
        query_holder_add(&state->holder, aggregate_take(&group->states[i], op, &reader));
    }
    return wire_finish(&reader);
}

int stats_run(const void *pointer, void *state_pointer, struct query_block *block)
{
    const struct stats_plan *plan = pointer;
    struct stats_state *state = state_pointer;
    bool states = state->part == QUERY_PART_WEBSERVER || state->part == QUERY_PART_GATHER;
    size_t steps = states ? block->count : plan->table_count;
    int rc = 0;
    state->tag_name = block->tag_name;
    state->context = block->context;
    for (size_t i = 0; i < steps && rc == 0; i++) {
        if (states) {
            rc = add_state(state, &block->entries[block->picks[i]]);
        } else {
            stats_add_block(state, block, i);
        }
        rc = rc < 0 ? rc : check_tracked(state);
        rc = rc == 0 && query_holder_must_spill(&state->holder) ? stats_spill(state) : rc;
    }
    block->count = 0;
    return rc;
}

/* ── The end ─────────────────────────────────────────────────────────────────────────────── */

/* The group of another table with the keys that it shares with this row. */
static const struct stats_group *sibling(struct stats_state *state, const struct stats_group *row,
                                         size_t table)
{
    const struct stats_keys *all = &state->plan->tables[0].keys;
    const struct stats_keys *keys = &state->plan->tables[table].keys;
    buf_clear(&state->key);
    buf_append(&state->key, span_of(&row->window_ns, sizeof(row->window_ns)));
    for (size_t i = 0; i < keys->count; i++) {
        struct span rest = row->key;
        struct span value = SPAN_NONE;
        for (size_t j = 0; j <= stats_key_index(all, keys->names[i]); j++) {
            value = stats_next_key(&rest);
        }
        stats_put_key(&state->key, value);
    }
    return map_get(&state->groups[table], buf_span(&state->key));
}

static void put_row_keys(const struct stats_plan *plan, const struct stats_group *row,
                         struct buf *evs, size_t begin, struct buf *text, struct entry *entry)
{
    const struct stats_keys *keys = &plan->tables[0].keys;
    struct span rest = row->key;
    for (size_t i = 0; i < keys->count; i++) {
        struct query_value value = query_value_of_text(stats_next_key(&rest));
        query_value_put_ev(&value, keys->names[i], evs, begin);
        buf_append(text, value.text);
        buf_append_str(text, "  ");
        if (span_equal_str(keys->names[i], "SRC")) {
            (void)entry_source_parse(value.text, entry->source);
        }
    }
}

/* -b: the time and data of the entry that the row keeps (stats_add.c). */
static void put_kept(const struct stats_plan *plan, const struct stats_group *row,
                     struct entry *entry, struct buf *text)
{
    const struct aggregate *kept = &row->states[plan->tables[0].op_count - 1];
    struct span bytes = kept->best.text;
    struct wire_reader end = wire_reader_of(span_from(bytes, bytes.bytes - sizeof(uint32_t)));
    if (kept->best.type == QUERY_VALUE_NONE) {
        return;
    }
    size_t before = wire_get_u32(&end);
    uint64_t newest;
    memcpy(&newest, bytes.data + before - sizeof(newest), sizeof(newest));
    entry->time_ns = (int64_t)(~be64toh(newest) ^ (UINT64_C(1) << 63));
    buf_clear(text);
    buf_append(text, span_of(bytes.data + before, bytes.bytes - before - sizeof(uint32_t)));
}

/* A row of the result: keys, then results, as enumerated values; as text in its data. False: no
 * operation has a result for these keys, there is no such row. */
static bool put_row(struct stats_state *state, const struct stats_group *row, struct entry *entry)
{
    bool any = state->plan->tables[0].keys.count == 0;
    const struct stats_plan *plan = state->plan;
    struct buf text = {0};
    size_t before = state->bytes.bytes;
    size_t begin = series_evs_begin(&state->bytes);
    put_row_keys(plan, row, &state->bytes, begin, &text, entry);
    for (size_t i = 0; i < plan->op_count; i++) {
        const struct stats_op *op = &plan->ops[i];
        const struct stats_table *table = &plan->tables[op->table];
        const struct stats_group *group = op->table == 0 ? row : sibling(state, row, op->table);
        size_t at = 0;
        while (table->ops[at] != i) {
            at++;
        }
        struct query_value value;
        if (group != NULL && aggregate_result(&group->states[at], op->op, &value)) {
            state->estimated = state->estimated || aggregate_is_estimate(&group->states[at]);
            query_value_put_ev(&value, op->out, &state->bytes, begin);
            query_value_put_text(&value, &text);
            any = any || table->keys.count > 0;
            buf_append_str(&text, i + 1 < plan->op_count ? "  " : "");
        }
    }
    if (plan->keeps) {
        put_kept(plan, row, entry, &text);
    }
    entry->enumerated.bytes = state->bytes.bytes - before;
    entry->data.bytes = text.bytes;
    buf_append(&state->bytes, buf_span(&text));
    buf_deinit(&text);
    state->bytes.bytes = any ? state->bytes.bytes : before;
    return any;
}

bool stats_remark(const void *plan, const void *pointer, struct buf *text)
{
    const struct stats_state *state = pointer;
    (void)plan;
    if (state->estimated) {
        buf_printf(text,
                   "counts of more than %d distinct values are estimates, with a standard error of "
                   "0.8 %%",
                   DISTINCT_EXACT_MAX);
    }
    return state->estimated;
}

/* Groups that came out of runs are counted only now. A group of another table is kept for the rows
 * of its window, which follow. */
static int take_merged(struct stats_state *state, const struct stats_group *group)
{
    uint64_t tracked = ++state->tracked;
    int rc = check_tracked(state);
    if (rc < 0 || group->table == 0 || gives_states(state)) {
        return rc;
    }
    buf_clear(&state->key);
    buf_append(&state->key, span_of(&group->window_ns, sizeof(group->window_ns)));
    buf_append(&state->key, group->key);
    (void)stats_add_group(state->plan, stats_group_of(state, group->table, group->tag), group);
    state->tracked = tracked;
    return query_holder_check(&state->holder, "stats with several lists of keys");
}

static void put_group(struct stats_state *state, const struct stats_group *group)
{
    int64_t time_ns = MAX(group->window_ns, state->plan->start_ns);
    struct entry entry = {.time_ns = time_ns, .tag = group->tag};
    size_t before = state->bytes.bytes;
    if (gives_states(state)) {
        put_state(state, group, &state->bytes);
        entry.data.bytes = state->bytes.bytes - before;
    } else if (!put_row(state, group, &entry)) {
        return;
    }
    vec_push(&state->picks, (uint32_t)state->entries.count);
    vec_push(&state->entries, entry);
}

/* What put_group() has put, now that its bytes do not move any more. */
static void give(struct stats_state *state, struct query_block *block)
{
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
}

static int end_input(struct stats_state *state)
{
    state->ended = true;
    int rc = state->runs != NULL ? stats_spill(state) : 0;
    if (rc == 0 && state->runs != NULL && state->run_window_ns < state->window_ns) {
        rc = stats_widen_runs(state);
    }
    state->tracked = state->runs != NULL ? 0 : state->tracked;
    return rc == 0 && state->plan->series_max > 0 && !gives_states(state) ? stats_fold(state) : rc;
}

int stats_finish(const void *plan, void *pointer, struct query_block *block)
{
    (void)plan;
    struct stats_state *state = pointer;
    state->tag_name = block->tag_name;
    state->context = block->context;
    int rc = state->ended ? 0 : end_input(state);
    vec_clear(&state->entries);
    vec_clear(&state->picks);
    buf_clear(&state->bytes);
    while (rc == 0 && state->entries.count < BLOCK_ROWS && state->bytes.bytes < ROWS_BYTES) {
        struct stats_group *group = NULL;
        rc = stats_next_group(state, &group);
        if (rc == 0 && state->runs != NULL) {
            rc = take_merged(state, group);
        }
        if (rc == 0 && (group->table == 0 || gives_states(state))) {
            put_group(state, group);
        }
    }
    if (rc < 0 || state->entries.count == 0) {
        return rc;
    }
    give(state, block);
    return 0;
}

void stats_free_groups(struct stats_state *state, size_t table)
{
    size_t cursor = 0;
    struct span key;
    void *group = NULL;
    while (map_next(&state->groups[table], &cursor, &key, &group)) {
        stats_group_free(state->plan, group);
    }
    map_deinit(&state->groups[table]);
}

void stats_stop(void *pointer)
{
    struct stats_state *state = pointer;
    for (size_t i = 0; i < state->plan->table_count; i++) {
        stats_free_groups(state, i);
    }
    if (state->merged != NULL) {
        stats_group_free(state->plan, state->merged);
    }
    mem_free(state->recent);
    query_runs_free(&state->runs);
    query_holder_deinit(&state->holder);
    vec_deinit(&state->list);
    vec_deinit(&state->entries);
    vec_deinit(&state->picks);
    buf_deinit(&state->order_bytes);
    buf_deinit(&state->key);
    buf_deinit(&state->kept);
    buf_deinit(&state->bytes);
    mem_free(state);
}
