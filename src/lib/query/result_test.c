/* The result store: pages, time windows, the limit, reopening, and readers while it grows. */
#include "query/result.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/time.h"
#include "io/sim.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define START_NS (INT64_C(1767355200) * TIME_S_NS)

static const char *name_of(const void *context, uint16_t tag)
{
    (void)context;
    return tag == 0 ? "even" : "odd";
}

/* A directory of its own, and the path of a store in it. */
struct place {
    char dir[64];
    char path[96];
    char other[96];
};

static int setup(void **state)
{
    struct place *place = MEM_NEW(struct place);
    (void)snprintf(place->dir, sizeof(place->dir), "/tmp/aquifer-result-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    (void)snprintf(place->path, sizeof(place->path), "%s/1001", place->dir);
    (void)snprintf(place->other, sizeof(place->other), "%s/saved", place->dir);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    assert_int_equal(io_remove_dir(io_real(), place->dir), 0);
    mem_free(place);
    return 0;
}

static struct query_result *create(const struct place *place, uint64_t bytes_max)
{
    struct query_result *result = NULL;
    assert_int_equal(query_result_create(io_real(), place->path, bytes_max, START_NS,
                                         START_NS + TIME_HOUR_NS, &result),
                     0);
    return result;
}

/* Row n, newest first: time START + 1000 - n seconds, data "row n". */
static int append(struct query_result *result, size_t from, size_t count)
{
    struct entry *entries = mem_alloc_array(count, sizeof(*entries));
    char(*texts)[32] = mem_alloc_array(count, 32);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(texts[i], 32, "row %zu", from + i);
        entries[i].time_ns = START_NS + (int64_t)(1000 - (from + i)) * TIME_S_NS;
        entries[i].tag = (from + i) % 2;
        entries[i].data = span_of_str(texts[i]);
    }
    int rc = query_result_append(result, entries, NULL, count, name_of, NULL);
    mem_free(texts);
    mem_free(entries);
    return rc;
}

static void expect_rows(struct query_result *result, uint64_t first, uint64_t last,
                        int64_t start_ns, int64_t end_ns, size_t first_row, size_t count,
                        uint64_t matched)
{
    struct query_rows rows;
    assert_int_equal(query_result_read(result, first, last, start_ns, end_ns, &rows), 0);
    assert_int_equal(rows.count, count);
    assert_int_equal(rows.matched, matched);
    for (size_t i = 0; i < count; i++) {
        char want[32];
        (void)snprintf(want, sizeof(want), "row %zu", first_row + i);
        assert_true(span_equal_str(rows.entries[i].data, want));
        assert_string_equal(query_result_tag_name(result, rows.entries[i].tag),
                            (first_row + i) % 2 == 0 ? "even" : "odd");
    }
    query_rows_deinit(&rows);
}

static void expect_pages(struct query_result *result)
{
    expect_rows(result, 0, 10, TIME_UNSET, TIME_UNSET, 0, 10, 1000);
    expect_rows(result, 95, 105, TIME_UNSET, TIME_UNSET, 95, 10, 1000);
    expect_rows(result, 990, 2000, TIME_UNSET, TIME_UNSET, 990, 10, 1000);
    expect_rows(result, 1000, 1001, TIME_UNSET, TIME_UNSET, 0, 0, 1000);
    /* [START+501 s, START+600 s): rows 401 to 499 */
    int64_t start_ns = START_NS + 501 * TIME_S_NS;
    int64_t end_ns = START_NS + 600 * TIME_S_NS;
    expect_rows(result, 0, 5, start_ns, end_ns, 401, 5, 99);
    expect_rows(result, 98, 200, start_ns, end_ns, 499, 1, 99);
    expect_rows(result, 0, 9, START_NS, START_NS + 1, 0, 0, 0);
}

/* Rows come back by number and by time; the same after closing and opening again, and after a
 * move. */
static void rows_are_found_by_number_and_time(void **state)
{
    struct place *place = *state;
    struct query_result *result = create(place, 1 << 20);
    for (size_t i = 0; i < 1000; i += 100) {
        assert_int_equal(append(result, i, 100), 0);
    }
    expect_pages(result);
    assert_false(query_result_counts(result).finished);
    assert_int_equal(query_result_finish(result), 0);
    assert_int_equal(query_result_move(result, place->other), 0);
    expect_pages(result);
    query_result_close(&result);
    assert_int_equal(query_result_open(io_real(), place->other, &result), 0);
    expect_pages(result);
    struct query_result_counts counts = query_result_counts(result);
    assert_true(counts.finished);
    assert_int_equal(counts.rows, 1000);
    struct query_bucket buckets[4];
    query_result_histogram(result, TIME_UNSET, TIME_UNSET, 4, buckets);
    assert_int_equal(buckets[0].count, 899); /* seconds 1 to 899 of 3600 */
    assert_int_equal(buckets[1].count, 101);
    assert_int_equal(buckets[2].count + buckets[3].count, 0);
    struct buf survey = {0};
    query_result_survey(result, &survey);
    assert_string_equal(buf_str(&survey),
                        "{\"ValueStats\":[],\"SourceStats\":[{\"IP\":\"::\",\"Count\":1000}],"
                        "\"TagStats\":{\"even\":500,\"odd\":500}}");
    buf_deinit(&survey);
    query_result_close(&result);
    assert_int_equal(query_result_remove(io_real(), place->other), 0);
}

