#include "well/block.h"

#include <zstd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/wire.h"

#define BLOCK_MAGIC 0x31425141u /* "AQB1" */
#define BLOCK_RAW_BYTES_MAX (UINT32_C(192) << 20)

enum { COLUMNS, DATA, ENUMERATED, PARTS };

struct block_writer {
    ZSTD_CCtx *zstd;
    VEC(int64_t) times;
    VEC(uint32_t) lengths;
    VEC(uint32_t) enumerated_lengths;
    struct buf sources; /* 16 bytes per entry */
    struct buf parts[PARTS];
    uint16_t tag;
};

struct block_reader {
    ZSTD_DCtx *zstd;
};

struct block_writer *block_writer_new(int zstd_level)
{
    struct block_writer *writer = MEM_NEW(struct block_writer);
    writer->zstd = ZSTD_createCCtx();
    CHECK(writer->zstd != NULL);
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_compressionLevel, zstd_level)));
    return writer;
}

void block_writer_free(struct block_writer **place)
{
    struct block_writer *writer = *place;
    *place = NULL;
    if (writer == NULL) {
        return;
    }
    ZSTD_freeCCtx(writer->zstd);
    vec_deinit(&writer->times);
    vec_deinit(&writer->lengths);
    vec_deinit(&writer->enumerated_lengths);
    buf_deinit(&writer->sources);
    for (int i = 0; i < PARTS; i++) {
        buf_deinit(&writer->parts[i]);
    }
    mem_free(writer);
}

void block_writer_add(struct block_writer *writer, const struct entry *entry)
{
    CHECK(writer->times.count == 0 ||
          (entry->tag == writer->tag &&
           entry->time_ns >= writer->times.items[writer->times.count - 1]));
    writer->tag = entry->tag;
    vec_push(&writer->times, entry->time_ns);
    vec_push(&writer->lengths, (uint32_t)entry->data.bytes);
    vec_push(&writer->enumerated_lengths, (uint32_t)entry->enumerated.bytes);
    buf_append(&writer->sources, span_of(entry->source, ENTRY_SOURCE_BYTES));
    buf_append(&writer->parts[DATA], entry->data);
    buf_append(&writer->parts[ENUMERATED], entry->enumerated);
}

size_t block_writer_count(const struct block_writer *writer)
{
    return writer->times.count;
}

bool block_writer_is_full(const struct block_writer *writer)
{
    return writer->times.count >= BLOCK_ENTRIES_MAX ||
           writer->parts[DATA].bytes + writer->parts[ENUMERATED].bytes >= BLOCK_DATA_BYTES_TARGET;
}

static void put_times(struct block_writer *writer, struct buf *columns)
{
    int64_t before = writer->times.items[0];
    for (size_t i = 0; i < writer->times.count; i++) {
        wire_put_varint(columns, (uint64_t)writer->times.items[i] - (uint64_t)before);
        before = writer->times.items[i];
    }
}

/* The place of entry `index`'s source among the different ones in `table`; added when new. */
static size_t source_place(struct block_writer *writer, size_t index, struct buf *table,
                           size_t likely)
{
    struct span source =
        span_of(writer->sources.data + index * ENTRY_SOURCE_BYTES, ENTRY_SOURCE_BYTES);
    size_t count = table->bytes / ENTRY_SOURCE_BYTES;
    for (size_t i = 0; i < count; i++) {
        size_t place = (likely + i) % count; /* mostly the same as the last time */
        if (memcmp(table->data + place * ENTRY_SOURCE_BYTES, source.data, source.bytes) == 0) {
            return place;
        }
    }
    buf_append(table, source);
    return count;
}

static void put_sources(struct block_writer *writer, struct buf *columns)
{
    struct buf table = {0};
    struct buf places = {0};
    size_t place = 0;
    for (size_t i = 0; i < writer->times.count; i++) {
        place = source_place(writer, i, &table, place);
        wire_put_varint(&places, place);
    }
    wire_put_varint(columns, table.bytes / ENTRY_SOURCE_BYTES);
    buf_append(columns, buf_span(&table));
    if (table.bytes > ENTRY_SOURCE_BYTES) {
        buf_append(columns, buf_span(&places));
    }
    buf_deinit(&table);
    buf_deinit(&places);
}

static void put_columns(struct block_writer *writer)
{
    struct buf *columns = &writer->parts[COLUMNS];
    put_times(writer, columns);
    put_sources(writer, columns);
    for (size_t i = 0; i < writer->lengths.count; i++) {
        wire_put_varint(columns, writer->lengths.items[i]);
    }
    if (writer->parts[ENUMERATED].bytes > 0) {
        for (size_t i = 0; i < writer->lengths.count; i++) {
            wire_put_varint(columns, writer->enumerated_lengths.items[i]);
        }
    }
}

