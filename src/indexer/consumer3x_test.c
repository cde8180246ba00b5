/*
 * A source on a disk that fails, is full, or loses its power at any call: when all is over every
 * record of the feed is in the log exactly once. The feeder is ours, over a real socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/time.h"
#include "indexer/apply3x.h"
#include "indexer/consumer3x.h"
#include "indexer/datalog2x.h"
#include "indexer/feeder3x_internal.h"
#include "io/sim.h"
#include "service/log.h"
#include "service/metrics.h"
#include "warp10/encoder.h"
#include "warp10/feed3x_record.h"
#include "warp10/refused.h"

#define RECORDS 60
#define WAIT_MS 120000
#define FEEDER_KEY "secp256k1:1234567"
#define CONSUMER_KEY "secp256k1:7654321"

struct end {
    struct io_sim sim;
    struct storage *storage;
    struct conf *conf;
    struct names3x *names;
};

struct world {
    struct end from, to;
    struct feeder3x *feeder;
    struct consumers3x *consumers;
    struct buf source; /* the section of the consumer */
};

static void print_public(struct buf *buf, const char *private)
{
    struct feed3x_key *key;
    assert_int_equal(feed3x_key_private(private, &key), 0);
    feed3x_key_print_public(buf, key);
    feed3x_key_free(&key);
}

/* On a disk that is failing it may not open. */
static int open_storage(struct end *end, uint8_t node)
{
    static const struct storage_well well = {.name = STORAGE_WELL_DEFAULT,
                                             .location = "/data/default"};
    struct storage_options options = {
        .io = &end->sim.io,
        .node = {{node}},
        .datalog_dir = "/data/log",
        .tags_path = "/data/tags.dat",
        .wells = &well,
        .wells_count = 1,
        .datalog_segment_bytes_max = 4000,
        .manual = true,
    };
    return storage_open(&options, &end->storage);
}

static void parse(struct end *end, struct span text)
{
    struct buf problems = {0};
    conf_free(&end->conf);
    assert_int_equal(conf_parse(text, "test", conf_schema_aquifer(), &problems, &end->conf), 0);
    buf_deinit(&problems);
}

static void start_feeder(struct world *world)
{
    struct buf public = {0};
    print_public(&public, CONSUMER_KEY);
    int rc = -1;
    for (unsigned port = 12000 + (unsigned)getpid() % 8000; rc != 0 && port < 20000; port++) {
        struct buf text = {0};
        buf_printf(&text,
                   "[Warp10-Feeder]\nListen=127.0.0.1:%u\nPrivate-Key=" FEEDER_KEY
                   "\nConsumer=c=%s\nEncrypt=false\n",
                   port, buf_str(&public));
        parse(&world->from, buf_span(&text));
        buf_deinit(&text);
        rc = feeder3x_start(io_real(), world->from.conf, world->from.storage, world->from.names,
                            &world->feeder);
    }
    assert_int_equal(rc, 0);
    buf_clear(&public);
    print_public(&public, FEEDER_KEY);
    buf_printf(&world->source,
               "[Datalog]\nDirectory=/data/log\nQuarantine-Directory=/data/quarantine\n"
               "[Datalog-Source \"s\"]\nSource=warp10://127.0.0.1:%u\nID=c\nPrivate-Key=" //
               CONSUMER_KEY "\nFeeder-Key=%s\n",
               listener_port(world->feeder->listener), buf_str(&public));
    buf_deinit(&public);
}

static void write_points(struct world *world, int64_t from, int64_t count)
{
    struct buf key = {0};
    assert_int_equal(series_key_make(&key, SPAN_LIT("fed"), NULL, 0), 0);
    for (int64_t i = from; i < from + count; i++) {
        struct element element = {.time_ns = i * 1000, .type = ELEMENT_I64, .value.i64 = i};
        struct storage_points points = {.key = buf_span(&key), .elements = &element, .count = 1};
        assert_int_equal(storage_append_points(world->from.storage, &points, 1), 0);
    }
    buf_deinit(&key);
}

