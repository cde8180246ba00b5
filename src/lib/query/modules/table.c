/* Tested by lookup_test.c. */
#include "query/modules/table.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/vec.h"

struct cell {
    size_t offset;
    size_t bytes;
};

struct table {
    struct buf bytes; /* of all cells */
    VEC(struct cell) cells;
    size_t columns;
    size_t rows;
};

struct reader {
    struct span rest;
    size_t line;
};

static struct span text_of(const struct table *table, size_t index)
{
    struct cell cell = table->cells.items[index];
    return span_of(table->bytes.data + cell.offset, cell.bytes);
}

/* One cell, and what ends it: a comma, '\n', or 0 at the end. */
static int read_cell(struct reader *reader, struct buf *bytes, char *ret_end)
{
    bool quoted = reader->rest.bytes > 0 && reader->rest.data[0] == '"';
    reader->rest = span_from(reader->rest, quoted ? 1 : 0);
    while (reader->rest.bytes > 0) {
        uint8_t c = reader->rest.data[0];
        uint8_t after = reader->rest.bytes > 1 ? reader->rest.data[1] : 0;
        bool twice = quoted && c == '"' && after == '"';
        reader->line += c == '\n' ? 1 : 0;
        if (quoted && c == '"' && !twice) {
            quoted = false;
        } else if (!quoted && (c == ',' || c == '\n')) {
            break;
        } else if (quoted || c != '\r' || after != '\n') {
            buf_append_byte(bytes, c);
        }
        reader->rest = span_from(reader->rest, twice ? 2 : 1);
    }
    if (quoted) {
        return err_set(ERR_INVALID, "line %zu: a quote without its end", reader->line);
    }
    *ret_end = reader->rest.bytes > 0 ? (char)reader->rest.data[0] : '\0';
    reader->rest = span_from(reader->rest, 1);
    return 0;
}

/* A row of `columns` cells; the first one has as many as there are. */
static int read_row(struct reader *reader, struct table *table)
{
    char end = ',';
    size_t count = 0;
    while (end == ',') {
        size_t offset = table->bytes.bytes;
        int rc = read_cell(reader, &table->bytes, &end);
        if (rc < 0) {
            return rc;
        }
        if (table->columns == 0 && count == TABLE_COLUMNS_MAX) {
            return err_set(ERR_INVALID, "more than %d columns", TABLE_COLUMNS_MAX);
        }
        if (table->columns == 0 || count < table->columns) {
            vec_push(&table->cells, (struct cell){offset, table->bytes.bytes - offset});
            count++;
        }
    }
    for (; count < table->columns; count++) {
        vec_push(&table->cells, (struct cell){0, 0});
    }
    table->rows += table->columns == 0 ? 0 : 1;
    table->columns = table->columns == 0 ? count : table->columns;
    return 0;
}

static int check_names(const struct table *table)
{
    for (size_t i = 0; i < table->columns; i++) {
        for (size_t j = 0; j < i; j++) {
            if (span_equal(text_of(table, i), text_of(table, j))) {
                return err_set(ERR_INVALID, "two columns are named '%.*s'",
                               SPAN_ARG(span_first(text_of(table, i), 64)));
            }
        }
    }
    return 0;
}

/* ── lookupdata ──────────────────────────────────────────────────────────────────────────── */

/* Texts as they are, all else as JSON; null and what is missing is empty. */
static void put_json(struct table *table, const json_t *value)
{
    size_t offset = table->bytes.bytes;
    if (json_is_string(value)) {
        buf_append(&table->bytes, span_of(json_string_value(value), json_string_length(value)));
    } else if (value != NULL && !json_is_null(value)) {
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
        buf_append_str(&table->bytes, text == NULL ? "" : text);
        free(text);
    }
    vec_push(&table->cells, (struct cell){offset, table->bytes.bytes - offset});
}

static int read_json(const json_t *json, struct table *table)
{
    const json_t *columns = json_object_get(json, "Columns");
    const json_t *rows = json_object_get(json, "Rows");
    table->columns = json_array_size(columns);
    if (table->columns == 0 || table->columns > TABLE_COLUMNS_MAX || !json_is_array(rows)) {
        return err_set(ERR_INVALID, "lookupdata needs \"Columns\" (1 to %d) and \"Rows\"",
                       TABLE_COLUMNS_MAX);
    }
    for (size_t i = 0; i < table->columns; i++) {
        put_json(table, json_array_get(columns, i));
    }
    size_t row;
    const json_t *cells;
    json_array_foreach(rows, row, cells)
    {
        cells = json_is_object(cells) ? json_object_get(cells, "Row") : cells;
        if (!json_is_array(cells)) {
            return err_set(ERR_INVALID, "row %zu is no list", row);
        }
        for (size_t i = 0; i < table->columns; i++) {
            put_json(table, json_array_get(cells, i));
        }
        table->rows++;
    }
    return 0;
}

static bool is_json(struct span text)
{
    struct span bare = span_trim(text);
    return bare.bytes > 1 && bare.data[0] == '{' && bare.data[bare.bytes - 1] == '}';
}

static int read_lookupdata(struct span text, struct table *table)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)text.data, text.bytes, 0, &error);
    if (json == NULL) {
        return err_set(ERR_INVALID, "line %d: %s", error.line, error.text);
    }
    int rc = read_json(json, table);
    json_decref(json);
    return rc;
}

/* ── Tables ──────────────────────────────────────────────────────────────────────────────── */

static int read_csv(struct span csv, struct table *table)
{
    struct reader reader = {.rest = csv, .line = 1};
    if (span_starts_with(csv, SPAN_LIT("\xEF\xBB\xBF"))) {
        reader.rest = span_from(csv, 3);
    }
    (void)buf_reserve(&table->bytes, csv.bytes + 1);
    int rc = 0;
    while (rc == 0 && reader.rest.bytes > 0) {
        bool empty = reader.rest.data[0] == '\n' && table->columns != 1;
        if (empty) {
            reader.rest = span_from(reader.rest, 1);
            reader.line++;
        } else {
            rc = read_row(&reader, table);
        }
    }
    return rc;
}

int csv_table_new(struct span text, struct table **ret_table)
{
    if (span_trim(text).bytes == 0) {
        return err_set(ERR_INVALID, "a line of names is missing");
    }
    if (text.bytes > TABLE_BYTES_MAX) {
        return err_set(ERR_TOO_LARGE, "more than %zu bytes", TABLE_BYTES_MAX);
    }
    struct table *table = MEM_NEW(struct table);
    int rc = is_json(text) ? read_lookupdata(text, table) : read_csv(text, table);
    rc = rc < 0 ? rc : check_names(table);
    if (rc < 0) {
        csv_table_free(&table);
        return rc;
    }
    *ret_table = table;
    return 0;
}

void csv_table_free(struct table **table)
{
    if (*table != NULL) {
        buf_deinit(&(*table)->bytes);
        vec_deinit(&(*table)->cells);
        mem_free(*table);
        *table = NULL;
    }
}

size_t csv_table_rows(const struct table *table)
{
    return table->rows;
}

size_t csv_table_columns(const struct table *table)
{
    return table->columns;
}

struct span csv_table_name(const struct table *table, size_t column)
{
    return text_of(table, column);
}

bool csv_table_find(const struct table *table, struct span name, size_t *ret_column)
{
    for (*ret_column = 0; *ret_column < table->columns; (*ret_column)++) {
        if (span_equal(text_of(table, *ret_column), name)) {
            return true;
        }
    }
    return false;
}

struct span csv_table_cell(const struct table *table, size_t row, size_t column)
{
    return text_of(table, (row + 1) * table->columns + column);
}
