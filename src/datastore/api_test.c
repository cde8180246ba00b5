/*
 * Claims: what is written on one webserver is on the other within milliseconds, whoever is away
 * meanwhile, and nothing that was acknowledged is lost. Everything is real here: SQLite in a
 * temporary directory, HTTP with Control-Auth on loopback; only the rooms around are missing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/testing_port.h"
#include "base/time.h"
#include "datastore/api.h"
#include "sync/presence.h"

#define WEBSERVERS 3
#define WAIT_MS 120000
#define INTERVAL_MS 20000 /* who is silent for three of these is away: nobody here */

struct node {
    char *name;
    int64_t interval_ms;
    struct store *store;
    struct sync *sync;
    struct uuid uuid;
    _Atomic int unreadable; /* changes, as told */
};

#ifndef API_TEST_BACKEND /* api_etcd_test.c makes the same claims of datastores over etcd */
#define OVER_FILES true
static int begin_suite(void **state)
{
    (void)state;
    return 0;
}

static int end_suite(void **state)
{
    (void)state;
    return 0;
}

static void open_server(const struct store_options *options, struct store **ret_store,
                        struct sync_server **ret_server, struct etcd_follower **ret_follower)
{
    int rc = store_open(options, ret_store);
    if (rc < 0) {
        fail_msg("%s", err_text());
    }
    struct sync_server_options server = {.io = io_real(), .store = *ret_store};
    assert_int_equal(sync_server_new(&server, ret_server), 0);
    *ret_follower = NULL;
}

static void start_follower(struct etcd_follower *follower, uint16_t port)
{
    (void)follower;
    (void)port;
}

static void close_server(struct store **store, struct sync_server **server,
                         struct etcd_follower **follower)
{
    (void)follower;
    sync_server_free(server);
    store_close(store);
}
#endif

struct world {
    char dir[64];
    struct testing_port port;
    struct store *store;
    struct sync_server *server;
    struct etcd_follower *follower;
    struct api *api;
    struct http_server *http;
    struct node nodes[WEBSERVERS];
};

static int64_t now_ms(void)
{
    return io_monotonic_ns(io_real()) / TIME_MS_NS;
}

static void nap(void)
{
    usleep(1000);
}

#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        int64_t until_ms = now_ms() + WAIT_MS;                                                     \
        bool holds = false;                                                                        \
        while (!(holds = (condition)) && now_ms() < until_ms) {                                    \
            nap();                                                                                 \
        }                                                                                          \
        assert_true(holds);                                                                        \
    } while (0)

/* ---- the world ---- */

struct paths {
    char *users, *web, *blobs;
};

static struct store_options options_of(struct world *world, const char *name, bool authority,
                                       struct paths *paths)
{
    paths->users = mem_printf("%s/%s-users.db", world->dir, name);
    paths->web = mem_printf("%s/%s-webstore.db", world->dir, name);
    paths->blobs = mem_printf("%s/%s-resources", world->dir, name);
    return (struct store_options){.io = io_real(),
                                  .users_path = paths->users,
                                  .web_path = paths->web,
                                  .blob_dir = paths->blobs,
                                  .authority = authority};
}

static void free_paths(struct paths *paths)
{
    mem_free(paths->users);
    mem_free(paths->web);
    mem_free(paths->blobs);
}

static struct store *open_store(struct world *world, const char *name, bool authority)
{
    struct paths paths;
    struct store_options options = options_of(world, name, authority, &paths);
    struct store *store = NULL;
    int rc = store_open(&options, &store);
    if (rc < 0) {
        fail_msg("%s", err_text());
    }
    free_paths(&paths);
    return store;
}

