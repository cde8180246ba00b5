/*
 * Claims: what a commit returned for is there after the files are opened again, what was aborted
 * is not; lookups, listings and paging find what they should and show it only to whom they may;
 * revisions, epochs and the dirty order are kept; damage and a second process are told by name.
 * On real SQLite in a temporary directory.
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
#include "base/time.h"
#include "store/store.h"
#include "store/store_sql.h"

struct fixture {
    char dir[64];
    char *users, *web, *blobs;
    struct store *store;
};

static int open_as(struct fixture *fixture, bool authority)
{
    struct store_options options = {.io = io_real(),
                                    .users_path = fixture->users,
                                    .web_path = fixture->web,
                                    .blob_dir = fixture->blobs,
                                    .authority = authority};
    return store_open(&options, &fixture->store);
}

static int set_up(void **state)
{
    struct fixture *fixture = MEM_NEW(struct fixture);
    snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/aquifer-store-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    fixture->users = mem_printf("%s/etc/users.db", fixture->dir);
    fixture->web = mem_printf("%s/etc/webstore.db", fixture->dir);
    fixture->blobs = mem_printf("%s/resources/webserver", fixture->dir);
    assert_int_equal(open_as(fixture, true), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    store_close(&fixture->store);
    char *command = mem_printf("rm -rf %s", fixture->dir);
    assert_int_equal(system(command), 0);
    mem_free(command);
    mem_free(fixture->users);
    mem_free(fixture->web);
    mem_free(fixture->blobs);
    mem_free(fixture);
    return 0;
}

static void reopen(struct fixture *fixture, bool authority)
{
    store_close(&fixture->store);
    assert_int_equal(open_as(fixture, authority), 0);
}

static uint8_t next_byte;

static struct object *make(enum object_kind kind, int32_t owner, const char *name)
{
    struct object *object = object_new(kind);
    next_byte++;
    object->id.bytes[0] = next_byte;
    object->id.bytes[15] = 1;
    object->change.bytes[0] = next_byte;
    object->change.bytes[15] = 2;
    object->owner = owner;
    object->number = object_kind_info(kind)->numbered ? next_byte : 0;
    object->created_ns = next_byte;
    object_set_name(object, name);
    return object;
}

/* In a transaction of its own, with the next revision unless it is dirty. */
static void put(struct store *store, struct object *object)
{
    assert_int_equal(store_begin(store, STORE_DURABLE), 0);
    if (!object->dirty) {
        assert_int_equal(store_next_revision(store, &object->revision), 0);
    }
    assert_int_equal(store_put(store, object), 0);
    assert_int_equal(store_commit(store), 0);
}

static struct uuid put_new(struct store *store, enum object_kind kind, int32_t owner,
                           const char *name)
{
    struct object *object = make(kind, owner, name);
    put(store, object);
    struct uuid id = object->id;
    object_free(&object);
    return id;
}

static char *text_of(const struct object *object)
{
    json_t *json = object_to_json(object);
    char *text = json_dumps(json, JSON_SORT_KEYS);
    json_decref(json);
    return text;
}

/* ---- keeping ---- */

static void reopening_gives_back_every_field(void **state)
{
    struct fixture *fixture = *state;
    static const int32_t gids[] = {3, 4};
    static const char *const labels[] = {"a", "b,\"c\""};
    struct object *object = make(OBJECT_RESOURCE, 7, "hosts \xe2\x82\xac");
    object->guid.bytes[1] = 1;
    object_set_gids(&object->gids, gids, 2);
    object_set_gids(&object->write_gids, gids, 1);
    object_set_labels(object, labels, 2);
    object_set_description(object, "line\nline");
    object_set_body(object, json_pack("{s:i, s:[n,b]}", "Version", 3, "list", 1));
    object->global = object->write_global = true;
    object->blob = (struct object_blob){.bytes = 77, .present = true};
    object->updated_ns = INT64_MAX;
    object->stamped = true;
    object->stamps[0] = (struct object_stamp){{{1}}, UINT64_C(1) << 40};
    object->stamp_count = 1;
    object->past[0].bytes[0] = 9;
    object->past_count = 1;
    put(fixture->store, object);
    reopen(fixture, true);
    struct object *back = NULL;
    assert_int_equal(store_get(fixture->store, &object->id, &back), 0);
    char *one = text_of(object);
    char *two = text_of(back);
    assert_string_equal(one, two);
    assert_false(back->dirty);
    free(one);
    free(two);
    object_free(&back);
    object_free(&object);
}

