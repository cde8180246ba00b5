/*
 * A buf owns a growing run of bytes. Zero-initialised is empty and valid. One thread at a time.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>

#include "base/check.h"
#include "base/span.h"

struct buf {
    uint8_t *data;
    size_t bytes;
    size_t capacity;
};

void buf_deinit(struct buf *buf); /* frees and leaves it empty */
void buf_clear(struct buf *buf);  /* keeps the memory */

/* Room for `bytes` more after the end; returns where it begins. buf->bytes is not changed:
 * the caller adds what it filled. The pointer holds until the next call that grows. */
uint8_t *buf_grow(struct buf *buf, size_t bytes); /* buf_reserve() that always looks */
static inline uint8_t *buf_reserve(struct buf *buf, size_t bytes)
{
    bool fits = buf->data != NULL && bytes <= buf->capacity - buf->bytes;
    return fits ? buf->data + buf->bytes : buf_grow(buf, bytes);
}

void buf_append(struct buf *buf, struct span span);
void buf_append_str(struct buf *buf, const char *text);
void buf_append_byte(struct buf *buf, uint8_t byte);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *buf, const char *format, va_list args) PRINTF_LIKE(2, 0);

/* Drops the first `bytes` bytes; the rest moves to the front. */
void buf_consume(struct buf *buf, size_t bytes);

static inline struct span buf_span(const struct buf *buf)
{
    return (struct span){buf->data, buf->bytes};
}

/* The contents as a C string; a NUL stands after the last byte, not counted in `bytes`.
 * Holds until the next change. */
const char *buf_str(struct buf *buf);

/* Gives the contents away, NUL-terminated (mem_free); the buf is empty then. */
char *buf_take(struct buf *buf);

#endif
