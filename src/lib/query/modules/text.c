/*
 * upper [value …], lower [value …]               ASCII letters; without names DATA
 * length [-t out] [value]                        bytes, as "length"
 * truncate [-ellipsis] [-binary] value n         characters, with -binary bytes
 * strings [-n 4] [value]                         runs of printable ASCII, a line each
 * concat [-s separator] value value … [as out]   as "concat"
 *
 * Tested by modules_values_test.c.
 */
#include <ctype.h>

#include "base/text.h"
#include "query/modules/modules.h"

#define NAMES_MAX 64

enum { FLAG_A, FLAG_B };

static const struct query_flag length_flags[] = {{"t", true}};
static const struct query_flag truncate_flags[] = {
    [FLAG_A] = {"ellipsis", false}, [FLAG_B] = {"binary", false}};
static const struct query_flag strings_flags[] = {{"n", true}};
static const struct query_flag concat_flags[] = {{"s", true}};

struct plan {
    struct span names[NAMES_MAX];
    size_t count;
    struct span out;
    struct span separator;
    uint64_t number;
    bool ellipsis;
    bool binary;
};

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

/* Names, DATA when there are none. */
static int parse_names(struct query_args *args, struct plan *plan, size_t max)
{
    int rc = query_args_names(args, plan->names, max, &plan->count);
    if (rc == 0 && plan->count == 0) {
        plan->names[plan->count++] = SPAN_LIT("DATA");
    }
    return rc;
}

/* ── upper, lower ────────────────────────────────────────────────────────────────────────── */

static int parse_case(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    return parse_names(args, plan, NAMES_MAX);
}

static int run_case(const struct plan *plan, struct query_block *block, bool upper)
{
    for (size_t j = 0; j < plan->count; j++) {
        for (size_t i = 0; i < block->count; i++) {
            struct span text;
            if (!query_block_text(block, block->picks[i], plan->names[j], &text)) {
                continue;
            }
            uint8_t *copy = arena_alloc(block->columns->arena, text.bytes + 1);
            for (size_t k = 0; k < text.bytes; k++) {
                uint8_t c = text.data[k];
                copy[k] = c >= 0x80 ? c : (uint8_t)(upper ? toupper(c) : tolower(c));
            }
            query_block_set(block, block->picks[i], plan->names[j],
                            query_value_of_text(span_of(copy, text.bytes)));
        }
    }
    return 0;
}

static int run_upper(const void *plan, void *state, struct query_block *block)
{
    (void)state;
    return run_case(plan, block, true);
}

static int run_lower(const void *plan, void *state, struct query_block *block)
{
    (void)state;
    return run_case(plan, block, false);
}

/* ── length ──────────────────────────────────────────────────────────────────────────────── */

static int parse_length(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    plan->out = SPAN_LIT("length");
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, length_flags, ARRAY_COUNT(length_flags), &flag, &value)) ==
           0) {
        plan->out = span_of_str(value);
    }
    return rc < 0 ? rc : parse_names(args, plan, 1);
}

static int run_length(const void *pointer, void *state, struct query_block *block)
{
    (void)state;
    const struct plan *plan = pointer;
    for (size_t i = 0; i < block->count; i++) {
        struct span text;
        if (query_block_text(block, block->picks[i], plan->names[0], &text)) {
            query_block_column(block, plan->out)[block->picks[i]] =
                query_value_of_i64((int64_t)text.bytes);
        }
    }
    return 0;
}

/* ── truncate ────────────────────────────────────────────────────────────────────────────── */

static int parse_truncate(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, truncate_flags, ARRAY_COUNT(truncate_flags), &flag,
                                 &value)) == 0) {
        plan->ellipsis = plan->ellipsis || flag == FLAG_A;
        plan->binary = plan->binary || flag == FLAG_B;
    }
    rc = rc < 0 ? rc : query_args_name(args, &plan->names[plan->count++], NULL);
    if (rc == QUERY_ARGS_END) {
        return query_args_fault(args, "a name and a length are needed");
    }
    return rc < 0 ? rc : query_args_number(args, &plan->number);
}

static struct span cut(const struct plan *plan, struct span text, struct arena *arena)
{
    struct span rest = text;
    if (plan->binary) {
        rest = span_from(text, (size_t)MIN(plan->number, (uint64_t)text.bytes));
    }
    for (uint64_t i = 0; !plan->binary && i < plan->number && rest.bytes > 0; i++) {
        (void)text_utf8_next(&rest);
    }
    struct span first = span_first(text, text.bytes - rest.bytes);
    if (!plan->ellipsis || rest.bytes == 0) {
        return first;
    }
    uint8_t *copy = arena_alloc(arena, first.bytes + 3);
    memcpy(copy, text.data, first.bytes);
    memcpy(copy + first.bytes, "...", 3);
    return span_of(copy, first.bytes + 3);
}