static void what_was_aborted_never_was(void **state)
{
    struct fixture *fixture = *state;
    struct object *object = make(OBJECT_DASHBOARD, 7, "aborted");
    struct object *back = NULL;
    uint64_t before = store_revision(fixture->store);
    assert_int_equal(store_begin(fixture->store, STORE_DURABLE), 0);
    assert_int_equal(store_next_revision(fixture->store, &object->revision), 0);
    assert_int_equal(store_put(fixture->store, object), 0);
    assert_int_equal(store_get(fixture->store, &object->id, &back), 0); /* the writer sees it */
    object_free(&back);
    store_abort(fixture->store);
    assert_int_equal(store_get(fixture->store, &object->id, &back), STORE_ABSENT);
    assert_int_equal(store_revision(fixture->store), before);
    put(fixture->store, object);
    assert_int_equal(object->revision, before + 1); /* the number is used after all */
    object_free(&object);
}

static void *read_meanwhile(void *context)
{
    struct store *store = context;
    uint64_t count = 99;
    assert_int_equal(store_count(store, OBJECT_DASHBOARD, &count), 0);
    return count == 0 ? NULL : store;
}

static void readers_see_the_last_commit_and_never_wait(void **state)
{
    struct fixture *fixture = *state;
    struct object *object = make(OBJECT_DASHBOARD, 7, "not yet");
    pthread_t reader;
    void *wrong;
    assert_int_equal(store_begin(fixture->store, STORE_DURABLE), 0);
    assert_int_equal(store_put(fixture->store, object), 0);
    assert_int_equal(pthread_create(&reader, NULL, read_meanwhile, fixture->store), 0);
    (void)pthread_join(reader, &wrong); /* returns although the writer has not finished */
    assert_null(wrong);
    assert_int_equal(store_commit(fixture->store), 0);
    object_free(&object);
}

static void revisions_go_on_after_reopening(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++) {
        (void)put_new(fixture->store, OBJECT_DASHBOARD, 7, "d");
        (void)put_new(fixture->store, OBJECT_USER, 0, "u");
    }
    assert_int_equal(store_revision(fixture->store), 6);
    reopen(fixture, true);
    assert_int_equal(store_revision(fixture->store), 6);
    struct object *object = make(OBJECT_GROUP, 0, "g");
    put(fixture->store, object);
    assert_int_equal(object->revision, 7);
    object_free(&object);
}

/* ---- finding ---- */

static void objects_are_found_by_id_number_and_name(void **state)
{
    struct fixture *fixture = *state;
    struct object *object = make(OBJECT_DASHBOARD, 7, "net");
    struct object *found = NULL;
    put(fixture->store, object);
    assert_int_equal(store_get_by_number(fixture->store, OBJECT_DASHBOARD, object->number, &found),
                     0);
    assert_true(uuid_equal(found->id, object->id));
    object_free(&found);
    assert_int_equal(store_get_by_number(fixture->store, OBJECT_MACRO, object->number, &found),
                     STORE_ABSENT);
    assert_int_equal(store_get_by_name(fixture->store, OBJECT_DASHBOARD, 7, "net", &found), 0);
    object_free(&found);
    assert_int_equal(store_get_by_name(fixture->store, OBJECT_DASHBOARD, -1, "net", &found), 0);
    object_free(&found);
    assert_int_equal(store_get_by_name(fixture->store, OBJECT_DASHBOARD, 8, "net", &found),
                     STORE_ABSENT);
    object_bury(object);
    put(fixture->store, object);
    assert_int_equal(store_get(fixture->store, &object->id, &found), STORE_ABSENT);
    assert_int_equal(store_get_by_name(fixture->store, OBJECT_DASHBOARD, 7, "net", &found),
                     STORE_ABSENT);
    assert_int_equal(store_get_any(fixture->store, &object->id, &found), 0);
    assert_true(found->deleted);
    object_free(&found);
    object_free(&object);
}

