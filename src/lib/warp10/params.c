#include "warp10/params.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/text.h"

/* ── Units ───────────────────────────────────────────────────────────────────────────────── */

int64_t warp10_unit_ns(enum warp10_unit unit)
{
    return unit == WARP10_MS ? TIME_MS_NS : unit == WARP10_NS ? 1 : TIME_US_NS;
}

bool warp10_unit_parse(struct span text, enum warp10_unit *ret_unit)
{
    static const char *const names[] = {[WARP10_MS] = "ms", [WARP10_US] = "us", [WARP10_NS] = "ns"};
    for (size_t i = WARP10_MS; i <= WARP10_NS; i++) {
        if (span_equal_str(text, names[i])) {
            *ret_unit = (enum warp10_unit)i;
            return true;
        }
    }
    return false;
}

bool warp10_time_to_ns(enum warp10_unit unit, int64_t time, int64_t *ret_time_ns)
{
    return !__builtin_mul_overflow(time, warp10_unit_ns(unit), ret_time_ns) &&
           *ret_time_ns >= TIME_MIN_NS;
}

/* Divisors that the compiler knows: this is done for every point. */
int64_t warp10_time_of_ns(enum warp10_unit unit, int64_t time_ns)
{
    switch (unit) {
    case WARP10_NS:
        return time_ns;
    case WARP10_MS:
        return time_ns / TIME_MS_NS - (time_ns % TIME_MS_NS < 0);
    default:
        return time_ns / TIME_US_NS - (time_ns % TIME_US_NS < 0);
    }
}

/* A time kept within what can be stored: for the ends of ranges. */
static int64_t clamped_ns(enum warp10_unit unit, int64_t time)
{
    int64_t time_ns;
    if (warp10_time_to_ns(unit, time, &time_ns)) {
        return time_ns;
    }
    return time < 0 ? TIME_MIN_NS : TIME_MAX_NS;
}

int warp10_status(int rc)
{
    switch (rc) {
    case 0:
        return 200;
    case ERR_INVALID:
    case ERR_TOO_LARGE:
        return 400;
    case ERR_AUTH:
    case ERR_DENIED:
        return 403;
    case ERR_TIMEOUT:
        return 429;
    case ERR_UNAVAILABLE:
        return 503;
    default:
        return 500;
    }
}

/* ── Names and values ────────────────────────────────────────────────────────────────────── */

static int decode(struct arena *arena, struct span text, struct span *ret_text)
{
    *ret_text = text;
    if (span_find_byte(text, '%') < 0 && span_find_byte(text, '+') < 0) {
        return 0;
    }
    struct buf buf = {0};
    bool good = text_url_decode(&buf, text, true);
    if (good) {
        *ret_text = arena_span_dup(arena, buf_span(&buf));
    }
    buf_deinit(&buf);
    return good ? 0
                : err_set(ERR_INVALID, "Invalid escape in a parameter: '%.*s'.",
                          SPAN_ARG(span_first(text, 64)));
}

/* Some clients do so with selectors. */
static bool is_escaped_twice(const struct warp10_arg *arg)
{
    return span_equal_str(arg->name, "selector") && span_find_byte(arg->value, '{') < 0 &&
           span_find_byte(arg->value, '%') >= 0;
}

int warp10_args_add(struct arena *arena, struct warp10_args *args, struct span encoded)
{
    struct span piece;
    while (span_split(&encoded, '&', &piece)) {
        if (piece.bytes == 0) {
            continue;
        }
        if (args->count == WARP10_ARGS_MAX || arena_left(arena) < 4 * piece.bytes + 4096) {
            return err_set(ERR_TOO_LARGE, "Too many parameters.");
        }
        struct warp10_arg *arg = ARENA_NEW(arena, struct warp10_arg);
        ptrdiff_t equals = span_find_byte(piece, '=');
        size_t name_bytes = equals < 0 ? piece.bytes : (size_t)equals;
        int rc = decode(arena, span_first(piece, name_bytes), &arg->name);
        if (rc == 0) {
            rc = decode(arena, span_from(piece, name_bytes + 1), &arg->value);
        }
        if (rc == 0 && is_escaped_twice(arg)) {
            rc = decode(arena, arg->value, &arg->value);
        }
        if (rc != 0) {
            return rc;
        }
        *(args->last == NULL ? &args->first : &args->last->next) = arg;
        args->last = arg;
        args->count++;
    }
    return 0;
}

