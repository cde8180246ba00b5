/* From tokens to a query: constraints, then stages. */
#include "query/query.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "query/explore.h"
#include "query/load.h"
#include "query/macro.h"
#include "query/module.h"
#include "query/range.h"

#define ARENA_BYTES_MAX (32 * 1024 * 1024)
#define RANGE_DEFAULT_NS TIME_HOUR_NS

static const char too_many_stages[] = "the query has more than 64 stages, the renderer included";

struct bound {
    bool given;
    struct query_time time;
    size_t offset;
    size_t bytes;
};

struct tag_list {
    VEC(struct query_tag) list;
};

struct parser {
    struct span text;
    const struct query_options *options;
    struct query_error *error;
    struct arena *arena;
    struct query_tokens tokens;
    size_t next;
    struct query *query;
    struct bound start;
    struct bound end;
    size_t constraints_bytes; /* of the text, up to the first stage */
    bool tag_given;
};

/* What query points into; the two are freed together. */
struct query_owned {
    struct query query;
    struct arena *arena;
};

static const struct query_token *peek(const struct parser *parser, size_t ahead)
{
    size_t index = parser->next + ahead;
    return index < parser->tokens.list.count ? &parser->tokens.list.items[index] : NULL;
}

static bool next_is(const struct parser *parser, size_t ahead, char punct)
{
    const struct query_token *token = peek(parser, ahead);
    return token != NULL && query_token_is(token, punct);
}

static int fault_here(const struct parser *parser, const char *what)
{
    const struct query_token *token = peek(parser, 0);
    size_t offset = token == NULL ? parser->text.bytes : token->offset;
    return query_fault(parser->error, offset, token == NULL ? 0 : token->bytes, "%s", what);
}

static bool ends_value(const struct query_token *token, int depth)
{
    return token->kind == QUERY_TOKEN_PUNCT &&
           ((depth == 0 && query_token_is(token, ',')) || query_token_is(token, '|') ||
            query_token_is(token, ';') || query_token_is(token, '(') || query_token_is(token, ')'));
}

/* One value of a constraint: tokens that touch, up to a comma outside braces and brackets. */
static int constraint_value(struct parser *parser, const char *key, struct query_tag *ret_value)
{
    struct buf value = {0};
    bool quoted = true;
    int depth = 0;
    size_t begin = parser->next;
    for (const struct query_token *token; (token = peek(parser, 0)) != NULL; parser->next++) {
        if ((parser->next > begin && !token->glued) || ends_value(token, depth)) {
            break;
        }
        if (token->kind == QUERY_TOKEN_OP) { /* the word after it would be its value */
            buf_deinit(&value);
            return query_fault(parser->error, token->offset, token->bytes,
                               "%s= cannot hold an operator that is not quoted", key);
        }
        depth += query_token_is(token, '{') || query_token_is(token, '[') ? 1 : 0;
        depth -= query_token_is(token, '}') || query_token_is(token, ']') ? 1 : 0;
        quoted = quoted && (token->kind == QUERY_TOKEN_QUOTED || token->kind == QUERY_TOKEN_RAW);
        buf_append(&value, token->text);
    }
    if (value.bytes == 0) {
        buf_deinit(&value);
        parser->next = begin;
        return query_fault(parser->error,
                           peek(parser, 0) == NULL ? parser->text.bytes : peek(parser, 0)->offset,
                           0, "%s= needs a value", key);
    }
    const struct query_token *first = &parser->tokens.list.items[begin];
    const struct query_token *last = &parser->tokens.list.items[parser->next - 1];
    ret_value->pattern = arena_span_str(parser->arena, buf_span(&value));
    ret_value->offset = first->offset;
    ret_value->bytes = last->offset + last->bytes - first->offset;
    buf_deinit(&value);
    return 0;
}

static int unknown_tag(struct parser *parser, const struct query_tag *tag)
{
    const struct query_options *options = parser->options;
    struct buf near = {0};
    if (options->tag_nearest != NULL) {
        options->tag_nearest(options->context, tag->pattern, &near);
    }
    const char *hint = near.bytes == 0 ? "" : ", did you mean '";
    int rc = query_fault(parser->error, tag->offset, tag->bytes,
                         "tag '%.128s' does not exist%s%.*s%s", tag->pattern, hint,
                         SPAN_ARG(span_first(buf_span(&near), 128)), near.bytes == 0 ? "" : "'");
    buf_deinit(&near);
    return rc;
}

