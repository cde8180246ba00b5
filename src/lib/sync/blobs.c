/* Contents: up before the object that names them, down after it. */
#include "sync/sync.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "sync/driver.h"
#include "sync/transfer.h"

#define BLOBS_AT_ONCE 64
#define VERIFY_IDLE_MS 60000 /* the datastore hashes up to 512 MiB */
#define VERIFIED_BYTES_MAX                                                                         \
    (8u << 20) /* hashed before they are given away; larger ones as they go */

/* A transfer with the present datastore; transfer->url is the caller's. */
static struct sync_transfer transfer_of(struct sync *sync, const uint8_t sha256[32],
                                        int64_t timeout_ms, char **ret_url)
{
    char *path = sync_blob_path(sha256);
    (void)pthread_mutex_lock(&sync->lock);
    *ret_url = sync_url(sync, path);
    (void)pthread_mutex_unlock(&sync->lock);
    mem_free(path);
    return (struct sync_transfer){.client = sync->client,
                                  .store = sync->store,
                                  .url = *ret_url,
                                  .cancel = sync->cancel,
                                  .timeout_ms = (unsigned)timeout_ms};
}

static int upload(struct sync *sync, const uint8_t sha256[32], bool *ret_sent)
{
    char *url;
    struct sync_transfer transfer = transfer_of(sync, sha256, 0, &url);
    int rc = sync_blob_send(&transfer, sha256, ret_sent);
    mem_free(url);
    return rc;
}

static int download(struct sync *sync, const struct object_blob *blob, int64_t timeout_ms)
{
    char *url;
    struct sync_transfer transfer = transfer_of(sync, blob->sha256, timeout_ms, &url);
    int rc = sync_blob_get(&transfer, blob->sha256, blob->bytes);
    mem_free(url);
    return rc;
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
            bool sent;
            rc = upload(sync, object->blob.sha256, &sent);
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

/* What the datastore lost, or has only damaged, it gets from whoever has it whole. */
static int give_back_wanted(struct sync *sync)
{
    uint8_t wanted[SYNC_WANTED_MAX][32];
    (void)pthread_mutex_lock(&sync->lock);
    size_t count = sync->blobs_wanted_count;
    memcpy(wanted, sync->blobs_wanted, sizeof(wanted));
    sync->blobs_wanted_count = 0;
    (void)pthread_mutex_unlock(&sync->lock);
    for (size_t i = 0; i < count; i++) {
        bool sent = false;
        int rc = store_blob_verify(sync->store, wanted[i]);
        rc = rc < 0 ? rc : upload(sync, wanted[i], &sent);
        if (sent) {
            struct buf hex = {0};
            text_hex(&hex, span_of(wanted[i], 32));
            sync_tell(sync, SYNC_WARN, "blob-given-back",
                      "the datastore lacked the contents %s; it has them again from here",
                      buf_str(&hex));
            buf_deinit(&hex);
        } else if (rc == ERR_CORRUPT) {
            sync_tell(sync, SYNC_ERROR, "blob-damaged", "%s", err_text());
        } else if (rc < 0 && rc != ERR_NOT_FOUND) {
            return rc;
        }
    }
    return 0;
}

/* It looks at its copy, moves it aside if it is damaged, and asks all webservers for another. */
static int report_damage(struct sync *sync, const struct object *object)
{
    char id[UUID_TEXT_BYTES];
    sync_tell(
        sync, SYNC_ERROR, "blob-corrupt",
        "%s %s \"%.128s\": %s. The datastore is told; a webserver that has the contents whole "
        "gives them back to it",
        object_kind_name(object->kind), uuid_text(object->id, id), object->name, err_text());
    char *url;
    (void)transfer_of(sync, object->blob.sha256, 0, &url);
    char *verify = mem_printf("%s/verify", url);
    json_t *answer = NULL;
    struct http_call call = {.method = "POST",
                             .url = verify,
                             .control = true,
                             .cancel = sync->cancel,
                             .idle_ms = VERIFY_IDLE_MS};
    int rc = http_call_json(sync->client, &call, NULL, &answer);
    json_decref(answer);
    mem_free(verify);
    mem_free(url);
    return rc;
}

/* *ret_lacking: some did not come, and should be asked for again. */
static int download_missing(struct sync *sync, bool *ret_lacking)
{
    struct object_list list = {0};
    int rc = store_blobs_missing(sync->store, BLOBS_AT_ONCE, &list);
    *ret_lacking = false;
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        rc = download(sync, &list.items[i]->blob, 0);
        *ret_lacking = *ret_lacking || rc < 0;
        if (rc == ERR_CORRUPT) {
            rc = report_damage(sync, list.items[i]);
        } else if (rc == ERR_NOT_FOUND) {
            rc = 0;
        }
    }
    object_list_deinit(&list);
    return rc;
}

static void sweep(struct sync *sync)
{
    struct store_swept swept;
    if (store_blobs_sweep(sync->store, STORE_UNUSED_NS, &swept) < 0) {
        sync_tell(sync, SYNC_WARN, "blobs-sweep", "%s; tried again later", err_text());
    } else if (swept.removed > 0) {
        sync_tell(sync, SYNC_INFO, "blobs-sweep",
                  "%" PRIu64 " contents that nothing has named for a day are removed",
                  swept.removed);
    }
}

void *sync_blob_thread(void *context)
{
    struct sync *sync = context;
    int64_t retry_ms = INT64_MAX;
    int64_t sweep_ms = 0;
    (void)pthread_mutex_lock(&sync->lock);
    while (!sync->stopping) {
        if (sync_now_ms(sync) >= sweep_ms) {
            sweep_ms = sync_now_ms(sync) + STORE_SWEEP_NS / TIME_MS_NS;
            (void)pthread_mutex_unlock(&sync->lock);
            sweep(sync);
            (void)pthread_mutex_lock(&sync->lock);
            continue;
        }
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
        bool lacking = false;
        int rc = upload_missing(sync, generation);
        rc = rc < 0 ? rc : give_back_wanted(sync);
        rc = rc < 0 ? rc : download_missing(sync, &lacking);
        (void)pthread_mutex_lock(&sync->lock);
        if (rc < 0 && !sync->stopping) {
            sync_tell(sync, SYNC_WARN, "blob-transfer", "%s; tried again", err_text());
            retry_ms = sync_now_ms(sync) + 1000;
        } else if (lacking) {
            retry_ms = sync_now_ms(sync) + sync->interval_ms;
        }
    }
    (void)pthread_mutex_unlock(&sync->lock);
    return NULL;
}
