/*
 * unique [-maxtracked n] [-maxsize MB] [name …] [over duration]
 *
 * Passes the first entry of each combination of values; without names, of each DATA;
 * with `over` in each window. Entries that lack a value are dropped. -maxsize is understood and has
 * nothing to do: memory has its bound anyway.
 *
 * What was seen is known by a 128-bit hash. When no more of them fit into memory, entries that are
 * none of these wait in a file until the end: sorted by hash, the first of each stays; sorted by
 * number again, those go on. Tested by modules_test.c and spill_test.c.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/wire.h"
#include "query/modules/held.h"
#include "query/modules/modules.h"
#include "query/runs.h"

#define NAMES_MAX 16
#define TRACKED_MAX 1000000

enum { FLAG_TRACKED, FLAG_SIZE };

static const struct query_flag flags[] = {
    [FLAG_TRACKED] = {"maxtracked", true}, [FLAG_SIZE] = {"maxsize", true}};

struct plan {
    struct span names[NAMES_MAX];
    size_t count;
    uint64_t tracked_max;
    int64_t over_ns;
};

struct hash {
    uint64_t low;
    uint64_t high;
};

#define NUMBER_BYTES sizeof(uint64_t) /* before each record, big-endian: they compare as bytes */

/* Records of `waiting`: hash, number, entry; of `back`: number, entry. */
struct state {
    struct hash *seen; /* open addressing; zeros are free */
    size_t capacity;
    size_t count;
    struct buf key;
    struct query_scratch *scratch;
    struct query_holder holder;
    struct query_sorter *waiting; /* NULL: all fit so far */
    struct query_sorter *back;
    uint64_t number;
    struct buf record;
    struct held_block block;
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
        uint64_t number = 0;
        if (!span_to_u64(span_of_str(value), &number) || number == 0) {
            return query_args_fault(args, "-%s needs a number", flags[flag].name);
        }
        plan->tracked_max = flag == FLAG_TRACKED ? number : plan->tracked_max;
    }
    while (rc >= 0 && args->next < args->count) {
        if (query_args_take(args, "over")) {
            return parse_over(args, plan);
        }
        if (query_token_is(&args->tokens[args->next], ',')) {
            args->next++;
            continue;
        }
        const struct query_token *name = &args->tokens[args->next];
        if (name->kind == QUERY_TOKEN_PUNCT || name->kind == QUERY_TOKEN_OP) {
            return query_fault(args->error, name->offset, name->bytes,
                               "%s: a name or 'over' was expected", args->name);
        }
        if (plan->count == NAMES_MAX) {
            return query_args_fault(args, "more than %d names", NAMES_MAX);
        }
        plan->names[plan->count++] = arena_span_dup(args->arena, name->text);
        args->next++;
    }
    return rc < 0 ? rc : 0;
}

static int start(const void *plan, void **ret_state)
{
    (void)plan;
    *ret_state = MEM_NEW(struct state);
    return 0;
}

static void lend(void *pointer, struct query_scratch *scratch)
{
    struct state *state = pointer;
    state->scratch = scratch;
    query_holder_init(&state->holder, scratch);
}

static void stop(void *pointer)
{
    struct state *state = pointer;
    query_sorter_free(&state->waiting);
    query_sorter_free(&state->back);
    query_holder_deinit(&state->holder);
    held_block_deinit(&state->block);
    mem_free(state->seen);
    buf_deinit(&state->key);
    buf_deinit(&state->record);
    mem_free(state);
}

