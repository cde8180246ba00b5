/*
 * Writing blocks of points, and their headers. Reading: points_block_read.c.
 */
#include "well/points_block.h"

#include <stdlib.h>

#include <zstd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"
#include "base/wire.h"
#include "well/numbers.h"
#include "well/points_format.h"

#define PLACES ((size_t)2 * POINTS_BLOCK_ELEMENTS_MAX)

struct run {
    uint32_t series;
    uint32_t first;
    uint32_t count;
    uint8_t kind;
    uint64_t text_bytes;
};

/* A sequence that several runs may have: its bytes within `shared_bytes`. */
struct shared {
    size_t offset;
    size_t bytes;
};

struct points_block_writer {
    struct numbers numbers;
    ZSTD_CCtx *zstd;
    size_t count;
    int64_t *times;
    uint64_t *values;   /* bits; of text its bytes */
    uint32_t *stamp_of; /* index into stamps */
    struct location *locations;
    int64_t *elevations;
    int64_t *column; /* scratch */
    VEC(struct run) runs;
    VEC(struct stamp) stamps; /* in the order of arrival */
    uint32_t *stamp_places;   /* hash table: index into stamps plus one */
    VEC(struct shared) shared;
    uint32_t *shared_places; /* the same of shared */
    struct buf shared_bytes;
    struct buf text;
    struct buf index;
    struct buf body;
};

struct points_block_writer *points_block_writer_new(int zstd_level)
{
    struct points_block_writer *writer = MEM_NEW(struct points_block_writer);
    size_t max = POINTS_BLOCK_ELEMENTS_MAX;
    writer->numbers.zstd_level = zstd_level;
    writer->zstd = ZSTD_createCCtx();
    CHECK(writer->zstd != NULL);
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_compressionLevel, zstd_level)));
    writer->times = mem_alloc_array(max, sizeof(*writer->times));
    writer->values = mem_alloc_array(max, sizeof(*writer->values));
    writer->stamp_of = mem_alloc_array(max, sizeof(*writer->stamp_of));
    writer->locations = mem_alloc_array(max, sizeof(*writer->locations));
    writer->elevations = mem_alloc_array(max, sizeof(*writer->elevations));
    writer->column = mem_alloc_array(max, sizeof(*writer->column));
    writer->stamp_places = mem_alloc_array(PLACES, sizeof(*writer->stamp_places));
    writer->shared_places = mem_alloc_array(PLACES, sizeof(*writer->shared_places));
    return writer;
}

void points_block_writer_free(struct points_block_writer **place)
{
    struct points_block_writer *writer = *place;
    *place = NULL;
    if (writer == NULL) {
        return;
    }
    numbers_deinit(&writer->numbers);
    ZSTD_freeCCtx(writer->zstd);
    mem_free(writer->times);
    mem_free(writer->values);
    mem_free(writer->stamp_of);
    mem_free(writer->locations);
    mem_free(writer->elevations);
    mem_free(writer->column);
    mem_free(writer->stamp_places);
    mem_free(writer->shared_places);
    vec_deinit(&writer->runs);
    vec_deinit(&writer->stamps);
    vec_deinit(&writer->shared);
    buf_deinit(&writer->shared_bytes);
    buf_deinit(&writer->text);
    buf_deinit(&writer->index);
    buf_deinit(&writer->body);
    mem_free(writer);
}

static bool same_stamp(struct stamp a, struct stamp b)
{
    return a.time == b.time && a.origin == b.origin;
}

/* Its place among the different ones; mostly that of the element before or the next one. */
static uint32_t stamp_number(struct points_block_writer *writer, struct stamp stamp)
{
    if (writer->count > 0) {
        uint32_t likely = writer->stamp_of[writer->count - 1];
        if (same_stamp(writer->stamps.items[likely], stamp)) {
            return likely;
        }
        likely = likely + 1 < writer->stamps.count ? likely + 1 : 0;
        if (same_stamp(writer->stamps.items[likely], stamp)) {
            return likely;
        }
    }
    uint64_t mixed = (stamp.time + stamp.origin) * UINT64_C(0x9e3779b97f4a7c15);
    size_t place = (size_t)(mixed >> 40) % PLACES;
    while (writer->stamp_places[place] != 0) {
        uint32_t number = writer->stamp_places[place] - 1;
        if (same_stamp(writer->stamps.items[number], stamp)) {
            return number;
        }
        place = (place + 1) % PLACES;
    }
    vec_push(&writer->stamps, stamp);
    writer->stamp_places[place] = (uint32_t)writer->stamps.count;
    return (uint32_t)writer->stamps.count - 1;
}

