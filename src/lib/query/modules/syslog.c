/*
 * syslog [-e value] [-s] item …
 *
 * RFC 5424, from left to right as far as it goes. item = a name of the header, Structured.key,
 * Structured[id].key or a key of the structured data; [OP value] [as name].
 * Tested by extraction_test.c.
 */
#include "query/modules/extract.h"
#include "query/modules/modules.h"

enum part {
    PART_FACILITY,
    PART_SEVERITY,
    PART_PRIORITY,
    PART_VERSION,
    PART_TIMESTAMP, /* from here on texts */
    PART_HOSTNAME,
    PART_APPNAME,
    PART_PROCID,
    PART_MSGID,
    PART_MESSAGE,
    PART_STRUCTURED_ID,
    PART_KEY,
};

static const char *const names[] = {
    [PART_FACILITY] = "Facility",
    [PART_SEVERITY] = "Severity",
    [PART_PRIORITY] = "Priority",
    [PART_VERSION] = "Version",
    [PART_TIMESTAMP] = "Timestamp",
    [PART_HOSTNAME] = "Hostname",
    [PART_APPNAME] = "Appname",
    [PART_PROCID] = "ProcID",
    [PART_MSGID] = "MsgID",
    [PART_MESSAGE] = "Message",
    [PART_STRUCTURED_ID] = "StructuredID",
};

struct path {
    enum part part;
    struct span id; /* of the element; empty: any */
    struct span key;
};

struct header {
    int64_t numbers[PART_VERSION + 1];
    size_t number_count;
    struct span texts[PART_MESSAGE + 1]; /* empty: not there */
    struct span structured;
};

/* ── Arguments ───────────────────────────────────────────────────────────────────────────── */

static bool glued(const struct query_args *args, char punct)
{
    return args->next < args->count && args->tokens[args->next].glued &&
           query_token_is(&args->tokens[args->next], punct);
}

static bool next_name(struct query_args *args, struct span *ret_name)
{
    if (args->next == args->count || args->tokens[args->next].kind == QUERY_TOKEN_PUNCT ||
        args->tokens[args->next].kind == QUERY_TOKEN_OP) {
        return false;
    }
    *ret_name = arena_span_dup(args->arena, args->tokens[args->next++].text);
    return true;
}

/* An id such as exampleSDID@32473 is more than one token. */
static bool element_id(struct query_args *args, struct path *path)
{
    struct buf id = {0};
    args->next++;
    while (args->next < args->count && !query_token_is(&args->tokens[args->next], ']')) {
        buf_append(&id, args->tokens[args->next++].text);
    }
    path->id = arena_span_dup(args->arena, buf_span(&id));
    buf_deinit(&id);
    args->next += args->next < args->count ? 1 : 0;
    return path->id.bytes > 0;
}

static int parse_path(struct query_args *args, struct extract_plan *plan, struct extract_item *item)
{
    (void)plan;
    struct path *path = ARENA_NEW(args->arena, struct path);
    struct span name;
    const struct query_token *at = &args->tokens[args->next];
    item->path = path;
    if (!next_name(args, &name)) {
        return query_fault(args->error, at->offset, at->bytes, "syslog: a name was expected");
    }
    path->part = PART_KEY;
    path->key = name;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        path->part = span_equal_str(name, names[i]) ? (enum part)i : path->part;
    }
    if (span_equal_str(name, "Structured") && (glued(args, '.') || glued(args, '['))) {
        bool good = !glued(args, '[') || element_id(args, path);
        good = good && glued(args, '.');
        args->next += good ? 1 : 0;
        if (!good || !next_name(args, &path->key)) {
            return query_fault(args->error, at->offset, at->bytes,
                               "syslog: Structured.key or Structured[id].key was expected");
        }
    }
    item->name = path->part == PART_KEY ? path->key : name;
    item->numeric = path->part <= PART_VERSION;
    return 0;
}

/* ── Reading ─────────────────────────────────────────────────────────────────────────────── */

static bool take_number(struct span *rest, uint64_t most, int64_t *ret_number)
{
    size_t bytes = 0;
    uint64_t number = 0;
    while (bytes < rest->bytes && bytes < 4 && rest->data[bytes] >= '0' &&
           rest->data[bytes] <= '9') {
        bytes++;
    }
    if (bytes == 0 || !span_to_u64(span_first(*rest, bytes), &number) || number > most) {
        return false;
    }
    *ret_number = (int64_t)number;
    *rest = span_from(*rest, bytes);
    return true;
}

/* Up to the space behind it; "-" is nothing. */
static struct span take_word(struct span *rest)
{
    ptrdiff_t end = span_find_byte(*rest, ' ');
    struct span word = end < 0 ? *rest : span_first(*rest, (size_t)end);
    *rest = span_from(*rest, word.bytes + 1);
    return span_equal_str(word, "-") ? SPAN_NONE : word;
}

/* Bytes of the element, brackets included; 0: it has no end. */
static size_t element_bytes(struct span text)
{
    bool quoted = false;
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] == '\\' && quoted) {
            i++;
        } else if (text.data[i] == '"') {
            quoted = !quoted;
        } else if (text.data[i] == ']' && !quoted) {
            return i + 1;
        }
    }
    return 0;
}

static bool read_structured(struct span *rest, struct header *header)
{
    struct span all = *rest;
    if (rest->bytes > 0 && rest->data[0] == '-') {
        *rest = span_from(*rest, 1);
        return true;
    }
    while (rest->bytes > 0 && rest->data[0] == '[') {
        size_t bytes = element_bytes(*rest);
        if (bytes == 0) {
            return false;
        }
        *rest = span_from(*rest, bytes);
    }
    header->structured = span_first(all, all.bytes - rest->bytes);
    return header->structured.bytes > 0;
}