bool warp10_args_get(const struct warp10_args *args, const char *name, struct span *ret_value)
{
    for (const struct warp10_arg *arg = args->first; arg != NULL; arg = arg->next) {
        if (span_equal_str(arg->name, name)) {
            *ret_value = arg->value;
            return true;
        }
    }
    return false;
}

bool warp10_args_has(const struct warp10_args *args, const char *name)
{
    struct span value;
    return warp10_args_get(args, name, &value);
}

/* ── Forms of values ─────────────────────────────────────────────────────────────────────── */

bool warp10_parse_date(struct span text, int64_t *ret_time_ns)
{
    if (time_parse(text, ret_time_ns)) {
        return true;
    }
    /* Without seconds: "2023-11-14T22:13Z", "2023-11-14T22:13+01:00". */
    const size_t minutes_end = sizeof("2023-11-14T22:13") - 1;
    char longer[64];
    if (text.bytes <= minutes_end || text.bytes > 32 || text.data[minutes_end] == ':') {
        return false;
    }
    int bytes = snprintf(longer, sizeof(longer), "%.*s:00%.*s", (int)minutes_end,
                         (const char *)text.data, SPAN_ARG(span_from(text, minutes_end)));
    return bytes > 0 && time_parse(span_of(longer, (size_t)bytes), ret_time_ns);
}

/* "12.5" and its unit off the front. */
static bool next_amount(struct span *rest, double *ret_amount, char *ret_unit)
{
    char number[32];
    size_t bytes = 0;
    while (bytes < rest->bytes && bytes < sizeof(number) - 1 &&
           (isdigit(rest->data[bytes]) != 0 || strchr(".,-+", rest->data[bytes]) != NULL)) {
        number[bytes] = (char)(rest->data[bytes] == ',' ? '.' : rest->data[bytes]);
        bytes++;
    }
    number[bytes] = 0;
    if (bytes == 0 || bytes == rest->bytes) {
        return false;
    }
    char *end;
    *ret_amount = strtod(number, &end);
    *ret_unit = (char)rest->data[bytes];
    *rest = span_from(*rest, bytes + 1);
    return *end == 0;
}

static int64_t duration_unit_ns(char unit, bool time)
{
    switch (unit) {
    case 'W':
        return time ? 0 : 7 * TIME_DAY_NS;
    case 'D':
        return time ? 0 : TIME_DAY_NS;
    case 'H':
        return time ? TIME_HOUR_NS : 0;
    case 'M':
        return time ? TIME_MINUTE_NS : 0;
    case 'S':
        return time ? TIME_S_NS : 0;
    default:
        return 0;
    }
}

bool warp10_parse_duration(struct span text, int64_t *ret_duration_ns)
{
    bool negative = text.bytes > 0 && text.data[0] == '-';
    struct span rest = span_from(text, negative);
    bool time = false;
    double total = 0;
    size_t parts = 0;
    if (rest.bytes == 0 || rest.data[0] != 'P') {
        return false;
    }
    rest = span_from(rest, 1);
    while (rest.bytes > 0) {
        double amount;
        char unit;
        if (rest.data[0] == 'T' && !time) {
            time = true;
            rest = span_from(rest, 1);
            continue;
        }
        if (!next_amount(&rest, &amount, &unit)) {
            return false;
        }
        int64_t unit_ns = duration_unit_ns(unit, time);
        if (unit_ns == 0) {
            return false;
        }
        total += amount * (double)unit_ns;
        parts++;
    }
    if (parts == 0 || total > 9e18 || total < -9e18) {
        return false;
    }
    *ret_duration_ns = (int64_t)(negative ? -total : total);
    return true;
}

