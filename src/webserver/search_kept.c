/*
 * Saved searches as objects of the datastore: the record (search_saved.c) is the object's body,
 * the rows are its contents. So every webserver has them, whoever ran them, and what is changed on
 * one of them is changed on all. The object is the truth: what is not an object any more is not
 * saved any more. docs/protocols/search.md. Tested by tests/cluster/test_search_remote.py.
 */
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/time.h"
#include "service/log.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/search_one.h"

#define COPY_BYTES ((size_t)1 << 20)
#define FETCH_TIMEOUT_MS 30000

static struct uuid id_of(const char *id)
{
    return object_id_of_name(OBJECT_SEARCH, 0, id);
}

/* ── Into the datastore ──────────────────────────────────────────────────────────────────── */

static int copy_in(struct io *io, const char *path, struct store_blob_writer *writer)
{
    struct io_file *file = NULL;
    int rc = io_open(io, path, IO_READ, &file);
    uint8_t *piece = mem_alloc(COPY_BYTES);
    uint64_t offset = 0;
    size_t got = 1;
    while (rc == 0 && got > 0) {
        rc = io_read_at(file, offset, piece, COPY_BYTES, &got);
        rc = rc < 0 ? rc : store_blob_write(writer, span_of(piece, got));
        offset += got;
    }
    mem_free(piece);
    io_close(&file);
    return rc;
}

static int store_rows(struct search_one *one, struct object_blob *ret_blob)
{
    struct webserver *webserver = one->search->webserver;
    struct store_blob_writer *writer = NULL;
    char *path = mem_printf("%s/rows", one->path);
    int rc = store_blob_begin(webserver->store, OBJECT_BLOB_BYTES_MAX, &writer);
    rc = rc < 0 ? rc : copy_in(webserver->io, path, writer);
    if (rc < 0) {
        store_blob_abort(&writer);
    } else {
        rc = store_blob_commit(&writer, NULL, ret_blob);
    }
    mem_free(path);
    return rc;
}

/* What can be changed of a saved search. */
static void put_sharing(struct search_one *one, struct object *object)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    object->owner = one->uid;
    object->global = one->global;
    object_set_gids(&object->gids, one->gids.items, one->gids.count);
    object_set_body(object, search_record_json(one));
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
}

int search_kept_put(struct search_one *one)
{
    struct webserver *webserver = one->search->webserver;
    struct uuid id = id_of(one->id);
    struct object *object = NULL;
    int rc = store_get(webserver->store, &id, &object);
    if (rc == STORE_ABSENT) {
        object = object_new(OBJECT_SEARCH);
        object->id = id;
        object_set_name(object, one->id);
        rc = store_rows(one, &object->blob);
    }
    if (rc == 0) {
        put_sharing(one, object);
        rc = sync_write(webserver->sync, object, SYNC_BY_KIND);
    }
    if (rc >= 0) {
        CHECK(pthread_mutex_lock(&one->lock) == 0);
        one->kept = true;
        one->kept_change = object->change;
        one->kept_blob = object->blob;
        CHECK(pthread_mutex_unlock(&one->lock) == 0);
    }
    object_free(&object);
    return rc < 0 ? rc : 0;
}

void search_kept_delete(struct search_one *one)
{
    struct uuid id = id_of(one->id);
    int rc = sync_delete(one->search->webserver->sync, &id, SYNC_BY_KIND);
    if (rc < 0 && rc != ERR_NOT_FOUND) {
        log_fault("search-kept", "a saved search could not be deleted everywhere", rc, "search",
                  one->id, NULL);
    }
}

/* ── Out of it ───────────────────────────────────────────────────────────────────────────── */

static int copy_out(struct webserver *webserver, const struct object_blob *blob, const char *path)
{
    struct io_file *from = NULL;
    struct io_file *to = NULL;
    uint64_t bytes = 0;
    uint64_t offset = 0;
    size_t got = 1;
    uint8_t *piece = mem_alloc(COPY_BYTES);
    int rc = store_blob_open(webserver->store, blob->sha256, &from, &bytes);
    rc = rc < 0 ? rc : io_open(webserver->io, path, IO_WRITE | IO_CREATE | IO_TRUNCATE, &to);
    while (rc == 0 && got > 0) {
        rc = io_read_at(from, offset, piece, COPY_BYTES, &got);
        rc = rc < 0 || got == 0 ? rc : io_write_at(to, offset, span_of(piece, got));
        offset += got;
    }
    mem_free(piece);
    io_close(&from);
    io_close(&to);
    return rc;
}

