/*
 * Merging neighbouring segments. Tested by well_test.c.
 */
#include "base/mem.h"
#include "base/time.h"
#include "well/internal.h"
#include "well/points.h"

#define MERGE_ZSTD_LEVEL                                                                           \
    1 /* 3 takes more time, and no less room; what stays is packed (pack.c)                        \
       */

/* Blocks of less raw data than that, or than this part of a memtable, are unpacked and made larger
 * ones: each time that blocks are taken as they are may leave one behind that is not full. */
#define WHOLE_BYTES_MIN ((uint64_t)4 << 20)
#define WHOLE_PART 16

static unsigned tier_of(const struct well *well, const struct segment *segment)
{
    unsigned tier = 0;
    for (uint64_t bytes = segment->bytes / WELL_SMALL_BYTES; bytes >= well->merge_files;
         bytes /= well->merge_files) {
        tier++;
    }
    return tier;
}

/* Neighbours that could be merged. */
struct window {
    size_t from;
    size_t length;
    uint64_t bytes;
    uint64_t largest;
};

/* The neighbours from `from` on that may be merged at this tier. */
static struct window window_at(const struct well *well, size_t from, unsigned tier)
{
    struct window window = {.from = from};
    while (from + window.length < well->segments.count &&
           window.length < 4 * (size_t)well->merge_files) {
        const struct segment *segment = well->segments.items[from + window.length];
        if (segment->partition != well->segments.items[from]->partition ||
            tier_of(well, segment) > tier || segment_is_damaged(segment) ||
            window.bytes + segment->bytes > well->segment_bytes_max) {
            break;
        }
        window.bytes += segment->bytes;
        window.largest = MAX(window.largest, segment->bytes);
        window.length++;
    }
    return window;
}

/* What bounds the writing: each merge makes of its bytes a file that is larger by a factor, or
 * there is nothing but small files in it, each of which is an input once. */
static bool is_worth_it(const struct well *well, const struct window *window)
{
    return window->length >= well->merge_files &&
           (window->largest < WELL_SMALL_BYTES ||
            window->bytes / window->largest >= well->merge_files / 2);
}

/* Takes references to the neighbours that are worth merging; none when there are none. */
static void choose(struct well *well, segments_vec *run)
{
    pthread_mutex_lock(&well->lock);
    unsigned tiers = 0;
    for (size_t i = 0; i < well->segments.count; i++) {
        tiers = MAX(tiers, tier_of(well, well->segments.items[i]) + 1);
    }
    for (unsigned tier = 0; tier < tiers && run->count == 0; tier++) {
        for (size_t from = 0; from < well->segments.count && run->count == 0; from++) {
            struct window window = window_at(well, from, tier);
            for (size_t i = 0; is_worth_it(well, &window) && i < window.length; i++) {
                vec_push(run, segment_ref(well->segments.items[from + i]));
            }
        }
    }
    pthread_mutex_unlock(&well->lock);
}

/* Asked after each block. */
static int goes_on(struct well *well)
{
    return __atomic_load_n(&well->gives_up, __ATOMIC_RELAXED) ? WELL_NOTHING : 0;
}

/* Blocks that nothing interleaves with are taken without being unpacked. WELL_NOTHING: the next
 * ones cannot be; `packed` is what the new file is to be. */
static int take_blocks(struct well *well, struct well_cursor *cursor, uint8_t packed_level,
                       struct segment_writer *writer)
{
    struct segment *source;
    size_t from;
    size_t to;
    bool first_time = false;
    uint64_t bytes_min = MIN(well->memtable_bytes_max / WHOLE_PART, WHOLE_BYTES_MIN);
    if (!well_cursor_whole_blocks(cursor, bytes_min, &source, &from, &to) ||
        (packed_level > 0 && source->packed_level != packed_level)) {
        return WELL_NOTHING;
    }
    int rc = segment_writer_add_blocks(writer, source, from, to, &first_time);
    if (rc == ERR_CORRUPT || rc == SEGMENT_NO_FILTERS) {
        well_note_damage(well, first_time);
        return rc < 0 ? rc : WELL_NOTHING;
    }
    if (rc == 0) {
        well_cursor_pass(cursor, to - from);
    }
    return rc;
}

static int add_entries(struct well_cursor *cursor, struct segment_writer *writer)
{
    struct well_block block;
    int rc = well_cursor_next(cursor, &block);
    for (size_t i = 0; rc == 0 && i < block.count; i++) {
        rc = segment_writer_add(writer, &block.entries[i]);
    }
    return rc;
}

