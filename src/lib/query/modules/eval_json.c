/*
 * The functions of eval about JSON texts. A document travels as its compact text; a text that is
 * no JSON stands for itself where a value is put in. Tested by eval_test.c.
 */
#include <jansson.h>
#include <math.h>

#include "query/modules/eval.h"

/* Takes the document. */
static bool give(struct eval_run *run, json_t *json, size_t flags, struct eval_value *ret)
{
    char *text = json == NULL ? NULL : json_dumps(json, JSON_ENCODE_ANY | flags);
    json_decref(json);
    if (text == NULL) {
        return false;
    }
    *ret = eval_text(run, span_of_str(text));
    free(text);
    return run->why == NULL;
}

/* What an element is to eval: a text without its quotes, a number, a bool, else JSON. */
static bool give_element(struct eval_run *run, const json_t *json, struct eval_value *ret)
{
    switch (json == NULL ? JSON_NULL : json_typeof(json)) {
    case JSON_STRING:
        *ret = eval_text(run, span_of(json_string_value(json), json_string_length(json)));
        return run->why == NULL;
    case JSON_INTEGER:
        *ret = eval_of(query_value_of_i64(json_integer_value(json)));
        return true;
    case JSON_REAL:
        *ret = eval_of(query_value_of_f64(json_real_value(json)));
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        *ret = eval_of(query_value_of_bool(json_is_true(json)));
        return true;
    case JSON_NULL:
        return false;
    default:
        return give(run, json_incref((json_t *)(uintptr_t)json), JSON_COMPACT, ret);
    }
}

static json_t *load(struct eval_run *run, const struct eval_value *value)
{
    struct span text;
    if (!eval_value_text(run, value, &text) || !eval_bytes(run, text.bytes)) {
        return NULL;
    }
    return json_loadb((const char *)text.data, text.bytes, JSON_DECODE_ANY, NULL);
}

static json_t *json_of(struct eval_run *run, const struct eval_value *value)
{
    struct span text;
    if (value->list) {
        json_t *list = json_array();
        for (size_t i = 0; i < value->count; i++) {
            json_t *item = value->items[i].list ? NULL : json_of(run, &value->items[i]);
            json_array_append_new(list, item == NULL ? json_null() : item);
        }
        return list;
    }
    switch (value->value.type) {
    case QUERY_VALUE_NONE:
    case QUERY_VALUE_REMOVED:
        return json_null();
    case QUERY_VALUE_I64:
        return json_integer(value->value.number);
    case QUERY_VALUE_F64:
        return isfinite(value->value.real) ? json_real(value->value.real) : json_null();
    case QUERY_VALUE_BOOL:
        return json_boolean(value->value.number != 0);
    default:
        break;
    }
    if (!eval_value_text(run, value, &text)) {
        return json_null();
    }
    bool document = text.bytes > 0 && (text.data[0] == '{' || text.data[0] == '[');
    json_t *json = document ? load(run, value) : NULL;
    json = json == NULL ? json_stringn((const char *)text.data, text.bytes) : json;
    return json == NULL ? json_null() : json;
}

/* The element that a path of names and numbers with dots leads to; borrowed. */
static json_t *walk(json_t *json, struct span path)
{
    struct span piece;
    uint64_t index = 0;
    while (json != NULL && span_split(&path, '.', &piece)) {
        struct span digits = piece;
        if (piece.bytes > 2 && piece.data[0] == '[') {
            digits = span_first(span_from(piece, 1), piece.bytes - 2);
        }
        if (json_is_array(json)) {
            json = span_to_u64(digits, &index) ? json_array_get(json, (size_t)index) : NULL;
        } else {
            json = json_object_getn(json, (const char *)piece.data, piece.bytes);
        }
    }
    return json;
}

FUNCTION(j_json)
{
    UNUSED_ARGS();
    return give(run, load(run, &args[0]), JSON_COMPACT, ret);
}

FUNCTION(j_pretty)
{
    UNUSED_ARGS();
    return give(run, load(run, &args[0]), JSON_INDENT(2), ret);
}

FUNCTION(j_get)
{
    UNUSED_ARGS();
    struct span path;
    if (!eval_value_text(run, &args[1], &path)) {
        return false;
    }
    json_t *json = load(run, &args[0]);
    bool defined = json != NULL && give_element(run, walk(json, path), ret);
    json_decref(json);
    return defined;
}

