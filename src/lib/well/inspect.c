#include "well/inspect.h"

#include <inttypes.h>

#include "base/mem.h"
#include "well/partition.h"
#include "well/segment_format.h"

struct inspect {
    struct io *io;
    const char *dir;
    const struct well_visitor *visitor;
    VEC(struct well_file_name) files;
    bool has_mark;
    uint64_t mark;

    /* of the file */
    struct segment *segment;
    const char *name;
    uint64_t faults;
    uint64_t checked; /* bytes of it that some checksum is about */
    struct block_reader *blocks;
    struct points_block_reader *points;
    struct buf raw;
};

static int take_name(void *context, const char *name)
{
    struct inspect *inspect = context;
    struct well_file_name file;
    struct well_mark mark;
    if (well_file_name_parse(span_of_str(name), &file)) {
        vec_push(&inspect->files, file);
    } else if (well_mark_name_parse(span_of_str(name), &mark)) {
        inspect->has_mark = true;
        inspect->mark = MAX(inspect->mark, mark.flush);
    }
    return 0;
}

static bool is_void(const struct inspect *inspect, const struct well_file_name *file)
{
    bool replaced = inspect->has_mark && file->first > inspect->mark;
    for (size_t i = 0; i < inspect->files.count && !replaced; i++) {
        replaced = well_file_supersedes(&inspect->files.items[i], file);
    }
    return replaced;
}

/* Tells the last fault if it is damage; other faults, of the disk, end the walk. */
static int tell(struct inspect *inspect, int rc)
{
    const struct well_visitor *visitor = inspect->visitor;
    if (rc != ERR_CORRUPT && rc != ERR_UNSUPPORTED) {
        return rc;
    }
    inspect->faults++;
    return visitor->damage != NULL ? visitor->damage(visitor->context, inspect->name, err_text())
                                   : 0;
}

static int tell_that(struct inspect *inspect, const char *what, uint64_t offset)
{
    return tell(inspect, err_set(ERR_CORRUPT, "%s: %s at %" PRIu64, inspect->segment->file->path,
                                 what, offset));
}

static int check_block(struct inspect *inspect, size_t index, struct block *block)
{
    const struct segment_block *about = &inspect->segment->blocks[index];
    bool first_time;
    inspect->checked += about->bytes;
    int rc =
        segment_read(inspect->segment, index, inspect->blocks, &inspect->raw, block, &first_time);
    if (rc < 0) {
        return tell(inspect, rc);
    }
    bool fits = block->count == about->entries && block->entries[0].tag == about->tag &&
                block->entries[0].time_ns == about->first_ns &&
                block->entries[block->count - 1].time_ns == about->last_ns;
    return fits ? 0 : tell_that(inspect, "the index does not fit the block", about->offset);
}

static int check_entries(struct inspect *inspect)
{
    struct block block = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < inspect->segment->blocks_count; i++) {
        rc = check_block(inspect, i, &block);
    }
    block_deinit(&block);
    return rc;
}

static int check_points(struct inspect *inspect)
{
    struct segment *segment = inspect->segment;
    struct points_block block = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < segment->points_count; i++) {
        const struct segment_points *about = &segment->points[i];
        bool first_time;
        inspect->checked += about->bytes;
        rc = segment_read_points(segment, i, inspect->points, NULL, 0, &inspect->raw, &block,
                                 &first_time);
        if (rc < 0) {
            rc = tell(inspect, rc);
        } else if (block.count != about->elements) {
            rc = tell_that(inspect, "the index does not fit the block", about->offset);
        }
    }
    points_block_deinit(&block);
    return rc;
}

static int check_filters(struct inspect *inspect)
{
    struct segment *segment = inspect->segment;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < segment->filters_count; i++) {
        struct filter_group *group = &segment->filters[i];
        uint8_t *bits = NULL;
        bool first_time;
        inspect->checked += filter_group_bytes(group);
        if (group->rows > 0) {
            rc = segment_cut_filters(segment, group, group->first, group->first + group->blocks,
                                     &bits, &first_time);
            rc = rc < 0 ? tell(inspect, rc) : 0;
            mem_free(bits);
        }
    }
    return rc;
}