static int check_tag(struct parser *parser, struct query_tag *tag)
{
    struct span pattern = span_of_str(tag->pattern);
    if (pattern.data[0] == '!' || pattern.data[0] == '-') {
        return query_fault(parser->error, tag->offset, tag->bytes,
                           "tags cannot be negated: take tag=* and filter later");
    }
    tag->glob = text_is_glob(pattern);
    const struct query_options *options = parser->options;
    if (!tag->glob && options->tag_exists != NULL &&
        !options->tag_exists(options->context, tag->pattern)) {
        return unknown_tag(parser, tag);
    }
    return 0;
}

/* After "tag=": one or more values with commas. */
static int parse_tags(struct parser *parser, const struct query_tag **ret_tags, size_t *ret_count)
{
    struct tag_list tags = {0};
    int rc = 0;
    do {
        struct query_tag tag = {0};
        rc = constraint_value(parser, "tag", &tag);
        rc = rc < 0 ? rc : check_tag(parser, &tag);
        if (rc == 0 && tags.list.count == QUERY_TAGS_MAX) {
            rc = query_fault(parser->error, tag.offset, tag.bytes, "more than %d tags",
                             QUERY_TAGS_MAX);
        }
        if (rc == 0) {
            vec_push(&tags.list, tag);
        }
    } while (rc == 0 && next_is(parser, 0, ',') && ++parser->next > 0);
    if (rc == 0) {
        size_t bytes = tags.list.count * sizeof(struct query_tag);
        struct query_tag *copy = arena_alloc(parser->arena, bytes);
        memcpy(copy, tags.list.items, bytes);
        *ret_tags = copy;
        *ret_count = tags.list.count;
    }
    vec_deinit(&tags.list);
    return rc;
}

static int parse_bound(struct parser *parser, const char *key, struct bound *bound)
{
    struct query_tag value = {0};
    if (bound->given) {
        return fault_here(parser, "this bound is given twice");
    }
    int rc = constraint_value(parser, key, &value);
    if (rc < 0) {
        return rc;
    }
    bound->given = true;
    bound->offset = value.offset;
    bound->bytes = value.bytes;
    if (!query_time_parse(span_of_str(value.pattern), &bound->time)) {
        return query_fault(parser->error, value.offset, value.bytes,
                           "%s= is not a time: '%.100s'; write -1h, NOW-2d or "
                           "\"2026-01-02T15:04:05Z\"",
                           key, value.pattern);
    }
    return 0;
}

/* Does "word =" stand here? */
static bool at_constraint(const struct parser *parser)
{
    const struct query_token *key = peek(parser, 0);
    return key != NULL && key->kind == QUERY_TOKEN_WORD && next_is(parser, 1, '=');
}

static int parse_constraint(struct parser *parser)
{
    struct span key = peek(parser, 0)->text;
    if (span_equal_str(key, "tag")) {
        parser->next += 2;
        parser->tag_given = true;
        return parse_tags(parser, &parser->query->tags, &parser->query->tag_count);
    }
    if (span_equal_str(key, "start")) {
        parser->next += 2;
        return parse_bound(parser, "start", &parser->start);
    }
    if (span_equal_str(key, "end")) {
        parser->next += 2;
        return parse_bound(parser, "end", &parser->end);
    }
    return query_fault(parser->error, peek(parser, 0)->offset, key.bytes,
                       "unknown constraint '%.64s': there are tag=, start= and end=",
                       arena_span_str(parser->arena, key));
}

static int parse_constraints(struct parser *parser)
{
    parser->error->stage = -1;
    while (at_constraint(parser)) {
        if (parser->tag_given && span_equal_str(peek(parser, 0)->text, "tag")) {
            break; /* a second one restricts the first stage */
        }
        int rc = parse_constraint(parser);
        if (rc < 0) {
            return rc;
        }
    }
    const struct query_token *token = peek(parser, 0);
    parser->constraints_bytes = token == NULL ? parser->text.bytes : token->offset;
    if (token != NULL && query_token_is(token, '|')) {
        parser->next++;
        if (peek(parser, 0) == NULL) {
            return fault_here(parser, "nothing follows the last '|'");
        }
    }
    return 0;
}

