/* Writing. Reading is archive_read.c, what both know is archive_format.h. */
#include "object/archive.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/wire.h"
#include "object/archive_format.h"

struct object_archive_writer {
    struct object_archive_writer_options options;
    bool encrypted;
    bool informed;
    bool finished;
    int rc; /* sticky */
    uint64_t chunk;
    struct buf pending; /* less than a chunk */
    struct buf out;
    crypto_generichash_state hash;
    crypto_secretstream_xchacha20poly1305_state stream;
    struct object_blob blob; /* present: its contents are being written */
    uint64_t blob_left;
    crypto_hash_sha256_state blob_hash;
    struct object_archive_counts counts;
};

static int emit(struct object_archive_writer *writer)
{
    struct span out = buf_span(&writer->out);
    (void)crypto_generichash_update(&writer->hash, out.data, out.bytes);
    if (writer->rc == 0) {
        writer->rc = writer->options.write(writer->options.context, out);
    }
    buf_clear(&writer->out);
    return writer->rc;
}

static int put_chunk(struct object_archive_writer *writer, bool last)
{
    struct buf sealed = {0};
    struct span payload = buf_span(&writer->pending);
    if (writer->encrypted) {
        unsigned long long bytes = 0;
        uint8_t *at = buf_reserve(&sealed, payload.bytes + ARCHIVE_SEAL_BYTES);
        (void)crypto_secretstream_xchacha20poly1305_push(
            &writer->stream, at, &bytes, payload.data, payload.bytes, NULL, 0,
            last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : 0);
        sealed.bytes = (size_t)bytes;
        payload = buf_span(&sealed);
    }
    wire_put_u32(&writer->out, (uint32_t)payload.bytes);
    wire_put_u64(&writer->out, hash64_seeded(payload, writer->chunk++));
    buf_append(&writer->out, payload);
    buf_deinit(&sealed);
    sodium_memzero(writer->pending.data, writer->pending.bytes);
    buf_clear(&writer->pending);
    return emit(writer);
}

static int put(struct object_archive_writer *writer, struct span data)
{
    while (writer->rc == 0 && data.bytes > 0) {
        struct span piece = span_first(data, OBJECT_ARCHIVE_CHUNK_BYTES - writer->pending.bytes);
        buf_append(&writer->pending, piece);
        data = span_from(data, piece.bytes);
        /* The last chunk is put by finish, which marks it. */
        if (writer->pending.bytes == OBJECT_ARCHIVE_CHUNK_BYTES && data.bytes > 0) {
            (void)put_chunk(writer, false);
        }
    }
    return writer->rc;
}

static int put_head(struct object_archive_writer *writer, enum object_archive_type type,
                    uint64_t bytes)
{
    struct buf head = {0};
    if (writer->pending.bytes == OBJECT_ARCHIVE_CHUNK_BYTES && writer->rc == 0) {
        (void)put_chunk(writer, false);
    }
    wire_put_u8(&head, (uint8_t)type);
    wire_put_u64(&head, bytes);
    int rc = put(writer, buf_span(&head));
    buf_deinit(&head);
    return rc;
}

static int put_json(struct object_archive_writer *writer, enum object_archive_type type,
                    const json_t *json, size_t bytes_max)
{
    char *text = json_dumps(json, JSON_COMPACT);
    CHECK(text != NULL);
    struct span span = span_of_str(text);
    int rc = 0;
    if (span.bytes > bytes_max) {
        rc = err_set(ERR_TOO_LARGE, "a record of %zu bytes, at most %zu are allowed", span.bytes,
                     bytes_max);
    } else {
        rc = put_head(writer, type, span.bytes);
        rc = rc < 0 ? rc : put(writer, span);
    }
    sodium_memzero(text, span.bytes);
    free(text);
    return rc;
}

/* ---- the header ---- */

static void put_header(struct object_archive_writer *writer)
{
    uint8_t salt[crypto_pwhash_SALTBYTES] = {0};
    uint8_t head[crypto_secretstream_xchacha20poly1305_HEADERBYTES] = {0};
    uint32_t passes = 0;
    uint64_t memory_bytes = 0;
    if (writer->encrypted) {
        uint8_t key[ARCHIVE_KEY_BYTES];
        passes = writer->options.passes != 0 ? writer->options.passes : ARCHIVE_PASSES;
        memory_bytes =
            writer->options.memory_bytes != 0 ? writer->options.memory_bytes : ARCHIVE_MEMORY_BYTES;
        randombytes_buf(salt, sizeof(salt));
        writer->rc = object_archive_key(writer->options.password, salt, passes, memory_bytes, key);
        (void)crypto_secretstream_xchacha20poly1305_init_push(&writer->stream, head, key);
        sodium_memzero(key, sizeof(key));
    }
    buf_append(&writer->out, ARCHIVE_MAGIC);
    wire_put_u16(&writer->out, OBJECT_ARCHIVE_VERSION);
    wire_put_u16(&writer->out, writer->encrypted ? ARCHIVE_ENCRYPTED : 0);
    wire_put_u32(&writer->out, passes);
    wire_put_u64(&writer->out, memory_bytes);
    buf_append(&writer->out, span_of(salt, sizeof(salt)));
    buf_append(&writer->out, span_of(head, sizeof(head)));
    wire_put_u64(&writer->out, hash64(buf_span(&writer->out)));
}

int object_archive_key(const char *password, const uint8_t salt[crypto_pwhash_SALTBYTES],
                       uint32_t passes, uint64_t memory_bytes, uint8_t ret_key[ARCHIVE_KEY_BYTES])
{
    int rc = crypto_pwhash(ret_key, ARCHIVE_KEY_BYTES, password, strlen(password), salt, passes,
                           (size_t)memory_bytes, crypto_pwhash_ALG_ARGON2ID13);
    return rc == 0 ? 0 : err_set(ERR_UNAVAILABLE, "no memory to make a key of the password");
}

