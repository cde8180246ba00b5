/*
 * ax [-def definition …] [field [OP value] [as name] …]
 *
 * Takes fields by the definitions of the tags (query/extractor.h): an entry goes through the module
 * of the first definition that has its tag, one without a definition passes as if it had no fields.
 * Without arguments all fields. -def carries a definition as JSON: the effective text has those
 * that the query uses. Tested by extractor_test.c.
 */
#include <jansson.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "query/extractor.h"
#include "query/modules/extract.h"
#include "query/modules/modules.h"

enum { FLAG_DEF };

static const struct query_flag flags[] = {[FLAG_DEF] = {"def", true}};

const char *const query_extractor_engines[] = {"cef",   "csv",   "fields", "json", "kv",
                                               "regex", "slice", "syslog", "xml",  NULL};

struct definition {
    struct query_tag tags[QUERY_EXTRACTOR_TAGS_MAX];
    size_t tag_count;
    const struct query_module *module;
    void *plan;
    struct span fields[EXTRACT_ITEMS_MAX];
    bool forgotten[EXTRACT_ITEMS_MAX];
    size_t field_count;
};

struct plan {
    struct extract_plan items; /* what is asked for; none: everything */
    struct definition *definitions[QUERY_EXTRACTORS_MAX];
    size_t count;
};

struct state {
    const struct plan *plan;
    void *states[QUERY_EXTRACTORS_MAX];
    VEC(uint32_t) taken;
    VEC(uint32_t) left;
    VEC(uint32_t) merged;
};

/* ── Definitions ─────────────────────────────────────────────────────────────────────────── */

static bool is_extract(const struct definition *definition)
{
    return definition->module != &query_module_slice;
}

/* As a quoted text of the language. */
static void put_quoted(struct buf *buf, struct span text)
{
    buf_append_byte(buf, '"');
    for (size_t i = 0; i < text.bytes; i++) {
        buf_append_str(buf, text.data[i] == '"' || text.data[i] == '\\' ? "\\" : "");
        buf_append_byte(buf, text.data[i]);
    }
    buf_append_byte(buf, '"');
}

/* "a, b, , c" as items of csv and fields. */
static void put_columns(struct buf *buf, struct span names)
{
    struct span name;
    for (size_t i = 0; span_split(&names, ',', &name); i++) {
        name = span_trim(name);
        if (name.bytes > 0 && !span_equal_str(name, "_")) {
            buf_printf(buf, " [%zu] as ", i);
            put_quoted(buf, name);
        }
    }
}

/* The arguments of the module that do what the definition says. */
static void put_stage(const struct query_extractor *extractor, struct buf *buf)
{
    bool columns =
        strcmp(extractor->module, "csv") == 0 || strcmp(extractor->module, "fields") == 0;
    buf_append_str(buf, extractor->args);
    buf_append_byte(buf, ' ');
    if (columns) {
        put_columns(buf, span_of_str(extractor->params));
    } else if (strcmp(extractor->module, "regex") == 0) {
        put_quoted(buf, span_of_str(extractor->params));
    } else {
        buf_append_str(buf, extractor->params);
    }
}

static const struct query_module *engine(const char *name)
{
    for (size_t i = 0; query_extractor_engines[i] != NULL; i++) {
        if (strcmp(query_extractor_engines[i], name) == 0) {
            return query_module_find(span_of_str(name));
        }
    }
    return NULL;
}

static void list_fields(struct definition *definition)
{
    if (!is_extract(definition)) {
        definition->field_count =
            query_slice_names(definition->plan, definition->fields, EXTRACT_ITEMS_MAX);
        return;
    }
    const struct extract_plan *extract = definition->plan;
    for (size_t i = 0; i < extract->count; i++) {
        definition->fields[definition->field_count++] = extract->items[i].name;
    }
}

