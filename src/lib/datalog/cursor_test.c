/*
 * Cursors: named places that survive, hold back trimming, and lose their hold loudly. The fault
 * sweeps and seeded lives of them are in lives_test.c.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "datalog/cursor.h"
#include "io/sim.h"

#define SEGMENT_BYTES 2000
#define RECORD_BYTES 300 /* five of them are a file */

struct world {
    struct io_sim sim;
    struct datalog *log;
    uint64_t held_bytes_max;
    struct buf reports;
};

static void on_report(void *context, const char *text)
{
    struct world *world = context;
    buf_printf(&world->reports, "%s\n", text);
}

static void open_log(struct world *world)
{
    struct datalog_options options = {
        .io = &world->sim.io,
        .dir = "/log",
        .node = {{1}},
        .segment_bytes_max = SEGMENT_BYTES,
        .held_bytes_max = world->held_bytes_max,
        .report = on_report,
        .report_context = world,
    };
    assert_int_equal(datalog_open(&options, &world->log), 0);
}

static void world_init(struct world *world, uint64_t held_bytes_max)
{
    *world = (struct world){.held_bytes_max = held_bytes_max};
    io_sim_init(&world->sim, 1);
    open_log(world);
}

static void world_deinit(struct world *world)
{
    datalog_close(&world->log);
    buf_deinit(&world->reports);
    io_sim_deinit(&world->sim);
}

static void reopen(struct world *world, bool crash)
{
    if (crash) {
        io_sim_power_off(&world->sim);
    }
    datalog_close(&world->log);
    io_sim_crash(&world->sim);
    open_log(world);
}

static void append(struct world *world, int count)
{
    for (int i = 0; i < count; i++) {
        uint8_t payload[RECORD_BYTES] = {0};
        uint64_t position;
        assert_int_equal(datalog_append(world->log, DATALOG_POINTS, SPAN_LIT("w"),
                                        span_of(payload, sizeof(payload)), &position),
                         0);
    }
}

static struct datalog_cursor *open_cursor(struct world *world, const char *name)
{
    struct datalog_cursor *cursor = NULL;
    assert_int_equal(datalog_cursor_open(world->log, name, &cursor), 0);
    return cursor;
}

static void expect_read(struct datalog_cursor *cursor, uint64_t position)
{
    struct datalog_record record;
    assert_int_equal(datalog_cursor_read(cursor, &record), 0);
    assert_true(record.position == position);
}

static uint64_t place_of(struct world *world, const char *name)
{
    struct datalog_cursor *cursor = open_cursor(world, name);
    uint64_t next = datalog_cursor_stats(cursor).next;
    datalog_cursor_close(&cursor);
    return next;
}

/* Closing makes it durable; a crash may lose what was acknowledged since, and no more. */
static void a_cursor_goes_on_behind_what_it_acknowledged(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 0);
    append(&world, 20);
    struct datalog_cursor *cursor = open_cursor(&world, "a");
    for (uint64_t i = 1; i <= 9; i++) {
        expect_read(cursor, i);
    }
    assert_int_equal(datalog_cursor_acknowledge(cursor, 7), 0);
    assert_int_equal(datalog_cursor_acknowledge(cursor, 3), 0);
    datalog_cursor_close(&cursor);
    reopen(&world, false);
    cursor = open_cursor(&world, "a");
    expect_read(cursor, 8);
    assert_int_equal(datalog_cursor_acknowledge(cursor, 12), 0);
    assert_int_equal(datalog_trim(world.log, 1), 0); /* durable with it */
    assert_int_equal(datalog_cursor_acknowledge(cursor, 15), 0);
    datalog_cursor_close(&cursor);
    reopen(&world, true);
    assert_true(place_of(&world, "a") == 13);
    cursor = open_cursor(&world, "a");
    assert_int_equal(datalog_cursor_acknowledge(cursor, datalog_end(world.log)), ERR_INVALID);
    assert_true(datalog_cursor_stats(cursor).next == 13);
    datalog_cursor_close(&cursor);
    world_deinit(&world);
}

/* A new one is durable when it is opened, at the oldest record. */
static void a_new_cursor_starts_at_the_oldest_record_and_stays(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 0);
    append(&world, 20);
    assert_int_equal(datalog_trim(world.log, 10), 0);
    uint64_t first = datalog_first(world.log);
    assert_true(first > 1);
    assert_true(place_of(&world, "a") == first);
    reopen(&world, true);
    append(&world, 20);
    assert_int_equal(datalog_trim(world.log, 40), 0);
    assert_true(datalog_first(world.log) == first);
    world_deinit(&world);
}

