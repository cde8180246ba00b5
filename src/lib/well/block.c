/*
 * Writing blocks of entries, and their headers. Reading: block_read.c.
 */
#include "well/block.h"

#include <zstd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/wire.h"
#include "well/block_format.h"
#include "well/fields.h"
#include "well/numbers.h"

#define COLUMNS_ZSTD_LEVEL_MAX 6

/* How lines are cut is tried out on a sample, a quarter of the first block at most, half of it if
 * it is to be dense, and kept for some blocks of a tag. */
#define TRIAL_BYTES ((size_t)512 * 1024)
#define TRIAL_BYTES_MIN ((size_t)4096)
#define TRIAL_BLOCKS 64
#define TRIAL_ZSTD_LEVEL 3

static const struct fields_form whole_lines = {.columns = 1};
static const struct fields_form trials[] = {
    {' ', 0, 4},  {' ', 0, 8},   {' ', 0, 12}, {' ', 0, 24},
    {',', 0, 32}, {',', 0, 256}, {'"', 0, 24}, {'\t', 0, 64},
};

struct block_writer {
    size_t data_bytes_max;
    ZSTD_CCtx *zstd;
    ZSTD_CCtx *trial;
    struct numbers numbers;
    VEC(int64_t) times;
    VEC(uint32_t) lengths;
    VEC(uint32_t) enumerated_lengths;
    VEC(struct stamp) stamps;
    struct buf sources; /* 16 bytes per entry */
    struct buf parts[PARTS];
    struct buf packed_data;
    struct buf scratch;
    uint16_t tag;
    struct fields_form form; /* as last tried; columns 0: not yet */
    uint16_t form_tag;
    uint32_t form_blocks; /* left until it is tried again */
};

struct block_writer *block_writer_new(int zstd_level)
{
    struct block_writer *writer = MEM_NEW(struct block_writer);
    writer->zstd = ZSTD_createCCtx();
    CHECK(writer->zstd != NULL);
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_compressionLevel, zstd_level)));
    writer->data_bytes_max =
        zstd_level >= BLOCK_DENSE_ZSTD_LEVEL ? BLOCK_DENSE_BYTES_TARGET : BLOCK_DATA_BYTES_TARGET;
    writer->trial = ZSTD_createCCtx();
    CHECK(writer->trial != NULL);
    CHECK(!ZSTD_isError(
        ZSTD_CCtx_setParameter(writer->trial, ZSTD_c_compressionLevel, TRIAL_ZSTD_LEVEL)));
    writer->numbers.zstd_level = MIN(zstd_level, COLUMNS_ZSTD_LEVEL_MAX);
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
    ZSTD_freeCCtx(writer->trial);
    numbers_deinit(&writer->numbers);
    vec_deinit(&writer->times);
    vec_deinit(&writer->lengths);
    vec_deinit(&writer->enumerated_lengths);
    vec_deinit(&writer->stamps);
    buf_deinit(&writer->sources);
    buf_deinit(&writer->packed_data);
    buf_deinit(&writer->scratch);
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
    vec_push(&writer->stamps, entry->stamp);
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
           writer->parts[DATA].bytes + writer->parts[ENUMERATED].bytes >= writer->data_bytes_max;
}

/* A column of numbers, one per entry; `column` has been filled into the scratch buffer. */
static int64_t *column_of(struct block_writer *writer)
{
    buf_clear(&writer->scratch);
    return (int64_t *)(void *)buf_reserve(&writer->scratch, writer->times.count * sizeof(int64_t));
}

static void put_column(struct block_writer *writer, const int64_t *column)
{
    numbers_put(&writer->numbers, column, writer->times.count, &writer->parts[COLUMNS]);
}

static void put_times(struct block_writer *writer)
{
    int64_t *column = column_of(writer);
    for (size_t i = 0; i < writer->times.count; i++) {
        column[i] = (int64_t)((uint64_t)writer->times.items[i] - (uint64_t)writer->times.items[0]);
    }
    put_column(writer, column);
}

static void put_stamps(struct block_writer *writer)
{
    int64_t *column = column_of(writer);
    for (size_t i = 0; i < writer->stamps.count; i++) {
        column[i] = (int64_t)writer->stamps.items[i].time;
    }
    put_column(writer, column);
    for (size_t i = 0; i < writer->stamps.count; i++) {
        column[i] = writer->stamps.items[i].origin;
    }
    put_column(writer, column);
}

