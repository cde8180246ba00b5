/* Blobs: DIR/ab/<sha256 in hex>, written beside as DIR/tmp/<random>, synced, renamed. */
#include "store/store.h"

#include <inttypes.h>
#include <sodium.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/store_sql.h"

#define BLOB_PIECE_BYTES 65536

struct store_blob_writer {
    struct store *store;
    struct io_file *file;
    char *path;
    uint64_t bytes;
    uint64_t bytes_max;
    crypto_hash_sha256_state hash;
};

static char *blob_dir_of(struct store *store, const uint8_t sha256[32])
{
    return mem_printf("%s/%02x", store->blob_dir, sha256[0]);
}

char *store_blob_path(struct store *store, const uint8_t sha256[32])
{
    struct buf path = {0};
    buf_printf(&path, "%s/%02x/", store->blob_dir, sha256[0]);
    text_hex(&path, span_of(sha256, 32));
    return buf_take(&path);
}

static int remove_left_over(void *context, const char *name)
{
    struct store *store = context;
    char *path = mem_printf("%s/tmp/%s", store->blob_dir, name);
    int rc = io_remove(store->io, path);
    mem_free(path);
    return rc;
}

/* What was being written when the last life ended is nobody's. */
int store_blobs_prepare(struct store *store)
{
    char *tmp = mem_printf("%s/tmp", store->blob_dir);
    int rc = io_make_dirs(store->io, tmp);
    rc = rc < 0 ? rc : io_list(store->io, tmp, remove_left_over, store);
    mem_free(tmp);
    return rc;
}

int store_blob_begin(struct store *store, uint64_t bytes_max, struct store_blob_writer **ret_writer)
{
    struct store_blob_writer *writer = MEM_NEW(struct store_blob_writer);
    uint8_t random[16];
    struct buf path = {0};
    io_random(store->io, random, sizeof(random));
    buf_printf(&path, "%s/tmp/", store->blob_dir);
    text_hex(&path, span_of(random, sizeof(random)));
    *writer =
        (struct store_blob_writer){.store = store, .bytes_max = bytes_max, .path = buf_take(&path)};
    (void)crypto_hash_sha256_init(&writer->hash);
    int rc = io_open(store->io, writer->path, IO_WRITE | IO_CREATE | IO_EXCLUSIVE, &writer->file);
    if (rc < 0) {
        mem_free(writer->path);
        mem_free(writer);
        return err_wrap(rc, "a new blob");
    }
    *ret_writer = writer;
    return 0;
}

int store_blob_write(struct store_blob_writer *writer, struct span data)
{
    if (data.bytes > writer->bytes_max - writer->bytes) {
        return err_set(ERR_TOO_LARGE, "a blob of more than %" PRIu64 " bytes", writer->bytes_max);
    }
    int rc = io_write_at(writer->file, writer->bytes, data);
    if (rc == 0) {
        (void)crypto_hash_sha256_update(&writer->hash, data.data, data.bytes);
        writer->bytes += data.bytes;
    }
    return rc;
}

static void free_writer(struct store_blob_writer *writer)
{
    io_close(&writer->file);
    mem_free(writer->path);
    mem_free(writer);
}

void store_blob_abort(struct store_blob_writer **writer)
{
    if (*writer == NULL) {
        return;
    }
    if (io_remove((*writer)->store->io, (*writer)->path) < 0) {
        /* The next start removes it. */
    }
    free_writer(*writer);
    *writer = NULL;
}

static int move_in(struct store_blob_writer *writer, const uint8_t sha256[32])
{
    struct store *store = writer->store;
    char *dir = blob_dir_of(store, sha256);
    char *path = store_blob_path(store, sha256);
    int rc = io_sync(writer->file);
    rc = rc < 0 ? rc : io_make_dir(store->io, dir);
    store_blob_spare(store, sha256);
    rc = rc < 0 ? rc : io_rename(store->io, writer->path, path);
    rc = rc < 0 ? rc : io_sync_dir(store->io, dir);
    rc = rc < 0 ? rc : io_sync_dir(store->io, store->blob_dir);
    mem_free(dir);
    mem_free(path);
    return rc;
}

