/*
 * CHECK: what cannot be false if our own code is right. On in every build.
 * Input, disks, peers and users get a fault (err.h) instead.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            check_failed(#condition, __FILE__, __LINE__, __func__);                                \
        }                                                                                          \
    } while (0)

/* Prints the condition and place to stderr, runs the hook, aborts. */
__attribute__((noreturn)) void check_failed(const char *condition, const char *file, int line,
                                            const char *function);

/* What a program wants printed before it aborts (its trace of recent events). One hook. */
void check_set_hook(void (*hook)(void));

#endif
