#include "well/segment.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/wire.h"
#include "well/segment_format.h"

#define FOOTER_BYTES_MAX (UINT32_C(1) << 30)
#define SCAN_BYTES ((size_t)4 << 20)

int segment_read_exactly(struct io_file *file, uint64_t offset, size_t bytes, struct buf *buf)
{
    size_t got = 0;
    buf_clear(buf);
    int rc = io_read_at(file, offset, buf_reserve(buf, bytes), bytes, &got);
    if (rc == 0 && got < bytes) {
        rc = err_set(ERR_CORRUPT, "%s: cut off at %" PRIu64, file->path, offset + got);
    }
    buf->bytes = rc == 0 ? bytes : 0;
    return rc;
}

/* 0, ERR_CORRUPT, or a fault of the disk. */
static int read_header(struct segment *segment, struct segment_about *ret_about)
{
    struct buf bytes = {0};
    int rc = segment_read_exactly(segment->file, 0, SEGMENT_HEADER_BYTES, &bytes);
    if (rc == 0 && (memcmp(bytes.data, SEGMENT_MAGIC, SEGMENT_MAGIC_BYTES) != 0 ||
                    wire_load_u32(bytes.data + 8) != hash32(span_from(buf_span(&bytes), 12)))) {
        rc = err_set(ERR_CORRUPT, "%s: the header is damaged", segment->file->path);
    }
    uint32_t version = rc == 0 ? wire_load_u32(bytes.data + 12) : 1;
    if (version < 1 || version > SEGMENT_VERSION) {
        rc = err_set(ERR_UNSUPPORTED, "%s: version %" PRIu32 " is not known", segment->file->path,
                     version);
    }
    if (rc == 0) {
        segment->version = version;
        *ret_about = (struct segment_about){
            .first = wire_load_u64(bytes.data + 16),
            .last = wire_load_u64(bytes.data + 24),
            .log_end = wire_load_u64(bytes.data + 32),
            .flushed_ns = (int64_t)wire_load_u64(bytes.data + 40),
            .packed_level = bytes.data[48],
        };
    }
    buf_deinit(&bytes);
    return rc;
}

static int take_names(struct segment *segment, struct wire_reader *reader)
{
    uint32_t count = wire_get_u32(reader);
    struct span begin = reader->rest;
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        (void)wire_get_u16(reader);
        (void)wire_get_raw(reader, wire_get_u16(reader));
    }
    if (!reader->failed) {
        buf_append(&segment->names, span_first(begin, begin.bytes - reader->rest.bytes));
    }
    return reader->failed ? err_set(ERR_CORRUPT, "the footer's names do not fit") : 0;
}

static int take_index(struct segment *segment, struct wire_reader *reader)
{
    uint32_t count = wire_get_u32(reader);
    if (reader->failed || reader->rest.bytes < (uint64_t)count * SEGMENT_INDEX_BYTES) {
        return err_set(ERR_CORRUPT, "the footer's index does not fit");
    }
    segment->blocks = mem_alloc_array(MAX(count, 1u), sizeof(*segment->blocks));
    segment->blocks_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct segment_block *block = &segment->blocks[i];
        block->offset = wire_get_u64(reader);
        block->bytes = wire_get_u32(reader);
        block->entries = wire_get_u32(reader);
        block->first_ns = wire_get_i64(reader);
        block->last_ns = wire_get_i64(reader);
        block->data_bytes = wire_get_u32(reader);
        block->tag = wire_get_u16(reader);
        (void)wire_get_u16(reader);
    }
    return 0;
}

static int take_filters(struct segment *segment, struct wire_reader *reader)
{
    uint32_t count = wire_get_u32(reader);
    if (reader->failed || count > segment->blocks_count) {
        return err_set(ERR_CORRUPT, "the footer's filters do not fit");
    }
    segment->filters = mem_alloc_array(MAX(count, 1u), sizeof(*segment->filters));
    segment->filters_count = count;
    uint32_t first = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct filter_group *group = &segment->filters[i];
        group->first = first;
        group->offset = wire_get_u64(reader);
        group->blocks = wire_get_u16(reader);
        group->word_probes = wire_get_u8(reader);
        group->number_probes = wire_get_u8(reader);
        group->rows = wire_get_u32(reader);
        uint64_t bytes = filter_group_bytes(group);
        if ((bytes == 0 && group->rows > 0) || bytes > segment->bytes ||
            group->offset > segment->bytes - bytes ||
            group->blocks > segment->blocks_count - first) {
            return err_set(ERR_CORRUPT, "the footer's filters do not fit");
        }
        first += group->blocks;
    }
    return 0;
}

