#include "well/well.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/time.h"
#include "base/wire.h"
#include "well/internal.h"

#define MEMORY_PARTS 16

struct well_file_name well_segment_name(const struct segment *segment)
{
    return (struct well_file_name){segment->first, segment->last, segment->partition};
}

char *well_segment_path(const struct well *well, const struct segment *segment)
{
    struct well_file_name name = well_segment_name(segment);
    return well_file_name(well->dir, &name);
}

static struct well *well_new(const struct well_options *options)
{
    struct well *well = MEM_NEW(struct well);
    well->io = options->io;
    well->name = mem_strdup(options->name);
    well->dir = mem_strdup(options->dir != NULL ? options->dir : "");
    well->names = options->names;
    well->memtable_bytes_max =
        options->memtable_bytes_max > 0 ? options->memtable_bytes_max : WELL_MEMTABLE_BYTES_DEFAULT;
    well->segment_bytes_max =
        options->segment_bytes_max > 0 ? options->segment_bytes_max : WELL_SEGMENT_BYTES_DEFAULT;
    well->merge_files = options->merge_files > 0 ? options->merge_files : WELL_MERGE_FILES_DEFAULT;
    well->partition_ns =
        options->partition_ns > 0 ? options->partition_ns : WELL_PARTITION_NS_DEFAULT;
    well->memory_bytes_max = options->memory_bytes_max;
    well->space_kept_bytes = options->space_kept_bytes;
    well->pack_at_once = options->pack_at_once;
    well->cache = options->cache;
    if (well->memory_bytes_max > 0) { /* they go one by one */
        uint64_t part = well->memory_bytes_max / MEMORY_PARTS;
        well->memtable_bytes_max = MIN(well->memtable_bytes_max, part);
    }
    well->report = options->report;
    well->report_context = options->report_context;
    pthread_mutex_init(&well->lock, NULL);
    pthread_mutex_init(&well->flushing, NULL);
    pthread_mutex_init(&well->merging, NULL);
    return well;
}

void well_close(struct well **place)
{
    struct well *well = *place;
    *place = NULL;
    if (well == NULL) {
        return;
    }
    memtable_unref(&well->active);
    for (size_t i = 0; i < well->sealed.count; i++) {
        memtable_unref(&well->sealed.items[i]);
    }
    for (size_t i = 0; i < well->segments.count; i++) {
        segment_unref(&well->segments.items[i]);
    }
    for (size_t i = 0; i < well->dropped.count; i++) {
        segment_unref(&well->dropped.items[i]);
    }
    tombstones_unref(&well->tombstones);
    vec_deinit(&well->sealed);
    vec_deinit(&well->segments);
    vec_deinit(&well->dropped);
    pthread_mutex_destroy(&well->merging);
    pthread_mutex_destroy(&well->flushing);
    pthread_mutex_destroy(&well->lock);
    mem_free(well->name);
    mem_free(well->dir);
    mem_free(well);
}

const char *well_name(const struct well *well)
{
    return well->name;
}

void well_note_damage(struct well *well, bool first_time)
{
    if (!first_time) {
        return;
    }
    pthread_mutex_lock(&well->lock);
    well->corrupt_blocks++;
    pthread_mutex_unlock(&well->lock);
    if (well->report != NULL) {
        char *text = mem_printf("well %s: %s", well->name, err_text());
        well->report(well->report_context, text);
        mem_free(text);
    }
}

/* The names found in the directory. */
struct listing {
    struct well *well;
    VEC(struct well_file_name) files;
    VEC(struct well_mark) marks;
    VEC(char *) temps;
    const struct well_mark *mark; /* the last one; NULL: none */
};

static int take_name(void *context, const char *name)
{
    struct listing *listing = context;
    struct span text = span_of_str(name);
    struct well_file_name file;
    struct well_mark mark;
    if (span_ends_with(text, SPAN_LIT(".tmp"))) {
        vec_push(&listing->temps, mem_printf("%s/%s", listing->well->dir, name));
    } else if (well_file_name_parse(text, &file)) {
        vec_push(&listing->files, file);
    } else if (well_mark_name_parse(text, &mark)) {
        vec_push(&listing->marks, mark);
    }
    return 0;
}