static int parse_engine(const struct query_args *args, const struct query_extractor *extractor,
                        struct definition *definition)
{
    struct buf text = {0};
    struct query_tokens tokens = {0};
    struct query_error error = {0};
    put_stage(extractor, &text);
    struct span stage = arena_span_dup(args->arena, buf_span(&text));
    buf_deinit(&text);
    int rc = query_lex(stage, args->arena, &tokens, &error);
    struct query_args inner = {.tokens = tokens.list.items,
                               .count = tokens.list.count,
                               .name = extractor->module,
                               .text = stage,
                               .options = args->options,
                               .arena = args->arena,
                               .error = &error};
    rc = rc < 0 ? rc : definition->module->parse(&inner, &definition->plan);
    rc = rc < 0 ? rc : query_args_finish(&inner);
    query_tokens_deinit(&tokens);
    return rc < 0
               ? query_args_fault(args, "definition '%.40s': %.150s", extractor->name, error.text)
               : 0;
}

static int add_definition(struct query_args *args, struct plan *plan,
                          const struct query_extractor *extractor)
{
    if (plan->count == QUERY_EXTRACTORS_MAX) {
        return query_args_fault(args, "more than %d definitions", QUERY_EXTRACTORS_MAX);
    }
    struct definition *definition = ARENA_NEW(args->arena, struct definition);
    definition->module = engine(extractor->module);
    if (definition->module == NULL) {
        return query_args_fault(args,
                                "definition '%.40s': there is no module '%.32s' for "
                                "extraction",
                                extractor->name, extractor->module);
    }
    for (size_t i = 0; i < extractor->tag_count; i++) {
        const char *pattern = arena_strdup(args->arena, extractor->tags[i]);
        definition->tags[definition->tag_count++] =
            (struct query_tag){.pattern = pattern, .glob = text_is_glob(span_of_str(pattern))};
    }
    plan->definitions[plan->count++] = definition; /* counted: a fault frees its plan */
    int rc = parse_engine(args, extractor, definition);
    if (rc == 0) {
        list_fields(definition);
    }
    return rc;
}

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text == NULL ? "" : text;
}

static int add_json(struct query_args *args, struct plan *plan, const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    const json_t *tags = json_object_get(json, "tags");
    struct query_extractor extractor = {.name = text_of(json, "name"),
                                        .module = text_of(json, "module"),
                                        .params = text_of(json, "params"),
                                        .args = text_of(json, "args")};
    for (size_t i = 0; i < MIN(json_array_size(tags), (size_t)QUERY_EXTRACTOR_TAGS_MAX); i++) {
        const char *tag = json_string_value(json_array_get(tags, i));
        extractor.tags[extractor.tag_count++] = tag == NULL ? "" : tag;
    }
    int rc = !json_is_object(json)
                 ? query_args_fault(args, "-def is no JSON object with module, params, args, tags")
                 : add_definition(args, plan, &extractor);
    json_decref(json);
    return rc;
}

/* ` -def "…"` */
static void put_json(const struct query_extractor *extractor, struct buf *buf)
{
    json_t *tags = json_array();
    for (size_t i = 0; i < extractor->tag_count; i++) {
        json_array_append_new(tags, json_string(extractor->tags[i]));
    }
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:s, s:o}", "name", extractor->name, "module", extractor->module,
                  "params", extractor->params, "args", extractor->args, "tags", tags);
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    buf_append_str(buf, " -def ");
    put_quoted(buf, span_of_str(text == NULL ? "{}" : text));
    free(text);
    json_decref(json);
}

/* Can an entry of the stage have this tag? */
static bool concerns(const struct query_args *args, const char *tag)
{
    bool glob = text_is_glob(span_of_str(tag));
    for (size_t i = 0; i < args->tag_count; i++) {
        const struct query_tag *asked = &args->tags[i];
        struct span pattern = span_of_str(asked->pattern);
        if ((glob && asked->glob) || strcmp(tag, asked->pattern) == 0 ||
            (asked->glob && text_glob(pattern, span_of_str(tag))) ||
            (glob && text_glob(span_of_str(tag), pattern))) {
            return true;
        }
    }
    return args->tag_count == 0 && strcmp(tag, "default") == 0;
}

