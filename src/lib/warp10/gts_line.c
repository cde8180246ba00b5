/*
 * One line of the input format, part by part in the order of the reference, so that a line with
 * two faults gets the same complaint. Tested by gts_test.c.
 */
#include <stdio.h>

#include "base/err.h"
#include "base/hash.h"
#include "warp10/gts_internal.h"

#define LINE_SHOWN_BYTES_MAX 256 /* of a line, in an error's text */

/* `at` points into the line; status 400 is ERR_INVALID, 500 ERR_PROTOCOL. */
static int complain(struct gts_reader *reader, const uint8_t *at, int status, const char *text)
{
    struct span line = reader->present;
    size_t index = (size_t)(at - line.data);
    struct span shown = span_first(line, LINE_SHOWN_BYTES_MAX);
    reader->error.line = reader->line;
    reader->error.column = reader->stripped + index + 1;
    reader->error.status = status;
    return err_set(status == 400 ? ERR_INVALID : ERR_PROTOCOL,
                   "Parse error at index %zu in '%.*s%s' (%s), line %llu column %zu", index,
                   SPAN_ARG(shown), shown.bytes < line.bytes ? "..." : "", text,
                   (unsigned long long)reader->error.line, reader->error.column);
}

static int complain_about(struct gts_reader *reader, struct span what, const char *text)
{
    char full[LINE_SHOWN_BYTES_MAX];
    struct span shown = span_first(what, LINE_SHOWN_BYTES_MAX / 2);
    int bytes = snprintf(full, sizeof(full), "%s: '%.*s'.", text, SPAN_ARG(shown));
    CHECK(bytes > 0);
    return complain(reader, what.data, 400, full);
}

static const uint8_t *find(const uint8_t *at, const uint8_t *end, int byte)
{
    return at < end ? memchr(at, byte, (size_t)(end - at)) : NULL;
}

static const uint8_t *skip_spaces(const uint8_t *at, const uint8_t *end)
{
    while (at < end && *at == ' ') {
        at++;
    }
    return at;
}

static struct span between(const uint8_t *begin, const uint8_t *end)
{
    return span_of(begin, (size_t)(end - begin));
}

/* ── Timestamps ──────────────────────────────────────────────────────────────────────────── */

static int parse_time(struct gts_reader *reader, struct span text, int64_t *ret_time)
{
    const struct gts_options *options = &reader->options;
    int64_t time = 0;
    bool relative = text.bytes == 0 || text.data[0] == 'T';
    if (text.bytes > 0 && !gts_parse_i64(span_from(text, relative), &time)) {
        return complain(reader, text.data, 400, "Invalid timestamp.");
    }
    if ((relative && __builtin_add_overflow(time, options->now, &time)) ||
        __builtin_add_overflow(time, options->shift, &time)) {
        return complain(reader, text.data, 400, "Invalid timestamp.");
    }
    *ret_time = time;
    return 0;
}

/* GTS_LINE_SKIPPED: out of bounds, and that is to be ignored. */
static int check_bounds(struct gts_reader *reader, int64_t time)
{
    const struct gts_options *options = &reader->options;
    char text[64];
    if (!options->bounded || (time >= options->oldest && time <= options->newest)) {
        return 0;
    }
    if (options->skip_out_of_bounds) {
        return GTS_LINE_SKIPPED;
    }
    (void)snprintf(text, sizeof(text), "Timestamp %lld is too far in the %s.", (long long)time,
                   time < options->oldest ? "past" : "future");
    return complain(reader, reader->present.data, 400, text);
}

/* "ts// ", which most lines begin with. */
static bool parse_plain_head(const struct gts_reader *reader, const uint8_t **at, int64_t *ret_time)
{
    const uint8_t *end = reader->present.data + reader->present.bytes;
    uint64_t time;
    const uint8_t *stop = gts_scan_digits(*at, end, &time);
    if (stop == *at || end - stop < 3 || memcmp(stop, "// ", 3) != 0 ||
        __builtin_add_overflow((int64_t)time, reader->options.shift, ret_time)) {
        return false;
    }
    *at = skip_spaces(stop + 3, end);
    return true;
}

