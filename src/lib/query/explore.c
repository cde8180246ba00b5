#include "query/explore.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "query/columns.h"
#include "query/module.h"
#include "query/modules/extract.h"
#include "query/pattern.h"

#define DEPTH_MAX 16

static const char *const text_ops[] = {"==", "!=", "~", "!~", NULL};
static const char *const number_ops[] = {"==", "!=", "<", ">", "<=", ">=", NULL};

/* Paths of one module that are taken out of an entry together. */
struct paths {
    const char *module;
    const char *args;
    char *items[EXTRACT_ITEMS_MAX]; /* as a query has them; owned */
    char *names[EXTRACT_ITEMS_MAX]; /* owned */
    size_t count;
};

static void add_path(struct paths *paths, struct span path, struct span name)
{
    if (paths->count < EXTRACT_ITEMS_MAX) {
        paths->items[paths->count] = mem_strndup((const char *)path.data, path.bytes);
        paths->names[paths->count++] = mem_strndup((const char *)name.data, name.bytes);
    }
}

static void free_paths(struct paths *paths)
{
    for (size_t i = 0; i < paths->count; i++) {
        mem_free(paths->items[i]);
        mem_free(paths->names[i]);
    }
    paths->count = 0;
}

/* ── Values by the modules themselves ────────────────────────────────────────────────────── */

static const char *tag_name(const void *context, uint16_t tag)
{
    (void)tag;
    return context;
}

/* Runs the stages over this one entry; the values of these names, "" and false where there is
 * none. */
static void run_stages(const char *stages, const char *tag, struct span data,
                       void (*each)(void *context, const struct query_block *block), void *context)
{
    struct query_options options = {.now_ns = 1, .start_ns = 1, .end_ns = INT64_C(2000000000)};
    struct query_error error;
    struct query *query = NULL;
    struct query_pipeline *pipeline = NULL;
    struct entry entry = {.data = data};
    uint32_t pick = 0;
    struct query_block block = {
        .entries = &entry, .picks = &pick, .count = 1, .tag_name = tag_name, .context = tag};
    if (query_parse(span_of_str(stages), &options, &query, &error) == 0 &&
        query_pipeline_new(query, 0, query->stage_count, &pipeline) == 0 &&
        query_pipeline_run(pipeline, &block) == 0 && block.count > 0) {
        each(context, &block);
    }
    query_pipeline_free(&pipeline);
    query_free(&query);
}

struct reading {
    const struct paths *paths;
    json_t *elements;
};

static json_t *ops_json(const char *const *ops)
{
    json_t *list = json_array();
    for (size_t i = 0; ops[i] != NULL; i++) {
        json_array_append_new(list, json_string(ops[i]));
    }
    return list;
}

static json_t *element(const char *module, const char *args, struct span name, const char *path,
                       json_t *value, const char *const *ops)
{
    json_t *json = json_object();
    json_object_set_new(json, "Module", json_string(module));
    if (args[0] != '\0') {
        json_object_set_new(json, "Args", json_string(args));
    }
    json_object_set_new(json, "Name", json_stringn((const char *)name.data, name.bytes));
    json_object_set_new(json, "Path", json_string(path));
    json_object_set_new(json, "Value", value == NULL ? json_null() : value);
    json_object_set_new(json, "Filters", ops_json(ops));
    return json;
}

/* Text as JSON; what is not UTF-8 becomes U+FFFD. */
static json_t *text_json(struct span text)
{
    json_t *json = json_stringn((const char *)text.data, text.bytes);
    struct buf clean = {0};
    struct span rest = text;
    while (json == NULL && rest.bytes > 0) {
        text_utf8_put(&clean, text_utf8_next(&rest));
    }
    json = json == NULL ? json_stringn(buf_str(&clean), clean.bytes) : json;
    buf_deinit(&clean);
    return json;
}

static void read_values(void *context, const struct query_block *block)
{
    struct reading *reading = context;
    const struct paths *paths = reading->paths;
    for (size_t i = 0; i < paths->count; i++) {
        char column[32];
        struct query_value value;
        struct buf text = {0};
        (void)snprintf(column, sizeof(column), "f%zu", i);
        if (query_block_get(block, block->picks[0], span_of_str(column), &value)) {
            bool number = value.type == QUERY_VALUE_I64 || value.type == QUERY_VALUE_F64;
            (void)query_value_text(block, block->picks[0], span_of_str(column), &text);
            json_array_append_new(reading->elements,
                                  element(paths->module, paths->args, span_of_str(paths->names[i]),
                                          paths->items[i], text_json(buf_span(&text)),
                                          number ? number_ops : text_ops));
        }
        buf_deinit(&text);
    }
}

