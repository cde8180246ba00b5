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

/* Columns of numbers that every entry has one of. */
enum { TIMES, STAMPS, ORIGINS, SOURCES, NUMBERS };

/* A column of numbers, one per entry. */
struct column {
    const int64_t *values; /* NULL: all are `same` */
    int64_t same;
};

struct block_reader {
    ZSTD_DCtx *zstd;
    struct numbers numbers;
    struct buf raw;         /* block_reader_raw() */
    struct buf split;       /* scratch: columns of fields, */
    struct buf length_list; /* numbers, */
    struct buf lengths;     /* and of enumerated values */
};

struct block_content {
    uint32_t references;
    struct block_header header;
    struct buf columns;
    struct buf data;
    struct buf enumerated;
    struct buf lengths;   /* u32 each: of the lines in `data`, */
    size_t gap;           /* and how many bytes lie behind each; AQB2 */
    size_t enumerated_at; /* where in the columns the lengths of enumerated values are */

    /* What the columns begin with, read; AQB2. */
    struct column front[NUMBERS];
    struct buf numbers[NUMBERS];
    const uint8_t *source_table;
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
    size_t bytes = ZSTD_sizeof_DCtx(reader->zstd) + reader->raw.capacity + reader->split.capacity +
                   reader->length_list.capacity + reader->lengths.capacity;
    return bytes;
}

size_t block_content_bytes(const struct block_content *content)
{
    size_t bytes = sizeof(*content) + content->columns.capacity + content->data.capacity +
                   content->enumerated.capacity + content->lengths.capacity;
    for (size_t i = 0; i < NUMBERS; i++) {
        bytes += content->numbers[i].capacity;
    }
    return bytes;
}

