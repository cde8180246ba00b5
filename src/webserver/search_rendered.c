/* Tested by tests/cluster/test_search.py. */
#include "webserver/search_rendered.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "query/module.h"
#include "webserver/search_table.h"

#define PAGE_ROWS 8192
#define WAIT_MS 250

bool search_is_rendered(const struct search_one *one, const char *format)
{
    return one->render != NULL && one->render->entries != NULL && one->query != NULL &&
           strcmp(format, "text") != 0;
}

void search_csv_cell(struct buf *buf, struct span cell)
{
    bool plain = true;
    for (size_t i = 0; i < cell.bytes && plain; i++) {
        plain = strchr("\",\r\n", cell.data[i]) == NULL || cell.data[i] == '\0';
    }
    if (plain) {
        buf_append(buf, cell);
        return;
    }
    buf_append_byte(buf, '"');
    for (size_t i = 0; i < cell.bytes; i++) {
        if (cell.data[i] == '"') {
            buf_append_byte(buf, '"');
        }
        buf_append_byte(buf, cell.data[i]);
    }
    buf_append_byte(buf, '"');
}

/* A value as a cell; null is an empty one. */
static void put_value(struct buf *buf, const json_t *value)
{
    if (json_is_string(value)) {
        search_csv_cell(buf, span_of(json_string_value(value), json_string_length(value)));
        return;
    }
    char *text = value == NULL || json_is_null(value)
                     ? NULL
                     : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    search_csv_cell(buf, span_of_str(text == NULL ? "" : text));
    free(text);
}

static void put_line(struct buf *buf, const json_t *first, const json_t *list)
{
    size_t i;
    json_t *value;
    if (first != NULL) {
        put_value(buf, first);
    }
    json_array_foreach(list, i, value)
    {
        buf_append_str(buf, i > 0 || first != NULL ? "," : "");
        put_value(buf, value);
    }
    buf_append_str(buf, "\r\n");
}

static void put_names(struct buf *buf, const char *names)
{
    buf_append_str(buf, names);
    buf_append_str(buf, "\r\n");
}

/* Takes the values, a line. */
static void put_values(struct buf *buf, json_t *takes)
{
    put_line(buf, NULL, takes);
    json_decref(takes);
}

/* Objects of one form: their keys, then their values. */
static void put_objects(struct buf *buf, const json_t *list, bool head)
{
    size_t i;
    json_t *object;
    json_array_foreach(list, i, object)
    {
        json_t *keys = json_array();
        json_t *values = json_array();
        const char *key;
        json_t *value;
        json_object_foreach(object, key, value)
        {
            json_array_append_new(keys, json_string(key));
            json_array_append(values, value);
        }
        if (head && i == 0) {
            put_line(buf, NULL, keys);
        }
        put_values(buf, values);
        json_decref(keys);
    }
}

static json_t *get(const json_t *object, const char *key)
{
    return json_incref(json_object_get(object, key));
}

/* Of fdg: by the names of the nodes. */
static void put_links(struct buf *buf, const json_t *entries)
{
    const json_t *nodes = json_object_get(entries, "nodes");
    size_t i;
    json_t *link;
    put_names(buf, "Source,Target,Value");
    json_array_foreach(json_object_get(entries, "links"), i, link)
    {
        size_t source = (size_t)json_integer_value(json_object_get(link, "source"));
        size_t target = (size_t)json_integer_value(json_object_get(link, "target"));
        put_values(buf, json_pack("[o?, o?, o?]", get(json_array_get(nodes, source), "name"),
                                  get(json_array_get(nodes, target), "name"), get(link, "value")));
    }
}

/* Of stackgraph. */
static void put_bars(struct buf *buf, const json_t *bars)
{
    size_t i;
    size_t j;
    json_t *bar;
    json_t *part;
    put_names(buf, "Key,Label,Value");
    json_array_foreach(bars, i, bar)
    {
        json_array_foreach(json_object_get(bar, "Values"), j, part)
        {
            put_values(buf, json_pack("[o?, o?, o?]", get(bar, "Key"), get(part, "Label"),
                                      get(part, "Value")));
        }
    }
}

