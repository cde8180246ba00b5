/*
 * Reading points series by series: what segments and memtables have of one is merged by time, and
 * of each time the last write is taken. Tested by points_test.c.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/time.h"
#include "well/internal.h"
#include "well/points_batch.h"
#include "well/points_stream.h"

/* A part of what is wanted of each series. */
struct phase {
    int64_t start_ns; /* [start, end] */
    int64_t end_ns;
    uint64_t count_max;
    bool ascending;
    bool turned; /* it is collected whole and given the other way round */
};

struct well_points_cursor {
    struct well_fetch fetch;
    uint32_t *series; /* sorted, each once */
    struct phase phases[3];
    size_t phases_count;

    VEC(struct well_snapshot) snapshots;
    VEC(struct tombstone_list) deleted; /* of the present series, by snapshot */
    struct points_sources sources;

    size_t at;       /* series[at] is being read */
    size_t phase;    /* of its phases */
    bool is_placed;  /* the streams are of this series and phase */
    uint64_t wanted; /* elements of the phase that are still to come */
    struct points_streams streams;
    struct points_batch batch;
};

static int by_number(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

static void take_series(struct well_points_cursor *cursor, const struct well_fetch *fetch)
{
    size_t count = fetch->series_count;
    cursor->series = mem_alloc_array(MAX(count, (size_t)1), sizeof(*cursor->series));
    if (count > 0) {
        memcpy(cursor->series, fetch->series, count * sizeof(*cursor->series));
        qsort(cursor->series, count, sizeof(*cursor->series), by_number);
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || cursor->series[kept - 1] != cursor->series[i]) {
            cursor->series[kept++] = cursor->series[i];
        }
    }
    cursor->fetch.series = cursor->series;
    cursor->fetch.series_count = kept;
}

static void add_phase(struct well_points_cursor *cursor, struct phase phase)
{
    if (phase.count_max > 0 && phase.start_ns <= phase.end_ns) {
        cursor->phases[cursor->phases_count++] = phase;
    }
}

static void make_phases(struct well_points_cursor *cursor)
{
    const struct well_fetch *fetch = &cursor->fetch;
    bool up = fetch->ascending;
    struct phase main = {fetch->start_ns, fetch->end_ns, fetch->count_max, up, false};
    struct phase before = {INT64_MIN, fetch->start_ns, fetch->before, false, up};
    struct phase after = {fetch->end_ns, INT64_MAX, fetch->after, true, !up};
    /* Nothing lies before the first time there is, and nothing after the last one. */
    before.count_max = fetch->start_ns == INT64_MIN ? 0 : before.count_max;
    after.count_max = fetch->end_ns == INT64_MAX ? 0 : after.count_max;
    before.end_ns -= before.count_max > 0 ? 1 : 0;
    after.start_ns += after.count_max > 0 ? 1 : 0;
    add_phase(cursor, up ? before : after);
    add_phase(cursor, main);
    add_phase(cursor, up ? after : before);
}

static struct well_points_cursor *cursor_new(const struct well_fetch *fetch,
                                             const struct series_origins *origins)
{
    struct well_points_cursor *cursor = MEM_NEW(struct well_points_cursor);
    cursor->fetch = *fetch;
    cursor->batch.stamps_wanted = fetch->stamps;
    take_series(cursor, fetch);
    make_phases(cursor);
    points_sources_init(&cursor->sources);
    cursor->streams.origins = origins;
    cursor->streams.sources = &cursor->sources;
    return cursor;
}

static void add_snapshot(struct well_points_cursor *cursor, const struct well_snapshot *snapshot)
{
    size_t index = cursor->snapshots.count;
    vec_push(&cursor->snapshots, *snapshot);
    vec_push(&cursor->deleted, (struct tombstone_list){0});
    for (size_t i = 0; i < snapshot->segments.count; i++) {
        if (snapshot->segments.items[i]->points_count > 0) {
            points_sources_add_segment(&cursor->sources, snapshot->well, index,
                                       snapshot->segments.items[i]);
        }
    }
    for (size_t i = 0; i < snapshot->memtables.count; i++) {
        /* Whether it has points is not asked: the last one grows meanwhile. */
        size_t runs = well_snapshot_runs(snapshot, i);
        if (runs > 0) {
            points_sources_add_memtable(&cursor->sources, snapshot->well, index,
                                        snapshot->memtables.items[i], runs);
        }
    }
}

int well_points_cursor_open(struct well *const *wells, size_t count, const struct well_fetch *fetch,
                            struct well_points_cursor **ret_cursor)
{
    const struct series_origins *origins = count > 0 ? wells[0]->names.origins : NULL;
    struct well_points_cursor *cursor = cursor_new(fetch, origins);
    cursor->sources.past_bad_places = fetch->past_bad_places;
    for (size_t i = 0; i < count; i++) {
        struct well_snapshot snapshot;
        well_snapshot_take(wells[i], &snapshot);
        add_snapshot(cursor, &snapshot);
    }
    *ret_cursor = cursor;
    return 0;
}

