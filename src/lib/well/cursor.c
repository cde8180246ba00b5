/*
 * Scans: the streams of segments and memtables, merged by time. Tested by well_test.c.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "well/filter.h"
#include "well/internal.h"
#include "well/segment_format.h"

/* A run of at least so many entries of one block is handed out where it lies; shorter ones, of
 * streams that interleave, are copied together. */
#define DIRECT_ENTRIES_MIN 256
#define BATCH_ENTRIES_MAX 4096
#define BATCH_BYTES_MAX ((size_t)1 << 20)

/* Entries of one tag of one segment, or of one memtable, in the order of the scan. */
struct stream {
    struct well *well;
    uint32_t rank; /* order of arrival among streams */

    /* Where it stands: of an unloaded block, the earliest place its first entry can have. */
    int64_t time_ns;
    uint16_t tag;
    bool loaded;

    struct segment *segment; /* NULL: a memtable */
    size_t next;             /* blocks [next, stop) are to come, from the other end if descending */
    size_t stop;
    const struct filter_group *filters; /* of the block looked at last */
    struct filter_blocks may_have;      /* the words; of the blocks of the group */
    struct block block;
    struct tombstone_list deleted; /* what its entries are looked up in */
    bool has_holes;                /* entries of the block are left out */
    size_t at; /* entries [at, end) of the block are left, in the order of the scan */
    size_t end;

    const struct memtable *memtable; /* if there is no segment */
    size_t runs;                     /* of it that may be looked at */
    const struct tombstones *tombstones;
    struct memtable_pick *picks; /* once loaded; in the order of the scan */
    size_t picks_count;
};

struct well_cursor {
    struct well_scan scan;
    uint16_t *tags;
    bool strict; /* damage is a fault */
    VEC(struct well_snapshot) snapshots;
    VEC(struct stream *) heap;
    struct stream *finished; /* its entries may still be borrowed */
    struct block_reader *reader;
    uint64_t skipped;
    uint32_t whole_rank;  /* the stream of which blocks were taken as a whole last */
    uint64_t whole_bytes; /* raw ones, since an entry was given */
    struct buf tokens;    /* that every entry wanted must have */
    uint64_t passed_over; /* blocks without them */
    uint32_t streams;

    VEC(struct entry) batch;
    struct buf batch_data;
    struct buf batch_enumerated;
};

static int compare_places(int64_t time_a, uint16_t tag_a, uint32_t rank_a, int64_t time_b,
                          uint16_t tag_b, uint32_t rank_b)
{
    if (time_a != time_b) {
        return time_a < time_b ? -1 : 1;
    }
    if (tag_a != tag_b) {
        return tag_a < tag_b ? -1 : 1;
    }
    return rank_a < rank_b ? -1 : rank_a > rank_b;
}

/* Whether `a` comes before `b` in the order of the scan. */
static bool before(const struct well_cursor *cursor, const struct stream *a, const struct stream *b)
{
    int order = compare_places(a->time_ns, a->tag, a->rank, b->time_ns, b->tag, b->rank);
    return cursor->scan.descending ? order > 0 : order < 0;
}

static void sift_down(struct well_cursor *cursor, size_t at)
{
    struct stream **heap = cursor->heap.items;
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < cursor->heap.count;
             child++) {
            if (before(cursor, heap[child], heap[least])) {
                least = child;
            }
        }
        if (least == at) {
            return;
        }
        struct stream *moved = heap[at];
        heap[at] = heap[least];
        heap[least] = moved;
        at = least;
    }
}

static void stream_free(struct stream *stream)
{
    if (stream != NULL) {
        block_deinit(&stream->block);
        tombstone_list_deinit(&stream->deleted);
        mem_free(stream->picks);
        mem_free(stream);
    }
}

