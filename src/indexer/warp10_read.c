/*
 * fetch and find. Tested by warp10_test.c and tests/cluster/test_warp10.py.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "indexer/warp10_internal.h"
#include "well/points.h"

static struct span token_header(const struct warp10_call *call)
{
    return span_of_str(http_request_header(call->request, call->warp10->token_header));
}

/* ── fetch ───────────────────────────────────────────────────────────────────────────────── */

struct fetching {
    struct warp10_call *call;
    const struct warp10_fetch *asked;
    struct warp10_out *out;
    struct output output;
    struct warp10_series series;
    uint32_t present; /* the series being printed; SERIES_NONE: none */
    uint64_t skipped, seen, printed;
    int64_t last_ns; /* of the last one that timestep let through */
    uint64_t random;
    bool all; /* every point that storage gives is printed */
};

static void end_series(struct fetching *fetching)
{
    if (fetching->present != SERIES_NONE) {
        output_series_end(&fetching->output);
        fetching->present = SERIES_NONE;
    }
}

static bool begin_series(struct fetching *fetching, uint32_t number)
{
    end_series(fetching);
    if (!warp10_series_load(fetching->call->warp10, number, &fetching->series)) {
        return false;
    }
    output_series(&fetching->output, &fetching->series.shown);
    fetching->present = number;
    fetching->skipped = fetching->seen = fetching->printed = 0;
    fetching->last_ns = TIME_UNSET;
    return true;
}

/* Keeps that share of the points. */
static bool is_drawn(struct fetching *fetching)
{
    uint64_t x = fetching->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    fetching->random = x;
    return (double)(x >> 11) * 0x1p-53 < fetching->asked->sample;
}

/* skip, then step and timestep, then sample, then count; newest first. */
static bool passes(struct fetching *fetching, const struct element *element)
{
    const struct warp10_fetch *asked = fetching->asked;
    if (element->time_ns < asked->start_ns || element->time_ns > asked->end_ns) {
        return true; /* of the boundary */
    }
    if (fetching->skipped < asked->skip) {
        fetching->skipped++;
        return false;
    }
    if (fetching->seen++ % asked->step != 0) {
        return false;
    }
    if (asked->timestep_ns > 0 && fetching->last_ns != TIME_UNSET &&
        (uint64_t)fetching->last_ns - (uint64_t)element->time_ns < (uint64_t)asked->timestep_ns) {
        return false;
    }
    fetching->last_ns = element->time_ns;
    if ((asked->sample < 1 && !is_drawn(fetching)) || fetching->printed >= asked->count) {
        return false;
    }
    fetching->printed++;
    return true;
}

static int print_points(struct fetching *fetching, const struct well_points *points)
{
    if (points->series != fetching->present && !begin_series(fetching, points->series)) {
        return 0;
    }
    int rc = 0;
    for (size_t i = 0; i < points->count && rc == 0; i++) {
        struct element element = well_points_at(points, i);
        if (fetching->all || passes(fetching, &element)) {
            output_point(&fetching->output, &element);
            rc = warp10_out_flush(fetching->out, false);
        }
    }
    return rc;
}

static bool is_thinned(const struct warp10_fetch *asked)
{
    return asked->step > 1 || asked->timestep_ns > 0 || asked->sample < 1;
}

/* How many points of a series storage needs to give at most. */
static uint64_t count_needed(const struct warp10_fetch *asked)
{
    uint64_t count;
    if (is_thinned(asked) || __builtin_add_overflow(asked->count, asked->skip, &count)) {
        return asked->count == 0 ? 0 : UINT64_MAX;
    }
    return asked->count == 0 ? 0 : count;
}

static int open_cursor(const struct warp10_call *call, const struct warp10_fetch *asked,
                       const struct series_numbers *numbers, struct well_points_cursor **ret_cursor)
{
    struct well_fetch fetch = {.series = numbers->items,
                               .series_count = numbers->count,
                               .start_ns = asked->start_ns,
                               .end_ns = asked->end_ns,
                               .count_max = count_needed(asked),
                               .before = asked->before,
                               .after = asked->after};
    return storage_fetch(call->warp10->storage, &fetch, ret_cursor);
}

