/*
 * dump -r resource [-p] [-t column] [column [OP value] [as name] …]
 *
 * The rows of a table become entries, their cells values. Without columns, or when all that are
 * named have filters, all columns. -t: the time of a row is in this column; else it is now, or the
 * end of the range when that is earlier. Without -p nothing else is in the stream: the indexers are
 * not asked for any entries. Runs where resources are. Tested by lookup_test.c.
 */
#include "base/mem.h"
#include "query/modules/extract.h"
#include "query/modules/modules.h"
#include "query/modules/table.h"
#include "query/range.h"

#define BLOCK_ROWS 1024

enum { FLAG_R, FLAG_P, FLAG_T };

static const struct query_flag flags[] = {
    [FLAG_R] = {"r", true}, [FLAG_P] = {"p", false}, [FLAG_T] = {"t", true}};

struct plan {
    struct extract_plan extract; /* items */
    const char *resource;
    const char *time; /* column, or NULL */
    bool with_others;
    int64_t now_ns;

    /* Once loaded. */
    struct table *table;
    size_t cells[EXTRACT_ITEMS_MAX];
    size_t time_cell;
    bool all;
};

struct state {
    size_t next; /* row */
    VEC(struct entry) entries;
    VEC(uint32_t) picks;
    struct buf bytes;
};

static int parse_column(struct query_args *args, struct extract_plan *plan,
                        struct extract_item *item)
{
    (void)plan;
    const struct query_token *token = &args->tokens[args->next];
    if (token->kind == QUERY_TOKEN_PUNCT || token->kind == QUERY_TOKEN_OP) {
        return query_fault(args->error, token->offset, token->bytes,
                           "dump: the name of a column was expected");
    }
    struct span *column = ARENA_NEW(args->arena, struct span);
    *column = item->name = arena_span_dup(args->arena, token->text);
    item->path = column;
    args->next++;
    return 0;
}

static const struct extract_way way = {.path = parse_column};

static int parse(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    plan->extract.way = &way;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        plan->resource = flag == FLAG_R ? value : plan->resource;
        plan->time = flag == FLAG_T ? value : plan->time;
        plan->with_others = plan->with_others || flag == FLAG_P;
    }
    if (rc < 0 || plan->resource == NULL) {
        return rc < 0 ? rc : query_args_fault(args, "-r and the name of a resource are missing");
    }
    if (plan->with_others && plan->time != NULL) {
        return query_args_fault(args, "-p and -t do not go together");
    }
    return args->next < args->count ? extract_parse_items(args, &plan->extract) : 0;
}

/* Rows without a time of their own are seen in the range of the query. */
static void settle(void *pointer, const struct query *query, size_t stage)
{
    struct plan *plan = pointer;
    (void)stage;
    plan->now_ns = MAX(MIN(query->now_ns, query->end_ns - 1), query->start_ns);
}

/* ── Loading ─────────────────────────────────────────────────────────────────────────────── */

static int find_column(const struct plan *plan, struct span name, size_t *ret_column)
{
    return csv_table_find(plan->table, name, ret_column)
               ? 0
               : err_set(ERR_INVALID, "resource '%.64s' has no column '%.*s'", plan->resource,
                         SPAN_ARG(span_first(name, 64)));
}

static int load(void *pointer, query_resource *resource, void *context)
{
    struct plan *plan = pointer;
    struct buf contents = {0};
    if (plan->table != NULL) {
        return 0;
    }
    int rc = resource(context, plan->resource, &contents);
    bool later = rc == QUERY_RESOURCE_LATER;
    rc = rc != 0 ? rc : csv_table_new(buf_span(&contents), &plan->table);
    buf_deinit(&contents);
    if (later || rc < 0) {
        return later ? 0 : err_wrap(rc, "resource '%.64s'", plan->resource);
    }
    plan->all = true;
    for (size_t i = 0; rc == 0 && i < plan->extract.count; i++) {
        const struct extract_item *item = &plan->extract.items[i];
        plan->all = plan->all && item->filter.op != EXTRACT_NONE;
        rc = find_column(plan, *(const struct span *)item->path, &plan->cells[i]);
    }
    return rc < 0 || plan->time == NULL
               ? rc
               : find_column(plan, span_of_str(plan->time), &plan->time_cell);
}

static void free_plan(void *pointer)
{
    csv_table_free(&((struct plan *)pointer)->table);
}

/* ── Running ─────────────────────────────────────────────────────────────────────────────── */

static int start(const void *plan, void **ret_state)
{
    (void)plan;
    *ret_state = MEM_NEW(struct state);
    return 0;
}