/* Whether entries of the block can have the words. Filters that are damaged say nothing. */
static bool may_have_words(struct well_cursor *cursor, struct stream *stream, size_t index)
{
    struct filter_group *group = segment_filters(stream->segment, index);
    if (group == NULL) {
        return true;
    }
    if (group != stream->filters) {
        bool first_time = false;
        stream->filters = group;
        if (segment_find(stream->segment, group, buf_span(&cursor->tokens), &stream->may_have,
                         &first_time) < 0) {
            well_note_damage(stream->well, first_time);
        }
    }
    bool may = filter_blocks_has(&stream->may_have, index - group->first);
    cursor->passed_over += may ? 0 : 1;
    return may;
}

/* Places the stream at its next unloaded block that can have entries of the scan. */
static bool next_block(struct well_cursor *cursor, struct stream *stream)
{
    const struct well_scan *scan = &cursor->scan;
    stream->loaded = false;
    while (stream->next < stream->stop) {
        size_t i = scan->descending ? stream->stop - 1 : stream->next;
        const struct segment_block *block = &stream->segment->blocks[i];
        bool overlaps = well_scan_overlaps(scan, block->first_ns, block->last_ns);
        if (overlaps && (cursor->tokens.bytes == 0 || may_have_words(cursor, stream, i))) {
            stream->time_ns = scan->descending ? block->last_ns : block->first_ns;
            stream->tag = block->tag;
            return true;
        }
        if (scan->descending) {
            stream->stop--;
        } else {
            stream->next++;
        }
    }
    return false;
}

static struct entry stream_entry(const struct stream *stream, size_t i)
{
    if (stream->segment != NULL) {
        return stream->block.entries[i];
    }
    struct entry entry;
    memtable_entry(&stream->picks[i], &entry);
    return entry;
}

/* Sets the place from the entry it stands at; false when the stream is over. */
static bool settle(struct well_cursor *cursor, struct stream *stream)
{
    if (stream->segment == NULL && !stream->loaded) {
        return true; /* it has its place from the beginning */
    }
    if (stream->at < stream->end) {
        if (stream->segment != NULL) {
            stream->time_ns = stream->block.entries[stream->at].time_ns;
        } else {
            stream->time_ns = stream->picks[stream->at].time_ns;
            stream->tag = stream->picks[stream->at].tag;
        }
        return true;
    }
    return stream->segment != NULL && next_block(cursor, stream);
}

static void add_stream(struct well_cursor *cursor, struct stream *stream)
{
    stream->rank = cursor->streams++;
    if (!settle(cursor, stream)) {
        stream_free(stream);
        return;
    }
    vec_push(&cursor->heap, stream);
}

static void add_blocks(struct well_cursor *cursor, struct well *well, struct segment *segment,
                       const struct tombstones *tombstones, size_t from, size_t to)
{
    if (from == to) {
        return;
    }
    struct stream *stream = MEM_NEW(struct stream);
    stream->well = well;
    stream->segment = segment;
    stream->next = from;
    stream->stop = to;
    tombstones_of_tag(tombstones, segment->blocks[from].tag, &stream->deleted);
    add_stream(cursor, stream);
}

static void add_segment(struct well_cursor *cursor, struct well *well, struct segment *segment,
                        const struct tombstones *tombstones)
{
    if (!well_scan_overlaps(&cursor->scan, segment->oldest_ns, segment->newest_ns)) {
        return;
    }
    if (cursor->scan.tags != NULL) {
        for (size_t i = 0; i < cursor->scan.tags_count; i++) {
            size_t from;
            size_t to;
            segment_find_tag(segment, cursor->scan.tags[i], &from, &to);
            add_blocks(cursor, well, segment, tombstones, from, to);
        }
        return;
    }
    for (size_t from = 0; from < segment->blocks_count;) {
        size_t to;
        size_t same;
        segment_find_tag(segment, segment->blocks[from].tag, &same, &to);
        add_blocks(cursor, well, segment, tombstones, from, to);
        from = to;
    }
}

static void turn_picks(struct stream *stream)
{
    for (size_t i = 0, j = stream->picks_count; i + 1 < j; i++) {
        j--;
        struct memtable_pick moved = stream->picks[i];
        stream->picks[i] = stream->picks[j];
        stream->picks[j] = moved;
    }
}

