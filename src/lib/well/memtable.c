#include "well/memtable.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/time.h"

struct memtable *memtable_new(void)
{
    struct memtable *memtable = MEM_NEW(struct memtable);
    memtable->references = 1;
    memtable->oldest_ns = TIME_MAX_NS;
    memtable->newest_ns = INT64_MIN;
    return memtable;
}

struct memtable *memtable_ref(struct memtable *memtable)
{
    __atomic_add_fetch(&memtable->references, 1, __ATOMIC_RELAXED);
    return memtable;
}

void memtable_unref(struct memtable **place)
{
    struct memtable *memtable = *place;
    *place = NULL;
    if (memtable == NULL || __atomic_sub_fetch(&memtable->references, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    for (size_t i = 0; i < memtable->runs.count; i++) {
        buf_deinit(&memtable->runs.items[i]);
    }
    vec_deinit(&memtable->runs);
    while (memtable->first != NULL) {
        struct memtable_chunk *next = memtable->first->next;
        mem_free(memtable->first);
        memtable->first = next;
    }
    mem_free(memtable);
}

static void add_item(struct memtable *memtable, const struct entry *entry)
{
    size_t in_chunk = memtable->count % MEMTABLE_CHUNK_ITEMS;
    if (in_chunk == 0) {
        struct memtable_chunk *chunk = MEM_NEW(struct memtable_chunk);
        if (memtable->last != NULL) {
            memtable->last->next = chunk;
        } else {
            memtable->first = chunk;
        }
        memtable->last = chunk;
        memtable->bytes += sizeof(*chunk);
    }
    memtable->last->items[in_chunk] = (struct memtable_item){entry->time_ns, entries_place(entry)};
    memtable->count++;
    memtable->data_bytes += entry->data.bytes;
    memtable->oldest_ns = MIN(memtable->oldest_ns, entry->time_ns);
    memtable->newest_ns = MAX(memtable->newest_ns, entry->time_ns);
}

void memtable_add(struct memtable *memtable, struct buf *takes, struct entries *entries,
                  uint64_t position)
{
    if (memtable->first_position == 0) {
        memtable->first_position = position;
    }
    memtable->log_end = position + 1;
    memtable->bytes += takes->capacity;
    vec_push(&memtable->runs, *takes);
    *takes = (struct buf){0};
    struct entry entry;
    while (entries_next(entries, &entry)) {
        add_item(memtable, &entry);
    }
}

bool well_scan_has_tag(const struct well_scan *scan, uint16_t tag)
{
    if (scan->tags == NULL) {
        return true;
    }
    size_t low = 0;
    size_t high = scan->tags_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (scan->tags[middle] == tag) {
            return true;
        }
        if (scan->tags[middle] < tag) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

static int by_time(const void *left, const void *right)
{
    const struct memtable_pick *a = left;
    const struct memtable_pick *b = right;
    if (a->time_ns != b->time_ns) {
        return a->time_ns < b->time_ns ? -1 : 1;
    }
    if (a->tag != b->tag) {
        return a->tag < b->tag ? -1 : 1;
    }
    return a->index < b->index ? -1 : a->index > b->index;
}

static int by_tag_and_time(const void *left, const void *right)
{
    const struct memtable_pick *a = left;
    const struct memtable_pick *b = right;
    if (a->tag != b->tag) {
        return a->tag < b->tag ? -1 : 1;
    }
    return by_time(left, right);
}

/* Entries mostly arrive in order: look before sorting. */
static void sort(struct memtable_pick *picks, size_t count,
                 int (*order)(const void *left, const void *right))
{
    for (size_t i = 1; i < count; i++) {
        if (order(&picks[i - 1], &picks[i]) > 0) {
            qsort(picks, count, sizeof(*picks), order);
            return;
        }
    }
}

static bool wanted(const struct well_scan *scan, const struct memtable_pick *pick)
{
    return scan == NULL ||
           (well_scan_has_time(scan, pick->time_ns) && well_scan_has_tag(scan, pick->tag));
}

void memtable_pick(const struct memtable *memtable, size_t count, const struct well_scan *scan,
                   bool by_tag, struct memtable_pick **ret_picks, size_t *ret_count)
{
    VEC(struct memtable_pick) picks = {0};
    const struct memtable_chunk *chunk = memtable->first;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && i % MEMTABLE_CHUNK_ITEMS == 0) {
            chunk = chunk->next;
        }
        const struct memtable_item *item = &chunk->items[i % MEMTABLE_CHUNK_ITEMS];
        if (scan != NULL && !well_scan_has_time(scan, item->time_ns)) {
            continue;
        }
        struct entry entry;
        entries_entry_at(item->at, &entry);
        struct memtable_pick pick = {item->time_ns, item->at, (uint32_t)i, entry.tag};
        if (wanted(scan, &pick)) {
            vec_push(&picks, pick);
        }
    }
    sort(picks.items, picks.count, by_tag ? by_tag_and_time : by_time);
    *ret_picks = picks.items;
    *ret_count = picks.count;
}
