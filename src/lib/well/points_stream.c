/* Tested by points_test.c. */
#include "well/points_stream.h"

#include <stdlib.h>

#include "base/mem.h"

#define HELD_MAX 64 /* blocks kept unpacked beside those of the present series */

void points_sources_init(struct points_sources *sources)
{
    sources->reader = points_block_reader_new();
}

void points_sources_deinit(struct points_sources *sources)
{
    for (size_t i = 0; i < sources->items.count; i++) {
        points_block_deinit(&sources->items.items[i].held);
    }
    vec_deinit(&sources->items);
    buf_deinit(&sources->raw);
    points_block_reader_free(&sources->reader);
}

void points_sources_add_segment(struct points_sources *sources, struct well *well, size_t snapshot,
                                struct segment *segment)
{
    vec_push(&sources->items, (struct points_source){
                                  .well = well,
                                  .snapshot = snapshot,
                                  .segment = segment,
                                  .held_index = SIZE_MAX,
                              });
}

void points_sources_add_memtable(struct points_sources *sources, struct well *well, size_t snapshot,
                                 struct memtable *memtable, size_t runs)
{
    vec_push(&sources->items, (struct points_source){
                                  .well = well,
                                  .snapshot = snapshot,
                                  .memtable = memtable,
                                  .runs = runs,
                                  .held_index = SIZE_MAX,
                              });
}

static void let_go(struct points_sources *sources, struct points_source *source)
{
    points_block_deinit(&source->held);
    source->held = (struct points_block){0};
    sources->held -= source->held_index != SIZE_MAX ? 1 : 0;
    source->held_index = SIZE_MAX;
}

/* Too many blocks are held: the one goes that was not used for the longest time. */
static void make_room(struct points_sources *sources)
{
    struct points_source *oldest = NULL;
    for (size_t i = 0; sources->held >= HELD_MAX && i < sources->items.count; i++) {
        struct points_source *source = &sources->items.items[i];
        if (source->held_index != SIZE_MAX && !source->in_use &&
            (oldest == NULL || source->used_at < oldest->used_at)) {
            oldest = source;
        }
    }
    if (oldest != NULL) {
        let_go(sources, oldest);
    }
}

/* Reads a block, unless it is held already; a damaged one is empty. */
static int hold(struct points_sources *sources, struct points_source *source, size_t index,
                const uint32_t *series, size_t series_count)
{
    source->in_use = true;
    source->used_at = ++sources->clock;
    if (source->held_index == index) {
        return 0;
    }
    if (source->held_index == SIZE_MAX) {
        make_room(sources);
        sources->held++;
    }
    source->held_index = index;
    uint32_t last = source->segment->points[index].last_series;
    size_t count = 1;
    while (count < series_count && series[count] <= last) {
        count++;
    }
    bool first_time = false;
    int rc = segment_read_points(source->segment, index, sources->reader, series, count,
                                 &sources->raw, &source->held, &first_time);
    if (rc != 0) {
        source->held.count = source->held.runs_count = 0;
    }
    if (rc == ERR_CORRUPT || (rc == ERR_IO && sources->past_bad_places)) {
        well_note_damage(source->well, first_time);
        sources->skipped++;
        rc = sources->strict ? rc : 0;
    }
    if (rc < 0) {
        let_go(sources, source);
    }
    return MIN(rc, 0);
}

static struct points_source *source_of(const struct points_streams *streams,
                                       const struct points_stream *stream)
{
    return &streams->sources->items.items[stream->source];
}

static int64_t time_at(const struct points_streams *streams, const struct points_stream *stream,
                       size_t index)
{
    return stream->run != NULL ? source_of(streams, stream)->held.times[index]
                               : stream->elements.items[index].time_ns;
}

/* Before anything else of its time comes what is not loaded, so that it is looked at. */
static bool before(const struct points_streams *streams, uint32_t left, uint32_t right)
{
    const struct points_stream *a = &streams->items.items[left];
    const struct points_stream *b = &streams->items.items[right];
    if (a->time_ns != b->time_ns) {
        return streams->ascending ? a->time_ns < b->time_ns : a->time_ns > b->time_ns;
    }
    return !a->loaded && b->loaded;
}

static void sift_down(struct points_streams *streams, size_t at)
{
    uint32_t *heap = streams->heap.items;
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < streams->heap.count;
             child++) {
            if (before(streams, heap[child], heap[least])) {
                least = child;
            }
        }
        if (least == at) {
            return;
        }
        uint32_t moved = heap[at];
        heap[at] = heap[least];
        heap[least] = moved;
        at = least;
    }
}

static bool overlaps(const struct points_streams *streams, const struct segment_points *block)
{
    return block->last_ns >= streams->start_ns && block->first_ns <= streams->end_ns;
}

