/*
 * top [-n 10] [value …], bottom [-n 10] [value …]: the entries with the largest, the smallest
 * numbers, best first; equal ones by the next value, then newest first. Without values DATA. What
 * has no number is left out. An indexer sends its own best ones, as entries; the webserver takes
 * the best of these. Tested by modules_order_test.c.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/vec.h"
#include "query/modules/modules.h"

#define NAMES_MAX 8
#define COUNT_MAX 100000

static const struct query_flag flags[] = {{"n", true}};

struct plan {
    struct span names[NAMES_MAX];
    size_t count;
    uint64_t most;
    bool smallest;
};

struct held {
    struct entry entry; /* owns data and values, in one piece */
    struct query_value numbers[NAMES_MAX];
    const struct plan *plan;
    uint64_t number; /* in the stream */
};

struct state {
    VEC(struct held) held; /* up to twice as many as are wanted */
    uint64_t number;
    bool sends; /* what it gives is to be merged by time, not seen */
    bool ended;
    size_t next;
    struct entry entry;
    uint32_t pick;
    struct buf bytes;
};

static int parse(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    plan->most = 10;
    plan->smallest = args->name[0] == 'b';
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        if (!span_to_u64(span_of_str(value), &plan->most) || plan->most == 0 ||
            plan->most > COUNT_MAX) {
            return query_args_fault(args, "-n needs a number from 1 to %d", COUNT_MAX);
        }
    }
    rc = rc < 0 ? rc : query_args_names(args, plan->names, NAMES_MAX, &plan->count);
    if (rc == 0 && plan->count == 0) {
        plan->names[plan->count++] = SPAN_LIT("DATA");
    }
    return rc;
}

static int start(const void *plan, void **ret_state)
{
    (void)plan;
    *ret_state = MEM_NEW(struct state);
    return 0;
}

static void take_part(void *state, enum query_part part)
{
    ((struct state *)state)->sends = part == QUERY_PART_INDEXER || part == QUERY_PART_GATHER;
}

static void let_go(struct state *state, size_t from)
{
    for (size_t i = from; i < state->held.count; i++) {
        mem_free((void *)(uintptr_t)state->held.items[i].entry.data.data);
    }
    state->held.count = MIN(state->held.count, from);
}

static void stop(void *pointer)
{
    struct state *state = pointer;
    let_go(state, 0);
    vec_deinit(&state->held);
    buf_deinit(&state->bytes);
    mem_free(state);
}

static int by_stream(const struct held *x, const struct held *y)
{
    if (x->entry.time_ns != y->entry.time_ns) {
        return x->entry.time_ns > y->entry.time_ns ? -1 : 1;
    }
    return x->number < y->number ? -1 : x->number > y->number;
}

static int compare_time(const void *a, const void *b)
{
    return by_stream(a, b);
}

static int compare(const void *a, const void *b)
{
    const struct held *x = a;
    const struct held *y = b;
    for (size_t i = 0; i < x->plan->count; i++) {
        int order = query_value_compare(&x->numbers[i], &y->numbers[i]);
        if (order != 0) {
            return x->plan->smallest ? order : -order;
        }
    }
    return by_stream(x, y);
}

static void keep_best(const struct plan *plan, struct state *state)
{
    if (state->held.count > 1) {
        qsort(state->held.items, state->held.count, sizeof(struct held), compare);
    }
    let_go(state, (size_t)MIN(plan->most, (uint64_t)state->held.count));
}

static bool numbers_of(const struct plan *plan, const struct query_block *block, size_t index,
                       struct held *held)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct query_value value;
        if (!query_block_get(block, index, plan->names[i], &value) ||
            !query_value_number(&value, &held->numbers[i])) {
            return false;
        }
    }
    return true;
}

static void hold(struct state *state, struct held *held, const struct query_block *block,
                 size_t index)
{
    held->entry = block->entries[index];
    buf_clear(&state->bytes);
    buf_append(&state->bytes, held->entry.data);
    query_block_put_evs(block, index, &state->bytes, NULL, NULL);
    size_t evs_bytes = state->bytes.bytes - held->entry.data.bytes;
    buf_append_byte(&state->bytes, 0); /* never nothing */
    uint8_t *copy = mem_dup(state->bytes.data, state->bytes.bytes);
    held->entry.data.data = copy;
    held->entry.enumerated = span_of(copy + held->entry.data.bytes, evs_bytes);
    vec_push(&state->held, *held);
}

static int run(const void *pointer, void *state_pointer, struct query_block *block)
{
    const struct plan *plan = pointer;
    struct state *state = state_pointer;
    for (size_t i = 0; i < block->count; i++) {
        struct held held = {.plan = plan, .number = state->number++};
        if (numbers_of(plan, block, block->picks[i], &held)) {
            hold(state, &held, block, block->picks[i]);
        }
        if (state->held.count >= 2 * plan->most) {
            keep_best(plan, state);
        }
    }
    block->count = 0;
    return 0;
}

static int finish(const void *plan, void *pointer, struct query_block *block)
{
    struct state *state = pointer;
    if (!state->ended) {
        keep_best(plan, state);
        if (state->sends && state->held.count > 1) {
            qsort(state->held.items, state->held.count, sizeof(struct held), compare_time);
        }
        state->ended = true;
    }
    if (state->next == state->held.count) {
        return QUERY_MODULE_END;
    }
    state->entry = state->held.items[state->next++].entry;
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

#define ROW(module_name, module_summary)                                                           \
    {                                                                                              \
        .name = (module_name), .summary = (module_summary), .condensing = true, .parse = parse,    \
        .start = start, .stop = stop, .take_part = take_part, .run = run, .finish = finish,        \
        .uses = uses,                                                                              \
    }

const struct query_module query_module_top = ROW("top", "the entries with the largest numbers");
const struct query_module query_module_bottom =
    ROW("bottom", "the entries with the smallest numbers");
