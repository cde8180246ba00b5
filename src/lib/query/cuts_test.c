/* Slices are of a decent size, and little is read twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "query/cuts.h"

#define CUTS_MAX 100

static void blocks_in_a_row_are_cut_between_them(void **state)
{
    (void)state;
    struct query_extent extents[12];
    int64_t cuts[CUTS_MAX];
    for (size_t i = 0; i < 12; i++) {
        int64_t first = (int64_t)((i * 5) % 12) * 10; /* in any order */
        extents[i] = (struct query_extent){first, first + 9, 100};
    }
    assert_int_equal(query_cuts(extents, 12, 300, cuts, CUTS_MAX), 3);
    assert_int_equal(cuts[0], 30);
    assert_int_equal(cuts[1], 60);
    assert_int_equal(cuts[2], 90);
    assert_int_equal(query_cuts(extents, 12, 300, cuts, 2), 2);
    assert_int_equal(query_cuts(extents, 12, 1200, cuts, CUTS_MAX), 0);
    assert_int_equal(query_cuts(extents, 0, 1, cuts, CUTS_MAX), 0);
}

static void what_would_mostly_be_read_twice_is_not_cut(void **state)
{
    (void)state;
    struct query_extent extents[40];
    int64_t cuts[CUTS_MAX];
    for (size_t i = 0; i < 40; i++) { /* forty blocks side by side over the same time */
        extents[i] = (struct query_extent){(int64_t)i, 1000 + (int64_t)i, 100};
    }
    assert_int_equal(query_cuts(extents, 40, 100, cuts, CUTS_MAX), 0);
}

static void equal_times_stay_together(void **state)
{
    (void)state;
    struct query_extent extents[10];
    int64_t cuts[CUTS_MAX];
    for (size_t i = 0; i < 10; i++) {
        extents[i] = (struct query_extent){7, 7, 100};
    }
    assert_int_equal(query_cuts(extents, 10, 100, cuts, CUTS_MAX), 0);
}

/* Whatever the extents: cuts ascend, and each slice is as large as was asked. */
static void any_cuts_keep_their_promise(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 300; round++) {
        struct query_extent extents[64];
        int64_t cuts[CUTS_MAX];
        for (size_t i = 0; i < 64; i++) {
            seed = seed * 6364136223846793005U + 1442695040888963407U;
            int64_t first = (int64_t)((seed >> 33) % 1000);
            extents[i] = (struct query_extent){
                first, first + (int64_t)((seed >> 20) % (1U + (unsigned)round)), (seed >> 50) % 99};
        }
        size_t count = query_cuts(extents, 64, 200, cuts, CUTS_MAX);
        for (size_t i = 0; i < count; i++) {
            uint64_t slice = 0;
            uint64_t through = 0;
            int64_t from = i == 0 ? INT64_MIN : cuts[i - 1];
            assert_true(cuts[i] > from);
            for (size_t j = 0; j < 64; j++) {
                bool begins = extents[j].first_ns >= from && extents[j].first_ns < cuts[i];
                slice += begins ? extents[j].bytes : 0;
                bool both = extents[j].first_ns < cuts[i] && extents[j].last_ns >= cuts[i];
                through += both ? extents[j].bytes : 0;
            }
            assert_true(slice >= 200);
            assert_true(slice / QUERY_CUTS_SHARE >= through);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_in_a_row_are_cut_between_them),
        cmocka_unit_test(what_would_mostly_be_read_twice_is_not_cut),
        cmocka_unit_test(equal_times_stay_together),
        cmocka_unit_test(any_cuts_keep_their_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