static struct run *run_of(struct points_block_writer *writer, uint32_t series, uint8_t kind)
{
    size_t runs = writer->runs.count;
    if (runs > 0) {
        struct run *last = &writer->runs.items[runs - 1];
        if (last->series == series && last->kind == kind) {
            return last;
        }
    }
    struct run run = {.series = series, .first = (uint32_t)writer->count, .kind = kind};
    vec_push(&writer->runs, run);
    return &writer->runs.items[runs];
}

static uint64_t value_bits(struct points_block_writer *writer, const struct element *element,
                           struct run *run)
{
    uint64_t bits;
    switch (element->type) {
    case ELEMENT_BOOL:
        return element->value.boolean ? 1 : 0;
    case ELEMENT_TEXT:
    case ELEMENT_BYTES:
        buf_append(&writer->text, element->value.bytes);
        run->text_bytes += element->value.bytes.bytes;
        return element->value.bytes.bytes;
    default:
        memcpy(&bits, &element->value.i64, sizeof(bits));
        return bits;
    }
}

void points_block_writer_add(struct points_block_writer *writer, uint32_t series,
                             const struct element *element)
{
    size_t at = writer->count;
    CHECK(at < POINTS_BLOCK_ELEMENTS_MAX);
    CHECK(element->type >= ELEMENT_I64 && element->type <= ELEMENT_BYTES);
    CHECK(element->has <= (ELEMENT_HAS_LOCATION | ELEMENT_HAS_ELEVATION));
    if (at > 0) {
        uint32_t before = writer->runs.items[writer->runs.count - 1].series;
        CHECK(series > before || (series == before && element->time_ns >= writer->times[at - 1]));
    }
    uint8_t kind = (uint8_t)(element->type | element->has << POINTS_HAS_SHIFT);
    struct run *run = run_of(writer, series, kind);
    run->count++;
    writer->times[at] = element->time_ns;
    writer->values[at] = value_bits(writer, element, run);
    writer->stamp_of[at] = stamp_number(writer, element->stamp);
    writer->locations[at] = element->location;
    writer->elevations[at] = element->elevation;
    writer->count++;
}

size_t points_block_writer_count(const struct points_block_writer *writer)
{
    return writer->count;
}

bool points_block_writer_is_full(const struct points_block_writer *writer)
{
    return writer->count >= POINTS_BLOCK_ELEMENTS_MAX ||
           writer->text.bytes >= POINTS_BLOCK_TEXT_BYTES_TARGET;
}

static int by_stamp(const void *left, const void *right, void *context)
{
    const struct stamp *stamps = context;
    struct stamp a = stamps[*(const uint32_t *)left];
    struct stamp b = stamps[*(const uint32_t *)right];
    if (a.time != b.time) {
        return a.time < b.time ? -1 : 1;
    }
    return (int)a.origin - (int)b.origin;
}

/* Sorts the stamps and appends them to the index. */
static void put_stamps(struct points_block_writer *writer)
{
    size_t count = writer->stamps.count;
    uint32_t *order = mem_alloc_array(count, sizeof(*order));
    uint32_t *place_of = mem_alloc_array(count, sizeof(*place_of));
    for (size_t i = 0; i < count; i++) {
        order[i] = (uint32_t)i;
    }
    qsort_r(order, count, sizeof(*order), by_stamp, writer->stamps.items);
    for (size_t i = 0; i < count; i++) {
        place_of[order[i]] = (uint32_t)i;
        writer->column[i] = (int64_t)writer->stamps.items[order[i]].time;
    }
    numbers_put(&writer->numbers, writer->column, count, &writer->index);
    for (size_t i = 0; i < count; i++) {
        writer->column[i] = writer->stamps.items[order[i]].origin;
    }
    numbers_put(&writer->numbers, writer->column, count, &writer->index);
    for (size_t i = 0; i < writer->count; i++) {
        writer->stamp_of[i] = place_of[writer->stamp_of[i]];
    }
    mem_free(order);
    mem_free(place_of);
}

