#include "query/batch.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/wire.h"
#include "series/evs.h"

#define MAGIC UINT32_C(0x31425141) /* "AQB1" */

/* A column of small numbers that stand for things: the tags or the sources of a batch. */
struct column {
    VEC(uint32_t) numbers; /* one per entry */
    VEC(struct span) names;
    struct map known;
};

static uint32_t column_number(struct column *column, struct span name)
{
    uintptr_t known = (uintptr_t)map_get(&column->known, name);
    if (known == 0) {
        vec_push(&column->names, name);
        known = column->names.count;
        (void)map_put(&column->known, name, (void *)known);
    }
    return (uint32_t)(known - 1);
}

static void column_deinit(struct column *column)
{
    vec_deinit(&column->numbers);
    vec_deinit(&column->names);
    map_deinit(&column->known);
}

static void column_put(struct buf *buf, const struct column *column)
{
    wire_put_varint(buf, column->names.count);
    for (size_t i = 0; i < column->names.count; i++) {
        wire_put_bytes(buf, column->names.items[i]);
    }
    for (size_t i = 0; i < column->numbers.count; i++) {
        wire_put_varint(buf, column->numbers.items[i]);
    }
}

static size_t header_begin(struct buf *buf, enum query_frame_kind kind)
{
    size_t begin = buf->bytes;
    wire_put_u32(buf, MAGIC);
    wire_put_u8(buf, (uint8_t)kind);
    wire_put_u8(buf, 0);
    wire_put_u16(buf, 0);
    wire_put_u32(buf, 0); /* bytes and checksum of the payload: header_end() */
    wire_put_u32(buf, 0);
    return begin;
}

/* The kind is part of what is checked. */
static uint32_t checksum(uint8_t kind, struct span payload)
{
    return (uint32_t)hash64_seeded(payload, kind);
}

static void header_end(struct buf *buf, size_t begin)
{
    struct span payload = span_from(buf_span(buf), begin + QUERY_FRAME_HEADER_BYTES);
    CHECK(payload.bytes <= QUERY_FRAME_BYTES_MAX);
    wire_store_u32(buf->data + begin + 8, (uint32_t)payload.bytes);
    wire_store_u32(buf->data + begin + 12, checksum(buf->data[begin + 4], payload));
}

static const struct entry *pick_of(const struct entry *entries, const uint32_t *picks, size_t i)
{
    return &entries[picks == NULL ? i : picks[i]];
}

void query_batch_put(struct buf *buf, const struct entry *entries, const uint32_t *picks,
                     size_t count, const char *(*name)(const void *context, uint16_t tag),
                     const void *context)
{
    struct column tags = {0};
    struct column sources = {0};
    CHECK(count <= QUERY_BATCH_ENTRIES_MAX);
    size_t begin = header_begin(buf, QUERY_FRAME_ENTRIES);
    wire_put_varint(buf, count);
    int64_t before = 0;
    for (size_t i = 0; i < count; i++) {
        const struct entry *entry = pick_of(entries, picks, i);
        /* Modulo 2^64, so that any two times have a difference. */
        wire_put_svarint(buf, (int64_t)((uint64_t)entry->time_ns - (uint64_t)before));
        before = entry->time_ns;
        struct span tag = span_of_str(name(context, entry->tag));
        vec_push(&tags.numbers, column_number(&tags, tag));
        struct span source = span_of(entry->source, ENTRY_SOURCE_BYTES);
        vec_push(&sources.numbers, column_number(&sources, source));
    }
    column_put(buf, &tags);
    column_put(buf, &sources);
    for (size_t i = 0; i < count; i++) {
        wire_put_varint(buf, pick_of(entries, picks, i)->data.bytes);
    }
    for (size_t i = 0; i < count; i++) {
        wire_put_varint(buf, pick_of(entries, picks, i)->enumerated.bytes);
    }
    for (size_t i = 0; i < count; i++) {
        buf_append(buf, pick_of(entries, picks, i)->data);
    }
    for (size_t i = 0; i < count; i++) {
        buf_append(buf, pick_of(entries, picks, i)->enumerated);
    }
    header_end(buf, begin);
    column_deinit(&tags);
    column_deinit(&sources);
}

