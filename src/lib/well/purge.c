/*
 * Deletes that reach the files: which segment is to be written anew for what was deleted from it,
 * and which tombstones have nothing left to cover. Tested by points_test.c.
 *
 * A segment is written anew at once when a quarter of it is deleted, else when the delete is a
 * day old: so writing is bounded by four times what was deleted, and once a day.
 */
#include "base/mem.h"
#include "base/time.h"
#include "well/internal.h"

#define PURGE_PART 4                                 /* one of so many parts is deleted: at once */
#define LOOK_NS (INT64_C(600) * INT64_C(1000000000)) /* as often, while no delete comes */

/* A delete with the series that it means, found out once for all segments. */
struct purge {
    const struct tombstones *tombstones;
    const struct tombstone *tombstone;
    struct series_numbers numbers;
    bool any_series; /* the catalogue cannot tell which (a regex takes too long): it may be any */
    uint8_t *tags;   /* 0: not looked at yet, 1: means it, 2: does not */
};

static void purge_init(struct purge *purge, const struct tombstones *tombstones,
                       const struct tombstone *tombstone)
{
    *purge = (struct purge){.tombstones = tombstones, .tombstone = tombstone};
    purge->tags = mem_alloc(UINT16_MAX + 1);
    if (tombstones->names.catalogue != NULL &&
        series_catalogue_select(tombstones->names.catalogue, tombstone->selector,
                                SERIES_SELECT_DEAD, &purge->numbers) < 0) {
        purge->any_series = true;
    }
}

static void purge_deinit(struct purge *purge)
{
    series_numbers_deinit(&purge->numbers);
    mem_free(purge->tags);
}

static bool is_in_reach(const struct tombstone *tombstone, int64_t first_ns, int64_t last_ns,
                        uint64_t first_stamp)
{
    return last_ns >= tombstone->deletion.start_ns && first_ns <= tombstone->deletion.end_ns &&
           first_stamp <= tombstone->stamp.time;
}

static bool means_tag(struct purge *purge, uint16_t tag)
{
    if (purge->tags[tag] == 0) {
        purge->tags[tag] = tombstone_means_tag(purge->tombstones, purge->tombstone, tag) ? 1 : 2;
    }
    return purge->tags[tag] == 1;
}

/* How many of the series it means lie in [first, last]. */
static size_t count_meant(const struct purge *purge, uint32_t first, uint32_t last)
{
    const uint32_t *items = purge->numbers.items;
    size_t low = 0;
    size_t high = purge->numbers.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (items[middle] < first) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t end = low;
    while (end < purge->numbers.count && items[end] <= last) {
        end++;
    }
    return end - low;
}

/* About what of a block of these bytes and times it covers, if it means `meant` of `all` series. */
static uint64_t part_of(const struct tombstone *tombstone, uint64_t bytes, int64_t first_ns,
                        int64_t last_ns, uint64_t meant, uint64_t all)
{
    double from = (double)MAX(first_ns, tombstone->deletion.start_ns);
    double to = (double)MIN(last_ns, tombstone->deletion.end_ns);
    double part = (to - from + 1) / ((double)last_ns - (double)first_ns + 1);
    uint64_t covered = (uint64_t)((double)bytes * MIN(part, 1.0) * (double)meant / (double)all);
    return MAX(covered, UINT64_C(1));
}

/* About as many bytes of the segment it covers; 0: certainly none. */
static uint64_t covered_bytes(struct purge *purge, const struct segment *segment)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < segment->blocks_count; i++) {
        const struct segment_block *block = &segment->blocks[i];
        if (is_in_reach(purge->tombstone, block->first_ns, block->last_ns, block->first_stamp) &&
            means_tag(purge, block->tag)) {
            bytes += part_of(purge->tombstone, block->bytes, block->first_ns, block->last_ns, 1, 1);
        }
    }
    for (size_t i = 0; i < segment->points_count; i++) {
        const struct segment_points *block = &segment->points[i];
        if (is_in_reach(purge->tombstone, block->first_ns, block->last_ns, block->first_stamp)) {
            uint64_t meant =
                purge->any_series ? 1 : count_meant(purge, block->first_series, block->last_series);
            uint64_t range = (uint64_t)block->last_series - block->first_series + 1;
            bytes += meant > 0 ? part_of(purge->tombstone, block->bytes, block->first_ns,
                                         block->last_ns, meant, range)
                               : 0;
        }
    }
    return bytes;
}

/* What the deletes that a segment does not know yet cover of it. */
struct covered {
    struct segment *segment;
    uint64_t bytes;
    int64_t since_ns; /* of the oldest of them */
};

static uint64_t deletes_end(const struct segment *segment)
{
    return __atomic_load_n(&segment->deletes_end, __ATOMIC_ACQUIRE);
}

/* Whether some segment that may have what is older than the delete does not know it. */
static bool is_news(const struct tombstone *tombstone, const struct covered *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (tombstone->position >= deletes_end(list[i].segment) &&
            list[i].segment->first_stamp <= tombstone->stamp.time) {
            return true;
        }
    }
    return false;
}

