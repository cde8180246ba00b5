#include "base/buf.h"

#include <stdio.h>

#include "base/mem.h"

void buf_deinit(struct buf *buf)
{
    mem_free(buf->data);
    *buf = (struct buf){0};
}

void buf_clear(struct buf *buf)
{
    buf->bytes = 0;
}

uint8_t *buf_grow(struct buf *buf, size_t bytes)
{
    CHECK(bytes <= SIZE_MAX / 2 - buf->bytes);
    size_t needed = buf->bytes + bytes;
    if (needed > buf->capacity || buf->data == NULL) {
        size_t capacity = MAX(MAX(needed, buf->capacity * 2), (size_t)64);
        buf->data = mem_realloc(buf->data, capacity);
        buf->capacity = capacity;
    }
    return buf->data + buf->bytes;
}

void buf_append(struct buf *buf, struct span span)
{
    if (span.bytes == 0) {
        return;
    }
    memcpy(buf_reserve(buf, span.bytes), span.data, span.bytes);
    buf->bytes += span.bytes;
}

void buf_append_str(struct buf *buf, const char *text)
{
    buf_append(buf, span_of_str(text));
}

void buf_append_byte(struct buf *buf, uint8_t byte)
{
    *buf_reserve(buf, 1) = byte;
    buf->bytes++;
}

void buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    CHECK(length >= 0);
    (void)vsnprintf((char *)buf_reserve(buf, (size_t)length + 1), (size_t)length + 1, format,
                    again);
    va_end(again);
    buf->bytes += (size_t)length;
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(buf, format, args);
    va_end(args);
}

void buf_consume(struct buf *buf, size_t bytes)
{
    CHECK(bytes <= buf->bytes);
    if (bytes > 0) {
        memmove(buf->data, buf->data + bytes, buf->bytes - bytes);
        buf->bytes -= bytes;
    }
}

const char *buf_str(struct buf *buf)
{
    *buf_reserve(buf, 1) = 0;
    return (const char *)buf->data;
}

char *buf_take(struct buf *buf)
{
    char *text = (char *)(uintptr_t)buf_str(buf);
    *buf = (struct buf){0};
    return text;
}
