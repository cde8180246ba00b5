/*
 * fields [-e value] [-d delimiter] [-s] [-q] [-clean] item …
 * csv [-e value] [-s] item …
 *
 * item = [index] [OP value] [as name]. csv is fields with commas, quotes and cleaning.
 * Tested by modules_test.c.
 */
#include "query/modules/extract.h"
#include "query/modules/modules.h"

#define INDEX_MAX 4095

enum { FLAG_E, FLAG_S, FLAG_D, FLAG_Q, FLAG_CLEAN };

static const struct query_flag flags[] = {[FLAG_E] = {"e", true},
                                          [FLAG_S] = {"s", false},
                                          [FLAG_D] = {"d", true},
                                          [FLAG_Q] = {"q", false},
                                          [FLAG_CLEAN] = {"clean", false}};

#define CSV_FLAGS 2 /* the first of them */

struct own {
    struct span delimiter;
    bool quotes;
    bool clean;
    bool csv; /* "" in quotes is a quote; quotes are always taken off */
};

static int parse_path(struct query_args *args, struct extract_plan *plan, struct extract_item *item)
{
    (void)plan;
    uint64_t *index = ARENA_NEW(args->arena, uint64_t);
    item->path = index;
    int rc = extract_parse_index(args, index, &item->name);
    if (rc == 0 && *index > INDEX_MAX) {
        return query_args_fault(args, "the highest index is %d", INDEX_MAX);
    }
    return rc;
}

/* Cuts the next field off; a delimiter between quotes does not end it. */
static struct span cut(const struct own *own, struct span *rest, bool *ret_more)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < rest->bytes; i++) {
        if (own->quotes && rest->data[i] == '"') {
            quoted = !quoted;
        }
        if (!quoted && rest->data[i] == own->delimiter.data[0] &&
            span_starts_with(span_from(*rest, i), own->delimiter)) {
            break;
        }
    }
    struct span field = span_first(*rest, i);
    *ret_more = i < rest->bytes;
    *rest = span_from(*rest, i + own->delimiter.bytes);
    return field;
}

static struct span undouble(struct span text, struct arena *arena)
{
    if (span_find(text, SPAN_LIT("\"\"")) < 0) {
        return text;
    }
    uint8_t *copy = arena_alloc(arena, text.bytes);
    size_t bytes = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        copy[bytes++] = text.data[i];
        i += text.data[i] == '"' && i + 1 < text.bytes && text.data[i + 1] == '"' ? 1 : 0;
    }
    return span_of(copy, bytes);
}

static struct span tidy(const struct own *own, struct span field, struct arena *arena)
{
    if (!own->clean) {
        return field;
    }
    field = span_trim(field);
    bool quoted = own->quotes && field.bytes >= 2 && field.data[0] == '"' &&
                  field.data[field.bytes - 1] == '"';
    if (!quoted) {
        return field;
    }
    field = span_first(span_from(field, 1), field.bytes - 2);
    return own->csv ? undouble(span_trim(field), arena) : field;
}

static bool find(const struct extract_plan *plan, void *state, struct span data,
                 struct arena *arena, struct extract_found *found)
{
    (void)state;
    const struct own *own = plan->own;
    uint64_t last = 0;
    for (size_t i = 0; i < plan->count; i++) {
        last = MAX(last, *(const uint64_t *)plan->items[i].path);
    }
    struct span rest = data;
    bool more = data.bytes > 0;
    for (uint64_t index = 0; more && index <= last; index++) {
        struct span field = cut(own, &rest, &more);
        for (size_t i = 0; i < plan->count; i++) {
            if (*(const uint64_t *)plan->items[i].path == index && plan->items[i].wanted) {
                found->values[i] = query_value_of_text(tidy(own, field, arena));
            }
        }
    }
    return true;
}

static const struct extract_way way = {.path = parse_path, .find = find};

static int parse_with(struct query_args *args, const struct own *defaults, size_t flag_count,
                      void **ret_plan)
{
    struct extract_plan *plan = ARENA_NEW(args->arena, struct extract_plan);
    struct own *own = ARENA_NEW(args->arena, struct own);
    *own = *defaults;
    plan->way = &way;
    plan->own = own;
    *ret_plan = plan;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, flag_count, &flag, &value)) == 0) {
        plan->strict = plan->strict || flag == FLAG_S;
        own->quotes = own->quotes || flag == FLAG_Q;
        own->clean = own->clean || flag == FLAG_CLEAN;
        plan->source = flag == FLAG_E ? span_of_str(value) : plan->source;
        own->delimiter = flag == FLAG_D ? args->value : own->delimiter;
    }
    if (rc == QUERY_ARGS_END && own->delimiter.bytes == 0) {
        return query_args_fault(args, "the delimiter cannot be empty");
    }
    return rc < 0 ? rc : extract_parse_items(args, plan);
}

static int parse_fields(struct query_args *args, void **ret_plan)
{
    struct own own = {.delimiter = SPAN_LIT(",")};
    return parse_with(args, &own, ARRAY_COUNT(flags), ret_plan);
}

static int parse_csv(struct query_args *args, void **ret_plan)
{
    struct own own = {.delimiter = SPAN_LIT(","), .quotes = true, .clean = true, .csv = true};
    return parse_with(args, &own, CSV_FLAGS, ret_plan);
}

const struct query_module query_module_fields = {
    .name = "fields",
    .summary = "takes values out of fields between delimiters",
    .parse = parse_fields,
    .run = extract_run,
    .uses = extract_uses,
    .settle = extract_settle,
    .tell = extract_tell,
};

const struct query_module query_module_csv = {
    .name = "csv",
    .summary = "takes values out of comma-separated columns",
    .parse = parse_csv,
    .run = extract_run,
    .uses = extract_uses,
    .settle = extract_settle,
    .tell = extract_tell,
};
