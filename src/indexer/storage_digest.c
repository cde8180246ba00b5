/* Tested by snapshot_test.c. */
#include "indexer/storage_digest.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "indexer/element_hash.h"
#include "indexer/storage_internal.h"
#include "well/partition.h"
#include "well/points.h"

#define SEED_ONE 1
#define SEED_TWO 2
#define SERIES_AT_ONCE 512

struct digest_work {
    struct storage *storage;
    const struct storage_digest_options *options;
    VEC(struct storage_digest) rows;
    size_t last; /* row that was met last */
    struct {
        bool known;
        uint64_t upto;
    } * limits; /* by number of origin */
};

static bool is_wanted(struct digest_work *work, struct stamp stamp)
{
    struct series_origin origin;
    if (work->options->upto == NULL) {
        return true;
    }
    if (!work->limits[stamp.origin].known) {
        work->limits[stamp.origin].known = true;
        work->limits[stamp.origin].upto = UINT64_MAX; /* stored before there were stamps */
        if (series_origins_get(work->storage->origins, stamp.origin, &origin)) {
            struct datalog_origin of = {origin.node, origin.incarnation};
            work->limits[stamp.origin].upto = replicate_places_of(work->options->upto, of).time;
        }
    }
    return stamp.time <= work->limits[stamp.origin].upto;
}

static struct storage_digest *row_of(struct digest_work *work, size_t slot, int64_t time_ns)
{
    const char *well = work->storage->slots.items[slot].name;
    int64_t partition = well_partition_of(time_ns, WELL_PARTITION_NS_DEFAULT);
    if (work->last < work->rows.count && work->rows.items[work->last].well == well &&
        work->rows.items[work->last].partition == partition) {
        return &work->rows.items[work->last];
    }
    for (size_t i = 0; i < work->rows.count; i++) {
        if (work->rows.items[i].well == well && work->rows.items[i].partition == partition) {
            work->last = i;
            return &work->rows.items[i];
        }
    }
    vec_push(&work->rows, (struct storage_digest){.well = well, .partition = partition});
    work->last = work->rows.count - 1;
    return &work->rows.items[work->last];
}

static void add(struct storage_digest *row, uint64_t one, uint64_t two)
{
    row->sums[0] += one;
    row->sums[1] += two;
}

static int check_stopping(const struct digest_work *work)
{
    const _Atomic bool *stopping = work->options->stopping;
    return stopping != NULL && atomic_load(stopping) ? err_set(ERR_CANCELLED, "told to stop") : 0;
}

static int add_entries(struct digest_work *work)
{
    struct storage *storage = work->storage;
    struct well_scan scan = {.start_ns = work->options->start_ns, .end_ns = work->options->end_ns};
    struct well_cursor *cursor = NULL;
    struct well_block block;
    int rc = storage_scan(storage, &scan, &cursor);
    while (rc == 0 && (rc = well_cursor_next(cursor, &block)) == 0) {
        for (size_t i = 0; i < block.count; i++) {
            const struct entry *entry = &block.entries[i];
            if (is_wanted(work, entry->stamp)) {
                struct storage_digest *row =
                    row_of(work, storage_route(storage, entry->tag), entry->time_ns);
                add(row, entry_hash(storage, entry, SEED_ONE),
                    entry_hash(storage, entry, SEED_TWO));
                row->entries++;
            }
        }
        rc = check_stopping(work);
    }
    well_cursor_close(&cursor);
    return MIN(rc, 0);
}

static void add_batch(struct digest_work *work, const struct well_points *points, struct span key,
                      size_t slot)
{
    for (size_t i = 0; i < points->count; i++) {
        const struct element *element = &points->elements[i];
        if (is_wanted(work, element->stamp)) {
            struct storage_digest *row = row_of(work, slot, element->time_ns);
            add(row, point_hash(work->storage, key, element, SEED_ONE),
                point_hash(work->storage, key, element, SEED_TWO));
            row->points++;
        }
    }
}