static void start_datastore_as(struct world *world, const char *name)
{
    struct paths paths;
    struct store_options options = options_of(world, name, true, &paths);
    open_server(&options, &world->store, &world->server, &world->follower);
    free_paths(&paths);
    world->api = api_new(world->store, world->server, world->follower);
    struct http_server_options http = {.io = io_real(),
                                       .address = "127.0.0.1",
                                       .port = world->port.number,
                                       .control_secret = "secret",
                                       .drain_timeout_ms = 500};
    struct http_routes table = {api_routes, api_route_count, world->api};
    assert_int_equal(http_server_start(&http, &table, 1, &world->http), 0);
    start_follower(world->follower, world->port.number);
}

static void start_datastore(struct world *world)
{
    start_datastore_as(world, "datastore");
}

static void stop_datastore(struct world *world)
{
    api_stop(world->api);
    http_server_stop(&world->http);
    api_free(&world->api);
    close_server(&world->store, &world->server, &world->follower);
}

static void print_event(void *context, enum sync_level level, const char *event, const char *text)
{
    ((struct node *)context)->unreadable += strcmp(event, "unreadable-change") == 0 ? 1 : 0;
    if (getenv("VERBOSE") != NULL) {
        printf("%s %d %s: %s\n", ((struct node *)context)->name, level, event, text);
    }
}

static void start_node(struct world *world, size_t index)
{
    struct node *node = &world->nodes[index];
    char address[64];
    const char *datastores[] = {address};
    snprintf(address, sizeof(address), "127.0.0.1:%u", world->port.number);
    node->store = open_store(world, node->name, false);
    struct sync_options options = {.io = io_real(),
                                   .store = node->store,
                                   .datastores = datastores,
                                   .datastore_count = 1,
                                   .control_secret = "secret",
                                   .webserver = node->uuid,
                                   .external_addr = node->name,
                                   .interval_ms = node->interval_ms,
                                   .confirm_wait_ms = 10000,
                                   .on_event = print_event,
                                   .context = node};
    assert_int_equal(sync_start(&options, &node->sync), 0);
}

static void stop_node(struct node *node)
{
    sync_stop(&node->sync);
    store_close(&node->store);
}

static enum sync_state state_of(struct node *node)
{
    struct sync_status status;
    sync_status(node->sync, &status);
    return status.state;
}

static uint64_t dirty_of(struct node *node)
{
    uint64_t dirty = 0;
    assert_int_equal(store_dirty_count(node->store, &dirty), 0);
    return dirty;
}

static int set_up(void **state)
{
    struct world *world = MEM_NEW(struct world);
    snprintf(world->dir, sizeof(world->dir), "/tmp/aquifer-datastore-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    world->port = testing_port_take();
    start_datastore(world);
    for (size_t i = 0; i < WEBSERVERS; i++) {
        world->nodes[i].name = mem_printf("web%zu", i);
        world->nodes[i].uuid.bytes[0] = (uint8_t)(i + 1);
        world->nodes[i].interval_ms = INTERVAL_MS;
        start_node(world, i);
    }
    for (size_t i = 0; i < WEBSERVERS; i++) {
        WAIT_FOR(state_of(&world->nodes[i]) == SYNC_STATE_LIVE);
    }
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < WEBSERVERS; i++) {
        if (world->nodes[i].sync != NULL) {
            stop_node(&world->nodes[i]);
        }
        mem_free(world->nodes[i].name);
    }
    if (world->http != NULL) {
        stop_datastore(world);
    }
    testing_port_give_back(&world->port);
    char *command = mem_printf("rm -rf %s", world->dir);
    assert_int_equal(system(command), 0);
    mem_free(command);
    mem_free(world);
    return 0;
}

/* ---- words ---- */

static struct object *dashboard(const char *name)
{
    struct object *object = object_new(OBJECT_DASHBOARD);
    object->owner = 1;
    object_set_name(object, name);
    object_set_body(object, json_pack("{s:{s:[]}}", "Data", "tiles"));
    return object;
}

static struct object *user(uint64_t uid, const char *name)
{
    struct object *object = object_new(OBJECT_USER);
    object->number = uid;
    object->owner = (int32_t)uid;
    object_set_name(object, name);
    return object;
}

