/*
 * Names of a well's files say all that decides which of them are valid: they come back as they
 * were made, and nothing else is taken for one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/time.h"
#include "well/partition.h"

static void every_time_lies_in_one_partition(void **state)
{
    (void)state;
    assert_int_equal(well_partition_of(0, 10), 0);
    assert_int_equal(well_partition_of(9, 10), 0);
    assert_int_equal(well_partition_of(10, 10), 1);
    assert_int_equal(well_partition_of(-1, 10), -1);
    assert_int_equal(well_partition_of(-10, 10), -1);
    assert_int_equal(well_partition_of(-11, 10), -2);
    int64_t last = well_partition_of(TIME_MAX_NS, WELL_PARTITION_NS_DEFAULT);
    int64_t first = well_partition_of(TIME_UNSET, WELL_PARTITION_NS_DEFAULT);
    assert_true(last < WELL_PARTITION_NUMBER_MAX && first > -WELL_PARTITION_NUMBER_MAX);
}

static void names_come_back_as_they_were_made(void **state)
{
    (void)state;
    const int64_t partitions[] = {0, 1, -1, 13591, 99999, -99999, WELL_PARTITION_MIXED};
    for (size_t i = 0; i < ARRAY_COUNT(partitions); i++) {
        struct well_file_name name = {7, 999999999999, partitions[i]};
        struct well_file_name again = {0};
        char *path = well_file_name("/w", &name);
        assert_true(well_file_name_parse(span_from(span_of_str(path), 3), &again));
        assert_true(again.first == 7 && again.last == 999999999999);
        assert_true(again.partition == partitions[i]);
        mem_free(path);
    }
    struct well_mark mark = {12, UINT64_MAX};
    struct well_mark again = {0};
    char *path = well_mark_name("/w", &mark);
    assert_true(well_mark_name_parse(span_from(span_of_str(path), 3), &again));
    assert_true(again.flush == 12 && again.log_end == UINT64_MAX);
    mem_free(path);
}

static void other_names_are_refused(void **state)
{
    (void)state;
    const char *const names[] = {
        "",
        "x.seg",
        "000000000001-000000000002.sex",
        "000000000001-000000000002.seg.tmp",
        "000000000002-000000000001.seg",
        "000000000001-00000000002.seg",
        "000000000001-000000000002+0001.seg",
        "000000000001-000000000002+000001.seg",
        "000000000001-000000000002*00001.seg",
        "+00000000001-000000000002.seg",
    };
    struct well_file_name name;
    struct well_mark mark;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        assert_false(well_file_name_parse(span_of_str(names[i]), &name));
        assert_false(well_mark_name_parse(span_of_str(names[i]), &mark));
    }
    assert_false(well_mark_name_parse(SPAN_LIT("flushed-000000000001-1"), &mark));
}

/* A merged file replaces what it was made of, and nothing of another partition. */
static void only_ranges_of_one_partition_supersede(void **state)
{
    (void)state;
    struct well_file_name merged = {2, 5, 1};
    struct well_file_name inner = {3, 3, 1};
    struct well_file_name other = {3, 3, 2};
    struct well_file_name beside = {6, 6, 1};
    assert_true(well_file_supersedes(&merged, &inner));
    assert_false(well_file_supersedes(&inner, &merged));
    assert_false(well_file_supersedes(&merged, &merged));
    assert_false(well_file_supersedes(&merged, &other));
    assert_false(well_file_supersedes(&merged, &beside));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_time_lies_in_one_partition),
        cmocka_unit_test(names_come_back_as_they_were_made),
        cmocka_unit_test(other_names_are_refused),
        cmocka_unit_test(only_ranges_of_one_partition_supersede),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
