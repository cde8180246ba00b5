#include "webserver/search_download.h"

#include "base/text.h"
#include "base/time.h"
#include "query/module.h"
#include "query/pcapng.h"
#include "webserver/auth.h"
#include "webserver/capability.h"
#include "webserver/request.h"
#include "webserver/search_answer.h"
#include "webserver/search_archive.h"
#include "webserver/search_picks.h"
#include "webserver/search_remote.h"
#include "webserver/search_rendered.h"

#define CHUNK_ROWS 1024
#define WAIT_MS 250

struct format {
    const char *name;
    const char *content_type;
    const char *suffix;             /* of the file's name */
    void (*begin)(struct buf *buf); /* NULL: nothing stands before the rows */
    void (*put)(struct search_one *one, struct query_result *result, const struct entry *entry,
                struct buf *buf);
};

static void put_text(struct search_one *one, struct query_result *result, const struct entry *entry,
                     struct buf *buf)
{
    (void)result;
    one->render->text(entry->data, buf);
    buf_append_byte(buf, '\n');
}

static void put_json(struct search_one *one, struct query_result *result, const struct entry *entry,
                     struct buf *buf)
{
    (void)one;
    search_entry_json(entry, query_result_tag_name(result, entry->tag), buf);
    buf_append_byte(buf, '\n');
}

static void put_csv(struct search_one *one, struct query_result *result, const struct entry *entry,
                    struct buf *buf)
{
    struct buf data = {0};
    time_format(buf, entry->time_ns);
    buf_append_byte(buf, ',');
    entry_source_text(buf, entry->source);
    buf_append_byte(buf, ',');
    search_csv_cell(buf, span_of_str(query_result_tag_name(result, entry->tag)));
    buf_append_byte(buf, ',');
    one->render->text(entry->data, &data);
    search_csv_cell(buf, buf_span(&data));
    buf_append_str(buf, "\r\n");
    buf_deinit(&data);
}

static void begin_csv(struct buf *buf)
{
    buf_append_str(buf, "Timestamp,Source,Tag,Data\r\n");
}

static void put_pcap(struct search_one *one, struct query_result *result, const struct entry *entry,
                     struct buf *buf)
{
    (void)one;
    (void)result;
    pcapng_put_packet(buf, entry->time_ns, entry->data);
}

static const struct format formats[] = {
    {"text", "text/plain; charset=utf-8", "txt", NULL, put_text},
    {"json", "application/json", "json", NULL, put_json},
    {"csv", "text/csv; charset=utf-8", "csv", begin_csv, put_csv},
    {"lookupdata", "application/json", "json", NULL, put_json}, /* of tables, as their JSON */
    {"pcap", "application/x-pcapng", "pcapng", pcapng_put_head, put_pcap},
    {"archive", "application/octet-stream", "archive", NULL, NULL}, /* of every renderer */
};

static const struct format *find_format(const struct query_renderer *renderer, const char *name)
{
    bool offered = strcmp(name, "archive") == 0;
    for (const char *const *format = renderer->formats; *format != NULL; format++) {
        offered = offered || strcmp(*format, name) == 0;
    }
    for (size_t i = 0; i < ARRAY_COUNT(formats) && offered; i++) {
        if (strcmp(formats[i].name, name) == 0) {
            return &formats[i];
        }
    }
    return NULL;
}

struct window {
    int64_t start_ns;
    int64_t end_ns;
    struct search_picks picks;
};

/* The next rows into `buf`; *ret_rows says how many. */
static int put_chunk(struct search_one *one, const struct format *format,
                     const struct window *window, uint64_t first, struct buf *buf, size_t *ret_rows)
{
    struct query_result *result = NULL;
    struct query_rows rows;
    int rc = search_one_result(one, &result);
    rc = rc < 0 ? rc
                : query_result_read(result, first, first + CHUNK_ROWS, window->start_ns,
                                    window->end_ns, &rows);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < rows.count; i++) {
        if (search_picks_have(&window->picks, first + i)) {
            format->put(one, result, &rows.entries[i], buf);
        }
    }
    *ret_rows = rows.count;
    query_rows_deinit(&rows);
    return 0;
}

static bool failed(struct search_one *one)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    bool wrong = one->deleted || one->error != NULL;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    return wrong;
}

/* All rows, as they come; a fault when they cannot all be given, an outcome when the client left.
 */
