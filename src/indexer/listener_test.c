/*
 * What is claimed: what an ingester was told is stored, is stored; one ingester cannot disturb
 * another; stopping loses nothing that was confirmed. Real sockets, real storage in a folder of
 * its own.
 */
#include "indexer/connection.h"
#include "indexer/listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/vec.h"
#include "ingest/client.h"
#include "series/evs.h"
#include "service/log.h"

#define SECRET "the secret of the tests"
#define DEADLINE_MS 120000

/* The real disk, of which a write of the datalog fails now and then, as a full one's does. */
static struct io_methods faulty_methods;
static struct io faulty = {&faulty_methods};
static atomic_int writes_to_fail; /* the one after so many; negative: none */

static int faulty_open(struct io *io, const char *path, int flags, struct io_file **ret_file)
{
    (void)io;
    int rc = io_real()->methods->open(io_real(), path, flags, ret_file);
    if (rc == 0) {
        (*ret_file)->methods = &faulty_methods;
    }
    return rc;
}

static int faulty_write(struct io_file *file, uint64_t offset, struct span data)
{
    if (strstr(file->path, "/datalog/") != NULL && atomic_load(&writes_to_fail) >= 0 &&
        atomic_fetch_sub(&writes_to_fail, 1) == 0) {
        (void)poll(NULL, 0, 20); /* a slow disk: more comes meanwhile */
        return err_set(ERR_NO_SPACE, "write %s: for a test", file->path);
    }
    return io_real()->methods->write_at(file, offset, data);
}

struct world {
    char dir[64];
    char path[4][100]; /* datalog, tags, well, pipe */
    char states_path[100];
    struct storage *storage;
    struct states *states;
    struct connection_shared shared;
    struct listener *listener;
    char target[64];
};

static void world_open(struct world *world)
{
    const char *const names[] = {"datalog", "tags.dat", "well", "pipe"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        snprintf(world->path[i], sizeof(world->path[i]), "%s/%s", world->dir, names[i]);
    }
    snprintf(world->states_path, sizeof(world->states_path), "%s/states.json", world->dir);
    struct storage_well well = {.name = STORAGE_WELL_DEFAULT, .location = world->path[2]};
    faulty_methods = *io_real()->methods;
    faulty_methods.open = faulty_open;
    faulty_methods.write_at = faulty_write;
    atomic_store(&writes_to_fail, -1);
    struct storage_options options = {
        .io = &faulty,
        .node = {{1}},
        .datalog_dir = world->path[0],
        .tags_path = world->path[1],
        .wells = &well,
        .wells_count = 1,
    };
    assert_int_equal(storage_open(&options, &world->storage), 0);
    assert_int_equal(states_start(io_real(), world->states_path, &world->states), 0);
    world->shared = (struct connection_shared){
        .io = io_real(), .storage = world->storage, .states = world->states};
    struct listener_options listen = {
        .io = io_real(),
        .kind = &connection_kind,
        .shared = &world->shared,
        .address = "127.0.0.1",
        .pipe_path = world->path[3],
    };
    ingest_secret_hash(SPAN_LIT(SECRET), world->shared.secret_hash);
    assert_int_equal(listener_start(&listen, &world->listener), 0);
    snprintf(world->target, sizeof(world->target), "127.0.0.1:%u", listener_port(world->listener));
}

static void world_close(struct world *world)
{
    listener_stop(&world->listener);
    states_stop(&world->states);
    storage_close(&world->storage);
}

