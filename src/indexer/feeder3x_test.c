/*
 * The feeder over a real socket, with a log that is trimmed: a consumer that was away for too
 * long is told what there is, and what it lacks is counted; one that is there holds the log.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "indexer/feeder3x_internal.h"
#include "indexer/link3x.h"
#include "io/sim.h"
#include "service/log.h"
#include "warp10/encoder.h"
#include "warp10/feed3x_record.h"

#define SEGMENT_BYTES 4000
#define HELD_BYTES 12000
#define FEEDER_KEY "secp256k1:1234567"
#define CONSUMER_KEY "secp256k1:7654321"

struct world {
    struct io_sim sim;
    struct storage *storage;
    struct names3x *names;
    struct conf *conf;
    struct feeder3x *feeder;
    struct feed3x_key *consumer_key;
    struct feed3x_peer peer;
    struct feed3x_nonces nonces;
    struct feed3x_options options;
};

/* A consumer. */
struct client {
    struct link3x link;
    struct feed3x_session session;
    int stop_fd;
    struct buf ref; /* of the record taken last */
    int64_t time;   /* of its point */
};

static void print_public(struct buf *buf, const char *private)
{
    struct feed3x_key *key;
    assert_int_equal(feed3x_key_private(private, &key), 0);
    feed3x_key_print_public(buf, key);
    feed3x_key_free(&key);
}

static void open_storage(struct world *world)
{
    static const struct storage_well well = {.name = STORAGE_WELL_DEFAULT,
                                             .location = "/data/default"};
    struct storage_options options = {
        .io = &world->sim.io,
        .node = {{7}},
        .datalog_dir = "/data/log",
        .tags_path = "/data/tags.dat",
        .wells = &well,
        .wells_count = 1,
        .datalog_segment_bytes_max = SEGMENT_BYTES,
        .datalog_kept_bytes_max = 2 * SEGMENT_BYTES,
        .datalog_held_bytes_max = HELD_BYTES,
        .manual = true,
    };
    assert_int_equal(storage_open(&options, &world->storage), 0);
}

/* The first port that is free, from one on that is this process's: below those of cluster tests. */
static void start_feeder(struct world *world)
{
    struct buf public = {0};
    struct buf problems = {0};
    print_public(&public, CONSUMER_KEY);
    int rc = -1;
    for (unsigned i = 0; rc != 0 && i < 8000; i++) {
        unsigned port = 12000 + ((unsigned)getpid() + i) % 8000;
        struct buf text = {0};
        conf_free(&world->conf);
        buf_printf(&text,
                   "[Warp10-Feeder]\nListen=127.0.0.1:%u\nID=feeder\nPrivate-Key=" FEEDER_KEY
                   "\nConsumer=c=%s\n",
                   port, buf_str(&public));
        assert_int_equal(
            conf_parse(buf_span(&text), "test", conf_schema_aquifer(), &problems, &world->conf), 0);
        buf_deinit(&text);
        rc = feeder3x_start(io_real(), world->conf, world->storage, world->names, &world->feeder);
    }
    assert_int_equal(rc, 0);
    buf_deinit(&public);
    buf_deinit(&problems);
}

static int set_up(void **state)
{
    struct world *world = MEM_NEW(struct world);
    struct buf public = {0};
    log_set_level(LOG_LEVEL_OFF);
    io_sim_init(&world->sim, 1);
    open_storage(world);
    world->names = names3x_new();
    start_feeder(world);
    print_public(&public, FEEDER_KEY);
    assert_int_equal(feed3x_key_private(CONSUMER_KEY, &world->consumer_key), 0);
    assert_int_equal(
        feed3x_key_public(buf_str(&public), (struct feed3x_key **)(uintptr_t)&world->peer.key), 0);
    world->options = (struct feed3x_options){.io = io_real(),
                                             .id = SPAN_LIT("c"),
                                             .key = world->consumer_key,
                                             .peers = &world->peer,
                                             .peer_count = 1,
                                             .nonces = &world->nonces};
    buf_deinit(&public);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    feeder3x_stop(&world->feeder);
    conf_free(&world->conf);
    names3x_free(&world->names);
    storage_close(&world->storage);
    io_sim_deinit(&world->sim);
    feed3x_key_free(&world->consumer_key);
    feed3x_key_free((struct feed3x_key **)(uintptr_t)&world->peer.key);
    mem_free(world);
    return 0;
}

/* ── What is written ─────────────────────────────────────────────────────────────────────── */

/* One record each, with a text that fills the log. */
static void write_points(struct world *world, int64_t from, int64_t count)
{
    struct buf key = {0};
    char text[500];
    memset(text, 'x', sizeof(text));
    assert_int_equal(series_key_make(&key, SPAN_LIT("fed"), NULL, 0), 0);
    for (int64_t i = from; i < from + count; i++) {
        struct element element = {
            .time_ns = i * 1000, .type = ELEMENT_TEXT, .value.bytes = span_of(text, sizeof(text))};
        struct storage_points points = {.key = buf_span(&key), .elements = &element, .count = 1};
        assert_int_equal(storage_append_points(world->storage, &points, 1), 0);
    }
    buf_deinit(&key);
}

