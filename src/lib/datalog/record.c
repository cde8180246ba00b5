#include "datalog/record.h"

#include <inttypes.h>

#include "base/hash.h"
#include "base/wire.h"

#define DATALOG_ORIGIN_BYTES_2 32 /* of a row, in version 2 */

static const char file_magic[8] = {'A', 'Q', 'F', 'D', 'L', 'O', 'G', '1'};

void datalog_origin_row_write(struct buf *rows, const struct datalog_origin_position *row)
{
    buf_append(rows, span_of(row->origin.node.bytes, 16));
    wire_put_u64(rows, row->origin.incarnation);
    wire_put_u64(rows, row->position);
    wire_put_u64(rows, row->time);
}

bool datalog_origin_row_read(const struct datalog_file_header *header, size_t index,
                             struct datalog_origin_position *ret_row)
{
    size_t row_bytes = header->row_bytes > 0 ? header->row_bytes : DATALOG_ORIGIN_BYTES;
    struct span row = span_from(header->origins, index * row_bytes);
    if (row.bytes < row_bytes) {
        return false;
    }
    memcpy(ret_row->origin.node.bytes, row.data, 16);
    ret_row->origin.incarnation = wire_load_u64(row.data + 16);
    ret_row->position = wire_load_u64(row.data + 24);
    ret_row->time = row_bytes >= DATALOG_ORIGIN_BYTES ? wire_load_u64(row.data + 32) : 0;
    return true;
}

void datalog_file_header_write(struct buf *buf, const struct datalog_file_header *header)
{
    size_t begin = buf->bytes;
    CHECK(header->origins.bytes <= (size_t)DATALOG_ORIGINS_MAX * DATALOG_ORIGIN_BYTES);
    buf_append(buf, span_of(file_magic, sizeof(file_magic)));
    wire_put_u32(buf, 0);
    wire_put_u32(buf, 3);
    wire_put_u64(buf, header->first);
    wire_put_u64(buf, header->origin_position);
    wire_put_u64(buf, header->time);
    buf_append(buf, span_of(header->origin.node.bytes, 16));
    wire_put_u64(buf, header->origin.incarnation);
    struct span summed = span_from(buf_span(buf), begin + 12);
    wire_store_u32(buf->data + begin + 8, (uint32_t)hash64_seeded(summed, header->first));
    wire_put_u32(buf, 0);
    wire_put_u32(buf, (uint32_t)(header->origins.bytes / DATALOG_ORIGIN_BYTES));
    buf_append(buf, header->origins);
    summed = span_from(buf_span(buf), begin + DATALOG_FILE_HEADER_BYTES + 4);
    wire_store_u32(buf->data + begin + DATALOG_FILE_HEADER_BYTES,
                   (uint32_t)hash64_seeded(summed, header->first));
}

static size_t row_bytes_of(uint32_t version)
{
    return version == 2 ? DATALOG_ORIGIN_BYTES_2 : DATALOG_ORIGIN_BYTES;
}

size_t datalog_file_header_bytes(struct span bytes)
{
    if (bytes.bytes < DATALOG_ORIGINS_AT || wire_load_u32(bytes.data + 12) < 2) {
        return DATALOG_FILE_HEADER_BYTES;
    }
    uint32_t count = wire_load_u32(bytes.data + DATALOG_FILE_HEADER_BYTES + 4);
    size_t row_bytes = row_bytes_of(wire_load_u32(bytes.data + 12));
    return DATALOG_ORIGINS_AT + (size_t)MIN(count, DATALOG_ORIGINS_MAX) * row_bytes;
}

/* From version 2 on: how many other origins there are, and each one's highest position; version 3
 * has its time too. */
static bool read_origins(struct span bytes, uint64_t first, struct datalog_file_header *header)
{
    size_t end = datalog_file_header_bytes(bytes);
    if (end < DATALOG_ORIGINS_AT || end > bytes.bytes) {
        return false;
    }
    struct span summed = span_from(span_first(bytes, end), DATALOG_FILE_HEADER_BYTES + 4);
    header->origins = span_from(span_first(bytes, end), DATALOG_ORIGINS_AT);
    header->bytes = end;
    header->row_bytes = row_bytes_of(wire_load_u32(bytes.data + 12));
    return wire_load_u32(bytes.data + DATALOG_FILE_HEADER_BYTES) ==
           (uint32_t)hash64_seeded(summed, first);
}

int datalog_file_header_read(struct span bytes, uint64_t first,
                             struct datalog_file_header *ret_header)
{
    struct span head = span_first(bytes, DATALOG_FILE_HEADER_BYTES);
    if (head.bytes < DATALOG_FILE_HEADER_BYTES ||
        memcmp(head.data, file_magic, sizeof(file_magic)) != 0 ||
        wire_load_u32(head.data + 8) != (uint32_t)hash64_seeded(span_from(head, 12), first)) {
        return err_set(ERR_CORRUPT, "the file header is damaged");
    }
    uint32_t version = wire_load_u32(head.data + 12);
    if (version < 1 || version > 3) {
        return err_set(ERR_UNSUPPORTED, "datalog version %" PRIu32 " is not known", version);
    }
    struct datalog_file_header header = {
        .first = wire_load_u64(head.data + 16),
        .origin_position = wire_load_u64(head.data + 24),
        .time = wire_load_u64(head.data + 32),
        .origin.incarnation = wire_load_u64(head.data + 56),
        .bytes = DATALOG_FILE_HEADER_BYTES,
    };
    memcpy(header.origin.node.bytes, head.data + 40, 16);
    if (version >= 2 && !read_origins(bytes, first, &header)) {
        return err_set(ERR_CORRUPT, "the file header's table of origins is damaged");
    }
    *ret_header = header;
    return 0;
}