/* The elements at these paths that the entry has. */
static json_t *elements_of(const struct paths *paths, const char *tag, struct span data)
{
    struct buf stages = {0};
    struct reading reading = {paths, json_array()};
    buf_printf(&stages, "tag=* %s %s", paths->module, paths->args);
    for (size_t i = 0; i < paths->count; i++) {
        buf_printf(&stages, " %s as f%zu", paths->items[i], i);
    }
    buf_append_str(&stages, " | table");
    for (size_t i = 0; i < paths->count; i++) {
        buf_printf(&stages, " f%zu", i);
    }
    if (paths->count > 0) {
        run_stages(buf_str(&stages), tag, data, read_values, &reading);
    }
    buf_deinit(&stages);
    return reading.elements;
}

static void put_quoted(struct buf *buf, struct span text)
{
    buf_append_byte(buf, '"');
    for (size_t i = 0; i < text.bytes; i++) {
        buf_append_str(buf, text.data[i] == '"' || text.data[i] == '\\' ? "\\" : "");
        buf_append_byte(buf, text.data[i]);
    }
    buf_append_byte(buf, '"');
}

/* A name as it stands in a query: quoted unless it is a plain word. */
static void put_name(struct buf *buf, struct span name)
{
    bool plain = name.bytes > 0 && name.data[0] != '-' && !span_equal_str(name, "as");
    for (size_t i = 0; i < name.bytes && plain; i++) {
        uint8_t c = name.data[i];
        plain = isalnum(c) || c == '_' || (c == '-' && i > 0);
    }
    if (plain) {
        buf_append(buf, name);
    } else {
        put_quoted(buf, name);
    }
}

static void add_named(struct paths *paths, struct span name)
{
    struct buf path = {0};
    put_name(&path, name);
    add_path(paths, buf_span(&path), name);
    buf_deinit(&path);
}

/* ── What an entry looks like ────────────────────────────────────────────────────────────── */

static json_t *json_elements(const json_t *value, struct buf *path, size_t depth, size_t *left);

static void add_json(json_t *list, struct span name, const json_t *value, struct buf *path,
                     size_t depth, size_t *left)
{
    if (*left == 0) {
        return;
    }
    --*left;
    char *plain =
        json_is_object(value) || json_is_array(value) ? json_dumps(value, JSON_COMPACT) : NULL;
    json_t *shown = plain != NULL           ? json_string(plain)
                    : json_is_string(value) ? json_incref((json_t *)(uintptr_t)value)
                                            : NULL;
    char *number = shown == NULL ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    shown = shown == NULL ? json_string(number == NULL ? "" : number) : shown;
    json_t *made = element("json", "", name, buf_str(path), shown, text_ops);
    json_t *inner = depth < DEPTH_MAX ? json_elements(value, path, depth + 1, left) : NULL;
    if (json_array_size(inner) > 0) {
        json_object_set(made, "SubElements", inner);
    }
    json_decref(inner);
    json_array_append_new(list, made);
    free(plain);
    free(number);
}

static json_t *json_elements(const json_t *value, struct buf *path, size_t depth, size_t *left)
{
    json_t *list = json_array();
    size_t before = path->bytes;
    const char *key;
    json_t *member;
    size_t i;
    if (json_is_object(value)) {
        json_object_foreach((json_t *)(uintptr_t)value, key, member)
        {
            buf_append_str(path, before > 0 ? "." : "");
            put_name(path, span_of_str(key));
            add_json(list, span_of_str(key), member, path, depth, left);
            path->bytes = before;
        }
    }
    json_array_foreach(value, i, member)
    {
        char name[32];
        (void)snprintf(name, sizeof(name), "[%zu]", i);
        buf_append_str(path, before > 0 ? "." : "");
        buf_append_str(path, name);
        add_json(list, span_of_str(name), member, path, depth, left);
        path->bytes = before;
    }
    return list;
}

static json_t *as_json(struct span data)
{
    struct span bare = span_trim(data);
    if (bare.bytes == 0 || bare.data[0] != '{') {
        return NULL;
    }
    json_t *json = json_loadb((const char *)bare.data, bare.bytes, 0, NULL);
    size_t left = QUERY_EXPLORE_ELEMENTS_MAX;
    struct buf path = {0};
    json_t *list = json == NULL ? NULL : json_elements(json, &path, 0, &left);
    buf_deinit(&path);
    json_decref(json);
    return list;
}