static struct uuid create(struct node *node, const char *name)
{
    struct object *object = dashboard(name);
    int rc = sync_write(node->sync, object, SYNC_BY_KIND);
    if (rc < 0) {
        fail_msg("%s: %s", name, err_text());
    }
    struct uuid id = object->id;
    object_free(&object);
    return id;
}

/* A machine that stands still for seconds looks like a datastore that is away. */
static int write_account(struct node *node, struct object *account)
{
    int rc = 0;
    WAIT_FOR((rc = sync_write(node->sync, account, SYNC_BY_KIND)) != ERR_UNAVAILABLE);
    return rc;
}

static int rename_to(struct node *node, struct uuid id, const char *name)
{
    struct object *object = NULL;
    assert_int_equal(store_get(node->store, &id, &object), 0);
    object_set_name(object, name);
    int rc = sync_write(node->sync, object, SYNC_BY_KIND);
    object_free(&object);
    return rc;
}

static bool has_name(struct node *node, struct uuid id, const char *name)
{
    struct object *object = NULL;
    int rc = store_get(node->store, &id, &object);
    bool same = rc == 0 && strcmp(object->name, name) == 0;
    object_free(&object);
    return same;
}

static bool is_gone(struct node *node, struct uuid id)
{
    struct object *object = NULL;
    bool gone = store_get(node->store, &id, &object) == STORE_ABSENT;
    object_free(&object);
    return gone;
}

static bool has_named(struct node *node, const char *name)
{
    struct object *object = NULL;
    bool there = store_get_by_name(node->store, OBJECT_DASHBOARD, -1, name, &object) == 0;
    object_free(&object);
    return there;
}

/* ---- the claims ---- */

static void a_change_on_one_webserver_is_on_the_others(void **state)
{
    struct world *world = *state;
    struct uuid id = create(&world->nodes[0], "net");
    assert_int_equal(dirty_of(&world->nodes[0]), 0);
    WAIT_FOR(has_name(&world->nodes[1], id, "net"));
    WAIT_FOR(has_name(&world->nodes[2], id, "net"));
    assert_int_equal(rename_to(&world->nodes[1], id, "network"), 0);
    WAIT_FOR(has_name(&world->nodes[0], id, "network"));
    WAIT_FOR(has_name(&world->nodes[2], id, "network")); /* else its delete yields to the edit */
    assert_int_equal(sync_delete(world->nodes[2].sync, &id, SYNC_BY_KIND), 0);
    WAIT_FOR(is_gone(&world->nodes[0], id));
    WAIT_FOR(is_gone(&world->nodes[1], id));
}

static void who_waits_for_the_revision_of_a_write_reads_it(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 50; i++) {
        struct object *object = dashboard("read your writes");
        assert_int_equal(sync_write(world->nodes[0].sync, object, SYNC_BY_KIND), 0);
        assert_int_not_equal(object->revision, 0);
        assert_true(sync_revision_told(world->nodes[0].sync) >= object->revision);
        assert_int_equal(sync_wait_revision(world->nodes[1].sync, object->revision, WAIT_MS), 0);
        assert_true(has_name(&world->nodes[1], object->id, "read your writes"));
        object_free(&object);
    }
}

/* One that would look for changes itself only once in ten minutes. */
static void a_change_is_brought_and_not_waited_for(void **state)
{
    struct world *world = *state;
    struct node *reader = &world->nodes[1];
    stop_node(reader);
    reader->interval_ms = 600000;
    start_node(world, 1);
    WAIT_FOR(state_of(reader) == SYNC_STATE_LIVE);
    for (int i = 0; i < 50; i++) {
        struct uuid id = create(&world->nodes[0], "quick");
        WAIT_FOR(!is_gone(reader, id));
    }
}