/* "ts/[loc]/[elev] " from the front of the line. */
static int parse_head(struct gts_reader *reader, const uint8_t **at, int64_t *ret_time,
                      struct element *element)
{
    const uint8_t *end = reader->present.data + reader->present.bytes;
    const uint8_t *begin = *at;
    if (parse_plain_head(reader, at, ret_time)) {
        return 0;
    }
    const uint8_t *slash = find(begin, end, '/');
    if (slash == NULL) {
        return complain(reader, begin, 400, "Missing timestamp separator.");
    }
    const uint8_t *second = find(slash + 1, end, '/');
    if (second == NULL) {
        return complain(reader, slash + 1, 400, "Missing location/elevation separator.");
    }
    const uint8_t *space = find(second + 1, end, ' ');
    if (space == NULL) {
        return complain(reader, second + 1, 400, "Missing space.");
    }
    int rc = parse_time(reader, between(begin, slash), ret_time);
    if (rc != 0) {
        return rc;
    }
    if (second > slash + 1) {
        struct span place = between(slash + 1, second);
        if (!gts_parse_location(place, &element->location)) {
            return complain_about(reader, place, "Invalid location");
        }
        element->has |= ELEMENT_HAS_LOCATION;
    }
    if (space > second + 1) {
        struct span elevation = between(second + 1, space);
        if (!gts_parse_i64(elevation, &element->elevation)) {
            return complain_about(reader, elevation, "Invalid elevation");
        }
        element->has |= ELEMENT_HAS_ELEVATION;
    }
    *at = skip_spaces(space, end);
    return 0;
}

/* ── Series ──────────────────────────────────────────────────────────────────────────────── */

static bool is_reserved(struct span name)
{
    return span_equal_str(name, ".app") || span_equal_str(name, ".owner") ||
           span_equal_str(name, ".producer");
}

/* One "name=value" between commas. False with *ret_rc: a fault, or 0 for an empty piece. */
static bool parse_pair(struct gts_reader *reader, struct span piece, struct series_label *ret_pair,
                       int *ret_rc)
{
    piece = gts_strip(piece);
    *ret_rc = 0;
    if (piece.bytes == 0) {
        return false;
    }
    ptrdiff_t equals = span_find_byte(piece, '=');
    if (equals < 0) {
        char text[LINE_SHOWN_BYTES_MAX];
        (void)snprintf(text, sizeof(text), "Invalid label definition. (%.*s)",
                       SPAN_ARG(span_first(piece, 64)));
        *ret_rc = complain(reader, piece.data, reader->options.metadata ? 500 : 400, text);
        return false;
    }
    /* What follows a second = is lost there too. */
    struct span value = span_from(piece, (size_t)equals + 1);
    ptrdiff_t second = span_find_byte(value, '=');
    value = span_first(value, second < 0 ? value.bytes : (size_t)second);
    if (!gts_decode(&reader->scratch, span_first(piece, (size_t)equals), reader->options.latin1,
                    &ret_pair->name) ||
        !gts_decode(&reader->scratch, value, reader->options.latin1, &ret_pair->value)) {
        *ret_rc = complain(reader, piece.data, 500, "Invalid escape.");
        return false;
    }
    return true;
}

static int parse_labels(struct gts_reader *reader, struct span text)
{
    struct span rest = text;
    struct span piece;
    size_t bytes = 0;
    reader->labels.count = 0;
    while (span_split(&rest, ',', &piece)) {
        struct series_label label;
        int rc;
        if (!parse_pair(reader, piece, &label, &rc)) {
            if (rc != 0) {
                return rc;
            }
            continue;
        }
        if (!is_reserved(label.name)) {
            bytes += label.name.bytes + label.value.bytes;
            vec_push(&reader->labels, label);
        }
    }
    if (bytes > reader->options.labels_bytes_max || reader->labels.count > SERIES_LABELS_MAX / 2) {
        return complain(reader, text.data, 400, "Invalid or too large metadata");
    }
    for (size_t i = 0; i < reader->options.label_count; i++) {
        vec_push(&reader->labels, reader->options.labels[i]);
    }
    return 0;
}

static int parse_attributes(struct gts_reader *reader, struct span text)
{
    struct span rest = text;
    struct span piece;
    size_t bytes = 0;
    reader->attributes.count = 0;
    while (span_split(&rest, ',', &piece)) {
        struct series_label pair;
        int rc;
        if (!parse_pair(reader, piece, &pair, &rc)) {
            if (rc != 0) {
                return rc;
            }
            continue;
        }
        bytes += pair.name.bytes + pair.value.bytes;
        for (size_t i = 0; i < reader->attributes.count; i++) {
            if (span_equal(reader->attributes.items[i].name, pair.name)) {
                vec_remove_swap(&reader->attributes, i);
            }
        }
        vec_push(&reader->attributes, (struct series_attribute){pair.name, pair.value, false});
        if (bytes > reader->options.attributes_bytes_max ||
            reader->attributes.count > SERIES_ATTRIBUTES_MAX) {
            return complain(reader, text.data, 400, "Invalid or too large metadata");
        }
    }
    return 0;
}

