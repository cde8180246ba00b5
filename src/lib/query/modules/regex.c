/*
 * regex [-e value] [-v] [-p] "expression" [name OP value …]
 *
 * Named groups become values. Compiled by PCRE2 for the machine, with bounds on steps and memory;
 * an entry on which it reaches them does not match. Back-references and look-around are refused
 * nowhere, RE2 would refuse them.
 * Tested by modules_test.c.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/mem.h"
#include "query/modules/extract.h"
#include "query/modules/modules.h"

#define MATCH_STEPS_MAX 1000000
#define HEAP_KIB_MAX 65536
#define STACK_BYTES_MAX (1024 * 1024)

enum { FLAG_E, FLAG_V, FLAG_P };

static const struct query_flag flags[] = {
    [FLAG_E] = {"e", true}, [FLAG_V] = {"v", false}, [FLAG_P] = {"p", false}};

struct own {
    pcre2_code *code;
};

struct state {
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

static int compile(struct query_args *args, struct own *own, struct span pattern,
                   const struct query_token *at)
{
    int error = 0;
    PCRE2_SIZE offset = 0;
    uint32_t utf = 0;
    for (size_t i = 0; i < pattern.bytes; i++) {
        utf = pattern.data[i] >= 0x80 ? PCRE2_UTF | PCRE2_MATCH_INVALID_UTF : utf;
    }
    own->code = pcre2_compile(pattern.data, pattern.bytes, utf, &error, &offset, NULL);
    if (own->code == NULL) {
        char text[128];
        (void)pcre2_get_error_message(error, (PCRE2_UCHAR *)text, sizeof(text));
        return query_fault(args->error, at->offset, at->bytes,
                           "regex: %s, at character %zu of the expression", text, (size_t)offset);
    }
    (void)pcre2_jit_compile(own->code, PCRE2_JIT_COMPLETE); /* without it the same, slower */
    return 0;
}

/* Every named group is an item. */
static int take_groups(struct query_args *args, struct extract_plan *plan, pcre2_code *code)
{
    uint32_t count = 0;
    uint32_t size = 0;
    PCRE2_SPTR table = NULL;
    (void)pcre2_pattern_info(code, PCRE2_INFO_NAMECOUNT, &count);
    (void)pcre2_pattern_info(code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    (void)pcre2_pattern_info(code, PCRE2_INFO_NAMETABLE, &table);
    if (count > EXTRACT_ITEMS_MAX) {
        return query_args_fault(args, "more than %d named groups", EXTRACT_ITEMS_MAX);
    }
    for (uint32_t i = 0; i < count; i++, table += size) {
        struct extract_item *item = &plan->items[plan->count++];
        size_t *group = ARENA_NEW(args->arena, size_t);
        *group = (size_t)(table[0] << 8 | table[1]);
        item->name = span_of_str(arena_strdup(args->arena, (const char *)table + 2));
        item->path = group;
        item->wanted = true;
    }
    return 0;
}

/* name OP value: one filter for a group; a further one on the same group is another item. */
static int parse_filter(struct query_args *args, struct extract_plan *plan)
{
    struct query_token token = args->tokens[args->next++];
    struct span name = token.text;
    struct extract_item *item = NULL;
    for (size_t i = 0; i < plan->count && item == NULL; i++) {
        item = span_equal(plan->items[i].name, name) ? &plan->items[i] : NULL;
    }
    if (item == NULL) {
        return query_fault(args->error, token.offset, token.bytes,
                           "regex: the expression has no group '%.*s'",
                           SPAN_ARG(span_first(name, 64)));
    }
    if (item->filter.op != EXTRACT_NONE) {
        if (plan->count == EXTRACT_ITEMS_MAX) {
            return query_args_fault(args, "more than %d filters", EXTRACT_ITEMS_MAX);
        }
        plan->items[plan->count] =
            (struct extract_item){.name = item->name, .path = item->path, .wanted = true};
        item = &plan->items[plan->count++];
    }
    size_t before = args->next;
    int rc = extract_parse_rest(args, item);
    return rc == 0 && args->next == before
               ? query_fault(args->error, token.offset, token.bytes,
                             "regex: a filter such as %.*s==value was expected",
                             SPAN_ARG(span_first(name, 64)))
               : rc;
}

static bool find(const struct extract_plan *plan, void *pointer, struct span data,
                 struct arena *arena, struct query_value *values)
{
    (void)arena;
    const struct own *own = plan->own;
    struct state *state = pointer;
    PCRE2_SPTR text = data.bytes == 0 ? (PCRE2_SPTR) "" : data.data;
    int groups = pcre2_match(own->code, text, data.bytes, 0, 0, state->match, state->context);
    if (groups <= 0) {
        return false;
    }
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(state->match);
    for (size_t i = 0; i < plan->count; i++) {
        size_t group = *(const size_t *)plan->items[i].path;
        if (group < (size_t)groups && ends[2 * group] != PCRE2_UNSET) {
            values[i] = query_value_of_text(
                span_of(text + ends[2 * group], ends[2 * group + 1] - ends[2 * group]));
        }
    }
    return true;
}

static const struct extract_way way = {.find = find};

static int parse(struct query_args *args, void **ret_plan)
{
    struct extract_plan *plan = ARENA_NEW(args->arena, struct extract_plan);
    struct own *own = ARENA_NEW(args->arena, struct own);
    plan->way = &way;
    plan->own = own;
    *ret_plan = plan;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        plan->drop_found = plan->drop_found || flag == FLAG_V;
        plan->pass = plan->pass || flag == FLAG_P;
        plan->source = flag == FLAG_E ? span_of_str(value) : plan->source;
    }
    struct query_token token;
    struct span pattern;
    rc = rc < 0 ? rc : query_args_word(args, &pattern, &token);
    if (rc != 0) {
        return rc < 0 ? rc : query_args_fault(args, "an expression is missing");
    }
    rc = compile(args, own, pattern, &token);
    rc = rc < 0 ? rc : take_groups(args, plan, own->code);
    while (rc == 0 && args->next < args->count) {
        rc = parse_filter(args, plan);
    }
    return rc;
}

static void free_plan(void *pointer)
{
    struct own *own = pointer == NULL ? NULL : ((struct extract_plan *)pointer)->own;
    if (own != NULL) {
        pcre2_code_free(own->code);
    }
}

static int start(const void *pointer, void **ret_state)
{
    const struct own *own = ((const struct extract_plan *)pointer)->own;
    struct state *state = MEM_NEW(struct state);
    state->match = pcre2_match_data_create_from_pattern(own->code, NULL);
    state->context = pcre2_match_context_create(NULL);
    state->stack = pcre2_jit_stack_create(32 * 1024, STACK_BYTES_MAX, NULL);
    CHECK(state->match != NULL && state->context != NULL && state->stack != NULL);
    (void)pcre2_set_match_limit(state->context, MATCH_STEPS_MAX);
    (void)pcre2_set_heap_limit(state->context, HEAP_KIB_MAX);
    pcre2_jit_stack_assign(state->context, NULL, state->stack);
    *ret_state = state;
    return 0;
}

static void stop(void *pointer)
{
    struct state *state = pointer;
    pcre2_match_data_free(state->match);
    pcre2_match_context_free(state->context);
    pcre2_jit_stack_free(state->stack);
    mem_free(state);
}

const struct query_module query_module_regex = {
    .name = "regex",
    .summary = "takes the named groups of a regular expression",
    .parse = parse,
    .free = free_plan,
    .start = start,
    .stop = stop,
    .run = extract_run,
    .uses = extract_uses,
    .settle = extract_settle,
};
