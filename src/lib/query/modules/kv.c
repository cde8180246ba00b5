/*
 * kv [-e value] [-sep s] [-d chars] [-dall string] [-s] [-q] [-noclean] item …
 *
 * item = key [OP value] [as name]. The first pair with a key counts.
 *
 * What an entry must have to pass is looked for in the whole block at once; only entries that have
 * it are taken apart. Where most have it that is given up for some blocks.
 * Tested by modules_test.c and modules_random_test.c.
 */
#include "base/mem.h"
#include "query/modules/extract.h"
#include "query/modules/modules.h"
#include "query/pattern.h"

#define SIEVE_ENTRIES_MIN 32 /* in a block that it is worth it for */
#define SIEVE_PAUSE 32       /* blocks, when more than half of the entries had it */

enum { FLAG_E, FLAG_SEP, FLAG_D, FLAG_DALL, FLAG_S, FLAG_Q, FLAG_NOCLEAN };

static const struct query_flag flags[] = {[FLAG_E] = {"e", true},
                                          [FLAG_SEP] = {"sep", true},
                                          [FLAG_D] = {"d", true},
                                          [FLAG_DALL] = {"dall", true},
                                          [FLAG_S] = {"s", false},
                                          [FLAG_Q] = {"q", false},
                                          [FLAG_NOCLEAN] = {"noclean", false}};

struct own {
    struct span separator;
    struct span delimiters; /* any byte of it ... */
    bool delimits[256];     /* ... the same by byte ... */
    bool whole;             /* ... or all of it */
    bool quotes;
    bool clean;
    bool apart;                  /* no letter or digit ends a key or a value */
    bool ends[256];              /* last bytes of the keys that are asked for */
    struct query_patterns *must; /* a text that every entry that passes has; NULL: none is known */
};

struct kv_state {
    struct query_scanner *scanner;
    VEC(uint64_t) hits;
    unsigned pause;
};

static int parse_path(struct query_args *args, struct extract_plan *plan, struct extract_item *item)
{
    (void)plan;
    const struct query_token *token = &args->tokens[args->next];
    if (token->kind == QUERY_TOKEN_PUNCT || token->kind == QUERY_TOKEN_OP) {
        return query_fault(args->error, token->offset, token->bytes, "kv: a key was expected");
    }
    struct span *key = ARENA_NEW(args->arena, struct span);
    *key = item->name = arena_span_dup(args->arena, token->text);
    item->path = key;
    args->next++;
    return 0;
}

/* Bytes of the delimiter at the front, 0 when there is none. */
static inline size_t delimiter(const struct own *own, struct span text)
{
    if (own->whole) {
        return span_starts_with(text, own->delimiters) ? own->delimiters.bytes : 0;
    }
    return text.bytes > 0 && own->delimits[text.data[0]] ? 1 : 0;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static struct span skip_space(struct span text)
{
    size_t i = 0;
    while (i < text.bytes && is_space(text.data[i])) {
        i++;
    }
    return span_from(text, i);
}

static struct span trim(struct span text)
{
    text = skip_space(text);
    while (text.bytes > 0 && is_space(text.data[text.bytes - 1])) {
        text.bytes--;
    }
    return text;
}

/* Cuts the value off the front of what follows a separator. */
static struct span cut_value(const struct own *own, struct span *rest)
{
    if (own->clean) {
        *rest = skip_space(*rest);
    }
    if (own->quotes && rest->bytes > 0 && rest->data[0] == '"') {
        ptrdiff_t end = span_find_byte(span_from(*rest, 1), '"');
        if (end >= 0) {
            struct span value = span_first(span_from(*rest, 1), (size_t)end);
            *rest = span_from(*rest, (size_t)end + 2);
            return value;
        }
    }
    size_t bytes = 0;
    while (bytes < rest->bytes && delimiter(own, span_from(*rest, bytes)) == 0) {
        bytes++;
    }
    struct span value = span_first(*rest, bytes);
    *rest = span_from(*rest, bytes);
    return own->clean ? trim(value) : value;
}

/* The key that ends where the separator begins: what follows the last delimiter before it. */
static struct span key_before(const struct own *own, struct span text)
{
    text = trim(text);
    size_t from = text.bytes;
    while (from > 0 && delimiter(own, span_from(text, from - 1)) == 0) {
        from--;
    }
    if (own->whole && from > 0) {
        from += own->delimiters.bytes - 1;
    }
    return trim(span_from(text, from));
}

/* Can what stands before a separator end in one of the keys? */
static bool may_be_key(const struct own *own, struct span text)
{
    while (text.bytes > 0 && is_space(text.data[text.bytes - 1])) {
        text.bytes--;
    }
    return text.bytes == 0 || own->ends[text.data[text.bytes - 1]];
}

/* Notes the pair for the items that want it; true: nothing more is to be known of the entry. */
static bool note(const struct extract_plan *plan, struct span key, struct span value,
                 struct extract_found *found, size_t *count, bool *passes)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct extract_item *item = &plan->items[i];
        if (found->values[i].type == QUERY_VALUE_NONE &&
            span_equal(*(const struct span *)item->path, key)) {
            found->values[i] = query_value_of_text(value);
            *passes = *passes && extract_passes(&item->filter, item->numeric, &found->values[i]);
            ++*count;
        }
    }
    return *count == plan->count || !*passes;
}

static bool find(const struct extract_plan *plan, void *state, struct span data,
                 struct arena *arena, struct extract_found *found)
{
    (void)state;
    (void)arena;
    const struct own *own = plan->own;
    struct span rest = data;
    size_t count = 0;
    bool passes = true;
    for (bool done = false; !done;) {
        ptrdiff_t at = own->separator.bytes == 1 ? span_find_byte(rest, own->separator.data[0])
                                                 : span_find(rest, own->separator);
        if (at < 0) {
            break;
        }
        struct span before = span_first(rest, (size_t)at);
        rest = span_from(rest, (size_t)at + own->separator.bytes);
        struct span value = cut_value(own, &rest);
        done = may_be_key(own, before) &&
               note(plan, key_before(own, before), value, found, &count, &passes);
    }
    return passes;
}