static void load_memtable(const struct well_cursor *cursor, struct stream *stream)
{
    memtable_pick(stream->memtable, stream->runs, &cursor->scan, stream->tombstones, false,
                  &stream->picks, &stream->picks_count);
    stream->loaded = true;
    stream->end = stream->picks_count;
    if (cursor->scan.descending) {
        turn_picks(stream);
    }
}

/* A sealed memtable is looked into when the scan comes to its times. */
static void add_memtable(struct well_cursor *cursor, struct well *well,
                         const struct well_snapshot *snapshot, size_t index)
{
    const struct well_scan *scan = &cursor->scan;
    const struct memtable *memtable = snapshot->memtables.items[index];
    bool sealed = index < snapshot->sealed_count;
    if (!well_scan_overlaps(scan, sealed ? memtable->oldest_ns : snapshot->active_oldest_ns,
                            sealed ? memtable->newest_ns : snapshot->active_newest_ns)) {
        return;
    }
    struct stream *stream = MEM_NEW(struct stream);
    stream->well = well;
    stream->memtable = memtable;
    stream->runs = well_snapshot_runs(snapshot, index);
    stream->tombstones = snapshot->tombstones;
    if (sealed) {
        stream->time_ns = scan->descending ? memtable->newest_ns : memtable->oldest_ns;
        stream->tag = scan->descending ? UINT16_MAX : 0;
    } else {
        load_memtable(cursor, stream);
    }
    add_stream(cursor, stream);
}

static int by_number(const void *left, const void *right)
{
    return (int)*(const uint16_t *)left - (int)*(const uint16_t *)right;
}

/* Copies the tags, sorted, each once. */
static void take_tags(struct well_cursor *cursor)
{
    struct well_scan *scan = &cursor->scan;
    if (scan->tags == NULL) {
        return;
    }
    cursor->tags = mem_alloc_array(MAX(scan->tags_count, (size_t)1), sizeof(uint16_t));
    if (scan->tags_count > 0) {
        memcpy(cursor->tags, scan->tags, scan->tags_count * sizeof(uint16_t));
        qsort(cursor->tags, scan->tags_count, sizeof(uint16_t), by_number);
    }
    size_t kept = 0;
    for (size_t i = 0; i < scan->tags_count; i++) {
        if (kept == 0 || cursor->tags[kept - 1] != cursor->tags[i]) {
            cursor->tags[kept++] = cursor->tags[i];
        }
    }
    scan->tags = cursor->tags;
    scan->tags_count = kept;
}

static struct well_cursor *cursor_new(const struct well_scan *scan)
{
    struct well_cursor *cursor = MEM_NEW(struct well_cursor);
    cursor->scan = *scan;
    cursor->reader = block_reader_new();
    for (size_t i = 0; i < scan->words_count; i++) {
        filter_hashes(&cursor->tokens, scan->words[i]);
    }
    cursor->scan.words = NULL;
    take_tags(cursor);
    return cursor;
}

static void make_heap(struct well_cursor *cursor)
{
    for (size_t i = cursor->heap.count / 2; i-- > 0;) {
        sift_down(cursor, i);
    }
}

int well_cursor_open(struct well *const *wells, size_t count, const struct well_scan *scan,
                     struct well_cursor **ret_cursor)
{
    struct well_cursor *cursor = cursor_new(scan);
    for (size_t i = 0; i < count; i++) {
        struct well_snapshot snapshot;
        well_snapshot_take(wells[i], &snapshot);
        vec_push(&cursor->snapshots, snapshot);
        for (size_t j = 0; j < snapshot.segments.count; j++) {
            add_segment(cursor, wells[i], snapshot.segments.items[j], snapshot.tombstones);
        }
        for (size_t j = 0; j < snapshot.memtables.count; j++) {
            add_memtable(cursor, wells[i], &snapshot, j);
        }
    }
    make_heap(cursor);
    *ret_cursor = cursor;
    return 0;
}

