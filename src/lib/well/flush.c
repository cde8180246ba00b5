/*
 * Sealed memtables become segments, one per time partition. Tested by well_test.c.
 *
 *     temp files, synced ──rename each──> names, synced ──mark──> the flush counts
 *
 * Files of a flush without a mark are removed when the well is opened next, and the datalog still
 * has what they held.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "well/internal.h"

#define FLUSH_ZSTD_LEVEL 1
#define PARTS_MAX 64 /* files of one flush; the oldest partitions share one if there are more */

/* The entries of some partitions, [low, high], that go to one file. */
struct part {
    int64_t low;
    int64_t high;
    struct well_file_name name;
    char *temp;
};

struct flush {
    struct well *well;
    struct memtable *memtable;
    uint64_t number;
    int64_t now_ns;
    struct tombstones *tombstones;
    struct memtable_pick *picks; /* by tag, time, arrival */
    size_t picks_count;
    uint32_t *series; /* that have points */
    size_t series_count;
    VEC(struct part) parts;
    segments_vec segments;
};

static int by_value(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

static void add_part(struct flush *flush, int64_t low, int64_t high)
{
    struct part part = {
        .low = low,
        .high = high,
        .name = {flush->number, flush->number, low == high ? low : WELL_PARTITION_MIXED},
        .temp = mem_printf("%s/flush-%zu.tmp", flush->well->dir, flush->parts.count),
    };
    vec_push(&flush->parts, part);
}

typedef VEC(int64_t) numbers_vec;

static void note_time(const struct flush *flush, int64_t time_ns, numbers_vec *numbers)
{
    int64_t number = well_partition_of(time_ns, flush->well->partition_ns);
    if (numbers->count == 0 || numbers->items[numbers->count - 1] != number) {
        vec_push(numbers, number);
    }
}

static void note_run(const struct flush *flush, const struct memtable_run *run,
                     numbers_vec *numbers)
{
    struct points_record record;
    struct points_part part;
    for (size_t i = 0; i < run->count; i++) {
        note_time(flush, run->items[i].time_ns, numbers);
    }
    if (!run->points) {
        return;
    }
    CHECK(points_record_open(&record, buf_span(&run->bytes)) == 0);
    while (points_record_next(&record, &part)) {
        for (size_t i = 0; i < part.count; i++) {
            note_time(flush, points_part_time(&part, i), numbers);
        }
    }
}

/* The numbers of partitions in which something lies, not all of them once. What is deleted counts
 * too: a flush that is repeated has the same parts, so that each of them replaces what was named
 * before, whatever was deleted meanwhile. */
static void list_partitions(const struct flush *flush, numbers_vec *numbers)
{
    const struct memtable *memtable = flush->memtable;
    int64_t partition_ns = flush->well->partition_ns;
    if (well_partition_of(memtable->oldest_ns, partition_ns) ==
        well_partition_of(memtable->newest_ns, partition_ns)) {
        note_time(flush, memtable->oldest_ns, numbers);
        return;
    }
    for (const struct memtable_run *run = memtable->first; run != NULL; run = run->next) {
        note_run(flush, run, numbers);
    }
}

/* One part per partition; the oldest ones share a part when there are too many. */
static void cut_parts(struct flush *flush)
{
    numbers_vec numbers = {0};
    list_partitions(flush, &numbers);
    if (numbers.count > 1) {
        qsort(numbers.items, numbers.count, sizeof(*numbers.items), by_value);
    }
    size_t count = 0;
    for (size_t i = 0; i < numbers.count; i++) {
        if (count == 0 || numbers.items[count - 1] != numbers.items[i]) {
            numbers.items[count++] = numbers.items[i];
        }
    }
    size_t shared = count > PARTS_MAX ? count - PARTS_MAX + 1 : 0;
    if (shared > 0) {
        add_part(flush, numbers.items[0], numbers.items[shared - 1]);
    }
    for (size_t i = shared; i < count; i++) {
        add_part(flush, numbers.items[i], numbers.items[i]);
    }
    vec_deinit(&numbers);
}

static int add_entries(const struct flush *flush, const struct part *part,
                       struct segment_writer *writer)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < flush->picks_count; i++) {
        const struct memtable_pick *pick = &flush->picks[i];
        int64_t number = well_partition_of(pick->time_ns, flush->well->partition_ns);
        if (number >= part->low && number <= part->high) {
            struct entry entry;
            memtable_entry(pick, &entry);
            rc = segment_writer_add(writer, &entry);
        }
    }
    return rc;
}