static void the_slowest_cursor_bounds_trimming(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 0);
    append(&world, 60);
    struct datalog_cursor *a = open_cursor(&world, "a");
    struct datalog_cursor *b = open_cursor(&world, "b");
    assert_int_equal(datalog_cursor_acknowledge(a, 50), 0);
    assert_int_equal(datalog_cursor_acknowledge(b, 20), 0);
    assert_int_equal(datalog_trim(world.log, 55), 0);
    assert_true(datalog_first(world.log) > 13 && datalog_first(world.log) <= 21);
    uint64_t bytes = datalog_stats(world.log).bytes;
    assert_true(datalog_bytes_from(world.log, 1) == bytes);
    assert_true(datalog_bytes_from(world.log, 55) < bytes / 3);
    datalog_cursor_close(&b);
    assert_int_equal(datalog_trim(world.log, 55), 0); /* closed or not */
    assert_true(datalog_first(world.log) <= 21);
    assert_int_equal(datalog_cursor_remove(world.log, "a"), ERR_CONFLICT);
    assert_int_equal(datalog_cursor_remove(world.log, "b"), 0);
    assert_int_equal(datalog_cursor_remove(world.log, "b"), ERR_NOT_FOUND);
    assert_int_equal(datalog_trim(world.log, 40), 0); /* the wells need what follows */
    assert_true(datalog_first(world.log) > 33 && datalog_first(world.log) <= 40);
    datalog_cursor_close(&a);
    reopen(&world, true);
    assert_int_equal((int)datalog_stats(world.log).cursors, 1);
    world_deinit(&world);
}

/* Detached: reported, durable, the log trimmed; reading says so until it is attached again. */
static void a_cursor_that_holds_back_too_much_is_detached(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 3 * SEGMENT_BYTES);
    append(&world, 60);
    struct datalog_cursor *slow = open_cursor(&world, "slow");
    struct datalog_cursor *fast = open_cursor(&world, "fast");
    expect_read(slow, 1);
    assert_int_equal(datalog_cursor_acknowledge(fast, 50), 0);
    assert_int_equal(datalog_trim(world.log, 18), 0);
    assert_false(datalog_cursor_stats(slow).detached); /* what the wells hold is not its fault */
    assert_int_equal(datalog_trim(world.log, 55), 0);
    assert_true(datalog_cursor_stats(slow).detached && !datalog_cursor_stats(fast).detached);
    assert_non_null(strstr(buf_str(&world.reports), "cursor slow is detached"));
    assert_true(datalog_first(world.log) > 40 && datalog_stats(world.log).detached == 1);
    for (int life = 0; life < 2; life++) {
        struct datalog_record record;
        assert_int_equal(datalog_cursor_wait(slow, 0), 0);
        assert_int_equal(datalog_cursor_read(slow, &record), DATALOG_TRIMMED);
        assert_int_equal(datalog_cursor_read(slow, &record), DATALOG_TRIMMED);
        struct datalog_cursor_stats stats = datalog_cursor_stats(slow);
        assert_true(stats.next == 1 && stats.first == datalog_first(world.log));
        datalog_cursor_close(&slow);
        datalog_cursor_close(&fast);
        reopen(&world, true);
        slow = open_cursor(&world, "slow");
    }
    assert_int_equal(datalog_cursor_attach(slow, 3), DATALOG_TRIMMED);
    assert_int_equal(datalog_cursor_attach(slow, 62), ERR_INVALID);
    assert_int_equal(datalog_cursor_attach(slow, 61), 0);
    append(&world, 1);
    expect_read(slow, 61);
    datalog_cursor_close(&slow);
    reopen(&world, true);
    assert_true(place_of(&world, "slow") == 61);
    assert_int_equal((int)datalog_stats(world.log).detached, 0);
    world_deinit(&world);
}

/* Whatever is not acknowledged and gone (files removed by hand) is a gap, never passed over. */
static void a_cursor_whose_records_are_gone_is_detached(void **state)
{
    (void)state;
    struct world world;
    struct datalog_record record;
    world_init(&world, 0);
    append(&world, 20);
    struct datalog_cursor *cursor = open_cursor(&world, "a");
    datalog_cursor_close(&cursor);
    datalog_close(&world.log);
    assert_int_equal(io_remove(&world.sim.io, "/log/00000000000000000001.log"), 0);
    open_log(&world);
    assert_non_null(strstr(buf_str(&world.reports), "cursor a is detached"));
    cursor = open_cursor(&world, "a");
    assert_int_equal(datalog_cursor_read(cursor, &record), DATALOG_TRIMMED);
    datalog_cursor_close(&cursor);
    world_deinit(&world);
}

