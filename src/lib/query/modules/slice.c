/*
 * slice item …            item = [type(] [value] "[" from:to "]" [)] [OP value] [as name]
 *
 * Bytes [from, to) of a value, of DATA without one; negative positions count from the end, [n] is
 * the one byte. Types: byte, (u)int16 32 64 and float32 64 with le or be (le without), string,
 * array (bytes), IPv4, IPv6. Numbers take all comparisons, addresses == != ~ !~ with networks,
 * others
 * == != ~ !~. An entry too short for an item has not got it. Tested by modules_slice_test.c.
 */
#include <stdlib.h>

#include "query/modules/address.h"
#include "query/modules/extract.h"
#include "query/modules/modules.h"

#define ITEMS_MAX 64

enum form { FORM_BYTES, FORM_UNSIGNED, FORM_SIGNED, FORM_FLOAT, FORM_TEXT, FORM_IP };

struct type {
    const char *name;
    enum form form;
    size_t bytes; /* 0: any number */
    bool big_endian;
};

static const struct type types[] = {
    {"array", FORM_BYTES, 0, false},
    {"string", FORM_TEXT, 0, false},
    {"byte", FORM_UNSIGNED, 1, false},
    {"int16", FORM_SIGNED, 2, false},
    {"int16le", FORM_SIGNED, 2, false},
    {"int16be", FORM_SIGNED, 2, true},
    {"uint16", FORM_UNSIGNED, 2, false},
    {"uint16le", FORM_UNSIGNED, 2, false},
    {"uint16be", FORM_UNSIGNED, 2, true},
    {"int32", FORM_SIGNED, 4, false},
    {"int32le", FORM_SIGNED, 4, false},
    {"int32be", FORM_SIGNED, 4, true},
    {"uint32", FORM_UNSIGNED, 4, false},
    {"uint32le", FORM_UNSIGNED, 4, false},
    {"uint32be", FORM_UNSIGNED, 4, true},
    {"int64", FORM_SIGNED, 8, false},
    {"int64le", FORM_SIGNED, 8, false},
    {"int64be", FORM_SIGNED, 8, true},
    {"uint64", FORM_UNSIGNED, 8, false},
    {"uint64le", FORM_UNSIGNED, 8, false},
    {"uint64be", FORM_UNSIGNED, 8, true},
    {"float32", FORM_FLOAT, 4, false},
    {"float32le", FORM_FLOAT, 4, false},
    {"float32be", FORM_FLOAT, 4, true},
    {"float64", FORM_FLOAT, 8, false},
    {"float64le", FORM_FLOAT, 8, false},
    {"float64be", FORM_FLOAT, 8, true},
    {"IPv4", FORM_IP, 4, true},
    {"IPv6", FORM_IP, ENTRY_SOURCE_BYTES, true},
};

struct item {
    const struct type *type;
    struct span from;
    int64_t begin;
    int64_t end;
    bool open; /* up to the end of the value */
    struct span to;
    struct extract_filter filter;
    struct address_set set;
};

struct plan {
    struct item items[ITEMS_MAX];
    size_t count;
};

/* ── Arguments ───────────────────────────────────────────────────────────────────────────── */

static const struct query_token *peek(const struct query_args *args)
{
    return args->next < args->count ? &args->tokens[args->next] : NULL;
}

static bool take_mark(struct query_args *args, char mark)
{
    bool here = peek(args) != NULL && query_token_is(peek(args), mark);
    args->next += here ? 1 : 0;
    return here;
}

static int expected(const struct query_args *args, const char *what)
{
    const struct query_token *token = peek(args);
    return token == NULL ? query_args_fault(args, "%s was expected", what)
                         : query_fault(args->error, token->offset, token->bytes,
                                       "slice: %s was expected", what);
}

/* A position, if one stands here. */
static bool take_position(struct query_args *args, int64_t *ret_position)
{
    const struct query_token *token = peek(args);
    bool is =
        token != NULL && token->kind == QUERY_TOKEN_WORD && span_to_i64(token->text, ret_position);
    args->next += is ? 1 : 0;
    return is;
}

