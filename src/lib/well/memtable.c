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
    memtable->first_stamp = UINT64_MAX;
    pthread_mutex_init(&memtable->index.lock, NULL);
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
    while (memtable->first != NULL) {
        struct memtable_run *next = memtable->first->next;
        buf_deinit(&memtable->first->bytes);
        mem_free(memtable->first->stamps);
        mem_free(memtable->first);
        memtable->first = next;
    }
    vec_deinit(&memtable->index.pieces);
    mem_free(memtable->index.table);
    pthread_mutex_destroy(&memtable->index.lock);
    mem_free(memtable);
}

static void copy_stamps(struct memtable *memtable, struct memtable_run *run, size_t count,
                        const struct stamp *stamps)
{
    size_t bytes = count * sizeof(*stamps);
    run->stamps = mem_realloc(NULL, bytes);
    memcpy(run->stamps, stamps, bytes);
    memtable->bytes += bytes;
    for (size_t i = 0; i < count; i++) {
        memtable->first_stamp = MIN(memtable->first_stamp, stamps[i].time);
    }
}

static struct memtable_run *run_new(struct memtable *memtable, struct buf *takes, size_t items,
                                    size_t elements, uint64_t position,
                                    struct memtable_stamps stamps)
{
    size_t bytes = sizeof(struct memtable_run) + items * sizeof(struct memtable_item);
    struct memtable_run *run =
        mem_realloc(NULL, bytes); /* nothing of it is read before it is set */
    *run = (struct memtable_run){.bytes = *takes, .stamp = stamps.one, .count = items};
    if (memtable->first_position == 0) {
        memtable->first_position = position;
    }
    memtable->log_end = position + 1;
    memtable->bytes += takes->capacity + bytes;
    if (stamps.each != NULL) {
        copy_stamps(memtable, run, elements, stamps.each);
    } else {
        memtable->first_stamp = MIN(memtable->first_stamp, stamps.one.time);
    }
    *takes = (struct buf){0};
    return run;
}

/* Complete: readers may meet it from now on. */
static void link_run(struct memtable *memtable, struct memtable_run *run)
{
    if (memtable->last != NULL) {
        memtable->last->next = run;
    } else {
        memtable->first = run;
    }
    memtable->last = run;
    memtable->runs_count++;
}

void memtable_add(struct memtable *memtable, struct buf *takes, struct entries *entries,
                  uint64_t position, struct memtable_stamps stamps)
{
    size_t count = entries->count;
    struct memtable_run *run = run_new(memtable, takes, count, count, position, stamps);
    struct entry entry;
    for (size_t i = 0; entries_next(entries, &entry); i++) {
        run->items[i] = (struct memtable_item){entry.time_ns, entries_place(&entry)};
        memtable->data_bytes += entry.data.bytes;
        memtable->oldest_ns = MIN(memtable->oldest_ns, entry.time_ns);
        memtable->newest_ns = MAX(memtable->newest_ns, entry.time_ns);
    }
    memtable->entries += run->count;
    link_run(memtable, run);
}

void memtable_add_points(struct memtable *memtable, struct buf *takes,
                         const struct points_record *record, uint64_t position,
                         struct memtable_stamps stamps)
{
    struct memtable_run *run = run_new(memtable, takes, 0, record->elements, position, stamps);
    struct points_record walk = *record;
    struct points_part part;
    int64_t oldest_ns = memtable->oldest_ns;
    int64_t newest_ns = memtable->newest_ns;
    while (points_record_next(&walk, &part)) {
        for (size_t i = 0; i < part.count; i++) {
            int64_t time_ns = points_part_time(&part, i);
            oldest_ns = MIN(oldest_ns, time_ns);
            newest_ns = MAX(newest_ns, time_ns);
        }
    }
    run->points = true;
    memtable->oldest_ns = oldest_ns;
    memtable->newest_ns = newest_ns;
    memtable->points += record->elements;
    memtable->data_bytes += run->bytes.bytes;
    /* The index that is made when somebody asks, or at the latest when it is flushed. */
    memtable->bytes += record->parts * (sizeof(struct memtable_piece) * 3 / 2);
    link_run(memtable, run);
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

#define PICK_TAGS 64 /* tags that picking remembers, by their lowest bits */

/* What picking knows of a tag. */
struct pick_tag {
    bool known;
    bool wanted;
    uint16_t tag;
    struct tombstone_list deleted;
};

static const struct pick_tag *look_at_tag(struct pick_tag *tags, const struct well_scan *scan,
                                          const struct tombstones *tombstones, uint16_t tag)
{
    struct pick_tag *about = &tags[tag % PICK_TAGS];
    if (!about->known || about->tag != tag) {
        about->known = true;
        about->tag = tag;
        about->wanted = scan == NULL || well_scan_has_tag(scan, tag);
        tombstones_of_tag(tombstones, tag, &about->deleted);
    }
    return about;
}

void memtable_pick(const struct memtable *memtable, size_t runs, const struct well_scan *scan,
                   const struct tombstones *tombstones, bool by_tag,
                   struct memtable_pick **ret_picks, size_t *ret_count)
{
    VEC(struct memtable_pick) picks = {0};
    struct pick_tag tags[PICK_TAGS] = {{0}};
    uint32_t index = 0;
    const struct memtable_run *run = memtable->first;
    for (size_t i = 0; i < runs; i++, run = i < runs ? run->next : NULL) {
        for (size_t j = 0; j < run->count; j++, index++) {
            const struct memtable_item *item = &run->items[j];
            if (scan != NULL && !well_scan_has_time(scan, item->time_ns)) {
                continue;
            }
            struct entry entry;
            entries_entry_at(item->at, &entry);
            const struct pick_tag *about = look_at_tag(tags, scan, tombstones, entry.tag);
            const struct stamp *stamp = run->stamps != NULL ? &run->stamps[j] : &run->stamp;
            if (about->wanted && !tombstone_list_covers(&about->deleted, item->time_ns, *stamp)) {
                vec_push(&picks,
                         (struct memtable_pick){item->time_ns, item->at, stamp, index, entry.tag});
            }
        }
    }
    for (size_t i = 0; i < PICK_TAGS; i++) {
        tombstone_list_deinit(&tags[i].deleted);
    }
    sort(picks.items, picks.count, by_tag ? by_tag_and_time : by_time);
    *ret_picks = picks.items;
    *ret_count = picks.count;
}