/* Places the stream at its next block that can have something; false: there is none. */
static bool next_block(const struct points_streams *streams, struct points_stream *stream)
{
    const struct segment *segment = source_of(streams, stream)->segment;
    stream->loaded = false;
    while (segment != NULL && stream->next < stream->stop) {
        size_t i = streams->ascending ? stream->next : stream->stop - 1;
        const struct segment_points *block = &segment->points[i];
        if (overlaps(streams, block)) {
            stream->time_ns = streams->ascending ? MAX(block->first_ns, streams->start_ns)
                                                 : MIN(block->last_ns, streams->end_ns);
            return true;
        }
        stream->next += streams->ascending ? 1 : 0;
        stream->stop -= streams->ascending ? 0 : 1;
    }
    return false;
}

/* Sets the time from where it stands; false when the stream is over. */
static bool settle(const struct points_streams *streams, struct points_stream *stream)
{
    if (stream->low < stream->high) {
        stream->time_ns =
            time_at(streams, stream, streams->ascending ? stream->low : stream->high - 1);
        stream->loaded = true;
        return true;
    }
    return next_block(streams, stream);
}

static void top_moved(struct points_streams *streams)
{
    if (!settle(streams, &streams->items.items[streams->heap.items[0]])) {
        vec_remove_swap(&streams->heap, 0);
    }
    if (streams->heap.count > 0) {
        sift_down(streams, 0);
    }
}

static int by_time(const void *left, const void *right)
{
    const struct element *a = left;
    const struct element *b = right;
    return a->time_ns < b->time_ns ? -1 : a->time_ns > b->time_ns;
}

