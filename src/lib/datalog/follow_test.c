/*
 * What a log tells those who follow it: places with their times, what was here when a file was
 * begun, a new incarnation for each start, and news of new records.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "datalog/cursor.h"
#include "io/sim.h"

static struct datalog *open_log(struct io_sim *sim, bool begin_anew)
{
    struct datalog_options options = {
        .io = &sim->io, .dir = "/log", .node = {{0xaa}}, .begin_anew = begin_anew};
    struct datalog *log = NULL;
    assert_int_equal(datalog_open(&options, &log), 0);
    return log;
}

static void append(struct datalog *log)
{
    uint64_t position;
    assert_int_equal(datalog_append(log, DATALOG_UPDATE, SPAN_LIT("w"), SPAN_LIT("x"), &position),
                     0);
}

static struct datalog_origin_position find(const struct buf *buf, struct datalog_origin origin)
{
    struct datalog_origin_position found = {0};
    for (size_t at = 0; at < buf->bytes; at += sizeof(found)) {
        memcpy(&found, buf->data + at, sizeof(found));
        if (memcmp(&found.origin, &origin, sizeof(origin)) == 0) {
            return found;
        }
    }
    return (struct datalog_origin_position){0};
}

/* A log of two records; the origin of both. */
static struct datalog_origin write_two(struct io_sim *sim)
{
    struct datalog *log = open_log(sim, true);
    struct datalog_origin origin = datalog_origin(log);
    append(log);
    append(log);
    datalog_close(&log);
    return origin;
}

/* Each start with begin_anew writes as another incarnation, if the one before wrote anything. */
static void each_start_is_another_incarnation(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct datalog_origin first = write_two(&sim);
    for (int start = 0; start < 2; start++) { /* the second finds nothing written by the first */
        struct datalog *log = open_log(&sim, true);
        struct datalog_origin second = datalog_origin(log);
        assert_true(second.incarnation != first.incarnation);
        assert_true(second.incarnation >> 48 == 0);
        assert_true(datalog_origin_position(log, first) == 2);
        assert_true(datalog_origin_position(log, second) == 0);
        assert_true(datalog_end(log) == 3);
        datalog_close(&log);
    }
    struct datalog *log = open_log(&sim, false);
    struct datalog_origin third = datalog_origin(log);
    append(log);
    datalog_close(&log);
    log = open_log(&sim, false);
    assert_true(datalog_origin(log).incarnation == third.incarnation);
    datalog_close(&log);
    io_sim_deinit(&sim);
}

/* It is read, refuses, and goes on by itself, as the new incarnation that it is. */
static void a_log_that_others_follow_opens_on_a_full_disk(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct datalog_origin first = write_two(&sim);
    sim.space_bytes = 1;
    struct datalog *log = open_log(&sim, true);
    struct datalog_origin second = datalog_origin(log);
    assert_true(second.incarnation != first.incarnation);
    struct datalog_reader *reader;
    struct datalog_record record;
    assert_int_equal(datalog_reader_open(log, 1, &reader), 0);
    for (uint64_t i = 1; i <= 2; i++) {
        assert_int_equal(datalog_read(reader, &record), 0);
        assert_true(record.position == i && record.origin.incarnation == first.incarnation);
    }
    assert_int_equal(datalog_read(reader, &record), DATALOG_END);
    uint64_t position;
    assert_int_equal(datalog_append(log, DATALOG_UPDATE, SPAN_NONE, SPAN_LIT("x"), &position),
                     ERR_NO_SPACE);
    sim.space_bytes = 0;
    append(log);
    assert_int_equal(datalog_read(reader, &record), 0);
    assert_true(record.position == 3 && record.origin.incarnation == second.incarnation);
    datalog_reader_close(&reader);
    datalog_close(&log);
    io_sim_crash(&sim);
    log = open_log(&sim, false);
    assert_true(datalog_end(log) == 4 && datalog_origin_position(log, second) == 1);
    datalog_close(&log);
    io_sim_deinit(&sim);
}

/* Positions and times of all origins, now and at the beginning of each file, over restarts. */
static void what_was_here_before_a_file_is_told(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct datalog *log = open_log(&sim, false);
    struct datalog_origin own = datalog_origin(log);
    struct datalog_origin_position other = {{{{0xbb}}, 9}, 500, 77};
    append(log);
    assert_int_equal(datalog_origins_advance(log, &other, 1), 0);
    append(log);
    for (int start = 0; start < 2; start++) {
        struct buf now = {0};
        assert_int_equal(datalog_origin_positions(log, &now), 2);
        assert_true(find(&now, own).position == 2 && find(&now, own).time > 0);
        assert_true(find(&now, other.origin).position == 500);
        assert_true(find(&now, other.origin).time == 77);
        uint64_t own_time = find(&now, own).time;
        uint64_t first = 0;
        buf_clear(&now);
        assert_int_equal(datalog_origins_before(log, 1, &now, &first), 0);
        assert_true(first == 1 && now.bytes == 0);
        assert_int_equal(datalog_origins_before(log, 2, &now, &first), 0);
        assert_true(first == 2 && find(&now, own).position == 1);
        assert_true(find(&now, own).time > 0 && find(&now, own).time < own_time);
        assert_true(find(&now, other.origin).position == 500);
        assert_true(find(&now, other.origin).time == 77);
        buf_deinit(&now);
        datalog_close(&log);
        log = open_log(&sim, false);
    }
    assert_int_equal(datalog_rotate(log), 0);
    assert_int_equal(datalog_trim(log, datalog_end(log)), 0);
    struct buf none = {0};
    uint64_t first;
    assert_int_equal(datalog_origins_before(log, 1, &none, &first), DATALOG_TRIMMED);
    buf_deinit(&none);
    datalog_close(&log);
    io_sim_deinit(&sim);
}

static void count(void *context)
{
    atomic_fetch_add((atomic_int *)context, 1);
}

/* Who watches is told of every group once it is there, and of none after the end. */
static void who_watches_is_told_of_records(void **state)
{
    (void)state;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct datalog *log = open_log(&sim, false);
    struct datalog_cursor *cursor = NULL;
    atomic_int told = 0;
    assert_int_equal(datalog_cursor_open(log, "follower", &cursor), 0);
    datalog_cursor_watch(cursor, count, &told);
    append(log);
    append(log);
    assert_int_equal(atomic_load(&told), 2);
    datalog_cursor_watch(cursor, NULL, NULL);
    append(log);
    assert_int_equal(atomic_load(&told), 2);
    datalog_cursor_close(&cursor);
    datalog_close(&log);
    io_sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_start_is_another_incarnation),
        cmocka_unit_test(a_log_that_others_follow_opens_on_a_full_disk),
        cmocka_unit_test(what_was_here_before_a_file_is_told),
        cmocka_unit_test(who_watches_is_told_of_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