/* Appends one part, as a zstd frame if that is smaller. */
static bool put_part(struct block_writer *writer, struct span raw, struct buf *buf,
                     uint32_t *ret_stored)
{
    if (raw.bytes > 64) {
        size_t room = ZSTD_compressBound(raw.bytes);
        size_t bytes =
            ZSTD_compress2(writer->zstd, buf_reserve(buf, room), room, raw.data, raw.bytes);
        if (!ZSTD_isError(bytes) && bytes < raw.bytes) {
            buf->bytes += bytes;
            *ret_stored = (uint32_t)bytes;
            return true;
        }
    }
    buf_append(buf, raw);
    *ret_stored = (uint32_t)raw.bytes;
    return false;
}

static void store_header(uint8_t *at, const struct block_header *header)
{
    wire_store_u32(at, BLOCK_MAGIC);
    wire_store_u32(at + 4, header->bytes);
    wire_store_u32(at + 12, header->entries);
    wire_store_u16(at + 16, header->tag);
    at[18] = header->packed;
    at[19] = 0;
    wire_store_u64(at + 20, (uint64_t)header->first_ns);
    wire_store_u64(at + 28, (uint64_t)header->last_ns);
    for (size_t i = 0; i < PARTS; i++) {
        wire_store_u32(at + 36 + 8 * i, header->parts[i].stored);
        wire_store_u32(at + 40 + 8 * i, header->parts[i].raw);
    }
    wire_store_u32(at + 60, header->filter);
}

static void writer_clear(struct block_writer *writer)
{
    vec_clear(&writer->times);
    vec_clear(&writer->lengths);
    vec_clear(&writer->enumerated_lengths);
    buf_clear(&writer->sources);
    for (int i = 0; i < PARTS; i++) {
        buf_clear(&writer->parts[i]);
    }
}

void block_writer_finish(struct block_writer *writer, uint64_t offset, struct buf *buf,
                         struct block_header *ret_header)
{
    CHECK(writer->times.count > 0);
    put_columns(writer);
    struct block_header header = {
        .entries = (uint32_t)writer->times.count,
        .tag = writer->tag,
        .first_ns = writer->times.items[0],
        .last_ns = writer->times.items[writer->times.count - 1],
    };
    size_t begin = buf->bytes;
    (void)buf_reserve(buf, BLOCK_HEADER_BYTES);
    buf->bytes += BLOCK_HEADER_BYTES;
    for (int i = 0; i < PARTS; i++) {
        header.parts[i].raw = (uint32_t)writer->parts[i].bytes;
        if (put_part(writer, buf_span(&writer->parts[i]), buf, &header.parts[i].stored)) {
            header.packed = (uint8_t)(header.packed | (1u << i));
        }
    }
    header.bytes = (uint32_t)(buf->bytes - begin);
    store_header(buf->data + begin, &header);
    struct span summed = span_from(buf_span(buf), begin + 12);
    wire_store_u32(buf->data + begin + 8, (uint32_t)hash64_seeded(summed, offset));
    writer_clear(writer);
    *ret_header = header;
}

int block_header_read(struct span bytes, struct block_header *ret_header)
{
    const uint8_t *at = bytes.data;
    if (bytes.bytes < BLOCK_HEADER_BYTES || wire_load_u32(at) != BLOCK_MAGIC || at[19] != 0) {
        return err_set(ERR_CORRUPT, "no block");
    }
    struct block_header header = {
        .bytes = wire_load_u32(at + 4),
        .entries = wire_load_u32(at + 12),
        .tag = wire_load_u16(at + 16),
        .packed = at[18],
        .first_ns = (int64_t)wire_load_u64(at + 20),
        .last_ns = (int64_t)wire_load_u64(at + 28),
    };
    header.filter = wire_load_u32(at + 60);
    uint64_t sum = (uint64_t)BLOCK_HEADER_BYTES + header.filter;
    bool good = header.entries > 0 && header.entries <= BLOCK_ENTRIES_MAX;
    for (size_t i = 0; i < PARTS; i++) {
        header.parts[i].stored = wire_load_u32(at + 36 + 8 * i);
        header.parts[i].raw = wire_load_u32(at + 40 + 8 * i);
        sum += header.parts[i].stored;
        good = good && header.parts[i].raw <= BLOCK_RAW_BYTES_MAX &&
               header.parts[i].stored <= header.parts[i].raw;
    }
    if (!good || sum != header.bytes || header.first_ns > header.last_ns) {
        return err_set(ERR_CORRUPT, "a block's header is damaged");
    }
    *ret_header = header;
    return 0;
}

int block_check(struct span bytes, uint64_t offset, struct block_header *ret_header)
{
    struct block_header header;
    int rc = block_header_read(bytes, &header);
    if (rc < 0) {
        return rc;
    }
    if (header.bytes > bytes.bytes) {
        return err_set(ERR_CORRUPT, "a block is cut off");
    }
    struct span summed = span_from(span_first(bytes, header.bytes), 12);
    if (wire_load_u32(bytes.data + 8) != (uint32_t)hash64_seeded(summed, offset)) {
        return err_set(ERR_CORRUPT, "a block fails its checksum");
    }
    *ret_header = header;
    return 0;
}

