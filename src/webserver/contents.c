#include "webserver/contents.h"

#include <sodium.h>

#include "base/mem.h"
#include "base/text.h"
#include "service/log.h"
#include "store/store.h"
#include "sync/sync.h"

#define CHUNK_BYTES ((size_t)64 * 1024)
#define FETCH_TIMEOUT_MS 60000 /* contents that only the datastore has yet */

/* ── Receiving ───────────────────────────────────────────────────────────────────────────── */

const char *contents_field(const struct contents_fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (strcmp(fields->names[i], name) == 0) {
            return fields->values[i];
        }
    }
    return "";
}

static int keep_field(struct http_multipart *form, const char *name, struct contents_fields *fields)
{
    if (fields->count == CONTENTS_FIELDS_MAX) {
        return err_set(ERR_TOO_LARGE, "the form has more than %d fields", CONTENTS_FIELDS_MAX);
    }
    fields->names[fields->count] = name;
    int rc = http_multipart_text(form, CONTENTS_FIELD_BYTES_MAX, &fields->values[fields->count]);
    fields->count += rc == 0;
    return rc;
}

/* Leaves `*ret_form` at its part `file`, or NULL when the request is no form. */
static int open_form(struct http_request *request, struct contents_fields *fields,
                     struct http_multipart **ret_form)
{
    const char *type = http_request_header(request, "Content-Type");
    *ret_form = NULL;
    if (type == NULL || !span_starts_with(span_of_str(type), SPAN_LIT("multipart/"))) {
        return 0;
    }
    struct http_part part;
    struct http_multipart *form;
    int rc = http_multipart_open(request, &form);
    while (rc == 0) {
        rc = http_multipart_next(form, &part);
        if (rc == 0 && strcmp(part.name, "file") == 0) {
            *ret_form = form;
            return 0;
        }
        if (rc == 0) {
            rc = keep_field(form, part.name, fields);
        }
    }
    return rc == HTTP_MULTIPART_END ? err_set(ERR_INVALID, "the form has no part named file") : rc;
}

static int pull(struct http_request *request, struct http_multipart *form, void *data,
                size_t *ret_got)
{
    return form != NULL ? http_multipart_read(form, data, CHUNK_BYTES, ret_got)
                        : http_request_read(request, data, CHUNK_BYTES, ret_got);
}

int contents_receive(struct http_request *request, struct webserver *webserver, uint64_t bytes_max,
                     struct contents_fields *ret_fields, struct object_blob *ret_blob)
{
    struct contents_fields fields = {0};
    struct http_multipart *form;
    struct store_blob_writer *writer = NULL;
    int rc = open_form(request, &fields, &form);
    if (rc == 0) {
        rc = store_blob_begin(webserver->store, bytes_max, &writer);
    }
    uint8_t *chunk = mem_alloc(CHUNK_BYTES);
    for (size_t got = 1; rc == 0 && got > 0;) {
        rc = pull(request, form, chunk, &got);
        if (rc == 0 && got > 0) {
            rc = store_blob_write(writer, span_of(chunk, got));
        }
    }
    mem_free(chunk);
    if (rc < 0) {
        store_blob_abort(&writer);
        return rc;
    }
    if (ret_fields != NULL) {
        *ret_fields = fields;
    }
    return store_blob_commit(&writer, NULL, ret_blob);
}

/* ── Sending ─────────────────────────────────────────────────────────────────────────────── */

static int open_blob(struct webserver *webserver, const struct object_blob *blob,
                     struct io_file **ret_file, uint64_t *ret_bytes)
{
    int rc = sync_blob_fetch(webserver->sync, blob, FETCH_TIMEOUT_MS);
    if (rc == 0) {
        rc = store_blob_open(webserver->store, blob->sha256, ret_file, ret_bytes);
    }
    return rc;
}

