/* Reading. Three layers: the file (fill), its chunks (stream), their records. */
#include "object/archive.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/wire.h"
#include "object/archive_format.h"

struct object_archive_reader {
    struct object_archive_reader_options options;
    bool encrypted;
    int rc; /* sticky */

    uint64_t offset; /* in the file, of what is read next */
    crypto_generichash_state hash;

    uint64_t chunk;
    uint64_t chunk_offset;
    bool final; /* the last encrypted chunk was read */
    bool ended; /* of the chunks: the hash was right, nothing follows */
    crypto_secretstream_xchacha20poly1305_state stream;
    struct buf payload; /* of the present chunk, as stored */
    struct buf plain;   /* as it was */
    size_t taken;       /* of plain */

    bool informed;
    bool done; /* the end record was read */
    struct object_blob blob;
    bool in_blob;
    uint64_t blob_left;
    crypto_hash_sha256_state blob_hash;
    struct object_archive_counts counts;
};

/* ---- the file ---- */

/* Fewer bytes only at the end of the file. */
static int fill(struct object_archive_reader *reader, void *data, size_t bytes, size_t *ret_got)
{
    size_t filled = 0;
    size_t got = 1;
    while (reader->rc == 0 && filled < bytes && got > 0) {
        reader->rc = reader->options.read(reader->options.context, (uint8_t *)data + filled,
                                          bytes - filled, &got);
        filled += reader->rc == 0 ? got : 0;
    }
    reader->offset += filled;
    *ret_got = filled;
    return reader->rc;
}

static int corrupt(struct object_archive_reader *reader, uint64_t offset, const char *what)
{
    reader->rc =
        err_set(ERR_CORRUPT, "the backup is damaged at byte %" PRIu64 ": %s", offset, what);
    return reader->rc;
}

static int fill_all(struct object_archive_reader *reader, void *data, size_t bytes)
{
    size_t got;
    int rc = fill(reader, data, bytes, &got);
    return rc == 0 && got < bytes ? corrupt(reader, reader->offset, "it ends early, cut off") : rc;
}

/* ---- the header ---- */

static int check_header(struct object_archive_reader *reader, const uint8_t *header)
{
    struct span text = span_of(header, ARCHIVE_HEADER_BYTES);
    if (!span_starts_with(text, ARCHIVE_MAGIC)) {
        return err_set(ERR_INVALID, "this is no backup: it does not begin with AQUIFERB");
    }
    if (wire_load_u64(header + 64) != hash64(span_first(text, 64))) {
        return corrupt(reader, 0, "the header fails its checksum");
    }
    if (wire_load_u16(header + 8) != OBJECT_ARCHIVE_VERSION) {
        return err_set(ERR_UNSUPPORTED,
                       "the backup has format %u, this program knows format %d: use a newer one",
                       (unsigned)wire_load_u16(header + 8), OBJECT_ARCHIVE_VERSION);
    }
    unsigned flags = wire_load_u16(header + 10);
    if (flags > ARCHIVE_ENCRYPTED) {
        return err_set(ERR_UNSUPPORTED, "the backup has flags this program does not know: %u",
                       flags);
    }
    reader->encrypted = flags == ARCHIVE_ENCRYPTED;
    return 0;
}

static int open_stream(struct object_archive_reader *reader, const uint8_t *header)
{
    uint8_t key[ARCHIVE_KEY_BYTES];
    uint32_t passes = wire_load_u32(header + 12);
    uint64_t memory_bytes = wire_load_u64(header + 16);
    if (passes < 1 || passes > ARCHIVE_PASSES_MAX || memory_bytes < crypto_pwhash_MEMLIMIT_MIN ||
        memory_bytes > ARCHIVE_MEMORY_BYTES_MAX) {
        return err_set(ERR_UNSUPPORTED,
                       "the backup asks for %" PRIu32 " passes over %" PRIu64
                       " bytes to make its key, which is out of bounds",
                       passes, memory_bytes);
    }
    if (reader->options.damage_only) {
        return 0;
    }
    const char *password = reader->options.password;
    if (password == NULL || password[0] == 0) {
        return err_set(ERR_AUTH, "the backup is encrypted: its password is needed");
    }
    int rc = object_archive_key(password, header + 24, passes, memory_bytes, key);
    if (rc == 0) {
        (void)crypto_secretstream_xchacha20poly1305_init_pull(&reader->stream, header + 40, key);
    }
    sodium_memzero(key, sizeof(key));
    return rc;
}