static size_t count_listed(struct store *store, const struct store_query *query)
{
    struct object_list list = {0};
    assert_int_equal(store_list(store, query, &list), 0);
    size_t count = list.count;
    object_list_deinit(&list);
    return count;
}

static void listings_show_own_shared_and_global_objects_only(void **state)
{
    struct fixture *fixture = *state;
    static const int32_t gids[] = {3};
    struct object_principal ann = {.uid = 7, .gids = gids, .gid_count = 1};
    struct object_principal admin = {.uid = 1, .admin = true, .admin_mode = true};
    struct store_query query = {.kind = OBJECT_DASHBOARD, .principal = &ann};
    (void)put_new(fixture->store, OBJECT_DASHBOARD, 7, "own");
    (void)put_new(fixture->store, OBJECT_DASHBOARD, 8, "foreign");
    (void)put_new(fixture->store, OBJECT_MACRO, 7, "other kind");
    struct object *shared = make(OBJECT_DASHBOARD, 8, "shared");
    object_set_gids(&shared->gids, gids, 1);
    put(fixture->store, shared);
    struct object *global = make(OBJECT_DASHBOARD, 8, "global");
    global->global = true;
    put(fixture->store, global);
    assert_int_equal(count_listed(fixture->store, &query), 3);
    query.by_owner = true;
    query.owner = 7;
    assert_int_equal(count_listed(fixture->store, &query), 1);
    query = (struct store_query){.kind = OBJECT_DASHBOARD, .by_group = true, .gid = 3};
    assert_int_equal(count_listed(fixture->store, &query), 1);
    query = (struct store_query){.kind = OBJECT_DASHBOARD, .principal = &admin};
    assert_int_equal(count_listed(fixture->store, &query), 4);
    query = (struct store_query){.kind = OBJECT_ANY};
    assert_int_equal(count_listed(fixture->store, &query), 5);
    query = (struct store_query){.kind = OBJECT_ANY, .name = "global"};
    assert_int_equal(count_listed(fixture->store, &query), 1);
    object_free(&shared);
    object_free(&global);
}

static bool has_even_name(void *context, const struct object *object)
{
    (void)context;
    return (object->name[strlen(object->name) - 1] - '0') % 2 == 0;
}

static void history_is_paged_newest_first(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 10; i++) {
        char name[24];
        snprintf(name, sizeof(name), "query %d", i);
        (void)put_new(fixture->store, OBJECT_HISTORY, 7, name);
    }
    struct object_list list = {0};
    struct store_query query = {.kind = OBJECT_HISTORY,
                                .by_owner = true,
                                .owner = 7,
                                .order = STORE_NEWEST_FIRST,
                                .skip = 2,
                                .limit = 3};
    assert_int_equal(store_list(fixture->store, &query, &list), 0);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.items[0]->name, "query 7");
    assert_string_equal(list.items[2]->name, "query 5");
    object_list_deinit(&list);
    /* A filter works before the page is cut. */
    query.filter = has_even_name;
    query.skip = 1;
    assert_int_equal(store_list(fixture->store, &query, &list), 0);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.items[0]->name, "query 6");
    assert_string_equal(list.items[2]->name, "query 2");
    object_list_deinit(&list);
}

static void the_highest_number_counts_the_deleted_too(void **state)
{
    struct fixture *fixture = *state;
    uint64_t number = 99;
    assert_int_equal(store_number_max(fixture->store, OBJECT_USER, &number), 0);
    assert_int_equal(number, 0);
    struct object *user = make(OBJECT_USER, 0, "gone");
    user->number = 41;
    user->deleted = true;
    put(fixture->store, user);
    assert_int_equal(store_number_max(fixture->store, OBJECT_USER, &number), 0);
    assert_int_equal(number, 41);
    object_free(&user);
}

