/*
 * Reading blocks of entries: those of today, AQB2, and those of before there were stamps, AQB1.
 * Tested by block_test.c and, for AQB1, by the indexer's golden_test.c.
 */
#include <pthread.h>
#include <zstd.h>

#include "base/mem.h"
#include "base/wire.h"
#include "well/block.h"
#include "well/block_format.h"
#include "well/fields.h"
#include "well/numbers.h"

struct block_reader {
    ZSTD_DCtx *zstd;
    struct numbers numbers;
    struct buf raw;     /* block_reader_raw() */
    struct buf split;   /* scratch: columns of fields, */
    struct buf column;  /* numbers, */
    struct buf lengths; /* and of lines */
};

/*
 * Memory that is not used is kept for who reads next, within bounds: getting and clearing some
 * megabytes for a few blocks takes as long as unpacking them.
 */
#define IDLE_MAX 8                        /* of each */
#define IDLE_BYTES_MAX ((size_t)32 << 20) /* of all */

static struct {
    pthread_mutex_t lock;
    struct block_reader *readers[IDLE_MAX];
    size_t readers_count;
    struct block blocks[IDLE_MAX];
    size_t blocks_count;
    size_t bytes;
} idle = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t reader_bytes(const struct block_reader *reader)
{
    return ZSTD_sizeof_DCtx(reader->zstd) + reader->raw.capacity + reader->split.capacity +
           reader->column.capacity + reader->lengths.capacity;
}

static size_t block_bytes(const struct block *block)
{
    return block->capacity * sizeof(*block->entries) + block->columns.capacity +
           block->data.capacity + block->enumerated.capacity;
}

static bool keep_idle(size_t bytes, size_t count)
{
    if (count == IDLE_MAX || bytes > IDLE_BYTES_MAX - idle.bytes) {
        return false;
    }
    idle.bytes += bytes;
    return true;
}

struct block_reader *block_reader_new(void)
{
    struct block_reader *reader = NULL;
    CHECK(pthread_mutex_lock(&idle.lock) == 0);
    if (idle.readers_count > 0) {
        reader = idle.readers[--idle.readers_count];
        idle.bytes -= reader_bytes(reader);
    }
    CHECK(pthread_mutex_unlock(&idle.lock) == 0);
    if (reader == NULL) {
        reader = MEM_NEW(struct block_reader);
        reader->zstd = ZSTD_createDCtx();
        CHECK(reader->zstd != NULL);
    }
    return reader;
}

void block_reader_free(struct block_reader **place)
{
    struct block_reader *reader = *place;
    *place = NULL;
    if (reader == NULL) {
        return;
    }
    CHECK(pthread_mutex_lock(&idle.lock) == 0);
    bool kept = keep_idle(reader_bytes(reader), idle.readers_count);
    if (kept) {
        idle.readers[idle.readers_count++] = reader;
    }
    CHECK(pthread_mutex_unlock(&idle.lock) == 0);
    if (!kept) {
        ZSTD_freeDCtx(reader->zstd);
        numbers_deinit(&reader->numbers);
        buf_deinit(&reader->raw);
        buf_deinit(&reader->split);
        buf_deinit(&reader->column);
        buf_deinit(&reader->lengths);
        mem_free(reader);
    }
}

struct buf *block_reader_raw(struct block_reader *reader)
{
    return &reader->raw;
}

/* One that has no memory yet gets what was left over. */
static void get_memory(struct block *block)
{
    if (block_bytes(block) > 0) {
        return;
    }
    CHECK(pthread_mutex_lock(&idle.lock) == 0);
    if (idle.blocks_count > 0) {
        *block = idle.blocks[--idle.blocks_count];
        idle.bytes -= block_bytes(block);
    }
    CHECK(pthread_mutex_unlock(&idle.lock) == 0);
}

void block_deinit(struct block *block)
{
    size_t bytes = block_bytes(block);
    CHECK(pthread_mutex_lock(&idle.lock) == 0);
    bool kept = bytes > 0 && keep_idle(bytes, idle.blocks_count);
    if (kept) {
        idle.blocks[idle.blocks_count] = *block;
        idle.blocks[idle.blocks_count++].count = 0;
    }
    CHECK(pthread_mutex_unlock(&idle.lock) == 0);
    if (!kept) {
        mem_free(block->entries);
        buf_deinit(&block->columns);
        buf_deinit(&block->data);
        buf_deinit(&block->enumerated);
    }
    *block = (struct block){0};
}

/* Room for so many bytes in place of what the buffer has. */
static uint8_t *room(struct buf *buf, size_t bytes)
{
    buf_clear(buf);
    if (buf->capacity < bytes) {
        buf_deinit(buf);
        bytes += bytes / 8; /* the next block is about as large */
    }
    return buf_reserve(buf, bytes);
}