int object_archive_reader_new(const struct object_archive_reader_options *options,
                              struct object_archive_reader **ret_reader)
{
    uint8_t header[ARCHIVE_HEADER_BYTES] = {0};
    CHECK(sodium_init() >= 0);
    struct object_archive_reader *reader = MEM_NEW(struct object_archive_reader);
    reader->options = *options;
    size_t got = 0;
    int rc = fill(reader, header, sizeof(header), &got);
    if (rc == 0 && got < sizeof(header) &&
        span_starts_with(span_of(header, got), span_first(ARCHIVE_MAGIC, got))) {
        rc = corrupt(reader, got, "it ends within its header");
    }
    rc = rc < 0 ? rc : check_header(reader, header);
    if (rc == 0 && reader->encrypted) {
        rc = open_stream(reader, header);
    }
    (void)crypto_generichash_init(&reader->hash, NULL, 0, ARCHIVE_HASH_BYTES);
    (void)crypto_generichash_update(&reader->hash, header, sizeof(header));
    reader->options.password = NULL;
    if (rc < 0) {
        object_archive_reader_free(&reader);
        return rc;
    }
    *ret_reader = reader;
    return 0;
}

static void wipe(struct buf *buf)
{
    if (buf->capacity > 0) {
        sodium_memzero(buf->data, buf->capacity);
    }
    buf_deinit(buf);
}

void object_archive_reader_free(struct object_archive_reader **reader)
{
    struct object_archive_reader *gone = *reader;
    *reader = NULL;
    if (gone == NULL) {
        return;
    }
    wipe(&gone->plain);
    buf_deinit(&gone->payload);
    sodium_memzero(gone, sizeof(*gone));
    mem_free(gone);
}

bool object_archive_is_encrypted(const struct object_archive_reader *reader)
{
    return reader->encrypted;
}

/* ---- the chunks ---- */

static int end_chunks(struct object_archive_reader *reader)
{
    uint8_t expected[ARCHIVE_HASH_BYTES];
    uint8_t hash[ARCHIVE_HASH_BYTES];
    uint8_t more;
    size_t got = 0;
    uint64_t at = reader->offset;
    (void)crypto_generichash_final(&reader->hash, hash, sizeof(hash));
    int rc = fill_all(reader, expected, sizeof(expected));
    if (rc < 0) {
        return rc;
    }
    if (memcmp(hash, expected, sizeof(hash)) != 0) {
        return corrupt(reader, at, "the hash over the whole file is another one");
    }
    rc = fill(reader, &more, 1, &got);
    if (rc == 0 && got > 0) {
        return corrupt(reader, reader->offset - 1, "something follows its end");
    }
    if (rc == 0 && reader->encrypted && !reader->final && !reader->options.damage_only) {
        return corrupt(reader, at, "the encrypted part has no end");
    }
    reader->ended = rc == 0;
    return rc;
}