/* Of pointmap. */
static void put_points(struct buf *buf, const json_t *points)
{
    size_t i;
    json_t *point;
    put_names(buf, "Lat,Long,Metadata");
    json_array_foreach(points, i, point)
    {
        const json_t *place = json_object_get(point, "Loc");
        put_values(buf, json_pack("[o?, o?, o?]", get(place, "Lat"), get(place, "Long"),
                                  get(point, "Metadata")));
    }
}

/* Of point2point. */
static void put_arcs(struct buf *buf, const json_t *arcs)
{
    size_t i;
    json_t *arc;
    put_names(buf, "SrcLat,SrcLong,DstLat,DstLong,Magnitude,Values");
    json_array_foreach(arcs, i, arc)
    {
        const json_t *from = json_object_get(arc, "Src");
        const json_t *to = json_object_get(arc, "Dst");
        put_values(buf, json_pack("[o?, o?, o?, o?, o?, o?]", get(from, "Lat"), get(from, "Long"),
                                  get(to, "Lat"), get(to, "Long"), get(arc, "Magnitude"),
                                  get(arc, "Values")));
    }
}

/* Of heatmap. */
static void put_spots(struct buf *buf, const json_t *spots)
{
    size_t i;
    json_t *spot;
    put_names(buf, "Lat,Long,Magnitude");
    json_array_foreach(spots, i, spot)
    {
        if (json_array_size(spot) < 3) {
            json_array_append_new(spot, json_null());
        }
        put_line(buf, NULL, spot);
    }
}

/* The form says whose it is: a table has columns and rows, a chart names and values by time. */
static void put_csv(struct buf *buf, const json_t *entries, bool head)
{
    const json_t *rows = json_object_get(entries, "Rows");
    const json_t *values = json_object_get(entries, "Values");
    const json_t *first = json_array_get(entries, 0);
    json_t *time = json_string("Timestamp");
    size_t i;
    json_t *row;
    if (head && rows != NULL) {
        put_line(buf, NULL, json_object_get(entries, "Columns"));
    }
    if (head && values != NULL) {
        put_line(buf, time, json_object_get(entries, "Names"));
    }
    json_decref(time);
    json_array_foreach(rows, i, row)
    {
        put_line(buf, NULL, json_object_get(row, "Row"));
    }
    json_array_foreach(values, i, row)
    {
        put_line(buf, json_object_get(row, "TS"), json_object_get(row, "Data"));
    }
    if (rows != NULL || values != NULL) {
        return;
    }
    if (json_object_get(entries, "links") != NULL) {
        put_links(buf, entries);
    } else if (json_object_get(first, "Values") != NULL) {
        put_bars(buf, entries);
    } else if (json_object_get(first, "Loc") != NULL) {
        put_points(buf, entries);
    } else if (json_object_get(first, "Src") != NULL) {
        put_arcs(buf, entries);
    } else if (json_is_array(first)) {
        put_spots(buf, entries);
    } else {
        put_objects(buf, entries, head);
    }
}

/* What pages of one value have in common is in the first: the others add rows to it. */
static void add_page(json_t **all, json_t *entries)
{
    json_t *rows = json_object_get(*all, "Rows");
    if (*all == NULL) {
        *all = json_incref(entries);
    } else if (rows != NULL) {
        json_array_extend(rows, json_object_get(entries, "Rows"));
    } else if (json_is_array(*all)) {
        json_array_extend(*all, entries);
    }
}

static int write_json(struct http_stream *stream, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    int rc = http_stream_write(stream, span_of_str(text == NULL ? "null" : text));
    free(text);
    return rc == 0 ? http_stream_write(stream, SPAN_LIT("\n")) : rc;
}

