/*
 * Records that do not fit into memory come out in order, whatever the bound; nothing is left in the
 * directory; a bound that is reached is named.
 */
#include "query/runs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

#define RECORDS 3000

static char directory[64];

static struct query_scratch *scratch_of(uint64_t memory, uint64_t files, const atomic_bool *cancel)
{
    struct query_scratch_options options = {
        .io = io_real(),
        .path = directory,
        .memory_bytes_max = memory,
        .file_bytes_max = files,
        .cancel = cancel,
    };
    return query_scratch_new(&options);
}

/* By the number before the first space. */
static int compare(const void *context, struct span a, struct span b)
{
    (void)context;
    long x = strtol((const char *)a.data, NULL, 10);
    long y = strtol((const char *)b.data, NULL, 10);
    return x < y ? -1 : x > y;
}

static struct span record_of(size_t i, struct buf *buf)
{
    buf_clear(buf);
    buf_printf(buf, "%zu %zu", i * 7919 % 100, i);
    for (size_t j = 0; j < i % 50; j++) {
        buf_append_byte(buf, 'x');
    }
    (void)buf_str(buf);
    return buf_span(buf);
}

static int each_name(void *context, const char *name)
{
    (void)name;
    (*(size_t *)context)++;
    return 0;
}

static size_t files_there(void)
{
    size_t count = 0;
    return io_exists(io_real(), directory) && io_list(io_real(), directory, each_name, &count) == 0
               ? count
               : 0;
}

static void sorts_under(struct query_scratch *scratch)
{
    struct query_sorter *sorter = query_sorter_new(scratch, compare, NULL);
    struct buf buf = {0};
    for (size_t i = 0; i < RECORDS; i++) {
        struct span record = record_of(i, &buf);
        record.bytes++; /* its NUL */
        assert_int_equal(query_sorter_add(sorter, record), 0);
    }
    assert_int_equal(files_there(), 0);
    long last_key = -1;
    long last_number = -1;
    size_t count = 0;
    struct span record;
    int rc;
    while ((rc = query_sorter_next(sorter, &record)) == 0) {
        char *rest;
        long key = strtol((const char *)record.data, &rest, 10);
        long number = strtol(rest, NULL, 10);
        assert_true(key > last_key || (key == last_key && number > last_number));
        struct span want = record_of((size_t)number, &buf);
        assert_int_equal(record.bytes, want.bytes + 1);
        assert_memory_equal(record.data, want.data, want.bytes);
        last_key = key;
        last_number = number;
        count++;
    }
    assert_int_equal(rc, QUERY_RUNS_END);
    assert_int_equal(count, RECORDS);
    query_sorter_free(&sorter);
    buf_deinit(&buf);
}

static void sorting_gives_the_same_whatever_memory_it_has(void **unused)
{
    (void)unused;
    static const uint64_t bounds[] = {1, 500, 4096, 40000, 1 << 20, 1 << 30};
    for (size_t i = 0; i < ARRAY_COUNT(bounds); i++) {
        struct query_scratch *scratch = scratch_of(bounds[i], UINT64_MAX, NULL);
        sorts_under(scratch);
        assert_int_equal(query_scratch_written(scratch) > 0, i < 4);
        query_scratch_free(&scratch);
    }
    sorts_under(NULL);
}

static void runs_can_be_read_twice(void **unused)
{
    (void)unused;
    struct query_scratch *scratch = scratch_of(1 << 20, UINT64_MAX, NULL);
    struct query_runs *runs = query_runs_new(scratch, compare, NULL);
    struct span record;
    assert_int_equal(query_runs_put(runs, SPAN_LIT("2 a\0")), 0);
    assert_int_equal(query_runs_put(runs, SPAN_LIT("4 b\0")), 0);
    assert_int_equal(query_runs_end_run(runs), 0);
    assert_int_equal(query_runs_put(runs, SPAN_LIT("3 c\0")), 0);
    assert_int_equal(query_runs_end_run(runs), 0);
    for (size_t i = 0; i < 2; i++) {
        static const char *const want[] = {"2 a", "3 c", "4 b"};
        for (size_t j = 0; j < ARRAY_COUNT(want); j++) {
            assert_int_equal(query_runs_next(runs, &record), 0);
            assert_string_equal((const char *)record.data, want[j]);
        }
        assert_int_equal(query_runs_next(runs, &record), QUERY_RUNS_END);
        assert_int_equal(query_runs_next(runs, &record), QUERY_RUNS_END);
        query_runs_rewind(runs);
    }
    query_runs_free(&runs);
    query_scratch_free(&scratch);
}

static void a_full_scratch_names_its_key(void **unused)
{
    (void)unused;
    struct query_scratch *scratch = scratch_of(1000, 5000, NULL);
    struct query_sorter *sorter = query_sorter_new(scratch, compare, NULL);
    struct buf buf = {0};
    int rc = 0;
    for (size_t i = 0; i < RECORDS && rc == 0; i++) {
        rc = query_sorter_add(sorter, record_of(i, &buf));
    }
    assert_int_equal(rc, ERR_TOO_LARGE);
    assert_non_null(strstr(err_text(), "Search-Scratch-Limit"));
    query_sorter_free(&sorter);
    buf_deinit(&buf);

    struct query_holder holder = {0};
    query_holder_init(&holder, scratch);
    query_holder_add(&holder, 700);
    assert_int_equal(query_holder_check(&holder, "limit"), 0);
    query_holder_add(&holder, 300);
    assert_int_equal(query_holder_check(&holder, "limit"), ERR_TOO_LARGE);
    assert_non_null(strstr(err_text(), "Max-Search-Memory-MB"));
    query_holder_deinit(&holder);
    query_scratch_free(&scratch);
}

static void a_cancelled_search_stops_sorting(void **unused)
{
    (void)unused;
    atomic_bool cancel = false;
    struct query_scratch *scratch = scratch_of(1 << 30, UINT64_MAX, &cancel);
    struct query_sorter *sorter = query_sorter_new(scratch, compare, NULL);
    struct span record;
    assert_int_equal(query_sorter_add(sorter, SPAN_LIT("1")), 0);
    atomic_store(&cancel, true);
    assert_int_equal(query_sorter_next(sorter, &record), ERR_CANCELLED);
    query_sorter_free(&sorter);
    query_scratch_free(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorting_gives_the_same_whatever_memory_it_has),
        cmocka_unit_test(runs_can_be_read_twice),
        cmocka_unit_test(a_full_scratch_names_its_key),
        cmocka_unit_test(a_cancelled_search_stops_sorting),
    };
    char base[] = "/tmp/runs-test-XXXXXX";
    CHECK(mkdtemp(base) != NULL);
    (void)snprintf(directory, sizeof(directory), "%s/scratch", base);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    (void)!io_remove_dir(io_real(), directory);
    (void)!io_remove_dir(io_real(), base);
    return rc;
}
