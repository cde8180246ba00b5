/*
 * update and meta. All lines before a wrong one are stored; the error says which line it was.
 * Tested by warp10_test.c and tests/cluster/test_warp10.py.
 */
#include <stdio.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/time.h"
#include "indexer/warp10_batch.h"
#include "indexer/warp10_internal.h"
#include "warp10/request_file.h"
#include "warp10/scope.h"

/* One request that writes. */
struct upload {
    struct warp10_call call;
    struct gts_options options;
    struct warp10_writer *writer;
    struct gts_reader *reader; /* of the writer */
    struct warp10_batch *batch;
    struct warp10_body body;
    struct buf plain; /* a line for the file of the request */
    uint64_t points;
};

static bool says_latin1(struct http_request *request)
{
    const char *type = http_request_header(request, "Content-Type");
    return type != NULL && (strcasestr(type, "charset=iso-8859-1") != NULL ||
                            strcasestr(type, "charset=latin1") != NULL);
}

static int read_shift(struct upload *upload)
{
    const char *text = http_request_header(upload->call.request, "X-Warp10-Timeshift");
    enum warp10_unit unit = upload->call.warp10->unit;
    int64_t shift_ns = 0;
    int rc = text == NULL ? 0 : warp10_parse_shift(unit, span_of_str(text), &shift_ns);
    upload->options.shift = warp10_time_of_ns(unit, shift_ns);
    return rc;
}

/* "delta" as header or in the datalog header; with "skip" attributes in lines have no effect. */
static int read_mode(struct upload *upload, bool *ret_delta)
{
    const char *text = http_request_header(upload->call.request, "X-Warp10-Attributes");
    bool forwarded = upload->call.forwarded;
    *ret_delta =
        forwarded ? upload->call.datalog.delta : text != NULL && strcmp(text, "delta") == 0;
    if (!forwarded && text != NULL && strcmp(text, "skip") == 0) {
        upload->options.skip_attributes = true;
    }
    if (*ret_delta && !forwarded && !upload->call.warp10->allow_delta) {
        int rc = upload->options.metadata ? ERR_PROTOCOL : ERR_INVALID; /* 500 and 400, as there */
        return err_set(rc, "Delta update of attributes is disabled.");
    }
    return 0;
}

static int64_t ms_attribute(const struct token *token, const char *name, int64_t otherwise)
{
    struct span text;
    int64_t value;
    return token_attribute(token, name, &text) && span_to_i64(text, &value) && value >= 0
               ? value
               : otherwise;
}

/* Of the configuration and of the token; a forwarded request was checked at its origin. */
static void set_limits(struct upload *upload)
{
    const struct warp10 *warp10 = upload->call.warp10;
    const struct token *token = upload->call.token;
    struct gts_options *o = &upload->options;
    struct span text;
    int64_t past_ms = ms_attribute(token, ".maxpast", warp10->past_ms);
    int64_t future_ms = ms_attribute(token, ".maxfuture", warp10->future_ms);
    int64_t max = ms_attribute(token, ".maxsize", (int64_t)o->value_bytes_max);
    o->value_bytes_max = (size_t)MIN(max, (int64_t)SERIES_VALUE_BYTES_MAX);
    o->bounded = !upload->call.forwarded && (past_ms >= 0 || future_ms >= 0);
    o->skip_out_of_bounds =
        warp10->ignore_out_of_range ||
        (token_attribute(token, ".ignoor", &text) && span_equal_str(text, "true"));
    int64_t now_ms = upload->call.now_ns / TIME_MS_NS;
    int64_t per_ms = TIME_MS_NS / warp10_unit_ns(o->unit);
    o->oldest = past_ms < 0 ? INT64_MIN : (now_ms - past_ms) * per_ms;
    o->newest = future_ms < 0 ? INT64_MAX : (now_ms + future_ms) * per_ms;
}

static int64_t base_time(const struct upload *upload)
{
    int64_t now;
    if (upload->call.forwarded && span_to_i64(upload->call.datalog.now, &now)) {
        return now;
    }
    return warp10_time_of_ns(upload->call.warp10->unit, upload->call.now_ns);
}

static int prepare(struct upload *upload, bool metadata, bool *ret_delta)
{
    struct warp10 *warp10 = upload->call.warp10;
    struct series_label *labels =
        arena_alloc_array(upload->call.arena, SCOPE_LABELS_MAX, sizeof(*labels));
    upload->options = warp10->limits;
    upload->options.metadata = metadata;
    upload->options.latin1 = !upload->call.forwarded && says_latin1(upload->call.request);
    upload->options.skip_attributes = !warp10->parse_attributes;
    upload->options.label_count = scope_labels(upload->call.token, labels);
    upload->options.labels = labels;
    upload->options.now = base_time(upload);
    set_limits(upload);
    int rc = read_mode(upload, ret_delta);
    return rc < 0 ? rc : read_shift(upload);
}