static void find_mark(struct listing *listing)
{
    for (size_t i = 0; i < listing->marks.count; i++) {
        if (listing->mark == NULL || listing->marks.items[i].flush >= listing->mark->flush) {
            listing->mark = &listing->marks.items[i];
        }
    }
}

/* Superseded by another file, or of a flush that was not completed. */
static bool is_void(const struct listing *listing, const struct well_file_name *file)
{
    if (listing->mark != NULL && file->first > listing->mark->flush) {
        return true;
    }
    for (size_t i = 0; i < listing->files.count; i++) {
        if (well_file_supersedes(&listing->files.items[i], file)) {
            return true;
        }
    }
    return false;
}

static int remove_temps(struct listing *listing)
{
    int rc = 0;
    for (size_t i = 0; i < listing->temps.count; i++) {
        rc = rc == 0 ? io_remove(listing->well->io, listing->temps.items[i]) : rc;
        mem_free(listing->temps.items[i]);
    }
    vec_deinit(&listing->temps);
    return rc;
}

/* The catalogue learns the names that it lost; a contradiction is reported. */
static void restore_names(struct well *well, const struct segment *segment)
{
    struct span rest = buf_span(&segment->names);
    while (rest.bytes >= 4) {
        uint16_t tag = (uint16_t)(rest.data[0] | rest.data[1] << 8);
        uint16_t bytes = (uint16_t)(rest.data[2] | rest.data[3] << 8);
        struct span name = span_first(span_from(rest, 4), bytes);
        if (name.bytes > 0 && series_tags_restore(well->names.tags, name, tag) < 0) {
            well_note_damage(well, true);
        }
        rest = span_from(rest, 4 + (size_t)bytes);
    }
}

/* The same for the origins that stamps name. */
static void restore_origins(struct well *well, const struct segment *segment)
{
    struct wire_reader reader = wire_reader_of(buf_span(&segment->origins));
    while (well->names.origins != NULL && reader.rest.bytes > 0) {
        uint16_t number = wire_get_u16(&reader);
        struct series_origin origin;
        memcpy(origin.node.bytes, wire_get_raw(&reader, sizeof(origin.node.bytes)).data,
               sizeof(origin.node.bytes));
        origin.incarnation = wire_get_u64(&reader);
        if (series_origins_restore(well->names.origins, &origin, number) < 0) {
            well_note_damage(well, true);
        }
    }
}

int well_open_segment(struct well *well, const struct well_file_name *name,
                      struct segment **ret_segment)
{
    char *path = well_file_name(well->dir, name);
    int rc = segment_open(well->io, path, name->first, name->last, ret_segment);
    if (rc == 0) {
        (*ret_segment)->partition = name->partition;
    }
    mem_free(path);
    return rc;
}

static bool stands_before(const struct segment *a, const struct segment *b)
{
    return a->partition != b->partition ? a->partition < b->partition : a->first < b->first;
}

void well_insert_segment(struct well *well, struct segment *segment)
{
    vec_push(&well->segments, segment);
    size_t at = well->segments.count - 1;
    while (at > 0 && stands_before(segment, well->segments.items[at - 1])) {
        well->segments.items[at] = well->segments.items[at - 1];
        at--;
    }
    well->segments.items[at] = segment;
}

static int open_file(struct well *well, const struct well_file_name *file)
{
    struct segment *segment = NULL;
    int rc = well_open_segment(well, file, &segment);
    if (rc < 0) {
        return rc;
    }
    if (segment->header_damaged) {
        (void)err_set(ERR_CORRUPT, "%s: the header is damaged", segment->file->path);
        well_note_damage(well, true);
    }
    if (segment->footer_damaged) {
        (void)err_set(ERR_CORRUPT, "%s: the footer is damaged; %zu blocks were found without it",
                      segment->file->path, segment->blocks_count);
        well_note_damage(well, true);
    }
    well_insert_segment(well, segment);
    restore_names(well, segment);
    restore_origins(well, segment);
    return 0;
}

static int open_files(struct listing *listing)
{
    struct well *well = listing->well;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < listing->files.count; i++) {
        const struct well_file_name *file = &listing->files.items[i];
        if (is_void(listing, file)) {
            char *path = well_file_name(well->dir, file);
            rc = io_remove(well->io, path);
            mem_free(path);
        } else {
            rc = open_file(well, file);
        }
    }
    return rc;
}

