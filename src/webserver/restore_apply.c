/* Doing what a verified backup says: deletions, contents, objects. */
#include "base/mem.h"
#include "object/access.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/account.h"
#include "webserver/restore.h"
#include "webserver/secret.h"

#define BATCH_MAX 256
#define BATCH_BYTES_MAX ((size_t)8 << 20)
#define CHUNK_BYTES ((size_t)64 * 1024)

struct batch {
    struct object *objects[BATCH_MAX]; /* owned; all of one kind */
    size_t count;
    size_t bytes;
};

/* ── What went wrong ─────────────────────────────────────────────────────────────────────── */

/* The fault is about this object, another one may go well. */
static bool is_about_object(int rc)
{
    switch (rc) {
    case ERR_EXISTS:
    case ERR_INVALID:
    case ERR_TOO_LARGE:
    case ERR_CONFLICT:
    case ERR_DENIED:
    case ERR_NOT_FOUND:
        return true;
    default:
        return false;
    }
}

static int note_problem(struct restore *restore, const struct object *object, int rc)
{
    char id[UUID_TEXT_BYTES];
    if (!is_about_object(rc)) {
        return err_wrap(rc, "%s %.64s", object_kind_name(object->kind), object->name);
    }
    restore->counts[object->kind].failed++;
    if (json_array_size(restore->problems) < RESTORE_PROBLEMS_MAX) {
        json_array_append_new(restore->problems, json_pack("{s:s, s:s, s:s, s:s}", "Kind",
                                                           object_kind_name(object->kind), "UUID",
                                                           uuid_text(object->id, id), "Name",
                                                           object->name, "Error", err_text()));
    }
    return 0;
}

/* ── Deleting what is not in it ──────────────────────────────────────────────────────────── */

static int keep_if_new(void *context, const struct object *object)
{
    struct restore *restore = context;
    bool first = object->kind == OBJECT_USER && object->number == OBJECT_FIRST_UID;
    if (first ||
        map_get(&restore->ids, span_of(object->id.bytes, sizeof(object->id.bytes))) != NULL) {
        return 0;
    }
    int rc = sync_delete(restore->webserver->sync, &object->id, SYNC_BY_KIND);
    if (rc < 0) {
        return note_problem(restore, object, rc);
    }
    restore->counts[object->kind].deleted++;
    return 0;
}

/* The audit tells what was done, whatever was done since. */
static int delete_new(struct restore *restore)
{
    int rc = 0;
    for (size_t i = 0; i < RESTORE_KINDS_MAX && rc == 0; i++) {
        struct store_query query = {.kind = (enum object_kind)i};
        if (restore->has_kind[i] && query.kind != OBJECT_AUDIT) {
            rc = store_walk(restore->webserver->store, &query, keep_if_new, restore);
        }
    }
    return rc;
}

/* ── Objects ─────────────────────────────────────────────────────────────────────────────── */

/* A backup without passwords and secrets leaves those that are here. */
static void keep_sensitive(const struct object *stored, struct object *object, const char *member)
{
    json_t *value = object_body(stored, member);
    if (object_body(object, member) != NULL || value == NULL) {
        return;
    }
    if (object->body == NULL) {
        object_set_body(object, json_object());
    }
    json_object_set(object->body, member, value);
}

static void complete(const struct restore *restore, const struct object *stored,
                     struct object *object)
{
    if (object->kind == OBJECT_SECRET) {
        secret_conceal(restore->webserver, object);
    }
    if (stored != NULL && object->kind == OBJECT_SECRET) {
        keep_sensitive(stored, object, "Box");
    }
    if (stored != NULL && object->kind == OBJECT_USER) {
        keep_sensitive(stored, object, "Password");
    }
    if (object->kind == OBJECT_USER) {
        (void)json_object_del(object->body, OBJECT_PROVISIONAL); /* somebody means it */
        account_end_sessions(object, io_now_ns(restore->webserver->io), NULL);
    }
}

/* Without what sync keeps with it. */
static json_t *contents_of(const struct object *object)
{
    static const char *const members[] = {"revision", "base",   "change", "deleted", "stamped",
                                          "edited",   "rescue", "stamps", "over",    "past"};
    json_t *json = object_to_json(object);
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        (void)json_object_del(json, members[i]);
    }
    return json;
}

static bool is_same(const struct object *a, const struct object *b)
{
    json_t *one = contents_of(a);
    json_t *other = contents_of(b);
    bool same = json_equal(one, other) == 1;
    json_decref(one);
    json_decref(other);
    return same;
}