int warp10_parse_shift(enum warp10_unit unit, struct span text, int64_t *ret_shift_ns)
{
    int64_t units;
    if ((span_to_i64(text, &units) && warp10_time_to_ns(unit, units, ret_shift_ns)) ||
        warp10_parse_duration(text, ret_shift_ns)) {
        return 0;
    }
    return err_set(ERR_INVALID, "Invalid time shift '%.*s'.", SPAN_ARG(span_first(text, 64)));
}

bool warp10_next_selector(struct span *rest, struct span *ret_selector)
{
    *rest = span_trim(*rest);
    if (rest->bytes == 0) {
        return false;
    }
    /* White space inside of the braces belongs to the selector. */
    size_t end = 0;
    bool inside = false;
    for (; end < rest->bytes; end++) {
        uint8_t c = rest->data[end];
        inside = c == '{' || (inside && c != '}');
        if (!inside && c <= ' ') {
            break;
        }
    }
    *ret_selector = span_first(*rest, end);
    *rest = span_from(*rest, end);
    return true;
}

/* ── Single parameters ───────────────────────────────────────────────────────────────────── */

static struct span text_of(const struct warp10_args *args, const char *name)
{
    struct span value = SPAN_NONE;
    (void)warp10_args_get(args, name, &value);
    return value;
}

/* True unless absent or "false": the flags of 2.x and of 3.x in one. */
static bool flag_of(const struct warp10_args *args, const char *name)
{
    struct span value;
    return warp10_args_get(args, name, &value) && !span_equal_nocase(value, SPAN_LIT("false"));
}

/* The reference answers 500 to what is no number. */
static int number_of(const struct warp10_args *args, const char *name, int64_t *value)
{
    struct span text;
    if (warp10_args_get(args, name, &text) && !span_to_i64(text, value)) {
        return err_set(ERR_PROTOCOL, "Parameter %s must be a whole number, not '%.*s'.", name,
                       SPAN_ARG(span_first(text, 64)));
    }
    return 0;
}

/* A count: below 0 means without a limit. */
static int count_of(const struct warp10_args *args, const char *name, uint64_t *count)
{
    int64_t value = *count > INT64_MAX ? -1 : (int64_t)*count;
    int rc = number_of(args, name, &value);
    *count = value < 0 ? WARP10_UNLIMITED : (uint64_t)value;
    return rc;
}

/* So many to leave out or to add: below 0 is none. */
static int amount_of(const struct warp10_args *args, const char *name, uint64_t *amount)
{
    int64_t value = (int64_t)*amount;
    int rc = number_of(args, name, &value);
    *amount = (uint64_t)MAX(value, INT64_C(0));
    return rc;
}

static int activity_of(const struct warp10_args *args, int64_t *after_ms, int64_t *quiet_ms)
{
    *after_ms = *quiet_ms = TIME_UNSET;
    int rc = number_of(args, "activeafter", after_ms);
    return rc != 0 ? rc : number_of(args, "quietafter", quiet_ms);
}

/* In units, or a date; "now" when allowed. */
static int parse_instant(struct span text, enum warp10_unit unit, int64_t now_ns,
                         int64_t *ret_units)
{
    int64_t time_ns;
    if (span_to_i64(text, ret_units)) {
        return 0;
    }
    if (now_ns != TIME_UNSET && span_equal_nocase(text, SPAN_LIT("now"))) {
        *ret_units = warp10_time_of_ns(unit, now_ns);
        return 0;
    }
    if (span_find_byte(text, 'T') >= 0 && warp10_parse_date(text, &time_ns)) {
        *ret_units = time_ns == TIME_UNSET ? warp10_time_of_ns(unit, TIME_MIN_NS)
                                           : warp10_time_of_ns(unit, time_ns);
        return 0;
    }
    return err_set(ERR_INVALID, "Invalid time '%.*s'.", SPAN_ARG(span_first(text, 64)));
}

/* [start, end] in units to nanoseconds: up to the end of the last unit. */
static void set_range(enum warp10_unit unit, int64_t start, int64_t end, int64_t *ret_start_ns,
                      int64_t *ret_end_ns)
{
    int64_t last = warp10_unit_ns(unit) - 1;
    *ret_start_ns = clamped_ns(unit, start);
    *ret_end_ns = clamped_ns(unit, end);
    *ret_end_ns = *ret_end_ns > TIME_MAX_NS - last ? TIME_MAX_NS : *ret_end_ns + last;
}

