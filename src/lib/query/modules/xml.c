/*
 * xml [-e value] [-s] item …
 *
 * item = A.B.C, the text of the first such element, its inner XML if it has elements in it;
 * A.B.C[Attr], an attribute; [OP value] [as name]. With a filter the first element that meets it
 * is meant; A.B[Attr]=="v" is the text of the element whose attribute meets it.
 * Tested by extraction_test.c.
 */
#include "query/modules/extract.h"
#include "query/modules/modules.h"
#include "query/modules/xml_scan.h"

struct path {
    struct xml_path path;
    struct span attribute; /* empty: none */
};

struct search {
    const struct extract_item *item;
    struct arena *arena;
    struct query_value *ret_value;
    bool unmet; /* there was an element, but not as the filter wants it */
};

static bool glued(const struct query_args *args, char punct)
{
    return args->next < args->count && args->tokens[args->next].glued &&
           query_token_is(&args->tokens[args->next], punct);
}

static int parse_attribute(struct query_args *args, struct path *path)
{
    const struct query_token *open = &args->tokens[args->next];
    if (args->next + 2 >= args->count || !query_token_is(&open[2], ']') ||
        open[1].kind == QUERY_TOKEN_PUNCT) {
        return query_fault(args->error, open->offset, 1, "xml: [Attribute] was expected");
    }
    path->attribute = arena_span_dup(args->arena, open[1].text);
    args->next += 3;
    return 0;
}

static int parse_path(struct query_args *args, struct extract_plan *plan, struct extract_item *item)
{
    (void)plan;
    struct path *path = ARENA_NEW(args->arena, struct path);
    item->path = path;
    for (bool more = true; more;) {
        if (args->next == args->count || args->tokens[args->next].kind == QUERY_TOKEN_PUNCT ||
            args->tokens[args->next].kind == QUERY_TOKEN_OP) {
            return query_args_fault(args, "the name of an element was expected");
        }
        if (path->path.count == XML_SCAN_DEPTH_MAX) {
            return query_args_fault(args, "a path has at most %d steps", XML_SCAN_DEPTH_MAX);
        }
        item->name = arena_span_dup(args->arena, args->tokens[args->next++].text);
        path->path.steps[path->path.count++] = item->name;
        more = glued(args, '.');
        args->next += more ? 1 : 0;
    }
    int rc = glued(args, '[') ? parse_attribute(args, path) : 0;
    bool filter = args->next < args->count && args->tokens[args->next].kind == QUERY_TOKEN_OP;
    item->name = path->attribute.bytes > 0 && !filter ? path->attribute : item->name;
    item->met = true;
    return rc;
}

/* Takes the first element that meets the filter. */
static bool look(void *context, const struct xml_element *element)
{
    struct search *search = context;
    const struct path *path = search->item->path;
    const struct extract_filter *filter = &search->item->filter;
    struct query_value text = query_value_of_text(
        element->leaf ? xml_decode(element->inner, search->arena) : element->inner);
    struct query_value compared = text;
    if (path->attribute.bytes > 0) {
        struct span attribute;
        if (!xml_attribute(element->attributes, path->attribute, &attribute)) {
            return true;
        }
        compared = query_value_of_text(xml_decode(attribute, search->arena));
        text = filter->op == EXTRACT_NONE ? compared : text;
    }
    search->unmet = !extract_passes(filter, false, &compared);
    if (search->unmet) {
        return true;
    }
    *search->ret_value = text;
    return false;
}

static bool find(const struct extract_plan *plan, void *state, struct span data,
                 struct arena *arena, struct extract_found *found)
{
    (void)state;
    for (size_t i = 0; i < plan->count; i++) {
        const struct extract_item *item = &plan->items[i];
        const struct path *path = item->path;
        struct search search = {item, arena, &found->values[i], false};
        found->broken |= item->wanted && !xml_scan(data, &path->path, look, &search);
        if (search.unmet) {
            return false;
        }
    }
    return true;
}

static const struct extract_way way = {.path = parse_path, .find = find};

static int parse(struct query_args *args, void **ret_plan)
{
    return extract_parse(args, &way, ret_plan);
}

const struct query_module query_module_xml = {
    .name = "xml",
    .summary = "takes texts and attributes of XML elements by their paths",
    .parse = parse,
    .run = extract_run,
    .uses = extract_uses,
    .settle = extract_settle,
    .tell = extract_tell,
};
