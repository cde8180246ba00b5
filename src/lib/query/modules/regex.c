/*
 * regex [-e value] [-v] [-p] [-a] ("expression" | -r resource) [name OP value …]
 *
 * With -r the expression is what the resource holds; the effective text has it. Named groups become
 * values, with -a those of all matches. An entry on which the expression reaches its bounds
 * (expression.h) does not match and is counted. Back-references and look-around are refused
 * nowhere, RE2 would refuse them. Tested by modules_test.c.
 */
#include "base/mem.h"
#include "query/modules/expression.h"
#include "query/modules/extract.h"
#include "query/modules/modules.h"

enum { FLAG_E, FLAG_V, FLAG_P, FLAG_A, FLAG_R };

static const struct query_flag flags[] = {[FLAG_E] = {"e", true},
                                          [FLAG_V] = {"v", false},
                                          [FLAG_P] = {"p", false},
                                          [FLAG_A] = {"a", false},
                                          [FLAG_R] = {"r", true}};

struct own {
    struct expression *expression;
    bool all; /* matches, not the first only */
};

struct naming {
    struct query_args *args;
    struct extract_plan *plan;
};

/* Every named group is an item. */
static int take_group(void *context, const char *name, size_t number)
{
    const struct naming *naming = context;
    struct extract_plan *plan = naming->plan;
    if (plan->count == EXTRACT_ITEMS_MAX) {
        return query_args_fault(naming->args, "more than %d named groups", EXTRACT_ITEMS_MAX);
    }
    struct extract_item *item = &plan->items[plan->count++];
    size_t *group = ARENA_NEW(naming->args->arena, size_t);
    *group = number;
    item->name = span_of_str(arena_strdup(naming->args->arena, name));
    item->path = group;
    item->wanted = true;
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

/* [ a b c ]: what each match gave. */
static void find_all(const struct extract_plan *plan, struct expression_run *run, struct span data,
                     struct arena *arena, struct extract_found *found)
{
    struct buf lists[EXTRACT_ITEMS_MAX] = {{0}};
    struct span whole;
    struct span text;
    size_t at = 0;
    enum expression_outcome outcome = EXPRESSION_MATCH; /* the first has been looked for */
    while (outcome == EXPRESSION_MATCH && expression_group(run, 0, &whole)) {
        for (size_t i = 0; i < plan->count; i++) {
            if (expression_group(run, *(const size_t *)plan->items[i].path, &text)) {
                buf_append_str(&lists[i], lists[i].bytes == 0 ? "[ " : " ");
                buf_append(&lists[i], text);
            }
        }
        at = (size_t)(whole.data - data.data) + MAX(whole.bytes, (size_t)1);
        outcome = at > data.bytes ? EXPRESSION_NO_MATCH : expression_match(run, data, at);
    }
    found->broken = outcome == EXPRESSION_TOO_MUCH;
    for (size_t i = 0; i < plan->count; i++) {
        if (lists[i].bytes > 0) {
            buf_append_str(&lists[i], " ]");
            found->values[i] = query_value_of_text(arena_span_dup(arena, buf_span(&lists[i])));
        }
        buf_deinit(&lists[i]);
    }
}

static bool find(const struct extract_plan *plan, void *run, struct span data, struct arena *arena,
                 struct extract_found *found)
{
    const struct own *own = plan->own;
    struct span text = data.bytes == 0 ? SPAN_LIT("") : data;
    enum expression_outcome outcome = expression_match(run, text, 0);
    found->broken = outcome == EXPRESSION_TOO_MUCH;
    if (outcome == EXPRESSION_MATCH && own->all) {
        find_all(plan, run, text, arena, found);
    }
    for (size_t i = 0; i < plan->count && outcome == EXPRESSION_MATCH && !own->all; i++) {
        struct span group;
        if (expression_group(run, *(const size_t *)plan->items[i].path, &group)) {
            found->values[i] = query_value_of_text(group);
        }
    }
    return outcome == EXPRESSION_MATCH;
}

static const struct extract_way way = {.find = find};

static void put_quoted(struct buf *buf, struct span text)
{
    buf_append_byte(buf, '"');
    for (size_t i = 0; i < text.bytes; i++) {
        buf_append_str(buf, text.data[i] == '"' || text.data[i] == '\\' ? "\\" : "");
        buf_append_byte(buf, text.data[i]);
    }
    buf_append_byte(buf, '"');
}

/* Reads the expression, and says what runs instead. */
static int read_resource(struct query_args *args, const struct extract_plan *plan,
                         const char *resource, struct span *ret_pattern)
{
    const struct query_options *options = args->options;
    const struct own *own = plan->own;
    struct buf contents = {0};
    struct buf text = {0};
    int rc = options->resource == NULL ? err_set(ERR_UNAVAILABLE, "there are no resources here")
                                       : options->resource(options->context, resource, &contents);
    if (rc == QUERY_RESOURCE_LATER) {
        rc = err_set(ERR_INVALID, "an expression cannot come from an inner query");
    }
    if (rc < 0) {
        buf_deinit(&contents);
        return query_args_fault(args, "resource '%.64s': %.128s", resource, err_text());
    }
    *ret_pattern = arena_span_dup(args->arena, span_trim(buf_span(&contents)));
    buf_append_str(&text, "regex");
    if (plan->source.bytes > 0) {
        buf_append_str(&text, " -e ");
        put_quoted(&text, plan->source);
    }
    buf_append_str(&text, plan->drop_found ? " -v" : "");
    buf_append_str(&text, plan->pass ? " -p" : "");
    buf_append_str(&text, own->all ? " -a " : " ");
    put_quoted(&text, *ret_pattern);
    if (args->next < args->count) {
        const struct query_token *first = &args->tokens[args->next];
        const struct query_token *last = &args->tokens[args->count - 1];
        size_t bytes = last->offset + last->bytes - first->offset;
        buf_append_byte(&text, ' ');
        query_strip(span_first(span_from(args->text, first->offset), bytes), &text);
    }
    args->effective = arena_span_str(args->arena, buf_span(&text));
    args->resource = arena_strdup(args->arena, resource);
    buf_deinit(&contents);
    buf_deinit(&text);
    return 0;
}

static int parse(struct query_args *args, void **ret_plan)
{
    struct extract_plan *plan = ARENA_NEW(args->arena, struct extract_plan);
    struct own *own = ARENA_NEW(args->arena, struct own);
    plan->way = &way;
    plan->own = own;
    *ret_plan = plan;
    size_t flag = 0;
    const char *value = NULL;
    const char *resource = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        plan->pass = plan->pass || flag == FLAG_P;
        plan->drop_found = plan->drop_found || flag == FLAG_V;
        own->all = own->all || flag == FLAG_A;
        plan->source = flag == FLAG_E ? span_of_str(value) : plan->source;
        resource = flag == FLAG_R ? value : resource;
    }
    struct query_token token = {.offset = args->offset, .bytes = strlen("regex")};
    struct span pattern = SPAN_NONE;
    rc = rc < 0             ? rc
         : resource != NULL ? read_resource(args, plan, resource, &pattern)
                            : query_args_word(args, &pattern, &token);
    if (rc != 0) {
        return rc < 0 ? rc : query_args_fault(args, "an expression is missing");
    }
    rc = expression_new(pattern, &own->expression);
    if (rc < 0) {
        return query_fault(args->error, token.offset, token.bytes, "regex: %s", err_text());
    }
    struct naming naming = {args, plan};
    rc = expression_groups(own->expression, take_group, &naming);
    while (rc == 0 && args->next < args->count) {
        rc = parse_filter(args, plan);
    }
    return rc;
}

static void free_plan(void *pointer)
{
    struct own *own = pointer == NULL ? NULL : ((struct extract_plan *)pointer)->own;
    if (own != NULL) {
        expression_free(&own->expression);
    }
}

static int start(const void *pointer, void **ret_state)
{
    *ret_state = expression_run_new(
        ((const struct own *)((const struct extract_plan *)pointer)->own)->expression);
    return 0;
}

static void stop(void *pointer)
{
    struct expression_run *run = pointer;
    expression_run_free(&run);
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
    .tell = extract_tell,
};