static int unseal(struct object_archive_reader *reader)
{
    unsigned char tag = 0;
    unsigned long long bytes = 0;
    struct span payload = buf_span(&reader->payload);
    if (payload.bytes < ARCHIVE_SEAL_BYTES || reader->final) {
        return corrupt(reader, reader->chunk_offset, "this is no encrypted chunk");
    }
    uint8_t *at = buf_reserve(&reader->plain, payload.bytes);
    if (crypto_secretstream_xchacha20poly1305_pull(&reader->stream, at, &bytes, &tag, payload.data,
                                                   payload.bytes, NULL, 0) != 0) {
        /* Its checksum is right: this is what was written. */
        reader->rc = reader->chunk == 1
                         ? err_set(ERR_AUTH, "the password is not the one of this backup")
                         : corrupt(reader, reader->chunk_offset, "a chunk was exchanged");
        return reader->rc;
    }
    reader->plain.bytes = (size_t)bytes;
    reader->final = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
    return 0;
}

static int read_payload(struct object_archive_reader *reader, const uint8_t *head, size_t bytes)
{
    buf_clear(&reader->payload);
    uint8_t *at = buf_reserve(&reader->payload, bytes);
    int rc = fill_all(reader, at, bytes);
    if (rc < 0) {
        return rc;
    }
    reader->payload.bytes = bytes;
    (void)crypto_generichash_update(&reader->hash, at, bytes);
    if (hash64_seeded(buf_span(&reader->payload), reader->chunk++) != wire_load_u64(head + 4)) {
        return corrupt(reader, reader->chunk_offset, "a chunk fails its checksum");
    }
    return 0;
}

/* The next chunk into `plain`; with `ended` there is none. */
static int read_chunk(struct object_archive_reader *reader)
{
    uint8_t head[ARCHIVE_CHUNK_HEAD_BYTES];
    reader->chunk_offset = reader->offset;
    reader->taken = 0;
    buf_clear(&reader->plain);
    int rc = fill_all(reader, head, sizeof(uint32_t));
    if (rc < 0) {
        return rc;
    }
    (void)crypto_generichash_update(&reader->hash, head, sizeof(uint32_t));
    size_t bytes = wire_load_u32(head);
    if (bytes == 0) {
        return end_chunks(reader);
    }
    if (bytes > OBJECT_ARCHIVE_CHUNK_BYTES + (reader->encrypted ? ARCHIVE_SEAL_BYTES : 0)) {
        return corrupt(reader, reader->chunk_offset, "a chunk has an impossible length");
    }
    rc = fill_all(reader, head + 4, sizeof(uint64_t));
    if (rc < 0) {
        return rc;
    }
    (void)crypto_generichash_update(&reader->hash, head + 4, sizeof(uint64_t));
    rc = read_payload(reader, head, bytes);
    if (rc == 0 && reader->encrypted && !reader->options.damage_only) {
        return unseal(reader);
    }
    if (rc == 0 && !reader->encrypted) {
        buf_append(&reader->plain, buf_span(&reader->payload));
    }
    return rc;
}

/* Some bytes of the stream of records, at most `bytes`; none at its end. */
static int stream_some(struct object_archive_reader *reader, void *data, size_t bytes,
                       size_t *ret_got)
{
    while (reader->rc == 0 && !reader->ended && reader->taken == reader->plain.bytes) {
        (void)read_chunk(reader);
    }
    struct span rest = span_first(span_from(buf_span(&reader->plain), reader->taken), bytes);
    if (reader->rc == 0 && rest.bytes > 0) {
        memcpy(data, rest.data, rest.bytes);
    }
    reader->taken += rest.bytes;
    *ret_got = reader->rc == 0 ? rest.bytes : 0;
    return reader->rc;
}

static int stream_all(struct object_archive_reader *reader, void *data, size_t bytes)
{
    size_t got = 1;
    for (size_t filled = 0; reader->rc == 0 && filled < bytes; filled += got) {
        (void)stream_some(reader, (uint8_t *)data + filled, bytes - filled, &got);
        if (reader->rc == 0 && got == 0) {
            return corrupt(reader, reader->chunk_offset, "the records end early");
        }
    }
    return reader->rc;
}

/* ---- the records ---- */

void object_archive_record_deinit(struct object_archive_record *record)
{
    json_decref(record->info);
    object_free(&record->object);
    *record = (struct object_archive_record){0};
}