static int get_part(struct block_reader *reader, struct span stored, size_t raw_bytes, bool packed,
                    struct buf *raw)
{
    uint8_t *at = room(raw, raw_bytes + FIELDS_PADDING);
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

static void get_times_1(struct wire_reader *columns, int64_t first_ns, struct block *block)
{
    uint64_t time = (uint64_t)first_ns;
    for (size_t i = 0; i < block->count; i++) {
        time += wire_get_varint(columns);
        block->entries[i].time_ns = (int64_t)time;
    }
}

static bool get_sources_1(struct wire_reader *columns, struct block *block)
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
static bool get_pieces_1(struct wire_reader *columns, struct block *block, struct span rest,
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

static bool get_entries_1(const struct block_header *header, struct block *block)
{
    struct wire_reader columns = wire_reader_of(buf_span(&block->columns));
    get_times_1(&columns, header->first_ns, block);
    bool good = get_sources_1(&columns, block);
    good = good && get_pieces_1(&columns, block, buf_span(&block->data), false);
    if (good && block->enumerated.bytes > 0) {
        good = get_pieces_1(&columns, block, buf_span(&block->enumerated), true);
    }
    return good && wire_finish(&columns) == 0;
}

/*
 * AQB2.
 */

/* The next column of numbers, one per entry; NULL: it is damaged. */
static const int64_t *get_column(struct block_reader *reader, struct span *rest, size_t count)
{
    int64_t *column = (int64_t *)(void *)room(&reader->column, count * sizeof(*column));
    return numbers_get(&reader->numbers, rest, column, count) < 0 ? NULL : column;
}

static bool get_times(struct block_reader *reader, struct span *rest, int64_t first_ns,
                      struct block *block)
{
    const int64_t *column = get_column(reader, rest, block->count);
    for (size_t i = 0; column != NULL && i < block->count; i++) {
        block->entries[i].time_ns = (int64_t)((uint64_t)first_ns + (uint64_t)column[i]);
    }
    return column != NULL;
}

static bool get_stamps(struct block_reader *reader, struct span *rest, struct block *block)
{
    const int64_t *column = get_column(reader, rest, block->count);
    for (size_t i = 0; column != NULL && i < block->count; i++) {
        block->entries[i].stamp.time = (uint64_t)column[i];
    }
    column = column == NULL ? NULL : get_column(reader, rest, block->count);
    for (size_t i = 0; column != NULL && i < block->count; i++) {
        if (column[i] < 0 || column[i] > UINT16_MAX) {
            return false;
        }
        block->entries[i].stamp.origin = (uint16_t)column[i];
    }
    return column != NULL;
}

static bool get_sources(struct block_reader *reader, struct span *rest, struct block *block)
{
    struct wire_reader columns = wire_reader_of(*rest);
    uint64_t count = wire_get_varint(&columns);
    if (count == 0 || count > block->count) {
        return false;
    }
    struct span table = wire_get_raw(&columns, (size_t)count * ENTRY_SOURCE_BYTES);
    *rest = columns.rest;
    const int64_t *column = columns.failed ? NULL : get_column(reader, rest, block->count);
    for (size_t i = 0; column != NULL && i < block->count; i++) {
        if (column[i] < 0 || (uint64_t)column[i] >= count) {
            return false;
        }
        memcpy(block->entries[i].source, table.data + (size_t)column[i] * ENTRY_SOURCE_BYTES,
               ENTRY_SOURCE_BYTES);
    }
    return column != NULL;
}

/* Cuts `data` into one piece per entry. */
static bool get_pieces(struct block_reader *reader, struct span *rest, struct span data,
                       bool enumerated, struct block *block)
{
    const int64_t *column = get_column(reader, rest, block->count);
    for (size_t i = 0; column != NULL && i < block->count; i++) {
        if (column[i] < 0 || (uint64_t)column[i] > data.bytes) {
            return false;
        }
        struct span piece = span_first(data, (size_t)column[i]);
        if (enumerated) {
            block->entries[i].enumerated = piece;
        } else {
            block->entries[i].data = piece;
        }
        data = span_from(data, piece.bytes);
    }
    return column != NULL && data.bytes == 0;
}

/* Joins the columns of fields in reader->split to lines in block->data. */
static bool join_fields(struct block_reader *reader, struct fields_form form, struct span *rest,
                        size_t data_bytes, struct block *block)
{
    uint32_t column_bytes[FIELDS_COLUMNS_MAX];
    const int64_t *column = get_column(reader, rest, form.columns);
    for (size_t i = 0; column != NULL && i < form.columns; i++) {
        if (column[i] < 0 || (uint64_t)column[i] > reader->split.bytes) {
            return false;
        }
        column_bytes[i] = (uint32_t)column[i];
    }
    if (column == NULL) {
        return false;
    }
    size_t lengths_bytes = block->count * sizeof(uint32_t);
    uint32_t *lengths = (uint32_t *)(void *)room(&reader->lengths, lengths_bytes);
    uint8_t *text = room(&block->data, data_bytes + FIELDS_PADDING);
    if (!fields_join(buf_span(&reader->split), column_bytes, form, block->count, text, data_bytes,
                     lengths)) {
        return false;
    }
    block->data.bytes = data_bytes;
    for (size_t i = 0; i < block->count; i++) {
        block->entries[i].data = span_of(text, lengths[i]);
        text += lengths[i];
    }
    return true;
}

/* Lines that were not cut stay where they are, each with its terminator behind it. */
static bool find_lines(struct fields_form form, size_t data_bytes, struct block *block)
{
    struct span rest = buf_span(&block->data);
    for (size_t i = 0; i < block->count; i++) {
        ptrdiff_t bytes = span_find_byte(rest, form.terminator);
        if (bytes < 0) {
            return false;
        }
        block->entries[i].data = span_first(rest, (size_t)bytes);
        rest = span_from(rest, (size_t)bytes + 1);
    }
    return rest.bytes == 0 && block->data.bytes == data_bytes + block->count;
}

/* The data's part: `stored` as columns of fields, or as it is. */
static bool get_data(struct block_reader *reader, const struct block_header *header,
                     struct span stored, struct span *rest, struct block *block)
{
    size_t raw_bytes = header->parts[DATA].raw;
    bool packed = (header->packed >> DATA & 1) != 0;
    struct wire_reader columns = wire_reader_of(*rest);
    struct fields_form form = {0};
    uint64_t count = wire_get_varint(&columns);
    if (count > 0) {
        form.delimiter = wire_get_u8(&columns);
        form.terminator = wire_get_u8(&columns);
        form.columns = (uint32_t)MIN(count, (uint64_t)FIELDS_COLUMNS_MAX + 1);
    }
    *rest = columns.rest;
    if (columns.failed || form.columns > FIELDS_COLUMNS_MAX) {
        return false;
    }
    if (form.columns == 0) {
        return get_part(reader, stored, raw_bytes, packed, &block->data) == 0 &&
               get_pieces(reader, rest, buf_span(&block->data), false, block);
    }
    if (form.columns == 1) {
        return get_part(reader, stored, raw_bytes + block->count, packed, &block->data) == 0 &&
               get_column(reader, rest, form.columns) != NULL && find_lines(form, raw_bytes, block);
    }
    return get_part(reader, stored, raw_bytes + block->count, packed, &reader->split) == 0 &&
           join_fields(reader, form, rest, raw_bytes, block);
}

static bool get_entries(struct block_reader *reader, const struct block_header *header,
                        struct span data, struct block *block)
{
    struct span rest = buf_span(&block->columns);
    bool good = get_times(reader, &rest, header->first_ns, block) &&
                get_stamps(reader, &rest, block) && get_sources(reader, &rest, block) &&
                get_data(reader, header, data, &rest, block);
    if (good && block->enumerated.bytes > 0) {
        good = get_pieces(reader, &rest, buf_span(&block->enumerated), true, block);
    }
    return good && rest.bytes == 0;
}

static void make_room(struct block *block, const struct block_header *header)
{
    if (block->capacity < header->entries) {
        mem_free(block->entries);
        block->capacity = MIN(header->entries + header->entries / 8, BLOCK_ENTRIES_MAX);
        block->entries = mem_realloc(NULL, block->capacity * sizeof(*block->entries));
    }
    block->count = header->entries;
    for (size_t i = 0; i < block->count; i++) {
        block->entries[i].tag = header->tag;
        block->entries[i].enumerated = SPAN_NONE;
        block->entries[i].stamp = (struct stamp){0};
    }
}

int block_read(struct block_reader *reader, struct span bytes, uint64_t offset, struct block *block)
{
    struct block_header header;
    int rc = block_check(bytes, offset, &header);
    if (rc < 0) {
        return rc;
    }
    get_memory(block);
    struct span stored[PARTS];
    struct span rest = span_from(bytes, BLOCK_HEADER_BYTES);
    struct buf *raw[PARTS] = {&block->columns, &block->data, &block->enumerated};
    for (int i = 0; rc == 0 && i < PARTS; i++) {
        stored[i] = span_first(rest, header.parts[i].stored);
        rest = span_from(rest, header.parts[i].stored);
        if (i != DATA || header.version == 1) {
            rc = get_part(reader, stored[i], header.parts[i].raw, (header.packed >> i & 1) != 0,
                          raw[i]);
        }
    }
    if (rc < 0) {
        return rc;
    }
    make_room(block, &header);
    bool good = header.version == 1 ? get_entries_1(&header, block)
                                    : get_entries(reader, &header, stored[DATA], block);
    if (!good || block->entries[block->count - 1].time_ns != header.last_ns) {
        return err_set(ERR_CORRUPT, "a block's columns do not fit");
    }
    return 0;
}