static int take_points_index(struct segment *segment, struct wire_reader *reader)
{
    uint32_t count = wire_get_u32(reader);
    if (reader->failed || reader->rest.bytes < (uint64_t)count * SEGMENT_POINTS_BYTES) {
        return err_set(ERR_CORRUPT, "the footer's index of points does not fit");
    }
    segment->points = mem_alloc_array(MAX(count, 1u), sizeof(*segment->points));
    segment->points_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct segment_points *points = &segment->points[i];
        points->offset = wire_get_u64(reader);
        points->bytes = wire_get_u32(reader);
        points->elements = wire_get_u32(reader);
        points->first_series = wire_get_u32(reader);
        points->last_series = wire_get_u32(reader);
        points->first_ns = wire_get_i64(reader);
        points->last_ns = wire_get_i64(reader);
        points->first_stamp = wire_get_u64(reader);
        points->last_stamp = wire_get_u64(reader);
        (void)wire_get_u64(reader);
    }
    return 0;
}

/* What files of before there were points do not have. */
static int take_rest(struct segment *segment, struct wire_reader *reader,
                     struct segment_about *about)
{
    for (size_t i = 0; i < segment->blocks_count; i++) {
        segment->blocks[i].first_stamp = wire_get_u64(reader);
    }
    int rc = take_points_index(segment, reader);
    if (rc < 0) {
        return rc;
    }
    about->deletes_end = wire_get_u64(reader);
    uint32_t origins = wire_get_u32(reader);
    if (origins > SERIES_ORIGINS_MAX) {
        return err_set(ERR_CORRUPT, "the footer's origins do not fit");
    }
    buf_append(&segment->origins, wire_get_raw(reader, (size_t)origins * SEGMENT_ORIGIN_BYTES));
    segment->table.offset = wire_get_u64(reader);
    segment->table.bytes = wire_get_u32(reader);
    segment->table.raw_bytes = wire_get_u32(reader);
    segment->table.sum = wire_get_u32(reader);
    segment->table.count = wire_get_u32(reader);
    return reader->failed || reader->rest.bytes > 0
               ? err_set(ERR_CORRUPT, "the footer does not fit")
               : 0;
}

static int parse_footer(struct segment *segment, struct span footer, bool filters,
                        struct segment_about *about)
{
    struct wire_reader reader = wire_reader_of(footer);
    about->first = wire_get_u64(&reader);
    about->last = wire_get_u64(&reader);
    about->log_end = wire_get_u64(&reader);
    int rc = take_names(segment, &reader);
    if (rc == 0) {
        rc = take_index(segment, &reader);
    }
    if (rc == 0 && filters) {
        rc = take_filters(segment, &reader);
    }
    return rc < 0 || reader.rest.bytes == 0 ? rc : take_rest(segment, &reader, about);
}