void query_frame_put_progress(struct buf *buf, enum query_frame_kind kind,
                              const struct query_progress *progress)
{
    CHECK(progress->stage_count <= QUERY_STAGES_STATS_MAX);
    size_t begin = header_begin(buf, kind);
    wire_put_i64(buf, progress->position_ns);
    wire_put_varint(buf, progress->skipped_blocks);
    wire_put_varint(buf, progress->stage_count);
    for (size_t i = 0; i < progress->stage_count; i++) {
        query_stage_stats_put(buf, &progress->stages[i]);
    }
    wire_put_varint(buf, progress->passed_over);
    for (size_t i = 0; progress->timeline != NULL && i < progress->stage_count; i++) {
        wire_put_varint(buf, progress->stages[i].scratch_bytes);
    }
    if (progress->timeline != NULL) {
        query_timeline_put(buf, progress->timeline);
    }
    header_end(buf, begin);
}

void query_frame_put_fault(struct buf *buf, const char *text, bool of_search)
{
    size_t begin = header_begin(buf, QUERY_FRAME_FAULT);
    wire_put_bytes(buf,
                   span_first(span_of_str(text), sizeof(((struct query_frame *)0)->fault) - 1));
    if (of_search) {
        wire_put_u8(buf, 1);
    }
    header_end(buf, begin);
}

/* A column's list of things: at most `most`, each of at most `bytes_max` bytes. */
static bool get_names(struct wire_reader *reader, size_t most, size_t bytes_max,
                      struct span **ret_names, size_t *ret_count)
{
    uint64_t count = wire_get_varint(reader);
    if (reader->failed || count > most || count > reader->rest.bytes) {
        return false;
    }
    *ret_names = mem_alloc_array((size_t)count + 1, sizeof(struct span));
    *ret_count = (size_t)count;
    for (size_t i = 0; i < count; i++) {
        (*ret_names)[i] = wire_get_bytes(reader, bytes_max);
    }
    return !reader->failed;
}

static bool get_tags(struct wire_reader *reader, struct query_batch *batch)
{
    struct span *names = NULL;
    size_t count = 0;
    bool good = get_names(reader, MIN(batch->count, (size_t)QUERY_TAG_NUMBERS_MAX), UINT16_MAX,
                          &names, &count);
    for (size_t i = 0; good && i < batch->count; i++) {
        uint64_t number = wire_get_varint(reader);
        good = !reader->failed && number < count;
        batch->entries[i].tag = (uint16_t)number;
    }
    batch->names = mem_alloc_array(count + 1, sizeof(char *));
    for (size_t i = 0; good && i < count; i++) {
        batch->names[i] = mem_strndup((const char *)names[i].data, names[i].bytes);
        batch->name_count = i + 1;
    }
    mem_free(names);
    return good;
}

static bool get_sources(struct wire_reader *reader, struct query_batch *batch)
{
    struct span *names = NULL;
    size_t count = 0;
    bool good = get_names(reader, batch->count, ENTRY_SOURCE_BYTES, &names, &count);
    for (size_t i = 0; good && i < count; i++) {
        good = names[i].bytes == ENTRY_SOURCE_BYTES;
    }
    for (size_t i = 0; good && i < batch->count; i++) {
        uint64_t number = wire_get_varint(reader);
        good = !reader->failed && number < count;
        if (good) {
            memcpy(batch->entries[i].source, names[number].data, ENTRY_SOURCE_BYTES);
        }
    }
    mem_free(names);
    return good;
}

