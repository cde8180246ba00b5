/*
 * A map from byte strings to pointers: open addressing, keys copied, values not owned.
 * Zero-initialised is empty and valid. One thread at a time.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/span.h"

struct map_slot;

struct map {
    struct map_slot *slots;
    size_t capacity; /* slots, a power of two, or 0 */
    size_t count;    /* live entries */
    size_t used;     /* live entries and graves */
};

void map_deinit(struct map *map);
void map_clear(struct map *map);

void *map_get(const struct map *map, struct span key); /* NULL when absent */
void *map_get_str(const struct map *map, const char *key);

/* Returns the value that was there before, or NULL. `value` must not be NULL. */
void *map_put(struct map *map, struct span key, void *value);
void *map_remove(struct map *map, struct span key); /* the value that was there, or NULL */

/* Walks in no particular order: start with *cursor = 0, stop on false. No changes meanwhile. */
bool map_next(const struct map *map, size_t *cursor, struct span *ret_key, void **ret_value);

#endif