/* Reserved, or the name of a label: the reference looks for these on /meta, and elsewhere only
 * when the line is long. */
static bool attributes_clash(const struct gts_reader *reader, struct span key)
{
    for (size_t i = 0; i < reader->attributes.count; i++) {
        struct series_key_reader walk = series_key_open(key);
        struct series_label label;
        struct span name = reader->attributes.items[i].name;
        if (is_reserved(name)) {
            return true;
        }
        while (series_key_next(&walk, &label)) {
            if (span_equal(label.name, name)) {
                return true;
            }
        }
    }
    return false;
}

/* A series that was not met before: `raw` is class{labels}, the brace at `brace`. */
static int learn(struct gts_reader *reader, struct span raw, const uint8_t *brace, uint64_t hash)
{
    struct span class;
    if (!gts_decode(&reader->scratch, gts_strip(between(raw.data, brace)), reader->options.latin1,
                    &class)) {
        return complain(reader, raw.data, 500, "Invalid escape.");
    }
    if (class.bytes > reader->options.class_bytes_max) {
        return complain(reader, raw.data, 400, "Invalid or too large metadata");
    }
    int rc = parse_labels(reader, between(brace + 1, raw.data + raw.bytes - 1));
    if (rc != 0) {
        return rc;
    }
    buf_clear(&reader->key);
    rc = series_key_make(&reader->key, class, reader->labels.items, reader->labels.count);
    if (rc != 0) {
        return complain(reader, raw.data, 400, "Invalid or too large metadata");
    }
    bool forgotten = false;
    reader->last = gts_memory_add(&reader->memory, raw, hash, buf_span(&reader->key), &forgotten);
    reader->forgotten |= forgotten;
    return 0;
}

/* class{labels} at *at, when it is that of the line before or of the one that followed it last:
 * series mostly come in the order in which they came before. A text that begins with one of these
 * has its braces where that one has them. */
static bool recall_series(struct gts_reader *reader, const uint8_t **at, const uint8_t *end)
{
    struct gts_known *known = reader->last == NULL ? NULL : reader->last->next;
    for (size_t i = 0; i < 2; i++, known = reader->last) {
        if (known != NULL && (size_t)(end - *at) >= known->raw.bytes &&
            memcmp(*at, known->raw.data, known->raw.bytes) == 0) {
            *at += known->raw.bytes;
            reader->last = known;
            return true;
        }
    }
    return false;
}

/* class{labels} at *at. */
static int parse_series(struct gts_reader *reader, const uint8_t **at, const uint8_t *brace)
{
    const uint8_t *end = reader->present.data + reader->present.bytes;
    const uint8_t *close = find(brace + 1, end, '}');
    if (close == NULL) {
        return complain(reader, *at, 400, "Missing or invalid GTS name and labels.");
    }
    struct span raw = between(*at, close + 1);
    *at = close + 1;
    struct gts_known *before = reader->last;
    uint64_t hash = hash64(raw);
    struct gts_known *known = gts_memory_find(&reader->memory, raw, hash);
    size_t forgets = reader->memory.forgets;
    int rc = 0;
    if (known == NULL) {
        rc = learn(reader, raw, brace, hash);
    } else {
        reader->last = known;
    }
    if (rc == 0 && before != NULL && reader->memory.forgets == forgets) {
        before->next = reader->last;
    }
    return rc;
}

/* {attributes} at *at, if they are there. */
static int parse_braces(struct gts_reader *reader, const uint8_t **at, bool *ret_has)
{
    const uint8_t *end = reader->present.data + reader->present.bytes;
    *ret_has = *at < end && **at == '{';
    if (!*ret_has) {
        return 0;
    }
    const uint8_t *close = find(*at, end, '}');
    if (close == NULL) {
        return complain(reader, *at, 400, "Missing or invalid GTS name and labels.");
    }
    int rc = parse_attributes(reader, between(*at + 1, close));
    *at = close + 1;
    return rc;
}

static int parse_owner_of_value(struct gts_reader *reader, const uint8_t **at, bool continued,
                                struct gts_reading *reading)
{
    const uint8_t *end = reader->present.data + reader->present.bytes;
    const struct gts_known *before = reader->last;
    bool recalled = !continued && recall_series(reader, at, end);
    const uint8_t *brace = continued || recalled ? NULL : find(*at, end, '{');
    if (brace == NULL && !recalled) {
        reading->same = true;
        return before != NULL ? 0
               : continued    ? complain(reader, reader->present.data, 400, "Invalid continuation.")
                           : complain(reader, *at, 400, "Missing or invalid GTS name and labels.");
    }
    bool has;
    size_t limit = MIN(reader->options.labels_bytes_max, reader->options.attributes_bytes_max);
    int rc = recalled ? 0 : parse_series(reader, at, brace);
    if (rc == 0) {
        rc = parse_braces(reader, at, &has);
    }
    if (rc != 0) {
        return rc;
    }
    if (has && (size_t)(*at - reader->present.data) > limit + 6 &&
        attributes_clash(reader, reader->last->series.key)) {
        return complain(reader, reader->present.data, 400, "Invalid or too large metadata");
    }
    reading->same = reader->last == before;
    reading->has_attributes = has && !reader->options.skip_attributes;
    return 0;
}

