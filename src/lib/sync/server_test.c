/*
 * Claims: the datastore's server takes a push as a whole and answers each object by itself; what
 * is malformed is refused by name and the rest goes on; a feed misses nothing, whether it reads
 * memory or the store; who falls silent is down. On real SQLite, without HTTP.
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
#include "store/store_sql.h"
#include "sync/message.h"
#include "sync/server_state.h"

#define PUSHES_MAX 600

#ifdef SERVER_TEST_BACKEND
#define OVER_FILES false
#else
#define OVER_FILES true
#endif

#ifndef SERVER_TEST_BACKEND /* etcd/follower_test.c makes the same claims of servers over etcd */
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
                        struct sync_server **ret_server)
{
    assert_int_equal(store_open(options, ret_store), 0);
    struct sync_server_options server = {.io = io_real(), .store = *ret_store};
    assert_int_equal(sync_server_new(&server, ret_server), 0);
}

static void close_server(struct store **store, struct sync_server **server)
{
    sync_server_free(server);
    store_close(store);
}
#endif

struct fixture {
    char dir[64];
    struct store *store;
    struct sync_server *server;
    char run[UUID_TEXT_BYTES];
    uint8_t changes;
    int unreadable; /* rows, as told */
};

static void count_unreadable(void *context, const char *text)
{
    struct fixture *fixture = context;
    fixture->unreadable++;
    assert_non_null(strstr(text, "dashboard "));
}

static json_t *check_in(struct fixture *fixture, uint8_t webserver, int interval_ms, bool leaving)
{
    struct uuid id = {{webserver}};
    json_t *answer = NULL;
    json_t *request = json_pack("{s:i, s:o, s:s, s:i, s:b}", "protocol", SYNC_PROTOCOL, "webserver",
                                sync_uuid_to_json(id), "external_addr", "web:80", "interval_ms",
                                interval_ms, "leaving", leaving);
    assert_int_equal(sync_server_check_in(fixture->server, request, &answer), 0);
    json_decref(request);
    return answer;
}

static void begin_life(struct fixture *fixture)
{
    char *users = mem_printf("%s/u.db", fixture->dir);
    char *web = mem_printf("%s/w.db", fixture->dir);
    char *blobs = mem_printf("%s/b", fixture->dir);
    struct store_options options = {.io = io_real(),
                                    .users_path = users,
                                    .web_path = web,
                                    .blob_dir = blobs,
                                    .authority = true,
                                    .on_unreadable = count_unreadable,
                                    .context = fixture};
    open_server(&options, &fixture->store, &fixture->server);
    mem_free(users);
    mem_free(web);
    mem_free(blobs);
}

static int set_up(void **state)
{
    struct fixture *fixture = MEM_NEW(struct fixture);
    snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/aquifer-server-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    begin_life(fixture);
    json_t *answer = check_in(fixture, 1, 10000, false);
    snprintf(fixture->run, sizeof(fixture->run), "%s", sync_json_text(answer, "run"));
    json_decref(answer);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    close_server(&fixture->store, &fixture->server);
    char *command = mem_printf("rm -rf %s", fixture->dir);
    assert_int_equal(system(command), 0);
    mem_free(command);
    mem_free(fixture);
    return 0;
}

/* ---- words ---- */

static json_t *dashboard(struct fixture *fixture, uint8_t id, uint64_t base)
{
    struct object *object = object_new(OBJECT_DASHBOARD);
    object->id.bytes[0] = id;
    object->number = id;
    object->base_revision = base;
    object->change.bytes[0] = ++fixture->changes;
    object->change.bytes[1] = 1;
    object_set_name(object, "d");
    json_t *json = object_to_json(object);
    object_free(&object);
    return json;
}

/* As a webserver does: what a busy etcd has not answered is pushed again, and is the same push. */
static int push_list(struct fixture *fixture, json_t *objects, json_t **ret_answer)
{
    json_t *request = json_pack("{s:i, s:s, s:o}", "protocol", SYNC_PROTOCOL, "run", fixture->run,
                                "objects", objects);
    int rc = sync_server_push(fixture->server, request, ret_answer);
    for (int i = 0; i < PUSHES_MAX && rc == ERR_UNAVAILABLE; i++) {
        usleep(100000);
        rc = sync_server_push(fixture->server, request, ret_answer);
    }
    json_decref(request);
    return rc;
}

