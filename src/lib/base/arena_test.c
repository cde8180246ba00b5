/*
 * Claims: what an arena hands out is zeroed, aligned, apart from each other and alive until the
 * reset; the bound ends the program and can be asked for first.
 */
#include "base/arena.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void memory_is_zeroed_aligned_and_stays_put(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1024 * 1024);
    uint8_t *pieces[500];
    for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
        size_t bytes = i % 97 + 1;
        pieces[i] = arena_alloc(arena, bytes);
        assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k < bytes; k++) {
            assert_int_equal(pieces[i][k], 0);
        }
        memset(pieces[i], (int)(i % 251), bytes);
    }
    for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
        for (size_t k = 0; k < i % 97 + 1; k++) {
            assert_int_equal(pieces[i][k], i % 251);
        }
    }
    arena_free(&arena);
    assert_null(arena);
    arena_free(&arena);
}

static void one_piece_may_be_larger_than_a_block(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1024 * 1024);
    uint8_t *large = arena_alloc(arena, 200 * 1024);
    uint8_t *small = arena_alloc(arena, 8);
    memset(large, 1, 200 * 1024);
    assert_int_equal(small[0], 0);
    arena_free(&arena);
}

static void texts_are_copied_and_terminated(void **state)
{
    (void)state;
    struct arena *arena = arena_new(4096);
    char source[] = "hello world";
    char *copy = arena_strdup(arena, source);
    char *half = arena_strndup(arena, source, 5);
    struct span span = arena_span_dup(arena, SPAN_LIT("a\0b"));
    memset(source, 'x', sizeof(source) - 1);
    assert_string_equal(copy, "hello world");
    assert_string_equal(half, "hello");
    assert_int_equal(span.bytes, 3);
    assert_memory_equal(span.data, "a\0b", 4);
    assert_string_equal(arena_span_str(arena, SPAN_NONE), "");
    assert_string_equal(arena_printf(arena, "%d-%s", 7, "x"), "7-x");
    arena_free(&arena);
}

static void a_reset_gives_the_whole_bound_back(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1000);
    (void)arena_alloc(arena, 600);
    assert_int_equal(arena_left(arena), 400);
    arena_reset(arena);
    assert_int_equal(arena_left(arena), 1000);
    (void)arena_alloc_array(arena, 10, 100);
    assert_int_equal(arena_left(arena), 0);
    arena_free(&arena);
}

static void past_its_bound_the_program_ends(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        struct arena *arena = arena_new(100);
        (void)arena_alloc(arena, 101);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_aligned_and_stays_put),
        cmocka_unit_test(one_piece_may_be_larger_than_a_block),
        cmocka_unit_test(texts_are_copied_and_terminated),
        cmocka_unit_test(a_reset_gives_the_whole_bound_back),
        cmocka_unit_test(past_its_bound_the_program_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