static void compare(const struct tombstones *tombstones, struct covered *list, size_t count)
{
    for (size_t i = 0; i < tombstones->count; i++) {
        struct purge purge;
        const struct tombstone *tombstone = tombstones->items[i];
        if (!is_news(tombstone, list, count)) {
            continue;
        }
        purge_init(&purge, tombstones, tombstone);
        for (size_t j = 0; j < count; j++) {
            uint64_t bytes = tombstone->position >= deletes_end(list[j].segment)
                                 ? covered_bytes(&purge, list[j].segment)
                                 : 0;
            if (bytes > 0) {
                list[j].bytes += bytes;
                list[j].since_ns = MIN(list[j].since_ns, tombstone->since_ns);
            }
        }
        purge_deinit(&purge);
    }
}

/* Of all blocks. */
static uint64_t blocks_bytes(const struct segment *segment)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < segment->blocks_count; i++) {
        bytes += segment->blocks[i].bytes;
    }
    for (size_t i = 0; i < segment->points_count; i++) {
        bytes += segment->points[i].bytes;
    }
    return bytes;
}

typedef VEC(struct covered) covered_vec;

static void list_segments(struct well *well, uint64_t end, covered_vec *list)
{
    pthread_mutex_lock(&well->lock);
    for (size_t i = 0; i < well->segments.count; i++) {
        struct segment *segment = well->segments.items[i];
        if (deletes_end(segment) < end && !segment_is_damaged(segment)) {
            vec_push(list, (struct covered){segment_ref(segment), 0, INT64_MAX});
        }
    }
    pthread_mutex_unlock(&well->lock);
}

struct segment *well_choose_purge(struct well *well, struct tombstones *tombstones)
{
    int64_t now_ns = io_now_ns(well->io);
    covered_vec list = {0};
    if (tombstones->end == well->purge_looked_end && now_ns - well->purge_looked_ns < LOOK_NS &&
        now_ns >= well->purge_looked_ns) {
        return NULL;
    }
    list_segments(well, tombstones->end, &list);
    compare(tombstones, list.items, list.count);
    struct segment *chosen = NULL;
    for (size_t i = 0; i < list.count; i++) {
        struct covered *covered = &list.items[i];
        if (covered->bytes == 0) {
            __atomic_store_n(&covered->segment->deletes_end, tombstones->end, __ATOMIC_RELEASE);
        } else if (chosen == NULL &&
                   (covered->bytes >= blocks_bytes(covered->segment) / PURGE_PART ||
                    now_ns - covered->since_ns >= WELL_PURGE_NS)) {
            chosen = segment_ref(covered->segment);
        }
        segment_unref(&covered->segment);
    }
    vec_deinit(&list);
    if (chosen == NULL) { /* else there may be more */
        well->purge_looked_end = tombstones->end;
        well->purge_looked_ns = now_ns;
    }
    return chosen;
}

static void look_at_memtable(const struct tombstones *tombstones, const struct memtable *memtable,
                             bool *is_done)
{
    for (size_t i = 0; memtable != NULL && i < tombstones->count; i++) {
        if (memtable->first_stamp <= tombstones->items[i]->stamp.time) {
            is_done[i] = false;
        }
    }
}

void well_find_undone(struct well *well, const struct tombstones *tombstones, bool *is_done)
{
    pthread_mutex_lock(&well->lock);
    look_at_memtable(tombstones, well->active, is_done);
    for (size_t i = 0; i < well->sealed.count; i++) {
        look_at_memtable(tombstones, well->sealed.items[i], is_done);
    }
    for (size_t i = 0; i < well->segments.count; i++) {
        const struct segment *segment = well->segments.items[i];
        for (size_t j = 0; j < tombstones->count; j++) {
            const struct tombstone *tombstone = tombstones->items[j];
            if (deletes_end(segment) <= tombstone->position &&
                (segment->footer_damaged || segment->first_stamp <= tombstone->stamp.time)) {
                is_done[j] = false;
            }
        }
    }
    pthread_mutex_unlock(&well->lock);
}

static int restore_one(void *context, uint32_t number, struct span key, uint64_t newest_stamp)
{
    struct well *well = context;
    if (key.bytes > 0 && series_key_check(key) == 0 &&
        series_catalogue_restore(well->names.catalogue, number, key, newest_stamp) < 0) {
        well_note_damage(well, true);
    }
    return 0;
}

void well_restore_series(struct well *well)
{
    struct well_snapshot snapshot;
    well_snapshot_take(well, &snapshot);
    for (size_t i = 0; i < snapshot.segments.count; i++) {
        bool first_time;
        if (segment_each_series(snapshot.segments.items[i], restore_one, well, &first_time) < 0) {
            well_note_damage(well, first_time);
        }
    }
    well_snapshot_drop(&snapshot);
}