static size_t block_bytes(const struct block *block)
{
    return block->capacity * sizeof(*block->entries) +
           (block->content != NULL ? block_content_bytes(block->content) : 0);
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
        buf_deinit(&reader->length_list);
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

struct block_content *block_content_ref(struct block_content *content)
{
    __atomic_add_fetch(&content->references, 1, __ATOMIC_RELAXED);
    return content;
}

void block_content_unref(struct block_content **place)
{
    struct block_content *content = *place;
    *place = NULL;
    if (content == NULL || __atomic_sub_fetch(&content->references, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    buf_deinit(&content->columns);
    buf_deinit(&content->data);
    buf_deinit(&content->enumerated);
    buf_deinit(&content->lengths);
    for (size_t i = 0; i < NUMBERS; i++) {
        buf_deinit(&content->numbers[i]);
    }
    mem_free(content);
}

/* What others have too is left to them. */
static void leave_shared(struct block *block)
{
    if (block->content != NULL &&
        __atomic_load_n(&block->content->references, __ATOMIC_ACQUIRE) > 1) {
        block_content_unref(&block->content);
    }
}

void block_deinit(struct block *block)
{
    leave_shared(block);
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
        block_content_unref(&block->content);
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

static bool make_entries_1(const struct block_content *content, struct block *block)
{
    for (size_t i = 0; i < block->count; i++) {
        block->entries[i] = (struct entry){.tag = content->header.tag};
    }
    struct wire_reader columns = wire_reader_of(buf_span(&content->columns));
    get_times_1(&columns, content->header.first_ns, block);
    bool good = get_sources_1(&columns, block);
    good = good && get_pieces_1(&columns, block, buf_span(&content->data), false);
    if (good && content->enumerated.bytes > 0) {
        good = get_pieces_1(&columns, block, buf_span(&content->enumerated), true);
    }
    return good && wire_finish(&columns) == 0;
}

/*
 * AQB2.
 */

static bool get_numbers(struct block_reader *reader, struct span *rest, size_t count,
                        struct buf *memory, struct column *ret_column)
{
    *ret_column = (struct column){NULL, 0};
    if (numbers_get_same(rest, &ret_column->same)) {
        return true;
    }
    int64_t *values = (int64_t *)(void *)room(memory, count * sizeof(*values));
    ret_column->values = values;
    return numbers_get(&reader->numbers, rest, values, count) == 0;
}

static inline int64_t number_at(const struct column *column, size_t i)
{
    return column->values != NULL ? column->values[i] : column->same;
}

/* Are all of them in [0, bound)? */
static bool are_below(const struct column *column, size_t count, uint64_t bound)
{
    bool below = (uint64_t)column->same < bound;
    for (size_t i = 0; column->values != NULL && i < count; i++) {
        below = below && (uint64_t)column->values[i] < bound;
    }
    return below;
}

/* The different sources, and which of them each entry has. */
static bool get_sources(struct block_reader *reader, struct span *rest,
                        struct block_content *content)
{
    struct wire_reader columns = wire_reader_of(*rest);
    size_t count = content->header.entries;
    uint64_t different = wire_get_varint(&columns);
    if (different == 0 || different > count) {
        return false;
    }
    struct span table = wire_get_raw(&columns, (size_t)different * ENTRY_SOURCE_BYTES);
    struct column *places = &content->front[SOURCES];
    *rest = columns.rest;
    content->source_table = table.data;
    return !columns.failed &&
           get_numbers(reader, rest, count, &content->numbers[SOURCES], places) &&
           are_below(places, count, different);
}

static uint32_t *lengths_in(struct buf *buf, size_t count)
{
    return (uint32_t *)(void *)room(buf, count * sizeof(uint32_t));
}

/* How many bytes each of `count` entries has of `bytes`, all in all; false: it is damaged. */
static bool get_lengths(struct block_reader *reader, struct span *rest, size_t bytes, size_t count,
                        uint32_t *lengths)
{
    struct column column;
    uint64_t left = bytes;
    if (!get_numbers(reader, rest, count, &reader->length_list, &column)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t length = (uint64_t)number_at(&column, i);
        if (length > left) {
            return false;
        }
        lengths[i] = (uint32_t)length;
        left -= length;
    }
    return left == 0;
}

/* Joins the columns of fields in reader->split to lines in content->data; just one is there. */
static bool join_fields(struct block_reader *reader, struct fields_form form, struct span *rest,
                        struct block_content *content, uint32_t *lengths)
{
    uint32_t column_bytes[FIELDS_COLUMNS_MAX];
    struct column column;
    size_t count = content->header.entries;
    size_t data_bytes = content->header.parts[DATA].raw;
    if (!get_numbers(reader, rest, form.columns, &reader->length_list, &column) ||
        !are_below(&column, form.columns, data_bytes + count + 1)) {
        return false;
    }
    for (size_t i = 0; i < form.columns; i++) {
        column_bytes[i] = (uint32_t)number_at(&column, i);
    }
    if (form.columns == 1) {
        return fields_lines(buf_span(&content->data), form.terminator, count, lengths);
    }
    uint8_t *text = room(&content->data, data_bytes + FIELDS_PADDING);
    content->data.bytes = data_bytes;
    return fields_join(buf_span(&reader->split), column_bytes, form, count, text, data_bytes,
                       lengths);
}

/* The data's part: `stored` as columns of fields, or as it is. Lines that were not cut stay where
 * they are, with a gap behind each. False: it is damaged. */
static bool get_data(struct block_reader *reader, struct span stored, struct span *rest,
                     struct block_content *content)
{
    size_t raw_bytes = content->header.parts[DATA].raw;
    size_t lines = content->header.entries;
    bool packed = (content->header.packed >> DATA & 1) != 0;
    struct wire_reader columns = wire_reader_of(*rest);
    struct fields_form form = {0};
    uint64_t count = wire_get_varint(&columns);
    if (count > 0) {
        form.delimiter = wire_get_u8(&columns);
        form.terminator = wire_get_u8(&columns);
        form.columns = (uint32_t)MIN(count, (uint64_t)FIELDS_COLUMNS_MAX + 1);
    }
    *rest = columns.rest;
    content->gap = form.columns == 1 ? 1 : 0;
    if (columns.failed || form.columns > FIELDS_COLUMNS_MAX) {
        return false;
    }
    uint32_t *lengths = lengths_in(&content->lengths, lines);
    if (form.columns == 0) {
        return get_part(reader, stored, raw_bytes, packed, &content->data) == 0 &&
               get_lengths(reader, rest, raw_bytes, lines, lengths);
    }
    struct buf *split = form.columns == 1 ? &content->data : &reader->split;
    return get_part(reader, stored, raw_bytes + lines, packed, split) == 0 &&
           join_fields(reader, form, rest, content, lengths);
}

static bool get_front(struct block_reader *reader, struct block_content *content, struct span *rest)
{
    size_t count = content->header.entries;
    bool good = true;
    for (int i = TIMES; good && i <= ORIGINS; i++) {
        good = get_numbers(reader, rest, count, &content->numbers[i], &content->front[i]);
    }
    return good && are_below(&content->front[ORIGINS], count, UINT16_MAX + 1) &&
           get_sources(reader, rest, content);
}

static void put_entries(const struct block_content *content, struct block *block)
{
    const struct column *front = content->front;
    const uint8_t *text = content->data.data;
    const uint32_t *lengths = (const uint32_t *)(const void *)content->lengths.data;
    for (size_t i = 0; i < block->count; i++) {
        struct entry *entry = &block->entries[i];
        size_t source = (size_t)number_at(&front[SOURCES], i);
        uint64_t time = (uint64_t)number_at(&front[TIMES], i);
        entry->time_ns = (int64_t)((uint64_t)content->header.first_ns + time);
        entry->tag = content->header.tag;
        memcpy(entry->source, content->source_table + source * ENTRY_SOURCE_BYTES,
               ENTRY_SOURCE_BYTES);
        entry->data = span_of(text, lengths[i]);
        entry->enumerated = SPAN_NONE;
        entry->stamp.time = (uint64_t)number_at(&front[STAMPS], i);
        entry->stamp.origin = (uint16_t)number_at(&front[ORIGINS], i);
        text += lengths[i] + content->gap;
    }
}

/* Cuts the enumerated values into one piece per entry. */
static bool put_enumerated(struct block_reader *reader, const struct block_content *content,
                           struct span *rest, struct block *block)
{
    struct span values = buf_span(&content->enumerated);
    if (values.bytes == 0) {
        return true;
    }
    uint32_t *lengths = lengths_in(&reader->lengths, block->count);
    if (!get_lengths(reader, rest, values.bytes, block->count, lengths)) {
        return false;
    }
    for (size_t i = 0; i < block->count; i++) {
        block->entries[i].enumerated = span_first(values, lengths[i]);
        values = span_from(values, lengths[i]);
    }
    return true;
}

/* Content from its columns and from `stored`, its data's part; NULL: it is there already. */
static bool make_entries(struct block_reader *reader, struct block_content *content,
                         const struct span *stored, struct block *block)
{
    struct span rest;
    if (stored != NULL) {
        rest = buf_span(&content->columns);
        if (!get_front(reader, content, &rest) || !get_data(reader, *stored, &rest, content)) {
            return false;
        }
        content->enumerated_at = content->columns.bytes - rest.bytes;
    }
    rest = span_from(buf_span(&content->columns), content->enumerated_at);
    put_entries(content, block);
    return put_enumerated(reader, content, &rest, block) && rest.bytes == 0;
}

static void make_room(struct block *block, const struct block_header *header)
{
    if (block->capacity < header->entries) {
        mem_free(block->entries);
        block->capacity = MIN(header->entries + header->entries / 8, BLOCK_ENTRIES_MAX);
        block->entries = mem_realloc(NULL, block->capacity * sizeof(*block->entries));
    }
    block->count = header->entries;
}

static int make_block(struct block_reader *reader, struct block_content *content,
                      const struct span *stored, struct block *block)
{
    make_room(block, &content->header);
    bool good = content->header.version == 1 ? make_entries_1(content, block)
                                             : make_entries(reader, content, stored, block);
    if (!good || block->entries[block->count - 1].time_ns != content->header.last_ns) {
        return err_set(ERR_CORRUPT, "a block's columns do not fit");
    }
    return 0;
}

/* Content of the block's own, to be filled. */
static struct block_content *own_content(struct block *block)
{
    get_memory(block);
    leave_shared(block);
    if (block->content == NULL) {
        block->content = MEM_NEW(struct block_content);
        block->content->references = 1;
    }
    return block->content;
}

int block_read(struct block_reader *reader, struct span bytes, uint64_t offset, struct block *block)
{
    struct block_header header;
    int rc = block_check(bytes, offset, &header);
    if (rc < 0) {
        return rc;
    }
    struct block_content *content = own_content(block);
    content->header = header;
    struct span stored[PARTS];
    struct span rest = span_from(bytes, BLOCK_HEADER_BYTES);
    struct buf *raw[PARTS] = {&content->columns, &content->data, &content->enumerated};
    for (int i = 0; rc == 0 && i < PARTS; i++) {
        stored[i] = span_first(rest, header.parts[i].stored);
        rest = span_from(rest, header.parts[i].stored);
        if (i != DATA || header.version == 1) {
            rc = get_part(reader, stored[i], header.parts[i].raw, (header.packed >> i & 1) != 0,
                          raw[i]);
        }
    }
    return rc < 0 ? rc : make_block(reader, content, &stored[DATA], block);
}

int block_share(struct block_reader *reader, struct block_content *content, struct block *block)
{
    get_memory(block);
    if (block->content != content) {
        block_content_unref(&block->content);
        block->content = block_content_ref(content);
    }
    return make_block(reader, content, NULL, block);
}