/* ── A consumer ──────────────────────────────────────────────────────────────────────────── */

static void connect_client(struct world *world, struct client *client, struct span ref)
{
    struct ingest_target target = {
        .scheme = INGEST_TCP, .host = "127.0.0.1", .port = listener_port(world->feeder->listener)};
    struct ingest_stream_options options = {.connect_timeout_ms = 120000};
    struct ingest_stream *stream;
    struct span body;
    enum feed3x_event event;
    *client = (struct client){.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    assert_int_equal(ingest_stream_connect(&target, &options, &stream), 0);
    link3x_init(&client->link, io_real(), stream);
    feed3x_consumer_init(&client->session, &world->options);
    assert_int_equal(link3x_expect(&client->link, client->stop_fd, &body), 0);
    assert_int_equal(feed3x_consumer_take(&client->session, body, &event), 0);
    assert_int_equal(event, FEED3X_GREETED);
    assert_int_equal(feed3x_consumer_begin(&client->session, ref, 0, link3x_out(&client->link)), 0);
}

/* The next UPDATE, whose point is looked into; what comes before it is committed too. */
static void take_update(struct client *client)
{
    struct arena *arena = arena_new(4 << 20);
    struct feed3x_record record = {0};
    struct span body;
    enum feed3x_event event;
    struct element element;
    while (record.type != FEED3X_UPDATE) {
        arena_reset(arena);
        assert_int_equal(link3x_expect(&client->link, client->stop_fd, &body), 0);
        assert_int_equal(feed3x_consumer_take(&client->session, body, &event), 0);
        assert_int_equal(event, FEED3X_RECORD);
        const struct feed3x_message *message = &client->session.message;
        buf_clear(&client->ref);
        buf_append(&client->ref, message->ref);
        assert_int_equal(feed3x_record_read(arena, message->record, &record), 0);
        if (record.type == FEED3X_UPDATE) {
            struct decoder decoder = decoder_of(record.points, record.base);
            assert_int_equal(decoder_next(&decoder, &client->time, &element), 0);
        }
        assert_int_equal(feed3x_consumer_commit(&client->session, buf_span(&client->ref),
                                                link3x_out(&client->link)),
                         0);
    }
    arena_free(&arena);
}

static void close_client(struct client *client)
{
    (void)!link3x_write(&client->link);
    link3x_deinit(&client->link);
    feed3x_session_deinit(&client->session);
    buf_deinit(&client->ref);
    close(client->stop_fd);
}

/* ── Tests ───────────────────────────────────────────────────────────────────────────────── */

static void who_was_away_for_too_long_gets_what_there_is_and_it_is_counted(void **state)
{
    struct world *world = *state;
    struct client client;
    struct buf ref = {0};
    write_points(world, 0, 10);
    connect_client(world, &client, SPAN_NONE);
    for (int64_t i = 0; i < 5; i++) {
        take_update(&client);
        assert_int_equal(client.time, i);
    }
    buf_append(&ref, buf_span(&client.ref));
    close_client(&client);
    write_points(world, 10, 100);
    assert_int_equal(storage_flush(world->storage), 0);
    assert_int_equal(storage_work(world->storage), 0);
    uint64_t first = datalog_first(storage_log(world->storage));
    assert_true(first > 20);
    connect_client(world, &client, buf_span(&ref));
    take_update(&client);
    assert_true(client.time > 10);
    int64_t begun = client.time;
    while (client.time < 109) {
        take_update(&client);
    }
    assert_true(atomic_load(&world->feeder->consumers[0].missed) >= (uint64_t)(begun - 5));
    close_client(&client);
    buf_deinit(&ref);
}

static void who_is_behind_holds_the_log_and_misses_nothing(void **state)
{
    struct world *world = *state;
    struct client client;
    struct buf ref = {0};
    write_points(world, 0, 10);
    connect_client(world, &client, SPAN_NONE);
    for (int64_t i = 0; i < 5; i++) {
        take_update(&client);
    }
    buf_append(&ref, buf_span(&client.ref));
    close_client(&client);
    write_points(world, 10, 6); /* less than is held */
    assert_int_equal(storage_flush(world->storage), 0);
    assert_int_equal(storage_work(world->storage), 0);
    connect_client(world, &client, buf_span(&ref));
    for (int64_t i = 4; i < 16; i++) {
        take_update(&client);
        assert_int_equal(client.time, i);
    }
    assert_int_equal(atomic_load(&world->feeder->consumers[0].missed), 0);
    close_client(&client);
    buf_deinit(&ref);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            who_was_away_for_too_long_gets_what_there_is_and_it_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_behind_holds_the_log_and_misses_nothing, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