static int make_world(void **state)
{
    struct world *world = MEM_NEW(struct world);
    snprintf(world->dir, sizeof(world->dir), "/tmp/aquifer-listener-test-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    log_set_level(LOG_LEVEL_OFF);
    world_open(world);
    *state = world;
    return 0;
}

static int remove_tree(void *context, const char *name);

static void remove_path(const char *path)
{
    if (io_remove(io_real(), path) < 0 &&
        io_list(io_real(), path, remove_tree, (void *)path) == 0) {
        (void)!io_remove_dir(io_real(), path);
    }
}

static int remove_tree(void *context, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", (const char *)context, name);
    remove_path(path);
    return 0;
}

static int end_world(void **state)
{
    struct world *world = *state;
    world_close(world);
    remove_path(world->dir);
    mem_free(world);
    return 0;
}

/* ---- helpers ---- */

static struct ingest_client *client_to(const char *target, const char *secret)
{
    const char *const targets[] = {target};
    struct ingest_client_options options = {.targets = targets,
                                            .target_count = 1,
                                            .secret = secret,
                                            .uuid = "11111111-2222-3333-4444-555555555555",
                                            .patience_ms = DEADLINE_MS};
    struct ingest_client *client;
    assert_int_equal(ingest_client_new(&options, &client), 0);
    return client;
}

/* Appends the data of all entries of the tag to `data`, oldest first; returns how many. */
static size_t scan(struct world *world, const char *tag, struct buf *data)
{
    uint16_t number;
    assert_true(series_tags_find(storage_tags(world->storage), span_of_str(tag), &number));
    struct well_scan scan = {
        .start_ns = TIME_MIN_NS, .end_ns = TIME_MAX_NS, .tags = &number, .tags_count = 1};
    struct well_cursor *cursor;
    assert_int_equal(storage_scan(world->storage, &scan, &cursor), 0);
    struct well_block block;
    size_t sum = 0;
    while (well_cursor_next(cursor, &block) == 0) {
        const struct entry *entries = block.entries;
        for (size_t i = 0; i < block.count && data != NULL; i++) {
            entry_source_text(data, entries[i].source);
            buf_printf(data, " %lld %.*s", (long long)entries[i].time_ns,
                       SPAN_ARG(entries[i].data));
            struct series_ev ev;
            if (series_evs_find(entries[i].enumerated, SPAN_LIT("user"), &ev)) {
                buf_append_byte(data, ' ');
                series_ev_text(data, &ev);
            }
            buf_append_byte(data, '\n');
        }
        sum += block.count;
    }
    well_cursor_close(&cursor);
    return sum;
}

static void send_some(struct ingest_client *client, const char *tag, size_t count)
{
    uint16_t number;
    assert_int_equal(ingest_client_tag(client, tag, &number), 0);
    for (size_t i = 0; i < count; i++) {
        char data[64];
        snprintf(data, sizeof(data), "%s %zu", tag, i);
        assert_int_equal(
            ingest_client_send(client, number, (int64_t)i, NULL, span_of_str(data), SPAN_NONE), 0);
    }
}

/* ---- tests ---- */

static void what_was_confirmed_is_found_at_once_and_whole(void **state)
{
    struct world *world = *state;
    struct ingest_client *client = client_to(world->target, SECRET);
    uint16_t tag;
    uint8_t source[16];
    struct buf evs = {0};
    size_t begin = series_evs_begin(&evs);
    struct series_ev ev = {SPAN_LIT("user"), SPAN_LIT("bob"), SERIES_EV_TEXT};
    assert_int_equal(series_evs_put(&evs, begin, ev), 0);
    assert_int_equal(ingest_client_tag(client, "web", &tag), 0);
    assert_true(entry_source_parse(SPAN_LIT("10.0.0.1"), source));
    assert_int_equal(ingest_client_send(client, tag, 1, source, SPAN_LIT("one"), buf_span(&evs)),
                     0);
    assert_true(entry_source_parse(SPAN_LIT("fe80::1"), source));
    assert_int_equal(ingest_client_send(client, tag, 2, source, SPAN_LIT("two"), SPAN_NONE), 0);
    assert_int_equal(ingest_client_send(client, tag, 3, NULL, SPAN_LIT(""), SPAN_NONE), 0);
    assert_int_equal(ingest_client_sync(client), 0);
    struct buf found = {0};
    assert_int_equal(scan(world, "web", &found), 3);
    assert_string_equal(buf_str(&found), "10.0.0.1 1 one bob\nfe80::1 2 two\n127.0.0.1 3 \n");
    buf_deinit(&found);
    buf_deinit(&evs);
    ingest_client_free(&client);
}

struct feeder {
    const char *target;
    const char *tag;
};

static void *feed(void *context)
{
    const struct feeder *feeder = context;
    struct ingest_client *client = client_to(feeder->target, SECRET);
    send_some(client, feeder->tag, 6000);
    assert_int_equal(ingest_client_sync(client), 0);
    ingest_client_free(&client);
    return NULL;
}

static void many_ingesters_get_all_their_confirmations(void **state)
{
    struct world *world = *state;
    struct feeder feeders[] = {
        {world->target, "a"}, {world->target, "b"}, {world->path[3], "c"}, {world->target, "a"}};
    pthread_t threads[ARRAY_COUNT(feeders)];
    for (size_t i = 0; i < ARRAY_COUNT(feeders); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, feed, &feeders[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(feeders); i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(scan(world, "a", NULL), 12000);
    assert_int_equal(scan(world, "b", NULL), 6000);
    assert_int_equal(scan(world, "c", NULL), 6000);
}

static void a_wrong_secret_is_refused(void **state)
{
    struct world *world = *state;
    struct ingest_client *client = client_to(world->target, "another");
    assert_int_equal(ingest_client_connect(client), ERR_AUTH);
    ingest_client_free(&client);
}

static int connect_raw(struct world *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons(listener_port(world->listener))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Garbage before, during and after the log-in; a good ingester beside it notices nothing. */
static void garbage_costs_its_own_connection_only(void **state)
{
    struct world *world = *state;
    struct ingest_client *client = client_to(world->target, SECRET);
    assert_int_equal(ingest_client_connect(client), 0);
    for (size_t bytes = 1; bytes <= 4096; bytes *= 8) {
        uint8_t garbage[4096];
        memset(garbage, 0xA5, sizeof(garbage));
        int fd = connect_raw(world);
        assert_int_equal(send(fd, garbage, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
        shutdown(fd, SHUT_WR);
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        while (poll(&poller, 1, DEADLINE_MS) > 0 && recv(fd, garbage, sizeof(garbage), 0) > 0) {}
        close(fd); /* the indexer has ended it */
    }
    send_some(client, "good", 100);
    assert_int_equal(ingest_client_sync(client), 0);
    assert_int_equal(scan(world, "good", NULL), 100);
    ingest_client_free(&client);
}

struct stopper {
    struct world *world;
    atomic_bool stopped;
};

static void *stop_soon(void *context)
{
    struct stopper *stopper = context;
    struct world *world = stopper->world;
    uint16_t tag;
    while (!series_tags_find(storage_tags(world->storage), SPAN_LIT("busy"), &tag) ||
           storage_stats(world->storage).entries_accepted < 1000) {
        (void)poll(NULL, 0, 1);
    }
    listener_stop(&world->listener);
    atomic_store(&stopper->stopped, true);
    return NULL;
}

/* The listener is stopped while entries stream in: what the client counts as confirmed is there
 * after a restart. */
static void stopping_keeps_what_was_confirmed(void **state)
{
    struct world *world = *state;
    const char *const targets[] = {world->target};
    struct ingest_client_options options = {.targets = targets,
                                            .target_count = 1,
                                            .secret = SECRET,
                                            .patience_ms = 200,
                                            .connect_ms = DEADLINE_MS};
    struct ingest_client *client;
    assert_int_equal(ingest_client_new(&options, &client), 0);
    uint16_t tag;
    assert_int_equal(ingest_client_connect(client), 0);
    int rc;
    do { /* a busy disk is slower than its patience, which only is to end the last one */
        rc = ingest_client_tag(client, "busy", &tag);
    } while (rc == ERR_TIMEOUT);
    assert_int_equal(rc, 0);
    struct stopper stopper = {.world = world};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, &stopper), 0);
    for (int64_t i = 0; rc == 0 || !atomic_load(&stopper.stopped); i++) {
        rc = ingest_client_send(client, tag, i, NULL, SPAN_LIT("busy line"), SPAN_NONE);
    }
    pthread_join(thread, NULL);
    assert_true(atomic_load(&stopper.stopped));
    (void)!ingest_client_poll(client);
    struct ingest_client_stats stats;
    ingest_client_stats(client, &stats);
    ingest_client_free(&client);
    assert_true(stats.confirmed >= 1000);
    states_stop(&world->states);
    storage_close(&world->storage);
    world_open(world);
    assert_true(scan(world, "busy", NULL) >= stats.confirmed);
}

/* An ingester's description of itself outlives the indexer. */
static void ingester_states_survive_a_restart(void **state)
{
    struct world *world = *state;
    struct ingest_client *client = client_to(world->target, SECRET);
    assert_int_equal(ingest_client_connect(client), 0);
    send_some(client, "described", 3);
    assert_int_equal(ingest_client_report(client), 0);
    send_some(client, "described", 1);
    assert_int_equal(ingest_client_sync(client), 0); /* behind the report, so it was read */
    ingest_client_free(&client);
    world_close(world);
    world_open(world);
    json_t *states = states_json(world->states);
    const json_t *mine = json_object_get(states, "11111111-2222-3333-4444-555555555555");
    assert_non_null(mine);
    assert_string_equal(json_string_value(json_object_get(mine, "Name")), "aquifer");
    assert_int_equal(json_integer_value(json_object_get(mine, "Entries")), 3);
    json_decref(states);
}

/* A socket left over from a crash is replaced; a file that is none is not touched. */
static void a_stale_socket_is_replaced_but_no_other_file(void **state)
{
    struct world *world = *state;
    world_close(world);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", world->path[3]);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    world_open(world);
    world->shared = (struct connection_shared){
        .io = io_real(), .storage = world->storage, .states = world->states};
    struct listener_options listen = {
        .io = io_real(),
        .kind = &connection_kind,
        .shared = &world->shared,
        .address = "127.0.0.1",
        .pipe_path = world->states_path,
    };
    assert_int_equal(io_write_file(io_real(), world->states_path, SPAN_LIT("{}")), 0);
    struct listener *second;
    assert_int_equal(listener_start(&listen, &second), ERR_EXISTS);
    listen.pipe_path = world->path[3];
    assert_int_equal(listener_start(&listen, &second), ERR_EXISTS);
    assert_non_null(strstr(err_text(), "another process listens"));
    assert_true(io_exists(io_real(), world->states_path));
}

/* A batch fails, the ones behind it are already on their way and are stored: what they hold must
 * not be taken for what failed. */
static void a_batch_that_failed_is_not_confirmed_by_the_next(void **state)
{
    struct world *world = *state;
    struct ingest_client *client = client_to(world->target, SECRET);
    for (int round = 0; round < 12; round++) {
        char tag[32];
        uint16_t number;
        snprintf(tag, sizeof(tag), "round-%d", round);
        assert_int_equal(ingest_client_tag(client, tag, &number), 0);
        atomic_store(&writes_to_fail, round % 4);
        send_some(client, tag, 20000);
        assert_int_equal(ingest_client_sync(client), 0);
        atomic_store(&writes_to_fail, -1);
        struct buf data = {0};
        assert_true(scan(world, tag, &data) >= 20000);
        VEC(bool) found = {0};
        for (size_t i = 0; i < 20000; i++) {
            vec_push(&found, false);
        }
        struct span rest = buf_span(&data);
        struct span line;
        while (span_split(&rest, '\n', &line)) {
            uint64_t id;
            while (span_find_byte(line, ' ') >= 0) {
                struct span word;
                (void)span_split(&line, ' ', &word);
            }
            assert_true(span_to_u64(line, &id) && id < 20000);
            found.items[id] = true;
        }
        for (size_t i = 0; i < 20000; i++) {
            assert_true(found.items[i]);
        }
        vec_deinit(&found);
        buf_deinit(&data);
    }
    ingest_client_free(&client);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_batch_that_failed_is_not_confirmed_by_the_next),
        IN_WORLD(what_was_confirmed_is_found_at_once_and_whole),
        IN_WORLD(many_ingesters_get_all_their_confirmations),
        IN_WORLD(a_wrong_secret_is_refused),
        IN_WORLD(garbage_costs_its_own_connection_only),
        IN_WORLD(stopping_keeps_what_was_confirmed),
        IN_WORLD(ingester_states_survive_a_restart),
        IN_WORLD(a_stale_socket_is_replaced_but_no_other_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
