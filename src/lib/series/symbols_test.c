/*
 * Posting lists, tables and symbols: what was added is found, also by those who read meanwhile.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "series/symbols.h"

static void postings_give_back_all_items_in_order(void **state)
{
    (void)state;
    struct heap heap;
    struct postings postings = {0};
    numbers_vec got = {0};
    heap_init(&heap);
    for (uint32_t i = 0; i < 5000; i++) {
        if (i < 20 || i % 997 == 0) {
            vec_clear(&got);
            postings_get(&heap, &postings, &got);
            assert_int_equal(got.count, i);
            for (uint32_t j = 0; j < i; j++) {
                assert_int_equal(got.items[j], j * 3 + 1);
            }
        }
        postings_add(&heap, &postings, i * 3 + 1);
    }
    vec_deinit(&got);
    heap_deinit(&heap);
}

static void a_table_gives_all_of_one_hash_and_none_that_was_removed(void **state)
{
    (void)state;
    struct table *table = table_new();
    for (uint32_t i = 1; i <= 3000; i++) {
        table_add(&table, i % 100 * 0x01000193, i);
    }
    for (uint32_t i = 1; i <= 3000; i += 3) {
        table_remove(table, i % 100 * 0x01000193, i);
    }
    uint32_t seen = 0;
    for (uint32_t hash = 0; hash < 100; hash++) {
        uint32_t at = hash * 0x01000193;
        uint32_t ref;
        while ((ref = table_next(table, hash * 0x01000193, &at)) != 0) {
            assert_int_equal(ref % 100, hash);
            assert_int_not_equal(ref % 3, 1);
            seen++;
        }
    }
    assert_int_equal(seen, 2000);
    table_free(&table);
}

static void a_symbol_is_made_once_per_kind(void **state)
{
    (void)state;
    struct symbols symbols;
    symbols_init(&symbols);
    uint32_t class = symbols_put(&symbols, SYMBOL_CLASS, SPAN_LIT("x"));
    uint32_t name = symbols_put(&symbols, SYMBOL_NAME, SPAN_LIT("x"));
    uint32_t value = symbols_put(&symbols, name, SPAN_LIT("x"));
    uint32_t empty = symbols_put(&symbols, name, SPAN_LIT(""));
    assert_true(class != name && name != value && value != empty);
    assert_int_equal(symbols_put(&symbols, SYMBOL_CLASS, SPAN_LIT("x")), class);
    assert_int_equal(symbols_find(&symbols, name, SPAN_LIT("")), empty);
    assert_int_equal(symbols_find(&symbols, value, SPAN_LIT("x")), 0);
    assert_int_equal(postings_count(&symbol_at(&symbols, name)->postings), 2);
    assert_int_equal(postings_count(&symbols.classes), 1);
    symbols_deinit(&symbols);
}

#define SYMBOLS 20000

struct shared {
    struct symbols symbols;
    uint32_t made; /* atomic */
};

static void *read_symbols(void *context)
{
    struct shared *shared = context;
    uint64_t bad = 0;
    for (uint32_t made = 0; made < SYMBOLS;) {
        made = __atomic_load_n(&shared->made, __ATOMIC_ACQUIRE);
        for (uint32_t i = made < 50 ? 0 : made - 50; i < made; i++) {
            char text[16];
            int bytes = snprintf(text, sizeof(text), "s%u", i);
            bad += symbols_find(&shared->symbols, SYMBOL_CLASS, span_of(text, (size_t)bytes)) == 0;
        }
        numbers_vec all = {0};
        postings_get(&shared->symbols.heap, &shared->symbols.classes, &all);
        bad += all.count < made;
        for (size_t i = 0; i < all.count; i++) {
            bad += symbol_at(&shared->symbols, all.items[i])->kind != SYMBOL_CLASS;
        }
        vec_deinit(&all);
    }
    return (void *)(uintptr_t)bad;
}

static void readers_see_everything_that_was_made_while_it_grows(void **state)
{
    (void)state;
    struct shared shared = {0};
    pthread_t readers[2];
    symbols_init(&shared.symbols);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_symbols, &shared), 0);
    }
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        char text[16];
        int bytes = snprintf(text, sizeof(text), "s%u", i);
        symbols_put(&shared.symbols, SYMBOL_CLASS, span_of(text, (size_t)bytes));
        __atomic_store_n(&shared.made, i + 1, __ATOMIC_RELEASE);
    }
    for (size_t i = 0; i < 2; i++) {
        void *bad = NULL;
        assert_int_equal(pthread_join(readers[i], &bad), 0);
        assert_null(bad);
    }
    symbols_deinit(&shared.symbols);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(postings_give_back_all_items_in_order),
        cmocka_unit_test(a_table_gives_all_of_one_hash_and_none_that_was_removed),
        cmocka_unit_test(a_symbol_is_made_once_per_kind),
        cmocka_unit_test(readers_see_everything_that_was_made_while_it_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
