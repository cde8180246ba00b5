/* Tested by modules_test.c. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "query/modules/expression.h"

#include <pcre2.h>

#include "base/mem.h"

#define MATCH_STEPS_MAX 1000000
#define DEPTH_MAX 100000
#define HEAP_KIB_MAX 65536
#define STACK_BYTES_MAX (1024 * 1024)

struct expression {
    pcre2_code *code;
};

struct expression_run {
    const struct expression *expression;
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    PCRE2_SPTR text;
    int groups; /* of the last match */
};

int expression_new(struct span pattern, struct expression **ret_expression)
{
    int error = 0;
    PCRE2_SIZE offset = 0;
    uint32_t utf = 0;
    for (size_t i = 0; i < pattern.bytes; i++) {
        utf = pattern.data[i] >= 0x80 ? PCRE2_UTF | PCRE2_MATCH_INVALID_UTF : utf;
    }
    PCRE2_SPTR text = pattern.bytes == 0 ? (PCRE2_SPTR) "" : pattern.data;
    pcre2_code *code = pcre2_compile(text, pattern.bytes, utf, &error, &offset, NULL);
    if (code == NULL) {
        char why[128];
        (void)pcre2_get_error_message(error, (PCRE2_UCHAR *)why, sizeof(why));
        return err_set(ERR_INVALID, "%s, at character %zu of the expression", why, (size_t)offset);
    }
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* without it the same, slower */
    struct expression *expression = MEM_NEW(struct expression);
    expression->code = code;
    *ret_expression = expression;
    return 0;
}

void expression_free(struct expression **expression)
{
    if (*expression != NULL) {
        pcre2_code_free((*expression)->code);
        mem_free(*expression);
        *expression = NULL;
    }
}

int expression_groups(const struct expression *expression,
                      int (*each)(void *context, const char *name, size_t group), void *context)
{
    uint32_t count = 0;
    uint32_t size = 0;
    PCRE2_SPTR table = NULL;
    (void)pcre2_pattern_info(expression->code, PCRE2_INFO_NAMECOUNT, &count);
    (void)pcre2_pattern_info(expression->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    (void)pcre2_pattern_info(expression->code, PCRE2_INFO_NAMETABLE, &table);
    int rc = 0;
    for (uint32_t i = 0; i < count && rc == 0; i++, table += size) {
        rc = each(context, (const char *)table + 2, (size_t)(table[0] << 8 | table[1]));
    }
    return rc;
}

struct expression_run *expression_run_new(const struct expression *expression)
{
    struct expression_run *run = MEM_NEW(struct expression_run);
    run->expression = expression;
    run->match = pcre2_match_data_create_from_pattern(expression->code, NULL);
    run->context = pcre2_match_context_create(NULL);
    run->stack = pcre2_jit_stack_create(32 * 1024, STACK_BYTES_MAX, NULL);
    CHECK(run->match != NULL && run->context != NULL && run->stack != NULL);
    (void)pcre2_set_match_limit(run->context, MATCH_STEPS_MAX);
    (void)pcre2_set_depth_limit(run->context, DEPTH_MAX);
    (void)pcre2_set_heap_limit(run->context, HEAP_KIB_MAX);
    pcre2_jit_stack_assign(run->context, NULL, run->stack);
    return run;
}

void expression_run_free(struct expression_run **run)
{
    if (*run != NULL) {
        pcre2_match_data_free((*run)->match);
        pcre2_match_context_free((*run)->context);
        pcre2_jit_stack_free((*run)->stack);
        mem_free(*run);
        *run = NULL;
    }
}

enum expression_outcome expression_match(struct expression_run *run, struct span text,
                                         size_t offset)
{
    run->text = text.bytes == 0 ? (PCRE2_SPTR) "" : text.data;
    run->groups = pcre2_match(run->expression->code, run->text, text.bytes, offset, 0, run->match,
                              run->context);
    return run->groups > 0                      ? EXPRESSION_MATCH
           : run->groups == PCRE2_ERROR_NOMATCH ? EXPRESSION_NO_MATCH
                                                : EXPRESSION_TOO_MUCH;
}

bool expression_group(const struct expression_run *run, size_t group, struct span *ret_text)
{
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(run->match);
    if (run->groups <= 0 || group >= (size_t)run->groups || ends[2 * group] == PCRE2_UNSET) {
        return false;
    }
    *ret_text = span_of(run->text + ends[2 * group], ends[2 * group + 1] - ends[2 * group]);
    return true;
}