/* What a part has of a partition's time, both ends included. */
static int64_t first_time(const struct flush *flush, const struct part *part)
{
    int64_t first_ns;
    return __builtin_mul_overflow(part->low, flush->well->partition_ns, &first_ns) ? INT64_MIN
                                                                                   : first_ns;
}

static int64_t last_time(const struct flush *flush, const struct part *part)
{
    int64_t end_ns;
    return __builtin_mul_overflow(part->high + 1, flush->well->partition_ns, &end_ns) ? INT64_MAX
                                                                                      : end_ns - 1;
}

static int add_points(const struct flush *flush, const struct part *part,
                      struct segment_writer *writer)
{
    int rc = 0;
    struct tombstone_list deleted = {0};
    elements_vec elements = {0};
    for (size_t i = 0; rc == 0 && i < flush->series_count; i++) {
        uint32_t series = flush->series[i];
        vec_clear(&elements);
        memtable_elements(flush->memtable, flush->memtable->runs_count, series,
                          first_time(flush, part), last_time(flush, part),
                          flush->well->names.origins, &elements);
        tombstones_of_series(flush->tombstones, series, &deleted);
        for (size_t j = 0; rc == 0 && j < elements.count; j++) {
            const struct element *element = &elements.items[j];
            if (!tombstone_list_covers(&deleted, element->time_ns, element->stamp)) {
                rc = segment_writer_add_point(writer, series, element);
            }
        }
    }
    tombstone_list_deinit(&deleted);
    vec_deinit(&elements);
    return rc;
}

static int write_part(const struct flush *flush, const struct part *part)
{
    struct segment_about about = {
        .first = flush->number,
        .last = flush->number,
        .log_end = flush->memtable->log_end,
        .deletes_end = flush->tombstones != NULL ? flush->tombstones->end : 0,
        .flushed_ns = flush->now_ns,
    };
    struct segment_writer *writer = NULL;
    int rc = segment_writer_open(flush->well->io, part->temp, about, &flush->well->names,
                                 FLUSH_ZSTD_LEVEL, &writer);
    if (rc < 0) {
        return rc;
    }
    rc = add_entries(flush, part, writer);
    if (rc == 0) {
        rc = add_points(flush, part, writer);
    }
    if (rc < 0) {
        segment_writer_abort(&writer);
        return rc;
    }
    return segment_writer_finish(&writer);
}

static int write_parts(const struct flush *flush)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < flush->parts.count; i++) {
        rc = write_part(flush, &flush->parts.items[i]);
    }
    return rc;
}

static int name_parts(struct flush *flush)
{
    struct well *well = flush->well;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < flush->parts.count; i++) {
        const struct part *part = &flush->parts.items[i];
        char *path = well_file_name(well->dir, &part->name);
        rc = io_rename(well->io, part->temp, path);
        mem_free(path);
    }
    if (rc == 0) { /* also the removal of what an earlier life left under this number */
        rc = io_sync_dir(well->io, well->dir);
    }
    for (size_t i = 0; rc == 0 && i < flush->parts.count; i++) {
        struct segment *segment = NULL;
        rc = well_open_segment(well, &flush->parts.items[i].name, &segment);
        if (rc == 0) {
            vec_push(&flush->segments, segment);
        }
    }
    return rc;
}

