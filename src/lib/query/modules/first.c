/*
 * first [value …], last [value …]: the earliest and the latest entry, of each combination of
 * values if there are names; after a sort by something else than time the first and the last of the
 * stream. Entries that lack a value are dropped. Tested by modules_values_test.c.
 */
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "query/modules/modules.h"
#include "query/scratch.h"

#define NAMES_MAX 16
#define TRACKED_MAX 1000000
#define HELD_BYTES 128 /* of its slot in the map and what the allocator adds */

struct plan {
    struct span names[NAMES_MAX];
    size_t count;
    bool latest;
    bool in_order; /* of the stream, not of time */
};

struct held {
    struct entry entry; /* owns its data and values, in one piece */
    uint64_t number;
};

struct state {
    struct map by_key; /* of struct held, owned */
    struct buf key;
    struct buf bytes;
    struct query_holder holder;
    uint64_t number;
    struct held **order; /* once the input has ended */
    size_t next;
    struct entry entry;
    uint32_t pick;
};

static int parse(struct query_args *args, struct plan *plan)
{
    return query_args_names(args, plan->names, NAMES_MAX, &plan->count);
}

static int parse_first(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    return parse(args, plan);
}

static int parse_last(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    plan->latest = true;
    return parse(args, plan);
}

static void settle(void *pointer, const struct query *query, size_t stage)
{
    struct plan *plan = pointer;
    for (size_t i = 0; i < stage; i++) {
        const struct query_module *module = query->stages[i].module;
        if (module == &query_module_sort) {
            plan->in_order = !query_sort_is_by_time(query->stages[i].plan);
        }
    }
}

static int start(const void *plan, void **ret_state)
{
    (void)plan;
    *ret_state = MEM_NEW(struct state);
    return 0;
}

static void lend(void *pointer, struct query_scratch *scratch)
{
    query_holder_init(&((struct state *)pointer)->holder, scratch);
}

static void stop(void *pointer)
{
    struct state *state = pointer;
    query_holder_deinit(&state->holder);
    size_t cursor = 0;
    struct span key;
    void *item = NULL;
    while (map_next(&state->by_key, &cursor, &key, &item)) {
        mem_free((void *)(uintptr_t)((struct held *)item)->entry.data.data);
        mem_free(item);
    }
    map_deinit(&state->by_key);
    buf_deinit(&state->key);
    buf_deinit(&state->bytes);
    mem_free(state->order);
    mem_free(state);
}

static bool key_of(const struct plan *plan, struct state *state, const struct query_block *block,
                   size_t index)
{
    buf_clear(&state->key);
    for (size_t i = 0; i < plan->count; i++) {
        struct span value;
        if (!query_block_text(block, index, plan->names[i], &value)) {
            return false;
        }
        uint64_t bytes = value.bytes;
        buf_append(&state->key, span_of(&bytes, sizeof(bytes)));
        buf_append(&state->key, value);
    }
    return true;
}

static void hold(struct state *state, struct held *held, const struct query_block *block,
                 size_t index)
{
    int64_t before = (int64_t)(held->entry.data.bytes + held->entry.enumerated.bytes);
    mem_free((void *)(uintptr_t)held->entry.data.data);
    held->entry = block->entries[index];
    buf_clear(&state->bytes);
    buf_append(&state->bytes, held->entry.data);
    query_block_put_evs(block, index, &state->bytes, NULL, NULL);
    size_t data_bytes = held->entry.data.bytes;
    buf_append_byte(&state->bytes, 0); /* never nothing */
    uint8_t *copy = mem_dup(state->bytes.data, state->bytes.bytes);
    held->entry.data.data = copy;
    held->entry.enumerated = span_of(copy + data_bytes, state->bytes.bytes - 1 - data_bytes);
    held->number = state->number;
    query_holder_add(&state->holder, (int64_t)state->bytes.bytes - before);
}

static bool better(const struct plan *plan, const struct held *held, int64_t time_ns)
{
    return plan->in_order ? plan->latest
           : plan->latest ? time_ns > held->entry.time_ns
                          : time_ns <= held->entry.time_ns;
}

static int run(const void *pointer, void *state_pointer, struct query_block *block)
{
    const struct plan *plan = pointer;
    struct state *state = state_pointer;
    for (size_t i = 0; i < block->count; i++) {
        if (!key_of(plan, state, block, block->picks[i])) {
            continue;
        }
        state->number++;
        struct held *held = map_get(&state->by_key, buf_span(&state->key));
        if (held == NULL) {
            if (state->by_key.count == TRACKED_MAX) {
                return err_set(ERR_TOO_LARGE, "more than %d combinations of values", TRACKED_MAX);
            }
            held = MEM_NEW(struct held);
            (void)map_put(&state->by_key, buf_span(&state->key), held);
            query_holder_add(&state->holder,
                             (int64_t)(HELD_BYTES + sizeof(*held) + state->key.bytes));
            hold(state, held, block, block->picks[i]);
        } else if (better(plan, held, block->entries[block->picks[i]].time_ns)) {
            hold(state, held, block, block->picks[i]);
        }
    }
    block->count = 0;
    return query_holder_check(&state->holder, plan->latest ? "last" : "first");
}

static int compare(const void *a, const void *b)
{
    const struct held *x = *(struct held *const *)a;
    const struct held *y = *(struct held *const *)b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int finish(const void *plan, void *pointer, struct query_block *block)
{
    (void)plan;
    struct state *state = pointer;
    if (state->order == NULL) {
        size_t cursor = 0;
        size_t count = 0;
        struct span key;
        void *item = NULL;
        state->order = mem_alloc_array(state->by_key.count + 1, sizeof(*state->order));
        while (map_next(&state->by_key, &cursor, &key, &item)) {
            state->order[count++] = item;
        }
        qsort(state->order, count, sizeof(*state->order), compare);
    }
    if (state->next == state->by_key.count) {
        return QUERY_MODULE_END;
    }
    state->entry = state->order[state->next++]->entry;
    state->pick = 0;
    block->entries = &state->entry;
    block->picks = &state->pick;
    block->count = 1;
    return 0;
}

static bool uses(const void *pointer, struct span name)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        if (span_equal(plan->names[i], name)) {
            return true;
        }
    }
    return false;
}

#define ROW(module_name, module_summary, parser)                                                   \
    {                                                                                              \
        .name = (module_name), .summary = (module_summary), .condensing = true, .parse = (parser), \
        .settle = settle, .start = start, .lend = lend, .stop = stop, .run = run,                  \
        .finish = finish, .uses = uses,                                                            \
    }

const struct query_module query_module_first =
    ROW("first", "the earliest entry of each combination of values", parse_first);
const struct query_module query_module_last =
    ROW("last", "the latest entry of each combination of values", parse_last);
