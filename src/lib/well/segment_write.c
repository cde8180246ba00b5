/*
 * Writing a segment: blocks of entries, blocks of points, the table of series, the footer.
 * Tested by segment_test.c.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "base/wire.h"
#include "well/segment_format.h"

#define WRITE_BYTES ((size_t)1 << 20)
/* What stays has no filters where all there is can be looked through within a millisecond. */
#define FILTER_RAW_BYTES_MIN BLOCK_DATA_BYTES_TARGET
#define FILTER_SHARE 8 /* filters take this part of what their blocks take, if that is enough */

struct segment_writer {
    struct io_file *file;
    struct well_names names;
    struct segment_about about;
    int zstd_level;
    struct buf pending; /* to be written at `written` */
    uint64_t written;

    struct block_writer *block;
    uint64_t block_stamp; /* the oldest one of the block */
    struct buf index;     /* footer's entries */
    struct buf stamps;    /* of the blocks, 8 bytes each */
    struct buf tag_names;
    struct filter_writer filter;
    struct buf filters; /* where the groups stand */
    uint32_t filters_count;
    uint32_t filtered;       /* blocks in them */
    uint64_t filtered_bytes; /* of the file up to the last group's end */
    uint64_t raw_bytes;      /* of data in the blocks since */
    uint32_t blocks;
    uint32_t tags_count;
    bool any_tag;
    uint16_t last_tag;

    struct points_block_writer *points; /* once there are any */
    struct buf points_index;
    uint32_t points_blocks;
    VEC(struct segment_series) series;

    bool any_origin;
    uint16_t last_origin;
    VEC(uint16_t) origins;
};

static void put_about(struct buf *buf, const struct segment_about *about)
{
    wire_put_u64(buf, about->first);
    wire_put_u64(buf, about->last);
    wire_put_u64(buf, about->log_end);
}

static void put_header(struct buf *buf, const struct segment_about *about)
{
    static const uint8_t zeros[15];
    buf_append_str(buf, SEGMENT_MAGIC);
    wire_put_u32(buf, 0);
    wire_put_u32(buf, SEGMENT_VERSION);
    put_about(buf, about);
    wire_put_i64(buf, about->flushed_ns);
    wire_put_u8(buf, about->packed_level);
    buf_append(buf, span_of(zeros, sizeof(zeros)));
    wire_store_u32(buf->data + 8, hash32(span_from(buf_span(buf), 12)));
}

int segment_writer_open(struct io *io, const char *path, struct segment_about about,
                        const struct well_names *names, int zstd_level,
                        struct segment_writer **ret_writer)
{
    struct io_file *file;
    int rc = io_open(io, path, IO_WRITE | IO_CREATE | IO_TRUNCATE, &file);
    if (rc < 0) {
        return rc;
    }
    struct segment_writer *writer = MEM_NEW(struct segment_writer);
    writer->file = file;
    writer->names = *names;
    writer->about = about;
    writer->zstd_level = zstd_level;
    writer->block = block_writer_new(zstd_level);
    writer->block_stamp = UINT64_MAX;
    put_header(&writer->pending, &about);
    *ret_writer = writer;
    return 0;
}

void segment_writer_abort(struct segment_writer **place)
{
    struct segment_writer *writer = *place;
    *place = NULL;
    if (writer == NULL) {
        return;
    }
    io_close(&writer->file);
    block_writer_free(&writer->block);
    points_block_writer_free(&writer->points);
    buf_deinit(&writer->pending);
    buf_deinit(&writer->index);
    buf_deinit(&writer->stamps);
    filter_deinit(&writer->filter);
    buf_deinit(&writer->filters);
    buf_deinit(&writer->tag_names);
    buf_deinit(&writer->points_index);
    vec_deinit(&writer->series);
    vec_deinit(&writer->origins);
    mem_free(writer);
}

static int write_pending(struct segment_writer *writer)
{
    int rc = io_write_at(writer->file, writer->written, buf_span(&writer->pending));
    if (rc == 0) {
        writer->written += writer->pending.bytes;
        buf_clear(&writer->pending);
    }
    return rc;
}