/* A log that lost its newest files does not give positions again that a cursor is behind of. */
static void positions_never_go_below_what_was_acknowledged(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 0);
    append(&world, 20);
    struct datalog_origin before = datalog_origin(world.log);
    struct datalog_cursor *cursor = open_cursor(&world, "a");
    assert_int_equal(datalog_cursor_acknowledge(cursor, 20), 0);
    datalog_cursor_close(&cursor);
    char newest[64];
    snprintf(newest, sizeof(newest), "/log/%020d.log", 16);
    datalog_close(&world.log);
    assert_int_equal(io_remove(&world.sim.io, newest), 0);
    open_log(&world);
    assert_true(datalog_end(world.log) == 21);
    assert_true(datalog_origin(world.log).incarnation != before.incarnation);
    assert_true(datalog_origin_position(world.log, before) == 15);
    world_deinit(&world);
}

/* One flipped bit in `cursors`: reported, and no cursor is ahead of where it was. */
static void a_flipped_bit_moves_no_cursor_forward(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 0);
    append(&world, 20);
    static const char *const names[] = {"a", "beta"};
    static const uint64_t next[] = {8, 14};
    for (size_t i = 0; i < 2; i++) {
        struct datalog_cursor *cursor = open_cursor(&world, names[i]);
        assert_int_equal(datalog_cursor_acknowledge(cursor, next[i] - 1), 0);
        datalog_cursor_close(&cursor);
    }
    datalog_close(&world.log);
    struct buf good = {0};
    assert_int_equal(io_read_file(&world.sim.io, "/log/cursors", 1000, &good), 0);
    uint64_t kept = 0;
    for (size_t bit = 0; bit < good.bytes * 8; bit++) {
        assert_int_equal(io_write_file(&world.sim.io, "/log/cursors", buf_span(&good)), 0);
        assert_true(io_sim_flip(&world.sim, "/log/cursors", bit / 8, (uint8_t)(1 << bit % 8)));
        buf_clear(&world.reports);
        open_log(&world);
        assert_true(datalog_stats(world.log).damage.cursor_lines > 0);
        assert_non_null(strstr(buf_str(&world.reports), "/log/cursors"));
        for (size_t i = 0; i < 2; i++) {
            uint64_t place = place_of(&world, names[i]);
            assert_true(place == 1 || place == next[i]);
            kept += place == next[i] ? 1 : 0;
        }
        datalog_close(&world.log);
    }
    assert_true(kept > good.bytes * 8); /* of two each, one is not touched */
    buf_deinit(&good);
    open_log(&world);
    world_deinit(&world);
}

static int count_one(void *context, const struct datalog_cursor_stats *stats)
{
    static const char *const names[] = {"a", "b", "c"};
    size_t *count = context;
    assert_string_equal(stats->name, names[*count]);
    assert_true(stats->lag_records == 10 * *count);
    uint64_t record_bytes = RECORD_BYTES + 1 + DATALOG_HEADER_BYTES;
    assert_true(stats->lag_bytes == 10 * *count * record_bytes);
    assert_true((stats->lag_ns > 0) == (*count > 0));
    (*count)++;
    return 0;
}

static void the_list_says_how_far_behind_each_is(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 0);
    append(&world, 30);
    const char *names[] = {"b", "c", "a"};
    const uint64_t acknowledged[] = {20, 10, 30};
    for (size_t i = 0; i < 3; i++) {
        struct datalog_cursor *cursor = open_cursor(&world, names[i]);
        assert_int_equal(datalog_cursor_acknowledge(cursor, acknowledged[i]), 0);
        datalog_cursor_close(&cursor);
    }
    for (int round = 0; round < 2; round++) { /* the second from what the first has found */
        size_t count = 0;
        assert_int_equal(datalog_cursors(world.log, count_one, &count), 0);
        assert_int_equal(count, 3);
    }
    struct datalog_cursor *cursor = open_cursor(&world, "b");
    uint64_t before = datalog_cursor_stats(cursor).lag_ns;
    world.sim.now_ns += 5000000000;
    uint64_t after = datalog_cursor_stats(cursor).lag_ns;
    assert_true(after - before >= 5000000000 && after - before < 5001000000);
    datalog_cursor_close(&cursor);
    world_deinit(&world);
}

static void a_name_is_read_by_one_at_a_time(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 0);
    struct datalog_cursor *cursor = open_cursor(&world, "a");
    struct datalog_cursor *second = NULL;
    assert_int_equal(datalog_cursor_open(world.log, "a", &second), ERR_CONFLICT);
    assert_int_equal(datalog_cursor_open(world.log, "", &second), ERR_INVALID);
    assert_int_equal(datalog_cursor_open(world.log, "b c", &second), ERR_INVALID);
    datalog_cursor_close(&cursor);
    cursor = open_cursor(&world, "a");
    datalog_cursor_close(&cursor);
    world_deinit(&world);
}