static int add_series(struct digest_work *work, const uint32_t *numbers, size_t count)
{
    struct storage *storage = work->storage;
    int64_t end_ns = work->options->end_ns;
    struct well_fetch fetch = {
        .series = numbers,
        .series_count = count,
        .start_ns = work->options->start_ns,
        .end_ns = end_ns < INT64_MAX ? end_ns - 1 : end_ns,
        .ascending = true,
        .stamps = true,
        .count_max = UINT64_MAX,
    };
    struct well_points_cursor *cursor = NULL;
    struct well_points points;
    struct buf key = {0};
    int rc = storage_fetch(storage, &fetch, &cursor);
    while (rc == 0 && (rc = well_points_cursor_next(cursor, &points)) == 0) {
        size_t slot = storage_route_series(storage, points.series);
        buf_clear(&key);
        if (slot != SIZE_MAX && series_catalogue_key(storage->catalogue, points.series, &key)) {
            add_batch(work, &points, buf_span(&key), slot);
        }
        rc = check_stopping(work);
    }
    well_points_cursor_close(&cursor);
    buf_deinit(&key);
    return MIN(rc, 0);
}

static int add_points(struct digest_work *work)
{
    uint32_t end = series_catalogue_numbers_end(work->storage->catalogue);
    uint32_t numbers[SERIES_AT_ONCE];
    size_t count = 0;
    int rc = 0;
    for (uint32_t number = 1; rc == 0 && number < end; number++) {
        numbers[count++] = number;
        if (count == SERIES_AT_ONCE || number + 1 == end) {
            rc = add_series(work, numbers, count);
            count = 0;
        }
    }
    return rc;
}

static int by_place(const void *left, const void *right)
{
    const struct storage_digest *a = left;
    const struct storage_digest *b = right;
    int wells = strcmp(a->well, b->well);
    return wells != 0 ? wells : (a->partition > b->partition) - (a->partition < b->partition);
}

static int add_meta(void *context, struct span metas, struct stamp stamp)
{
    struct digest_work *work = context;
    if (is_wanted(work, stamp)) {
        struct storage_digest *row = &work->rows.items[0];
        add(row, meta_hash(work->storage, metas, stamp, SEED_ONE),
            meta_hash(work->storage, metas, stamp, SEED_TWO));
        row->entries++;
    }
    return check_stopping(work);
}

int storage_digest_attributes(struct storage *storage, const struct storage_digest_options *options,
                              struct storage_digest *ret_digest)
{
    struct digest_work work = {.storage = storage, .options = options};
    struct series_catalogue *catalogue = storage->catalogue;
    uint32_t end = series_catalogue_numbers_end(catalogue);
    int rc = 0;
    vec_push(&work.rows, (struct storage_digest){.well = ""});
    work.limits = mem_alloc_array((size_t)UINT16_MAX + 1, sizeof(*work.limits));
    for (uint32_t number = 1; rc == 0 && number < end; number++) {
        if (series_catalogue_lives(catalogue, number)) {
            rc = series_catalogue_metas(catalogue, number, add_meta, &work);
        }
    }
    if (rc == 0) {
        *ret_digest = work.rows.items[0];
    }
    mem_free(work.limits);
    vec_deinit(&work.rows);
    return rc;
}

int storage_digest(struct storage *storage, const struct storage_digest_options *options,
                   struct storage_digest **ret_digests, size_t *ret_count)
{
    struct digest_work work = {.storage = storage, .options = options};
    work.limits = mem_alloc_array((size_t)UINT16_MAX + 1, sizeof(*work.limits));
    int rc = add_entries(&work);
    rc = rc < 0 ? rc : add_points(&work);
    mem_free(work.limits);
    if (rc < 0) {
        vec_deinit(&work.rows);
        return rc;
    }
    if (work.rows.count > 1) {
        qsort(work.rows.items, work.rows.count, sizeof(*work.rows.items), by_place);
    }
    *ret_digests = work.rows.items;
    *ret_count = work.rows.count;
    return 0;
}
