/*
 * Claims of a webserver's driver without a datastore: alone it is its own authority; with one
 * that cannot be reached, what may continue continues and the rest says why. What happens with a
 * datastore is claimed in src/datastore/api_test.c, over real HTTP.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "sync/sync.h"

struct fixture {
    char dir[64];
    struct store *store;
    struct sync *sync;
    bool authority;
    size_t changes; /* reported by on_change */
};

static void count_change(void *context, const struct object *object)
{
    (void)object;
    ((struct fixture *)context)->changes++;
}

static void start(struct fixture *fixture)
{
    static const char *const datastores[] = {"127.0.0.1:1", "[::1]:1"};
    char *users = mem_printf("%s/u.db", fixture->dir);
    char *web = mem_printf("%s/w.db", fixture->dir);
    char *blobs = mem_printf("%s/b", fixture->dir);
    struct store_options options = {.io = io_real(),
                                    .users_path = users,
                                    .web_path = web,
                                    .blob_dir = blobs,
                                    .authority = fixture->authority};
    assert_int_equal(store_open(&options, &fixture->store), 0);
    struct sync_options sync = {.io = io_real(),
                                .store = fixture->store,
                                .datastores = datastores,
                                .datastore_count = fixture->authority ? 0 : 2,
                                .control_secret = "secret",
                                .webserver = {{1}},
                                .interval_ms = 300,
                                .on_change = count_change,
                                .context = fixture};
    assert_int_equal(sync_start(&sync, &fixture->sync), 0);
    mem_free(users);
    mem_free(web);
    mem_free(blobs);
}

static void stop(struct fixture *fixture)
{
    sync_stop(&fixture->sync);
    store_close(&fixture->store);
}

static int set_up(void **state, bool authority)
{
    struct fixture *fixture = MEM_NEW(struct fixture);
    snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/aquifer-sync-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    fixture->authority = authority;
    start(fixture);
    *state = fixture;
    return 0;
}

static int set_up_alone(void **state)
{
    return set_up(state, true);
}

static int set_up_offline(void **state)
{
    return set_up(state, false);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    stop(fixture);
    char *command = mem_printf("rm -rf %s", fixture->dir);
    assert_int_equal(system(command), 0);
    mem_free(command);
    mem_free(fixture);
    return 0;
}

static struct object *dashboard(const char *name)
{
    struct object *object = object_new(OBJECT_DASHBOARD);
    object->owner = 1;
    object_set_name(object, name);
    return object;
}

static void alone_every_write_is_final(void **state)
{
    struct fixture *fixture = *state;
    struct object *object = dashboard("alone");
    assert_int_equal(sync_write(fixture->sync, object, SYNC_BY_KIND), 0);
    assert_false(object->dirty);
    assert_int_equal(object->revision, 1);
    assert_false(uuid_is_zero(object->id));
    assert_true(object->number > UINT32_MAX);
    assert_true(object->created_ns > 0 && object->created_ns == object->updated_ns);
    assert_int_equal(sync_revision(fixture->sync), 1);
    assert_int_equal(sync_wait_revision(fixture->sync, 1, 0), 0);
    object_set_name(object, "again");
    assert_int_equal(sync_write(fixture->sync, object, SYNC_WRITE_THROUGH), 0);
    assert_int_equal(object->revision, 2);
    assert_int_equal(sync_delete(fixture->sync, &object->id, SYNC_BY_KIND), 0);
    assert_int_equal(sync_delete(fixture->sync, &object->id, SYNC_BY_KIND), ERR_NOT_FOUND);
    assert_int_equal(fixture->changes, 3);
    struct sync_status status;
    sync_status(fixture->sync, &status);
    assert_int_equal(status.state, SYNC_STATE_ALONE);
    assert_int_equal(status.dirty, 0);
    object_free(&object);
}