/* At the limit the store says so, keeps what it has, and says what was dropped. */
static void at_the_limit_it_says_what_was_dropped(void **state)
{
    struct place *place = *state;
    struct query_result *result = create(place, 4096);
    size_t rows = 0;
    int rc = 0;
    while ((rc = append(result, rows, 10)) == 0) {
        rows += 10;
    }
    assert_int_equal(rc, QUERY_RESULT_FULL);
    assert_int_equal(append(result, rows, 1), QUERY_RESULT_FULL);
    struct query_result_counts counts = query_result_counts(result);
    assert_true(counts.over_limit);
    assert_int_equal(counts.rows, rows);
    assert_int_equal(counts.dropped_start_ns, START_NS);
    assert_int_equal(counts.dropped_end_ns, START_NS + (int64_t)(1000 - rows) * TIME_S_NS + 1);
    assert_true(counts.stored_bytes <= 4096);
    assert_int_equal(query_result_finish(result), 0);
    query_result_close(&result);
    assert_int_equal(query_result_open(io_real(), place->path, &result), 0);
    assert_true(query_result_counts(result).over_limit);
    assert_int_equal(query_result_counts(result).rows, rows);
    query_result_close(&result);
    assert_int_equal(query_result_remove(io_real(), place->path), 0);
}

/* Damage in a finished store is a fault; a store that was never finished ends where it is whole. */
static void damage_is_told_apart_from_a_crash(void **state)
{
    struct place *place = *state;
    for (int finished = 0; finished < 2; finished++) {
        struct query_result *result = create(place, 1 << 20);
        assert_int_equal(append(result, 0, 10), 0);
        uint64_t whole = query_result_counts(result).stored_bytes;
        assert_int_equal(append(result, 10, 10), 0);
        if (finished == 1) {
            assert_int_equal(query_result_finish(result), 0);
        }
        query_result_close(&result);
        char file[128];
        struct io_file *raw = NULL;
        (void)snprintf(file, sizeof(file), "%s/rows", place->path);
        assert_int_equal(io_open(io_real(), file, IO_WRITE, &raw), 0);
        assert_int_equal(io_truncate(raw, whole + 30), 0);
        io_close(&raw);
        int rc = query_result_open(io_real(), place->path, &result);
        assert_int_equal(rc, finished == 1 ? ERR_CORRUPT : 0);
        if (rc == 0) {
            expect_rows(result, 0, 100, TIME_UNSET, TIME_UNSET, 0, 10, 10);
            query_result_close(&result);
        }
        assert_int_equal(query_result_remove(io_real(), place->path), 0);
    }
}

/* A disk that keeps, tears or loses what was not synced, under many seeds. */
static void a_synced_store_outlives_a_crash_whatever_the_disk_does(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct io_sim sim;
        struct query_result *result = NULL;
        io_sim_init(&sim, seed);
        assert_int_equal(io_make_dirs(&sim.io, "/render"), 0);
        assert_int_equal(query_result_create(&sim.io, "/render/1", 1 << 20, START_NS,
                                             START_NS + TIME_HOUR_NS, &result),
                         0);
        assert_int_equal(append(result, 0, 10), 0);
        assert_int_equal(query_result_sync(result), 0); /* too early: more is to come */
        assert_int_equal(append(result, 10, 10), 0);
        assert_int_equal(query_result_finish(result), 0);
        assert_int_equal(query_result_sync(result), 0);
        assert_int_equal(io_sync_dir(&sim.io, "/render"), 0); /* the name is the mover's */
        io_sim_crash(&sim);
        query_result_close(&result);
        assert_int_equal(query_result_open(&sim.io, "/render/1", &result), 0);
        expect_rows(result, 0, 100, TIME_UNSET, TIME_UNSET, 0, 20, 20);
        assert_int_equal(query_result_sync(result), 0);
        query_result_close(&result);
        io_sim_deinit(&sim);
    }
}

struct race {
    struct query_result *result;
    atomic_bool stop;
    atomic_uint wrong;
    atomic_uint reads;
};

static void *read_all_the_time(void *context)
{
    struct race *race = context;
    while (!atomic_load(&race->stop)) {
        struct query_rows rows;
        uint64_t known = query_result_counts(race->result).rows;
        if (query_result_read(race->result, 0, 500, TIME_UNSET, TIME_UNSET, &rows) != 0) {
            atomic_fetch_add(&race->wrong, 1);
            continue;
        }
        bool good = rows.matched >= known && rows.count == MIN(rows.matched, (uint64_t)500);
        for (size_t i = 0; i < rows.count && good; i++) {
            char want[32];
            (void)snprintf(want, sizeof(want), "row %zu", i);
            good = span_equal_str(rows.entries[i].data, want) &&
                   query_result_tag_name(race->result, rows.entries[i].tag)[0] ==
                       (i % 2 == 0 ? 'e' : 'o');
        }
        atomic_fetch_add(&race->wrong, good ? 0 : 1);
        atomic_fetch_add(&race->reads, 1);
        query_rows_deinit(&rows);
    }
    return NULL;
}

/* Two readers see only whole rows, and never fewer than were published before they asked. */
static void readers_see_whole_rows_while_it_grows(void **state)
{
    struct place *place = *state;
    struct race race = {.result = create(place, 1 << 24)};
    pthread_t readers[2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_all_the_time, &race), 0);
    }
    for (size_t row = 0; row < 3000 || atomic_load(&race.reads) < 20; row += 5) {
        assert_int_equal(append(race.result, row, 5), 0);
    }
    atomic_store(&race.stop, true);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&race.wrong), 0);
    query_result_close(&race.result);
    assert_int_equal(query_result_remove(io_real(), place->path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_found_by_number_and_time, setup, teardown),
        cmocka_unit_test_setup_teardown(at_the_limit_it_says_what_was_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_told_apart_from_a_crash, setup, teardown),
        cmocka_unit_test(a_synced_store_outlives_a_crash_whatever_the_disk_does),
        cmocka_unit_test_setup_teardown(readers_see_whole_rows_while_it_grows, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