/* A series that this request did not have before, of a token that may have only so many. */
static int check_quota(struct upload *upload, const struct gts_reading *reading)
{
    struct warp10 *warp10 = upload->call.warp10;
    struct series_catalogue *catalogue = storage_catalogue(warp10->storage);
    uint32_t number;
    if (series_catalogue_find(catalogue, reading->series->key, &number) &&
        series_catalogue_lives(catalogue, number)) {
        return 0;
    }
    int rc = warp10_rates_add_series(&warp10->rates, warp10->storage, upload->call.token,
                                     io_monotonic_ns(warp10->io), reading->series->key);
    return rc < 0 ? err_wrap(rc, "line %llu", (unsigned long long)reading->line) : 0;
}

static int take_reading(struct upload *upload, const struct gts_reading *reading)
{
    int rc = 0;
    if (upload->call.token->series_max > 0 && !upload->call.forwarded &&
        !warp10_batch_has_met(upload->batch, reading->series)) {
        rc = check_quota(upload, reading);
    }
    upload->points += rc == 0;
    rc = rc < 0 ? rc : warp10_batch_add(upload->batch, reading);
    if (rc == 0 && reading->has_attributes) {
        rc = warp10_batch_meta(upload->batch, reading);
    }
    return rc;
}

/* Attributes of series that are not there are passed over, as in the reference. */
static int take_metadata(struct upload *upload, const struct gts_reading *reading)
{
    struct series_catalogue *catalogue = storage_catalogue(upload->call.warp10->storage);
    uint32_t number;
    if (!series_catalogue_find(catalogue, reading->series->key, &number) ||
        !series_catalogue_lives(catalogue, number)) {
        return 0;
    }
    return warp10_batch_meta(upload->batch, reading);
}

/* A forwarder sends it without the headers that came with it. */
static int keep_line(struct upload *upload, const struct gts_reading *reading)
{
    const struct gts_options *o = &upload->options;
    int64_t time = warp10_time_of_ns(upload->call.warp10->unit, reading->element.time_ns);
    bool shifted = !o->metadata && o->shift != 0;
    struct span line = o->metadata ? reading->whole : reading->text; /* as there */
    line = request_file_portable(&upload->plain, line, o->latin1, shifted ? &time : NULL);
    return request2x_line(upload->call.kept, line, reading->series->key);
}

static int take_one(struct upload *upload, const struct gts_reading *reading)
{
    int rc =
        upload->options.metadata ? take_metadata(upload, reading) : take_reading(upload, reading);
    return rc < 0 || upload->call.kept == NULL ? rc : keep_line(upload, reading);
}

/* All that was stored, also when a later line was wrong, as in the reference. */
static int publish(struct upload *upload)
{
    bool worth = upload->options.metadata || request2x_lines(upload->call.kept) > 0;
    if (!worth) {
        request2x_drop(&upload->call.kept);
    }
    return request2x_publish(&upload->call.kept);
}

/* GTS_MORE or GTS_END, or a fault. A line of a forwarded request that is wrong here was right at
 * its origin: it is set aside, and the rest goes on. */
static int take_all(struct upload *upload)
{
    struct gts_reading reading;
    for (;;) {
        int rc = gts_reader_next(upload->reader, &reading);
        if ((rc == ERR_INVALID || rc == ERR_PROTOCOL) && upload->call.placed) {
            rc = warp10_call_set_aside(&upload->call, upload->reader);
        } else if (rc == 0) {
            rc = take_one(upload, &reading);
        }
        if (rc != 0) {
            return rc;
        }
    }
}

static int read_body(struct upload *upload)
{
    struct span piece;
    int rc = warp10_body_next(&upload->body, &piece);
    while (rc == 0 && piece.bytes > 0) {
        gts_reader_feed(upload->reader, piece);
        rc = take_all(upload);
        if (rc == GTS_MORE) {
            rc = warp10_body_next(&upload->body, &piece);
        }
    }
    if (rc != 0) {
        return rc;
    }
    gts_reader_finish(upload->reader);
    rc = take_all(upload);
    return rc == GTS_END ? 0 : rc;
}

static void begin_writing(struct upload *upload, bool delta)
{
    struct warp10 *warp10 = upload->call.warp10;
    upload->writer =
        warp10_writers_take(&warp10->writers, warp10->storage, hash64(upload->call.token_text),
                            io_monotonic_ns(warp10->io), &upload->options);
    upload->reader = upload->writer->reader;
    upload->batch = &upload->writer->batch;
    warp10_body_open(&upload->body, upload->call.request);
    warp10_batch_begin(upload->batch, !delta, upload->call.placed ? &upload->call.place : NULL);
}

