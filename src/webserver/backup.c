#include "webserver/backup.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/time.h"
#include "object/archive.h"
#include "service/log.h"
#include "store/store.h"
#include "sync/sync.h"
#include "webserver/auth.h"
#include "webserver/change.h"
#include "webserver/secret.h"

#define CHUNK_BYTES ((size_t)64 * 1024)
#define PATIENCE_S 2
#define FETCH_TIMEOUT_MS 60000 /* contents that only the datastore has yet */

struct backup {
    struct webserver *webserver;
    struct backup_scope scope;
    struct store_snapshot *snapshot;
    struct map blobs; /* sha256: was looked at, then: was written */
    uint64_t bytes;   /* of what will be written, nearly */
    struct http_stream *stream;
    struct object_archive_writer *writer;
};

static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER;

/* One that has just answered is about to end: a moment's patience. */
bool backup_begin(struct http_request *request)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PATIENCE_S;
    if (pthread_mutex_clocklock(&busy, CLOCK_MONOTONIC, &until) != 0) {
        http_reply_error(request, 503, "another backup or restore is running on this webserver");
        return false;
    }
    return true;
}

void backup_end(void)
{
    pthread_mutex_unlock(&busy);
}

bool backup_has_kind(const struct backup_scope *scope, enum object_kind kind)
{
    switch (kind) {
    case OBJECT_SIGNING_KEY:
    case OBJECT_REVOCATION:
        return false;
    case OBJECT_TOKEN:
        return !scope->omit_sensitive;
    case OBJECT_SEARCH:
        return scope->saved_searches;
    default:
        return true;
    }
}

/* ── One object ──────────────────────────────────────────────────────────────────────────── */

static int prepare(const struct backup *backup, struct object *object)
{
    bool omit = backup->scope.omit_sensitive;
    if (object->kind == OBJECT_USER && omit && object->body != NULL) {
        (void)json_object_del(object->body, "Password");
    }
    if (object->kind == OBJECT_SECRET && omit && object->body != NULL) {
        (void)json_object_del(object->body, "Box");
    }
    int rc = object->kind == OBJECT_SECRET ? secret_reveal(backup->webserver, object) : 0;
    return rc < 0 ? err_wrap(rc, "omit_sensitive=true leaves out what cannot be read") : 0;
}

/* True the first time. */
static bool is_new(struct backup *backup, const struct object_blob *blob)
{
    return blob->present &&
           map_put(&backup->blobs, span_of(blob->sha256, sizeof(blob->sha256)), backup) == NULL;
}

/* Before the first byte goes out: is all there that the backup needs? */
static int look_at(void *context, const struct object *object)
{
    struct backup *backup = context;
    int rc = 0;
    if (is_new(backup, &object->blob)) {
        rc = sync_blob_fetch(backup->webserver->sync, &object->blob, FETCH_TIMEOUT_MS);
        backup->bytes += object->blob.bytes;
    }
    struct object *copy = object_clone(object);
    rc = rc < 0 ? rc : prepare(backup, copy);
    json_t *json = object_to_json(copy);
    backup->bytes += json_dumpb(json, NULL, 0, JSON_COMPACT);
    json_decref(json);
    object_free(&copy);
    return rc < 0 ? err_wrap(rc, "%s %.64s", object_kind_name(object->kind), object->name) : 0;
}

static int put_contents(struct backup *backup, const struct object_blob *blob)
{
    struct io_file *file = NULL;
    uint64_t bytes = 0;
    int rc = store_blob_open(backup->webserver->store, blob->sha256, &file, &bytes);
    if (rc == 0 && bytes != blob->bytes) {
        rc = err_set(ERR_CORRUPT, "its contents have another size");
    }
    rc = rc < 0 ? rc : object_archive_put_blob(backup->writer, blob);
    uint8_t *chunk = mem_alloc(CHUNK_BYTES);
    size_t got = 1;
    for (uint64_t offset = 0; rc == 0 && got > 0 && offset < bytes; offset += got) {
        rc = io_read_at(file, offset, chunk, CHUNK_BYTES, &got);
        rc = rc < 0 ? rc : object_archive_put_data(backup->writer, span_of(chunk, got));
    }
    if (rc == 0 && got == 0) {
        rc = err_set(ERR_CORRUPT, "its contents end early");
    }
    mem_free(chunk);
    io_close(&file);
    return rc;
}

static int put_object(void *context, const struct object *object)
{
    struct backup *backup = context;
    int rc = is_new(backup, &object->blob) ? put_contents(backup, &object->blob) : 0;
    struct object *copy = object_clone(object);
    rc = rc < 0 ? rc : prepare(backup, copy);
    rc = rc < 0 ? rc : object_archive_put_object(backup->writer, copy);
    object_free(&copy);
    return rc < 0 ? err_wrap(rc, "%s %.64s", object_kind_name(object->kind), object->name) : 0;
}