static void begin(struct world *world)
{
    *world = (struct world){0};
    log_set_level(LOG_LEVEL_OFF);
    io_sim_init(&world->from.sim, 1);
    io_sim_init(&world->to.sim, 2);
    world->to.sim.tick_ns = 50 * TIME_MS_NS; /* the place is kept now and then */
    world->from.names = names3x_new();
    world->to.names = names3x_new();
    assert_int_equal(open_storage(&world->from, 1), 0);
    start_feeder(world);
    parse(&world->to, buf_span(&world->source));
}

static void end(struct world *world)
{
    consumers3x_stop(&world->consumers);
    feeder3x_stop(&world->feeder);
    storage_close(&world->from.storage);
    storage_close(&world->to.storage);
    names3x_free(&world->from.names);
    names3x_free(&world->to.names);
    conf_free(&world->from.conf);
    conf_free(&world->to.conf);
    io_sim_deinit(&world->from.sim);
    io_sim_deinit(&world->to.sim);
    buf_deinit(&world->source);
}

static void follow(struct world *world)
{
    assert_int_equal(consumers3x_start(&world->to.sim.io, world->to.conf, world->to.storage,
                                       world->to.names, &world->consumers),
                     0);
}

/* Threads are using the disk. */
static bool is_off(struct io_sim *sim)
{
    pthread_mutex_lock(&sim->lock);
    bool off = sim->off;
    pthread_mutex_unlock(&sim->lock);
    return off;
}

static void set_space(struct io_sim *sim, uint64_t bytes)
{
    pthread_mutex_lock(&sim->lock);
    sim->space_bytes = bytes;
    pthread_mutex_unlock(&sim->lock);
}

/* ── What is there ───────────────────────────────────────────────────────────────────────── */

/* Records of the log that came from there. */
static uint64_t records_of(struct world *world)
{
    struct buf rows = {0};
    uint64_t records = 0;
    uint64_t hash;
    size_t count = datalog_origin_positions(storage_log(world->to.storage), &rows);
    for (size_t i = 0; i < count; i++) {
        struct datalog_origin_position row;
        memcpy(&row, rows.data + i * sizeof(row), sizeof(row));
        records += datalog2x_is(row.origin.node, &hash) ? row.position : 0;
    }
    buf_deinit(&rows);
    return records;
}

static uint64_t points_of(struct world *world)
{
    struct buf key = {0};
    uint32_t number;
    uint64_t count = 0;
    assert_int_equal(series_key_make(&key, SPAN_LIT("fed"), NULL, 0), 0);
    if (series_catalogue_find(storage_catalogue(world->to.storage), buf_span(&key), &number)) {
        struct well_fetch fetch = {.series = &number,
                                   .series_count = 1,
                                   .start_ns = INT64_MIN,
                                   .end_ns = INT64_MAX,
                                   .count_max = UINT64_MAX};
        struct well_points_cursor *cursor;
        struct well_points points;
        assert_int_equal(storage_fetch(world->to.storage, &fetch, &cursor), 0);
        while (well_points_cursor_next(cursor, &points) == 0) {
            count += points.count;
        }
        well_points_cursor_close(&cursor);
    }
    buf_deinit(&key);
    return count;
}

static void expect_all(struct world *world, uint64_t count)
{
    struct timespec moment = {0, 2000000};
    for (int i = 0; i < WAIT_MS / 2 && points_of(world) < count; i++) {
        nanosleep(&moment, NULL);
    }
    assert_int_equal(points_of(world), count);
    assert_int_equal(records_of(world), count);
}

/* ── Tests ───────────────────────────────────────────────────────────────────────────────── */