/* False: it is of another form from some place on. */
static bool read_header(struct span data, struct header *header)
{
    struct span rest = data;
    int64_t priority = 0;
    if (rest.bytes == 0 || rest.data[0] != '<') {
        return false;
    }
    rest = span_from(rest, 1);
    if (!take_number(&rest, 191, &priority) || rest.bytes == 0 || rest.data[0] != '>') {
        return false;
    }
    rest = span_from(rest, 1);
    header->numbers[PART_FACILITY] = priority / 8;
    header->numbers[PART_SEVERITY] = priority % 8;
    header->numbers[PART_PRIORITY] = priority;
    header->number_count = PART_PRIORITY + 1;
    if (!take_number(&rest, 999, &header->numbers[PART_VERSION]) || rest.bytes == 0 ||
        rest.data[0] != ' ') {
        return false;
    }
    header->number_count = PART_VERSION + 1;
    rest = span_from(rest, 1);
    for (size_t i = PART_TIMESTAMP; i <= PART_MSGID; i++) {
        if (rest.bytes == 0) {
            return false;
        }
        header->texts[i] = take_word(&rest);
    }
    if (!read_structured(&rest, header)) {
        return false;
    }
    rest = span_from(rest, rest.bytes > 0 && rest.data[0] == ' ' ? 1 : 0);
    bool mark = span_starts_with(rest, SPAN_LIT("\xEF\xBB\xBF"));
    header->texts[PART_MESSAGE] = span_from(rest, mark ? 3 : 0);
    return true;
}

/* \" \\ \] lose their backslash. */
static struct span unescape(struct span text, struct arena *arena)
{
    if (span_find_byte(text, '\\') < 0) {
        return text;
    }
    uint8_t *copy = arena_alloc(arena, text.bytes + 1);
    size_t bytes = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        bool escape = text.data[i] == '\\' && i + 1 < text.bytes &&
                      strchr("\"\\]", text.data[i + 1]) != NULL && text.data[i + 1] != 0;
        i += escape ? 1 : 0;
        copy[bytes++] = text.data[i];
    }
    return span_of(copy, bytes);
}

/* Cuts the next ` key="value"` off an element's inside. */
static bool next_pair(struct span *rest, struct span *ret_key, struct span *ret_value)
{
    while (rest->bytes > 0 && rest->data[0] == ' ') {
        *rest = span_from(*rest, 1);
    }
    ptrdiff_t equals = span_find(*rest, SPAN_LIT("=\""));
    if (equals < 0) {
        return false;
    }
    *ret_key = span_first(*rest, (size_t)equals);
    *rest = span_from(*rest, (size_t)equals + 2);
    size_t bytes = 0;
    while (bytes < rest->bytes && rest->data[bytes] != '"') {
        bytes += rest->data[bytes] == '\\' ? 2 : 1;
    }
    *ret_value = span_first(*rest, bytes);
    *rest = span_from(*rest, bytes + 1);
    return true;
}

/* The first value of the key; of StructuredID the id that the filter names, else the first. */
static struct query_value in_structured(const struct extract_item *item, struct span structured,
                                        struct arena *arena)
{
    const struct path *path = item->path;
    struct query_value first = {.type = QUERY_VALUE_NONE};
    while (structured.bytes > 0) {
        size_t bytes = element_bytes(structured);
        struct span inside = span_first(span_from(structured, 1), bytes - 2);
        structured = span_from(structured, bytes);
        size_t id_bytes = 0;
        while (id_bytes < inside.bytes && inside.data[id_bytes] != ' ') {
            id_bytes++;
        }
        struct span id = span_first(inside, id_bytes);
        if (path->part == PART_STRUCTURED_ID) {
            bool asked = span_equal(id, item->filter.text) && item->filter.op != EXTRACT_NONE;
            if (asked || first.type == QUERY_VALUE_NONE) {
                first = query_value_of_text(id);
            }
            if (asked) {
                break;
            }
            continue;
        }
        struct span key;
        struct span value;
        struct span rest = span_from(inside, id_bytes);
        while ((path->id.bytes == 0 || span_equal(id, path->id)) &&
               next_pair(&rest, &key, &value)) {
            if (span_equal(key, path->key)) {
                return query_value_of_text(unescape(value, arena));
            }
        }
    }
    return first;
}

static bool find(const struct extract_plan *plan, void *state, struct span data,
                 struct arena *arena, struct extract_found *found)
{
    (void)state;
    struct header header = {0};
    found->broken = !read_header(data, &header);
    for (size_t i = 0; i < plan->count; i++) {
        const struct path *path = plan->items[i].path;
        if (path->part <= PART_VERSION) {
            if ((size_t)path->part < header.number_count) {
                found->values[i] = query_value_of_i64(header.numbers[path->part]);
            }
        } else if (path->part <= PART_MESSAGE) {
            if (header.texts[path->part].data != NULL) {
                found->values[i] = query_value_of_text(header.texts[path->part]);
            }
        } else {
            found->values[i] = in_structured(&plan->items[i], header.structured, arena);
        }
    }
    return true;
}

static const struct extract_way way = {.path = parse_path, .find = find};

static int parse(struct query_args *args, void **ret_plan)
{
    return extract_parse(args, &way, ret_plan);
}

const struct query_module query_module_syslog = {
    .name = "syslog",
    .summary = "takes the parts of RFC 5424 messages",
    .parse = parse,
    .run = extract_run,
    .uses = extract_uses,
    .settle = extract_settle,
    .tell = extract_tell,
};