/* The number of tokens up to the `|` that ends this stage, outside parentheses. */
static int stage_tokens(const struct parser *parser, size_t *ret_count)
{
    size_t depth = 0;
    size_t count = 0;
    size_t opened = 0;
    for (const struct query_token *token; (token = peek(parser, count)) != NULL; count++) {
        if (query_token_is(token, '(')) {
            opened = depth == 0 ? token->offset : opened;
            depth++;
        } else if (query_token_is(token, ')')) {
            if (depth == 0) {
                return query_fault(parser->error, token->offset, 1, "')' without its '('");
            }
            depth--;
        } else if (depth == 0 && query_token_is(token, '|')) {
            break;
        }
    }
    if (depth > 0) {
        return query_fault(parser->error, opened, 1, "'(' without its ')'");
    }
    *ret_count = count;
    return 0;
}

static int unknown_module(const struct parser *parser, const struct query_token *token)
{
    const char *name = arena_span_str(parser->arena, span_first(token->text, 64));
    if (query_token_is(token, '$')) {
        const struct query_token *macro = peek(parser, 1);
        name = macro == NULL ? "" : arena_span_str(parser->arena, span_first(macro->text, 64));
        return query_fault(parser->error, token->offset, token->bytes, "unknown macro '$%s'", name);
    }
    if (token->kind != QUERY_TOKEN_WORD) {
        const char *hint =
            query_token_is(token, '@') ? " (inner queries, @name{ … };, stand first)" : "";
        return query_fault(parser->error, token->offset, token->bytes,
                           "a module was expected, not '%s'%s", name, hint);
    }
    const char *near = query_module_nearest(token->text);
    if (near == NULL) {
        return query_fault(parser->error, token->offset, token->bytes, "unknown module '%s'", name);
    }
    return query_fault(parser->error, token->offset, token->bytes,
                       "unknown module '%s', did you mean '%s'", name, near);
}

static char *stage_text(const struct parser *parser, size_t from, size_t to)
{
    struct buf buf = {0};
    query_strip(span_first(span_from(parser->text, from), to - from), &buf);
    char *text = arena_span_str(parser->arena, buf_span(&buf));
    buf_deinit(&buf);
    return text;
}

/* A stage in parentheses is eval of the same. */
static int parse_module(struct parser *parser, const struct query_token *name, size_t count,
                        struct query_stage *stage)
{
    size_t skip = query_token_is(name, '(') ? 0 : 1;
    struct query_args args = {
        .tokens = name + skip,
        .count = count - skip,
        .name = stage->name,
        .text = parser->text,
        .options = parser->options,
        .offset = name->offset,
        .arena = parser->arena,
        .error = parser->error,
    };
    bool own = stage->tag_count > 0;
    args.tags = own ? stage->tags : parser->query->tags;
    args.tag_count = own ? stage->tag_count : parser->query->tag_count;
    if (stage->module != NULL) {
        int rc = stage->module->parse(&args, &stage->plan);
        stage->text = args.effective != NULL ? args.effective : stage->text;
        if (args.resource != NULL) {
            stage->resources[stage->resource_count++] = args.resource;
        }
        return rc < 0 ? rc : query_args_finish(&args);
    }
    const struct query_renderer *renderer = parser->query->renderer;
    int rc = renderer->parse == NULL ? 0 : renderer->parse(&args, &stage->plan);
    return rc < 0 ? rc : query_args_finish(&args);
}