/* ---- changes, dirty, shadows, versions ---- */

static void changes_come_in_order_over_both_files(void **state)
{
    struct fixture *fixture = *state;
    struct object *first = make(OBJECT_DASHBOARD, 7, "first");
    put(fixture->store, first);
    (void)put_new(fixture->store, OBJECT_USER, 0, "second");
    (void)put_new(fixture->store, OBJECT_DASHBOARD, 7, "third");
    put(fixture->store, first); /* again: revision 4 */
    struct object_list list = {0};
    assert_int_equal(store_changes(fixture->store, 0, 0, &list), 0);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.items[0]->name, "second");
    assert_string_equal(list.items[1]->name, "third");
    assert_int_equal(list.items[2]->revision, 4);
    object_list_deinit(&list);
    assert_int_equal(store_changes(fixture->store, 2, 1, &list), 0);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0]->revision, 3);
    object_list_deinit(&list);
    object_free(&first);
}

static void what_is_dirty_keeps_its_place_until_it_is_clean(void **state)
{
    struct fixture *fixture = *state;
    reopen(fixture, false);
    struct object *one = make(OBJECT_DASHBOARD, 7, "one");
    struct object *two = make(OBJECT_USER, 0, "two");
    one->dirty = two->dirty = true;
    put(fixture->store, one);
    put(fixture->store, two);
    object_set_name(one, "one again");
    put(fixture->store, one);
    reopen(fixture, false);
    struct object_list list = {0};
    uint64_t last = 0;
    assert_int_equal(store_dirty(fixture->store, 0, 0, &list, &last), 0);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0]->name, "one again");
    assert_true(list.items[1]->dirty);
    object_list_deinit(&list);
    assert_int_equal(store_dirty(fixture->store, last, 0, &list, &last), 0);
    assert_int_equal(list.count, 0);
    one->dirty = false;
    assert_int_equal(store_begin(fixture->store, STORE_LAZY), 0);
    assert_int_equal(store_put(fixture->store, one), 0);
    assert_int_equal(store_commit(fixture->store), 0);
    one->dirty = true;
    put(fixture->store, one); /* dirty again: now after the other */
    assert_int_equal(store_dirty(fixture->store, 0, 0, &list, &last), 0);
    assert_string_equal(list.items[1]->name, "one again");
    object_list_deinit(&list);
    uint64_t count = 0;
    assert_int_equal(store_dirty_count(fixture->store, &count), 0);
    assert_int_equal(count, 2);
    object_free(&one);
    object_free(&two);
}

static void a_shadow_stands_beside_and_goes(void **state)
{
    struct fixture *fixture = *state;
    struct object *object = make(OBJECT_DASHBOARD, 7, "theirs");
    struct object *shadow = NULL;
    object->revision = 50;
    assert_int_equal(store_begin(fixture->store, STORE_LAZY), 0);
    assert_int_equal(store_put_shadow(fixture->store, &object->id, object), 0);
    assert_int_equal(store_commit(fixture->store), 0);
    assert_int_equal(store_get_shadow(fixture->store, &object->id, &shadow), 0);
    assert_string_equal(shadow->name, "theirs");
    object_free(&shadow);
    assert_int_equal(store_get(fixture->store, &object->id, &shadow), STORE_ABSENT);
    struct store_place place;
    assert_int_equal(store_place(fixture->store, OBJECT_FILE_WEB, &place), 0);
    assert_int_equal(place.revision, 50);
    assert_int_equal(store_begin(fixture->store, STORE_LAZY), 0);
    assert_int_equal(store_put_shadow(fixture->store, &object->id, NULL), 0);
    assert_int_equal(store_commit(fixture->store), 0);
    assert_int_equal(store_get_shadow(fixture->store, &object->id, &shadow), STORE_ABSENT);
    object_free(&object);
}