static int read_json(struct object_archive_reader *reader, uint64_t bytes, size_t bytes_max,
                     json_t **ret_json)
{
    json_error_t error;
    struct buf text = {0};
    if (bytes > bytes_max) {
        return corrupt(reader, reader->chunk_offset, "a record has an impossible length");
    }
    /* Grows with what is there, not with what the length promises. */
    for (size_t left = (size_t)bytes; reader->rc == 0 && left > 0;) {
        size_t piece = MIN(left, OBJECT_ARCHIVE_CHUNK_BYTES);
        uint8_t *at = buf_reserve(&text, piece);
        if (stream_all(reader, at, piece) == 0) {
            text.bytes += piece;
            left -= piece;
        }
    }
    if (reader->rc == 0) {
        *ret_json = json_loadb((const char *)text.data, text.bytes, 0, &error);
        if (*ret_json == NULL) {
            (void)corrupt(reader, reader->chunk_offset, "a record is not JSON");
        }
    }
    wipe(&text);
    return reader->rc;
}

static int read_info(struct object_archive_reader *reader, uint64_t bytes, json_t **ret_info)
{
    int rc = read_json(reader, bytes, OBJECT_ARCHIVE_INFO_BYTES_MAX, ret_info);
    reader->informed = true;
    return rc == 0 && !json_is_object(*ret_info)
               ? corrupt(reader, reader->chunk_offset, "the first record is no object")
               : rc;
}

static int read_object(struct object_archive_reader *reader, uint64_t bytes,
                       struct object **ret_object)
{
    json_t *json = NULL;
    int rc = read_json(reader, bytes, OBJECT_ARCHIVE_OBJECT_BYTES_MAX, &json);
    if (rc == 0) {
        reader->counts.objects++;
        rc = object_from_json(json, ret_object);
        reader->rc = rc < 0 ? err_wrap(rc, "object %" PRIu64 " of the backup, at byte %" PRIu64,
                                       reader->counts.objects, reader->chunk_offset)
                            : 0;
    }
    json_decref(json);
    return reader->rc;
}

