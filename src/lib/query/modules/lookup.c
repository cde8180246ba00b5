/*
 * lookup -r resource [-s] [-v] value column extract
 * lookup -r resource [-s] [-v] "[" value … "]" "[" column … "]" "(" extract … ")"
 *
 * extract = column [as name]; "()": none. The first row whose columns equal the values gives its
 * cells. No such row: the entry passes without, with -s it is dropped; -v drops those that have
 * one; -s -v passes only those that have none.
 *
 * enrich [-o] name value …, enrich -r resource [column [as name] …]: sets values of all entries
 * that have none of that name, with -o of all; from the first row of the resource.
 *
 * Tables go to indexers with the search. Tested by lookup_test.c.
 */
#include "base/map.h"
#include "base/mem.h"
#include "query/modules/modules.h"
#include "query/modules/table.h"

#define NAMES_MAX 32

enum { FLAG_R, FLAG_S, FLAG_V };
enum { FLAG_ENRICH_R, FLAG_ENRICH_O };

static const struct query_flag lookup_flags[] = {
    [FLAG_R] = {"r", true}, [FLAG_S] = {"s", false}, [FLAG_V] = {"v", false}};
static const struct query_flag enrich_flags[] = {
    [FLAG_ENRICH_R] = {"r", true}, [FLAG_ENRICH_O] = {"o", false}};

struct plan {
    const char *resource; /* NULL: none */
    struct span values[NAMES_MAX];
    struct span columns[NAMES_MAX];
    size_t match_count;
    struct span from[NAMES_MAX]; /* columns; of enrich without a resource values */
    struct span to[NAMES_MAX];
    size_t extract_count;
    bool strict;
    bool inverted; /* -v; of enrich: -o */

    /* Once loaded. */
    struct table *table;
    struct map rows; /* by key: number of the row, from 1 */
    size_t cells[NAMES_MAX];
};

/* ── Arguments ───────────────────────────────────────────────────────────────────────────── */

static bool here(const struct query_args *args, char punct)
{
    return args->next < args->count && query_token_is(&args->tokens[args->next], punct);
}

/* One name, or several in brackets. */
static int parse_names(struct query_args *args, struct span *names, size_t *ret_count)
{
    bool list = here(args, '[');
    args->next += list ? 1 : 0;
    *ret_count = 0;
    while (args->next < args->count && !here(args, ']')) {
        const struct query_token *token = &args->tokens[args->next];
        if (!query_token_is(token, ',')) {
            if (token->kind == QUERY_TOKEN_PUNCT || token->kind == QUERY_TOKEN_OP ||
                *ret_count == NAMES_MAX) {
                break;
            }
            names[(*ret_count)++] = arena_span_dup(args->arena, token->text);
        }
        args->next++;
        if (!list) {
            break;
        }
    }
    if (*ret_count == 0 || (list && !here(args, ']'))) {
        return query_args_fault(args, "names were expected: value column extract, or [values] "
                                      "[columns] (extracts)");
    }
    args->next += list ? 1 : 0;
    return 0;
}

/* column [as name] … */
static int parse_extracts(struct query_args *args, struct plan *plan)
{
    bool list = here(args, '(');
    args->next += list ? 1 : 0;
    while (args->next < args->count && !here(args, ')')) {
        const struct query_token *token = &args->tokens[args->next];
        if (query_token_is(token, ',')) {
            args->next++;
            continue;
        }
        if (token->kind == QUERY_TOKEN_PUNCT || token->kind == QUERY_TOKEN_OP ||
            plan->extract_count == NAMES_MAX) {
            return query_fault(args->error, token->offset, token->bytes,
                               "%s: the name of a column was expected", args->name);
        }
        size_t i = plan->extract_count++;
        plan->from[i] = plan->to[i] = arena_span_dup(args->arena, token->text);
        args->next++;
        if (query_args_take(args, "as")) { /* one token: a ')' may touch it */
            const struct query_token *name = args->next < args->count ? token + 2 : NULL;
            if (name == NULL || name->kind == QUERY_TOKEN_PUNCT || name->kind == QUERY_TOKEN_OP) {
                return query_args_fault(args, "a name must follow 'as'");
            }
            plan->to[i] = arena_span_dup(args->arena, name->text);
            args->next++;
        }
    }
    if (list && !here(args, ')')) {
        return query_args_fault(args, "'(' without its ')'");
    }
    args->next += list ? 1 : 0;
    return 0;
}

