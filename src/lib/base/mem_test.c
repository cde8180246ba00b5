/*
 * Claims: fresh memory is zeroed, copies are independent of their source, and no size, not even
 * zero, gives a NULL.
 */
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void fresh_memory_is_zeroed(void **state)
{
    (void)state;
    uint8_t *bytes = mem_alloc(1000);
    uint32_t *array = mem_alloc_array(100, sizeof(*array));
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(bytes[i], 0);
    }
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(array[i], 0);
    }
    mem_free(bytes);
    mem_free(array);
    mem_free(NULL);
}

static void no_size_gives_null(void **state)
{
    (void)state;
    void *empty = mem_alloc(0);
    void *none = mem_alloc_array(0, 8);
    void *copy = mem_dup(NULL, 0);
    assert_non_null(empty);
    assert_non_null(none);
    assert_non_null(copy);
    empty = mem_realloc(empty, 0);
    assert_non_null(empty);
    mem_free(empty);
    mem_free(none);
    mem_free(copy);
}

static void copies_are_independent(void **state)
{
    (void)state;
    char source[] = "a text";
    char *whole = mem_strdup(source);
    char *part = mem_strndup(source, 1);
    char *printed = mem_printf("%s/%d", source, 5);
    uint8_t *bytes = mem_dup(source, sizeof(source));
    memset(source, 'z', sizeof(source));
    assert_string_equal(whole, "a text");
    assert_string_equal(part, "a");
    assert_string_equal(printed, "a text/5");
    assert_memory_equal(bytes, "a text", 7);
    mem_free(whole);
    mem_free(part);
    mem_free(printed);
    mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_memory_is_zeroed),
        cmocka_unit_test(no_size_gives_null),
        cmocka_unit_test(copies_are_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
