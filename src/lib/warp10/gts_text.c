/* Tested by gts_test.c. */
#include "base/text.h"
#include "warp10/gts_internal.h"

struct span gts_strip(struct span text)
{
    while (text.bytes > 0 && text.data[0] <= ' ') {
        text = span_from(text, 1);
    }
    while (text.bytes > 0 && text.data[text.bytes - 1] <= ' ') {
        text.bytes--;
    }
    return text;
}

static bool is_ascii(struct span text)
{
    uint64_t seen = 0;
    size_t i = 0;
    for (; i + 8 <= text.bytes; i += 8) {
        uint64_t word;
        memcpy(&word, text.data + i, 8);
        seen |= word;
    }
    for (; i < text.bytes; i++) {
        seen |= text.data[i];
    }
    return (seen & UINT64_C(0x8080808080808080)) == 0;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct span of_latin1(struct buf *scratch, struct span raw)
{
    size_t begin = scratch->bytes;
    for (size_t i = 0; i < raw.bytes; i++) {
        text_utf8_put(scratch, raw.data[i]);
    }
    return span_of(scratch->data + begin, scratch->bytes - begin);
}

static struct span replaced(struct buf *scratch, struct span text)
{
    struct buf copy = {0};
    buf_append(&copy, text);
    size_t begin = scratch->bytes;
    struct span rest = buf_span(&copy);
    while (rest.bytes > 0) {
        text_utf8_put(scratch, text_utf8_next(&rest));
    }
    buf_deinit(&copy);
    return span_of(scratch->data + begin, scratch->bytes - begin);
}

bool gts_decode(struct buf *scratch, struct span raw, bool latin1, struct span *ret_text)
{
    (void)buf_reserve(scratch, GTS_DECODE_GROWTH * raw.bytes); /* nothing of it moves below */
    if (!is_ascii(raw) && (latin1 || !text_is_utf8(raw))) {
        raw = of_latin1(scratch, raw);
    }
    if (raw.bytes == 0 || memchr(raw.data, '%', raw.bytes) == NULL) {
        *ret_text = raw;
        return true;
    }
    uint8_t *begin = buf_reserve(scratch, raw.bytes);
    uint8_t *at = begin;
    for (size_t i = 0; i < raw.bytes; i++) {
        if (raw.data[i] != '%') {
            *at++ = raw.data[i];
            continue;
        }
        int high = i + 2 < raw.bytes ? hex_value(raw.data[i + 1]) : -1;
        int low = i + 2 < raw.bytes ? hex_value(raw.data[i + 2]) : -1;
        if (high < 0 || low < 0) {
            return false;
        }
        *at++ = (uint8_t)(high << 4 | low);
        i += 2;
    }
    scratch->bytes += (size_t)(at - begin);
    struct span text = span_of(begin, (size_t)(at - begin));
    *ret_text = is_ascii(text) || text_is_utf8(text) ? text : replaced(scratch, text);
    return true;
}
