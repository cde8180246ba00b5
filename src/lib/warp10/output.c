#include "warp10/output.h"

#include <math.h>

#include "base/text.h"
#include "base/uuid.h"
#include "warp10/decimal.h"
#include "warp10/opb64.h"

#define POINT_BYTES 160 /* of a printed point without a text: at most */
#define COLUMN_POINTS_MAX ((size_t)256)

/* ── Values ──────────────────────────────────────────────────────────────────────────────── */

static void put_base64(struct buf *buf, struct span bytes)
{
    size_t begin = buf->bytes;
    text_base64(buf, bytes);
    while (buf->bytes > begin && buf->data[buf->bytes - 1] == '=') {
        buf->bytes--;
    }
    for (size_t i = begin; i < buf->bytes; i++) {
        uint8_t c = buf->data[i];
        buf->data[i] = c == '+' ? '-' : c == '/' ? '_' : c;
    }
}

static void put_i64(struct buf *buf, int64_t value)
{
    uint8_t *at = buf_reserve(buf, 24);
    buf->bytes += (size_t)(decimal_put_i64(at, value) - at);
}

void output_value_text(struct buf *buf, const struct element *element)
{
    switch (element->type) {
    case ELEMENT_I64:
        put_i64(buf, element->value.i64);
        return;
    case ELEMENT_F64:
        decimal_print_text(buf, element->value.f64);
        return;
    case ELEMENT_BOOL:
        buf_append_byte(buf, element->value.boolean ? 'T' : 'F');
        return;
    case ELEMENT_TEXT:
        buf_append_byte(buf, '\'');
        series_text_encode(buf, element->value.bytes);
        buf_append_byte(buf, '\'');
        return;
    default:
        buf_append_str(buf, "b64:");
        put_base64(buf, element->value.bytes);
        return;
    }
}

static void put_unicode(struct buf *buf, uint32_t unit)
{
    static const char digits[] = "0123456789ABCDEF";
    uint8_t *at = buf_reserve(buf, 6);
    at[0] = '\\';
    at[1] = 'u';
    for (unsigned i = 0; i < 4; i++) {
        at[2 + i] = (uint8_t)digits[unit >> (12 - 4 * i) & 15];
    }
    buf->bytes += 6;
}

static void put_json_char(struct buf *buf, uint32_t code)
{
    static const char escapes[] = {[8] = 'b', [9] = 't', [10] = 'n', [12] = 'f', [13] = 'r'};
    if (code == '"' || code == '\\') {
        buf_append_byte(buf, '\\');
        buf_append_byte(buf, (uint8_t)code);
    } else if (code < sizeof(escapes) && escapes[code] != 0) {
        buf_append_byte(buf, '\\');
        buf_append_byte(buf, (uint8_t)escapes[code]);
    } else if (code >= 0x10000) {
        put_unicode(buf, 0xD800 + ((code - 0x10000) >> 10));
        put_unicode(buf, 0xDC00 + ((code - 0x10000) & 0x3FF));
    } else if (code < ' ' || code >= 0x7F) {
        put_unicode(buf, code);
    } else {
        buf_append_byte(buf, (uint8_t)code);
    }
}

static void put_json_text(struct buf *buf, struct span text)
{
    buf_append_byte(buf, '"');
    while (text.bytes > 0) {
        put_json_char(buf, text_utf8_next(&text));
    }
    buf_append_byte(buf, '"');
}

void output_value_json(struct buf *buf, const struct element *element)
{
    switch (element->type) {
    case ELEMENT_I64:
        put_i64(buf, element->value.i64);
        return;
    case ELEMENT_F64:
        decimal_print_json(buf, element->value.f64);
        return;
    case ELEMENT_BOOL:
        buf_append_str(buf, element->value.boolean ? "true" : "false");
        return;
    case ELEMENT_TEXT:
        put_json_text(buf, element->value.bytes);
        return;
    default: /* each byte is a character */
        buf_append_byte(buf, '"');
        for (size_t i = 0; i < element->value.bytes.bytes; i++) {
            put_json_char(buf, element->value.bytes.data[i]);
        }
        buf_append_byte(buf, '"');
        return;
    }
}

/* ── Names ───────────────────────────────────────────────────────────────────────────────── */

static bool is_hidden(struct span name, bool show_owner)
{
    return !show_owner && (span_equal_str(name, ".owner") || span_equal_str(name, ".producer"));
}

