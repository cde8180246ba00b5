/*
 * A span borrows bytes; it never owns them. `data` may be NULL when `bytes` is 0.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *data;
    size_t bytes;
};

/* For printf("%.*s", SPAN_ARG(span)). */
#define SPAN_ARG(span) (int)(span).bytes, (const char *)(span).data
#define SPAN_LIT(literal) ((struct span){(const uint8_t *)("" literal), sizeof(literal) - 1})
#define SPAN_NONE ((struct span){NULL, 0})

static inline struct span span_of(const void *data, size_t bytes)
{
    return (struct span){(const uint8_t *)data, bytes};
}

static inline struct span span_of_str(const char *text)
{
    return (struct span){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

/* The part from `offset` on; empty when `offset` lies beyond the end. */
static inline struct span span_from(struct span span, size_t offset)
{
    if (offset >= span.bytes) {
        return (struct span){span.data, 0};
    }
    return (struct span){span.data + offset, span.bytes - offset};
}

/* The first `bytes` bytes; all of it when it has fewer. */
static inline struct span span_first(struct span span, size_t bytes)
{
    return (struct span){span.data, bytes < span.bytes ? bytes : span.bytes};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}

static inline bool span_equal_str(struct span a, const char *b)
{
    return span_equal(a, span_of_str(b));
}

bool span_equal_nocase(struct span a, struct span b); /* ASCII letters only */
int span_compare(struct span a, struct span b);       /* <0, 0, >0; bytewise, shorter first */
bool span_starts_with(struct span span, struct span prefix);
bool span_ends_with(struct span span, struct span suffix);
struct span span_trim(struct span span); /* without space, tab, CR, LF at both ends */

/* Offset of the first match, or -1. */
ptrdiff_t span_find_byte(struct span span, uint8_t byte);
ptrdiff_t span_find(struct span span, struct span needle);

/* Cuts the next piece before `separator` off `*rest` (and drops the separator). False at the end.
 * "a,,b" gives "a", "", "b"; an empty span gives nothing. */
bool span_split(struct span *rest, uint8_t separator, struct span *ret_piece);

/* Decimal integers, whole span, optional sign; false on anything else or overflow. */
bool span_to_i64(struct span span, int64_t *ret_value);
bool span_to_u64(struct span span, uint64_t *ret_value);

#endif
