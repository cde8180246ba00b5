/*
 * Reading blocks of points. Tested by points_block_test.c.
 */
#include <zstd.h>

#include "base/mem.h"
#include "well/numbers.h"
#include "well/points_block.h"
#include "well/points_format.h"

struct points_block_reader {
    struct numbers numbers;
    ZSTD_DCtx *zstd;
    struct buf index;  /* POINTS_SEQUENCES times a number per run */
    struct buf shared; /* struct shared */
    struct buf column; /* scratch */
};

struct points_block_memory {
    struct buf runs;
    struct buf times;
    struct buf values;
    struct buf stamp_of;
    struct buf locations;
    struct buf elevations;
    struct buf stamps;
    struct buf text;
};

/* A shared sequence, and which run was the first to be read with it: others copy from that one. */
struct shared {
    struct span bytes;
    uint32_t first;
    uint32_t count; /* 0: not read yet */
};

/* What is being read. */
struct reading {
    struct points_block_reader *reader;
    struct points_block_header header;
    struct points_block *block;
    const int64_t *index;
    struct shared *shared;
    struct span values; /* of the whole block */
    struct span text;   /* stored */
};

struct points_block_reader *points_block_reader_new(void)
{
    struct points_block_reader *reader = MEM_NEW(struct points_block_reader);
    reader->zstd = ZSTD_createDCtx();
    CHECK(reader->zstd != NULL);
    return reader;
}

void points_block_reader_free(struct points_block_reader **place)
{
    struct points_block_reader *reader = *place;
    *place = NULL;
    if (reader == NULL) {
        return;
    }
    numbers_deinit(&reader->numbers);
    ZSTD_freeDCtx(reader->zstd);
    buf_deinit(&reader->index);
    buf_deinit(&reader->shared);
    buf_deinit(&reader->column);
    mem_free(reader);
}

void points_block_deinit(struct points_block *block)
{
    struct points_block_memory *memory = block->memory;
    if (memory != NULL) {
        buf_deinit(&memory->runs);
        buf_deinit(&memory->times);
        buf_deinit(&memory->values);
        buf_deinit(&memory->stamp_of);
        buf_deinit(&memory->locations);
        buf_deinit(&memory->elevations);
        buf_deinit(&memory->stamps);
        buf_deinit(&memory->text);
        mem_free(memory);
    }
    *block = (struct points_block){0};
}

static int corrupt(const char *what)
{
    return err_set(ERR_CORRUPT, "a block of points has a wrong form: %s", what);
}

static void *room(struct buf *buf, size_t count, size_t item_bytes)
{
    buf_clear(buf);
    return buf_reserve(buf, MAX(count * item_bytes, (size_t)1));
}

static int get_stamps(struct reading *reading, struct span *rest)
{
    size_t count = reading->header.stamps;
    struct stamp *stamps = room(&reading->block->memory->stamps, count, sizeof(*stamps));
    int64_t *column = room(&reading->reader->column, count, sizeof(*column));
    int rc = numbers_get(&reading->reader->numbers, rest, column, count);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        stamps[i] = (struct stamp){.time = (uint64_t)column[i]};
    }
    if (rc == 0) {
        rc = numbers_get(&reading->reader->numbers, rest, column, count);
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (column[i] < 0 || column[i] > UINT16_MAX) {
            return corrupt("an origin");
        }
        stamps[i].origin = (uint16_t)column[i];
    }
    reading->block->stamps = stamps;
    reading->block->stamps_count = count;
    return rc;
}

/* The shared sequences are what is left of the index. */
static int get_shared(struct reading *reading, struct span *rest)
{
    size_t count = reading->header.shared;
    struct shared *shared = room(&reading->reader->shared, count, sizeof(*shared));
    int64_t *bytes = room(&reading->reader->column, count, sizeof(*bytes));
    int rc = numbers_get(&reading->reader->numbers, rest, bytes, count);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (bytes[i] < 0 || (uint64_t)bytes[i] > rest->bytes) {
            return corrupt("a sequence's size");
        }
        shared[i] = (struct shared){.bytes = span_first(*rest, (size_t)bytes[i])};
        *rest = span_from(*rest, (size_t)bytes[i]);
    }
    reading->shared = shared;
    return rc < 0 || rest->bytes == 0 ? rc : corrupt("the index's size");
}

static bool kind_is_known(int64_t kind)
{
    int64_t type = kind & 15;
    return kind >= 0 && type >= ELEMENT_I64 && type <= ELEMENT_BYTES &&
           kind >> POINTS_HAS_SHIFT <= (ELEMENT_HAS_LOCATION | ELEMENT_HAS_ELEVATION);
}

