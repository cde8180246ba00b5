#include "cli/search_table.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

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

/* ── Everything as columns and rows of texts ─────────────────────────────────────────────── */

static void append_cell(json_t *row, const json_t *value)
{
    if (json_is_string(value)) {
        json_array_append(row, (json_t *)(uintptr_t)value);
        return;
    }
    char *text = json_is_null(value) || value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY);
    json_array_append_new(row, json_string(text == NULL ? "" : text));
    free(text);
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

/* What would break the line or move the cursor becomes a dot. */
static void put_text_row(const json_t *row, size_t count, const size_t *widths, struct buf *buf)
{
    for (size_t i = 0; i < count; i++) {
        const char *text = cell(row, i);
        for (const char *at = text; *at != '\0'; at++) {
            bool control = (unsigned char)*at < 0x20 || *at == 0x7F;
            buf_append_byte(buf, control ? '.' : (uint8_t)*at);
        }
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

static void put_json_row(const json_t *columns, const json_t *row, struct buf *buf)
{
    buf_append_byte(buf, '{');
    for (size_t i = 0; i < json_array_size(columns); i++) {
        buf_append_str(buf, i > 0 ? "," : "");
        text_json_string(buf, span_of_str(cell(columns, i)));
        buf_append_byte(buf, ':');
        text_json_string(buf, span_of_str(cell(row, i)));
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

void search_table_print(struct search_table *table, const char *renderer, const json_t *entries,
                        struct buf *buf)
{
    json_t *columns = NULL;
    json_t *rows = NULL;
    size_t i;
    const json_t *row;
    take_apart(renderer, entries, &columns, &rows);
    bool names = json_array_size(columns) > 0 && are_new(table, columns);
    if (strcmp(table->format, "json") == 0) {
        json_array_foreach(rows, i, row)
        {
            put_json_row(columns, row, buf);
        }
    } else if (strcmp(table->format, "csv") == 0) {
        if (names) {
            put_csv_row(columns, json_array_size(columns), buf);
        }
        json_array_foreach(rows, i, row)
        {
            put_csv_row(row, json_array_size(columns), buf);
        }
    } else {
        put_text(columns, rows, names, buf);
    }
    json_decref(columns);
    json_decref(rows);
}
