/*
 * Points of a memtable by series: the index, and what it gives. Tested by memtable_test.c.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "well/memtable.h"

#define TABLE_SIZE_MIN 64

static size_t place_of(const struct memtable_index *index, uint32_t number)
{
    size_t mask = index->table_size - 1;
    size_t at = (size_t)((number * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & mask;
    while (index->table[at].number != 0 && index->table[at].number != number) {
        at = (at + 1) & mask;
    }
    return at;
}

static void grow_table(struct memtable_index *index)
{
    struct memtable_series *old = index->table;
    size_t old_size = index->table_size;
    index->table_size = MAX(old_size * 2, (size_t)TABLE_SIZE_MIN);
    index->table = mem_alloc_array(index->table_size, sizeof(*index->table));
    for (size_t i = 0; i < old_size; i++) {
        if (old[i].number != 0) {
            index->table[place_of(index, old[i].number)] = old[i];
        }
    }
    mem_free(old);
}

static void index_run(struct memtable_index *index, const struct memtable_run *run,
                      uint32_t run_index)
{
    struct points_record record;
    struct points_part part;
    CHECK(points_record_open(&record, buf_span(&run->bytes)) == 0);
    const uint8_t *at = record.rest.data;
    bool stamped = run->stamps != NULL;
    const struct stamp *stamps = stamped ? run->stamps : &run->stamp;
    while (points_record_next(&record, &part)) {
        if (index->series * 2 >= index->table_size) {
            grow_table(index);
        }
        struct memtable_series *place = &index->table[place_of(index, part.series)];
        index->series += place->number == 0 ? 1 : 0;
        place->number = part.series;
        vec_push(&index->pieces, (struct memtable_piece){
                                     .part = at,
                                     .stamps = stamps,
                                     .run_index = run_index & INT32_MAX,
                                     .stamped = stamped,
                                     .before = place->last,
                                 });
        stamps += stamped ? part.count : 0;
        place->last = (uint32_t)index->pieces.count;
        at = record.rest.data;
    }
}

/* Under the index's lock: so that it has the first `runs` runs. */
static void extend(struct memtable *memtable, size_t runs)
{
    struct memtable_index *index = &memtable->index;
    while (index->runs < runs) {
        const struct memtable_run *run = index->last == NULL ? memtable->first : index->last->next;
        if (run->points) {
            index_run(index, run, (uint32_t)index->runs);
        }
        index->last = run;
        index->runs++;
    }
}

static int by_number(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

/* Whether any piece of the series is in the first `runs` runs. */
static bool is_within(const struct memtable_index *index, uint32_t last, size_t runs)
{
    while (last > 0 && index->pieces.items[last - 1].run_index >= runs) {
        last = index->pieces.items[last - 1].before;
    }
    return last > 0;
}

void memtable_series(struct memtable *memtable, size_t runs, uint32_t **ret_series,
                     size_t *ret_count)
{
    struct memtable_index *index = &memtable->index;
    VEC(uint32_t) series = {0};
    pthread_mutex_lock(&index->lock);
    extend(memtable, runs);
    for (size_t i = 0; i < index->table_size; i++) {
        const struct memtable_series *place = &index->table[i];
        if (place->number != 0 && is_within(index, place->last, runs)) {
            vec_push(&series, place->number);
        }
    }
    pthread_mutex_unlock(&index->lock);
    if (series.count > 1) {
        qsort(series.items, series.count, sizeof(*series.items), by_number);
    }
    *ret_series = series.items;
    *ret_count = series.count;
}

typedef VEC(struct memtable_piece) pieces_vec;

static void find_pieces(struct memtable *memtable, size_t runs, uint32_t series, pieces_vec *pieces)
{
    struct memtable_index *index = &memtable->index;
    pthread_mutex_lock(&index->lock);
    extend(memtable, runs);
    uint32_t last = index->table_size > 0 ? index->table[place_of(index, series)].last : 0;
    for (; last > 0; last = index->pieces.items[last - 1].before) {
        if (index->pieces.items[last - 1].run_index < runs) {
            vec_push(pieces, index->pieces.items[last - 1]);
        }
    }
    pthread_mutex_unlock(&index->lock);
}

static void take_piece(const struct memtable_piece *piece, int64_t start_ns, int64_t end_ns,
                       elements_vec *elements)
{
    struct points_part part = points_part_at(piece->part);
    for (size_t i = 0; i < part.count; i++) {
        int64_t time_ns = points_part_time(&part, i);
        if (time_ns >= start_ns && time_ns <= end_ns) {
            struct element element = points_part_element(&part, i);
            element.stamp = piece->stamps[piece->stamped ? i : 0];
            vec_push(elements, element);
        }
    }
}

/* A sort that keeps the order of what is equal: by time, in runs that are already ascending.
 * `scratch` has as much room as the elements need. */
static void merge_halves(const struct element *from, size_t middle, size_t count,
                         struct element *to)
{
    size_t a = 0;
    size_t b = middle;
    for (size_t i = 0; i < count; i++) {
        bool takes_a = a < middle && (b >= count || from[a].time_ns <= from[b].time_ns);
        to[i] = takes_a ? from[a++] : from[b++];
    }
}

static void sort_by_time(struct element *elements, size_t count, struct element *scratch)
{
    size_t ascending = 1;
    while (ascending < count && elements[ascending - 1].time_ns <= elements[ascending].time_ns) {
        ascending++;
    }
    if (ascending >= count) {
        return;
    }
    size_t middle = count / 2;
    sort_by_time(elements, middle, scratch);
    sort_by_time(elements + middle, count - middle, scratch);
    memcpy(scratch, elements, count * sizeof(*elements));
    merge_halves(scratch, middle, count, elements);
}

/* Of each time the last write; they stand by time, then by arrival. */
static size_t keep_last_writes(struct element *elements, size_t count,
                               const struct series_origins *origins)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || elements[kept - 1].time_ns != elements[i].time_ns) {
            elements[kept++] = elements[i];
        } else if (well_stamp_compare(origins, elements[kept - 1].stamp, elements[i].stamp) <= 0) {
            elements[kept - 1] = elements[i];
        }
    }
    return kept;
}

void memtable_elements(struct memtable *memtable, size_t runs, uint32_t series, int64_t start_ns,
                       int64_t end_ns, const struct series_origins *origins, elements_vec *elements)
{
    pieces_vec pieces = {0};
    size_t before = elements->count;
    find_pieces(memtable, runs, series, &pieces);
    for (size_t i = pieces.count; i-- > 0;) { /* they are linked from the last one on */
        take_piece(&pieces.items[i], start_ns, end_ns, elements);
    }
    vec_deinit(&pieces);
    size_t count = elements->count - before;
    if (count > 1) {
        struct element *scratch = NULL;
        struct element *own = elements->items + before;
        bool sorted = true;
        for (size_t i = 1; i < count && sorted; i++) {
            sorted = own[i - 1].time_ns <= own[i].time_ns;
        }
        if (!sorted) {
            scratch = mem_realloc(NULL, count * sizeof(*scratch));
            sort_by_time(own, count, scratch);
            mem_free(scratch);
        }
        elements->count = before + keep_last_writes(own, count, origins);
    }
}
