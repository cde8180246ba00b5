#include "well/segment.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/wire.h"

#define HEADER_BYTES 64
#define TRAILER_BYTES 24
#define INDEX_ENTRY_BYTES 40
#define WRITE_BYTES ((size_t)1 << 20)
#define FOOTER_BYTES_MAX (UINT32_C(1) << 30)
#define SCAN_BYTES ((size_t)4 << 20)

static const char header_magic[8] = {'A', 'Q', 'F', 'S', 'E', 'G', '0', '1'};
#define FILTER_SHARE 8 /* filters take this part of what their blocks take, if that is enough */
#define VERSION 2      /* 1: before there were filters */

/* The footer says where filters stand if the trailer ends with '2'. */
static const char trailer_magic[8] = {'A', 'Q', 'S', 'E', 'G', 'E', 'N', '2'};
static const char trailer_magic_plain[8] = {'A', 'Q', 'S', 'E', 'G', 'E', 'N', 'D'};

struct segment_writer {
    struct io_file *file;
    struct series_tags *tags;
    struct segment_about about;
    struct block_writer *block;
    uint16_t block_tag;
    struct buf pending; /* to be written at `written` */
    uint64_t written;
    struct buf index; /* footer's entries */
    struct filter_writer filter;
    struct buf filters; /* where the groups stand */
    uint32_t filters_count;
    uint32_t filtered;       /* blocks in them */
    uint64_t filtered_bytes; /* of the file up to the last group's end */
    struct buf names;
    uint32_t blocks;
    uint32_t tags_count;
    bool any_tag;
    uint16_t last_tag;
};

static void put_about(struct buf *buf, const struct segment_about *about)
{
    wire_put_u64(buf, about->first);
    wire_put_u64(buf, about->last);
    wire_put_u64(buf, about->log_end);
}

static void put_header(struct buf *buf, const struct segment_about *about)
{
    static const uint8_t zeros[24];
    buf_append(buf, span_of(header_magic, sizeof(header_magic)));
    wire_put_u32(buf, 0);
    wire_put_u32(buf, VERSION);
    put_about(buf, about);
    buf_append(buf, span_of(zeros, sizeof(zeros)));
    wire_store_u32(buf->data + 8, hash32(span_from(buf_span(buf), 12)));
}

int segment_writer_open(struct io *io, const char *path, struct segment_about about,
                        struct series_tags *tags, int zstd_level,
                        struct segment_writer **ret_writer)
{
    struct io_file *file;
    int rc = io_open(io, path, IO_WRITE | IO_CREATE | IO_TRUNCATE, &file);
    if (rc < 0) {
        return rc;
    }
    struct segment_writer *writer = MEM_NEW(struct segment_writer);
    writer->file = file;
    writer->tags = tags;
    writer->about = about;
    writer->block = block_writer_new(zstd_level);
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
    buf_deinit(&writer->pending);
    buf_deinit(&writer->index);
    buf_deinit(&writer->names);
    filter_deinit(&writer->filter);
    buf_deinit(&writer->filters);
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
                      const struct block_header *header)
{
    wire_put_u64(&writer->index, offset);
    wire_put_u32(&writer->index, header->bytes);
    wire_put_u32(&writer->index, header->entries);
    wire_put_i64(&writer->index, header->first_ns);
    wire_put_i64(&writer->index, header->last_ns);
    wire_put_u32(&writer->index, header->parts[1].raw);
    wire_put_u16(&writer->index, header->tag);
    wire_put_u16(&writer->index, 0);
    writer->blocks++;
}

static uint64_t end_of(const struct segment_writer *writer)
{
    return writer->written + writer->pending.bytes;
}