/* The number of the sequence in writer->column; equal ones are stored once. */
static int64_t share(struct points_block_writer *writer, size_t count)
{
    size_t begin = writer->shared_bytes.bytes;
    numbers_put(&writer->numbers, writer->column, count, &writer->shared_bytes);
    struct span bytes = span_from(buf_span(&writer->shared_bytes), begin);
    size_t place = (size_t)hash64(bytes) % PLACES;
    while (writer->shared_places[place] != 0) {
        const struct shared *shared = &writer->shared.items[writer->shared_places[place] - 1];
        if (shared->bytes == bytes.bytes &&
            memcmp(writer->shared_bytes.data + shared->offset, bytes.data, bytes.bytes) == 0) {
            writer->shared_bytes.bytes = begin;
            return shared - writer->shared.items;
        }
        place = (place + 1) % PLACES;
    }
    if (writer->shared.count < PLACES / 2) { /* so that half of the places stay free */
        writer->shared_places[place] = (uint32_t)writer->shared.count + 1;
    }
    struct shared shared = {begin, bytes.bytes};
    vec_push(&writer->shared, shared);
    return (int64_t)writer->shared.count - 1;
}

static int64_t share_times(struct points_block_writer *writer, const struct run *run,
                           int64_t first_ns)
{
    for (size_t i = 0; i < run->count; i++) {
        uint64_t time = (uint64_t)writer->times[run->first + i];
        writer->column[i] = (int64_t)(time - (uint64_t)first_ns);
    }
    return share(writer, run->count);
}

static int64_t share_stamp_of(struct points_block_writer *writer, const struct run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        writer->column[i] = writer->stamp_of[run->first + i];
    }
    return share(writer, run->count);
}

static void put_places(struct points_block_writer *writer, const struct run *run)
{
    const struct location *locations = writer->locations + run->first;
    for (size_t i = 0; i < run->count; i++) {
        writer->column[i] = locations[i].latitude;
    }
    numbers_put(&writer->numbers, writer->column, run->count, &writer->body);
    for (size_t i = 0; i < run->count; i++) {
        writer->column[i] = locations[i].longitude;
    }
    numbers_put(&writer->numbers, writer->column, run->count, &writer->body);
}

/* Returns how many bytes they take. */
static int64_t put_values(struct points_block_writer *writer, const struct run *run)
{
    size_t begin = writer->body.bytes;
    size_t bytes = run->count * sizeof(*writer->values);
    memcpy(writer->column, writer->values + run->first, bytes);
    if ((run->kind & 15) == ELEMENT_F64) {
        double *doubles = mem_dup(writer->column, bytes);
        numbers_put_doubles(&writer->numbers, doubles, run->count, &writer->body);
        mem_free(doubles);
    } else {
        numbers_put(&writer->numbers, writer->column, run->count, &writer->body);
    }
    if ((run->kind >> POINTS_HAS_SHIFT & ELEMENT_HAS_LOCATION) != 0) {
        put_places(writer, run);
    }
    if ((run->kind >> POINTS_HAS_SHIFT & ELEMENT_HAS_ELEVATION) != 0) {
        numbers_put(&writer->numbers, writer->elevations + run->first, run->count, &writer->body);
    }
    return (int64_t)(writer->body.bytes - begin);
}

