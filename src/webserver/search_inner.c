/* Tested by tests/cluster/test_query_modules.py. */
#include "webserver/search_inner.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/time.h"
#include "query/compound.h"
#include "webserver/search_table.h"

/* The tables of those that have run, by the order of the queries. */
struct tables {
    struct search_one *outer;
    struct buf csv[QUERY_INNER_MAX];
    size_t count;
};

static int give_table(void *context, const char *name, struct buf *contents)
{
    const struct tables *tables = context;
    for (size_t i = 0; i < tables->count; i++) {
        if (strcmp(tables->outer->inners.items[i].name, name) == 0) {
            buf_append(contents, buf_span(&tables->csv[i]));
            return 0;
        }
    }
    return err_set(ERR_NOT_FOUND, "there is no inner query of that name before it");
}

/* ── Rows as CSV ─────────────────────────────────────────────────────────────────────────── */

static void put_row(const json_t *cells, struct buf *csv)
{
    size_t i;
    const json_t *cell;
    json_array_foreach(cells, i, cell)
    {
        const char *text = json_string_value(cell);
        buf_append_str(csv, i > 0 ? ",\"" : "\"");
        for (size_t j = 0; j < json_string_length(cell); j++) {
            buf_append_str(csv, text[j] == '"' ? "\"" : "");
            buf_append_byte(csv, (uint8_t)text[j]);
        }
        buf_append_byte(csv, '"');
    }
    buf_append_byte(csv, '\n');
}

static int put_page(void *context, json_t *page)
{
    struct buf *csv = context;
    size_t i;
    const json_t *row;
    if (csv->bytes == 0) {
        put_row(json_object_get(page, "Columns"), csv);
    }
    json_array_foreach(json_object_get(page, "Rows"), i, row)
    {
        put_row(json_object_get(row, "Row"), csv);
    }
    return 0;
}

int search_inner_table(struct search_one *inner, struct query_result *result, struct buf *csv)
{
    return search_table_pages(inner, result, TIME_UNSET, TIME_UNSET, put_page, csv);
}

/* ── One of them ─────────────────────────────────────────────────────────────────────────── */

/* The query is still the outer's. */
static struct search_one *make(struct search_one *outer, size_t index)
{
    struct search_one *inner = search_one_new(outer->search);
    struct query *query = outer->inners.items[index].query;
    inner->outer = outer;
    inner->query = query;
    inner->effective = mem_strdup(query->effective);
    inner->start_ns = query->start_ns;
    inner->end_ns = query->end_ns;
    inner->position_ns = query->end_ns;
    inner->uid = outer->uid;
    inner->state = SEARCH_RUNNING;
    inner->path = mem_printf("%s-inner-%zu", outer->path, index);
    memcpy(inner->id, outer->id, sizeof(inner->id));
    return inner;
}

static int run_inner(struct search_one *outer, size_t index, struct buf *csv)
{
    struct search_one *inner = make(outer, index);
    struct query_result *result = NULL;
    int rc = query_result_create(outer->search->webserver->io, inner->path,
                                 outer->search->result_bytes_max, inner->start_ns, inner->end_ns,
                                 &inner->result);
    rc = rc < 0 ? rc : search_run_one(inner);
    rc = rc < 0 ? rc : search_one_result(inner, &result);
    if (rc == 0 && query_result_counts(result).over_limit) {
        rc = err_set(ERR_TOO_LARGE, "its rows are more than Render-Store-Limit allows");
    }
    rc = rc < 0 ? rc : search_inner_table(inner, result, csv);
    char fault[ERR_TEXT_BYTES_MAX];
    (void)snprintf(fault, sizeof(fault), "%s", err_text());
    inner->query = NULL;
    search_one_unref(&inner);
    return rc < 0 ? err_set((enum err)rc, "%s", fault) : 0;
}

int search_inner_run_all(struct search_one *outer)
{
    struct tables tables = {.outer = outer};
    int rc = 0;
    while (rc == 0 && tables.count < outer->inners.count && !atomic_load(&outer->stop)) {
        const struct search_inner *inner = &outer->inners.items[tables.count];
        rc = query_load(inner->query, give_table, &tables, NULL);
        rc = rc < 0 ? rc : run_inner(outer, tables.count, &tables.csv[tables.count]);
        rc = rc < 0 ? err_wrap(rc, "%s", inner->name) : 0;
        tables.count++;
    }
    if (rc == 0 && tables.count == outer->inners.count) {
        rc = query_load(outer->query, give_table, &tables, NULL);
    }
    for (size_t i = 0; i < tables.count; i++) {
        buf_deinit(&tables.csv[i]);
    }
    return rc;
}