static int run_cursor(struct fetching *fetching, struct well_points_cursor *cursor)
{
    struct well_points points;
    int rc = 0;
    while (rc == 0 && (rc = well_points_cursor_next(cursor, &points)) == 0) {
        rc = print_points(fetching, &points);
    }
    end_series(fetching);
    return rc == WELL_END ? 0 : rc;
}

static void print_all(struct warp10_call *call, const struct warp10_fetch *asked,
                      struct warp10_out *out, struct well_points_cursor *cursor, bool matched)
{
    struct fetching fetching = {.call = call, .asked = asked, .out = out};
    struct output_options options = {.format = asked->format,
                                     .unit = call->warp10->unit,
                                     .dedup = asked->dedup,
                                     .show_attributes = asked->show_attributes,
                                     .show_owner = warp10_shows_owner(call),
                                     .pack_suffix = asked->suffix};
    io_random(call->warp10->io, &fetching.random, sizeof(fetching.random));
    fetching.random |= 1;
    fetching.all = !is_thinned(asked) && asked->skip == 0;
    output_init(&fetching.output, &options, &out->buf);
    int rc = cursor == NULL ? 0 : run_cursor(&fetching, cursor);
    if (rc == 0) {
        output_end(&fetching.output, matched);
    } else if (out->rc == 0) {
        if (asked->show_errors) {
            buf_append_str(&out->buf, "# ERROR: ");
            series_text_encode(&out->buf, span_of_str(err_text()));
            buf_append_byte(&out->buf, '\n');
            (void)warp10_out_flush(out, true);
        }
        out->rc = rc;
    }
    output_deinit(&fetching.output);
    warp10_series_deinit(&fetching.series);
}

static const char *units_per_second(enum warp10_unit unit)
{
    return unit == WARP10_MS ? "1000" : unit == WARP10_US ? "1000000" : "1000000000";
}

static int answer_fetch(struct warp10_call *call, const struct warp10_fetch *asked)
{
    struct series_numbers numbers = {0};
    struct well_points_cursor *cursor = NULL;
    struct warp10_out out;
    int rc = warp10_select(call, asked->selectors, 0, &numbers);
    if (rc < 0) {
        return rc;
    }
    warp10_narrow(call->warp10, &numbers, asked->series_skip, asked->series_count,
                  asked->active_after_ms, asked->quiet_after_ms);
    bool matched = numbers.count > 0;
    if (matched && !asked->nothing) {
        rc = open_cursor(call, asked, &numbers, &cursor);
    }
    if (rc == 0) {
        http_reply_header(call->request, "X-Warp10-Timeunit", units_per_second(call->warp10->unit));
        rc = warp10_out_open(&out, call, NULL);
        if (rc == 0) {
            print_all(call, asked, &out, cursor, matched);
            warp10_out_close(&out);
        }
        rc = 0; /* a reply was sent */
    }
    if (cursor != NULL) {
        well_points_cursor_close(&cursor);
    }
    series_numbers_deinit(&numbers);
    return rc;
}

/* Bounds that the token sets. */
static void clamp(const struct warp10_call *call, struct warp10_fetch *asked)
{
    enum warp10_unit unit = call->warp10->unit;
    struct span text;
    int64_t value;
    if (token_attribute(call->token, ".start", &text) && span_to_i64(text, &value) &&
        warp10_time_to_ns(unit, value, &value)) {
        asked->start_ns = MAX(asked->start_ns, value);
    }
    if (token_attribute(call->token, ".end", &text) && span_to_i64(text, &value) &&
        warp10_time_to_ns(unit, value, &value)) {
        asked->end_ns = MIN(asked->end_ns, value);
    }
    if (token_attribute(call->token, ".count", &text) && span_to_i64(text, &value) && value >= 0) {
        asked->count = MIN(asked->count, (uint64_t)value);
    }
    asked->nothing |= asked->start_ns > asked->end_ns;
}