static int parse_stage(struct parser *parser, struct query_stage *stage)
{
    if (at_constraint(parser) && span_equal_str(peek(parser, 0)->text, "tag")) {
        parser->next += 2;
        int rc = parse_tags(parser, &stage->tags, &stage->tag_count);
        if (rc < 0) {
            return rc;
        }
    }
    const struct query_token *name = peek(parser, 0);
    if (name == NULL || query_token_is(name, '|')) {
        return fault_here(parser, "a stage is empty");
    }
    size_t count = 0;
    int rc = stage_tokens(parser, &count);
    if (rc < 0) {
        return rc;
    }
    bool word = name->kind == QUERY_TOKEN_WORD;
    struct span called = query_token_is(name, '(') ? SPAN_LIT("eval") : name->text;
    word = word || query_token_is(name, '(');
    stage->module = word ? query_module_find(called) : NULL;
    const struct query_renderer *renderer = word ? query_renderer_find(name->text) : NULL;
    if (stage->module == NULL && renderer == NULL) {
        return unknown_module(parser, name);
    }
    const struct query_token *last = peek(parser, count - 1);
    stage->name = stage->module != NULL ? stage->module->name : renderer->name;
    stage->offset = name->offset;
    stage->text = stage_text(parser, name->offset, last->offset + last->bytes);
    parser->query->renderer = renderer;
    rc = parse_module(parser, name, count, stage);
    parser->next += count;
    return rc;
}

static int parse_stages(struct parser *parser)
{
    struct query *query = parser->query;
    query->stages = arena_alloc_array(parser->arena, QUERY_STAGES_MAX, sizeof(*query->stages));
    while (peek(parser, 0) != NULL) {
        parser->error->stage = (int)query->stage_count;
        if (query->renderer != NULL) {
            const struct query_stage *before = &query->stages[query->stage_count - 1];
            parser->error->stage--;
            return query_fault(parser->error, before->offset, strlen(before->name),
                               "renderer '%s' must be the last stage", before->name);
        }
        if (query->stage_count == QUERY_STAGES_MAX) {
            return fault_here(parser, too_many_stages);
        }
        /* Counted first, so that a fault frees what its plan holds. */
        int rc = parse_stage(parser, &query->stages[query->stage_count++]);
        if (rc < 0) {
            return rc;
        }
        if (peek(parser, 0) != NULL) {
            parser->next++; /* the `|` */
            if (peek(parser, 0) == NULL) {
                return fault_here(parser, "nothing follows the last '|'");
            }
        }
    }
    return 0;
}

static int64_t resolve(struct query_time time, int64_t now_ns, int64_t start_ns, int64_t end_ns)
{
    int64_t base = time.base == QUERY_TIME_NOW     ? now_ns
                   : time.base == QUERY_TIME_START ? start_ns
                   : time.base == QUERY_TIME_END   ? end_ns
                                                   : 0;
    int64_t sum = 0;
    if (__builtin_add_overflow(base, time.ns, &sum)) {
        return time.ns < 0 ? TIME_MIN_NS : TIME_MAX_NS;
    }
    return MAX(sum, TIME_MIN_NS);
}

/* What a bound of an inner query means by itself: the main query's bounds are known. */
static struct query_time of_outer(const struct query_outer *outer, struct query_time time,
                                  int64_t same_bound_ns)
{
    int64_t base = time.base == QUERY_TIME_START ? outer->start_ns
                   : time.base == QUERY_TIME_END ? outer->end_ns
                                                 : same_bound_ns;
    bool relative = time.bare || time.base == QUERY_TIME_START || time.base == QUERY_TIME_END;
    return relative ? (struct query_time){.ns = resolve((struct query_time){.base = QUERY_TIME_NOW,
                                                                            .ns = time.ns},
                                                        base, 0, 0)}
                    : time;
}

/* start= and end= over the range that came from outside; one alone goes with now. */
static int resolve_range(struct parser *parser)
{
    const struct query_options *options = parser->options;
    struct query *query = parser->query;
    int64_t now = options->now_ns;
    bool outside = options->end_ns != TIME_UNSET && options->end_ns != 0;
    int64_t end = outside ? options->end_ns : now;
    bool start_outside =
        options->start_ns != TIME_UNSET && (options->start_ns != 0 || options->end_ns != 0);
    int64_t start = start_outside ? options->start_ns : end - RANGE_DEFAULT_NS;
    query->time_given = parser->start.given || parser->end.given;
    if (query->time_given) {
        struct query_time at_now = {.base = QUERY_TIME_NOW};
        struct query_time from = parser->start.given ? parser->start.time : at_now;
        struct query_time to = parser->end.given ? parser->end.time : at_now;
        if (options->outer != NULL) {
            from = of_outer(options->outer, from, options->outer->start_ns);
            to = of_outer(options->outer, to, options->outer->end_ns);
        }
        bool circle = (from.base == QUERY_TIME_END && to.base == QUERY_TIME_START) ||
                      from.base == QUERY_TIME_START || to.base == QUERY_TIME_END;
        if (circle) {
            return query_fault(parser->error, parser->start.offset, parser->start.bytes,
                               "start and end refer to each other or to themselves");
        }
        start = resolve(from, now, 0, 0);
        end = resolve(to, now, start, 0);
        start = resolve(from, now, 0, end);
    }
    query_range_align(&start, &end);
    if (start >= end) {
        const struct bound *at = parser->start.given ? &parser->start : &parser->end;
        char from_text[TIME_TEXT_BYTES];
        char to_text[TIME_TEXT_BYTES];
        return query_fault(parser->error, at->offset, at->bytes,
                           "the range is empty or reversed: start %s, end %s",
                           time_text(start, from_text), time_text(end, to_text));
    }
    query->start_ns = start;
    query->end_ns = end;
    return 0;
}