/* The filters of the blocks since the last group stand behind them. */
static void finish_filters(struct segment_writer *writer)
{
    if (writer->filtered == writer->blocks) {
        return;
    }
    struct filter_group group = {0};
    uint64_t blocks_bytes = end_of(writer) - writer->filtered_bytes;
    filter_end_group(&writer->filter, blocks_bytes / FILTER_SHARE, end_of(writer), &writer->pending,
                     &group);
    wire_put_u64(&writer->filters, group.offset);
    wire_put_u16(&writer->filters, (uint16_t)group.blocks);
    wire_put_u8(&writer->filters, group.word_probes);
    wire_put_u8(&writer->filters, group.number_probes);
    wire_put_u32(&writer->filters, group.rows);
    writer->filters_count++;
    writer->filtered = writer->blocks;
    writer->filtered_bytes = end_of(writer);
}

static int finish_block(struct segment_writer *writer)
{
    if (block_writer_count(writer->block) == 0) {
        return 0;
    }
    uint64_t offset = end_of(writer);
    struct block_header header;
    block_writer_finish(writer->block, offset, &writer->pending, &header);
    put_index(writer, offset, &header);
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
    struct span name = series_tags_name(writer->tags, tag);
    wire_put_u16(&writer->names, tag);
    wire_put_u16(&writer->names, (uint16_t)name.bytes);
    buf_append(&writer->names, name);
    writer->any_tag = true;
    writer->last_tag = tag;
    writer->tags_count++;
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
    block_writer_add(writer->block, entry);
    filter_add(&writer->filter, entry->data);
    return block_writer_is_full(writer->block) ? finish_block(writer) : 0;
}

static int write_footer(struct segment_writer *writer)
{
    finish_filters(writer);
    uint64_t offset = end_of(writer);
    struct buf footer = {0};
    put_about(&footer, &writer->about);
    wire_put_u32(&footer, writer->tags_count);
    buf_append(&footer, buf_span(&writer->names));
    wire_put_u32(&footer, writer->blocks);
    buf_append(&footer, buf_span(&writer->index));
    wire_put_u32(&footer, writer->filters_count);
    buf_append(&footer, buf_span(&writer->filters));
    uint32_t bytes = (uint32_t)footer.bytes;
    uint32_t sum = hash32(buf_span(&footer));
    wire_put_u64(&footer, offset);
    wire_put_u32(&footer, bytes);
    wire_put_u32(&footer, sum);
    buf_append(&footer, span_of(trailer_magic, sizeof(trailer_magic)));
    buf_append(&writer->pending, buf_span(&footer));
    buf_deinit(&footer);
    return write_pending(writer);
}

int segment_writer_finish(struct segment_writer **place)
{
    struct segment_writer *writer = *place;
    int rc = finish_block(writer);
    if (rc == 0) {
        rc = write_footer(writer);
    }
    if (rc == 0) {
        rc = io_sync(writer->file);
    }
    segment_writer_abort(place);
    return rc;
}

static int read_exactly(struct io_file *file, uint64_t offset, size_t bytes, struct buf *buf)
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
    int rc = read_exactly(segment->file, 0, HEADER_BYTES, &bytes);
    if (rc == 0 && (memcmp(bytes.data, header_magic, sizeof(header_magic)) != 0 ||
                    wire_load_u32(bytes.data + 8) != hash32(span_from(buf_span(&bytes), 12)))) {
        rc = err_set(ERR_CORRUPT, "%s: the header is damaged", segment->file->path);
    }
    if (rc == 0 &&
        (wire_load_u32(bytes.data + 12) < 1 || wire_load_u32(bytes.data + 12) > VERSION)) {
        rc = err_set(ERR_UNSUPPORTED, "%s: version %" PRIu32 " is not known", segment->file->path,
                     wire_load_u32(bytes.data + 12));
    }
    if (rc == 0) {
        *ret_about =
            (struct segment_about){wire_load_u64(bytes.data + 16), wire_load_u64(bytes.data + 24),
                                   wire_load_u64(bytes.data + 32)};
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
    if (reader->failed || reader->rest.bytes < (uint64_t)count * INDEX_ENTRY_BYTES) {
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
        if (bytes == 0 || bytes > segment->bytes || group->offset > segment->bytes - bytes ||
            group->blocks > segment->blocks_count - first) {
            return err_set(ERR_CORRUPT, "the footer's filters do not fit");
        }
        first += group->blocks;
    }
    return wire_finish(reader) < 0 ? err_set(ERR_CORRUPT, "the footer is too long") : 0;
}

