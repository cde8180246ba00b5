/*
 * Claims, over a real etcd that the test starts: what goes into etcd and out again is the same,
 * tombstones, revisions, identity and epochs too; a target that holds something is refused, what
 * was broken off is not. Skipped with a message without etcd.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <inttypes.h>

#include "etcd/layout.h"
#include "etcd/migrate.h"
#include "etcd/testing.h"

#define OBJECTS 700

static struct store *open_store(const char *dir, const char *name, bool shared)
{
    char *users = mem_printf("%s/%s-u.db", dir, name);
    char *web = mem_printf("%s/%s-w.db", dir, name);
    char *blobs = mem_printf("%s/%s-b", dir, name);
    struct store_options options = {.io = io_real(),
                                    .users_path = users,
                                    .web_path = web,
                                    .blob_dir = blobs,
                                    .authority = true,
                                    .shared = shared};
    struct store *store = NULL;
    assert_int_equal(store_open(&options, &store), 0);
    mem_free(users);
    mem_free(web);
    mem_free(blobs);
    return store;
}

static void fill(struct store *store)
{
    assert_int_equal(store_begin(store, STORE_LAZY), 0);
    for (int i = 0; i < OBJECTS; i++) {
        struct object *object = object_new(i % 3 == 0 ? OBJECT_USER : OBJECT_DASHBOARD);
        object->id.bytes[0] = (uint8_t)(i >> 8);
        object->id.bytes[1] = (uint8_t)i;
        object->id.bytes[15] = 1;
        object->number = (uint64_t)i + 1;
        object->change = object->id;
        object->deleted = i % 10 == 1;
        char *name = mem_printf("object %d", i);
        object_set_name(object, name);
        mem_free(name);
        assert_int_equal(store_next_revision(store, &object->revision), 0);
        assert_int_equal(store_put(store, object), 0);
        object_free(&object);
    }
    assert_int_equal(store_commit(store), 0);
}

static void count(void *context, uint64_t objects, uint64_t bytes)
{
    (void)bytes;
    *(uint64_t *)context += objects;
}

static void expect_same(struct store *a, struct store *b)
{
    for (enum object_file file = 0; file < OBJECT_FILES; file++) {
        struct object_list one = {0};
        struct object_list two = {0};
        struct store_place place_a;
        struct store_place place_b;
        assert_int_equal(store_scan(a, file, NULL, OBJECTS, &one), 0);
        assert_int_equal(store_scan(b, file, NULL, OBJECTS, &two), 0);
        assert_int_equal(one.count, two.count);
        for (size_t i = 0; i < one.count; i++) {
            json_t *x = object_to_json(one.items[i]);
            json_t *y = object_to_json(two.items[i]);
            assert_true(json_equal(x, y));
            json_decref(x);
            json_decref(y);
        }
        object_list_deinit(&one);
        object_list_deinit(&two);
        assert_int_equal(store_place(a, file, &place_a), 0);
        assert_int_equal(store_place(b, file, &place_b), 0);
        assert_true(uuid_equal(place_a.identity, place_b.identity));
        assert_int_equal(place_a.revision, place_b.revision);
    }
}

static void what_goes_in_and_out_again_is_the_same(void **state)
{
    (void)state;
    char dir[] = "/tmp/aquifer-migrate-XXXXXX";
    assert_non_null(mkdtemp(dir));
    uint64_t moved = 0;
    struct store *from = open_store(dir, "from", false);
    struct store *to = open_store(dir, "to", true);
    struct etcd_migration in = {
        .store = from, .io = io_real(), .progress = count, .context = &moved};
    assert_int_equal(etcd_new(io_real(), testing.members, NULL, &in.etcd), 0);
    struct etcd_migration out = in;
    struct etcd_migration again = in;
    out.store = to;
    fill(from);
    assert_int_equal(etcd_migrate_out(&out), ERR_NOT_FOUND);

    /* What a migration left that was broken off is in nobody's way. */
    char *key = etcd_key(in.etcd, "object/left");
    assert_int_equal(etcd_txn(in.etcd, NULL,
                              json_pack("[o]", etcd_put(key, span_of_str("rest"), 0)), NULL,
                              LONG_MS, NULL),
                     0);
    mem_free(key);
    assert_int_equal(etcd_migrate_in(&in), 0);
    assert_int_equal(in.objects, OBJECTS);
    assert_int_equal(in.revision, OBJECTS);
    assert_int_equal(moved, OBJECTS);
    assert_int_equal(etcd_migrate_in(&again), ERR_EXISTS);

    assert_int_equal(etcd_migrate_out(&out), 0);
    assert_int_equal(out.objects, OBJECTS);
    assert_int_equal(store_revision(to), OBJECTS);
    expect_same(from, to);
    out.objects = 0;
    assert_int_equal(etcd_migrate_out(&out), ERR_EXISTS);

    etcd_free(&in.etcd);
    store_close(&from);
    store_close(&to);
    char *command = mem_printf("rm -rf %s", dir);
    assert_int_equal(system(command), 0);
    mem_free(command);
}

static void a_place_in_etcd_is_named_like_this(void **state)
{
    (void)state;
    static const char *const wrong[] = {"etcd://", "http://h:2379", "etcd://h,,i", "etcd:/h", ""};
    struct etcd *etcd = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        assert_int_equal(etcd_new(io_real(), wrong[i], NULL, &etcd), ERR_INVALID);
    }
    assert_int_equal(etcd_new(io_real(), "etcds://h,[::1]:2380/berlin", NULL, &etcd), 0);
    assert_string_equal(etcd_prefix(etcd), "berlin");
    struct etcd_head head;
    assert_int_equal(etcd_head_parse(span_of_str("12"), &head), ERR_CORRUPT);
    assert_int_equal(etcd_head_parse(span_of_str("x 0"), &head), ERR_CORRUPT);
    head = etcd_head_new(io_real(), 12);
    struct etcd_head back;
    char *text = etcd_head_text(&head);
    assert_int_equal(etcd_head_parse(span_of_str(text), &back), 0);
    assert_int_equal(back.revision, 12);
    assert_string_equal(back.token, head.token);
    mem_free(text);
    etcd_free(&etcd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_and_out_again_is_the_same),
        cmocka_unit_test(a_place_in_etcd_is_named_like_this),
    };
    return cmocka_run_group_tests(tests, begin_suite, end_suite);
}
