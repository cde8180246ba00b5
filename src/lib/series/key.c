#include "series/key.h"

#include <stdlib.h>

#include "base/text.h"
#include "base/wire.h"

static int compare_names(const struct series_label *a, const struct series_label *b)
{
    return span_compare(a->name, b->name);
}

/* Stable, so that the later of two labels of one name stays behind the earlier one. Labels are
 * few and mostly sorted already. */
static void sort(struct series_label *labels, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct series_label label = labels[i];
        size_t at = i;
        while (at > 0 && compare_names(&labels[at - 1], &label) > 0) {
            labels[at] = labels[at - 1];
            at--;
        }
        labels[at] = label;
    }
}

/* Keeps the last of each name; returns how many are left. */
static size_t unique(struct series_label *labels, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool repeated = i + 1 < count && span_equal(labels[i].name, labels[i + 1].name);
        if (!repeated) {
            labels[kept++] = labels[i];
        }
    }
    return kept;
}

static uint8_t *write_bytes(uint8_t *at, struct span bytes)
{
    size_t left = bytes.bytes;
    for (; left >= 0x80; left >>= 7) {
        *at++ = (uint8_t)(left | 0x80);
    }
    *at++ = (uint8_t)left;
    if (bytes.bytes > 0) {
        memcpy(at, bytes.data, bytes.bytes);
    }
    return at + bytes.bytes;
}

int series_key_make(struct buf *key, struct span class, struct series_label *labels, size_t count)
{
    if (count > SERIES_LABELS_MAX) {
        return err_set(ERR_TOO_LARGE, "a series with %zu labels, at most %d are allowed", count,
                       SERIES_LABELS_MAX);
    }
    sort(labels, count);
    count = unique(labels, count);
    size_t bytes = 3 + class.bytes + 2;
    for (size_t i = 0; i < count && bytes <= SERIES_KEY_BYTES_MAX; i++) {
        bytes += 3 + labels[i].name.bytes + 3 + labels[i].value.bytes;
    }
    if (bytes > SERIES_KEY_BYTES_MAX) {
        return err_set(ERR_TOO_LARGE, "class and labels of a series are over %d bytes",
                       SERIES_KEY_BYTES_MAX);
    }
    uint8_t *begin = buf_reserve(key, bytes);
    uint8_t *at = write_bytes(begin, class);
    if (count >= 0x80) {
        *at++ = (uint8_t)(count | 0x80);
    }
    *at++ = (uint8_t)(count >= 0x80 ? count >> 7 : count);
    for (size_t i = 0; i < count; i++) {
        at = write_bytes(at, labels[i].name);
        at = write_bytes(at, labels[i].value);
    }
    key->bytes += (size_t)(at - begin);
    return 0;
}

/* A varint of at most three bytes in its shortest form. */
static bool take_number(struct span *rest, uint32_t *ret_number)
{
    uint32_t number = 0;
    for (unsigned i = 0; i < 3 && i < rest->bytes; i++) {
        number |= (uint32_t)(rest->data[i] & 0x7F) << (7 * i);
        if (rest->data[i] < 0x80) {
            *ret_number = number;
            *rest = span_from(*rest, i + 1);
            return i == 0 || number >> (7 * i) != 0;
        }
    }
    return false;
}

static bool take_bytes(struct span *rest, struct span *ret_bytes)
{
    uint32_t bytes = 0;
    if (!take_number(rest, &bytes) || bytes > rest->bytes) {
        return false;
    }
    *ret_bytes = span_first(*rest, bytes);
    *rest = span_from(*rest, bytes);
    return true;
}

int series_key_check(struct span key)
{
    struct span rest = key;
    struct span class;
    uint32_t count = 0;
    bool good = key.bytes <= SERIES_KEY_BYTES_MAX && take_bytes(&rest, &class) &&
                take_number(&rest, &count) && count <= SERIES_LABELS_MAX;
    struct span last = {0};
    for (uint32_t i = 0; good && i < count; i++) {
        struct series_label label;
        good = take_bytes(&rest, &label.name) && take_bytes(&rest, &label.value) &&
               (i == 0 || span_compare(last, label.name) < 0);
        last = good ? label.name : last;
    }
    if (!good || rest.bytes > 0) {
        return err_set(ERR_INVALID, "%zu bytes that are no key of a series", key.bytes);
    }
    return 0;
}

/* Of a checked key. */
static inline struct span next_bytes(struct span *rest)
{
    const uint8_t *at = rest->data;
    size_t bytes = *at++;
    if (bytes >= 0x80) {
        bytes = (bytes & 0x7F) | (size_t)(*at & 0x7F) << 7;
        if (*at++ >= 0x80) {
            bytes |= (size_t)*at++ << 14;
        }
    }
    const uint8_t *end = rest->data + rest->bytes;
    *rest = (struct span){at + bytes, (size_t)(end - at) - bytes};
    return (struct span){at, bytes};
}

struct series_key_reader series_key_open(struct span checked_key)
{
    struct series_key_reader reader = {.rest = checked_key};
    reader.class = next_bytes(&reader.rest);
    reader.count = reader.rest.data[0];
    size_t bytes = 1;
    if (reader.count >= 0x80) {
        reader.count = (reader.count & 0x7F) | (uint32_t)reader.rest.data[1] << 7;
        bytes = 2;
    }
    reader.rest = span_from(reader.rest, bytes);
    return reader;
}

bool series_key_next(struct series_key_reader *reader, struct series_label *ret_label)
{
    if (reader->rest.bytes == 0) {
        return false;
    }
    ret_label->name = next_bytes(&reader->rest);
    ret_label->value = next_bytes(&reader->rest);
    return true;
}

void series_text_encode(struct buf *buf, struct span text)
{
    static const char digits[] = "0123456789ABCDEF";
    uint8_t *begin = buf_reserve(buf, 3 * text.bytes);
    uint8_t *at = begin;
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t byte = text.data[i];
        bool plain = (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
                     (byte >= '0' && byte <= '9') || byte == '.' || byte == '-' || byte == '*' ||
                     byte == '_';
        if (plain) {
            *at++ = byte;
        } else {
            *at++ = '%';
            *at++ = (uint8_t)digits[byte >> 4];
            *at++ = (uint8_t)digits[byte & 15];
        }
    }
    buf->bytes += (size_t)(at - begin);
}

void series_key_text(struct buf *buf, struct span checked_key)
{
    struct series_key_reader reader = series_key_open(checked_key);
    struct series_label label;
    series_text_encode(buf, reader.class);
    buf_append_byte(buf, '{');
    for (bool first = true; series_key_next(&reader, &label); first = false) {
        if (!first) {
            buf_append_byte(buf, ',');
        }
        series_text_encode(buf, label.name);
        buf_append_byte(buf, '=');
        series_text_encode(buf, label.value);
    }
    buf_append_byte(buf, '}');
}