FUNCTION(j_set)
{
    UNUSED_ARGS();
    struct span path;
    if (!eval_value_text(run, &args[1], &path)) {
        return false;
    }
    json_t *json = load(run, &args[0]);
    size_t name = path.bytes;
    while (name > 0 && path.data[name - 1] != '.') {
        name--;
    }
    struct span key = span_from(path, name);
    json_t *parent = name == 0 ? json : walk(json, span_first(path, name - 1));
    if (parent == NULL || !json_is_object(parent) ||
        json_object_setn_new(parent, (const char *)key.data, key.bytes, json_of(run, &args[2])) !=
            0) {
        json_decref(json);
        return false;
    }
    return give(run, json, JSON_COMPACT, ret);
}

FUNCTION(j_object)
{
    (void)node;
    json_t *json = json_object();
    for (size_t i = 0; i + 1 < count; i += 2) {
        struct span key;
        if (!eval_value_text(run, &args[i], &key) ||
            json_object_setn_new(json, (const char *)key.data, key.bytes,
                                 json_of(run, &args[i + 1])) != 0) {
            json_decref(json);
            return false;
        }
    }
    return give(run, json, JSON_COMPACT, ret);
}

FUNCTION(j_array)
{
    (void)node;
    json_t *json = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(json, json_of(run, &args[i]));
    }
    return give(run, json, JSON_COMPACT, ret);
}

FUNCTION(j_append)
{
    (void)node;
    json_t *json = load(run, &args[0]);
    for (size_t i = 1; json_is_array(json) && i < count; i++) {
        json_array_append_new(json, json_of(run, &args[i]));
    }
    return give(run, json, JSON_COMPACT, ret);
}

FUNCTION(j_index)
{
    UNUSED_ARGS();
    int64_t index = 0;
    json_t *json = load(run, &args[0]);
    bool defined = eval_integer(&args[1], &index) && index >= 0 && json_is_array(json) &&
                   give_element(run, json_array_get(json, (size_t)index), ret);
    json_decref(json);
    return defined;
}

FUNCTION(j_array_set)
{
    UNUSED_ARGS();
    int64_t index = 0;
    json_t *json = load(run, &args[0]);
    if (!eval_integer(&args[1], &index) || index < 0 ||
        json_array_set_new(json, (size_t)index, json_of(run, &args[2])) != 0) {
        json_decref(json);
        return false;
    }
    return give(run, json, JSON_COMPACT, ret);
}

FUNCTION(j_len)
{
    UNUSED_ARGS();
    json_t *json = load(run, &args[0]);
    size_t length = json_is_array(json)    ? json_array_size(json)
                    : json_is_object(json) ? json_object_size(json)
                                           : json_string_length(json);
    *ret = eval_of(query_value_of_i64((int64_t)length));
    bool defined = json_is_array(json) || json_is_object(json) || json_is_string(json);
    json_decref(json);
    return defined;
}

FUNCTION(j_keys)
{
    UNUSED_ARGS();
    struct eval_value *items = NULL;
    size_t made = 0;
    const char *key = NULL;
    json_t *value = NULL;
    json_t *json = load(run, &args[0]);
    bool fits = json_is_object(json) && eval_list(run, json_object_size(json), &items);
    if (fits) {
        json_object_foreach(json, key, value)
        {
            items[made++] = eval_text(run, span_of_str(key));
        }
    }
    json_decref(json);
    *ret = (struct eval_value){.items = items, .count = made, .list = true};
    return fits;
}

FUNCTION(j_list)
{
    UNUSED_ARGS();
    struct eval_value *items = NULL;
    json_t *json = load(run, &args[0]);
    size_t length = json_array_size(json);
    bool fits = json_is_array(json) && eval_list(run, length, &items);
    for (size_t i = 0; fits && i < length; i++) {
        (void)give_element(run, json_array_get(json, i), &items[i]);
    }
    json_decref(json);
    *ret = (struct eval_value){.items = items, .count = length, .list = true};
    return fits;
}

const struct eval_function eval_functions_json[] = {
    {"json", 1, 1, false, j_json},
    {"json_get", 2, 2, false, j_get},
    {"json_set", 3, 3, false, j_set},
    {"json_object", 0, 255, false, j_object},
    {"json_array", 0, 255, false, j_array},
    {"json_append", 2, 255, false, j_append},
    {"json_index", 2, 2, false, j_index},
    {"json_array_set", 3, 3, false, j_array_set},
    {"json_len", 1, 1, false, j_len},
    {"json_keys", 1, 1, false, j_keys},
    {"json_pretty", 1, 1, false, j_pretty},
    {"json_to_gravwell_array", 1, 1, false, j_list},
    {0},
};
