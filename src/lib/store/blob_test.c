/*
 * Claims: a blob is there under the hash of its contents once commit has returned, whole, and
 * never under a hash that is not its own; what was not finished leaves nothing behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/store.h"

struct fixture {
    char dir[64];
    struct store *store;
};

static void open_store(struct fixture *fixture)
{
    char *users = mem_printf("%s/users.db", fixture->dir);
    char *web = mem_printf("%s/webstore.db", fixture->dir);
    char *blobs = mem_printf("%s/resources", fixture->dir);
    struct store_options options = {.io = io_real(),
                                    .users_path = users,
                                    .web_path = web,
                                    .blob_dir = blobs,
                                    .authority = true};
    assert_int_equal(store_open(&options, &fixture->store), 0);
    mem_free(users);
    mem_free(web);
    mem_free(blobs);
}

static int set_up(void **state)
{
    struct fixture *fixture = MEM_NEW(struct fixture);
    snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/aquifer-blob-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    open_store(fixture);
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
    mem_free(fixture);
    return 0;
}

static int count_name(void *context, const char *name)
{
    (void)name;
    (*(size_t *)context)++;
    return 0;
}

static size_t unfinished(struct fixture *fixture)
{
    size_t count = 0;
    char *tmp = mem_printf("%s/resources/tmp", fixture->dir);
    assert_int_equal(io_list(io_real(), tmp, count_name, &count), 0);
    mem_free(tmp);
    return count;
}

static struct object_blob write_blob(struct store *store, size_t bytes, size_t piece)
{
    struct store_blob_writer *writer = NULL;
    struct object_blob blob;
    uint8_t *data = mem_alloc(bytes + 1);
    for (size_t i = 0; i < bytes; i++) {
        data[i] = (uint8_t)(i * 31);
    }
    assert_int_equal(store_blob_begin(store, OBJECT_BLOB_BYTES_MAX, &writer), 0);
    for (size_t at = 0; at < bytes; at += piece) {
        assert_int_equal(store_blob_write(writer, span_of(data + at, MIN(piece, bytes - at))), 0);
    }
    assert_int_equal(store_blob_commit(&writer, NULL, &blob), 0);
    assert_null(writer);
    uint8_t expected[32];
    (void)crypto_hash_sha256(expected, data, bytes);
    assert_memory_equal(blob.sha256, expected, 32);
    mem_free(data);
    return blob;
}

static void a_committed_blob_is_there_under_its_hash(void **state)
{
    struct fixture *fixture = *state;
    static const size_t sizes[] = {0, 1, 65536, 200001};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct object_blob blob = write_blob(fixture->store, sizes[i], 7777);
        struct io_file *file = NULL;
        uint64_t bytes = 0;
        assert_int_equal(blob.bytes, sizes[i]);
        assert_true(store_blob_has(fixture->store, blob.sha256));
        assert_int_equal(store_blob_open(fixture->store, blob.sha256, &file, &bytes), 0);
        assert_int_equal(bytes, sizes[i]);
        io_close(&file);
        assert_int_equal(store_blob_verify(fixture->store, blob.sha256), 0);
    }
    assert_int_equal(unfinished(fixture), 0);
}

static void other_contents_than_announced_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct store_blob_writer *writer = NULL;
    struct object_blob blob;
    uint8_t announced[32] = {1, 2, 3};
    assert_int_equal(store_blob_begin(fixture->store, 100, &writer), 0);
    assert_int_equal(store_blob_write(writer, SPAN_LIT("truncated")), 0);
    assert_int_equal(store_blob_commit(&writer, announced, &blob), ERR_CORRUPT);
    assert_non_null(strstr(err_text(), "another hash"));
    assert_null(writer);
    assert_false(store_blob_has(fixture->store, announced));
    assert_int_equal(unfinished(fixture), 0);
}

static void a_blob_above_its_bound_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct store_blob_writer *writer = NULL;
    assert_int_equal(store_blob_begin(fixture->store, 4, &writer), 0);
    assert_int_equal(store_blob_write(writer, SPAN_LIT("abcd")), 0);
    assert_int_equal(store_blob_write(writer, SPAN_LIT("e")), ERR_TOO_LARGE);
    store_blob_abort(&writer);
    store_blob_abort(&writer);
    assert_int_equal(unfinished(fixture), 0);
}

static void what_a_crash_left_is_swept_at_the_next_start(void **state)
{
    struct fixture *fixture = *state;
    char *path = mem_printf("%s/resources/tmp/left", fixture->dir);
    struct io_file *file = NULL;
    assert_int_equal(io_open(io_real(), path, IO_WRITE | IO_CREATE, &file), 0);
    io_close(&file);
    mem_free(path);
    assert_int_equal(unfinished(fixture), 1);
    store_close(&fixture->store);
    open_store(fixture);
    assert_int_equal(unfinished(fixture), 0);
}

static void damage_is_found_and_moved_aside(void **state)
{
    struct fixture *fixture = *state;
    struct object_blob blob = write_blob(fixture->store, 1000, 1000);
    char *path = store_blob_path(fixture->store, blob.sha256);
    struct io_file *file = NULL;
    assert_int_equal(io_open(io_real(), path, IO_WRITE, &file), 0);
    assert_int_equal(io_write_at(file, 500, SPAN_LIT("damage")), 0);
    io_close(&file);
    mem_free(path);
    assert_int_equal(store_blob_verify(fixture->store, blob.sha256), ERR_CORRUPT);
    assert_false(store_blob_has(fixture->store, blob.sha256));
}

static void objects_whose_contents_are_not_here_are_listed(void **state)
{
    struct fixture *fixture = *state;
    struct object *here = object_new(OBJECT_RESOURCE);
    struct object *missing = object_new(OBJECT_FILE);
    here->id.bytes[0] = 1;
    here->blob = write_blob(fixture->store, 10, 10);
    missing->id.bytes[0] = 2;
    missing->blob = (struct object_blob){.sha256 = {9}, .bytes = 3, .present = true};
    assert_int_equal(store_begin(fixture->store, STORE_DURABLE), 0);
    assert_int_equal(store_put(fixture->store, here), 0);
    assert_int_equal(store_put(fixture->store, missing), 0);
    assert_int_equal(store_commit(fixture->store), 0);
    struct object_list list = {0};
    assert_int_equal(store_blobs_missing(fixture->store, 10, &list), 0);
    assert_int_equal(list.count, 1);
    assert_true(uuid_equal(list.items[0]->id, missing->id));
    object_list_deinit(&list);
    object_free(&here);
    object_free(&missing);
}

/* ---- what nothing names ---- */