static void put_index(struct segment_writer *writer, uint64_t offset,
                      const struct segment_block *block)
{
    wire_put_u64(&writer->index, offset);
    wire_put_u32(&writer->index, block->bytes);
    wire_put_u32(&writer->index, block->entries);
    wire_put_i64(&writer->index, block->first_ns);
    wire_put_i64(&writer->index, block->last_ns);
    wire_put_u32(&writer->index, block->data_bytes);
    wire_put_u16(&writer->index, block->tag);
    wire_put_u16(&writer->index, 0);
    wire_put_u64(&writer->stamps, block->first_stamp);
    writer->blocks++;
}

static uint64_t end_of(const struct segment_writer *writer)
{
    return writer->written + writer->pending.bytes;
}

static void put_group(struct segment_writer *writer, const struct filter_group *group)
{
    wire_put_u64(&writer->filters, group->offset);
    wire_put_u16(&writer->filters, (uint16_t)group->blocks);
    wire_put_u8(&writer->filters, group->word_probes);
    wire_put_u8(&writer->filters, group->number_probes);
    wire_put_u32(&writer->filters, group->rows);
    writer->filters_count++;
    writer->filtered = writer->blocks;
    writer->filtered_bytes = end_of(writer);
    writer->raw_bytes = 0;
}

/* The filters of the blocks since the last group stand behind them. */
static void finish_filters(struct segment_writer *writer)
{
    if (writer->filtered == writer->blocks) {
        return;
    }
    struct filter_group group = {0};
    uint64_t blocks_bytes = end_of(writer) - writer->filtered_bytes;
    if (writer->about.packed_level > 0 && writer->raw_bytes < FILTER_RAW_BYTES_MIN) {
        filter_skip_group(&writer->filter, end_of(writer), &group);
    } else {
        filter_end_group(&writer->filter, blocks_bytes / FILTER_SHARE, end_of(writer),
                         &writer->pending, &group);
    }
    put_group(writer, &group);
}

static int finish_block(struct segment_writer *writer)
{
    if (block_writer_count(writer->block) == 0) {
        return 0;
    }
    uint64_t offset = end_of(writer);
    struct block_header header;
    block_writer_finish(writer->block, offset, &writer->pending, &header);
    struct segment_block block = {
        .bytes = header.bytes,
        .entries = header.entries,
        .first_ns = header.first_ns,
        .last_ns = header.last_ns,
        .data_bytes = header.parts[1].raw,
        .tag = header.tag,
        .first_stamp = writer->block_stamp,
    };
    put_index(writer, offset, &block);
    writer->block_stamp = UINT64_MAX;
    writer->raw_bytes += block.data_bytes;
    filter_end_block(&writer->filter);
    if (filter_is_full(&writer->filter)) {
        finish_filters(writer);
    }
    return writer->pending.bytes >= WRITE_BYTES ? write_pending(writer) : 0;
}

static void note_tag(struct segment_writer *writer, uint16_t tag)
{
    if (writer->any_tag && writer->last_tag == tag) {
        return;
    }
    CHECK(!writer->any_tag || writer->last_tag < tag);
    struct span name = series_tags_name(writer->names.tags, tag);
    wire_put_u16(&writer->tag_names, tag);
    wire_put_u16(&writer->tag_names, (uint16_t)name.bytes);
    buf_append(&writer->tag_names, name);
    writer->any_tag = true;
    writer->last_tag = tag;
    writer->tags_count++;
}

static void note_origin(struct segment_writer *writer, uint16_t origin)
{
    if (writer->any_origin && writer->last_origin == origin) {
        return;
    }
    writer->any_origin = true;
    writer->last_origin = origin;
    for (size_t i = 0; i < writer->origins.count; i++) {
        if (writer->origins.items[i] == origin) {
            return;
        }
    }
    vec_push(&writer->origins, origin);
}