/* ── fetch ───────────────────────────────────────────────────────────────────────────────── */

struct range {
    bool has_start, has_end, has_span, has_count;
    int64_t start, end, span; /* units */
};

static int64_t minus(int64_t a, int64_t b)
{
    int64_t result;
    return !__builtin_sub_overflow(a, b, &result) ? result : b > 0 ? INT64_MIN : INT64_MAX;
}

static int64_t plus(int64_t a, int64_t b)
{
    int64_t result;
    return !__builtin_add_overflow(a, b, &result) ? result : b > 0 ? INT64_MAX : INT64_MIN;
}

static int read_end(const struct warp10_args *args, enum warp10_unit unit, int64_t now_ns,
                    struct range *range)
{
    static const char *const names[] = {"now", "end", "stop"};
    struct span text = SPAN_NONE;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct span value;
        if (!warp10_args_get(args, names[i], &value)) {
            continue;
        }
        if (range->has_end) {
            return err_set(ERR_INVALID, "Only one of parameters now, end and stop may be given.");
        }
        range->has_end = true;
        text = value;
    }
    return range->has_end ? parse_instant(text, unit, now_ns, &range->end) : 0;
}

/* A number of units, a duration, or a negative number: that many points. */
static int read_timespan(struct span text, enum warp10_unit unit, struct range *range,
                         uint64_t *count)
{
    int64_t duration_ns;
    if (!span_to_i64(text, &range->span)) {
        if (!warp10_parse_duration(text, &duration_ns) || duration_ns < 0) {
            return err_set(ERR_INVALID, "Invalid timespan '%.*s'.", SPAN_ARG(span_first(text, 64)));
        }
        range->span = duration_ns / warp10_unit_ns(unit);
    } else if (range->span < 0) {
        *count = (uint64_t)-range->span;
        range->has_count = true;
        return 0;
    }
    range->has_span = true;
    return 0;
}

static int decide_range(const struct range *range, enum warp10_unit unit,
                        struct warp10_fetch *fetch)
{
    int64_t start = range->start;
    int64_t end = range->end;
    fetch->nothing = range->has_span && range->span == 0;
    if (range->has_start && range->has_end) {
        if (range->has_span) {
            return err_set(ERR_INVALID, "Parameters start, end and timespan exclude each other.");
        }
        start = MIN(range->start, range->end);
        end = MAX(range->start, range->end);
    } else if (range->has_end && range->has_span) {
        start = plus(minus(end, range->span), 1);
    } else if (range->has_start && range->has_span) {
        end = minus(plus(start, range->span), 1);
    } else if (range->has_end && range->has_count) {
        start = INT64_MIN;
    } else {
        return err_set(ERR_INVALID, "The time range needs now (or end, stop) with timespan, count "
                                    "or start, or start with timespan.");
    }
    set_range(unit, start, end, &fetch->start_ns, &fetch->end_ns);
    return 0;
}

static int read_range(const struct warp10_args *args, enum warp10_unit unit, int64_t now_ns,
                      struct warp10_fetch *fetch)
{
    struct range range = {.has_count = warp10_args_has(args, "count")};
    struct span text;
    int rc = read_end(args, unit, now_ns, &range);
    if (rc == 0 && warp10_args_get(args, "start", &text)) {
        range.has_start = true;
        rc = parse_instant(text, unit, now_ns, &range.start);
    }
    if (rc == 0 && warp10_args_get(args, "timespan", &text)) {
        rc = read_timespan(text, unit, &range, &fetch->count);
    }
    return rc != 0 ? rc : decide_range(&range, unit, fetch);
}

static enum warp10_format format_of(const struct warp10_args *args)
{
    static const struct {
        const char *name;
        enum warp10_format format;
    } formats[] = {{"text", WARP10_TEXT}, {"fulltext", WARP10_FULLTEXT}, {"json", WARP10_JSON},
                   {"tsv", WARP10_TSV},   {"fulltsv", WARP10_FULLTSV},   {"raw", WARP10_RAW},
                   {"pack", WARP10_PACK}, {"null", WARP10_NULL}};
    struct span text = text_of(args, "format");
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        if (span_equal_str(text, formats[i].name)) {
            return formats[i].format;
        }
    }
    return WARP10_TEXT;
}

