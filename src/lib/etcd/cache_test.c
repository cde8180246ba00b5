/*
 * Claims, over a real etcd that the test starts: several datastores are one. What one commits is
 * on the other, pushes on both are judged in one order; a cache that was away fetches what it
 * lacks, one that etcd does not continue is set aside. Skipped with a message without etcd.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/time.h"
#include "etcd/parts.h"
#include "etcd/state.h"
#include "etcd/testing.h"
#include "sync/message.h"

#define NEVER_SILENT_MS 600000 /* it is up as long as a test lasts */

struct datastore {
    struct etcd_follower *follower;
    struct sync_server *server;
    char run[UUID_TEXT_BYTES];
    uint8_t letter;
    _Atomic uint8_t changes;
    atomic_bool fatal;
    atomic_int watch_told; /* times that it was said that a watch ended */
};

struct world {
    char dir[64];
    char *url;
    struct datastore both[2];
};

#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        int64_t until_ns = io_monotonic_ns(io_real()) + ETCD_PATIENCE_MS * TIME_MS_NS;             \
        bool holds = false;                                                                        \
        while (!(holds = (condition)) && io_monotonic_ns(io_real()) < until_ns) {                  \
            (void)poll(NULL, 0, 2);                                                                \
        }                                                                                          \
        assert_true(holds);                                                                        \
    } while (0)

static void on_fatal(void *context)
{
    ((struct datastore *)context)->fatal = true;
}

static void on_event(void *context, enum sync_level level, const char *event, const char *text)
{
    (void)level;
    (void)text;
    ((struct datastore *)context)->watch_told += strcmp(event, "etcd-watch") == 0 ? 1 : 0;
}

static json_t *check_in_every(struct datastore *datastore, uint8_t webserver, int interval_ms)
{
    struct uuid id = {{webserver}};
    json_t *answer = NULL;
    json_t *request =
        json_pack("{s:i, s:o, s:s, s:i}", "protocol", SYNC_PROTOCOL, "webserver",
                  sync_uuid_to_json(id), "external_addr", "web:80", "interval_ms", interval_ms);
    assert_int_equal(sync_server_check_in(datastore->server, request, &answer), 0);
    json_decref(request);
    return answer;
}

static json_t *check_in(struct datastore *datastore, uint8_t webserver)
{
    return check_in_every(datastore, webserver, NEVER_SILENT_MS);
}

static void start(struct world *world, size_t index)
{
    struct datastore *datastore = &world->both[index];
    char *users = mem_printf("%s/u%zu.db", world->dir, index);
    char *web = mem_printf("%s/w%zu.db", world->dir, index);
    char *blobs = mem_printf("%s/b%zu", world->dir, index);
    struct etcd_follower_options options = {.io = io_real(),
                                            .url = world->url,
                                            .users_path = users,
                                            .web_path = web,
                                            .blob_dir = blobs,
                                            .on_event = on_event,
                                            .on_fatal = on_fatal,
                                            .context = datastore};
    WAIT_FOR(etcd_follower_open(&options, &datastore->follower) == 0);
    struct sync_server_options server = {.io = io_real(),
                                         .store = etcd_follower_store(datastore->follower),
                                         .backend = etcd_follower_backend(datastore->follower)};
    assert_int_equal(sync_server_new(&server, &datastore->server), 0);
    etcd_follower_attach(datastore->follower, datastore->server);
    char *address = mem_printf("http://nobody:%zu", index);
    assert_int_equal(etcd_follower_start(datastore->follower, address), 0);
    mem_free(address);
    json_t *answer = check_in(datastore, 1);
    snprintf(datastore->run, sizeof(datastore->run), "%s", sync_json_text(answer, "run"));
    json_decref(answer);
    datastore->letter = (uint8_t)('a' + index);
    mem_free(users);
    mem_free(web);
    mem_free(blobs);
}

static void stop(struct world *world, size_t index)
{
    struct datastore *datastore = &world->both[index];
    if (datastore->follower != NULL) {
        etcd_follower_stop(datastore->follower);
        sync_server_free(&datastore->server);
        etcd_follower_close(&datastore->follower);
    }
}