static int run_truncate(const void *pointer, void *state, struct query_block *block)
{
    (void)state;
    const struct plan *plan = pointer;
    for (size_t i = 0; i < block->count; i++) {
        struct span text;
        if (query_block_text(block, block->picks[i], plan->names[0], &text)) {
            query_block_set(block, block->picks[i], plan->names[0],
                            query_value_of_text(cut(plan, text, block->columns->arena)));
        }
    }
    return 0;
}

/* ── strings ─────────────────────────────────────────────────────────────────────────────── */

static int parse_strings(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    plan->number = 4;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, strings_flags, ARRAY_COUNT(strings_flags), &flag, &value)) ==
           0) {
        if (!span_to_u64(span_of_str(value), &plan->number) || plan->number == 0) {
            return query_args_fault(args, "-n needs a number");
        }
    }
    return rc < 0 ? rc : parse_names(args, plan, 1);
}

static int run_strings(const void *pointer, void *state, struct query_block *block)
{
    (void)state;
    const struct plan *plan = pointer;
    for (size_t i = 0; i < block->count; i++) {
        struct span text;
        struct buf lines = {0};
        if (!query_block_text(block, block->picks[i], plan->names[0], &text)) {
            continue;
        }
        for (size_t from = 0; from < text.bytes;) {
            size_t to = from;
            while (to < text.bytes && text.data[to] >= 0x20 && text.data[to] < 0x7F) {
                to++;
            }
            if (to - from >= plan->number) {
                buf_append_str(&lines, lines.bytes > 0 ? "\n" : "");
                buf_append(&lines, span_first(span_from(text, from), to - from));
            }
            from = to + 1;
        }
        query_block_set(
            block, block->picks[i], plan->names[0],
            query_value_of_text(arena_span_dup(block->columns->arena, buf_span(&lines))));
        buf_deinit(&lines);
    }
    return 0;
}

/* ── concat ──────────────────────────────────────────────────────────────────────────────── */

static int parse_concat(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    plan->out = SPAN_LIT("concat");
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, concat_flags, ARRAY_COUNT(concat_flags), &flag, &value)) ==
           0) {
        plan->separator = args->value;
    }
    rc = rc < 0 ? rc : query_args_names(args, plan->names, NAMES_MAX, &plan->count);
    if (rc < 0) {
        return rc;
    }
    if (plan->count > 2 && span_equal_str(plan->names[plan->count - 2], "as")) {
        plan->out = plan->names[plan->count - 1];
        plan->count -= 2;
    }
    return plan->count > 0 ? 0 : query_args_fault(args, "names are missing");
}

static int run_concat(const void *pointer, void *state, struct query_block *block)
{
    (void)state;
    const struct plan *plan = pointer;
    for (size_t i = 0; i < block->count; i++) {
        struct buf joined = {0};
        size_t found = 0;
        for (size_t j = 0; j < plan->count; j++) {
            struct span text;
            if (query_block_text(block, block->picks[i], plan->names[j], &text)) {
                buf_append(&joined, found++ > 0 ? plan->separator : SPAN_NONE);
                buf_append(&joined, text);
            }
        }
        query_block_column(block, plan->out)[block->picks[i]] =
            query_value_of_text(arena_span_dup(block->columns->arena, buf_span(&joined)));
        buf_deinit(&joined);
    }
    return 0;
}

static void tell(const void *pointer, query_tell *each, void *context)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count && plan->out.bytes == 0; i++) {
        each(context, plan->names[i]);
    }
    if (plan->out.bytes > 0) {
        each(context, plan->out);
    }
}

#define ROW(module_name, module_summary, parser, runner)                                           \
    {                                                                                              \
        .name = (module_name), .summary = (module_summary), .parse = (parser), .run = (runner),    \
        .uses = uses, .tell = tell,                                                                \
    }

const struct query_module query_module_upper =
    ROW("upper", "makes letters capital", parse_case, run_upper);
const struct query_module query_module_lower =
    ROW("lower", "makes letters small", parse_case, run_lower);
const struct query_module query_module_length =
    ROW("length", "the length of a value in bytes", parse_length, run_length);
const struct query_module query_module_truncate =
    ROW("truncate", "cuts a value", parse_truncate, run_truncate);
const struct query_module query_module_strings =
    ROW("strings", "the printable parts of a value", parse_strings, run_strings);
const struct query_module query_module_concat =
    ROW("concat", "joins values", parse_concat, run_concat);
