/* The functions of eval by name, and those about values themselves. Tested by eval_test.c. */
#include <inttypes.h>
#include <math.h>

#include "base/text.h"
#include "base/time.h"
#include "base/vec.h"
#include "query/columns.h"
#include "query/modules/address.h"
#include "query/modules/eval.h"

static const struct eval_function *const tables[] = {eval_functions_core, eval_functions_text,
                                                     eval_functions_math, eval_functions_json};

const struct eval_function *eval_function_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_COUNT(tables); i++) {
        for (const struct eval_function *one = tables[i]; one->name != NULL; one++) {
            if (span_equal_str(name, one->name)) {
                return one;
            }
        }
    }
    return NULL;
}

const char *eval_function_nearest(struct span name)
{
    const char *names[256];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(tables); i++) {
        for (const struct eval_function *one = tables[i]; one->name != NULL; one++) {
            CHECK(count < ARRAY_COUNT(names));
            names[count++] = one->name;
        }
    }
    return text_nearest(name, names, count);
}

/* The name that an argument means: has(x) and has("x") are the same. */
static struct span name_of(const struct eval_node *node, const struct eval_value *args)
{
    const struct eval_node *argument = node->items[0];
    if (argument->kind == EVAL_NAME) {
        return argument->name;
    }
    bool text = !args[0].list && args[0].value.type == QUERY_VALUE_TEXT;
    return text ? args[0].value.text : SPAN_NONE;
}

FUNCTION(f_has)
{
    UNUSED_ARGS();
    struct query_value value;
    bool there = node->items[0]->kind == EVAL_VARIABLE
                     ? args[0].list || args[0].value.type != QUERY_VALUE_NONE
                     : query_block_get(run->block, run->index, name_of(node, args), &value);
    *ret = eval_of(query_value_of_bool(there));
    return true;
}

FUNCTION(f_delete)
{
    UNUSED_ARGS();
    struct span name = name_of(node, args);
    if (name.bytes > 0 && eval_bytes(run, name.bytes)) {
        struct query_value *column =
            query_block_column(run->block, arena_span_dup(run->arena, name));
        column[run->index].type = QUERY_VALUE_REMOVED;
    }
    return false;
}

FUNCTION(f_len)
{
    UNUSED_ARGS();
    struct span text;
    if (args[0].list) {
        *ret = eval_of(query_value_of_i64((int64_t)args[0].count));
        return true;
    }
    if (!eval_value_text(run, &args[0], &text)) {
        return false;
    }
    *ret = eval_of(query_value_of_i64((int64_t)text.bytes));
    return true;
}

FUNCTION(f_type)
{
    UNUSED_ARGS();
    static const char *const names[] = {
        [QUERY_VALUE_NONE] = "",       [QUERY_VALUE_TEXT] = "string",
        [QUERY_VALUE_BYTES] = "slice", [QUERY_VALUE_I64] = "int",
        [QUERY_VALUE_F64] = "float",   [QUERY_VALUE_BOOL] = "bool",
        [QUERY_VALUE_IP] = "ip",       [QUERY_VALUE_TIME] = "time",
        [QUERY_VALUE_REMOVED] = "",    [QUERY_VALUE_DURATION] = "duration",
    };
    const char *name = args[0].list ? "array" : names[args[0].value.type];
    *ret = eval_of(query_value_of_text(span_of_str(name)));
    return true;
}

FUNCTION(f_in)
{
    UNUSED_ARGS();
    bool found = false;
    for (size_t i = 1; i < count && !found; i++) {
        found = eval_equal(&args[0], &args[i]);
        for (size_t j = 0; args[i].list && j < args[i].count && !found; j++) {
            found = eval_equal(&args[0], &args[i].items[j]);
        }
    }
    *ret = eval_of(query_value_of_bool(found));
    return true;
}

FUNCTION(f_match)
{
    UNUSED_ARGS();
    struct span text;
    if (!eval_value_text(run, &args[0], &text)) {
        return false;
    }
    enum expression_outcome outcome = expression_match(run->patterns[node->slot], text, 0);
    if (outcome == EXPRESSION_TOO_MUCH) {
        run->why = "an expression takes too many steps";
    }
    *ret = eval_of(query_value_of_bool(outcome == EXPRESSION_MATCH));
    return true;
}

