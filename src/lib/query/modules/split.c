/*
 * split [-d delimiter] [-clean] [value]: an entry for each piece, the rest of it copied; the piece
 * replaces the value, or DATA. -clean: without white space around pieces and without empty ones.
 * Tested by modules_values_test.c.
 */
#include "base/vec.h"
#include "query/modules/modules.h"

enum { FLAG_D, FLAG_CLEAN };

static const struct query_flag flags[] = {[FLAG_D] = {"d", true}, [FLAG_CLEAN] = {"clean", false}};

struct plan {
    struct span name;
    struct span delimiter;
    bool clean;
};

static int parse(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    *plan = (struct plan){.name = SPAN_LIT("DATA"), .delimiter = SPAN_LIT("\n")};
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        plan->delimiter = flag == FLAG_D ? args->value : plan->delimiter;
        plan->clean = plan->clean || flag == FLAG_CLEAN;
    }
    if (rc == QUERY_ARGS_END && plan->delimiter.bytes == 0) {
        return query_args_fault(args, "the delimiter cannot be empty");
    }
    rc = rc < 0 ? rc : query_args_name(args, &plan->name, NULL);
    return rc < 0 ? rc : 0;
}

struct pieces {
    VEC(struct span) list;
    VEC(uint32_t) counts;
};

/* Pieces of one value; how many. */
static uint32_t cut(const struct plan *plan, struct span text, struct pieces *pieces)
{
    uint32_t count = 0;
    bool more = true;
    while (more) {
        ptrdiff_t end = span_find(text, plan->delimiter);
        struct span piece = end < 0 ? text : span_first(text, (size_t)end);
        more = end >= 0;
        text = span_from(text, piece.bytes + plan->delimiter.bytes);
        piece = plan->clean ? span_trim(piece) : piece;
        if (piece.bytes > 0 || !plan->clean) {
            vec_push(&pieces->list, piece);
            count++;
        }
    }
    return count;
}

static int run(const void *pointer, void *state, struct query_block *block)
{
    (void)state;
    const struct plan *plan = pointer;
    struct pieces pieces = {0};
    for (size_t i = 0; i < block->count; i++) {
        struct span text;
        bool there = query_block_text(block, block->picks[i], plan->name, &text);
        if (!there) {
            vec_push(&pieces.list, SPAN_NONE);
        }
        vec_push(&pieces.counts, there ? cut(plan, text, &pieces) : 1);
    }
    query_block_repeat(block, pieces.counts.items);
    bool data = span_equal_str(plan->name, "DATA");
    for (size_t i = 0; i < block->count; i++) {
        struct span piece = pieces.list.items[i];
        if (data) {
            query_block_edit(block, block->picks[i])->data = piece;
        } else if (piece.data != NULL) {
            query_block_column(block, plan->name)[block->picks[i]] = query_value_of_text(piece);
        }
    }
    vec_deinit(&pieces.list);
    vec_deinit(&pieces.counts);
    return 0;
}

static bool uses(const void *plan, struct span name)
{
    return span_equal(((const struct plan *)plan)->name, name);
}

const struct query_module query_module_split = {
    .name = "split",
    .summary = "makes an entry of each piece of a value",
    .parse = parse,
    .run = run,
    .uses = uses,
};
