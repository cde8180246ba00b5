#include "well/fields.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/check.h"

bool fields_find_terminator(struct span text, uint8_t *ret_terminator)
{
    if (text.bytes == 0 || memchr(text.data, '\n', text.bytes) == NULL) {
        *ret_terminator = '\n';
        return true;
    }
    bool has[256] = {false};
    for (size_t i = 0; i < text.bytes; i++) {
        has[text.data[i]] = true;
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        if (!has[byte]) {
            *ret_terminator = (uint8_t)byte;
            return true;
        }
    }
    return false;
}

/* The first piece of `line`: up to the delimiter, or all of it in the last column. */
static size_t piece_bytes(struct span line, struct fields_form form, uint32_t column)
{
    const uint8_t *end = NULL;
    if (column + 1 < form.columns && line.bytes > 0) {
        end = memchr(line.data, form.delimiter, line.bytes);
    }
    return end == NULL ? line.bytes : (size_t)(end - line.data) + 1;
}

/* The pieces of one line go to at[column]...; with NULL only their sizes are added. */
static void split_line(struct span line, struct fields_form form, uint8_t *const *at,
                       uint32_t *column_bytes)
{
    for (uint32_t column = 0;; column++) {
        size_t bytes = piece_bytes(line, form, column);
        bool ended =
            column + 1 == form.columns || bytes == 0 || line.data[bytes - 1] != form.delimiter;
        if (at != NULL) {
            uint8_t *to = at[column] + column_bytes[column];
            if (bytes > 0) {
                memcpy(to, line.data, bytes);
            }
            if (ended) {
                to[bytes] = form.terminator;
            }
        }
        column_bytes[column] += (uint32_t)(bytes + (ended ? 1 : 0));
        line = span_from(line, bytes);
        if (ended) {
            break;
        }
    }
}

void fields_split(struct span text, const uint32_t *line_bytes, size_t count,
                  struct fields_form form, struct buf *buf, uint32_t *ret_column_bytes)
{
    uint8_t *at[FIELDS_COLUMNS_MAX];
    CHECK(form.columns > 0 && form.columns <= FIELDS_COLUMNS_MAX);
    memset(ret_column_bytes, 0, form.columns * sizeof(*ret_column_bytes));
    struct span rest = text;
    for (size_t i = 0; i < count; i++) {
        split_line(span_first(rest, line_bytes[i]), form, NULL, ret_column_bytes);
        rest = span_from(rest, line_bytes[i]);
    }
    uint8_t *to = buf_reserve(buf, text.bytes + count);
    for (uint32_t column = 0; column < form.columns; column++) {
        at[column] = to;
        to += ret_column_bytes[column];
    }
    CHECK((size_t)(to - at[0]) == text.bytes + count);
    buf->bytes += text.bytes + count;
    memset(ret_column_bytes, 0, form.columns * sizeof(*ret_column_bytes));
    rest = text;
    for (size_t i = 0; i < count; i++) {
        split_line(span_first(rest, line_bytes[i]), form, at, ret_column_bytes);
        rest = span_from(rest, line_bytes[i]);
    }
}

/*
 * Joining.
 */

/* Copies up to and with the next delimiter or terminator; which of them it was is left before
 * *to. Stops behind `to_end`, and before FIELDS_PADDING bytes behind `end`. */
#ifdef __SSE2__
static inline bool copy_piece(const uint8_t **from, const uint8_t *end, uint8_t **to,
                              const uint8_t *to_end, uint8_t delimiter, uint8_t terminator)
{
    const __m128i delimiters = _mm_set1_epi8((char)delimiter);
    const __m128i terminators = _mm_set1_epi8((char)terminator);
    while (*from < end && *to <= to_end) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)*from);
        _mm_storeu_si128((__m128i *)(void *)*to, bytes);
        __m128i ends =
            _mm_or_si128(_mm_cmpeq_epi8(bytes, delimiters), _mm_cmpeq_epi8(bytes, terminators));
        unsigned mask = (unsigned)_mm_movemask_epi8(ends);
        if (mask != 0) {
            size_t count = (size_t)__builtin_ctz(mask) + 1;
            *from += count;
            *to += count;
            return true;
        }
        *from += 16;
        *to += 16;
    }
    return false;
}
#else
static inline bool copy_piece(const uint8_t **from, const uint8_t *end, uint8_t **to,
                              const uint8_t *to_end, uint8_t delimiter, uint8_t terminator)
{
    while (*from < end && *to <= to_end) {
        uint8_t byte = *(*from)++;
        *(*to)++ = byte;
        if (byte == delimiter || byte == terminator) {
            return true;
        }
    }
    return false;
}
#endif

/* One line; `to` is behind its terminator then. */
static inline bool join_line(const uint8_t **at, const uint8_t *const *ends, uint8_t **to,
                             const uint8_t *to_end, struct fields_form form)
{
    for (uint32_t column = 0; column + 1 < form.columns; column++) {
        if (!copy_piece(&at[column], ends[column], to, to_end, form.delimiter, form.terminator)) {
            return false;
        }
        if ((*to)[-1] == form.terminator) {
            return true;
        }
    }
    uint32_t last = form.columns - 1;
    return copy_piece(&at[last], ends[last], to, to_end, form.terminator, form.terminator);
}

bool fields_join(struct span split, const uint32_t *column_bytes, struct fields_form form,
                 size_t count, uint8_t *text, size_t text_bytes, uint32_t *ret_line_bytes)
{
    const uint8_t *at[FIELDS_COLUMNS_MAX];
    const uint8_t *ends[FIELDS_COLUMNS_MAX];
    if (form.columns == 0 || form.columns > FIELDS_COLUMNS_MAX) {
        return false;
    }
    const uint8_t *from = split.data;
    for (uint32_t column = 0; column < form.columns; column++) {
        if (column_bytes[column] > split.bytes - (size_t)(from - split.data)) {
            return false;
        }
        at[column] = from;
        from += column_bytes[column];
        ends[column] = from;
    }
    uint8_t *to = text;
    const uint8_t *to_end = text + text_bytes;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *begin = to;
        if (!join_line(at, ends, &to, to_end, form) || --to > to_end) {
            return false;
        }
        ret_line_bytes[i] = (uint32_t)(to - begin);
    }
    bool all = to == to_end && from == split.data + split.bytes;
    for (uint32_t column = 0; column < form.columns; column++) {
        all = all && at[column] == ends[column];
    }
    return all;
}