int store_blob_commit(struct store_blob_writer **writer, const uint8_t expected[32],
                      struct object_blob *ret_blob)
{
    struct store_blob_writer *done = *writer;
    *writer = NULL;
    struct object_blob blob = {.bytes = done->bytes, .present = true};
    (void)crypto_hash_sha256_final(&done->hash, blob.sha256);
    int rc = 0;
    if (expected != NULL && memcmp(expected, blob.sha256, sizeof(blob.sha256)) != 0) {
        struct buf hex = {0};
        text_hex(&hex, span_of(expected, 32));
        rc = err_set(ERR_CORRUPT, "blob %s: the %" PRIu64 " bytes that came have another hash",
                     buf_str(&hex), blob.bytes);
        buf_deinit(&hex);
    }
    rc = rc < 0 ? rc : move_in(done, blob.sha256);
    if (rc < 0) {
        store_blob_abort(&done);
        return rc;
    }
    free_writer(done);
    *ret_blob = blob;
    return 0;
}

bool store_blob_has(struct store *store, const uint8_t sha256[32])
{
    char *path = store_blob_path(store, sha256);
    bool there = io_exists(store->io, path);
    mem_free(path);
    return there;
}

int store_blob_open(struct store *store, const uint8_t sha256[32], struct io_file **ret_file,
                    uint64_t *ret_bytes)
{
    char *path = store_blob_path(store, sha256);
    struct io_file *file = NULL;
    uint64_t bytes = 0;
    int rc = io_open(store->io, path, IO_READ, &file);
    rc = rc < 0 ? rc : io_size(file, &bytes);
    mem_free(path);
    if (rc < 0) {
        io_close(&file);
        return rc;
    }
    *ret_file = file;
    *ret_bytes = bytes;
    return 0;
}

static int hash_file(struct io_file *file, uint64_t bytes, uint8_t sha256[32])
{
    crypto_hash_sha256_state hash;
    (void)crypto_hash_sha256_init(&hash);
    uint8_t *piece = mem_alloc(BLOB_PIECE_BYTES);
    int rc = 0;
    for (uint64_t at = 0; rc == 0 && at < bytes; at += BLOB_PIECE_BYTES) {
        size_t got = 0;
        rc = io_read_at(file, at, piece, BLOB_PIECE_BYTES, &got);
        (void)crypto_hash_sha256_update(&hash, piece, got);
    }
    (void)crypto_hash_sha256_final(&hash, sha256);
    mem_free(piece);
    return rc;
}

int store_blob_verify(struct store *store, const uint8_t sha256[32])
{
    struct io_file *file;
    uint64_t bytes;
    uint8_t found[32];
    int rc = store_blob_open(store, sha256, &file, &bytes);
    if (rc < 0) {
        return rc;
    }
    rc = hash_file(file, bytes, found);
    io_close(&file);
    if (rc < 0 || memcmp(found, sha256, sizeof(found)) == 0) {
        return rc;
    }
    char *path = store_blob_path(store, sha256);
    char *aside = mem_printf("%s.damaged", path);
    rc = io_rename(store->io, path, aside);
    if (rc == 0) {
        rc =
            err_set(ERR_CORRUPT, "%s does not have the hash of its name; moved to %s", path, aside);
    }
    mem_free(path);
    mem_free(aside);
    return rc;
}

static bool lacks_blob(void *context, const struct object *object)
{
    return object->blob.present && !store_blob_has(context, object->blob.sha256);
}

int store_blobs_missing(struct store *store, size_t limit, struct object_list *list)
{
    static const enum object_kind with_blobs[] = {OBJECT_RESOURCE, OBJECT_FILE, OBJECT_SEARCH};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ARRAY_COUNT(with_blobs); i++) {
        struct store_query query = {.kind = with_blobs[i],
                                    .filter = lacks_blob,
                                    .context = store,
                                    .order = STORE_BY_REVISION,
                                    .limit = limit};
        rc = store_list(store, &query, list);
    }
    return rc;
}