static int copy_tag(struct well *well, const segments_vec *run, const struct tombstones *tombstones,
                    uint16_t tag, uint8_t packed_level, struct segment_writer *writer)
{
    struct well_scan scan = {
        .start_ns = TIME_UNSET, .end_ns = TIME_MAX_NS, .tags = &tag, .tags_count = 1};
    struct well_cursor *cursor;
    int rc = well_cursor_over(well, run->items, run->count, tombstones, &scan, &cursor);
    while (rc == 0) {
        rc = take_blocks(well, cursor, packed_level, writer);
        rc = rc == WELL_NOTHING ? add_entries(cursor, writer) : rc;
        rc = rc == 0 ? goes_on(well) : rc;
    }
    well_cursor_close(&cursor);
    return rc == WELL_END ? 0 : rc;
}

static void find_tags(const segments_vec *run, uint8_t *has)
{
    for (size_t i = 0; i < run->count; i++) {
        for (size_t j = 0; j < run->items[i]->blocks_count; j++) {
            has[run->items[i]->blocks[j].tag] = 1;
        }
    }
}

static int copy_entries(struct well *well, const segments_vec *run,
                        const struct tombstones *tombstones, uint8_t packed_level,
                        struct segment_writer *writer)
{
    int rc = 0;
    uint8_t *has = mem_alloc(UINT16_MAX + 1);
    find_tags(run, has);
    for (uint32_t tag = 0; rc == 0 && tag <= UINT16_MAX; tag++) {
        rc = has[tag] != 0 ? copy_tag(well, run, tombstones, (uint16_t)tag, packed_level, writer)
                           : 0;
    }
    mem_free(has);
    return rc;
}

typedef VEC(uint32_t) series_vec;

static int take_series(void *context, uint32_t number, struct span key, uint64_t newest_stamp)
{
    series_vec *series = context;
    (void)key;
    (void)newest_stamp;
    vec_push(series, number);
    return 0;
}

static int copy_points(struct well *well, const segments_vec *run, struct tombstones *tombstones,
                       struct segment_writer *writer)
{
    series_vec series = {0};
    struct well_points_cursor *cursor = NULL;
    struct well_points points;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < run->count; i++) {
        bool first_time;
        rc = segment_each_series(run->items[i], take_series, &series, &first_time);
        well_note_damage(well, rc == ERR_CORRUPT && first_time);
    }
    if (rc == 0 && series.count > 0) {
        rc = well_points_cursor_over(well, run->items, run->count, tombstones, series.items,
                                     series.count, &cursor);
        while (rc == 0 && (rc = well_points_cursor_next(cursor, &points)) == 0) {
            for (size_t i = 0; rc == 0 && i < points.count; i++) {
                rc = segment_writer_add_point(writer, points.series, &points.elements[i]);
            }
            rc = rc == 0 ? goes_on(well) : rc;
        }
    }
    well_points_cursor_close(&cursor);
    vec_deinit(&series);
    return rc == WELL_END ? 0 : rc;
}

int well_write_run(struct well *well, const segments_vec *run, const char *temp,
                   uint8_t packed_level, bool *ret_empty)
{
    struct tombstones *tombstones = well_tombstones(well);
    struct segment_about about = {
        .first = run->items[0]->first,
        .last = run->items[run->count - 1]->last,
        .deletes_end = tombstones != NULL ? tombstones->end : 0,
        .packed_level = packed_level,
    };
    for (size_t i = 0; i < run->count; i++) {
        about.log_end = MAX(about.log_end, run->items[i]->log_end);
        about.flushed_ns = MAX(about.flushed_ns, run->items[i]->flushed_ns);
    }
    int level = packed_level > 0 ? packed_level : MERGE_ZSTD_LEVEL;
    struct segment_writer *writer = NULL;
    int rc = segment_writer_open(well->io, temp, about, &well->names, level, &writer);
    if (rc == 0) {
        rc = copy_entries(well, run, tombstones, packed_level, writer);
    }
    if (rc == 0) {
        rc = copy_points(well, run, tombstones, writer);
    }
    tombstones_unref(&tombstones);
    if (rc != 0) {
        segment_writer_abort(&writer);
        return rc;
    }
    *ret_empty = segment_writer_is_empty(writer);
    return segment_writer_finish(&writer);
}

static struct well_file_name name_of(const segments_vec *run)
{
    struct well_file_name name = well_segment_name(run->items[0]);
    name.last = run->items[run->count - 1]->last;
    return name;
}

/* temp -> its name, durably; then opens it. */
static int publish(struct well *well, const char *temp, const segments_vec *run,
                   struct segment **ret_segment)
{
    struct well_file_name name = name_of(run);
    char *path = well_file_name(well->dir, &name);
    int rc = io_rename(well->io, temp, path);
    if (rc == 0) {
        rc = io_sync_dir(well->io, well->dir);
    }
    mem_free(path);
    return rc < 0 ? rc : well_open_segment(well, &name, ret_segment);
}

/* The merged segment takes the place of the run. Only who holds `merging` takes segments off the
 * list, so the run still stands there, side by side. */