static int no_matter(void *context, uint32_t number, struct span key, uint64_t newest_stamp)
{
    (void)context, (void)number, (void)newest_stamp;
    return key.bytes > 0 ? series_key_check(key) : 0;
}

static int check_table(struct inspect *inspect)
{
    inspect->checked += inspect->segment->table.bytes;
    bool first_time;
    int rc = segment_each_series(inspect->segment, no_matter, NULL, &first_time);
    return rc < 0 ? tell(inspect, rc) : rc;
}

/* Nothing stands in a file that no checksum is about. */
static int check_extent(struct inspect *inspect)
{
    const struct segment *segment = inspect->segment;
    uint64_t wanted = segment->footer_offset - SEGMENT_HEADER_BYTES;
    return segment->footer_damaged || inspect->checked == wanted
               ? 0
               : tell(inspect,
                      err_set(ERR_CORRUPT,
                              "%s: %" PRIu64 " bytes are in the index, %" PRIu64 " in the file",
                              segment->file->path, inspect->checked, wanted));
}

static int check_frame(struct inspect *inspect)
{
    const struct segment *segment = inspect->segment;
    int rc = 0;
    if (segment->header_damaged) {
        rc = tell_that(inspect, "the header is damaged,", 0);
    }
    if (rc == 0 && segment->footer_damaged) {
        rc =
            tell(inspect,
                 err_set(ERR_CORRUPT, "%s: the footer is damaged; %zu blocks were found without it",
                         segment->file->path, segment->blocks_count + segment->points_count));
    }
    return rc;
}

static int check(struct inspect *inspect)
{
    int (*const checks[])(struct inspect *) = {check_entries, check_points, check_filters,
                                               check_table, check_extent};
    int rc = check_frame(inspect);
    for (size_t i = 0; rc == 0 && inspect->visitor->verifies && i < ARRAY_COUNT(checks); i++) {
        rc = checks[i](inspect);
    }
    return rc;
}

static int look_at(struct inspect *inspect, const char *path, const struct well_file_name *file)
{
    struct well_seen_file seen = {.name = inspect->name, .is_void = is_void(inspect, file)};
    inspect->faults = 0;
    inspect->checked = 0;
    int rc = segment_open(inspect->io, path, file->first, file->last, &inspect->segment);
    if (rc == ERR_NOT_FOUND) {
        return 0;
    }
    if (rc == 0) {
        seen.bytes = inspect->segment->bytes;
        seen.entries = inspect->segment->entries;
        seen.points = inspect->segment->elements;
        seen.oldest_ns = inspect->segment->oldest_ns;
        seen.newest_ns = inspect->segment->newest_ns;
        seen.packed_level = inspect->segment->packed_level;
        rc = seen.is_void ? 0 : check(inspect);
    } else {
        rc = seen.is_void ? 0 : tell(inspect, rc);
    }
    segment_unref(&inspect->segment);
    seen.faults = inspect->faults;
    const struct well_visitor *visitor = inspect->visitor;
    return rc == 0 && visitor->file != NULL ? visitor->file(visitor->context, &seen) : rc;
}

int well_inspect(struct io *io, const char *dir, const struct well_visitor *visitor)
{
    struct inspect inspect = {.io = io, .dir = dir, .visitor = visitor};
    inspect.blocks = block_reader_new();
    inspect.points = points_block_reader_new();
    int rc = io_list(io, dir, take_name, &inspect);
    for (size_t i = 0; rc == 0 && i < inspect.files.count; i++) {
        char *path = well_file_name(dir, &inspect.files.items[i]);
        inspect.name = path + strlen(dir) + 1;
        rc = look_at(&inspect, path, &inspect.files.items[i]);
        mem_free(path);
    }
    vec_deinit(&inspect.files);
    buf_deinit(&inspect.raw);
    block_reader_free(&inspect.blocks);
    points_block_reader_free(&inspect.points);
    return rc;
}
