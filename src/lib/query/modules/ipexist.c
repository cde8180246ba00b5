/*
 * ipexist [-or] [-v] -r resource [-r …] value …
 *
 * Passes entries whose values all (-or: any of them) are addresses of the set; -v: the others. A
 * set is a text of addresses, one a line; a first line that is none is a heading, so that a CSV of
 * one column is a set too. Several resources are one set. Runs where resources are.
 * Tested by lookup_test.c.
 */
#include <stdlib.h>

#include "base/vec.h"
#include "query/modules/modules.h"

#define NAMES_MAX 64
#define RESOURCES_MAX 16

enum { FLAG_R, FLAG_V, FLAG_OR };

static const struct query_flag flags[] = {
    [FLAG_R] = {"r", true}, [FLAG_V] = {"v", false}, [FLAG_OR] = {"or", false}};

struct address {
    uint8_t bytes[ENTRY_SOURCE_BYTES];
};

struct plan {
    const char *resources[RESOURCES_MAX];
    bool loaded[RESOURCES_MAX];
    size_t resource_count;
    struct span names[NAMES_MAX];
    size_t count;
    bool any;
    bool inverted;
    VEC(struct address) set; /* in order */
};

static int parse(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        plan->any = plan->any || flag == FLAG_OR;
        plan->inverted = plan->inverted || flag == FLAG_V;
        if (flag == FLAG_R && plan->resource_count == RESOURCES_MAX) {
            return query_args_fault(args, "more than %d resources", RESOURCES_MAX);
        }
        if (flag == FLAG_R) {
            plan->resources[plan->resource_count++] = value;
        }
    }
    if (rc > 0 && plan->resource_count == 0) {
        return query_args_fault(args, "-r and the name of a resource are missing");
    }
    rc = rc < 0 ? rc : query_args_names(args, plan->names, NAMES_MAX, &plan->count);
    return rc == 0 && plan->count == 0 ? query_args_fault(args, "a name is missing") : rc;
}

/* ── Loading ─────────────────────────────────────────────────────────────────────────────── */

static struct span unquoted(struct span line)
{
    line = span_trim(line);
    bool quoted = line.bytes > 1 && line.data[0] == '"' && line.data[line.bytes - 1] == '"';
    return quoted ? span_first(span_from(line, 1), line.bytes - 2) : line;
}

static int read_set(struct plan *plan, struct span rest)
{
    for (size_t number = 1; rest.bytes > 0; number++) {
        ptrdiff_t end = span_find_byte(rest, '\n');
        struct span line = unquoted(end < 0 ? rest : span_first(rest, (size_t)end));
        struct address address;
        rest = end < 0 ? SPAN_NONE : span_from(rest, (size_t)end + 1);
        if (line.bytes > 0 && entry_source_parse(line, address.bytes)) {
            vec_push(&plan->set, address);
        } else if (line.bytes > 0 && number > 1) {
            return err_set(ERR_INVALID, "line %zu: '%.*s' is no address", number,
                           SPAN_ARG(span_first(line, 64)));
        }
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct address));
}

static int load(void *pointer, query_resource *resource, void *context)
{
    struct plan *plan = pointer;
    for (size_t i = 0; i < plan->resource_count; i++) {
        struct buf contents = {0};
        int rc = plan->loaded[i] ? QUERY_RESOURCE_LATER
                                 : resource(context, plan->resources[i], &contents);
        if (rc == 0) {
            rc = read_set(plan, buf_span(&contents));
            plan->loaded[i] = rc == 0;
        }
        buf_deinit(&contents);
        if (rc < 0) {
            return err_wrap(rc, "resource '%.64s'", plan->resources[i]);
        }
    }
    if (plan->set.count > 1) {
        qsort(plan->set.items, plan->set.count, sizeof(struct address), compare);
    }
    return 0;
}

static void free_plan(void *pointer)
{
    struct plan *plan = pointer;
    vec_deinit(&plan->set);
}

/* ── Running ─────────────────────────────────────────────────────────────────────────────── */

static bool exists(const struct plan *plan, const struct query_block *block, size_t index,
                   struct span name)
{
    struct query_value value;
    struct address address;
    return plan->set.count > 0 && query_block_get(block, index, name, &value) &&
           query_value_ip(&value, address.bytes) &&
           bsearch(&address, plan->set.items, plan->set.count, sizeof(address), compare) != NULL;
}

static int run(const void *pointer, void *state, struct query_block *block)
{
    (void)state;
    const struct plan *plan = pointer;
    size_t kept = 0;
    for (size_t i = 0; i < plan->resource_count; i++) {
        if (!plan->loaded[i]) {
            return err_set(ERR_UNAVAILABLE, "resource '%.64s' is not here", plan->resources[i]);
        }
    }
    for (size_t i = 0; i < block->count; i++) {
        bool met = !plan->any;
        for (size_t j = 0; j < plan->count && met == !plan->any; j++) {
            met = exists(plan, block, block->picks[i], plan->names[j]);
        }
        block->picks[kept] = block->picks[i];
        kept += met != plan->inverted ? 1 : 0;
    }
    block->count = kept;
    return 0;
}

static bool uses(const void *pointer, struct span name)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        if (span_equal(plan->names[i], name)) {
            return true;
        }
    }
    return false;
}

const struct query_module query_module_ipexist = {
    .name = "ipexist",
    .summary = "filters by a set of addresses",
    .parse = parse,
    .free = free_plan,
    .load = load,
    .run = run,
    .uses = uses,
};
