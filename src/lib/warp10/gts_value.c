/*
 * Values at the end of a line. The order of the tests is that of the reference: the first form
 * that fits is taken. Tested by gts_test.c.
 */
#include <math.h>

#include "base/err.h"
#include "base/text.h"
#include "warp10/encoder.h"
#include "warp10/gts_internal.h"

#define MULTIVALUE_DEPTH_MAX 8

static bool is_word(struct span text, const char *letter, const char *word)
{
    return span_equal_nocase(text, span_of_str(text.bytes == 1 ? letter : word));
}

static bool set_bool(struct element *element, bool value)
{
    element->type = ELEMENT_BOOL;
    element->value.boolean = value;
    return true;
}

static bool set_i64(struct element *element, uint64_t bits)
{
    element->type = ELEMENT_I64;
    element->value.i64 = (int64_t)bits;
    return true;
}

/* What was appended to `scratch` since `begin`. */
static bool set_bytes(struct element *element, const struct buf *scratch, size_t begin)
{
    element->type = ELEMENT_BYTES;
    element->value.bytes = span_of(scratch->data + begin, scratch->bytes - begin);
    return true;
}

static bool parse_base64(struct span text, struct buf *scratch, struct element *element)
{
    size_t begin = scratch->bytes;
    struct buf plain = {0};
    buf_append(&plain, text);
    for (size_t i = 0; i < plain.bytes; i++) { /* the alphabet for URLs is allowed too */
        plain.data[i] = plain.data[i] == '-' ? '+' : plain.data[i] == '_' ? '/' : plain.data[i];
    }
    bool good = text_unbase64(scratch, buf_span(&plain));
    buf_deinit(&plain);
    return good && set_bytes(element, scratch, begin);
}

static bool parse_hex(struct span text, struct buf *scratch, struct element *element)
{
    size_t begin = scratch->bytes;
    return text_unhex(scratch, text) && set_bytes(element, scratch, begin);
}

/* HH:lat:lon: the code of a place as a long. */
static bool parse_place(struct span text, struct element *element)
{
    struct location location;
    if (span_find_byte(text, ':') < 0 || !gts_parse_location(text, &location)) {
        return false;
    }
    return set_i64(element, location_code(location));
}

/* Q:w:x:y:z: a rotation in 64 bits, 16 for each part of the normalised quaternion. */
static bool parse_quaternion(struct span text, struct element *element)
{
    double parts[4];
    double norm = 0;
    uint64_t code = 0;
    for (size_t i = 0; i < 4; i++) {
        struct span part;
        if (!span_split(&text, ':', &part) || !gts_parse_f64(part, &parts[i]) ||
            !isfinite(parts[i])) {
            return false;
        }
        norm += parts[i] * parts[i];
    }
    norm = sqrt(norm);
    if (text.bytes > 0 || !(norm > 0) || !isfinite(norm)) {
        return false;
    }
    for (size_t i = 0; i < 4; i++) {
        double share = (parts[i] / norm + 1) / 2 * 65535;
        code = code << 16 | (uint64_t)share;
    }
    return set_i64(element, code);
}

static bool parse_scalar(struct span text, struct buf *scratch, bool latin1,
                         struct element *element);

/* "ts/lat:lon/elev/value" inside of a multivalue; each part but the value may be absent. */
static bool parse_item(struct span text, struct buf *scratch, int64_t *ret_time,
                       struct element *element)
{
    struct span parts[4];
    size_t count = 0;
    struct span rest = text;
    *ret_time = 0;
    while (count < 3 && rest.bytes > 0 && rest.data[0] != '\'' && rest.data[0] != '"' &&
           !span_starts_with(rest, SPAN_LIT("b64:"))) {
        ptrdiff_t slash = span_find_byte(rest, '/');
        if (slash < 0) {
            break;
        }
        parts[count++] = span_first(rest, (size_t)slash);
        rest = span_from(rest, (size_t)slash + 1);
    }
    if (count > 0 && !gts_parse_i64(parts[0], ret_time)) {
        return false;
    }
    if (count > 1 && parts[1].bytes > 0) {
        element->has |= ELEMENT_HAS_LOCATION;
        if (!gts_parse_location(parts[1], &element->location)) {
            return false;
        }
    }
    if (count > 2 && parts[2].bytes > 0) {
        element->has |= ELEMENT_HAS_ELEVATION;
        if (!gts_parse_i64(parts[2], &element->elevation)) {
            return false;
        }
    }
    return parse_scalar(rest, scratch, false, element);
}