/* A version's age counts from what replaced it: the last edit of an object that was left alone
 * for years can be undone, what was replaced before that is gone with it. */
static void versions_that_were_replaced_long_ago_go_with_the_next_change(void **state)
{
    struct fixture *fixture = *state;
    int64_t now_ns = io_now_ns(io_real());
    fixture->store->versions_age_ns = 30 * TIME_DAY_NS;
    struct object *object = make(OBJECT_DASHBOARD, 7, "");
    static const int days_ago[] = {1000, 900, 800, 20, 0};
    for (size_t i = 0; i < ARRAY_COUNT(days_ago); i++) {
        object->updated_ns = now_ns - days_ago[i] * TIME_DAY_NS;
        object->change.bytes[1] = (uint8_t)i;
        put(fixture->store, object);
    }
    struct object_list list = {0};
    assert_int_equal(store_versions(fixture->store, &object->id, &list), 0);
    assert_int_equal(list.count, 2); /* of 800 days ago, replaced 20 days ago; of 20 days ago */
    assert_int_equal(list.items[0]->change.bytes[1], 3);
    assert_int_equal(list.items[1]->change.bytes[1], 2);
    object_list_deinit(&list);
    object_free(&object);
}

static void the_last_versions_are_kept_and_no_more(void **state)
{
    struct fixture *fixture = *state;
    struct object *object = make(OBJECT_DASHBOARD, 7, "");
    for (int i = 0; i < STORE_VERSIONS_DEFAULT + 5; i++) {
        char name[24];
        snprintf(name, sizeof(name), "v%d", i);
        object_set_name(object, name);
        object->change.bytes[1] = (uint8_t)i;
        put(fixture->store, object);
    }
    struct object_list list = {0};
    assert_int_equal(store_versions(fixture->store, &object->id, &list), 0);
    assert_int_equal(list.count, STORE_VERSIONS_DEFAULT);
    assert_string_equal(list.items[0]->name, "v23");
    assert_string_equal(list.items[STORE_VERSIONS_DEFAULT - 1]->name, "v4");
    object_list_deinit(&list);
    object_free(&object);
    struct object *token = make(OBJECT_TOKEN, 7, "secret");
    put(fixture->store, token);
    token->change.bytes[1] = 1;
    put(fixture->store, token);
    assert_int_equal(store_versions(fixture->store, &token->id, &list), 0);
    assert_int_equal(list.count, 0);
    object_free(&token);
}

static void change_ids_are_remembered_with_their_revision(void **state)
{
    struct fixture *fixture = *state;
    struct object *object = make(OBJECT_DASHBOARD, 7, "d");
    struct uuid first = object->change;
    struct store_change found;
    put(fixture->store, object);
    object->change.bytes[1] = 1;
    put(fixture->store, object);
    assert_int_equal(store_find_change(fixture->store, &first, &found), 0);
    assert_int_equal(found.revision, 1);
    assert_true(uuid_equal(found.object, object->id));
    first.bytes[1] = 77;
    assert_int_equal(store_find_change(fixture->store, &first, &found), STORE_ABSENT);
    object_free(&object);
}

/* ---- places and epochs ---- */

static void every_life_of_an_authority_is_an_epoch(void **state)
{
    struct fixture *fixture = *state;
    struct store_place first;
    struct store_place second;
    assert_int_equal(store_place(fixture->store, OBJECT_FILE_WEB, &first), 0);
    assert_false(uuid_is_zero(first.identity));
    (void)put_new(fixture->store, OBJECT_DASHBOARD, 7, "d");
    reopen(fixture, true);
    assert_int_equal(store_place(fixture->store, OBJECT_FILE_WEB, &second), 0);
    assert_true(uuid_equal(first.identity, second.identity));
    assert_false(uuid_equal(first.epoch, second.epoch));
    struct store_epoch *epochs = NULL;
    size_t count = 0;
    assert_int_equal(store_epochs(fixture->store, OBJECT_FILE_WEB, &epochs, &count), 0);
    assert_int_equal(count, 2);
    assert_true(uuid_is_zero(epochs[0].parent));
    assert_true(uuid_equal(epochs[1].parent, epochs[0].epoch));
    assert_int_equal(epochs[1].start, 1);
    assert_true(epochs[0].main && epochs[1].main);
    mem_free(epochs);
}