static const struct extract_way way = {.path = parse_path, .find = find};

static bool has_letter_or_digit(struct span text)
{
    bool has = false;
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t letter = text.data[i] | 0x20;
        has =
            has || (text.data[i] >= '0' && text.data[i] <= '9') || (letter >= 'a' && letter <= 'z');
    }
    return has;
}

/* What can be known of entries before they are taken apart. */
static void look_ahead(const struct extract_plan *plan, struct own *own)
{
    struct span must = SPAN_NONE;
    for (size_t i = 0; i < plan->count; i++) {
        struct span key = *(const struct span *)plan->items[i].path;
        const struct extract_filter *filter = &plan->items[i].filter;
        bool there = filter->op == EXTRACT_EQ || filter->op == EXTRACT_HAS;
        must = there && filter->text.bytes > must.bytes ? filter->text : must;
        if (key.bytes > 0) {
            own->ends[key.data[key.bytes - 1]] = true;
        } else {
            memset(own->ends, true, sizeof(own->ends));
        }
    }
    size_t bad = 0;
    if (must.bytes > 0 && must.bytes <= QUERY_PATTERN_BYTES_MAX && plan->source.bytes == 0) {
        int rc = query_patterns_new(&must, 1, QUERY_PATTERN_LITERAL, false, &own->must, &bad);
        own->must = rc < 0 ? NULL : own->must; /* it can do without */
    }
}

static void free_plan(void *plan)
{
    struct own *own = ((struct extract_plan *)plan)->own;
    query_patterns_free(&own->must);
}

static void stop(void *pointer)
{
    struct kv_state *state = pointer;
    query_scanner_free(&state->scanner);
    vec_deinit(&state->hits);
    mem_free(state);
}

static int start(const void *plan, void **ret_state)
{
    const struct own *own = ((const struct extract_plan *)plan)->own;
    struct kv_state *state = MEM_NEW(struct kv_state);
    int rc = own->must == NULL ? 0 : query_scanner_new(own->must, &state->scanner);
    if (rc < 0) {
        stop(state);
        return rc;
    }
    *ret_state = state;
    return 0;
}

/* Leaves in the block what can pass. */
static int sieve(struct kv_state *state, struct query_block *block)
{
    while (state->hits.count < block->count) {
        vec_push(&state->hits, 0);
    }
    int rc = query_scanner_block(state->scanner, block, state->hits.items);
    size_t kept = 0;
    for (size_t i = 0; rc == 0 && i < block->count; i++) {
        block->picks[kept] = block->picks[i];
        kept += state->hits.items[i] != 0;
    }
    state->pause = kept > block->count / 2 ? SIEVE_PAUSE : 0;
    block->count = rc == 0 ? kept : block->count;
    return rc;
}

static int run(const void *plan, void *pointer, struct query_block *block)
{
    struct kv_state *state = pointer;
    int rc = 0;
    if (state->pause > 0) {
        state->pause--;
    } else if (state->scanner != NULL && block->region.bytes > 0 &&
               block->count >= SIEVE_ENTRIES_MIN) {
        rc = sieve(state, block);
    }
    return rc < 0 ? rc : extract_run(plan, NULL, block);
}

static int parse(struct query_args *args, void **ret_plan)
{
    struct extract_plan *plan = ARENA_NEW(args->arena, struct extract_plan);
    struct own *own = ARENA_NEW(args->arena, struct own);
    *own = (struct own){.separator = SPAN_LIT("="), .delimiters = SPAN_LIT(" \t"), .clean = true};
    plan->way = &way;
    plan->own = own;
    *ret_plan = plan;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, flags, ARRAY_COUNT(flags), &flag, &value)) == 0) {
        plan->strict = plan->strict || flag == FLAG_S;
        own->quotes = own->quotes || flag == FLAG_Q;
        own->clean = own->clean && flag != FLAG_NOCLEAN;
        own->whole = own->whole || flag == FLAG_DALL;
        plan->source = flag == FLAG_E ? span_of_str(value) : plan->source;
        own->separator = flag == FLAG_SEP ? args->value : own->separator;
        bool delimiters = flag == FLAG_D || flag == FLAG_DALL;
        own->delimiters = delimiters ? args->value : own->delimiters;
    }
    if (rc == QUERY_ARGS_END && (own->separator.bytes == 0 || own->delimiters.bytes == 0)) {
        return query_args_fault(args, "a separator cannot be empty");
    }
    own->apart = !has_letter_or_digit(own->separator) && !has_letter_or_digit(own->delimiters);
    for (size_t i = 0; i < own->delimiters.bytes; i++) {
        own->delimits[own->delimiters.data[i]] = true;
    }
    rc = rc < 0 ? rc : extract_parse_items(args, plan);
    if (rc == 0) {
        look_ahead(plan, own);
    }
    return rc;
}

static size_t required(const void *pointer, struct span *ret_words, size_t words_max)
{
    const struct own *own = ((const struct extract_plan *)pointer)->own;
    return own->apart ? extract_required(pointer, ret_words, words_max) : 0;
}

const struct query_module query_module_kv = {
    .name = "kv",
    .summary = "takes values out of key=value pairs",
    .parse = parse,
    .free = free_plan,
    .start = start,
    .stop = stop,
    .run = run,
    .uses = extract_uses,
    .settle = extract_settle,
    .tell = extract_tell,
    .required = required,
};