/* Does the first stage make its entries itself? Then no tag has to be there. */
static bool makes_entries(const struct query *query)
{
    const struct query_stage *first = &query->stages[0];
    return query->stage_count > 0 && first->module != NULL && first->module->first_needed != NULL &&
           first->module->first_needed(first->plan) == 0;
}

static int supply_tags(struct parser *parser)
{
    if (parser->tag_given) {
        return 0;
    }
    struct query_tag *tag = ARENA_NEW(parser->arena, struct query_tag);
    tag->pattern = "default";
    parser->query->tags = tag;
    parser->query->tag_count = 1;
    return makes_entries(parser->query) ? 0 : check_tag(parser, tag);
}

static int supply_renderer(struct parser *parser)
{
    struct query *query = parser->query;
    if (query->renderer == NULL) {
        if (query->stage_count == QUERY_STAGES_MAX) {
            return fault_here(parser, too_many_stages);
        }
        query->renderer = query_renderer_find(SPAN_LIT("text"));
        query->stages[query->stage_count++] = (struct query_stage){
            .name = query->renderer->name,
            .text = query->renderer->name,
            .offset = parser->text.bytes,
        };
    }
    query->renderer_text = query->stages[query->stage_count - 1].text;
    return 0;
}

static void put_tags(const struct parser *parser, const struct query_tag *tags, size_t count,
                     struct buf *buf)
{
    for (size_t i = 0; i < count; i++) {
        buf_append_str(buf, i == 0 ? "tag=" : ",");
        buf_append(buf, span_first(span_from(parser->text, tags[i].offset), tags[i].bytes));
    }
}

/* Constraints as typed, then the stages with `|` between them. */
static void compose_effective(struct parser *parser)
{
    struct query *query = parser->query;
    struct buf buf = {0};
    if (parser->tag_given && parser->options->outer != NULL) {
        put_tags(parser, query->tags, query->tag_count,
                 &buf); /* its times mean nothing elsewhere */
    } else if (parser->options->outer == NULL) {
        query_strip(span_first(parser->text, parser->constraints_bytes), &buf);
    }
    if (!parser->tag_given) {
        buf_append_str(&buf, buf.bytes > 0 ? " tag=default" : "tag=default");
    }
    for (size_t i = 0; i < query->stage_count; i++) {
        const struct query_stage *stage = &query->stages[i];
        buf_append_str(&buf, i == 0 ? " " : " | ");
        put_tags(parser, stage->tags, stage->tag_count, &buf);
        buf_append_str(&buf, stage->tag_count > 0 ? " " : "");
        buf_append_str(&buf, stage->text);
    }
    query->effective = arena_span_str(parser->arena, buf_span(&buf));
    buf_deinit(&buf);
}

static void settle(struct query *query)
{
    for (size_t i = 0; i < query->stage_count; i++) {
        const struct query_module *module = query->stages[i].module;
        if (module != NULL && module->settle != NULL) {
            module->settle(query->stages[i].plan, query, i);
        }
        query->time_zoom_disabled =
            query->time_zoom_disabled ||
            (module != NULL && module->timeless != NULL && module->timeless(query->stages[i].plan));
    }
    if (query->renderer->settle != NULL) {
        query->renderer->settle(query->stages[query->stage_count - 1].plan, query);
    }
}

