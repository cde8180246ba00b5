/* Contents: up before the object that names them, down after it. */
#include "sync/sync.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "sync/driver.h"

#define BLOBS_AT_ONCE 64
#define VERIFIED_BYTES_MAX                                                                         \
    (8u << 20) /* hashed before they are given away; larger ones as they go */
#define BLOB_IDLE_MS 30000

static char *blob_url(struct sync *sync, const uint8_t sha256[32])
{
    struct buf path = {0};
    buf_append_str(&path, "/sync/v1/blobs/");
    text_hex(&path, span_of(sha256, 32));
    (void)pthread_mutex_lock(&sync->lock);
    char *url = sync_url(sync, buf_str(&path));
    (void)pthread_mutex_unlock(&sync->lock);
    buf_deinit(&path);
    return url;
}

/* ---- up ---- */

struct upload {
    struct io_file *file;
    uint64_t at;
};

static int pull(void *context, void *data, size_t bytes, size_t *ret_got)
{
    struct upload *upload = context;
    int rc = io_read_at(upload->file, upload->at, data, bytes, ret_got);
    upload->at += rc == 0 ? *ret_got : 0;
    return rc;
}

static int call_for_status(struct sync *sync, const struct http_call *call, int *ret_status)
{
    struct http_answer answer = {0};
    int rc = http_call(sync->client, call, &answer);
    if (rc < 0) {
        return rc;
    }
    *ret_status = answer.status;
    if (answer.status / 100 != 2 && answer.status != 404) {
        rc = err_set(ERR_UNAVAILABLE, "blob: %s", http_answer_error(&answer));
    }
    http_answer_deinit(&answer);
    return rc;
}

static int upload(struct sync *sync, const uint8_t sha256[32])
{
    char *url = blob_url(sync, sha256);
    struct http_call head = {.method = "HEAD",
                             .url = url,
                             .control = true,
                             .timeout_ms = BLOB_IDLE_MS,
                             .cancel = sync->cancel};
    struct upload upload = {0};
    uint64_t bytes;
    int status = 0;
    int rc = call_for_status(sync, &head, &status);
    if (rc == 0 && status == 404) {
        rc = store_blob_open(sync->store, sha256, &upload.file, &bytes);
        struct http_call put = {.method = "PUT",
                                .url = url,
                                .control = true,
                                .pull = pull,
                                .pull_context = &upload,
                                .content_type = "application/octet-stream",
                                .idle_ms = BLOB_IDLE_MS,
                                .cancel = sync->cancel};
        rc = rc < 0 ? rc : call_for_status(sync, &put, &status);
        if (rc == 0 && status == 404) {
            rc = err_set(ERR_UNAVAILABLE, "blob: the datastore did not take it");
        }
        io_close(&upload.file);
    }
    mem_free(url);
    return rc;
}

/* ---- down ---- */

static int take(void *context, struct span data)
{
    return store_blob_write(context, data);
}

static int download(struct sync *sync, const struct object_blob *blob, int64_t timeout_ms)
{
    char *url = blob_url(sync, blob->sha256);
    struct store_blob_writer *writer = NULL;
    struct object_blob got;
    int rc = store_blob_begin(sync->store, blob->bytes, &writer);
    struct http_call call = {.url = url,
                             .control = true,
                             .push = take,
                             .push_context = writer,
                             .timeout_ms = (unsigned)timeout_ms,
                             .idle_ms = BLOB_IDLE_MS,
                             .cancel = sync->cancel};
    int status = 0;
    rc = rc < 0 ? rc : call_for_status(sync, &call, &status);
    if (rc == 0 && status == 404) {
        rc = err_set(ERR_NOT_FOUND, "blob: the datastore does not have it");
    }
    mem_free(url);
    if (rc < 0) {
        store_blob_abort(&writer);
        return rc;
    }
    return store_blob_commit(&writer, blob->sha256, &got);
}

/* Is it here, and what it should be? Damaged contents are moved aside, and told once by that. */
static bool is_whole(struct sync *sync, const struct object_blob *blob)
{
    struct io_file *file = NULL;
    uint64_t bytes = 0;
    if (!store_blob_has(sync->store, blob->sha256) ||
        store_blob_open(sync->store, blob->sha256, &file, &bytes) < 0) {
        return false;
    }
    io_close(&file);
    if (bytes == blob->bytes && bytes > VERIFIED_BYTES_MAX) {
        return true;
    }
    int rc = store_blob_verify(sync->store, blob->sha256);
    if (rc == ERR_CORRUPT) {
        sync_tell(sync, SYNC_ERROR, "blob-damaged",
                  "%s; the contents are fetched again from the datastore", err_text());
    }
    return rc == 0;
}

int sync_blob_damaged(struct sync *sync, const struct object_blob *blob)
{
    int rc = store_blob_verify(sync->store, blob->sha256);
    if (rc == ERR_CORRUPT) {
        sync_tell(sync, SYNC_ERROR, "blob-damaged",
                  "%s; the contents are fetched again from the datastore", err_text());
        (void)pthread_mutex_lock(&sync->lock);
        sync_want_blobs(sync);
        (void)pthread_mutex_unlock(&sync->lock);
    }
    return rc;
}

