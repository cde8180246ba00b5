/*
 * Origins keep their numbers, whatever the disk does, and are ordered alike on every node.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/sim.h"
#include "series/origins.h"

#define PATH "/data/origins"

static struct series_origins *open_origins(struct io_sim *sim)
{
    struct series_origins *origins = NULL;
    assert_int_equal(series_origins_open(&sim->io, PATH, &origins), 0);
    return origins;
}

static struct series_origin origin_of(uint8_t node, uint64_t incarnation)
{
    struct series_origin origin = {.incarnation = incarnation};
    memset(origin.node.bytes, node, sizeof(origin.node.bytes));
    return origin;
}

static uint16_t put(struct series_origins *origins, uint8_t node, uint64_t incarnation)
{
    struct series_origin origin = origin_of(node, incarnation);
    uint16_t number = 0;
    assert_int_equal(series_origins_put(origins, &origin, &number), 0);
    return number;
}

static void reopening_keeps_every_number(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct series_origins *origins = open_origins(&sim);
    assert_int_equal(put(origins, 7, 1), 1);
    assert_int_equal(put(origins, 7, 2), 2);
    assert_int_equal(put(origins, 3, UINT64_MAX), 3);
    assert_int_equal(put(origins, 7, 1), 1);
    series_origins_close(&origins);
    io_sim_crash(&sim);
    origins = open_origins(&sim);
    assert_int_equal(put(origins, 3, UINT64_MAX), 3);
    assert_int_equal(put(origins, 7, 2), 2);
    assert_int_equal(put(origins, 1, 1), 4);
    struct series_origin seven = origin_of(7, 0);
    assert_int_equal(series_origins_count(origins, NULL), 4);
    assert_int_equal(series_origins_count(origins, &seven.node), 2);
    assert_int_equal(put(origins, 7, 1), 1); /* incarnations of one place in the cache */
    assert_int_equal(put(origins, 7, 65), 5);
    assert_int_equal(put(origins, 7, 1), 1);
    assert_int_equal(put(origins, 8, 65), 6);
    assert_int_equal(put(origins, 7, 65), 5);
    struct series_origin origin;
    assert_true(series_origins_get(origins, 3, &origin));
    assert_true(origin.incarnation == UINT64_MAX);
    assert_false(series_origins_get(origins, SERIES_ORIGIN_NONE, &origin));
    assert_false(series_origins_get(origins, 7, &origin));
    series_origins_close(&origins);
    io_sim_deinit(&sim);
}

/* Numbers are given in another order on the other node; the order of writes is the same. */
static void the_last_number_is_given_and_then_it_is_said_that_none_is_left(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct series_origins *origins = open_origins(&sim);
    struct series_origin origin = origin_of(1, 1);
    uint16_t number = 0;
    assert_int_equal(series_origins_restore(origins, &origin, SERIES_ORIGINS_MAX - 1), 0);
    assert_int_equal(put(origins, 2, 2), SERIES_ORIGINS_MAX);
    origin = origin_of(3, 3);
    assert_int_equal(series_origins_put(origins, &origin, &number), ERR_TOO_LARGE);
    assert_non_null(strstr(err_text(), "all 65535 numbers of origins are used"));
    assert_int_equal(put(origins, 2, 2), SERIES_ORIGINS_MAX); /* who has one goes on */
    assert_int_equal(put(origins, 1, 1), SERIES_ORIGINS_MAX - 1);
    series_origins_close(&origins);
    io_sim_deinit(&sim);
}

static void the_order_is_that_of_the_origins_not_of_their_numbers(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct series_origins *origins = open_origins(&sim);
    uint16_t high = put(origins, 9, 1);
    uint16_t low = put(origins, 2, 5);
    uint16_t later = put(origins, 2, 6);
    assert_true(series_origins_compare(origins, low, high) < 0);
    assert_true(series_origins_compare(origins, high, low) > 0);
    assert_true(series_origins_compare(origins, low, later) < 0);
    assert_int_equal(series_origins_compare(origins, low, low), 0);
    assert_true(series_origins_compare(origins, SERIES_ORIGIN_NONE, low) < 0);
    assert_true(series_origins_compare(origins, 77, low) < 0); /* nobody knows it */
    assert_true(series_origins_compare(origins, SERIES_ORIGIN_NONE, 77) < 0);
    struct stamp a = {10, high};
    struct stamp b = {10, low};
    struct stamp c = {11, low};
    assert_true(series_stamp_compare(origins, a, b) > 0);
    assert_true(series_stamp_compare(origins, a, c) < 0);
    assert_int_equal(series_stamp_compare(origins, a, a), 0);
    series_origins_close(&origins);
    io_sim_deinit(&sim);
}

static void a_damaged_line_costs_its_origin_which_segments_give_back(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct series_origins *origins = open_origins(&sim);
    put(origins, 1, 1);
    put(origins, 2, 1);
    put(origins, 3, 1);
    series_origins_close(&origins);
    assert_true(io_sim_flip(&sim, PATH, 60, 4));
    origins = open_origins(&sim);
    assert_int_equal(series_origins_damage(origins).lines, 1);
    struct series_origin lost = origin_of(2, 1);
    struct series_origin other;
    assert_false(series_origins_get(origins, 2, &other));
    assert_int_equal(series_origins_restore(origins, &lost, 2), 0);
    assert_int_equal(series_origins_restore(origins, &lost, 2), 0);
    assert_int_equal(series_origins_restore(origins, &lost, 3), ERR_CONFLICT);
    assert_int_equal(series_origins_restore(origins, &lost, 0), ERR_CONFLICT);
    lost.incarnation = 9;
    assert_int_equal(series_origins_restore(origins, &lost, 1), ERR_CONFLICT);
    series_origins_close(&origins);
    origins = open_origins(&sim);
    assert_int_equal(put(origins, 2, 1), 2);
    assert_int_equal(put(origins, 4, 1), 4);
    series_origins_close(&origins);
    io_sim_deinit(&sim);
}

static void a_number_that_was_heard_survives_every_failing_call(void **state)
{
    (void)state;
    for (uint32_t fail_at = 1;; fail_at++) {
        struct io_sim sim;
        io_sim_init(&sim, fail_at);
        sim.fail_at = fail_at;
        uint16_t heard[4] = {0};
        struct series_origins *origins = NULL;
        if (series_origins_open(&sim.io, PATH, &origins) == 0) {
            for (uint8_t i = 0; i < 4; i++) {
                struct series_origin origin = origin_of(i, i);
                (void)!series_origins_put(origins, &origin, &heard[i]);
            }
        }
        bool failed = sim.failed;
        series_origins_close(&origins);
        io_sim_crash(&sim);
        origins = open_origins(&sim);
        for (uint8_t i = 0; i < 4; i++) {
            if (heard[i] != 0) {
                assert_int_equal(put(origins, i, i), heard[i]);
            }
        }
        series_origins_close(&origins);
        io_sim_deinit(&sim);
        if (!failed) {
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reopening_keeps_every_number),
        cmocka_unit_test(the_last_number_is_given_and_then_it_is_said_that_none_is_left),
        cmocka_unit_test(the_order_is_that_of_the_origins_not_of_their_numbers),
        cmocka_unit_test(a_damaged_line_costs_its_origin_which_segments_give_back),
        cmocka_unit_test(a_number_that_was_heard_survives_every_failing_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