static int parse_footer(struct segment *segment, struct span footer, bool filters,
                        struct segment_about *about)
{
    struct wire_reader reader = wire_reader_of(footer);
    about->first = wire_get_u64(&reader);
    about->last = wire_get_u64(&reader);
    about->log_end = wire_get_u64(&reader);
    int rc = take_names(segment, &reader);
    rc = rc < 0 ? rc : take_index(segment, &reader);
    return rc < 0 || !filters ? rc : take_filters(segment, &reader);
}

static int read_footer(struct segment *segment, struct segment_about *ret_about)
{
    if (segment->bytes < HEADER_BYTES + TRAILER_BYTES) {
        return err_set(ERR_CORRUPT, "%s: cut off", segment->file->path);
    }
    struct buf bytes = {0};
    int rc = read_exactly(segment->file, segment->bytes - TRAILER_BYTES, TRAILER_BYTES, &bytes);
    uint64_t offset = 0;
    uint32_t footer_bytes = 0;
    uint32_t sum = 0;
    bool filters = false;
    if (rc == 0) {
        offset = wire_load_u64(bytes.data);
        footer_bytes = wire_load_u32(bytes.data + 8);
        sum = wire_load_u32(bytes.data + 12);
        filters = memcmp(bytes.data + 16, trailer_magic, sizeof(trailer_magic)) == 0;
        if ((!filters &&
             memcmp(bytes.data + 16, trailer_magic_plain, sizeof(trailer_magic)) != 0) ||
            footer_bytes > FOOTER_BYTES_MAX ||
            offset != segment->bytes - TRAILER_BYTES - footer_bytes) {
            rc = err_set(ERR_CORRUPT, "%s: the trailer is damaged", segment->file->path);
        }
    }
    if (rc == 0) {
        rc = read_exactly(segment->file, offset, footer_bytes, &bytes);
    }
    if (rc == 0 && hash32(buf_span(&bytes)) != sum) {
        rc = err_set(ERR_CORRUPT, "%s: the footer is damaged", segment->file->path);
    }
    if (rc == 0) {
        rc = parse_footer(segment, buf_span(&bytes), filters, ret_about);
    }
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

/* The whole block at `offset`, if there is one. */
static int probe(struct segment *segment, uint64_t offset, struct buf *raw,
                 struct segment_block *ret_block)
{
    struct block_header header;
    if (segment->bytes - offset < BLOCK_HEADER_BYTES) {
        return ERR_CORRUPT;
    }
    int rc = read_exactly(segment->file, offset, BLOCK_HEADER_BYTES, raw);
    if (rc == 0) {
        rc = block_header_read(buf_span(raw), &header);
    }
    if (rc == 0 && header.bytes > segment->bytes - offset) {
        rc = ERR_CORRUPT;
    }
    if (rc == 0) {
        rc = read_exactly(segment->file, offset, header.bytes, raw);
    }
    if (rc == 0) {
        rc = block_check(buf_span(raw), offset, &header);
    }
    if (rc == 0) {
        *ret_block = (struct segment_block){offset,          header.bytes,   header.entries,
                                            header.first_ns, header.last_ns, header.parts[1].raw,
                                            header.tag,      false};
    }
    return rc;
}

/* Offset of the next place from `offset` on that looks like a block's beginning. */
static int next_magic(struct segment *segment, uint64_t offset, struct buf *raw, uint64_t *ret_at)
{
    while (offset + BLOCK_HEADER_BYTES <= segment->bytes) {
        size_t bytes = (size_t)MIN(segment->bytes - offset, SCAN_BYTES);
        int rc = read_exactly(segment->file, offset, bytes, raw);
        if (rc < 0) {
            return rc;
        }
        ptrdiff_t at = span_find(buf_span(raw), SPAN_LIT("AQB") /* of any version */);
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
    VEC(struct segment_block) blocks = {0};
    struct buf raw = {0};
    uint64_t offset = HEADER_BYTES;
    int rc = 0;
    while (rc == 0 && offset < segment->bytes) {
        struct segment_block block;
        rc = probe(segment, offset, &raw, &block);
        if (rc == 0) {
            vec_push(&blocks, block);
            offset += block.bytes;
        } else if (rc == ERR_CORRUPT) {
            rc = next_magic(segment, offset + 1, &raw, &offset);
        }
    }
    buf_deinit(&raw);
    if (blocks.count > 0) {
        qsort(blocks.items, blocks.count, sizeof(*blocks.items), by_tag);
    }
    segment->blocks = blocks.items;
    segment->blocks_count = blocks.count;
    return rc;
}

static void sum_up(struct segment *segment)
{
    segment->oldest_ns = TIME_MAX_NS;
    segment->newest_ns = INT64_MIN;
    for (size_t i = 0; i < segment->blocks_count; i++) {
        const struct segment_block *block = &segment->blocks[i];
        segment->entries += block->entries;
        segment->data_bytes += block->data_bytes;
        segment->oldest_ns = MIN(segment->oldest_ns, block->first_ns);
        segment->newest_ns = MAX(segment->newest_ns, block->last_ns);
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
    rc = read_footer(segment, &about);
    if (rc == ERR_CORRUPT) {
        about.log_end = log_end;
        mem_free(segment->blocks);
        mem_free(segment->filters);
        segment->blocks = NULL;
        segment->filters = NULL;
        segment->filters_count = 0;
        segment->footer_damaged = true;
        rc = rebuild_index(segment);
    }
    segment->log_end = about.log_end;
    return rc;
}

int segment_open(struct io *io, const char *path, uint64_t first, uint64_t last,
                 struct segment **ret_segment)
{
    struct segment *segment = MEM_NEW(struct segment);
    segment->references = 1;
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
    mem_free(segment->filters);
    buf_deinit(&segment->names);
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

int segment_read(struct segment *segment, size_t index, struct block_reader *reader,
                 struct buf *raw, struct block *block, bool *ret_first_time)
{
    struct segment_block *about = &segment->blocks[index];
    if (about->bytes > segment->bytes || about->offset > segment->bytes - about->bytes) {
        *ret_first_time = !__atomic_exchange_n(&about->damaged, true, __ATOMIC_ACQ_REL);
        return err_set(ERR_CORRUPT, "%s: a block lies outside", segment->file->path);
    }
    int rc = read_exactly(segment->file, about->offset, about->bytes, raw);
    if (rc == 0) {
        rc = block_read(reader, buf_span(raw), about->offset, block);
    }
    if (rc == ERR_CORRUPT) {
        *ret_first_time = !__atomic_exchange_n(&about->damaged, true, __ATOMIC_ACQ_REL);
        return err_wrap(rc, "%s: block at %" PRIu64 " (%" PRIu32 " entries)", segment->file->path,
                        about->offset, about->entries);
    }
    return rc;
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
            return group;
        }
    }
    return NULL;
}

static int read_piece(void *context, uint64_t offset, uint8_t *bytes, size_t count)
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
    int rc = filter_find(group, tokens, read_piece, segment->file, ret_blocks);
    if (rc < 0) {
        memset(ret_blocks, 0xFF, sizeof(*ret_blocks));
        *ret_first_time = !__atomic_exchange_n(&group->damaged, true, __ATOMIC_ACQ_REL);
        return err_wrap(rc, "%s", segment->file->path);
    }
    return 0;
}