static void without_the_datastore_work_goes_on_and_is_pushed_later(void **state)
{
    struct world *world = *state;
    struct uuid before = create(&world->nodes[0], "before");
    WAIT_FOR(has_name(&world->nodes[1], before, "before"));
    stop_datastore(world);
    WAIT_FOR(state_of(&world->nodes[0]) == SYNC_STATE_OFFLINE);
    struct object *object = dashboard("while away");
    assert_int_equal(sync_write(world->nodes[0].sync, object, SYNC_BY_KIND), SYNC_UNCONFIRMED);
    assert_true(object->dirty);
    assert_int_equal(dirty_of(&world->nodes[0]), 1);
    assert_int_equal(rename_to(&world->nodes[1], before, "renamed"), SYNC_UNCONFIRMED);
    start_datastore(world);
    WAIT_FOR(has_name(&world->nodes[1], object->id, "while away"));
    WAIT_FOR(has_name(&world->nodes[0], before, "renamed"));
    WAIT_FOR(dirty_of(&world->nodes[0]) == 0 && dirty_of(&world->nodes[1]) == 0);
    object_free(&object);
}

static void a_webserver_that_was_killed_pushes_after_its_restart(void **state)
{
    struct world *world = *state;
    stop_datastore(world);
    WAIT_FOR(state_of(&world->nodes[0]) == SYNC_STATE_OFFLINE);
    struct object *object = dashboard("kept");
    assert_int_equal(sync_write(world->nodes[0].sync, object, SYNC_BY_KIND), SYNC_UNCONFIRMED);
    stop_node(&world->nodes[0]);
    start_datastore(world);
    start_node(world, 0);
    WAIT_FOR(has_name(&world->nodes[1], object->id, "kept"));
    object_free(&object);
}

static void accounts_need_the_datastore_and_say_so(void **state)
{
    struct world *world = *state;
    struct object *ann = user(7, "ann");
    assert_int_equal(write_account(&world->nodes[0], ann), 0);
    WAIT_FOR(has_name(&world->nodes[1], ann->id, "ann"));
    stop_datastore(world);
    WAIT_FOR(state_of(&world->nodes[0]) == SYNC_STATE_OFFLINE);
    struct object *bob = user(8, "bob");
    assert_int_equal(sync_write(world->nodes[0].sync, bob, SYNC_BY_KIND), ERR_UNAVAILABLE);
    assert_non_null(strstr(err_text(), "datastore"));
    assert_true(is_gone(&world->nodes[0], bob->id));
    assert_int_equal(rename_to(&world->nodes[0], ann->id, "anna"), ERR_UNAVAILABLE);
    assert_true(has_name(&world->nodes[0], ann->id, "ann"));
    start_datastore(world);
    WAIT_FOR(state_of(&world->nodes[0]) == SYNC_STATE_LIVE);
    assert_int_equal(write_account(&world->nodes[0], bob), 0);
    object_free(&ann);
    object_free(&bob);
}

struct race {
    struct node *node;
    int rc;
};

static void *mint_admin(void *context)
{
    struct race *race = context;
    struct object *admin = user(1, "admin");
    race->rc = write_account(race->node, admin);
    object_free(&admin);
    return NULL;
}

static void two_webservers_that_mint_the_first_user_have_one_winner(void **state)
{
    struct world *world = *state;
    struct race races[WEBSERVERS];
    pthread_t threads[WEBSERVERS];
    int won = 0;
    for (size_t i = 0; i < WEBSERVERS; i++) {
        races[i].node = &world->nodes[i];
        assert_int_equal(pthread_create(&threads[i], NULL, mint_admin, &races[i]), 0);
    }
    for (size_t i = 0; i < WEBSERVERS; i++) {
        (void)pthread_join(threads[i], NULL);
        won += races[i].rc == 0 ? 1 : 0;
        assert_true(races[i].rc == 0 || races[i].rc == ERR_EXISTS);
    }
    assert_int_equal(won, 1);
}