FUNCTION(f_ip_in_cidr)
{
    UNUSED_ARGS();
    struct address_set set;
    struct span text;
    uint8_t ip[ENTRY_SOURCE_BYTES];
    if (args[0].list || !query_value_ip(&args[0].value, ip) ||
        !eval_value_text(run, &args[1], &text) || !address_set_parse(text, &set)) {
        return false;
    }
    *ret = eval_of(query_value_of_bool(address_set_has(&set, ip)));
    return true;
}

FUNCTION(f_set_data)
{
    UNUSED_ARGS();
    struct span text;
    if (eval_value_text(run, &args[0], &text)) {
        query_block_edit(run->block, run->index)->data = text;
    }
    return false;
}

FUNCTION(f_indirect)
{
    UNUSED_ARGS();
    struct span name;
    return eval_value_text(run, &args[0], &name) &&
           query_block_get(run->block, run->index, name, &ret->value);
}

struct names {
    VEC(struct span) list;
};

static void collect(void *context, struct span name)
{
    vec_push(&((struct names *)context)->list, name);
}

FUNCTION(f_evs)
{
    UNUSED_ARGS();
    struct names names = {0};
    struct eval_value *items = NULL;
    query_block_names(run->block, run->index, collect, &names);
    bool fits = eval_list(run, names.list.count, &items);
    for (size_t i = 0; fits && i < names.list.count; i++) {
        items[i] = eval_of(query_value_of_text(names.list.items[i]));
    }
    *ret = (struct eval_value){.items = items, .count = names.list.count, .list = true};
    vec_deinit(&names.list);
    return fits;
}

FUNCTION(f_evs_to_json)
{
    UNUSED_ARGS();
    struct names names = {0};
    struct buf buf = {0};
    query_block_names(run->block, run->index, collect, &names);
    buf_append_byte(&buf, '{');
    for (size_t i = 0; i < names.list.count; i++) {
        struct query_value value;
        struct buf text = {0};
        buf_append_str(&buf, i > 0 ? "," : "");
        text_json_string(&buf, names.list.items[i]);
        buf_append_byte(&buf, ':');
        (void)query_block_get(run->block, run->index, names.list.items[i], &value);
        query_value_put_text(&value, &text);
        bool bare = value.type == QUERY_VALUE_I64 || value.type == QUERY_VALUE_BOOL ||
                    (value.type == QUERY_VALUE_F64 && isfinite(value.real));
        if (bare) {
            buf_append(&buf, buf_span(&text));
        } else {
            text_json_string(&buf, buf_span(&text));
        }
        buf_deinit(&text);
    }
    buf_append_byte(&buf, '}');
    *ret = eval_text(run, buf_span(&buf));
    buf_deinit(&buf);
    vec_deinit(&names.list);
    return run->why == NULL;
}

FUNCTION(f_append)
{
    UNUSED_ARGS();
    struct eval_value *items = NULL;
    size_t old = args[0].list ? args[0].count : 0;
    if (!eval_list(run, old + count - 1, &items)) {
        return false;
    }
    if (old > 0) {
        memcpy(items, args[0].items, old * sizeof(*items));
    }
    memcpy(items + old, args + 1, (count - 1) * sizeof(*items));
    *ret = (struct eval_value){.items = items, .count = old + count - 1, .list = true};
    return true;
}

static const struct map *map_of(const struct eval_run *run, const struct eval_node *node)
{
    const struct eval_node *name = node->items[0];
    return name->kind == EVAL_VARIABLE ? &run->variables[name->slot].map : NULL;
}

FUNCTION(f_keys)
{
    UNUSED_ARGS();
    const struct map *map = map_of(run, node);
    struct eval_value *items = NULL;
    if (map == NULL || !eval_list(run, map->count, &items)) {
        return false;
    }
    size_t cursor = 0;
    size_t made = 0;
    struct span key;
    void *item = NULL;
    while (map_next(map, &cursor, &key, &item)) {
        items[made++] = eval_text(run, key);
    }
    *ret = (struct eval_value){.items = items, .count = made, .list = true};
    return run->why == NULL;
}