static void a_write_of_what_has_changed_meanwhile_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct object *object = dashboard("one");
    assert_int_equal(sync_write(fixture->sync, object, SYNC_BY_KIND), 0);
    struct object *stale = object_clone(object);
    object_set_name(object, "two");
    assert_int_equal(sync_write(fixture->sync, object, SYNC_BY_KIND), 0);
    assert_int_equal(sync_write(fixture->sync, stale, SYNC_BY_KIND), ERR_CONFLICT);
    assert_non_null(strstr(err_text(), "read it again"));
    stale->change = (struct uuid){0};
    assert_int_equal(sync_write(fixture->sync, stale, SYNC_BY_KIND), ERR_EXISTS);
    assert_int_equal(sync_delete(fixture->sync, &object->id, SYNC_BY_KIND), 0);
    assert_int_equal(sync_write(fixture->sync, object, SYNC_BY_KIND), ERR_NOT_FOUND);
    object_free(&object);
    object_free(&stale);
}

static void of_preferences_the_last_write_stays(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++) {
        struct object *object = object_new(OBJECT_PREFERENCE);
        object->owner = 7;
        object->id = object_id_of_name(OBJECT_PREFERENCE, 7, "prefs");
        object_set_name(object, "prefs");
        object_set_body(object, json_pack("{s:i}", "n", i));
        assert_int_equal(sync_write(fixture->sync, object, SYNC_BY_KIND), 0);
        object_free(&object);
    }
    struct object *found = NULL;
    assert_int_equal(store_get_by_name(fixture->store, OBJECT_PREFERENCE, 7, "prefs", &found), 0);
    assert_int_equal(object_body_int(found, "n"), 2);
    object_free(&found);
}

static void what_is_invalid_never_reaches_the_store(void **state)
{
    struct fixture *fixture = *state;
    struct object *user = object_new(OBJECT_USER);
    user->number = 5;
    assert_int_equal(sync_write(fixture->sync, user, SYNC_BY_KIND), ERR_INVALID);
    assert_non_null(strstr(err_text(), "user.name"));
    object_set_name(user, "ann");
    assert_int_equal(sync_write(fixture->sync, user, SYNC_BY_KIND), 0);
    struct object *other = object_new(OBJECT_USER);
    other->number = 6;
    object_set_name(other, "ann");
    assert_int_equal(sync_write(fixture->sync, other, SYNC_BY_KIND), ERR_EXISTS);
    assert_non_null(strstr(err_text(), "\"ann\" is taken"));
    object_free(&user);
    object_free(&other);
}

static void offline_writes_are_durable_and_do_not_wait(void **state)
{
    struct fixture *fixture = *state;
    struct sync_status status;
    struct object *object = dashboard("offline");
    assert_int_equal(sync_write(fixture->sync, object, SYNC_BY_KIND), SYNC_UNCONFIRMED);
    assert_true(object->dirty);
    sync_status(fixture->sync, &status);
    assert_int_equal(status.state, SYNC_STATE_OFFLINE);
    assert_int_equal(status.dirty, 1);
    stop(fixture);
    start(fixture);
    struct object *found = NULL;
    assert_int_equal(store_get(fixture->store, &object->id, &found), 0);
    assert_true(found->dirty);
    object_free(&found);
    object_free(&object);
}

static void offline_accounts_are_refused_with_the_reason(void **state)
{
    struct fixture *fixture = *state;
    struct object *user = object_new(OBJECT_USER);
    user->number = 5;
    object_set_name(user, "ann");
    assert_int_equal(sync_write(fixture->sync, user, SYNC_BY_KIND), ERR_UNAVAILABLE);
    assert_non_null(strstr(err_text(), "cannot be reached"));
    assert_int_equal(sync_wait_revision(fixture->sync, 1, 1), ERR_TIMEOUT);
    struct object_blob blob = {.sha256 = {1}, .bytes = 1, .present = true};
    assert_int_equal(sync_blob_fetch(fixture->sync, &blob, 10), ERR_UNAVAILABLE);
    object_free(&user);
}

static void a_webserver_that_loses_its_datastore_for_good_goes_on_alone(void **state)
{
    struct fixture *fixture = *state;
    struct object *object = dashboard("offline");
    assert_int_equal(sync_write(fixture->sync, object, SYNC_BY_KIND), SYNC_UNCONFIRMED);
    stop(fixture);
    fixture->authority = true; /* the Datastore line is taken out of its configuration */
    start(fixture);
    struct object *found = NULL;
    assert_int_equal(store_get(fixture->store, &object->id, &found), 0);
    assert_false(found->dirty);
    assert_true(found->revision > 0);
    object_free(&found);
    object_free(&object);
}

