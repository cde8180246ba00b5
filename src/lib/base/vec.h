/*
 * A growing array of items of one type:
 *
 *     VEC(struct well *) wells = {0};
 *     vec_push(&wells, well);
 *     for (size_t i = 0; i < wells.count; i++) { use(wells.items[i]); }
 *     vec_deinit(&wells);
 */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include "base/mem.h"

#define VEC(type)                                                                                  \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count;                                                                              \
        size_t capacity;                                                                           \
    }

#define vec_push(vec, ...)                                                                         \
    do {                                                                                           \
        if ((vec)->count == (vec)->capacity) {                                                     \
            (vec)->capacity = MAX((vec)->capacity * 2, (size_t)8);                                 \
            (vec)->items = mem_realloc((vec)->items, (vec)->capacity * sizeof(*(vec)->items));     \
        }                                                                                          \
        (vec)->items[(vec)->count++] = (__VA_ARGS__);                                              \
    } while (0)

/* Removes item `index`; the last one takes its place. */
#define vec_remove_swap(vec, index)                                                                \
    do {                                                                                           \
        (vec)->items[index] = (vec)->items[(vec)->count - 1];                                      \
        (vec)->count--;                                                                            \
    } while (0)

#define vec_clear(vec) ((void)((vec)->count = 0))

#define vec_deinit(vec)                                                                            \
    do {                                                                                           \
        mem_free((vec)->items);                                                                    \
        (vec)->items = NULL;                                                                       \
        (vec)->count = (vec)->capacity = 0;                                                        \
    } while (0)

#endif