/* "<165>1 " */
static bool is_syslog(struct span data)
{
    size_t at = 1;
    while (at < data.bytes && at < 4 && isdigit(data.data[at])) {
        at++;
    }
    return at > 1 && data.data[0] == '<' && at + 2 < data.bytes && data.data[at] == '>' &&
           data.data[at + 1] == '1' && data.data[at + 2] == ' ';
}

static void syslog_paths(struct span data, struct paths *paths)
{
    static const char *const names[] = {"Facility",  "Severity", "Priority",    "Version",
                                        "Timestamp", "Hostname", "Appname",     "ProcID",
                                        "MsgID",     "Message",  "StructuredID"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        add_path(paths, span_of_str(names[i]), span_of_str(names[i]));
    }
    ptrdiff_t open = span_find_byte(data, '[');
    struct span rest = open < 0 ? SPAN_NONE : span_from(data, (size_t)open + 1);
    for (size_t i = 0; i + 1 < rest.bytes && rest.data[i] != ']'; i++) {
        size_t from = i;
        while (i > 0 && from > 0 && rest.data[from - 1] != ' ') {
            from--;
        }
        if (rest.data[i] == '=' && rest.data[i + 1] == '"' && from < i && from > 0) {
            struct span key = span_first(span_from(rest, from), i - from);
            struct buf path = {0};
            buf_append_str(&path, "Structured.");
            put_name(&path, key);
            add_path(paths, buf_span(&path), key);
            buf_deinit(&path);
        }
    }
}

static bool is_key(uint8_t c)
{
    return isalnum(c) || c == '_' || c == '.' || c == '-';
}

/* Words right before '=' behind white space, or at the beginning. */
static void key_paths(struct span data, struct paths *paths)
{
    for (size_t i = 0; i < data.bytes; i++) {
        size_t from = i;
        while (data.data[i] == '=' && from > 0 && is_key(data.data[from - 1])) {
            from--;
        }
        bool begins = from == 0 || isspace(data.data[from - 1]) || data.data[from - 1] == '|';
        bool seen = false;
        struct span key = span_first(span_from(data, from), i - from);
        for (size_t j = 0; j < paths->count; j++) {
            seen = seen || span_equal_str(key, paths->names[j]);
        }
        if (data.data[i] == '=' && from < i && begins && !seen) {
            add_named(paths, key);
        }
    }
}

static void cef_paths(struct span data, struct paths *paths)
{
    static const char *const names[] = {"Version",   "DeviceVendor", "DeviceProduct",
                                        "Signature", "Name",         "Severity"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        add_path(paths, span_of_str(names[i]), span_of_str(names[i]));
    }
    key_paths(data, paths);
}

static void column_paths(struct span data, struct paths *paths)
{
    size_t columns = 1;
    bool quoted = false;
    for (size_t i = 0; i < data.bytes; i++) {
        quoted = data.data[i] == '"' ? !quoted : quoted;
        columns += data.data[i] == ',' && !quoted ? 1 : 0;
    }
    for (size_t i = 0; i < MIN(columns, (size_t)EXTRACT_ITEMS_MAX); i++) {
        char path[32];
        (void)snprintf(path, sizeof(path), "[%zu]", i);
        add_path(paths, span_of_str(path),
                 span_from(span_first(span_of_str(path), strlen(path) - 1), 1));
    }
}

/* Elements as this module gives them; NULL: the entry does not look like its. */
static json_t *look(const char *module, const char *tag, struct span data)
{
    struct paths paths = {.module = module, .args = ""};
    size_t least = 1;
    if (strcmp(module, "json") == 0) {
        return as_json(data);
    }
    if (strcmp(module, "syslog") == 0 && is_syslog(data)) {
        syslog_paths(data, &paths);
    } else if (strcmp(module, "cef") == 0 && span_find(data, SPAN_LIT("CEF:")) >= 0) {
        cef_paths(data, &paths);
    } else if (strcmp(module, "kv") == 0) {
        paths.args = "-q";
        least = 2;
        key_paths(data, &paths);
    } else if (strcmp(module, "csv") == 0) {
        least = 3;
        column_paths(data, &paths);
    }
    json_t *list = paths.count >= least ? elements_of(&paths, tag, data) : NULL;
    free_paths(&paths);
    if (json_array_size(list) == 0) {
        json_decref(list);
        return NULL;
    }
    return list;
}