static void replace(struct well *well, const segments_vec *run, struct segment *merged)
{
    bool purged = run->count == 1 && merged->packed_level == run->items[0]->packed_level;
    pthread_mutex_lock(&well->lock);
    *(purged ? &well->purged_bytes : &well->merged_bytes) += merged->bytes;
    well->packed_bytes += !purged && merged->packed_level > 0 ? merged->bytes : 0;
    size_t at = 0;
    while (well->segments.items[at] != run->items[0]) {
        at++;
    }
    for (size_t i = 0; i < run->count; i++) {
        segment_unref(&well->segments.items[at + i]);
    }
    well->segments.items[at] = merged;
    size_t behind = well->segments.count - at - run->count;
    memmove(well->segments.items + at + 1, well->segments.items + at + run->count,
            behind * sizeof(*well->segments.items));
    well->segments.count -= run->count - 1;
    pthread_mutex_unlock(&well->lock);
}

/* What stays behind is superseded by its name alone. */
static int remove_files(struct well *well, const segments_vec *run)
{
    int rc = 0;
    for (size_t i = 0; i < run->count; i++) {
        char *path = well_segment_path(well, run->items[i]);
        int remove_rc = io_remove(well->io, path);
        rc = rc == 0 ? remove_rc : rc;
        mem_free(path);
    }
    return rc;
}

/* Publishing failed, maybe after the rename. The name must not stay: a later merge of another run
 * would overlap it. If it cannot be taken back there is no more merging until the well is opened
 * again, which settles which files are valid. */
static int withdraw(struct well *well, const segments_vec *run, int rc)
{
    char text[ERR_TEXT_BYTES_MAX];
    strcpy(text, err_text());
    struct well_file_name name = name_of(run);
    char *path = well_file_name(well->dir, &name);
    bool there = io_exists(well->io, path);
    if ((there && io_remove(well->io, path) < 0) || io_sync_dir(well->io, well->dir) < 0) {
        well->merging_stopped = true;
    }
    mem_free(path);
    return err_set((enum err)rc, "%s", text);
}

static int remove_temp(struct well *well, const char *temp, int rc)
{
    char text[ERR_TEXT_BYTES_MAX];
    strcpy(text, err_text());
    int remove_rc = io_remove(well->io, temp);
    return rc < 0 ? err_set((enum err)rc, "%s", text) : remove_rc < 0 ? remove_rc : rc;
}

/* A run of one is written anew under its own name: whichever of the two files a crash leaves, it
 * is a good one. */
int well_put_run(struct well *well, const segments_vec *run, const char *temp, int rc,
                 bool is_empty)
{
    struct segment *merged = NULL;
    if (rc != 0 || is_empty) {
        rc = remove_temp(well, temp, rc);
        return rc != 0 ? rc : well_drop_segments(well, run, false);
    }
    rc = publish(well, temp, run, &merged);
    if (rc < 0) {
        return run->count > 1 ? withdraw(well, run, rc) : rc;
    }
    replace(well, run, merged);
    return run->count > 1 ? remove_files(well, run) : 0;
}

bool well_has_room(struct well *well, const segments_vec *run)
{
    uint64_t left;
    uint64_t total;
    uint64_t bytes = 0;
    for (size_t i = 0; i < run->count; i++) {
        bytes += run->items[i]->bytes;
    }
    return io_space(well->io, well->dir, &left, &total) < 0 ||
           left >= bytes + MIN(well->space_kept_bytes, total / 8);
}

static int merge_run(struct well *well, const segments_vec *run)
{
    char *temp = mem_printf("%s/merge.tmp", well->dir);
    uint8_t level = run->count == 1 ? run->items[0]->packed_level : 0;
    bool is_empty = false;
    int rc = well_write_run(well, run, temp, level, &is_empty);
    rc = well_put_run(well, run, temp, rc, is_empty);
    mem_free(temp);
    return rc;
}

static void choose_purge(struct well *well, segments_vec *run)
{
    struct tombstones *tombstones = well_tombstones(well);
    struct segment *segment = tombstones != NULL ? well_choose_purge(well, tombstones) : NULL;
    if (segment != NULL) {
        vec_push(run, segment);
    }
    tombstones_unref(&tombstones);
}

void well_give_up(struct well *well)
{
    __atomic_store_n(&well->gives_up, true, __ATOMIC_RELAXED);
}

int well_merge(struct well *well)
{
    segments_vec run = {0};
    int rc = WELL_NOTHING;
    pthread_mutex_lock(&well->merging);
    if (!well->merging_stopped) { /* else what is written now may be superseded at the next start */
        choose(well, &run);
        if (run.count == 0) {
            choose_purge(well, &run);
        }
    }
    if (run.count == 1 || (run.count > 1 && well_has_room(well, &run))) {
        rc = merge_run(well, &run);
    }
    for (size_t i = 0; i < run.count; i++) {
        segment_unref(&run.items[i]);
    }
    vec_deinit(&run);
    pthread_mutex_unlock(&well->merging);
    return rc < 0 ? err_wrap(rc, "merge in well %s", well->name) : rc;
}
