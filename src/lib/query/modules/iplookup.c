/*
 * iplookup -r resource -e value [-s] [-v] [-cidr CIDR] [column [as name] …]
 *
 * The row of the table whose network (in its column CIDR) has the address, the smallest such
 * network, gives its cells. None: the entry passes without, with -s it is dropped; -v drops those
 * that have one, and takes no columns. Runs where resources are. Tested by lookup_test.c.
 */
#include "base/map.h"
#include "query/modules/address.h"
#include "query/modules/modules.h"
#include "query/modules/table.h"

#define NAMES_MAX 32
#define LENGTHS 129

enum { FLAG_R, FLAG_E, FLAG_S, FLAG_V, FLAG_CIDR };

static const struct query_flag flags[] = {[FLAG_R] = {"r", true},
                                          [FLAG_E] = {"e", true},
                                          [FLAG_S] = {"s", false},
                                          [FLAG_V] = {"v", false},
                                          [FLAG_CIDR] = {"cidr", true}};

struct plan {
    const char *given[ARRAY_COUNT(flags)];
    bool strict;
    bool inverted;
    struct span from[NAMES_MAX];
    struct span to[NAMES_MAX];
    size_t count;

    /* Once loaded. */
    struct table *table;
    struct map
        rows[LENGTHS]; /* by address, of networks of that length: number of the row, from 1 */
    size_t cells[NAMES_MAX];
};

static int parse(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    plan->given[FLAG_CIDR] = "CIDR";
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        plan->given[flag] = value;
        plan->strict = plan->strict || flag == FLAG_S;
        plan->inverted = plan->inverted || flag == FLAG_V;
    }
    if (rc > 0 && (plan->given[FLAG_R] == NULL || plan->given[FLAG_E] == NULL)) {
        return query_args_fault(args, "-r (a resource) and -e (a value) are needed");
    }
    rc = rc < 0
             ? rc
             : query_args_renames(args, "columns", plan->from, plan->to, NAMES_MAX, &plan->count);
    if (rc == 0 && plan->inverted && plan->count > 0) {
        return query_args_fault(args, "-v passes what has no row: there are no columns to take");
    }
    return rc == 0 && plan->count == 0 && !plan->strict && !plan->inverted
               ? query_args_fault(args, "what to extract is missing; none goes with -s or -v")
               : rc;
}

/* ── Loading ─────────────────────────────────────────────────────────────────────────────── */

static int find_column(const struct plan *plan, struct span name, size_t *ret_column)
{
    return csv_table_find(plan->table, name, ret_column)
               ? 0
               : err_set(ERR_INVALID, "resource '%.64s' has no column '%.*s'", plan->given[FLAG_R],
                         SPAN_ARG(span_first(name, 64)));
}

/* The first row of a network counts. */
static int index_rows(struct plan *plan)
{
    size_t cidr = 0;
    int rc = find_column(plan, span_of_str(plan->given[FLAG_CIDR]), &cidr);
    for (size_t i = 0; rc == 0 && i < plan->count; i++) {
        rc = find_column(plan, plan->from[i], &plan->cells[i]);
    }
    for (size_t row = 0; rc == 0 && row < csv_table_rows(plan->table); row++) {
        struct address_set set;
        struct span text = span_trim(csv_table_cell(plan->table, row, cidr));
        if (!address_set_parse(text, &set) || set.count != 1) {
            rc = err_set(ERR_INVALID, "resource '%.64s', row %zu: '%.*s' is no network",
                         plan->given[FLAG_R], row + 1, SPAN_ARG(span_first(text, 64)));
            break;
        }
        struct map *rows = &plan->rows[set.networks[0].bits];
        struct span key = span_of(set.networks[0].ip, ENTRY_SOURCE_BYTES);
        if (map_get(rows, key) == NULL) {
            (void)map_put(rows, key, (void *)(uintptr_t)(row + 1));
        }
    }
    return rc;
}

static int load(void *pointer, query_resource *resource, void *context)
{
    struct plan *plan = pointer;
    struct buf contents = {0};
    if (plan->table != NULL) {
        return 0;
    }
    int rc = resource(context, plan->given[FLAG_R], &contents);
    bool later = rc == QUERY_RESOURCE_LATER;
    rc = rc != 0 ? rc : csv_table_new(buf_span(&contents), &plan->table);
    buf_deinit(&contents);
    if (later) {
        return 0;
    }
    return rc < 0 ? err_wrap(rc, "resource '%.64s'", plan->given[FLAG_R]) : index_rows(plan);
}

static void free_plan(void *pointer)
{
    struct plan *plan = pointer;
    csv_table_free(&plan->table);
    for (size_t i = 0; i < LENGTHS; i++) {
        map_deinit(&plan->rows[i]);
    }
}

/* ── Running ─────────────────────────────────────────────────────────────────────────────── */

/* The number of the row, from 1; 0: none. */
static size_t row_of(const struct plan *plan, const struct query_block *block, size_t index)
{
    struct query_value value;
    uint8_t ip[ENTRY_SOURCE_BYTES];
    size_t row = 0;
    if (!query_block_get(block, index, span_of_str(plan->given[FLAG_E]), &value) ||
        !query_value_ip(&value, ip)) {
        return 0;
    }
    for (size_t bits = LENGTHS; bits-- > 0 && row == 0;) {
        if (plan->rows[bits].count > 0) {
            address_mask(ip, (unsigned)bits);
            row = (size_t)(uintptr_t)map_get(&plan->rows[bits], span_of(ip, sizeof(ip)));
        }
    }
    return row;
}

static int run(const void *pointer, void *state, struct query_block *block)
{
    (void)state;
    const struct plan *plan = pointer;
    size_t kept = 0;
    if (plan->table == NULL) {
        return err_set(ERR_UNAVAILABLE, "resource '%.64s' is not here", plan->given[FLAG_R]);
    }
    for (size_t i = 0; i < block->count; i++) {
        size_t row = row_of(plan, block, block->picks[i]);
        for (size_t j = 0; row > 0 && j < plan->count; j++) {
            query_block_column(block, plan->to[j])[block->picks[i]] =
                query_value_of_text(csv_table_cell(plan->table, row - 1, plan->cells[j]));
        }
        block->picks[kept] = block->picks[i];
        kept += plan->inverted ? row == 0 : row > 0 || !plan->strict;
    }
    block->count = kept;
    return 0;
}

static bool uses(const void *pointer, struct span name)
{
    const char *value = ((const struct plan *)pointer)->given[FLAG_E];
    return span_equal_str(name, value);
}

static void tell(const void *pointer, query_tell *each, void *context)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        each(context, plan->to[i]);
    }
}

const struct query_module query_module_iplookup = {
    .name = "iplookup",
    .summary = "adds values from a table of networks",
    .parse = parse,
    .free = free_plan,
    .load = load,
    .run = run,
    .tell = tell,
    .uses = uses,
};