static const char *const looks[] = {"json", "syslog", "cef", "kv", "csv"};

/* ── By a definition ─────────────────────────────────────────────────────────────────────── */

struct defined {
    const struct query_block *block;
    json_t *elements;
};

static void add_field(void *context, struct span name)
{
    struct defined *defined = context;
    struct buf text = {0};
    struct buf path = {0};
    put_name(&path, name);
    if (query_value_text(defined->block, defined->block->picks[0], name, &text)) {
        json_array_append_new(defined->elements, element("ax", "", name, buf_str(&path),
                                                         text_json(buf_span(&text)), text_ops));
    }
    buf_deinit(&text);
    buf_deinit(&path);
}

struct by_definition {
    const struct query_extractor *extractor;
    json_t *elements;
};

static void read_fields(void *context, const struct query_block *block)
{
    struct by_definition *by = context;
    struct defined defined = {block, by->elements};
    int rc = query_extractor_fields(by->extractor, add_field, &defined);
    (void)rc; /* it has been read once already */
}

static json_t *by_definition(const struct query_extractor *extractor, const char *tag,
                             struct span data)
{
    struct by_definition by = {extractor, json_array()};
    struct buf stages = {0};
    buf_append_str(&stages, "tag=* ");
    query_extractor_put(extractor, &stages);
    buf_append_str(&stages, " | table");
    run_stages(buf_str(&stages), tag, data, read_fields, &by);
    buf_deinit(&stages);
    return by.elements;
}

/* ── An entry ────────────────────────────────────────────────────────────────────────────── */

static json_t *word_offsets(struct span data)
{
    json_t *list = json_array();
    struct span rest = data;
    struct span word;
    while (json_array_size(list) < QUERY_EXPLORE_WORDS_MAX && query_word_next(&rest, &word)) {
        json_int_t from = (json_int_t)(word.data - data.data);
        json_array_append_new(list, json_pack("[I, I]", from, from + (json_int_t)word.bytes));
    }
    return list;
}

static json_t *item(const char *tag, const char *module, json_t *elements, struct span data)
{
    json_t *json = json_object();
    json_object_set_new(json, "Tag", json_string(tag));
    json_object_set_new(json, "Module", json_string(module));
    if (json_array_size(elements) > 0) {
        json_object_set(json, "Elements", elements);
    }
    json_t *words = word_offsets(data);
    if (json_array_size(words) > 0) {
        json_object_set(json, "WordOffsets", words);
    }
    json_decref(words);
    json_decref(elements);
    return json;
}

json_t *query_explore(struct span data, const char *tag, const struct query_extractor *extractor)
{
    bool small = data.bytes <= QUERY_EXPLORE_BYTES_MAX;
    json_t *elements =
        extractor != NULL && small ? by_definition(extractor, tag, data) : json_array();
    const char *module = json_array_size(elements) > 0 ? "ax" : "";
    for (size_t i = 0; i < ARRAY_COUNT(looks) && json_array_size(elements) == 0 && small; i++) {
        json_t *found = look(looks[i], tag, data);
        if (found != NULL) {
            json_decref(elements);
            elements = found;
            module = looks[i];
        }
    }
    return item(tag, module, elements, data);
}

/* ── Definitions for entries ─────────────────────────────────────────────────────────────── */

static bool has_path(const json_t *elements, const char *path)
{
    size_t i;
    const json_t *one;
    json_array_foreach(elements, i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "Path")), path) == 0) {
            return true;
        }
    }
    return false;
}

/* Params of a definition that gives all of these elements. */
static char *params_of(const char *module, const json_t *elements)
{
    struct buf params = {0};
    bool columns = strcmp(module, "csv") == 0;
    size_t i;
    const json_t *one;
    buf_append_str(&params, "");
    json_array_foreach(elements, i, one)
    {
        const char *path = json_string_value(json_object_get(one, "Path"));
        if (columns) {
            buf_printf(&params, "%scolumn%zu", i > 0 ? ", " : "", i);
        } else if (i < EXTRACT_ITEMS_MAX) {
            buf_printf(&params, "%s%s", i > 0 ? " " : "", path);
        }
    }
    return buf_take(&params);
}

