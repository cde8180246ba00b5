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

/* How a column goes on: its next piece, or the same few bytes in every line. */
struct part {
    const uint8_t *at;
    const uint8_t *end;
    size_t fixed; /* bytes; 0: pieces are looked for */
};

#define FIXED_BYTES_MAX 16 /* of a column; neighbours become one part */

struct parts {
    struct part list[FIELDS_COLUMNS_MAX];
    size_t count;
    size_t fixed_to; /* the first part that a line may end with */
    size_t bytes;
    uint8_t fixed[FIELDS_COLUMNS_MAX * FIXED_BYTES_MAX + FIELDS_PADDING];
};

/* Bytes of the piece that the column has in every line; 0: not the same one, or not in every. */
static size_t fixed_bytes(struct span column, size_t count, struct fields_form form)
{
    size_t bytes = count == 0 ? 0 : column.bytes / count;
    if (bytes == 0 || bytes > FIXED_BYTES_MAX || bytes * count != column.bytes ||
        memchr(column.data, form.delimiter, bytes) != column.data + bytes - 1 ||
        memchr(column.data, form.terminator, bytes) != NULL) {
        return 0;
    }
    return memcmp(column.data, column.data + bytes, column.bytes - bytes) == 0 ? bytes : 0;
}

static void add_fixed(struct parts *parts, struct span piece)
{
    struct part *part = &parts->list[parts->count];
    if (parts->count > 0 && part[-1].fixed > 0) {
        part--;
    } else {
        *part = (struct part){.at = parts->fixed + parts->bytes};
        parts->count++;
    }
    memcpy(parts->fixed + parts->bytes, piece.data, piece.bytes);
    parts->bytes += piece.bytes;
    part->fixed += piece.bytes;
    parts->fixed_to = parts->count;
}

/* False: the columns have not as many bytes as there are. */
static bool make_parts(struct span split, const uint32_t *column_bytes, struct fields_form form,
                       size_t count, struct parts *parts)
{
    parts->count = parts->fixed_to = parts->bytes = 0;
    for (uint32_t i = 0; i < form.columns; i++) {
        if (column_bytes[i] > split.bytes) {
            return false;
        }
        struct span column = span_first(split, column_bytes[i]);
        size_t fixed = i + 1 < form.columns ? fixed_bytes(column, count, form) : 0;
        if (fixed > 0) {
            add_fixed(parts, span_first(column, fixed));
        } else {
            parts->list[parts->count++] =
                (struct part){.at = column.data, .end = column.data + column.bytes};
        }
        split = span_from(split, column.bytes);
    }
    return split.bytes == 0;
}

/* In steps of 16 bytes: what stands behind is written over. */
static inline bool copy_fixed(const struct part *part, uint8_t **to, const uint8_t *to_end)
{
    if (*to > to_end || part->fixed > (size_t)(to_end - *to)) {
        return false;
    }
    for (size_t i = 0; i < part->fixed; i += 16) {
        memcpy(*to + i, part->at + i, 16);
    }
    *to += part->fixed;
    return true;
}

/* One line; `to` is behind its terminator then. */
static inline bool join_line(struct parts *parts, uint8_t **to, const uint8_t *to_end,
                             struct fields_form form)
{
    size_t i = 0;
    for (; i + 1 < parts->count; i++) {
        struct part *part = &parts->list[i];
        if (part->fixed > 0) {
            if (!copy_fixed(part, to, to_end)) {
                return false;
            }
            continue;
        }
        if (!copy_piece(&part->at, part->end, to, to_end, form.delimiter, form.terminator)) {
            return false;
        }
        if ((*to)[-1] == form.terminator) {
            return i >= parts->fixed_to;
        }
    }
    struct part *last = &parts->list[i];
    return copy_piece(&last->at, last->end, to, to_end, form.terminator, form.terminator);
}

bool fields_join(struct span split, const uint32_t *column_bytes, struct fields_form form,
                 size_t count, uint8_t *text, size_t text_bytes, uint32_t *ret_line_bytes)
{
    struct parts parts;
    if (form.columns == 0 || form.columns > FIELDS_COLUMNS_MAX ||
        !make_parts(split, column_bytes, form, count, &parts)) {
        return false;
    }
    uint8_t *to = text;
    const uint8_t *to_end = text + text_bytes;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *begin = to;
        if (!join_line(&parts, &to, to_end, form) || --to > to_end) {
            return false;
        }
        ret_line_bytes[i] = (uint32_t)(to - begin);
    }
    bool all = to == to_end;
    for (size_t i = 0; i < parts.count; i++) {
        all = all && (parts.list[i].fixed > 0 || parts.list[i].at == parts.list[i].end);
    }
    return all;
}

bool fields_lines(struct span split, uint8_t terminator, size_t count, uint32_t *ret_line_bytes)
{
    size_t found = 0;
    size_t begin = 0;
    size_t at = 0;
#ifdef __SSE2__
    const __m128i terminators = _mm_set1_epi8((char)terminator);
    for (; at + 16 <= split.bytes; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(split.data + at));
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, terminators));
        for (; mask != 0 && found < count; mask &= mask - 1) {
            size_t end = at + (size_t)__builtin_ctz(mask);
            ret_line_bytes[found++] = (uint32_t)(end - begin);
            begin = end + 1;
        }
    }
#endif
    for (; at < split.bytes; at++) {
        if (split.data[at] == terminator && found < count) {
            ret_line_bytes[found++] = (uint32_t)(at - begin);
            begin = at + 1;
        }
    }
    return found == count && begin == split.bytes;
}