static bool run_is_possible(const struct reading *reading, const int64_t *index, size_t i)
{
    const struct points_block_header *header = &reading->header;
    size_t runs = header->runs;
    int64_t series = index[POINTS_SERIES * runs + i];
    int64_t before = i == 0 ? header->first_series : index[POINTS_SERIES * runs + i - 1];
    int64_t count = index[POINTS_COUNT * runs + i];
    int64_t times = index[POINTS_TIMES * runs + i];
    int64_t stamps = index[POINTS_STAMP_OF * runs + i];
    int64_t bytes = index[POINTS_BYTES * runs + i];
    int64_t text = index[POINTS_TEXT * runs + i];
    return series >= before && series <= header->last_series && count > 0 &&
           count <= header->elements && kind_is_known(index[POINTS_KIND * runs + i]) &&
           times >= 0 && times < header->shared && stamps >= 0 && stamps < header->shared &&
           bytes >= 0 && bytes <= header->numbers_bytes && text >= 0 &&
           text <= header->text_raw_bytes;
}

static int get_index(struct reading *reading, struct span rest)
{
    const struct points_block_header *header = &reading->header;
    size_t runs = header->runs;
    int64_t *index = room(&reading->reader->index, runs * POINTS_SEQUENCES, sizeof(*index));
    int rc = get_stamps(reading, &rest);
    for (size_t i = 0; rc == 0 && i < POINTS_SEQUENCES; i++) {
        rc = numbers_get(&reading->reader->numbers, &rest, index + i * runs, runs);
    }
    if (rc < 0) {
        return rc;
    }
    uint64_t elements = 0;
    uint64_t bytes = 0;
    uint64_t text = 0;
    for (size_t i = 0; i < runs; i++) {
        if (!run_is_possible(reading, index, i)) {
            return corrupt("a run");
        }
        elements += (uint64_t)index[POINTS_COUNT * runs + i];
        bytes += (uint64_t)index[POINTS_BYTES * runs + i];
        text += (uint64_t)index[POINTS_TEXT * runs + i];
    }
    if (elements != header->elements || bytes != header->numbers_bytes ||
        text != header->text_raw_bytes) {
        return corrupt("a sum");
    }
    reading->index = index;
    return get_shared(reading, &rest);
}

/* Picks the runs of the series that are wanted: all, if there are none. */
static void pick_runs(struct reading *reading, const uint32_t *series, size_t series_count,
                      size_t *picks)
{
    struct points_block *block = reading->block;
    size_t runs = reading->header.runs;
    const int64_t *index = reading->index;
    size_t next = 0;
    for (size_t i = 0; i < runs; i++) {
        uint32_t number = (uint32_t)index[POINTS_SERIES * runs + i];
        while (next < series_count && series[next] < number) {
            next++;
        }
        if (series_count > 0 && (next == series_count || series[next] != number)) {
            continue;
        }
        int64_t kind = index[POINTS_KIND * runs + i];
        picks[block->runs_count] = i;
        block->runs[block->runs_count++] = (struct points_run){
            .series = number,
            .first = (uint32_t)block->count,
            .count = (uint32_t)index[POINTS_COUNT * runs + i],
            .type = (uint8_t)(kind & 15),
            .has = (uint8_t)(kind >> POINTS_HAS_SHIFT),
        };
        block->count += (size_t)index[POINTS_COUNT * runs + i];
    }
}

static int get_times(struct reading *reading, const struct points_run *run, struct shared *shared)
{
    int64_t *times = reading->block->times + run->first;
    if (shared->count >= run->count) {
        memcpy(times, reading->block->times + shared->first, run->count * sizeof(*times));
        return 0;
    }
    struct span rest = shared->bytes;
    int rc = numbers_get(&reading->reader->numbers, &rest, times, run->count);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < run->count; i++) {
        times[i] = (int64_t)((uint64_t)times[i] + (uint64_t)reading->header.first_ns);
    }
    if (times[0] < reading->header.first_ns || times[run->count - 1] > reading->header.last_ns) {
        return corrupt("a time");
    }
    shared->first = run->first;
    shared->count = run->count;
    return 0;
}