int well_write_mark(struct well *well, const struct well_mark *mark)
{
    char *path = well_mark_name(well->dir, mark);
    struct io_file *file = NULL;
    int rc = io_open(well->io, path, IO_WRITE | IO_CREATE, &file);
    io_close(&file);
    mem_free(path);
    return rc < 0 ? rc : io_sync_dir(well->io, well->dir);
}

/* A well without a mark is new, or older than marks, or has lost it: all its files count. */
static int make_mark(struct well *well)
{
    for (size_t i = 0; i < well->segments.count; i++) {
        well->mark.flush = MAX(well->mark.flush, well->segments.items[i]->last);
        well->mark.log_end = MAX(well->mark.log_end, well->segments.items[i]->log_end);
    }
    return well_write_mark(well, &well->mark);
}

static int settle_mark(struct listing *listing)
{
    struct well *well = listing->well;
    if (listing->mark == NULL) {
        return make_mark(well);
    }
    well->mark = *listing->mark;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < listing->marks.count; i++) {
        if (&listing->marks.items[i] != listing->mark) {
            char *path = well_mark_name(well->dir, &listing->marks.items[i]);
            rc = io_remove(well->io, path);
            mem_free(path);
        }
    }
    return rc;
}

int well_open(const struct well_options *options, struct well **ret_well)
{
    struct well *well = well_new(options);
    if (well->memory_bytes_max > 0) {
        *ret_well = well;
        return 0;
    }
    struct listing listing = {.well = well};
    int rc = io_make_dirs(well->io, well->dir);
    if (rc == 0) { /* names that only the kernel knows must not supersede anything */
        rc = io_sync_dir(well->io, well->dir);
    }
    if (rc == 0) {
        rc = io_list(well->io, well->dir, take_name, &listing);
    }
    int temps_rc = remove_temps(&listing);
    rc = rc < 0 ? rc : temps_rc;
    find_mark(&listing);
    if (rc == 0) {
        rc = open_files(&listing);
    }
    if (rc == 0) {
        rc = settle_mark(&listing);
    }
    vec_deinit(&listing.files);
    vec_deinit(&listing.marks);
    if (rc < 0) {
        rc = err_wrap(rc, "open well %s", well->name);
        well_close(&well);
        return rc;
    }
    *ret_well = well;
    return 0;
}

void well_seal_locked(struct well *well)
{
    if (well->active != NULL) {
        vec_push(&well->sealed, well->active);
        well->active = NULL;
    }
}

/* Under the lock. */
static struct memtable *active_for(struct well *well, uint64_t position)
{
    if (well->active == NULL) {
        well->active = memtable_new();
    }
    CHECK(position + 1 >= well->active->log_end);
    return well->active;
}

/* Under the lock, which it releases. */
static void finish_apply(struct well *well)
{
    memtables_vec gone = {0};
    if (well->active->bytes >= well->memtable_bytes_max) {
        well_seal_locked(well);
    }
    if (well->memory_bytes_max > 0) {
        well_memory_evict(well, &gone);
    }
    pthread_mutex_unlock(&well->lock);
    well_memory_free(&gone);
}

int well_apply(struct well *well, struct buf *takes, uint64_t position, struct stamp stamp)
{
    struct entries entries;
    int rc = entries_open(&entries, buf_span(takes));
    if (rc < 0 || entries.count == 0) {
        buf_deinit(takes);
        return rc;
    }
    pthread_mutex_lock(&well->lock);
    memtable_add(active_for(well, position), takes, &entries, position,
                 (struct memtable_stamps){stamp, NULL});
    finish_apply(well);
    return 0;
}

int well_apply_points(struct well *well, struct buf *takes, uint64_t position, struct stamp stamp)
{
    struct points_record record;
    int rc = points_record_open(&record, buf_span(takes));
    if (rc < 0 || record.parts == 0) {
        buf_deinit(takes);
        return rc;
    }
    pthread_mutex_lock(&well->lock);
    memtable_add_points(active_for(well, position), takes, &record, position,
                        (struct memtable_stamps){stamp, NULL});
    finish_apply(well);
    return 0;
}

/* What is in no log stands where the record before it does: it neither holds back the log nor
 * counts as flushed what is not. Under the lock. */