size_t datalog_record_bytes(struct span well, struct span payload)
{
    return DATALOG_HEADER_BYTES + well.bytes + payload.bytes;
}

/* All but the checksum; returns where the record begins. */
static size_t write_head(struct buf *buf, const struct datalog_record *record, uint64_t group)
{
    size_t begin = buf->bytes;
    size_t bytes = datalog_record_bytes(record->well, record->payload);
    CHECK(record->well.bytes <= DATALOG_WELL_BYTES_MAX && bytes <= DATALOG_RECORD_BYTES_MAX);
    uint8_t *at = buf_reserve(buf, DATALOG_HEADER_BYTES + record->well.bytes);
    wire_store_u32(at, (uint32_t)bytes);
    wire_store_u64(at + 8, record->position);
    wire_store_u64(at + 16, group);
    wire_store_u64(at + 24, record->time);
    wire_store_u64(at + 32, record->origin_position);
    memcpy(at + 40, record->origin.node.bytes, 16);
    wire_store_u64(at + 56, record->origin.incarnation);
    at[64] = (uint8_t)record->type;
    at[65] = 0;
    wire_store_u16(at + 66, (uint16_t)record->well.bytes);
    buf->bytes += DATALOG_HEADER_BYTES;
    buf_append(buf, record->well);
    return begin;
}

void datalog_record_write_head(struct buf *buf, const struct datalog_record *record, uint64_t group,
                               uint64_t file)
{
    size_t begin = write_head(buf, record, group);
    struct span head = span_from(buf_span(buf), begin + 8);
    uint64_t sum = hash64_seeded_two(head, record->payload, file);
    wire_store_u32(buf->data + begin + 4, (uint32_t)sum);
}

void datalog_record_write(struct buf *buf, const struct datalog_record *record, uint64_t group,
                          uint64_t file)
{
    size_t begin = write_head(buf, record, group);
    buf_append(buf, record->payload);
    uint64_t sum = hash64_seeded(span_from(buf_span(buf), begin + 8), file);
    wire_store_u32(buf->data + begin + 4, (uint32_t)sum);
}

/* Whether the 68 bytes at `at` can be a record's header. */
static bool plausible(const uint8_t *at)
{
    uint32_t bytes = wire_load_u32(at);
    uint16_t well_bytes = wire_load_u16(at + 66);
    uint64_t position = wire_load_u64(at + 8);
    uint64_t group = wire_load_u64(at + 16);
    return bytes >= DATALOG_HEADER_BYTES && bytes <= DATALOG_RECORD_BYTES_MAX &&
           well_bytes <= DATALOG_WELL_BYTES_MAX && bytes - DATALOG_HEADER_BYTES >= well_bytes &&
           at[64] >= DATALOG_UPDATE && at[64] <= DATALOG_TYPE_MAX && at[65] == 0 && group != 0 &&
           group <= position;
}

int datalog_record_read(struct span bytes, uint64_t file, struct datalog_record *ret_record,
                        uint64_t *ret_group, size_t *ret_bytes)
{
    if (bytes.bytes < DATALOG_HEADER_BYTES) {
        *ret_bytes = DATALOG_HEADER_BYTES;
        return DATALOG_RECORD_CUT;
    }
    const uint8_t *at = bytes.data;
    if (!plausible(at)) {
        return DATALOG_RECORD_BAD;
    }
    size_t length = wire_load_u32(at);
    *ret_bytes = length;
    if (length > bytes.bytes) {
        return DATALOG_RECORD_CUT;
    }
    if (wire_load_u32(at + 4) != (uint32_t)hash64_seeded(span_of(at + 8, length - 8), file)) {
        return DATALOG_RECORD_BAD;
    }
    size_t well_bytes = wire_load_u16(at + 66);
    *ret_group = wire_load_u64(at + 16);
    ret_record->position = wire_load_u64(at + 8);
    ret_record->time = wire_load_u64(at + 24);
    ret_record->origin_position = wire_load_u64(at + 32);
    memcpy(ret_record->origin.node.bytes, at + 40, 16);
    ret_record->origin.incarnation = wire_load_u64(at + 56);
    ret_record->type = (enum datalog_type)at[64];
    ret_record->well = span_of(at + DATALOG_HEADER_BYTES, well_bytes);
    ret_record->payload =
        span_of(at + DATALOG_HEADER_BYTES + well_bytes, length - DATALOG_HEADER_BYTES - well_bytes);
    return 0;
}

bool datalog_record_find(struct span bytes, size_t from, uint64_t file, uint64_t low, uint64_t high,
                         size_t *ret_offset)
{
    for (size_t at = from; at + DATALOG_HEADER_BYTES <= bytes.bytes; at++) {
        uint64_t position = wire_load_u64(bytes.data + at + 8);
        struct datalog_record record;
        uint64_t group;
        size_t length;
        if (position >= low && position < high &&
            datalog_record_read(span_from(bytes, at), file, &record, &group, &length) == 0) {
            *ret_offset = at;
            return true;
        }
    }
    return false;
}