/* The first of [low, high) that is not before `time_ns`, or with `past` behind it. */
static size_t search(const struct points_streams *streams, const struct points_stream *stream,
                     size_t low, size_t high, int64_t time_ns, bool past)
{
    while (low < high) {
        size_t middle = (low + high) / 2;
        int64_t at_ns = time_at(streams, stream, middle);
        if (at_ns < time_ns || (past && at_ns == time_ns)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void crop(const struct points_streams *streams, struct points_stream *stream)
{
    stream->low = search(streams, stream, stream->low, stream->high, streams->start_ns, false);
    stream->high = search(streams, stream, stream->low, stream->high, streams->end_ns, true);
}

/* The runs of the series in the block that is held. One run is looked at where it lies; those of
 * several types stand one behind the other and are sorted together. */
static void take_runs(const struct points_streams *streams, struct points_stream *stream)
{
    const struct points_block *block = &source_of(streams, stream)->held;
    uint32_t series = streams->series[0];
    size_t low = 0;
    size_t high = block->runs_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (block->runs[middle].series < series) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t end = low;
    while (end < block->runs_count && block->runs[end].series == series) {
        end++;
    }
    stream->low = stream->high = 0;
    stream->run = NULL;
    if (end - low == 1) {
        stream->run = &block->runs[low];
        stream->low = stream->run->first;
        stream->high = stream->low + stream->run->count;
    } else if (end > low) {
        vec_clear(&stream->elements);
        for (size_t i = low; i < end; i++) {
            const struct points_run *run = &block->runs[i];
            for (size_t j = 0; j < run->count; j++) {
                vec_push(&stream->elements, points_block_element(block, run, run->first + j));
            }
        }
        qsort(stream->elements.items, stream->elements.count, sizeof(*stream->elements.items),
              by_time);
        stream->high = stream->elements.count;
    }
    crop(streams, stream);
}

static int load_top(struct points_streams *streams)
{
    struct points_stream *stream = &streams->items.items[streams->heap.items[0]];
    size_t index = streams->ascending ? stream->next++ : --stream->stop;
    int rc = hold(streams->sources, source_of(streams, stream), index, streams->series,
                  streams->series_count);
    if (rc == 0) {
        take_runs(streams, stream);
        top_moved(streams);
    }
    return rc;
}

static struct points_stream *stream_of(struct points_streams *streams, size_t source)
{
    while (streams->items.count <= source) {
        size_t next = streams->items.count;
        vec_push(&streams->items, (struct points_stream){.source = next});
    }
    struct points_stream *stream = &streams->items.items[source];
    stream->loaded = false;
    stream->run = NULL;
    stream->next = stream->stop = stream->low = stream->high = 0;
    vec_clear(&stream->elements);
    return stream;
}

void points_streams_place(struct points_streams *streams)
{
    vec_clear(&streams->heap);
    streams->has_winner = false;
    for (size_t i = 0; i < streams->sources->items.count; i++) {
        struct points_source *source = &streams->sources->items.items[i];
        struct points_stream *stream = stream_of(streams, i);
        source->in_use = false;
        if (source->segment != NULL) {
            segment_find_series(source->segment, streams->series[0], &stream->next, &stream->stop);
        } else {
            memtable_elements(source->memtable, source->runs, streams->series[0], streams->start_ns,
                              streams->end_ns, streams->origins, &stream->elements);
            stream->high = stream->elements.count;
        }
        if (settle(streams, stream)) {
            vec_push(&streams->heap, (uint32_t)i);
        }
    }
    for (size_t i = streams->heap.count / 2; i-- > 0;) {
        sift_down(streams, i);
    }
}

void points_streams_deinit(struct points_streams *streams)
{
    for (size_t i = 0; i < streams->items.count; i++) {
        vec_deinit(&streams->items.items[i].elements);
    }
    vec_deinit(&streams->items);
    vec_deinit(&streams->heap);
    buf_deinit(&streams->winner_text);
}

/* The next element of the stream, which moves on. */
static struct element take_one(struct points_streams *streams, struct points_stream *stream)
{
    size_t index = streams->ascending ? stream->low++ : --stream->high;
    return stream->run != NULL
               ? points_block_element(&source_of(streams, stream)->held, stream->run, index)
               : stream->elements.items[index];
}

/* Of equal stamps the one that arrived later stands. */
static void offer(struct points_streams *streams, struct element element, size_t source)
{
    if (streams->has_winner) {
        int order = well_stamp_compare(streams->origins, element.stamp, streams->winner.stamp);
        if (order < 0 || (order == 0 && source < streams->winner_source)) {
            return;
        }
    }
    streams->has_winner = true;
    streams->winner = element;
    streams->winner_source = source;
    if (element.type >= ELEMENT_TEXT) { /* its block may go while the others are looked at */
        buf_clear(&streams->winner_text);
        buf_append(&streams->winner_text, element.value.bytes);
        streams->winner.value.bytes = buf_span(&streams->winner_text);
    }
}

/* Several streams have something at one time. */
static int pick_winner(struct points_streams *streams)
{
    int64_t time_ns = streams->items.items[streams->heap.items[0]].time_ns;
    while (streams->heap.count > 0) {
        struct points_stream *top = &streams->items.items[streams->heap.items[0]];
        if (streams->ascending ? top->time_ns > time_ns : top->time_ns < time_ns) {
            break;
        }
        if (!top->loaded) {
            int rc = load_top(streams);
            if (rc < 0) {
                return rc;
            }
            continue;
        }
        offer(streams, take_one(streams, top), top->source);
        top_moved(streams);
    }
    return 0;
}

/* How many elements of the top come before anything of another stream. */
static size_t run_of_top(const struct points_streams *streams)
{
    const uint32_t *heap = streams->heap.items;
    const struct points_stream *top = &streams->items.items[heap[0]];
    if (streams->heap.count < 2) {
        return top->high - top->low;
    }
    uint32_t other =
        streams->heap.count > 2 && before(streams, heap[2], heap[1]) ? heap[2] : heap[1];
    int64_t time_ns = streams->items.items[other].time_ns;
    if (streams->ascending) {
        return search(streams, top, top->low, top->high, time_ns, false) - top->low;
    }
    return top->high - search(streams, top, top->low, top->high, time_ns, true);
}

static void give_winner(struct points_streams *streams, struct points_slice *slice)
{
    *slice = (struct points_slice){
        .elements = &streams->winner,
        .count = 1,
        .snapshot = streams->sources->items.items[streams->winner_source].snapshot,
        .first_stamp = streams->winner.stamp.time,
        .is_winner = true,
    };
}

static void give_run(struct points_streams *streams, size_t count, struct points_slice *slice)
{
    struct points_stream *top = &streams->items.items[streams->heap.items[0]];
    struct points_source *source = source_of(streams, top);
    *slice = (struct points_slice){
        .block = top->run != NULL ? &source->held : NULL,
        .run = top->run,
        .elements = top->elements.items,
        .first = streams->ascending ? top->low : top->high - 1,
        .count = count,
        .snapshot = source->snapshot,
        .first_stamp =
            source->segment != NULL ? source->segment->points[source->held_index].first_stamp : 0,
    };
}

int points_streams_next(struct points_streams *streams, struct points_slice *ret_slice)
{
    while (!streams->has_winner && streams->heap.count > 0) {
        if (!streams->items.items[streams->heap.items[0]].loaded) {
            int rc = load_top(streams);
            if (rc < 0) {
                return rc;
            }
            continue;
        }
        size_t run = run_of_top(streams);
        if (run > 0) {
            give_run(streams, run, ret_slice);
            return 0;
        }
        int rc = pick_winner(streams);
        if (rc < 0) {
            return rc;
        }
    }
    if (!streams->has_winner) {
        return WELL_END;
    }
    give_winner(streams, ret_slice);
    return 0;
}

void points_streams_advance(struct points_streams *streams, const struct points_slice *slice,
                            size_t count)
{
    if (slice->is_winner) {
        streams->has_winner = count == 0;
        return;
    }
    struct points_stream *top = &streams->items.items[streams->heap.items[0]];
    top->low += streams->ascending ? count : 0;
    top->high -= streams->ascending ? 0 : count;
    top_moved(streams);
}