int segment_writer_add(struct segment_writer *writer, const struct entry *entry)
{
    bool large = entry->data.bytes + entry->enumerated.bytes >= BLOCK_DATA_BYTES_TARGET;
    int rc = 0;
    bool other_tag = writer->any_tag && writer->last_tag != entry->tag;
    if (large || other_tag) {
        rc = finish_block(writer);
    }
    if (rc < 0) {
        return rc;
    }
    if (other_tag) { /* blocks of one tag have about as many tokens */
        finish_filters(writer);
    }
    note_tag(writer, entry->tag);
    note_origin(writer, entry->stamp.origin);
    writer->block_stamp = MIN(writer->block_stamp, entry->stamp.time);
    block_writer_add(writer->block, entry);
    filter_add(&writer->filter, entry->data);
    return block_writer_is_full(writer->block) ? finish_block(writer) : 0;
}

/* All that the source's stamps name: which of them are in the blocks is not looked at. */
static void note_origins_of(struct segment_writer *writer, const struct segment *source)
{
    for (size_t at = 0; at < source->origins.bytes; at += SEGMENT_ORIGIN_BYTES) {
        note_origin(writer, wire_load_u16(source->origins.data + at));
    }
}

static int copy_block(struct segment_writer *writer, struct segment *source, size_t index,
                      struct buf *raw, bool *ret_first_time)
{
    const struct segment_block *block = &source->blocks[index];
    int rc = segment_read_packed(source, index, raw, ret_first_time);
    if (rc < 0) {
        return rc;
    }
    uint64_t offset = end_of(writer);
    block_seal(raw->data, raw->bytes, offset);
    buf_append(&writer->pending, buf_span(raw));
    put_index(writer, offset, block);
    return writer->pending.bytes >= WRITE_BYTES ? write_pending(writer) : 0;
}

static int copy_blocks(struct segment_writer *writer, struct segment *source, size_t from,
                       size_t to, bool *ret_first_time)
{
    struct buf raw = {0};
    int rc = finish_block(writer);
    if (rc == 0) {
        finish_filters(writer);
        note_tag(writer, source->blocks[from].tag);
        note_origins_of(writer, source);
    }
    for (size_t i = from; rc == 0 && i < to; i++) {
        rc = copy_block(writer, source, i, &raw, ret_first_time);
    }
    buf_deinit(&raw);
    return rc;
}

int segment_writer_add_blocks(struct segment_writer *writer, struct segment *source, size_t from,
                              size_t to, bool *ret_first_time)
{
    struct filter_group *group = segment_filters(source, from);
    struct filter_group copy;
    uint8_t *bits = NULL;
    CHECK(group != NULL && from < to && to - group->first <= group->blocks);
    int rc = segment_cut_filters(source, group, from, to, &bits, ret_first_time);
    if (rc < 0) {
        return rc == ERR_CORRUPT ? SEGMENT_NO_FILTERS : rc;
    }
    rc = copy_blocks(writer, source, from, to, ret_first_time);
    if (rc == 0) {
        filter_put(group, (uint32_t)(to - from), bits, end_of(writer), &writer->pending, &copy);
        put_group(writer, &copy);
    }
    mem_free(bits);
    return rc;
}

static int finish_points(struct segment_writer *writer)
{
    if (writer->points == NULL || points_block_writer_count(writer->points) == 0) {
        return 0;
    }
    uint64_t offset = end_of(writer);
    struct points_block_header header;
    points_block_writer_finish(writer->points, offset, &writer->pending, &header);
    wire_put_u64(&writer->points_index, offset);
    wire_put_u32(&writer->points_index, header.bytes);
    wire_put_u32(&writer->points_index, header.elements);
    wire_put_u32(&writer->points_index, header.first_series);
    wire_put_u32(&writer->points_index, header.last_series);
    wire_put_i64(&writer->points_index, header.first_ns);
    wire_put_i64(&writer->points_index, header.last_ns);
    wire_put_u64(&writer->points_index, header.first_stamp);
    wire_put_u64(&writer->points_index, header.last_stamp);
    wire_put_u64(&writer->points_index, 0);
    writer->points_blocks++;
    return writer->pending.bytes >= WRITE_BYTES ? write_pending(writer) : 0;
}