/* The window, then each value with its length before it. */
static bool key_of(const struct plan *plan, struct state *state, const struct query_block *block,
                   size_t index)
{
    int64_t window =
        plan->over_ns > 0 ? time_floor(block->entries[index].time_ns, plan->over_ns) : 0;
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

/* ── Seen ────────────────────────────────────────────────────────────────────────────────── */

static struct hash *slot_of(const struct state *state, struct hash hash)
{
    size_t i = hash.low & (state->capacity - 1);
    while ((state->seen[i].low != 0 || state->seen[i].high != 0) &&
           (state->seen[i].low != hash.low || state->seen[i].high != hash.high)) {
        i = (i + 1) & (state->capacity - 1);
    }
    return &state->seen[i];
}

static void grow(struct state *state)
{
    struct state before = *state;
    state->capacity = MAX(before.capacity * 2, (size_t)16);
    state->seen = mem_alloc_array(state->capacity, sizeof(*state->seen));
    for (size_t i = 0; i < before.capacity; i++) {
        if (before.seen[i].low != 0 || before.seen[i].high != 0) {
            *slot_of(state, before.seen[i]) = before.seen[i];
        }
    }
    mem_free(before.seen);
    size_t more = (state->capacity - before.capacity) * sizeof(*state->seen);
    query_holder_add(&state->holder, (int64_t)more);
}

static struct hash hash_of(struct span key)
{
    struct hash hash;
    hash128(key, &hash.low, &hash.high);
    hash.low += hash.low == 0 && hash.high == 0 ? 1 : 0;
    return hash;
}

static int check_tracked(const struct plan *plan, const struct state *state)
{
    return state->count <= plan->tracked_max
               ? 0
               : err_set(ERR_TOO_LARGE,
                         "more than %llu distinct values; -maxtracked with a greater number allows "
                         "more",
                         (unsigned long long)plan->tracked_max);
}

/* ── Waiting ─────────────────────────────────────────────────────────────────────────────── */

static int compare_bytes(const void *context, struct span a, struct span b)
{
    size_t bytes = *(const size_t *)context;
    return memcmp(a.data, b.data, bytes);
}

static int wait(struct state *state, struct hash hash, const struct query_block *block,
                size_t index)
{
    static const size_t compared = sizeof(struct hash) + NUMBER_BYTES;
    if (state->waiting == NULL) {
        state->waiting = query_sorter_new(state->scratch, compare_bytes, &compared);
    }
    uint64_t number = htobe64(state->number++);
    buf_clear(&state->record);
    buf_append(&state->record, span_of(&hash, sizeof(hash)));
    buf_append(&state->record, span_of(&number, sizeof(number)));
    held_put(block, index, &state->record);
    return query_sorter_add(state->waiting, buf_span(&state->record));
}

static int run(const void *pointer, void *state_pointer, struct query_block *block)
{
    const struct plan *plan = pointer;
    struct state *state = state_pointer;
    size_t kept = 0;
    int rc = 0;
    for (size_t i = 0; i < block->count && rc == 0; i++) {
        if (!key_of(plan, state, block, block->picks[i])) {
            continue;
        }
        bool full = state->waiting != NULL;
        if (!full && (state->count + 1) * 4 > state->capacity * 3) {
            full = query_holder_must_spill(&state->holder);
            if (!full) {
                grow(state);
            }
        }
        struct hash hash = hash_of(buf_span(&state->key));
        struct hash *slot = slot_of(state, hash);
        if (slot->low != 0 || slot->high != 0) {
            continue;
        }
        if (full) {
            rc = wait(state, hash, block, block->picks[i]);
            continue;
        }
        *slot = hash;
        state->count++;
        block->picks[kept++] = block->picks[i];
        rc = check_tracked(plan, state);
    }
    block->count = kept;
    return rc;
}

/* The first of each hash. */
static int sort_back(const struct plan *plan, struct state *state)
{
    static const size_t compared = NUMBER_BYTES;
    struct hash last = {0, 0};
    struct span record;
    int rc;
    state->back = query_sorter_new(state->scratch, compare_bytes, &compared);
    while ((rc = query_sorter_next(state->waiting, &record)) == 0) {
        if (memcmp(record.data, &last, sizeof(last)) != 0) {
            memcpy(&last, record.data, sizeof(last));
            state->count++;
            rc = check_tracked(plan, state);
            rc = rc < 0 ? rc : query_sorter_add(state->back, span_from(record, sizeof(last)));
        }
        if (rc < 0) {
            return rc;
        }
    }
    query_sorter_free(&state->waiting);
    return rc < 0 ? rc : 0;
}

static int finish(const void *plan, void *pointer, struct query_block *block)
{
    struct state *state = pointer;
    int rc = state->waiting != NULL ? sort_back(plan, state) : 0;
    rc = rc == 0 && state->back == NULL ? QUERY_RUNS_END : rc;
    held_block_clear(&state->block);
    while (rc == 0 && !held_block_is_full(&state->block)) {
        struct span record;
        rc = query_sorter_next(state->back, &record);
        if (rc == 0) {
            held_block_add(&state->block, span_from(record, NUMBER_BYTES));
        }
    }
    if (rc < 0 || !held_block_give(&state->block, block)) {
        return rc < 0 ? rc : QUERY_MODULE_END;
    }
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
    .lend = lend,
    .run = run,
    .finish = finish,
    .uses = uses,
};
