/*
 * Claims: a channel hands over each item once and in order, never holds more than its bound,
 * drains after it was closed, and wakes everybody who waits.
 */
#include "base/channel.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

static void items_come_out_in_order(void **state)
{
    (void)state;
    int items[5];
    struct channel *channel = channel_new(5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(channel_push(channel, &items[i]), 0);
    }
    for (size_t i = 0; i < 5; i++) {
        void *item;
        assert_int_equal(channel_pop(channel, -1, &item), 0);
        assert_ptr_equal(item, &items[i]);
    }
    channel_free(&channel);
    assert_null(channel);
}

static void the_bound_holds(void **state)
{
    (void)state;
    int item;
    void *got;
    struct channel *channel = channel_new(2);
    assert_int_equal(channel_try_push(channel, &item), 0);
    assert_int_equal(channel_try_push(channel, &item), 0);
    assert_int_equal(channel_try_push(channel, &item), CHANNEL_FULL);
    assert_int_equal(channel_count(channel), 2);
    assert_int_equal(channel_pop(channel, 0, &got), 0);
    assert_int_equal(channel_try_push(channel, &item), 0);
    channel_free(&channel);
}

static void an_empty_one_times_out(void **state)
{
    (void)state;
    void *item;
    struct channel *channel = channel_new(1);
    assert_int_equal(channel_pop(channel, 0, &item), CHANNEL_TIMEOUT);
    assert_int_equal(channel_pop(channel, 5, &item), CHANNEL_TIMEOUT);
    channel_free(&channel);
}

static void many_are_taken_at_once(void **state)
{
    (void)state;
    int items[7];
    void *got[4];
    size_t count;
    struct channel *channel = channel_new(7);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(channel_push(channel, &items[i]), 0);
    }
    assert_int_equal(channel_pop_many(channel, -1, got, 4, &count), 0);
    assert_int_equal(count, 4);
    assert_ptr_equal(got[3], &items[3]);
    assert_int_equal(channel_pop_many(channel, -1, got, 4, &count), 0);
    assert_int_equal(count, 3);
    assert_ptr_equal(got[2], &items[6]);
    channel_free(&channel);
}

static void a_closed_one_drains_and_refuses(void **state)
{
    (void)state;
    int item;
    void *got;
    struct channel *channel = channel_new(2);
    assert_int_equal(channel_push(channel, &item), 0);
    channel_close(channel);
    assert_int_equal(channel_push(channel, &item), CHANNEL_CLOSED);
    assert_int_equal(channel_pop(channel, -1, &got), 0);
    assert_int_equal(channel_pop(channel, -1, &got), CHANNEL_CLOSED);
    channel_free(&channel);
}

static void *pop_for_ever(void *context)
{
    void *item;
    return channel_pop(context, -1, &item) == CHANNEL_CLOSED ? context : NULL;
}

static void closing_wakes_who_waits(void **state)
{
    (void)state;
    struct channel *channel = channel_new(2);
    pthread_t thread;
    void *result;
    assert_int_equal(pthread_create(&thread, NULL, pop_for_ever, channel), 0);
    channel_close(channel);
    pthread_join(thread, &result);
    assert_ptr_equal(result, channel);
    channel_free(&channel);
}

enum { PRODUCERS = 3, ITEMS_EACH = 20000 };

struct crowd {
    struct channel *channel;
    atomic_size_t sum;
    atomic_size_t count;
};

static void *produce(void *context)
{
    struct crowd *crowd = context;
    for (uintptr_t i = 1; i <= ITEMS_EACH; i++) {
        if (channel_push(crowd->channel, (void *)i) != 0) {
            return NULL;
        }
    }
    return context;
}

static void *consume(void *context)
{
    struct crowd *crowd = context;
    void *item;
    while (channel_pop(crowd->channel, -1, &item) == 0) {
        atomic_fetch_add(&crowd->sum, (size_t)(uintptr_t)item);
        atomic_fetch_add(&crowd->count, 1);
    }
    return NULL;
}

static void many_threads_lose_and_double_nothing(void **state)
{
    (void)state;
    struct crowd crowd = {.channel = channel_new(16)};
    pthread_t producers[PRODUCERS];
    pthread_t consumers[PRODUCERS];
    for (size_t i = 0; i < PRODUCERS; i++) {
        assert_int_equal(pthread_create(&producers[i], NULL, produce, &crowd), 0);
        assert_int_equal(pthread_create(&consumers[i], NULL, consume, &crowd), 0);
    }
    for (size_t i = 0; i < PRODUCERS; i++) {
        void *result;
        pthread_join(producers[i], &result);
        assert_non_null(result);
    }
    channel_close(crowd.channel);
    for (size_t i = 0; i < PRODUCERS; i++) {
        pthread_join(consumers[i], NULL);
    }
    assert_int_equal(crowd.count, PRODUCERS * ITEMS_EACH);
    assert_int_equal(crowd.sum, (size_t)PRODUCERS * ITEMS_EACH * (ITEMS_EACH + 1) / 2);
    channel_free(&crowd.channel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_order),
        cmocka_unit_test(the_bound_holds),
        cmocka_unit_test(an_empty_one_times_out),
        cmocka_unit_test(many_are_taken_at_once),
        cmocka_unit_test(a_closed_one_drains_and_refuses),
        cmocka_unit_test(closing_wakes_who_waits),
        cmocka_unit_test(many_threads_lose_and_double_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
