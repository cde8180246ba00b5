/*
 * Any bytes are a backup or are refused with a message; nothing leaks, nothing is read beyond its
 * end. Each input is tried as a file, and as the records within a file whose checksums are right:
 * else no change would get past them.
 */
#include <sodium.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/wire.h"
#include "object/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static int read_span(void *context, void *data, size_t bytes, size_t *ret_got)
{
    struct span *rest = context;
    struct span piece = span_first(*rest, bytes);
    if (piece.bytes > 0) {
        memcpy(data, piece.data, piece.bytes);
    }
    *rest = span_from(*rest, piece.bytes);
    *ret_got = piece.bytes;
    return 0;
}

static int look_at(struct object_archive_reader *reader, bool *ret_ended)
{
    struct object_archive_record record;
    uint8_t piece[100];
    size_t got = 0;
    int rc = object_archive_next(reader, &record);
    if (rc < 0) {
        return rc;
    }
    CHECK(record.type != OBJECT_ARCHIVE_OBJECT || record.object != NULL);
    if (record.type == OBJECT_ARCHIVE_BLOB) {
        rc = object_archive_read(reader, piece, sizeof(piece), &got);
        CHECK(got <= sizeof(piece));
    }
    *ret_ended = record.type == OBJECT_ARCHIVE_END;
    object_archive_record_deinit(&record);
    return rc;
}

static void read_file(struct span file, bool damage_only)
{
    struct object_archive_reader *reader = NULL;
    struct object_archive_reader_options options = {
        .read = read_span, .context = &file, .damage_only = damage_only};
    bool ended = false;
    int rc = object_archive_reader_new(&options, &reader);
    while (rc == 0 && !ended) {
        rc = look_at(reader, &ended);
    }
    CHECK(rc == 0 || err_text()[0] != 0);
    object_archive_reader_free(&reader);
}

static void wrap(struct span records, struct buf *file)
{
    static const uint8_t zeros[52];
    buf_append_str(file, "AQUIFERB");
    wire_put_u16(file, OBJECT_ARCHIVE_VERSION);
    buf_append(file, span_of(zeros, sizeof(zeros)));
    buf_append(file, span_of(zeros, 2));
    wire_put_u64(file, hash64(buf_span(file)));
    for (uint64_t i = 0; records.bytes > 0; i++) {
        struct span chunk = span_first(records, 1 + i * 1000);
        wire_put_u32(file, (uint32_t)chunk.bytes);
        wire_put_u64(file, hash64_seeded(chunk, i));
        buf_append(file, chunk);
        records = span_from(records, chunk.bytes);
    }
    wire_put_u32(file, 0);
    struct span all = buf_span(file);
    uint8_t hash[32];
    (void)crypto_generichash(hash, sizeof(hash), all.data, all.bytes, NULL, 0);
    buf_append(file, span_of(hash, sizeof(hash)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct buf file = {0};
    CHECK(sodium_init() >= 0);
    read_file(span_of(data, bytes), false);
    read_file(span_of(data, bytes), true);
    wrap(span_of(data, bytes), &file);
    CHECK(file.bytes >= 72 + 36);
    read_file(buf_span(&file), false);
    buf_deinit(&file);
    return 0;
}
