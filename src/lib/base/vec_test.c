/*
 * Claims: a vec keeps its items through growth, a swap removal fills the hole with the last
 * item, and an emptied one can be used again.
 */
#include "base/vec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct pair {
    int a;
    int b;
};

static void items_survive_growth(void **state)
{
    (void)state;
    VEC(struct pair) pairs = {0};
    for (int i = 0; i < 1000; i++) {
        vec_push(&pairs, (struct pair){i, -i});
    }
    assert_int_equal(pairs.count, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(pairs.items[i].a, i);
        assert_int_equal(pairs.items[i].b, -i);
    }
    vec_deinit(&pairs);
    assert_null(pairs.items);
    assert_int_equal(pairs.capacity, 0);
}

static void a_removal_fills_the_hole_with_the_last(void **state)
{
    (void)state;
    VEC(int) numbers = {0};
    for (int i = 0; i < 4; i++) {
        vec_push(&numbers, i);
    }
    vec_remove_swap(&numbers, 1);
    assert_int_equal(numbers.count, 3);
    assert_int_equal(numbers.items[1], 3);
    vec_remove_swap(&numbers, 2);
    assert_int_equal(numbers.count, 2);
    vec_clear(&numbers);
    vec_push(&numbers, 9);
    assert_int_equal(numbers.items[0], 9);
    vec_deinit(&numbers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_survive_growth),
        cmocka_unit_test(a_removal_fills_the_hole_with_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
