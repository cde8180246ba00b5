/* Receiving and verifying a backup; restore_apply.c does what it says. */
#include "webserver/restore.h"

#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "conf/conf.h"
#include "service/log.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/auth.h"
#include "webserver/backup.h"
#include "webserver/change.h"
#include "webserver/request.h"

#define CHUNK_BYTES ((size_t)64 * 1024)
#define PASSWORD_FIELD_BYTES_MAX ((size_t)4096)
#define CONFIRM_WAIT_MS                                                                            \
    10000 /* without the datastore taking over anything of what was restored                       \
           */
#define CONFIRM_POLL_MS 20

/* ── The file ────────────────────────────────────────────────────────────────────────────── */

static int read_file(void *context, void *data, size_t bytes, size_t *ret_got)
{
    struct restore_file *file = context;
    int rc = io_read_at(file->file, file->offset, data, bytes, ret_got);
    file->offset += rc == 0 ? *ret_got : 0;
    return rc;
}

int restore_open(const struct restore *restore, struct restore_file *file,
                 struct object_archive_reader **ret_reader)
{
    *file = (struct restore_file){restore->file, 0};
    struct object_archive_reader_options options = {
        .read = read_file, .context = file, .password = restore->password};
    return object_archive_reader_new(&options, ret_reader);
}

/* Beside the blobs: that volume has to take the contents anyway, and what a crash leaves there is
 * removed at the next start. */
static int create_file(struct restore *restore)
{
    struct io *io = restore->webserver->io;
    struct buf path = {0};
    uint8_t random[16];
    io_random(io, random, sizeof(random));
    buf_printf(&path, "%s/tmp/restore-",
               conf_text(restore->webserver->conf, CONF_GLOBAL, "Webserver-Resource-Store"));
    text_hex(&path, span_of(random, sizeof(random)));
    restore->path = buf_take(&path);
    return io_open(io, restore->path, IO_WRITE | IO_CREATE | IO_EXCLUSIVE, &restore->file);
}

/* `form` NULL: the body is the backup. */
static int keep(struct restore *restore, struct http_multipart *form)
{
    uint8_t *chunk = mem_alloc(CHUNK_BYTES);
    uint64_t offset = 0;
    size_t got = 1;
    int rc = create_file(restore);
    while (rc == 0 && got > 0) {
        rc = form != NULL ? http_multipart_read(form, chunk, CHUNK_BYTES, &got)
                          : http_request_read(restore->request, chunk, CHUNK_BYTES, &got);
        rc = rc < 0 || got == 0 ? rc : io_write_at(restore->file, offset, span_of(chunk, got));
        offset += got;
    }
    mem_free(chunk);
    return rc;
}

static int keep_part(struct restore *restore, struct http_multipart *form, const char *name)
{
    if (strcmp(name, "password") == 0) {
        return http_multipart_text(form, PASSWORD_FIELD_BYTES_MAX, &restore->password);
    }
    if (strcmp(name, "backup") != 0) {
        return 0;
    }
    return restore->file == NULL ? keep(restore, form)
                                 : err_set(ERR_INVALID, "the form has two parts named backup");
}

static int receive(struct restore *restore)
{
    struct http_part part;
    struct http_multipart *form;
    const char *type = http_request_header(restore->request, "Content-Type");
    restore->password = http_request_header(restore->request, "Password");
    if (type == NULL || !span_starts_with(span_of_str(type), SPAN_LIT("multipart/"))) {
        return keep(restore, NULL);
    }
    int rc = http_multipart_open(restore->request, &form);
    while (rc == 0) {
        rc = http_multipart_next(form, &part);
        rc = rc != 0 ? rc : keep_part(restore, form, part.name);
    }
    if (rc == HTTP_MULTIPART_END && restore->file == NULL) {
        return err_set(ERR_INVALID, "the form has no part named backup");
    }
    return rc == HTTP_MULTIPART_END ? 0 : rc;
}

/* ── Is all of it good? Nothing is changed before. ───────────────────────────────────────── */

