/* Contents on their way, either way. */
#include "sync/transfer.h"

#include "base/mem.h"
#include "base/text.h"

#define TRANSFER_IDLE_MS 30000

char *sync_blob_path(const uint8_t sha256[32])
{
    struct buf path = {0};
    buf_append_str(&path, "/sync/v1/blobs/");
    text_hex(&path, span_of(sha256, 32));
    return buf_take(&path);
}

/* 404 is an answer, too. */
static int call_for_status(const struct sync_transfer *transfer, struct http_call *call,
                           int *ret_status)
{
    struct http_answer answer = {0};
    call->url = transfer->url;
    call->control = true;
    call->timeout_ms = transfer->timeout_ms;
    call->idle_ms = TRANSFER_IDLE_MS;
    call->cancel = transfer->cancel;
    int rc = http_call(transfer->client, call, &answer);
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

int sync_blob_send(const struct sync_transfer *transfer, const uint8_t sha256[32], bool *ret_sent)
{
    struct upload upload = {0};
    struct http_call head = {.method = "HEAD"};
    struct http_call put = {.method = "PUT",
                            .pull = pull,
                            .pull_context = &upload,
                            .content_type = "application/octet-stream"};
    uint64_t bytes;
    int status = 0;
    int rc = call_for_status(transfer, &head, &status);
    bool lacks = rc == 0 && status == 404;
    rc = lacks ? store_blob_open(transfer->store, sha256, &upload.file, &bytes) : rc;
    if (rc == 0 && lacks) {
        rc = call_for_status(transfer, &put, &status);
        io_close(&upload.file);
    }
    if (rc == 0 && status == 404) {
        rc = err_set(ERR_UNAVAILABLE, "blob: the datastore did not take it");
    }
    if (rc == 0) {
        *ret_sent = lacks;
    }
    return rc;
}

/* ---- down ---- */

static int take(void *context, struct span data)
{
    int rc = store_blob_write(context, data);
    return rc == ERR_TOO_LARGE ? err_set(ERR_CORRUPT, "blob: more comes than there is of it") : rc;
}

int sync_blob_get(const struct sync_transfer *transfer, const uint8_t sha256[32],
                  uint64_t bytes_max)
{
    struct store_blob_writer *writer = NULL;
    struct object_blob got;
    int status = 0;
    int rc = store_blob_begin(transfer->store, bytes_max, &writer);
    struct http_call call = {.push = take, .push_context = writer};
    rc = rc < 0 ? rc : call_for_status(transfer, &call, &status);
    if (rc == 0 && status == 404) {
        rc = err_set(ERR_NOT_FOUND, "blob: the datastore does not have it");
    }
    if (rc == 0) {
        rc = store_blob_commit(&writer, sha256, &got);
    }
    store_blob_abort(&writer);
    return rc;
}
