/* Tested by tests/cluster/test_search.py and test_query_modules.py. */
#include "webserver/search_table.h"

#include "base/mem.h"
#include "query/module.h"

#define PAGE_ROWS 8192

struct pages {
    struct search_one *one;
    struct query_result *result;
    int64_t start_ns;
    int64_t end_ns;
    uint64_t next;
    bool more;
};

static const char *tag_name(const void *context, uint16_t tag)
{
    return query_result_tag_name((struct query_result *)(uintptr_t)context, tag);
}

static const struct query_stage *renderer_stage(const struct search_one *one)
{
    return &one->query->stages[one->query->stage_count - 1];
}

static int render(const struct pages *pages, const struct query_rows *rows, json_t **ret_page)
{
    uint32_t *picks = mem_alloc_array(rows->count + 1, sizeof(*picks));
    for (size_t i = 0; i < rows->count; i++) {
        picks[i] = (uint32_t)i;
    }
    struct query_block block = {.entries = rows->entries,
                                .picks = picks,
                                .count = rows->count,
                                .tag_name = tag_name,
                                .context = pages->result};
    struct buf text = {0};
    json_error_t error;
    const struct query *query = pages->one->query;
    query->renderer->entries(renderer_stage(pages->one)->plan, &block, &text);
    *ret_page = json_loadb((const char *)text.data, text.bytes, JSON_ALLOW_NUL, &error);
    buf_deinit(&text);
    mem_free(picks);
    return *ret_page == NULL ? err_set(ERR_CORRUPT, "rows: %s", error.text) : 0;
}

/* A page may have fewer rows than were asked for: those that it has count. */
static int next_page(struct pages *pages, json_t **ret_page)
{
    struct query_rows rows;
    int rc = query_result_read(pages->result, pages->next, pages->next + QUERY_RESULT_READ_ROWS_MAX,
                               pages->start_ns, pages->end_ns, &rows);
    if (rc < 0) {
        return rc;
    }
    pages->next += rows.count;
    pages->more = rows.matched > pages->next && rows.count > 0;
    rc = render(pages, &rows, ret_page);
    query_rows_deinit(&rows);
    return rc;
}

static size_t find(const json_t *columns, const json_t *column)
{
    size_t i = 0;
    while (i < json_array_size(columns) && !json_equal(json_array_get(columns, i), column)) {
        i++;
    }
    return i;
}

/* One that is new stands behind the one that it stands behind on its page. */
static void add_columns(json_t *all, const json_t *columns)
{
    size_t place = 0;
    size_t i;
    json_t *column;
    json_array_foreach(columns, i, column)
    {
        size_t at = find(all, column);
        if (at == json_array_size(all)) {
            at = MIN(place, at);
            json_array_insert(all, at, column);
        }
        place = at + 1;
    }
}

static int find_columns(struct pages pages, json_t *all)
{
    int rc = 0;
    for (pages.more = true; rc == 0 && pages.more;) {
        json_t *page = NULL;
        rc = next_page(&pages, &page);
        if (rc == 0) {
            add_columns(all, json_object_get(page, "Columns"));
        }
        json_decref(page);
    }
    return rc;
}

static void align(json_t *page, json_t *columns)
{
    const json_t *own = json_object_get(page, "Columns");
    size_t i;
    json_t *row;
    if (json_equal(own, columns)) {
        return;
    }
    json_array_foreach(json_object_get(page, "Rows"), i, row)
    {
        json_t *cells = json_array();
        for (size_t j = 0; j < json_array_size(columns); j++) {
            const json_t *was = json_object_get(row, "Row");
            json_t *cell = json_array_get(was, find(own, json_array_get(columns, j)));
            json_array_append_new(cells, cell == NULL ? json_string("") : json_incref(cell));
        }
        json_object_set_new(row, "Row", cells);
    }
    json_object_set(page, "Columns", columns);
}

int search_table_pages(struct search_one *one, struct query_result *result, int64_t start_ns,
                       int64_t end_ns, int (*each)(void *context, json_t *page), void *context)
{
    struct pages pages = {
        .one = one, .result = result, .start_ns = start_ns, .end_ns = end_ns, .more = true};
    json_t *columns = json_array();
    /* Does it show whatever there is? Then columns are known when all pages have been seen. */
    bool open = one->query->renderer->uses(renderer_stage(one)->plan, SPAN_NONE);
    int rc = open ? find_columns(pages, columns) : 0;
    while (rc == 0 && pages.more) {
        json_t *page = NULL;
        rc = next_page(&pages, &page);
        if (rc == 0 && open) {
            align(page, columns);
        }
        rc = rc == 0 ? each(context, page) : rc;
        json_decref(page);
    }
    json_decref(columns);
    return rc;
}
