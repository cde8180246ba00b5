/*
 * eval program, or a stage in parentheses: filters entries and sets values.
 *
 * A program with variables goes on from entry to entry in the order of the stream, so it runs on
 * the webserver; all others run beside the data. Tested by eval_test.c.
 */
#include "query/modules/eval.h"

#include "base/mem.h"
#include "query/columns.h"
#include "query/modules/modules.h"

struct state {
    struct eval_run run;
};

static int parse(struct query_args *args, void **ret_plan)
{
    struct eval_program *program = ARENA_NEW(args->arena, struct eval_program);
    *ret_plan = program;
    if (args->count == 0) {
        return query_args_fault(args, "an expression is missing, such as ms > 20");
    }
    const struct query_token *first = &args->tokens[0];
    const struct query_token *last = &args->tokens[args->count - 1];
    size_t bytes = last->offset + last->bytes - first->offset;
    args->next = args->count;
    struct span text = span_first(span_from(args->text, first->offset), bytes);
    return eval_parse(args, arena_span_dup(args->arena, text), first->offset, program);
}

static void free_plan(void *pointer)
{
    struct eval_program *program = pointer;
    for (size_t i = 0; i < program->pattern_count; i++) {
        expression_free(&program->patterns[i]);
    }
}

static void free_kept(struct eval_kept *kept)
{
    if (kept->value.value.type == QUERY_VALUE_TEXT) {
        mem_free((void *)(uintptr_t)kept->value.value.text.data);
    }
    size_t cursor = 0;
    struct span key;
    void *item = NULL;
    while (map_next(&kept->map, &cursor, &key, &item)) {
        free_kept(item);
        mem_free(item);
    }
    map_deinit(&kept->map);
}

static void stop(void *pointer)
{
    struct state *state = pointer;
    for (size_t i = 0; i < state->run.program->variable_count; i++) {
        free_kept(&state->run.variables[i]);
    }
    for (size_t i = 0; i < state->run.program->pattern_count; i++) {
        expression_run_free(&state->run.patterns[i]);
    }
    mem_free(state->run.variables);
    mem_free(state->run.patterns);
    mem_free(state);
}

static int start(const void *pointer, void **ret_state)
{
    const struct eval_program *program = pointer;
    struct state *state = MEM_NEW(struct state);
    state->run.program = program;
    state->run.seed = UINT64_C(0x9E3779B97F4A7C15);
    state->run.variables =
        mem_alloc_array(program->variable_count + 1, sizeof(*state->run.variables));
    state->run.patterns =
        mem_alloc_array(program->pattern_count + 1, sizeof(struct expression_run *));
    for (size_t i = 0; i < program->pattern_count; i++) {
        state->run.patterns[i] = expression_run_new(program->patterns[i]);
    }
    *ret_state = state;
    return 0;
}

static int run(const void *plan, void *pointer, struct query_block *block)
{
    (void)plan;
    struct state *state = pointer;
    struct eval_run *run = &state->run;
    size_t kept = 0;
    run->block = block;
    run->arena = block->columns->arena;
    run->made_bytes = 0;
    for (size_t i = 0; i < block->count; i++) {
        run->index = block->picks[i];
        bool passes = eval_entry(run);
        block->failed += run->why != NULL ? 1 : 0;
        if (passes && run->why == NULL) {
            block->picks[kept++] = block->picks[i];
        }
    }
    block->count = kept;
    return 0;
}

static bool uses(const void *pointer, struct span name)
{
    const struct eval_program *program = pointer;
    for (size_t i = 0; i < program->name_count; i++) {
        if (span_equal(program->names[i], name)) {
            return true;
        }
    }
    return program->any_name;
}

static bool merged(const void *plan)
{
    return ((const struct eval_program *)plan)->variable_count > 0;
}

static void tell(const void *pointer, query_tell *each, void *context)
{
    const struct eval_program *program = pointer;
    for (size_t i = 0; i < program->set_count; i++) {
        each(context, program->sets[i]);
    }
}

const struct query_module query_module_eval = {
    .name = "eval",
    .summary = "filters by an expression, sets values",
    .parse = parse,
    .free = free_plan,
    .start = start,
    .stop = stop,
    .run = run,
    .uses = uses,
    .tell = tell,
    .merged = merged,
};