int segment_writer_add_point(struct segment_writer *writer, uint32_t series,
                             const struct element *element)
{
    if (writer->points == NULL) {
        int rc = finish_block(writer);
        if (rc < 0) {
            return rc;
        }
        finish_filters(writer);
        writer->points = points_block_writer_new(writer->zstd_level);
    }
    struct segment_series *last =
        writer->series.count > 0 ? &writer->series.items[writer->series.count - 1] : NULL;
    if (last == NULL || last->number != series) {
        CHECK(last == NULL || last->number < series);
        vec_push(&writer->series, (struct segment_series){series, element->stamp.time});
    } else {
        last->newest_stamp = MAX(last->newest_stamp, element->stamp.time);
    }
    note_origin(writer, element->stamp.origin);
    points_block_writer_add(writer->points, series, element);
    return points_block_writer_is_full(writer->points) ? finish_points(writer) : 0;
}

static void put_origins(struct segment_writer *writer, struct buf *footer)
{
    uint32_t known = 0;
    size_t begin = footer->bytes;
    wire_put_u32(footer, 0);
    for (size_t i = 0; i < writer->origins.count; i++) {
        struct series_origin origin;
        if (writer->names.origins != NULL &&
            series_origins_get(writer->names.origins, writer->origins.items[i], &origin)) {
            wire_put_u16(footer, writer->origins.items[i]);
            buf_append(footer, span_of(origin.node.bytes, sizeof(origin.node.bytes)));
            wire_put_u64(footer, origin.incarnation);
            known++;
        }
    }
    wire_store_u32(footer->data + begin, known);
}

static int put_table(struct segment_writer *writer, struct buf *footer)
{
    struct segment_table table = {.offset = end_of(writer)};
    if (writer->series.count > 0) {
        int rc = segment_table_pack(writer->series.items, writer->series.count, &writer->names,
                                    SEGMENT_TABLE_BYTES_MAX, &writer->pending, &table);
        if (rc < 0) {
            return rc;
        }
    }
    wire_put_u64(footer, table.offset);
    wire_put_u32(footer, table.bytes);
    wire_put_u32(footer, table.raw_bytes);
    wire_put_u32(footer, table.sum);
    wire_put_u32(footer, table.count);
    return 0;
}

static int write_footer(struct segment_writer *writer)
{
    struct buf footer = {0};
    finish_filters(writer);
    put_about(&footer, &writer->about);
    wire_put_u32(&footer, writer->tags_count);
    buf_append(&footer, buf_span(&writer->tag_names));
    wire_put_u32(&footer, writer->blocks);
    buf_append(&footer, buf_span(&writer->index));
    wire_put_u32(&footer, writer->filters_count);
    buf_append(&footer, buf_span(&writer->filters));
    buf_append(&footer, buf_span(&writer->stamps));
    wire_put_u32(&footer, writer->points_blocks);
    buf_append(&footer, buf_span(&writer->points_index));
    wire_put_u64(&footer, writer->about.deletes_end);
    put_origins(writer, &footer);
    int rc = put_table(writer, &footer);
    if (rc < 0) {
        buf_deinit(&footer);
        return rc;
    }
    uint64_t offset = end_of(writer);
    uint32_t bytes = (uint32_t)footer.bytes;
    uint32_t sum = hash32(buf_span(&footer));
    wire_put_u64(&footer, offset);
    wire_put_u32(&footer, bytes);
    wire_put_u32(&footer, sum);
    buf_append_str(&footer, SEGMENT_TRAILER_MAGIC);
    buf_append(&writer->pending, buf_span(&footer));
    buf_deinit(&footer);
    return write_pending(writer);
}

bool segment_writer_is_empty(const struct segment_writer *writer)
{
    return writer->tags_count == 0 && writer->series.count == 0;
}

int segment_writer_finish(struct segment_writer **place)
{
    struct segment_writer *writer = *place;
    int rc = finish_block(writer);
    if (rc == 0) {
        rc = finish_points(writer);
    }
    if (rc == 0) {
        rc = write_footer(writer);
    }
    if (rc == 0) {
        rc = io_sync(writer->file);
    }
    segment_writer_abort(place);
    return rc;
}
