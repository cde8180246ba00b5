/*
 * Heap memory. Running out of it ends the program (CHECK): every queue, batch and buffer has a
 * named bound, so exhaustion is a fault of ours, not an event to handle.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

#include "base/check.h"

void *mem_alloc(size_t bytes);                          /* zeroed */
void *mem_alloc_array(size_t count, size_t item_bytes); /* zeroed, overflow checked */
void *mem_realloc(void *memory, size_t bytes);
void *mem_dup(const void *memory, size_t bytes);
char *mem_strdup(const char *text);
char *mem_strndup(const char *text, size_t bytes);
char *mem_printf(const char *format, ...) PRINTF_LIKE(1, 2);
void mem_free(void *memory);

#define MEM_NEW(type) ((type *)mem_alloc(sizeof(type)))

#endif
