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
    const struct memtable *memtable;
    uint64_t number;
    struct memtable_pick *picks; /* by tag, time, arrival */
    size_t picks_count;
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

/* One part per partition; the oldest ones share a part when there are too many. */
static void cut_parts(struct flush *flush)
{
    VEC(int64_t) numbers = {0};
    for (size_t i = 0; i < flush->picks_count; i++) {
        int64_t number = well_partition_of(flush->picks[i].time_ns, flush->well->partition_ns);
        if (numbers.count == 0 || numbers.items[numbers.count - 1] != number) {
            vec_push(&numbers, number);
        }
    }
    qsort(numbers.items, numbers.count, sizeof(*numbers.items), by_value);
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
            entries_entry_at(pick->at, &entry);
            rc = segment_writer_add(writer, &entry);
        }
    }
    return rc;
}

static int write_part(const struct flush *flush, const struct part *part)
{
    struct segment_about about = {flush->number, flush->number, flush->memtable->log_end};
    struct segment_writer *writer = NULL;
    int rc = segment_writer_open(flush->well->io, part->temp, about, flush->well->tags,
                                 FLUSH_ZSTD_LEVEL, &writer);
    if (rc < 0) {
        return rc;
    }
    rc = add_entries(flush, part, writer);
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
    memtable_pick(flush->memtable, flush->memtable->count, NULL, true, &flush->picks,
                  &flush->picks_count);
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

static int flush_one(struct well *well, const struct memtable *memtable)
{
    struct flush flush = {well, memtable, well->mark.flush + 1, NULL, 0, {0}, {0}};
    int rc = do_flush(&flush);
    for (size_t i = 0; i < flush.parts.count; i++) {
        mem_free(flush.parts.items[i].temp);
    }
    for (size_t i = 0; i < flush.segments.count; i++) {
        segment_unref(&flush.segments.items[i]);
    }
    vec_deinit(&flush.parts);
    vec_deinit(&flush.segments);
    mem_free(flush.picks);
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