static void two_accounts_never_share_a_name(void **state)
{
    struct world *world = *state;
    struct object *first = user(20, "carol");
    struct object *second = user(21, "carol");
    assert_int_equal(write_account(&world->nodes[0], first), 0);
    assert_int_equal(write_account(&world->nodes[1], second), ERR_EXISTS);
    assert_non_null(strstr(err_text(), "user.name"));
    object_free(&first);
    object_free(&second);
}

static void of_two_concurrent_edits_none_is_lost(void **state)
{
    struct world *world = *state;
    struct uuid id = create(&world->nodes[0], "shared");
    WAIT_FOR(has_name(&world->nodes[1], id, "shared"));
    stop_datastore(world);
    WAIT_FOR(state_of(&world->nodes[0]) == SYNC_STATE_OFFLINE);
    WAIT_FOR(state_of(&world->nodes[1]) == SYNC_STATE_OFFLINE);
    assert_int_equal(rename_to(&world->nodes[0], id, "left"), SYNC_UNCONFIRMED);
    assert_int_equal(rename_to(&world->nodes[1], id, "right"), SYNC_UNCONFIRMED);
    start_datastore(world);
    WAIT_FOR(dirty_of(&world->nodes[0]) == 0 && dirty_of(&world->nodes[1]) == 0);
    for (size_t i = 0; i < WEBSERVERS; i++) {
        struct node *node = &world->nodes[i];
        WAIT_FOR((has_named(node, "left") && has_named(node, "right (conflict copy)")) ||
                 (has_named(node, "right") && has_named(node, "left (conflict copy)")));
        uint64_t notices = 0;
        WAIT_FOR(store_count(node->store, OBJECT_NOTIFICATION, &notices) == 0 && notices == 1);
    }
}

static void an_emptied_datastore_is_rebuilt_and_nothing_is_deleted(void **state)
{
    struct world *world = *state;
    struct uuid kept = create(&world->nodes[0], "kept");
    struct uuid deleted = create(&world->nodes[0], "deleted");
    struct object *ann = user(7, "ann");
    assert_int_equal(write_account(&world->nodes[0], ann), 0);
    WAIT_FOR(has_name(&world->nodes[1], ann->id, "ann"));
    WAIT_FOR(has_name(&world->nodes[2], deleted, "deleted"));
    /* Web 2 does not hear of the deletion. */
    stop_node(&world->nodes[2]);
    assert_int_equal(sync_delete(world->nodes[0].sync, &deleted, SYNC_BY_KIND), 0);
    WAIT_FOR(is_gone(&world->nodes[1], deleted));
    stop_datastore(world);
    start_datastore_as(world, "empty");
    WAIT_FOR(state_of(&world->nodes[0]) == SYNC_STATE_LIVE && dirty_of(&world->nodes[0]) == 0);
    WAIT_FOR(state_of(&world->nodes[1]) == SYNC_STATE_LIVE && dirty_of(&world->nodes[1]) == 0);
    start_node(world, 2);
    WAIT_FOR(state_of(&world->nodes[2]) == SYNC_STATE_LIVE && dirty_of(&world->nodes[2]) == 0);
    WAIT_FOR(is_gone(&world->nodes[2], deleted));
    for (size_t i = 0; i < WEBSERVERS; i++) {
        assert_true(has_name(&world->nodes[i], kept, "kept"));
        assert_true(has_name(&world->nodes[i], ann->id, "ann"));
        assert_true(is_gone(&world->nodes[i], deleted));
    }
    struct object *there = NULL;
    assert_int_equal(store_get(world->store, &kept, &there), 0);
    object_free(&there);
    object_free(&ann);
}

static void copy_store(struct world *world, const char *from, const char *to)
{
    char *command = mem_printf("cd %s && cp %s-users.db %s-users.db && "
                               "cp %s-webstore.db %s-webstore.db && "
                               "rm -rf %s-resources && cp -r %s-resources %s-resources",
                               world->dir, from, to, from, to, to, from, to);
    assert_int_equal(system(command), 0);
    mem_free(command);
}