static struct object_blob blob_of(struct fixture *fixture, const char *text)
{
    struct store_blob_writer *writer = NULL;
    struct object_blob blob;
    assert_int_equal(store_blob_begin(fixture->store, 100, &writer), 0);
    assert_int_equal(store_blob_write(writer, span_of_str(text)), 0);
    assert_int_equal(store_blob_commit(&writer, NULL, &blob), 0);
    return blob;
}

/* The next version of one and the same resource, with other contents. */
static void name_blob(struct fixture *fixture, const struct object_blob *blob, bool deleted)
{
    static uint8_t changes;
    struct object *object = object_new(OBJECT_RESOURCE);
    object->id.bytes[0] = 1;
    object->change.bytes[0] = ++changes;
    object->blob = *blob;
    object->deleted = deleted;
    object_set_name(object, "r");
    assert_int_equal(store_begin(fixture->store, STORE_DURABLE), 0);
    assert_int_equal(store_next_revision(fixture->store, &object->revision), 0);
    assert_int_equal(store_put(fixture->store, object), 0);
    assert_int_equal(store_commit(fixture->store), 0);
    object_free(&object);
}

static uint64_t sweep(struct fixture *fixture, int64_t unused_ns)
{
    struct store_swept swept;
    assert_int_equal(store_blobs_sweep(fixture->store, unused_ns, &swept), 0);
    return swept.removed;
}

static void contents_that_anything_names_stay(void **state)
{
    struct fixture *fixture = *state;
    struct object_blob earlier = blob_of(fixture, "an earlier version's");
    struct object_blob deleted = blob_of(fixture, "a tombstone's");
    struct object_blob unnamed = blob_of(fixture, "nobody's");
    name_blob(fixture, &earlier, false);
    name_blob(fixture, &deleted, false);
    name_blob(fixture, &deleted, true);
    assert_int_equal(sweep(fixture, 0), 1);
    assert_true(store_blob_has(fixture->store, earlier.sha256));
    assert_true(store_blob_has(fixture->store, deleted.sha256));
    assert_false(store_blob_has(fixture->store, unnamed.sha256));
}

static void unused_contents_stay_for_their_time_and_longer_when_somebody_asks(void **state)
{
    struct fixture *fixture = *state;
    const int64_t second_ns = 1000000000;
    struct object_blob blob = blob_of(fixture, "not named yet");
    assert_int_equal(sweep(fixture, 3600 * second_ns), 0);
    store_blob_spare(fixture->store, blob.sha256);
    assert_int_equal(sweep(fixture, 1), 0); /* found unused anew */
    (void)blob_of(fixture, "not named yet");
    assert_int_equal(sweep(fixture, 1), 0); /* put again: again */
    assert_int_equal(sweep(fixture, 1), 1);
    assert_false(store_blob_has(fixture->store, blob.sha256));
}

int main(void)
{
#define CLAIM(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(a_committed_blob_is_there_under_its_hash),
        CLAIM(other_contents_than_announced_are_refused),
        CLAIM(a_blob_above_its_bound_is_refused),
        CLAIM(what_a_crash_left_is_swept_at_the_next_start),
        CLAIM(damage_is_found_and_moved_aside),
        CLAIM(objects_whose_contents_are_not_here_are_listed),
        CLAIM(contents_that_anything_names_stay),
        CLAIM(unused_contents_stay_for_their_time_and_longer_when_somebody_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