static void stop(void *pointer)
{
    struct state *state = pointer;
    vec_deinit(&state->entries);
    vec_deinit(&state->picks);
    buf_deinit(&state->bytes);
    mem_free(state);
}

static int run(const void *plan, void *state, struct query_block *block)
{
    (void)state;
    block->count = ((const struct plan *)plan)->with_others ? block->count : 0;
    return 0;
}

static bool passes(const struct plan *plan, size_t row)
{
    for (size_t i = 0; i < plan->extract.count; i++) {
        struct query_value value =
            query_value_of_text(csv_table_cell(plan->table, row, plan->cells[i]));
        if (!extract_passes(&plan->extract.items[i].filter, false, &value)) {
            return false;
        }
    }
    return true;
}

static int64_t time_of(const struct plan *plan, size_t row)
{
    struct query_time time;
    struct span text =
        plan->time == NULL ? SPAN_NONE : csv_table_cell(plan->table, row, plan->time_cell);
    return text.bytes > 0 && query_time_parse(text, &time) && time.base == QUERY_TIME_ABSOLUTE
               ? time.ns
               : plan->now_ns;
}

/* The data is the row, its cells with commas between them; where it stands is put in later. */
static void put_row(const struct plan *plan, struct state *state, size_t row)
{
    struct entry entry = {.time_ns = time_of(plan, row)};
    size_t begin = state->bytes.bytes;
    size_t columns = csv_table_columns(plan->table);
    for (size_t i = 0; i < columns; i++) {
        buf_append_str(&state->bytes, i > 0 ? "," : "");
        buf_append(&state->bytes, csv_table_cell(plan->table, row, i));
    }
    entry.data.bytes = state->bytes.bytes - begin;
    size_t evs = series_evs_begin(&state->bytes);
    for (size_t i = 0; plan->all && i < columns; i++) {
        struct query_value value = query_value_of_text(csv_table_cell(plan->table, row, i));
        query_value_put_ev(&value, csv_table_name(plan->table, i), &state->bytes, evs);
    }
    for (size_t i = 0; i < plan->extract.count; i++) {
        const struct extract_item *item = &plan->extract.items[i];
        struct query_value value =
            query_value_of_text(csv_table_cell(plan->table, row, plan->cells[i]));
        if (!plan->all || !span_equal(item->name, *(const struct span *)item->path)) {
            query_value_put_ev(&value, item->name, &state->bytes, evs);
        }
    }
    entry.enumerated.bytes = state->bytes.bytes - begin - entry.data.bytes;
    vec_push(&state->picks, (uint32_t)state->entries.count);
    vec_push(&state->entries, entry);
}

static int finish(const void *pointer, void *state_pointer, struct query_block *block)
{
    const struct plan *plan = pointer;
    struct state *state = state_pointer;
    if (plan->table == NULL) {
        return err_set(ERR_UNAVAILABLE, "resource '%.64s' is not here", plan->resource);
    }
    vec_clear(&state->entries);
    vec_clear(&state->picks);
    buf_clear(&state->bytes);
    for (; state->next < csv_table_rows(plan->table) && state->entries.count < BLOCK_ROWS;
         state->next++) {
        if (passes(plan, state->next)) {
            put_row(plan, state, state->next);
        }
    }
    const uint8_t *at = state->bytes.data;
    for (size_t i = 0; i < state->entries.count; i++) {
        struct entry *entry = &state->entries.items[i];
        entry->data.data = at;
        entry->enumerated.data = at + entry->data.bytes;
        at += entry->data.bytes + entry->enumerated.bytes;
    }
    block->entries = state->entries.items;
    block->picks = state->picks.items;
    block->count = state->entries.count;
    return state->entries.count == 0 ? QUERY_MODULE_END : 0;
}

static bool merged(const void *plan)
{
    (void)plan;
    return true;
}

static bool uses(const void *plan, struct span name)
{
    (void)plan;
    (void)name;
    return false;
}

static uint64_t first_needed(const void *plan)
{
    return ((const struct plan *)plan)->with_others ? UINT64_MAX : 0;
}

static void tell(const void *pointer, query_tell *each, void *context)
{
    extract_tell(&((const struct plan *)pointer)->extract, each, context);
}

const struct query_module query_module_dump = {
    .name = "dump",
    .summary = "makes entries of the rows of a table",
    .parse = parse,
    .free = free_plan,
    .start = start,
    .stop = stop,
    .load = load,
    .settle = settle,
    .run = run,
    .tell = tell,
    .finish = finish,
    .uses = uses,
    .merged = merged,
    .first_needed = first_needed,
};