/* The datastore is told, so that nobody is sent to it any more. */
static void a_webserver_that_stops_is_down_when_it_has_stopped(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < WEBSERVERS; i++) {
        stop_node(&world->nodes[i]);
        json_t *answer = sync_server_webservers(world->server);
        size_t up = 0;
        size_t at;
        json_t *webserver;
        json_array_foreach(json_object_get(answer, "webservers"), at, webserver)
        {
            up += json_is_true(json_object_get(webserver, "up"));
        }
        json_decref(answer);
        assert_int_equal(up, WEBSERVERS - 1 - i);
    }
}

/* As an earlier version took it: alone it can be read, in a line of the feed it has too many
 * levels. */
static struct object *deep_dashboard(uint64_t revision)
{
    struct object *object = dashboard("deep");
    json_t *body = json_array();
    for (int levels = 2; levels < JSON_PARSER_MAX_DEPTH - 1; levels++) {
        body = json_pack("[o]", body);
    }
    object->id = object->change = (struct uuid){{77}};
    object->number = 77;
    object->revision = revision;
    object_set_body(object, json_pack("{s:o}", "deep", body));
    return object;
}

static void a_change_that_cannot_be_read_any_more_stops_no_other(void **state)
{
    struct world *world = *state;
    uint64_t revision = 0;
    stop_datastore(world);
    struct store *store = open_store(world, "datastore", true);
    assert_int_equal(store_begin(store, STORE_DURABLE), 0);
    assert_int_equal(store_next_revision(store, &revision), 0);
    struct object *deep = deep_dashboard(revision);
    assert_int_equal(store_put(store, deep), 0);
    assert_int_equal(store_commit(store), 0);
    object_free(&deep);
    store_close(&store);
    start_datastore(world);
    struct uuid id = create(&world->nodes[0], "after");
    for (size_t i = 0; i < WEBSERVERS; i++) {
        WAIT_FOR(has_name(&world->nodes[i], id, "after"));
        WAIT_FOR(world->nodes[i].unreadable > 0);
        WAIT_FOR(state_of(&world->nodes[i]) == SYNC_STATE_LIVE);
        assert_int_equal(world->nodes[i].unreadable, 1);
    }
}

static void a_webservers_files_become_the_datastores_by_cp(void **state)
{
    struct world *world = *state;
    struct uuid id = create(&world->nodes[0], "copied");
    WAIT_FOR(has_name(&world->nodes[1], id, "copied"));
    stop_datastore(world);
    WAIT_FOR(state_of(&world->nodes[0]) == SYNC_STATE_OFFLINE);
    struct uuid later = create(&world->nodes[0], "not yet pushed");
    stop_node(&world->nodes[0]);
    copy_store(world, "web0", "again");
    start_datastore_as(world, "again");
    start_node(world, 0);
    WAIT_FOR(dirty_of(&world->nodes[0]) == 0);
    WAIT_FOR(has_name(&world->nodes[1], later, "not yet pushed"));
    assert_int_equal(rename_to(&world->nodes[1], id, "goes on"), 0);
    WAIT_FOR(has_name(&world->nodes[0], id, "goes on"));
}

static void the_datastores_files_become_a_webservers_by_cp(void **state)
{
    struct world *world = *state;
    struct uuid id = create(&world->nodes[0], "copied");
    stop_node(&world->nodes[1]);
    stop_datastore(world);
    copy_store(world, "datastore", "web1");
    start_datastore(world);
    start_node(world, 1);
    assert_true(has_name(&world->nodes[1], id, "copied"));
    WAIT_FOR(state_of(&world->nodes[1]) == SYNC_STATE_LIVE);
    assert_int_equal(dirty_of(&world->nodes[1]), 0);
    assert_int_equal(rename_to(&world->nodes[1], id, "goes on"), 0);
    WAIT_FOR(has_name(&world->nodes[0], id, "goes on"));
}