static void take_lineage(struct fixture *fixture, uint32_t from, size_t count)
{
    struct store_epoch *epochs = mem_alloc_array(count, sizeof(*epochs));
    struct uuid identity = {{1}};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = from + i;
        epochs[i].main = true;
        epochs[i].epoch.bytes[15] = 1;
        memcpy(epochs[i].epoch.bytes, &number, sizeof(number));
    }
    assert_int_equal(store_begin(fixture->store, STORE_LAZY), 0);
    assert_int_equal(store_set_lineage(fixture->store, OBJECT_FILE_WEB, &identity,
                                       &epochs[count - 1].epoch, epochs, count),
                     0);
    assert_int_equal(store_commit(fixture->store), 0);
    mem_free(epochs);
}

/* More would be refused by a datastore that is told them. */
static void a_replica_keeps_the_newest_epochs_that_it_was_told(void **state)
{
    struct fixture *fixture = *state;
    struct store_epoch *epochs = NULL;
    size_t count = 0;
    reopen(fixture, false);
    take_lineage(fixture, 1, STORE_EPOCHS_MAX);
    take_lineage(fixture, 1001, STORE_EPOCHS_MAX);
    assert_int_equal(store_epochs(fixture->store, OBJECT_FILE_WEB, &epochs, &count), 0);
    assert_int_equal(count, STORE_EPOCHS_MAX);
    for (size_t i = 0; i < count; i++) {
        assert_true(epochs[i].main);
    }
    mem_free(epochs);
}

static void the_cursor_is_what_both_files_have_reached(void **state)
{
    struct fixture *fixture = *state;
    reopen(fixture, false);
    assert_int_equal(store_begin(fixture->store, STORE_LAZY), 0);
    assert_int_equal(store_set_cursor(fixture->store, OBJECT_FILE_WEB, 12), 0);
    assert_int_equal(store_set_cursor(fixture->store, OBJECT_FILE_USERS, 10), 0);
    assert_int_equal(store_commit(fixture->store), 0);
    assert_int_equal(store_revision(fixture->store), 10);
    reopen(fixture, false);
    assert_int_equal(store_revision(fixture->store), 10);
    /* It becomes a datastore: no revision that was heard of comes again. */
    reopen(fixture, true);
    struct object *object = make(OBJECT_DASHBOARD, 7, "next");
    put(fixture->store, object);
    assert_int_equal(object->revision, 13);
    object_free(&object);
}

static void notes_are_kept(void **state)
{
    struct fixture *fixture = *state;
    struct buf note = {0};
    assert_int_equal(store_get_note(fixture->store, "x", &note), 0);
    assert_int_equal(note.bytes, 0);
    assert_int_equal(store_begin(fixture->store, STORE_DURABLE), 0);
    assert_int_equal(store_set_note(fixture->store, "x", "y"), 0);
    assert_int_equal(store_commit(fixture->store), 0);
    assert_int_equal(store_get_note(fixture->store, "x", &note), 0);
    assert_string_equal(buf_str(&note), "y");
    buf_deinit(&note);
}

/* ---- what goes wrong ---- */

static void a_second_process_is_kept_out(void **state)
{
    struct fixture *fixture = *state;
    struct fixture other = *fixture;
    other.store = NULL;
    assert_int_equal(open_as(&other, true), ERR_UNAVAILABLE);
    assert_non_null(strstr(err_text(), "users.db is in use"));
    assert_null(other.store);
}