/* Values, and the index of all runs. */
static void put_runs(struct points_block_writer *writer, int64_t first_ns)
{
    size_t count = writer->runs.count;
    int64_t *index = mem_alloc_array(count * POINTS_SEQUENCES, sizeof(*index));
    for (size_t i = 0; i < count; i++) {
        const struct run *run = &writer->runs.items[i];
        index[POINTS_SERIES * count + i] = run->series;
        index[POINTS_COUNT * count + i] = run->count;
        index[POINTS_KIND * count + i] = run->kind;
        index[POINTS_TIMES * count + i] = share_times(writer, run, first_ns);
        index[POINTS_STAMP_OF * count + i] = share_stamp_of(writer, run);
        index[POINTS_BYTES * count + i] = put_values(writer, run);
        index[POINTS_TEXT * count + i] = (int64_t)run->text_bytes;
    }
    for (size_t i = 0; i < POINTS_SEQUENCES; i++) {
        numbers_put(&writer->numbers, index + i * count, count, &writer->index);
    }
    mem_free(index);
    int64_t *bytes = mem_alloc_array(writer->shared.count, sizeof(*bytes));
    for (size_t i = 0; i < writer->shared.count; i++) {
        bytes[i] = (int64_t)writer->shared.items[i].bytes;
    }
    numbers_put(&writer->numbers, bytes, writer->shared.count, &writer->index);
    mem_free(bytes);
    buf_append(&writer->index, buf_span(&writer->shared_bytes));
}

static uint32_t put_text(struct points_block_writer *writer, struct buf *buf)
{
    struct span raw = buf_span(&writer->text);
    if (raw.bytes > 0) {
        size_t room = ZSTD_compressBound(raw.bytes);
        size_t bytes =
            ZSTD_compress2(writer->zstd, buf_reserve(buf, room), room, raw.data, raw.bytes);
        if (!ZSTD_isError(bytes) && bytes < raw.bytes) {
            buf->bytes += bytes;
            return (uint32_t)bytes;
        }
        buf_append(buf, raw);
    }
    return (uint32_t)raw.bytes;
}

static void fill_ranges(const struct points_block_writer *writer,
                        struct points_block_header *header)
{
    header->elements = (uint32_t)writer->count;
    header->runs = (uint32_t)writer->runs.count;
    header->first_series = writer->runs.items[0].series;
    header->last_series = writer->runs.items[header->runs - 1].series;
    header->first_ns = header->last_ns = writer->times[0];
    for (size_t i = 1; i < writer->count; i++) {
        header->first_ns = MIN(header->first_ns, writer->times[i]);
        header->last_ns = MAX(header->last_ns, writer->times[i]);
    }
    header->first_stamp = header->last_stamp = writer->stamps.items[0].time;
    for (size_t i = 1; i < writer->stamps.count; i++) {
        header->first_stamp = MIN(header->first_stamp, writer->stamps.items[i].time);
        header->last_stamp = MAX(header->last_stamp, writer->stamps.items[i].time);
    }
}

static void store_header(uint8_t *at, const struct points_block_header *header)
{
    memset(at, 0, POINTS_BLOCK_HEADER_BYTES);
    wire_store_u32(at, POINTS_MAGIC);
    wire_store_u32(at + 4, header->bytes);
    wire_store_u32(at + 12, header->elements);
    wire_store_u32(at + 16, header->runs);
    wire_store_u32(at + 20, header->first_series);
    wire_store_u32(at + 24, header->last_series);
    wire_store_u64(at + 28, (uint64_t)header->first_ns);
    wire_store_u64(at + 36, (uint64_t)header->last_ns);
    wire_store_u64(at + 44, header->first_stamp);
    wire_store_u64(at + 52, header->last_stamp);
    wire_store_u32(at + 60, header->index_bytes);
    wire_store_u32(at + 64, header->numbers_bytes);
    wire_store_u32(at + 68, header->text_bytes);
    wire_store_u32(at + 72, header->text_raw_bytes);
    wire_store_u32(at + 76, header->shared);
    wire_store_u32(at + 80, header->stamps);
}

static void writer_clear(struct points_block_writer *writer)
{
    writer->count = 0;
    vec_clear(&writer->runs);
    vec_clear(&writer->stamps);
    vec_clear(&writer->shared);
    memset(writer->stamp_places, 0, PLACES * sizeof(*writer->stamp_places));
    memset(writer->shared_places, 0, PLACES * sizeof(*writer->shared_places));
    buf_clear(&writer->shared_bytes);
    buf_clear(&writer->text);
    buf_clear(&writer->index);
    buf_clear(&writer->body);
}