/* Those that the webserver has, into the plan and into the effective text. */
static int add_known(struct query_args *args, struct plan *plan)
{
    const struct query_options *options = args->options;
    struct query_extractor extractor;
    struct buf text = {0};
    int rc = 0;
    buf_append_str(&text, "ax");
    for (size_t i = 0; rc == 0 && options->extractor != NULL &&
                       options->extractor(options->context, i, &extractor);
         i++) {
        bool any = false;
        for (size_t j = 0; j < extractor.tag_count; j++) {
            any = any || concerns(args, extractor.tags[j]);
        }
        if (any) {
            put_json(&extractor, &text);
            rc = add_definition(args, plan, &extractor);
        }
    }
    if (rc == 0 && plan->count == 0) {
        rc = query_args_fault(args, "no extraction is defined for %s%.64s",
                              args->tag_count == 1 ? "tag " : "these tags",
                              args->tag_count == 1 ? args->tags[0].pattern : "");
    }
    if (rc == 0 && args->next < args->count) {
        const struct query_token *first = &args->tokens[args->next];
        const struct query_token *last = &args->tokens[args->count - 1];
        size_t bytes = last->offset + last->bytes - first->offset;
        buf_append_byte(&text, ' ');
        query_strip(span_first(span_from(args->text, first->offset), bytes), &text);
    }
    args->effective = rc == 0 ? arena_span_str(args->arena, buf_span(&text)) : NULL;
    buf_deinit(&text);
    return rc;
}

/* ── Arguments ───────────────────────────────────────────────────────────────────────────── */

static int parse_field(struct query_args *args, struct extract_plan *plan,
                       struct extract_item *item)
{
    (void)plan;
    const struct query_token *token = &args->tokens[args->next];
    if (token->kind == QUERY_TOKEN_PUNCT || token->kind == QUERY_TOKEN_OP) {
        return query_fault(args->error, token->offset, token->bytes, "ax: a field was expected");
    }
    struct span *name = ARENA_NEW(args->arena, struct span);
    *name = item->name = arena_span_dup(args->arena, token->text);
    item->path = name;
    item->numeric = args->next + 1 < args->count &&
                    (query_token_is_op(token + 1, "<") || query_token_is_op(token + 1, ">") ||
                     query_token_is_op(token + 1, "<=") || query_token_is_op(token + 1, ">="));
    args->next++;
    return 0;
}

static const struct extract_way way = {.path = parse_field};

static struct span field_of(const struct extract_item *item)
{
    return *(const struct span *)item->path;
}

static bool gives(const struct plan *plan, struct span field)
{
    for (size_t i = 0; i < plan->count; i++) {
        for (size_t j = 0; j < plan->definitions[i]->field_count; j++) {
            if (span_equal(plan->definitions[i]->fields[j], field)) {
                return true;
            }
        }
    }
    return false;
}

static int parse(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    plan->items.way = &way;
    *ret_plan = plan;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        rc = add_json(args, plan, value);
        if (rc < 0) {
            return rc;
        }
    }
    rc = rc < 0 || plan->count > 0 ? rc : add_known(args, plan);
    rc = rc >= 0 && args->next < args->count ? extract_parse_items(args, &plan->items) : rc;
    for (size_t i = 0; rc >= 0 && i < plan->items.count; i++) {
        struct span field = field_of(&plan->items.items[i]);
        if (!gives(plan, field)) {
            return query_args_fault(args, "no definition of these tags has a field '%.*s'",
                                    SPAN_ARG(span_first(field, 64)));
        }
    }
    return rc < 0 ? rc : 0;
}

static void free_plan(void *pointer)
{
    struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        struct definition *definition = plan->definitions[i];
        if (definition->module->free != NULL && definition->plan != NULL) {
            definition->module->free(definition->plan);
        }
    }
}

/* Is the field itself asked for, under its own name? */
static bool asked_plain(const struct plan *plan, struct span field)
{
    bool asked = plan->items.count == 0;
    for (size_t i = 0; i < plan->items.count; i++) {
        asked = asked || span_equal(plan->items.items[i].name, field);
    }
    return asked;
}

/* Is it asked for at all? */
static bool asked(const struct plan *plan, struct span field)
{
    for (size_t i = 0; i < plan->items.count; i++) {
        if (span_equal(field_of(&plan->items.items[i]), field)) {
            return true;
        }
    }
    return plan->items.count == 0;
}