static int read_footer(struct segment *segment, struct segment_about *ret_about)
{
    if (segment->bytes < SEGMENT_HEADER_BYTES + SEGMENT_TRAILER_BYTES) {
        return err_set(ERR_CORRUPT, "%s: cut off", segment->file->path);
    }
    struct buf bytes = {0};
    int rc = segment_read_exactly(segment->file, segment->bytes - SEGMENT_TRAILER_BYTES,
                                  SEGMENT_TRAILER_BYTES, &bytes);
    uint64_t offset = 0;
    uint32_t footer_bytes = 0;
    uint32_t sum = 0;
    bool filters = false;
    if (rc == 0) {
        offset = wire_load_u64(bytes.data);
        footer_bytes = wire_load_u32(bytes.data + 8);
        sum = wire_load_u32(bytes.data + 12);
        struct span magic = span_of(bytes.data + 16, SEGMENT_MAGIC_BYTES);
        filters = span_equal_str(magic, SEGMENT_TRAILER_MAGIC);
        if ((!filters && !span_equal_str(magic, SEGMENT_TRAILER_MAGIC_PLAIN)) ||
            footer_bytes > FOOTER_BYTES_MAX ||
            offset != segment->bytes - SEGMENT_TRAILER_BYTES - footer_bytes) {
            rc = err_set(ERR_CORRUPT, "%s: the trailer is damaged", segment->file->path);
        }
    }
    if (rc == 0) {
        rc = segment_read_exactly(segment->file, offset, footer_bytes, &bytes);
    }
    if (rc == 0 && hash32(buf_span(&bytes)) != sum) {
        rc = err_set(ERR_CORRUPT, "%s: the footer is damaged", segment->file->path);
    }
    if (rc == 0) {
        rc = parse_footer(segment, buf_span(&bytes), filters, ret_about);
    }
    segment->footer_offset = rc == 0 ? offset : 0;
    buf_deinit(&bytes);
    return rc;
}

