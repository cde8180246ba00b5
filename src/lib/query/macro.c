#include "query/macro.h"

#include "query/lex.h"

#define ARGS_MAX 64

struct expander {
    const struct query_options *options;
    struct query_error *error;
    size_t typed_offset; /* of the macro of the text that is being replaced */
    size_t typed_bytes;
    struct span names[QUERY_MACRO_DEPTH_MAX]; /* of bodies that we are in */
    size_t depth;
    struct buf *out;
};

static bool name_byte(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static struct span tidy(struct span argument)
{
    argument = span_trim(argument);
    bool quoted =
        argument.bytes >= 2 && argument.data[0] == '"' && argument.data[argument.bytes - 1] == '"';
    return quoted ? span_first(span_from(argument, 1), argument.bytes - 2) : argument;
}

/* At the "(": how long the arguments are, parentheses included; 0: they have no end. */
static size_t read_args(struct span rest, struct span *args, size_t *ret_count)
{
    size_t depth = 0;
    size_t begin = 1;
    *ret_count = 0;
    for (size_t i = 0; i < rest.bytes; i++) {
        uint8_t c = rest.data[i];
        size_t aside = query_aside_bytes(span_from(rest, i));
        if (aside > 0) {
            i += aside - 1;
            continue;
        }
        depth += c == '(' ? 1 : 0;
        depth -= c == ')' ? 1 : 0;
        if ((c == ',' && depth == 1) || depth == 0) {
            struct span argument = tidy(span_first(span_from(rest, begin), i - begin));
            begin = i + 1;
            if (*ret_count < ARGS_MAX && (argument.bytes > 0 || c == ',' || *ret_count > 0)) {
                args[(*ret_count)++] = argument;
            }
        }
        if (depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

static int fault(const struct expander *expander, const char *before, struct span name,
                 const char *after)
{
    return query_fault(expander->error, expander->typed_offset, expander->typed_bytes,
                       "%s '$%.*s'%s", before, SPAN_ARG(span_first(name, 64)), after);
}

/* The body with its arguments, quotes or not. */
static int put_args(const struct expander *expander, struct span name, struct span body,
                    const struct span *args, size_t count, struct buf *out)
{
    for (ptrdiff_t at; (at = span_find(body, SPAN_LIT("%%"))) >= 0;) {
        struct span after = span_from(body, (size_t)at + 2);
        ptrdiff_t end = span_find(after, SPAN_LIT("%%"));
        uint64_t number = 0;
        buf_append(out, span_first(body, (size_t)at));
        if (end <= 0 || !span_to_u64(span_first(after, (size_t)end), &number)) {
            buf_append_str(out, "%%");
            body = after;
            continue;
        }
        if (number == 0 || number > count) {
            return fault(expander, "macro", name, " needs more arguments");
        }
        buf_append(out, args[number - 1]);
        body = span_from(after, (size_t)end + 2);
        if (out->bytes > QUERY_TEXT_BYTES_MAX) {
            break;
        }
    }
    buf_append(out, body);
    return 0;
}

static int expand(struct expander *expander, struct span text, struct query_expansion *top);

/* At a `$`: replaces the macro; *ret_bytes says how long it is in the text. */
static int replace(struct expander *expander, struct span rest, size_t name_bytes,
                   size_t *ret_bytes)
{
    struct span name = span_first(span_from(rest, 1), name_bytes);
    struct span args[ARGS_MAX];
    size_t count = 0;
    char called[128] = "";
    struct span after = span_from(rest, 1 + name_bytes);
    struct buf body = {0};
    struct buf filled = {0};
    size_t args_bytes = 0;
    if (after.bytes > 0 && after.data[0] == '(') {
        args_bytes = read_args(after, args, &count);
        if (args_bytes == 0) {
            return fault(expander, "the arguments of macro", name, " have no end");
        }
    }
    *ret_bytes = 1 + name_bytes + args_bytes;
    for (size_t i = 0; i < expander->depth; i++) {
        if (span_equal(expander->names[i], name)) {
            return fault(expander, "macro", name, " contains itself");
        }
    }
    memcpy(called, name.data, MIN(name.bytes, sizeof(called) - 1));
    if (name.bytes >= sizeof(called) ||
        !expander->options->macro(expander->options->context, called, &body)) {
        buf_deinit(&body);
        return fault(expander, "unknown macro", name, "");
    }
    if (expander->depth == QUERY_MACRO_DEPTH_MAX) {
        buf_deinit(&body);
        return fault(expander, "macro", name, " lies too deep in others");
    }
    expander->names[expander->depth++] = name;
    int rc = put_args(expander, name, buf_span(&body), args, count, &filled);
    rc = rc < 0 ? rc : expand(expander, buf_span(&filled), NULL);
    expander->depth--;
    buf_deinit(&body);
    buf_deinit(&filled);
    return rc;
}

/* `top`: the typed text itself, whose macros are noted. */
static int expand(struct expander *expander, struct span text, struct query_expansion *top)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < text.bytes;) {
        struct span rest = span_from(text, i);
        size_t bytes = query_aside_bytes(rest);
        size_t name_bytes = 0;
        while (rest.data[0] == '$' && 1 + name_bytes < rest.bytes &&
               name_byte(rest.data[1 + name_bytes])) {
            name_bytes++;
        }
        size_t before = expander->out->bytes;
        if (name_bytes > 0) {
            expander->typed_offset = top != NULL ? i : expander->typed_offset;
            expander->typed_bytes = top != NULL ? 1 + name_bytes : expander->typed_bytes;
            rc = replace(expander, rest, name_bytes, &bytes);
            if (rc == 0 && top != NULL) {
                struct query_macro_place place = {before, expander->out->bytes - before, i, bytes};
                vec_push(&top->places, place);
            }
        } else {
            bytes = MAX(bytes, (size_t)1);
            buf_append(expander->out, span_first(rest, bytes));
        }
        i += bytes;
        if (rc == 0 && expander->out->bytes > QUERY_TEXT_BYTES_MAX) {
            (void)query_fault(expander->error, expander->typed_offset, expander->typed_bytes,
                              "with its macros the query is longer than %d bytes",
                              QUERY_TEXT_BYTES_MAX);
            rc = ERR_TOO_LARGE;
        }
    }
    return rc;
}

int query_expand(struct span text, const struct query_options *options,
                 struct query_expansion *ret_expansion, struct query_error *ret_error)
{
    struct expander expander = {
        .options = options, .error = ret_error, .out = &ret_expansion->text};
    ret_error->stage = -1;
    return expand(&expander, text, ret_expansion);
}

void query_expansion_deinit(struct query_expansion *expansion)
{
    buf_deinit(&expansion->text);
    vec_deinit(&expansion->places);
}

void query_expansion_locate(const struct query_expansion *expansion, size_t *offset, size_t *bytes)
{
    for (size_t i = expansion->places.count; i > 0; i--) {
        const struct query_macro_place *place = &expansion->places.items[i - 1];
        if (*offset >= place->offset + place->bytes) {
            *offset =
                *offset - (place->offset + place->bytes) + place->typed_offset + place->typed_bytes;
            return;
        }
        if (*offset >= place->offset) {
            *offset = place->typed_offset;
            *bytes = place->typed_bytes;
            return;
        }
    }
}