/* What a definition gives is used by this stage, then by later ones. */
static void settle(void *pointer, const struct query *query, size_t stage)
{
    struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        struct definition *definition = plan->definitions[i];
        if (definition->module->settle != NULL) {
            definition->module->settle(definition->plan, query, stage - 1);
        }
        for (size_t j = 0; j < definition->field_count; j++) {
            definition->forgotten[j] = !asked(plan, definition->fields[j]) &&
                                       query_later_uses(query, stage, definition->fields[j]);
        }
    }
}

/* ── Running ─────────────────────────────────────────────────────────────────────────────── */

static void stop(void *pointer)
{
    struct state *state = pointer;
    for (size_t i = 0; i < state->plan->count; i++) {
        const struct query_module *module = state->plan->definitions[i]->module;
        if (module->stop != NULL && state->states[i] != NULL) {
            module->stop(state->states[i]);
        }
    }
    vec_deinit(&state->taken);
    vec_deinit(&state->left);
    vec_deinit(&state->merged);
    mem_free(state);
}

static int start(const void *pointer, void **ret_state)
{
    const struct plan *plan = pointer;
    struct state *state = MEM_NEW(struct state);
    state->plan = plan;
    for (size_t i = 0; i < plan->count; i++) {
        const struct definition *definition = plan->definitions[i];
        int rc = definition->module->start == NULL
                     ? 0
                     : definition->module->start(definition->plan, &state->states[i]);
        if (rc < 0) {
            stop(state);
            return rc;
        }
    }
    *ret_state = state;
    return 0;
}

/* The definition of a tag; plan->count: it has none. */
static size_t of_tag(const struct plan *plan, const char *tag)
{
    size_t i = 0;
    while (i < plan->count &&
           !query_tags_match(plan->definitions[i]->tags, plan->definitions[i]->tag_count, tag)) {
        i++;
    }
    return i;
}

/* Fields that later stages would see though nobody asked for them go again. */
static void forget(const struct definition *definition, struct query_block *block)
{
    for (size_t i = 0; i < definition->field_count; i++) {
        for (size_t j = 0; definition->forgotten[i] && j < block->count; j++) {
            query_block_column(block, definition->fields[i])[block->picks[j]].type =
                QUERY_VALUE_NONE;
        }
    }
}

/* Filters and names on what was extracted. */
static bool apply(const struct plan *plan, struct query_block *block, size_t index, bool defined)
{
    for (size_t i = 0; i < plan->items.count; i++) {
        const struct extract_item *item = &plan->items.items[i];
        struct span field = field_of(item);
        struct query_value value = {.type = QUERY_VALUE_NONE};
        struct query_value text = {.type = QUERY_VALUE_NONE};
        if (defined && query_block_get(block, index, field, &value)) {
            text.type = QUERY_VALUE_TEXT;
            (void)query_block_text(block, index, field, &text.text);
        }
        struct query_value compared = text;
        bool number = item->numeric && query_value_number(&text, &compared);
        if (item->numeric && !number) {
            compared.type = QUERY_VALUE_NONE;
        }
        if (!extract_passes(&item->filter, item->numeric, &compared)) {
            return false;
        }
        if (value.type != QUERY_VALUE_NONE && !span_equal(item->name, field)) {
            query_block_column(block, item->name)[index] = value;
        }
    }
    for (size_t i = 0; defined && i < plan->items.count; i++) {
        struct span field = field_of(&plan->items.items[i]);
        struct query_value value;
        if (!asked_plain(plan, field) && query_block_get(block, index, field, &value)) {
            query_block_column(block, field)[index].type = QUERY_VALUE_REMOVED;
        }
    }
    return true;
}

