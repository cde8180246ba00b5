/*
 * sort [by key] [asc|desc]
 *
 * Key: time (the default, newest first), tag, src or a value (smallest first). Numbers by size,
 * before all else by text; entries without the value last; equal ones stay in their order.
 * What does not fit into the search's memory is sorted in files. Tested by modules_test.c.
 */
#include "base/mem.h"
#include "base/wire.h"
#include "query/modules/held.h"
#include "query/modules/modules.h"
#include "query/runs.h"

#define NO_VALUE 0xFF      /* before the key: after all others, in either direction */
#define KEY_HEADER_BYTES 5 /* u8 NO_VALUE or not, u32 bytes of the key's order */

struct plan {
    struct span key;
    bool descending;
};

/* Records: header, the key's order, the entry. */
struct state {
    struct query_sorter *sorter;
    struct query_scratch *scratch;
    struct buf record;
    struct held_block block;
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
        int rc = query_args_name(args, &word, NULL);
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

static void lend(void *pointer, struct query_scratch *scratch)
{
    ((struct state *)pointer)->scratch = scratch;
}

static void stop(void *pointer)
{
    struct state *state = pointer;
    query_sorter_free(&state->sorter);
    held_block_deinit(&state->block);
    buf_deinit(&state->record);
    mem_free(state);
}

static struct span order_of(struct span record)
{
    return span_first(span_from(record, KEY_HEADER_BYTES), wire_load_u32(record.data + 1));
}

static int compare(const void *context, struct span a, struct span b)
{
    const struct plan *plan = context;
    if (a.data[0] != b.data[0]) {
        return a.data[0] < b.data[0] ? -1 : 1;
    }
    int order = span_compare(order_of(a), order_of(b));
    return plan->descending ? -order : order;
}

static void put_record(const struct plan *plan, const struct query_block *block, size_t index,
                       struct buf *record)
{
    struct query_value key;
    bool there = query_block_get(block, index, plan->key, &key);
    buf_clear(record);
    wire_put_u8(record, there ? 0 : NO_VALUE);
    wire_put_u32(record, 0);
    if (there) {
        query_value_put_order(&key, false, record);
        wire_store_u32(record->data + 1, (uint32_t)(record->bytes - KEY_HEADER_BYTES));
    }
    held_put(block, index, record);
}

static int run(const void *plan, void *pointer, struct query_block *block)
{
    struct state *state = pointer;
    if (state->sorter == NULL) {
        state->sorter = query_sorter_new(state->scratch, compare, plan);
    }
    for (size_t i = 0; i < block->count; i++) {
        put_record(plan, block, block->picks[i], &state->record);
        int rc = query_sorter_add(state->sorter, buf_span(&state->record));
        if (rc < 0) {
            return rc;
        }
    }
    block->count = 0;
    return 0;
}

static int finish(const void *plan, void *pointer, struct query_block *block)
{
    (void)plan;
    struct state *state = pointer;
    int rc = state->sorter == NULL ? QUERY_RUNS_END : 0;
    held_block_clear(&state->block);
    while (rc == 0 && !held_block_is_full(&state->block)) {
        struct span record;
        rc = query_sorter_next(state->sorter, &record);
        if (rc == 0) {
            size_t before = KEY_HEADER_BYTES + order_of(record).bytes;
            held_block_add(&state->block, span_from(record, before));
        }
    }
    if (rc < 0 || !held_block_give(&state->block, block)) {
        return rc < 0 ? rc : QUERY_MODULE_END;
    }
    return 0;
}

const struct query_module query_module_sort = {
    .name = "sort",
    .summary = "puts entries in the order of a value",
    .condensing = true,
    .parse = parse,
    .start = start,
    .stop = stop,
    .lend = lend,
    .run = run,
    .finish = finish,
    .uses = uses,
};
