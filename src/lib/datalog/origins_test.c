/*
 * The table of origins: the highest position stands; what is staged counts once it is durable.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "datalog/origins.h"

static struct datalog_origin_position at(uint64_t number, uint64_t position)
{
    return (struct datalog_origin_position){{{{(uint8_t)number, 1}}, number}, position, 0};
}

static uint64_t durable(const struct datalog_origins *origins, uint64_t number)
{
    return datalog_origins_durable(origins, at(number, 0).origin).position;
}

static uint64_t staged(const struct datalog_origins *origins, uint64_t number)
{
    return datalog_origins_staged(origins, at(number, 0).origin);
}

static void add_up(void *context, const struct datalog_origin_position *position)
{
    *(uint64_t *)context += position->position;
}

static void what_is_staged_counts_once_it_is_durable(void **state)
{
    (void)state;
    struct datalog_origins origins = {0};
    uint64_t sum = 0;
    assert_true(datalog_origins_stage(&origins, at(1, 7)));
    assert_true(datalog_origins_stage(&origins, at(1, 5))); /* the highest stands */
    assert_true(durable(&origins, 1) == 0 && staged(&origins, 1) == 7);
    datalog_origins_commit(&origins);
    assert_true(durable(&origins, 1) == 7 && durable(&origins, 2) == 0);
    assert_true(datalog_origins_stage(&origins, at(1, 9)));
    assert_true(datalog_origins_stage(&origins, at(2, 3)));
    datalog_origins_each(&origins, false, add_up, &sum);
    assert_true(sum == 7);
    datalog_origins_each(&origins, true, add_up, &sum);
    assert_true(sum == 7 + 12);
    datalog_origins_rollback(&origins);
    assert_true(staged(&origins, 1) == 7 && staged(&origins, 2) == 0);
    datalog_origins_deinit(&origins);
}

static void there_is_a_bound_on_origins(void **state)
{
    (void)state;
    struct datalog_origins origins = {0};
    for (uint64_t i = 1; i <= DATALOG_ORIGINS_MAX; i++) {
        assert_true(datalog_origins_stage(&origins, at(i, 1)));
    }
    datalog_origins_commit(&origins);
    assert_false(datalog_origins_stage(&origins, at(DATALOG_ORIGINS_MAX + 1, 1)));
    assert_true(datalog_origins_stage(&origins, at(5, 2)));
    datalog_origins_deinit(&origins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_staged_counts_once_it_is_durable),
        cmocka_unit_test(there_is_a_bound_on_origins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