int sync_blob_fetch(struct sync *sync, const struct object_blob *blob, int64_t timeout_ms)
{
    if (!blob->present || is_whole(sync, blob)) {
        return 0;
    }
    (void)pthread_mutex_lock(&sync->lock);
    bool connected = sync->url_count > 0 && sync_is_connected(sync);
    (void)pthread_mutex_unlock(&sync->lock);
    if (!connected) {
        return err_set(ERR_UNAVAILABLE,
                       "the contents are not here, and the datastore cannot be reached");
    }
    return download(sync, blob, timeout_ms);
}

/* ---- the thread: a round ---- */

static void note_sent(struct sync *sync, const uint8_t sha256[32], uint64_t generation)
{
    (void)pthread_mutex_lock(&sync->lock);
    if (sync->generation == generation && map_get(&sync->blobs_sent, span_of(sha256, 32)) == NULL) {
        (void)map_put(&sync->blobs_sent, span_of(sha256, 32), sync);
    }
    struct sync_event dirty = {.type = SYNC_EVENT_DIRTY};
    sync_post(sync, &dirty);
    (void)pthread_mutex_unlock(&sync->lock);
}

static bool is_sent(struct sync *sync, const uint8_t sha256[32])
{
    (void)pthread_mutex_lock(&sync->lock);
    bool sent = map_get(&sync->blobs_sent, span_of(sha256, 32)) != NULL;
    (void)pthread_mutex_unlock(&sync->lock);
    return sent;
}

static int upload_missing(struct sync *sync, uint64_t generation)
{
    uint64_t after = 0;
    for (;;) {
        struct object_list list = {0};
        int rc = store_dirty(sync->store, after, BLOBS_AT_ONCE, &list, &after);
        bool done = list.count == 0;
        for (size_t i = 0; rc == 0 && i < list.count; i++) {
            const struct object *object = list.items[i];
            if (!object->blob.present || object->deleted || object->refused ||
                is_sent(sync, object->blob.sha256)) {
                continue;
            }
            rc = upload(sync, object->blob.sha256);
            if (rc == 0) {
                note_sent(sync, object->blob.sha256, generation);
            } else if (rc == ERR_NOT_FOUND) {
                char id[UUID_TEXT_BYTES];
                sync_tell(sync, SYNC_ERROR, "blob-missing",
                          "%s %s \"%.128s\": its contents are not here; it cannot be pushed",
                          object_kind_name(object->kind), uuid_text(object->id, id), object->name);
                rc = 0;
            }
        }
        object_list_deinit(&list);
        if (rc < 0 || done) {
            return rc;
        }
    }
}

static void tell_corrupt(struct sync *sync, const struct object *object)
{
    char id[UUID_TEXT_BYTES];
    sync_tell(sync, SYNC_ERROR, "blob-corrupt",
              "%s %s \"%.128s\": %s. The datastore's copy is damaged: put the file of a webserver "
              "that has it (resources/webserver) in its place (resources/datastore)",
              object_kind_name(object->kind), uuid_text(object->id, id), object->name, err_text());
}

static int download_missing(struct sync *sync)
{
    struct object_list list = {0};
    int rc = store_blobs_missing(sync->store, BLOBS_AT_ONCE, &list);
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        int one = download(sync, &list.items[i]->blob, 0);
        if (one == ERR_CORRUPT) {
            tell_corrupt(sync, list.items[i]);
        }
        rc = one == ERR_NOT_FOUND || one == ERR_CORRUPT ? 0 : one;
    }
    object_list_deinit(&list);
    return rc;
}

void *sync_blob_thread(void *context)
{
    struct sync *sync = context;
    int64_t retry_ms = INT64_MAX;
    (void)pthread_mutex_lock(&sync->lock);
    while (!sync->stopping) {
        bool due = sync->want_blobs || sync_now_ms(sync) >= retry_ms;
        if (!due || !sync_is_connected(sync)) {
            (void)sync_wait_due(sync, SYNC_THREAD_BLOBS,
                                MIN(retry_ms, sync_now_ms(sync) + 60000) + 1);
            continue;
        }
        sync->want_blobs = false;
        retry_ms = INT64_MAX;
        uint64_t generation = sync->generation;
        (void)pthread_mutex_unlock(&sync->lock);
        int rc = upload_missing(sync, generation);
        rc = rc < 0 ? rc : download_missing(sync);
        (void)pthread_mutex_lock(&sync->lock);
        if (rc < 0 && !sync->stopping) {
            sync_tell(sync, SYNC_WARN, "blob-transfer", "%s; tried again", err_text());
            retry_ms = sync_now_ms(sync) + 1000;
        }
    }
    (void)pthread_mutex_unlock(&sync->lock);
    return NULL;
}