static void put_lengths(struct block_writer *writer, const uint32_t *lengths)
{
    int64_t *column = column_of(writer);
    for (size_t i = 0; i < writer->times.count; i++) {
        column[i] = lengths[i];
    }
    put_column(writer, column);
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

static void put_sources(struct block_writer *writer)
{
    struct buf *columns = &writer->parts[COLUMNS];
    struct buf table = {0};
    int64_t *column = column_of(writer);
    size_t place = 0;
    for (size_t i = 0; i < writer->times.count; i++) {
        place = source_place(writer, i, &table, place);
        column[i] = (int64_t)place;
    }
    wire_put_varint(columns, table.bytes / ENTRY_SOURCE_BYTES);
    buf_append(columns, buf_span(&table));
    put_column(writer, column);
    buf_deinit(&table);
}

/* Appends `raw` as a zstd frame, if that is smaller than `limit`. */
static bool pack(ZSTD_CCtx *zstd, struct span raw, size_t limit, struct buf *buf)
{
    size_t room = ZSTD_compressBound(raw.bytes);
    size_t bytes = ZSTD_compress2(zstd, buf_reserve(buf, room), room, raw.data, raw.bytes);
    if (ZSTD_isError(bytes) || bytes >= limit) {
        return false;
    }
    buf->bytes += bytes;
    return true;
}

/* Appends one part, as a zstd frame if that is smaller. */
static bool put_part(struct block_writer *writer, struct span raw, struct buf *buf)
{
    if (raw.bytes > 64 && pack(writer->zstd, raw, raw.bytes, buf)) {
        return true;
    }
    buf_append(buf, raw);
    return false;
}

/* What the first lines take when they are cut in this way; SIZE_MAX: it is not worth trying. */
static size_t try_form(struct block_writer *writer, struct span sample, size_t lines,
                       struct fields_form form)
{
    uint32_t column_bytes[FIELDS_COLUMNS_MAX];
    struct buf split = {0};
    struct buf packed = {0};
    size_t bytes = SIZE_MAX;
    size_t found = 0;
    for (size_t i = 0; i < sample.bytes && form.columns > 1; i++) {
        found += sample.data[i] == form.delimiter;
    }
    if (form.columns == 1 || found >= 2 * lines) {
        fields_split(sample, writer->lengths.items, lines, form, &split, column_bytes);
        if (pack(writer->trial, buf_span(&split), SIZE_MAX, &packed)) {
            bytes = packed.bytes;
        }
    }
    buf_deinit(&split);
    buf_deinit(&packed);
    return bytes;
}

/* False: there is too little to try anything. */
static bool choose_form(struct block_writer *writer, uint8_t terminator)
{
    bool dense = writer->data_bytes_max > BLOCK_DATA_BYTES_TARGET;
    size_t wanted = MIN(writer->parts[DATA].bytes / (dense ? 2 : 4), TRIAL_BYTES);
    size_t bytes = 0;
    size_t lines = 0;
    while (lines < writer->lengths.count && bytes < wanted) {
        bytes += writer->lengths.items[lines++];
    }
    struct span sample = span_first(buf_span(&writer->parts[DATA]), bytes);
    writer->form = whole_lines;
    writer->form.terminator = terminator;
    if (bytes < TRIAL_BYTES_MIN || bytes > 2 * TRIAL_BYTES) {
        return false;
    }
    size_t best = try_form(writer, sample, lines, writer->form);
    best -= best / 32; /* cutting takes time */
    for (size_t i = 0; i < ARRAY_COUNT(trials); i++) {
        struct fields_form form = trials[i];
        form.terminator = terminator;
        size_t taken =
            form.delimiter == terminator ? SIZE_MAX : try_form(writer, sample, lines, form);
        if (taken < best) {
            best = taken;
            writer->form = form;
        }
    }
    return true;
}

/* The form of this block; columns 0: there is none, the data stays as it is. */
static struct fields_form form_of(struct block_writer *writer)
{
    uint8_t terminator;
    struct fields_form none = {0};
    if (writer->parts[DATA].bytes <= 64 ||
        !fields_find_terminator(buf_span(&writer->parts[DATA]), &terminator)) {
        return none;
    }
    if (writer->form.columns == 0 || writer->form_tag != writer->tag || writer->form_blocks == 0 ||
        writer->form.delimiter == terminator) {
        writer->form_blocks = choose_form(writer, terminator) ? TRIAL_BLOCKS : 1;
        writer->form_tag = writer->tag;
    }
    writer->form_blocks--;
    writer->form.terminator = terminator;
    return writer->form;
}

/* Packs the data, in columns of fields if that makes it smaller, and says so in the columns. */
static bool pack_data(struct block_writer *writer)
{
    uint32_t column_bytes[FIELDS_COLUMNS_MAX];
    int64_t numbers[FIELDS_COLUMNS_MAX];
    struct span data = buf_span(&writer->parts[DATA]);
    struct fields_form form = form_of(writer);
    buf_clear(&writer->packed_data);
    if (form.columns > 0) {
        buf_clear(&writer->scratch);
        fields_split(data, writer->lengths.items, writer->lengths.count, form, &writer->scratch,
                     column_bytes);
        if (!pack(writer->zstd, buf_span(&writer->scratch), data.bytes, &writer->packed_data)) {
            form.columns = 0;
        }
    }
    struct buf *columns = &writer->parts[COLUMNS];
    wire_put_varint(columns, form.columns);
    if (form.columns == 0) {
        put_lengths(writer, writer->lengths.items);
        return false;
    }
    wire_put_u8(columns, form.delimiter);
    wire_put_u8(columns, form.terminator);
    for (size_t i = 0; i < form.columns; i++) {
        numbers[i] = column_bytes[i];
    }
    numbers_put(&writer->numbers, numbers, form.columns, columns);
    return true;
}

static void store_header(uint8_t *at, const struct block_header *header)
{
    wire_store_u32(at, BLOCK_MAGIC_2);
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
    vec_clear(&writer->stamps);
    buf_clear(&writer->sources);
    for (int i = 0; i < PARTS; i++) {
        buf_clear(&writer->parts[i]);
    }
}

/* All but the data, which has been packed already if `data_packed`. */
static void put_parts(struct block_writer *writer, bool data_packed, struct block_header *header,
                      struct buf *buf)
{
    for (int i = 0; i < PARTS; i++) {
        size_t begin = buf->bytes;
        bool packed = true;
        if (i == DATA && data_packed) {
            buf_append(buf, buf_span(&writer->packed_data));
        } else {
            packed = put_part(writer, buf_span(&writer->parts[i]), buf);
        }
        header->packed = (uint8_t)(header->packed | (packed ? 1u << i : 0));
        header->parts[i].raw = (uint32_t)writer->parts[i].bytes;
        header->parts[i].stored = (uint32_t)(buf->bytes - begin);
    }
}

void block_seal(uint8_t *block, size_t bytes, uint64_t offset)
{
    struct span summed = span_from(span_of(block, bytes), 12);
    wire_store_u32(block + 8, (uint32_t)hash64_seeded(summed, offset));
}

void block_writer_finish(struct block_writer *writer, uint64_t offset, struct buf *buf,
                         struct block_header *ret_header)
{
    CHECK(writer->times.count > 0);
    struct block_header header = {
        .version = 2,
        .entries = (uint32_t)writer->times.count,
        .tag = writer->tag,
        .first_ns = writer->times.items[0],
        .last_ns = writer->times.items[writer->times.count - 1],
    };
    put_times(writer);
    put_stamps(writer);
    put_sources(writer);
    bool data_packed = pack_data(writer);
    if (writer->parts[ENUMERATED].bytes > 0) {
        put_lengths(writer, writer->enumerated_lengths.items);
    }
    size_t begin = buf->bytes;
    (void)buf_reserve(buf, BLOCK_HEADER_BYTES);
    buf->bytes += BLOCK_HEADER_BYTES;
    put_parts(writer, data_packed, &header, buf);
    header.bytes = (uint32_t)(buf->bytes - begin);
    store_header(buf->data + begin, &header);
    block_seal(buf->data + begin, header.bytes, offset);
    writer_clear(writer);
    *ret_header = header;
}

int block_header_read(struct span bytes, struct block_header *ret_header)
{
    const uint8_t *at = bytes.data;
    uint32_t magic = bytes.bytes < BLOCK_HEADER_BYTES ? 0 : wire_load_u32(at);
    if ((magic != BLOCK_MAGIC_1 && magic != BLOCK_MAGIC_2) || at[19] != 0) {
        return err_set(ERR_CORRUPT, "no block");
    }
    struct block_header header = {
        .version = magic == BLOCK_MAGIC_1 ? 1 : 2,
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