/* One page; *ret_entries is its value, owned by the caller. */
static int read_page(struct search_one *one, struct search_ask *ask, json_t **ret_entries,
                     struct search_told *ret_told)
{
    struct buf buf = {0};
    json_error_t error;
    search_answer(one, ask, &buf, ret_told);
    json_t *answer = json_loadb((const char *)buf.data, buf.bytes, JSON_ALLOW_NUL, &error);
    buf_deinit(&buf);
    const char *fault = json_string_value(json_object_get(answer, "Error"));
    *ret_entries = json_incref(json_object_get(answer, "Entries"));
    int rc = answer == NULL ? err_set(ERR_CORRUPT, "%s", error.text) : 0;
    rc = fault != NULL ? err_set(ERR_IO, "%s", fault) : rc;
    json_decref(answer);
    return rc;
}

static int send_pages(struct search_one *one, bool csv, struct search_ask *ask,
                      struct http_stream *stream)
{
    json_t *all = NULL;
    struct search_told told = {.more = true};
    int rc = 0;
    bool head = true;
    while (rc == 0 && told.more) {
        json_t *entries = NULL;
        ask->last = ask->first + PAGE_ROWS;
        rc = read_page(one, ask, &entries, &told);
        if (rc == 0 && csv) {
            struct buf buf = {0};
            put_csv(&buf, entries, head);
            rc = http_stream_write(stream, buf_span(&buf));
            buf_deinit(&buf);
        } else if (rc == 0) {
            add_page(&all, entries);
        }
        ask->first += told.rows;
        told.more = told.more && !one->render->whole && told.rows > 0;
        head = false;
        json_decref(entries);
    }
    rc = rc == 0 && !csv ? write_json(stream, all) : rc;
    json_decref(all);
    return rc;
}

struct sending {
    struct http_stream *stream;
    bool csv;
    bool begun;
    json_t *all;
    const struct search_picks *picks;
    uint64_t row; /* the first of the next page */
};

/* Leaves the picked rows of the page. */
static void pick(struct sending *sending, json_t *page)
{
    json_t *rows = json_object_get(page, "Rows");
    size_t count = json_array_size(rows);
    json_t *picked = json_array();
    for (size_t i = 0; i < count; i++, sending->row++) {
        if (search_picks_have(sending->picks, sending->row)) {
            json_array_append(picked, json_array_get(rows, i));
        }
    }
    json_object_set_new(page, "Rows", picked);
}

static int send_table_page(void *context, json_t *page)
{
    struct sending *sending = context;
    struct buf buf = {0};
    if (sending->picks->count > 0) {
        pick(sending, page);
    }
    if (!sending->csv) {
        add_page(&sending->all, page);
        return 0;
    }
    put_csv(&buf, page, !sending->begun);
    sending->begun = true;
    int rc = http_stream_write(sending->stream, buf_span(&buf));
    buf_deinit(&buf);
    return rc;
}

static int send_table(struct search_one *one, bool csv, const struct search_ask *ask,
                      const struct search_picks *picks, struct http_stream *stream)
{
    struct sending sending = {.stream = stream, .csv = csv, .picks = picks};
    struct query_result *result = NULL;
    int rc = search_one_result(one, &result);
    rc = rc < 0 ? rc
                : search_table_pages(one, result, ask->start_ns, ask->end_ns, send_table_page,
                                     &sending);
    rc = rc == 0 && !csv ? write_json(stream, sending.all) : rc;
    json_decref(sending.all);
    return rc;
}

int search_rendered_send(struct search_one *one, bool csv, int64_t start_ns, int64_t end_ns,
                         const struct search_picks *picks, struct http_stream *stream)
{
    while (!search_one_is_over(one) && !http_stream_is_gone(stream)) {
        search_one_wait(one, UINT64_MAX, WAIT_MS);
    }
    struct search_ask ask = {.id = SEARCH_REQUEST_RANGE, .start_ns = start_ns, .end_ns = end_ns};
    bool table = strcmp(one->renderer, "table") == 0;
    return http_stream_is_gone(stream) ? HTTP_STREAM_GONE
           : table                     ? send_table(one, csv, &ask, picks, stream)
                                       : send_pages(one, csv, &ask, stream);
}