struct block_reader *block_reader_new(void)
{
    struct block_reader *reader = MEM_NEW(struct block_reader);
    reader->zstd = ZSTD_createDCtx();
    CHECK(reader->zstd != NULL);
    return reader;
}

void block_reader_free(struct block_reader **reader)
{
    if (*reader != NULL) {
        ZSTD_freeDCtx((*reader)->zstd);
        mem_free(*reader);
        *reader = NULL;
    }
}

void block_deinit(struct block *block)
{
    mem_free(block->entries);
    buf_deinit(&block->columns);
    buf_deinit(&block->data);
    buf_deinit(&block->enumerated);
    *block = (struct block){0};
}

static int get_part(struct block_reader *reader, struct span stored, size_t raw_bytes, bool packed,
                    struct buf *raw)
{
    buf_clear(raw);
    uint8_t *at = buf_reserve(raw, raw_bytes + 1);
    if (packed) {
        size_t got = ZSTD_decompressDCtx(reader->zstd, at, raw_bytes, stored.data, stored.bytes);
        if (ZSTD_isError(got) || got != raw_bytes) {
            return err_set(ERR_CORRUPT, "a block does not decompress");
        }
    } else if (stored.bytes != raw_bytes) {
        return err_set(ERR_CORRUPT, "a block's plain part has a wrong size");
    } else if (raw_bytes > 0) {
        memcpy(at, stored.data, raw_bytes);
    }
    raw->bytes = raw_bytes;
    return 0;
}

static void get_times(struct wire_reader *columns, int64_t first_ns, struct block *block)
{
    uint64_t time = (uint64_t)first_ns;
    for (size_t i = 0; i < block->count; i++) {
        time += wire_get_varint(columns);
        block->entries[i].time_ns = (int64_t)time;
    }
}

static bool get_sources(struct wire_reader *columns, struct block *block)
{
    uint64_t count = wire_get_varint(columns);
    if (count == 0 || count > block->count) {
        return false;
    }
    struct span table = wire_get_raw(columns, (size_t)count * ENTRY_SOURCE_BYTES);
    if (columns->failed) {
        return false;
    }
    for (size_t i = 0; i < block->count; i++) {
        uint64_t place = count > 1 ? wire_get_varint(columns) : 0;
        if (place >= count) {
            return false;
        }
        memcpy(block->entries[i].source, table.data + place * ENTRY_SOURCE_BYTES,
               ENTRY_SOURCE_BYTES);
    }
    return true;
}

/* Cuts `rest` into one piece per entry. */
static bool get_pieces(struct wire_reader *columns, struct block *block, struct span rest,
                       bool enumerated)
{
    for (size_t i = 0; i < block->count; i++) {
        uint64_t bytes = wire_get_varint(columns);
        if (bytes > rest.bytes) {
            return false;
        }
        struct span piece = {rest.data, (size_t)bytes};
        if (enumerated) {
            block->entries[i].enumerated = piece;
        } else {
            block->entries[i].data = piece;
        }
        rest = (struct span){rest.data + bytes, rest.bytes - (size_t)bytes};
    }
    return rest.bytes == 0;
}

static int get_entries(const struct block_header *header, struct block *block)
{
    struct wire_reader columns = wire_reader_of(buf_span(&block->columns));
    get_times(&columns, header->first_ns, block);
    bool good = block->entries[block->count - 1].time_ns == header->last_ns;
    good = good && get_sources(&columns, block);
    good = good && get_pieces(&columns, block, buf_span(&block->data), false);
    if (good && block->enumerated.bytes > 0) {
        good = get_pieces(&columns, block, buf_span(&block->enumerated), true);
    }
    if (!good || wire_finish(&columns) < 0) {
        return err_set(ERR_CORRUPT, "a block's columns do not fit");
    }
    return 0;
}

int block_read(struct block_reader *reader, struct span bytes, uint64_t offset, struct block *block)
{
    struct block_header header;
    int rc = block_check(bytes, offset, &header);
    struct span rest = span_from(bytes, BLOCK_HEADER_BYTES);
    struct buf *raw[PARTS] = {&block->columns, &block->data, &block->enumerated};
    for (int i = 0; rc == 0 && i < PARTS; i++) {
        rc = get_part(reader, span_first(rest, header.parts[i].stored), header.parts[i].raw,
                      (header.packed >> i & 1) != 0, raw[i]);
        rest = span_from(rest, header.parts[i].stored);
    }
    if (rc < 0) {
        return rc;
    }
    if (block->capacity < header.entries) {
        block->capacity = header.entries;
        block->entries = mem_realloc(block->entries, block->capacity * sizeof(*block->entries));
    }
    block->count = header.entries;
    for (size_t i = 0; i < block->count; i++) {
        block->entries[i].tag = header.tag;
        block->entries[i].enumerated = SPAN_NONE;
        block->entries[i].stamp = (struct stamp){0};
    }
    return get_entries(&header, block);
}