static int parse_bounds(struct query_args *args, struct item *item)
{
    if (!take_mark(args, '[')) {
        return expected(args, "[from:to]");
    }
    bool first = take_position(args, &item->begin);
    if (take_mark(args, ':')) {
        item->open = !take_position(args, &item->end);
    } else if (!first) {
        return expected(args, "a position");
    } else {
        item->end = item->begin + 1;
        item->open = item->begin == -1;
    }
    return take_mark(args, ']') ? 0 : expected(args, "]");
}

static const struct type *find_type(const struct query_args *args)
{
    bool call = args->next + 1 < args->count && query_token_is(&args->tokens[args->next + 1], '(');
    for (size_t i = 0; call && i < ARRAY_COUNT(types); i++) {
        if (span_equal_str(args->tokens[args->next].text, types[i].name)) {
            return &types[i];
        }
    }
    return NULL;
}

static int check_width(const struct query_args *args, const struct item *item)
{
    bool known = !item->open && (item->begin < 0) == (item->end < 0);
    int64_t bytes = item->end - item->begin;
    return item->type->bytes == 0 || !known || bytes == (int64_t)item->type->bytes
               ? 0
               : query_args_fault(args, "%s needs %zu bytes, not %lld", item->type->name,
                                  item->type->bytes, (long long)bytes);
}

static int parse_filter(struct query_args *args, struct item *item)
{
    const struct query_token *at = peek(args);
    int rc = extract_parse_filter(args, &item->filter);
    enum extract_op op = item->filter.op;
    if (rc < 0 || op == EXTRACT_NONE) {
        return rc;
    }
    enum form form = item->type->form;
    bool number = form == FORM_UNSIGNED || form == FORM_SIGNED || form == FORM_FLOAT;
    bool part = op == EXTRACT_HAS || op == EXTRACT_HAS_NOT;
    struct query_value text = query_value_of_text(item->filter.text);
    if (number ? part : op >= EXTRACT_LT) {
        return query_fault(args->error, at->offset, at->bytes,
                           "slice: this comparison does not work on %s", item->type->name);
    }
    bool good = number            ? query_value_number(&text, &item->filter.number)
                : form == FORM_IP ? address_set_parse(item->filter.text, &item->set)
                                  : true;
    return good ? 0
                : query_fault(args->error, at->offset, at->bytes, "slice: '%.32s' is no %s",
                              arena_span_str(args->arena, item->filter.text),
                              number ? "number" : "address or network");
}

static int parse_item(struct query_args *args, struct item *item)
{
    size_t begin = args->next;
    const struct type *type = find_type(args);
    item->type = type == NULL ? &types[0] : type;
    item->from = SPAN_LIT("DATA");
    args->next += type == NULL ? 0 : 2;
    const struct query_token *token = peek(args);
    if (token != NULL && token->kind != QUERY_TOKEN_PUNCT && token->kind != QUERY_TOKEN_OP) {
        item->from = arena_span_dup(args->arena, token->text);
        args->next++;
        if (take_mark(args, '(')) {
            args->next = begin;
            return expected(args, "a type such as uint16be");
        }
    }
    int rc = parse_bounds(args, item);
    if (rc == 0 && type != NULL && !take_mark(args, ')')) {
        rc = expected(args, ")");
    }
    rc = rc < 0 ? rc : check_width(args, item);
    if (rc < 0) {
        return rc;
    }
    const struct query_token *last = &args->tokens[args->next - 1];
    const struct query_token *first = &args->tokens[begin];
    item->to = arena_span_dup(args->arena, span_first(span_from(args->text, first->offset),
                                                      last->offset + last->bytes - first->offset));
    rc = parse_filter(args, item);
    return rc < 0 ? rc : query_args_as(args, &item->to);
}

static int parse(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    int rc = 0;
    while (rc == 0 && peek(args) != NULL) {
        if (take_mark(args, ',')) {
            continue;
        }
        if (plan->count == ITEMS_MAX) {
            return query_args_fault(args, "more than %d items", ITEMS_MAX);
        }
        rc = parse_item(args, &plan->items[plan->count++]);
    }
    return rc == 0 && plan->count == 0 ? query_args_fault(args, "what to take is missing") : rc;
}

/* ── Running ─────────────────────────────────────────────────────────────────────────────── */