static bool next_word(struct span *rest, struct span *ret_word)
{
    while (rest->bytes > 0 && rest->data[0] == ' ') {
        *rest = span_from(*rest, 1);
    }
    ptrdiff_t end = span_find_byte(*rest, ' ');
    *ret_word = span_first(*rest, end < 0 ? rest->bytes : (size_t)end);
    *rest = span_from(*rest, ret_word->bytes);
    return ret_word->bytes > 0;
}

/* Reads up to the closing bracket of this level. */
static bool parse_multivalue(struct span *rest, struct buf *scratch, unsigned depth,
                             struct encoder *encoder)
{
    struct span word;
    while (next_word(rest, &word)) {
        struct element element = {0};
        int64_t time = 0;
        struct buf wrapper = {0};
        if (span_equal_str(word, "]")) {
            return true;
        }
        bool good = depth < MULTIVALUE_DEPTH_MAX;
        if (good && (span_equal_str(word, "[") || span_equal_str(word, "[!"))) {
            struct encoder inner = {0};
            good = parse_multivalue(rest, scratch, depth + 1, &inner);
            encoder_wrap(&wrapper, &inner);
            encoder_deinit(&inner);
            element.type = ELEMENT_BYTES;
            element.value.bytes = buf_span(&wrapper);
        } else {
            good = good && parse_item(word, scratch, &time, &element);
        }
        if (good) {
            encoder_put(encoder, time, &element);
        }
        buf_deinit(&wrapper);
        if (!good) {
            return false;
        }
    }
    return false;
}

static bool parse_list(struct span text, struct buf *scratch, struct element *element)
{
    struct encoder encoder = {0};
    struct buf wrapper = {0};
    struct span rest = span_from(text, text.bytes > 1 && text.data[1] == '!' ? 2 : 1);
    bool good = parse_multivalue(&rest, scratch, 0, &encoder) && gts_strip(rest).bytes == 0;
    if (good) {
        encoder_wrap(&wrapper, &encoder);
        size_t begin = scratch->bytes;
        buf_append(scratch, buf_span(&wrapper));
        good = set_bytes(element, scratch, begin);
    }
    encoder_deinit(&encoder);
    buf_deinit(&wrapper);
    return good;
}

static bool parse_text(struct span text, struct buf *scratch, bool latin1, struct element *element)
{
    struct span content = span_of(text.data + 1, text.bytes - 2);
    element->type = ELEMENT_TEXT;
    return gts_decode(scratch, content, latin1, &element->value.bytes);
}

static bool parse_scalar(struct span text, struct buf *scratch, bool latin1,
                         struct element *element)
{
    if (text.bytes == 0) {
        return false;
    }
    uint8_t first = text.data[0];
    if ((first >= '0' && first <= '9') || first == '-' || first == '+' || first == '.') {
        return gts_parse_number(text, element);
    }
    if ((first == '\'' || first == '"') && text.bytes > 1 && text.data[text.bytes - 1] == first) {
        return parse_text(text, scratch, latin1, element);
    }
    if (is_word(text, "t", "true")) {
        return set_bool(element, true);
    }
    if (is_word(text, "f", "false")) {
        return set_bool(element, false);
    }
    if (span_starts_with(text, SPAN_LIT("HH:"))) {
        return parse_place(span_from(text, 3), element);
    }
    if (span_starts_with(text, SPAN_LIT("Q:"))) {
        return parse_quaternion(span_from(text, 2), element);
    }
    if (span_starts_with(text, SPAN_LIT("b64:"))) {
        return parse_base64(span_from(text, 4), scratch, element);
    }
    if (span_starts_with(text, SPAN_LIT("hex:"))) {
        return parse_hex(span_from(text, 4), scratch, element);
    }
    return gts_parse_number(text, element);
}

bool gts_parse_value(struct span text, struct buf *scratch, bool latin1, struct element *element)
{
    if (text.bytes > 0 && text.data[0] == '[') {
        return parse_list(text, scratch, element);
    }
    return parse_scalar(text, scratch, latin1, element);
}

int gts_value_parse(struct span text, struct buf *scratch, struct element *ret_element)
{
    ret_element->has = 0;
    return gts_parse_value(text, scratch, false, ret_element)
               ? 0
               : err_set(ERR_INVALID, "Invalid value.");
}