static int fetch(struct search_one *one, const char *rows)
{
    struct webserver *webserver = one->search->webserver;
    char *part = mem_printf("%s.part", rows);
    int rc = sync_blob_fetch(webserver->sync, &one->kept_blob, FETCH_TIMEOUT_MS);
    rc = rc < 0 ? rc : io_make_dirs(webserver->io, one->path);
    rc = rc < 0 ? rc : copy_out(webserver, &one->kept_blob, part);
    if (rc == 0) { /* then what lies there is found again after a restart */
        CHECK(pthread_mutex_lock(&one->lock) == 0);
        rc = search_record_write(one, one->path);
        CHECK(pthread_mutex_unlock(&one->lock) == 0);
    }
    rc = rc < 0 ? rc : io_rename(webserver->io, part, rows);
    mem_free(part);
    return rc < 0 ? err_wrap(rc, "the rows of saved search %s", one->id) : 0;
}

int search_kept_fetch(struct search_one *one)
{
    struct search *search = one->search;
    char *rows = mem_printf("%s/rows", one->path);
    int rc = 0;
    CHECK(pthread_mutex_lock(&search->fetching) == 0);
    if (!io_exists(search->webserver->io, rows)) {
        rc = fetch(one, rows);
    }
    CHECK(pthread_mutex_unlock(&search->fetching) == 0);
    mem_free(rows);
    return rc;
}

/* A search that this webserver has not heard of: all but its rows. */
static void adopt(struct search *search, const struct object *object)
{
    struct search_one *one = search_one_of_record(search, object->name, object->body);
    one->uid = object->owner;
    one->global = object->global;
    object_set_gids(&one->gids, object->gids.items, object->gids.count);
    one->kept = true;
    one->kept_change = object->change;
    one->kept_blob = object->blob;
    if (!search_table_add(one)) { /* somebody else was first: not even its files are ours */
        mem_free(one->path);
        one->path = NULL;
    }
    search_one_unref(&one);
}

/* What was changed elsewhere. */
static void refresh(struct search_one *one, const struct object *object)
{
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    if (!uuid_equal(one->kept_change, object->change)) {
        one->kept = true;
        one->kept_change = object->change;
        one->kept_blob = object->blob;
        one->uid = object->owner;
        one->global = object->global;
        object_set_gids(&one->gids, object->gids.items, object->gids.count);
        search_take_notes(one, object->body);
    }
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
}

static void consider(struct search *search, const struct object *object)
{
    CHECK(pthread_mutex_lock(&search->lock) == 0);
    struct search_one *one = map_get_str(&search->by_id, object->name);
    if (one != NULL) {
        search_one_ref(one);
    }
    CHECK(pthread_mutex_unlock(&search->lock) == 0);
    if (one != NULL) {
        refresh(one, object);
        search_one_unref(&one);
    } else if (search_is_id(object->name)) {
        adopt(search, object);
    }
}

/* What is a tombstone now is gone here too. What the store knows nothing of was lost with a
 * datastore: it goes there once more. */
static void look_after(void *context, struct search_one *one)
{
    struct webserver *webserver = context;
    struct uuid id = id_of(one->id);
    struct object *object = NULL;
    CHECK(pthread_mutex_lock(&one->lock) == 0);
    bool kept = one->kept;
    CHECK(pthread_mutex_unlock(&one->lock) == 0);
    int rc = kept ? store_get_any(webserver->store, &id, &object) : 0;
    if (rc == STORE_ABSENT || (object != NULL && object->deleted)) {
        CHECK(pthread_mutex_lock(&one->lock) == 0);
        one->kept = false; /* the keeper puts it, unless it is deleted */
        one->deleted |= rc == 0;
        CHECK(pthread_mutex_unlock(&one->lock) == 0);
        if (rc == 0) {
            search_one_delete(one);
        }
    }
    object_free(&object);
}

static void look(struct search *search)
{
    struct webserver *webserver = search->webserver;
    struct object_list list = {0};
    struct store_query query = {.kind = OBJECT_SEARCH};
    int rc = store_list(webserver->store, &query, &list);
    if (rc < 0) {
        log_fault("search-kept", "saved searches cannot be listed", rc, NULL);
    }
    for (size_t i = 0; i < list.count; i++) {
        consider(search, list.items[i]);
    }
    object_list_deinit(&list);
    search_each(search, look_after, webserver);
}

void search_kept_look(struct search *search)
{
    CHECK(pthread_mutex_lock(&search->looking) == 0);
    if (atomic_exchange(&search->webserver->saved_changed, false)) {
        look(search);
    }
    CHECK(pthread_mutex_unlock(&search->looking) == 0);
}