void points_block_writer_finish(struct points_block_writer *writer, uint64_t offset,
                                struct buf *buf, struct points_block_header *ret_header)
{
    CHECK(writer->count > 0);
    struct points_block_header header = {0};
    fill_ranges(writer, &header);
    put_stamps(writer);
    put_runs(writer, header.first_ns);
    header.shared = (uint32_t)writer->shared.count;
    header.stamps = (uint32_t)writer->stamps.count;
    header.index_bytes = (uint32_t)writer->index.bytes;
    header.numbers_bytes = (uint32_t)writer->body.bytes;
    header.text_raw_bytes = (uint32_t)writer->text.bytes;
    size_t begin = buf->bytes;
    (void)buf_reserve(buf, POINTS_BLOCK_HEADER_BYTES);
    buf->bytes += POINTS_BLOCK_HEADER_BYTES;
    buf_append(buf, buf_span(&writer->index));
    buf_append(buf, buf_span(&writer->body));
    header.text_bytes = put_text(writer, buf);
    header.bytes = (uint32_t)(buf->bytes - begin);
    store_header(buf->data + begin, &header);
    struct span summed = span_from(buf_span(buf), begin + 12);
    wire_store_u32(buf->data + begin + 8, (uint32_t)hash64_seeded(summed, offset));
    writer_clear(writer);
    *ret_header = header;
}

bool points_block_is(struct span bytes)
{
    return bytes.bytes >= 4 && wire_load_u32(bytes.data) == POINTS_MAGIC;
}

static bool is_possible(const struct points_block_header *header)
{
    uint64_t sum = (uint64_t)POINTS_BLOCK_HEADER_BYTES + header->index_bytes +
                   header->numbers_bytes + header->text_bytes;
    return header->elements > 0 && header->elements <= POINTS_BLOCK_ELEMENTS_MAX &&
           header->runs > 0 && header->runs <= header->elements && header->stamps > 0 &&
           header->stamps <= header->elements && header->shared > 0 &&
           header->shared <= 2 * header->runs && header->first_series <= header->last_series &&
           header->first_ns <= header->last_ns && header->first_stamp <= header->last_stamp &&
           header->text_raw_bytes <= POINTS_TEXT_RAW_MAX &&
           header->text_bytes <= header->text_raw_bytes && sum == header->bytes;
}

int points_block_header_read(struct span bytes, struct points_block_header *ret_header)
{
    const uint8_t *at = bytes.data;
    if (bytes.bytes < POINTS_BLOCK_HEADER_BYTES || !points_block_is(bytes)) {
        return err_set(ERR_CORRUPT, "no block of points");
    }
    struct points_block_header header = {
        .bytes = wire_load_u32(at + 4),
        .elements = wire_load_u32(at + 12),
        .runs = wire_load_u32(at + 16),
        .first_series = wire_load_u32(at + 20),
        .last_series = wire_load_u32(at + 24),
        .first_ns = (int64_t)wire_load_u64(at + 28),
        .last_ns = (int64_t)wire_load_u64(at + 36),
        .first_stamp = wire_load_u64(at + 44),
        .last_stamp = wire_load_u64(at + 52),
        .index_bytes = wire_load_u32(at + 60),
        .numbers_bytes = wire_load_u32(at + 64),
        .text_bytes = wire_load_u32(at + 68),
        .text_raw_bytes = wire_load_u32(at + 72),
        .shared = wire_load_u32(at + 76),
        .stamps = wire_load_u32(at + 80),
    };
    if (!is_possible(&header)) {
        return err_set(ERR_CORRUPT, "the header of a block of points is damaged");
    }
    *ret_header = header;
    return 0;
}

int points_block_check(struct span bytes, uint64_t offset, struct points_block_header *ret_header)
{
    struct points_block_header header;
    int rc = points_block_header_read(bytes, &header);
    if (rc < 0) {
        return rc;
    }
    if (header.bytes > bytes.bytes) {
        return err_set(ERR_CORRUPT, "a block of points is cut off");
    }
    struct span summed = span_from(span_first(bytes, header.bytes), 12);
    if (wire_load_u32(bytes.data + 8) != (uint32_t)hash64_seeded(summed, offset)) {
        return err_set(ERR_CORRUPT, "a block of points fails its checksum");
    }
    *ret_header = header;
    return 0;
}