/* "name=value,name=value" */
static void put_labels(struct buf *buf, struct span key, bool show_owner)
{
    struct series_key_reader reader = series_key_open(key);
    struct series_label label;
    bool first = true;
    while (series_key_next(&reader, &label)) {
        if (is_hidden(label.name, show_owner)) {
            continue;
        }
        buf_append_str(buf, first ? "" : ",");
        series_text_encode(buf, label.name);
        buf_append_byte(buf, '=');
        series_text_encode(buf, label.value);
        first = false;
    }
}

static struct span class_of(const struct output_series *series)
{
    struct span class = series_key_open(series->key).class;
    return span_first(class, class.bytes - series->class_cut);
}

static void put_attributes(struct buf *buf, const struct output_series *series)
{
    for (size_t i = 0; i < series->attribute_count; i++) {
        buf_append_str(buf, i == 0 ? "" : ",");
        series_text_encode(buf, series->attributes[i].name);
        buf_append_byte(buf, '=');
        series_text_encode(buf, series->attributes[i].value);
    }
    if (series->uuid != NULL) {
        struct uuid uuid;
        char text[UUID_TEXT_BYTES];
        memcpy(uuid.bytes, series->uuid, sizeof(uuid.bytes));
        buf_append_str(buf, series->attribute_count == 0 ? ".uuid=" : ",.uuid=");
        buf_append_str(buf, uuid_text(uuid, text));
    }
}

/* class{labels}, with `suffix` behind the class. */
static void put_name(struct buf *buf, const struct output_series *series, struct span suffix,
                     bool show_owner)
{
    series_text_encode(buf, class_of(series));
    series_text_encode(buf, suffix);
    buf_append_byte(buf, '{');
    put_labels(buf, series->key, show_owner);
    buf_append_byte(buf, '}');
}

static void put_braced_attributes(struct buf *buf, const struct output_series *series)
{
    buf_append_byte(buf, '{');
    put_attributes(buf, series);
    buf_append_byte(buf, '}');
}

/* {"c":…,"l":{…},"a":{…} without the closing brace. */
static void put_json_name(struct buf *buf, const struct output_series *series, bool show_owner,
                          bool attributes)
{
    struct series_key_reader reader = series_key_open(series->key);
    struct series_label label;
    bool first = true;
    buf_append_str(buf, "{\"c\":");
    put_json_text(buf, class_of(series));
    buf_append_str(buf, ",\"l\":{");
    while (series_key_next(&reader, &label)) {
        if (is_hidden(label.name, show_owner)) {
            continue;
        }
        buf_append_str(buf, first ? "" : ",");
        put_json_text(buf, label.name);
        buf_append_byte(buf, ':');
        put_json_text(buf, label.value);
        first = false;
    }
    buf_append_str(buf, attributes ? "},\"a\":{" : "}");
    if (!attributes) {
        return;
    }
    for (size_t i = 0; i < series->attribute_count; i++) {
        buf_append_str(buf, i == 0 ? "" : ",");
        put_json_text(buf, series->attributes[i].name);
        buf_append_byte(buf, ':');
        put_json_text(buf, series->attributes[i].value);
    }
    if (series->uuid != NULL) {
        struct uuid uuid;
        char text[UUID_TEXT_BYTES];
        memcpy(uuid.bytes, series->uuid, sizeof(uuid.bytes));
        buf_printf(buf, "%s\".uuid\":\"%s\"", series->attribute_count == 0 ? "" : ",",
                   uuid_text(uuid, text));
    }
    buf_append_byte(buf, '}');
}

/* ── Points ──────────────────────────────────────────────────────────────────────────────── */

void output_init(struct output *output, const struct output_options *options, struct buf *buf)
{
    *output = (struct output){.options = *options, .buf = buf};
    if (output->options.unit == 0) {
        output->options.unit = WARP10_US;
    }
    if (output->options.pack_suffix.bytes == 0) {
        output->options.pack_suffix = SPAN_LIT(":packed");
    }
}

void output_deinit(struct output *output)
{
    buf_deinit(&output->name);
    buf_deinit(&output->held);
    encoder_deinit(&output->encoder);
}

static int64_t time_of(const struct output *output, const struct element *element)
{
    return warp10_time_of_ns(output->options.unit, element->time_ns);
}

static void put_degrees(struct buf *buf, double degrees)
{
    decimal_print_text(buf, degrees);
}