int well_cursor_over(struct well *well, struct segment *const *segments, size_t count,
                     const struct tombstones *tombstones, const struct well_scan *scan,
                     struct well_cursor **ret_cursor)
{
    struct well_cursor *cursor = cursor_new(scan);
    cursor->strict = true;
    for (size_t i = 0; i < count; i++) {
        add_segment(cursor, well, segments[i], tombstones);
    }
    make_heap(cursor);
    *ret_cursor = cursor;
    return 0;
}

void well_cursor_close(struct well_cursor **place)
{
    struct well_cursor *cursor = *place;
    *place = NULL;
    if (cursor == NULL) {
        return;
    }
    for (size_t i = 0; i < cursor->heap.count; i++) {
        stream_free(cursor->heap.items[i]);
    }
    stream_free(cursor->finished);
    for (size_t i = 0; i < cursor->snapshots.count; i++) {
        well_snapshot_drop(&cursor->snapshots.items[i]);
    }
    vec_deinit(&cursor->heap);
    vec_deinit(&cursor->snapshots);
    vec_deinit(&cursor->batch);
    buf_deinit(&cursor->batch_data);
    buf_deinit(&cursor->batch_enumerated);
    buf_deinit(&cursor->tokens);
    block_reader_free(&cursor->reader);
    mem_free(cursor->tags);
    mem_free(cursor);
}

uint64_t well_cursor_passed_over(const struct well_cursor *cursor)
{
    return cursor->passed_over;
}

uint64_t well_cursor_skipped(const struct well_cursor *cursor)
{
    return cursor->skipped;
}

/* The stream at the top has moved: puts it where it belongs, or takes it out. */
static void top_moved(struct well_cursor *cursor)
{
    struct stream *top = cursor->heap.items[0];
    if (!settle(cursor, top)) {
        stream_free(cursor->finished);
        cursor->finished = top;
        vec_remove_swap(&cursor->heap, 0);
    }
    if (cursor->heap.count > 0) {
        sift_down(cursor, 0);
    }
}