/* ---- restoring ---- */

static struct object *backed_up(enum object_kind kind, uint8_t id, const char *name)
{
    struct object *object = object_new(kind);
    object->id.bytes[0] = id;
    object->number = id;
    object->owner = 1;
    object->created_ns = 1000;
    object->updated_ns = 2000;
    object_set_name(object, name);
    return object;
}

static void check_stored(struct fixture *fixture, const struct object *object)
{
    struct object *stored = NULL;
    assert_int_equal(store_get(fixture->store, &object->id, &stored), 0);
    assert_string_equal(stored->name, object->name);
    assert_int_equal(stored->number, object->number);
    assert_int_equal(stored->created_ns, object->created_ns);
    assert_int_equal(stored->updated_ns, object->updated_ns);
    object_free(&stored);
}

/* Over nothing, over an edited one, over a deleted one: each time as it was backed up. */
static void restore_over_anything(struct fixture *fixture)
{
    struct object *objects[] = {backed_up(OBJECT_DASHBOARD, 1, "one"),
                                backed_up(OBJECT_DASHBOARD, 2, "two")};
    assert_int_equal(sync_restore(fixture->sync, objects, 2), 0);
    check_stored(fixture, objects[0]);
    struct object *edited = object_clone(objects[0]);
    object_set_name(edited, "edited since");
    assert_true(sync_write(fixture->sync, edited, SYNC_BY_KIND) >= 0);
    assert_true(sync_delete(fixture->sync, &objects[1]->id, SYNC_LOCAL_FIRST) >= 0);
    assert_int_equal(sync_restore(fixture->sync, objects, 2), 0);
    check_stored(fixture, objects[0]);
    check_stored(fixture, objects[1]);
    object_free(&edited);
    object_free(&objects[0]);
    object_free(&objects[1]);
}

static void what_is_restored_replaces_and_keeps_its_times(void **state)
{
    restore_over_anything(*state);
}

static void restored_objects_wait_for_the_datastore(void **state)
{
    struct fixture *fixture = *state;
    struct sync_status status;
    restore_over_anything(fixture);
    sync_status(fixture->sync, &status);
    assert_int_equal(status.dirty, 2);
    struct object *user = backed_up(OBJECT_USER, 9, "ann");
    user->id = object_id_of_number(OBJECT_USER, 9);
    assert_int_equal(sync_restore(fixture->sync, &user, 1), ERR_UNAVAILABLE);
    object_free(&user);
}

static void of_a_batch_all_is_restored_or_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct object *taken = backed_up(OBJECT_MACRO, 2, "m");
    struct object *stored = NULL;
    assert_int_equal(sync_restore(fixture->sync, &taken, 1), 0);
    struct object *objects[] = {backed_up(OBJECT_DASHBOARD, 1, "one"),
                                backed_up(OBJECT_DASHBOARD, 2, "two")};
    assert_int_equal(sync_restore(fixture->sync, objects, 2), ERR_EXISTS);
    assert_int_equal(store_get(fixture->store, &objects[0]->id, &stored), STORE_ABSENT);
    check_stored(fixture, taken);
    object_free(&taken);
    object_free(&objects[0]);
    object_free(&objects[1]);
}

int main(void)
{
#define ALONE(test) cmocka_unit_test_setup_teardown(test, set_up_alone, tear_down)
#define OFFLINE(test) cmocka_unit_test_setup_teardown(test, set_up_offline, tear_down)
    const struct CMUnitTest tests[] = {
        ALONE(alone_every_write_is_final),
        ALONE(a_write_of_what_has_changed_meanwhile_is_told),
        ALONE(of_preferences_the_last_write_stays),
        ALONE(what_is_invalid_never_reaches_the_store),
        OFFLINE(offline_writes_are_durable_and_do_not_wait),
        OFFLINE(offline_accounts_are_refused_with_the_reason),
        OFFLINE(a_webserver_that_loses_its_datastore_for_good_goes_on_alone),
        ALONE(what_is_restored_replaces_and_keeps_its_times),
        ALONE(of_a_batch_all_is_restored_or_nothing),
        OFFLINE(restored_objects_wait_for_the_datastore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