/* Takes `object`; the answer to it, a new reference. */
static json_t *push_one(struct fixture *fixture, json_t *object)
{
    json_t *answer = NULL;
    assert_int_equal(push_list(fixture, json_pack("[o]", object), &answer), 0);
    json_t *one = json_incref(json_array_get(json_object_get(answer, "answers"), 0));
    json_decref(answer);
    return one;
}

/* What etcd was slow to say that it has taken is asked of it again, and is there then. */
static void expect_outcome(const json_t *answer, const char *outcome)
{
    const char *found = sync_json_text(answer, "outcome");
    bool again = !OVER_FILES && strcmp(outcome, "accepted") == 0 && strcmp(found, "duplicate") == 0;
    assert_string_equal(again ? outcome : found, outcome);
}

static void expect(json_t *answer, const char *outcome, const char *error)
{
    expect_outcome(answer, outcome);
    if (strstr(sync_json_text(answer, "error"), error) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", sync_json_text(answer, "error"), error);
    }
    json_decref(answer);
}

/* ---- pushes ---- */

static void what_is_wrong_is_refused_by_name_and_the_rest_goes_on(void **state)
{
    struct fixture *fixture = *state;
    json_t *unknown = dashboard(fixture, 1, 0);
    json_object_set_new(unknown, "kind", json_string("teapot"));
    json_t *nameless = dashboard(fixture, 2, 0);
    json_object_set_new(nameless, "owner", json_string("me"));
    json_t *unchanged = dashboard(fixture, 3, 0);
    json_object_del(unchanged, "change");
    json_t *numberless = dashboard(fixture, 4, 0);
    json_object_del(numberless, "number");
    json_t *objects = json_pack("[o,o,o,o,s,o]", unknown, nameless, unchanged, numberless, "x",
                                dashboard(fixture, 5, 0));
    json_t *answer = NULL;
    assert_int_equal(push_list(fixture, objects, &answer), 0);
    const json_t *list = json_object_get(answer, "answers");
    static const char *const errors[] = {"teapot", "owner", "dashboard.change", "dashboard.number",
                                         "an object is expected"};
    for (size_t i = 0; i < ARRAY_COUNT(errors); i++) {
        expect(json_incref(json_array_get(list, i)), "refused", errors[i]);
    }
    expect(json_incref(json_array_get(list, 5)), "accepted", "");
    json_decref(answer);
}

static void a_push_for_another_process_or_protocol_is_turned_away(void **state)
{
    struct fixture *fixture = *state;
    json_t *answer = NULL;
    snprintf(fixture->run, sizeof(fixture->run), "00000000-0000-0000-0000-000000000000");
    assert_int_equal(push_list(fixture, json_array(), &answer), ERR_CONFLICT);
    json_t *request = json_pack("{s:i}", "protocol", SYNC_PROTOCOL + 1);
    assert_int_equal(sync_server_push(fixture->server, request, &answer), ERR_UNSUPPORTED);
    assert_int_equal(sync_server_check_in(fixture->server, request, &answer), ERR_UNSUPPORTED);
    assert_non_null(strstr(err_text(), "protocol"));
    json_decref(request);
    request = json_pack("{s:i}", "protocol", SYNC_PROTOCOL);
    assert_int_equal(sync_server_check_in(fixture->server, request, &answer), ERR_INVALID);
    assert_non_null(strstr(err_text(), "webserver"));
    json_decref(request);
}

static void a_repeated_push_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    json_t *object = dashboard(fixture, 1, 0);
    expect(push_one(fixture, json_incref(object)), "accepted", "");
    uint64_t revision = store_revision(fixture->store);
    expect(push_one(fixture, object), "duplicate", "");
    assert_int_equal(store_revision(fixture->store), revision);
}

