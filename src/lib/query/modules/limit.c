/*
 * limit n         the first n entries
 * limit n m       positions n to m, from 0, m excluded
 * limit n by key… the first n of each combination of values
 * Tested by pipeline_test.c.
 */
#include "base/map.h"
#include "base/mem.h"
#include "query/modules/modules.h"
#include "query/scratch.h"

#define KEYS_MAX 16
#define TRACKED_MAX 1000000
#define COUNT_BYTES 128 /* with its slot in the map and what the allocator adds */

struct plan {
    uint64_t from;
    uint64_t to;
    struct span keys[KEYS_MAX];
    size_t key_count;
};

struct state {
    uint64_t seen;
    struct map counts; /* by combination: uint64_t */
    struct buf key;
    struct query_holder holder;
};

static int parse_keys(struct query_args *args, struct plan *plan)
{
    int rc = query_args_names(args, plan->keys, KEYS_MAX, &plan->key_count);
    return rc < 0 || plan->key_count > 0 ? rc : query_args_fault(args, "a key must follow 'by'");
}

static int parse(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    int rc = query_args_number(args, &plan->to);
    if (rc < 0) {
        return rc;
    }
    if (query_args_take(args, "by")) {
        return parse_keys(args, plan);
    }
    if (args->next < args->count) {
        plan->from = plan->to;
        rc = query_args_number(args, &plan->to);
    }
    if (rc == 0 && plan->to < plan->from) {
        rc = query_args_fault(args, "position %llu comes before %llu", (unsigned long long)plan->to,
                              (unsigned long long)plan->from);
    }
    return rc;
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
    void *count = NULL;
    while (map_next(&state->counts, &cursor, &key, &count)) {
        mem_free(count);
    }
    map_deinit(&state->counts);
    buf_deinit(&state->key);
    mem_free(state);
}

/* Each value with its length before it, so that "a","bc" is not "ab","c". */
static bool key_of(const struct plan *plan, struct state *state, const struct query_block *block,
                   size_t index)
{
    buf_clear(&state->key);
    for (size_t i = 0; i < plan->key_count; i++) {
        size_t before = state->key.bytes;
        buf_append(&state->key, SPAN_LIT("        "));
        if (!query_value_text(block, index, plan->keys[i], &state->key)) {
            return false;
        }
        uint64_t bytes = state->key.bytes - before;
        memcpy(state->key.data + before, &bytes, sizeof(bytes));
    }
    return true;
}

static int run_by(const struct plan *plan, struct state *state, struct query_block *block)
{
    size_t kept = 0;
    for (size_t i = 0; i < block->count; i++) {
        if (!key_of(plan, state, block, block->picks[i])) {
            continue;
        }
        uint64_t *count = map_get(&state->counts, buf_span(&state->key));
        if (count == NULL) {
            if (state->counts.count == TRACKED_MAX) {
                return err_set(ERR_TOO_LARGE, "limit: more than %d distinct keys", TRACKED_MAX);
            }
            count = MEM_NEW(uint64_t);
            (void)map_put(&state->counts, buf_span(&state->key), count);
            query_holder_add(&state->holder, (int64_t)(COUNT_BYTES + state->key.bytes));
        }
        if (*count < plan->to) {
            (*count)++;
            block->picks[kept++] = block->picks[i];
        }
    }
    block->count = kept;
    return query_holder_check(&state->holder, "limit");
}

static int run(const void *pointer, void *state_pointer, struct query_block *block)
{
    const struct plan *plan = pointer;
    struct state *state = state_pointer;
    if (plan->key_count > 0) {
        return run_by(plan, state, block);
    }
    size_t kept = 0;
    for (size_t i = 0; i < block->count; i++, state->seen++) {
        if (state->seen >= plan->from && state->seen < plan->to) {
            block->picks[kept++] = block->picks[i];
        }
    }
    block->count = kept;
    return 0;
}

static bool done(const void *pointer, const void *state)
{
    const struct plan *plan = pointer;
    return plan->key_count == 0 && ((const struct state *)state)->seen >= plan->to;
}

static uint64_t first_needed(const void *pointer)
{
    const struct plan *plan = pointer;
    return plan->key_count == 0 ? plan->to : UINT64_MAX;
}

static bool uses(const void *pointer, struct span name)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->key_count; i++) {
        if (span_equal(plan->keys[i], name)) {
            return true;
        }
    }
    return false;
}

const struct query_module query_module_limit = {
    .name = "limit",
    .summary = "passes the first entries",
    .condensing = true,
    .collapser = "limitCollapser",
    .parse = parse,
    .start = start,
    .lend = lend,
    .stop = stop,
    .run = run,
    .done = done,
    .uses = uses,
    .first_needed = first_needed,
};
