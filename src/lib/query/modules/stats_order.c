/*
 * Groups in order: in memory by sorting a list of them, else by runs, whose records are
 *
 *     u32 bytes of order, order, u16 tag, u8 table, i64 window, u32 bytes of key, key, states
 *
 * Groups of one place in several runs become one. Tested by spill_test.c.
 */
#include <endian.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/wire.h"
#include "query/modules/stats_groups.h"

/* Newest window first; of a window, the table that rows come from last. */
static void put_order(const struct stats_group *group, struct buf *buf)
{
    uint64_t window = htobe64(~((uint64_t)group->window_ns ^ (UINT64_C(1) << 63)));
    buf_append(buf, span_of(&window, sizeof(window)));
    buf_append_byte(buf, (uint8_t)(UINT8_MAX - group->table));
    struct span rest = group->key;
    while (rest.bytes > 0) {
        struct query_value value = query_value_of_text(stats_next_key(&rest));
        query_value_put_order(&value, true, buf);
    }
}

static int compare_places(const void *a, const void *b, void *context)
{
    const struct stats_state *state = context;
    const struct stats_place *x = a;
    const struct stats_place *y = b;
    return query_scratch_is_cancelled(state->holder.scratch) ? 0 : span_compare(x->order, y->order);
}

static void list_table(struct stats_state *state, size_t table)
{
    size_t cursor = 0;
    struct span key;
    void *item = NULL;
    while (map_next(&state->groups[table], &cursor, &key, &item) &&
           !query_scratch_is_cancelled(state->holder.scratch)) {
        struct stats_place place = {.group = item};
        size_t before = state->order_bytes.bytes;
        put_order(place.group, &state->order_bytes);
        place.order.bytes = state->order_bytes.bytes - before;
        vec_push(&state->list, place);
    }
}

static int list_groups(struct stats_state *state, size_t tables)
{
    vec_clear(&state->list);
    buf_clear(&state->order_bytes);
    for (size_t i = 0; i < tables; i++) {
        list_table(state, i);
    }
    const uint8_t *at = state->order_bytes.data;
    for (size_t i = 0; i < state->list.count; i++) {
        state->list.items[i].order.data = at;
        at += state->list.items[i].order.bytes;
    }
    if (state->list.count > 1) {
        qsort_r(state->list.items, state->list.count, sizeof(struct stats_place), compare_places,
                state);
    }
    return query_scratch_look(state->holder.scratch);
}

/* ── Runs ────────────────────────────────────────────────────────────────────────────────── */

static struct span order_of(struct span record)
{
    return span_first(span_from(record, sizeof(uint32_t)), wire_load_u32(record.data));
}

static int compare_records(const void *context, struct span a, struct span b)
{
    (void)context;
    return span_compare(order_of(a), order_of(b));
}

static void put_record(const struct stats_plan *plan, const struct stats_place *place,
                       struct buf *buf)
{
    const struct stats_group *group = place->group;
    const struct stats_table *table = &plan->tables[group->table];
    wire_put_u32(buf, (uint32_t)place->order.bytes);
    buf_append(buf, place->order);
    wire_put_u16(buf, group->tag);
    wire_put_u8(buf, (uint8_t)group->table);
    wire_put_i64(buf, group->window_ns);
    wire_put_u32(buf, (uint32_t)group->key.bytes);
    buf_append(buf, group->key);
    for (size_t i = 0; i < table->op_count; i++) {
        aggregate_put(&group->states[i], plan->ops[table->ops[i]].op, buf);
    }
}

/* The reader stands at its states then. */
static struct stats_group *group_of_record(const struct stats_plan *plan,
                                           struct wire_reader *reader)
{
    (void)wire_get_raw(reader, wire_get_u32(reader));
    uint16_t tag = wire_get_u16(reader);
    size_t table = wire_get_u8(reader);
    CHECK(table < plan->table_count);
    size_t states = plan->tables[table].op_count * sizeof(struct aggregate);
    struct stats_group *group = mem_alloc(sizeof(*group) + states);
    group->tag = tag;
    group->table = table;
    group->window_ns = wire_get_i64(reader);
    struct span key = wire_get_raw(reader, wire_get_u32(reader));
    group->key = span_of(mem_dup(key.data, key.bytes), key.bytes);
    return group;
}

/* Behind it the reader stands at the states. */
static uint16_t get_tag(struct wire_reader *reader)
{
    (void)wire_get_raw(reader, wire_get_u32(reader));
    uint16_t tag = wire_get_u16(reader);
    (void)wire_get_raw(reader, sizeof(uint8_t) + sizeof(int64_t));
    (void)wire_get_raw(reader, wire_get_u32(reader));
    return tag;
}