/* Of a text it is characters that count, as the reference counts them: units of UTF-16. */
static bool is_too_large(const struct gts_reader *reader, const struct element *element)
{
    struct span bytes = element->type < ELEMENT_TEXT ? SPAN_NONE : element->value.bytes;
    size_t units = bytes.bytes;
    if (bytes.bytes <= reader->options.value_bytes_max || element->type != ELEMENT_TEXT) {
        return bytes.bytes > reader->options.value_bytes_max;
    }
    for (size_t i = 0; i < bytes.bytes; i++) {
        units -= (bytes.data[i] & 0xC0) == 0x80; /* all but the first byte of a character */
        units += bytes.data[i] >= 0xF0;          /* two units */
    }
    return units > reader->options.value_bytes_max;
}

/* ── Lines ───────────────────────────────────────────────────────────────────────────────── */

static int parse_reading(struct gts_reader *reader, struct gts_reading *reading)
{
    const uint8_t *at = reader->present.data;
    const uint8_t *end = at + reader->present.bytes;
    struct element *element = &reading->element;
    bool continued = *at == '=';
    int64_t time = 0;
    at += continued;
    int rc = parse_head(reader, &at, &time, element);
    if (rc == 0) {
        rc = parse_owner_of_value(reader, &at, continued, reading);
    }
    if (rc != 0) {
        return rc;
    }
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    if (at == end) {
        return complain(reader, at, 400, "Missing value.");
    }
    if (!gts_parse_value(between(at, end), &reader->values, reader->options.latin1, element)) {
        return complain(reader, at, 400, "Invalid value.");
    }
    if (is_too_large(reader, element)) {
        return complain(reader, at, 400, "Value too large.");
    }
    if (!warp10_time_to_ns(reader->options.unit, time, &element->time_ns)) {
        return complain(reader, reader->present.data, 400,
                        "Timestamp is outside of the years that can be stored.");
    }
    return check_bounds(reader, time);
}

/* class{labels}{attributes} */
static int parse_metadata(struct gts_reader *reader, struct gts_reading *reading)
{
    const uint8_t *at = reader->present.data;
    const uint8_t *end = at + reader->present.bytes;
    const uint8_t *brace = find(at, end, '{');
    bool has = false;
    int rc = brace == NULL ? complain(reader, at, 500, "Missing or invalid GTS name and labels.")
                           : parse_series(reader, &at, brace);
    if (rc == 0) {
        at = skip_spaces(at, end);
        rc = parse_braces(reader, &at, &has);
    }
    if (rc == 0 && (!has || at != end)) {
        rc = complain(reader, at, 500, has ? "Unexpected text." : "Missing attributes.");
    }
    if (rc == 0 && attributes_clash(reader, reader->last->series.key)) {
        rc = complain(reader, reader->present.data, 400,
                      "Invalid metadata: an attribute has a "
                      "reserved name or that of a label");
    }
    reading->has_attributes = true;
    return rc;
}

int gts_line_parse(struct gts_reader *reader, struct gts_reading *reading)
{
    reading->line = reader->line;
    reading->text = reader->present;
    reading->has_attributes = reading->same = false;
    reading->element.has = 0;
    reader->attributes.count = 0;
    buf_clear(&reader->scratch);
    buf_clear(&reader->values);
    (void)buf_reserve(&reader->scratch, GTS_DECODE_GROWTH * reader->present.bytes + 16);
    struct gts_known *before = reader->last;
    bool forgotten = reader->forgotten;
    int rc =
        reader->options.metadata ? parse_metadata(reader, reading) : parse_reading(reader, reading);
    if (rc < 0) { /* what goes on with this line's series is wrong too */
        bool keeps = reader->present.data[0] == '=' && !(reader->forgotten && !forgotten);
        reader->last = keeps ? before : NULL;
    }
    if (rc != 0) {
        return rc;
    }
    reading->series = &reader->last->series;
    reading->forgotten = reader->forgotten;
    reader->forgotten = false;
    reading->attributes = reader->attributes.items;
    reading->attribute_count = reader->attributes.count;
    return 0;
}
