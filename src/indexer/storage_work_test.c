/*
 * Storage and the followers of its log: what they hold back stays, costs the wells nothing, and
 * has a bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "datalog/cursor.h"
#include "indexer/storage_internal.h"
#include "io/sim.h"

static const struct storage_well wells[] = {
    {.name = STORAGE_WELL_DEFAULT, .location = "/data/default"},
};

static void on_report(void *context, const char *text)
{
    buf_printf(context, "%s\n", text);
}

static struct storage *open_storage(struct io_sim *sim, struct buf *reports)
{
    struct storage_options options = {
        .io = &sim->io,
        .node = {{7}},
        .datalog_dir = "/data/log",
        .tags_path = "/data/tags.dat",
        .wells = wells,
        .wells_count = ARRAY_COUNT(wells),
        .memtable_bytes_max = 1 << 20,
        .datalog_segment_bytes_max = 4000,
        .datalog_kept_bytes_max = 12000,
        .datalog_held_bytes_max = 60000,
        .manual = true,
        .report = on_report,
        .report_context = reports,
    };
    struct storage *storage = NULL;
    assert_int_equal(storage_open(&options, &storage), 0);
    return storage;
}

static void append_bytes(struct storage *storage, uint64_t bytes)
{
    char text[1000] = "x";
    uint16_t tag;
    assert_int_equal(storage_tag(storage, SPAN_LIT("t"), &tag), 0);
    for (uint64_t done = 0; done < bytes; done += sizeof(text)) {
        struct entry entry = {.time_ns = 5, .tag = tag, .data = span_of(text, sizeof(text))};
        assert_int_equal(storage_append(storage, &entry, 1), 0);
    }
}

static struct datalog_cursor *follower(struct storage *storage)
{
    struct datalog_cursor *cursor = NULL;
    assert_int_equal(datalog_cursor_open(storage->log, "follower", &cursor), 0);
    return cursor;
}

/* A follower that lags: what it needs stays, and the wells do not flush for it all the time. */
static void a_lagging_follower_makes_no_well_flush(void **state)
{
    (void)state;
    struct io_sim sim;
    struct buf reports = {0};
    io_sim_init(&sim, 1);
    struct storage *storage = open_storage(&sim, &reports);
    struct datalog_cursor *cursor = follower(storage);
    append_bytes(storage, 30000);
    assert_int_equal(storage_work(storage), 0); /* flushed: they hold back too much */
    assert_true(datalog_first(storage->log) == 1);
    uint64_t flushed = well_flushed(storage->slots.items[0].well);
    for (int i = 0; i < 5; i++) {
        append_bytes(storage, 1000);
        assert_int_equal(storage_work(storage), 0);
        assert_true(well_flushed(storage->slots.items[0].well) == flushed);
    }
    assert_int_equal(datalog_cursor_acknowledge(cursor, flushed), 0);
    assert_int_equal(storage_work(storage), 0);
    assert_true(datalog_first(storage->log) > 1);
    datalog_cursor_close(&cursor);
    storage_close(&storage);
    buf_deinit(&reports);
    io_sim_deinit(&sim);
}

/* A follower that is dead: it is detached, said once, counted, and the log is trimmed. */
static void a_dead_follower_does_not_fill_the_disk(void **state)
{
    (void)state;
    struct io_sim sim;
    struct buf reports = {0};
    io_sim_init(&sim, 1);
    struct storage *storage = open_storage(&sim, &reports);
    struct datalog_cursor *cursor = follower(storage);
    for (int i = 0; i < 10; i++) {
        append_bytes(storage, 20000);
        assert_int_equal(storage_work(storage), 0);
        assert_true(datalog_stats(storage->log).bytes < 60000 + 12000 + 30000);
    }
    assert_true(storage_stats(storage).log_cursors == 1 &&
                storage_stats(storage).log_detached == 1);
    assert_non_null(strstr(buf_str(&reports), "cursor follower is detached"));
    datalog_cursor_close(&cursor);
    storage_close(&storage);
    buf_deinit(&reports);
    io_sim_deinit(&sim);
}

static size_t count(struct buf *text, const char *line)
{
    size_t times = 0;
    for (const char *at = buf_str(text); (at = strstr(at, line)) != NULL; at++) {
        times++;
    }
    return times;
}

/* The log is full, then the disk fails: there is no more room than before. */
static void only_what_was_written_says_that_there_is_room_again(void **state)
{
    (void)state;
    struct io_sim sim;
    struct buf reports = {0};
    io_sim_init(&sim, 1);
    struct storage *storage = open_storage(&sim, &reports);
    char text[1000] = "x";
    uint16_t tag;
    assert_int_equal(storage_tag(storage, SPAN_LIT("t"), &tag), 0);
    struct entry entry = {.time_ns = 5, .tag = tag, .data = span_of(text, sizeof(text))};
    sim.space_bytes = io_sim_used(&sim) + 10;
    assert_int_equal(storage_append(storage, &entry, 1), ERR_NO_SPACE);
    sim.space_bytes = 0;
    sim.fail_at = sim.calls + 1;
    assert_int_equal(storage_append(storage, &entry, 1), ERR_IO);
    assert_true(count(&reports, "ingest stopped") == 1 && count(&reports, "ingest resumed") == 0);
    assert_int_equal(storage_append(storage, &entry, 1), 0);
    assert_true(count(&reports, "ingest stopped") == 1 && count(&reports, "ingest resumed") == 1);
    storage_close(&storage);
    buf_deinit(&reports);
    io_sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lagging_follower_makes_no_well_flush),
        cmocka_unit_test(a_dead_follower_does_not_fill_the_disk),
        cmocka_unit_test(only_what_was_written_says_that_there_is_room_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