static int send_rows(struct search_one *one, const struct format *format,
                     const struct window *window, struct http_stream *stream)
{
    struct buf buf = {0};
    uint64_t sent = 0;
    if (format->put == NULL) {
        return search_archive_send(one, stream);
    }
    if (search_is_rendered(one, format->name)) {
        int fault = search_rendered_send(one, format->put == put_csv, window->start_ns,
                                         window->end_ns, &window->picks, stream);
        return fault != 0 || !failed(one) ? fault : err_set(ERR_IO, "the search has failed");
    }
    if (format->begin != NULL) {
        format->begin(&buf);
    }
    int rc = http_stream_write(stream, buf_span(&buf));
    while (rc == 0 && !http_stream_is_gone(stream)) {
        bool over = search_one_is_over(one); /* looked at before the rows */
        uint64_t known = search_one_rows(one);
        size_t rows = 0;
        buf_clear(&buf);
        rc = put_chunk(one, format, window, sent, &buf, &rows);
        if (rc == 0 && rows > 0) {
            rc = http_stream_write(stream, buf_span(&buf));
        } else if (rc == 0 && over) {
            break;
        } else if (rc == 0) {
            search_one_wait(one, known, WAIT_MS);
        }
        sent += rows;
    }
    buf_deinit(&buf);
    return rc != 0 || !failed(one) ? rc : err_set(ERR_IO, "the search has failed");
}

static void reply(struct http_request *request, struct search_one *one, const struct format *format,
                  const struct window *window)
{
    struct http_stream *stream = NULL;
    struct arena *arena = http_request_arena(request);
    http_reply_header(
        request, "Content-Disposition",
        arena_printf(arena, "attachment; filename=\"search-%s.%s\"", one->id, format->suffix));
    if (http_reply_stream(request, 200, format->content_type, &stream) != 0) {
        return;
    }
    if (send_rows(one, format, window, stream) < 0) {
        http_stream_abort(&stream);
    } else {
        http_stream_end(&stream);
    }
}

static int64_t time_param(struct http_request *request, const char *name)
{
    int64_t time_ns = TIME_UNSET;
    const char *text = http_request_query(request, name);
    return text != NULL && time_parse(span_of_str(text), &time_ns) ? time_ns : TIME_UNSET;
}

/* From the URL, else from a JSON body on the GET. */
static bool read_window(struct http_request *request, struct window *window)
{
    json_t *json = NULL;
    if (!request_object(request, &json)) {
        return false;
    }
    window->start_ns = time_param(request, "StartTS");
    window->end_ns = time_param(request, "EndTS");
    if (window->start_ns == TIME_UNSET) {
        window->start_ns = request_time(json, "StartTS");
    }
    if (window->end_ns == TIME_UNSET) {
        window->end_ns = request_time(json, "EndTS");
    }
    json_decref(json);
    if (!search_picks_of_text(http_request_query(request, "rows"), &window->picks)) {
        http_reply_error(request, 400, "rows are numbers and ranges of them, such as 3-5,9");
        return false;
    }
    return true;
}

/* Can some of its rows be given? Those of a chart are not its own. */
static bool can_pick(const struct search_one *one, const struct format *format)
{
    return format->put != NULL && !(search_is_rendered(one, format->name) && one->render->whole);
}

static int find_attached(struct http_request *request, struct webserver *webserver,
                         struct search_one **ret_one)
{
    struct search_one *one = NULL;
    int rc = search_find(webserver->search, http_request_param(request, "id"),
                         &auth_user(request)->principal, false, &one);
    rc = rc < 0 ? rc : search_one_attach(one);
    if (rc < 0) {
        search_one_unref(&one);
        return rc;
    }
    *ret_one = one;
    return 0;
}

void search_download_get(struct http_request *request, void *context)
{
    struct search_one *one = NULL;
    struct window window;
    if (!read_window(request, &window)) {
        return;
    }
    int rc = find_attached(request, context, &one);
    if (rc < 0) {
        if (rc != ERR_NOT_FOUND || !search_remote_answer(request, context)) {
            http_reply_fault(request, rc);
        }
        return;
    }
    const char *name = http_request_param(request, "format");
    const struct format *format = one->render == NULL ? NULL : find_format(one->render, name);
    if (format == NULL) {
        http_reply_error(request, 400, "renderer '%s' has no download format '%.32s'",
                         one->renderer, name);
    } else if (window.picks.count > 0 && !can_pick(one, format)) {
        http_reply_error(request, 400, "'%.32s' of renderer '%s' has no rows of its own", name,
                         one->renderer);
    } else {
        reply(request, one, format, &window);
    }
    search_one_detach(one);
    search_one_unref(&one);
}