static int check_info(struct restore *restore)
{
    size_t index;
    const json_t *name;
    json_array_foreach(json_object_get(restore->info, "kinds"), index, name)
    {
        const struct object_kind_info *info =
            object_kind_by_name(span_of_str(json_string_value(name)));
        if (info == NULL) {
            return err_set(ERR_UNSUPPORTED,
                           "the backup has objects of a kind that this version does not know: "
                           "%.64s",
                           json_string_value(name) == NULL ? "?" : json_string_value(name));
        }
        restore->has_kind[info->kind] = true;
    }
    return 0;
}

static int check_object(struct restore *restore, const struct object *object)
{
    const struct object_blob *blob = &object->blob;
    struct span id = span_of(object->id.bytes, sizeof(object->id.bytes));
    struct span hash = span_of(blob->sha256, sizeof(blob->sha256));
    if (object->deleted ||
        !backup_has_kind(&(struct backup_scope){.saved_searches = true}, object->kind)) {
        return err_set(ERR_INVALID, "this does not belong into a backup");
    }
    if (map_put(&restore->ids, id, restore) != NULL) {
        return err_set(ERR_INVALID, "it is in the backup twice");
    }
    if (blob->present && map_get(&restore->blobs, hash) == NULL &&
        !store_blob_has(restore->webserver->store, blob->sha256)) {
        return err_set(ERR_INVALID, "its contents are neither in the backup nor here");
    }
    return object_validate(object);
}

static int check_record(struct restore *restore, struct object_archive_record *record)
{
    char id[UUID_TEXT_BYTES];
    int rc = 0;
    switch (record->type) {
    case OBJECT_ARCHIVE_INFO:
        restore->info = json_incref(record->info);
        return check_info(restore);
    case OBJECT_ARCHIVE_OBJECT:
        rc = check_object(restore, record->object);
        return rc < 0 ? err_wrap(rc, "%s %s of the backup", object_kind_name(record->object->kind),
                                 uuid_text(record->object->id, id))
                      : 0;
    case OBJECT_ARCHIVE_BLOB:
        (void)map_put(&restore->blobs, span_of(record->blob.sha256, sizeof(record->blob.sha256)),
                      restore);
        return 0;
    case OBJECT_ARCHIVE_END:
        restore->sizes = record->counts;
        break;
    }
    return 0;
}

static int verify(struct restore *restore)
{
    struct restore_file file;
    struct object_archive_reader *reader = NULL;
    bool ended = false;
    int rc = restore_open(restore, &file, &reader);
    while (rc == 0 && !ended) {
        struct object_archive_record record;
        rc = object_archive_next(reader, &record);
        if (rc == 0) {
            ended = record.type == OBJECT_ARCHIVE_END;
            rc = check_record(restore, &record);
            object_archive_record_deinit(&record);
        }
    }
    object_archive_reader_free(&reader);
    return rc;
}

/* A backup restored half because the datastore is away helps nobody. */
static int check_datastore(const struct webserver *webserver)
{
    struct sync_status status;
    sync_status(webserver->sync, &status);
    if (status.state == SYNC_STATE_ALONE || status.state == SYNC_STATE_LIVE) {
        return 0;
    }
    return err_set(ERR_UNAVAILABLE, "a restore needs the datastore, and %.64s is not in reach: %s",
                   status.datastore, status.reason);
}

/* ── The answer ──────────────────────────────────────────────────────────────────────────── */

/* How many objects the datastore does not have yet, having waited for it as long as it takes some.
 */
static uint64_t wait_confirmed(const struct restore *restore)
{
    struct io *io = restore->webserver->io;
    struct sync_status status;
    uint64_t dirty = UINT64_MAX;
    int64_t until_ns = 0;
    for (;;) {
        int64_t now_ns = io_monotonic_ns(io);
        sync_status(restore->webserver->sync, &status);
        if (status.dirty < dirty) {
            dirty = status.dirty;
            until_ns = now_ns + CONFIRM_WAIT_MS * TIME_MS_NS;
        }
        if (dirty == 0 || now_ns >= until_ns || http_request_stopping(restore->request)) {
            return status.dirty;
        }
        usleep(CONFIRM_POLL_MS * 1000);
    }
}