static void a_damaged_file_is_named_with_the_remedy(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 200; i++) {
        (void)put_new(fixture->store, OBJECT_DASHBOARD, 7, "a name that takes up some room");
        next_byte = next_byte == 250 ? 1 : next_byte;
    }
    store_close(&fixture->store);
    struct io_file *file = NULL;
    uint8_t garbage[4096];
    memset(garbage, 0x5a, sizeof(garbage));
    assert_int_equal(io_open(io_real(), fixture->web, IO_WRITE, &file), 0);
    for (uint64_t page = 1; page < 12; page++) {
        assert_int_equal(io_write_at(file, page * 4096, span_of(garbage, sizeof(garbage))), 0);
    }
    io_close(&file);
    assert_int_equal(open_as(fixture, true), ERR_CORRUPT);
    assert_non_null(strstr(err_text(), "webstore.db"));
    assert_non_null(strstr(err_text(), "restore it"));
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    struct fixture *fixture = *state;
    store_close(&fixture->store);
    struct buf text = {0};
    buf_printf(&text, "%04096d", 7);
    assert_int_equal(io_write_file(io_real(), fixture->users, buf_span(&text)), 0);
    buf_deinit(&text);
    assert_int_equal(open_as(fixture, true), ERR_CORRUPT);
    assert_non_null(strstr(err_text(), "users.db"));
}

static void one_path_for_both_files_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct fixture other = *fixture;
    other.store = NULL;
    other.web = other.users;
    assert_int_equal(open_as(&other, true), ERR_INVALID);
}

static void a_plain_copy_after_a_checkpoint_is_whole(void **state)
{
    struct fixture *fixture = *state;
    struct uuid id = put_new(fixture->store, OBJECT_DASHBOARD, 7, "copied");
    assert_int_equal(store_checkpoint(fixture->store), 0);
    char *command = mem_printf("cp %s %s/u.db && cp %s %s/w.db", fixture->users, fixture->dir,
                               fixture->web, fixture->dir);
    assert_int_equal(system(command), 0);
    mem_free(command);
    struct fixture copy = {.users = mem_printf("%s/u.db", fixture->dir),
                           .web = mem_printf("%s/w.db", fixture->dir),
                           .blobs = mem_printf("%s/b", fixture->dir)};
    assert_int_equal(open_as(&copy, false), 0);
    struct object *object = NULL;
    assert_int_equal(store_get(copy.store, &id, &object), 0);
    object_free(&object);
    store_close(&copy.store);
    mem_free(copy.users);
    mem_free(copy.web);
    mem_free(copy.blobs);
}

/* Everything up to a cursor has been applied: one that is too low is heard again, one that is too
 * high would be a gap. */
static void a_cursor_after_a_crash_is_behind_and_never_ahead(void **state)
{
    struct fixture *fixture = *state;
    reopen(fixture, false);
    struct object *object = make(OBJECT_DASHBOARD, 7, "arrived");
    object->revision = 7;
    assert_int_equal(store_begin(fixture->store, STORE_LAZY), 0);
    assert_int_equal(store_put(fixture->store, object), 0);
    assert_int_equal(store_set_cursor(fixture->store, OBJECT_FILE_USERS, 7), 0);
    assert_int_equal(store_set_cursor(fixture->store, OBJECT_FILE_WEB, 7), 0);
    assert_int_equal(store_commit(fixture->store), 0);
    object_free(&object);
    assert_int_equal(store_revision(fixture->store), 7);
    assert_int_equal(store_begin(fixture->store, STORE_LAZY), 0);
    assert_int_equal(store_set_cursor(fixture->store, OBJECT_FILE_WEB, 9), 0);
    store_abort(fixture->store);
    assert_int_equal(store_cursor(fixture->store, OBJECT_FILE_WEB), 7);

    char *command = mem_printf("cd %s && for end in '' -wal; do cp %s$end u.db$end && "
                               "cp %s$end w.db$end || exit 1; done",
                               fixture->dir, fixture->users, fixture->web);
    assert_int_equal(system(command), 0);
    mem_free(command);
    struct fixture crashed = {.users = mem_printf("%s/u.db", fixture->dir),
                              .web = mem_printf("%s/w.db", fixture->dir),
                              .blobs = mem_printf("%s/b", fixture->dir)};
    assert_int_equal(open_as(&crashed, false), 0);
    assert_int_equal(store_cursor(crashed.store, OBJECT_FILE_WEB), 7);
    assert_in_range(store_cursor(crashed.store, OBJECT_FILE_USERS), 0, 7);
    store_close(&crashed.store);
    mem_free(crashed.users);
    mem_free(crashed.web);
    mem_free(crashed.blobs);

    reopen(fixture, false);
    assert_int_equal(store_cursor(fixture->store, OBJECT_FILE_USERS), 7);
    assert_int_equal(store_revision(fixture->store), 7);
}

