/*
 * sort [by key] [asc|desc]
 *
 * Key: time (the default, newest first), tag, src or a value (smallest first). Numbers by size,
 * before all else by text; entries without the value last; equal ones stay in their order. Holds
 * all entries, up to a bound. Tested by modules_test.c.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "query/modules/modules.h"

#define HELD_BYTES_MAX (UINT64_C(1) << 30)
#define BLOCK_ROWS 4096

struct plan {
    struct span key;
    bool descending;
};

struct held {
    struct entry entry; /* owns data and enumerated, in one piece */
    struct query_value key;
    size_t number;
    bool descending;
};

struct state {
    VEC(struct held) held;
    uint64_t bytes;
    bool ordered;
    size_t next;
    VEC(struct entry) entries;
    VEC(uint32_t) picks;
    struct buf evs;
};

static struct span key_name(struct span word)
{
    return span_equal_str(word, "time")  ? SPAN_LIT("TIMESTAMP")
           : span_equal_str(word, "tag") ? SPAN_LIT("TAG")
           : span_equal_str(word, "src") ? SPAN_LIT("SRC")
                                         : word;
}

static int parse(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    plan->key = SPAN_LIT("TIMESTAMP");
    plan->descending = true;
    if (query_args_take(args, "by")) {
        struct span word;
        int rc = query_args_word(args, &word, NULL);
        if (rc != 0) {
            return rc < 0 ? rc : query_args_fault(args, "a key must follow 'by'");
        }
        plan->key = key_name(word);
        plan->descending = span_equal_str(plan->key, "TIMESTAMP");
    }
    if (query_args_take(args, "asc")) {
        plan->descending = false;
    } else if (query_args_take(args, "desc")) {
        plan->descending = true;
    }
    return 0;
}

static bool uses(const void *plan, struct span name)
{
    return span_equal(((const struct plan *)plan)->key, name);
}

bool query_sort_is_by_time(const void *plan)
{
    return span_equal_str(((const struct plan *)plan)->key, "TIMESTAMP");
}

static int start(const void *plan, void **ret_state)
{
    (void)plan;
    *ret_state = MEM_NEW(struct state);
    return 0;
}

static void stop(void *pointer)
{
    struct state *state = pointer;
    for (size_t i = 0; i < state->held.count; i++) {
        mem_free((void *)(uintptr_t)state->held.items[i].entry.data.data);
    }
    vec_deinit(&state->held);
    vec_deinit(&state->entries);
    vec_deinit(&state->picks);
    buf_deinit(&state->evs);
    mem_free(state);
}

/* Data, then the enumerated values, then the key if it is a text. */
static void hold(const struct plan *plan, struct state *state, const struct query_block *block,
                 size_t index)
{
    struct held held = {.entry = block->entries[index],
                        .number = state->held.count,
                        .descending = plan->descending};
    buf_clear(&state->evs);
    buf_append(&state->evs, held.entry.data);
    query_block_put_evs(block, index, &state->evs, NULL, NULL);
    size_t whole = state->evs.bytes;
    bool there = query_block_get(block, index, plan->key, &held.key);
    bool text = there && (held.key.type == QUERY_VALUE_TEXT || held.key.type == QUERY_VALUE_BYTES);
    if (text) {
        buf_append(&state->evs, held.key.text);
    }
    uint8_t *copy = mem_dup(buf_reserve(&state->evs, 1) - state->evs.bytes, state->evs.bytes + 1);
    held.entry.data.data = copy;
    held.entry.enumerated = span_of(copy + held.entry.data.bytes, whole - held.entry.data.bytes);
    if (text) {
        held.key.text.data = copy + whole;
    } else if (!there) {
        held.key.type = QUERY_VALUE_NONE;
    }
    state->bytes += state->evs.bytes + sizeof(held);
    vec_push(&state->held, held);
}

static int run(const void *plan, void *pointer, struct query_block *block)
{
    struct state *state = pointer;
    for (size_t i = 0; i < block->count; i++) {
        hold(plan, state, block, block->picks[i]);
        if (state->bytes > HELD_BYTES_MAX) {
            return err_set(ERR_TOO_LARGE, "more than 1 GiB of entries to sort");
        }
    }
    block->count = 0;
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct held *x = a;
    const struct held *y = b;
    bool x_none = x->key.type == QUERY_VALUE_NONE;
    bool y_none = y->key.type == QUERY_VALUE_NONE;
    int order = x_none != y_none ? (x_none ? 1 : -1) : 0;
    if (!x_none && !y_none) {
        order = query_value_compare(&x->key, &y->key);
        order = x->descending ? -order : order;
    }
    return order != 0 ? order : x->number < y->number ? -1 : 1;
}

static int finish(const void *plan, void *pointer, struct query_block *block)
{
    (void)plan;
    struct state *state = pointer;
    if (!state->ordered && state->held.count > 1) {
        qsort(state->held.items, state->held.count, sizeof(*state->held.items), compare);
    }
    state->ordered = true;
    if (state->next == state->held.count) {
        return QUERY_MODULE_END;
    }
    vec_clear(&state->entries);
    vec_clear(&state->picks);
    while (state->next < state->held.count && state->entries.count < BLOCK_ROWS) {
        vec_push(&state->picks, (uint32_t)state->entries.count);
        vec_push(&state->entries, state->held.items[state->next++].entry);
    }
    block->entries = state->entries.items;
    block->picks = state->picks.items;
    block->count = state->entries.count;
    return 0;
}

const struct query_module query_module_sort = {
    .name = "sort",
    .summary = "puts entries in the order of a value",
    .condensing = true,
    .parse = parse,
    .start = start,
    .stop = stop,
    .run = run,
    .finish = finish,
    .uses = uses,
};
