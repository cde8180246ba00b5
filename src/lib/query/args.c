/* Reading the arguments of a stage. Tested by parse_test.c. */
#include <stdarg.h>
#include <stdio.h>

#include "query/module.h"

int query_args_fault(const struct query_args *args, const char *format, ...)
{
    char text[QUERY_ERROR_BYTES_MAX];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    return query_fault(args->error, args->offset, strlen(args->name), "%s: %s", args->name, text);
}

static int token_fault(const struct query_args *args, const struct query_token *token,
                       const char *what)
{
    char text[65];
    (void)snprintf(text, sizeof(text), "%.*s", SPAN_ARG(span_first(token->text, 64)));
    return query_fault(args->error, token->offset, token->bytes, "%s: %s '%s'", args->name, what,
                       text);
}

static const struct query_token *next_token(const struct query_args *args)
{
    return args->next < args->count ? &args->tokens[args->next] : NULL;
}

int query_args_flag(struct query_args *args, const struct query_flag *flags, size_t count,
                    size_t *ret_flag, const char **ret_value)
{
    const struct query_token *token = next_token(args);
    if (args->seen != NULL) {
        *args->seen = (struct query_flags_seen){flags, count};
    }
    if (token == NULL || token->kind != QUERY_TOKEN_WORD || token->text.data[0] != '-') {
        return QUERY_ARGS_END;
    }
    for (size_t i = 0; i < count; i++) {
        if (!span_equal_str(span_from(token->text, 1), flags[i].name)) {
            continue;
        }
        args->next++;
        *ret_flag = i;
        *ret_value = NULL;
        if (!flags[i].takes_value) {
            return 0;
        }
        struct span value;
        int rc = query_args_word(args, &value, NULL);
        if (rc == QUERY_ARGS_END) {
            return token_fault(args, token, "a value must follow");
        }
        args->value = rc == 0 ? value : SPAN_NONE;
        *ret_value = rc == 0 ? arena_span_str(args->arena, value) : NULL;
        return rc;
    }
    return token_fault(args, token, "unknown flag");
}

static int get_word(struct query_args *args, bool commas, struct span *ret_word,
                    struct query_token *ret_token)
{
    const struct query_token *first = next_token(args);
    if (first == NULL) {
        return QUERY_ARGS_END;
    }
    struct buf word = {0};
    const struct query_token *token = first;
    size_t end = first->offset;
    do {
        buf_append(&word, token->text);
        end = token->offset + token->bytes;
        args->next++;
        token = next_token(args);
    } while (token != NULL && token->glued && (commas || !query_token_is(token, ',')));
    if (ret_token != NULL) {
        *ret_token = *first;
        ret_token->bytes = end - first->offset;
    }
    *ret_word = arena_span_dup(args->arena, buf_span(&word));
    buf_deinit(&word);
    return 0;
}

int query_args_word(struct query_args *args, struct span *ret_word, struct query_token *ret_token)
{
    return get_word(args, true, ret_word, ret_token);
}

int query_args_name(struct query_args *args, struct span *ret_name, struct query_token *ret_token)
{
    while (next_token(args) != NULL && query_token_is(next_token(args), ',')) {
        args->next++;
    }
    return get_word(args, false, ret_name, ret_token);
}

int query_args_number(struct query_args *args, uint64_t *ret_number)
{
    const struct query_token *token = next_token(args);
    if (token == NULL) {
        return query_args_fault(args, "a number is missing");
    }
    struct span word = SPAN_NONE;
    if (query_args_word(args, &word, NULL) != 0 || word.bytes == 0 || word.data[0] < '0' ||
        word.data[0] > '9' || !span_to_u64(word, ret_number)) {
        return token_fault(args, token, "not a number:");
    }
    return 0;
}

int query_args_finish(const struct query_args *args)
{
    const struct query_token *token = next_token(args);
    return token == NULL ? 0 : token_fault(args, token, "unexpected argument");
}

bool query_args_take(struct query_args *args, const char *word)
{
    const struct query_token *token = next_token(args);
    bool here =
        token != NULL && token->kind == QUERY_TOKEN_WORD && span_equal_str(token->text, word);
    args->next += here ? 1 : 0;
    return here;
}

int query_args_as(struct query_args *args, struct span *name)
{
    if (!query_args_take(args, "as")) {
        return 0;
    }
    int rc = query_args_name(args, name, NULL);
    return rc == QUERY_ARGS_END ? query_args_fault(args, "a name must follow 'as'") : rc;
}

int query_args_renames(struct query_args *args, const char *what, struct span *names,
                       struct span *others, size_t max, size_t *ret_count)
{
    struct span name;
    size_t count = 0;
    int rc;
    while ((rc = query_args_name(args, &name, NULL)) == 0) {
        if (count == max) {
            return query_args_fault(args, "more than %zu %s", max, what);
        }
        names[count] = others[count] = name;
        rc = query_args_as(args, &others[count++]);
        if (rc < 0) {
            return rc;
        }
    }
    *ret_count = count;
    return rc == QUERY_ARGS_END ? 0 : rc;
}

int query_args_names(struct query_args *args, struct span *names, size_t max, size_t *ret_count)
{
    size_t count = 0;
    for (const struct query_token *token; (token = next_token(args)) != NULL; args->next++) {
        if (query_token_is(token, ',')) {
            continue;
        }
        if (token->kind == QUERY_TOKEN_PUNCT || token->kind == QUERY_TOKEN_OP) {
            return token_fault(args, token, "a name was expected, not");
        }
        if (count == max) {
            return token_fault(args, token, "too many names:");
        }
        names[count++] = arena_span_dup(args->arena, token->text);
    }
    *ret_count = count;
    return 0;
}