static int end_blob(struct object_archive_reader *reader)
{
    uint8_t sha256[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256_final(&reader->blob_hash, sha256);
    reader->in_blob = false;
    reader->counts.blobs++;
    reader->counts.blob_bytes += reader->blob.bytes;
    return memcmp(sha256, reader->blob.sha256, sizeof(sha256)) == 0
               ? 0
               : corrupt(reader, reader->chunk_offset, "contents have another hash");
}

static int read_blob(struct object_archive_reader *reader, uint64_t bytes,
                     struct object_blob *ret_blob)
{
    size_t hash_bytes = sizeof(reader->blob.sha256);
    if (bytes < hash_bytes || bytes - hash_bytes > OBJECT_BLOB_BYTES_MAX) {
        return corrupt(reader, reader->chunk_offset, "contents have an impossible length");
    }
    reader->blob.present = true;
    reader->blob.bytes = reader->blob_left = bytes - hash_bytes;
    reader->in_blob = true;
    (void)crypto_hash_sha256_init(&reader->blob_hash);
    int rc = stream_all(reader, reader->blob.sha256, hash_bytes);
    *ret_blob = reader->blob;
    return rc == 0 && reader->blob_left == 0 ? end_blob(reader) : rc;
}

int object_archive_read(struct object_archive_reader *reader, void *data, size_t bytes,
                        size_t *ret_got)
{
    size_t got = 0;
    if (reader->rc < 0 || !reader->in_blob) {
        *ret_got = 0;
        return reader->rc;
    }
    int rc = stream_some(reader, data, (size_t)MIN((uint64_t)bytes, reader->blob_left), &got);
    if (rc == 0 && got == 0) {
        return corrupt(reader, reader->chunk_offset, "the records end early");
    }
    if (rc == 0) {
        (void)crypto_hash_sha256_update(&reader->blob_hash, data, got);
        reader->blob_left -= got;
        rc = reader->blob_left == 0 ? end_blob(reader) : 0;
    }
    *ret_got = rc == 0 ? got : 0;
    return rc;
}

static int skip_blob(struct object_archive_reader *reader)
{
    uint8_t piece[4096];
    size_t got = 1;
    int rc = 0;
    while (rc == 0 && reader->in_blob && got > 0) {
        rc = object_archive_read(reader, piece, sizeof(piece), &got);
    }
    return rc < 0 ? rc : reader->rc;
}

static int read_end(struct object_archive_reader *reader, uint64_t bytes,
                    struct object_archive_counts *ret_counts)
{
    uint8_t end[24];
    uint8_t more;
    size_t got = 0;
    int rc = bytes == sizeof(end) ? stream_all(reader, end, sizeof(end))
                                  : corrupt(reader, reader->chunk_offset,
                                            "the last record has an impossible length");
    if (rc < 0) {
        return rc;
    }
    const struct object_archive_counts *counts = &reader->counts;
    if (wire_load_u64(end) != counts->objects || wire_load_u64(end + 8) != counts->blobs ||
        wire_load_u64(end + 16) != counts->blob_bytes) {
        return corrupt(reader, reader->chunk_offset, "the counts at its end are others");
    }
    rc = stream_some(reader, &more, 1, &got);
    if (rc == 0 && got > 0) {
        return corrupt(reader, reader->chunk_offset, "records follow the last one");
    }
    reader->done = rc == 0;
    *ret_counts = *counts;
    return rc;
}

static int read_record(struct object_archive_reader *reader, struct object_archive_record *record)
{
    uint8_t head[ARCHIVE_RECORD_HEAD_BYTES];
    int rc = stream_all(reader, head, sizeof(head));
    if (rc < 0) {
        return rc;
    }
    uint64_t bytes = wire_load_u64(head + 1);
    if ((head[0] == OBJECT_ARCHIVE_INFO) == reader->informed) {
        return corrupt(reader, reader->chunk_offset, "a record is in the wrong place");
    }
    switch (head[0]) {
    case OBJECT_ARCHIVE_INFO:
        record->type = OBJECT_ARCHIVE_INFO;
        return read_info(reader, bytes, &record->info);
    case OBJECT_ARCHIVE_OBJECT:
        record->type = OBJECT_ARCHIVE_OBJECT;
        record->object_bytes = (size_t)bytes;
        return read_object(reader, bytes, &record->object);
    case OBJECT_ARCHIVE_BLOB:
        record->type = OBJECT_ARCHIVE_BLOB;
        return read_blob(reader, bytes, &record->blob);
    case OBJECT_ARCHIVE_END:
        record->type = OBJECT_ARCHIVE_END;
        return read_end(reader, bytes, &record->counts);
    default:
        reader->rc =
            err_set(ERR_UNSUPPORTED, "a record of type %u at byte %" PRIu64 ": use a newer program",
                    (unsigned)head[0], reader->chunk_offset);
        return reader->rc;
    }
}

/* Checksums and hash alone. */
static int read_over(struct object_archive_reader *reader)
{
    while (reader->rc == 0 && !reader->ended) {
        (void)read_chunk(reader);
    }
    reader->done = true;
    return reader->rc;
}

int object_archive_next(struct object_archive_reader *reader,
                        struct object_archive_record *ret_record)
{
    struct object_archive_record record = {.type = OBJECT_ARCHIVE_END};
    CHECK(!reader->done);
    int rc =
        reader->encrypted && reader->options.damage_only ? read_over(reader) : skip_blob(reader);
    if (rc == 0 && !reader->done) {
        rc = read_record(reader, &record);
    }
    if (rc < 0) {
        object_archive_record_deinit(&record);
        return rc;
    }
    *ret_record = record;
    return 0;
}