static void get_times(struct wire_reader *reader, struct query_batch *batch)
{
    int64_t before = 0;
    for (size_t i = 0; i < batch->count; i++) {
        before = (int64_t)((uint64_t)before + (uint64_t)wire_get_svarint(reader));
        batch->entries[i].time_ns = before;
    }
}

static bool get_lengths(struct wire_reader *reader, struct query_batch *batch, bool enumerated,
                        uint64_t *total)
{
    uint64_t most = enumerated ? SERIES_EVS_BYTES_MAX : ENTRY_DATA_BYTES_MAX;
    for (size_t i = 0; i < batch->count; i++) {
        uint64_t bytes = wire_get_varint(reader);
        if (reader->failed || bytes > most) {
            return false;
        }
        struct entry *entry = &batch->entries[i];
        *(enumerated ? &entry->enumerated : &entry->data) = span_of(NULL, (size_t)bytes);
        *total += bytes;
    }
    return true;
}

/* Data and enumerated values lie one after the other; both become the batch's own. */
static bool get_bytes(struct wire_reader *reader, struct query_batch *batch)
{
    uint64_t total = 0;
    if (!get_lengths(reader, batch, false, &total) || !get_lengths(reader, batch, true, &total) ||
        total != reader->rest.bytes) {
        return false;
    }
    uint8_t *at = mem_alloc((size_t)total + 1);
    batch->memory = at;
    if (total > 0) {
        memcpy(at, reader->rest.data, (size_t)total);
    }
    for (size_t i = 0; i < batch->count; i++) {
        batch->entries[i].data.data = at;
        at += batch->entries[i].data.bytes;
    }
    for (size_t i = 0; i < batch->count; i++) {
        batch->entries[i].enumerated.data = at;
        at += batch->entries[i].enumerated.bytes;
        if (series_evs_check(batch->entries[i].enumerated) < 0) {
            return false;
        }
    }
    (void)wire_get_raw(reader, (size_t)total);
    return true;
}

static int get_batch(struct wire_reader *reader, struct query_batch **ret_batch)
{
    uint64_t count = wire_get_varint(reader);
    if (reader->failed || count > QUERY_BATCH_ENTRIES_MAX || count > reader->rest.bytes) {
        return err_set(ERR_CORRUPT, "batch of %llu entries in %zu bytes", (unsigned long long)count,
                       reader->rest.bytes);
    }
    struct query_batch *batch = MEM_NEW(struct query_batch);
    batch->count = (size_t)count;
    batch->entries = mem_alloc_array(batch->count + 1, sizeof(*batch->entries));
    get_times(reader, batch);
    if (reader->failed || !get_tags(reader, batch) || !get_sources(reader, batch) ||
        !get_bytes(reader, batch)) {
        query_batch_free(&batch);
        return err_set(ERR_CORRUPT, "batch of %llu entries is not of its form",
                       (unsigned long long)count);
    }
    *ret_batch = batch;
    return 0;
}

static bool get_details(struct wire_reader *reader, struct query_progress *progress)
{
    struct query_timeline timeline;
    for (size_t i = 0; i < progress->stage_count; i++) {
        progress->stages[i].scratch_bytes = wire_get_varint(reader);
    }
    if (!query_timeline_get(reader, &timeline)) {
        return false;
    }
    progress->timeline = MEM_NEW(struct query_timeline);
    *progress->timeline = timeline;
    return true;
}

static bool get_progress(struct wire_reader *reader, struct query_progress *progress)
{
    progress->position_ns = wire_get_i64(reader);
    progress->skipped_blocks = wire_get_varint(reader);
    uint64_t count = wire_get_varint(reader);
    if (reader->failed || count > QUERY_STAGES_STATS_MAX) {
        return false;
    }
    progress->stage_count = (size_t)count;
    for (size_t i = 0; i < progress->stage_count; i++) {
        progress->stages[i] = query_stage_stats_get(reader);
    }
    progress->passed_over = reader->rest.bytes == 0 ? 0 : wire_get_varint(reader);
    return !reader->failed && (reader->rest.bytes == 0 || get_details(reader, progress));
}