/* ── The whole ───────────────────────────────────────────────────────────────────────────── */

static int walk(struct backup *backup, int (*each)(void *context, const struct object *object))
{
    size_t count;
    const struct object_kind_info *kinds = object_kinds(&count);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (backup_has_kind(&backup->scope, kinds[i].kind)) {
            rc = store_snapshot_walk(backup->snapshot, kinds[i].kind, each, backup);
        }
    }
    return rc;
}

static int put_info(struct backup *backup)
{
    size_t count;
    char created[TIME_TEXT_BYTES];
    const struct object_kind_info *kinds = object_kinds(&count);
    json_t *names = json_array();
    for (size_t i = 0; i < count; i++) {
        if (backup_has_kind(&backup->scope, kinds[i].kind)) {
            json_array_append_new(names, json_string(kinds[i].name));
        }
    }
    json_t *info =
        json_pack("{s:i, s:s, s:s, s:I, s:b, s:o}", "format", OBJECT_ARCHIVE_VERSION, "created",
                  time_text(io_now_ns(backup->webserver->io), created), "version", AQUIFER_VERSION,
                  "revision", (json_int_t)store_snapshot_revision(backup->snapshot),
                  "omit_sensitive", backup->scope.omit_sensitive, "kinds", names);
    int rc = object_archive_put_info(backup->writer, info);
    json_decref(info);
    return rc;
}

static int write_out(void *context, struct span data)
{
    const struct backup *backup = context;
    int rc = http_stream_write(backup->stream, data);
    return rc > 0 ? err_set(ERR_CANCELLED, "the client left") : rc;
}

static int write_archive(struct backup *backup, const char *password)
{
    struct object_archive_writer_options options = {
        .write = write_out, .context = backup, .password = password};
    map_clear(&backup->blobs);
    int rc = object_archive_writer_new(&options, &backup->writer);
    rc = rc < 0 ? rc : put_info(backup);
    rc = rc < 0 ? rc : walk(backup, put_object);
    return rc < 0 ? rc : object_archive_finish(backup->writer);
}

static void send_archive(struct http_request *request, struct backup *backup)
{
    char bytes[32];
    struct object_archive_counts counts = {0};
    snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)backup->bytes);
    http_reply_header(request, "Aquifer-Backup-Bytes", bytes);
    http_reply_header(request, "Cache-Control", "no-store");
    http_reply_header(request, "Content-Disposition", "attachment; filename=\"aquifer.backup\"");
    if (http_reply_stream(request, 200, "application/octet-stream", &backup->stream) != 0) {
        return;
    }
    int rc = write_archive(backup, http_request_header(request, "Password"));
    if (rc < 0) {
        log_fault("backup-cut", "a backup ended early and is worthless", rc, "user",
                  auth_user(request)->name, NULL);
        http_stream_abort(&backup->stream);
    } else {
        object_archive_written(backup->writer, &counts);
        log_info("backup", "a backup was taken", "user", auth_user(request)->name, "host",
                 http_request_peer(request), "objects", LOG_INT((int64_t)counts.objects), "blobs",
                 LOG_INT((int64_t)counts.blobs), NULL);
        change_note(request, backup->webserver, "take", "backup",
                    backup->scope.omit_sensitive ? "without sensitive things" : "");
    }
    http_stream_end(&backup->stream);
}

static bool asks_for(struct http_request *request, const char *name)
{
    const char *value = http_request_query(request, name);
    return value != NULL && strcmp(value, "true") == 0;
}

static void take_backup(struct http_request *request, void *context)
{
    struct backup backup = {
        .webserver = context,
        .scope = {.omit_sensitive = asks_for(request, "omit_sensitive"),
                  .saved_searches = asks_for(request, "savedsearch")},
    };
    if (!backup_begin(request)) {
        return;
    }
    int rc = store_snapshot_open(backup.webserver->store, &backup.snapshot);
    rc = rc < 0 ? rc : walk(&backup, look_at);
    if (rc < 0) {
        http_reply_fault(request, rc);
    } else {
        send_archive(request, &backup);
    }
    object_archive_writer_free(&backup.writer);
    store_snapshot_close(&backup.snapshot);
    map_deinit(&backup.blobs);
    backup_end();
}

const struct http_route backup_routes[] = {
    {"GET", "/api/backup", take_backup, AUTH_ADMIN, 0},
    {"POST", "/api/backup", backup_restore, AUTH_ADMIN | HTTP_BODY_STREAM, 0},
};
const size_t backup_route_count = ARRAY_COUNT(backup_routes);
