/*
 * fetch and find. Tested by warp10_test.c and tests/cluster/test_warp10.py.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "indexer/warp10_internal.h"
#include "warp10/encoder.h"
#include "warp10/opb64.h"
#include "warp10/scope.h"
#include "well/points.h"

#define COLUMN_POINTS ((size_t)1024) /* printed between two looks at what is to be sent */

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
    bool all;          /* every point that storage gives is printed */
    struct buf packed; /* a value that is points */
};

static void end_series(struct fetching *fetching)
{
    if (fetching->present != SERIES_NONE) {
        output_series_end(&fetching->output);
        fetching->present = SERIES_NONE;
    }
}

static struct span suffix_of(const struct warp10_fetch *asked)
{
    return asked->suffix.bytes > 0 ? asked->suffix : SPAN_LIT(SCOPE_PACKED_SUFFIX);
}

static bool begin_series(struct fetching *fetching, uint32_t number)
{
    end_series(fetching);
    if (!warp10_series_load(fetching->call->warp10, number, &fetching->series)) {
        return false;
    }
    if (fetching->asked->unpack) {
        fetching->series.shown.class_cut = suffix_of(fetching->asked).bytes;
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

/* The points inside of a value: as pack prints them, or as a multivalue is stored. */
static int open_packed(struct fetching *fetching, const struct element *element,
                       struct decoder *ret_decoder)
{
    struct span bytes = element->value.bytes;
    uint64_t count;
    bool good = element->type >= ELEMENT_TEXT;
    buf_clear(&fetching->packed);
    if (element->type == ELEMENT_TEXT) {
        good = opb64_decode(&fetching->packed, bytes);
        bytes = buf_span(&fetching->packed);
    }
    return good ? decoder_unwrap(bytes, ret_decoder, &count)
                : err_set(ERR_CORRUPT, "a value of a packed series is no wrapper of points");
}

static int print_packed(struct fetching *fetching, const struct element *element)
{
    const struct warp10_fetch *asked = fetching->asked;
    struct decoder decoder;
    struct element inner;
    int64_t time;
    int rc = open_packed(fetching, element, &decoder);
    while (rc == 0 && (rc = decoder_next(&decoder, &time, &inner)) == 0) {
        bool within = warp10_time_to_ns(fetching->call->warp10->unit, time, &inner.time_ns) &&
                      inner.time_ns >= asked->start_ns && inner.time_ns <= asked->end_ns;
        if (within && passes(fetching, &inner)) {
            output_point(&fetching->output, &inner);
            rc = warp10_out_flush(fetching->out, false);
        }
    }
    return rc == DECODER_END ? 0 : rc;
}

static int print_columns(struct fetching *fetching, const struct well_points *points)
{
    int rc = 0;
    for (size_t i = 0; i < points->count && rc == 0; i += COLUMN_POINTS) {
        output_column(&fetching->output, points->type, points->times + i, points->values + i,
                      MIN(points->count - i, COLUMN_POINTS));
        rc = warp10_out_flush(fetching->out, false);
    }
    return rc;
}

static int print_points(struct fetching *fetching, const struct well_points *points)
{
    if (points->series != fetching->present && !begin_series(fetching, points->series)) {
        return 0;
    }
    if (fetching->all && !fetching->asked->unpack && points->type != 0) {
        return print_columns(fetching, points);
    }
    int rc = 0;
    for (size_t i = 0; i < points->count && rc == 0; i++) {
        struct element element = well_points_at(points, i);
        if (fetching->asked->unpack) {
            rc = print_packed(fetching, &element);
        } else if (fetching->all || passes(fetching, &element)) {
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

/* A packed point has the time of its newest one: the one behind the range may reach into it. */
static struct well_fetch unpacking(struct well_fetch fetch)
{
    fetch.count_max = UINT64_MAX;
    fetch.before = 0;
    fetch.after = 1;
    return fetch;
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
    fetch = asked->unpack ? unpacking(fetch) : fetch;
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
                                     .pack_suffix = asked->suffix,
                                     .pack_bytes_max = asked->pack_bytes_max,
                                     .pack_points_max = asked->pack_points_max};
    io_random(call->warp10->io, &fetching.random, sizeof(fetching.random));
    fetching.random |= 1;
    fetching.all = !is_thinned(asked) && asked->skip == 0;
    output_init(&fetching.output, &options, &out->buf);
    int rc = cursor == NULL ? 0 : run_cursor(&fetching, cursor);
    if (rc == 0) {
        output_end(&fetching.output, matched);
    } else if (out->rc == 0 && asked->show_errors) {
        buf_append_str(&out->buf, "# ERROR: ");
        series_text_encode(&out->buf, span_of_str(err_text()));
        buf_append_byte(&out->buf, '\n');
    } else if (out->rc == 0) {
        out->rc = rc; /* the answer is cut off */
    }
    output_deinit(&fetching.output);
    warp10_series_deinit(&fetching.series);
    buf_deinit(&fetching.packed);
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
    int rc = asked->unpack ? warp10_select_packed(call, asked->selectors, asked->suffix, &numbers)
                           : warp10_select(call, asked->selectors, 0, &numbers);
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

static bool has_number(const struct warp10_call *call, const char *name, int64_t *ret_value)
{
    struct span text;
    return token_attribute(call->token, name, &text) && span_to_i64(text, ret_value);
}

static void clamp_count(const struct warp10_call *call, const char *name, uint64_t *count)
{
    int64_t value;
    if (has_number(call, name, &value) && value >= 0) {
        *count = MIN(*count, (uint64_t)value);
    }
}

/* Bounds that the token sets to what a reader may find … */
static void clamp_activity(const struct warp10_call *call, int64_t *after_ms, int64_t *quiet_ms)
{
    int64_t value;
    if (has_number(call, ".activeafter", &value)) {
        *after_ms = MAX(*after_ms, value); /* TIME_UNSET is the least */
    }
    if (has_number(call, ".quietafter", &value)) {
        *quiet_ms = *quiet_ms == TIME_UNSET ? value : MIN(*quiet_ms, value);
    }
}

/* … and see. */
static void clamp(const struct warp10_call *call, struct warp10_fetch *asked)
{
    enum warp10_unit unit = call->warp10->unit;
    int64_t value;
    if (has_number(call, ".start", &value) && warp10_time_to_ns(unit, value, &value)) {
        asked->start_ns = MAX(asked->start_ns, value);
    }
    if (has_number(call, ".end", &value) && warp10_time_to_ns(unit, value, &value)) {
        asked->end_ns = MIN(asked->end_ns, value);
    }
    clamp_count(call, ".count", &asked->count);
    clamp_count(call, ".pre", &asked->before);
    clamp_count(call, ".post", &asked->after);
    clamp_activity(call, &asked->active_after_ms, &asked->quiet_after_ms);
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
    if (rc == 0 && call.token->has_hooks) {
        rc = err_set(ERR_INVALID, "Tokens with hooks cannot be used for fetching data.");
    }
    rc = rc < 0 ? rc : warp10_fetch_parse(&args, call.warp10->unit, call.now_ns, &asked);
    rc = rc < 0 ? rc : warp10_enter(&call.warp10->fetches, "fetches");
    if (rc == 0) {
        clamp(&call, &asked);
        rc = answer_fetch(&call, &asked);
        warp10_leave(&call.warp10->fetches);
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
        (void)err_wrap(rc, "Invalid selector");
        return ERR_PROTOCOL; /* 500, as there */
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
    rc = rc < 0 ? rc : warp10_enter(&call.warp10->fetches, "fetches");
    if (rc == 0) {
        clamp_activity(&call, &asked.active_after_ms, &asked.quiet_after_ms);
        rc = answer_find(&call, &asked);
        warp10_leave(&call.warp10->fetches);
    }
    if (rc < 0) {
        warp10_call_fault(&call, rc);
    }
    warp10_call_end(&call);
}