/* The end is held back until the hash is known to be right: damaged contents end early. */
static int copy_out(struct http_stream *stream, struct io_file *file, uint64_t bytes,
                    const uint8_t sha256[32])
{
    uint8_t *chunk = mem_alloc(CHUNK_BYTES);
    uint8_t found[32];
    crypto_hash_sha256_state hash;
    (void)crypto_hash_sha256_init(&hash);
    int rc = 0;
    for (uint64_t offset = 0; offset < bytes && rc == 0;) {
        size_t got = 0;
        rc = io_read_at(file, offset, chunk, CHUNK_BYTES, &got);
        if (rc == 0 && got == 0) {
            rc = err_set(ERR_CORRUPT, "contents end at %llu of %llu bytes",
                         (unsigned long long)offset, (unsigned long long)bytes);
        }
        if (rc == 0) {
            (void)crypto_hash_sha256_update(&hash, chunk, got);
            offset += got;
        }
        if (rc == 0 && offset == bytes) {
            (void)crypto_hash_sha256_final(&hash, found);
            rc = memcmp(found, sha256, sizeof(found)) == 0
                     ? 0
                     : err_set(ERR_CORRUPT, "the contents are damaged on this webserver");
        }
        rc = rc < 0 ? rc : http_stream_write(stream, span_of(chunk, got));
    }
    mem_free(chunk);
    return rc;
}

void contents_send(struct http_request *request, struct webserver *webserver,
                   const struct object *object, const char *content_type)
{
    struct io_file *file = NULL;
    struct http_stream *stream;
    uint64_t bytes = 0;
    if (!object->blob.present || object->blob.bytes == 0) {
        http_reply(request, 200, content_type, SPAN_NONE);
        return;
    }
    int rc = open_blob(webserver, &object->blob, &file, &bytes);
    if (rc < 0) {
        http_reply_fault(request, rc);
        return;
    }
    if (http_reply_stream(request, 200, content_type, &stream) == 0) {
        rc = copy_out(stream, file, bytes, object->blob.sha256);
        if (rc < 0) {
            log_fault("download-cut", "a download ended early", rc, "object", object->name, NULL);
            http_stream_abort(&stream);
        }
        if (rc == ERR_CORRUPT && sync_blob_damaged(webserver->sync, &object->blob) == 0) {
            log_warn("download-cut", "the contents on the disk are whole", "object", object->name,
                     NULL);
        }
        http_stream_end(&stream);
    }
    io_close(&file);
}

/* ── What they look like ─────────────────────────────────────────────────────────────────── */

int contents_head(struct webserver *webserver, const struct object_blob *blob, size_t bytes,
                  struct buf *head)
{
    struct io_file *file = NULL;
    uint64_t total = 0;
    if (!blob->present || blob->bytes == 0) {
        return 0;
    }
    int rc = open_blob(webserver, blob, &file, &total);
    size_t got = 0;
    if (rc == 0) {
        rc = io_read_at(file, 0, buf_reserve(head, bytes), bytes, &got);
        head->bytes += rc == 0 ? got : 0;
    }
    io_close(&file);
    return rc;
}

const char *contents_sniff(struct span head)
{
    static const struct {
        struct span magic;
        const char *type;
    } kinds[] = {
        {SPAN_LIT("\x89PNG\r\n\x1a\n"), "image/png"},
        {SPAN_LIT("\xff\xd8\xff"), "image/jpeg"},
        {SPAN_LIT("GIF8"), "image/gif"},
        {SPAN_LIT("%PDF-"), "application/pdf"},
        {SPAN_LIT("PK\x03\x04"), "application/zip"},
        {SPAN_LIT("\x1f\x8b"), "application/gzip"},
    };
    if (head.bytes == 0) {
        return "empty";
    }
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (span_starts_with(head, kinds[i].magic)) {
            return kinds[i].type;
        }
    }
    /* A character may be cut at the end of the head. */
    for (size_t cut = 0; cut < 4 && cut < head.bytes; cut++) {
        struct span text = span_first(head, head.bytes - cut);
        if (text_is_utf8(text) && span_find_byte(text, 0) < 0) {
            return "text/plain; charset=utf-8";
        }
    }
    return "application/octet-stream";
}