static int get_payload(struct span payload, struct query_frame *frame)
{
    struct wire_reader reader = wire_reader_of(payload);
    bool good = true;
    int rc = 0;
    switch (frame->kind) {
    case QUERY_FRAME_ENTRIES:
        rc = get_batch(&reader, &frame->batch);
        break;
    case QUERY_FRAME_PROGRESS:
    case QUERY_FRAME_END:
        good = get_progress(&reader, &frame->progress);
        break;
    case QUERY_FRAME_FAULT: {
        struct span text = wire_get_bytes(&reader, sizeof(frame->fault) - 1);
        (void)snprintf(frame->fault, sizeof(frame->fault), "%.*s", SPAN_ARG(text));
        frame->of_search = reader.rest.bytes > 0 && wire_get_u8(&reader) == 1;
        break;
    }
    default:
        good = false;
    }
    if (rc == 0 && (!good || wire_finish(&reader) < 0)) {
        query_frame_deinit(frame);
        rc = err_set(ERR_CORRUPT, "frame of kind %d is not of its form", (int)frame->kind);
    }
    return rc;
}

int query_frame_get(struct span *rest, struct query_frame *ret_frame)
{
    if (rest->bytes < QUERY_FRAME_HEADER_BYTES) {
        return QUERY_FRAME_MORE;
    }
    uint32_t bytes = wire_load_u32(rest->data + 8);
    if (wire_load_u32(rest->data) != MAGIC || bytes > QUERY_FRAME_BYTES_MAX || rest->data[5] != 0 ||
        wire_load_u16(rest->data + 6) != 0) {
        return err_set(ERR_CORRUPT, "no frame begins here");
    }
    if (rest->bytes - QUERY_FRAME_HEADER_BYTES < bytes) {
        return QUERY_FRAME_MORE;
    }
    struct span payload = span_first(span_from(*rest, QUERY_FRAME_HEADER_BYTES), bytes);
    if (checksum(rest->data[4], payload) != wire_load_u32(rest->data + 12)) {
        return err_set(ERR_CORRUPT, "frame of %u bytes fails its checksum", bytes);
    }
    struct query_frame frame = {.kind = (enum query_frame_kind)rest->data[4]};
    int rc = get_payload(payload, &frame);
    if (rc < 0) {
        return rc;
    }
    *rest = span_from(*rest, QUERY_FRAME_HEADER_BYTES + bytes);
    *ret_frame = frame;
    return 0;
}

void query_frame_deinit(struct query_frame *frame)
{
    query_batch_free(&frame->batch);
    if (frame->progress.timeline != NULL) {
        query_timeline_deinit(frame->progress.timeline);
        mem_free(frame->progress.timeline);
        frame->progress.timeline = NULL;
    }
}

void query_batch_free(struct query_batch **batch)
{
    if (*batch == NULL) {
        return;
    }
    for (size_t i = 0; i < (*batch)->name_count; i++) {
        mem_free((*batch)->names[i]);
    }
    mem_free((*batch)->names);
    mem_free((*batch)->entries);
    mem_free((*batch)->memory);
    mem_free(*batch);
    *batch = NULL;
}

int query_batch_remap(struct query_batch *batch, struct query_tags *tags)
{
    uint16_t *numbers = mem_alloc_array(batch->name_count + 1, sizeof(*numbers));
    for (size_t i = 0; i < batch->name_count; i++) {
        int number = query_tags_number(tags, span_of_str(batch->names[i]));
        if (number < 0) {
            mem_free(numbers);
            return err_set(ERR_TOO_LARGE, "more than %d tags in one search", QUERY_TAG_NUMBERS_MAX);
        }
        numbers[i] = (uint16_t)number;
    }
    for (size_t i = 0; i < batch->count; i++) {
        batch->entries[i].tag = numbers[batch->entries[i].tag];
    }
    mem_free(numbers);
    return 0;
}