static int set_up(void **state)
{
    struct world *world = MEM_NEW(struct world);
    snprintf(world->dir, sizeof(world->dir), "/tmp/aquifer-cache-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    world->url = mem_printf("%s%s", testing.members, world->dir);
    start(world, 0);
    start(world, 1);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    stop(world, 0);
    stop(world, 1);
    char *command = mem_printf("rm -rf %s", world->dir);
    assert_int_equal(system(command), 0);
    mem_free(command);
    mem_free(world->url);
    mem_free(world);
    return 0;
}

/* ---- words ---- */

static struct store *store_of(struct world *world, size_t index)
{
    return etcd_follower_store(world->both[index].follower);
}

/* A dashboard of this datastore with so many bytes in it; `id` names it. A new reference. */
static json_t *large_dashboard(struct datastore *datastore, uint8_t id, uint64_t base, size_t bytes)
{
    struct object *object = object_new(OBJECT_DASHBOARD);
    char *text = mem_alloc(bytes + 1);
    memset(text, 'x', bytes);
    text[bytes] = 0;
    object_set_body(object, json_pack("{s:s}", "text", text));
    mem_free(text);
    object->id.bytes[0] = id;
    object->id.bytes[1] = 1;
    object->number = id;
    object->base_revision = base;
    object->change.bytes[0] = ++datastore->changes;
    object->change.bytes[1] = datastore->letter;
    object_set_name(object, "d");
    json_t *json = object_to_json(object);
    object_free(&object);
    return json;
}

static int try_push(struct datastore *datastore, uint8_t id, uint64_t base, size_t bytes,
                    uint64_t *ret_revision)
{
    json_t *request =
        json_pack("{s:i, s:s, s:[o]}", "protocol", SYNC_PROTOCOL, "run", datastore->run, "objects",
                  large_dashboard(datastore, id, base, bytes));
    json_t *answer = NULL;
    int rc = 0;
    /* As a webserver: what a busy etcd has not answered is pushed again, and is the same push. */
    WAIT_FOR((rc = sync_server_push(datastore->server, request, &answer)) != ERR_UNAVAILABLE);
    const json_t *one = json_array_get(json_object_get(answer, "answers"), 0);
    *ret_revision = sync_json_number(one, "revision");
    json_decref(request);
    json_decref(answer);
    return rc;
}

static uint64_t push_large(struct datastore *datastore, uint8_t id, uint64_t base, size_t bytes)
{
    uint64_t revision = 0;
    if (try_push(datastore, id, base, bytes, &revision) < 0) {
        fail_msg("%s", err_text());
    }
    return revision;
}

static uint64_t push(struct datastore *datastore, uint8_t id, uint64_t base)
{
    return push_large(datastore, id, base, 0);
}

static uint64_t count_of(struct world *world, size_t index, enum object_kind kind)
{
    uint64_t count = 0;
    assert_int_equal(store_count(store_of(world, index), kind, &count), 0);
    return count;
}

/* Reads the feed from its beginning: every change in order, none twice. Returns how many. */
static size_t read_feed(struct datastore *datastore)
{
    struct sync_feed_options options = {.objects = true};
    struct sync_feed *feed = NULL;
    struct buf lines = {0};
    size_t count = 0;
    uint64_t before = 0;
    assert_int_equal(sync_feed_open(datastore->server, &options, &feed), 0);
    while (strstr(buf_str(&lines), "\"through\"") == NULL) {
        assert_int_equal(sync_feed_next(feed, 1000, &lines), 0);
    }
    char *rest = NULL;
    for (char *line = strtok_r((char *)lines.data, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        json_t *json = json_loads(line, 0, NULL);
        const json_t *object = json_object_get(json, "object");
        if (object != NULL) {
            uint64_t revision = sync_json_number(object, "revision");
            assert_true(revision > before);
            before = revision;
            count++;
        }
        json_decref(json);
    }
    sync_feed_close(&feed);
    buf_deinit(&lines);
    return count;
}

static void compact(struct etcd *etcd)
{
    struct etcd_head head;
    struct etcd_lineage lineage = {0};
    uint64_t now = 0;
    json_t *answer = NULL;
    assert_int_equal(etcd_read(etcd, LONG_MS, &head, &lineage, &now), 0);
    json_t *request = json_pack("{s:o}", "revision", etcd_number(now));
    assert_int_equal(etcd_call(etcd, "/v3/kv/compaction", request, LONG_MS, &answer), 0);
    json_decref(request);
    json_decref(answer);
    etcd_lineage_deinit(&lineage);
}

/* ---- the claims ---- */

static void what_one_commits_is_on_the_other_and_can_be_edited_there(void **state)
{
    struct world *world = *state;
    uint64_t first = push(&world->both[0], 7, 0);
    WAIT_FOR(sync_server_revision(world->both[1].server) >= first);
    assert_true(push(&world->both[1], 7, first) > first);
    WAIT_FOR(sync_server_revision(world->both[0].server) ==
             sync_server_revision(world->both[1].server));
    assert_int_equal(count_of(world, 0, OBJECT_DASHBOARD), 1);
    assert_int_equal(count_of(world, 1, OBJECT_DASHBOARD), 1);
}

static size_t bytes_of(struct world *world, size_t index, uint8_t id)
{
    struct uuid uuid = {{id, 1}};
    struct object *object = NULL;
    assert_int_equal(store_get(store_of(world, index), &uuid, &object), 0);
    size_t bytes = strlen(object_body_text(object, "text"));
    object_free(&object);
    return bytes;
}

static uint64_t count_parts(struct etcd *etcd)
{
    char *begin = etcd_key(etcd, "part/");
    char *end = etcd_key(etcd, "part0");
    json_t *request = json_pack("{s:o, s:o, s:b}", "key", etcd_text(begin), "range_end",
                                etcd_text(end), "count_only", 1);
    json_t *answer = NULL;
    assert_int_equal(etcd_call(etcd, "/v3/kv/range", request, LONG_MS, &answer), 0);
    uint64_t count = etcd_answer_number(answer, "count");
    json_decref(request);
    json_decref(answer);
    mem_free(begin);
    mem_free(end);
    return count;
}

static void forget_cache(struct world *world, size_t index)
{
    char *command = mem_printf("rm -f %s/[uw]%zu.db*", world->dir, index);
    stop(world, index);
    assert_int_equal(system(command), 0);
    mem_free(command);
    start(world, index);
}

/* The largest body of a dashboard is 8 MiB, a transaction of etcd 1.5 MiB. */
static void an_object_larger_than_a_transaction_is_on_all_and_leaves_nothing_behind(void **state)
{
    struct world *world = *state;
    enum { PARTS = 9 };
    const size_t large = 8000000;
    struct etcd *etcd = NULL;
    struct map suspects = {0};
    uint64_t removed = 0;
    assert_int_equal(etcd_new(io_real(), world->url, NULL, &etcd), 0);
    uint64_t first = push_large(&world->both[0], 7, 0, large);
    assert_true(first > 0);
    WAIT_FOR(sync_server_revision(world->both[1].server) >= first);
    assert_int_equal(bytes_of(world, 1, 7), large);
    forget_cache(world, 1);
    assert_int_equal(bytes_of(world, 1, 7), large);

    /* Edited on the other one: the parts it had go, but not at once, and not the new ones. So do
     * those of an attempt that a busy etcd left unanswered and that was made anew. */
    uint64_t second = push_large(&world->both[1], 7, first, large + 300000);
    assert_true(second > first && count_parts(etcd) >= 2 * PARTS);
    WAIT_FOR(sync_server_revision(world->both[0].server) >= second);
    assert_int_equal(bytes_of(world, 0, 7), large + 300000);
    assert_int_equal(etcd_parts_sweep(etcd, &suspects, &removed), 0);
    assert_int_equal(removed, 0);
    assert_int_equal(etcd_parts_sweep(etcd, &suspects, &removed), 0);
    assert_true(removed >= 1);
    assert_int_equal(count_parts(etcd), PARTS);
    forget_cache(world, 0);
    assert_int_equal(bytes_of(world, 0, 7), large + 300000);
    map_deinit(&suspects);
    etcd_free(&etcd);
}

static bool knows(const struct sync_lineage *lineage, const struct uuid *epoch)
{
    bool known = false;
    for (size_t i = 0; i < lineage->count; i++) {
        known = known || uuid_equal(lineage->epochs[i].epoch, *epoch);
    }
    return known;
}

/* As after many starts of datastores. Returns etcd's revision of it. */
static uint64_t begin_epochs(struct etcd *etcd, size_t count)
{
    struct etcd_head head;
    struct etcd_lineage lineage = {0};
    assert_int_equal(etcd_read(etcd, LONG_MS, &head, &lineage, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        etcd_lineage_begin_epoch(&lineage, io_real(), head.revision);
    }
    json_t *puts = json_pack("[o]", etcd_put_lineage(etcd, &lineage));
    assert_int_equal(etcd_txn(etcd, NULL, puts, NULL, LONG_MS, NULL), 0);
    etcd_lineage_deinit(&lineage);
    assert_int_equal(etcd_read(etcd, LONG_MS, &head, &lineage, NULL), 0);
    uint64_t mod = lineage.mod;
    etcd_lineage_deinit(&lineage);
    return mod;
}

static uint64_t epochs_mod_of(struct datastore *datastore)
{
    (void)pthread_mutex_lock(&datastore->follower->lock);
    uint64_t mod = datastore->follower->epochs_mod;
    (void)pthread_mutex_unlock(&datastore->follower->lock);
    return mod;
}

static bool is_pushed(struct datastore *datastore, const json_t *request)
{
    json_t *answer = NULL;
    int rc = sync_server_push(datastore->server, request, &answer);
    json_decref(answer);
    return rc == 0;
}

/* What is known of a thousand starts is as large as some objects, and a webserver that rescues
 * brings epochs of its own along. */
static void a_rescue_of_many_objects_is_taken_however_many_epochs_there_are(void **state)
{
    enum { OBJECTS = 36, BYTES = 40000 }; /* more than a transaction takes */
    struct world *world = *state;
    struct etcd *etcd = NULL;
    struct etcd_head head;
    struct etcd_lineage lineage = {0};
    struct store_epoch own = {.epoch = {{9, 9}}, .start = 1, .main = true};
    json_t *objects = json_array();
    assert_int_equal(etcd_new(io_real(), world->url, NULL, &etcd), 0);
    uint64_t mod = begin_epochs(etcd, ETCD_EPOCHS_KEPT);
    WAIT_FOR(epochs_mod_of(&world->both[0]) >= mod && epochs_mod_of(&world->both[1]) >= mod);
    for (uint8_t id = 1; id <= OBJECTS; id++) {
        json_array_append_new(objects, large_dashboard(&world->both[0], id, 0, BYTES));
    }
    json_t *request =
        json_pack("{s:i, s:s, s:{s:o}, s:o}", "protocol", SYNC_PROTOCOL, "run", world->both[0].run,
                  "epochs", "web", sync_epochs_to_json(&own, 1), "objects", objects);
    WAIT_FOR(is_pushed(&world->both[0], request)); /* as a webserver: until it is taken */
    json_decref(request);
    WAIT_FOR(sync_server_revision(world->both[1].server) == OBJECTS);
    assert_int_equal(count_of(world, 1, OBJECT_DASHBOARD), OBJECTS);
    assert_int_equal(etcd_read(etcd, LONG_MS, &head, &lineage, NULL), 0);
    assert_true(knows(&lineage.files[OBJECT_FILE_WEB], &own.epoch));
    etcd_lineage_deinit(&lineage);
    etcd_free(&etcd);
}

/* Without waiting for the watch: the second is judged anew on what the first made. */
static void of_two_edits_on_two_datastores_one_becomes_a_copy(void **state)
{
    struct world *world = *state;
    for (uint8_t id = 1; id <= 20; id++) {
        uint64_t first = push(&world->both[0], id, 0);
        WAIT_FOR(sync_server_revision(world->both[1].server) >= first);
        (void)push(&world->both[0], id, first);
        (void)push(&world->both[1], id, first);
    }
    WAIT_FOR(sync_server_revision(world->both[0].server) ==
             sync_server_revision(world->both[1].server));
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(count_of(world, i, OBJECT_DASHBOARD), 40);
        assert_int_equal(count_of(world, i, OBJECT_NOTIFICATION), 20);
    }
}

struct pusher {
    struct datastore *datastore;
    uint8_t first, count;
};

static void *push_some(void *context)
{
    struct pusher *pusher = context;
    for (uint8_t i = 0; i < pusher->count; i++) {
        assert_true(push(pusher->datastore, (uint8_t)(pusher->first + i), 0) > 0);
    }
    return NULL;
}

/* Several webservers on each of them: what waits together is judged anew together. */
static void pushes_on_both_at_once_are_all_taken_in_one_order(void **state)
{
    enum { PUSHERS = 6, EACH = 20 };
    struct world *world = *state;
    struct pusher pushers[PUSHERS];
    pthread_t threads[PUSHERS];
    for (size_t i = 0; i < PUSHERS; i++) {
        pushers[i] = (struct pusher){&world->both[i % 2], (uint8_t)(1 + i * EACH), EACH};
        assert_int_equal(pthread_create(&threads[i], NULL, push_some, &pushers[i]), 0);
    }
    for (size_t i = 0; i < PUSHERS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    WAIT_FOR(sync_server_revision(world->both[0].server) == 120);
    WAIT_FOR(sync_server_revision(world->both[1].server) == 120);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(count_of(world, i, OBJECT_DASHBOARD), 120);
        assert_int_equal(read_feed(&world->both[i]), 120);
    }
    struct etcd_follower_stats stats;
    etcd_follower_stats(world->both[0].follower, &stats);
    assert_true(stats.commits > 0 && stats.applied > 0);
}

/* The second time etcd has forgotten the steps. */
static void a_cache_that_was_away_fetches_what_it_lacks(void **state)
{
    struct world *world = *state;
    uint64_t last = push(&world->both[0], 1, 0);
    for (uint8_t round = 0; round < 2; round++) {
        stop(world, 1);
        for (uint8_t id = 2; id <= 12; id++) {
            last = push(&world->both[0], (uint8_t)(id + 20 * round), 0);
        }
        if (round == 1) {
            compact(world->both[0].follower->etcd);
        }
        start(world, 1);
        assert_int_equal(sync_server_revision(world->both[1].server), last);
        assert_int_equal(count_of(world, 1, OBJECT_DASHBOARD), 12 + 11 * round);
    }
    assert_int_equal(push(&world->both[1], 200, 0), last + 1);
}

static void a_cache_that_etcd_does_not_continue_is_set_aside(void **state)
{
    struct world *world = *state;
    uint64_t last = push(&world->both[0], 1, 0);
    last = push(&world->both[0], 2, 0);
    WAIT_FOR(sync_server_revision(world->both[1].server) == last);
    stop(world, 0);
    stop(world, 1);
    char *url = world->url;
    world->url = mem_printf("%s-new", url); /* as if etcd had been emptied */
    start(world, 0);
    assert_int_equal(sync_server_revision(world->both[0].server), 0);
    assert_int_equal(count_of(world, 0, OBJECT_DASHBOARD), 0);
    char *command = mem_printf("ls %s/u0.db.aside-* >/dev/null", world->dir);
    assert_int_equal(system(command), 0);
    mem_free(command);
    mem_free(url);
}

static void a_running_datastore_sees_etcd_go_back(void **state)
{
    struct world *world = *state;
    (void)push(&world->both[0], 1, 0);
    struct etcd *etcd = NULL;
    assert_int_equal(etcd_new(io_real(), world->url, NULL, &etcd), 0);
    struct etcd_head older = etcd_head_new(io_real(), 0);
    json_t *puts = json_pack("[o]", etcd_put_head(etcd, &older));
    assert_int_equal(etcd_txn(etcd, NULL, puts, NULL, LONG_MS, NULL), 0);
    etcd_free(&etcd);
    WAIT_FOR(world->both[0].fatal);
}

/* As after a restart from a snapshot that others have already gone on from: its revision is no
 * lower than ours, but what we have is not in its past. */
static void a_running_datastore_sees_etcd_go_another_way(void **state)
{
    struct world *world = *state;
    struct etcd *etcd = NULL;
    struct etcd_head head;
    struct etcd_lineage lineage = {0};
    (void)push(&world->both[0], 1, 0);
    uint64_t last = push(&world->both[0], 2, 0);
    WAIT_FOR(sync_server_revision(world->both[1].server) == last);
    assert_int_equal(etcd_new(io_real(), world->url, NULL, &etcd), 0);
    assert_int_equal(etcd_read(etcd, LONG_MS, &head, &lineage, NULL), 0);
    struct etcd_head other = etcd_head_new(io_real(), last + 5);
    etcd_lineage_begin_epoch(&lineage, io_real(), last - 1);
    assert_int_equal(
        etcd_txn(etcd, NULL,
                 json_pack("[o, o]", etcd_put_lineage(etcd, &lineage), etcd_put_head(etcd, &other)),
                 NULL, LONG_MS, NULL),
        0);
    etcd_lineage_deinit(&lineage);
    etcd_free(&etcd);
    WAIT_FOR(world->both[0].fatal && world->both[1].fatal);
}

static void last_epoch(struct datastore *datastore, char *ret_epoch)
{
    json_t *answer = check_in(datastore, 1);
    const json_t *stores = json_object_get(answer, "stores");
    (void)snprintf(ret_epoch, UUID_TEXT_BYTES, "%s",
                   sync_json_text(json_object_get(stores, "web"), "epoch"));
    json_decref(answer);
}

/* Else a webserver that follows one datastore believes, when it comes to another one that was
 * started meanwhile, that this one has lost what it saw since. */
static void an_epoch_that_another_one_begins_is_told_before_what_belongs_to_it(void **state)
{
    struct world *world = *state;
    struct sync_feed_options options = {.objects = true};
    struct sync_feed *feed = NULL;
    struct buf lines = {0};
    char epoch[UUID_TEXT_BYTES];
    assert_int_equal(sync_feed_open(world->both[0].server, &options, &feed), 0);
    stop(world, 1);
    start(world, 1);
    assert_true(push(&world->both[0], 1, 0) > 0);
    last_epoch(&world->both[1], epoch);
    while (strstr(buf_str(&lines), "{\"object\"") == NULL) {
        assert_int_equal(sync_feed_next(feed, 1000, &lines), 0);
    }
    const char *told = strstr(buf_str(&lines), "{\"stores\"");
    assert_non_null(told);
    assert_non_null(strstr(told, epoch));
    assert_true(strstr(told, epoch) < strstr(buf_str(&lines), "{\"object\""));
    sync_feed_close(&feed);
    buf_deinit(&lines);
}

static void put_by_hand(struct datastore *datastore, const char *id, const char *value)
{
    struct etcd *etcd = datastore->follower->etcd;
    char *key = mem_printf("%s/object/%s", etcd_prefix(etcd), id);
    json_t *puts = json_pack("[o]", etcd_put(key, span_of_str(value), 0));
    assert_int_equal(etcd_txn(etcd, NULL, puts, NULL, LONG_MS, NULL), 0);
    mem_free(key);
}

static uint64_t passed_over(struct datastore *datastore)
{
    struct etcd_follower_stats stats;
    etcd_follower_stats(datastore->follower, &stats);
    return stats.unreadable;
}

static void what_cannot_be_read_of_etcd_stops_neither_a_watch_nor_a_start(void **state)
{
    struct world *world = *state;
    struct datastore *first = &world->both[0];
    put_by_hand(first, "00000000-0000-0000-0000-000000000001", "{");
    put_by_hand(first, "00000000-0000-0000-0000-000000000002", "{\"kind\":\"teapot\"}");
    uint64_t revision = push(first, 1, 0);
    WAIT_FOR(sync_server_revision(world->both[1].server) == revision);
    WAIT_FOR(passed_over(first) == 2 && passed_over(&world->both[1]) == 2);
    forget_cache(world, 1);
    assert_int_equal(passed_over(&world->both[1]), 2);
    assert_int_equal(count_of(world, 1, OBJECT_DASHBOARD), 1);
}

static void a_full_etcd_is_not_the_pushers_fault(void **state)
{
    struct world *world = *state;
    struct datastore *first = &world->both[0];
    uint64_t revision = 0;
    etcd_testing_alarm(first->follower->etcd, "ACTIVATE");
    assert_int_equal(try_push(first, 1, 0, 0, &revision), ERR_NO_SPACE);
    etcd_testing_alarm(first->follower->etcd, "DEACTIVATE");
    assert_int_equal(push(first, 1, 0), 1);
}

static uint64_t count_epochs(struct etcd *etcd)
{
    struct etcd_head head;
    struct etcd_lineage lineage = {0};
    assert_int_equal(etcd_read(etcd, LONG_MS, &head, &lineage, NULL), 0);
    uint64_t count = lineage.files[OBJECT_FILE_WEB].count;
    etcd_lineage_deinit(&lineage);
    return count;
}

/* The epoch of its life begins before its first commit. */
static void a_datastore_starts_over_a_full_etcd_and_takes_writes_once_there_is_space(void **state)
{
    struct world *world = *state;
    struct datastore *second = &world->both[1];
    struct etcd *etcd = world->both[0].follower->etcd;
    uint64_t revision = push(&world->both[0], 1, 0);
    etcd_testing_alarm(etcd, "ACTIVATE");
    forget_cache(world, 1);
    assert_int_equal(read_feed(second), 1);
    assert_int_equal(try_push(second, 2, 0, 0, &revision), ERR_NO_SPACE);
    etcd_testing_alarm(etcd, "DEACTIVATE");
    WAIT_FOR(count_epochs(etcd) == 4); /* etcd's own, and of three lives */
    WAIT_FOR(try_push(second, 2, 0, 0, &revision) == 0);
    WAIT_FOR(count_of(world, 0, OBJECT_DASHBOARD) == 2);
    assert_int_equal(count_epochs(etcd), 4);
}

static uint64_t watches_of(struct world *world, size_t index)
{
    struct etcd_follower_stats stats;
    etcd_follower_stats(world->both[index].follower, &stats);
    return stats.watches;
}

static void an_etcd_that_is_away_is_told_once(void **state)
{
    struct world *world = *state;
    etcd_testing_kill(&testing);
    uint64_t before = watches_of(world, 0);
    WAIT_FOR(watches_of(world, 0) > before + 5);
    assert_in_range(world->both[0].watch_told, 1, 2);
    etcd_testing_again(&testing);
    WAIT_FOR(etcd_testing_answers(&testing));
    uint64_t revision = 0;
    WAIT_FOR(try_push(&world->both[0], 1, 0, 0, &revision) == 0);
    WAIT_FOR(sync_server_revision(world->both[1].server) >= revision);
}

static uint64_t peers_of(struct world *world, size_t index)
{
    struct etcd_follower_stats stats;
    etcd_follower_stats(world->both[index].follower, &stats);
    return stats.peers;
}

static void put_datastore(struct etcd *etcd, uint8_t id, const char *address)
{
    struct uuid run = {{id}};
    char *key = etcd_key_of(etcd, "datastore", &run);
    char *value = mem_printf("{\"address\":\"%s\"}", address);
    json_t *puts = json_pack("[o]", etcd_put(key, span_of_str(value), 0));
    assert_int_equal(etcd_txn(etcd, NULL, puts, NULL, LONG_MS, NULL), 0);
    mem_free(value);
    mem_free(key);
}

/* Contents that it copied there would count as safe. */
static void an_earlier_life_is_not_another_datastore(void **state)
{
    struct world *world = *state;
    struct etcd *etcd = NULL;
    assert_int_equal(etcd_new(io_real(), world->url, NULL, &etcd), 0);
    WAIT_FOR(peers_of(world, 0) == 1);
    put_datastore(etcd, 1, "http://nobody:0");
    put_datastore(etcd, 2, "http://nobody:2");
    uint64_t after = push(&world->both[1], 1, 0);
    WAIT_FOR(sync_server_revision(world->both[0].server) == after);
    assert_int_equal(peers_of(world, 0), 2);
    etcd_free(&etcd);
}

static uint64_t up_at(struct datastore *datastore)
{
    struct sync_server_stats stats;
    sync_server_stats(datastore->server, &stats);
    return stats.webservers_up;
}

static uint64_t known_at(struct datastore *datastore)
{
    struct sync_server_stats stats;
    sync_server_stats(datastore->server, &stats);
    return stats.webservers_known;
}

static void a_check_in_at_one_is_heard_by_the_other(void **state)
{
    struct world *world = *state;
    json_decref(check_in(&world->both[0], 77));
    WAIT_FOR(up_at(&world->both[1]) == 2);
}

/* Its last check-in is not a new one because a watch begins anew. */
static void who_fell_silent_is_not_heard_again(void **state)
{
    struct world *world = *state;
    struct etcd_follower *follower = world->both[1].follower;
    json_decref(check_in_every(&world->both[0], 77, 100));
    WAIT_FOR(known_at(&world->both[1]) == 2);
    WAIT_FOR(up_at(&world->both[1]) == 1);
    uint64_t before = watches_of(world, 1);
    (void)pthread_mutex_lock(&follower->lock);
    if (follower->watch != NULL) {
        http_cancel_fire(follower->watch);
    }
    (void)pthread_mutex_unlock(&follower->lock);
    WAIT_FOR(watches_of(world, 1) > before);
    uint64_t after = push(&world->both[0], 1, 0);
    WAIT_FOR(sync_server_revision(world->both[1].server) == after);
    assert_int_equal(up_at(&world->both[1]), 1);
}

/* As after a watch that was cut off for so long that etcd forgot the steps: it reads everything
 * that changed, here while the watch brings the same. */
static void reading_anew_while_changes_come_misses_and_repeats_nothing(void **state)
{
    struct world *world = *state;
    struct pusher pusher = {&world->both[0], 1, 60};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, push_some, &pusher), 0);
    while (sync_server_revision(world->both[1].server) < 60) {
        assert_int_equal(etcd_cache_resync(world->both[1].follower), 0);
    }
    (void)pthread_join(thread, NULL);
    assert_int_equal(read_feed(&world->both[1]), 60);
    assert_int_equal(count_of(world, 1, OBJECT_DASHBOARD), 60);
}

