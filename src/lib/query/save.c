#include "query/save.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "query/module.h"
#include "query/modules/table.h"
#include "series/entry.h"

/* Rows that stay and rows that come, under the columns of those that come. */
struct making {
    const struct query_save *save;
    struct table *rows;
    struct table *old;                /* NULL: there is none */
    size_t places[TABLE_COLUMNS_MAX]; /* in the old table, of each column */
    size_t columns;
    bool began;
    struct buf *out;
};

void query_save_csv_row(const struct span *cells, size_t count, struct buf *buf)
{
    for (size_t i = 0; i < count; i++) {
        buf_append_str(buf, i > 0 ? "," : "");
        bool plain = true;
        for (size_t j = 0; j < cells[i].bytes && plain; j++) {
            uint8_t c = cells[i].data[j];
            plain = c != '"' && c != ',' && c != '\n' && c != '\r';
        }
        if (plain && (cells[i].bytes > 0 || count > 1)) {
            buf_append(buf, cells[i]);
            continue;
        }
        buf_append_byte(buf, '"');
        for (size_t j = 0; j < cells[i].bytes; j++) {
            buf_append_str(buf, cells[i].data[j] == '"' ? "\"" : "");
            buf_append_byte(buf, cells[i].data[j]);
        }
        buf_append_byte(buf, '"');
    }
    buf_append_byte(buf, '\n');
}

static void put_row(struct making *making, const struct span *cells)
{
    struct buf *out = making->out;
    uint8_t ip[ENTRY_SOURCE_BYTES];
    switch (making->save->format) {
    case QUERY_SAVE_CSV:
        query_save_csv_row(cells, making->columns, out);
        break;
    case QUERY_SAVE_IPEXIST:
        for (size_t i = 0; i < making->columns; i++) {
            if (entry_source_parse(span_trim(cells[i]), ip)) {
                buf_append(out, span_trim(cells[i]));
                buf_append_byte(out, '\n');
            }
        }
        break;
    case QUERY_SAVE_LOOKUPDATA:
        buf_append_str(out, making->began ? ",\n[" : "[");
        for (size_t i = 0; i < making->columns; i++) {
            buf_append_str(out, i > 0 ? "," : "");
            text_json_string(out, cells[i]);
        }
        buf_append_byte(out, ']');
        break;
    }
    making->began = true;
}

static void put_names(struct making *making)
{
    struct span names[TABLE_COLUMNS_MAX];
    for (size_t i = 0; i < making->columns; i++) {
        names[i] = csv_table_name(making->save->remove != NULL ? making->old : making->rows, i);
    }
    if (making->save->format == QUERY_SAVE_CSV) {
        query_save_csv_row(names, making->columns, making->out);
    } else if (making->save->format == QUERY_SAVE_LOOKUPDATA) {
        buf_append_str(making->out, "{\"Columns\":");
        put_row(making, names);
        buf_append_str(making->out, ",\"Rows\":[");
        making->began = false;
    }
}

static void put_rows(struct making *making)
{
    struct span cells[TABLE_COLUMNS_MAX];
    for (size_t row = 0; row < csv_table_rows(making->rows); row++) {
        for (size_t i = 0; i < making->columns; i++) {
            cells[i] = csv_table_cell(making->rows, row, i);
        }
        put_row(making, cells);
    }
}

/* Those of the old rows whose value in the column does not come up in the new ones. */
static void put_old(struct making *making, size_t new_key, size_t old_key)
{
    struct span cells[TABLE_COLUMNS_MAX];
    struct map known = {0};
    for (size_t row = 0; row < csv_table_rows(making->rows); row++) {
        (void)map_put(&known, csv_table_cell(making->rows, row, new_key), making);
    }
    for (size_t row = 0; row < csv_table_rows(making->old); row++) {
        if (map_get(&known, csv_table_cell(making->old, row, old_key)) != NULL) {
            continue;
        }
        for (size_t i = 0; i < making->columns; i++) {
            cells[i] = csv_table_cell(making->old, row, making->places[i]);
        }
        put_row(making, cells);
    }
    map_deinit(&known);
}

static int find(const struct table *table, struct span name, const char *whose, size_t *ret_column)
{
    return csv_table_find(table, name, ret_column)
               ? 0
               : err_set(ERR_INVALID, "%s have no column '%.*s'", whose,
                         SPAN_ARG(span_first(name, 64)));
}

static int make(struct making *making)
{
    const struct query_save *save = making->save;
    const char *key = save->update != NULL ? save->update : save->remove;
    size_t new_key = 0;
    size_t old_key = 0;
    int rc = 0;
    if (save->remove != NULL && making->old == NULL) {
        return err_set(ERR_INVALID, "there is nothing to delete rows from");
    }
    making->columns = csv_table_columns(save->remove != NULL ? making->old : making->rows);
    for (size_t i = 0;
         rc == 0 && save->update != NULL && making->old != NULL && i < making->columns; i++) {
        rc = find(making->old, csv_table_name(making->rows, i), "the old rows", &making->places[i]);
    }
    for (size_t i = 0; save->remove != NULL && i < making->columns; i++) {
        making->places[i] = i;
    }
    rc = rc < 0 || key == NULL ? rc : find(making->rows, span_of_str(key), "the rows", &new_key);
    rc = rc < 0 || key == NULL || making->old == NULL
             ? rc
             : find(making->old, span_of_str(key), "the old rows", &old_key);
    if (rc < 0) {
        return rc;
    }
    put_names(making);
    if (key != NULL && making->old != NULL) {
        put_old(making, new_key, old_key);
    }
    if (save->remove == NULL) {
        put_rows(making);
    }
    buf_append_str(making->out, save->format == QUERY_SAVE_LOOKUPDATA ? "]}\n" : "");
    return 0;
}

/* A set has no line of names: it gets that of the rows. */
static int read_old(struct making *making, struct span old)
{
    struct buf named = {0};
    uint8_t ip[ENTRY_SOURCE_BYTES];
    ptrdiff_t end = span_find_byte(old, '\n');
    bool set = entry_source_parse(span_trim(end < 0 ? old : span_first(old, (size_t)end)), ip);
    if (set) {
        struct span name = csv_table_name(making->rows, 0);
        query_save_csv_row(&name, 1, &named);
    }
    buf_append(&named, old);
    int rc = csv_table_new(buf_span(&named), &making->old);
    buf_deinit(&named);
    return rc < 0 ? err_wrap(rc, "its old contents") : 0;
}

int query_save_make(const struct query_save *save, struct span csv, struct span old,
                    struct buf *contents)
{
    struct making making = {.save = save, .out = contents};
    bool needed = save->update != NULL || save->remove != NULL;
    int rc = csv_table_new(csv, &making.rows);
    rc = rc < 0 || !needed || span_trim(old).bytes == 0 ? rc : read_old(&making, old);
    rc = rc < 0 ? rc : make(&making);
    csv_table_free(&making.rows);
    csv_table_free(&making.old);
    return rc;
}
