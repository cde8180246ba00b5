#include "base/span.h"

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool span_equal_nocase(struct span a, struct span b)
{
    if (a.bytes != b.bytes) {
        return false;
    }
    for (size_t i = 0; i < a.bytes; i++) {
        if (lower(a.data[i]) != lower(b.data[i])) {
            return false;
        }
    }
    return true;
}

int span_compare(struct span a, struct span b)
{
    size_t common = a.bytes < b.bytes ? a.bytes : b.bytes;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0) {
        return order;
    }
    return (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

bool span_starts_with(struct span span, struct span prefix)
{
    return span.bytes >= prefix.bytes && span_equal(span_first(span, prefix.bytes), prefix);
}

bool span_ends_with(struct span span, struct span suffix)
{
    return span.bytes >= suffix.bytes &&
           span_equal(span_from(span, span.bytes - suffix.bytes), suffix);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span span_trim(struct span span)
{
    while (span.bytes > 0 && is_space(span.data[0])) {
        span.data++;
        span.bytes--;
    }
    while (span.bytes > 0 && is_space(span.data[span.bytes - 1])) {
        span.bytes--;
    }
    return span;
}

ptrdiff_t span_find_byte(struct span span, uint8_t byte)
{
    const uint8_t *hit = span.bytes == 0 ? NULL : memchr(span.data, byte, span.bytes);
    return hit == NULL ? -1 : hit - span.data;
}

ptrdiff_t span_find(struct span span, struct span needle)
{
    if (needle.bytes == 0) {
        return 0;
    }
    const uint8_t *hit =
        span.bytes == 0 ? NULL : memmem(span.data, span.bytes, needle.data, needle.bytes);
    return hit == NULL ? -1 : hit - span.data;
}

bool span_split(struct span *rest, uint8_t separator, struct span *ret_piece)
{
    if (rest->data == NULL || rest->bytes == 0) {
        return false;
    }
    ptrdiff_t at = span_find_byte(*rest, separator);
    if (at < 0) {
        *ret_piece = *rest;
        *rest = SPAN_NONE;
        return true;
    }
    *ret_piece = span_first(*rest, (size_t)at);
    *rest = span_from(*rest, (size_t)at + 1);
    return true;
}

bool span_to_u64(struct span span, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (span.bytes == 0) {
        return false;
    }
    for (size_t i = 0; i < span.bytes; i++) {
        if (span.data[i] < '0' || span.data[i] > '9') {
            return false;
        }
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(span.data[i] - '0'), &value)) {
            return false;
        }
    }
    *ret_value = value;
    return true;
}

bool span_to_i64(struct span span, int64_t *ret_value)
{
    bool negative = span.bytes > 0 && span.data[0] == '-';
    if (span.bytes > 0 && (span.data[0] == '-' || span.data[0] == '+')) {
        span = span_from(span, 1);
    }
    uint64_t value;
    if (!span_to_u64(span, &value) || value > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    *ret_value = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}
