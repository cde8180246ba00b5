#include "cli/search_table.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/human.h"

#define WIDTH_MAX 60 /* wider cells push what follows */

static const char *const renderers[] = {"table",      "chart",     "gauge",
                                        "numbercard", "wordcloud", "stackgraph"};

bool search_table_is_one(const char *renderer)
{
    for (size_t i = 0; i < ARRAY_COUNT(renderers); i++) {
        if (strcmp(renderer, renderers[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* ── Everything as columns and rows ──────────────────────────────────────────────────────── */

static void append_cell(json_t *row, const json_t *value)
{
    json_array_append_new(row,
                          value == NULL ? json_null() : json_incref((json_t *)(uintptr_t)value));
}

/* Rows of objects: the members of these names. */
static json_t *rows_of_objects(const json_t *entries, const char *const *names, size_t count)
{
    json_t *rows = json_array();
    size_t i;
    const json_t *entry;
    json_array_foreach(entries, i, entry)
    {
        json_t *row = json_array();
        for (size_t j = 0; j < count; j++) {
            append_cell(row, json_object_get(entry, names[j]));
        }
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *rows_of_chart(const json_t *entries)
{
    json_t *rows = json_array();
    size_t i;
    size_t j;
    const json_t *at;
    const json_t *value;
    json_array_foreach(json_object_get(entries, "Values"), i, at)
    {
        json_t *row = json_array();
        append_cell(row, json_object_get(at, "TS"));
        json_array_foreach(json_object_get(at, "Data"), j, value)
        {
            append_cell(row, value);
        }
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *rows_of_stacks(const json_t *entries)
{
    json_t *rows = json_array();
    size_t i;
    size_t j;
    const json_t *bar;
    const json_t *part;
    json_array_foreach(entries, i, bar)
    {
        json_array_foreach(json_object_get(bar, "Values"), j, part)
        {
            json_t *row = json_array();
            append_cell(row, json_object_get(bar, "Key"));
            append_cell(row, json_object_get(part, "Label"));
            append_cell(row, json_object_get(part, "Value"));
            json_array_append_new(rows, row);
        }
    }
    return rows;
}

static json_t *rows_of_table(const json_t *entries)
{
    json_t *rows = json_array();
    size_t i;
    const json_t *row;
    json_array_foreach(json_object_get(entries, "Rows"), i, row)
    {
        json_array_append(rows, json_object_get(row, "Row"));
    }
    return rows;
}

/* Both are the caller's. */
static void take_apart(const char *renderer, const json_t *entries, json_t **ret_columns,
                       json_t **ret_rows)
{
    static const char *const gauge[] = {"Name", "Magnitude"};
    if (strcmp(renderer, "table") == 0) {
        *ret_columns = json_deep_copy(json_object_get(entries, "Columns"));
        *ret_rows = rows_of_table(entries);
    } else if (strcmp(renderer, "chart") == 0) {
        *ret_columns = json_array();
        json_array_append_new(*ret_columns, json_string("time"));
        json_array_extend(*ret_columns, json_object_get(entries, "Names"));
        *ret_rows = rows_of_chart(entries);
    } else if (strcmp(renderer, "stackgraph") == 0) {
        *ret_columns = json_pack("[s, s, s]", "key", "component", "magnitude");
        *ret_rows = rows_of_stacks(entries);
    } else {
        *ret_columns = json_pack("[s, s]", "name", "magnitude");
        *ret_rows = rows_of_objects(entries, gauge, ARRAY_COUNT(gauge));
    }
    *ret_columns = *ret_columns == NULL ? json_array() : *ret_columns;
}

/* ── The three formats ───────────────────────────────────────────────────────────────────── */

static json_t *text_of(const json_t *value)
{
    struct buf text = {0};
    size_t i;
    const json_t *member;
    if (json_is_string(value)) {
        return json_incref((json_t *)(uintptr_t)value);
    }
    if (json_is_boolean(value)) {
        return json_string(json_is_true(value) ? "yes" : "no");
    }
    if (json_is_array(value)) {
        json_array_foreach(value, i, member)
        {
            buf_append_str(&text, i > 0 ? ", " : "");
            buf_append_str(&text, json_string_value(member));
        }
    } else if (!json_is_null(value)) {
        char *number = json_dumps(value, JSON_ENCODE_ANY);
        buf_append_str(&text, number);
        free(number);
    }
    json_t *json = json_string(buf_str(&text));
    buf_deinit(&text);
    return json;
}

/* The same rows with texts only; the caller's. */
static json_t *as_texts(const json_t *rows)
{
    json_t *list = json_array();
    size_t i;
    size_t j;
    const json_t *row;
    const json_t *value;
    json_array_foreach(rows, i, row)
    {
        json_t *texts = json_array();
        json_array_foreach(row, j, value)
        {
            json_array_append_new(texts, text_of(value));
        }
        json_array_append_new(list, texts);
    }
    return list;
}

static const char *cell(const json_t *row, size_t column)
{
    const char *text = json_string_value(json_array_get(row, column));
    return text == NULL ? "" : text;
}

static size_t width_of(const char *text)
{
    size_t width = 0;
    for (struct span rest = span_of_str(text); rest.bytes > 0; width++) {
        (void)text_utf8_next(&rest);
    }
    return width;
}

static void put_text_row(const json_t *row, size_t count, const size_t *widths, struct buf *buf)
{
    for (size_t i = 0; i < count; i++) {
        const char *text = cell(row, i);
        human_text(buf, text);
        for (size_t pad = width_of(text); i + 1 < count && pad < widths[i] + 2; pad++) {
            buf_append_byte(buf, ' ');
        }
    }
    while (buf->bytes > 0 && buf->data[buf->bytes - 1] == ' ') {
        buf->bytes--;
    }
    buf_append_byte(buf, '\n');
}

static void put_text(const json_t *columns, const json_t *rows, bool names, struct buf *buf)
{
    size_t count = json_array_size(columns);
    size_t *widths = mem_alloc_array(count + 1, sizeof(*widths));
    size_t i;
    const json_t *row;
    for (size_t j = 0; j < count; j++) {
        widths[j] = MIN(width_of(cell(columns, j)), (size_t)WIDTH_MAX);
    }
    json_array_foreach(rows, i, row)
    {
        for (size_t j = 0; j < count; j++) {
            widths[j] = MAX(widths[j], MIN(width_of(cell(row, j)), (size_t)WIDTH_MAX));
        }
    }
    if (names) {
        put_text_row(columns, count, widths, buf);
    }
    json_array_foreach(rows, i, row)
    {
        put_text_row(row, count, widths, buf);
    }
    mem_free(widths);
}

static void put_csv_row(const json_t *row, size_t count, struct buf *buf)
{
    for (size_t i = 0; i < count; i++) {
        const char *text = cell(row, i);
        bool quotes = text[strcspn(text, ",\"\r\n")] != '\0';
        buf_append_str(buf, i > 0 ? "," : "");
        buf_append_str(buf, quotes ? "\"" : "");
        for (const char *at = text; *at != '\0'; at++) {
            buf_append_str(buf, *at == '"' ? "\"" : "");
            buf_append_byte(buf, (uint8_t)*at);
        }
        buf_append_str(buf, quotes ? "\"" : "");
    }
    buf_append_byte(buf, '\n');
}

static void put_json_cell(const json_t *value, struct buf *buf)
{
    if (json_is_string(value)) {
        text_json_string(buf, span_of_str(json_string_value(value)));
        return;
    }
    char *text = value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    buf_append_str(buf, text == NULL ? "null" : text);
    free(text);
}

static void put_json_row(const json_t *columns, const json_t *row, struct buf *buf)
{
    buf_append_byte(buf, '{');
    for (size_t i = 0; i < json_array_size(columns); i++) {
        buf_append_str(buf, i > 0 ? "," : "");
        text_json_string(buf, span_of_str(cell(columns, i)));
        buf_append_byte(buf, ':');
        put_json_cell(json_array_get(row, i), buf);
    }
    buf_append_str(buf, "}\n");
}

/* Are these names new? Remembers them. */
static bool are_new(struct search_table *table, const json_t *columns)
{
    char *text = json_dumps(columns, JSON_COMPACT);
    bool differ = text != NULL && (table->columns == NULL || strcmp(table->columns, text) != 0);
    if (differ) {
        mem_free(table->columns);
        table->columns = mem_strdup(text);
    }
    free(text);
    return differ;
}

static void put_csv(const json_t *columns, const json_t *rows, bool names, struct buf *buf)
{
    size_t i;
    const json_t *row;
    if (names) {
        put_csv_row(columns, json_array_size(columns), buf);
    }
    json_array_foreach(rows, i, row)
    {
        put_csv_row(row, json_array_size(columns), buf);
    }
}

void search_table_put(struct search_table *table, const json_t *columns, const json_t *rows,
                      struct buf *buf)
{
    size_t i;
    const json_t *row;
    bool names = json_array_size(columns) > 0 && are_new(table, columns);
    if (strcmp(table->format, "json") == 0) {
        json_array_foreach(rows, i, row)
        {
            put_json_row(columns, row, buf);
        }
        return;
    }
    json_t *texts = as_texts(rows);
    if (strcmp(table->format, "csv") == 0) {
        put_csv(columns, texts, names, buf);
    } else {
        put_text(columns, texts, names, buf);
    }
    json_decref(texts);
}

void search_table_print(struct search_table *table, const char *renderer, const json_t *entries,
                        struct buf *buf)
{
    json_t *columns = NULL;
    json_t *rows = NULL;
    take_apart(renderer, entries, &columns, &rows);
    search_table_put(table, columns, rows, buf);
    json_decref(columns);
    json_decref(rows);
}
