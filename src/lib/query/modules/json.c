/*
 * json [-e value] [-s] [-x name] item …
 *
 * item = path [OP value] [as name]; path = names joined by dots, "quoted" where they hold reserved
 * characters, [3] an element, [] the first element that has the rest. -x: the array in the value
 * `name` becomes an entry for each element.
 * Tested by modules_test.c.
 */
#include "base/vec.h"
#include "query/modules/extract.h"
#include "query/modules/json_scan.h"
#include "query/modules/modules.h"

enum { FLAG_E, FLAG_S, FLAG_X };

static const struct query_flag flags[] = {
    [FLAG_E] = {"e", true}, [FLAG_S] = {"s", false}, [FLAG_X] = {"x", true}};

struct own {
    const char *exploded; /* -x; NULL: none */
    const struct json_path *paths[EXTRACT_ITEMS_MAX];
    uint64_t wanted;
};

static const struct query_token *peek(const struct query_args *args, size_t ahead)
{
    return args->next + ahead < args->count ? &args->tokens[args->next + ahead] : NULL;
}

static bool glued(const struct query_args *args, char punct)
{
    const struct query_token *token = peek(args, 0);
    return token != NULL && token->glued && query_token_is(token, punct);
}

static int parse_element(struct query_args *args, struct extract_item *item, struct json_step *step)
{
    const struct query_token *after = peek(args, 1);
    if (after != NULL && query_token_is(after, ']')) {
        args->next += 2;
        step->kind = JSON_STEP_ANY;
        item->name = span_of_str("[]");
        return 0;
    }
    step->kind = JSON_STEP_INDEX;
    struct span text;
    int rc = extract_parse_index(args, &step->index, &text);
    if (rc == 0) {
        item->name = span_of_str(arena_printf(args->arena, "[%.*s]", SPAN_ARG(text)));
    }
    return rc;
}

static int parse_step(struct query_args *args, struct extract_item *item, struct json_step *step)
{
    const struct query_token *token = peek(args, 0);
    if (token != NULL && query_token_is(token, '[')) {
        return parse_element(args, item, step);
    }
    if (token == NULL || token->kind == QUERY_TOKEN_PUNCT || token->kind == QUERY_TOKEN_OP) {
        return query_fault(args->error, token == NULL ? args->offset : token->offset,
                           token == NULL ? 0 : token->bytes, "json: a path was expected");
    }
    *step =
        (struct json_step){.kind = JSON_STEP_KEY, .key = arena_span_dup(args->arena, token->text)};
    item->name = step->key;
    args->next++;
    return 0;
}

static int parse_path(struct query_args *args, struct extract_plan *plan, struct extract_item *item)
{
    (void)plan;
    struct json_path *path = ARENA_NEW(args->arena, struct json_path);
    item->path = path;
    for (bool more = true; more;) {
        if (path->count == JSON_SCAN_DEPTH_MAX) {
            return query_args_fault(args, "a path has at most %d steps", JSON_SCAN_DEPTH_MAX);
        }
        int rc = parse_step(args, item, &path->steps[path->count++]);
        if (rc < 0) {
            return rc;
        }
        more = glued(args, '.') || glued(args, '[');
        args->next += glued(args, '.') ? 1 : 0;
    }
    return 0;
}

static bool find(const struct extract_plan *plan, void *state, struct span data,
                 struct arena *arena, struct extract_found *found)
{
    (void)state;
    (void)arena;
    const struct own *own = plan->own;
    struct span texts[EXTRACT_ITEMS_MAX];
    uint64_t done = json_scan(data, own->paths, own->wanted, texts, &found->broken);
    for (uint64_t left = done; left != 0; left &= left - 1) {
        size_t i = (size_t)__builtin_ctzll(left);
        found->values[i] = query_value_of_text(texts[i]);
    }
    return true;
}

static const struct extract_way way = {.path = parse_path, .find = find};

static int parse(struct query_args *args, void **ret_plan)
{
    struct extract_plan *plan = ARENA_NEW(args->arena, struct extract_plan);
    struct own *own = ARENA_NEW(args->arena, struct own);
    plan->way = &way;
    plan->own = own;
    *ret_plan = plan;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        plan->strict = plan->strict || flag == FLAG_S;
        plan->source = flag == FLAG_E ? span_of_str(value) : plan->source;
        own->exploded = flag == FLAG_X ? value : own->exploded;
    }
    bool items = args->next < args->count || own->exploded == NULL;
    return rc < 0 ? rc : items ? extract_parse_items(args, plan) : 0;
}

struct elements {
    VEC(struct span) list;
    VEC(uint32_t) counts;
};

/* An entry whose value is no array, or an empty one, stays as it is. */
static void explode(struct span name, struct query_block *block)
{
    struct elements elements = {0};
    for (size_t i = 0; i < block->count; i++) {
        struct span text = SPAN_NONE;
        struct span element;
        uint32_t count = 0;
        bool there = query_block_text(block, block->picks[i], name, &text);
        while (there && text.bytes > 0 && json_next_element(&text, &element)) {
            vec_push(&elements.list, element);
            count++;
        }
        if (count == 0) {
            vec_push(&elements.list, SPAN_NONE);
        }
        vec_push(&elements.counts, MAX(count, 1U));
    }
    query_block_repeat(block, elements.counts.items);
    for (size_t i = 0; i < block->count; i++) {
        if (elements.list.items[i].data != NULL) {
            query_block_column(block, name)[block->picks[i]] =
                query_value_of_text(elements.list.items[i]);
        }
    }
    vec_deinit(&elements.list);
    vec_deinit(&elements.counts);
}

static int run(const void *pointer, void *state, struct query_block *block)
{
    const struct extract_plan *plan = pointer;
    const struct own *own = plan->own;
    int rc = extract_run(plan, state, block);
    if (rc == 0 && own->exploded != NULL && block->count > 0) {
        explode(span_of_str(own->exploded), block);
    }
    return rc;
}

static bool is_exploded(const struct extract_plan *plan, struct span name)
{
    const struct own *own = plan->own;
    return own->exploded != NULL && span_equal(name, span_of_str(own->exploded));
}

static bool uses(const void *pointer, struct span name)
{
    return extract_uses(pointer, name) || is_exploded(pointer, name);
}

static void settle(void *pointer, const struct query *query, size_t stage)
{
    struct extract_plan *plan = pointer;
    struct own *own = plan->own;
    extract_settle(plan, query, stage);
    for (size_t i = 0; i < plan->count; i++) { /* its own -x is a use */
        struct extract_item *item = &plan->items[i];
        item->wanted = item->wanted || is_exploded(plan, item->name);
        own->paths[i] = item->path;
        own->wanted |= item->wanted ? UINT64_C(1) << i : 0;
    }
}

const struct query_module query_module_json = {
    .name = "json",
    .summary = "takes values out of JSON by their paths",
    .parse = parse,
    .run = run,
    .uses = uses,
    .settle = settle,
    .tell = extract_tell,
    .required = extract_required,
};