/* What came before a fault is kept, and the fault of the line is what is told. */
static int store(struct upload *upload, bool delta)
{
    char text[ERR_TEXT_BYTES_MAX];
    begin_writing(upload, delta);
    int rc = read_body(upload);
    (void)snprintf(text, sizeof(text), "%s", err_text());
    int finished = warp10_batch_finish(upload->batch);
    finished = finished < 0 ? finished : publish(upload);
    if (finished == 0 && rc == 0 && upload->call.aside.bytes > 0) {
        finished = warp10_call_quarantine(&upload->call, upload->call.aside_reason);
    }
    if (rc < 0) {
        (void)err_set(rc, "%s", text);
    }
    warp10_body_close(&upload->body);
    buf_deinit(&upload->plain);
    warp10_writers_give(&upload->call.warp10->writers, &upload->writer);
    atomic_fetch_add(&upload->call.warp10->points, upload->points);
    warp10_rates_charge(&upload->call.warp10->rates, upload->call.token,
                        io_monotonic_ns(upload->call.warp10->io), upload->points);
    return rc < 0 ? rc : finished;
}

static int run(struct upload *upload, bool metadata)
{
    struct warp10 *warp10 = upload->call.warp10;
    bool delta = false;
    if (!upload->call.forwarded && (metadata ? warp10->no_metas : warp10->no_updates)) {
        return err_set(ERR_DENIED, metadata ? "Meta updates are disabled by the administrator."
                                            : "Updates are disabled by the administrator.");
    }
    int rc = prepare(upload, metadata, &delta);
    if (rc < 0) {
        return rc;
    }
    if (!upload->call.forwarded &&
        !warp10_rates_allow(&warp10->rates, upload->call.token, io_monotonic_ns(warp10->io))) {
        return err_set(ERR_TIMEOUT,
                       "The limit of this token, %llu points per second, is already "
                       "exceeded.",
                       (unsigned long long)upload->call.token->points_per_s);
    }
    rc = warp10_enter(&warp10->updates, "updates");
    if (rc < 0) {
        return rc;
    }
    rc = warp10_call_keep(&upload->call, metadata ? WARP10_META : WARP10_UPDATE, delta,
                          upload->options.now);
    rc = rc < 0 ? rc : store(upload, delta);
    warp10_leave(&warp10->updates);
    return rc;
}

static struct span token_text(const struct warp10_call *call)
{
    return span_of_str(http_request_header(call->request, call->warp10->token_header));
}

/* The client left: there is nobody to tell. */
static bool is_answerable(const struct warp10_call *call, int rc)
{
    return rc != ERR_CANCELLED && !(rc == ERR_UNAVAILABLE && http_request_stopping(call->request));
}

void warp10_update(struct http_request *request, void *context)
{
    struct upload upload = {0};
    struct warp10_call *call = &upload.call;
    if (!warp10_call_begin(call, context, request)) {
        return;
    }
    const char *suffix = strstr(http_request_route(request)->path, "{") != NULL
                             ? http_request_param(request, "token")
                             : "";
    struct span token = suffix[0] != 0 ? span_of_str(suffix) : token_text(call);
    int rc = warp10_call_datalog(call);
    rc = rc < 0 ? rc : warp10_call_token(call, token, true, "Write token missing.", ".noupdate");
    rc = rc < 0 ? rc : warp10_call_place(call);
    rc = rc != 0 ? rc : run(&upload, false);
    warp10_call_leave(call, rc == 0);
    if (rc >= 0) {
        warp10_call_done(call);
    } else if (is_answerable(call, rc)) {
        (void)err_wrap(rc, "Error when updating data");
        warp10_call_fault(call, rc);
    }
    warp10_call_end(call);
}

void warp10_meta(struct http_request *request, void *context)
{
    struct upload upload = {0};
    struct warp10_call *call = &upload.call;
    if (!warp10_call_begin(call, context, request)) {
        return;
    }
    int rc = warp10_call_datalog(call);
    rc = rc < 0 ? rc : warp10_call_token(call, token_text(call), true, "Missing token.", ".nometa");
    bool refused = rc < 0;
    rc = rc < 0 ? rc : warp10_call_place(call);
    rc = rc != 0 ? rc : run(&upload, true);
    warp10_call_leave(call, rc == 0);
    if (rc >= 0) {
        warp10_call_done(call);
    } else if (is_answerable(call, rc)) {
        (void)err_wrap(rc, "Error when updating meta");
        warp10_call_fault(call, refused ? ERR_PROTOCOL : rc); /* 500, as there */
    }
    warp10_call_end(call);
}
