/*
 * unique [-maxtracked n] [name …] [over duration]
 *
 * Passes the first entry of each combination of values; without names, of each DATA;
 * with `over` in each window. Entries that lack a value are dropped. Tested by modules_test.c.
 */
#include "base/map.h"
#include "base/mem.h"
#include "base/time.h"
#include "query/modules/modules.h"

#define NAMES_MAX 16
#define TRACKED_MAX 1000000

enum { FLAG_TRACKED };

static const struct query_flag flags[] = {[FLAG_TRACKED] = {"maxtracked", true}};

struct plan {
    struct span names[NAMES_MAX];
    size_t count;
    uint64_t tracked_max;
    int64_t over_ns;
};

struct state {
    struct map seen;
    struct buf key;
};

static int parse_over(struct query_args *args, struct plan *plan)
{
    struct span text;
    int rc = query_args_word(args, &text, NULL);
    if (rc < 0) {
        return rc;
    }
    bool good = rc == 0 && time_parse_duration(text, &plan->over_ns) && plan->over_ns >= TIME_S_NS;
    return good ? 0 : query_args_fault(args, "a duration of at least 1s must follow 'over'");
}

static int parse(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    plan->tracked_max = TRACKED_MAX;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        if (!span_to_u64(span_of_str(value), &plan->tracked_max) || plan->tracked_max == 0) {
            return query_args_fault(args, "-maxtracked needs a number");
        }
    }
    while (rc >= 0 && args->next < args->count) {
        if (query_args_take(args, "over")) {
            return parse_over(args, plan);
        }
        if (query_token_is(&args->tokens[args->next], ',')) {
            args->next++;
            continue;
        }
        if (plan->count == NAMES_MAX) {
            return query_args_fault(args, "more than %d names", NAMES_MAX);
        }
        plan->names[plan->count++] = arena_span_dup(args->arena, args->tokens[args->next++].text);
    }
    return rc < 0 ? rc : 0;
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
    map_deinit(&state->seen);
    buf_deinit(&state->key);
    mem_free(state);
}

/* The window, then each value with its length before it. */
static bool key_of(const struct plan *plan, struct state *state, const struct query_block *block,
                   size_t index)
{
    int64_t window = 0;
    if (plan->over_ns > 0) {
        int64_t time_ns = block->entries[index].time_ns;
        int64_t into = time_ns % plan->over_ns;
        window = time_ns - (into < 0 ? into + plan->over_ns : into);
    }
    buf_clear(&state->key);
    buf_append(&state->key, span_of(&window, sizeof(window)));
    for (size_t i = 0; i < plan->count; i++) {
        struct span value;
        if (!query_block_text(block, index, plan->names[i], &value)) {
            return false;
        }
        uint64_t bytes = value.bytes;
        buf_append(&state->key, span_of(&bytes, sizeof(bytes)));
        buf_append(&state->key, value);
    }
    if (plan->count == 0) {
        buf_append(&state->key, block->entries[index].data);
    }
    return true;
}

static int run(const void *pointer, void *state_pointer, struct query_block *block)
{
    const struct plan *plan = pointer;
    struct state *state = state_pointer;
    size_t kept = 0;
    for (size_t i = 0; i < block->count; i++) {
        if (!key_of(plan, state, block, block->picks[i]) ||
            map_put(&state->seen, buf_span(&state->key), state) != NULL) {
            continue;
        }
        if (state->seen.count > plan->tracked_max) {
            return err_set(ERR_TOO_LARGE, "more than %llu distinct values; -maxtracked allows more",
                           (unsigned long long)plan->tracked_max);
        }
        block->picks[kept++] = block->picks[i];
    }
    block->count = kept;
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

const struct query_module query_module_unique = {
    .name = "unique",
    .summary = "passes the first entry of each combination of values",
    .condensing = true,
    .parse = parse,
    .start = start,
    .stop = stop,
    .run = run,
    .uses = uses,
};