static uint64_t position_beside(const struct well *well)
{
    uint64_t log_end = well->active != NULL ? well->active->log_end
                       : well->sealed.count > 0
                           ? well->sealed.items[well->sealed.count - 1]->log_end
                           : well->mark.log_end;
    return MAX(log_end, (uint64_t)1) - 1;
}

int well_apply_stamped(struct well *well, struct buf *takes, const struct stamp *stamps)
{
    struct entries entries;
    int rc = entries_open(&entries, buf_span(takes));
    if (rc < 0 || entries.count == 0) {
        buf_deinit(takes);
        return rc;
    }
    pthread_mutex_lock(&well->lock);
    uint64_t position = position_beside(well);
    memtable_add(active_for(well, position), takes, &entries, position,
                 (struct memtable_stamps){.each = stamps});
    finish_apply(well);
    return 0;
}

int well_apply_points_stamped(struct well *well, struct buf *takes, const struct stamp *stamps)
{
    struct points_record record;
    int rc = points_record_open(&record, buf_span(takes));
    if (rc < 0 || record.parts == 0) {
        buf_deinit(takes);
        return rc;
    }
    pthread_mutex_lock(&well->lock);
    uint64_t position = position_beside(well);
    memtable_add_points(active_for(well, position), takes, &record, position,
                        (struct memtable_stamps){.each = stamps});
    finish_apply(well);
    return 0;
}

void well_set_tombstones(struct well *well, struct tombstones *tombstones)
{
    struct tombstones *before = tombstones_ref(tombstones);
    pthread_mutex_lock(&well->lock);
    struct tombstones *old = well->tombstones;
    well->tombstones = before;
    pthread_mutex_unlock(&well->lock);
    tombstones_unref(&old);
}

struct tombstones *well_tombstones(struct well *well)
{
    pthread_mutex_lock(&well->lock);
    struct tombstones *tombstones = tombstones_ref(well->tombstones);
    pthread_mutex_unlock(&well->lock);
    return tombstones;
}

uint64_t well_flushed(struct well *well)
{
    pthread_mutex_lock(&well->lock);
    uint64_t flushed = well->mark.log_end;
    pthread_mutex_unlock(&well->lock);
    return flushed;
}

uint64_t well_needs_from(struct well *well, uint64_t applied_end)
{
    pthread_mutex_lock(&well->lock);
    const struct memtable *oldest = well->memory_bytes_max > 0 ? NULL
                                    : well->sealed.count > 0   ? well->sealed.items[0]
                                                               : well->active;
    uint64_t from = oldest != NULL ? MIN(oldest->first_position, applied_end) : applied_end;
    pthread_mutex_unlock(&well->lock);
    return from;
}

void well_seal(struct well *well)
{
    pthread_mutex_lock(&well->lock);
    if (well->memory_bytes_max == 0) { /* nobody flushes those of the others */
        well_seal_locked(well);
    }
    pthread_mutex_unlock(&well->lock);
}

uint64_t well_sealed(struct well *well)
{
    pthread_mutex_lock(&well->lock);
    uint64_t sealed = well->memory_bytes_max > 0 ? 0 : well->sealed.count;
    pthread_mutex_unlock(&well->lock);
    return sealed;
}

static void add_memtable(struct well_stats *stats, const struct memtable *memtable)
{
    if (memtable != NULL) {
        stats->entries += memtable->entries;
        stats->points += memtable->points;
        stats->bytes += memtable->data_bytes;
        stats->memtable_bytes += memtable->bytes;
        stats->oldest_ns = MIN(stats->oldest_ns, memtable->oldest_ns);
        stats->newest_ns = MAX(stats->newest_ns, memtable->newest_ns);
    }
}