static int parse_lookup(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    size_t flag = 0;
    size_t columns = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, lookup_flags, ARRAY_COUNT(lookup_flags), &flag, &value)) ==
           0) {
        plan->resource = flag == FLAG_R ? value : plan->resource;
        plan->strict = plan->strict || flag == FLAG_S;
        plan->inverted = plan->inverted || flag == FLAG_V;
    }
    if (rc == QUERY_ARGS_END && plan->resource == NULL) {
        return query_args_fault(args, "-r and the name of a resource are missing");
    }
    rc = rc < 0 ? rc : parse_names(args, plan->values, &plan->match_count);
    rc = rc < 0 ? rc : parse_names(args, plan->columns, &columns);
    if (rc == 0 && columns != plan->match_count) {
        return query_args_fault(args, "%zu values and %zu columns: as many are needed",
                                plan->match_count, columns);
    }
    bool list = here(args, '(');
    rc = rc < 0 ? rc : parse_extracts(args, plan);
    return rc == 0 && plan->extract_count == 0 && !(list && (plan->strict || plan->inverted))
               ? query_args_fault(args, "what to extract is missing; () goes with -s or -v")
               : rc;
}

static int parse_enrich(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, enrich_flags, ARRAY_COUNT(enrich_flags), &flag, &value)) ==
           0) {
        plan->resource = flag == FLAG_ENRICH_R ? value : plan->resource;
        plan->inverted = plan->inverted || flag == FLAG_ENRICH_O;
    }
    if (rc < 0 || plan->resource != NULL) {
        return rc < 0 ? rc : parse_extracts(args, plan);
    }
    for (rc = 0; rc == 0 && args->next < args->count;) {
        size_t i = plan->extract_count++;
        if (i == NAMES_MAX) {
            return query_args_fault(args, "more than %d values", NAMES_MAX);
        }
        rc = query_args_word(args, &plan->to[i], NULL);
        rc = rc < 0 ? rc : query_args_word(args, &plan->from[i], NULL);
        if (rc == QUERY_ARGS_END) {
            return query_args_fault(args, "pairs of a name and a value are needed");
        }
    }
    return rc == 0 && plan->extract_count == 0
               ? query_args_fault(args, "pairs of a name and a value are needed")
               : rc;
}

/* ── Loading ─────────────────────────────────────────────────────────────────────────────── */

static void put_key(struct buf *key, struct span value)
{
    uint64_t bytes = value.bytes;
    buf_append(key, span_of(&bytes, sizeof(bytes)));
    buf_append(key, value);
}

static int find_column(const struct plan *plan, struct span name, size_t *ret_column)
{
    return csv_table_find(plan->table, name, ret_column)
               ? 0
               : err_set(ERR_INVALID, "resource '%.64s' has no column '%.*s'", plan->resource,
                         SPAN_ARG(span_first(name, 64)));
}

/* The first row of a key counts. */
static int index_rows(struct plan *plan)
{
    size_t matches[NAMES_MAX];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < plan->match_count; i++) {
        rc = find_column(plan, plan->columns[i], &matches[i]);
    }
    for (size_t i = 0; rc == 0 && i < plan->extract_count; i++) {
        rc = find_column(plan, plan->from[i], &plan->cells[i]);
    }
    struct buf key = {0};
    for (size_t row = 0; rc == 0 && plan->match_count > 0 && row < csv_table_rows(plan->table);
         row++) {
        buf_clear(&key);
        for (size_t i = 0; i < plan->match_count; i++) {
            put_key(&key, csv_table_cell(plan->table, row, matches[i]));
        }
        if (map_get(&plan->rows, buf_span(&key)) == NULL) {
            (void)map_put(&plan->rows, buf_span(&key), (void *)(uintptr_t)(row + 1));
        }
    }
    buf_deinit(&key);
    return rc;
}