/* "ts/lat:lon/elev" */
static void put_head(struct buf *buf, int64_t time, const struct element *element)
{
    uint8_t *at = buf_reserve(buf, POINT_BYTES);
    buf->bytes += (size_t)(decimal_put_i64(at, time) - at);
    if (element->has == 0) {
        buf_append(buf, SPAN_LIT("//"));
        return;
    }
    buf_append_byte(buf, '/');
    if ((element->has & ELEMENT_HAS_LOCATION) != 0) {
        double latitude;
        double longitude;
        location_degrees(element->location, &latitude, &longitude);
        put_degrees(buf, latitude);
        buf_append_byte(buf, ':');
        put_degrees(buf, longitude);
    }
    buf_append_byte(buf, '/');
    if ((element->has & ELEMENT_HAS_ELEVATION) != 0) {
        put_i64(buf, element->elevation);
    }
}

/* Neither NaN nor infinite, and not -0.0, which is printed in its own way. */
static bool is_common(double value)
{
    return isfinite(value) && !(value == 0 && signbit(value) != 0);
}

/* "=ts// value\n": what most lines are. There is room for POINT_BYTES. */
static uint8_t *put_before(uint8_t *at, struct output *output, int64_t time_ns)
{
    int64_t time = warp10_time_of_ns(output->options.unit, time_ns);
    *at++ = '=';
    at = decimal_put_near(at, time, &output->time);
    memcpy(at, "// ", 3);
    return at + 3;
}

static uint8_t *put_i64_line(uint8_t *at, struct output *output, int64_t time_ns, int64_t value)
{
    at = decimal_put_i64(put_before(at, output, time_ns), value);
    *at++ = '\n';
    return at;
}

static uint8_t *put_f64_line(uint8_t *at, struct output *output, int64_t time_ns, double value)
{
    at = decimal_put_alike(put_before(at, output, time_ns), value, &output->value);
    *at++ = '\n';
    return at;
}

/* All in one go. False: it is none of these. */
static bool print_number(struct output *output, const struct element *element)
{
    bool is_double = element->type == ELEMENT_F64 && is_common(element->value.f64);
    if (element->has != 0 || !(is_double || element->type == ELEMENT_I64)) {
        return false;
    }
    uint8_t *begin = buf_reserve(output->buf, POINT_BYTES);
    uint8_t *end = is_double ? put_f64_line(begin, output, element->time_ns, element->value.f64)
                             : put_i64_line(begin, output, element->time_ns, element->value.i64);
    output->buf->bytes += (size_t)(end - begin);
    return true;
}

static void print_text(struct output *output, const struct element *element)
{
    struct buf *buf = output->buf;
    bool full = output->points == 0 || output->options.format == WARP10_FULLTEXT;
    if (!full && print_number(output, element)) {
        return;
    }
    if (!full) {
        buf_append_byte(buf, '=');
    }
    put_head(buf, time_of(output, element), element);
    buf_append_byte(buf, ' ');
    if (full) {
        buf_append(buf, buf_span(&output->name));
        buf_append_byte(buf, ' ');
    }
    output_value_text(buf, element);
    buf_append_byte(buf, '\n');
}

static void print_tsv(struct output *output, const struct element *element)
{
    struct buf *buf = output->buf;
    if (output->points == 0 || output->options.format == WARP10_FULLTSV) {
        buf_append(buf, buf_span(&output->name));
    }
    put_i64(buf, time_of(output, element));
    buf_append_byte(buf, '\t');
    if ((element->has & ELEMENT_HAS_LOCATION) != 0) {
        double latitude;
        double longitude;
        location_degrees(element->location, &latitude, &longitude);
        put_degrees(buf, latitude);
        buf_append_byte(buf, '\t');
        put_degrees(buf, longitude);
    } else {
        buf_append_byte(buf, '\t');
    }
    buf_append_byte(buf, '\t');
    if ((element->has & ELEMENT_HAS_ELEVATION) != 0) {
        put_i64(buf, element->elevation);
    }
    buf_append_byte(buf, '\t');
    output_value_text(buf, element);
    buf_append_byte(buf, '\n');
}

static void print_json(struct output *output, const struct element *element)
{
    struct buf *buf = output->buf;
    if (output->points == 0) {
        buf_append_str(buf, output->series == 0 ? "[" : ",");
        output->series++;
        buf_append(buf, buf_span(&output->name));
    }
    buf_append_str(buf, output->points == 0 ? "[" : ",[");
    put_i64(buf, time_of(output, element));
    if ((element->has & ELEMENT_HAS_LOCATION) != 0) {
        double latitude;
        double longitude;
        location_degrees(element->location, &latitude, &longitude);
        buf_append_byte(buf, ',');
        decimal_print_text(buf, latitude);
        buf_append_byte(buf, ',');
        decimal_print_text(buf, longitude);
    }
    if ((element->has & ELEMENT_HAS_ELEVATION) != 0) {
        buf_append_byte(buf, ',');
        put_i64(buf, element->elevation);
    }
    buf_append_byte(buf, ',');
    output_value_json(buf, element);
    buf_append_byte(buf, ']');
}

