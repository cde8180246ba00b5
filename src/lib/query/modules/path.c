/*
 * path [-e value] [-s] item …     item = (base | dir | ext | volume) [OP value] [as name]
 *
 * Parts of a file's path, of Unix or Windows: the last element, all before it, its extension with
 * the dot, the drive or share. Tested by modules_text_test.c.
 */
#include "query/modules/extract.h"
#include "query/modules/modules.h"

static const char *const parts[] = {"base", "dir", "ext", "volume"};

static int parse_path(struct query_args *args, struct extract_plan *plan, struct extract_item *item)
{
    (void)plan;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        if (query_args_take(args, parts[i])) {
            item->name = span_of_str(parts[i]);
            item->path = (void *)(uintptr_t)parts[i];
            return 0;
        }
    }
    const struct query_token *token = &args->tokens[args->next];
    return query_fault(args->error, token->offset, token->bytes,
                       "path: base, dir, ext or volume was expected");
}

static bool windows(struct span path)
{
    bool drive = path.bytes > 1 && path.data[1] == ':';
    return drive || (span_find_byte(path, '\\') >= 0 && span_find_byte(path, '/') < 0);
}

static bool separates(struct span path, size_t at, bool back)
{
    return path.data[at] == '/' || (back && path.data[at] == '\\');
}

/* "C:", or "\\host\share". */
static struct span volume(struct span path, bool back)
{
    if (back && path.bytes > 1 && path.data[1] == ':') {
        return span_first(path, 2);
    }
    if (!back || path.bytes < 3 || path.data[0] != '\\' || path.data[1] != '\\') {
        return SPAN_LIT("");
    }
    size_t at = 2;
    for (size_t words = 0; at < path.bytes; at++) {
        words += separates(path, at, back) ? 1 : 0;
        if (words == 2) {
            break;
        }
    }
    return span_first(path, at);
}

/* Without separators at its end, unless that is all it has. */
static struct span bare(struct span path, size_t least, bool back)
{
    while (path.bytes > least + 1 && separates(path, path.bytes - 1, back)) {
        path.bytes--;
    }
    return path;
}

static bool find(const struct extract_plan *plan, void *state, struct span data,
                 struct arena *arena, struct extract_found *found)
{
    (void)state;
    (void)arena;
    bool back = windows(data);
    struct span head = volume(data, back);
    struct span whole = bare(data, head.bytes, back);
    size_t slash = whole.bytes;
    while (slash > head.bytes && !separates(whole, slash - 1, back)) {
        slash--;
    }
    struct span base = slash == whole.bytes && whole.bytes > head.bytes
                           ? span_from(whole, head.bytes)
                           : span_from(whole, slash);
    struct span dir = bare(span_first(whole, slash), head.bytes, back);
    size_t dot = base.bytes;
    while (dot > 0 && base.data[dot - 1] != '.') {
        dot--;
    }
    for (size_t i = 0; i < plan->count; i++) {
        const char *part = plan->items[i].path;
        struct span text = part == parts[0]   ? base
                           : part == parts[1] ? (dir.bytes == 0 ? SPAN_LIT(".") : dir)
                           : part == parts[2] ? span_from(base, dot == 0 ? base.bytes : dot - 1)
                                              : head;
        if (part != parts[3] || head.bytes > 0) {
            found->values[i] = query_value_of_text(text);
        }
    }
    return true;
}

static const struct extract_way way = {.path = parse_path, .find = find};

static int parse(struct query_args *args, void **ret_plan)
{
    return extract_parse(args, &way, ret_plan);
}

const struct query_module query_module_path = {
    .name = "path",
    .summary = "takes a file's path apart",
    .parse = parse,
    .run = extract_run,
    .uses = extract_uses,
    .settle = extract_settle,
    .tell = extract_tell,
};