static int load(void *pointer, query_resource *resource, void *context)
{
    struct plan *plan = pointer;
    struct buf contents = {0};
    if (plan->resource == NULL || plan->table != NULL) {
        return 0;
    }
    int rc = resource(context, plan->resource, &contents);
    bool later = rc == QUERY_RESOURCE_LATER;
    rc = rc != 0 ? rc : csv_table_new(buf_span(&contents), &plan->table);
    buf_deinit(&contents);
    if (later) {
        return 0;
    }
    if (rc < 0) {
        return err_wrap(rc, "resource '%.64s'", plan->resource);
    }
    bool all = plan->match_count == 0 && plan->extract_count == 0; /* of enrich: all columns */
    for (size_t i = 0; all && i < MIN(csv_table_columns(plan->table), (size_t)NAMES_MAX); i++) {
        plan->from[i] = plan->to[i] = csv_table_name(plan->table, i);
        plan->extract_count++;
    }
    return index_rows(plan);
}

static void free_plan(void *pointer)
{
    struct plan *plan = pointer;
    csv_table_free(&plan->table);
    map_deinit(&plan->rows);
}

/* ── Running ─────────────────────────────────────────────────────────────────────────────── */

static bool uses(const void *pointer, struct span name)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->match_count; i++) {
        if (span_equal(plan->values[i], name)) {
            return true;
        }
    }
    return false;
}

/* The number of the row that the entry's values lead to, from 1; 0: none. */
static size_t row_of(const struct plan *plan, const struct query_block *block, size_t index,
                     struct buf *key)
{
    buf_clear(key);
    for (size_t i = 0; i < plan->match_count; i++) {
        struct span value;
        if (!query_block_text(block, index, plan->values[i], &value)) {
            return 0;
        }
        put_key(key, value);
    }
    return (size_t)(uintptr_t)map_get(&plan->rows, buf_span(key));
}

static int run_lookup(const void *pointer, void *state, struct query_block *block)
{
    (void)state;
    const struct plan *plan = pointer;
    struct buf key = {0};
    size_t kept = 0;
    if (plan->table == NULL) {
        return err_set(ERR_UNAVAILABLE, "resource '%.64s' is not here", plan->resource);
    }
    for (size_t i = 0; i < block->count; i++) {
        size_t row = row_of(plan, block, block->picks[i], &key);
        bool passes = plan->inverted ? row == 0 : row > 0 || !plan->strict;
        for (size_t j = 0; passes && row > 0 && j < plan->extract_count; j++) {
            query_block_column(block, plan->to[j])[block->picks[i]] =
                query_value_of_text(csv_table_cell(plan->table, row - 1, plan->cells[j]));
        }
        block->picks[kept] = block->picks[i];
        kept += passes ? 1 : 0;
    }
    block->count = kept;
    buf_deinit(&key);
    return 0;
}

static int run_enrich(const void *pointer, void *state, struct query_block *block)
{
    (void)state;
    const struct plan *plan = pointer;
    if (plan->resource != NULL && plan->table == NULL) {
        return err_set(ERR_UNAVAILABLE, "resource '%.64s' is not here", plan->resource);
    }
    if (plan->table != NULL && csv_table_rows(plan->table) == 0) {
        return 0;
    }
    for (size_t j = 0; j < plan->extract_count; j++) {
        struct span text =
            plan->table == NULL ? plan->from[j] : csv_table_cell(plan->table, 0, plan->cells[j]);
        for (size_t i = 0; i < block->count; i++) {
            struct query_value old;
            if (plan->inverted || !query_block_get(block, block->picks[i], plan->to[j], &old)) {
                query_block_column(block, plan->to[j])[block->picks[i]] = query_value_of_text(text);
            }
        }
    }
    return 0;
}

static void tell(const void *pointer, query_tell *each, void *context)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->extract_count; i++) {
        each(context, plan->to[i]);
    }
}

const struct query_module query_module_lookup = {
    .name = "lookup",
    .summary = "adds values from a table, or filters by it",
    .parse = parse_lookup,
    .free = free_plan,
    .load = load,
    .run = run_lookup,
    .tell = tell,
    .uses = uses,
};

const struct query_module query_module_enrich = {
    .name = "enrich",
    .summary = "sets values of all entries",
    .parse = parse_enrich,
    .free = free_plan,
    .load = load,
    .run = run_enrich,
    .tell = tell,
    .uses = uses,
};