static void flush_encoder(struct output *output)
{
    struct encoder *encoder = &output->encoder;
    struct buf *buf = output->buf;
    bool pack = output->options.format == WARP10_PACK;
    struct buf wrapper = {0};
    if (encoder->count == 0) {
        return;
    }
    put_i64(buf, pack ? output->first_time : 0);
    buf_append_str(buf, "//");
    put_i64(buf, (int64_t)encoder->count);
    buf_append_byte(buf, ' ');
    buf_append(buf, buf_span(&output->name));
    buf_append_str(buf, pack ? " '" : " ");
    if (pack) {
        encoder_wrap(&wrapper, encoder);
        opb64_encode(buf, buf_span(&wrapper));
        buf_append_byte(buf, '\'');
    } else {
        opb64_encode(buf, buf_span(&encoder->buf));
    }
    buf_append_str(buf, "\r\n");
    buf_deinit(&wrapper);
    encoder_clear(encoder);
}

static void print_encoded(struct output *output, const struct element *element)
{
    if (output->encoder.count == 0) {
        output->first_time = time_of(output, element);
    }
    encoder_put(&output->encoder, time_of(output, element), element);
    const struct output_options *o = &output->options;
    bool pack = o->format == WARP10_PACK;
    size_t bytes_max = pack && o->pack_bytes_max > 0 ? o->pack_bytes_max : OUTPUT_CHUNK_BYTES;
    if (output->encoder.buf.bytes >= bytes_max ||
        (pack && o->pack_points_max > 0 && output->encoder.count >= o->pack_points_max)) {
        flush_encoder(output);
    }
}

static void print(struct output *output, const struct element *element)
{
    switch (output->options.format) {
    case WARP10_TEXT:
    case WARP10_FULLTEXT:
        print_text(output, element);
        break;
    case WARP10_TSV:
    case WARP10_FULLTSV:
        print_tsv(output, element);
        break;
    case WARP10_JSON:
        print_json(output, element);
        break;
    case WARP10_RAW:
    case WARP10_PACK:
        print_encoded(output, element);
        break;
    case WARP10_NULL:
        break;
    }
    output->points++;
}

/* ── Series ──────────────────────────────────────────────────────────────────────────────── */

static void name_of_tsv(struct buf *name, const struct output_series *series, bool full,
                        bool show_owner)
{
    if (!full) {
        buf_append_str(name, "# ");
        put_name(name, series, SPAN_NONE, show_owner);
        put_braced_attributes(name, series);
        buf_append_byte(name, '\n');
        return;
    }
    series_text_encode(name, class_of(series));
    buf_append_byte(name, '\t');
    put_labels(name, series->key, show_owner);
    buf_append_byte(name, '\t');
    put_attributes(name, series);
    buf_append_byte(name, '\t');
}

void output_series(struct output *output, const struct output_series *series)
{
    const struct output_options *o = &output->options;
    struct buf *name = &output->name;
    buf_clear(name);
    output->points = 0;
    output->have_last = false;
    switch (o->format) {
    case WARP10_TEXT:
    case WARP10_FULLTEXT:
        put_name(name, series, SPAN_NONE, o->show_owner);
        if (o->show_attributes) {
            put_braced_attributes(name, series);
        }
        break;
    case WARP10_TSV:
    case WARP10_FULLTSV:
        name_of_tsv(name, series, o->format == WARP10_FULLTSV, o->show_owner);
        break;
    case WARP10_JSON:
        put_json_name(name, series, o->show_owner, true);
        buf_printf(name, ",\"i\":\"%llu\",\"la\":%lld,\"v\":[", (unsigned long long)series->id,
                   (long long)series->last_activity_ms);
        break;
    case WARP10_RAW:
        put_name(name, series, SPAN_NONE, o->show_owner);
        break;
    case WARP10_PACK:
        put_name(name, series, o->pack_suffix, o->show_owner);
        break;
    case WARP10_NULL:
        break;
    }
}