static void a_datastore_restored_from_a_backup_gets_back_what_came_after(void **state)
{
    struct world *world = *state;
    struct uuid id = create(&world->nodes[0], "first");
    WAIT_FOR(has_name(&world->nodes[2], id, "first"));
    stop_datastore(world);
    copy_store(world, "datastore", "backup");
    start_datastore(world);
    WAIT_FOR(state_of(&world->nodes[0]) == SYNC_STATE_LIVE);
    assert_int_equal(rename_to(&world->nodes[0], id, "second"), 0);
    struct uuid late = create(&world->nodes[0], "late");
    WAIT_FOR(has_name(&world->nodes[2], late, "late"));
    stop_node(&world->nodes[2]);
    stop_datastore(world);
    copy_store(world, "backup", "datastore");
    start_datastore(world);
    /* Web 0 brings back what it saw; new changes take the old revision numbers again. */
    WAIT_FOR(state_of(&world->nodes[0]) == SYNC_STATE_LIVE && dirty_of(&world->nodes[0]) == 0);
    for (int i = 0; i < 20; i++) {
        (void)create(&world->nodes[0], "more");
    }
    start_node(world, 2);
    WAIT_FOR(state_of(&world->nodes[2]) == SYNC_STATE_LIVE && dirty_of(&world->nodes[2]) == 0);
    for (size_t i = 0; i < WEBSERVERS; i++) {
        WAIT_FOR(has_name(&world->nodes[i], id, "second"));
        WAIT_FOR(has_name(&world->nodes[i], late, "late"));
        assert_false(has_named(&world->nodes[i], "second (conflict copy)"));
    }
}

static struct object_blob put_blob(struct store *store, const char *text)
{
    struct store_blob_writer *writer = NULL;
    struct object_blob blob;
    assert_int_equal(store_blob_begin(store, OBJECT_BLOB_BYTES_MAX, &writer), 0);
    assert_int_equal(store_blob_write(writer, span_of_str(text)), 0);
    assert_int_equal(store_blob_commit(&writer, NULL, &blob), 0);
    return blob;
}

static void contents_travel_with_their_object(void **state)
{
    struct world *world = *state;
    struct object *resource = object_new(OBJECT_RESOURCE);
    resource->owner = 1;
    object_set_name(resource, "hosts");
    resource->blob = put_blob(world->nodes[0].store, "a,b\n1,2\n");
    int rc = sync_write(world->nodes[0].sync, resource, SYNC_BY_KIND);
    assert_true(rc == 0 || rc == SYNC_UNCONFIRMED);
    WAIT_FOR(has_name(&world->nodes[1], resource->id, "hosts"));
    assert_true(store_blob_has(world->store, resource->blob.sha256));
    WAIT_FOR(store_blob_has(world->nodes[1].store, resource->blob.sha256));
    assert_int_equal(sync_blob_fetch(world->nodes[2].sync, &resource->blob, WAIT_MS), 0);
    assert_true(store_blob_has(world->nodes[2].store, resource->blob.sha256));
    object_free(&resource);
}

static bool is_up(const struct sync_presence_view *view, const char *name)
{
    for (size_t i = 0; i < view->count; i++) {
        if (strcmp(view->webservers[i].external_addr, name) == 0) {
            return view->webservers[i].up;
        }
    }
    return false;
}

static bool wait_for_up(struct sync_presence *presence, struct sync_presence_view *view,
                        const char *name, bool up)
{
    int64_t until_ms = now_ms() + WAIT_MS;
    while (is_up(view, name) != up && now_ms() < until_ms) {
        if (sync_presence_wait(presence, view->generation, 100, view) < 0) {
            return false;
        }
    }
    return is_up(view, name) == up;
}

