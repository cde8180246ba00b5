/*
 * Claims: a map holds what was put and not removed, nothing else, through any mix of puts and
 * removals (compared with a plain array as the model), and does not grow when keys come and go.
 */
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"

static void keys_are_byte_strings_and_copied(void **state)
{
    (void)state;
    struct map map = {0};
    int a;
    int b;
    char key[] = "key";
    assert_null(map_get_str(&map, "key"));
    assert_null(map_put(&map, span_of_str(key), &a));
    key[0] = 'x';
    assert_ptr_equal(map_get_str(&map, "key"), &a);
    assert_null(map_put(&map, SPAN_LIT("k\0y"), &b));
    assert_ptr_equal(map_get(&map, SPAN_LIT("k\0y")), &b);
    assert_null(map_get_str(&map, "k"));
    assert_null(map_put(&map, SPAN_NONE, &a));
    assert_ptr_equal(map_get(&map, SPAN_NONE), &a);
    assert_int_equal(map.count, 3);
    map_deinit(&map);
}

static void putting_again_returns_the_value_before(void **state)
{
    (void)state;
    struct map map = {0};
    int a;
    int b;
    assert_null(map_put(&map, SPAN_LIT("k"), &a));
    assert_ptr_equal(map_put(&map, SPAN_LIT("k"), &b), &a);
    assert_ptr_equal(map_remove(&map, SPAN_LIT("k")), &b);
    assert_null(map_remove(&map, SPAN_LIT("k")));
    assert_int_equal(map.count, 0);
    map_deinit(&map);
}

enum { KEYS = 300 };

static struct span key_of(size_t index, char text[16])
{
    (void)snprintf(text, 16, "key-%zu", index);
    return span_of_str(text);
}

static void check_against(const struct map *map, void *model[KEYS])
{
    size_t live = 0;
    for (size_t i = 0; i < KEYS; i++) {
        char text[16];
        assert_ptr_equal(map_get(map, key_of(i, text)), model[i]);
        live += model[i] != NULL;
    }
    assert_int_equal(map->count, live);
    size_t cursor = 0;
    size_t walked = 0;
    struct span key;
    void *value;
    while (map_next(map, &cursor, &key, &value)) {
        assert_ptr_equal(map_get(map, key), value);
        walked++;
    }
    assert_int_equal(walked, live);
}

static void a_random_life_agrees_with_the_model(void **state)
{
    (void)state;
    static int values[KEYS];
    void *model[KEYS] = {0};
    struct map map = {0};
    unsigned seed = 7;
    for (size_t step = 0; step < 30000; step++) {
        size_t i = (size_t)rand_r(&seed) % KEYS;
        char text[16];
        void *before = rand_r(&seed) % 2 == 0 ? map_put(&map, key_of(i, text), &values[i])
                                              : map_remove(&map, key_of(i, text));
        assert_ptr_equal(before, model[i]);
        model[i] = map_get(&map, key_of(i, text));
        if (step % 1000 == 0) {
            check_against(&map, model);
        }
    }
    check_against(&map, model);
    map_clear(&map);
    assert_int_equal(map.count, 0);
    assert_null(map_get_str(&map, "key-1"));
    map_deinit(&map);
}

static void keys_that_come_and_go_do_not_grow_it(void **state)
{
    (void)state;
    int value;
    struct map map = {0};
    for (size_t i = 0; i < 100000; i++) {
        char text[16];
        assert_null(map_put(&map, key_of(i, text), &value));
        assert_ptr_equal(map_remove(&map, key_of(i, text)), &value);
    }
    assert_true(map.capacity <= 64);
    map_deinit(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_byte_strings_and_copied),
        cmocka_unit_test(putting_again_returns_the_value_before),
        cmocka_unit_test(a_random_life_agrees_with_the_model),
        cmocka_unit_test(keys_that_come_and_go_do_not_grow_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
