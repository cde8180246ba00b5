#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *mem_alloc(size_t bytes)
{
    void *memory = calloc(1, MAX(bytes, (size_t)1));
    CHECK(memory != NULL);
    return memory;
}

void *mem_alloc_array(size_t count, size_t item_bytes)
{
    void *memory = calloc(MAX(count, (size_t)1), MAX(item_bytes, (size_t)1));
    CHECK(memory != NULL);
    return memory;
}

void *mem_realloc(void *memory, size_t bytes)
{
    void *moved = realloc(memory, MAX(bytes, (size_t)1));
    CHECK(moved != NULL);
    return moved;
}

void *mem_dup(const void *memory, size_t bytes)
{
    void *copy = mem_alloc(bytes);
    if (bytes > 0) {
        memcpy(copy, memory, bytes);
    }
    return copy;
}

char *mem_strdup(const char *text)
{
    return mem_dup(text, strlen(text) + 1);
}

char *mem_strndup(const char *text, size_t bytes)
{
    char *copy = mem_alloc(bytes + 1);
    if (bytes > 0) {
        memcpy(copy, text, bytes);
    }
    return copy;
}

char *mem_printf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    int length = vasprintf(&text, format, args);
    va_end(args);
    CHECK(length >= 0);
    return text;
}

void mem_free(void *memory)
{
    free(memory);
}
