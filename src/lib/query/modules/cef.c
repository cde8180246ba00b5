/*
 * cef [-e value] [-s] item …
 *
 * item = a name of the header (Version DeviceVendor DeviceProduct DeviceVersion Signature Name
 * Severity), a key of the extension, Ext.key for one that is called like the header's;
 * [OP value] [as name]. What stands before "CEF:" is passed over. Tested by extraction_test.c.
 */
#include "query/modules/extract.h"
#include "query/modules/modules.h"

#define HEADERS 7

static const char *const headers[HEADERS] = {
    "Version", "DeviceVendor", "DeviceProduct", "DeviceVersion", "Signature", "Name", "Severity"};

struct path {
    size_t header; /* HEADERS: a key of the extension */
    struct span key;
};

static int parse_path(struct query_args *args, struct extract_plan *plan, struct extract_item *item)
{
    (void)plan;
    struct path *path = ARENA_NEW(args->arena, struct path);
    struct query_token token;
    struct span name;
    item->path = path;
    if (args->tokens[args->next].kind == QUERY_TOKEN_PUNCT ||
        args->tokens[args->next].kind == QUERY_TOKEN_OP) {
        return query_args_fault(args, "a name was expected");
    }
    token = args->tokens[args->next++];
    name = arena_span_dup(args->arena, token.text);
    bool extension = span_equal_str(name, "Ext") && args->next + 1 < args->count &&
                     query_token_is(&args->tokens[args->next], '.');
    if (extension) {
        name = arena_span_dup(args->arena, args->tokens[args->next + 1].text);
        args->next += 2;
    }
    path->key = item->name = name;
    path->header = 0;
    while (path->header < HEADERS && (extension || !span_equal_str(name, headers[path->header]))) {
        path->header++;
    }
    return 0;
}

/* Without the backslashes before | = and themselves; \n and \r are what they say. */
static struct span unescape(struct span text, struct arena *arena)
{
    if (span_find_byte(text, '\\') < 0) {
        return text;
    }
    uint8_t *copy = arena_alloc(arena, text.bytes + 1);
    size_t bytes = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t c = text.data[i];
        if (c == '\\' && i + 1 < text.bytes) {
            uint8_t after = text.data[++i];
            bool plain = after == '\\' || after == '|' || after == '=';
            if (!plain && after != 'n' && after != 'r') {
                copy[bytes++] = c;
            }
            c = after == 'n' ? '\n' : after == 'r' ? '\r' : after;
        }
        copy[bytes++] = c;
    }
    return span_of(copy, bytes);
}

/* Up to the next | that is not escaped. */
static bool take_header(struct span *rest, struct span *ret_text)
{
    for (size_t i = 0; i < rest->bytes; i++) {
        if (rest->data[i] == '\\') {
            i++;
        } else if (rest->data[i] == '|') {
            *ret_text = span_first(*rest, i);
            *rest = span_from(*rest, i + 1);
            return true;
        }
    }
    return false;
}

/* The = that ends the next key; -1: there is none. */
static ptrdiff_t next_equals(struct span text, size_t from)
{
    for (size_t i = from; i < text.bytes; i++) {
        if (text.data[i] == '\\') {
            i++;
        } else if (text.data[i] == '=') {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

/* Cuts `key=value` off the front; the value ends before the space of the next key. */
static bool take_pair(struct span *rest, struct span *ret_key, struct span *ret_value)
{
    *rest = span_trim(*rest);
    ptrdiff_t equals = next_equals(*rest, 0);
    if (equals <= 0) {
        return false;
    }
    *ret_key = span_first(*rest, (size_t)equals);
    ptrdiff_t after = next_equals(*rest, (size_t)equals + 1);
    size_t end = after < 0 ? rest->bytes : (size_t)after;
    while (after >= 0 && end > (size_t)equals + 1 && rest->data[end - 1] != ' ') {
        end--;
    }
    *ret_value =
        span_trim(span_first(span_from(*rest, (size_t)equals + 1), end - (size_t)equals - 1));
    *rest = span_from(*rest, end);
    return end > (size_t)equals + 1 || after < 0;
}

static bool find(const struct extract_plan *plan, void *state, struct span data,
                 struct arena *arena, struct extract_found *found)
{
    (void)state;
    struct span values[HEADERS] = {{0}};
    ptrdiff_t begin = span_find(data, SPAN_LIT("CEF:"));
    struct span rest = begin < 0 ? SPAN_NONE : span_from(data, (size_t)begin + 4);
    bool whole = begin >= 0;
    for (size_t i = 0; whole && i < HEADERS; i++) {
        whole = take_header(&rest, &values[i]);
    }
    found->broken = !whole;
    for (size_t i = 0; i < plan->count; i++) {
        const struct path *path = plan->items[i].path;
        if (path->header < HEADERS && values[path->header].data != NULL) {
            found->values[i] = query_value_of_text(unescape(values[path->header], arena));
        }
    }
    struct span key;
    struct span value;
    while (whole && take_pair(&rest, &key, &value)) {
        for (size_t i = 0; i < plan->count; i++) {
            const struct path *path = plan->items[i].path;
            if (path->header == HEADERS && found->values[i].type == QUERY_VALUE_NONE &&
                span_equal(path->key, key)) {
                found->values[i] = query_value_of_text(unescape(value, arena));
            }
        }
    }
    return true;
}

static const struct extract_way way = {.path = parse_path, .find = find};

static int parse(struct query_args *args, void **ret_plan)
{
    return extract_parse(args, &way, ret_plan);
}

const struct query_module query_module_cef = {
    .name = "cef",
    .summary = "takes values out of CEF messages",
    .parse = parse,
    .run = extract_run,
    .uses = extract_uses,
    .settle = extract_settle,
    .tell = extract_tell,
};