static void the_load_balancer_hears_who_comes_and_goes(void **state)
{
    struct world *world = *state;
    char address[64];
    const char *datastores[] = {"127.0.0.1:1", address};
    snprintf(address, sizeof(address), "127.0.0.1:%u", world->port.number);
    struct sync_presence_options options = {.io = io_real(),
                                            .datastores = datastores,
                                            .datastore_count = 2,
                                            .control_secret = "secret",
                                            .interval_ms = INTERVAL_MS};
    struct sync_presence *presence = NULL;
    struct sync_presence_view *view = MEM_NEW(struct sync_presence_view);
    assert_int_equal(sync_presence_start(&options, &presence), 0);
    assert_true(wait_for_up(presence, view, "web0", true));
    assert_true(wait_for_up(presence, view, "web2", true));
    stop_node(&world->nodes[2]);
    assert_true(wait_for_up(presence, view, "web2", false));
    assert_true(wait_for_up(presence, view, "web0", true));
    start_node(world, 2);
    assert_true(wait_for_up(presence, view, "web2", true));
    sync_presence_stop(&presence);
    mem_free(view);
}

static void a_wrong_secret_is_told_and_does_no_harm(void **state)
{
    struct world *world = *state;
    char address[64];
    const char *datastores[] = {address};
    snprintf(address, sizeof(address), "127.0.0.1:%u", world->port.number);
    struct store *store = open_store(world, "stranger", false);
    struct sync_options options = {.io = io_real(),
                                   .store = store,
                                   .datastores = datastores,
                                   .datastore_count = 1,
                                   .control_secret = "wrong",
                                   .webserver = world->nodes[0].uuid,
                                   .interval_ms = INTERVAL_MS};
    struct sync *sync = NULL;
    struct sync_status status;
    assert_int_equal(sync_start(&options, &sync), 0);
    int64_t until_ms = now_ms() + WAIT_MS;
    do {
        nap();
        sync_status(sync, &status);
    } while (strstr(status.reason, "secret") == NULL && now_ms() < until_ms);
    assert_int_equal(status.state, SYNC_STATE_OFFLINE);
    assert_non_null(strstr(status.reason, "secret"));
    sync_stop(&sync);
    store_close(&store);
    (void)create(&world->nodes[0], "unharmed");
}

int main(void)
{
#define CLAIM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(a_change_on_one_webserver_is_on_the_others),
        CLAIM(who_waits_for_the_revision_of_a_write_reads_it),
        CLAIM(a_change_is_brought_and_not_waited_for),
        CLAIM(without_the_datastore_work_goes_on_and_is_pushed_later),
        CLAIM(a_webserver_that_was_killed_pushes_after_its_restart),
        CLAIM(accounts_need_the_datastore_and_say_so),
        CLAIM(two_webservers_that_mint_the_first_user_have_one_winner),
        CLAIM(two_accounts_never_share_a_name),
        CLAIM(of_two_concurrent_edits_none_is_lost),
        CLAIM(an_emptied_datastore_is_rebuilt_and_nothing_is_deleted),
        CLAIM(contents_travel_with_their_object),
        CLAIM(the_load_balancer_hears_who_comes_and_goes),
        CLAIM(a_wrong_secret_is_told_and_does_no_harm),
        /* Of the datastore's files; over etcd they are a cache. */
        CLAIM(a_webserver_that_stops_is_down_when_it_has_stopped),
        CLAIM(a_change_that_cannot_be_read_any_more_stops_no_other),
        CLAIM(a_webservers_files_become_the_datastores_by_cp),
        CLAIM(the_datastores_files_become_a_webservers_by_cp),
        CLAIM(a_datastore_restored_from_a_backup_gets_back_what_came_after),
    };
    size_t left_out = OVER_FILES ? 0 : 4;
    return _cmocka_run_group_tests("api", tests, ARRAY_COUNT(tests) - left_out, begin_suite,
                                   end_suite);
}