/* What it took is needed elsewhere. */
static void remove_temps(const struct flush *flush)
{
    char text[ERR_TEXT_BYTES_MAX];
    strcpy(text, err_text());
    for (size_t i = 0; i < flush->parts.count; i++) {
        if (io_exists(flush->well->io, flush->parts.items[i].temp)) {
            (void)!io_remove(flush->well->io, flush->parts.items[i].temp);
        }
    }
    (void)err_set(ERR_NO_SPACE, "%s", text);
}

/* The segments take the memtable's place. Only who holds `flushing` takes memtables off the list,
 * so it is still the oldest. */
static void commit(struct flush *flush, const struct well_mark *mark)
{
    struct well *well = flush->well;
    pthread_mutex_lock(&well->lock);
    struct memtable *memtable = well->sealed.items[0];
    well->mark = *mark;
    for (size_t i = 0; i < flush->segments.count; i++) {
        well_insert_segment(well, flush->segments.items[i]);
        well->flushed_bytes += flush->segments.items[i]->bytes;
    }
    well->sealed.count--;
    memmove(well->sealed.items, well->sealed.items + 1,
            well->sealed.count * sizeof(*well->sealed.items));
    pthread_mutex_unlock(&well->lock);
    memtable_unref(&memtable);
    vec_clear(&flush->segments);
}

static void remove_mark(struct well *well, const struct well_mark *mark)
{
    char *path = well_mark_name(well->dir, mark);
    (void)!io_remove(well->io, path); /* a lower one does no harm and goes when it is opened next */
    mem_free(path);
}

static int do_flush(struct flush *flush)
{
    struct well *well = flush->well;
    struct well_mark before = well->mark; /* changed by flushing only */
    struct well_mark mark = {flush->number, flush->memtable->log_end};
    memtable_pick(flush->memtable, flush->memtable->runs_count, NULL, flush->tombstones, true,
                  &flush->picks, &flush->picks_count);
    if (flush->memtable->points > 0) {
        memtable_series(flush->memtable, flush->memtable->runs_count, &flush->series,
                        &flush->series_count);
    }
    cut_parts(flush);
    int rc = write_parts(flush);
    if (rc == ERR_NO_SPACE) {
        remove_temps(flush);
    }
    if (rc == 0) {
        rc = name_parts(flush);
    }
    if (rc == 0) {
        rc = well_write_mark(well, &mark);
    }
    if (rc == 0) {
        commit(flush, &mark);
        remove_mark(well, &before);
    }
    return rc;
}

static int flush_one(struct well *well, struct memtable *memtable)
{
    struct flush flush = {
        .well = well,
        .memtable = memtable,
        .number = well->mark.flush + 1,
        .now_ns = io_now_ns(well->io),
        .tombstones = well_tombstones(well),
    };
    int rc = do_flush(&flush);
    for (size_t i = 0; i < flush.parts.count; i++) {
        mem_free(flush.parts.items[i].temp);
    }
    for (size_t i = 0; i < flush.segments.count; i++) {
        segment_unref(&flush.segments.items[i]);
    }
    vec_deinit(&flush.parts);
    vec_deinit(&flush.segments);
    tombstones_unref(&flush.tombstones);
    mem_free(flush.picks);
    mem_free(flush.series);
    return rc < 0 ? err_wrap(rc, "flush well %s", well->name) : 0;
}

int well_flush(struct well *well)
{
    int rc = 0;
    if (well->memory_bytes_max > 0) {
        return 0;
    }
    pthread_mutex_lock(&well->flushing);
    while (rc == 0) {
        pthread_mutex_lock(&well->lock);
        struct memtable *oldest = well->sealed.count > 0 ? well->sealed.items[0] : NULL;
        pthread_mutex_unlock(&well->lock);
        if (oldest == NULL) {
            break;
        }
        rc = flush_one(well, oldest);
    }
    pthread_mutex_unlock(&well->flushing);
    return rc;
}