static json_t *summary(struct restore *restore, uint64_t unsynced)
{
    json_t *kinds = json_object();
    struct restore_count sum = {0};
    for (size_t i = 0; i < RESTORE_KINDS_MAX; i++) {
        const struct restore_count *count = &restore->counts[i];
        if (count->restored + count->unchanged + count->deleted + count->failed > 0) {
            json_object_set_new(
                kinds, object_kind_name((enum object_kind)i),
                json_pack("{s:I, s:I, s:I, s:I}", "Restored", (json_int_t)count->restored,
                          "Unchanged", (json_int_t)count->unchanged, "Deleted",
                          (json_int_t)count->deleted, "Failed", (json_int_t)count->failed));
        }
        sum.restored += count->restored;
        sum.unchanged += count->unchanged;
        sum.deleted += count->deleted;
        sum.failed += count->failed;
    }
    return json_pack("{s:O?, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:O}", "Created",
                     json_object_get(restore->info, "created"), "Restored",
                     (json_int_t)sum.restored, "Unchanged", (json_int_t)sum.unchanged, "Deleted",
                     (json_int_t)sum.deleted, "Failed", (json_int_t)sum.failed, "Blobs",
                     (json_int_t)restore->sizes.blobs, "BlobBytes",
                     (json_int_t)restore->sizes.blob_bytes, "Unsynced", (json_int_t)unsynced,
                     "Kinds", kinds, "Problems", restore->problems);
}

static void reply(struct restore *restore)
{
    json_t *json = summary(restore, wait_confirmed(restore));
    log_info("restore", "a backup was restored", "user", auth_user(restore->request)->name, "host",
             http_request_peer(restore->request), "restored",
             LOG_INT(json_integer_value(json_object_get(json, "Restored"))), "deleted",
             LOG_INT(json_integer_value(json_object_get(json, "Deleted"))), "failed",
             LOG_INT(json_integer_value(json_object_get(json, "Failed"))), NULL);
    const char *created = json_string_value(json_object_get(json, "Created"));
    change_note(restore->request, restore->webserver, "restore", "backup",
                created == NULL ? "" : created);
    request_tell_revision(restore->request, restore->webserver);
    http_reply_json(restore->request, 200, json);
}

/* What is wrong with the file is the client's; 401 would mean its session. */
static void refuse_file(struct http_request *request, int rc)
{
    bool ours = rc == ERR_IO || rc == ERR_NO_SPACE || rc == ERR_UNAVAILABLE || rc == ERR_CANCELLED;
    if (ours) {
        http_reply_fault(request, rc);
    } else {
        http_reply_error(request, 400, "nothing was changed: %s", err_text());
    }
}

static void run(struct restore *restore)
{
    int rc = check_datastore(restore->webserver);
    rc = rc < 0 ? rc : receive(restore);
    if (rc < 0) {
        http_reply_fault(restore->request, rc);
        return;
    }
    rc = verify(restore);
    if (rc < 0) {
        refuse_file(restore->request, rc);
        return;
    }
    rc = restore_apply(restore);
    if (rc < 0) {
        log_fault("restore-cut", "a restore ended half-way, it can be repeated", rc, NULL);
        rc = err_wrap(rc, "the restore ended half-way, repeat it");
        http_reply_fault(restore->request, rc);
        return;
    }
    reply(restore);
}

void backup_restore(struct http_request *request, void *context)
{
    const char *replace = http_request_query(request, "replace");
    struct restore restore = {
        .webserver = context,
        .request = request,
        .replace = replace != NULL && strcmp(replace, "true") == 0,
        .problems = json_array(),
    };
    if (backup_begin(request)) {
        run(&restore);
        io_close(&restore.file);
        if (restore.path != NULL && io_remove(restore.webserver->io, restore.path) < 0) {
            log_warn("restore-file", "an uploaded backup stays until the next start", "path",
                     restore.path, NULL);
        }
        backup_end();
    }
    mem_free(restore.path);
    json_decref(restore.info);
    json_decref(restore.problems);
    map_deinit(&restore.ids);
    map_deinit(&restore.blobs);
}