int main(void)
{
#define CLAIM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(what_one_commits_is_on_the_other_and_can_be_edited_there),
        CLAIM(an_object_larger_than_a_transaction_is_on_all_and_leaves_nothing_behind),
        CLAIM(a_rescue_of_many_objects_is_taken_however_many_epochs_there_are),
        CLAIM(of_two_edits_on_two_datastores_one_becomes_a_copy),
        CLAIM(pushes_on_both_at_once_are_all_taken_in_one_order),
        CLAIM(a_cache_that_was_away_fetches_what_it_lacks),
        CLAIM(a_cache_that_etcd_does_not_continue_is_set_aside),
        CLAIM(a_running_datastore_sees_etcd_go_back),
        CLAIM(a_running_datastore_sees_etcd_go_another_way),
        CLAIM(what_cannot_be_read_of_etcd_stops_neither_a_watch_nor_a_start),
        CLAIM(a_full_etcd_is_not_the_pushers_fault),
        CLAIM(a_datastore_starts_over_a_full_etcd_and_takes_writes_once_there_is_space),
        CLAIM(an_etcd_that_is_away_is_told_once),
        CLAIM(an_earlier_life_is_not_another_datastore),
        CLAIM(an_epoch_that_another_one_begins_is_told_before_what_belongs_to_it),
        CLAIM(a_check_in_at_one_is_heard_by_the_other),
        CLAIM(who_fell_silent_is_not_heard_again),
        CLAIM(reading_anew_while_changes_come_misses_and_repeats_nothing),
    };
    return cmocka_run_group_tests(tests, begin_suite, end_suite);
}