/* Keeps the element, which borrows its bytes, until it is known whether it is the last one. */
static void hold(struct output *output, const struct element *element, bool printed)
{
    output->last = *element;
    output->have_last = true;
    output->last_printed = printed;
    if (element->type >= ELEMENT_TEXT) {
        buf_clear(&output->held);
        buf_append(&output->held, element->value.bytes);
        output->last.value.bytes = buf_span(&output->held);
    }
}

void output_point(struct output *output, const struct element *element)
{
    if (!output->options.dedup) {
        print(output, element);
        return;
    }
    bool same = output->have_last && element_equal_value(&output->last, element);
    if (!same) {
        print(output, element);
    }
    hold(output, element, !same);
}

static struct element of_column(uint8_t type, int64_t time_ns, uint64_t value)
{
    struct element element = {.time_ns = time_ns, .type = type};
    if (type == ELEMENT_BOOL) {
        element.value.boolean = value != 0;
    } else {
        element.value.i64 = (int64_t)value;
    }
    return element;
}

/* Lines of TEXT behind a first one; returns how many could be printed in this way. */
static size_t print_column(struct output *output, uint8_t type, const int64_t *times_ns,
                           const uint64_t *values, size_t count)
{
    uint8_t *begin = buf_reserve(output->buf, count * POINT_BYTES);
    uint8_t *at = begin;
    size_t i = 0;
    for (; i < count && type == ELEMENT_I64; i++) {
        at = put_i64_line(at, output, times_ns[i], (int64_t)values[i]);
    }
    for (; i < count; i++) {
        double value;
        memcpy(&value, &values[i], sizeof(value));
        if (!is_common(value)) {
            break;
        }
        at = put_f64_line(at, output, times_ns[i], value);
    }
    output->buf->bytes += (size_t)(at - begin);
    output->points += i;
    return i;
}

void output_column(struct output *output, uint8_t type, const int64_t *times_ns,
                   const uint64_t *values, size_t count)
{
    const struct output_options *o = &output->options;
    bool plain = o->format == WARP10_TEXT && !o->dedup && type != ELEMENT_BOOL;
    for (size_t i = 0; i < count;) {
        if (plain && output->points > 0) {
            i += print_column(output, type, times_ns + i, values + i,
                              MIN(count - i, COLUMN_POINTS_MAX));
        }
        if (i < count) {
            struct element element = of_column(type, times_ns[i], values[i]);
            output_point(output, &element);
            i++;
        }
    }
}

void output_series_end(struct output *output)
{
    if (output->have_last && !output->last_printed) {
        print(output, &output->last);
    }
    output->have_last = false;
    if (output->options.format == WARP10_JSON && output->points > 0) {
        buf_append_str(output->buf, "]}");
    }
    flush_encoder(output);
}

void output_end(struct output *output, bool matched)
{
    if (output->options.format != WARP10_JSON || !matched) {
        return;
    }
    buf_append_str(output->buf, output->series == 0 ? "[]" : "]");
}

/* ── find, delete ────────────────────────────────────────────────────────────────────────── */

void output_find_begin(struct output *output, bool json)
{
    if (json) {
        buf_append_str(output->buf, "[\n");
    }
}

void output_find(struct output *output, bool json, const struct output_series *series)
{
    const struct output_options *o = &output->options;
    if (json) {
        buf_append_str(output->buf, output->series == 0 ? "" : ",\n");
        put_json_name(output->buf, series, o->show_owner, o->show_attributes);
        buf_printf(output->buf, ",\"la\":%lld}", (long long)series->last_activity_ms);
    } else {
        put_name(output->buf, series, SPAN_NONE, o->show_owner);
        if (o->show_attributes) {
            put_braced_attributes(output->buf, series);
        }
        buf_append_byte(output->buf, '\n');
    }
    output->series++;
}

void output_find_end(struct output *output, bool json)
{
    if (json) {
        buf_append_str(output->buf, "\n]\n");
    }
}

void output_deleted(struct buf *buf, const struct output_series *series, bool show_owner)
{
    put_name(buf, series, SPAN_NONE, show_owner);
    put_braced_attributes(buf, series);
    buf_append_str(buf, "\r\n");
}

void output_line(struct buf *buf, enum warp10_unit unit, struct span checked_key,
                 const struct element *element)
{
    put_head(buf, warp10_time_of_ns(unit, element->time_ns), element);
    buf_append_byte(buf, ' ');
    put_name(buf, &(struct output_series){.key = checked_key}, SPAN_NONE, true);
    buf_append_byte(buf, ' ');
    output_value_text(buf, element);
    buf_append_byte(buf, '\n');
}