/* Entries of one definition, or of none (number == count): which of them pass, into `merged`. */
static int run_on(const struct plan *plan, struct state *state, size_t number,
                  struct query_block *block)
{
    struct query_block part = *block;
    part.picks = state->taken.items;
    part.count = state->taken.count;
    part.failed = 0;
    bool defined = number < plan->count;
    int rc = 0;
    if (defined && part.count > 0) {
        const struct definition *definition = plan->definitions[number];
        rc = definition->module->run(definition->plan, state->states[number], &part);
        forget(definition, &part);
    }
    for (size_t i = 0; rc == 0 && i < part.count; i++) {
        if (apply(plan, &part, part.picks[i], defined)) {
            vec_push(&state->merged, part.picks[i]);
        }
    }
    block->failed += part.failed;
    return rc;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static int run(const void *pointer, void *state_pointer, struct query_block *block)
{
    const struct plan *plan = pointer;
    struct state *state = state_pointer;
    int rc = 0;
    vec_clear(&state->merged);
    vec_clear(&state->left);
    for (size_t i = 0; i < block->count; i++) {
        vec_push(&state->left, block->picks[i]);
    }
    while (rc == 0 && state->left.count > 0) { /* a round for each definition that has entries */
        uint16_t tag = block->entries[state->left.items[0]].tag;
        size_t number = of_tag(plan, block->tag_name(block->context, tag));
        uint16_t other = tag;
        size_t kept = 0;
        vec_clear(&state->taken);
        for (size_t i = 0; i < state->left.count; i++) {
            uint32_t pick = state->left.items[i];
            uint16_t its = block->entries[pick].tag;
            if (its == tag ||
                (its != other && of_tag(plan, block->tag_name(block->context, its)) == number)) {
                vec_push(&state->taken, pick);
            } else {
                state->left.items[kept++] = pick;
                other = its;
            }
        }
        state->left.count = kept;
        rc = run_on(plan, state, number, block);
    }
    if (state->merged.count > 1) {
        qsort(state->merged.items, state->merged.count, sizeof(uint32_t), compare);
    }
    block->count = 0;
    for (size_t i = 0; i < state->merged.count; i++) {
        block->picks[block->count++] = state->merged.items[i];
    }
    return rc;
}

static bool uses(const void *pointer, struct span name)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        const struct definition *definition = plan->definitions[i];
        if (definition->module->uses != NULL && definition->module->uses(definition->plan, name)) {
            return true;
        }
    }
    return plan->items.count > 0 && asked(plan, name);
}

static void tell(const void *pointer, query_tell *each, void *context)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count && plan->items.count == 0; i++) {
        for (size_t j = 0; j < plan->definitions[i]->field_count; j++) {
            each(context, plan->definitions[i]->fields[j]);
        }
    }
    extract_tell(&plan->items, each, context);
}

const struct query_module query_module_ax = {
    .name = "ax",
    .summary = "takes fields by the definitions of the tags",
    .parse = parse,
    .free = free_plan,
    .start = start,
    .stop = stop,
    .run = run,
    .tell = tell,
    .uses = uses,
    .settle = settle,
};

/* ── For who keeps definitions ───────────────────────────────────────────────────────────── */

int query_extractor_fields(const struct query_extractor *extractor,
                           void (*each)(void *context, struct span name), void *context)
{
    struct query_options options = {0};
    struct query_error error = {0};
    struct query_args args = {
        .name = "ax", .options = &options, .arena = arena_new(16 * 1024 * 1024), .error = &error};
    struct plan plan = {0};
    int rc = extractor->tag_count == 0 ? err_set(ERR_INVALID, "a definition needs a tag")
                                       : add_definition(&args, &plan, extractor);
    for (size_t i = 0; rc == 0 && each != NULL && i < plan.definitions[0]->field_count; i++) {
        each(context, plan.definitions[0]->fields[i]);
    }
    free_plan(&plan);
    if (rc < 0 && error.text[0] != '\0') {
        rc = err_set(ERR_INVALID, "%s", error.text + strlen("ax: "));
    }
    arena_free(&args.arena);
    return rc;
}

int query_extractor_check(const struct query_extractor *extractor)
{
    return query_extractor_fields(extractor, NULL, NULL);
}

void query_extractor_put(const struct query_extractor *extractor, struct buf *buf)
{
    buf_append_str(buf, "ax");
    put_json(extractor, buf);
}
