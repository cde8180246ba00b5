/* Tested by pipeline_test.c. */
#include "query/modules/match.h"

#include "base/mem.h"

struct match_state {
    struct query_scanner *scanner;
    VEC(uint64_t) hits;
    struct buf value;
};

int match_parse(struct query_args *args, enum query_pattern_kind kind, bool caseless,
                struct match_plan *plan)
{
    struct span list[QUERY_PATTERNS_MAX];
    struct query_token tokens[QUERY_PATTERNS_MAX];
    size_t count = 0;
    struct span word;
    struct query_token token;
    int rc = 0;
    while ((rc = query_args_word(args, &word, &token)) == 0) {
        if (count == QUERY_PATTERNS_MAX) {
            return query_fault(args->error, token.offset, token.bytes, "%s: more than %d patterns",
                               args->name, QUERY_PATTERNS_MAX);
        }
        list[count] = word;
        tokens[count++] = token;
    }
    if (rc < 0) {
        return rc;
    }
    if (count == 0) {
        return query_args_fault(args, "a pattern is missing");
    }
    size_t bad = 0;
    if (query_patterns_new(list, count, kind, caseless, &plan->patterns, &bad) < 0) {
        char why[ERR_TEXT_BYTES_MAX];
        (void)strncpy(why, err_text(), sizeof(why) - 1);
        why[sizeof(why) - 1] = '\0';
        return query_fault(args->error, tokens[bad].offset, tokens[bad].bytes,
                           "%s: pattern '%.*s' %s", args->name, SPAN_ARG(span_first(list[bad], 64)),
                           why);
    }
    return 0;
}

void match_free(void *plan)
{
    query_patterns_free(&((struct match_plan *)plan)->patterns);
}

int match_start(const void *plan, void **ret_state)
{
    struct match_state *state = MEM_NEW(struct match_state);
    int rc = query_scanner_new(((const struct match_plan *)plan)->patterns, &state->scanner);
    if (rc < 0) {
        match_stop(state);
        return rc;
    }
    *ret_state = state;
    return 0;
}

void match_stop(void *pointer)
{
    struct match_state *state = pointer;
    query_scanner_free(&state->scanner);
    vec_deinit(&state->hits);
    buf_deinit(&state->value);
    mem_free(state);
}

static bool passes(const struct match_plan *plan, uint64_t hits)
{
    uint64_t all = UINT64_MAX >> (QUERY_PATTERNS_MAX - query_patterns_count(plan->patterns));
    return plan->all ? hits == all : hits != 0;
}

/* One by one in a value. An entry without it has nothing that could match: dropped either way. */
static int run_value(const struct match_plan *plan, struct match_state *state,
                     struct query_block *block)
{
    size_t kept = 0;
    for (size_t i = 0; i < block->count; i++) {
        uint64_t hits = 0;
        buf_clear(&state->value);
        if (!query_value_text(block, block->picks[i], plan->value, &state->value)) {
            continue;
        }
        int rc = query_scanner_text(state->scanner, buf_span(&state->value), &hits);
        if (rc < 0) {
            return rc;
        }
        if (passes(plan, hits) != plan->invert) {
            block->picks[kept++] = block->picks[i];
        }
    }
    block->count = kept;
    return 0;
}

int match_run(const void *pointer, void *state_pointer, struct query_block *block)
{
    const struct match_plan *plan = pointer;
    struct match_state *state = state_pointer;
    if (plan->value.bytes > 0) {
        return run_value(plan, state, block);
    }
    while (state->hits.count < block->count) {
        vec_push(&state->hits, 0);
    }
    int rc = query_scanner_block(state->scanner, block, state->hits.items);
    if (rc < 0) {
        return rc;
    }
    size_t kept = 0;
    for (size_t i = 0; i < block->count; i++) {
        if (passes(plan, state->hits.items[i]) != plan->invert) {
            block->picks[kept++] = block->picks[i];
        }
    }
    block->count = kept;
    return 0;
}

size_t match_required(const void *pointer, struct span *ret_words, size_t words_max)
{
    const struct match_plan *plan = pointer;
    size_t patterns = query_patterns_count(plan->patterns);
    size_t count = 0;
    if (plan->invert || plan->value.bytes > 0 || (patterns > 1 && !plan->all)) {
        return 0;
    }
    for (size_t i = 0; i < patterns && count < words_max; i++) {
        struct span word = query_patterns_required(plan->patterns, i);
        if (word.bytes > 0) {
            ret_words[count++] = word;
        }
    }
    return count;
}

bool match_uses(const void *pointer, struct span name)
{
    return span_equal(((const struct match_plan *)pointer)->value, name);
}