struct well_stats well_stats(struct well *well)
{
    struct well_stats stats = {.oldest_ns = TIME_MAX_NS, .newest_ns = INT64_MIN};
    pthread_mutex_lock(&well->lock);
    add_memtable(&stats, well->active);
    for (size_t i = 0; i < well->sealed.count; i++) {
        add_memtable(&stats, well->sealed.items[i]);
    }
    for (size_t i = 0; i < well->segments.count; i++) {
        const struct segment *segment = well->segments.items[i];
        stats.entries += segment->entries;
        stats.points += segment->elements;
        stats.bytes += segment->data_bytes;
        stats.disk_bytes += segment->bytes;
        stats.oldest_ns = MIN(stats.oldest_ns, segment->oldest_ns);
        stats.newest_ns = MAX(stats.newest_ns, segment->newest_ns);
        stats.partitions +=
            i == 0 || segment->partition != well->segments.items[i - 1]->partition ? 1 : 0;
    }
    stats.segments = well->segments.count;
    stats.sealed = well->memory_bytes_max > 0 ? 0 : well->sealed.count;
    stats.corrupt_blocks = well->corrupt_blocks;
    stats.flushed_bytes = well->flushed_bytes;
    stats.merged_bytes = well->merged_bytes;
    stats.packed_bytes = well->packed_bytes;
    stats.purged_bytes = well->purged_bytes;
    stats.dropped_entries = well->dropped_entries;
    stats.dropped_points = well->dropped_points;
    stats.dropped_bytes = well->dropped_bytes;
    stats.dropped_partitions = well->dropped_partitions;
    pthread_mutex_unlock(&well->lock);
    if (stats.entries == 0 && stats.points == 0) {
        stats.oldest_ns = stats.newest_ns = TIME_UNSET;
    }
    return stats;
}

void well_snapshot_take(struct well *well, struct well_snapshot *snapshot)
{
    *snapshot = (struct well_snapshot){.well = well};
    pthread_mutex_lock(&well->lock);
    for (size_t i = 0; i < well->segments.count; i++) {
        vec_push(&snapshot->segments, segment_ref(well->segments.items[i]));
    }
    for (size_t i = 0; i < well->sealed.count; i++) {
        vec_push(&snapshot->memtables, memtable_ref(well->sealed.items[i]));
    }
    snapshot->sealed_count = well->sealed.count;
    if (well->active != NULL) {
        vec_push(&snapshot->memtables, memtable_ref(well->active));
    }
    if (snapshot->memtables.count > 0) {
        const struct memtable *active = snapshot->memtables.items[snapshot->memtables.count - 1];
        snapshot->active_runs = active->runs_count;
        snapshot->active_oldest_ns = active->oldest_ns;
        snapshot->active_newest_ns = active->newest_ns;
        snapshot->active_bytes = active->data_bytes;
    }
    snapshot->tombstones = tombstones_ref(well->tombstones);
    pthread_mutex_unlock(&well->lock);
}

void well_snapshot_drop(struct well_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->segments.count; i++) {
        segment_unref(&snapshot->segments.items[i]);
    }
    for (size_t i = 0; i < snapshot->memtables.count; i++) {
        memtable_unref(&snapshot->memtables.items[i]);
    }
    vec_deinit(&snapshot->segments);
    vec_deinit(&snapshot->memtables);
    tombstones_unref(&snapshot->tombstones);
}

/* Only the last memtable can still grow. */
size_t well_snapshot_runs(const struct well_snapshot *snapshot, size_t memtable)
{
    return memtable + 1 == snapshot->memtables.count
               ? snapshot->active_runs
               : snapshot->memtables.items[memtable]->runs_count;
}

static void count_items(const struct memtable *memtable, size_t runs, struct well_tag_stats *counts)
{
    const struct memtable_run *run = memtable->first;
    for (size_t i = 0; i < runs; i++, run = i < runs ? run->next : NULL) {
        for (size_t j = 0; j < run->count; j++) {
            struct entry entry;
            entries_entry_at(run->items[j].at, &entry);
            counts[entry.tag].entries++;
            counts[entry.tag].bytes += entry.data.bytes;
        }
    }
}

void well_count_tags(struct well *well, struct well_tag_stats *counts)
{
    struct well_snapshot snapshot;
    well_snapshot_take(well, &snapshot);
    for (size_t i = 0; i < snapshot.memtables.count; i++) {
        count_items(snapshot.memtables.items[i], well_snapshot_runs(&snapshot, i), counts);
    }
    for (size_t i = 0; i < snapshot.segments.count; i++) {
        const struct segment *segment = snapshot.segments.items[i];
        for (size_t j = 0; j < segment->blocks_count; j++) {
            counts[segment->blocks[j].tag].entries += segment->blocks[j].entries;
            counts[segment->blocks[j].tag].bytes += segment->blocks[j].data_bytes;
        }
    }
    well_snapshot_drop(&snapshot);
}
