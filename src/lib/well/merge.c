/*
 * Merging neighbouring segments. Tested by well_test.c.
 */
#include "base/mem.h"
#include "base/time.h"
#include "well/internal.h"

#define MERGE_ZSTD_LEVEL 3
#define TIER_BYTES_MIN ((uint64_t)64 * 1024)

/* A damaged file stays as it is, so that it can be repaired. */
static bool is_damaged(const struct segment *segment)
{
    for (size_t i = 0; i < segment->blocks_count; i++) {
        if (__atomic_load_n(&segment->blocks[i].damaged, __ATOMIC_ACQUIRE)) {
            return true;
        }
    }
    return segment->header_damaged || segment->footer_damaged;
}

static unsigned tier_of(const struct well *well, const struct segment *segment)
{
    unsigned tier = 0;
    for (uint64_t bytes = segment->bytes / TIER_BYTES_MIN; bytes >= well->merge_files;
         bytes /= well->merge_files) {
        tier++;
    }
    return tier;
}

/* The length of the run of neighbours from `from` on that may be merged at this tier. */
static size_t run_length(const struct well *well, size_t from, unsigned tier)
{
    uint64_t bytes = 0;
    size_t length = 0;
    while (from + length < well->segments.count && length < 4 * (size_t)well->merge_files) {
        const struct segment *segment = well->segments.items[from + length];
        bytes += segment->bytes;
        if (segment->partition != well->segments.items[from]->partition ||
            tier_of(well, segment) > tier || is_damaged(segment) ||
            bytes > well->segment_bytes_max) {
            break;
        }
        length++;
    }
    return length;
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
            size_t length = run_length(well, from, tier);
            for (size_t i = 0; length >= well->merge_files && i < length; i++) {
                vec_push(run, segment_ref(well->segments.items[from + i]));
            }
        }
    }
    pthread_mutex_unlock(&well->lock);
}

static int copy_tag(struct well *well, const segments_vec *run, uint16_t tag,
                    struct segment_writer *writer)
{
    struct well_scan scan = {
        .start_ns = TIME_UNSET, .end_ns = TIME_MAX_NS, .tags = &tag, .tags_count = 1};
    struct well_cursor *cursor;
    struct well_block block;
    int rc = well_cursor_over(well, run->items, run->count, &scan, &cursor);
    while (rc == 0 && (rc = well_cursor_next(cursor, &block)) == 0) {
        for (size_t i = 0; rc == 0 && i < block.count; i++) {
            rc = segment_writer_add(writer, &block.entries[i]);
        }
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

static int write_merged(struct well *well, const segments_vec *run, const char *temp)
{
    struct segment_about about = {run->items[0]->first, run->items[run->count - 1]->last, 0};
    for (size_t i = 0; i < run->count; i++) {
        about.log_end = MAX(about.log_end, run->items[i]->log_end);
    }
    struct segment_writer *writer = NULL;
    int rc = segment_writer_open(well->io, temp, about, well->tags, MERGE_ZSTD_LEVEL, &writer);
    if (rc < 0) {
        return rc;
    }
    uint8_t *has = mem_alloc(UINT16_MAX + 1);
    find_tags(run, has);
    for (uint32_t tag = 0; rc == 0 && tag <= UINT16_MAX; tag++) {
        rc = has[tag] != 0 ? copy_tag(well, run, (uint16_t)tag, writer) : 0;
    }
    mem_free(has);
    if (rc < 0) {
        segment_writer_abort(&writer);
        return rc;
    }
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
    pthread_mutex_lock(&well->lock);
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

static int merge_run(struct well *well, const segments_vec *run)
{
    char *temp = mem_printf("%s/merge.tmp", well->dir);
    struct segment *merged = NULL;
    int rc = write_merged(well, run, temp);
    if (rc == 0) {
        rc = publish(well, temp, run, &merged);
    } else {
        char text[ERR_TEXT_BYTES_MAX];
        strcpy(text, err_text());
        (void)!io_remove(well->io, temp);
        rc = err_set((enum err)rc, "%s", text);
    }
    mem_free(temp);
    if (rc < 0) {
        return withdraw(well, run, rc);
    }
    replace(well, run, merged);
    return remove_files(well, run);
}

int well_merge(struct well *well)
{
    segments_vec run = {0};
    int rc = WELL_NOTHING;
    pthread_mutex_lock(&well->merging);
    if (!well->merging_stopped) {
        choose(well, &run);
    }
    if (run.count > 0) {
        rc = merge_run(well, &run);
    }
    for (size_t i = 0; i < run.count; i++) {
        segment_unref(&run.items[i]);
    }
    vec_deinit(&run);
    pthread_mutex_unlock(&well->merging);
    return rc < 0 ? err_wrap(rc, "merge in well %s", well->name) : rc;
}
