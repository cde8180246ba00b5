#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

#define ARENA_BLOCK_BYTES ((size_t)16 * 1024)

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t bytes;
    alignas(max_align_t) uint8_t data[];
};

struct arena {
    struct arena_block *blocks; /* the first is the one in use */
    size_t bytes;               /* in all blocks, used */
    size_t bytes_max;
};

struct arena *arena_new(size_t bytes_max)
{
    struct arena *arena = MEM_NEW(struct arena);
    arena->bytes_max = bytes_max;
    return arena;
}

void arena_reset(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *next = arena->blocks->next;
        mem_free(arena->blocks);
        arena->blocks = next;
    }
    arena->bytes = 0;
}

void arena_free(struct arena **arena)
{
    if (*arena != NULL) {
        arena_reset(*arena);
        mem_free(*arena);
        *arena = NULL;
    }
}

size_t arena_left(const struct arena *arena)
{
    return arena->bytes_max - arena->bytes;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    const size_t align = alignof(max_align_t);
    CHECK(bytes <= arena_left(arena));
    size_t rounded = (bytes + align - 1) / align * align;
    struct arena_block *block = arena->blocks;
    if (block == NULL || block->bytes - block->used < rounded) {
        size_t block_bytes = MAX(rounded, ARENA_BLOCK_BYTES);
        block = mem_alloc(sizeof(*block) + block_bytes);
        block->bytes = block_bytes;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *memory = block->data + block->used;
    block->used += rounded;
    arena->bytes += bytes;
    return memory;
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t item_bytes)
{
    size_t bytes;
    CHECK(!__builtin_mul_overflow(count, item_bytes, &bytes));
    return arena_alloc(arena, bytes);
}

char *arena_strndup(struct arena *arena, const char *text, size_t bytes)
{
    char *copy = arena_alloc(arena, bytes + 1);
    if (bytes > 0) {
        memcpy(copy, text, bytes);
    }
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_span_str(struct arena *arena, struct span span)
{
    return arena_strndup(arena, (const char *)span.data, span.bytes);
}

struct span arena_span_dup(struct arena *arena, struct span span)
{
    return span_of(arena_span_str(arena, span), span.bytes);
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(length >= 0);
    char *text = arena_alloc(arena, (size_t)length + 1);
    (void)vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}
