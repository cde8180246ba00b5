/*
 * The table of series in a segment: their numbers, keys and newest stamps, as one zstd frame.
 * Tested by segment_test.c.
 */
#include <inttypes.h>
#include <zstd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/wire.h"
#include "well/segment_format.h"

#define TABLE_ZSTD_LEVEL 3
#define ROW_BYTES_MAX 16u /* number, stamp and an empty key */
#define KEY_LENGTH_BYTES_MAX 4u

int segment_table_pack(const struct segment_series *series, size_t count,
                       const struct well_names *names, size_t bytes_max, struct buf *buf,
                       struct segment_table *table)
{
    if (count > bytes_max / ROW_BYTES_MAX) {
        return err_set(ERR_TOO_LARGE, "%zu series in one segment", count);
    }
    struct buf raw = {0};
    struct buf key = {0};
    uint32_t before = 0;
    uint64_t stamp = 0;
    for (size_t i = 0; i < count; i++) {
        buf_clear(&key);
        if (names->catalogue != NULL) {
            (void)series_catalogue_key(names->catalogue, series[i].number, &key);
        }
        size_t left = bytes_max - raw.bytes - (count - i) * ROW_BYTES_MAX;
        if (key.bytes + KEY_LENGTH_BYTES_MAX > left) {
            buf_clear(&key); /* the catalogue has it, and so may other segments */
        }
        wire_put_varint(&raw, series[i].number - before);
        wire_put_svarint(&raw, (int64_t)(series[i].newest_stamp - stamp));
        wire_put_bytes(&raw, buf_span(&key));
        before = series[i].number;
        stamp = series[i].newest_stamp;
    }
    size_t room = ZSTD_compressBound(raw.bytes);
    size_t begin = buf->bytes;
    size_t bytes =
        ZSTD_compress(buf_reserve(buf, room), room, raw.data, raw.bytes, TABLE_ZSTD_LEVEL);
    CHECK(!ZSTD_isError(bytes));
    buf->bytes += bytes;
    table->bytes = (uint32_t)bytes;
    table->raw_bytes = (uint32_t)raw.bytes;
    table->count = (uint32_t)count;
    table->sum = hash32(span_from(buf_span(buf), begin));
    buf_deinit(&raw);
    buf_deinit(&key);
    return 0;
}

static int read_table(struct segment *segment, struct buf *raw)
{
    const struct segment_table *table = &segment->table;
    if (table->raw_bytes > SEGMENT_TABLE_BYTES_MAX) {
        return err_set(ERR_CORRUPT, "%s: the table of series is too large", segment->file->path);
    }
    struct buf packed = {0};
    int rc = segment_read_exactly(segment->file, table->offset, table->bytes, &packed);
    if (rc == 0 && hash32(buf_span(&packed)) != table->sum) {
        rc = err_set(ERR_CORRUPT, "%s: the table of series is damaged", segment->file->path);
    }
    if (rc == 0) {
        size_t room = MAX(table->raw_bytes, UINT32_C(1));
        size_t bytes = ZSTD_decompress(buf_reserve(raw, room), room, packed.data, packed.bytes);
        if (bytes != table->raw_bytes) {
            rc = err_set(ERR_CORRUPT, "%s: the table of series cannot be unpacked",
                         segment->file->path);
        } else {
            raw->bytes = bytes;
        }
    }
    buf_deinit(&packed);
    return rc;
}

int segment_each_series(struct segment *segment,
                        int (*each)(void *context, uint32_t number, struct span key,
                                    uint64_t newest_stamp),
                        void *context, bool *ret_first_time)
{
    struct buf raw = {0};
    *ret_first_time = false;
    int rc = segment->table.count > 0 ? read_table(segment, &raw) : 0;
    int said = 0; /* by `each` */
    struct wire_reader reader = wire_reader_of(buf_span(&raw));
    uint64_t number = 0;
    uint64_t stamp = 0;
    for (uint32_t i = 0; rc == 0 && said == 0 && i < segment->table.count; i++) {
        number += wire_get_varint(&reader);
        stamp += (uint64_t)wire_get_svarint(&reader);
        struct span key = wire_get_bytes(&reader, SERIES_KEY_BYTES_MAX);
        if (reader.failed || number > UINT32_MAX) {
            rc = err_set(ERR_CORRUPT, "%s: the table of series ends early", segment->file->path);
        } else {
            said = each(context, (uint32_t)number, key, stamp);
        }
    }
    buf_deinit(&raw);
    if (segment_is_bad_place(rc)) {
        segment_note_bad_place(&segment->table.damaged, ret_first_time);
    }
    return rc < 0 ? rc : said;
}