static int add_record(struct stats_state *state, struct wire_reader *reader)
{
    const struct stats_plan *plan = state->plan;
    const struct stats_table *table = &plan->tables[state->merged->table];
    for (size_t i = 0; i < table->op_count; i++) {
        (void)aggregate_take(&state->merged->states[i], plan->ops[table->ops[i]].op, reader);
    }
    return wire_finish(reader);
}

static void forget_groups(struct stats_state *state)
{
    for (size_t i = 0; i < state->plan->table_count; i++) {
        stats_free_groups(state, i);
    }
    stats_forget_recent(state);
    vec_deinit(&state->list);
    buf_deinit(&state->order_bytes);
    query_holder_clear(&state->holder);
    state->tracked = 0;
}

int stats_spill(struct stats_state *state)
{
    if (state->runs == NULL) {
        state->runs = query_runs_new(state->holder.scratch, compare_records, NULL);
        state->run_window_ns = state->window_ns;
    }
    struct buf record = {0};
    int rc = list_groups(state, state->plan->table_count);
    for (size_t i = 0; i < state->list.count && rc == 0; i++) {
        buf_clear(&record);
        put_record(state->plan, &state->list.items[i], &record);
        rc = query_runs_put(state->runs, buf_span(&record));
    }
    buf_deinit(&record);
    forget_groups(state);
    return rc < 0 ? rc : query_runs_end_run(state->runs);
}

/* The next record; QUERY_RUNS_END with none. */
static int read_record(struct stats_state *state)
{
    state->record = SPAN_NONE;
    return query_runs_next(state->runs, &state->record);
}

static int next_merged(struct stats_state *state, struct stats_group **ret_group)
{
    int rc = 0;
    if (state->merged != NULL) {
        stats_group_free(state->plan, state->merged);
        state->merged = NULL;
    } else if (state->record.bytes == 0) {
        rc = read_record(state);
    }
    if (rc < 0 || state->record.bytes == 0) {
        return rc < 0 ? rc : QUERY_MODULE_END;
    }
    struct wire_reader reader = wire_reader_of(state->record);
    struct span first = order_of(state->record);
    uint8_t *order = mem_dup(first.data, first.bytes);
    first.data = order;
    state->merged = group_of_record(state->plan, &reader);
    rc = add_record(state, &reader);
    while (rc == 0 && (rc = read_record(state)) == 0 &&
           span_equal(order_of(state->record), first)) {
        reader = wire_reader_of(state->record);
        stats_note_tag(state, state->merged, get_tag(&reader));
        rc = add_record(state, &reader);
    }
    mem_free(order);
    *ret_group = state->merged;
    return rc < 0 ? rc : 0;
}

/* A record of a narrow window becomes a part of a group in memory. */
static int widen_record(struct stats_state *state, struct span record)
{
    struct wire_reader reader = wire_reader_of(record);
    state->merged = group_of_record(state->plan, &reader);
    struct stats_group *group = state->merged;
    int rc = add_record(state, &reader);
    int64_t window_ns = stats_reach(state, group->window_ns);
    buf_clear(&state->key);
    buf_append(&state->key, span_of(&window_ns, sizeof(window_ns)));
    buf_append(&state->key, group->key);
    struct stats_group *to = stats_group_of(state, group->table, group->tag);
    query_holder_add(&state->holder, stats_add_group(state->plan, to, group));
    stats_group_free(state->plan, group);
    state->merged = NULL;
    return rc == 0 && query_holder_must_spill(&state->holder) ? stats_spill(state) : rc;
}

int stats_widen_runs(struct stats_state *state)
{
    struct query_runs *narrow = state->runs;
    struct span record;
    int rc;
    state->runs = NULL;
    while ((rc = query_runs_next(narrow, &record)) == 0) {
        rc = widen_record(state, record);
        if (rc < 0) {
            break;
        }
    }
    query_runs_free(&narrow);
    return rc < 0 ? rc : state->runs == NULL ? 0 : stats_spill(state);
}

/* ── Either way ──────────────────────────────────────────────────────────────────────────── */

static bool gives_states(const struct stats_state *state)
{
    return state->part == QUERY_PART_INDEXER || state->part == QUERY_PART_GATHER;
}

int stats_next_group(struct stats_state *state, struct stats_group **ret_group)
{
    if (state->runs != NULL) {
        return next_merged(state, ret_group);
    }
    if (state->next == 0) {
        int rc = list_groups(state, gives_states(state) ? state->plan->table_count : 1);
        if (rc < 0) {
            return rc;
        }
    }
    if (state->next == state->list.count) {
        return QUERY_MODULE_END;
    }
    *ret_group = state->list.items[state->next++].group;
    return 0;
}

void stats_rewind(struct stats_state *state)
{
    state->next = 0;
    if (state->merged != NULL) {
        stats_group_free(state->plan, state->merged);
        state->merged = NULL;
    }
    if (state->runs != NULL) {
        state->record = SPAN_NONE;
        query_runs_rewind(state->runs);
    }
}