static void there_is_a_bound_on_cursors(void **state)
{
    (void)state;
    struct world world;
    struct datalog_cursor *cursor = NULL;
    world_init(&world, 0);
    for (int i = 0; i < DATALOG_CURSORS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "c%d", i);
        (void)place_of(&world, name);
    }
    assert_int_equal(datalog_cursor_open(world.log, "more", &cursor), ERR_TOO_LARGE);
    world_deinit(&world);
}

/* A cursor that could not be made durable does not exist. */
static void a_full_disk_makes_no_cursor(void **state)
{
    (void)state;
    struct world world;
    struct datalog_cursor *cursor = NULL;
    world_init(&world, 0);
    append(&world, 20);
    world.sim.space_bytes = io_sim_used(&world.sim);
    assert_int_equal(datalog_cursor_open(world.log, "a", &cursor), ERR_NO_SPACE);
    assert_int_equal((int)datalog_stats(world.log).cursors, 0);
    assert_int_equal(datalog_trim(world.log, 10), ERR_NO_SPACE); /* it tried to forget it */
    assert_true(datalog_first(world.log) > 1);                   /* and trimmed in spite of it */
    world.sim.space_bytes = 0;
    assert_true(place_of(&world, "a") == datalog_first(world.log));
    world_deinit(&world);
}

struct follower {
    struct datalog_cursor *cursor;
    uint64_t wanted;
};

static void *follow(void *context)
{
    struct follower *follower = context;
    for (uint64_t position = 1; position <= follower->wanted;) {
        struct datalog_record record;
        CHECK(datalog_cursor_wait(follower->cursor, 60000) == 0);
        int rc = datalog_cursor_read(follower->cursor, &record);
        CHECK(rc == 0 && record.position == position);
        CHECK(datalog_cursor_acknowledge(follower->cursor, position) == 0);
        position++;
    }
    return NULL;
}

/* Five followers, one trimmer, one submitter: each follower sees each record once, in order. */
static void many_followers_read_beside_the_writer(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 0);
    struct follower followers[5];
    pthread_t threads[5];
    for (size_t i = 0; i < 5; i++) {
        char name[8];
        snprintf(name, sizeof(name), "f%zu", i);
        followers[i] = (struct follower){open_cursor(&world, name), 300};
        assert_int_equal(pthread_create(&threads[i], NULL, follow, &followers[i]), 0);
    }
    for (int i = 0; i < 30; i++) {
        append(&world, 10);
        assert_int_equal(datalog_trim(world.log, datalog_end(world.log)), 0);
        (void)datalog_cursor_stats(followers[i % 5].cursor);
    }
    for (size_t i = 0; i < 5; i++) {
        pthread_join(threads[i], NULL);
        datalog_cursor_close(&followers[i].cursor);
    }
    assert_int_equal(datalog_trim(world.log, datalog_end(world.log)), 0);
    assert_int_equal((int)datalog_stats(world.log).segments, 1);
    world_deinit(&world);
}

static void *wait_long(void *context)
{
    struct datalog_cursor *cursor = context;
    CHECK(datalog_cursor_wait(cursor, INT32_MAX) == DATALOG_END);
    return NULL;
}

static void a_waiting_follower_can_be_woken(void **state)
{
    (void)state;
    struct world world;
    pthread_t thread;
    world_init(&world, 0);
    struct datalog_cursor *cursor = open_cursor(&world, "a");
    assert_int_equal(datalog_cursor_wait(cursor, 1), DATALOG_END);
    assert_int_equal(pthread_create(&thread, NULL, wait_long, cursor), 0);
    datalog_cursor_wake(cursor); /* before or while it waits */
    pthread_join(thread, NULL);
    datalog_cursor_close(&cursor);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_goes_on_behind_what_it_acknowledged),
        cmocka_unit_test(a_new_cursor_starts_at_the_oldest_record_and_stays),
        cmocka_unit_test(the_slowest_cursor_bounds_trimming),
        cmocka_unit_test(a_cursor_that_holds_back_too_much_is_detached),
        cmocka_unit_test(a_cursor_whose_records_are_gone_is_detached),
        cmocka_unit_test(positions_never_go_below_what_was_acknowledged),
        cmocka_unit_test(a_flipped_bit_moves_no_cursor_forward),
        cmocka_unit_test(the_list_says_how_far_behind_each_is),
        cmocka_unit_test(a_name_is_read_by_one_at_a_time),
        cmocka_unit_test(there_is_a_bound_on_cursors),
        cmocka_unit_test(a_full_disk_makes_no_cursor),
        cmocka_unit_test(many_followers_read_beside_the_writer),
        cmocka_unit_test(a_waiting_follower_can_be_woken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