int object_archive_writer_new(const struct object_archive_writer_options *options,
                              struct object_archive_writer **ret_writer)
{
    CHECK(sodium_init() >= 0);
    struct object_archive_writer *writer = MEM_NEW(struct object_archive_writer);
    writer->options = *options;
    writer->encrypted = options->password != NULL && options->password[0] != 0;
    (void)crypto_generichash_init(&writer->hash, NULL, 0, ARCHIVE_HASH_BYTES);
    put_header(writer);
    int rc = emit(writer);
    writer->options.password = NULL;
    if (rc < 0) {
        object_archive_writer_free(&writer);
        return rc;
    }
    *ret_writer = writer;
    return 0;
}

void object_archive_writer_free(struct object_archive_writer **writer)
{
    struct object_archive_writer *gone = *writer;
    *writer = NULL;
    if (gone == NULL) {
        return;
    }
    if (gone->pending.capacity > 0) {
        sodium_memzero(gone->pending.data, gone->pending.capacity);
    }
    buf_deinit(&gone->pending);
    buf_deinit(&gone->out);
    sodium_memzero(gone, sizeof(*gone));
    mem_free(gone);
}

/* ---- the records ---- */

int object_archive_put_info(struct object_archive_writer *writer, const json_t *info)
{
    CHECK(!writer->informed);
    writer->informed = true;
    return put_json(writer, OBJECT_ARCHIVE_INFO, info, OBJECT_ARCHIVE_INFO_BYTES_MAX);
}

int object_archive_put_object(struct object_archive_writer *writer, const struct object *object)
{
    static const char *const sync_fields[] = {"deleted", "stamped", "edited", "rescue",
                                              "stamps",  "over",    "past"};
    char id[UUID_TEXT_BYTES];
    struct uuid none = {0};
    CHECK(writer->informed && !writer->blob.present && !writer->finished && !object->deleted);
    json_t *json = object_to_json(object);
    json_object_set_new(json, "revision", json_integer(0));
    json_object_set_new(json, "base", json_integer(0));
    json_object_set_new(json, "change", json_string(uuid_text(none, id)));
    for (size_t i = 0; i < ARRAY_COUNT(sync_fields); i++) {
        (void)json_object_del(json, sync_fields[i]);
    }
    int rc = put_json(writer, OBJECT_ARCHIVE_OBJECT, json, OBJECT_ARCHIVE_OBJECT_BYTES_MAX);
    json_decref(json);
    writer->counts.objects += rc == 0;
    return rc < 0 ? err_wrap(rc, "%s %s", object_kind_name(object->kind), uuid_text(object->id, id))
                  : 0;
}

static int end_blob(struct object_archive_writer *writer)
{
    uint8_t sha256[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256_final(&writer->blob_hash, sha256);
    writer->blob.present = false;
    if (memcmp(sha256, writer->blob.sha256, sizeof(sha256)) != 0) {
        writer->rc = err_set(ERR_CORRUPT, "stored contents do not have the hash they are named by");
    }
    writer->counts.blobs++;
    writer->counts.blob_bytes += writer->blob.bytes;
    return writer->rc;
}

int object_archive_put_blob(struct object_archive_writer *writer, const struct object_blob *blob)
{
    CHECK(writer->informed && !writer->blob.present && !writer->finished);
    writer->blob = *blob;
    writer->blob.present = true;
    writer->blob_left = blob->bytes;
    (void)crypto_hash_sha256_init(&writer->blob_hash);
    int rc = put_head(writer, OBJECT_ARCHIVE_BLOB, sizeof(blob->sha256) + blob->bytes);
    rc = rc < 0 ? rc : put(writer, span_of(blob->sha256, sizeof(blob->sha256)));
    return rc == 0 && blob->bytes == 0 ? end_blob(writer) : rc;
}

int object_archive_put_data(struct object_archive_writer *writer, struct span data)
{
    CHECK(writer->blob.present && data.bytes <= writer->blob_left);
    (void)crypto_hash_sha256_update(&writer->blob_hash, data.data, data.bytes);
    writer->blob_left -= data.bytes;
    int rc = put(writer, data);
    return rc == 0 && writer->blob_left == 0 ? end_blob(writer) : rc;
}

int object_archive_finish(struct object_archive_writer *writer)
{
    uint8_t hash[ARCHIVE_HASH_BYTES];
    CHECK(writer->informed && !writer->blob.present && !writer->finished);
    writer->finished = true;
    struct buf end = {0};
    wire_put_u64(&end, writer->counts.objects);
    wire_put_u64(&end, writer->counts.blobs);
    wire_put_u64(&end, writer->counts.blob_bytes);
    int rc = put_head(writer, OBJECT_ARCHIVE_END, end.bytes);
    rc = rc < 0 ? rc : put(writer, buf_span(&end));
    buf_deinit(&end);
    rc = rc < 0 ? rc : put_chunk(writer, true);
    wire_put_u32(&writer->out, 0);
    rc = rc < 0 ? rc : emit(writer);
    (void)crypto_generichash_final(&writer->hash, hash, sizeof(hash));
    buf_clear(&writer->out);
    if (rc == 0) {
        writer->rc = rc =
            writer->options.write(writer->options.context, span_of(hash, sizeof(hash)));
    }
    return rc;
}

void object_archive_written(const struct object_archive_writer *writer,
                            struct object_archive_counts *ret_counts)
{
    *ret_counts = writer->counts;
}
