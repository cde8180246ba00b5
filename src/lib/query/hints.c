#include "query/hints.h"

#include "query/module.h"
#include "query/modules/modules.h"

size_t query_hints(const struct query *query, struct query_hint *ret_hints, size_t *ret_collapsing)
{
    size_t count = 0;
    bool found = false;
    bool sorted = true;
    *ret_collapsing = 0;
    for (size_t i = 0; i + 1 < query->stage_count; i++) {
        const struct query_module *module = query->stages[i].module;
        bool split = module->collapser != NULL && i == query->collapse;
        sorted = sorted && module != &query_module_nosort;
        if (split) {
            ret_hints[count++] = (struct query_hint){.name = module->name, .stage = i};
        }
        if (module->condensing && !found) {
            found = true;
            *ret_collapsing = count;
        }
        ret_hints[count++] = (struct query_hint){
            .name = split ? module->collapser : module->name,
            .condensing = module->condensing,
            .stage = i,
        };
    }
    if (count > 0) { /* the merge by time */
        *ret_collapsing = found ? *ret_collapsing : count;
        if (sorted) {
            ret_hints[count++] =
                (struct query_hint){.name = "sort", .condensing = true, .stage = SIZE_MAX};
        }
    }
    return count;
}

static void add(void *context, struct span name)
{
    struct query_hint_names *names = context;
    for (size_t i = 0; i < names->count; i++) {
        if (span_equal(names->items[i], name)) {
            return;
        }
    }
    if (names->count < QUERY_HINT_NAMES_MAX && name.bytes > 0) {
        names->items[names->count++] = name;
    }
}

void query_hint_produced(const struct query *query, size_t stage, struct query_hint_names *names)
{
    const struct query_stage *at = &query->stages[stage];
    names->count = 0;
    if (at->module != NULL && at->module->tell != NULL) {
        at->module->tell(at->plan, add, names);
    }
}

/* The words of the stage, quoted ones too, without its name: they live in the query's text. */
static void add_words(struct span text, struct query_hint_names *names)
{
    static const char ends[] = " \t\r\n|@{};=<>~!.#$%^&*()[]?,:/+\"`";
    while (text.bytes > 0) {
        size_t bytes = 0;
        while (bytes < text.bytes && strchr(ends, text.data[bytes]) == NULL) {
            bytes++;
        }
        add(names, span_first(text, bytes));
        text = span_from(text, MIN(bytes + 1, text.bytes));
    }
}

void query_hint_consumed(const struct query *query, size_t stage, struct query_hint_names *names)
{
    static const char *const universal[] = {"SRC", "TAG", "TIMESTAMP", "DATA"};
    const struct query_stage *at = &query->stages[stage];
    const struct query_renderer *renderer = query->renderer;
    struct query_hint_names candidates = {.count = 0};
    bool last = at->module == NULL;
    bool (*uses)(const void *plan, struct span name) = last ? renderer->uses : at->module->uses;
    names->count = 0;
    for (size_t i = 0; i < stage; i++) {
        if (query->stages[i].module->tell != NULL) {
            query->stages[i].module->tell(query->stages[i].plan, add, &candidates);
        }
    }
    add_words(span_of_str(at->text), &candidates);
    for (size_t i = 0; i < ARRAY_COUNT(universal); i++) {
        add(&candidates, span_of_str(universal[i]));
    }
    for (size_t i = 0; uses != NULL && i < candidates.count; i++) {
        if (uses(at->plan, candidates.items[i])) {
            add(names, candidates.items[i]);
        }
    }
}
