#include "base/text.h"

#include "base/mem.h"

void text_hex(struct buf *buf, struct span bytes)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *at = buf_reserve(buf, bytes.bytes * 2);
    for (size_t i = 0; i < bytes.bytes; i++) {
        at[2 * i] = (uint8_t)digits[bytes.data[i] >> 4];
        at[2 * i + 1] = (uint8_t)digits[bytes.data[i] & 15];
    }
    buf->bytes += bytes.bytes * 2;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool text_unhex(struct buf *buf, struct span hex)
{
    if (hex.bytes % 2 != 0) {
        return false;
    }
    uint8_t *at = buf_reserve(buf, hex.bytes / 2);
    for (size_t i = 0; i < hex.bytes / 2; i++) {
        int high = hex_value(hex.data[2 * i]);
        int low = hex_value(hex.data[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        at[i] = (uint8_t)(high << 4 | low);
    }
    buf->bytes += hex.bytes / 2;
    return true;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void text_base64(struct buf *buf, struct span bytes)
{
    uint8_t *at = buf_reserve(buf, (bytes.bytes + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.bytes; i += 3) {
        size_t left = bytes.bytes - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        group |= left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        group |= left > 2 ? bytes.data[i + 2] : 0;
        *at++ = (uint8_t)base64_digits[group >> 18];
        *at++ = (uint8_t)base64_digits[group >> 12 & 63];
        *at++ = (uint8_t)(left > 1 ? base64_digits[group >> 6 & 63] : '=');
        *at++ = (uint8_t)(left > 2 ? base64_digits[group & 63] : '=');
    }
    buf->bytes += (bytes.bytes + 2) / 3 * 4;
}

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool text_unbase64(struct buf *buf, struct span base64)
{
    for (int i = 0; i < 2 && base64.bytes > 0 && base64.data[base64.bytes - 1] == '='; i++) {
        base64.bytes--;
    }
    if (base64.bytes % 4 == 1) {
        return false;
    }
    uint8_t *start = buf_reserve(buf, base64.bytes / 4 * 3 + 3);
    uint8_t *at = start;
    uint32_t group = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < base64.bytes; i++) {
        int value = base64_value(base64.data[i]);
        if (value < 0) {
            return false;
        }
        group = group << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *at++ = (uint8_t)(group >> bits);
        }
    }
    buf->bytes += (size_t)(at - start);
    return true;
}

/* Length of the UTF-8 sequence at the front and its code point; 0 when it is none. */
static size_t utf8_decode(struct span text, uint32_t *ret_code_point)
{
    uint8_t lead = text.data[0];
    if (lead < 0x80) {
        *ret_code_point = lead;
        return 1;
    }
    size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.bytes < length) {
        return 0;
    }
    uint32_t code_point = lead & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text.data[i] & 0xc0) != 0x80) {
            return 0;
        }
        code_point = code_point << 6 | (text.data[i] & 0x3fu);
    }
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code_point < smallest[length] || code_point > 0x10ffff ||
        (code_point >= 0xd800 && code_point <= 0xdfff)) {
        return 0;
    }
    *ret_code_point = code_point;
    return length;
}

bool text_is_utf8(struct span text)
{
    while (text.bytes > 0) {
        uint32_t code_point;
        size_t length = utf8_decode(text, &code_point);
        if (length == 0) {
            return false;
        }
        text = span_from(text, length);
    }
    return true;
}

uint32_t text_utf8_next(struct span *rest)
{
    uint32_t code_point = 0xfffd;
    size_t length = utf8_decode(*rest, &code_point);
    *rest = span_from(*rest, length == 0 ? 1 : length);
    return length == 0 ? 0xfffd : code_point;
}

void text_utf8_put(struct buf *buf, uint32_t c)
{
    uint8_t *at = buf_reserve(buf, 4);
    if (c < 0x80) {
        at[0] = (uint8_t)c;
        buf->bytes += 1;
    } else if (c < 0x800) {
        at[0] = (uint8_t)(0xc0 | c >> 6);
        at[1] = (uint8_t)(0x80 | (c & 0x3f));
        buf->bytes += 2;
    } else if (c < 0x10000) {
        at[0] = (uint8_t)(0xe0 | c >> 12);
        at[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        at[2] = (uint8_t)(0x80 | (c & 0x3f));
        buf->bytes += 3;
    } else {
        at[0] = (uint8_t)(0xf0 | c >> 18);
        at[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        at[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        at[3] = (uint8_t)(0x80 | (c & 0x3f));
        buf->bytes += 4;
    }
}

void text_json_string(struct buf *buf, struct span text)
{
    buf_append_byte(buf, '"');
    while (text.bytes > 0) {
        uint8_t c = text.data[0];
        if (c >= 0x80) {
            text_utf8_put(buf, text_utf8_next(&text));
            continue;
        }
        if (c == '"' || c == '\\') {
            buf_append_byte(buf, '\\');
            buf_append_byte(buf, c);
        } else if (c < 0x20 || c == 0x7f) {
            buf_printf(buf, "\\u%04x", c);
        } else {
            buf_append_byte(buf, c);
        }
        text = span_from(text, 1);
    }
    buf_append_byte(buf, '"');
}

bool text_url_decode(struct buf *buf, struct span text, bool plus)
{
    size_t before = buf->bytes;
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t c = text.data[i];
        if (c == '%') {
            if (!text_unhex(buf, span_first(span_from(text, i + 1), 2)) || i + 2 >= text.bytes) {
                buf->bytes = before;
                return false;
            }
            i += 2;
        } else {
            buf_append_byte(buf, plus && c == '+' ? ' ' : c);
        }
    }
    return true;
}

void text_url_encode(struct buf *buf, struct span text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t c = text.data[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (letter || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~') {
            buf_append_byte(buf, c);
        } else {
            buf_printf(buf, "%%%02X", c);
        }
    }
}

size_t text_distance(struct span a, struct span b)
{
    size_t *row = mem_alloc_array(b.bytes + 1, sizeof(*row));
    for (size_t j = 0; j <= b.bytes; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a.bytes; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.bytes; j++) {
            bool same = span_equal_nocase(span_of(a.data + i - 1, 1), span_of(b.data + j - 1, 1));
            size_t best = MIN(diagonal + (same ? 0 : 1), MIN(row[j], row[j - 1]) + 1);
            diagonal = row[j];
            row[j] = best;
        }
    }
    size_t distance = row[b.bytes];
    mem_free(row);
    return distance;
}

const char *text_nearest(struct span text, const char *const *candidates, size_t count)
{
    const char *nearest = NULL;
    size_t nearest_distance = MAX(text.bytes / 3, (size_t)2) + 1;
    for (size_t i = 0; i < count; i++) {
        size_t distance = text_distance(text, span_of_str(candidates[i]));
        if (distance < nearest_distance) {
            nearest = candidates[i];
            nearest_distance = distance;
        }
    }
    return nearest;
}
