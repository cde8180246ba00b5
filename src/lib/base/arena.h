/*
 * An arena: memory that lives until the arena is reset or freed. An `arena` argument anywhere
 * means "the result lives as long as your arena". Capped: past its bound it ends the program
 * unless the caller asks first (arena_left). One thread.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/check.h"
#include "base/span.h"

struct arena;

struct arena *arena_new(size_t bytes_max);
void arena_free(struct arena **arena);
void arena_reset(struct arena *arena);
size_t arena_left(const struct arena *arena);

void *arena_alloc(struct arena *arena, size_t bytes); /* zeroed, aligned for any type */
void *arena_alloc_array(struct arena *arena, size_t count, size_t item_bytes);
char *arena_strndup(struct arena *arena, const char *text, size_t bytes);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_span_str(struct arena *arena, struct span span); /* as a C string */
struct span arena_span_dup(struct arena *arena, struct span span);
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);

#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))

#endif