static void a_repeated_conflict_gives_the_same_copy(void **state)
{
    struct fixture *fixture = *state;
    expect(push_one(fixture, dashboard(fixture, 1, 0)), "accepted", "");
    expect(push_one(fixture, dashboard(fixture, 1, 1)), "accepted", "");
    json_t *late = dashboard(fixture, 1, 1);
    json_t *first = push_one(fixture, json_incref(late));
    json_t *second = push_one(fixture, late);
    assert_string_equal(sync_json_text(first, "outcome"), "copied");
    assert_string_equal(sync_json_text(second, "outcome"), "copied");
    assert_non_null(json_object_get(first, "object"));
    assert_true(json_equal(json_object_get(first, "copy"), json_object_get(second, "copy")));
    uint64_t count = 0;
    assert_int_equal(store_count(fixture->store, OBJECT_DASHBOARD, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(store_count(fixture->store, OBJECT_NOTIFICATION, &count), 0);
    assert_int_equal(count, 1);
    json_decref(first);
    json_decref(second);
}

static void an_object_waits_for_its_contents(void **state)
{
    struct fixture *fixture = *state;
    struct object *object = object_new(OBJECT_RESOURCE);
    object->id.bytes[0] = 1;
    object->change.bytes[0] = 1;
    object_set_name(object, "hosts");
    object->blob = (struct object_blob){.sha256 = {7}, .bytes = 3, .present = true};
    expect(push_one(fixture, object_to_json(object)), "needs-blob", "");
    assert_int_equal(store_revision(fixture->store), 0);
    struct store_blob_writer *writer = NULL;
    assert_int_equal(store_blob_begin(fixture->store, 10, &writer), 0);
    assert_int_equal(store_blob_write(writer, SPAN_LIT("abc")), 0);
    assert_int_equal(store_blob_commit(&writer, NULL, &object->blob), 0);
    expect(push_one(fixture, object_to_json(object)), "accepted", "");
    object_free(&object);
}

struct pusher {
    struct fixture *fixture;
    uint8_t id;
};

static void *push_many(void *context)
{
    struct pusher *pusher = context;
    struct fixture own = *pusher->fixture;
    for (uint8_t i = 0; i < 20; i++) {
        struct object *object = object_new(OBJECT_DASHBOARD);
        object->id.bytes[0] = pusher->id;
        object->id.bytes[1] = (uint8_t)(i + 1);
        object->number = i + 1u;
        object->change = object->id;
        json_t *answer = push_one(&own, object_to_json(object));
        expect_outcome(answer, "accepted");
        json_decref(answer);
        object_free(&object);
    }
    return NULL;
}

static void pushes_that_come_together_share_commits(void **state)
{
    struct fixture *fixture = *state;
    struct pusher pushers[8];
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++) {
        pushers[i] = (struct pusher){fixture, (uint8_t)(i + 1)};
        assert_int_equal(pthread_create(&threads[i], NULL, push_many, &pushers[i]), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    struct sync_server_stats stats;
    sync_server_stats(fixture->server, &stats);
    assert_int_equal(stats.revision, 160);
    if (OVER_FILES) {
        assert_int_equal(stats.pushes, 160);
        assert_int_equal(stats.verdicts[0], 160);
    }
    assert_true(stats.commits <= stats.pushes);
}

/* ---- feeds ---- */

/* Reads until `through` is said or `count` objects came; checks their order. */
static size_t changes_read; /* by all feeds */

static uint64_t read_feed(struct sync_feed *feed, uint64_t after, bool *ret_through)
{
    struct buf lines = {0};
    uint64_t last = after;
    *ret_through = false;
    while (!*ret_through) {
        buf_clear(&lines);
        assert_int_equal(sync_feed_next(feed, 0, &lines), 0);
        struct span rest = buf_span(&lines);
        struct span line;
        while (span_split(&rest, '\n', &line)) {
            json_t *json = json_loadb((const char *)line.data, line.bytes, 0, NULL);
            assert_non_null(json);
            const json_t *object = json_object_get(json, "object");
            if (object != NULL) {
                assert_true(sync_json_number(object, "revision") > last);
                last = sync_json_number(object, "revision");
                changes_read++;
            }
            *ret_through = *ret_through || json_is_true(json_object_get(json, "through"));
            json_decref(json);
        }
    }
    buf_deinit(&lines);
    return last;
}

static void fill(struct fixture *fixture, uint64_t from, uint64_t count)
{
    for (uint64_t done = 0; done < count;) {
        json_t *list = json_array();
        for (int i = 0; i < 500 && done < count; i++, done++) {
            struct object *object = object_new(OBJECT_HISTORY);
            uint64_t n = from + done;
            memcpy(object->id.bytes, &n, sizeof(n));
            object->id.bytes[15] = 1;
            object->change = object->id;
            json_array_append_new(list, object_to_json(object));
            object_free(&object);
        }
        json_t *answer = NULL;
        assert_int_equal(push_list(fixture, list, &answer), 0);
        json_decref(answer);
    }
}

static void a_feed_that_begins_before_what_is_in_memory_misses_nothing(void **state)
{
    struct fixture *fixture = *state;
    uint64_t count = SYNC_SERVER_RECENT + 1000;
    fill(fixture, 1, count);
    static const uint64_t since[] = {0, 1, 999, 1000, 1001, SYNC_SERVER_RECENT};
    for (size_t i = 0; i < ARRAY_COUNT(since); i++) {
        struct sync_feed_options options = {
            .objects = true, .since = since[i], .run = fixture->run};
        struct sync_feed *feed = NULL;
        bool through;
        assert_int_equal(sync_feed_open(fixture->server, &options, &feed), 0);
        assert_int_equal(read_feed(feed, since[i], &through), count);
        sync_feed_close(&feed);
    }
}

/* Eight thousand changes may be gigabytes: a playbook alone has megabytes. */
static void what_is_kept_for_the_feeds_is_bounded_in_bytes_too(void **state)
{
    struct fixture *fixture = *state;
    struct sync_feed_options options = {.objects = true, .run = fixture->run};
    struct sync_feed *feed = NULL;
    bool through;
    fixture->server->recent_bytes_max = 5000;
    fill(fixture, 1, 100);
    assert_in_range(fixture->server->recent_bytes, 4000, 5000);
    assert_int_equal(sync_feed_open(fixture->server, &options, &feed), 0);
    assert_int_equal(read_feed(feed, 0, &through), 100);
    fixture->server->recent_bytes_max = 1;
    fill(fixture, 101, 1);
    assert_int_equal(fixture->server->recent_end - fixture->server->recent_begin, 1);
    struct buf lines = {0};
    assert_int_equal(sync_feed_next(feed, 10000, &lines), 0);
    assert_non_null(strstr(buf_str(&lines), "\"revision\":101"));
    buf_deinit(&lines);
    sync_feed_close(&feed);
}

static void a_feed_hears_what_is_committed_later(void **state)
{
    struct fixture *fixture = *state;
    struct sync_feed_options options = {.objects = true};
    struct sync_feed *feed = NULL;
    struct buf lines = {0};
    bool through;
    assert_int_equal(sync_feed_open(fixture->server, &options, &feed), 0);
    assert_int_equal(read_feed(feed, 0, &through), 0);
    assert_int_equal(sync_feed_next(feed, 1, &lines), 0);
    assert_string_equal(buf_str(&lines), "{\"revision\":0}\n"); /* a sign of life */
    expect(push_one(fixture, dashboard(fixture, 1, 0)), "accepted", "");
    buf_clear(&lines);
    assert_int_equal(sync_feed_next(feed, 10000, &lines), 0);
    assert_non_null(strstr(buf_str(&lines), "\"revision\":1"));
    sync_server_stop(fixture->server);
    assert_int_equal(sync_feed_next(feed, 10000, &lines), ERR_CANCELLED);
    sync_feed_close(&feed);
    buf_deinit(&lines);
}

static void a_feed_for_another_process_is_turned_away(void **state)
{
    struct fixture *fixture = *state;
    struct sync_feed_options options = {.objects = true, .run = "nonsense"};
    struct sync_feed *feed = NULL;
    assert_int_equal(sync_feed_open(fixture->server, &options, &feed), ERR_CONFLICT);
}

/* ---- what cannot be read any more ---- */

#define BREAK "UPDATE web.objects SET body='{', name=x'ff' WHERE number BETWEEN 2 AND 200"
#define MEND "UPDATE web.objects SET body=NULL, name='d' WHERE number BETWEEN 2 AND 200"

static void change_rows(struct fixture *fixture, const char *text)
{
    assert_int_equal(store_begin(fixture->store, STORE_DURABLE), 0);
    assert_int_equal(store_exec(fixture->store->writer, text), 0);
    assert_int_equal(store_commit(fixture->store), 0);
}

static void begin_another_life(struct fixture *fixture)
{
    close_server(&fixture->store, &fixture->server);
    fixture->unreadable = 0;
    begin_life(fixture);
    json_t *answer = check_in(fixture, 1, 10000, false);
    snprintf(fixture->run, sizeof(fixture->run), "%s", sync_json_text(answer, "run"));
    json_decref(answer);
}

static size_t changes_after(struct fixture *fixture, uint64_t since)
{
    struct sync_feed_options options = {.objects = true, .since = since};
    struct sync_feed *feed = NULL;
    bool through;
    changes_read = 0;
    assert_int_equal(sync_feed_open(fixture->server, &options, &feed), 0);
    (void)read_feed(feed, since, &through);
    sync_feed_close(&feed);
    return changes_read;
}

/* More rows than are read at once. */
static void rows_that_cannot_be_read_stop_no_feed_and_come_when_they_are_mended(void **state)
{
    struct fixture *fixture = *state;
    struct sync_server_stats stats;
    for (int i = 1; i <= 201; i++) {
        expect(push_one(fixture, dashboard(fixture, (uint8_t)i, 0)), "accepted", "");
    }
    change_rows(fixture, BREAK);
    begin_another_life(fixture);
    assert_int_equal(changes_after(fixture, 0), 2);
    assert_int_equal(changes_after(fixture, 0), 2);
    assert_int_equal(fixture->unreadable, 199);
    sync_server_stats(fixture->server, &stats);
    assert_int_equal(stats.unreadable, 199);

    begin_another_life(fixture); /* they are told of again, and kept in mind */
    assert_int_equal(fixture->unreadable, 199);
    change_rows(fixture, MEND);
    begin_another_life(fixture);
    assert_int_equal(changes_after(fixture, 201), 199);
    assert_int_equal(fixture->unreadable, 0);
    begin_another_life(fixture);
    assert_int_equal(changes_after(fixture, 400), 0);
}

static void a_push_over_a_row_that_cannot_be_read_is_refused_and_the_rest_goes_on(void **state)
{
    struct fixture *fixture = *state;
    expect(push_one(fixture, dashboard(fixture, 2, 0)), "accepted", "");
    change_rows(fixture, BREAK);
    json_t *answer = NULL;
    json_t *both = json_pack("[o, o]", dashboard(fixture, 2, 1), dashboard(fixture, 3, 0));
    assert_int_equal(push_list(fixture, both, &answer), 0);
    const json_t *answers = json_object_get(answer, "answers");
    expect(json_incref(json_array_get(answers, 0)), "refused", "name or description");
    expect(json_incref(json_array_get(answers, 1)), "accepted", "");
    json_decref(answer);
    change_rows(fixture, MEND);
    expect(push_one(fixture, dashboard(fixture, 2, 1)), "accepted", "");
}

/* ---- who is up ---- */

static bool is_up(struct fixture *fixture, uint8_t webserver)
{
    static struct sync_webserver list[SYNC_WEBSERVERS_MAX];
    json_t *json = sync_server_webservers(fixture->server);
    size_t count = sync_webservers_from_json(json_object_get(json, "webservers"), list);
    bool up = false;
    for (size_t i = 0; i < count; i++) {
        up = up || (list[i].id.bytes[0] == webserver && list[i].up);
    }
    json_decref(json);
    return up;
}

static void who_misses_three_check_ins_or_says_goodbye_is_down(void **state)
{
    struct fixture *fixture = *state;
    json_decref(check_in(fixture, 2, 10, false));
    json_decref(check_in(fixture, 3, 10000, false));
    assert_true(is_up(fixture, 3));
    int64_t until_ns = io_monotonic_ns(io_real()) + INT64_C(60000000000);
    while (is_up(fixture, 2) && io_monotonic_ns(io_real()) < until_ns) {
        usleep(1000);
    }
    assert_false(is_up(fixture, 2));
    assert_true(is_up(fixture, 3));
    json_decref(check_in(fixture, 2, 10000, false));
    assert_true(is_up(fixture, 2));
    json_decref(check_in(fixture, 3, 10000, true));
    assert_false(is_up(fixture, 3));
}

/* Else a load balancer would find nobody to send people to, until all have checked in anew. */
static void who_was_up_is_up_after_a_restart_until_it_misses_three_check_ins(void **state)
{
    struct fixture *fixture = *state;
    json_decref(check_in(fixture, 2, 100, false));
    json_decref(check_in(fixture, 3, 10000, true));
    json_decref(check_in(fixture, 4, 10000, false));
    close_server(&fixture->store, &fixture->server);
    int64_t begun_ns = io_monotonic_ns(io_real());
    begin_life(fixture);
    assert_true(is_up(fixture, 2) || io_monotonic_ns(io_real()) - begun_ns > 3 * 100000000);
    assert_true(is_up(fixture, 4));
    assert_false(is_up(fixture, 3));
    int64_t until_ns = io_monotonic_ns(io_real()) + INT64_C(60000000000);
    while (is_up(fixture, 2) && io_monotonic_ns(io_real()) < until_ns) {
        usleep(1000);
    }
    assert_false(is_up(fixture, 2));
    assert_true(is_up(fixture, 4));
}

/* ---- what is asked for again ---- */

static bool is_wanted(struct fixture *fixture)
{
    json_t *answer = check_in(fixture, 1, 10000, false);
    size_t count = json_array_size(json_object_get(answer, "wanted"));
    json_decref(answer);
    return count > 0;
}

static struct object_blob put_contents(struct fixture *fixture)
{
    struct store_blob_writer *writer = NULL;
    struct object_blob blob;
    assert_int_equal(store_blob_begin(fixture->store, 100, &writer), 0);
    assert_int_equal(store_blob_write(writer, span_of_str("contents")), 0);
    assert_int_equal(store_blob_commit(&writer, NULL, &blob), 0);
    return blob;
}

static void contents_that_are_damaged_or_gone_are_asked_for_until_they_are_back(void **state)
{
    struct fixture *fixture = *state;
    struct object_blob blob = put_contents(fixture);
    struct object *object = object_new(OBJECT_RESOURCE);
    object->id.bytes[0] = 9;
    object->change.bytes[0] = 9;
    object->blob = blob;
    object_set_name(object, "r");
    json_t *answer = NULL;
    assert_int_equal(push_list(fixture, json_pack("[o]", object_to_json(object)), &answer), 0);
    json_decref(answer);
    object_free(&object);
    bool whole = false;
    assert_int_equal(sync_server_verify_blob(fixture->server, blob.sha256, &whole), 0);
    assert_true(whole && !is_wanted(fixture));

    char *path = store_blob_path(fixture->store, blob.sha256);
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(sync_server_verify_blob(fixture->server, blob.sha256, &whole), 0);
    assert_true(!whole && is_wanted(fixture));
    (void)put_contents(fixture);
    assert_false(is_wanted(fixture));

    assert_int_equal(unlink(path), 0);
    assert_int_equal(sync_server_look_for_blobs(fixture->server), 0);
    assert_true(is_wanted(fixture));
    mem_free(path);
}

static void more_webservers_than_there_is_room_for_push_out_the_longest_silent(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < SYNC_WEBSERVERS_MAX + 10; i++) {
        struct uuid id = {{0}};
        id.bytes[0] = (uint8_t)i;
        id.bytes[1] = (uint8_t)(i >> 8);
        id.bytes[2] = 1;
        json_t *answer = NULL;
        json_t *request =
            json_pack("{s:i, s:o}", "protocol", SYNC_PROTOCOL, "webserver", sync_uuid_to_json(id));
        assert_int_equal(sync_server_check_in(fixture->server, request, &answer), 0);
        json_decref(request);
        json_decref(answer);
    }
    struct sync_server_stats stats;
    sync_server_stats(fixture->server, &stats);
    assert_int_equal(stats.webservers_known, SYNC_WEBSERVERS_MAX);
}

int main(void)
{
#define CLAIM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(what_is_wrong_is_refused_by_name_and_the_rest_goes_on),
        CLAIM(a_push_for_another_process_or_protocol_is_turned_away),
        CLAIM(a_repeated_push_changes_nothing),
        CLAIM(a_repeated_conflict_gives_the_same_copy),
        CLAIM(an_object_waits_for_its_contents),
        CLAIM(pushes_that_come_together_share_commits),
        CLAIM(a_feed_that_begins_before_what_is_in_memory_misses_nothing),
        CLAIM(what_is_kept_for_the_feeds_is_bounded_in_bytes_too),
        CLAIM(a_feed_hears_what_is_committed_later),
        CLAIM(a_feed_for_another_process_is_turned_away),
        CLAIM(who_misses_three_check_ins_or_says_goodbye_is_down),
        CLAIM(who_was_up_is_up_after_a_restart_until_it_misses_three_check_ins),
        CLAIM(contents_that_are_damaged_or_gone_are_asked_for_until_they_are_back),
        CLAIM(more_webservers_than_there_is_room_for_push_out_the_longest_silent),
        /* Of the datastore's files; over etcd they are a cache. */
        CLAIM(rows_that_cannot_be_read_stop_no_feed_and_come_when_they_are_mended),
        CLAIM(a_push_over_a_row_that_cannot_be_read_is_refused_and_the_rest_goes_on),
    };
    size_t left_out = OVER_FILES ? 0 : 2;
    return _cmocka_run_group_tests("server", tests, ARRAY_COUNT(tests) - left_out, begin_suite,
                                   end_suite);
}