FUNCTION(f_has_key)
{
    UNUSED_ARGS();
    const struct map *map = map_of(run, node);
    struct span key;
    if (map == NULL || !eval_value_text(run, &args[1], &key)) {
        return false;
    }
    *ret = eval_of(query_value_of_bool(map_get(map, key) != NULL));
    return true;
}

/* ── Casts ───────────────────────────────────────────────────────────────────────────────── */

FUNCTION(c_int)
{
    UNUSED_ARGS();
    int64_t number = 0;
    if (args[0].value.type == QUERY_VALUE_IP || !eval_integer(&args[0], &number)) {
        return false;
    }
    *ret = eval_of(query_value_of_i64(number));
    return true;
}

/* Only so many bits of it, as C has it. */
#define NARROW(function, type)                                                                     \
    FUNCTION(function)                                                                             \
    {                                                                                              \
        UNUSED_ARGS();                                                                             \
        int64_t number = 0;                                                                        \
        if (!eval_integer(&args[0], &number)) {                                                    \
            return false;                                                                          \
        }                                                                                          \
        *ret = eval_of(query_value_of_i64((int64_t)(type)(uint64_t)number));                       \
        return true;                                                                               \
    }
NARROW(c_int8, int8_t)
NARROW(c_int16, int16_t)
NARROW(c_int32, int32_t)
NARROW(c_uint8, uint8_t)
NARROW(c_uint16, uint16_t)
NARROW(c_uint32, uint32_t)

FUNCTION(c_float)
{
    UNUSED_ARGS();
    double real = 0;
    if (!eval_real(&args[0], &real)) {
        return false;
    }
    *ret = eval_of(query_value_of_f64(real));
    return true;
}

FUNCTION(c_string)
{
    UNUSED_ARGS();
    struct span text;
    if (!eval_value_text(run, &args[0], &text)) {
        return false;
    }
    *ret = eval_of(query_value_of_text(text));
    return true;
}

FUNCTION(c_ip)
{
    UNUSED_ARGS();
    ret->value.type = QUERY_VALUE_IP;
    return !args[0].list && query_value_ip(&args[0].value, ret->value.ip);
}

FUNCTION(c_time)
{
    UNUSED_ARGS();
    struct span text;
    double seconds = 0;
    ret->value.type = QUERY_VALUE_TIME;
    if (args[0].value.type == QUERY_VALUE_TIME) {
        *ret = args[0];
        return true;
    }
    if (eval_real(&args[0], &seconds)) {
        if (!(fabs(seconds) < 9.2e9)) {
            return false;
        }
        ret->value.number = (int64_t)floor(seconds) * TIME_S_NS +
                            (int64_t)((seconds - floor(seconds)) * (double)TIME_S_NS);
        return true;
    }
    return eval_value_text(run, &args[0], &text) && time_parse(text, &ret->value.number);
}

FUNCTION(c_duration)
{
    UNUSED_ARGS();
    struct span text;
    ret->value.type = QUERY_VALUE_DURATION;
    if (eval_value_text(run, &args[0], &text) && time_parse_duration(text, &ret->value.number)) {
        return true;
    }
    return eval_integer(&args[0], &ret->value.number);
}

FUNCTION(c_bool)
{
    UNUSED_ARGS();
    bool text = !args[0].list && args[0].value.type == QUERY_VALUE_TEXT;
    bool off = text && (span_equal_str(args[0].value.text, "false") ||
                        span_equal_str(args[0].value.text, "0"));
    *ret = eval_of(query_value_of_bool(!off && eval_true(&args[0])));
    return true;
}

FUNCTION(c_array)
{
    UNUSED_ARGS();
    *ret = (struct eval_value){.items = args, .count = count, .list = true};
    return true;
}

FUNCTION(f_unix)
{
    struct eval_value time = {0};
    if (!c_time(run, node, args, count, &time)) {
        return false;
    }
    int64_t rest = time.value.number % TIME_S_NS;
    *ret = eval_of(query_value_of_i64(time.value.number / TIME_S_NS - (rest < 0 ? 1 : 0)));
    return true;
}

