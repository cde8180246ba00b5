/*
 * fdg [-b] [-v value] [-sg group] [-dg group] source destination: a weighted graph.
 *
 *     {"nodes":[{"name":"web9","group":0}],"links":[{"value":7,"source":0,"target":1}],
 *      "groups":["lan"]}
 *
 * A link weighs as many rows as it has, or the sum of their value; -b: both directions are one.
 * Tested by renderers_test.c.
 */
#include <math.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "query/modules/modules.h"
#include "query/renderers/label.h"

#define NODES_MAX 10000

enum { FLAG_B, FLAG_V, FLAG_SG, FLAG_DG };

static const struct query_flag flags[] = {[FLAG_B] = {"b", false},
                                          [FLAG_V] = {"v", true},
                                          [FLAG_SG] = {"sg", true},
                                          [FLAG_DG] = {"dg", true}};

struct plan {
    bool both;
    struct span value; /* empty: rows are counted */
    struct span groups[2];
    struct span names[2]; /* source, destination */
};

struct link {
    size_t from, to;
    double value;
};

struct node {
    char *name; /* owned */
    size_t group;
};

struct graph {
    struct map nodes_by_name;
    VEC(struct node) nodes;
    struct map groups_by_name;
    VEC(char *) groups; /* owned */
    struct map links_by_ends;
    VEC(struct link) links;
};

static int parse(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    size_t flag = 0;
    size_t count = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        plan->both = plan->both || flag == FLAG_B;
        plan->value = flag == FLAG_V ? span_of_str(value) : plan->value;
        plan->groups[0] = flag == FLAG_SG ? span_of_str(value) : plan->groups[0];
        plan->groups[1] = flag == FLAG_DG ? span_of_str(value) : plan->groups[1];
    }
    rc = rc < 0 ? rc : query_args_names(args, plan->names, 2, &count);
    return rc == 0 && count != 2
               ? query_args_fault(args, "two names are needed: source, destination")
               : rc;
}

static bool uses(const void *pointer, struct span name)
{
    const struct plan *plan = pointer;
    return span_equal(plan->value, name) || label_has(plan->groups, 2, name) ||
           label_has(plan->names, 2, name);
}

static bool by_time(const void *plan)
{
    (void)plan;
    return false;
}

/* Numbers in maps stand as pointers, from 1. */
static size_t known(const struct map *map, struct span key)
{
    return (size_t)(uintptr_t)map_get(map, key);
}

static size_t group_of(struct graph *graph, struct span name)
{
    size_t number = known(&graph->groups_by_name, name);
    if (number == 0) {
        const char *text = name.bytes > 0 ? (const char *)name.data : "";
        vec_push(&graph->groups, mem_strndup(text, name.bytes));
        number = graph->groups.count;
        (void)map_put(&graph->groups_by_name, name, (void *)(uintptr_t)number);
    }
    return number - 1;
}

/* False: there are too many nodes. */
static bool node_of(struct graph *graph, struct span name, struct span group, size_t *ret_node)
{
    size_t number = known(&graph->nodes_by_name, name);
    if (number == 0) {
        if (graph->nodes.count == NODES_MAX) {
            return false;
        }
        const char *text = name.bytes > 0 ? (const char *)name.data : "";
        struct node node = {mem_strndup(text, name.bytes), group_of(graph, group)};
        vec_push(&graph->nodes, node);
        number = graph->nodes.count;
        (void)map_put(&graph->nodes_by_name, name, (void *)(uintptr_t)number);
    }
    *ret_node = number - 1;
    return true;
}

static void add_link(const struct plan *plan, struct graph *graph, size_t from, size_t to,
                     double value)
{
    size_t ends[2] = {from, to};
    if (plan->both && from > to) {
        ends[0] = to;
        ends[1] = from;
    }
    size_t number = known(&graph->links_by_ends, span_of(ends, sizeof(ends)));
    if (number == 0) {
        struct link link = {.from = ends[0], .to = ends[1]};
        vec_push(&graph->links, link);
        number = graph->links.count;
        (void)map_put(&graph->links_by_ends, span_of(ends, sizeof(ends)),
                      (void *)(uintptr_t)number);
    }
    graph->links.items[number - 1].value += value;
}

static void add_row(const struct plan *plan, struct graph *graph, const struct query_block *rows,
                    size_t index)
{
    struct buf names[2] = {{0}};
    struct buf groups[2] = {{0}};
    size_t nodes[2] = {0};
    double value = 1;
    bool whole = plan->value.bytes == 0 || label_number(rows, index, plan->value, &value);
    for (size_t i = 0; i < 2 && whole; i++) {
        whole = label_put(rows, index, &plan->names[i], 1, &names[i]);
        if (plan->groups[i].bytes > 0) {
            (void)label_put(rows, index, &plan->groups[i], 1, &groups[i]);
        }
        whole = whole && node_of(graph, buf_span(&names[i]), buf_span(&groups[i]), &nodes[i]);
    }
    if (whole) {
        add_link(plan, graph, nodes[0], nodes[1], value);
    }
    for (size_t i = 0; i < 2; i++) {
        buf_deinit(&names[i]);
        buf_deinit(&groups[i]);
    }
}

static void put(const struct graph *graph, struct buf *buf)
{
    buf_append_str(buf, "{\"nodes\":[");
    for (size_t i = 0; i < graph->nodes.count; i++) {
        buf_append_str(buf, i > 0 ? ",{\"name\":" : "{\"name\":");
        text_json_string(buf, span_of_str(graph->nodes.items[i].name));
        buf_printf(buf, ",\"group\":%zu}", graph->nodes.items[i].group);
    }
    buf_append_str(buf, "],\"links\":[");
    for (size_t i = 0; i < graph->links.count; i++) {
        const struct link *link = &graph->links.items[i];
        double whole = fmax(fmin(link->value, 9.2e18), -9.2e18);
        buf_printf(buf, "%s{\"value\":%lld,\"source\":%zu,\"target\":%zu}", i > 0 ? "," : "",
                   llround(whole), link->from, link->to);
    }
    buf_append_str(buf, "],\"groups\":[");
    for (size_t i = 0; i < graph->groups.count; i++) {
        buf_append_str(buf, i > 0 ? "," : "");
        text_json_string(buf, span_of_str(graph->groups.items[i]));
    }
    buf_append_str(buf, "]}");
}

static void entries(const void *plan, const struct query_block *rows, struct buf *buf)
{
    struct graph graph = {0};
    for (size_t i = 0; i < rows->count; i++) {
        add_row(plan, &graph, rows, rows->picks[i]);
    }
    put(&graph, buf);
    for (size_t i = 0; i < graph.nodes.count; i++) {
        mem_free(graph.nodes.items[i].name);
    }
    for (size_t i = 0; i < graph.groups.count; i++) {
        mem_free(graph.groups.items[i]);
    }
    vec_deinit(&graph.nodes);
    vec_deinit(&graph.groups);
    vec_deinit(&graph.links);
    map_deinit(&graph.nodes_by_name);
    map_deinit(&graph.groups_by_name);
    map_deinit(&graph.links_by_ends);
}

static void text(struct span data, struct buf *buf)
{
    buf_append(buf, data);
}

static const char *const formats[] = {"text", "json", "csv", NULL};

const struct query_renderer query_renderer_fdg = {
    .name = "fdg",
    .summary = "a weighted graph of sources and destinations",
    .text = text,
    .formats = formats,
    .parse = parse,
    .uses = uses,
    .by_time = by_time,
    .entries = entries,
    .whole = true,
};