static int get_stamp_of(struct reading *reading, const struct points_run *run,
                        struct shared *shared)
{
    uint16_t *stamp_of = reading->block->stamp_of + run->first;
    if (shared->count >= run->count) {
        memcpy(stamp_of, reading->block->stamp_of + shared->first, run->count * sizeof(*stamp_of));
        return 0;
    }
    int64_t *column = room(&reading->reader->column, run->count, sizeof(*column));
    struct span rest = shared->bytes;
    int rc = numbers_get(&reading->reader->numbers, &rest, column, run->count);
    uint64_t wrong = 0;
    for (size_t i = 0; rc == 0 && i < run->count; i++) {
        wrong |= (uint64_t)column[i] >= reading->header.stamps;
        stamp_of[i] = (uint16_t)column[i];
    }
    if (rc == 0 && wrong == 0) {
        shared->first = run->first;
        shared->count = run->count;
    }
    return rc == 0 && wrong != 0 ? corrupt("a stamp") : rc;
}

/* Pieces of the text from `offset` on; together they must be `bytes`. */
static int get_pieces(struct reading *reading, const struct points_run *run, struct span *rest,
                      size_t offset, size_t bytes)
{
    union points_value *values = reading->block->values + run->first;
    int64_t *column = room(&reading->reader->column, run->count, sizeof(*column));
    int rc = numbers_get(&reading->reader->numbers, rest, column, run->count);
    for (size_t i = 0; rc == 0 && i < run->count; i++) {
        if (column[i] < 0 || (uint64_t)column[i] > bytes) {
            return corrupt("a text's size");
        }
        values[i] = (union points_value){
            .text = {.offset = (uint32_t)offset, .bytes = (uint32_t)column[i]},
        };
        offset += (size_t)column[i];
        bytes -= (size_t)column[i];
    }
    return rc == 0 && bytes != 0 ? corrupt("a text's size") : rc;
}

static int get_places(struct reading *reading, const struct points_run *run, struct span *rest)
{
    struct points_block *block = reading->block;
    int rc = 0;
    if ((run->has & ELEMENT_HAS_LOCATION) != 0) {
        struct location *locations = block->locations + run->first;
        int64_t *column = room(&reading->reader->column, (size_t)2 * run->count, sizeof(*column));
        rc = numbers_get(&reading->reader->numbers, rest, column, run->count);
        if (rc == 0) {
            rc = numbers_get(&reading->reader->numbers, rest, column + run->count, run->count);
        }
        for (size_t i = 0; rc == 0 && i < run->count; i++) {
            locations[i].latitude = (uint32_t)column[i];
            locations[i].longitude = (uint32_t)column[run->count + i];
        }
    }
    if (rc == 0 && (run->has & ELEMENT_HAS_ELEVATION) != 0) {
        rc = numbers_get(&reading->reader->numbers, rest, block->elevations + run->first,
                         run->count);
    }
    return rc;
}

static int get_values(struct reading *reading, const struct points_run *run, struct span rest,
                      size_t text_offset, size_t text_bytes)
{
    struct numbers *numbers = &reading->reader->numbers;
    union points_value *values = reading->block->values + run->first;
    bool is_text = run->type == ELEMENT_TEXT || run->type == ELEMENT_BYTES;
    int rc = 0;
    if (is_text) {
        rc = get_pieces(reading, run, &rest, text_offset, text_bytes);
    } else if (text_bytes > 0) {
        rc = corrupt("a text");
    } else if (run->type == ELEMENT_F64) {
        rc = numbers_get_doubles(numbers, &rest, &values->f64, run->count);
    } else {
        rc = numbers_get(numbers, &rest, &values->i64, run->count);
    }
    for (size_t i = 0; rc == 0 && run->type == ELEMENT_BOOL && i < run->count; i++) {
        values[i].i64 = values[i].i64 != 0;
    }
    if (rc == 0) {
        rc = get_places(reading, run, &rest);
    }
    return rc == 0 && rest.bytes != 0 ? corrupt("a run's size") : rc;
}

static int get_text(struct reading *reading)
{
    size_t raw_bytes = reading->header.text_raw_bytes;
    uint8_t *raw = room(&reading->block->memory->text, raw_bytes, 1);
    struct span stored = reading->text;
    if (stored.bytes == raw_bytes) {
        memcpy(raw, stored.data, raw_bytes);
    } else {
        size_t bytes =
            ZSTD_decompressDCtx(reading->reader->zstd, raw, raw_bytes, stored.data, stored.bytes);
        if (ZSTD_isError(bytes) || bytes != raw_bytes) {
            return corrupt("its text does not decompress");
        }
    }
    reading->block->text = span_of(raw, raw_bytes);
    return 0;
}