void warp10_fetch(struct http_request *request, void *context)
{
    struct warp10_call call;
    struct warp10_args args = {0};
    struct warp10_fetch asked;
    struct span token = SPAN_NONE;
    if (!warp10_call_begin(&call, context, request)) {
        return;
    }
    int rc = warp10_call_args(&call, &args);
    if (rc == 0) {
        (void)warp10_args_get(&args, "token", &token);
        token = token_header(&call).bytes > 0 ? token_header(&call) : token;
        rc = warp10_call_token(&call, token, false, "Read token missing.", ".nofetch");
    }
    rc = rc < 0 ? rc : warp10_fetch_parse(&args, call.warp10->unit, call.now_ns, &asked);
    if (rc == 0) {
        clamp(&call, &asked);
        rc = answer_fetch(&call, &asked);
    }
    if (rc < 0) {
        warp10_call_fault(&call, rc);
    }
    warp10_call_end(&call);
}

/* ── find ────────────────────────────────────────────────────────────────────────────────── */

static void print_found(struct warp10_call *call, const struct warp10_find *asked,
                        struct warp10_out *out, const struct series_numbers *numbers)
{
    struct output_options options = {.show_attributes = asked->show_attributes,
                                     .show_owner = warp10_shows_owner(call)};
    struct output output;
    struct warp10_series series = {0};
    uint8_t uuid[16] = {0};
    output_init(&output, &options, &out->buf);
    output_find_begin(&output, asked->json);
    for (size_t i = 0; i < numbers->count; i++) {
        if (!warp10_series_load(call->warp10, numbers->items[i], &series)) {
            continue;
        }
        memcpy(uuid + 12, &numbers->items[i], sizeof(numbers->items[i]));
        series.shown.uuid = asked->show_uuid ? uuid : NULL;
        output_find(&output, asked->json, &series.shown);
        if (warp10_out_flush(out, false) != 0) {
            break;
        }
    }
    output_find_end(&output, asked->json);
    output_deinit(&output);
    warp10_series_deinit(&series);
}

static int answer_find(struct warp10_call *call, const struct warp10_find *asked)
{
    struct series_numbers numbers = {0};
    struct warp10_out out;
    int rc = warp10_select(call, asked->selectors, 0, &numbers);
    if (rc < 0) {
        return err_set(ERR_PROTOCOL, "Invalid selector."); /* 500, as there */
    }
    warp10_narrow(call->warp10, &numbers, asked->series_skip, asked->series_count,
                  asked->active_after_ms, asked->quiet_after_ms);
    rc = warp10_out_open(&out, call, NULL);
    if (rc == 0) {
        print_found(call, asked, &out, &numbers);
        warp10_out_close(&out);
    }
    series_numbers_deinit(&numbers);
    return 0;
}

void warp10_find(struct http_request *request, void *context)
{
    struct warp10_call call;
    struct warp10_args args = {0};
    struct warp10_find asked;
    struct span token = SPAN_NONE;
    if (!warp10_call_begin(&call, context, request)) {
        return;
    }
    int rc = warp10_call_args(&call, &args);
    if (rc == 0) {
        if (!warp10_args_get(&args, "token", &token)) {
            token = token_header(&call);
        }
        rc = warp10_call_token(&call, token, false, "Missing token.", ".nofind");
        if (rc == ERR_AUTH && token.bytes > 0) {
            (void)err_wrap(rc, "Missing or invalid token");
        }
    }
    rc = rc < 0 ? rc : warp10_find_parse(&args, &asked);
    rc = rc < 0 ? rc : answer_find(&call, &asked);
    if (rc < 0) {
        warp10_call_fault(&call, rc);
    }
    warp10_call_end(&call);
}
