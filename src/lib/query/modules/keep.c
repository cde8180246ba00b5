/*
 * keep name …                        removes all other values
 * intrinsic name [OP value] [as name] …   values that arrived with entries, filtered and named
 *
 * Tested by modules_values_test.c.
 */
#include "query/modules/extract.h"
#include "query/modules/modules.h"

#define NAMES_MAX 64

struct plan {
    struct span names[NAMES_MAX];
    size_t count;
};

struct removal {
    const struct plan *plan;
    struct query_block *block;
    struct span names[NAMES_MAX];
    size_t count;
};

static int parse_keep(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    int rc = query_args_names(args, plan->names, NAMES_MAX, &plan->count);
    return rc == 0 && plan->count == 0 ? query_args_fault(args, "a name is missing") : rc;
}

static void look(void *context, struct span name)
{
    struct removal *removal = context;
    for (size_t i = 0; i < removal->plan->count; i++) {
        if (span_equal(removal->plan->names[i], name)) {
            return;
        }
    }
    if (removal->count < NAMES_MAX) {
        removal->names[removal->count++] = name;
    }
}

static int run_keep(const void *plan, void *state, struct query_block *block)
{
    (void)state;
    for (size_t i = 0; i < block->count; i++) {
        struct removal removal = {.plan = plan, .block = block};
        do { /* an entry may have more than fit at once */
            removal.count = 0;
            query_block_names(block, block->picks[i], look, &removal);
            for (size_t j = 0; j < removal.count; j++) {
                struct span name = arena_span_dup(block->columns->arena, removal.names[j]);
                query_block_column(block, name)[block->picks[i]].type = QUERY_VALUE_REMOVED;
            }
        } while (removal.count == NAMES_MAX);
    }
    return 0;
}

static bool uses_nothing(const void *plan, struct span name)
{
    (void)plan;
    (void)name;
    return false;
}

/* ── intrinsic ───────────────────────────────────────────────────────────────────────────── */

static int parse_path(struct query_args *args, struct extract_plan *plan, struct extract_item *item)
{
    (void)plan;
    const struct query_token *token = &args->tokens[args->next];
    if (token->kind == QUERY_TOKEN_PUNCT || token->kind == QUERY_TOKEN_OP) {
        return query_fault(args->error, token->offset, token->bytes,
                           "intrinsic: a name was expected");
    }
    struct span *name = ARENA_NEW(args->arena, struct span);
    *name = item->name = arena_span_dup(args->arena, token->text);
    item->path = name;
    args->next++;
    return 0;
}

static const struct extract_way way = {.path = parse_path};

static int parse_intrinsic(struct query_args *args, void **ret_plan)
{
    struct extract_plan *plan = ARENA_NEW(args->arena, struct extract_plan);
    plan->way = &way;
    *ret_plan = plan;
    return extract_parse_items(args, plan);
}

static bool intrinsic(const void *pointer, struct query_block *block, size_t index)
{
    const struct extract_plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        const struct extract_item *item = &plan->items[i];
        struct query_value value = {.type = QUERY_VALUE_NONE};
        struct query_value text = value;
        if (query_block_get(block, index, *(const struct span *)item->path, &value)) {
            text.type = QUERY_VALUE_TEXT;
            (void)query_block_text(block, index, *(const struct span *)item->path, &text.text);
            query_block_column(block, item->name)[index] = value;
        }
        if (!extract_passes(&item->filter, false, &text)) {
            return false;
        }
    }
    return true;
}

static int run_intrinsic(const void *plan, void *state, struct query_block *block)
{
    (void)state;
    query_block_keep(block, intrinsic, plan);
    return 0;
}

static bool uses_intrinsic(const void *pointer, struct span name)
{
    const struct extract_plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        if (span_equal(*(const struct span *)plan->items[i].path, name)) {
            return true;
        }
    }
    return false;
}

const struct query_module query_module_keep = {
    .name = "keep",
    .summary = "removes all other values",
    .parse = parse_keep,
    .run = run_keep,
    .uses = uses_nothing,
};

const struct query_module query_module_intrinsic = {
    .name = "intrinsic",
    .summary = "filters and names values that arrived with entries",
    .parse = parse_intrinsic,
    .run = run_intrinsic,
    .uses = uses_intrinsic,
    .tell = extract_tell,
};