static int parse(struct parser *parser)
{
    parser->error->stage = -1;
    int rc = query_lex(parser->text, parser->arena, &parser->tokens, parser->error);
    rc = rc < 0 ? rc : parse_constraints(parser);
    rc = rc < 0 ? rc : parse_stages(parser);
    if (rc < 0) {
        return rc;
    }
    parser->error->stage = -1;
    rc = supply_tags(parser);
    rc = rc < 0 ? rc : resolve_range(parser);
    rc = rc < 0 ? rc : supply_renderer(parser);
    if (rc < 0) {
        return rc;
    }
    compose_effective(parser);
    query_place_stages(parser->query);
    settle(parser->query);
    return 0;
}

int query_parse(struct span text, const struct query_options *options, struct query **ret_query,
                struct query_error *ret_error)
{
    memset(ret_error, 0, sizeof(*ret_error));
    struct query_owned *owned = MEM_NEW(struct query_owned);
    owned->arena = arena_new(ARENA_BYTES_MAX);
    struct query *query = &owned->query;
    query->now_ns = options->now_ns;
    query->text = arena_span_str(owned->arena, span_first(text, QUERY_TEXT_BYTES_MAX));
    struct query_expansion expansion = {0};
    bool macros = options->macro != NULL && span_find_byte(text, '$') >= 0;
    struct parser parser = {
        .text = text,
        .options = options,
        .error = ret_error,
        .arena = owned->arena,
        .query = query,
    };
    int rc = macros ? query_expand(text, options, &expansion, ret_error) : 0;
    if (rc == 0) {
        parser.text = macros ? buf_span(&expansion.text) : text;
        rc = parse(&parser);
        if (rc < 0) {
            query_expansion_locate(&expansion, &ret_error->offset, &ret_error->bytes);
            (void)err_set((enum err)rc, "stage %d, byte %zu: %s", ret_error->stage,
                          ret_error->offset, ret_error->text);
        }
    }
    query_tokens_deinit(&parser.tokens);
    query_expansion_deinit(&expansion);
    if (rc < 0) {
        query_free(&query);
        return rc;
    }
    *ret_query = query;
    return 0;
}

size_t query_stages_offset(struct span text)
{
    struct query_options options = {0};
    struct query_error error;
    struct query query = {0};
    struct arena *arena = arena_new(ARENA_BYTES_MAX);
    struct parser parser = {
        .text = text, .options = &options, .error = &error, .arena = arena, .query = &query};
    bool good = query_lex(text, arena, &parser.tokens, &error) == 0;
    while (good && at_constraint(&parser) &&
           !(parser.tag_given && span_equal_str(peek(&parser, 0)->text, "tag"))) {
        good = parse_constraint(&parser) == 0;
    }
    const struct query_token *token = peek(&parser, 0);
    size_t offset = !good || token == NULL ? text.bytes : token->offset;
    query_tokens_deinit(&parser.tokens);
    arena_free(&arena);
    return offset;
}

void query_free(struct query **query)
{
    if (*query == NULL) {
        return;
    }
    struct query_owned *owned = CONTAINER_OF(*query, struct query_owned, query);
    for (size_t i = 0; i < (*query)->stage_count; i++) {
        struct query_stage *stage = &(*query)->stages[i];
        if (stage->module != NULL && stage->module->free != NULL && stage->plan != NULL) {
            stage->module->free(stage->plan);
        }
    }
    for (size_t i = 0; i < (*query)->copy_count; i++) {
        mem_free((*query)->copies[i].name);
        buf_deinit(&(*query)->copies[i].contents);
    }
    mem_free((*query)->copies);
    arena_free(&owned->arena);
    mem_free(owned);
    *query = NULL;
}

bool query_tags_match(const struct query_tag *tags, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (tags[i].glob ? text_glob(span_of_str(tags[i].pattern), span_of_str(name))
                         : strcmp(tags[i].pattern, name) == 0) {
            return true;
        }
    }
    return false;
}

uint64_t query_first_needed(const struct query *query)
{
    const struct query_stage *stage = &query->stages[query->collapse];
    if (stage->module == NULL || stage->module->first_needed == NULL || stage->tag_count > 0) {
        return UINT64_MAX;
    }
    return stage->module->first_needed(stage->plan);
}