static json_t *candidate(const char *module, const char *tag, const struct span *entries,
                         size_t count)
{
    json_t *all = json_array(); /* elements, by path */
    json_t *explored = json_array();
    size_t fitting = 0;
    for (size_t i = 0; i < count; i++) {
        json_t *elements =
            entries[i].bytes <= QUERY_EXPLORE_BYTES_MAX ? look(module, tag, entries[i]) : NULL;
        size_t j;
        json_t *one;
        fitting += elements != NULL ? 1 : 0;
        json_array_foreach(elements, j, one)
        {
            if (json_array_size(all) < EXTRACT_ITEMS_MAX &&
                !has_path(all, json_string_value(json_object_get(one, "Path")))) {
                json_array_append(all, one);
            }
        }
        json_array_append_new(
            explored, item(tag, module, elements == NULL ? json_array() : elements, entries[i]));
    }
    json_t *made = NULL;
    if (fitting > 0) {
        char *params = params_of(module, all);
        made = json_pack("{s:{s:s, s:s, s:s, s:s, s:s}, s:f, s:o}", "Extractor", "Name", tag,
                         "Module", module, "Params", params, "Args",
                         strcmp(module, "kv") == 0 ? "-q" : "", "Tag", tag, "Confidence",
                         10.0 * (double)fitting / (double)count, "Explore", json_incref(explored));
        mem_free(params);
    }
    json_decref(all);
    json_decref(explored);
    return made;
}

json_t *query_explore_generate(const char *tag, const struct span *entries, size_t count)
{
    json_t *json = json_object();
    for (size_t i = 0; i < ARRAY_COUNT(looks); i++) {
        json_t *made = candidate(looks[i], tag, entries, count);
        if (made != NULL) {
            json_object_set_new(json, looks[i], json_pack("[o]", made));
        }
    }
    return json;
}

/* ── Filters ─────────────────────────────────────────────────────────────────────────────── */

static bool is_op(const char *op)
{
    for (size_t i = 0; number_ops[i] != NULL; i++) {
        if (strcmp(op, number_ops[i]) == 0) {
            return true;
        }
    }
    return strcmp(op, "~") == 0 || strcmp(op, "!~") == 0;
}

static int put_filter(const struct query_filter *filter, struct buf *buf)
{
    bool words = strcmp(filter->module, "words") == 0 || strcmp(filter->module, "grep") == 0;
    if (query_module_find(span_of_str(filter->module)) == NULL) {
        return err_set(ERR_INVALID, "a filter's module '%.32s' is not known", filter->module);
    }
    if (filter->op[0] != '\0' && !is_op(filter->op)) {
        return err_set(ERR_INVALID, "a filter's operator '%.8s' is none", filter->op);
    }
    if (filter->tag[0] != '\0') {
        buf_append_str(buf, "tag=");
        put_quoted(buf, span_of_str(filter->tag));
        buf_append_byte(buf, ' ');
    }
    buf_append_str(buf, filter->module);
    buf_append_str(buf, words && filter->op[0] == '!' ? " -v" : "");
    buf_printf(buf, "%s%s", filter->args[0] != '\0' ? " " : "", filter->args);
    buf_printf(buf, "%s%s", filter->path[0] != '\0' ? " " : "", filter->path);
    if (words || filter->op[0] != '\0') {
        buf_printf(buf, " %s ", words ? "" : filter->op);
        put_quoted(buf, span_of_str(filter->value));
    }
    if (filter->name[0] != '\0' && strcmp(filter->name, filter->path) != 0 && !words) {
        buf_append_str(buf, " as ");
        put_quoted(buf, span_of_str(filter->name));
    }
    return 0;
}

int query_filters_put(struct span text, const struct query_filter *filters, size_t count,
                      struct buf *buf, size_t *ret_at, size_t *ret_bytes)
{
    size_t at = query_stages_offset(text);
    struct span rest = span_from(text, at);
    size_t begin = buf->bytes;
    int rc = 0;
    buf_append(buf, span_first(text, at));
    buf_append_byte(buf, ' ');
    for (size_t i = 0; rc == 0 && i < count; i++) {
        buf_append_str(buf, i > 0 ? " | " : "");
        rc = put_filter(&filters[i], buf);
    }
    bool more = span_trim(rest).bytes > 0;
    bool piped = rest.bytes > 0 && rest.data[0] == '|';
    buf_append_str(buf, more && count > 0 && !piped ? " | " : " ");
    *ret_at = at;
    *ret_bytes = buf->bytes - begin - at;
    buf_append(buf, rest);
    return rc;
}