static void a_call_that_fails_costs_nothing(void **state)
{
    (void)state;
    for (uint64_t fail_at = 1; fail_at < 60; fail_at += 3) {
        struct world world;
        begin(&world);
        assert_int_equal(open_storage(&world.to, 2), 0);
        write_points(&world, 0, RECORDS / 2);
        world.to.sim.fail_with = ERR_IO;
        world.to.sim.fail_at = world.to.sim.calls + fail_at;
        follow(&world);
        expect_all(&world, RECORDS / 2);
        write_points(&world, RECORDS / 2, RECORDS / 2);
        expect_all(&world, RECORDS);
        end(&world);
    }
}

static void the_power_may_go_at_any_call(void **state)
{
    (void)state;
    unsigned crashes = 0;
    for (uint64_t crash_at = 2; crash_at < 100; crash_at += 4) {
        struct world world;
        struct timespec moment = {0, 2000000};
        int64_t written = RECORDS / 2;
        begin(&world);
        assert_int_equal(open_storage(&world.to, 2), 0);
        write_points(&world, 0, written);
        world.to.sim.crash_at = world.to.sim.calls + crash_at;
        follow(&world);
        for (int i = 0;
             i < WAIT_MS / 2 && !is_off(&world.to.sim) && (i < 200 || records_of(&world) < RECORDS);
             i++) { /* it is called no more once it has had everything for a while */
            if (i % 4 == 0 && written < RECORDS) {
                write_points(&world, written++, 1);
            }
            nanosleep(&moment, NULL);
        }
        crashes += is_off(&world.to.sim);
        consumers3x_stop(&world.consumers);
        storage_close(&world.to.storage);
        io_sim_crash(&world.to.sim);
        assert_int_equal(open_storage(&world.to, 2), 0);
        write_points(&world, written, RECORDS - written);
        follow(&world);
        expect_all(&world, RECORDS);
        end(&world);
    }
    assert_true(crashes > 10);
}

static void a_full_disk_is_waited_for(void **state)
{
    (void)state;
    struct world world;
    struct timespec moment = {0, 50000000};
    begin(&world);
    assert_int_equal(open_storage(&world.to, 2), 0);
    follow(&world);
    write_points(&world, 0, RECORDS / 2);
    expect_all(&world, RECORDS / 2);
    set_space(&world.to.sim, io_sim_used(&world.to.sim) + 100);
    write_points(&world, RECORDS / 2, RECORDS / 2);
    nanosleep(&moment, NULL);
    assert_true(points_of(&world) < RECORDS);
    set_space(&world.to.sim, 0);
    expect_all(&world, RECORDS);
    end(&world);
}

static bool is_told(const char *what)
{
    struct buf text = {0};
    metrics_text(&text);
    bool is = strstr(buf_str(&text), what) != NULL;
    buf_deinit(&text);
    return is;
}

static bool is_connected(void)
{
    return is_told("source_connected{source=\"s\"} 1");
}

/* Else a kill would make a later moment of it. */
static void now_is_kept_before_anything_is_taken(void **state)
{
    (void)state;
    struct world world;
    struct timespec moment = {0, 2000000};
    begin(&world);
    buf_append_str(&world.source, "Start=now\n");
    parse(&world.to, buf_span(&world.source));
    assert_int_equal(open_storage(&world.to, 2), 0);
    set_space(&world.to.sim, io_sim_used(&world.to.sim) + 1);
    follow(&world);
    for (int i = 0; i < WAIT_MS / 2 && !is_told("source_failures_total{source=\"s\"} 1"); i++) {
        assert_false(is_connected());
        nanosleep(&moment, NULL);
    }
    set_space(&world.to.sim, 0);
    for (int i = 0; i < WAIT_MS / 2 && !is_connected(); i++) {
        nanosleep(&moment, NULL);
    }
    assert_true(is_connected());
    end(&world);
}