static int put_one_by_one(struct restore *restore, struct batch *batch)
{
    int rc = 0;
    for (size_t i = 0; i < batch->count && rc == 0; i++) {
        rc = sync_restore(restore->webserver->sync, &batch->objects[i], 1);
        if (rc == 0) {
            restore->counts[batch->objects[i]->kind].restored++;
        } else {
            rc = note_problem(restore, batch->objects[i], rc);
        }
    }
    return rc;
}

static int flush(struct restore *restore, struct batch *batch)
{
    if (batch->count == 0) {
        return 0;
    }
    enum object_kind kind = batch->objects[0]->kind;
    int rc = ERR_CANCELLED;
    if (http_request_stopping(restore->request)) {
        rc = err_set(ERR_CANCELLED, "the webserver is stopping");
    } else if (object_kind_info(kind)->write_through) {
        rc = put_one_by_one(restore, batch);
    } else {
        rc = sync_restore(restore->webserver->sync, batch->objects, batch->count);
        restore->counts[kind].restored += rc == 0 ? batch->count : 0;
        rc = is_about_object(rc) ? put_one_by_one(restore, batch) : rc;
    }
    for (size_t i = 0; i < batch->count; i++) {
        object_free(&batch->objects[i]);
    }
    batch->count = batch->bytes = 0;
    return rc;
}

/* Takes the record's object. */
static int add_object(struct restore *restore, struct batch *batch,
                      struct object_archive_record *record)
{
    struct object *stored = NULL;
    struct object *object = record->object;
    int rc = store_get(restore->webserver->store, &object->id, &stored);
    if (rc < 0) {
        return rc;
    }
    complete(restore, stored, object);
    bool same = stored != NULL && is_same(stored, object);
    object_free(&stored);
    if (same) {
        restore->counts[object->kind].unchanged++;
        return 0;
    }
    rc = 0; /* it may be absent */
    bool full = batch->count == BATCH_MAX || batch->bytes + record->object_bytes > BATCH_BYTES_MAX;
    if (full || (batch->count > 0 && batch->objects[0]->kind != object->kind)) {
        rc = flush(restore, batch);
    }
    record->object = NULL;
    batch->objects[batch->count++] = object;
    batch->bytes += record->object_bytes;
    return rc;
}

/* ── Contents ────────────────────────────────────────────────────────────────────────────── */

static int put_contents(struct restore *restore, struct object_archive_reader *reader,
                        const struct object_blob *blob)
{
    struct store_blob_writer *writer = NULL;
    struct object_blob written;
    if (store_blob_has(restore->webserver->store, blob->sha256)) {
        return 0;
    }
    int rc = store_blob_begin(restore->webserver->store, blob->bytes, &writer);
    if (rc < 0) {
        return rc;
    }
    uint8_t *chunk = mem_alloc(CHUNK_BYTES);
    for (size_t got = 1; rc == 0 && got > 0;) {
        rc = object_archive_read(reader, chunk, CHUNK_BYTES, &got);
        rc = rc < 0 || got == 0 ? rc : store_blob_write(writer, span_of(chunk, got));
    }
    mem_free(chunk);
    if (rc < 0) {
        store_blob_abort(&writer);
        return rc;
    }
    return store_blob_commit(&writer, blob->sha256, &written);
}

/* ── The whole ───────────────────────────────────────────────────────────────────────────── */

static int apply_record(struct restore *restore, struct object_archive_reader *reader,
                        struct batch *batch, struct object_archive_record *record)
{
    switch (record->type) {
    case OBJECT_ARCHIVE_OBJECT:
        return add_object(restore, batch, record);
    case OBJECT_ARCHIVE_BLOB:
        return put_contents(restore, reader, &record->blob);
    case OBJECT_ARCHIVE_END:
        return flush(restore, batch);
    case OBJECT_ARCHIVE_INFO:
        break;
    }
    return 0;
}

static int apply_all(struct restore *restore, struct object_archive_reader *reader)
{
    struct batch *batch = MEM_NEW(struct batch);
    bool ended = false;
    int rc = 0;
    while (rc == 0 && !ended) {
        struct object_archive_record record;
        rc = object_archive_next(reader, &record);
        if (rc == 0) {
            ended = record.type == OBJECT_ARCHIVE_END;
            rc = apply_record(restore, reader, batch, &record);
            object_archive_record_deinit(&record);
        }
    }
    for (size_t i = 0; i < batch->count; i++) {
        object_free(&batch->objects[i]);
    }
    mem_free(batch);
    return rc;
}

int restore_apply(struct restore *restore)
{
    struct restore_file file;
    struct object_archive_reader *reader = NULL;
    int rc = restore->replace ? delete_new(restore) : 0;
    rc = rc < 0 ? rc : restore_open(restore, &file, &reader);
    rc = rc < 0 ? rc : apply_all(restore, reader);
    object_archive_reader_free(&reader);
    return rc;
}
