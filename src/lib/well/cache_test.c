/*
 * Claims: what is asked for again is kept and given as it was read; one long scan changes nothing;
 * the bound holds, whatever is offered; what readers hold outlives the cache.
 */
#include "well/cache.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"

#define LINES 200

/* A block whose lines begin with `number`. */
static void make_block(uint64_t number, struct buf *bytes)
{
    struct block_writer *writer = block_writer_new(1);
    struct block_header header;
    for (size_t i = 0; i < LINES; i++) {
        char text[64];
        int length = snprintf(text, sizeof(text), "%llu line %zu", (unsigned long long)number, i);
        struct entry entry = {.time_ns = (int64_t)i, .data = span_of(text, (size_t)length)};
        block_writer_add(writer, &entry);
    }
    block_writer_finish(writer, 0, bytes, &header);
    block_writer_free(&writer);
}

static void check_block(const struct block *block, uint64_t number)
{
    char text[64];
    int length = snprintf(text, sizeof(text), "%llu line 7", (unsigned long long)number);
    assert_int_equal(block->count, LINES);
    assert_true(span_equal(block->entries[7].data, span_of(text, (size_t)length)));
}

/* As a search reads it. Returns whether it was there. */
static bool look(struct block_cache *cache, uint64_t number)
{
    struct block_key key = {1 + number / 1000, number};
    struct block_reader *reader = block_reader_new();
    struct block block = {0};
    struct block_content *found = block_cache_get(cache, key);
    bool hit = found != NULL;
    if (hit) {
        assert_int_equal(block_share(reader, found, &block), 0);
        block_content_unref(&found);
    } else {
        struct buf bytes = {0};
        make_block(number, &bytes);
        assert_int_equal(block_read(reader, buf_span(&bytes), 0, &block), 0);
        block_cache_offer(cache, key, block.content);
        buf_deinit(&bytes);
    }
    check_block(&block, number);
    block.entries[7].data = SPAN_NONE; /* the reader's own */
    block_deinit(&block);
    block_reader_free(&reader);
    return hit;
}

static size_t bytes_of_one(void)
{
    struct block_cache *cache = block_cache_new(1 << 20);
    (void)look(cache, 1);
    (void)look(cache, 1);
    size_t bytes = block_cache_stats(cache).bytes;
    block_cache_free(&cache);
    return bytes;
}

static void what_is_asked_for_again_is_kept(void **state)
{
    (void)state;
    struct block_cache *cache = block_cache_new(1 << 20);
    assert_false(look(cache, 5));
    assert_int_equal(block_cache_stats(cache).blocks, 0);
    assert_false(look(cache, 5));
    assert_true(look(cache, 5));
    assert_true(look(cache, 5));
    assert_false(look(cache, 1005)); /* the same place of another segment */
    struct block_cache_stats stats = block_cache_stats(cache);
    assert_int_equal(stats.blocks, 1);
    assert_int_equal(stats.hits, 2);
    assert_int_equal(stats.misses, 3);
    block_cache_free(&cache);
}

static void a_long_scan_leaves_what_is_asked_for_often(void **state)
{
    (void)state;
    struct block_cache *cache = block_cache_new(20 * bytes_of_one());
    for (size_t round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 10; i++) {
            (void)look(cache, i);
        }
    }
    for (uint64_t i = 100; i < 1000; i++) {
        assert_false(look(cache, i));
    }
    for (uint64_t i = 0; i < 10; i++) {
        assert_true(look(cache, i));
    }
    block_cache_free(&cache);
}

static void the_bound_holds_and_a_part_of_too_large_a_set_is_found(void **state)
{
    (void)state;
    size_t bytes_max = 20 * bytes_of_one();
    struct block_cache *cache = block_cache_new(bytes_max);
    size_t hits = 0;
    for (size_t round = 0; round < 10; round++) {
        for (uint64_t i = 0; i < 30; i++) {
            hits += look(cache, i);
            assert_true(block_cache_stats(cache).bytes <= bytes_max);
        }
    }
    assert_true(hits > 60);
    block_cache_free(&cache);
}

static void without_room_nothing_is_kept(void **state)
{
    (void)state;
    size_t bounds[] = {0, 1, bytes_of_one() - 1};
    for (size_t i = 0; i < ARRAY_COUNT(bounds); i++) {
        struct block_cache *cache = block_cache_new(bounds[i]);
        for (size_t round = 0; round < 3; round++) {
            assert_false(look(cache, 1));
        }
        assert_int_equal(block_cache_stats(cache).bytes, 0);
        block_cache_free(&cache);
    }
}

static void what_a_reader_holds_outlives_the_cache(void **state)
{
    (void)state;
    struct block_cache *cache = block_cache_new(bytes_of_one());
    struct block_reader *reader = block_reader_new();
    struct block block = {0};
    (void)look(cache, 1);
    (void)look(cache, 1);
    struct block_content *found = block_cache_get(cache, (struct block_key){1, 1});
    assert_int_equal(block_share(reader, found, &block), 0);
    block_content_unref(&found);
    for (uint64_t i = 2; i < 5; i++) { /* others take its room */
        (void)look(cache, i);
        (void)look(cache, i);
    }
    check_block(&block, 1);
    block_cache_free(&cache);
    check_block(&block, 1);

    struct buf bytes = {0}; /* and its memory is not written over by the next block */
    make_block(9, &bytes);
    assert_int_equal(block_read(reader, buf_span(&bytes), 0, &block), 0);
    check_block(&block, 9);
    buf_deinit(&bytes);
    block_deinit(&block);
    block_reader_free(&reader);
}

static void *look_at_many(void *context)
{
    struct block_cache *cache = context;
    for (uint64_t i = 0; i < 600; i++) {
        (void)look(cache, i * i % 37);
    }
    return NULL;
}

static void threads_share_it(void **state)
{
    (void)state;
    struct block_cache *cache = block_cache_new(15 * bytes_of_one());
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, look_at_many, cache), 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    struct block_cache_stats stats = block_cache_stats(cache);
    assert_int_equal(stats.hits + stats.misses, 600 * ARRAY_COUNT(threads));
    assert_true(stats.hits > 0 && stats.blocks <= 15);
    block_cache_free(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_for_again_is_kept),
        cmocka_unit_test(a_long_scan_leaves_what_is_asked_for_often),
        cmocka_unit_test(the_bound_holds_and_a_part_of_too_large_a_set_is_found),
        cmocka_unit_test(without_room_nothing_is_kept),
        cmocka_unit_test(what_a_reader_holds_outlives_the_cache),
        cmocka_unit_test(threads_share_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