static int read_sampling(const struct warp10_args *args, enum warp10_unit unit,
                         struct warp10_fetch *fetch)
{
    struct span text;
    int64_t units;
    if (warp10_args_get(args, "timestep", &text)) {
        bool good =
            (span_to_i64(text, &units) && warp10_time_to_ns(unit, units, &fetch->timestep_ns)) ||
            warp10_parse_duration(text, &fetch->timestep_ns);
        if (!good || fetch->timestep_ns < 0) {
            return err_set(ERR_PROTOCOL, "Invalid timestep.");
        }
    }
    if (warp10_args_get(args, "sample", &text)) {
        char number[32];
        char *end = number;
        (void)snprintf(number, sizeof(number), "%.*s", SPAN_ARG(span_first(text, 31)));
        fetch->sample = strtod(number, &end);
        if (end == number || *end != 0 || !(fetch->sample > 0 && fetch->sample <= 1)) {
            return err_set(ERR_INVALID, "Parameter sample must be above 0 and at most 1.");
        }
    }
    return 0;
}

static int read_counts(const struct warp10_args *args, struct warp10_fetch *fetch)
{
    struct {
        int (*read)(const struct warp10_args *args, const char *name, uint64_t *count);
        const char *name;
        uint64_t *count;
    } counts[] = {{count_of, "count", &fetch->count},
                  {amount_of, "skip", &fetch->skip},
                  {amount_of, "step", &fetch->step},
                  {amount_of, "boundary.pre", &fetch->before},
                  {amount_of, "boundary.post", &fetch->after},
                  {amount_of, "gskip", &fetch->series_skip},
                  {count_of, "gcount", &fetch->series_count},
                  {count_of, "maxsize", &fetch->pack_bytes_max},
                  {count_of, "chunksize", &fetch->pack_points_max}};
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        int rc = counts[i].read(args, counts[i].name, counts[i].count);
        if (rc != 0) {
            return rc;
        }
    }
    fetch->step = fetch->step == 0 ? 1 : fetch->step;
    fetch->pack_points_max = MAX(fetch->pack_points_max, (uint64_t)1);
    return 0;
}

int warp10_fetch_parse(const struct warp10_args *args, enum warp10_unit unit, int64_t now_ns,
                       struct warp10_fetch *ret_fetch)
{
    struct warp10_fetch fetch = {.count = WARP10_UNLIMITED,
                                 .step = 1,
                                 .sample = 1,
                                 .series_count = WARP10_UNLIMITED,
                                 .pack_bytes_max = 65536,
                                 .pack_points_max = WARP10_UNLIMITED};
    fetch.selectors = text_of(args, "selector");
    fetch.token = text_of(args, "token");
    fetch.suffix = text_of(args, "suffix");
    fetch.format = format_of(args);
    fetch.dedup = flag_of(args, "dedup");
    fetch.show_attributes = flag_of(args, "showattr");
    fetch.sort_labels = flag_of(args, "sortmeta");
    fetch.show_errors = warp10_args_has(args, "showerrors");
    fetch.unpack = warp10_args_has(args, "unpack");
    if (span_trim(fetch.selectors).bytes == 0) {
        return err_set(ERR_INVALID, "Missing 'selector' parameter.");
    }
    if (span_equal_str(text_of(args, "format"), "wrapper")) {
        return err_set(ERR_INVALID, "Format 'wrapper' needs a signed request.");
    }
    int rc = read_counts(args, &fetch);
    if (rc == 0) {
        rc = read_range(args, unit, now_ns, &fetch);
    }
    if (rc == 0) {
        rc = read_sampling(args, unit, &fetch);
    }
    if (rc == 0) {
        rc = activity_of(args, &fetch.active_after_ms, &fetch.quiet_after_ms);
    }
    if (rc == 0) {
        *ret_fetch = fetch;
    }
    return rc;
}