/* The first entry of the block that is not before `time_ns`. */
static size_t first_from(const struct block *block, int64_t time_ns)
{
    size_t low = 0;
    size_t high = block->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (block->entries[middle].time_ns < time_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void turn_entries(struct block *block)
{
    for (size_t i = 0, j = block->count; i + 1 < j; i++) {
        j--;
        struct entry moved = block->entries[i];
        block->entries[i] = block->entries[j];
        block->entries[j] = moved;
    }
}

/* Keeps what the scan wants of the block that was just read, in its order. */
static void crop(const struct well_cursor *cursor, struct stream *stream)
{
    const struct well_scan *scan = &cursor->scan;
    struct block *block = &stream->block;
    size_t from = first_from(block, scan->start_ns);
    size_t to = scan->end_ns == INT64_MAX ? block->count : first_from(block, scan->end_ns);
    to = MAX(to, from);
    if (scan->descending) {
        turn_entries(block);
        stream->at = block->count - to;
        stream->end = block->count - from;
    } else {
        stream->at = from;
        stream->end = to;
    }
}

/* Whether something of a block may be deleted. */
static bool may_have_deleted(const struct stream *stream, const struct segment_block *block)
{
    const struct tombstone_list *deleted = &stream->deleted;
    bool may = false;
    for (size_t i = 0; i < deleted->items.count && !may; i++) {
        const struct tombstone *tombstone = deleted->items.items[i];
        may = block->first_stamp <= tombstone->stamp.time &&
              block->first_ns <= tombstone->deletion.end_ns &&
              block->last_ns >= tombstone->deletion.start_ns;
    }
    return may;
}

/* Takes what was deleted out of the block that was just read. */
static void leave_out(struct stream *stream, const struct segment_block *about)
{
    const struct tombstone_list *deleted = &stream->deleted;
    struct block *block = &stream->block;
    size_t kept = 0;
    stream->has_holes = false;
    if (!may_have_deleted(stream, about)) {
        return;
    }
    for (size_t i = 0; i < block->count; i++) {
        const struct entry *entry = &block->entries[i];
        if (!tombstone_list_covers(deleted, entry->time_ns, entry->stamp)) {
            block->entries[kept++] = *entry;
        }
    }
    stream->has_holes = kept < block->count;
    block->count = kept;
}

/* Merging does not look for what searches left, and leaves nothing. */
static int read_block(struct well_cursor *cursor, struct stream *stream, size_t index,
                      bool *ret_first_time)
{
    struct block_cache *cache = cursor->strict ? NULL : stream->well->cache;
    struct block_key key = {stream->segment->opening, index};
    struct block_content *found = cache != NULL ? block_cache_get(cache, key) : NULL;
    if (found != NULL) {
        int rc = block_share(cursor->reader, found, &stream->block);
        block_content_unref(&found);
        return rc;
    }
    int rc = segment_read(stream->segment, index, cursor->reader, block_reader_raw(cursor->reader),
                          &stream->block, ret_first_time);
    if (rc == 0 && cache != NULL) {
        block_cache_offer(cache, key, stream->block.content);
    }
    return rc;
}

static int load_top(struct well_cursor *cursor)
{
    struct stream *stream = cursor->heap.items[0];
    if (stream->segment == NULL) {
        load_memtable(cursor, stream);
        top_moved(cursor);
        return 0;
    }
    size_t index = cursor->scan.descending ? --stream->stop : stream->next++;
    bool first_time = false;
    int rc = read_block(cursor, stream, index, &first_time);
    stream->at = stream->end = 0;
    if (rc == ERR_CORRUPT || (rc == ERR_IO && cursor->scan.past_bad_places)) {
        well_note_damage(stream->well, first_time);
        if (cursor->strict) {
            return rc;
        }
        cursor->skipped++;
    } else if (rc < 0) {
        return rc;
    } else {
        cursor->whole_bytes = 0;
        leave_out(stream, &stream->segment->blocks[index]);
        crop(cursor, stream);
        stream->loaded = true;
    }
    top_moved(cursor);
    return 0;
}

/* The stream that comes next after the top one, or NULL. */
static const struct stream *second(const struct well_cursor *cursor)
{
    struct stream *const *heap = cursor->heap.items;
    if (cursor->heap.count < 2) {
        return NULL;
    }
    if (cursor->heap.count < 3) {
        return heap[1];
    }
    return before(cursor, heap[1], heap[2]) ? heap[1] : heap[2];
}

/* How many entries of the top stream come before anything else, at most `max`. */
static size_t run_of(const struct well_cursor *cursor, size_t max)
{
    struct stream probe = *cursor->heap.items[0];
    const struct stream *other = second(cursor);
    size_t left = MIN(max, probe.end - probe.at);
    if (other == NULL) {
        return left;
    }
    size_t count = 0;
    while (count < left) {
        size_t i = probe.at + count;
        probe.time_ns =
            probe.segment != NULL ? probe.block.entries[i].time_ns : probe.picks[i].time_ns;
        probe.tag = probe.segment != NULL ? probe.tag : probe.picks[i].tag;
        if (!before(cursor, &probe, other)) {
            break;
        }
        count++;
    }
    return count;
}

bool well_cursor_whole_blocks(const struct well_cursor *cursor, uint64_t bytes_min,
                              struct segment **ret_segment, size_t *ret_from, size_t *ret_to)
{
    const struct stream *top = cursor->heap.count > 0 ? cursor->heap.items[0] : NULL;
    if (top == NULL || top->segment == NULL || top->loaded ||
        top->segment->version != SEGMENT_VERSION || top->segment->footer_damaged) {
        return false;
    }
    const struct filter_group *group = segment_filters(top->segment, top->next);
    if (group == NULL || __atomic_load_n(&group->damaged, __ATOMIC_ACQUIRE)) {
        return false;
    }
    const struct stream *other = second(cursor);
    struct stream end = {.rank = top->rank, .tag = top->tag};
    uint64_t bytes = cursor->whole_rank == top->rank ? cursor->whole_bytes : 0;
    size_t group_end = group->first + group->blocks;
    size_t to = top->next;
    for (; to < top->stop && (to < group_end || bytes < bytes_min); to++) {
        const struct segment_block *block = &top->segment->blocks[to];
        end.time_ns = block->last_ns;
        if (may_have_deleted(top, block) || (other != NULL && !before(cursor, &end, other))) {
            break;
        }
        bytes += block->data_bytes;
    }
    *ret_segment = top->segment;
    *ret_from = top->next;
    *ret_to = MIN(to, group_end);
    return to > top->next && bytes >= bytes_min;
}

void well_cursor_pass(struct well_cursor *cursor, size_t blocks)
{
    struct stream *top = cursor->heap.items[0];
    cursor->whole_bytes = cursor->whole_rank == top->rank ? cursor->whole_bytes : 0;
    cursor->whole_rank = top->rank;
    for (size_t i = 0; i < blocks; i++) {
        cursor->whole_bytes += top->segment->blocks[top->next++].data_bytes;
    }
    top_moved(cursor);
}

static void copy_run(struct well_cursor *cursor, size_t count)
{
    struct stream *top = cursor->heap.items[0];
    size_t copied = 0;
    while (copied < count && (cursor->batch_data.bytes < BATCH_BYTES_MAX || copied == 0)) {
        struct entry entry = stream_entry(top, top->at + copied);
        buf_append(&cursor->batch_data, entry.data);
        buf_append(&cursor->batch_enumerated, entry.enumerated);
        vec_push(&cursor->batch, entry);
        copied++;
    }
    top->at += copied;
    top_moved(cursor);
}

/* The batch is complete: its entries point at their copies. */
static void give_batch(struct well_cursor *cursor, struct well_block *ret_block)
{
    const uint8_t *data = cursor->batch_data.data;
    const uint8_t *enumerated = cursor->batch_enumerated.data;
    for (size_t i = 0; i < cursor->batch.count; i++) {
        struct entry *entry = &cursor->batch.items[i];
        entry->data.data = data;
        data += entry->data.bytes;
        if (entry->enumerated.bytes > 0) {
            entry->enumerated.data = enumerated;
            enumerated += entry->enumerated.bytes;
        }
    }
    *ret_block = (struct well_block){cursor->batch.items, cursor->batch.count,
                                     buf_span(&cursor->batch_data)};
}

static void give_run(struct well_cursor *cursor, size_t count, struct well_block *ret_block)
{
    struct stream *top = cursor->heap.items[0];
    const struct entry *entries = top->block.entries + top->at;
    const struct entry *low = cursor->scan.descending ? &entries[count - 1] : &entries[0];
    const struct entry *high = cursor->scan.descending ? &entries[0] : &entries[count - 1];
    size_t bytes = (size_t)(high->data.data + high->data.bytes - low->data.data);
    *ret_block = (struct well_block){entries, count, span_of(low->data.data, bytes)};
    top->at += count;
    top_moved(cursor);
}

int well_cursor_next(struct well_cursor *cursor, struct well_block *ret_block)
{
    stream_free(cursor->finished);
    cursor->finished = NULL;
    vec_clear(&cursor->batch);
    buf_clear(&cursor->batch_data);
    buf_clear(&cursor->batch_enumerated);
    while (cursor->heap.count > 0 && cursor->batch.count < BATCH_ENTRIES_MAX &&
           cursor->batch_data.bytes < BATCH_BYTES_MAX) {
        const struct stream *top = cursor->heap.items[0];
        if (!top->loaded && cursor->strict && cursor->batch.count > 0) {
            break; /* the next block may be taken as a whole */
        }
        if (!top->loaded) {
            int rc = load_top(cursor);
            if (rc < 0) {
                return rc;
            }
            continue;
        }
        size_t run = run_of(cursor, BLOCK_ENTRIES_MAX);
        CHECK(run > 0);
        if (run < DIRECT_ENTRIES_MIN || top->segment == NULL || top->has_holes) {
            copy_run(cursor, MIN(run, BATCH_ENTRIES_MAX - cursor->batch.count));
        } else if (cursor->batch.count == 0) {
            give_run(cursor, run, ret_block);
            return 0;
        } else {
            break;
        }
    }
    if (cursor->batch.count == 0) {
        return WELL_END;
    }
    give_batch(cursor, ret_block);
    return 0;
}