/* ---- snapshots ---- */

static int count_one(void *context, const struct object *object)
{
    (void)object;
    (*(int *)context)++;
    return 0;
}

static int count_in(struct store_snapshot *snapshot, enum object_kind kind)
{
    int count = 0;
    assert_int_equal(store_snapshot_walk(snapshot, kind, count_one, &count), 0);
    return count;
}

/* What is written to either file, or deleted, after it was opened is not in it. */
static void a_snapshot_is_one_moment_of_both_files(void **state)
{
    struct fixture *fixture = *state;
    struct store_snapshot *snapshot;
    (void)put_new(fixture->store, OBJECT_USER, 0, "u");
    struct uuid id = put_new(fixture->store, OBJECT_DASHBOARD, 7, "d");
    assert_int_equal(store_snapshot_open(fixture->store, &snapshot), 0);
    (void)put_new(fixture->store, OBJECT_USER, 0, "later");
    (void)put_new(fixture->store, OBJECT_DASHBOARD, 7, "later");
    assert_int_equal(store_begin(fixture->store, STORE_DURABLE), 0);
    assert_int_equal(store_forget(fixture->store, &id), 0);
    assert_int_equal(store_commit(fixture->store), 0);
    assert_int_equal(count_in(snapshot, OBJECT_USER), 1);
    assert_int_equal(count_in(snapshot, OBJECT_DASHBOARD), 1);
    assert_int_equal(count_in(snapshot, OBJECT_MACRO), 0);
    assert_int_equal(store_snapshot_revision(snapshot), 2);
    store_snapshot_close(&snapshot);
    assert_int_equal(store_snapshot_open(fixture->store, &snapshot), 0);
    assert_int_equal(count_in(snapshot, OBJECT_USER), 2);
    store_snapshot_close(&snapshot);
}

int main(void)
{
#define CLAIM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(reopening_gives_back_every_field),
        CLAIM(what_was_aborted_never_was),
        CLAIM(readers_see_the_last_commit_and_never_wait),
        CLAIM(revisions_go_on_after_reopening),
        CLAIM(objects_are_found_by_id_number_and_name),
        CLAIM(listings_show_own_shared_and_global_objects_only),
        CLAIM(history_is_paged_newest_first),
        CLAIM(the_highest_number_counts_the_deleted_too),
        CLAIM(changes_come_in_order_over_both_files),
        CLAIM(what_is_dirty_keeps_its_place_until_it_is_clean),
        CLAIM(a_shadow_stands_beside_and_goes),
        CLAIM(versions_that_were_replaced_long_ago_go_with_the_next_change),
        CLAIM(the_last_versions_are_kept_and_no_more),
        CLAIM(change_ids_are_remembered_with_their_revision),
        CLAIM(every_life_of_an_authority_is_an_epoch),
        CLAIM(a_replica_keeps_the_newest_epochs_that_it_was_told),
        CLAIM(the_cursor_is_what_both_files_have_reached),
        CLAIM(notes_are_kept),
        CLAIM(a_second_process_is_kept_out),
        CLAIM(a_damaged_file_is_named_with_the_remedy),
        CLAIM(a_file_that_is_no_database_is_refused),
        CLAIM(one_path_for_both_files_is_refused),
        CLAIM(a_plain_copy_after_a_checkpoint_is_whole),
        CLAIM(a_cursor_after_a_crash_is_behind_and_never_ahead),
        CLAIM(a_snapshot_is_one_moment_of_both_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