/* ── find, delete ────────────────────────────────────────────────────────────────────────── */

int warp10_find_parse(const struct warp10_args *args, struct warp10_find *ret_find)
{
    struct warp10_find find = {.series_count = WARP10_UNLIMITED};
    find.selectors = text_of(args, "selector");
    find.token = text_of(args, "token");
    find.json = span_equal_str(text_of(args, "format"), "json");
    /* 2.x shows attributes unless told not to. */
    find.show_attributes = !warp10_args_has(args, "showattr") || flag_of(args, "showattr");
    find.sort_labels = flag_of(args, "sortmeta");
    find.show_uuid = flag_of(args, "showuuid");
    find.show_errors = warp10_args_has(args, "showerrors");
    if (span_trim(find.selectors).bytes == 0) {
        return err_set(ERR_PROTOCOL, "Missing 'selector' parameter.");
    }
    int rc = amount_of(args, "gskip", &find.series_skip);
    if (rc == 0) {
        rc = count_of(args, warp10_args_has(args, "gcount") ? "gcount" : "limit",
                      &find.series_count);
    }
    if (rc == 0) {
        rc = activity_of(args, &find.active_after_ms, &find.quiet_after_ms);
    }
    if (rc == 0) {
        *ret_find = find;
    }
    return rc;
}

static int read_delete_range(const struct warp10_args *args, enum warp10_unit unit,
                             struct warp10_delete *deletion)
{
    struct span start_text;
    struct span end_text;
    int64_t start;
    int64_t end;
    bool has_start = warp10_args_get(args, "start", &start_text);
    bool has_end = warp10_args_get(args, "end", &end_text);
    if (has_start != has_end) {
        return err_set(ERR_PROTOCOL, "Both start and end should be defined.");
    }
    if (!has_start) {
        deletion->all = true;
        if (warp10_args_has(args, "nocache") || warp10_args_has(args, "nopersist")) {
            return err_set(ERR_PROTOCOL, "Parameters nocache and nopersist need a time range.");
        }
        if (!warp10_args_has(args, "deleteall") && !deletion->metadata_only) {
            return err_set(ERR_PROTOCOL, "Parameter deleteall or metaonly should be set when no "
                                         "time range is specified.");
        }
        return 0;
    }
    if (deletion->metadata_only) {
        return err_set(ERR_PROTOCOL, "Parameter metaonly cannot be used with a time range.");
    }
    if (parse_instant(start_text, unit, TIME_UNSET, &start) != 0 ||
        parse_instant(end_text, unit, TIME_UNSET, &end) != 0 || start > end) {
        return err_set(ERR_PROTOCOL, "Invalid time range specification.");
    }
    set_range(unit, start, end, &deletion->start_ns, &deletion->end_ns);
    return 0;
}

int warp10_delete_parse(const struct warp10_args *args, enum warp10_unit unit,
                        struct warp10_delete *ret_delete)
{
    struct warp10_delete deletion = {.start_ns = INT64_MIN, .end_ns = INT64_MAX};
    struct span rest = text_of(args, "selector");
    deletion.metadata_only = warp10_args_has(args, "metaonly");
    deletion.dry_run = warp10_args_has(args, "dryrun");
    if (warp10_args_has(args, "minage")) {
        return err_set(ERR_PROTOCOL, "Standalone version does not support the 'minage' parameter "
                                     "in delete requests.");
    }
    if (!warp10_next_selector(&rest, &deletion.selector)) {
        return err_set(ERR_INVALID, "Missing 'selector' parameter.");
    }
    if (warp10_next_selector(&rest, &(struct span){0})) {
        return err_set(ERR_INVALID, "Only one selector may be given.");
    }
    int rc = read_delete_range(args, unit, &deletion);
    if (rc == 0) {
        rc = activity_of(args, &deletion.active_after_ms, &deletion.quiet_after_ms);
        deletion.by_activity =
            deletion.active_after_ms != TIME_UNSET || deletion.quiet_after_ms != TIME_UNSET;
    }
    if (rc == 0) {
        *ret_delete = deletion;
    }
    return rc;
}