/* The first time is when it first went there, not when it last did. */
static void what_came_while_it_was_away_is_not_before_now(void **state)
{
    (void)state;
    struct world world;
    struct timespec moment = {0, 2000000};
    begin(&world);
    buf_append_str(&world.source, "Start=now\n");
    parse(&world.to, buf_span(&world.source));
    assert_int_equal(open_storage(&world.to, 2), 0);
    write_points(&world, 0, 5);
    world.from.sim.now_ns += 3600 * TIME_S_NS;
    world.to.sim.now_ns = world.from.sim.now_ns;
    follow(&world);
    for (int i = 0; i < WAIT_MS / 2 && !is_connected(); i++) {
        nanosleep(&moment, NULL);
    }
    assert_true(is_connected());
    consumers3x_stop(&world.consumers);
    world.from.sim.now_ns += 3600 * TIME_S_NS;
    write_points(&world, 5, 7);
    world.to.sim.now_ns += 7200 * TIME_S_NS;
    follow(&world);
    expect_all(&world, 7);
    end(&world);
}

static void take_value(struct apply3x *apply, int64_t created_ms, int64_t value)
{
    struct buf bytes = {0};
    struct encoder encoder = {0};
    struct element element = {.type = ELEMENT_I64, .value.i64 = value};
    encoder_put(&encoder, 5, &element);
    struct feed3x_record record = {.type = FEED3X_UPDATE,
                                   .creator = SPAN_LIT("node-w"),
                                   .created_ms = created_ms,
                                   .stored_ms = created_ms,
                                   .class = SPAN_LIT("fed"),
                                   .points = buf_span(&encoder.buf)};
    feed3x_record_write(&bytes, &record);
    bool aside;
    struct storage_waiter waiter = STORAGE_WAITER;
    int rc = apply3x_take(apply, buf_span(&bytes), &aside, storage_wake, &waiter);
    assert_int_equal(storage_wait(&waiter, rc), 0);
    encoder_deinit(&encoder);
    buf_deinit(&bytes);
}

static int64_t value_of(struct world *world)
{
    struct buf key = {0};
    uint32_t number;
    struct well_points_cursor *cursor;
    struct well_points points;
    assert_int_equal(series_key_make(&key, SPAN_LIT("fed"), NULL, 0), 0);
    assert_true(series_catalogue_find(storage_catalogue(world->to.storage), buf_span(&key), //
                                      &number));
    struct well_fetch fetch = {.series = &number,
                               .series_count = 1,
                               .start_ns = INT64_MIN,
                               .end_ns = INT64_MAX,
                               .count_max = UINT64_MAX};
    assert_int_equal(storage_fetch(world->to.storage, &fetch, &cursor), 0);
    assert_int_equal(well_points_cursor_next(cursor, &points), 0);
    assert_int_equal(points.count, 1);
    int64_t value = well_points_at(&points, 0).value.i64;
    well_points_cursor_close(&cursor);
    buf_deinit(&key);
    return value;
}

/* Records of one millisecond have an order, and a connection that ended is no end of it. */
static void the_last_write_of_a_millisecond_stands_over_connections(void **state)
{
    (void)state;
    struct world world;
    struct offset3x offset = {0};
    begin(&world);
    assert_int_equal(open_storage(&world.to, 2), 0);
    struct apply3x_options options = {.storage = world.to.storage,
                                      .source = "s",
                                      .consumer = SPAN_LIT("c"),
                                      .unit = WARP10_NS,
                                      .names = world.to.names};
    struct apply3x *apply = apply3x_new(&options);
    assert_int_equal(apply3x_resume(apply, &offset), 0);
    take_value(apply, 1000, 1);
    take_value(apply, 1000, 2);
    take_value(apply, 1000, 3);
    apply3x_note(apply, &offset);
    assert_int_equal(apply3x_resume(apply, &offset), 0);
    take_value(apply, 1000, 4);
    assert_int_equal(value_of(&world), 4);
    apply3x_free(&apply);
    offset3x_deinit(&offset);
    end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_fails_costs_nothing),
        cmocka_unit_test(the_power_may_go_at_any_call),
        cmocka_unit_test(a_full_disk_is_waited_for),
        cmocka_unit_test(what_came_while_it_was_away_is_not_before_now),
        cmocka_unit_test(now_is_kept_before_anything_is_taken),
        cmocka_unit_test(the_last_write_of_a_millisecond_stands_over_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