static void make_room(struct reading *reading)
{
    struct points_block *block = reading->block;
    struct points_block_memory *memory = block->memory;
    size_t count = block->count;
    uint8_t has = 0;
    for (size_t i = 0; i < block->runs_count; i++) {
        has |= block->runs[i].has;
    }
    block->times = room(&memory->times, count, sizeof(*block->times));
    block->values = room(&memory->values, count, sizeof(*block->values));
    block->stamp_of = room(&memory->stamp_of, count, sizeof(*block->stamp_of));
    if ((has & ELEMENT_HAS_LOCATION) != 0) {
        block->locations = room(&memory->locations, count, sizeof(*block->locations));
        memset(block->locations, 0, count * sizeof(*block->locations));
    }
    if ((has & ELEMENT_HAS_ELEVATION) != 0) {
        block->elevations = room(&memory->elevations, count, sizeof(*block->elevations));
        memset(block->elevations, 0, count * sizeof(*block->elevations));
    }
}

static int get_runs(struct reading *reading, const size_t *picks)
{
    struct points_block *block = reading->block;
    size_t runs = reading->header.runs;
    const int64_t *index = reading->index;
    size_t at = 0; /* of the values */
    size_t text_at = 0;
    size_t next = 0;
    bool text_wanted = false;
    int rc = 0;
    make_room(reading);
    for (size_t i = 0; rc == 0 && i < runs && next < block->runs_count; i++) {
        size_t bytes = (size_t)index[POINTS_BYTES * runs + i];
        size_t text_bytes = (size_t)index[POINTS_TEXT * runs + i];
        if (picks[next] == i) {
            const struct points_run *run = &block->runs[next++];
            struct span values = span_first(span_from(reading->values, at), bytes);
            rc = get_times(reading, run, &reading->shared[index[POINTS_TIMES * runs + i]]);
            if (rc == 0) {
                rc = get_values(reading, run, values, text_at, text_bytes);
            }
            text_wanted = text_wanted || text_bytes > 0;
        }
        at += bytes;
        text_at += text_bytes;
    }
    for (size_t i = 0; i < reading->header.shared; i++) { /* times may have been numbers too */
        reading->shared[i].count = 0;
    }
    for (size_t i = 0; rc == 0 && i < block->runs_count; i++) {
        rc = get_stamp_of(reading, &block->runs[i],
                          &reading->shared[index[POINTS_STAMP_OF * runs + picks[i]]]);
    }
    return rc == 0 && text_wanted ? get_text(reading) : rc;
}

int points_block_read(struct points_block_reader *reader, struct span bytes, uint64_t offset,
                      const uint32_t *series, size_t series_count, struct points_block *block)
{
    struct points_block_memory *memory = block->memory;
    *block = (struct points_block){.memory = memory == NULL ? MEM_NEW(struct points_block_memory)
                                                            : memory};
    struct reading reading = {.reader = reader, .block = block};
    int rc = points_block_check(bytes, offset, &reading.header);
    if (rc < 0) {
        return rc;
    }
    const struct points_block_header *header = &reading.header;
    if (series_count > 0 &&
        (series[series_count - 1] < header->first_series || series[0] > header->last_series)) {
        return POINTS_BLOCK_SKIPPED;
    }
    struct span rest = span_from(span_first(bytes, header->bytes), POINTS_BLOCK_HEADER_BYTES);
    reading.values = span_from(rest, header->index_bytes);
    reading.text = span_from(reading.values, header->numbers_bytes);
    reading.values = span_first(reading.values, header->numbers_bytes);
    rc = get_index(&reading, span_first(rest, header->index_bytes));
    if (rc < 0) {
        return rc;
    }
    block->runs = room(&block->memory->runs, header->runs, sizeof(*block->runs));
    size_t *picks = mem_alloc_array(header->runs, sizeof(*picks));
    pick_runs(&reading, series, series_count, picks);
    rc = block->count > 0 ? get_runs(&reading, picks) : POINTS_BLOCK_SKIPPED;
    mem_free(picks);
    return rc;
}

struct element points_block_element(const struct points_block *block, const struct points_run *run,
                                    size_t index)
{
    CHECK(index >= run->first && index - run->first < run->count);
    const union points_value *value = &block->values[index];
    struct element element = {
        .time_ns = block->times[index],
        .stamp = block->stamps[block->stamp_of[index]],
        .type = run->type,
        .has = run->has,
    };
    if ((run->has & ELEMENT_HAS_LOCATION) != 0) {
        element.location = block->locations[index];
    }
    if ((run->has & ELEMENT_HAS_ELEVATION) != 0) {
        element.elevation = block->elevations[index];
    }
    if (run->type == ELEMENT_BOOL) {
        element.value.boolean = value->i64 != 0;
    } else if (run->type == ELEMENT_TEXT || run->type == ELEMENT_BYTES) {
        element.value.bytes =
            span_first(span_from(block->text, value->text.offset), value->text.bytes);
    } else {
        element.value.i64 = value->i64; /* the bits of a double too */
    }
    return element;
}