/* The newer form: says where to get it. */
void search_download_post(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    struct search_one *one = NULL;
    struct search_picks picks;
    json_t *json = NULL;
    if (!request_object(request, &json)) {
        return;
    }
    int rc = search_find(webserver->search, http_request_param(request, "id"),
                         &auth_user(request)->principal, false, &one);
    const json_t *frame = request_member(json, "timeframe");
    const char *format = request_text(json, "format");
    if (rc == ERR_NOT_FOUND && search_remote_answer(request, webserver)) {
        /* it has been answered */
    } else if (rc < 0) {
        http_reply_fault(request, rc);
    } else if (!search_picks_of_json(request_member(json, "rows"), &picks)) {
        http_reply_error(request, 400, "rows: at most %d ranges or single rows were expected",
                         SEARCH_PICKS_MAX);
    } else if (one->render == NULL || find_format(one->render, format) == NULL) {
        http_reply_error(request, 400, "renderer '%s' has no download format '%.32s'",
                         one->renderer, format);
    } else {
        const char *start = frame == NULL ? "" : request_text(frame, "start");
        const char *end = frame == NULL ? "" : request_text(frame, "end");
        struct buf path = {0};
        buf_printf(&path, "/api/searchctrl/%s/download/%s?StartTS=", one->id, format);
        text_url_encode(&path, span_of_str(start));
        buf_append_str(&path, "&EndTS=");
        text_url_encode(&path, span_of_str(end));
        if (picks.count > 0) {
            buf_append_str(&path, "&rows=");
            search_picks_put(&picks, &path);
        }
        http_reply_json(request, 200,
                        json_pack("{s:s, s:I, s:s, s:s}", "downloadResourceURL", buf_str(&path),
                                  "entryCount",
                                  (json_int_t)search_picks_rows(&picks, search_one_rows(one)),
                                  "expiration", "", "searchId", one->id));
        buf_deinit(&path);
    }
    search_one_unref(&one);
    json_decref(json);
}

/* ── The direct query: one request runs a search and gives its results ───────────────────── */

/* URL over header over body. */
static const char *direct_param(struct http_request *request, const json_t *json, const char *name,
                                const char *key)
{
    const char *text = http_request_query(request, name);
    text = text == NULL ? http_request_header(request, name) : text;
    return text == NULL ? request_text(json, key) : text;
}

static bool direct_times(struct http_request *request, const json_t *json, int64_t now_ns,
                         struct search_start *start)
{
    const char *from = direct_param(request, json, "start", "SearchStart");
    const char *to = direct_param(request, json, "end", "SearchEnd");
    const char *duration = direct_param(request, json, "duration", "Duration");
    int64_t ns = 0;
    if (duration[0] != '\0') {
        start->start_ns =
            time_parse_duration(span_of_str(duration), &ns) ? now_ns - ns : TIME_UNSET;
        start->end_ns = now_ns;
        return start->start_ns != TIME_UNSET;
    }
    return (from[0] == '\0' || time_parse(span_of_str(from), &start->start_ns)) &&
           (to[0] == '\0' || time_parse(span_of_str(to), &start->end_ns));
}

static void direct_run(struct http_request *request, struct webserver *webserver,
                       const struct search_start *start, const char *format_name)
{
    static const struct window all = {.start_ns = TIME_UNSET, .end_ns = TIME_UNSET};
    struct search_one *one = NULL;
    struct query_error error;
    const struct auth_user *user = auth_user(request);
    int rc =
        search_launch(webserver->search, &user->principal, user->default_gid, start, &one, &error);
    if (rc < 0) {
        http_reply_fault(request, rc);
        return;
    }
    const struct format *format = find_format(one->render, format_name);
    bool timed = one->follow || one->time_given || one->preview ||
                 (start->start_ns != TIME_UNSET && start->end_ns != TIME_UNSET);
    if (format == NULL || !timed) {
        search_one_delete(one);
        http_reply_error(request, 400,
                         timed ? "renderer '%s' has no format '%.32s'"
                               : "start and end, or a duration, are needed (%s, %s)",
                         one->renderer, format_name);
    } else {
        search_one_begin(one);
        if (one->follow) {
            search_one_wait_following(one);
        }
        reply(request, one, format, &all);
    }
    search_one_detach(one);
    search_one_unref(&one);
}

void search_download_direct(struct http_request *request, void *context)
{
    struct webserver *webserver = context;
    json_t *json = NULL;
    if (!request_object(request, &json)) {
        return;
    }
    struct search_start start;
    search_start_decode(json, &start);
    start.may_not_write =
        !capability_has(auth_user(request)->capabilities, CAPABILITY_RESOURCE_WRITE);
    start.text = direct_param(request, json, "query", "SearchString");
    const char *preview = direct_param(request, json, "preview", "Preview");
    start.preview = start.preview || strcmp(preview, "true") == 0;
    start.method = "directquery";
    start.background = false;
    const char *format = direct_param(request, json, "format", "Format");
    if (start.text[0] == '\0' || format[0] == '\0') {
        http_reply_error(request, 400, "query and format are needed");
    } else if (!direct_times(request, json, io_now_ns(webserver->io), &start)) {
        http_reply_error(request, 400, "start, end or duration is not of its form");
    } else {
        direct_run(request, webserver, &start, format);
    }
    search_start_deinit(&start);
    json_decref(json);
}