static int by_tag(const void *left, const void *right)
{
    const struct segment_block *a = left;
    const struct segment_block *b = right;
    if (a->tag != b->tag) {
        return a->tag < b->tag ? -1 : 1;
    }
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static int by_series(const void *left, const void *right)
{
    const struct segment_points *a = left;
    const struct segment_points *b = right;
    return a->offset < b->offset ? -1 : a->offset > b->offset; /* they were written in order */
}

/* What is found of a file without its footer. */
struct rebuild {
    struct segment *segment;
    struct buf raw;
    VEC(struct segment_block) blocks;
    VEC(struct segment_points) points;
};

/* The whole block at `offset`; `bytes` by its header. */
static int load_probed(struct rebuild *rebuild, uint64_t offset, uint32_t bytes)
{
    return bytes > rebuild->segment->bytes - offset
               ? ERR_CORRUPT
               : segment_read_exactly(rebuild->segment->file, offset, bytes, &rebuild->raw);
}

static int probe_entries(struct rebuild *rebuild, uint64_t offset, uint32_t *ret_bytes)
{
    struct block_header header;
    int rc = block_header_read(buf_span(&rebuild->raw), &header);
    if (rc == 0) {
        rc = load_probed(rebuild, offset, header.bytes);
    }
    if (rc == 0) {
        rc = block_check(buf_span(&rebuild->raw), offset, &header);
    }
    if (rc == 0) {
        *ret_bytes = header.bytes;
        vec_push(&rebuild->blocks, (struct segment_block){
                                       .offset = offset,
                                       .bytes = header.bytes,
                                       .entries = header.entries,
                                       .first_ns = header.first_ns,
                                       .last_ns = header.last_ns,
                                       .data_bytes = header.parts[1].raw,
                                       .tag = header.tag,
                                   });
    }
    return rc;
}

static int probe_points(struct rebuild *rebuild, uint64_t offset, uint32_t *ret_bytes)
{
    struct points_block_header header;
    int rc = points_block_header_read(buf_span(&rebuild->raw), &header);
    if (rc == 0) {
        rc = load_probed(rebuild, offset, header.bytes);
    }
    if (rc == 0) {
        rc = points_block_check(buf_span(&rebuild->raw), offset, &header);
    }
    if (rc == 0) {
        *ret_bytes = header.bytes;
        vec_push(&rebuild->points, (struct segment_points){
                                       .offset = offset,
                                       .bytes = header.bytes,
                                       .elements = header.elements,
                                       .first_series = header.first_series,
                                       .last_series = header.last_series,
                                       .first_ns = header.first_ns,
                                       .last_ns = header.last_ns,
                                       .first_stamp = header.first_stamp,
                                       .last_stamp = header.last_stamp,
                                   });
    }
    return rc;
}

/* The whole block at `offset`, if there is one. */
static int probe(struct rebuild *rebuild, uint64_t offset, uint32_t *ret_bytes)
{
    uint64_t left = rebuild->segment->bytes - offset;
    size_t head = MAX(BLOCK_HEADER_BYTES, POINTS_BLOCK_HEADER_BYTES);
    if (left < BLOCK_HEADER_BYTES) {
        return ERR_CORRUPT;
    }
    int rc = segment_read_exactly(rebuild->segment->file, offset, (size_t)MIN(left, head),
                                  &rebuild->raw);
    if (rc < 0) {
        return rc;
    }
    return points_block_is(buf_span(&rebuild->raw)) ? probe_points(rebuild, offset, ret_bytes)
                                                    : probe_entries(rebuild, offset, ret_bytes);
}

/* Offset of the next place from `offset` on that looks like a block's beginning. */
static int next_magic(struct segment *segment, uint64_t offset, struct buf *raw, uint64_t *ret_at)
{
    while (offset + BLOCK_HEADER_BYTES <= segment->bytes) {
        size_t bytes = (size_t)MIN(segment->bytes - offset, SCAN_BYTES);
        int rc = segment_read_exactly(segment->file, offset, bytes, raw);
        if (rc < 0) {
            return rc;
        }
        ptrdiff_t at = span_find(buf_span(raw), SPAN_LIT("AQB"));
        ptrdiff_t points_at = span_find(buf_span(raw), SPAN_LIT("AQP"));
        at = at < 0 || (points_at >= 0 && points_at < at) ? points_at : at;
        if (at >= 0) {
            *ret_at = offset + (uint64_t)at;
            return 0;
        }
        offset += bytes - 3;
    }
    *ret_at = segment->bytes;
    return 0;
}

/* The footer is damaged: the blocks describe themselves. */
static int rebuild_index(struct segment *segment)
{
    struct rebuild rebuild = {.segment = segment};
    uint64_t offset = SEGMENT_HEADER_BYTES;
    int rc = 0;
    while (rc == 0 && offset < segment->bytes) {
        uint32_t bytes = 0;
        rc = probe(&rebuild, offset, &bytes);
        if (rc == 0) {
            offset += bytes;
        } else if (rc == ERR_CORRUPT) {
            rc = next_magic(segment, offset + 1, &rebuild.raw, &offset);
        }
    }
    buf_deinit(&rebuild.raw);
    if (rebuild.blocks.count > 0) {
        qsort(rebuild.blocks.items, rebuild.blocks.count, sizeof(*rebuild.blocks.items), by_tag);
    }
    if (rebuild.points.count > 0) {
        qsort(rebuild.points.items, rebuild.points.count, sizeof(*rebuild.points.items), by_series);
    }
    segment->blocks = rebuild.blocks.items;
    segment->blocks_count = rebuild.blocks.count;
    segment->points = rebuild.points.items;
    segment->points_count = rebuild.points.count;
    return rc;
}

static void sum_up(struct segment *segment)
{
    segment->oldest_ns = TIME_MAX_NS;
    segment->newest_ns = INT64_MIN;
    segment->first_stamp = UINT64_MAX;
    for (size_t i = 0; i < segment->blocks_count; i++) {
        const struct segment_block *block = &segment->blocks[i];
        segment->first_stamp = MIN(segment->first_stamp, block->first_stamp);
        segment->entries += block->entries;
        segment->data_bytes += block->data_bytes;
        segment->oldest_ns = MIN(segment->oldest_ns, block->first_ns);
        segment->newest_ns = MAX(segment->newest_ns, block->last_ns);
    }
    for (size_t i = 0; i < segment->points_count; i++) {
        const struct segment_points *points = &segment->points[i];
        segment->first_stamp = MIN(segment->first_stamp, points->first_stamp);
        segment->elements += points->elements;
        segment->data_bytes += (uint64_t)points->elements * 16; /* a time and a value */
        segment->oldest_ns = MIN(segment->oldest_ns, points->first_ns);
        segment->newest_ns = MAX(segment->newest_ns, points->last_ns);
    }
}

static int load(struct segment *segment)
{
    struct segment_about about = {0};
    int rc = io_size(segment->file, &segment->bytes);
    if (rc < 0) {
        return rc;
    }
    int header_rc = read_header(segment, &about);
    if (header_rc < 0 && header_rc != ERR_CORRUPT) {
        return header_rc;
    }
    segment->header_damaged = header_rc == ERR_CORRUPT;
    uint64_t log_end = about.log_end;
    segment->flushed_ns = about.flushed_ns;
    segment->packed_level = about.packed_level;
    rc = read_footer(segment, &about);
    if (rc == ERR_CORRUPT) {
        about = (struct segment_about){.log_end = log_end};
        mem_free(segment->blocks);
        mem_free(segment->points);
        mem_free(segment->filters);
        segment->filters = NULL;
        segment->filters_count = 0;
        segment->blocks = NULL;
        segment->points = NULL;
        buf_clear(&segment->origins);
        segment->table = (struct segment_table){0};
        segment->footer_damaged = true;
        rc = rebuild_index(segment);
    }
    segment->log_end = about.log_end;
    segment->deletes_end = about.deletes_end;
    return rc;
}

int segment_open(struct io *io, const char *path, uint64_t first, uint64_t last,
                 struct segment **ret_segment)
{
    static _Atomic uint64_t openings;
    struct segment *segment = MEM_NEW(struct segment);
    segment->references = 1;
    segment->opening = ++openings;
    segment->first = first;
    segment->last = last;
    int rc = io_open(io, path, IO_READ, &segment->file);
    if (rc == 0) {
        rc = load(segment);
    }
    if (rc < 0) {
        segment_unref(&segment);
        return rc;
    }
    sum_up(segment);
    *ret_segment = segment;
    return 0;
}

struct segment *segment_ref(struct segment *segment)
{
    __atomic_add_fetch(&segment->references, 1, __ATOMIC_RELAXED);
    return segment;
}

void segment_unref(struct segment **place)
{
    struct segment *segment = *place;
    *place = NULL;
    if (segment == NULL || __atomic_sub_fetch(&segment->references, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    io_close(&segment->file);
    mem_free(segment->blocks);
    mem_free(segment->points);
    mem_free(segment->filters);
    buf_deinit(&segment->names);
    buf_deinit(&segment->origins);
    mem_free(segment);
}

/* The first block whose tag is at least `tag`. */
static size_t lower_bound(const struct segment *segment, uint32_t tag)
{
    size_t low = 0;
    size_t high = segment->blocks_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (segment->blocks[middle].tag < tag) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void segment_find_tag(const struct segment *segment, uint16_t tag, size_t *ret_from, size_t *ret_to)
{
    *ret_from = lower_bound(segment, tag);
    *ret_to = lower_bound(segment, (uint32_t)tag + 1);
}

/* Reads a block and unpacks it, or only checks it if `block` is NULL. */
static int read_block(struct segment *segment, size_t index, struct block_reader *reader,
                      struct buf *raw, struct block *block, bool *ret_first_time)
{
    struct segment_block *about = &segment->blocks[index];
    if (about->bytes > segment->bytes || about->offset > segment->bytes - about->bytes) {
        segment_note_bad_place(&about->damaged, ret_first_time);
        return err_set(ERR_CORRUPT, "%s: a block lies outside", segment->file->path);
    }
    int rc = segment_read_exactly(segment->file, about->offset, about->bytes, raw);
    struct block_header header;
    if (rc == 0 && block == NULL) {
        rc = block_check(buf_span(raw), about->offset, &header);
    } else if (rc == 0) {
        rc = block_read(reader, buf_span(raw), about->offset, block);
    }
    if (segment_is_bad_place(rc)) {
        char from[TIME_TEXT_BYTES];
        char to[TIME_TEXT_BYTES];
        segment_note_bad_place(&about->damaged, ret_first_time);
        return err_wrap(rc, "%s: block at %" PRIu64 " (%" PRIu32 " entries, from %s to %s)",
                        segment->file->path, about->offset, about->entries,
                        time_text(about->first_ns, from), time_text(about->last_ns, to));
    }
    return rc;
}

int segment_read(struct segment *segment, size_t index, struct block_reader *reader,
                 struct buf *raw, struct block *block, bool *ret_first_time)
{
    return read_block(segment, index, reader, raw, block, ret_first_time);
}

int segment_read_packed(struct segment *segment, size_t index, struct buf *raw,
                        bool *ret_first_time)
{
    return read_block(segment, index, NULL, raw, NULL, ret_first_time);
}

void segment_find_series(const struct segment *segment, uint32_t series, size_t *ret_from,
                         size_t *ret_to)
{
    size_t low = 0;
    size_t high = segment->points_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (segment->points[middle].last_series < series) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_from = low;
    while (low < segment->points_count && segment->points[low].first_series <= series) {
        low++;
    }
    *ret_to = low;
}

int segment_read_points(struct segment *segment, size_t index, struct points_block_reader *reader,
                        const uint32_t *series, size_t series_count, struct buf *raw,
                        struct points_block *block, bool *ret_first_time)
{
    struct segment_points *about = &segment->points[index];
    if (about->bytes > segment->bytes || about->offset > segment->bytes - about->bytes) {
        segment_note_bad_place(&about->damaged, ret_first_time);
        return err_set(ERR_CORRUPT, "%s: a block lies outside", segment->file->path);
    }
    int rc = segment_read_exactly(segment->file, about->offset, about->bytes, raw);
    if (rc == 0) {
        rc = points_block_read(reader, buf_span(raw), about->offset, series, series_count, block);
    }
    if (segment_is_bad_place(rc)) {
        char from[TIME_TEXT_BYTES];
        char to[TIME_TEXT_BYTES];
        segment_note_bad_place(&about->damaged, ret_first_time);
        return err_wrap(rc, "%s: block at %" PRIu64 " (%" PRIu32 " points, from %s to %s)",
                        segment->file->path, about->offset, about->elements,
                        time_text(about->first_ns, from), time_text(about->last_ns, to));
    }
    return rc;
}

bool segment_is_damaged(const struct segment *segment)
{
    for (size_t i = 0; i < segment->blocks_count; i++) {
        if (__atomic_load_n(&segment->blocks[i].damaged, __ATOMIC_ACQUIRE)) {
            return true;
        }
    }
    for (size_t i = 0; i < segment->points_count; i++) {
        if (__atomic_load_n(&segment->points[i].damaged, __ATOMIC_ACQUIRE)) {
            return true;
        }
    }
    return segment->header_damaged || segment->footer_damaged ||
           __atomic_load_n(&segment->table.damaged, __ATOMIC_ACQUIRE);
}

struct filter_group *segment_filters(const struct segment *segment, size_t index)
{
    size_t low = 0;
    size_t high = segment->filters_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        struct filter_group *group = &segment->filters[middle];
        if (index < group->first) {
            high = middle;
        } else if (index - group->first >= group->blocks) {
            low = middle + 1;
        } else {
            return group->rows > 0 ? group : NULL;
        }
    }
    return NULL;
}

static int read_filter(void *context, uint64_t offset, uint8_t *bytes, size_t count)
{
    struct io_file *file = context;
    size_t got = 0;
    int rc = io_read_at(file, offset, bytes, count, &got);
    return rc == 0 && got < count ? err_set(ERR_CORRUPT, "a filter is cut off") : rc;
}

int segment_find(const struct segment *segment, struct filter_group *group, struct span tokens,
                 struct filter_blocks *ret_blocks, bool *ret_first_time)
{
    memset(ret_blocks, 0xFF, sizeof(*ret_blocks));
    int rc = filter_find(group, tokens, read_filter, segment->file, ret_blocks);
    if (rc < 0) {
        memset(ret_blocks, 0xFF, sizeof(*ret_blocks));
        *ret_first_time = !__atomic_exchange_n(&group->damaged, true, __ATOMIC_ACQ_REL);
        return err_wrap(rc, "%s", segment->file->path);
    }
    return 0;
}

int segment_cut_filters(const struct segment *segment, struct filter_group *group, size_t from,
                        size_t to, uint8_t **ret_bits, bool *ret_first_time)
{
    int rc = filter_cut(group, (uint32_t)(from - group->first), (uint32_t)(to - group->first),
                        read_filter, segment->file, ret_bits);
    if (segment_is_bad_place(rc)) {
        segment_note_bad_place(&group->damaged, ret_first_time);
    }
    return rc < 0 ? err_wrap(rc, "%s", segment->file->path) : 0;
}