/* The bytes of the item; false: there are not as many. */
static bool cut(const struct item *item, struct span data, struct span *ret)
{
    int64_t bytes = (int64_t)data.bytes;
    int64_t begin = item->begin < 0 ? item->begin + bytes : item->begin;
    int64_t end = item->open ? bytes : item->end < 0 ? item->end + bytes : item->end;
    if (begin < 0 || begin > end || end > bytes) {
        return false;
    }
    *ret = span_first(span_from(data, (size_t)begin), (size_t)(end - begin));
    return item->type->bytes == 0 || ret->bytes == item->type->bytes;
}

static struct query_value number_of(const struct type *type, struct span bytes)
{
    uint64_t raw = 0;
    for (size_t i = 0; i < bytes.bytes; i++) {
        raw = raw << 8 | bytes.data[type->big_endian ? i : bytes.bytes - 1 - i];
    }
    if (type->form == FORM_SIGNED && bytes.bytes < 8) {
        uint64_t sign = UINT64_C(1) << (8 * bytes.bytes - 1);
        raw = (raw ^ sign) - sign;
    }
    if (type->form == FORM_FLOAT) {
        float single = 0;
        double real = 0;
        uint32_t half = (uint32_t)raw;
        memcpy(&single, &half, sizeof(single));
        memcpy(&real, &raw, sizeof(real));
        return query_value_of_f64(bytes.bytes == 4 ? (double)single : real);
    }
    return type->form == FORM_UNSIGNED && raw > INT64_MAX ? query_value_of_f64((double)raw)
                                                          : query_value_of_i64((int64_t)raw);
}

static struct query_value value_of(const struct item *item, struct span bytes)
{
    struct query_value value = query_value_of_text(bytes);
    switch (item->type->form) {
    case FORM_BYTES:
        value.type = QUERY_VALUE_BYTES;
        return value;
    case FORM_TEXT:
        return value;
    case FORM_IP:
        value.type = QUERY_VALUE_IP;
        if (bytes.bytes == ENTRY_SOURCE_BYTES) {
            memcpy(value.ip, bytes.data, ENTRY_SOURCE_BYTES);
        } else {
            entry_source_of_v4(bytes.data, value.ip);
        }
        return value;
    default:
        return number_of(item->type, bytes);
    }
}

static bool meets(const struct item *item, const struct query_value *value)
{
    enum extract_op op = item->filter.op;
    if (op == EXTRACT_NONE) {
        return true;
    }
    if (value->type == QUERY_VALUE_IP) {
        return address_set_has(&item->set, value->ip) == (op == EXTRACT_EQ || op == EXTRACT_HAS);
    }
    bool number = item->type->form == FORM_UNSIGNED || item->type->form == FORM_SIGNED ||
                  item->type->form == FORM_FLOAT;
    return extract_passes(&item->filter, number, value);
}

static bool run_one(const void *pointer, struct query_block *block, size_t index)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        const struct item *item = &plan->items[i];
        struct query_value value = {.type = QUERY_VALUE_NONE};
        struct span data;
        struct span bytes;
        if (query_block_text(block, index, item->from, &data) && cut(item, data, &bytes)) {
            value = value_of(item, bytes);
            query_block_column(block, item->to)[index] = value;
        }
        if (!meets(item, &value)) {
            return false;
        }
    }
    return true;
}

static int run(const void *plan, void *state, struct query_block *block)
{
    (void)state;
    query_block_keep(block, run_one, plan);
    return 0;
}

static bool uses(const void *pointer, struct span name)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        if (span_equal(plan->items[i].from, name)) {
            return true;
        }
    }
    return false;
}

static void tell(const void *pointer, query_tell *each, void *context)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        each(context, plan->items[i].to);
    }
}

const struct query_module query_module_slice = {
    .name = "slice",
    .summary = "takes bytes of a value, as numbers, addresses or texts",
    .parse = parse,
    .run = run,
    .uses = uses,
    .tell = tell,
};

size_t query_slice_names(const void *pointer, struct span *names, size_t max)
{
    const struct plan *plan = pointer;
    size_t count = MIN(plan->count, max);
    for (size_t i = 0; i < count; i++) {
        names[i] = plan->items[i].to;
    }
    return count;
}