int well_points_cursor_over(struct well *well, struct segment *const *segments, size_t count,
                            struct tombstones *tombstones, const uint32_t *series,
                            size_t series_count, struct well_points_cursor **ret_cursor)
{
    struct well_fetch fetch = {
        .series = series,
        .series_count = series_count,
        .start_ns = INT64_MIN,
        .end_ns = INT64_MAX,
        .ascending = true,
        .count_max = UINT64_MAX,
        .stamps = true,
    };
    struct well_points_cursor *cursor = cursor_new(&fetch, well->names.origins);
    cursor->sources.strict = true;
    struct well_snapshot snapshot = {.well = well, .tombstones = tombstones_ref(tombstones)};
    for (size_t i = 0; i < count; i++) {
        vec_push(&snapshot.segments, segment_ref(segments[i]));
    }
    add_snapshot(cursor, &snapshot);
    *ret_cursor = cursor;
    return 0;
}

void well_points_cursor_close(struct well_points_cursor **place)
{
    struct well_points_cursor *cursor = *place;
    *place = NULL;
    if (cursor == NULL) {
        return;
    }
    points_streams_deinit(&cursor->streams);
    points_sources_deinit(&cursor->sources);
    points_batch_deinit(&cursor->batch);
    for (size_t i = 0; i < cursor->snapshots.count; i++) {
        tombstone_list_deinit(&cursor->deleted.items[i]);
        well_snapshot_drop(&cursor->snapshots.items[i]);
    }
    vec_deinit(&cursor->snapshots);
    vec_deinit(&cursor->deleted);
    mem_free(cursor->series);
    mem_free(cursor);
}

uint64_t well_points_cursor_skipped(const struct well_points_cursor *cursor)
{
    return cursor->sources.skipped;
}

static void place(struct well_points_cursor *cursor)
{
    const struct phase *phase = &cursor->phases[cursor->phase];
    if (cursor->phase == 0) {
        for (size_t i = 0; i < cursor->snapshots.count; i++) {
            tombstones_of_series(cursor->snapshots.items[i].tombstones, cursor->series[cursor->at],
                                 &cursor->deleted.items[i]);
        }
    }
    cursor->streams.start_ns = phase->start_ns;
    cursor->streams.end_ns = phase->end_ns;
    cursor->streams.ascending = phase->ascending;
    cursor->streams.series = cursor->series + cursor->at;
    cursor->streams.series_count = cursor->fetch.series_count - cursor->at;
    cursor->wanted = phase->count_max;
    cursor->is_placed = true;
    points_streams_place(&cursor->streams);
}

/* The next elements of the phase; their number is 0 when what comes next is deleted. */
static int read_some(struct well_points_cursor *cursor)
{
    struct points_slice slice;
    int rc = points_streams_next(&cursor->streams, &slice);
    if (rc != 0) {
        return rc;
    }
    const struct phase *phase = &cursor->phases[cursor->phase];
    size_t room = phase->turned ? SIZE_MAX : points_batch_room(&cursor->batch);
    slice.count = MIN(slice.count, room);
    slice.count = (size_t)MIN((uint64_t)slice.count, cursor->wanted);
    size_t before = cursor->batch.count;
    size_t used = points_batch_add(&cursor->batch, &slice, phase->ascending,
                                   &cursor->deleted.items[slice.snapshot]);
    points_streams_advance(&cursor->streams, &slice, used);
    cursor->wanted -= cursor->batch.count - before;
    return 0;
}

/* Until the batch is full or the phase over: then WELL_END. */
static int read_phase(struct well_points_cursor *cursor)
{
    const struct phase *phase = &cursor->phases[cursor->phase];
    while (cursor->wanted > 0 && !cursor->batch.is_closed &&
           (phase->turned || points_batch_room(&cursor->batch) > 0)) {
        int rc = read_some(cursor);
        if (rc != 0) {
            return rc;
        }
    }
    return cursor->wanted == 0 ? WELL_END : 0;
}

static void next_phase(struct well_points_cursor *cursor)
{
    cursor->is_placed = false;
    cursor->phase++;
    if (cursor->phase >= cursor->phases_count) {
        cursor->phase = 0;
        cursor->at++;
    }
}

int well_points_cursor_next(struct well_points_cursor *cursor, struct well_points *ret_points)
{
    points_batch_clear(&cursor->batch);
    while (cursor->at < cursor->fetch.series_count && cursor->phases_count > 0) {
        if (!cursor->is_placed) {
            place(cursor);
        }
        const struct phase *phase = &cursor->phases[cursor->phase];
        uint32_t series = cursor->series[cursor->at];
        cursor->batch.as_elements = phase->turned;
        int rc = read_phase(cursor);
        if (rc < 0) {
            return rc;
        }
        if (rc == WELL_END) {
            next_phase(cursor);
        }
        if (cursor->batch.count > 0) {
            points_batch_give(&cursor->batch, phase->turned, series, ret_points);
            return 0;
        }
    }
    return WELL_END;
}