/* Six pairs of hexadecimal digits, with ':', '-' or nothing between them; as "aa:bb:cc:dd:ee:ff".
 */
FUNCTION(c_mac)
{
    UNUSED_ARGS();
    struct span text;
    struct buf digits = {0};
    struct buf bytes = {0};
    struct buf mac = {0};
    if (!eval_value_text(run, &args[0], &text)) {
        return false;
    }
    for (size_t i = 0; i < text.bytes; i++) {
        bool mark = text.data[i] == ':' || text.data[i] == '-';
        if (!mark || i % 3 != 2) {
            buf_append_byte(&digits, text.data[i]);
        }
    }
    bool good = digits.bytes == 12 && text_unhex(&bytes, buf_span(&digits));
    for (size_t i = 0; good && i < bytes.bytes; i++) {
        buf_printf(&mac, i > 0 ? ":%02x" : "%02x", bytes.data[i]);
    }
    *ret = good ? eval_text(run, buf_span(&mac)) : *ret;
    buf_deinit(&digits);
    buf_deinit(&bytes);
    buf_deinit(&mac);
    return good;
}

/* location(lat, long), location("50.1 14.4"): two numbers as the maps read them. */
FUNCTION(c_location)
{
    UNUSED_ARGS();
    struct span texts[2];
    struct buf place = {0};
    for (size_t i = 0; i < count; i++) {
        double degrees = 0;
        if (!eval_value_text(run, &args[i], &texts[i]) ||
            (count == 2 &&
             (!eval_real(&args[i], &degrees) || fabs(degrees) > (i == 0 ? 90 : 180)))) {
            buf_deinit(&place);
            return false;
        }
        buf_append_str(&place, i > 0 ? " " : "");
        buf_append(&place, texts[i]);
    }
    *ret = eval_text(run, buf_span(&place));
    buf_deinit(&place);
    return true;
}

/* Nothing is written anywhere: the text of its argument. */
FUNCTION(f_log)
{
    UNUSED_ARGS();
    struct span text;
    if (!eval_value_text(run, &args[0], &text)) {
        return false;
    }
    *ret = eval_text(run, text);
    return true;
}

const struct eval_function eval_functions_core[] = {
    {"has", 1, 1, false, f_has},
    {"delete", 1, 1, true, f_delete},
    {"len", 1, 1, false, f_len},
    {"type", 1, 1, false, f_type},
    {"in", 2, 255, false, f_in},
    {"match", 2, 2, false, f_match},
    {"ip_in_cidr", 2, 2, false, f_ip_in_cidr},
    {"unix", 1, 1, false, f_unix},
    {"set_data", 1, 1, true, f_set_data},
    {"indirect", 1, 1, false, f_indirect},
    {"evs", 0, 0, false, f_evs},
    {"evs_to_json", 0, 0, false, f_evs_to_json},
    {"append", 2, 255, false, f_append},
    {"keys", 1, 1, false, f_keys},
    {"has_key", 2, 2, false, f_has_key},
    {"int", 1, 1, false, c_int},
    {"int64", 1, 1, false, c_int},
    {"uint64", 1, 1, false, c_int},
    {"int8", 1, 1, false, c_int8},
    {"int16", 1, 1, false, c_int16},
    {"int32", 1, 1, false, c_int32},
    {"byte", 1, 1, false, c_uint8},
    {"uint8", 1, 1, false, c_uint8},
    {"uint16", 1, 1, false, c_uint16},
    {"uint32", 1, 1, false, c_uint32},
    {"float", 1, 1, false, c_float},
    {"float64", 1, 1, false, c_float},
    {"string", 1, 1, false, c_string},
    {"ip", 1, 1, false, c_ip},
    {"time", 1, 1, false, c_time},
    {"duration", 1, 1, false, c_duration},
    {"bool", 1, 1, false, c_bool},
    {"array", 0, 255, false, c_array},
    {"mac", 1, 1, false, c_mac},
    {"location", 1, 2, false, c_location},
    {"log", 1, 1, true, f_log},
    {0},
};
